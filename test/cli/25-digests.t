#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Digests made elsewhere: only with a key that may, marked in the record, and
# what is signed is valid for the documents in the hands of openssl.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
mkdir docs far out
for n in one two 'three  blanks'; do
	echo "$n" >"docs/$n"
done
printf 'four\n' >$'docs/four\nlines'
(cd docs && sha256sum -- *) >SUMS256
(cd docs && sha512sum -- *) >SUMS512

enroll() # NAME TYPE [OPTION...]
{
	local name=$1 type=$2

	shift 2
	must ofs-token enroll "pkcs11:token=sandbox;object=$name" \
		--key-type "$type" --subject "/CN=$name" --self-signed \
		--cert-out "$name.pem" "$@"
	openssl x509 -in "$name.pem" -noout -pubkey >"$name.pub"
}

format()
{
	sqlite3 "$OFS_AUDIT/log.db" 'PRAGMA user_version'
}

sign()
{
	local key=$1

	shift
	run ofs-sign --key "pkcs11:token=sandbox;object=$key" "$@"
}

# --- a key has to be enrolled for it
# one that is encrypted is of the newest format anyway
export OFS_AUDIT=$T/plain
must ofs-audit init --plain
enroll plain ec:P-256
is "$(format)" 1 'a key for documents leaves the format of the log'
OFS_PIN_SOURCE=file:/nonexistent sign plain --digests SUMS256 --out out
status 2 'a key for documents is refused, and no PIN is asked for'
like "$err" "'plain' was not enrolled for digests" 'with the reason'
like "$err" 'ofs-token adopt --use digest' 'and what to do'
is "$(ls out)" '' 'nothing is written'
sign plain --digests SUMS256 --out out --dry-run
status 2 'not even planned'
must ofs-token adopt 'pkcs11:token=sandbox;object=plain' --use digest
is "$(format)" 4 'the permission raises the format'
sign plain --digests SUMS256 --out out
status 0 'an adopted key signs'
must ofs-token adopt 'pkcs11:token=sandbox;object=plain'
sign plain --digests SUMS256 --out out --force
status 2 'what was said last counts'
rm -r out && mkdir out
run ofs-token enroll 'pkcs11:token=sandbox;object=x' --key-type ec:P-256 \
	--use money
status 2 'no other use'

# --- valid for the documents, which were not there
enroll ec ec:P-256 --use digest
enroll rsa rsa:2048 --use digest
enroll ed ed25519 --use digest
# OpenSSL 3.0 has no EdDSA in CMS
cms_ok()
{
	local said

	if [ "$3" = ed ]; then
		said=$(certtool --p7-verify --inder --infile "$2" \
			--load-data "$1" --load-ca-certificate ed.pem 2>&1)
		[[ $said == *'Signature status: ok'* ]]
		return
	fi
	openssl cms -verify -cades -binary -inform DER -in "$2" -content "$1" \
		-CAfile "$3.pem" -purpose any -out /dev/null 2>&1
}

check_cms() # KEY
{
	local d bad=0

	for d in docs/*; do
		cms_ok "$d" "out/${d#docs/}.p7s" "$1" || bad=1
	done
	ok "$bad" "$1: another program takes each"
	! cms_ok docs/one out/two.p7s "$1" >/dev/null
	ok $? "$1: and not for another document"
	rm -r out && mkdir out
}

mv docs hidden
for key in ec rsa; do
	sign "$key" --digests SUMS256 --out out --json
	status 0 "$key: signs digests"
	is "$(jq -r 'select(.signed != null) | .signed' <<<"$out" | tail -1)" 4 \
		'all of them'
	mv hidden docs
	check_cms "$key"
	mv docs hidden
done
sign ed --digests SUMS512 --out out
status 0 'ed: signs SHA-512 digests as CMS'
mv hidden docs
check_cms ed
sign ed --digests SUMS256 --out out
status 5 'ed: a list of another digest'
like "$err" 'line 1 is not a SHA-512' 'has its line'
sign ed --digests SUMS512 --out out --format raw
status 2 'ed: raw needs the message'
like "$err" 'over the document itself' 'and says so'

sign ec --digests SUMS256 --out out --format raw
status 0 'ec: raw'
openssl dgst -sha256 -verify ec.pub -signature out/one.sig docs/one >/dev/null
ok $? 'openssl takes it'
sign rsa --digests SUMS512 --out out --format raw --digest sha512 --force
status 0 'rsa: raw, SHA-512'
openssl dgst -sha512 -verify rsa.pub -signature out/one.sig docs/one >/dev/null
ok $? 'openssl takes it'
sign rsa --digests SUMS256 --out out --format raw --padding pss --force
status 0 'rsa: raw, PSS'
openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt \
	rsa_pss_saltlen:digest -verify rsa.pub -signature out/one.sig \
	docs/one >/dev/null
ok $? 'openssl takes it'
rm -r out && mkdir out
sign ec --digests SUMS256 --out out --format cms-attached
status 2 'there is nothing to attach'
sign ec --digests SUMS256 --out out --validate true
status 2 'nor to validate'

# --- what the record says of it
mv docs hidden
sign ec --digests SUMS256 --out out
must ofs-audit list --type outcome
like "$(tail -1 <<<"$out")" 'two \(its digest\)$' 'the list marks it'
seq=$(awk 'END { print $1 }' <<<"$out")
must ofs-audit show "$seq"
like "$out" 'document.input +digest' 'so does the record'
like "$out" "^ +$(sha256sum <hidden/two | cut -d' ' -f1)$" \
	'which has the digest'
run ofs-audit verify
status 0 'the log verifies'
sign ec --digests SUMS256 --out out
status 0 'again: signed before'
like "$out$err" '0 of 4 signed, 4 skipped|4 skipped' 'and skipped'

# --- beside the documents, planned, limited, resumed, from a pipe
mv hidden docs
(cd docs && sha256sum one two >SUMS)
must ofs-sign --key 'pkcs11:token=sandbox;object=ec' --digests docs/SUMS
ok "$([ -e docs/one.p7s ] && [ -e docs/two.p7s ]; echo $?)" \
	'names are relative to the list'
sign ec --digests SUMS256 --out far --dry-run
status 0 'a plan'
like "$out" '^items +4' 'counts'
sign ec --digests SUMS256 --out far --max-items 3
status 5 'a limit'
cat SUMS256 | ofs-sign --key 'pkcs11:token=sandbox;object=ec' --digests - \
	--out far >/dev/null 2>&1
is $? 0 'from a pipe'
is "$(find far -name '*.p7s' -printf x | wc -c)" 4 'all of them'

# --- bad lists
bad() # TEXT REGEX NAME
{
	printf '%b' "$1" >bad
	sign ec --digests bad --out out
	status 5 "$3"
	like "$err" "$2" "$3: says so"
}
hex=$(printf 'a%.0s' {1..64})
bad "$hex  a\n$hex  b" 'line 2 does not end in a newline' 'cut off'
bad "$hex  a\n${hex%a}  b\n" 'line 2 is not a SHA-256' 'too short'
bad "$hex  \n" 'line 1 has no name' 'no name'
bad "$hex  a\\0b\n" 'line 1 has a NUL' 'a NUL'
sign ec --digests /dev/null --out out
status 2 'an empty list'
like "$err" 'it is empty' 'is one'
done_testing
