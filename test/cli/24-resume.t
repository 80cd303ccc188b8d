#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A list that was begun: found again, shown, gone on with, and finished.
. "$(dirname "$0")/../lib/tap.sh"
FAULT=$OFS_BUILD/test/faultp11.so
. "$OFS_TOP/test/lib/faultp11.sh"

sandbox_start
export OFS_AUDIT=$T/log
key='pkcs11:token=sandbox;object=resume'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=resume \
	--self-signed --cert-out "$T/cert.pem"
# a module that counts, and dies when it is told to
export FAULTP11_COUNTS=$T/counts
items=700
mkdir "$T/docs"
for ((i = 0; i < items; i++)); do
	echo "payment order $i" >"$T/docs/order-$i"
done
cd "$T" || exit 1
sign() { OFS_MODULE=$FAULT run ofs-sign --key "$key" --recursive "$@"; }
csigns() { fault_calls "$T/counts" C_Sign; }
field() { jq -r "select(.type == \"$1\") | .$2" <<<"$out"; }

run ofs-sign --list-unfinished
status 0 'nothing is unfinished'
like "$err" 'every list that was begun is finished' 'and it says so'

# killed while the token signs
FAULTP11_SCRIPT='C_Sign 150 kill' sign --out out docs
is "$rc" 137 'killed in the middle'
asked=$(csigns)
run ofs-sign --list-unfinished --json
status 0 '--list-unfinished --json'
is "$(field batch state)" cut-off 'it was cut off'
is "$(field batch items)" $items 'with its items'
is "$(field batch key)" resume 'and its key'
id=$(field batch batch)
like "$id" '^[0-9a-f]{32}$' 'and its id'
run ofs-sign --status "${id:0:7}"
status 0 '--status'
like "$out" 'state +cut-off' 'says so, too'

run ofs-sign --status "$id" --json
first=$(field batch signed)
unknown=$(field batch unknown)
echo "# $first signed, $unknown unknown"
[ "$unknown" -gt 0 ]
ok $? 'some are unknown'
lost=$((asked - first))
[ "$lost" -gt 0 ] && [ "$lost" -le "$unknown" ]
ok $? 'what was lost is among them'

# only the very same list
sign --out out --resume "$id" docs/order-1
status 5 'another list is refused'
like "$err" "the list differs from that of batch '$id': $items items then, 1 now" \
	'with the reason'
sign --out out --resume ffffffffffff docs
status 5 'a batch that is not there is refused'
none="there is no batch 'ffffffffffff' in the audit log; .*--list-unfinished"
like "$err" "$none" 'and what to do is said'
run ofs-sign --status ffffffffffff
status 5 '--status of it'
like "$err" "$none" 'says the same'
sign --out out --resume abc docs
status 2 'so are three digits'
short="'abc' is no id of a batch; give 4 to 32 hexadecimal digits"
like "$err" "$short" 'with the reason'
is "$(csigns)" "$asked" 'the token was not asked'

sign --out out --dry-run --json docs
status 1 'a dry run'
is "$(field item status | sort | uniq -c | xargs)" \
	"$((items - first - unknown)) ready $first skipped $unknown unknown" \
	'shows what would be done'

sign --out out docs
status 1 'the same command again: some are unknown'
like "$out$err" "going on with batch $id|it went on with batch $id" \
	'says what it goes on with'
like "$out" "$((items - first - unknown)) of $items signed, $first skipped, $unknown UNKNOWN" \
	'and signs what is left'
like "$out" '--resign-unknown signs it again' 'and says what to do'
is "$(csigns)" $((asked + items - first - unknown)) 'nothing was signed twice'
run ofs-audit verify --json
status 0 'the log verifies'
unlike "$out" 'unclosed-batch' 'and the batch that was cut off is closed'
run ofs-sign --list-unfinished
like "$out" "interrupted" 'the list is not finished'
new=$(awk 'NR == 2 { print $1 }' <<<"$out")
isnt "$new" "$id" 'and shown by its newest batch'

sign --out out --resign-unknown --resume "${id:0:8}" --json docs
status 0 '--resign-unknown finishes it'
is "$(field summary signed)" "$unknown" 'by signing these'
is "$(field summary resumes)" "$id" 'of the first batch of the list'
is "$(csigns)" $((items + lost)) 'C_Sign beyond the items: what was lost'
run ofs-verify --quiet --trust cert.pem --sig out --recursive docs
status 0 'all are valid'
run ofs-sign --list-unfinished --json
is "$out" '' 'nothing is left'
run ofs-sign --status "$id" --json
is "$(field batch state)" interrupted 'the first batch did not finish'
run ofs-sign --status "$(ofs-audit list --type batch-closed --json |
	jq -r .batch | tail -1)" --json
is "$(field batch state)" finished 'the last one did'
is "$(field batch signed)" $items 'all of the list'

# the same again: all of it stands
sign --out out docs
status 0 'once more'
like "$out" "0 of $items signed, $items skipped" 'is skipped'
sign --out out --on-duplicate refuse docs
status 1 '--on-duplicate refuse'
like "$out" 'is signed already' 'says why'

# --- an output whose place is taken
mkdir two
for i in 1 2 3; do echo "$i" >"two/doc-$i"; done
before=$(csigns)
FAULTP11_SCRIPT='latency 500ms' OFS_MODULE=$FAULT \
	ofs-sign --key "$key" --out out2 --recursive --jobs 1 two \
	>"$T/.out" 2>"$T/.err" </dev/null &
pid=$!
sleep 0.7
mkdir -p out2/two
echo 'in the way' >out2/two/doc-2.p7s
wait $pid
rc=$? out=$(cat "$T/.out") err=$(cat "$T/.err")
status 1 'a place that was taken meanwhile'
like "$out" 'signed and recorded, but not released' 'is said'
run ofs-audit verify --json
seq=$(jq -r 'select(.id == "pending-output") | .seq' <<<"$out")
like "$seq" '^[0-9]+$' 'the output waits'
run ofs-sign --discard-pending 1
status 5 'no output waits there'
like "$err" 'ofs-audit verify names those that wait' 'and where to look is said'
run ofs-sign --discard-pending "$seq"
status 0 '--discard-pending'
run ofs-audit show "$seq"
run ofs-audit list --type release --json
like "$out" 'discarded: given up by the operator' 'is recorded'
run ofs-audit verify
status 0 'and the log verifies'
unlike "$out" 'not yet released' 'nothing waits any more'
sign --out out3 --resume "$(ofs-sign --list-unfinished --json |
	jq -r .batch)" two
status 0 'elsewhere it is made again from the record'
is "$(csigns)" $((before + 3)) 'and nothing was signed for it'
run ofs-verify --quiet --trust cert.pem --sig out3 --recursive two
status 0 'and valid'
run ofs-audit verify
status 0 'and the log verifies again'

# --- a list that is given up
mkdir four
for i in 1 2 3 4; do echo "$i" >"four/doc-$i"; done
FAULTP11_SCRIPT='C_Sign 3 kill' OFS_MODULE=$FAULT \
	ofs-sign --key "$key" --out out4 --recursive --jobs 1 four \
	>/dev/null 2>&1 </dev/null
id=$(ofs-sign --list-unfinished --json | jq -r .batch)
run ofs-sign --abandon "$id" --status "$id"
status 2 '--abandon is alone'
run ofs-sign --abandon abc
status 2 'too few digits'
like "$err" "$short" 'says so'
run ofs-sign --abandon ffffffffffff
status 5 'of no batch'
like "$err" "$none" 'says so'
cp -a "$OFS_AUDIT" before-abandon
sign --out out4 four
status 1 'gone on with: all is unknown'
resumed=$(ofs-audit list --type batch-opened --limit 1 --reverse --json |
	jq -r .batch)
upper=${id:0:8}
run ofs-sign --abandon "${upper^^}"
status 0 '--abandon'
like "$err" "the list of batch $id is given up, 0 of it signed.*unknown" \
	'says what that means'
run ofs-sign --abandon "$id"
status 5 'once'
ended="nothing of batch '$id' is left to go on with: .*--status"
like "$err" "$ended" 'and why is said'
run ofs-sign --list-unfinished --json
is "$out" '' 'it is not unfinished any more'
run ofs-sign --status "$id" --json
is "$(field batch state)" abandoned 'but still known'
run ofs-sign --status "$id"
like "$out" '^state +abandoned$' 'in the text, too'
run ofs-sign --status "$resumed" --json
is "$(field batch state)" abandoned 'as is the one that had gone on with it'
sign --out out4 --resume "$id" four
status 5 '--resume of it'
like "$err" "$ended" 'says why'
run ofs-audit list --type log-event --json
like "$out" '"abandon"' 'it is recorded'
like "$out" 'given up by the operator' 'with the reason'
run ofs-audit verify
status 0 'the log verifies'
before=$(csigns)
sign --out out4 --json four
status 0 'begun again, it is new'
is "$(csigns)" $((before + 4)) 'and signed whole'
cp -a "$OFS_AUDIT" undone
sqlite3 undone/log.db "ATTACH 'before-abandon/log.db' AS b;
	INSERT INTO main.batch SELECT * FROM b.batch WHERE closed_seq = 0"
run ofs-audit verify --audit undone
status 6 'a row that comes back without a record'
done_testing
