#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The newest checkpoint as a data object on a token: read by other programs,
# written over a crash, and what it finds when the log is put back.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/faultp11.sh"

sandbox_start
cd "$T" || exit 1
softhsm=$OFS_MODULE
token='pkcs11:token=sandbox'
key="$token;object=docs"
pin=$(cat sandbox/pin)
app='offlinesig audit head'
rm -rf "$OFS_AUDIT"
must ofs-audit init --origin 'station/1' --audit-key file:audit-key.pem
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=docs \
	--self-signed --cert-out cert.pem
sign() {
	echo "$1" >"$1"
	must ofs-sign --key "$key" --format raw "$1"
}
tool() { pkcs11-tool --module "$softhsm" --token-label sandbox "$@"; }
objects() { tool -O --type data 2>/dev/null | grep -c "'$app'"; }
head_on_token() {
	tool --read-object --type data --application-label "$app" \
		--label "${1:-station/1}" 2>/dev/null
}
report() { ofs-audit verify --json "$@" 2>/dev/null |
	jq -c 'select(.type == "report")'; }

# --- nothing is there yet
run ofs-audit verify --head-token "$token"
status 3 'a token without a head of this log'
like "$err" "'token sandbox' holds no head of this audit log; put one there" \
	'says so, and what to do'
is "$(report --head-token "$token" | jq -c '[.verdict, .exit, .intact]')" \
	'["undecided",3,true]' 'which is no damage'
run ofs-audit verify --head-token pkcs11:token=none
status 3 'a token that is not there'
is "$out" '' 'is no reason to say that all is well'
must ofs-audit init --audit keyless
run ofs-audit anchor --audit keyless --token "$token"
status 3 'a log without an audit key'
like "$err" 'has no audit key; give it one' 'has no checkpoints'
run ofs-audit verify --audit keyless --head-token "$token"
status 3 'and no head on a token'
must ofs-audit init --audit empty --audit-key file:empty.pem
run ofs-audit anchor --audit empty --token "$token"
status 6 'a log without a checkpoint'
like "$err" 'sign one with ofs-audit checkpoint --sign' 'says what to do'
is "$(objects)" 0 'nothing was put on the token'

# --- put there, and read by others
sign a
cp -rp "$OFS_AUDIT" old
sign b
ofs-audit checkpoint >kept
run ofs-audit anchor --token "$token"
status 0 'a head is put on the token'
like "$out" "^head of $(sed -n 2p kept) records put on token sandbox, record " \
	'which is said'
is "$(head_on_token)" "$(cat kept)" 'pkcs11-tool reads the same text, without a PIN'
p11tool --provider "$softhsm" --list-all "$token" 2>/dev/null |
	grep -q 'object=station%2F1;type=data'
ok $? 'p11tool lists it'
# the signature, by openssl alone: the key is behind the hash of the vkey
vkey=$(ofs-audit audit-key)
head_on_token >note
sed '/^$/,$d' note >text
tail -1 note | cut -d' ' -f3 | base64 -d | tail -c 64 >sig
{ printf '\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00'
	cut -d+ -f3- <<<"$vkey" | base64 -d | tail -c 32; } >pub.der
openssl pkeyutl -verify -pubin -keyform DER -inkey pub.der -rawin -in text \
	-sigfile sig >/dev/null
ok $? 'openssl verifies it'
run ofs-audit list --type anchor --json
is "$(jq -c '[.body.kind, .body.records, .cipher]' <<<"$out")" \
	"[\"token\",$(sed -n 2p kept),0]" 'it is recorded, in a plain record'
like "$(jq -r .body.place <<<"$out")" '^pkcs11:.*serial=.*token=sandbox' \
	'with label and serial of the token'

# --- verified with it, without a PIN
run env -u OFS_PIN_SOURCE ofs-audit verify --head-token "$token"
status 0 'the log agrees'
unlike "$out" UNANCHORED 'it is not unanchored'
like "$out" '^  token .* from outside$' 'the head is named'
like "$out" '^              pkcs11:' 'with its place, in a line of its own'
like "$out" 'exposed: the last [0-9]+ records, since 2' 'the exposure window'
is "$(report --head-token "$token" | jq -c '[.verdict, .records -
	.exposed_records]')" "[\"anchored\",$(sed -n 2p kept)]" 'in JSON, too'
is "$(report | jq -r .verdict)" unanchored \
	'the record of it is no head from outside'
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
FAULTP11_COUNTS=$T/counts run ofs-audit verify --head-token "$token"
status 0 'counted'
is "$(fault_calls counts C_Login) $(fault_calls counts C_OpenSession)" '0 1' \
	'no login, one session'
export OFS_MODULE=$softhsm

# --- a newer one takes its place; what is somebody else's stays
must ofs-audit init --audit other --origin 'station/2' \
	--audit-key file:other.pem
must ofs-audit checkpoint --audit other --sign
must ofs-audit anchor --audit other --token "$token"
other=$(head_on_token station/2)
must ofs-audit init --audit twin --origin 'station/1' --audit-key file:twin.pem
must ofs-audit checkpoint --audit twin --sign
run ofs-audit anchor --audit twin --token "$token"
status 0 'another log of the same name'
like "$err" 'passed over: .*not signed by the audit key' \
	'leaves the head that is not its own, and says so'
printf 'not a head' >foreign
tool --write-object foreign --type data --label 'station/1' --login \
	--pin "$pin" >/dev/null 2>&1
tool --write-object foreign --type data --label 'station/1' \
	--application-label "$app" --login --pin "$pin" >/dev/null 2>&1
is "$(objects)" 4 'two heads of others and one that is none'
run ofs-audit anchor --token "$token"
status 0 'a newer head'
like "$err" "passed over: 'token sandbox' holds no checkpoint" \
	'what is none is named'
is "$(objects)" 4 'the older one of this log is gone, the others are there'
is "$(head_on_token station/2)" "$other" \
	'that of the other log is unchanged'
run ofs-audit verify --head-token "$token"
status 0 'the log agrees with it'
must ofs-audit verify --audit twin --head-token "$token"
must ofs-audit verify --audit other --head-token "$token"
while tool --delete-object --type data --label 'station/1' --login \
	--pin "$pin" >/dev/null 2>&1; do :; done
must ofs-audit anchor --audit twin --token "$token"
run ofs-audit verify --head-token "$token"
status 6 'a head that is of a log of the same name only'
like "$err" 'not signed by the audit key of the log' 'and the reason'
tool --delete-object --type data --label 'station/1' --login --pin "$pin" \
	>/dev/null 2>&1
run ofs-audit verify --head-token "$token"
status 3 'the head was deleted'
like "$err" 'record [0-9]+ of the audit log tells of one .*there is none' \
	'and the log knows that there was one'

# --- a crash between the new object and the end of the old one
must ofs-audit anchor --token "$token"
must ofs-audit checkpoint --sign
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
isnt "$(ofs-audit list --type anchor --json | wc -l)" 1 'more than one was put'
is "$(report | jq -c '[.heads[] | select(.kind == "token" and .seq > 0) |
	.seq]')" "$(ofs-audit list --type anchor --json | tail -1 |
	jq -c '[.seq]')" 'verification shows the newest'
FAULTP11_SCRIPT='C_DestroyObject 1 kill' run ofs-audit anchor --token "$token"
status 137 'killed before the old one is deleted'
export OFS_MODULE=$softhsm
is "$(objects)" 3 'leaves two, beside that of the other log'
size=$(ofs-audit checkpoint | sed -n 2p)
is "$(report --head-token "$token" | jq '.records - .exposed_records')" \
	"$size" 'the larger one counts'
must ofs-audit checkpoint --sign
must ofs-audit anchor --token "$token"
is "$(objects)" 2 'the next one cleans up'

# --- tokens that refuse
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
refuses() { # SCRIPT STATUS TEXT NAME
	before=$(head_on_token)
	n=$(ofs-audit list --type anchor --json | wc -l)
	must ofs-audit checkpoint --sign
	FAULTP11_SCRIPT=$1 run ofs-audit anchor --token "$token"
	status "$2" "$4"
	like "$err" "$3" "$4: says so"
	is "$(ofs-audit list --type anchor --json | wc -l)" "$n" \
		"$4: nothing is recorded"
	is "$(head_on_token)" "$before" "$4: the older head is as it was"
}
refuses 'C_CreateObject 1 ckr=DEVICE_MEMORY' 3 \
	'has no room .*delete what is not needed there, or keep it on another' \
	'a full token'
refuses 'C_CreateObject 1 ckr=TEMPLATE_INCONSISTENT' 2 \
	'keeps no public data objects; keep it on another' \
	'a token without data objects'
run ofs-audit anchor --token "$token" --pin-source env:NONE
status 4 'no PIN'
export OFS_MODULE=$softhsm

# --- the log is put back, head file included
must ofs-audit anchor --token "$token"
mv "$OFS_AUDIT" new
cp -rp old "$OFS_AUDIT"
run ofs-audit verify
status 0 'an older copy looks intact'
run ofs-audit verify --head-token "$token"
status 6 'the token finds it'
like "$err" "rolled back: it holds [0-9]+ records, and 'token sandbox' knows of" \
	'with the record named'
is "$(report --head-token "$token" | jq -c '[.intact, .exit, .verdict]')" \
	'[false,6,"damaged"]' 'in JSON, too'
before=$(head_on_token)
run ofs-audit anchor --token "$token"
status 6 'such a log gets no head in the place of the newer one'
is "$(head_on_token)" "$before" 'which is still there'
# it goes on from there, and becomes longer than the first
for i in c d e f g h i; do sign $i; done
run ofs-audit verify --head-token "$token"
status 6 'the token finds the fork'
like "$err" 'rewritten: its first [0-9]+ records are not those' \
	'and says up to where'
run ofs-audit anchor --token "$token"
status 6 'a fork gets no head either'
# who writes to the token can put back its object, too; the log tells
rm -rf "$OFS_AUDIT"
cp -rp new "$OFS_AUDIT"
head_on_token >older
must ofs-audit checkpoint --sign
must ofs-audit anchor --token "$token"
tool --delete-object --type data --label 'station/1' --login --pin "$pin" \
	>/dev/null 2>&1
tool --write-object older --type data --label 'station/1' \
	--application-label "$app" --login --pin "$pin" >/dev/null 2>&1
run ofs-audit verify --head-token "$token"
status 3 'an older head in its place'
like "$err" 'is not the one that was put there: record [0-9]+' \
	'is seen while the log is there'

# --- a copy elsewhere, read-only, and a sealed log
must ofs-audit checkpoint --sign
must ofs-audit anchor --token "$token"
cp -rp "$OFS_AUDIT" copy
chmod -R a-w copy
run ofs-audit verify --audit copy --head-token "$token"
status 0 'a copy that cannot be written'
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=auditor -days 2 \
	-keyout auditor.key -out auditor.pem 2>/dev/null
must ofs-audit init --audit sealed --sealed --auditor auditor.pem \
	--audit-key file:sealed.pem --origin sealed
must ofs-sign --key "$key" --audit sealed --format raw --out sealed-out a
must ofs-audit anchor --audit sealed --token "$token"
run ofs-audit verify --audit sealed --head-token "$token"
status 0 'a sealed log, without any key'
is "$(report --audit sealed --head-token "$token" | jq -r .verdict)" anchored \
	'is anchored'
# --- with every batch
echo pay >order
run ofs-sign --key "$key" --anchor --audit keyless --format raw order
status 3 'ofs-sign --anchor into a log without an audit key'
like "$err" 'has no audit key; give it one with ofs-audit audit-key --set' \
	'says what to do'
[ ! -e order.sig ]
ok $? 'before anything is signed'
must ofs-audit init --audit batches --audit-key file:batches.pem \
	--origin batches
run ofs-sign --key "$key" --anchor --audit batches --format raw --json order
status 0 'ofs-sign --anchor'
is "$(jq -r .type <<<"$out" | xargs)" 'item anchor summary' 'says so'
is "$(jq -r 'select(.type == "anchor") | .records' <<<"$out")" \
	"$(head_on_token batches | sed -n 2p)" 'the head is on the token'
rm -rf later && cp -rp batches later
run ofs-sign --key "$key" --anchor --audit batches --format raw --force order
status 0 'the next batch replaces it'
run ofs-audit verify --audit later --head-token "$token"
status 6 'the log before it was rolled back'
must ofs-audit anchor --audit batches --token "$token"
cp -rp batches ahead
must ofs-sign --key "$key" --anchor --audit ahead --format raw --force order
rm order.sig
run ofs-sign --key "$key" --anchor --audit batches --format raw --json order
status 6 'a token that knows of more than the log'
like "$err" 'was not put on the token: .*rewritten' 'is told'
[ -e order.sig ]
ok $? 'and the signature is there all the same'

# --- usage
run ofs-audit anchor
status 2 'without a token'
like "$err" "name the token with '--token'" 'says so'

done_testing
