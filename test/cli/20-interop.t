#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What we sign, in the hands of programs that we did not write: openssl, gpgsm,
# certtool, NSS. Each of them must also refuse a changed document here, so that
# its yes means something.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1

skip()
{
	tap_n=$((tap_n + 1))
	printf 'ok %d # SKIP %s\n' "$tap_n" "$1"
}

# --- the other programs: PROGRAM DOCUMENT SIGNATURE prints what it says and
# succeeds where it accepts; $ca, $pub, $digest and $signer say what it needs
by_openssl()
{
	openssl cms -verify -cades -binary -inform DER -in "$2" -content "$1" \
		-CAfile "$ca" -purpose any -out /dev/null 2>&1
}

by_openssl_attached()
{
	openssl cms -verify -cades -binary -inform DER -in "$2" \
		-CAfile "$ca" -purpose any -out "$2.content" 2>&1 &&
		cmp "$1" "$2.content" 2>&1
}

by_openssl_dgst()
{
	openssl dgst "-$digest" -verify "$pub" -signature "$2" "$1" 2>&1
}

# a verdict on the signature, one on the chain, both on the right certificate
by_gpgsm()
{
	local said rc=0

	said=$(gpgsm --status-fd 1 --verify "$2" "$1" 2>&1) || rc=$?
	printf '%s\n' "$said"
	[ "$rc" -eq 0 ] && [[ $said == *"[GNUPG:] GOODSIG $signer "* &&
		$said == *"[GNUPG:] VALIDSIG $signer "* &&
		$said == *'[GNUPG:] TRUST_FULLY '* &&
		$said == *'Good signature from'* ]]
}

by_gpgsm_attached()
{
	local said rc=0

	said=$(gpgsm --status-fd 1 --output "$2.gpgsm" --verify "$2" 2>&1) ||
		rc=$?
	printf '%s\n' "$said"
	[ "$rc" -eq 0 ] &&
		[[ $said == *"[GNUPG:] VALIDSIG $signer "* &&
		$said == *'Good signature from'* ]] && cmp "$1" "$2.gpgsm" 2>&1
}

by_certtool()
{
	local said rc=0

	said=$(certtool --p7-verify --inder --infile "$2" --load-data "$1" \
		--load-ca-certificate "$ca" 2>&1) || rc=$?
	printf '%s\n' "$said"
	[ "$rc" -eq 0 ] && [[ $said == *'Signature status: ok'* ]]
}

# cmsutil exits with 0 whatever it finds
by_nss()
{
	local said

	said=$(cmsutil -D -d sql:nss -i "$2" -c "$1" -n -h 1 2>&1) ||
		return
	printf '%s\n' "$said"
	[[ $said == *'nsigners=1;'* && $said == *'.status=GoodSignature;'* ]]
}

# each PROGRAM DIR SUFFIX DOC...: a line for each document
each()
{
	local program=$1 dir=$2 suffix=$3 doc said

	shift 3
	for doc; do
		if said=$("$program" "$doc" "$dir/$doc$suffix"); then
			echo accepted
		else
			printf 'refused %s: %s\n' "$doc" "${said//$'\n'/; }"
		fi
	done
}
export -f by_openssl by_openssl_attached by_openssl_dgst by_gpgsm \
	by_gpgsm_attached by_certtool by_nss each

# accepts PROGRAM DIR SUFFIX NAME DOC...: two of the programs at a time
accepts()
{
	local program=$1 dir=$2 suffix=$3 name=$4 start=$SECONDS good

	shift 4
	printf '%s\0' "$@" | xargs -0 -n 50 -P 2 bash -c 'each "$@"' each \
		"$program" "$dir" "$suffix" >said 2>&1
	good=$(grep -cx accepted said)
	[ "$good" -eq $# ]
	ok $? "$program accepts $name: $good of $# ($((SECONDS - start)) s)" \
		"$(grep -vx accepted said | head -5)"
}

# refuses PROGRAM SIGNATURE NAME: the same for the document 'changed'
refuses()
{
	local said

	! said=$("$1" changed "$2")
	ok $? "$1 refuses $3" "$said"
}

# valid N NAME VERIFY-ARGS...: ofs-verify calls N documents valid in one call
valid()
{
	local n=$1 name=$2

	shift 2
	run ofs-verify --json "$@"
	is "$rc $(jq -r 'select(.type == "verdict") | .verdict' <"$T/.out" |
		sort | uniq -c | xargs)" "0 $n valid" \
		"ofs-verify accepts $name" ||
		tap_comment "$(jq -c 'select(.verdict != "valid")' <"$T/.out" |
			head -5)" "$err"
}

# sign KEY DIR N SIGN-ARGS...
sign()
{
	local key=$1 dir=$2 n=$3

	shift 3
	run ofs-sign --key "pkcs11:token=sandbox;object=$key" --out "$dir" "$@"
	[ "$rc" -eq 0 ] && [ "$(find "$dir" -type f | wc -l)" -eq "$n" ]
	ok $? "$dir: $n documents signed" "$(tail -5 <<<"$out")
$err"
}

# a keyring of our own, and no network
gpg_end()
{
	local code=$?

	gpgconf --kill all 2>/dev/null
	gpgconf --remove-socketdir 2>/dev/null
	(exit $code)
	tap_end
}
export GNUPGHOME=$T/gpg
mkdir -m 700 "$GNUPGHOME" nss
trap gpg_end EXIT
printf '%s\n' batch no-tty disable-dirmngr disable-crl-checks \
	>"$GNUPGHOME/gpgsm.conf"
must certutil -N -d sql:nss --empty-password

fingerprint()
{
	openssl x509 -in "$1" -noout -fingerprint -sha1 |
		sed 's/.*=//; s/://g'
}

gpg_trust()
{
	echo "$(fingerprint "$1") S relax" >>"$GNUPGHOME/trustlist.txt"
	gpgconf --reload gpg-agent # it reads the list once
}

# enroll NAME TYPE: NAME.pem and NAME.pub, trusted by gpgsm
enroll()
{
	must ofs-token enroll "pkcs11:token=sandbox;object=$1" --key-type "$2" \
		--subject "/O=Acme/CN=$1" --self-signed --days 30 \
		--cert-out "$1.pem"
	must openssl x509 -in "$1.pem" -noout -pubkey -out "$1.pub"
	gpg_trust "$1.pem"
	# 2.2 cannot do P-521: 'hash length [must] be a multiple of 8 bits'
	[ "$2" = ec:P-521 ] || must gpgsm --import "$1.pem"
}

# takes NAME [DIGEST]: what the other programs are told
takes()
{
	export ca=$1.pem pub=$1.pub digest=${2:-sha256} signer
	signer=$(fingerprint "$1.pem")
}

# --- real documents: what this system has, and payment messages
docs=()
for f in /usr/share/doc/*/copyright; do
	[ -f "$f" ] && [ -r "$f" ] && docs+=("$f")
done
echo "# ${#docs[@]} copyright files"
if [ ${#docs[@]} -eq 0 ]; then
	skip 'no /usr/share/doc/*/copyright on this system'
fi
if [ -d "${OFS_SAMPLES:-/nonexistent}/iso20022" ]; then
	mapfile -d '' -t xml < <(find "$OFS_SAMPLES/iso20022" -type f -print0 |
		sort -z)
	echo "# ${#xml[@]} payment messages"
	docs+=("${xml[@]}")
else
	skip 'no payment messages: make SAMPLES=FOLDER, with iso20022 in it'
fi
echo changed >changed
total=${#docs[@]}

enroll rsa2048 rsa:2048
enroll p256 ec:P-256
for key in rsa2048 p256; do
	[ "$total" -gt 0 ] || break
	takes $key
	sign $key cms-$key "$total" "${docs[@]}"
	valid "$total" "$total CMS by $key" --trust "$ca" --sig cms-$key \
		"${docs[@]}"
	accepts by_openssl cms-$key .p7s "CMS by $key" "${docs[@]}"
	accepts by_gpgsm cms-$key .p7s "CMS by $key" "${docs[@]}"
	sign $key raw-$key "$total" --format raw "${docs[@]}"
	valid "$total" "$total raw by $key" --trust "$ca" --signer "$ca" \
		--sig raw-$key "${docs[@]}"
	valid "$total" "$total raw by $key, given the public key" \
		--signer "$pub" --sig raw-$key "${docs[@]}"
	accepts by_openssl_dgst raw-$key .sig "raw by $key" "${docs[@]}"
done

# --- awkward documents: every key type, format and digest
: >empty
printf '\r\nno text: \0\377\r\r\n.\n' >'a binary'
head -c 70000 /dev/urandom >random
odd=(empty 'a binary' random)

enroll rsa3072 rsa:3072
enroll p384 ec:P-384
enroll p521 ec:P-521

# matrix KEY DIGEST [SIGN-ARGS...]
matrix()
{
	local key=$1 hash=$2 what="$1, $2" dir=$1-$2

	shift 2
	takes "$key" "$hash"
	must certutil -A -d sql:nss -n "$key" -t P,P,P -i "$ca"

	sign "$key" "$dir.cms" 3 "$@" "${odd[@]}"
	valid 3 "$what" --trust "$ca" --sig "$dir.cms" "${odd[@]}"
	is "$(openssl cms -cmsout -print -inform DER -in "$dir.cms/random.p7s" |
		sed -n '/digestAlgorithms:/,/encapContentInfo:/s/^ *algorithm: //p' |
		cut -d' ' -f1)" \
		"$hash" "$what: openssl reads the digest"
	accepts by_openssl "$dir.cms" .p7s "$what" "${odd[@]}"
	refuses by_openssl "$dir.cms/random.p7s" "$what, changed document"
	# it takes an empty document for one that is missing
	accepts by_certtool "$dir.cms" .p7s "$what" "${odd[@]:1}"
	refuses by_certtool "$dir.cms/random.p7s" "$what, changed document"
	accepts by_nss "$dir.cms" .p7s "$what" "${odd[@]}"
	refuses by_nss "$dir.cms/random.p7s" "$what, changed document"

	sign "$key" "$dir.att" 3 --format cms-attached "$@" "${odd[@]}"
	valid 3 "$what, attached" --trust "$ca" "$dir".att/*.p7m
	accepts by_openssl_attached "$dir.att" .p7m "$what, attached" \
		"${odd[@]}"

	sign "$key" "$dir.raw" 3 --format raw "$@" "${odd[@]}"
	valid 3 "$what, raw" --signer "$pub" --sig "$dir.raw" "${odd[@]}"
	accepts by_openssl_dgst "$dir.raw" .sig "$what, raw" "${odd[@]}"
	refuses by_openssl_dgst "$dir.raw/random.sig" "$what, changed document"

	# 2.2 cannot do P-521, and exits with 2 after its "Good signature"
	# where the digest is shorter than the curve
	case $key,$hash in
	p521,* | p384,sha256) return ;;
	esac
	accepts by_gpgsm "$dir.cms" .p7s "$what" "${odd[@]}"
	refuses by_gpgsm "$dir.cms/random.p7s" "$what, changed document"
	accepts by_gpgsm_attached "$dir.att" .p7m "$what, attached" "${odd[@]}"
}
matrix rsa2048 sha256
matrix rsa2048 sha384 --digest sha384
matrix rsa2048 sha512 --digest sha512
matrix rsa3072 sha256
matrix p256 sha256
matrix p384 sha384
matrix p384 sha256 --digest sha256
matrix p521 sha512
matrix p521 sha384 --digest sha384
run ofs-sign --key 'pkcs11:token=sandbox;object=p256' --digest sha512 \
	--out long random
status 2 'a digest longer than the curve is refused'
like "$err" 'no longer than the key.s curve' 'which says what to take'

# --- a certificate from an authority with an intermediate; only its root is
# trusted, and it is not in the file
issue()
{
	must openssl x509 -req -in "$1.csr" -CA "$2.pem" -CAkey "$2.key" \
		-CAcreateserial -days 20 -extfile "$1.ext" -out "$1.pem"
}
newkey()
{
	must openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "$@"
}
newkey -x509 -days 30 -subj '/O=CA/CN=Root' -keyout root.key \
	-out root.pem -addext basicConstraints=critical,CA:TRUE \
	-addext keyUsage=critical,keyCertSign,cRLSign
newkey -subj '/O=CA/CN=Issuing' -keyout mid.key -out mid.csr
printf '%s\n' basicConstraints=critical,CA:TRUE,pathlen:0 \
	keyUsage=critical,keyCertSign,cRLSign subjectKeyIdentifier=hash \
	authorityKeyIdentifier=keyid >mid.ext
issue mid root
gpg_trust root.pem
must gpgsm --import root.pem
must certutil -A -d sql:nss -n root -t CT,CT,CT -i root.pem

for type in rsa:2048 ec:P-256; do
	key=leaf${type##*:}
	must ofs-token enroll "pkcs11:token=sandbox;object=$key" \
		--key-type $type --subject "/O=Acme/CN=$key" --csr $key.csr
	printf '%s\n' basicConstraints=critical,CA:FALSE \
		keyUsage=critical,digitalSignature,nonRepudiation \
		extendedKeyUsage=emailProtection \
		subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >$key.ext
	issue $key mid
	run ofs-token import-cert "pkcs11:token=sandbox;object=$key" $key.pem
	status 0 "$key: the certificate issued to the request is imported"
	cat $key.pem mid.pem >$key.chain
	what="$key with its intermediate"

	takes $key
	ca=root.pem
	sign $key $key.cms 3 --cert $key.chain "${odd[@]}"
	is "$(openssl pkcs7 -inform DER -in $key.cms/random.p7s -print_certs |
		sed -n 's/^subject=.*CN = //p' | sort | xargs)" \
		"Issuing $key" "$what: both are in the file, the root is not"
	valid 3 "$what" --trust root.pem --sig $key.cms "${odd[@]}"
	accepts by_openssl $key.cms .p7s "$what" "${odd[@]}"
	accepts by_certtool $key.cms .p7s "$what" "${odd[@]:1}"
	accepts by_nss $key.cms .p7s "$what" "${odd[@]}"
	accepts by_gpgsm $key.cms .p7s "$what" "${odd[@]}"
	for program in by_openssl by_certtool by_nss by_gpgsm; do
		refuses $program $key.cms/random.p7s "$what, changed document"
	done
	run ofs-verify --trust p256.pem --sig $key.cms random
	status 1 "$what: another's anchor is not enough"
	like "$out" '^untrusted +random' 'and ofs-verify says why'

	sign $key $key.bare 1 random # the token's certificate: the leaf
	run ofs-verify --trust root.pem --sig $key.bare random
	status 1 "$key without its intermediate: ofs-verify refuses"
	like "$out" '^untrusted +random' 'as untrusted'
	! said=$(by_openssl random $key.bare/random.p7s)
	ok $? 'and so does openssl' "$said"
done
done_testing
