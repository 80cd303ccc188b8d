#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Keeping the record of operations: finding records in it, backing it up,
# restoring it, erasing what a record says, comparing it with files,
# exporting it.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
key='pkcs11:token=sandbox;object=batch'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed --cert-out "$T/cert.pem"
mkdir "$T/docs"
for i in 1 2 3; do
	echo "payment order $i" >"$T/docs/order-$i"
done
must ofs-sign --key "$key" --recursive --out "$T/out" "$T/docs"

# --- list
seqs() { ofs-audit list --json "$@" | jq -r .seq | tr '\n' ' '; }
types() { ofs-audit list --json "$@" | jq -r .type_name | uniq | tr '\n' ' '; }
today=$(date -u +%F)
sum=$(sha256sum <"$T/docs/order-2" | cut -d' ' -f1)
is "$(types --digest "$sum")" 'intent outcome ' 'a digest finds its records'
is "$(ofs-audit list --json --digest "$sum" --type outcome |
	jq -r .body.document.name)" order-2 'and no others'
is "$(types --document order-2)" 'intent outcome ' 'so does a name'
is "$(seqs --result signed --key batch | wc -w)" 5 \
	'by result and key: the enrolment made two'
is "$(seqs --result failed)" '' 'nothing has failed'
spki=$(openssl x509 -in "$T/cert.pem" -noout -pubkey |
	openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
is "$(seqs --key "$spki" --type outcome --result signed | wc -w)" 5 \
	'by the hash of the key'
is "$(seqs --operator "$(id -un)" --type batch-closed | wc -w)" 1 \
	'who closed the batch'
is "$(seqs --operator nobody-of-that-name)" '' 'somebody else did nothing'
is "$(seqs --token sandbox --type login | wc -w)" \
	"$(seqs --type login | wc -w)" 'by token'
all=$(seqs)
is "$(seqs --until 2020-01-01)" '' 'before'
is "$(seqs --since 2020-01-01)" "$all" 'since a day'
is "$(seqs --since 2020-01-01T00:00:00+02:00 --until 9999-01-01)" "$all" \
	'in a span'
last=$(ofs-audit list --reverse --limit 1 | awk '{print $2}')
is "$(seqs --until "$last")" "$all" 'what was listed is included'
is "$(seqs --until "${last%Z}")" "$(seqs --until "$last")" 'times are UTC'
is "$(seqs --reverse | wc -w)" "$(wc -w <<<"$all")" 'the newest first'
is "$(seqs --to 0)" '0 ' 'the genesis alone'
for bad in '--since yesterday' '--until 2026-13-01' '--digest xy' \
	'--batch xyz' '--result maybe' '--limit 0' '--since 2026-11-21Z'; do
	# shellcheck disable=SC2086
	run ofs-audit list $bad
	status 2 "list $bad: exit 2"
done

# --- backup
run ofs-audit backup "$T/backup"
status 0 'backup'
like "$out" 'backed up [0-9]+ records, verified' 'says how many'
root=$(sed -n 's/^root //p' <<<"$out")
run ofs-audit verify --audit "$T/backup" --json
status 0 'it verifies by itself'
is "$(jq -r .root <<<"$out")" "$root" 'with the root that was printed'
is "$(sed -n 's/^root: //p' "$T/backup/backup.txt")" "$root" 'and written down'
(cd "$T/backup" && sed -n 's/^\(log[a-z.]*\) sha256: \(.*\)/\2  \1/p' backup.txt |
	sha256sum --quiet -c -)
ok $? 'sha256sum agrees with the manifest'
is "$(seqs --type log-event | wc -w)" 1 'the log knows of it'
run ofs-audit verify
status 0 'the log is intact'
run ofs-sign --key "$key" --audit "$T/backup" --out "$T/none" "$T/docs/order-1"
status 6 'nothing is signed into a backup'
is "$(grep -c 'it is a backup' <<<"$err")" 1 'says so, once'
run ofs-audit backup "$T/backup"
status 5 'a second one of that name'
run ofs-audit backup "$T/nowhere/backup"
status 5 'no such place'
run ofs-audit backup
status 2 'no name'
run ofs-audit backup --json "$T/second"
is "$(jq -r '"\(.type) \(.records + 0 == .seq)"' <<<"$out")" 'backup true' \
	'as JSON'

# while 5,000 documents are being signed
seq 5000 | (mkdir "$T/many" && cd "$T/many" && split -l 1 -a 4 - doc-)
ofs-sign --key "$key" --recursive --out "$T/signed" "$T/many" >"$T/sign.log" \
	2>&1 &
signer=$!
n=0
while kill -0 $signer 2>/dev/null && [ $n -lt 6 ]; do
	n=$((n + 1))
	ofs-audit backup "$T/live-$n" >"$T/live.log" 2>&1 ||
		ok 1 "backup $n of the log in use" "$(cat "$T/live.log")"
done
wait $signer
ok $? '5,000 are signed meanwhile' "$(tail -3 "$T/sign.log")"
for ((i = 1; i <= n; i++)); do
	run ofs-audit verify --audit "$T/live-$i"
	status 0 "backup $i verifies"
done
[ "$(sed -n 's/^records: //p' "$T/live-1/backup.txt")" -lt 5000 ]
ok $? 'the first was made in the middle'
is "$(seqs --type outcome --result signed --since "$today" | wc -w)" 5005 \
	'every signature is recorded'
run ofs-audit verify
status 0 'and the log is intact'

# --- restore
old=$OFS_AUDIT
run ofs-audit restore "$T/live-1"
status 6 'a backup that is behind is refused'
like "$err" 'is behind: it holds [0-9]+ records, and .* knows of [0-9]+' 'why'
run ofs-audit restore "$T/live-1" --reason none --statement
status 0 'the statement can be had'
printf '%s\n' "$out" >"$T/gap.txt"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=auditor -days 2 \
	-keyout "$T/auditor.key" -out "$T/auditor.pem" 2>/dev/null
cms() { openssl cms -sign -in "$1" -nodetach -binary -outform PEM \
	-signer "$T/auditor.pem" -inkey "$T/auditor.key" -out "$2"; }
cms "$T/gap.txt" "$T/gap.pem"
run ofs-audit restore "$T/live-1" --accept "$T/gap.pem"
status 1 'nobody can accept it: the log names no auditor'
like "$err" "cannot use --accept '$T/gap.pem': .*has no auditors" 'says so'
run ofs-audit restore "$T/docs"
status 5 'a directory that is no backup'
like "$err" "'$T/docs' is no backup that ofs-audit backup has finished" 'is named'
run ofs-audit restore "$T/live-1" --audit "$T/anew" --json
status 0 'to another place, where nothing more is known'
is "$(jq .missing <<<"$out")" 0 'nothing is missing'
run ofs-audit verify --audit "$T/anew"
status 0 'it verifies'
run ofs-audit restore "$T/live-1" --audit "$T/anew2" --from-head "$old/log.head"
status 6 'a head that was kept elsewhere'
run ofs-audit restore "$T/live-1" --audit "$T/anew2" \
	--from-head "$T/live-$n/backup.txt"
[ "$n" -eq 1 ] || status 6 'a newer backup says so, too'

# a log with an auditor, and outputs that wait in the backup
export OFS_AUDIT=$T/audited
run ofs-audit init --auditor "$T/gap.txt"
status 5 'what is no certificate'
like "$err" "file 1 of those of auditors' certificates" 'says which'
must ofs-audit init --auditor "$T/auditor.pem"
must ofs-sign --key "$key" --out "$T/one" "$T/docs/order-1"
must ofs-audit backup "$T/early"
must ofs-sign --key "$key" --out "$T/one" "$T/docs/order-2"
must ofs-audit restore "$T/early" --reason 'the disk failed' --statement
printf '%s\n' "$out" >"$T/gap.txt"
cms "$T/gap.txt" "$T/gap.pem"
run ofs-audit restore "$T/early" --accept "$T/gap.txt"
status 5 'what nobody has signed'
like "$err" "cannot use --accept '$T/gap.txt': .*no CMS file, PEM or DER\$" 'is named'
run ofs-audit restore "$T/early" --accept "$T/gap.pem"
status 0 'with what the auditor signed'
like "$out" 'records are lost, accepted by CN=auditor' 'says what is lost'
moved=$(sed -n 's/^what was there is now //p' <<<"$out")
run ofs-audit verify --audit "$moved"
status 0 'the old log is kept'
must ofs-sign --key "$key" --out "$T/one" "$T/docs/order-3"
run ofs-audit verify
status 0 'the restored log is intact'
like "$out" 'forced-restore at record' 'and says so'
like "$out" 'the disk failed' 'with the reason'
is "$(ofs-audit verify --json | jq -r 'select(.type == "report").lost_records')" \
	"$(sed -n 's/^known records: //p' "$T/gap.txt" |
		awk -v r="$(sed -n 's/^records: //p' "$T/gap.txt")" \
		'{ print $1 - r }')" 'how many are lost'
run ofs-audit restore "$T/early" --accept "$T/gap.pem"
status 5 'it is good for that gap only'
like "$err" 'has accepted that the log goes back from' 'says so'
for bad in '' "$T/early --statement" "$T/early --statement --json --reason x"; do
	# shellcheck disable=SC2086
	run ofs-audit restore $bad
	status 2 "restore $bad: exit 2"
done

# --- erase
seq=$(ofs-audit list --type outcome --document order-1 --json | jq .seq)
must ofs-audit erase "$seq" --reason 'asked for' --statement
printf '%s\n' "$out" >"$T/erase.txt"
cms "$T/erase.txt" "$T/erase.pem"
other=$(ofs-audit list --type outcome --document order-3 --json | jq .seq)
run ofs-audit erase "$other" --accept "$T/erase.pem"
status 5 'it is good for that record only'
like "$err" "cannot use --accept '$T/erase.pem': " 'and is named'
run ofs-audit erase "$seq" --accept "$T/gap.pem"
status 5 'and nothing else is good for it'
like "$err" "'$T/gap.pem': .*no statement of kind 'erase'" 'which is said'
run ofs-audit erase "$seq" --accept "$T/erase.pem" --json
status 0 'erase'
is "$(jq -r '"\(.type) \(.seq)"' <<<"$out")" "erased $seq" 'as JSON'
like "$(ofs-audit list --from "$seq" --to "$seq")" 'outcome +\(erased\)' 'list'
is "$(ofs-audit list --from "$seq" --to "$seq" --json | jq -c '[.erased, .body]')" \
	'[true,{}]' 'list --json'
like "$(ofs-audit show "$seq")" 'bytes, erased' 'show'
run ofs-audit verify
status 0 'the log is intact'
like "$out" '^erased +1 bodies' 'and says that something is missing'
run ofs-sign --key "$key" --out "$T/one" --force "$T/docs/order-1"
status 0 'signing goes on'
run ofs-audit erase "$seq" --accept "$T/erase.pem"
status 2 'a record is erased once'
run ofs-audit erase 99999 --reason x --statement
status 2 'no such record'
for bad in '' "$seq" "$seq --statement" 'x --accept y' '1 --reason x'; do
	# shellcheck disable=SC2086
	run ofs-audit erase $bad
	status 2 "erase $bad: exit 2"
done

# --- reconcile
export OFS_AUDIT=$old
run ofs-audit erase "$(seqs --type outcome --limit 1 | tr -d ' ')" --reason x --statement
status 1 'a log without auditors has no statement to sign'
like "$err" 'has no auditors' 'and says so'
run ofs-audit reconcile "$T/out"
status 0 'files and records agree'
like "$out" '^3 signature files, 3 known' 'all are known'
cp -r "$T/out" "$T/found"
run ofs-audit reconcile "$T/found" "$T/out"
status 0 'copies are known, too'
# signed by the same key, in a log of its own
must ofs-sign --key "$key" --audit "$T/elsewhere" --out "$T/past" "$T/docs/order-1"
f=$(find "$T/past" -name '*.p7s')
run ofs-audit reconcile "$T/past"
status 1 'a signature whose document is not here'
like "$out" '^unchecked-signature: .*order-1.p7s' 'is named'
cp "$T/docs/order-1" "${f%.p7s}"
run ofs-audit reconcile --json "$T/past"
status 1 'a signature that no record knows'
is "$(jq -r 'select(.type == "finding").id' <<<"$out")" unknown-signature 'named'
is "$(jq -r 'select(.type == "reconciled").unknown' <<<"$out")" 1 'counted'
must ofs-sign --key "$key" --audit "$T/elsewhere" --format raw --out "$T/rawpast" \
	"$T/docs/order-1"
f=$(find "$T/rawpast" -name '*.sig')
cp "$T/docs/order-1" "${f%.sig}"
run ofs-audit reconcile "$T/rawpast"
status 1 'a raw one, too'
like "$out" '^unknown-signature: ' 'by trying the certificates of the log'
# by somebody else
mkdir "$T/others"
cp "$T/docs/order-2" "$T/others"
openssl cms -sign -in "$T/others/order-2" -binary -outform DER -cades \
	-signer "$T/auditor.pem" -inkey "$T/auditor.key" \
	-out "$T/others/order-2.p7s" 2>/dev/null
run ofs-audit reconcile "$T/others"
status 0 'the signature of another key'
like "$out" '^foreign-signature: .*order-2.p7s' 'is named'
# taken away, changed, and signed anew
f=$(find "$T/out" -name 'order-1.p7s')
mv "$f" "$T/away"
run ofs-audit reconcile "$T/out"
status 1 'a file is gone'
like "$out" "^missing-file: .*order-1.p7s, record [0-9]+" 'named with its record'
cp "$(find "$T/past" -name '*.p7s')" "$f"
run ofs-audit reconcile "$T/out"
status 1 'another in its place'
like "$out" '^changed-file: .*order-1.p7s' 'named'
is "$(grep -c order-1.p7s <<<"$out")" 1 'once'
cp "$T/docs/order-1" "${f%.p7s}"
run ofs-audit reconcile --json "$T/out"
is "$(jq -r 'select(.type == "finding").id' <<<"$out")" unknown-signature \
	'whose document shows that a key of the log has made it: that counts'
rm "${f%.p7s}"
cp "$T/away" "$f"
must ofs-sign --key "$key" --force --out "$T/out" "$T/docs/order-1"
run ofs-audit reconcile "$T/out"
status 0 'signed again: the first is not missed'
like "$(ofs-audit list --type log-event --reverse --limit 1)" \
	'reconcile .*3 known, 0 unknown' 'recorded'
run ofs-audit reconcile "$T/nowhere"
status 5 'no such directory'
run ofs-audit reconcile
status 2 'none is named'

# --- export
evil='=1+"2",3'
echo evil >"$T/docs/$evil"
(cd "$T/docs" && must ofs-sign --key "$key" --out "$T/evil" "$evil")
to=$(ofs-audit list --reverse --limit 1 --json | jq .seq)
run ofs-audit export --csv "$T/a.csv" --type outcome --to "$to"
status 0 'export to CSV'
must ofs-audit export --csv "$T/b.csv" --type outcome --to "$to"
cmp -s "$T/a.csv" "$T/b.csv"
ok $? 'the same bytes each time'
is "$(($(wc -l <"$T/a.csv") - 1))" "$(seqs --type outcome --to "$to" | wc -w)" \
	'a line each, and the names'
is "$(python3 -c 'import csv, sys
rows = list(csv.reader(open(sys.argv[1], newline="")))
print(len(set(map(len, rows))), rows[0].index("document_name") > 0,
      rows[-1][rows[0].index("document_name")])' "$T/a.csv")" \
	"1 True '$evil" 'another program reads it, and no formula'
is "$(head -1 "$T/a.csv" | tr -d '\r' | cut -d, -f1-5,29)" \
	'seq,time,type,batch,status,header_sha256' 'names'
run ofs-audit export --jsonl "$T/a.jsonl" --to "$to"
status 0 'export to JSON Lines'
is "$(jq -c . "$T/a.jsonl" | sha256sum)" \
	"$(ofs-audit list --json --to "$to" | jq -c . | sha256sum)" 'as list --json'
is "$(ofs-audit list --type log-event --reverse --limit 1 --json |
	jq -r .body.sha256)" "$(sha256sum <"$T/a.jsonl" | cut -d' ' -f1)" \
	'the hash of the file is recorded'
run ofs-audit export --jsonl "$T/a.jsonl"
status 5 'not over a file that is there'
run ofs-audit export --jsonl "$T/a.jsonl" --force
status 0 'unless told to'
run bash -c 'trap "" XFSZ; ulimit -f 8; exec ofs-audit export --jsonl "$0"' \
	"$T/large.jsonl"
status 5 'a file that cannot be written'
like "$err" "cannot write '$T/large.jsonl': File too large" 'says why'
is "$(find "$T" -name 'large.jsonl*')" '' 'and leaves nothing'
run ofs-audit export --csv - --type genesis
status 0 'to standard output'
is "$(wc -l <<<"$out")" 2 'that alone'
size=$(ofs-audit list --json | wc -l)
is "$(ofs-audit export --jsonl - --to 999999 | wc -l)" "$size" \
	'what is recorded of it is not in it'
must ofs-audit init --audit "$T/lost" --station-key "$T/lost.key"
rm "$T/lost.key"
run ofs-audit export --csv - --audit "$T/lost"
status 6 'where it cannot be recorded'
is "$out" '' 'nothing is printed'
run ofs-audit export --csv "$T/unrecorded.csv" --audit "$T/lost"
status 6 'to a file'
like "$err" "'$T/unrecorded.csv' is whole, but it could not be recorded" \
	'it is told'
run ofs-audit export --csv "$T/none" --jsonl "$T/none"
status 2 'both'
run ofs-audit export
status 2 'neither'
run ofs-audit verify
status 0 'the log is intact'

done_testing
