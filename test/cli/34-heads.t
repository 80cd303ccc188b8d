#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Heads of the log that are kept outside: what verification finds with them,
# and that it does not say more than it knows without.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=docs'
rm -rf "$OFS_AUDIT"
must ofs-audit init --origin 'station/1' --audit-key file:audit-key.pem
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=docs \
	--self-signed --cert-out cert.pem
sign() {
	mkdir "in-$1"
	for i in $(seq 5); do echo "$1 $i" >"in-$1/$i"; done
	must ofs-sign --key "$key" --format raw --out "out-$1" --recursive \
		--quiet "in-$1"
}
report() { ofs-audit verify --json "$@" | jq -c 'select(.type == "report")'; }

sign a
cp -r "$OFS_AUDIT" old
sign b
cp "$OFS_AUDIT/log.head" kept.head
ofs-audit checkpoint --sign >kept.checkpoint
must ofs-audit backup bak
n=$(report | jq .records)

# --- an intact log
run ofs-audit verify
status 0 'without a head the log verifies'
like "$(xargs -0 <<<"$out" | tr '\n' ' ')" 'UNANCHORED: no head from outside' \
	'and is said to be unanchored'
is "$(report | jq -c '[.verdict, .outside_head, .exposed_records == .records,
	.exposed_since]')" '["unanchored",false,true,null]' 'in JSON, too'
is "$(report | jq -c '.heads[] | [.kind, .outside]' | sort | tr '\n' ' ')" \
	'["checkpoint",false] ["head-file",false] ' \
	'heads of the log itself are no outside ones'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 0 "$head agrees"
	unlike "$out" 'UNANCHORED' "$head: it is not unanchored"
	like "$out" 'exposed: the last [0-9]+ records, since 2' \
		"$head: the exposure window"
done
size=$(sed -n 's/^records: //p' bak/backup.txt)
is "$(report --from-head bak/backup.txt --from-head kept.head |
	jq -c '[.verdict, .exposed_records]')" "[\"anchored\",$((n - size))]" \
	'the newest of several counts'
is "$(report --from-head kept.checkpoint | jq -c '.heads[] |
	select(.outside) | [.kind, .place]')" \
	'["checkpoint","kept.checkpoint"]' 'and is named'
run ofs-audit verify --from-head "$OFS_AUDIT/log.head"
status 2 'the head file of the log itself is none from outside'
like "$err" 'give a copy that was kept elsewhere' 'and the reason'

# --- what is no head
echo nonsense >nonsense
run ofs-audit verify --from-head nonsense
status 5 'no head at all'
run ofs-audit verify --from-head missing
status 5 'a missing file'
sed 's/^\(— [^ ]* ....\)./\1A/' kept.checkpoint >forged.checkpoint
cmp -s kept.checkpoint forged.checkpoint &&
	sed 's/^\(— [^ ]* ....\)./\1B/' kept.checkpoint >forged.checkpoint
sed "2s/.*/$((n + 1000))/" kept.checkpoint >grown.checkpoint
for forged in forged grown; do
	run ofs-audit verify --from-head $forged.checkpoint
	[ "$rc" -ne 0 ] && [ "$rc" -lt 9 ]
	ok $? "$forged.checkpoint is refused"
	unlike "$err" 'rolled back' "$forged.checkpoint does not blame the log"
done

# --- all of it replaced by an older copy, head file included
mv "$OFS_AUDIT" new
cp -rp old "$OFS_AUDIT"
run ofs-audit verify
status 0 'an older copy looks intact'
is "$(report | jq -r .verdict)" unanchored 'and is unanchored'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head finds it"
	like "$err" 'rolled back: it holds [0-9]+ records, and' \
		"$head: says so"
	like "$err" "'$head' knows of [0-9]+" "$head: and is named"
done
run ofs-audit verify --from-head kept.checkpoint --json
status 6 'in JSON, too'
is "$(jq -c 'select(.type == "report") |
	[.intact, .exit, .verdict]' <<<"$out")" '[false,6,"damaged"]' \
	'not intact'

# --- it went on from there: another history, longer than the first
for i in c d e; do sign $i; done
[ "$(report | jq .records)" -gt "$n" ]
ok $? 'the fork is longer'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head finds the fork"
	like "$err" 'rewritten: its first [0-9]+ records are not those' \
		"$head: says up to where"
done
rm -rf fork
mv "$OFS_AUDIT" fork

# --- two logs spliced: the fork with the end of the other
command -v sqlite3 >/dev/null && {
	cp -rp new "$OFS_AUDIT"
	sqlite3 "$OFS_AUDIT/log.db" "ATTACH 'fork/log.db' AS o;
		DELETE FROM record WHERE seq >= $((n - 3));
		INSERT INTO record SELECT * FROM o.record
			WHERE seq >= $((n - 3)) AND seq < $n;"
	run ofs-audit verify
	status 6 'two logs spliced are found without a head'
	rm -rf "$OFS_AUDIT"
}

# --- another log
must env OFS_AUDIT="$T/other" ofs-audit init --origin 'station/1' \
	--audit-key file:other-key.pem
OFS_AUDIT="$T/other" ofs-audit checkpoint --sign >other.checkpoint
cp -rp new "$OFS_AUDIT"
cp other/log.head other.head
for head in other.head other.checkpoint; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head is of another log of the same name"
	like "$err" 'another log' "$head: says so"
done
must env OFS_AUDIT="$T/other" ofs-audit verify
cp other/log.head "$OFS_AUDIT/log.head"
run ofs-audit verify
status 6 'the head file of another log'

# --- restoring knows checkpoints, too
rm -rf "$OFS_AUDIT"
cp -rp new "$OFS_AUDIT"
ofs-audit checkpoint --sign >newer.checkpoint
rm -rf "$OFS_AUDIT"
run ofs-audit restore bak --from-head newer.checkpoint
status 6 'a backup behind a checkpoint is not restored'
like "$err" "'newer.checkpoint' knows of" 'which is named'
run ofs-audit restore bak --from-head other.checkpoint
status 5 'a checkpoint of another log'
run ofs-audit restore bak --from-head kept.checkpoint
status 0 'a checkpoint that it covers'

done_testing
