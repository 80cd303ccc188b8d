#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# An audit key on a token: named when the log is made, and what it is worth
# where the same PIN signs documents.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

second=$OFS_TOP/test/second-verifier/verify.py
sandbox_start
cd "$T" || exit 1
pin=$(cat sandbox/pin)
must softhsm2-util --init-token --free --label vault --so-pin 87654321 \
	--pin "$pin"
here='pkcs11:token=sandbox'
there='pkcs11:token=vault'
must ofs-token enroll "$here;object=docs" --audit setup --key-type ec:P-256 \
	--subject /CN=docs --self-signed --cert-out cert.pem
must ofs-token enroll "$there;object=audit" --audit setup --key-type ed25519
must ofs-token enroll "$here;object=audit" --audit setup --key-type ec:P-256
must ofs-token enroll "$here;object=rsa" --audit setup --key-type rsa:2048
echo a >a
echo b >b
report() { ofs-audit verify --json "$@" 2>/dev/null |
	jq -c 'select(.type == "report")'; }
findings() { ofs-audit verify --json "$@" 2>/dev/null |
	jq -c 'select(.type == "finding") | [.id, .seq]'; }

# --- named by the genesis
run ofs-audit init --audit far --origin far --audit-key "$there;object=audit"
status 0 'init with a key on a token'
like "$out" 'its audit key is on a token: who has the PIN of that' \
	'says what that is worth'
is "$err" '' 'nothing else is on that token'
run ofs-audit show 0 --audit far --json
like "$(jq -r .body.audit_key <<<"$out")" '^far\+[0-9a-f]{8}\+' \
	'the genesis names the key'
is "$(jq -r .body.audit_key_place <<<"$out")" token 'and where it is'
is "$(ofs-audit list --audit far --json | jq -c '[.type_name, .body.ok,
	.body.token.label]' | tail -1)" '["login",1,"vault"]' \
	'the login that happened before the log was there is in it'
run ofs-audit audit-key --audit far --json
is "$(jq -c '[.audit_key_place, .shared]' <<<"$out")" '["token",false]' \
	'audit-key'
vkey=$(jq -r .vkey <<<"$out")
run ofs-audit audit-key --audit far --set file
status 5 'it has one, for good'
must ofs-audit checkpoint --sign --audit far
must ofs-sign --key "$here;object=docs" --audit far --format raw --out far-1 a
run ofs-audit verify --audit far --vkey "$vkey"
status 0 'the log verifies with its key'
like "$out" 'audit key +on a token, the one that --vkey names' 'on a token'
unlike "$out" 'no protection' 'of its own'
unlike "$out" 'audit-key-shared' 'and is no finding'
is "$(report --audit far | jq .audit_key_shared)" false 'in JSON, too'
must ofs-token enroll "$there;object=idle" --audit far --key-type ec:P-256 \
	--subject /CN=idle --self-signed
is "$(findings --audit far)" '' 'nor is a key beside it that signs no batch'
must ofs-audit export --audit far --tiles far-tiles
run python3 "$second" "$vkey" far-tiles
status 0 'the second verifier takes its checkpoint'
run ofs-sign --key "$there;object=audit" --audit far --format raw --out no b
status 3 'that key signs no documents'

# --- refused, and nothing is made
no_log 3 'one for documents: it has a certificate' 'a key for documents' \
	--audit-key "$here;object=docs"
no_log 2 'Ed25519 and P-256' 'an RSA key' --audit-key "$here;object=rsa"
no_log 3 'none matches the URI' 'a key that is not there' \
	--audit-key "$here;object=missing"
no_log 3 "no token|not there|matches" 'a token that is not there' \
	--audit-key 'pkcs11:token=none;object=audit'
no_log 4 'no PIN could be had' 'no PIN' --audit-key "$here;object=audit" \
	--pin-source env:NONE
must ofs-audit init --audit late
run ofs-audit audit-key --audit late --set "$here;object=docs"
status 3 'a key with a certificate is not named later, either'
like "$err" 'it has a certificate' 'for the same reason'

# --- behind the PIN that signs documents
run ofs-audit init --audit near --audit-key "$here;object=audit"
status 0 'a key on the token of the documents'
like "$err" "token 'sandbox' holds the key '[a-z]+' and 1 more, too: .*no protection" \
	'is warned of'
run ofs-audit verify --audit near
unlike "$out" 'no protection' 'nothing has signed yet'
run ofs-audit audit-key --audit near
is "$err" '' 'nor does audit-key know of it'
must ofs-audit checkpoint --sign --audit near
must ofs-sign --key "$here;object=docs" --audit near --format raw --out near-1 a
must ofs-sign --key "$here;object=docs" --audit near --format raw --out near-2 b
opened=$(ofs-audit list --audit near --type batch-opened --json | head -1 |
	jq .seq)
run ofs-audit verify --audit near
status 0 'it is no error'
like "$out" "^audit-key-shared at record $opened$" 'it is a finding'
like "$out" 'no protection against the operator' 'in plain words'
is "$(findings --audit near)" "[\"audit-key-shared\",$opened]" \
	'in JSON, too, once'
is "$(report --audit near | jq -c '[.audit_key_shared, .intact, .exit]')" \
	'[true,true,0]' 'and in its report'
run ofs-audit audit-key --audit near
status 0 'audit-key'
like "$err" "no protection against the operator: token 'sandbox' .* record $opened " \
	'warns of it'
like "$out" '^[^ ]+\+[0-9a-f]{8}\+[^ ]+$' 'and prints the key alone'
is "$(ofs-audit audit-key --audit near --json 2>/dev/null | jq .shared)" true \
	'in JSON, too'

# --- named later
must ofs-token enroll "$here;object=audit-2" --audit later --key-type ed25519
run ofs-audit audit-key --audit later --set "$here;object=audit-2"
status 0 'named later'
like "$err" "token 'sandbox' holds the key .*no protection" 'is warned of, too'
must ofs-sign --key "$here;object=docs" --audit later --format raw \
	--out later-1 a
is "$(findings --audit later | cut -d, -f1)" '["audit-key-shared"' \
	'and found: its enrolment tells where it is'
run ofs-audit init --audit file --audit-key file:audit.pem
must ofs-sign --key "$here;object=docs" --audit file --format raw --out file-1 a
is "$(findings --audit file)" '' 'a key in a file is on no token'
is "$(ofs-audit audit-key --audit file --json | jq .shared)" false \
	'and shares none'

# --- where nobody reads the records
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=auditor -days 2 \
	-keyout auditor.key -out auditor.pem 2>/dev/null
must ofs-audit init --audit sealed --sealed --auditor auditor.pem \
	--audit-key "$here;object=audit"
must ofs-audit checkpoint --sign --audit sealed
must ofs-sign --key "$here;object=docs" --audit sealed --format raw \
	--out sealed-1 a
run ofs-audit audit-key --audit sealed --json
status 0 'a sealed log'
is "$(jq .shared <<<"$out")" null 'does not tell'
is "$(findings --audit sealed --auditor-key auditor.key | cut -d, -f1)" \
	'["audit-key-shared"' 'but to an auditor'
printf 'correct horse' >passphrase
chmod 600 passphrase
must ofs-audit init --audit pass --passphrase-source file:passphrase \
	--no-station-key --audit-key "$here;object=audit"
run ofs-audit verify --audit pass --passphrase-source file:passphrase
status 0 'a log that a passphrase alone opens'
must ofs-audit init --audit plain --plain --audit-key "$here;object=audit"
run ofs-audit verify --audit plain
status 0 'a plain log'

done_testing
