#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# make demo: the main job, on a private token and real documents.
# usage: demo.sh BUILD-DIR [DOCUMENT-DIR]
set -euo pipefail

top=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
docs=${2-}
unset CDPATH
dir=$build/demo
PATH=$build/bin:$PATH

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m') off=$(printf '\033[0m')
else
	bold='' dim='' off=''
fi
step=0
say()
{
	step=$((step + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$step" "$1" "$off"
}
# lines that 80 columns do not hold are cut: URIs, hashes
narrow()
{
	sed 's/^\(.\{77\}\)....*$/\1.../'
}
# shows a command as one would type it, then runs it
run()
{
	local line=' $' word
	for word in "$@"; do
		case $word in
		*[!A-Za-z0-9_./:=@%+,-]*) word="'$word'" ;;
		esac
		if [ $((${#line} + ${#word})) -gt 76 ]; then
			printf '%s%s \\%s\n' "$dim" "$line" "$off"
			line='    '
		fi
		line="$line $word"
	done
	printf '%s%s%s\n' "$dim" "$line" "$off"
	"$@" | tail -n "${last:-200}" | narrow
}
fail()
{
	printf '\n%s\n' "demo: $*" >&2
	exit 1
}

rm -rf "$dir"
mkdir -p "$dir"
if [ -z "$docs" ]; then
	docs=$dir/documents
	mkdir "$docs"
	for f in /usr/share/doc/*/copyright; do
		[ -f "$f" ] || continue
		p=${f#/usr/share/doc/}
		cp -L "$f" "$docs/${p%/copyright}.copyright"
	done
	what="the copyright files of this system's packages"
else
	[ -d "$docs" ] || fail "'$docs' is not a directory; make demo DIR=path"
	docs=$(cd -- "$docs" && pwd)
	what=$docs
fi
cd "$dir"

printf '%s\n' "${bold}libofflinesig: from a blank token to a checked record$off"
printf 'Documents: %s\n' "$what"

say "A token of our own (SoftHSM2 stands in for the USB key or HSM)"
printf '%s $ eval "$(softhsm-conf/sandbox sandbox)"%s\n' "$dim" "$off"
env=$("$top/softhsm-conf/sandbox" "$dir/sandbox" 2>sandbox.log) || {
	cat sandbox.log >&2
	fail "no sandbox"
}
eval "$env"
run ofs-token list

say "Enrol a key: it is made on the token and cannot leave it"
run ofs-token enroll 'pkcs11:token=sandbox;object=batch' --key-type ec:P-256 \
	--subject '/O=Acme/CN=Payroll batch' --self-signed --days 365 \
	--cert-out cert.pem

say "Sign the whole pile with one login"
run ofs-sign --key 'pkcs11:token=sandbox;object=batch' --recursive \
	--out signed "$docs"

say "Verify everything: no token is needed for that"
last=4 run ofs-verify --trust cert.pem --sig signed --recursive "$docs"

while IFS= read -r -d '' sig; do
	doc=${sig#signed}
	doc=${doc%.p7s}
	[ ! -s "$doc" ] || break
done < <(find signed -name '*.p7s' -print0)
[ -s "$doc" ] || fail 'every document is empty: no byte of it can be changed'
say "One of them with plain OpenSSL: nobody has to trust our tools"
cp "$doc" one.txt
cp "$sig" one.txt.p7s
run openssl cms -verify -cades -binary -inform DER -in one.txt.p7s \
	-content one.txt -CAfile cert.pem -purpose any -out /dev/null

say "Change one byte of a copy, and it is caught"
first=$(od -An -tu1 -N1 one.txt | tr -d ' ')
printf "\\$(printf %o $(((first ^ 1) & 255)))" |
	dd of=one.txt bs=1 conv=notrunc status=none
rc=0
run ofs-verify --trust cert.pem one.txt || rc=$?
[ $rc -eq 1 ] || fail "the change was not caught"
printf 'exit status %d: as it should be\n' $rc

say "The record of what happened"
run ofs-audit list --type batch-closed
seq=$(ofs-audit list --json --type outcome | sed -n '$s|.*"seq":\([0-9]*\).*|\1|p')
run ofs-audit show "$seq"
run ofs-audit verify

rel=${build#"$top/"}
cat <<END

${bold}What to try next$off
  make demo DIR=path        your own documents
  make check                the tests
  man -l man/offlinesig.7   what is proven, and what is not
  The tools are in $rel/bin. To go on with this token:
    cd $rel/demo && eval "\$($([ "$rel" = build ] && echo ../../ || echo "$top/")softhsm-conf/sandbox sandbox)"
END
