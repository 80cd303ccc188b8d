#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGKILL at random moments of batches of 500, and of the batches that go on
# with them: no released signature without a record, nothing signed twice,
# nothing lost, and the log says what happened. In the end every document has
# one signed outcome and one file, and C_Sign was called once for each of them
# and for nothing else but what is recorded as unknown.
# Then INT and TERM: what is under way is finished and recorded, the rest waits.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/faultp11.sh"

items=500
kills=${OFS_KILLS:-6}
[ -n "${OFS_LONG-}" ] && kills=${OFS_KILLS:-200}
RANDOM=$((SEED % 32768))
echo "# seed $SEED, $kills kills of batches of $items"

sandbox_start
key='pkcs11:token=sandbox;object=crash'
# RSA: slow enough that a kill finds every stage of the pipeline
must ofs-token enroll "$key" --key-type rsa:2048 --subject /CN=crash \
	--self-signed --cert-out "$T/cert.pem"
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
csigns() { fault_calls "$T/counts" C_Sign; }
mkdir "$T/docs"
for ((i = 0; i < items; i++)); do
	echo "payment order $i" >"$T/docs/order-$i"
done

# its own process, so that $! is the tool
start()
{
	env FAULTP11_COUNTS="$T/counts" ofs-sign --key "$key" --out "$1" \
		--recursive --jobs 2 "${@:2}" \
		"$T/docs" >"$T/sign.out" 2>"$T/sign.err" </dev/null &
	pid=$!
}
sign() { start "$@" && wait $pid; }
now_us() { echo "${EPOCHREALTIME/[.,]/}"; }
wait_us() { sleep "$(($1 / 1000000)).$(printf %06d $(($1 % 1000000)))"; }
find_sigs() { find "$1" -name '*.p7s' 2>/dev/null; }

# the log from record $1 on: to $T/records; as "SHA-256  PATH" what is signed
look()
{
	ofs-audit verify --json >"$T/verify" 2>"$T/verify.err" || return
	ofs-audit list --json --from "$1" >"$T/records" &&
		jq -r 'select(.type_name == "outcome") | .body |
			select(.status == 1 and .purpose == 1) |
			"\(.output_sha256)  \(.output_path)"' <"$T/records" |
		sort >"$T/recorded"
}
reported() { jq -r "select(.type == \"report\") | .$1" <"$T/verify"; }
# of records from $2 on: earlier kills left theirs
findings() { jq -r "select(.type == \"finding\" and .id == \"$1\" and
	.seq >= $2) | .text" <"$T/verify"; }
count() { jq -s "[.[] | $1] | length" <"$T/records"; }
released() { find_sigs "$1" | xargs -r sha256sum | sort >"$T/released"; }

# what the log must say of a killed run; records from $2 on, output in $1
check_killed()
{
	local opened closed announced outcomes left named

	look "$2" || { bad="the log does not verify: $(cat "$T/verify.err")"
		return; }
	released "$1"
	[ -z "$(comm -23 "$T/released" "$T/recorded")" ] ||
		bad="released without an outcome: $(comm -23 "$T/released" \
			"$T/recorded" | head -3)"
	if [ -s "$T/released" ]; then
		(cd / && find_sigs "$1" | sed "s|^$1||; s|\.p7s\$||" |
			xargs ofs-verify --trust "$T/cert.pem" --sig "$1" \
				--quiet) >"$T/v.out" 2>&1 ||
			bad="not valid: $(tail -3 "$T/v.out")"
	fi
	# what waits is exactly what is recorded and not there
	comm -13 "$T/released" "$T/recorded" >"$T/waiting"
	[ "$(reported pending_outputs)" -ge "$(wc -l <"$T/waiting")" ] ||
		bad="$(wc -l <"$T/waiting") files are missing, $(reported \
			pending_outputs) are pending"
	opened=$(count 'select(.type_name == "batch-opened")')
	closed=$(count 'select(.type_name == "batch-closed")')
	[ "$opened" -gt "$closed" ] || return
	unfinished=$((unfinished + 1))
	[ "$(findings unclosed-batch "$2" | wc -l)" = 1 ] ||
		bad='the unfinished batch is not named'
	announced=$(count 'select(.type_name == "intent") | .body.items[]')
	outcomes=$(count 'select(.type_name == "outcome" and
		.body.intent_seq > 0)')
	left=$((announced - outcomes))
	unknown=$((unknown + left))
	waiting=$((waiting + $(wc -l <"$T/waiting")))
	[ "$(reported unknown)" = $((unknown - unknown_before)) ] ||
		bad="$((unknown - unknown_before)) items are unknown, $(reported \
			unknown) reported"
	# by name: the documents of intents that have no outcome
	jq -rs '([.[] | select(.type_name == "outcome") |
			"\(.body.intent_seq) \(.body.index)"]) as $done |
		.[] | select(.type_name == "intent") | .seq as $s |
		.body.items[] | select("\($s) \(.index)" | IN($done[]) | not) |
		.path' <"$T/records" | sort >"$T/left"
	findings unknown-item "$2" | grep -o "'[^']*docs/order-[0-9]*'" |
		tr -d \' | sort >"$T/named"
	named=$(comm -23 "$T/left" "$T/named")
	[ "$(wc -l <"$T/left")" = $left ] && [ -z "$named" ] ||
		bad="unknown and not named: $(head -3 <<<"$named")"
}

# goes on after a killed run: records from $2 on, output in $1; $3 calls of
# C_Sign before it
check_going_on()
{
	local had twice lost rc=0 left beyond

	had=$(wc -l <"$T/recorded")
	left=$(ofs-sign --list-unfinished --json | jq -r .unknown)
	sign "$1" || rc=$?
	[ $rc -eq $((${left:-0} > 0)) ] || {
		bad="going on: exit $rc, ${left:-0} unknown: $(tail -3 \
			"$T/sign.err")"
		return
	}
	look "$2" || { bad="after going on: $(cat "$T/verify.err")"; return; }
	[ "$(find_sigs "$1" | wc -l)" = $((items - ${left:-0})) ] ||
		bad="going on: $(find_sigs "$1" | wc -l) files, ${left:-0} unknown"
	sign "$1" --resign-unknown || {
		bad="signing the unknown ones failed: $(tail -3 "$T/sign.err")"
		return
	}
	look "$2" || { bad="in the end: $(cat "$T/verify.err")"; return; }
	[ "$(find_sigs "$1" | wc -l)" = $items ] ||
		bad='not every document has its signature'
	released "$1"
	# the same set, byte for byte: so what was recorded before the kill was
	# released, and not signed once more
	cmp -s "$T/released" "$T/recorded" ||
		bad="files and records differ: $(diff "$T/released" \
			"$T/recorded" | head -3)"
	twice=$(sed 's/^[^ ]*  //' "$T/recorded" | uniq -d | wc -l)
	[ "$twice" = 0 ] || bad="$twice documents have two signatures on record"
	[ "$(wc -l <"$T/recorded")" = $items ] ||
		bad="$(wc -l <"$T/recorded") signed outcomes"
	beyond=$(($(csigns) - $3 - items))
	lost=$(jq -s '[.[] | select(.type_name == "recovery") | .body.unknown] |
		add // 0' <"$T/records")
	[ $beyond -ge 0 ] && [ $beyond -le "$lost" ] ||
		bad="$beyond C_Sign too many, and $lost items were unknown"
	again=$((again + beyond))
	lost=$(reported pending_outputs)
	[ "$lost" = 0 ] || bad="$lost outputs still wait"
	[ "$(reported unclosed_batches)" = 0 ] || bad='a batch is not closed'
	[ -z "$(ofs-sign --list-unfinished --json)" ] ||
		bad='the list is not finished'
	[ -z "$(find "$1" -type f ! -name '*.p7s')" ] ||
		bad="left over: $(find "$1" -type f ! -name '*.p7s' | head -3)"
	[ "$had" -le $items ] || bad="$had of $items recorded"
	(cd / && ofs-verify --quiet --trust "$T/cert.pem" --sig "$1" \
		--recursive "$T/docs") >"$T/v.out" 2>&1 ||
		bad="after going on: $(tail -3 "$T/v.out")"
}

# SoftHSM writes its token anew at each login, and not atomically: a kill then
# can cost it the token, which no real one would lose
cp -a "$T/sandbox/tokens" "$T/tokens"
mend_token()
{
	ofs-token list --json | grep -q '"label":"sandbox"' && return
	rm -rf "$T/sandbox/tokens"
	cp -a "$T/tokens" "$T/sandbox/tokens"
	mended=$((mended + 1))
}
mended=0

began=$(now_us)
start "$T/whole" && wait $pid
ok $? 'a whole batch'
took=$(($(now_us) - began))
echo "# it takes $((took / 1000)) ms"

# kills it after $1 us
cut_off()
{
	wait_us "$1"
	kill -KILL $pid 2>/dev/null
	wait $pid 2>/dev/null
	mend_token
}

bad='' unfinished=0 unknown=0 waiting=0 stray=0 before=0 again=0
for ((k = 1; k <= kills && ${#bad} == 0; k++)); do
	dir=$T/out$k
	if ((k % 10 == 1)); then
		# a new log now and then: each kill is checked from its start
		export OFS_AUDIT=$T/log$k
		must ofs-audit init
		unknown_before=$unknown
	fi
	look 0
	first=$(reported records)
	us=$(((RANDOM * 32768 + RANDOM) % took))
	asked=$(csigns)
	start "$dir"
	cut_off $us
	check_killed "$dir" "$first"
	before=$((before + $(wc -l <"$T/released")))
	stray=$((stray + $(find "$dir" -name '.*.tmp' 2>/dev/null | wc -l)))
	# what goes on is killed, too, now and then
	if [ -z "$bad" ] && ((RANDOM % 2)); then
		start "$dir" --resign-unknown
		cut_off $(((RANDOM * 32768 + RANDOM) % took))
		look "$first" || bad="killed again: $(cat "$T/verify.err")"
	fi
	[ -n "$bad" ] || check_going_on "$dir" "$first" "$asked"
	# those of what was killed again are in the log as well
	[ -n "$bad" ] || unknown_before=$((unknown - $(reported unknown)))
	[ -z "$bad" ] || bad="kill $k, after $us us: $bad"
	[ -n "$bad" ] || rm -rf "$dir"
done
[ -z "$bad" ]
ok $? "$((k - 1)) kills: released is recorded and valid, nothing twice or lost" \
	"$bad"
echo "# $unfinished kills hit a running batch; $before signatures were out," \
	"$waiting waited, $unknown were unknown, $again signed again," \
	"$stray temporary files"
[ $unfinished -gt 0 ]
ok $? 'some of them hit a running batch'

# --- asked to end
for signal in TERM INT; do
	dir=$T/out-$signal
	look 0
	first=$(reported records)
	asked=$(csigns)
	# a shell makes children in the background deaf to INT
	env --default-signal=INT FAULTP11_COUNTS="$T/counts" ofs-sign --key "$key" --out "$dir" \
		--recursive --jobs 1 "$T/docs" >"$T/.out" 2>"$T/.err" &
	pid=$!
	for ((i = 0; i < 2000; i++)); do
		[ -z "$(find_sigs "$dir" | head -1)" ] || break
		sleep 0.005
	done
	kill -$signal $pid
	wait $pid
	rc=$? out=$(cat "$T/.out") err=$(cat "$T/.err")
	status 7 "$signal: exit 7"
	like "$out$err" 'run the same command again' \
		"$signal: says how to go on"
	look "$first"
	ok $? "$signal: the log verifies" "$(cat "$T/verify.err")"
	released "$dir"
	n=$(wc -l <"$T/released")
	cmp -s "$T/released" "$T/recorded"
	ok $? "$signal: what was under way is finished, recorded and released ($n)" \
		"$(diff "$T/released" "$T/recorded" | head -5)"
	[ "$n" -gt 0 ] && [ "$n" -lt $items ]
	ok $? "$signal: it came in the middle"
	is "$(count 'select(.type_name == "intent") | .body.items[]')" \
		"$(count 'select(.type_name == "outcome")')" \
		"$signal: nothing is unknown"
	is "$(count 'select(.type_name == "batch-closed")')" 1 \
		"$signal: the batch is closed"
	like "$out" "^$n of $items signed" "$signal: the summary counts"
	is "$(find "$dir" -type f ! -name '*.p7s')" '' \
		"$signal: no temporary files"
	bad=
	check_going_on "$dir" "$first" "$asked"
	[ -z "$bad" ]
	ok $? "$signal: and it goes on" "$bad"
done
done_testing
