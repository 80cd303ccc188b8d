#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# enroll: names, key usage and extensions that a CA asks for, read by openssl.
. "$(dirname "$0")/../lib/tap.sh"

compgen -G '/usr/lib/*/softhsm/libsofthsm2.so' >/dev/null ||
	skip_all 'SoftHSM2 is not installed'
sandbox_start
cd "$T" || exit 1

enroll() # OBJECT OPTION...
{
	run ofs-token enroll "pkcs11:token=sandbox;object=$1" \
		--key-type ec:P-256 --subject /CN=x "${@:2}"
}

enroll plain --csr plain.pem
status 0 'a request without extensions'
unlike "$(openssl req -in plain.pem -noout -text)" 'X509v3' 'has none'
enroll req --csr req.pem --san 'DNS:a.example,email:b@example' \
	--key-usage nonRepudiation --ext extendedKeyUsage=emailProtection \
	--ext 'certificatePolicies=1.2.3.4'
status 0 'a request with extensions'
text=$(openssl req -in req.pem -noout -text -verify 2>&1)
like "$text" 'verify OK' 'it verifies'
like "$text" 'DNS:a.example, email:b@example' '--san'
is "$(grep -A1 'X509v3 Key Usage' <<<"$text" | xargs)" \
	'X509v3 Key Usage: critical Non Repudiation' '--key-usage is critical'
like "$text" 'E-mail Protection' '--ext'
like "$text" 'Policy: 1.2.3.4' '--ext again'

enroll self --self-signed --cert-out self.pem --san URI:urn:x \
	--key-usage critical,digitalSignature --ext basicConstraints=CA:FALSE
status 0 'a certificate with extensions'
text=$(openssl x509 -in self.pem -noout -text)
like "$text" 'URI:urn:x' 'names it has'
is "$(grep -A1 'X509v3 Key Usage' <<<"$text" | xargs)" \
	'X509v3 Key Usage: critical Digital Signature' 'its usage is replaced'
is "$(grep -c 'X509v3 Basic Constraints' <<<"$text")" 1 'and so are others'
like "$text" 'Subject Key Identifier' 'what is not named stays'
echo one >one
run ofs-sign --key 'pkcs11:token=sandbox;object=self' one
status 0 'the key signs'
run ofs-verify --trust self.pem one
status 0 'and its certificate verifies'

before=$(ofs-audit list --json | wc -l)
for bad in subjectAltName=@alt keyUsage=keyEncipherment nonsense=1 \
	'subjectAltName=dirName:x' "keyUsage=nonRepudiation"; do
	enroll bad --csr bad.pem --key-usage digitalSignature --ext "$bad"
	status 2 "refused: $bad"
	like "$err" "cannot use the extension '" 'and says so'
done
enroll bad --csr bad.pem --key-usage keyAgreement
status 2 'a usage that cannot sign is refused'
like "$err" 'needs digitalSignature or nonRepudiation' 'and says why'
[ ! -e bad.pem ]
ok $? 'no request was written'
run ofs-token keys 'pkcs11:token=sandbox'
unlike "$out" '^  label +bad$' 'and no key was made'
is "$(ofs-audit list --json | jq -r .type_name | tail -n +$((before + 1)) |
	sort -u)" login 'nor anything signed'
done_testing
