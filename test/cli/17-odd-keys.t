#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Tokens with keys of every sort beside each other, and modules that say less of
# them than others, or say it in other words: listed, assessed, adopted, used.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
pin=$(cat sandbox/pin)
softhsm=$OFS_MODULE
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
adv=$OFS_TOP/tools/advisories
echo one >one

p11()
{
	must pkcs11-tool --module "$softhsm" --token-label "$on" --login \
		--pin "$pin" "$@"
}
on=sandbox
key()
{
	echo "pkcs11:token=$on;object=$1"
}
must openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout ca.key -out ca.crt -subj /CN=ca
for k in rsa:2048 ec:P-256 ed25519; do
	must ofs-token enroll "$(key "${k%%:*}")" --key-type "$k" \
		--subject "/CN=${k%%:*}" --self-signed
	must ofs-token export-cert "$(key "${k%%:*}")" --out "${k%%:*}.pem"
done
# another curve, a key for decryption, an AES key, a data object
p11 --keypairgen --key-type EC:brainpoolP256r1 --id 71 --label odd --sensitive
p11 --keypairgen --key-type rsa:2048 --id 72 --label mail --sensitive \
	--usage-decrypt
p11 --keygen --key-type AES:32 --id 73 --label secret --sensitive
p11 --write-object one --type data --label note --application-label x

works() # MODE: with rsa, ec and ed25519
{
	run ofs-token keys pkcs11:token=sandbox --json
	status 0 "$1: keys"
	is "$(jq -r '[.label, .key_type, .private_key, .certificate != null] |
		join(" ")' <<<"$out" | sort | xargs)" \
		'ec P-256 true true ed25519 Ed25519 true true mail RSA-2048 true false odd EC true false rsa RSA-2048 true true' \
		"$1: shows what there is"
	run ofs-token check pkcs11:token=sandbox --advisories "$adv" --json
	status 0 "$1: check finds nothing serious"
	is "$(jq -r 'select(.type == "summary").keys' <<<"$out")" 5 \
		"$1: check sees all keys"
	for k in rsa ec ed25519; do
		run ofs-token adopt "$(key $k)" --json
		status 0 "$1: adopt $k"
		rm -rf out
		run ofs-sign --key "$(key $k)" --out out one
		status 0 "$1: sign with $k"
		run ofs-verify --trust $k.pem one --sig out/one.p7s
		status 0 "$1: verify the signature of $k"
	done
	run ofs-sign --key "$(key odd)" --format raw --out out one
	status 2 "$1: a key of another curve is refused"
	like "$err" "'odd'.*its type, size or curve is not supported" \
		"$1: and it is said why"
}

works 'as it is'
# NSS knows none of these; openCryptoki and OpenSC lack some
FAULTP11_SCRIPT='noattr CKA_ALWAYS_AUTHENTICATE,CKA_ALLOWED_MECHANISMS,0x129,CKA_LOCAL,CKA_ALWAYS_SENSITIVE,CKA_NEVER_EXTRACTABLE' \
	works 'missing attributes'
FAULTP11_SCRIPT='ecpoint raw' works 'EC points bare'
FAULTP11_SCRIPT='ecpoint wrapped' works 'EC points in an OCTET STRING'

# --- no public key objects: the private object, or the certificate, tells
export FAULTP11_SCRIPT=nopublic
for k in rsa ec ed25519; do
	run ofs-token adopt "$(key $k)" --json
	status 0 "no public key object: adopt $k"
	is "$(jq .public_key <<<"$out")" false 'there is none'
	rm -rf out
	run ofs-sign --key "$(key $k)" --out out one
	status 0 "no public key object: sign with $k"
	run ofs-verify --trust $k.pem one --sig out/one.p7s
	status 0 'and verify'
done
run ofs-token keys pkcs11:token=sandbox --json
status 0 'no public key object: keys'
# RSA without public exponent and EC without point: only the certificate is left
FAULTP11_SCRIPT='nopublic
noattr CKA_PUBLIC_EXPONENT,CKA_EC_POINT,0x129'
for k in rsa ec ed25519; do
	rm -rf out
	run ofs-sign --key "$(key $k)" --out out one
	status 0 "the certificate alone tells: sign with $k"
	run ofs-verify --trust $k.pem one --sig out/one.p7s
	status 0 'and verify'
done
p11 --delete-object --type cert --label ec
rm -rf out
run ofs-sign --key "$(key ec)" --format raw --out out one
status 3 'nothing tells: refused'
like "$err" 'its public key cannot be read' 'and it is said why'
[ ! -e out/one.sig ]
ok $? 'and nothing is signed'
run ofs-token keys pkcs11:token=sandbox --json
status 0 'and the key is listed all the same'
is "$(jq -r 'select(.label == "ec") | .key_type' <<<"$out")" EC 'with its type'
unset FAULTP11_SCRIPT
must ofs-token import-cert "$(key ec)" ec.pem

# --- what the module says of the key decides, not what we asked for
FAULTP11_SCRIPT='noattr CKA_EXTRACTABLE' run ofs-token adopt "$(key ec)"
status 3 'a token that does not say whether a key can leave it: not adopted'
like "$err" "'ec' may be extractable" 'and it is said why'
FAULTP11_SCRIPT='noattr CKA_EXTRACTABLE' \
	run ofs-token enroll "$(key new)" --key-type ec:P-256
status 3 'nor enrolled'
run ofs-token keys pkcs11:token=sandbox
unlike "$out" 'new' 'and the key is deleted'
p11 --keypairgen --key-type EC:prime256v1 --id 74 --label loose --extractable
run ofs-token adopt "$(key loose)"
status 3 'a key that can leave the token is not adopted'

# --- signatures of the wrong length, and wrong ones
for fault in length=-1 length=+8 length=0 length=100000 wrong; do
	for k in rsa ec ed25519; do
		rm -rf out
		FAULTP11_SCRIPT="C_Sign 1+ $fault" \
			run ofs-sign --key "$(key $k)" --out out one
		# never an output, and it counts as the token's fault
		status 3 "$fault, $k: not signed"
		[ ! -e out/one.p7s ]
		ok $? "$fault, $k: nothing is handed out"
	done
	FAULTP11_SCRIPT="C_Sign 1+ $fault" run ofs-token adopt "$(key ec)"
	isnt "$rc" 0 "$fault: not adopted"
done

# --- two keys with one id, or one label
p11 --keypairgen --key-type EC:prime256v1 --id 75 --label first --sensitive
p11 --keypairgen --key-type EC:prime256v1 --id 75 --label second --sensitive
p11 --keypairgen --key-type EC:prime256v1 --id 76 --label second --sensitive
for uri in 'pkcs11:token=sandbox;id=%75' 'pkcs11:token=sandbox;object=second'; do
	run ofs-sign --key "$uri" --format raw --out out one
	status 3 "$uri: two keys match"
	like "$err" "more than one key.*'second' \(id 75\)" 'they are named'
	run ofs-token adopt "$uri"
	status 3 'not adopted'
done
run ofs-sign --key 'pkcs11:token=sandbox;id=%76' --format raw --out out one
status 0 'the one with an id of its own signs'
run ofs-sign --key 'pkcs11:token=sandbox;object=first' --format raw \
	--out out2 one
status 3 'with two public keys of one id, an EC key is not trusted'
like "$err" 'two public keys have its id' 'and it is said why'
run ofs-token keys pkcs11:token=sandbox
status 0 'keys lists them'
run ofs-token check pkcs11:token=sandbox --advisories "$adv" --json
is "$(jq -r 'select(.type == "finding") | .id' <<<"$out" | grep duplicate |
	sort | uniq -c | xargs)" '2 duplicate-id 1 duplicate-label' \
	'check finds both' "$out"

# --- certificates and nothing else
must ofs-token init --module "$softhsm" --label archive \
	--so-pin-source file:sandbox/so-pin --pin-source file:sandbox/pin
on=archive
openssl x509 -in ca.crt -outform DER -out ca.der
p11 --write-object ca.der --type cert --id 01 --label ca
run ofs-token list
status 0 'a token with certificates only: list'
run ofs-token keys pkcs11:token=archive --json
status 0 'keys'
is "$(jq -r '[.label, .private_key, .certificate.subject] | join(" ")' \
	<<<"$out")" 'ca false CN=ca' 'shows the certificate'
run ofs-token check pkcs11:token=archive --advisories "$adv" --json
status 0 'check'
run ofs-token info pkcs11:token=archive
status 0 'info'
run ofs-sign --key "$(key ca)" --out out3 one
status 3 'there is no key to sign with'
like "$err" 'there is none on .archive.' 'says so'
run ofs-token adopt "$(key ca)"
status 3 'nor to adopt'
run ofs-token export-cert "$(key ca)"
status 0 'the certificate is handed out'

run ofs-audit verify
status 0 'the log verifies'
done_testing
