#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# SIGKILL at random moments of batches of 500: no released signature without a
# record, nothing signed twice, nothing lost, and the log says what happened.
. "$(dirname "$0")/../lib/tap.sh"

items=500
kills=${OFS_KILLS:-8}
[ -n "${OFS_LONG:-}" ] && kills=${OFS_KILLS:-200}
RANDOM=$((SEED % 32768))
echo "# seed $SEED, $kills kills of batches of $items"

sandbox_start
key='pkcs11:token=sandbox;object=crash'
must ofs-token enroll "$key" --key-type rsa:2048 --subject /CN=crash \
	--self-signed --cert-out "$T/cert.pem"
mkdir "$T/docs"
for ((i = 0; i < items; i++)); do
	echo "payment order $i" >"$T/docs/order-$i"
done

sign()
{
	ofs-sign --key "$key" --out "$1" --recursive --jobs 2 "${@:2}" \
		"$T/docs" >"$T/sign.out" 2>"$T/sign.err"
}
now_us() { echo $((${EPOCHREALTIME/./})); }

# the records of the log from number $1 on, as JSON lines
records() { ofs-audit list --json --from "$1"; }
size() { ofs-audit verify --json 2>/dev/null |
	jq -r 'select(.type == "report") | .records'; }

start=$(now_us)
must sign "$T/whole"
took=$(($(now_us) - start))
echo "# a whole batch takes $((took / 1000)) ms"

bad=
unfinished=0 unknown=0 released_total=0
for ((k = 1; k <= kills && ${#bad} == 0; k++)); do
	out=$T/out$k
	first=$(size)
	sign "$out" &
	pid=$!
	us=$(((RANDOM * 32768 + RANDOM) % (took * 11 / 10)))
	sleep "$((us / 1000000)).$(printf %06d $((us % 1000000)))"
	# the shell function runs in a subshell: kill the tool itself
	pkill -KILL -P "$pid" ofs-sign 2>/dev/null || kill -KILL "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null

	find "$out" -name '*.p7s' 2>/dev/null | sort >"$T/released"
	released=$(wc -l <"$T/released")
	released_total=$((released_total + released))

	ofs-audit verify --json >"$T/verify" 2>"$T/verify.err" ||
		bad="kill $k: the log does not verify: $(cat "$T/verify.err")"
	records "$first" >"$T/records"
	jq -r 'select(.type_name == "outcome" and .body.status == 1)
		| .body.output_path' "$T/records" | sort >"$T/recorded"
	missing=$(comm -23 "$T/released" "$T/recorded" | wc -l)
	[ "$missing" = 0 ] ||
		bad="kill $k: $missing released signatures have no outcome"
	if [ "$released" -gt 0 ]; then
		sed "s|^$out||; s|\.p7s\$||" "$T/released" |
			xargs ofs-verify --trust "$T/cert.pem" --sig "$out" \
				--quiet >"$T/v.out" 2>&1 ||
			bad="kill $k: a released signature is not valid: $(tail -3 "$T/v.out")"
	fi
	opened=$(jq -s 'map(select(.type_name == "batch-opened")) | length' "$T/records")
	closed=$(jq -s 'map(select(.type_name == "batch-closed")) | length' "$T/records")
	if [ "$opened" -gt "$closed" ]; then
		unfinished=$((unfinished + 1))
		grep -q '"unclosed-batch"' "$T/verify" ||
			bad="kill $k: the unfinished batch is not named"
		open_items=$(jq -s '[.[] | select(.type_name == "intent")
			| .body.items | length] | add // 0' "$T/records")
		outcomes=$(jq -s 'map(select(.type_name == "outcome")) | length' "$T/records")
		left=$((open_items - outcomes))
		unknown=$((unknown + left))
		if [ "$left" -gt 0 ]; then
			named=$(grep -c '"unknown-item"' "$T/verify")
			[ "$named" -ge "$left" ] ||
				bad="kill $k: $left items are unknown, $named are named"
		fi
	fi

	sign "$out" --skip-existing ||
		bad="kill $k: going on failed: $(tail -3 "$T/sign.err")"
	[ "$(find "$out" -name '*.p7s' | wc -l)" = $items ] ||
		bad="kill $k: not every document has its signature"
	[ -z "$(find "$out" -name '.*.tmp' | head -1)" ] ||
		echo "# kill $k left a temporary file"
	twice=$(records "$first" | jq -r 'select(.type_name == "outcome" and
		.body.status == 1) | .body.output_path' | sort | uniq -d | wc -l)
	[ "$twice" = 0 ] || bad="kill $k: $twice documents were signed twice"
	ofs-verify --quiet --trust "$T/cert.pem" --sig "$out" --recursive \
		"$T/docs" >"$T/v.out" 2>&1 ||
		bad="kill $k: after going on: $(tail -3 "$T/v.out")"
	rm -rf "$out"
done

[ -z "$bad" ]
ok $? "$kills kills: released is recorded and valid, nothing twice or lost" "$bad"
[ $unfinished -gt 0 ]
ok $? "some kills hit a running batch ($unfinished did, $unknown items unknown, $released_total released before)"
done_testing
