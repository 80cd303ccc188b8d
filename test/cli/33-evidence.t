#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Checkpoints, proofs and exports of a log, and a verifier of another hand that
# checks them; unit/checkpoint_test runs it over 66,001 records.
. "$(dirname "$0")/../lib/tap.sh"

second=$OFS_TOP/test/second-verifier/verify.py
command -v python3 >/dev/null || skip_all 'python3 is missing'
sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=docs'
chmod 700 "$OFS_AUDIT" 2>/dev/null
rm -rf "$OFS_AUDIT"
run ofs-audit init --origin 'station/1' --audit-key file:audit-key.pem
status 0 'init with an audit key'
like "$(ofs-audit verify)" "^checkpoints +none; 'ofs-audit checkpoint --sign'" \
	'it has no checkpoint yet'
like "$out" 'whoever owns this machine' 'says what a key in a file is worth'
is "$(stat -c %a audit-key.pem)" 600 'the key is for its owner alone'
run ofs-audit audit-key
vkey=$out
like "$vkey" '^station/1\+[0-9a-f]{8}\+' 'the verifier key'
run ofs-audit checkpoint
status 6 'there is no checkpoint yet'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=docs \
	--self-signed --cert-out cert.pem
before=$(ofs-audit checkpoint --json | jq .records)
[ "$before" -gt 0 ]
ok $? 'one is signed when a tool ends'

mkdir in
for i in $(seq 300); do echo "$i" >"in/$i"; done
must ofs-sign --key "$key" --format raw --out sigs --recursive in --quiet
run ofs-audit verify --vkey "$vkey" --json
status 0 'the log verifies, pinned'
report=$(jq -c 'select(.type == "report")' <<<"$out")
is "$(jq .audit_key_pinned <<<"$report")" true 'pinned'
is "$(jq -r .audit_key_place <<<"$report")" file 'in a file'
records=$(jq .records <<<"$report")
is "$(jq .checkpoint_records <<<"$report")" "$records" \
	'the end of the batch is in a checkpoint'
run ofs-audit verify
like "$out" 'UNPINNED' 'without a verifier key it says so'
like "$out" 'can sign other histories' 'and what the key is worth'
run ofs-audit verify --vkey "${vkey/station/stations}"
status 2 'a verifier key with a wrong hash'
like "$err" "cannot use '${vkey%%/*}s/[^']*': the verifier key is malformed" 'is named'
run ofs-audit verify \
	--vkey example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
status 6 'another verifier key'
like "$err" 'not the one that was expected' 'names the reason'

# one record to who has only the verifier key
seq=$(ofs-audit list --type outcome --json | sed -n 77p | jq .seq)
must ofs-audit prove "$seq" --output bare.tlog-proof
must ofs-audit prove "$seq" --reveal --output whole.tlog-proof
run ofs-audit prove "$seq" --output bare.tlog-proof
status 5 'a proof is not replaced'
run env OFS_AUDIT=/nowhere ofs-audit check-proof bare.tlog-proof --vkey "$vkey"
status 0 'a proof holds without the log'
like "$out" 'its body is not disclosed' 'and discloses nothing'
unlike "$out" 'in/' 'no name'
run ofs-audit check-proof whole.tlog-proof --vkey "$vkey" --json
status 0 'a revealed record'
is "$(jq .seq <<<"$out")" "$seq" 'its number'
name=$(jq -r .body.document.path <<<"$out")
is "$(jq -r .body.document.digest <<<"$out")" \
	"$(sha256sum <"$name" | cut -d' ' -f1)" 'and document'
run ofs-audit check-proof whole.tlog-proof --vkey \
	example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k
status 1 'with another key it does not'
sed "s/^index .*/index $((seq + 1))/" whole.tlog-proof >moved.tlog-proof
run ofs-audit check-proof moved.tlog-proof --vkey "$vkey"
status 1 'nor for another record'
head -3 whole.tlog-proof >short.tlog-proof
run ofs-audit check-proof short.tlog-proof --vkey "$vkey"
status 5 'nor cut off'
like "$err" "^ofs-audit: 'short.tlog-proof': " 'and is named'
run ofs-audit check-proof whole.tlog-proof --vkey nonsense
status 2 'what is no verifier key'
like "$err" "cannot use 'nonsense': the verifier key is malformed" 'is named, too'
bytes=$(($(grep -cE '^.{44}$' bare.tlog-proof) * 32 +
	$(sed '1,/^$/d' bare.tlog-proof | wc -c)))
[ "$bytes" -le 1024 ]
ok $? "hashes and checkpoint are $bytes bytes"

# the export, to somebody else's program
run ofs-audit export --tiles tiles
status 0 'export'
run ofs-audit export --tiles tiles
status 5 'not over another one'
run python3 "$second" "$vkey" tiles bare.tlog-proof whole.tlog-proof
status 0 'the second verifier agrees'
is "$out" "$(jq -r '.root + " " + (.records | tostring)' <<<"$report")" \
	"and finds the same root of $records records"
run grep -rl 'in/' tiles
is "$out" '' 'no name of a document is in the export'

# no byte of an export can be changed
ofs-audit init --audit small --origin small --audit-key file:small.pem \
	>/dev/null
small=$(ofs-audit audit-key --audit small)
for i in 1 2 3; do
	must ofs-sign --key "$key" --audit small --format raw \
		--out "small-$i" in/"$i"
done
must ofs-audit export --audit small --tiles t
must ofs-audit prove 2 --audit small --reveal --output p
must python3 "$second" "$small" t p
is "$(ofs-audit verify --audit small --json | jq -r \
	'select(.type == "report") | .root')" "${out% *}" 'the same root again'
RANDOM=$SEED
missed=0
for file in p t/checkpoint t/tile/0/*/* t/tile/entries/*/*; do
	cp "$file" kept
	size=$(stat -c %s "$file")
	for _ in 1 2 3 4 5 6; do
		at=$((RANDOM * 32768 + RANDOM))
		at=$((at % size))
		python3 - "$file" "$at" $((1 << RANDOM % 8)) <<'PY'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[int(sys.argv[2])] ^= int(sys.argv[3])
open(sys.argv[1], "wb").write(b)
PY
		python3 "$second" "$small" t p >/dev/null 2>&1 && {
			missed=$((missed + 1))
			tap_comment "$file byte $at"
		}
		cp kept "$file"
	done
done
is "$missed" 0 'every byte that was changed is seen'

# the key is gone: documents are signed all the same
mv small.pem away.pem
run ofs-sign --key "$key" --audit small --format raw --out small-4 in/4
status 0 'without the audit key documents are signed'
like "$err" 'no checkpoint was signed' 'and a warning says so'
run ofs-audit verify --audit small
like "$out" 'newest .* [1-9][0-9]* behind it' 'verify counts what is not covered'
run ofs-audit checkpoint --sign --audit small
status 3 'no checkpoint without the key'

# a log that was made without one
must ofs-audit init --audit old
run ofs-audit audit-key --audit old
status 3 'a log without an audit key'
for verb in checkpoint 'checkpoint --sign' 'prove 0' 'prove --since 0' \
	'timestamp --request old.tsq' 'export --tiles old-tiles'; do
	# shellcheck disable=SC2086
	run ofs-audit $verb --audit old
	status 3 "$verb of it, too"
	like "$err" 'has no audit key; .*audit-key --set' 'with what to do'
done
run ofs-audit audit-key --audit old --set file:old.pem
status 0 'gets one'
run ofs-audit audit-key --audit old --set file:other.pem
status 5 'once'
run ofs-audit verify --audit old --vkey "$(ofs-audit audit-key --audit old)"
status 0 'and verifies'

# nothing on the station reads a sealed log, and it is proven all the same
must openssl req -x509 -newkey rsa:2048 -nodes -keyout auditor.pem \
	-out auditor.crt -subj /CN=auditor -days 30
must ofs-audit init --audit sealed --sealed --auditor auditor.crt
must ofs-sign --key "$key" --audit sealed --format raw --out sealed-out in/9
run ofs-audit audit-key --audit sealed --set file:sealed.pem
status 0 'a sealed log gets an audit key later'
must ofs-sign --key "$key" --audit sealed --format raw --out sealed-out in/10
run ofs-audit verify --audit sealed --json \
	--vkey "$(ofs-audit audit-key --audit sealed)"
status 0 'and verifies without any key'
is "$(jq 'select(.type == "report") | .checkpoints > 0 and
	.checkpoint_records == .records' <<<"$out")" true 'its checkpoints too'
seq=$(ofs-audit list --audit sealed --type outcome --json | tail -1 | jq .seq)
run ofs-audit prove "$seq" --audit sealed --reveal
status 3 'nobody discloses a record here'
must ofs-audit prove "$seq" --audit sealed --reveal --auditor-key auditor.pem \
	--output sealed.tlog-proof
must ofs-audit export --audit sealed --tiles sealed-tiles
vkey=$(ofs-audit audit-key --audit sealed)
run ofs-audit check-proof sealed.tlog-proof --vkey "$vkey" --json
status 0 'an auditor does, to who has the verifier key'
is "$(jq -r .body.document.path <<<"$out")" in/10 'this one record'
run python3 "$second" "$vkey" sealed-tiles sealed.tlog-proof
status 0 'which the second verifier takes'

# a witness: two checkpoints of one log, in order, and none of another history
witness()
{
	run ofs-audit witness "$@" --vkey "$small" --key-file witness.pem \
		--name witness/1 --state memory
}

mv away.pem small.pem
ofs-audit checkpoint --audit small >one
witness one --output one.cosigned
status 0 'a witness cosigns the first checkpoint that it sees'
cosigner=$(ofs-audit witness --key-file witness.pem --name witness/1)
must ofs-audit checkpoint --sign --audit small
ofs-audit checkpoint --audit small >two
witness two
status 2 'the next one wants a proof'
since=$(sed -n 2p one)
like "$err" "prove --since $since\$" 'from where it stands'
must ofs-audit prove --since 3 --audit small --output wrong.proof
witness wrong.proof
status 2 'and from nowhere else'
must ofs-audit prove --since "$since" --audit small --output growth
sed '2s/^\(....\)A/\1B/;t;2s/^\(....\)./\1A/' growth >growth.bad
witness growth.bad
status 1 'a wrong proof'
like "$err" "^ofs-audit: 'growth.bad': " 'is named'
witness growth --output two.cosigned
status 0 'with one it cosigns'
witness one
status 1 'an older one it does not'
like "$err" 'shrank' 'and says why'
cp -r memory forgot
for f in forgot/*.checkpoint; do sed -i 2q "$f"; done
run ofs-audit witness two --vkey "$small" --key-file witness.pem \
	--name witness/1 --state forgot
status 5 'nor with a memory that is damaged'
like "$err" "what this witness remembers, 'forgot/.*restore it" 'which is named'
must ofs-audit prove 2 --audit small
{ sed '/^$/q' <<<"$out"; cat two.cosigned; } >cosigned.tlog-proof
run ofs-audit check-proof cosigned.tlog-proof --vkey "$small" \
	--witness "$cosigner" --json
status 0 'a proof with the witness'
is "$(jq .witnesses <<<"$out")" 1 'which is counted'
run ofs-audit check-proof p --vkey "$small" --witness "$cosigner"
status 1 'one without'
run python3 - "$second" "$cosigner" two.cosigned <<'PY'
import importlib.util, sys
s = importlib.util.spec_from_file_location("v", sys.argv[1])
v = importlib.util.module_from_spec(s)
s.loader.exec_module(v)
v.checkpoint(open(sys.argv[3], "rb").read(), v.Key(sys.argv[2]))
PY
status 0 'the second verifier takes the cosignature'
# the same log written anew, with the same key
rm -rf small
ofs-audit init --audit small --origin small --audit-key file:small.pem \
	>/dev/null
must ofs-sign --key "$key" --audit small --format raw --out again \
	--recursive in --quiet
must ofs-audit prove --since "$(sed -n 2p two)" --audit small --output forged
witness forged
status 1 'another history is not cosigned'

# the audit key on the token
audit='pkcs11:token=sandbox;object=audit'
must ofs-token enroll "$audit" --audit token --key-type ed25519
run ofs-audit audit-key --audit token --set "$audit"
status 0 'a key on a token'
token=$out
run ofs-audit audit-key --audit token --json
is "$(jq -r .audit_key_place <<<"$out")" token 'its place is named'
run ofs-sign --key "$audit" --audit token in/5 --format raw --out refused
status 3 'the audit key does not sign documents'
like "$err" 'signs checkpoints and nothing else' 'and the reason is given'
must ofs-token enroll "$key-2" --audit token --key-type ec:P-256 \
	--subject /CN=docs --self-signed --cert-out cert-2.pem
run ofs-sign --key "$key-2" --audit token in/5 in/6 --format raw --out on-token
status 0 'a batch'
is "$err" '' 'without a warning'
run ofs-audit verify --audit token --vkey "$token" --json
status 0 'its end is signed by the token'
report=$(jq -c 'select(.type == "report")' <<<"$out")
is "$(jq -c '[.checkpoints, .records - .checkpoint_records]' <<<"$report")" \
	'[1,2]' 'by an intent and an outcome behind the checkpoint'
is "$(ofs-audit list --audit token --json | tail -1 |
	jq -c '[.type_name, .body.purpose, .body.status, .body.verified]')" \
	'["outcome",6,1,1]' 'which say so'
run ofs-audit checkpoint --sign --audit token
status 0 'one more, on request'
must ofs-audit export --audit token --tiles token-tiles
run python3 "$second" "$token" token-tiles
status 0 'which the second verifier takes'
run ofs-audit verify --audit token
like "$out" 'audit key +on a token, UNPINNED' 'verify says where the key is'
unlike "$out" 'can sign other histories' 'and not what is true of files'
# P-256, and keys that are for documents
must ofs-token enroll "$audit-2" --audit second --key-type ec:P-256
must ofs-audit audit-key --audit second --set "$audit-2"
must ofs-sign --key "$key-2" --audit second in/7 --format raw --out p-256
must ofs-audit export --audit second --tiles second-tiles
run python3 "$second" "$(ofs-audit audit-key --audit second)" second-tiles
status 0 'a P-256 key, by openssl'
must ofs-audit init --audit third
must ofs-sign --key "$key-2" --audit third in/8 --format raw --out third-out
run ofs-audit audit-key --audit third --set "$key-2"
status 3 'a key for documents is no audit key'
like "$err" 'is one for documents: record [0-9]+' 'and the record is named'
# the code on the wall, read by another program
cat >pbm.py <<'PY'
import sys
rows = []
for line in open(sys.argv[1], encoding="utf-8").read().splitlines():
    if sys.argv[2] == "ascii":
        rows.append([c == "#" for c in line[::2]])
    else:
        rows.append([c in "\u2580\u2588" for c in line])
        rows.append([c in "\u2584\u2588" for c in line])
dark = sys.argv[3] == "dark"
print("P1", len(rows[0]) * 4, len(rows) * 4)
for r in rows:
    for _ in range(4):
        print(*[int(c == dark) for c in r for _ in range(4)])
PY
must ofs-audit checkpoint
printf '%s\n' "$out" >note
scan() # HOW SHADE
{
	run python3 pbm.py code "$@"
	echo "$out" >code.pbm
	zbarimg --quiet --raw --oneshot code.pbm >scanned 2>/dev/null
	# the tool ends what it read with a line end of its own
	is "$(cat scanned)" "$(cat note)" "--qr, $*: zbarimg reads the checkpoint"
}
run ofs-audit checkpoint --qr
status 0 'checkpoint --qr'
echo "$out" >code
[ "$(wc -L <code)" -le 80 ]
ok $? "fits a terminal: $(wc -L <code) columns"
scan blocks dark
ofs-audit checkpoint --qr --invert >code
scan blocks light
run ofs-audit checkpoint --qr --ascii
like "$err" 'columns wide: widen the window' '--ascii says that it is wide'
ofs-audit checkpoint --qr --ascii >code 2>/dev/null
scan ascii dark
LC_ALL=C ofs-audit checkpoint --qr 2>/dev/null >plain
cmp -s code plain
ok $? 'a locale without UTF-8 gets that by itself'
run ofs-audit checkpoint --qr --json
status 2 '--qr --json'

done_testing
