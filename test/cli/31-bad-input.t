#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Bad input: each has its own message and a status of the table, and leaves
# nothing half-written; the PIN is sent once and is never seen.
. "$(dirname "$0")/../lib/tap.sh"

for spy in /usr/lib/*/pkcs11-spy.so /usr/lib*/pkcs11/pkcs11-spy.so \
	/usr/lib/*/pkcs11/pkcs11-spy.so; do
	[ ! -e "$spy" ] || break
done
[ -e "$spy" ] || skip_all 'pkcs11-spy.so (opensc-pkcs11) is not installed'

sandbox_start
softhsm=$OFS_MODULE
pin=$(cat "$T/sandbox/pin") sopin=$(cat "$T/sandbox/so-pin")
key='pkcs11:token=sandbox;object=batch'
mkdir "$T/w"
cd "$T/w" || exit 1
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed --cert-out "$T/cert.pem"
wide='pkcs11:token=sandbox;object=wide'
must ofs-token enroll "$wide" --key-type ec:P-384 --subject /CN=wide \
	--self-signed
mkdir docs
echo one >docs/one
echo two >docs/two

# all that the tools say, for the last check
: >"$T/said"
asked() { grep -c "^[0-9]*: $1\$" "$T/spy.log"; }
# runs it with the spy between tool and token
spied()
{
	rm -f "$T/spy.log"
	: >"$T/spy.log"
	chmod 666 "$T/spy.log"
	PKCS11SPY=$softhsm PKCS11SPY_OUTPUT=$T/spy.log \
		OFS_MODULE=${module:-$spy} run timeout 60 "${as[@]}" "$@"
	printf '%s\n%s\n' "$out" "$err" >>"$T/said"
}
as=() module=
# what is there, with its contents
tree() { find . ! -name '.*.tmp' -type f -exec sha256sum {} +
	find . ! -type f; } 2>/dev/null
left() { find . -name '.*.tmp'; }

# NAME STATUS REGEX COMMAND...: refused, nothing asked, nothing changed
refused()
{
	local before

	before=$(tree | sort)
	spied "${@:4}"
	status "$2" "$1: exit $2"
	like "$out$err" "$3" "$1: says why"
	is "$(asked C_Sign)" 0 "$1: no C_Sign"
	is "$(tree | sort)$(left)" "$before" "$1: no file was made or changed"
}
# the same for one item besides docs/one, which is signed
item_refused()
{
	rm -rf out
	spied ofs-sign --key "$key" --out out docs/one "${@:3}"
	status 1 "$1: exit 1"
	like "$out$err" "$2" "$1: says why"
	like "$out" '^1 of [0-9]+ signed' "$1: the other is signed"
	is "$(asked C_Sign)" 1 "$1: one C_Sign"
	is "$(find out -type f)" out/docs/one.p7s "$1: one output"
	rm -rf out
}

# --- documents
refused 'missing' 1 "cannot open 'docs/none'.*No such file" \
	ofs-sign --key "$key" docs/none
item_refused 'missing besides another' "cannot open 'docs/none'" docs/none
like "$(ofs-audit list --reverse --limit 1)" \
	'batch-closed +1 signed, 1 failed: 1 of 2 items are not signed' \
	'missing besides another: the list of records says so'
refused 'a directory' 1 'it is a directory; use --recursive' \
	ofs-sign --key "$key" docs
refused 'an empty directory' 5 'nothing to sign' \
	sh -c "mkdir ../empty && cd .. && exec ofs-sign --key '$key' \
		--recursive empty"
long=$(printf 'n%.0s' $(seq 252))
echo x >"$long"
item_refused 'a name too long for that of its signature' \
	'its name would have 256 bytes, and 255 is the.*limit' "$long"
rm "$long"
mkfifo fifo
item_refused 'a fifo' "'fifo'.*not a regular file" fifo
item_refused 'a device' "'/dev/zero'.*not a regular file" /dev/zero
ln -s nowhere dangling
item_refused 'a dangling link' "cannot open 'dangling'" dangling
ln -s docs/one link
spied ofs-sign --key "$key" --out out link
status 0 'a link that is named'
spied ofs-verify --trust "$T/cert.pem" --sig out link
status 0 'is followed'
mkdir tree
ln -s ../docs/one tree/link
echo x >tree/real
rm -rf out
spied ofs-sign --key "$key" --out out --recursive tree
is "$(find out -type f)" out/tree/real.p7s 'a link in a tree is passed over'
rm -rf out fifo dangling link tree

truncate -s 600M big
(while :; do
	printf x | dd of=big bs=1 seek=1000 conv=notrunc status=none
	sleep 0.02
done) &
writer=$!
item_refused 'changed while read' "cannot use 'big': it changed" big
kill $writer
wait $writer 2>/dev/null
rm -f big

mkdir sub sub/docs
echo other >sub/docs/one
cd sub || exit 1
rm -rf out
spied ofs-sign --key "$key" --out out docs/one ../docs/one
status 1 'two inputs, one output: exit 1'
like "$out$err" "output 'out/docs/one.p7s' is also that of 'docs/one'" \
	'two inputs, one output: says whose'
is "$(asked C_Sign)" 1 'two inputs, one output: one C_Sign'
spied ofs-verify --trust "$T/cert.pem" --sig out docs/one
status 0 'two inputs, one output: the first has it'
cd ..
rm -rf sub
# --- documents and signatures that are not where they are looked for
must ofs-sign --key "$key" --out apart docs/one
run ofs-verify --trust "$T/cert.pem" apart/docs/one.p7s
status 5 'a signature without its document beside it: exit 5'
like "$(tr -s ' \n' ' ' <<<"$out")" \
	"no 'apart/docs/one' beside its signature; name the document .* --sig" \
	'and what to do is said'
run ofs-verify --trust "$T/cert.pem" docs/none
status 5 'no document: exit 5'
like "$out" "cannot open 'docs/none': No such file" 'is not called one without'
rm -r apart
echo sig >docs/two.p7s
spied ofs-sign --key "$key" --force docs/two docs/two.p7s
status 1 'an output that is a document: exit 1'
like "$out$err" "output 'docs/two.p7s' is a document of this batch" \
	'an output that is a document: says so'
is "$(asked C_Sign) $(cat docs/two.p7s)" '1 sig' \
	'an output that is a document: it is left alone'
rm docs/two.p7s docs/two.p7s.p7s

: >docs/empty
spied ofs-sign --key "$key" --out out docs/empty
status 0 'an empty file is signed'
spied ofs-verify --trust "$T/cert.pem" --sig out docs/empty
status 0 'and verifies'
rm -rf out docs/empty

mkdir odd
n=0
for name in $'new\nline' ' blanks  here ' $'bytes \xff\xfe\xc3' '-dash' \
	$'tab\t' "quote'\"" '$(touch x)' $'esc\e[31m' 'back\slash' '*' 'ä ö'; do
	echo "$name" >"odd/$name"
	n=$((n + 1))
done
spied ofs-sign --key "$key" --recursive --json odd
status 0 'odd names are signed'
iconv -f UTF-8 -t UTF-8 "$T/.out" >/dev/null && jq -es . "$T/.out" >/dev/null
ok $? 'odd names: JSON of ofs-sign is well-formed UTF-8'
is "$(jq -c 'select(.type == "item")' "$T/.out" | wc -l)" $n \
	'odd names: all listed'
is "$(find odd -name '*.p7s' | tr -cd '\n' | wc -c)" $((n + 1)) \
	'odd names: each has its file'
spied ofs-verify --trust "$T/cert.pem" --recursive --json odd
status 0 'odd names verify'
iconv -f UTF-8 -t UTF-8 "$T/.out" >/dev/null && jq -es . "$T/.out" >/dev/null
ok $? 'odd names: JSON of ofs-verify is well-formed UTF-8'
spied ofs-verify --trust "$T/cert.pem" --recursive odd
is "$(grep -c '^valid  ' <<<"$out")" $n 'odd names: a line for each'
unlike "$out" $'\e' 'odd names: no escape sequence reaches the terminal'
run ofs-audit list --json --type outcome
iconv -f UTF-8 -t UTF-8 "$T/.out" >/dev/null && jq -es . "$T/.out" >/dev/null
ok $? 'odd names: JSON of the log is well-formed UTF-8'
is "$(jq -r '.body.document.path_hex // empty' "$T/.out" | xxd -r -p)" \
	$'odd/bytes \xff\xfe\xc3' 'odd names: and has the bytes as they are'
rm -rf odd

# --- SHA256SUMS
(cd docs && sha256sum one two >SHA256SUMS)
echo changed >docs/two
spied ofs-sign --key "$key" --sums docs/SHA256SUMS --out out
status 1 'not as listed: exit 1'
like "$out$err" "'docs/two' is not the document that was listed" \
	'not as listed: says so'
is "$(find out -type f) $(asked C_Sign)" 'out/docs/one.p7s 1' \
	'not as listed: the other is signed, and it is not'
rm -rf out
spied ofs-sign --key "$wide" --sums docs/SHA256SUMS --out out
is "$(find out -type f) $(asked C_Sign)" 'out/docs/one.p7s 1' \
	'not as listed: nor with another digest'
rm -rf out
echo two >docs/two
cp docs/SHA256SUMS good
for bad in "$(head -c 40 good)" "$(sed '1s/^./g/' good)" \
	"$(sed '1s/  / /' good)" "$(cat good; echo '  ')" "$(sed '2s/  .*//' good)"; do
	printf '%s\n' "$bad" >docs/SHA256SUMS
	refused "malformed list ($(head -c 12 <<<"$bad")...)" 5 'SHA256SUMS' \
		ofs-sign --key "$key" --sums docs/SHA256SUMS docs/one
done
refused 'no such list' 5 "'nolist'" ofs-sign --key "$key" --sums nolist
rm good docs/SHA256SUMS

# --- outputs
spied ofs-sign --key "$key" docs/one
mv docs/one.p7s "$T/first.p7s"
echo 'not mine' >docs/one.p7s
refused 'the output exists' 1 "'docs/one.p7s' exists already" \
	ofs-sign --key "$key" docs/one
refused '--skip-existing' 0 '0 of 1 signed' \
	ofs-sign --key "$key" --skip-existing docs/one
spied ofs-sign --key "$key" --force docs/one
status 0 '--force'
spied ofs-verify --trust "$T/cert.pem" docs/one
status 0 '--force replaces it'
rm docs/one.p7s
: >plain
refused 'output place is a file' 5 "'plain' is not a directory" \
	ofs-sign --key "$key" --out plain docs/one
refused 'output place is below a file' 5 "write into 'plain/below'" \
	ofs-sign --key "$key" --out plain/below docs/one
rm plain

# --- raw
ofs-audit list --json --type outcome | jq -r '.body |
	select(.purpose == 1 and .signed_bytes) | .signed_bytes' | head -1 |
	xxd -r -p >attrs
[ "$(head -c 1 attrs | xxd -p)" = 31 ]
ok $? 'the log has the bytes that were signed'
refused 'raw over signed attributes' 1 "'attrs' looks like the signed attr" \
	ofs-sign --key "$key" --format raw attrs
spied ofs-sign --key "$key" attrs
status 0 'as a CMS document it is signed'
rm attrs attrs.p7s

# --- PIN
echo 00000000 >"$T/wrong"
chmod 600 "$T/wrong"
refused 'wrong PIN' 4 'PIN' ofs-sign --key "$key" \
	--pin-source "file:$T/wrong" docs/one docs/two
is "$(asked C_Login)" 1 'wrong PIN: it is sent once'
run ofs-audit list --type login
like "$(tail -1 <<<"$out")" 'FAILED, user of token sandbox' \
	'wrong PIN: recorded'
refused 'no PIN' 4 'MISSING' ofs-sign --key "$key" --pin-source env:MISSING \
	docs/one
is "$(asked C_Login)" 0 'no PIN: nothing is sent'

# each source; the program looks at all command lines while the tool waits
cat >"$T/program" <<END
#!/bin/sh
cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' >"$T/cmdlines"
cat "$T/sandbox/pin"
END
chmod 700 "$T/program"
export MY_PIN=$pin
for source in "file:$T/sandbox/pin" env:MY_PIN fd:8 "cmd:$T/program"; do
	exec 8<"$T/sandbox/pin"
	spied ofs-sign --key "$key" --out out --pin-source "$source" docs/one
	exec 8<&-
	status 0 "PIN from ${source%%:*}"
	is "$(asked C_Login)" 1 "PIN from ${source%%:*}: sent once"
	rm -rf out
done
grep -q ofs-sign "$T/cmdlines" && ! grep -qF -e "$pin" "$T/cmdlines"
ok $? 'no PIN in any command line'
mkdir pile
for ((i = 0; i < 400; i++)); do echo $i >pile/$i; done
# an environment of a process shows what it was started with, if not wiped
env ofs-sign --key "$key" --pin-source env:MY_PIN --jobs 1 --out out \
	--recursive pile >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 400; i++)); do
	[ -e out/pile/0.p7s ] && break
	sleep 0.01
done
tr '\0' '\n' <"/proc/$pid/cmdline" >"$T/cmdline"
[ "$(id -u)" != 0 ] || tr '\0' '\n' <"/proc/$pid/environ" >"$T/environ"
wait $pid
ok $? 'PIN from env, a pile'
grep -q env:MY_PIN "$T/cmdline" && ! grep -qF -e "$pin" "$T/cmdline"
ok $? 'PIN from env: not in the command line while it signs'
if [ "$(id -u)" = 0 ]; then
	grep -q OFS_AUDIT "$T/environ" && ! grep -qF -e "$pin" "$T/environ"
	ok $? 'PIN from env: wiped from the environment while it signs'
fi
unset MY_PIN
rm -rf out pile

# --- tokens, keys, modules
refused 'unknown token' 3 "'?none" \
	ofs-sign --key 'pkcs11:token=none;object=batch' docs/one
refused 'unknown key' 3 'none' \
	ofs-sign --key 'pkcs11:token=sandbox;object=none' docs/one
refused 'not a URI' 2 'pkcs11:' ofs-sign --key batch docs/one
refused 'pin-value' 2 'pin-value' ofs-sign \
	--key "$key?pin-value=4711secret" docs/one
unlike "$out$err" 4711secret 'pin-value: what it was is not printed'
refused 'module-path' 2 'module-path' ofs-sign \
	--key "$key?module-path=/lib/evil.so" docs/one
module=/nonexistent.so
refused 'missing module' 3 "'/nonexistent.so'" ofs-sign --key "$key" docs/one
module=$T/cert.pem
refused 'no module, but text' 3 'cert.pem' ofs-sign --key "$key" docs/one
module=$(ldconfig -p | sed -n 's/.*libcrypto\.so\.3.* => //p' | head -1)
refused 'a library that is no module' 3 'PKCS#11|C_GetFunctionList' \
	ofs-sign --key "$key" docs/one
module=
must env PIN="$pin" pkcs11-tool --module "$softhsm" --token-label sandbox \
	--login --pin env:PIN --keypairgen --key-type EC:prime256v1 \
	--label batch --id 77
refused 'two keys match' 3 'id 77\)' ofs-sign --key "$key" docs/one
id=$(ofs-token keys --json pkcs11:token=sandbox | jq -r 'select(.label ==
	"batch" and .certificate != null) | .id')
like "$out$err" "id $id\)" 'two keys match: both are listed'
key="pkcs11:token=sandbox;id=$(sed 's/../%&/g' <<<"$id")"
spied ofs-sign --key "$key" --out out docs/one
status 0 'two keys match: the id tells them apart'
rm -rf out
refused 'a key without certificate' 3 'has no certificate.*CMS' \
	ofs-sign --key 'pkcs11:token=sandbox;id=%77' docs/one
refused 'an initialised token' 3 '\-\-erase' ofs-token init --label sandbox \
	--token pkcs11:token=sandbox --so-pin-source "file:$T/sandbox/so-pin"
is "$(asked C_InitToken)" 0 'an initialised token: left alone'

# --- standard descriptors that are closed: nothing is printed into the log
mkdir many
for i in $(seq 40); do echo "$i" >many/$i; done
ofs-sign --key "$key" --out closed --recursive --json many <&- >&- 2>&-
is "$?" 5 'all of them closed: exit 5'
is "$(find closed -name '*.p7s' | wc -l)" 40 'all is signed'
is "$(cat "$OFS_AUDIT"/*.lock | wc -c)" 0 'the lock files are empty'
ofs-sign --key "$key" --force --out closed --recursive --json many >&- 2>said
is "$?" 5 'standard output closed: exit 5'
is "$(cat said)" 'ofs-sign: cannot write to standard output' 'which is said'
run ofs-audit verify
status 0 'and the log is whole'
rm -r many closed said

# --- certificates
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout "$T/ca.key" -out "$T/ca.pem" -subj /CN=CA -days 3650 2>/dev/null
mkdir "$T/ca"
: >"$T/ca/index"
cat >"$T/ca/conf" <<END
[ca]
default_ca = c
[c]
database = $T/ca/index
new_certs_dir = $T/ca
rand_serial = yes
default_md = sha256
policy = p
x509_extensions = e
unique_subject = no
[p]
commonName = supplied
[e]
keyUsage = digitalSignature
END
old='pkcs11:token=sandbox;object=old'
must ofs-token enroll "$old" --key-type ec:P-256 --subject /CN=old \
	--csr "$T/old.csr"
issue()
{
	must openssl ca -config "$T/ca/conf" -batch -notext -in "$T/old.csr" \
		-cert "$T/ca.pem" -keyfile "$T/ca.key" -out "$1" \
		-startdate "$2" -enddate "$3"
}
issue "$T/expired.pem" 20200101000000Z 20210101000000Z
issue "$T/future.pem" 20400101000000Z 20410101000000Z
issue "$T/fine.pem" 20200101000000Z 20400101000000Z
refused 'expired' 5 'expired on 2021-01-01.*--allow-expired' \
	ofs-sign --key "$old" --cert "$T/expired.pem" docs/one
refused 'not valid yet' 5 'not valid before 2040-01-01' \
	ofs-sign --key "$old" --cert "$T/future.pem" docs/one
spied ofs-sign --key "$old" --cert "$T/expired.pem" --allow-expired --out out \
	docs/one
status 0 'expired, with --allow-expired'
run ofs-audit list --json --type batch-opened
like "$(tail -1 <<<"$out")" 'allow-expired' 'and that is on record'
rm -rf out
must ofs-token import-cert "$old" "$T/expired.pem"
refused 'expired, on the token' 5 'expired on 2021-01-01' \
	ofs-sign --key "$old" docs/one
spied ofs-sign --key "$old" --cert "$T/fine.pem" --out out docs/one
status 0 'a valid one given in its place'
rm -rf out
refused "another key's certificate" 5 'is not for key' \
	ofs-sign --key "$old" --cert "$T/cert.pem" docs/one
refused 'no certificate in it' 5 'certificate of the signer: ' \
	ofs-sign --key "$old" --cert docs/one docs/one
refused 'no certificate for the token' 5 "ofs-token: 'docs/one': cannot read" \
	ofs-token import-cert "$old" docs/one
refused 'no such certificate file' 5 "'none.pem'" \
	ofs-sign --key "$old" --cert none.pem docs/one
key=$old
set -- --cert "$T/fine.pem"

# --- as a user who may not
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 711 "$T"
	chmod 755 . docs
	chmod 644 docs/* "$T/fine.pem"
	if ! "${as[@]}" ofs-sign --version >/dev/null 2>&1; then
		cp -r "$OFS_BUILD/bin" "$T/bin"
		chmod -R a+rX "$T/bin"
		PATH=$T/bin:$PATH
	fi
	chown -R 65534:65534 "$T/sandbox"
fi
chmod 000 docs/two
spied ofs-sign --key "$key" "$@" --out "$T/sandbox/out" docs/one docs/two
chmod 644 docs/two
status 1 'unreadable: exit 1'
like "$out$err" "cannot open 'docs/two': Permission denied" \
	'unreadable: says so'
is "$(asked C_Sign)" 1 'unreadable: the other is signed'
cp "$softhsm" "$T/module.so"
chmod 000 "$T/module.so"
module=$T/module.so
refused 'unreadable module' 3 "module.so.*Permission denied" \
	ofs-sign --key "$key" "$@" docs/one
module=
[ "$(id -u)" = 0 ] || chmod 555 docs
refused 'output place not writable, by name' 5 'Permission denied' \
	ofs-sign --key "$key" "$@" --out docs docs/one
refused 'output place not writable' 1 'Permission denied' \
	ofs-sign --key "$key" "$@" docs/one
chmod 755 docs
as=()

# --- never seen
for secret in "$pin" "$sopin"; do
	! grep -qF -e "$secret" "$T/said"
	ok $? 'no PIN in what the tools said'
	! grep -rqF -e "$secret" "$OFS_AUDIT"
	ok $? 'no PIN in the log'
done
[ "$(id -u)" != 0 ] || chown -R 0:0 "$T/sandbox"
run ofs-audit verify --json
status 0 'the log verifies'
is "$(jq -r 'select(.type == "report") | [.unknown, .pending_outputs,
	.unclosed_batches] | join(" ")' <<<"$out")" '0 0 0' \
	'and nothing is open in it'
done_testing
