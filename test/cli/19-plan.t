#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an operator sees before a batch: the plan, the question that binds it,
# and the commands that are asked about each document.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=batch'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /O=Acme/CN=Batch \
	--self-signed --days 20 --cert-out cert.pem
mkdir docs
echo one >docs/a.xml
echo one >docs/b.xml
echo 'a longer one' >docs/c.PDF
sigs() { find . -name '*.p7s' | sort | xargs; }
logins() { ofs-audit list --json --type login | wc -l; }
flat() { tr '\n' ' ' <<<"$out" | tr -s ' '; }
plan() { jq -r "select(.type == \"plan\") | $1" <<<"$out"; }

# --- --dry-run
before=$(logins)
run ofs-sign --key "$key" --recursive --dry-run docs
status 0 'dry run'
like "$out" '^items +3, 3 to sign$' 'counts'
like "$out" "^size +21 bytes; the largest 13 bytes: 'docs/c.PDF'$" 'sizes'
like "$out" '^types +2 xml \(8 bytes\), 1 pdf \(13 bytes\)$' 'types'
like "$out" "^duplicates +'docs/b.xml' is the same document as 'docs/a.xml'$" \
	'a document that is there twice'
like "$out" '^certificate +CN=Batch,O=Acme$' 'whose certificate'
like "$out" 'ONLY (19|20) days left$' 'which ends soon'
like "$out" 'key usage: digitalSignature, nonRepudiation$' 'what it is for'
like "$out" "^time +not known: 'ofs-token bench' measures it$" \
	'no time where nothing is known'
like "$out" '^signatures +3, one .* an aggregate over the list takes 1$' 'what an aggregate takes'
list=$(sed -n 's/^list  *\([0-9a-f]\{64\}\)$/\1/p' <<<"$out")
is "${#list}" 64 'the digest of the list'
is "$(awk 'length($0) > 80' <<<"$out")" '' '80 columns'
is "$(sigs)" '' 'nothing is signed'
is "$(logins)" "$before" 'and nobody logged in'
touch docs/c.PDF.p7s
(cd docs && sha256sum a.xml b.xml c.PDF) >docs/SUMS
echo two >docs/b.xml
echo "$(sha256sum </dev/null | cut -c1-64)  gone" >>docs/SUMS
run ofs-sign --key "$key" --sums docs/SUMS --dry-run --json
status 1 'a list with faults'
is "$(plan '[.items, .ready, .failed, .unreadable, .mismatched, .existing] |
	join(" ")')" '4 1 3 1 1 1' 'each is counted as what it is'
is "$(plan '[.bytes, .largest, .duplicates, .certificate.subject,
	.rate_source, .seconds, .aggregate_signatures] | map(tostring) |
	join(" ")')" '21 13 0 CN=Batch,O=Acme null null 1' '--json'
rm docs/c.PDF.p7s docs/SUMS
echo one >docs/b.xml
run ofs-sign --key "$key" --recursive --dry-run --json docs
is "$(plan .list_sha256)" "$list" 'the same list has the same digest'
is "$(jq -r 'select(.type == "duplicate") | [.index, .path, .first, .first_path] |
	join(" ")' <<<"$out")" '1 docs/b.xml 0 docs/a.xml' 'duplicates are objects'

# --- --confirmed
run ofs-sign --key "$key" --recursive --confirmed "${list:0:6}" docs
status 2 'too few digits'
run ofs-sign --key "$key" --recursive --confirmed "${list:0:8}" --dry-run docs
status 2 'confirmed and not signed'
run ofs-sign --key "$key" --recursive --confirmed 00000000 docs
status 5 'another list than was confirmed'
like "$err" "digest is ${list:0:16}\.\.\., not '00000000'" 'says which'
echo new >docs/d.xml
run ofs-sign --key "$key" --recursive --confirmed "$list" docs
status 5 'a list that grew'
rm docs/d.xml
is "$(sigs)" '' 'nothing is signed'
is "$(logins)" "$before" 'and nobody logged in'
run ofs-sign --key "$key" --recursive --confirmed "${list:0:8}" docs
status 0 'what was confirmed is signed'
is "$(ofs-audit list --json --type batch-opened | jq -r .body.list_sha256)" \
	"$list" 'the record has that digest'
rm docs/*.p7s

# --- the time, from what was signed before
run ofs-token bench 'pkcs11:token=sandbox;object=batch' --seconds 1 --jobs 1 \
	--use-enrolled
run ofs-sign --key "$key" --recursive --dry-run docs
like "$out" '^time +about 0:0[0-9], at [0-9.]+ signatures a second \(as the bench' \
	'a bench tells the time'
run ofs-sign --key "$key" --recursive --dry-run --json --rate 6 docs
is "$(plan '[.rate_source, .per_second, .seconds] | map(tostring) | join(" ")')" \
	'bench 0.1 30' 'which --rate makes longer'

# --- --confirm
run setsid ofs-sign --key "$key" --recursive --confirm docs
status 2 'no terminal'
like "$err" 'run with --dry-run, and then with --confirmed' 'says what else to do'
run ofs-sign --key "$key" --recursive --confirm --confirmed "$list" docs
status 2 'once is enough'
before=$(logins)
ask() { # WORD [COMMAND]: the word is typed when it is asked for
	: >"$T/tty"
	{
		for _ in $(seq 200); do
			grep -q 'to go on: ' "$T/tty" 2>/dev/null && break
			sleep 0.05
		done
		[ -z "${2-}" ] || eval "$2"
		logins >"$T/logins"
		sleep 0.1
		printf '%s\n' "$1"
		for _ in $(seq 200); do
			grep -q '^status ' "$T/tty" && break
			sleep 0.05
		done
	} | TERM=dumb script -qec "ofs-sign --key '$key' --recursive --confirm $3 docs; \
		echo status \$?" /dev/null >"$T/tty" 2>&1
	out=$(tr -d '\r' <"$T/tty")
}
if command -v script >/dev/null; then
	ask nonsense
	like "$out" "^list +$list$" 'the plan is shown'
	like "$out" "type the first digits .* '${list:0:8}' to go on" 'and a word asked for'
	like "$out" '^status 7' 'another word: exit 7'
	is "$(sigs)" '' 'nothing is signed'
	is "$(logins)" "$before" 'nobody logged in'
	ask "${list:0:8}" 'echo changed >docs/b.xml; echo more >docs/e.xml' \
		"--report '$T/kept'"
	is "$(cat "$T/logins")" "$before" 'nobody logged in before the word'
	like "$out" '^2 of 3 signed, 1 failed' 'the word: what was planned is signed'
	like "$(flat)" 'docs/b.xml. is not the document that was planned' \
		'and not what changed since'
	like "$out" '^status 1' 'exit 1'
	is "$(sigs)" './docs/a.xml.p7s ./docs/c.PDF.p7s' 'no more and no less'
	is "$(jq -r .type "$T/kept" | sort | uniq -c | xargs)" \
		'1 duplicate 3 item 1 plan 1 summary' 'the report has plan and result'
	rm -f docs/*.p7s docs/e.xml
	echo one >docs/b.xml
fi

# --- --validate
run env --ignore-signal=CHLD ofs-sign --key "$key" --out deaf --validate false \
	docs/a.xml
status 1 'SIGCHLD ignored: a refusal is one all the same'
like "$(flat)" "'false' exited with 1" 'and is known'
usage()
{
	run ofs-sign --key "$key" --validate "$1" docs/a.xml
	status 2 "$2"
	like "$err" "$3" "$2: says so"
}
usage "sh 'x" 'an open quote' 'a quote .* is not closed'
usage ' ' 'no command' 'names no command'
usage no-such-program 'no such program' "not in /usr/bin or /bin"
usage ./docs/a.xml 'what is not a program' 'it is no program'
cat >check <<'END'
#!/bin/sh
# the last argument is the document, and so is stdin
for doc; do :; done
{ echo "args $*"; env | sort; ls /proc/self/fd | xargs; } >>"$1"
[ "$(sha256sum <"$doc")" = "$(sha256sum)" ] || { echo differs; exit 9; }
sha256sum <"$doc" | grep -q "^$OFS_SHA256 " || { echo another hash; exit 8; }
if grep -q longer "$doc"; then
	echo; echo 'line 1: no IBAN'; printf 'line 2: \033[2Jx\n' >&2; exit 3
fi
END
chmod +x check
SECRET=1 run ofs-sign --key "$key" --recursive --on-duplicate sign \
	--validate "./check \"$T/seen\" 'two words'x" docs 9</dev/null
status 1 'one is refused'
like "$out" '^2 of 3 signed, 1 failed' 'the others are signed'
like "$(flat)" "docs/c.PDF' is refused by its validation: './check' exited with 3: line 1: no IBAN; line 2: [\]+x1b\[2Jx" \
	'its words are in the result, escaped'
is "$(sigs)" './docs/a.xml.p7s ./docs/b.xml.p7s' 'and it is not signed'
is "$(ofs-audit list --json --type outcome | tail -3 | jq -r 'select(.body.status == 2) |
	[.body.attempts, (.body.reason | contains("no IBAN"))] | join(" ")')" \
	'0 true' 'the record has them, too'
is "$(grep -c '^args' seen)" 3 'each document is asked about once'
like "$(cat seen)" "^args $T/seen two wordsx docs/a.xml$" 'with its path last'
is "$(grep "=" seen | grep -v '^args' | cut -d= -f1 | sort -u | xargs)" \
	'LC_ALL OFS_DOCUMENT OFS_SHA256 PATH PWD' 'the environment is clean'
is "$(grep '^0 1 2' seen | sort -u)" '0 1 2 3' 'no descriptor but those (and ls)'
like "$(ofs-audit list --json --type batch-opened | tail -1 | jq -r .body.options)" \
	'validated' 'the record says that it was asked'
rm docs/*.p7s
run ofs-sign --key "$key" --recursive --on-duplicate sign --dry-run --json \
	--validate "./check $T/seen" docs
is "$(plan '[.ready, .refused] | join(" ")')" '2 1' 'a dry run asks, too'
cp docs/a.xml ./-a.xml
run ofs-sign --key "$key" --validate "./check $T/seen" --validate false -- -a.xml
status 1 'the second command refuses'
like "$(flat)" "by its validation: 'false' exited with 1" 'says which'
like "$(tail -8 seen)" 'OFS_DOCUMENT=\./-a.xml' 'a name is no option'
began=$SECONDS
run ofs-sign --key "$key" --validate 'sh -c "sleep 77.7 & sleep 77.7"' \
	--validate-timeout 1 docs/a.xml
status 1 'one that takes too long'
like "$(flat)" "'sh' was not done after 1 s" 'says so'
[ $((SECONDS - began)) -lt 20 ]
ok $? 'and is not waited for'
is "$(pgrep -f 'sleep 77\.7')" '' 'nor is what it started left'
run ofs-sign --key "$key" --validate 'sh -c "kill -9 \$\$"' docs/a.xml
status 1 'one that is killed'
run ofs-sign --key "$key" --validate 'sh -c "yes | head -c 1000000; exit 1"' docs/a.xml
like "$(flat)" "exited with 1: y; y; y 0 of 1" 'one that says a lot'
cat >swap <<END
#!/bin/sh
echo 'pay me' >docs/a.xml
END
chmod +x swap
run ofs-sign --key "$key" --validate ./swap docs/a.xml
status 1 'a document that is swapped behind it'
like "$(flat)" 'it changed while it was read' 'is noticed'
is "$(sigs)" '' 'and not signed'
echo order >o
run sh -c "ofs-sign --key '$key' --validate './check $T/seen' - <o >o.p7s"
status 0 'standard input'
openssl cms -verify -binary -inform DER -in o.p7s -content o -CAfile cert.pem \
	-purpose any >/dev/null 2>&1
ok $? 'is validated and signed'
done_testing
