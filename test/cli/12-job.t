#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The main job through the tools: enrol, sign, verify, show the record.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=batch'
odd=$'odd \xff\nname'
mkdir docs docs/below
echo one >docs/one.txt
echo two >docs/below/two.txt
: >docs/empty
echo odd >"docs/$odd"

# --- tokens and keys
run ofs-token list --json
status 0 'list --json'
is "$(jq -r 'select(.initialised) | .label' <<<"$out")" sandbox 'names the token'
run ofs-token enroll "$key" --key-type ec:P-256 --subject /O=Acme/CN=Batch \
	--self-signed --days 30 --cert-out cert.pem
status 0 'enroll'
like "$out" 'cannot leave the token, made on it' 'says what the token says of it'
like "$out" "ofs-sign --key '$key' FILE" 'and what to do next'
run openssl x509 -in cert.pem -noout -subject
like "$out" 'CN = Batch' 'the certificate is written'
run ofs-token enroll 'pkcs11:token=sandbox;object=other' --key-type ec:P-256 \
	--subject /CN=x --self-signed --cert-out cert.pem
status 5 'an existing certificate file is not replaced'
unlike "$(ofs-token keys pkcs11:token=sandbox)" 'other' 'and no key is made then'
run ofs-token enroll "$key" --key-type ec:P-256
status 5 'nor a key'
run ofs-token enroll 'pkcs11:token=sandbox;object=ca' --key-type rsa:2048 \
	--subject /CN=Acme --csr req.pem
status 0 'enroll with a request'
like "$out" 'ofs-token import-cert' 'says what to do with it'
run openssl req -in req.pem -noout -verify
status 0 'openssl accepts the request'
run ofs-token import-cert 'pkcs11:token=sandbox;object=ca' cert.pem
status 5 "another key's certificate is refused"
run ofs-token keys pkcs11:token=sandbox --json
status 0 'keys --json'
is "$(jq -r 'select(.label == "batch") |
	[.key_type, .sensitive, .extractable, .certificate.subject] | join(" ")' \
	<<<"$out")" 'P-256 true false CN=Batch,O=Acme' 'has type, flags, certificate'
run ofs-token export-cert --out again.pem "$key"
status 0 'export-cert'
cmp -s cert.pem again.pem
ok $? 'gives the same certificate'
run ofs-token adopt "$key"
status 0 'adopt'

# --- sign
run ofs-sign --key "$key" --recursive --dry-run docs
status 0 'dry run'
is "$(find docs -name '*.p7s')" '' 'signs nothing'
run ofs-sign --key "$key" --recursive docs
status 0 'sign'
like "$out" '^4 of 4 signed' 'the summary counts'
like "$out" '^  ofs-verify --trust cert.pem --recursive docs$' \
	'and ends with the command that checks'
# the command as printed, run by a shell
command=$(sed -n 's/^  \(ofs-verify .*\)/\1/p' <<<"$out")
run sh -c "$command"
status 0 'which does'
like "$out" '4 files checked: 4 valid' 'all are valid'
like "$out" 'note: revocation was not checked' 'limits are said'
like "$out" 'odd \\xff\\nname' 'an odd name is escaped'
run ofs-sign --key "$key" --recursive docs
status 0 'again: they are signed already'
like "$out" '0 of 4 signed, 4 skipped' 'each is passed over'
run ofs-sign --key "$key" --recursive --on-duplicate sign docs
status 1 'as if they were new: outputs exist'
like "$out" '0 of 4 signed, 4 failed' 'each fails'
run ofs-sign --key "$key" --recursive --skip-existing docs
status 0 '--skip-existing'
run ofs-sign --key "$key" --recursive --force --json docs
status 0 '--force --json'
is "$(jq -r 'select(.type == "item") | .status' <<<"$out" | sort | uniq -c | xargs)" \
	'4 signed' 'one object for each item'
is "$(jq -r 'select(.path_hex) | .path_hex' <<<"$out")" \
	"$(printf 'docs/%s' "$odd" | od -An -v -tx1 | tr -d ' \n')" \
	'a name that is not UTF-8 comes as hex, too'
is "$(jq -r 'select(.path == "docs/one.txt") | .sha256 // .digest' <<<"$out")" \
	"$(sha256sum <docs/one.txt | cut -d' ' -f1)" 'with the digest'
is "$(jq -r 'select(.type == "summary") | .signed' <<<"$out")" 4 'and a summary'

run ofs-sign --key "$key" docs nosuch docs/one.txt --out out
status 1 'some fail, the others are signed'
like "$out" 'it is a directory; use --recursive' 'a directory says so'
like "$out" "cannot open 'nosuch'" 'a missing file says so'
like "$out" '1 of 3 signed, 2 failed' 'the count has all'
[ -f out/docs/one.txt.p7s ]
ok $? '--out mirrors the path'
run ofs-verify --trust cert.pem --sig out docs/one.txt
status 0 'verify --sig DIR'
run ofs-verify --trust cert.pem --sig out docs/empty
status 5 'no signature there'
run ofs-verify --trust cert.pem --sig docs/one.txt.p7s docs/one.txt
status 0 'verify --sig FILE'
run ofs-verify --trust cert.pem --sig out ./docs//one.txt
status 0 'however the path is written'

up=docs/below/../one.txt
run ofs-sign --key "$key" --out up "$up"
[ -f up/one.txt.p7s ]
ok $? 'everything up to .. is left out'
run ofs-verify --trust cert.pem --sig up "$up"
status 0 'on both sides'
run ofs-sign --key "$key" --out "it's" "docs/$odd" './docs/one.txt'
run bash -c "$(sed -n 's/^  \(ofs-verify .*\)/\1/p' <<<"$out")"
status 0 'odd names are quoted for the shell'
like "$out" '2 files checked: 2 valid' 'each as one word'

run ofs-sign --key "$key" --format raw --out raw docs/one.txt
status 0 'raw'
like "$out" '--trust cert.pem --signer cert.pem --sig raw docs/one.txt' \
	'its command names the signer'
run sh -c "$(sed -n 's/^  \(ofs-verify .*\)/\1/p' <<<"$out")"
status 0 'raw verifies'
run ofs-sign --key "$key" --format cms-attached docs/one.txt
status 0 'attached'
run sh -c "$(sed -n 's/^  \(ofs-verify .*\)/\1/p' <<<"$out")"
status 0 'attached verifies'
rm docs/one.txt.p7m
ofs-sign --key "$key" - <docs/one.txt >stdin.p7s 2>stdin.err
ok $? 'standard input to standard output'
run ofs-verify --trust cert.pem --sig stdin.p7s docs/one.txt
status 0 'and that verifies'
ofs-verify --trust cert.pem --sig stdin.p7s - <docs/one.txt >/dev/null
ok $? 'also from standard input'

(cd docs && sha256sum one.txt below/two.txt >SHA256SUMS)
run ofs-sign --key "$key" --sums docs/SHA256SUMS --out sums
status 0 '--sums'
[ -f sums/docs/below/two.txt.p7s ]
ok $? 'relative to the list'
sed -i '1s/^./f/;1s/^f\(f*\)/e\1/' docs/SHA256SUMS
run ofs-sign --key "$key" --sums docs/SHA256SUMS --out sums2
status 1 'a document that is not as listed is refused'
like "$out" '1 of 2 signed, 1 failed' 'the other is signed'
echo nonsense >bad.sums
run ofs-sign --key "$key" --sums bad.sums
status 5 'a list that is none'
run ofs-sign --key "$key" --cert /etc/hostname --out o3 docs/one.txt
status 5 'a certificate that is none'
mkdir nothing
run ofs-sign --key "$key" --recursive nothing
status 5 'nothing to sign'

# --- verify
run ofs-verify docs/one.txt
status 1 'nobody is trusted by default'
like "$out" '^untrusted +docs/one.txt' 'verdict'
like "$out" 'hint: .*--trust' 'and a hint'
cp docs/one.txt changed.txt
cp docs/one.txt.p7s changed.txt.p7s
echo more >>changed.txt
run ofs-verify --trust cert.pem changed.txt docs/one.txt nosuch
status 1 'one invalid among several'
like "$out" '^invalid +changed.txt' 'is named'
like "$out" '^valid +docs/one.txt' 'so is the valid one'
like "$out" '3 files checked: 1 valid, 1 INVALID, 1 unchecked' 'and counted'
run ofs-verify --trust cert.pem docs/one.txt nosuch
status 5 'missing only: exit 5'
head -c 40 docs/one.txt.p7s >short.p7s
run ofs-verify --trust cert.pem --sig short.p7s docs/one.txt
status 5 'a signature cut short is unreadable'
rm docs/below/two.txt.p7s
run ofs-verify --trust cert.pem --recursive docs
status 5 'a document without signature is named'
like "$out" '^unchecked +docs/below/two.txt' 'by its name'
run ofs-verify --trust cert.pem docs
status 5 'a directory without --recursive'
run ofs-verify --trust cert.pem --quiet docs/one.txt changed.txt
unlike "$out" '^valid' '--quiet leaves out what is valid'
like "$out" '^invalid' 'and not what is invalid'
run ofs-verify --trust cert.pem --json docs/one.txt
is "$(jq -r 'select(.type == "verdict") |
	[.verdict, .signer, (.notes | join(","))] | join(" ")' <<<"$out")" \
	'valid CN=Batch,O=Acme revocation-not-checked' '--json: verdict and notes'
run ofs-verify --trust cert.pem --time 2001-01-01T00:00:00Z docs/one.txt
status 1 'judged at a time before the certificate'
run ofs-verify --trust cert.pem --time claimed docs/one.txt
status 0 'judged at the claimed time'
like "$(xargs -0 <<<"$out" | tr '\n' ' ')" 'that time is unproven' 'which is said'
run ofs-verify --trust nosuch docs/one.txt
status 5 'a missing trust file'

# --- the record
run ofs-audit verify
status 0 'audit verify'
like "$out" 'the log agrees with itself' 'says so'
like "$out" 'not shown: ' 'and what it does not show'
run ofs-audit verify --json
is "$(jq -r 'select(.type == "report") | [.intact, .head_present] | join(" ")' \
	<<<"$out")" 'true true' 'audit verify --json'
run ofs-audit list
status 0 'audit list'
like "$out" 'outcome +signed docs/one.txt' 'has the outcomes'
seq=$(ofs-audit list --json --type outcome |
	jq -r 'select(.body.document.path == "docs/one.txt") | .seq' | head -1)
run ofs-audit show "$seq"
status 0 'audit show'
like "$out" '^document.path +docs/one.txt' 'has the document'
run ofs-audit show "$seq" --json
is "$(jq -r .body.document.digest <<<"$out")" \
	"$(sha256sum <docs/one.txt | cut -d' ' -f1)" 'and its digest'
run ofs-audit show 123456
status 2 'no such record'
batch=$(ofs-audit list --json --type batch-opened | head -1 | jq -r .batch)
run ofs-audit list --batch "$batch" --json
is "$(jq -r .batch <<<"$out" | sort -u)" "$batch" 'list --batch'
run ofs-audit list --from 0 --to 0
is "$(wc -l <<<"$out")" 1 'list --from 0 --to 0 is one record'
run ofs-audit init
status 5 'a log is not made over another'
run ofs-audit init --audit "$T/other" --origin acme
status 0 'audit init'
run ofs-audit verify --audit "$T/other"
like "$out" '^log +acme' 'with a name'

# a pile that is interrupted says how to go on
mkdir pile
for i in $(seq 3000); do echo "$i" >"pile/$i"; done
# RSA: slow enough to be caught in the middle
rsa='pkcs11:token=sandbox;object=ca'
ofs-sign --key "$rsa" --format raw --jobs 1 --recursive pile >int.out 2>int.err &
pid=$!
for _ in $(seq 500); do
	[ -e pile/1.sig ] && break
	sleep 0.01
done
# INT is ignored in the background
kill -TERM "$pid"
wait "$pid"
rc=$? out=$(cat int.out) err=$(cat int.err)
status 7 'interrupted: exit 7'
like "$out" 'run the same command again' 'and says how to go on'
run ofs-sign --list-unfinished
like "$out" '^  interrupted: [0-9]+ of 3000 items' 'what is unfinished says so once'
run ofs-sign --key "$rsa" --format raw --recursive --skip-existing pile
status 0 'going on'
is "$(find pile -name '*.sig' | wc -l)" 3000 'signs the rest'
run ofs-audit verify
status 0 'and the log is intact'

# results that cannot be written are not a success
ofs-audit list >/dev/full 2>full.err
is $? 5 'a full disk for the output: exit 5'
grep -q 'cannot write to standard output' full.err
ok $? 'and says so'
done_testing
