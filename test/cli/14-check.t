#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# ofs-token check: what people and programs are told, and the exit status.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=batch'
pin=$(cat "${OFS_PIN_SOURCE#file:}")
must ofs-token enroll "$key" --key-type ec:P-256 --subject /O=Acme/CN=Batch \
	--self-signed --days 100
adv=$OFS_TOP/tools/advisories

# --- a token that is in order
run ofs-token check --advisories "$adv"
status 0 'a token that is in order'
like "$out" '^sandbox$' 'the summary names it'
like "$out" '^  token +SoftHSM project SoftHSM v2, firmware 2' 'and its firmware'
like "$out" '^  library +SoftHSM.*Cryptoki 2' 'and its library'
like "$out" '^  mechanisms +[0-9]+; for signing: RSA_PKCS' 'and its mechanisms'
like "$out" 'default PINs were not tried' 'and says what was not tried'
like "$out" '^0 serious, 0 warnings, [0-9]+ to know$' 'the counts come last'
is "$(awk 'length($0) > 80' <<<"$out")" '' '80 columns'
run ofs-token check pkcs11:token=sandbox --advisories "$adv" --severity warning
status 0 '--severity'
unlike "$out" '^info' 'leaves out what is below'
like "$out" ' \([0-9]+ not shown\)$' 'and says so'
run ofs-token check --days 101 --advisories "$adv"
status 0 'a warning is not serious'
like "$out" '^warning +cert-expiring: key .batch. \(id [0-9a-f]+\)$' '--days'
run ofs-token check --no-login --advisories "$adv" --json
status 0 '--no-login'
is "$(jq -r 'select(.id == "not-logged-in") | .severity' <<<"$out")" warning \
	'says that private keys were not seen'
is "$(jq -r 'select(.type == "summary") | .logged_in' <<<"$out")" false 'twice'

# --- one that is not
must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --login \
	--pin "$pin" --keypairgen --key-type rsa:1024 --label loose --id 77 \
	--extractable --usage-sign
run ofs-token check --advisories "$adv"
status 1 'something serious: exit 1'
like "$out" "^serious +key-extractable: key 'loose' \(id 77\)$" 'it is named'
like "$out" '^ +do: make a new key' 'with what to do'
is "$(awk 'length($0) > 80' <<<"$out")" '' '80 columns'
is "$(grep -oE '^(serious|warning|info)' <<<"$out" | uniq | xargs)" \
	'serious warning info' 'the worst comes first'
run ofs-token check --advisories "$adv" --severity serious --json
status 1 '--json: the same exit status'
is "$(jq -r 'select(.type == "finding") | .severity' <<<"$out" | sort -u)" \
	serious '--severity holds for --json, too'
is "$(jq -r 'select(.id == "rsa-too-short") |
	[.about, .subject, (.uri | test("object=loose")), (.do | length > 9)] |
	join(" ")' <<<"$out")" "key key 'loose' (id 77) true true" 'a finding'
is "$(tail -1 <<<"$out" |
	jq -r '[.type, .serious, .keys, .default_pins_tried] | join(" ")')" \
	'summary 2 2 false' 'the summary is the last line'
run ofs-audit list --type token-event
like "$(tail -1 <<<"$out")" 'token sandbox: check serious=2 warning=' \
	'the check is recorded'

# --- advisories
cat >mine <<'END'
# all tokens of this kind
id: ACME-1
manufacturer: SoftHSM*
model: *
firmware: any
severity: serious
text: not a hardware token
do: buy one
END
run ofs-token check --advisories mine --severity serious
status 1 '--advisories'
like "$out" '^ +ACME-1: not a hardware token$' 'its text'
like "$out" '^ +do: buy one$' 'and what to do'
echo nonsense >>mine
run ofs-token check --advisories "$adv" --advisories mine
status 5 'advisories that cannot be read: exit 5'
like "$err" "cannot use advisories 'mine': line 9 begins with none of" 'says why'
is "$out" '' 'and nothing is assessed'
run ofs-token check --advisories nosuch
status 5 'no such file'

# --- a module that others can write
mkdir lib
cp "$(readlink -f "$OFS_MODULE")" lib/softhsm.so
chmod 757 lib/softhsm.so
run env OFS_MODULE="$T/lib/softhsm.so" ofs-token check --json --advisories "$adv"
status 1 'a module that others can write'
is "$(jq -r 'select(.id == "module-writable") | .severity' <<<"$out")" serious \
	'is serious'
printf '\n' >>lib/softhsm.so
chmod 755 lib/softhsm.so
run env OFS_MODULE="$T/lib/softhsm.so" ofs-token check --json --advisories "$adv"
is "$(jq -r 'select(.id == "module-changed") | .severity' <<<"$out")" warning \
	'a module that is not that of the enrolment'

# --- errors
run ofs-token check pkcs11:token=nosuch --advisories "$adv"
status 3 'no such token: exit 3'
echo 000000 >wrong
run ofs-token check --pin-source file:wrong --advisories "$adv"
status 4 'wrong PIN: exit 4'
run ofs-token check --advisories "$adv" --json
is "$(jq -r 'select(.id == "pin-count-low") | .severity' <<<"$out")" '' \
	'the right PIN clears the count'
run ofs-audit verify
status 0 'the log is intact'
done_testing
