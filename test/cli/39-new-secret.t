#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Another station key or passphrase for a log, and sealed logs that were
# restored: unfinished lists are gone on with, nothing is signed twice, and
# what is replaced opens nothing any more.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

built "$iofail" "$fault"
station lists --key-type ec:P-256 --subject /CN=lists
auditor alice
for pass in old new wrong; do
	echo "the $pass one" >$pass.pass && chmod 600 $pass.pass
done
items=60
documents $items docs/order-
export FAULTP11_COUNTS=$T/counts
sign() { OFS_MODULE=$fault run ofs-sign --key "$key" --recursive "$@" docs; }
# a batch that is killed with some outputs signed, recorded and not released
interrupt() { # OUT OPTION...
	local name=$1
	shift
	IOFAIL='write .p7s 5 0' LD_PRELOAD=$iofail sign --out "$T/$name" \
		--jobs 1 "$@"
	is "$rc" 137 "$name: a batch that is killed"
	signed=$(csigns)
}
# the list is finished: what was signed before is not signed again
finish() { # OUT OPTION...
	local name=$1 asked skipped unknown lines
	shift
	sign --out "$T/$name" --json "$@"
	lines=$(jq -c 'select(.type == "item")' <<<"$out")
	[ "$rc" -le 1 ]
	ok $? "$name: the list is gone on with" "$rc $err"
	skipped=$(grep -c '"skipped"' <<<"$lines")
	unknown=$(grep -c '"unknown"' <<<"$lines")
	asked=$(($(csigns) - signed))
	isnt "$skipped" 0 "$name: with what was recorded"
	is "$asked" $((items - skipped - unknown)) \
		"$name: nothing is signed twice"
	sign --out "$T/$name" --resign-unknown "$@"
	status 0 "$name: and is finished"
	is "$(find "$name" -name '*.p7s' | wc -l)" $items "$name: all of it"
}
readable() { # OPTION...
	ofs-audit list --json "$@" 2>/dev/null |
		jq -r 'select(.type_name == "outcome") |
			.body.document.path // empty' | sort -u | wc -l
}

# --- a sealed log is restored in the middle of a list
export OFS_AUDIT=$T/restored
must ofs-audit init --sealed --auditor alice.crt --station-key "$T/key"
interrupt r
must ofs-audit backup bak
rm -rf restored
run ofs-audit restore bak
status 0 'it is restored'
is "$(kept)" 0 'a backup has no key of what is unfinished'
like "$err" 'rotate --auditor-key' 'and restoring says what to do'
sign --out "$T/r"
status 6 'nothing is signed'
like "$err" 'cannot tell whether this list was begun before.*rotate --auditor-key' \
	'and says why, and what to do'
is "$(csigns)" "$signed" 'the token was not asked'
run ofs-audit rotate --auditor-key alice.key
status 0 'an auditor opens it to the station'
isnt "$(kept)" 0 'keys are kept again'
unlike "$err" 'cannot be opened' 'all of them'
finish r
is "$(kept)" 0 'and are destroyed in the end'
is "$(readable)" 0 'the station reads nothing of what is finished'
run ofs-audit verify --auditor-key alice.key
status 0 'the log verifies'

# --- another station key, while a list is unfinished
interrupt k
mv key lost
run ofs-audit rotate --station-key "$T/key2"
status 6 'without the old key'
like "$err" 'what opens the audit log now is needed' 'says so'
[ "$(kept)" -gt 0 ] && [ "$(readable --station-key "$T/lost")" -gt 0 ]
ok $? 'nothing has changed'
rm -f key2
mv lost key
cp -a restored before
run ofs-audit rotate --station-key "$T/key2" --reason 'key was copied'
status 0 'with it'
like "$out" "^  station +$T/key2, what is unfinished$" 'the new one is named'
mv key2 away
is "$(readable --station-key "$T/key")" 0 'the old one opens nothing any more'
mv away key2
isnt "$(readable --station-key "$T/key2")" 0 'the new one what is unfinished'
isnt "$(readable --audit before --station-key "$T/key")" 0 \
	'as the old one did'
rm key
finish k
is "$(kept) $(readable)" '0 0' 'and then nothing'

# --- the same, killed at each write and sync of the store and its head file
interrupt c
for op in write sync; do
	half=0
	for ((n = 1; n < 100; n++)); do
		rm -rf try key.try
		cp -a restored try
		(
			export OFS_AUDIT=$T/try IOFAIL="$op /try/log $n 0"
			LD_PRELOAD=$iofail ofs-audit rotate \
				--station-key "$T/key.try"
		) >killed.log 2>&1
		rc=$?
		# the newest epoch tells where its key is
		two=$(readable --audit try --station-key "$T/key.try")
		[ ! -e key.try ] || mv key.try away
		one=$(readable --audit try --station-key "$T/key2")
		[ $((one + two)) -gt 0 ] &&
			ofs-audit verify --audit try >/dev/null || half=$n
		[ $rc -ne 0 ] || break
	done
	is "$half" 0 "killed at each of $((n - 1)) ${op}s, one of the keys opens it"
	is "$rc $one" '0 0' 'at last it was changed'
	isnt "$two" 0 'to the new one'
	[ "$n" -gt 3 ]
	ok $? 'it was killed'
done
finish c

# --- the station key is lost
interrupt l
rm key2
sign --out "$T/l"
status 6 'nothing is signed without it'
run ofs-audit rotate --station-key "$T/key3" --auditor-key alice.key
status 0 'an auditor sets another'
finish l
must ofs-audit verify --auditor-key alice.key
like "$(ofs-audit list --auditor-key alice.key --type log-event)" \
	"rotate.*key was copied" 'the changes are recorded'

# --- a passphrase of a sealed log
export OFS_AUDIT=$T/pass
must ofs-audit init --sealed --auditor alice.crt --passphrase-source \
	file:old.pass
interrupt p --audit-passphrase-source file:old.pass
rotate() { ofs-audit rotate --passphrase-source "file:$1" \
	--new-passphrase-source file:new.pass; }
run rotate wrong.pass
status 4 'a wrong old passphrase'
run ofs-audit rotate --new-passphrase-source file:new.pass
status 6 'none'
unlike "$out$err" 'one$' 'no passphrase is shown'
run rotate old.pass
status 0 'another passphrase'
like "$out" '^  passphrase  whoever knows it, what is unfinished$' 'says for what'
sign --out "$T/p" --audit-passphrase-source file:old.pass
status 4 'the old one does not open it'
finish p --audit-passphrase-source file:new.pass
run ofs-audit rotate --new-passphrase-source file:old.pass
status 6 'nobody sets another without it, though nothing is unfinished'

# --- a sealed log without any gets one
export OFS_AUDIT=$T/none
must ofs-audit init --sealed --auditor alice.crt
IOFAIL='write .p7s 5 0' LD_PRELOAD=$iofail sign --out "$T/n"
is "$rc" 137 'a sealed log without a secret, with outputs that wait'
n=$(sqlite3 none/log.db 'SELECT count(*) FROM pending')
run ofs-audit rotate --station-key "$T/key4" --auditor-key alice.key
status 0 'gets one'
echo one more >later
run ofs-sign --key "$key" --out "$T/other" later
status 0 'the next run'
is "$n $(find n -name '*.p7s' | wc -l) $(sqlite3 none/log.db \
	'SELECT count(*) FROM pending')" "$n $n 0" 'releases what waited'
run ofs-audit verify --auditor-key alice.key
status 0 'the log verifies'

# --- a log that the station reads
export OFS_AUDIT=$T/station
must ofs-audit init --no-station-key --passphrase-source file:old.pass
must ofs-sign --key "$key" --out "$T/s" --audit-passphrase-source \
	file:old.pass docs/order-1
run rotate wrong.pass
status 4 'a wrong old passphrase'
run ofs-audit rotate --new-passphrase-source file:new.pass
status 6 'none'
run rotate old.pass
status 0 'another passphrase'
run ofs-sign --key "$key" --out "$T/s" docs/order-2 \
	--audit-passphrase-source file:old.pass
isnt "$rc" 0 'nothing is recorded with the old one'
must ofs-sign --key "$key" --out "$T/s" docs/order-2 \
	--audit-passphrase-source file:new.pass
is "$(readable --passphrase-source file:new.pass)" 2 'the new one opens all'
run ofs-audit backup later.bak
is "$(readable --audit later.bak --passphrase-source file:old.pass)" 1 \
	'the old one what was before'
must ofs-audit verify --passphrase-source file:new.pass

# --- a key that is not there wraps nothing
export OFS_AUDIT=$T/both
must ofs-audit init --station-key "$T/key5" --passphrase-source file:old.pass
mv key5 away
head -c 32 /dev/zero >zero && chmod 600 zero
run ofs-audit rotate --passphrase-source file:old.pass
status 6 'a station key is needed where the log has one'
like "$err" 'name another with --station-key' 'or another'
is "$(ofs-audit list --json --station-key "$T/zero" 2>/dev/null |
	grep -c body)" 0 'and no key of zeros is made of it'
run ofs-audit rotate --passphrase-source file:old.pass \
	--station-key "$T/key6"
status 0 'with another'
run ofs-audit verify
status 0 'which opens the log'
unlike "$out" 'NOT OPENED' 'all of it'

done_testing
