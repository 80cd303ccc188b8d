#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The audit log cannot be written, at any point: no C_Sign without a recorded
# intent, no output without a recorded outcome, exit 6; and the next run
# finishes what was recorded without asking the token again.
. "$(dirname "$0")/../lib/tap.sh"

items=120
samples=${OFS_TRIES:-5}
[ -n "${OFS_LONG-}" ] && samples=${OFS_TRIES:-1000}
RANDOM=$((SEED % 32768))
echo "# seed $SEED"
iofail=$OFS_BUILD/test/lib/iofail.so
for spy in /usr/lib/x86_64-linux-gnu/pkcs11-spy.so \
	/usr/lib/*/pkcs11-spy.so /usr/lib*/pkcs11/pkcs11-spy.so \
	/usr/lib/*/pkcs11/pkcs11-spy.so; do
	[ ! -e "$spy" ] || break
done
[ -e "$spy" ] || skip_all 'pkcs11-spy.so (opensc-pkcs11) is not installed'
[ -e "$iofail" ] || skip_all "$iofail is not built"

sandbox_start
softhsm=$OFS_MODULE
key='pkcs11:token=sandbox;object=batch'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed --cert-out "$T/cert.pem"
mkdir "$T/docs"
for ((i = 0; i < items; i++)); do
	echo "payment order $i" >"$T/docs/order-$i"
done

# how often the token was asked by the last spied run
csigns() { grep -c '^[0-9]*: C_Sign$' "$T/spy.log"; }
# runs it with the spy between tool and token; every user may write the log
spied()
{
	: >"$T/spy.log"
	chmod 666 "$T/spy.log"
	PKCS11SPY=$softhsm PKCS11SPY_OUTPUT=$T/spy.log OFS_MODULE=$spy \
		run "$@"
}
sign() { spied "${as[@]}" ofs-sign --key "$key" --recursive --out "$@" \
	"$T/docs"; }
as=()
files() { find "$1" -name '*.p7s' 2>/dev/null | wc -l; }
stray() { find "$1" -type f ! -name '*.p7s' 2>/dev/null; }

# $1 output directory: "SHA-256  PATH" of what is recorded as signed there
recorded()
{
	ofs-audit list --json --type outcome | jq -r '.body |
		select(.purpose == 1 and .status == 1) |
		"\(.output_sha256)  \(.output_path)"' | grep -F "  $1/" | sort
}
released() { find "$1" -name '*.p7s' -exec sha256sum {} + 2>/dev/null | sort; }

sign "$T/plain"
status 0 'all is well'
is "$(csigns)" $items 'the spy counts one C_Sign for each document'
is "$(recorded "$T/plain" | sort)" "$(released "$T/plain")" \
	'each file has its outcome record, by name and hash'

# --- the log cannot even be opened: nothing is asked, nothing is written
refused()
{
	local name=$1 why=$2 before

	before=$(sha256sum "$OFS_AUDIT"/* 2>&1)
	sign "$T/none" "${@:3}"
	status 6 "$name: exit 6"
	like "$err" "$why" "$name: says why"
	is "$(csigns)" 0 "$name: no C_Sign"
	[ ! -e "$T/none" ]
	ok $? "$name: no output" "$(find "$T/none" 2>/dev/null | head -3)"
	is "$(sha256sum "$OFS_AUDIT"/* 2>&1)" "$before" \
		"$name: the log is left as it is"
	rm -rf "$T/none"
}

real=$OFS_AUDIT
copy() { rm -rf "$T/copy"; cp -a "$real" "$T/copy"; OFS_AUDIT=$T/copy; }
copy
chmod 755 "$T/copy"
refused 'looser directory' 'mode 0755 and is open to others'
copy
chmod 640 "$T/copy/log.db"
refused 'looser file' "log.db' has mode 0640"
copy
: >"$T/file"
OFS_AUDIT=$T/file
refused 'a file in its place' 'is not a directory'
copy
dd if=/dev/urandom of="$T/copy/log.db" bs=16384 seek=1 count=2 \
	conv=notrunc status=none # pages behind the first, which is mostly empty
refused 'log.db overwritten' 'audit log'
copy
head -c 20000 "$real/log.db" >"$T/copy/log.db"
refused 'log.db cut short' 'audit log'
copy
: >"$T/copy/log.db"
refused 'log.db empty' 'audit log'
copy
rm "$T/copy/log.db"
refused 'log.db gone, its head is there' 'audit log'
copy
ln "$T/copy/log.db" "$T/linked"
refused 'log.db linked from elsewhere' 'linked from elsewhere'
ln -s "$real" "$T/symlink"
OFS_AUDIT=$T/symlink
refused 'a symbolic link' 'symbolic link'
OFS_AUDIT=/proc/nothing/audit
refused 'cannot be created' 'proc/nothing'
# an older copy of the log with the newer head: it was rolled back
copy
must ofs-sign --key "$key" --out "$T/more" "$T/docs/order-1"
cp "$real/log.db" "$T/copy/log.db"
refused 'log.db rolled back' 'audit log'
OFS_AUDIT=$real

# --- as a user who may not write
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 711 "$T"
	chmod 644 "$T/spy.log"
	# the tools and their library, where that user gets at them
	if ! "${as[@]}" ofs-sign --version >/dev/null 2>&1; then
		cp -r "$OFS_BUILD/bin" "$T/bin"
		chmod -R a+rX "$T/bin"
		PATH=$T/bin:$PATH
	fi
	mkdir -m 777 "$T/theirs"
	chown -R 65534:65534 "$T/sandbox"
	sign "$T/theirs/ok"
	status 0 'as another user: all is well'
fi
before=$(stat -c %a "$OFS_AUDIT")
rm -f "$OFS_AUDIT/log.db-journal"
chmod 500 "$OFS_AUDIT"
if [ "$(id -u)" = 0 ]; then
	refused 'read-only directory' 'audit'
	chmod 700 "$OFS_AUDIT"
	chmod 400 "$OFS_AUDIT/log.db"
	refused 'read-only log.db' 'audit'
	chmod 000 "$OFS_AUDIT/log.db"
	refused 'unreadable log.db' 'audit'
	chmod 600 "$OFS_AUDIT/log.db"
	chown -R 0:0 "$T/sandbox"
	run "${as[@]}" ofs-audit verify
	status 6 'a log of another user'
	like "$err" "cannot open audit log '.*', which is for its owner and" \
		'says so'
	chmod -R a+rX "$T/sandbox"
	chmod 700 "$OFS_AUDIT"
	chmod 600 "$OFS_AUDIT"/*
	refused "somebody else's log" 'audit'
	chmod -R u=rwX,go= "$T/sandbox"
	as=()
else
	refused 'read-only directory' 'audit'
fi
chmod "$before" "$OFS_AUDIT"
run ofs-audit verify
status 0 'and the log is as it was'

# --- writes and syncs fail from the nth call on
shimmed()
{
	export LD_PRELOAD=$iofail IOFAIL=$1 IOFAIL_LOG=$T/iofail.log
	: >"$T/iofail.log"
	sign "${@:2}"
	unset LD_PRELOAD IOFAIL IOFAIL_LOG
}

# the next run finishes: what is recorded is released, the rest is signed
goes_on()
{
	local o=$1 had

	had=$(recorded "$o" | wc -l)
	sign "$o" --resign-unknown
	[ "$rc" = 0 ] || { bad="going on: exit $rc: $err"; return; }
	[ "$(csigns)" = $((items - had)) ] ||
		bad="going on: $(csigns) C_Sign for $((items - had)) that had no record"
	[ "$(files "$o")" = $items ] || bad="going on: $(files "$o") files"
	[ "$(recorded "$o")" = "$(released "$o")" ] ||
		bad='going on: files and records differ'
	[ -z "$(stray "$o")" ] || bad="stray files: $(stray "$o")"
}

# $1 op, $2 errno, $3 n: the log's files fail; sets bad, and done at the end
audit_case()
{
	local o=$T/o.$1.$3 more

	shimmed "$1 /audit/ $3 $2" "$o" --jobs 2
	if [ ! -s "$T/iofail.log" ]; then
		all_done=1
		[ "$rc" = 0 ] || bad="nothing failed, but exit $rc"
		rm -rf "$o"
		return
	fi
	asked=$((asked + $(csigns)))
	# the very last steps may fail after everything is recorded
	[ "$rc" = 6 ] || bad="exit $rc, not 6: $err"
	[ "$3" != 1 ] || [ "$(csigns)" = 0 ] || bad="$(csigns) C_Sign"
	[ "$3" != 1 ] || [ ! -e "$o" ] || bad="there is output: $(find "$o")"
	[ -z "$(stray "$o")" ] || bad="stray files: $(stray "$o")"
	run ofs-audit verify --json
	[ "$rc" = 0 ] || bad="the log does not verify: $err$out"
	more=$(comm -23 <(released "$o") <(recorded "$o"))
	[ -z "$more" ] || bad="released without an outcome: $more"
	partial=$((partial + ($(files "$o") > 0)))
	[ -n "$bad" ] || goes_on "$o"
	rm -rf "$o"
}

# $1 op, $2 errno, $3 name
audit_fails()
{
	local n=1 k

	all_done='' asked=0 partial=0 bad=''
	for ((k = 1; k <= samples && ${#bad} == 0; k++)); do
		audit_case "$1" "$2" "$n"
		[ -z "$all_done" ] || break
		last=$n
		if [ -n "${OFS_LONG-}" ]; then
			n=$((n + 1))
		else
			n=$((2 + (k - 1) * $4 + RANDOM % $4))
		fi
	done
	[ -z "$bad" ]
	ok $? "$3: from call 1 to $last ($k tries, seed $SEED)" \
		"from call $last: $bad"
	[ "$asked" -gt 0 ]
	ok $? "$3: some came after the token had signed ($asked C_Sign, $partial times with files)"
}

# each of the files matters, from its first write and its first sync on
for spec in 'write log.db-journal' 'write log.db' 'write log.head' \
	'sync log.db-journal' 'sync log.db' 'sync log.head'; do
	shimmed "$spec 1 5" "$T/none"
	status 6 "$spec fails: exit 6"
	like "$err" 'audit log' "$spec fails: says what"
	is "$(csigns)" 0 "$spec fails: no C_Sign"
	[ ! -e "$T/none" ]
	ok $? "$spec fails: no output"
	[ -s "$T/iofail.log" ]
	ok $? "$spec fails: it did"
done
audit_fails write 28 'disk full' 30
audit_fails sync 5 'EIO on sync' 5

# --- the outputs fail: they stay in the log and are released by the next run
output_case()
{
	local o=$T/rel.$1.$3 had

	mkdir "$o"
	shimmed "$1 /rel.$1.$3 $3 $2" "$o" --jobs 2
	if [ ! -s "$T/iofail.log" ]; then
		all_done=1
		return
	fi
	hit=$((hit + 1))
	[ "$rc" = 1 ] || [ "$rc" = 5 ] || bad="exit $rc: $err"
	had=$(recorded "$o" | wc -l)
	[ "$(csigns)" = "$had" ] || bad="$(csigns) C_Sign, $had recorded"
	[ -z "$(stray "$o")" ] || bad="stray files: $(stray "$o")"
	[ -z "$(comm -23 <(released "$o") <(recorded "$o"))" ] ||
		bad='released without an outcome'
	run ofs-audit verify --json
	[ "$rc" = 0 ] || bad="the log does not verify: $err"
	grep -q '"id":"pending-output"' "$T/.out" ||
		bad='what waits for its release is not named'
	[ "$had" -lt $items ] || all_asked=$((all_asked + 1))
	[ -n "$bad" ] || goes_on "$o"
	run ofs-audit verify --json
	is_pending=$(jq -r 'select(.type == "report") | .pending_outputs' \
		<"$T/.out")
	[ "$is_pending" = 0 ] || bad="$is_pending outputs are left"
}
outputs_fail()
{
	local n=1 k

	all_done='' hit=0 all_asked=0 bad=''
	for ((k = 1; k <= samples && ${#bad} == 0; k++)); do
		output_case "$1" "$2" "$n"
		[ -z "$all_done" ] || break
		last=$n
		if [ -n "${OFS_LONG-}" ]; then
			n=$((n + 1))
		else
			n=$((2 + (k - 1) * $4 + RANDOM % $4))
		fi
	done
	[ -z "$bad" ] && [ $hit -gt 0 ]
	ok $? "$3: from output 1 to $last ($hit tries): all is pending, then released, not signed again" \
		"from call $last: $bad"
	[ "$all_asked" -lt "$hit" ]
	ok $? "$3: and the rest of the batch was not signed"
}
outputs_fail write 28 'disk full for outputs' 20
outputs_fail sync 5 'EIO on sync of outputs' 2

# what waits and cannot be released is not told one by one
IOFAIL='write .p7s 1 0' LD_PRELOAD=$iofail run ofs-sign --key "$key" \
	--recursive --out "$T/blocked" "$T/docs"
is "$rc" 137 'a batch that is killed before its first output'
waiting=$(ofs-audit verify --json | jq -r 'select(.pending_outputs) |
	.pending_outputs')
rm -rf "$T/blocked"
: >"$T/blocked"
run ofs-sign --key "$key" --out "$T/next" "$T/docs/order-1"
status 0 'the next run'
is "$(grep -c 'still waits for its release: cannot ' <<<"$err")" 3 \
	'says three times why outputs wait'
like "$err" "warning: $((waiting - 3)) more of them wait; ofs-audit verify" \
	'and counts the others'
rm "$T/blocked"
must ofs-sign --key "$key" --out "$T/last" "$T/docs/order-1"
is "$(files "$T/blocked")" "$waiting" 'they are released where that is possible'

run ofs-audit verify
status 0 'the log verifies at the end'
pin=$(cat "$T/sandbox/pin")
! grep -rqF -e "$pin" "$OFS_AUDIT"
ok $? 'no PIN in the log'
done_testing
