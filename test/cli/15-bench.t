#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ofs-token bench: the table, the record, and what a kill in the middle leaves.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=test'
must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --login \
	--pin "$(cat "${OFS_PIN_SOURCE#file:}")" --keypairgen \
	--key-type EC:prime256v1 --label test --id 77 --sensitive --usage-sign
export OFS_AUDIT=$T/plain
must ofs-audit init --plain
must ofs-token enroll 'pkcs11:token=sandbox;object=batch' --key-type ec:P-256
format()
{
	sqlite3 "$OFS_AUDIT/log.db" 'PRAGMA user_version'
}
is "$(format)" 1 'the log has the first format before'

run ofs-token bench "$key" --seconds 1 --jobs 1,2
status 0 'bench'
like "$out" '^ +sessions +signatures +per second$' 'prints a table'
like "$out" '^ +1 +[0-9]+ +[0-9]+\.[0-9]$' 'with a line for one session'
like "$out" '^ +2 +[0-9]+ +[0-9]+\.[0-9]$' 'and one for two'
like "$out" '^  P-256, best with --jobs [12]: [0-9.]+ a second$' 'and the best'
is "$(awk 'length($0) > 80' <<<"$out")" '' '80 columns'
count=$(sed -n 's/^  \([0-9]*\) test signatures.*/\1/p' <<<"$out")
run ofs-audit list --json --type outcome
is "$(tail -1 <<<"$out" |
	jq -r '.body | [.purpose, .status, .attempts] | join(" ")')" \
	"5 1 $count" 'one record has the count'
is "$(format)" 2 'the log has the second format now'

run ofs-token bench "$key" --seconds 1 --jobs 2 --json
status 0 '--json'
is "$(jq -r .type <<<"$out" | xargs)" 'level bench' 'its objects'
is "$(jq -r 'select(.type == "bench") |
	[.label, .key_type, .best_jobs, .sessions, .signatures >= .verified] |
	map(tostring) | join(" ")' <<<"$out")" 'test P-256 2 null true' 'and what is in them'
is "$(jq -s '.[0].signatures + 1 == .[1].signatures' <<<"$out")" true \
	'the first signature is counted, too'

run ofs-token bench 'pkcs11:token=sandbox;object=batch' --seconds 1 --jobs 1
status 3 'an enrolled key is refused'
like "$err" 'it is enrolled for documents \(record [0-9]+\)' 'with the record'
like "$err" '--use-enrolled allows' 'and what allows it'
run ofs-token bench 'pkcs11:token=sandbox;object=batch' "$key" --seconds 1 \
	--jobs 1 --use-enrolled
status 0 '--use-enrolled, and two keys'
is "$(grep -c 'best with' <<<"$out")" 2 'two tables'
run ofs-token bench 'pkcs11:token=sandbox;object=nosuch' --jobs 1
status 3 'no such key'

# a kill in the middle: what the token signed is not denied
run ofs-audit verify --json
before=$(jq -r 'select(.type == "report") | .intents' <<<"$out")
ofs-token bench "$key" --seconds 60 --jobs 1 >/dev/null 2>&1 &
pid=$!
for _ in $(seq 500); do
	n=$(ofs-audit verify --json | jq -r 'select(.type == "report") | .intents')
	[ "$n" != "$before" ] && break
	sleep 0.02
done
kill -KILL "$pid"
wait "$pid" 2>/dev/null
run ofs-audit verify
status 0 'killed: the log is intact'
like "$(xargs <<<"$out")" 'outcome of bench ofs-bench-v1 is unknown' \
	'and says that the outcome is unknown'
done_testing
