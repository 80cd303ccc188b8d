#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A vendor's attestation certificate on the token: kept in the log with the key
# record, and never taken for the key's own certificate, though ykcs11 shows it
# under the id of the key.
. "$(dirname "$0")/../lib/tap.sh"

compgen -G '/usr/lib/*/softhsm/libsofthsm2.so' >/dev/null ||
	skip_all 'SoftHSM2 is not installed'
sandbox_start
cd "$T" || exit 1
att='X.509 Certificate for PIV Attestation'

p11()
{
	must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --login \
		--pin "$(cat sandbox/pin)" "$@"
}
make_key() # ID LABEL: and its public key in ID.pem
{
	p11 --keypairgen --key-type EC:prime256v1 --id "$1" --label "$2" \
		--sensitive --usage-sign
	p11 --read-object --type pubkey --id "$1" --output-file "$1.der"
	must openssl pkey -pubin -inform DER -in "$1.der" -out "$1.pem"
}
make_ca() # NAME
{
	must openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
		-nodes -keyout "$1.key" -out "$1.crt" -subj "/CN=$1"
}
certify() # KEY-ID CA OUT SUBJECT: for the public key of KEY-ID
{
	must openssl req -new -key "$2.key" -subj "$4" -out any.csr
	must openssl x509 -req -in any.csr -force_pubkey "$1.pem" -CA "$2.crt" \
		-CAkey "$2.key" -CAcreateserial -days 30 -outform DER -out "$3"
}
store() # FILE ID LABEL
{
	p11 --write-object "$1" --type cert --id "$2" --label "$3"
}
sha()
{
	sha256sum "$1" | cut -d' ' -f1
}
labels()
{
	pkcs11-tool --module "$OFS_MODULE" --token-label sandbox \
		--list-objects --type cert 2>/dev/null |
		sed -n 's/^  label: *//p' | sort
}

make_key 0a card
make_key 0b other
make_key 0c third
make_key 0d none
make_ca ca
make_ca vendor
openssl x509 -in vendor.crt -outform DER -out vendor.der
certify 0a ca own.der /CN=Own
sleep 1.1 # the attestation is newer than the key's own certificate
certify 0a vendor att-a.der '/CN=Attestation 9a'
certify 0b vendor att-b.der '/CN=Attestation 9c'
certify 0c vendor att-c.der '/CN=No word of it'
store own.der 0a card
store att-a.der 0a "$att 9a"
store att-b.der 0b "$att 9c"
store att-c.der 77 'made by the vendor'
store vendor.der 19 "$att"

run ofs-token adopt 'pkcs11:token=sandbox;object=card' --json
status 0 'adopt'
is "$(jq -r .certificate.subject <<<"$out")" CN=Own \
	"the key's certificate is its own"
is "$(jq -r '.attestation | [.subject, .issuer, .sha256, .issuer_sha256] |
	join(" ")' <<<"$out")" \
	"CN=Attestation 9a CN=vendor $(sha att-a.der) $(sha vendor.der)" \
	'the attestation is shown with its issuer'
seq=$(jq -r .seq <<<"$out")
must ofs-audit show --json "$seq"
is "$(jq -r '.body | [.attestation_sha256, .attestation_issuer_sha256] |
	join(" ")' <<<"$out")" "$(sha att-a.der) $(sha vendor.der)" \
	'both are in the record'

run ofs-token adopt 'pkcs11:token=sandbox;object=other'
status 0 'a key without certificate of its own'
like "$out" '^  certificate +none$' 'has none, though it is attested'
like "$out" '^  attestation +CN=Attestation 9c$' 'and is shown for people'
run ofs-token adopt 'pkcs11:token=sandbox;object=third' --json
status 0 'an attestation under another id, without the word'
is "$(jq -r .attestation.sha256 <<<"$out")" "$(sha att-c.der)" 'is found'
run ofs-token adopt 'pkcs11:token=sandbox;object=none' --json
status 0 'a key without attestation'
is "$(jq -r .attestation <<<"$out")" null 'has none'
run ofs-token enroll 'pkcs11:token=sandbox;object=new' --key-type ec:P-256 \
	--subject /CN=new --self-signed --json
status 0 'a new key'
is "$(jq -r .attestation <<<"$out")" null 'has none: only its own certificate'

echo one >one
run ofs-sign --key 'pkcs11:token=sandbox;object=card' one
status 0 'the key signs'
run ofs-verify --trust ca.crt one
status 0 'with its own certificate'

certify 0a ca newer.der /CN=Newer
run ofs-token import-cert 'pkcs11:token=sandbox;object=card' newer.der
status 0 "the key's certificate is replaced"
is "$(labels | grep -cE "^(card|$att 9a)\$")" 2 \
	'and the attestation stays on the token'
run ofs-token adopt 'pkcs11:token=sandbox;object=card' --json
is "$(jq -r '[.certificate.subject, .attestation.subject] | join(" ")' \
	<<<"$out")" 'CN=Newer CN=Attestation 9a' 'each is what it was'

run ofs-audit verify
status 0 'the log verifies'
must sqlite3 "$OFS_AUDIT/log.db" \
	"DELETE FROM cert WHERE sha256 = x'$(sha vendor.der)'"
run ofs-audit verify
status 6 'not without a certificate that a key record names'
like "$out$err" 'the certificate that it names is not kept' 'and says so'
done_testing
