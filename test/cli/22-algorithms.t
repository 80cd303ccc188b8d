#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# RSA-PSS, secp256k1, Ed25519 and Ed448: what we sign with them, in the hands of
# programs that we did not write. Each of them must refuse a changed document
# here, too. And what is asked of a token that lacks a mechanism.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
echo changed >changed
head -c 70000 /dev/urandom >random
printf '\r\nno text: \0\377\r\r\n.\n' >binary
docs=(random binary)

# --- the other programs: PROGRAM DOCUMENT SIGNATURE; $key says whose it is
by_openssl()
{
	openssl cms -verify -cades -binary -inform DER -in "$2" -content "$1" \
		-CAfile "$key.pem" -purpose any -out /dev/null 2>&1
}

by_openssl_attached()
{
	openssl cms -verify -cades -binary -inform DER -in "$2" \
		-CAfile "$key.pem" -purpose any -out "$2.content" 2>&1 &&
		cmp "$1" "$2.content" 2>&1
}

by_openssl_pss()
{
	openssl dgst "-$digest" -sigopt rsa_padding_mode:pss \
		-sigopt rsa_pss_saltlen:digest -sigopt "rsa_mgf1_md:$digest" \
		-verify "$key.pub" -signature "$2" "$1" 2>&1
}

by_openssl_dgst()
{
	openssl dgst "-$digest" -verify "$key.pub" -signature "$2" "$1" 2>&1
}

by_openssl_pkeyutl()
{
	openssl pkeyutl -verify -rawin -pubin -inkey "$key.pub" \
		-sigfile "$2" -in "$1" 2>&1
}

by_certtool()
{
	local said rc=0

	said=$(certtool --p7-verify --inder --infile "$2" --load-data "$1" \
		--load-ca-certificate "$key.pem" 2>&1) || rc=$?
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

by_gpgsm()
{
	local said rc=0

	said=$(gpgsm --status-fd 1 --verify "$2" "$1" 2>&1) || rc=$?
	printf '%s\n' "$said"
	[ "$rc" -eq 0 ] && [[ $said == *"[GNUPG:] GOODSIG $signer "* &&
		$said == *"[GNUPG:] VALIDSIG $signer "* &&
		$said == *'[GNUPG:] TRUST_FULLY '* ]]
}

# piece FILE WHAT: the head and the contents of one value, by openssl's list of
# them; WHAT is a line of it
piece()
{
	local at head len

	read -r at head len < <(openssl asn1parse -inform DER -in "$1" |
		sed -n "s/^ *\([0-9]*\):d=[0-9]* *hl=\([0-9]*\) l= *\([0-9]*\) \($2\).*/\1 \2 \3/p" |
		tail -1)
	tail -c "+$((at + 1))" "$1" | head -c $((head + len))
}

# OpenSSL 3.0 has no EdDSA in its CMS, but has all that it takes: the signed
# attributes (RFC 5652 5.4), their signature, and the digest in them
by_hand()
{
	local hash

	{
		printf '\061'
		piece "$2" 'cons: *cont \[ 0 \]' | tail -c +2
	} >attrs
	piece "$2" 'prim: *OCTET STRING' | tail -c "$sig_len" >value
	# shellcheck disable=SC2086 # options
	hash=$(openssl dgst $digest_opts -r "$1" | cut -d' ' -f1)
	openssl asn1parse -inform DER -in attrs |
		grep -A2 messageDigest | grep -i "DUMP\]:$hash\$" &&
		openssl pkeyutl -verify -rawin -pubin -inkey "$key.pub" \
			-sigfile value -in attrs 2>&1
}

# accepts PROGRAM DIR SUFFIX: both documents, and not another
accepts()
{
	local d said

	for d in "${docs[@]}"; do
		said=$("$1" "$d" "$2/$d$3")
		ok $? "$1 accepts $2/$d$3" "$said"
	done
	! said=$("$1" changed "$2/random$3")
	ok $? "$1 refuses $2/random$3 for a changed document" "$said"
}

# refused PROGRAM DIR WHY: what a program cannot do; when it can, say so
refused()
{
	local said

	! said=$("$1" random "$2/random.p7s")
	ok $? "$1 cannot check $2: $3" "it can now; tell it in ofs-sign(1)"
}

# sign DIR SIGN-ARGS...
sign()
{
	local dir=$1

	shift
	run ofs-sign --key "pkcs11:token=sandbox;object=$key" --out "$dir" \
		"$@" "${docs[@]}"
	status 0 "$dir: signed"
}

# valid DIR ALGORITHM VERIFY-ARGS...
valid()
{
	local dir=$1 algorithm=$2

	shift 2
	run ofs-verify --json "$@"
	is "$rc $(jq -r 'select(.type == "verdict") |
		.verdict + " " + .algorithm' <"$T/.out" | sort | uniq -c |
		xargs)" "0 2 valid $algorithm" "ofs-verify accepts $dir" ||
		tap_comment "$out" "$err"
}

# enroll NAME TYPE [ARGS]: NAME.pem, NAME.pub and the request NAME.csr
enroll()
{
	local name=$1 type=$2

	shift 2
	must ofs-token enroll "pkcs11:token=sandbox;object=$name" \
		--key-type "$type" --subject "/O=Acme/CN=$name" --self-signed \
		--days 30 --cert-out "$name.pem" "$@"
	must ofs-token enroll "pkcs11:token=sandbox;object=$name-csr" \
		--key-type "$type" --subject "/O=Acme/CN=$name" \
		--csr "$name.csr" "$@"
	run openssl verify -x509_strict -check_ss_sig -CAfile "$name.pem" \
		"$name.pem"
	status 0 "$name: openssl accepts the certificate's own signature"
	run openssl req -verify -noout -in "$name.csr"
	status 0 "$name: openssl accepts the request's"
	like "$err$out" 'verify OK' 'and says so'
	must openssl x509 -in "$name.pem" -noout -pubkey -out "$name.pub"
	echo "$(fingerprint "$name.pem") S relax" >>"$GNUPGHOME/trustlist.txt"
	gpgconf --reload gpg-agent # it reads the list once
}

fingerprint()
{
	openssl x509 -in "$1" -noout -fingerprint -sha1 | sed 's/.*=//; s/://g'
}

# takes NAME [DIGEST]
takes()
{
	key=$1 digest=${2:-sha256} signer=$(fingerprint "$1.pem")
}

# three KEY ALGORITHM SIGN-ARGS...: all formats, and our own verdict on them;
# the folders are ALGORITHM.cms and so on
three()
{
	local what=$1

	shift
	sign "$what.cms" "$@"
	valid "$what.cms" "$what" --trust "$key.pem" --sig "$what.cms" \
		"${docs[@]}"
	sign "$what.att" --format cms-attached "$@"
	valid "$what.att" "$what" --trust "$key.pem" "$what".att/*.p7m
	sign "$what.raw" --format raw "$@"
	valid "$what.raw" "$what" --signer "$key.pub" --sig "$what.raw" \
		"${docs[@]}"
}

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

# --- RSA-PSS: everybody, but for certtool and the longer digests
enroll rsa rsa:2048 --padding pss
like "$(openssl x509 -in rsa.pem -noout -text)" 'rsassaPss' \
	'--padding pss: the certificate is signed so'
like "$(openssl req -in rsa.csr -noout -text)" 'Salt Length: (0x20|32)' \
	'and so is the request'
run certtool --crq-info --infile rsa.csr
like "$out" 'Self signature: verified' 'certtool accepts the request'
must certutil -A -d sql:nss -n rsa -t P,P,P -i rsa.pem
must gpgsm --import rsa.pem
for d in sha256 sha384 sha512; do
	takes rsa $d
	three "rsa-pss-$d" --padding pss --digest $d
	accepts by_openssl "rsa-pss-$d.cms" .p7s
	accepts by_openssl_attached "rsa-pss-$d.att" .p7m
	if [ $d = sha256 ]; then
		accepts by_certtool "rsa-pss-$d.cms" .p7s
	else
		refused by_certtool "rsa-pss-$d.cms" \
			'GnuTLS 3.7 can do PSS with SHA-256 only'
	fi
	accepts by_nss "rsa-pss-$d.cms" .p7s
	accepts by_gpgsm "rsa-pss-$d.cms" .p7s
	accepts by_openssl_pss "rsa-pss-$d.raw" .sig
done
sign pkcs1 --padding pkcs1 --format raw
takes rsa
accepts by_openssl_dgst pkcs1 .sig
! said=$(by_openssl_dgst random rsa-pss-sha256.raw/random.sig)
ok $? 'a PSS signature is none of PKCS#1 v1.5' "$said"

# --- secp256k1: OpenSSL, and gpgsm
enroll k1 ec:secp256k1
takes k1
three ecdsa-sha256
accepts by_openssl ecdsa-sha256.cms .p7s
accepts by_openssl_attached ecdsa-sha256.att .p7m
accepts by_openssl_dgst ecdsa-sha256.raw .sig
must gpgsm --import k1.pem
accepts by_gpgsm ecdsa-sha256.cms .p7s
refused by_certtool ecdsa-sha256.cms 'GnuTLS 3.7 has no such curve'
must certutil -A -d sql:nss -n k1 -t P,P,P -i k1.pem
refused by_nss ecdsa-sha256.cms 'NSS 3.87 has no such curve'

# high_s DIR: how many of the raw signatures there have an s above half of the
# order (SEC 2 2.4.1)
high_s()
{
	local half=7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
	local f s n=0

	for f in "$1"/*.sig; do
		s=$(openssl asn1parse -inform DER -in "$f" |
			sed -n 's/.*INTEGER *://p' | tail -1)
		s=$(printf '%64s' "$s" | tr ' ' 0)
		[[ ! $s > $half ]] || n=$((n + 1))
	done
	echo "$n"
}
mkdir many
for i in {1..32}; do
	echo "$i" >"many/$i"
done
run ofs-sign --key 'pkcs11:token=sandbox;object=k1' --format raw --recursive \
	--out any many
status 0 '32 documents by a secp256k1 key'
isnt "$(high_s any/many)" 0 'some have a high s'
run ofs-sign --key 'pkcs11:token=sandbox;object=k1' --format raw --recursive \
	--out low --low-s many
status 0 'the same with --low-s'
is "$(high_s low/many)" 0 'none has a high s'
run ofs-verify --signer k1.pub --sig low/many --recursive many
for i in {1..32}; do
	openssl dgst -sha256 -verify k1.pub -signature "low/many/$i.sig" \
		"many/$i" >/dev/null 2>&1 || echo "$i"
done >wrong
is "$(wc -l <wrong)" 0 'and openssl accepts each of them'

# --- Ed25519: certtool, and by hand; raw: openssl
enroll ed25519 ed25519
takes ed25519
sig_len=64 digest_opts=-sha512
three ed25519
accepts by_hand ed25519.cms .p7s
accepts by_certtool ed25519.cms .p7s
accepts by_openssl_pkeyutl ed25519.raw .sig
refused by_openssl ed25519.cms 'OpenSSL 3.0 has no EdDSA in CMS'
run certtool --crq-info --infile ed25519.csr
like "$out" 'Self signature: verified' 'certtool accepts the request'

# --- Ed448
enroll ed448 ed448
takes ed448
sig_len=114 digest_opts='-shake256 -xoflen 64'
three ed448
accepts by_hand ed448.cms .p7s
accepts by_openssl_pkeyutl ed448.raw .sig
refused by_openssl ed448.cms 'OpenSSL 3.0 does not know id-shake256-len'
refused by_certtool ed448.cms 'GnuTLS 3.7 does not know id-shake256-len'
run certtool --crq-info --infile ed448.csr
like "$out" 'Self signature: verified' 'certtool accepts the request'

# --- an empty document, which is the whole of what EdDSA signs
: >empty
for key in ed25519 ed448; do
	run ofs-sign --key "pkcs11:token=sandbox;object=$key" --format raw \
		--out nothing.$key empty
	status 0 "$key: an empty document"
	run ofs-verify --signer $key.pub --sig nothing.$key empty
	status 0 'which ofs-verify accepts'
done
# and one that is too large to be held
truncate -s $(((64 << 20) + 1)) huge
run ofs-sign --key 'pkcs11:token=sandbox;object=ed25519' --format raw huge
status 1 'raw Ed25519 over more than 64 MiB is refused'
like "$(xargs <<<"$out")" 'larger than 64 MiB.*--format cms' \
	'which says what to take'
[ ! -e huge.sig ]
ok $? 'nothing was written'
run ofs-sign --key 'pkcs11:token=sandbox;object=ed25519' huge
status 0 'as CMS it is signed'
run ofs-verify --trust ed25519.pem huge
status 0 'and valid'
truncate -s $((64 << 20)) huge
run ofs-sign --key 'pkcs11:token=sandbox;object=ed25519' --format raw huge
status 0 '64 MiB are signed raw'
run ofs-verify --signer ed25519.pub --sig huge.sig huge
status 0 'and valid'
echo >>huge
run ofs-verify --signer ed25519.pub --sig huge.sig huge
status 5 'with one byte more it cannot be checked'
like "$(xargs <<<"$out")" 'larger than 64 MiB.*as CMS' 'which says why'
rm -f huge huge.*

# --- what does not go together
# wrong REGEX SIGN-ARGS...: for the key $key
wrong()
{
	local want=$1

	shift
	run ofs-sign --key "pkcs11:token=sandbox;object=$key" --out wrong \
		--format raw "$@" random
	status 2 "$key, $*: refused"
	like "$err" "$want" 'which says why'
}
key=ed25519
wrong 'padding goes with an RSA key' --padding pss
wrong 'cannot sign with this digest' --digest sha256
wrong 'low s is for secp256k1' --low-s
key=ed448
wrong 'cannot sign with this digest' --digest sha512
key=k1
wrong 'padding goes with an RSA key' --padding pkcs1
wrong 'no longer than the key.s curve' --digest sha512
key=rsa
wrong 'low s is for secp256k1' --low-s
wrong 'padding' --padding oaep
run ofs-token enroll 'pkcs11:token=sandbox;object=none' --key-type ed25519 \
	--padding pss
status 2 'enroll: nor has a new Ed25519 key a padding'
run ofs-token keys 'pkcs11:token=sandbox' --no-login
unlike "$out" 'object=none' 'and none was made'

# --- tokens without a mechanism, which SoftHSM2 hides when it is told to (the
# first of its list it never hides)
for spy in /usr/lib/x86_64-linux-gnu/pkcs11-spy.so \
	/usr/lib/*/pkcs11-spy.so /usr/lib*/pkcs11/pkcs11-spy.so \
	/usr/lib/*/pkcs11/pkcs11-spy.so; do
	[ ! -e "$spy" ] || break
done
cp "$SOFTHSM2_CONF" whole.conf
export PKCS11SPY=$OFS_MODULE PKCS11SPY_OUTPUT=$T/spy.log

hide()
{
	{
		cat whole.conf
		echo "slots.mechanisms = -CKM_MD5_RSA_PKCS,$1"
	} >"$SOFTHSM2_CONF"
}

# asks MECHANISM ALGORITHM SIGN-ARGS...: with what the token is asked to sign
# both documents, in CMS and raw
asks()
{
	local mech=$1 what=$2 format args

	shift 2
	for format in cms raw; do
		rm -rf spy.log hidden
		run ofs-sign --module "$spy" --format $format --out hidden \
			--key "pkcs11:token=sandbox;object=$key" "$@" \
			"${docs[@]}"
		status 0 "$key, $format $*: signed"
		is "$(grep -A6 C_SignInit spy.log |
			sed -n 's/.*type = \(CKM_[A-Z0-9_]*\).*/\1/p' |
			sort -u | xargs)" "$mech" "by $mech"
		args=(--trust "$key.pem")
		[ $format = cms ] || args=(--signer "$key.pub")
		valid "$key, $format $*" "$what" "${args[@]}" --sig hidden \
			"${docs[@]}"
	done
}
key=rsa
asks CKM_RSA_PKCS rsa-pkcs1-sha256
asks CKM_RSA_PKCS_PSS rsa-pss-sha256 --padding pss
hide CKM_RSA_PKCS
asks CKM_SHA256_RSA_PKCS rsa-pkcs1-sha256
asks CKM_SHA512_RSA_PKCS rsa-pkcs1-sha512 --digest sha512
asks CKM_RSA_PKCS_PSS rsa-pss-sha256 --padding pss
hide CKM_RSA_PKCS_PSS
asks CKM_SHA256_RSA_PKCS_PSS rsa-pss-sha256 --padding pss
asks CKM_SHA384_RSA_PKCS_PSS rsa-pss-sha384 --padding pss --digest sha384
# PSS without being told, where there is nothing else
hide CKM_RSA_PKCS,CKM_SHA256_RSA_PKCS,CKM_SHA384_RSA_PKCS,CKM_SHA512_RSA_PKCS
asks CKM_RSA_PKCS_PSS rsa-pss-sha256
key=rsa
run ofs-sign --key 'pkcs11:token=sandbox;object=rsa' --padding pkcs1 \
	--format raw --out hidden.no random
status 2 'but not where PKCS#1 v1.5 was asked for'
like "$err" 'neither CKM_RSA_PKCS nor' 'which names what is missing'
hide CKM_RSA_PKCS,CKM_SHA256_RSA_PKCS,CKM_RSA_PKCS_PSS,CKM_SHA256_RSA_PKCS_PSS
asks CKM_SHA384_RSA_PKCS rsa-pkcs1-sha384 --digest sha384
key=k1
hide CKM_ECDSA
run ofs-sign --key 'pkcs11:token=sandbox;object=k1' --format raw \
	--out hidden.no random
status 2 'no CKM_ECDSA, no signature'
like "$err" "token 'sandbox' has no CKM_ECDSA" 'which says so'
hide CKM_EDDSA
run ofs-sign --key 'pkcs11:token=sandbox;object=ed25519' --format raw \
	--out hidden.no random
status 2 'no CKM_EDDSA, no signature'
[ ! -e hidden.no ]
ok $? 'and no file'
cp whole.conf "$SOFTHSM2_CONF"

# a raw document that the token hashes is in memory, too
hide CKM_RSA_PKCS
truncate -s $(((64 << 20) + 1)) huge
run ofs-sign --key 'pkcs11:token=sandbox;object=rsa' --format raw huge
status 1 'CKM_SHA256_RSA_PKCS over more than 64 MiB is refused'
like "$out$err" 'larger than 64 MiB' 'which says why'
cp whole.conf "$SOFTHSM2_CONF"
run ofs-sign --key 'pkcs11:token=sandbox;object=rsa' --format raw huge
status 0 'CKM_RSA_PKCS takes any size'

run ofs-audit verify
status 0 'the log of all this verifies'
done_testing
