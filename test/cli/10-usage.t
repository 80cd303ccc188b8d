#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Help, version, and wrong command lines: exit 2 with a hint, nothing done.
. "$(dirname "$0")/../lib/tap.sh"

export OFS_AUDIT=$T/audit
uri='pkcs11:token=none;object=none'

for tool in ofs-token ofs-sign ofs-verify ofs-audit; do
	run "$tool" --help
	status 0 "$tool --help"
	like "$out" "^usage: $tool " "$tool --help says how it is used"
	like "$out" '^Exit status: 0' "$tool --help has the exit status"
	like "$out" '^Example:' "$tool --help has an example"
	is "$(awk 'length($0) > 80' <<<"$out")" '' "$tool --help fits 80 columns"
	[ "$(wc -l <<<"$out")" -le 60 ]
	ok $? "$tool --help is one screen"
	run "$tool" --version
	status 0 "$tool --version"
	like "$out" "^$tool [0-9]+\.[0-9]+\.[0-9]+$" "$tool --version names it"
	run "$tool" --no-such-option
	status 2 "$tool: unknown option"
	like "$err" "unknown option '--no-such-option'; see '$tool --help'" \
		"$tool: and a hint"
	is "$out" '' "$tool: nothing on stdout"
	run "$tool"
	status 2 "$tool without anything"
	like "$err" "see '$tool --help'" "$tool: and a hint"
done

for verb in list info init enroll adopt import-cert export-cert keys rename \
	delete 'pin change' 'pin unblock' 'so-pin change' check bench; do
	read -ra words <<<"$verb"
	run ofs-token "${words[@]}" --help
	status 0 "ofs-token $verb --help"
	like "$out" "^usage: ofs-token $verb" "ofs-token $verb --help names the verb"
	is "$(awk 'length > 80' <<<"$out")" '' 'in 80 columns'
done
for verb in init verify list show rotate checkpoint audit-key prove \
	check-proof export witness timestamp anchor backup restore erase \
	reconcile; do
	run ofs-audit "$verb" --help
	status 0 "ofs-audit $verb --help"
	like "$out" "^usage: ofs-audit $verb" "ofs-audit $verb --help names the verb"
	is "$(awk 'length > 80' <<<"$out")" '' 'in 80 columns'
done

usage()
{
	local want=$1

	shift
	run "$@"
	status 2 "exit 2: $*"
	like "$err" "$want" "  and says '$want'"
}
usage "unknown verb 'frobnicate'" ofs-token frobnicate
usage "unknown verb 'frobnicate'" ofs-audit frobnicate
usage "did you mean '--format'" ofs-sign --fromat raw
usage "did you mean '--recursive'" ofs-sign --rec x
usage "'--key URI' is missing" ofs-sign file
usage 'no document to sign' ofs-sign --key "$uri"
usage "'--root' is for what '--manifest' and '--files-from' list" \
	ofs-sign --key "$uri" --root . file
usage "'--null' is for the names of '--files-from'" \
	ofs-sign --key "$uri" --null --manifest m
usage 'standard input is read once' \
	ofs-sign --key "$uri" --manifest - --files-from -
usage "'-' goes with no other document" \
	ofs-sign --key "$uri" --manifest m -
usage "'--max-items' is a number from 1 to" \
	ofs-sign --key "$uri" --max-items 0 file
usage "'--max-bytes' is a number from 1 to" \
	ofs-sign --key "$uri" --max-bytes 1k file
usage "'--format' is one of cms, cms-attached, raw" ofs-sign --format pdf
usage "'--jobs' is a number from 1 to 256, not '0'" ofs-sign --jobs 0
usage "not '-1'" ofs-sign --jobs=-1
usage "not '99999999999999999999'" ofs-sign --jobs 99999999999999999999
usage "'--cert' was given twice" ofs-sign --cert a --cert b
usage "'--key' needs a value" ofs-sign --key
usage 'looks like an option' ofs-sign --key --recursive file
usage "'--key' is empty" ofs-sign --key= file
usage "'--recursive' takes no value" ofs-sign --recursive=yes file
usage 'exclude each other' ofs-sign --key "$uri" --force --skip-existing file
usage "'-' goes with no other" ofs-sign --key "$uri" - file
usage "'-' goes with no other" ofs-sign --key "$uri" --copy-to /tmp -
usage 'exclude each other' ofs-sign --key "$uri" --confirm --dry-run file
usage "'--confirmed' is 8 to 64 hex digits" \
	ofs-sign --key "$uri" --confirmed xyz file
usage "'--rate' is a number from 1" ofs-sign --key "$uri" --rate 0 file
usage "'--validate-timeout' is a number" \
	ofs-sign --key "$uri" --validate-timeout 0 file
usage "'--report' names a file" ofs-sign --key "$uri" --report - file
usage 'names no command' ofs-sign --key "$uri" --validate ' ' file
usage 'no document to check' ofs-verify
usage "'--time' is now, claimed, or a time" ofs-verify --time yesterday file
usage "'--time' is now" ofs-verify --time 2026-02-30T00:00:00Z file
usage "'--time' is now" ofs-verify --time 2026-01-01T00:00:00 file
usage 'one signature file belongs to one document' \
	ofs-verify --sig /dev/null one two
usage "'--label NAME' is missing" ofs-token init
usage "'--key-type TYPE' is missing" ofs-token enroll "$uri"
usage 'the URI of the key is missing' ofs-token enroll
usage "'--subject NAME' is missing" \
	ofs-token enroll "$uri" --key-type ec:P-256 --self-signed
usage 'exclude each other' ofs-token enroll "$uri" --key-type ec:P-256 \
	--self-signed --csr "$T/x" --subject /CN=x
usage 'goes with' ofs-token enroll "$uri" --key-type ec:P-256 --days 3
for option in san key-usage ext; do
	usage "'--$option' goes with" ofs-token enroll "$uri" \
		--key-type ec:P-256 "--$option" x=y
done
usage "'b' is one word too many" ofs-token adopt a b
usage 'is missing' ofs-token import-cert "$uri"
usage "'x' is one word too many" ofs-token list x
usage "unknown option '--cert-out'" ofs-token keys --cert-out x
usage 'which verb. .pin change. or .pin unblock.; see' ofs-token pin
usage 'which verb. .pin change. or .pin unblock.; see' ofs-token pin chnage
usage 'which verb. .so-pin change.; see' ofs-token so-pin unblock
usage "see 'ofs-token pin change --help'" ofs-token pin change --no-such
usage "'b' is one word too many" ofs-token pin change a b
usage "unknown option '--so-pin-source'" ofs-token pin change --so-pin-source x
usage "unknown option '--pin-source'" ofs-token pin unblock --pin-source x
usage 'is not a PIN source' ofs-token pin change --new-pin-source geheim99
usage 'is not a PIN source' ofs-token so-pin change --new-so-pin-source env:
usage 'the URI of the key is missing' ofs-token export-cert
usage "'--json' needs '--out FILE'" ofs-token export-cert "$uri" --json
usage 'the URI of the key is missing' ofs-token rename --label x
usage "'--label NEW' or '--id HEX' is missing" ofs-token rename "$uri"
for id in '0' 'xy' '01 ' "$(printf '0%.0s' $(seq 130))"; do
	usage "'--id' is 1 to 64 bytes as hex" ofs-token rename "$uri" --id "$id"
done
usage 'the URI of the key is missing' ofs-token delete --yes x
usage "'--yes' needs a value" ofs-token delete "$uri" --yes
usage 'no terminal to ask on; pass --yes LABEL' \
	setsid -w ofs-token delete "$uri"
run ofs-token pin --help
status 0 'ofs-token pin --help'
like "$out" '^usage: ofs-token VERB' 'has the help of ofs-token'
usage "'--severity' is one of info, warning, serious" \
	ofs-token check --severity bad
usage "'--days' is a number" ofs-token check --days 0
usage 'exclude each other' ofs-token check --write-test --no-login
usage "'b' is one word too many" ofs-token check a b
usage 'the URI of a key is missing' ofs-token bench
usage "'--seconds' is a number" ofs-token bench "$uri" --seconds 0
for list in 0 257 '1,' ',1' '1,,2' x 1-4 '1 2'; do
	usage "'--jobs' is a list of numbers from 1 to 256" \
		ofs-token bench "$uri" --jobs "$list"
done
usage "'abc' is not the number of a record" ofs-audit show abc
usage "not the number" ofs-audit show -- -1
usage "'abc' is not a number of records" ofs-audit prove abc
usage "'-1' is not a number of records" ofs-audit prove --since=-1
usage '--reveal goes with a record' ofs-audit prove --since 3 --reveal
usage "the record's number is missing" ofs-audit prove
usage 'the file of a proof is missing' ofs-audit check-proof --vkey a
usage 'with --vkey' ofs-audit check-proof file
usage "give one of '--csv'" ofs-audit export
usage "for '--csv' and '--jsonl' only" ofs-audit export --tiles d --to 3
usage "for '--csv' and '--jsonl' only" ofs-audit export --pending d --key k
usage "does not go with '--tiles'" ofs-audit export --tiles d --force
usage 'with --name and its key' ofs-audit witness file
usage 'with --vkey and the' ofs-audit witness file --name n --key-file k
usage "'--type' is one of" ofs-audit list --type nonsense
usage "'--batch' is up to 32 hex digits" ofs-audit list --batch xyz
# controls in what is repeated do not reach the terminal
usage "unknown option '--a.nb'" ofs-sign $'--a\nb'

run ofs-sign --json --format pdf
status 2 'usage error with --json'
is "$(jq -r '[.type, .code, .exit] | join(" ")' <<<"$out")" \
	'error OFS_EINVAL 2' 'and an error object'

# a PIN in argv is refused and never repeated
for source in 123456 env: file: fd: fd:x fd:-1 cmd: pinpadx prompt: ''; do
	[ -n "$source" ] || continue
	usage 'is not a PIN source' ofs-sign --key "$uri" \
		--pin-source "$source" file
done
run ofs-sign --key "$uri" --pin-source geheim99 file
unlike "$out$err" geheim99 'what was passed for a PIN source is not repeated'
run env OFS_PIN_SOURCE=geheim99 ofs-sign --key "$uri" file
status 2 'OFS_PIN_SOURCE is checked as well'
unlike "$out$err" geheim99 'and not repeated'

run ofs-token list --module /dev/null
status 3 'a module that is none: exit 3'
run ofs-audit verify
status 6 'no audit log: exit 6'
[ ! -e "$T/audit" ]
ok $? 'and looking for one did not make it'
done_testing
