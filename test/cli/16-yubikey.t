#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The life of a key on a token whose SO makes keys, and fixes their names: a
# YubiKey through ykcs11. Every C_Login is counted.
# shellcheck disable=SC2154
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/faultp11.sh"

compgen -G '/usr/lib/*/softhsm/libsofthsm2.so' >/dev/null ||
	skip_all 'SoftHSM2 is not installed'
sandbox_start
cd "$T" || exit 1
pin=$(cat sandbox/pin)
so_pin=$(cat sandbox/so-pin)
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
export FAULTP11_SCRIPT='yubikey; attest' FAULTP11_PIN=$pin
so=(--so-pin-source "file:$T/sandbox/so-pin")
u='pkcs11:token=sandbox'

# run, with the calls of each function in $T/counts, and what was said in $said
tried()
{
	rm -f counts
	FAULTP11_COUNTS=$T/counts run "$@"
	said+="$out$err"
}
logins() # WANT NAME: the calls of C_Login, C_GenerateKeyPair, C_Sign
{
	is "$(for f in C_Login C_GenerateKeyPair C_Sign; do
		fault_calls counts $f
	done | xargs)" "$1" "$2: the calls"
}
spki() # ID: what the token says of the key
{
	ofs-token keys "$u" --json | jq -r "select(.id == \"$1\") | .spki_sha256"
}
said=''

must openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout ca.key -out ca.crt -subj /CN=CA

# no key where nothing says what the SO PIN is, or where the key is to go
tried ofs-token enroll "$u;id=%01" --key-type ec:P-256
status 4 'enroll without an SO PIN'
like "$err" "on token 'sandbox' the SO makes keys.*pass --so-pin-source" \
	'says what to do'
like "$err" 'its management key in hex' 'and what the SO PIN is here'
logins '1 0 0' 'the user only'
tried ofs-token enroll "$u;object=batch" --key-type ec:P-256 "${so[@]}"
status 2 'enroll without a slot'
like "$err" 'the id is the number of the slot.*id=%01 is 9a' 'names the slots'
logins '0 0 0' 'nobody is asked for a PIN'
tried ofs-token enroll "$u;id=%19" --key-type ec:P-256 "${so[@]}"
like "$err" "maker's attestation key" 'slot f9 is not touched'
logins '0 0 0' 'slot f9'
tried ofs-token enroll "$u;id=%02" --key-type ec:P-256 "${so[@]}"
like "$err" 'the PIN for every signature; choose --always-auth' \
	'slot 9c is a choice, made before there is a key'
logins '0 0 0' 'slot 9c without a choice'
printf 'wrong' >wrong-pin
chmod 600 wrong-pin
tried ofs-token enroll "$u;id=%01" --key-type ec:P-256 \
	--so-pin-source "file:$T/wrong-pin"
status 4 'a wrong SO PIN'
like "$err" 'rejected the SO PIN; it is not tried again' 'is said to be one'
logins '3 0 0' 'the user, the SO once, the user again'

# the whole life of one
tried ofs-token enroll "$u;id=%01" --key-type ec:P-256 "${so[@]}" \
	--subject /CN=Card --csr req.pem --json
status 0 'enroll with a request'
# three templates, until one is taken
logins '3 3 2' 'user, SO, user; proof and request'
is "$(jq -r '[.id, .label, .extractable, .sensitive, .certificate] |
	map(tostring) | join(" ")' <<<"$out")" \
	'01 Private key for PIV Authentication false true null' \
	"what the token made of it; ykcs11's placeholder is no certificate"
is "$(jq -r .attestation.subject <<<"$out")" 'CN=YubiKey PIV Attestation 9a' \
	'its attestation is kept'
old=$(jq -r .spki_sha256 <<<"$out")
key=$(jq -r .uri <<<"$out")
must openssl req -in req.pem -verify -noout
must openssl x509 -req -in req.pem -CA ca.crt -CAkey ca.key -CAcreateserial \
	-days 30 -out cert.pem
tried ofs-token import-cert "$u;id=%01" cert.pem
status 4 'import-cert without an SO PIN'
like "$err" 'the SO stores certificates' 'says what to do'
tried ofs-token import-cert "$u;id=%01" cert.pem "${so[@]}"
status 0 'import-cert'
logins '3 0 0' 'user, SO, user'
echo one >one
echo two >two
echo three >three
tried ofs-sign --key "$key" one two three
status 0 'three files are signed'
logins '1 0 3' 'the user alone'
tried ofs-verify --trust ca.crt one two three
status 0 'and verify with the certificate of the CA'
tried ofs-token adopt "$u;id=%01" --json
status 0 'a key that is there can be adopted'
is "$(jq -r '[.certificate.subject, .attestation.subject] | join(" ")' \
	<<<"$out")" 'CN=Card CN=YubiKey PIV Attestation 9a' \
	'with its certificate and its attestation'
logins '1 0 1' 'adopted by the user alone'

# generation overwrites: an occupied slot is left alone
tried ofs-token enroll "$u;id=%01" --key-type ec:P-256 "${so[@]}"
status 5 'a slot with a key in it'
like "$err" "has a private key '.*' with the same id" 'is refused'
logins '1 0 0' 'the SO is not even asked for'
is "$(spki 01)" "$old" 'and the key is the old one'
must ofs-sign --key "$key" --force one
must ofs-verify --trust ca.crt one
ok $? 'which signs as before'

# both PINs are asked for one after the other, and which is which is said
if command -v script >/dev/null; then
	# prompted REGEX TEXT: types it when the terminal shows that
	prompted()
	{
		for _ in {1..100}; do
			grep -qE "$1" screen && break
			sleep 0.1
		done
		printf '%s\n' "$2"
	}
	: >screen
	{
		prompted '^PIN of .sandbox' "$pin"
		prompted '^SO PIN .the management key, in hex. of .sandbox' \
			"$so_pin"
	} | OFS_PIN_SOURCE=prompt script -qec \
		"ofs-token enroll '$u;id=%07' --key-type ec:P-256" /dev/null \
		>screen 2>&1
	is "$?" 0 'enroll asks for both PINs on the terminal'
	like "$(cat screen)" 'label +Private key for Retired Key 3' 'and goes on'
	is "$(grep -c 'PIN.* of ' screen)" 2 'each is asked for once'
	said+=$(cat screen)
fi

# names are fixed; the module does not delete keys, whatever it answers
tried ofs-token rename "$u;id=%01" --label other "${so[@]}"
status 2 'rename'
like "$err" 'labels and ids on a YubiKey are fixed' 'says why not'
logins '1 0 0' 'rename: the SO is not asked for'
tried ofs-token delete "$u;id=%01" --yes 'Private key for PIV Authentication' \
	"${so[@]}"
status 2 'delete'
like "$err" 'deletes certificates only.*ykman piv keys delete 9a' \
	'says who can'
logins '1 0 0' 'delete: the SO is not asked for'
is "$(spki 01)" "$old" 'the key stays'
tried ofs-token delete "$u;id=%01" --cert-only "${so[@]}" \
	--yes 'Private key for PIV Authentication' --json
status 0 'delete --cert-only'
logins '3 0 0' 'delete --cert-only: user, SO, user'
is "$(jq -r '.objects[].subject' <<<"$out")" CN=Card 'deletes what it shows'
is "$(ofs-token keys "$u" --json | jq -c 'select(.id == "01") |
	[.certificate, .private_key]')" '[null,true]' \
	'the key is there, without certificate'

# a self-signed certificate, where the PIN is wanted for each signature
tried ofs-token enroll "$u;id=%02;object=batch" --key-type rsa:2048 \
	"${so[@]}" --subject /CN=Self --self-signed --always-auth hold \
	--cert-out self.pem
status 0 'enroll in slot 9c with a self-signed certificate'
# twice user, SO, user, less one; and one for each signature
logins '7 3 2' 'two turns of the SO, a PIN for each signature'
like "$err" "calls the new key 'Private key for Digital Signature'.*not 'batch'" \
	'the name that it did not get is said'
unlike "$out" 'object=batch' 'and not in what to do next'
tried ofs-sign --key "$u;id=%02" --always-auth hold two --force
status 0 'it signs'
must ofs-verify --trust self.pem two
ok $? 'and is verified'

# what an erased one becomes
tried ofs-token init --label sandbox --token "$u" "${so[@]}"
status 3 'init of a YubiKey in use'
like "$err" 'all keys on it would be lost' 'is refused'
logins '0 0 0' 'init asks for no PIN'
is "$(fault_calls counts C_InitToken)" 0 'and the token is not touched'
is "$(spki 01)" "$old" 'its keys are there'

tried ofs-token init --label mine --erase sandbox "${so[@]}"
status 2 'init --erase with another label'
like "$err" 'the label of a YubiKey is fixed' 'says that it cannot have that'
is "$(spki 01)" "$old" 'its keys are there'
printf 654321 >pin2
chmod 600 pin2
tried ofs-token init --label sandbox --erase sandbox "${so[@]}" \
	--pin-source "file:$T/pin2" --json
status 0 'init --erase'
is "$(fault_calls counts C_InitToken) $(fault_calls counts C_InitPIN) \
$(fault_calls counts C_SetPIN)" '1 0 1' "the new PIN replaces the maker's"
like "$err" 'PUK .* is what its maker has set' 'the PUK is spoken of'
FAULTP11_PIN=654321
OFS_PIN_SOURCE=file:$T/pin2
is "$(ofs-token keys "$u" --json)" '' 'no key is left'
tried ofs-token enroll "$u;id=%03" --key-type ec:P-256 "${so[@]}"
status 0 'the new PIN and the old SO PIN are right'

tried ofs-audit verify
status 0 'the audit log verifies'
is "$(ofs-audit list --json --type login | jq -r '.seq' | wc -l |
	xargs test 15 -lt && echo many)" many 'logins are in it'
unlike "$said" "$pin|$so_pin" 'no PIN was ever said'
unlike "$(ofs-audit list --json)" "$pin|$so_pin" 'nor recorded'

# another token whose SO looks after keys, which says so when it is asked
export FAULTP11_SCRIPT='sowrites'
tried ofs-token enroll "$u;object=plain" --key-type ec:P-256 "${so[@]}" \
	--subject /CN=Plain --self-signed
status 0 'enroll where the token refuses the user'
logins '5 2 2' 'asked as user and as SO, then user and SO in turn'
tried ofs-token rename "$u;object=plain" --label renamed "${so[@]}"
status 0 'rename by the SO'
logins '3 0 0' 'rename: user, SO, user'
tried ofs-token delete "$u;object=renamed" --yes renamed "${so[@]}"
status 0 'delete by the SO'
logins '3 0 0' 'delete: user, SO, user'
run ofs-token export-cert "$u;object=renamed"
isnt "$rc" 0 'it is gone'
tried ofs-audit verify
status 0 'the audit log verifies'
done_testing
