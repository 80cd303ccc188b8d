#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The verbs that look after keys and PINs: info, export-cert, rename, delete,
# pin change, pin unblock, so-pin change; what they send, say and record.
. "$(dirname "$0")/../lib/tap.sh"

for spy in /usr/lib/*/pkcs11-spy.so /usr/lib*/pkcs11/pkcs11-spy.so \
	/usr/lib/*/pkcs11/pkcs11-spy.so; do
	[ ! -e "$spy" ] || break
done
[ -e "$spy" ] || skip_all 'pkcs11-spy.so (opensc-pkcs11) is not installed'

sandbox_start
softhsm=$OFS_MODULE
token='pkcs11:token=sandbox'
pin=$T/sandbox/pin so=$T/sandbox/so-pin
cd "$T" || exit 1
must ofs-token enroll "$token;object=batch" --key-type ec:P-256 \
	--subject '/CN=Batch' --self-signed --cert-out cert.pem
must ofs-token enroll "$token;object=other" --key-type rsa:2048 \
	--subject '/CN=Other' --self-signed
echo 'a payment order' >doc

# runs it with the spy between tool and token
spied()
{
	: >spy.log
	PKCS11SPY=$softhsm PKCS11SPY_OUTPUT=$T/spy.log OFS_MODULE=$spy run "$@"
}
# sent L S I: that many C_Login, C_SetPIN and C_InitPIN in the last spied run
sent()
{
	local f got=''

	for f in C_Login C_SetPIN C_InitPIN; do
		got+="$(grep -c "^[0-9]*: $f$" spy.log) "
	done
	is "$got" "$1 $2 $3 " "$4: what was sent"
}
# the last N records, as "type event-or-ok"
last()
{
	ofs-audit list --json | tail -n "$1" |
		jq -r '"\(.type_name) \(.body.event // .body.ok)"' | paste -sd, -
}
secret() { head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n'; }
new_pin() # makes $1 with a new PIN
{
	secret >"$1"
	chmod 600 "$1"
}

# --- info
run ofs-token info "$token" --json
status 0 'info --json'
is "$(jq -r '[.type, .label, .pin_initialised, .pin_locked, .so_pin_locked,
	.private_keys, .public_keys, .certificates] | join(" ")' <<<"$out")" \
	'token-info sandbox true false false 2 2 2' 'state and counts of keys'
is "$(jq -r .module_sha256 <<<"$out")" \
	"$(sha256sum <"$softhsm" | cut -d' ' -f1)" "the module's digest"
is "$(jq -r .module <<<"$out")" "$(readlink -f "$softhsm")" 'its path'
is "$(jq -r '.mechanisms[] | select(.name == "CKM_ECDSA") | .uses' \
	<<<"$out")" 'sign verify' 'mechanisms with their uses'
is "$(jq '.mechanisms | length' <<<"$out")" \
	"$(pkcs11-tool --module "$softhsm" --token-label sandbox -M 2>/dev/null |
		grep -c '^  ')" 'as many as pkcs11-tool finds'
run ofs-token info --no-login --json
status 0 'info of the only token, without a login'
is "$(jq -c '[.private_keys, .logged_in]' <<<"$out")" '[null,false]' \
	'then private keys are not counted'
run ofs-token info
status 0 'info for people'
like "$out" 'CKM_RSA_PKCS +512-16384 +encrypt decrypt sign verify' 'mechanisms'
like "$out" '^  keys +2 private, 2 public, 2 with a cert' 'keys'
like "$out" '^  sha256 +[0-9a-f]{64}$' 'the module'

# --- export-cert
run ofs-token export-cert "$token;object=batch"
status 0 'export-cert'
is "$out" "$(cat cert.pem)" 'to standard output'
spied ofs-token export-cert "$token;object=batch" --out again.pem
status 0 'export-cert --out'
sent 0 0 0 'export-cert needs no login'
cmp -s cert.pem again.pem
ok $? 'the same'
run ofs-token export-cert "$token;object=batch" --out again.pem
status 5 'a file that is there stays'
run ofs-token export-cert "$token;object=batch" --out again.pem --force --der \
	--json
status 0 'unless --force'
is "$(jq -r '[.type, .what, .encoding] | join(" ")' <<<"$out")" \
	'exported certificate der' 'with --json'
openssl x509 -in again.pem -inform der -outform pem | cmp -s - cert.pem
ok $? 'DER is the same certificate'
run ofs-token export-cert --public "$token;object=batch" --out pub.pem
status 0 'export-cert --public'
is "$(cat pub.pem)" "$(openssl x509 -in cert.pem -noout -pubkey)" \
	"is the certificate's key"
run ofs-token export-cert --public --der "$token;object=batch" --out pub.der
openssl pkey -pubin -inform der -in pub.der 2>/dev/null | cmp -s - pub.pem
ok $? 'and as DER'
run ofs-token export-cert "$token;object=nobody"
status 3 'no such key'

must ofs-token enroll "$token;object=hidden" --key-type rsa:2048
must pkcs11-tool --module "$softhsm" --token-label sandbox --login \
	--pin "$(cat "$pin")" --delete-object --type pubkey --label hidden
spied env -u OFS_PIN_SOURCE ofs-token export-cert --public \
	"$token;object=hidden"
status 3 'a key that shows nothing without a login'
spied ofs-token export-cert --public "$token;object=hidden"
status 0 'and with a PIN source'
like "$out" '^-----BEGIN PUBLIC KEY' 'shows its public key'
sent 1 0 0 'export-cert'
run ofs-token export-cert "$token;object=hidden"
status 3 'and has no certificate'
must ofs-token delete "$token;object=hidden" --yes hidden

# --- rename
run ofs-token rename "$token;object=batch" --label other
status 5 'a label that another key has is refused'
like "$err" 'another object has this label' 'with the reason'
run ofs-token rename "$token;object=batch" --label batch-26 --id 0a0B --json
status 0 'rename'
is "$(jq -r '[.type, .label, .id, .seq] | join(" ")' <<<"$out")" \
	"renamed batch-26 0a0b $(ofs-audit list --json | tail -1 | jq .seq)" \
	'what is there now'
is "$(last 2)" 'key-event rename-begun,key-event rename' 'two records'
run ofs-sign --key "$token;object=batch-26" doc
status 0 'it signs under its new label, certificate and all'
run ofs-verify --trust cert.pem doc
status 0 'and that verifies'
run ofs-sign --key "$token;object=batch" doc --force
status 3 'the old label is no more'

# --- delete
run ofs-token delete "$token;object=batch-26" --yes batch
status 2 'the label must be right'
like "$err" "is 'batch-26', not 'batch'; nothing was deleted" 'and is named'
run ofs-token delete "$token" --yes batch-26
status 2 'a URI of no key'
run pkcs11-tool --module "$softhsm" --token-label sandbox --login \
	--pin "$(cat "$pin")" --keypairgen --key-type EC:prime256v1 \
	--label other --id 77
run ofs-token delete "$token;object=other" --yes other
status 3 'a URI of two keys'
like "$err" 'matches more than one private key' 'is refused'
run ofs-token delete "$token;object=other;id=%77" --yes other
status 0 'until it names one'
run ofs-token delete "$token;object=batch-26" --cert-only --yes batch-26
status 0 'delete --cert-only'
is "$(last 2)" 'key-event delete-cert-begun,key-event delete-cert' 'its records'
run ofs-sign --key "$token;object=batch-26" --format raw doc
status 0 'the key still signs'
like "$out" "^  ofs-token export-cert --public --out pubkey.pem '$token" \
	'and the hint names the command that gets its public key'
# the hint is a command that works
rm -f pubkey.pem
run bash -c "$(grep -A1 '^  ofs-token export-cert' <<<"$out")"
status 0 'as it stands'
run ofs-token delete "$token;object=batch-26" --yes batch-26 --json
status 0 'delete'
is "$(jq -r '[.type, .label, (.objects | map(.kind + " " + .key_type) |
	join(","))] | join(" ")' <<<"$out")" \
	'deleted batch-26 private key P-256,public key P-256' 'names all'
is "$(last 2)" 'key-event delete-begun,key-event delete' 'two records'
is "$(ofs-token keys "$token" --json | jq -r .label)" other 'the other is left'
run ofs-sign --key "$token;object=other" --force doc
status 0 'and signs'

# --- PINs from files
new_pin pin2
spied ofs-token pin change "$token" --new-pin-source file:pin2 --json
status 0 'pin change'
is "$(jq -r '[.type, .label] | join(" ")' <<<"$out")" 'pin-changed sandbox' \
	'pin change --json'
sent 0 1 0 'pin change'
unlike "$out$err" "$(cat "$pin")|$(cat pin2)" 'no PIN is shown'
is "$(last 2)" 'token-event pin-change-begun,token-event pin-change' \
	'two records'
spied ofs-token pin change "$token" --new-pin-source file:pin2
status 4 'the old PIN is wrong now'
sent 0 1 0 'a wrong PIN once'
is "$(last 3)" \
	'token-event pin-change-begun,login 0,token-event pin-change-failed' \
	'recorded as a failure'
spied ofs-token pin change "$token" --pin-source file:pin2 \
	--new-pin-source file:pin2
status 2 'the same PIN again'
sent 0 0 0 'the same PIN again'
printf 123 >short
chmod 600 short
spied ofs-token pin change "$token" --pin-source file:pin2 \
	--new-pin-source file:short
status 2 'a new PIN that is too short'
like "$err" 'takes 4 to 255 bytes' 'says how long it may be'
sent 0 0 0 'a new PIN that is too short'
spied ofs-token pin unblock "$token" --so-pin-source "file:$so" \
	--new-pin-source "file:$pin"
status 0 'pin unblock'
sent 1 0 1 'pin unblock'
is "$(last 3)" 'token-event pin-unblock-begun,login 1,token-event pin-unblock' \
	'its records'
spied ofs-token pin unblock "$token" --so-pin-source file:pin2 \
	--new-pin-source "file:$pin"
status 4 'a wrong SO PIN'
sent 1 0 0 'a wrong SO PIN once'
new_pin so2
spied env OFS_SO_PIN_SOURCE="file:$so" ofs-token so-pin change "$token" \
	--new-so-pin-source file:so2
status 0 'so-pin change'
sent 1 1 0 'so-pin change'
is "$(last 3)" \
	'token-event so-pin-change-begun,login 1,token-event so-pin-change' \
	'its records'
{ cat so2; echo; cat "$so"; } >lines
exec 7<lines
spied ofs-token so-pin change "$token" --so-pin-source fd:7 \
	--new-so-pin-source fd:7
status 0 'old and new PIN from one descriptor, line by line'
exec 7<&-
run ofs-token keys "$token" --json
is "$(jq -r .private_key <<<"$out")" true 'the user PIN is the first one again'
before=$(ofs-audit list --json | wc -l)
run setsid -w ofs-token pin change "$token"
status 4 'a new PIN is not taken from --pin-source'
like "$err" 'no terminal to ask for the PIN on; pass --new-pin-source' \
	'it has an option of its own'
is "$(ofs-audit list --json | wc -l)" "$before" 'and nothing was begun'
run env OFS_AUDIT="$T/doc" ofs-token pin change "$token" \
	--new-pin-source file:pin2
status 6 'no audit log, no change'

# --- on a terminal
if command -v script >/dev/null; then
	# what is typed, each once its prompt stands: tty CMD PROMPT INPUT...
	tty()
	{
		local cmd=$1

		shift
		: >screen
		{
			while [ $# -gt 0 ]; do
				for _ in $(seq 100); do
					grep -q "$1" screen 2>/dev/null && break
					sleep 0.05
				done
				sleep 0.2
				printf '%s\n' "$2"
				shift 2
			done
			sleep 0.3
		} | script -qec "$cmd; echo status \$?" /dev/null >screen 2>&1
		out=$(tr -d '\r' <screen)
	}
	typed=$(secret)
	change="env -u OFS_PIN_SOURCE ofs-token pin change $token"
	tty "$change" '^PIN of' "$(cat "$pin")" '^new PIN of' "$typed" \
		'^new PIN again' "$typed"
	like "$out" '^status 0' 'PINs that are typed'
	unlike "$out" "$typed|$(cat "$pin")" 'do not show'
	tty "$change" '^PIN of' "$typed" '^new PIN of' one '^new PIN again' two
	like "$out" 'the two PINs differ; nothing was changed' 'a slip is noticed'
	like "$out" '^status 4' 'and exit 4'
	printf '%s' "$typed" >typed
	chmod 600 typed
	must ofs-token pin change "$token" --pin-source file:typed \
		--new-pin-source "file:$pin"
	delete="ofs-token delete '$token;object=other'"
	tty "$delete" '^type the label' othre
	like "$out" '^  private key +RSA-2048 .other., id [0-9a-f]+$' \
		'delete shows what it will delete'
	like "$out" '^  certificate' 'all of it'
	like "$out" '^ +CN=Other$' 'with its subject'
	like "$out" 'never left it: there is no' 'and says what is lost'
	like "$out" 'something else was typed; nothing was changed' \
		'a slip deletes nothing'
	like "$out" '^status 7' 'and exit 7'
	is "$(ofs-token keys "$token" --json | jq -r .label)" other \
		'the key is there'
	tty "$delete" '^type the label' other
	like "$out" '^status 0' 'its label, typed'
	is "$(ofs-token keys "$token" --json)" '' 'deletes it'
	must ofs-token enroll "$token;object=log" --key-type rsa:2048 --use log
	tty "ofs-token delete '$token;object=log'" '^type the label' no
	like "$out" 'has it as its station key' 'one that opens logs: says so'
	must ofs-token delete "$token;object=log" --yes log
fi

run ofs-audit verify
status 0 'the log verifies'
for secret in "$pin" "$so" pin2 so2; do
	run grep -qaF "$(cat "$secret")" "$OFS_AUDIT/log.db"
	status 1 "the log does not hold the PIN in '${secret##*/}'"
done
done_testing
