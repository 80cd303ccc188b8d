#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Lists of documents: manifests, names, roots and limits. What is wrong with a
# list is told by its line, and nothing of it is signed.
. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/faultp11.sh"

fault=$OFS_BUILD/test/faultp11.so
sandbox_start
key='pkcs11:token=sandbox;object=batch'
mkdir "$T/w"
cd "$T/w" || exit 1
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed --cert-out "$T/cert.pem"
mkdir -p in/sub
for d in a b sub/c; do
	echo "$d" >"in/$d"
done
export FAULTP11_MODULE=$OFS_MODULE FAULTP11_COUNTS=$T/counts
export OFS_MODULE=$fault

signs() { fault_calls "$T/counts" C_Sign; }
# runs ofs-sign with `$stdin` and counts from 0
sign()
{
	rm -f "$T/counts"
	rc=0
	# shellcheck disable=SC2034 # tap.sh looks at it
	ofs-sign --key "$key" "$@" >"$T/.out" 2>"$T/.err" \
		<"${stdin:-/dev/null}" || rc=$?
	out=$(cat "$T/.out") err=$(cat "$T/.err")
}
# NAME STATUS REGEX OPTION...: says why, and nothing is signed or written
refused()
{
	local before

	before=$(find . | sort)
	sign "${@:4}"
	status "$2" "$1: exit $2"
	like "$err" "$3" "$1: says why"
	is "$(signs)" 0 "$1: nothing is signed"
	is "$(find . | sort)" "$before" "$1: nothing is written"
}
line() { printf '{"path":"%s"}\n' "$1"; }

# --- what is good
sha=$(sha256sum in/a | cut -c 1-64)
cat >m.jsonl <<EOF
{"path":"in/a","sha256":"$sha","id":"ORDER-1","name":"First","version":"2","media_type":"text/plain"}
{"path": "in/sub/c", "id": "ORDER-\u00e42"}
{"path": "$PWD/in/b"}
EOF
sign --json --out out --manifest m.jsonl
status 0 'a manifest is signed'
is "$(signs)" 3 'each of its documents once'
is "$(jq -r 'select(.type == "item") | "\(.index) \(.id) \(.status)"' \
	"$T/.out")" $'0 ORDER-1 signed\n1 ORDER-ä2 signed\n2 null signed' \
	'results have the ids'
seq=$(jq -r 'select(.id == "ORDER-1") | .seq' "$T/.out")
run ofs-verify --trust "$T/cert.pem" --sig out in/a in/sub/c "$PWD/in/b"
status 0 'the signatures verify'
run ofs-audit show --json "$seq"
is "$(jq -r '.body.document | "\(.id) \(.name) \(.version)"' <<<"$out")" \
	'ORDER-1 First 2' 'the outcome has id, name and version'
run ofs-audit list --json --type intent
is "$(jq -r '.body.items[]? | select(.id == "ORDER-1") |
	"\(.index) \(.name) \(.version)"' <<<"$out" | sort -u)" '0 First 2' \
	'and the intent'
run ofs-audit verify
status 0 'the log verifies'
rm -rf out

stdin=m.jsonl
sign --out out --manifest -
status 0 'a manifest on standard input'
is "$(signs)" 3 'is signed'
rm -rf out
stdin=

(cd in && line a && line sub/c) >n.jsonl
sign --out out --root in --manifest n.jsonl
status 0 '--root'
is "$(find out -type f | sort)" $'out/in/a.p7s\nout/in/sub/c.p7s' \
	'is what the paths are relative to'
rm -rf out

find in -type f -print0 >names
echo 'new
line' >$'in/new\nline'
find in -type f -print0 >names
sign --out out --files-from names
status 0 'names that end in NULs'
is "$(signs)" 4 'are all signed'
rm -rf out $'in/new\nline'
find in -type f >names
stdin=names
sign --out out --files-from -
status 0 'names, one a line, on standard input'
is "$(signs)" 3 'are all signed'
rm -rf out
stdin=
printf 'in/a' >names
sign --out out --files-from names --null
status 0 '--null with a single name'
is "$(find out -type f)" out/in/a.p7s 'takes it as it is'
rm -rf out

# --- what is bad: the line is named
good=$(line in/a; line in/b)
# NAME REGEX LINE: the line comes after two good ones
bad_line()
{
	printf '%s\n%s\n%s\n' "$good" "$3" "$(line in/sub/c)" >bad.jsonl
	refused "$1" 5 "$2" --manifest bad.jsonl
	refused "$1, dry run" 5 "$2" --manifest bad.jsonl --dry-run
}
bad_line 'broken JSON' "list 'bad.jsonl': line 3 is not JSON" '{"path":"in/a"'
bad_line 'no JSON at all' 'line 3 is not JSON' 'in/a'
bad_line 'two objects' 'line 3 is not JSON' '{"path":"a"}{"path":"b"}'
bad_line 'unknown field' "line 3: 'pth' is no field of a manifest" \
	'{"path":"in/a","pth":"x"}'
bad_line 'a field twice' 'line 3 is not JSON: duplicate object key' \
	'{"path":"in/a","path":"in/b"}'
bad_line 'no path' "line 3: there is no 'path'" '{"id":"1"}'
bad_line 'short digest' "line 3: 'sha256' has 63 characters" \
	"{\"path\":\"in/a\",\"sha256\":\"${sha#?}\"}"
bad_line 'long digest' "line 3: 'sha256' has 66 characters" \
	"{\"path\":\"in/a\",\"sha256\":\"${sha}00\"}"
bad_line 'a digest that is none' "line 3: 'sha256' is not hex" \
	"{\"path\":\"in/a\",\"sha256\":\"g${sha#?}\"}"
bad_line 'invalid UTF-8' 'line 3 is not JSON' $'{"path":"in/\xff"}'
bad_line 'overlong UTF-8' 'line 3 is not JSON' $'{"path":"in/\xc0\xaf"}'
bad_line 'a NUL' 'line 3 is not JSON' '{"path":"in/a\u0000"}'
bad_line 'a control character' "'id' has a control character" \
	'{"path":"in/a","id":"\u001b[2J"}'
bad_line 'an empty line' 'line 3 is empty' ''
bad_line 'an empty path' "line 3: 'path' is empty" '{"path":""}'
mib=$(head -c 1048576 /dev/zero | tr '\0' x)
bad_line 'a line of 1 MiB' 'line 3 is longer than 65536 bytes' \
	"{\"path\":\"in/a\",\"name\":\"$mib\"}"
bad_line 'a path of 5,000 bytes' 'line 3:.*too long a name' \
	"$(line "in/${mib:0:5000}")"
printf '\xef\xbb\xbf%s\n' "$good" >bad.jsonl
refused 'a byte order mark' 5 'line 1 begins with a byte order mark' \
	--manifest bad.jsonl
printf '%s\n{"path":"in/a' "$good" >bad.jsonl
refused 'a manifest that is cut off' 5 'line 3 is not JSON' \
	--manifest bad.jsonl
refused 'no such manifest' 5 "cannot open 'none.jsonl'" --manifest none.jsonl
refused 'a directory' 5 'it is a directory' --manifest in

# the mistake is in the second list: nothing of the first is signed
printf '%s\n' "$good" >good.jsonl
printf '{}\n' >bad.jsonl
refused 'a good list and a bad one' 5 "list 'bad.jsonl': line 1" \
	--manifest good.jsonl --manifest bad.jsonl in/sub/c

printf '{"path":"in/%s","id":"%s"}\n' a 1 b 2 sub/c 1 >bad.jsonl
refused 'an id twice' 5 \
	"id '1' is given to 'in/a' in line 1 and to 'in/sub/c' in line 3" \
	--manifest bad.jsonl
printf '{"path":"in/a","id":"1"}\n' >one.jsonl
printf '{"path":"in/b","id":"1"}\n' >two.jsonl
refused 'an id in two manifests' 5 "id '1' is given to 'in/a'" \
	--manifest one.jsonl --manifest two.jsonl

: >empty
refused 'an empty manifest' 2 "list 'empty': it is empty" --manifest empty
refused 'an empty list of names' 2 "list 'empty': it is empty" \
	--files-from empty
refused 'nothing on standard input' 2 "list '-': it is empty" --files-from -
printf 'in/a\n\nin/b\n' >names
refused 'an empty name' 5 'line 2 is empty' --files-from names
printf '\0' >names
refused 'an empty name that ends in NUL' 5 'line 1 is empty' \
	--files-from names

# a document that is not as listed fails alone
printf '{"path":"in/a","sha256":"%s"}\n{"path":"in/b","sha256":"%s"}\n' \
	"$sha" "$sha" >m.jsonl
sign --manifest m.jsonl --out out
status 1 'one document that is not as listed: exit 1'
is "$(signs) $(find out -type f)" '1 out/in/a.p7s' 'the other is signed'
rm -rf out
printf '{"path":"in/a"}\n{"path":"./in/a"}\n' >m.jsonl
sign --manifest m.jsonl
status 1 'a document named twice: exit 1'
is "$(signs) $(find in -name '*.p7s')" '1 in/a.p7s' 'is signed once'
rm in/a.p7s

# --- places
echo secret >secret
ln -s ../secret in/out
ln -s "$PWD/in/a" in/abs
ln -s .. in/sub/up
ln -s ../.. in/sub/upup
rooted()
{
	printf '%s\n%s\n' "$(line a)" "$(line "$2")" >bad.jsonl
	refused "--root, $1" 5 "line 2: '$2' $3" --root in --manifest bad.jsonl
	printf 'a\n%s\n' "$2" >names
	refused "--root, $1, by name" 5 "line 2: '$2' $3" --root in \
		--files-from names
}
rooted 'an absolute path' /etc/passwd 'is absolute'
rooted 'a path that leads out' ../secret "has '\.\.' in it"
rooted 'a path that leads out below' sub/../../secret "has '\.\.' in it"
rooted 'a link that leads out' out 'leads out of .in. by a symbolic link'
rooted 'an absolute link' abs 'leads out of'
rooted 'a directory that leads out' sub/upup/secret 'leads out of'
(line a; line sub/up/b) >m.jsonl
sign --root in --manifest m.jsonl --out out
status 0 'a link that stays below is followed'
is "$(signs)" 2 'and what it leads to is signed'
rm -rf out
refused 'no such root' 5 "cannot open directory 'none'" --root none \
	--manifest m.jsonl
rm in/out in/abs in/sub/up in/sub/upup

# --- limits
line a >m.jsonl
refused '--max-items' 5 '2 documents, more than the limit of 1' \
	--max-items 1 in/a in/b
refused '--max-items with lists' 5 '3 documents, more than the limit of 2' \
	--max-items 2 --files-from good.jsonl in/sub/c
size=$(cat in/a in/b | wc -c)
refused '--max-bytes' 5 "more than the limit of $((size - 1)) bytes" \
	--max-bytes $((size - 1)) in/a in/b
sign --out out --max-bytes "$size" --max-items 2 in/a in/b
status 0 'what is within its limits is signed'
is "$(signs)" 2 'all of it'
rm -rf out

# --- memory and place: the list of a long batch has no name, and stays small
if [ -n "${OFS_LONG-}" ]; then n=1000000; else n=20000; fi
seq -f 'in/none-%.0f' 1 "$n" >names
sign --dry-run --quiet --files-from names >/dev/null
status 1 "a list of $n names is gone through"
like "$out" "^0 of $n could be signed" 'and counted'
for nth in 1 2 7; do
	LD_PRELOAD=$OFS_BUILD/test/lib/iofail.so \
		IOFAIL="write (deleted) $nth 28" IOFAIL_LOG=$T/failed \
		refused "no room for the list, write $nth" 5 \
		"cannot write a temporary file in '$OFS_AUDIT'.*No space left" \
		--files-from names in/a
done
is "$(find "$OFS_AUDIT" -name '.ofs*')" '' 'no list is left behind'

done_testing
