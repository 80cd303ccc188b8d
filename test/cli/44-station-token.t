#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A station key on a token: who has the disk reads nothing, one PIN is enough
# where one token does both, and none goes to the wrong token.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

built "$iofail" "$fault"
sandbox_start
cd "$T" || exit 1
export HOME=$T XDG_CONFIG_HOME=$T/config
printf 4711-4711 >vault.pin && printf 0000 >wrong.pin && chmod 600 ./*.pin
must softhsm2-util --init-token --free --label vault --so-pin 87654321 \
	--pin 4711-4711
desk='pkcs11:token=sandbox'
vault='pkcs11:token=vault'
vpin="--pin-source file:vault.pin"
enroll() { OFS_AUDIT=$T/setup must ofs-token enroll "$@"; }
enroll "$desk;object=docs" --key-type ec:P-256 --subject /CN=docs --self-signed
enroll "$desk;object=rsa" --key-type rsa:2048
enroll "$desk;object=log" --key-type rsa:2048 --use log
like "$out" 'NOT FOR SIGNING' 'a key that opens logs signs nothing'
like "$out" "ofs-audit rotate --station-key 'pkcs11:token=sandbox;object=log'" \
	'what to do with it is said'
is "$(ofs-audit list --audit setup --json | jq -c 'select(.type_name ==
	"key-event" and .body.event == "enroll") | .body.use' | tail -1)" \
	'"log"' 'and recorded'
is "$(ofs-token keys "$desk" --audit setup --json |
	jq -c 'select(.label == "log") | [.sign, .decrypt, .extractable]')" \
	'[false,true,false]' 'the token says so, too'
enroll $vpin "$vault;object=log" --key-type rsa:2048 --use log
auditor alice
mkdir docs
for i in 1 2 3 4 5 6; do echo "order $i" >docs/order-$i.xml; done
key="$desk;object=docs"
export FAULTP11_COUNTS=$T/counts
sign() { run ofs-sign --key "$key" "$@"; }
calls() { fault_calls "$T/counts" "$1"; }
readable() { # OPTION...
	ofs-audit list --json "$@" 2>/dev/null |
		jq -r 'select(.type_name == "outcome") |
			.body.document.path // empty' | sort -u | wc -l
}

# --- one token for both
export OFS_AUDIT=$T/log
run ofs-audit init --station-key "$desk;object=log" --auditor alice.crt
status 0 'init with a station key on a token'
is "$err" '' 'of which an auditor can do without'
like "$out" '^  station +pkcs11:.*token=sandbox.*object=log$' 'names it'
like "$out" 'whoever has the disk$' 'and says what it is worth'
[ ! -e config/offlinesig ] || [ -z "$(find config/offlinesig -newer alice.crt)" ]
ok $? 'no key file is made'
is "$(ofs-audit show 1 --json | jq -c '[.body.wraps[] | [.what, .kind]]')" \
	'[["data","token"],["data","x509"],["tag","token"],["tag","x509"]]' \
	'the epoch is wrapped for it'
OFS_MODULE=$fault sign --out out docs/order-1.xml docs/order-2.xml
status 0 'ofs-sign'
is "$(calls C_Login) $(calls C_Decrypt)" '1 1' 'one login, one decryption'
run ofs-audit verify
like "$out" '^NOT OPENED' 'the disk alone shows nothing'
is "$(readable)" 0 'no document'
is "$(readable --station-key pkcs11: --passphrase-source file:sandbox/pin)" 2 \
	'the token opens it'
is "$(readable --station-key "$desk" --passphrase-source file:sandbox/pin)" 2 \
	'named, too'
is "$(readable --auditor-key alice.key)" 2 'and so does an auditor'
is "$(ofs-audit list --json --auditor-key alice.key | jq -c 'select(.type_name
	== "login") | [.body.ok, .body.token.label]' | sort | uniq -c |
	sed 's/^ *//')" '2 [1,"sandbox"]' 'every login that wrote is recorded'
run ofs-token keys "$desk"
status 0 'ofs-token writes it'
run env OFS_AUDIT_PASSPHRASE_SOURCE=file:sandbox/pin ofs-audit backup bak
status 0 'ofs-audit backup, with the PIN'
run ofs-audit backup --passphrase-source file:sandbox/pin bak2
status 0 'as an option'
run setsid -w ofs-audit backup bak3
status 6 'without it, and with nobody to ask'
like "$err" 'whole, but it could not be recorded.*on a token' 'is whole, and said'
is "$(readable --audit bak --station-key pkcs11: \
	--passphrase-source file:sandbox/pin)" 2 'the token opens the backup'
run ofs-audit export --csv - --passphrase-source file:sandbox/pin
status 0 'export'
like "$out" 'docs/order-2.xml' 'of all'

# --- a wrong PIN
rm -f counts
OFS_MODULE=$fault sign --out no --pin-source file:wrong.pin docs/order-3.xml
status 4 'a wrong PIN'
is "$(calls C_Login) $(calls C_Sign)" '1 0' 'is sent once, and nothing signed'
[ ! -e no ]
ok $? 'nor written'
must ofs-token info "$desk"

# --- which others can check
if python3 -c 'import cryptography' 2>/dev/null &&
	command -v pkcs11-tool >/dev/null; then
	run env PIN="$(cat sandbox/pin)" python3 \
		"$OFS_TOP/test/lib/open_log.py" log/log.db token -
	is "$rc" 0 'pkcs11-tool and python open it' "$err"
	like "$out" '^[1-9]' 'and find what was signed'
fi

# --- the log's token is another one, and its PIN, too
export OFS_AUDIT=$T/apart
run ofs-audit init --station-key "$vault;object=log" $vpin
like "$err" 'token is lost or locked the log is lost' 'nobody else can read it'
rm -f counts
OFS_MODULE=$fault sign --out out docs/order-3.xml
status 4 'the PIN of the one is not tried on the other'
is "$(calls C_Login)" 0 'at all'
like "$err" 'pass --audit-passphrase-source' 'what is missing is said'
run setsid -w ofs-token keys "$desk"
like "$err" 'set OFS_AUDIT_PASSPHRASE_SOURCE to' 'by ofs-token, too'
OFS_MODULE=$fault sign --out out --audit-passphrase-source file:vault.pin \
	docs/order-3.xml
status 0 'with both PINs'
is "$(calls C_Login)" 2 'each token gets its own'
OFS_MODULE=$fault sign --out out --audit-passphrase-source file:wrong.pin \
	docs/order-4.xml
status 4 'a wrong PIN for the log'
is "$(calls C_Sign)" 1 'signs nothing'
OFS_MODULE=$fault sign --out out --audit-passphrase-source file:vault.pin \
	docs/order-4.xml
status 0 'and is forgotten'
is "$(readable --station-key pkcs11:token=vault \
	--passphrase-source file:vault.pin)" 2 'all of it is there'
run ofs-audit list --station-key "$desk" --passphrase-source file:vault.pin
status 3 'a token that does not have it'
like "$err" "not on token 'sandbox'" 'is said'
run softhsm2-util --delete-token --token vault
sign --out out --audit-passphrase-source file:vault.pin docs/order-5.xml
status 3 'a token that is gone'
like "$err" 'vault' 'is named'
[ ! -e out/docs/order-5.xml.p7s ] && [ ! -e out/order-5.xml.p7s ]
ok $? 'nothing is signed then'

# --- from a file to a token and back
export OFS_AUDIT=$T/moved
must ofs-audit init --station-key file.key --auditor alice.crt
sign --out moved docs/order-1.xml
run ofs-audit rotate --station-key "$desk;object=log" --reason 'a token now'
status 0 'rotate from a file to a token'
like "$out" '^  station +pkcs11:' 'which opens it now'
cp file.key kept.key && rm file.key
sign --out moved docs/order-2.xml
status 0 'the file is not needed any more'
is "$(readable --station-key pkcs11: --passphrase-source file:sandbox/pin)" 2 \
	'the token opens what was before, too'
is "$(readable --station-key kept.key)" 1 'and the old file that'
run ofs-audit rotate --station-key new.key
status 6 'the token is needed to change that'
[ ! -e new.key ]
ok $? 'and no key is made without it'
run ofs-audit rotate --station-key new.key --passphrase-source file:sandbox/pin
status 0 'rotate to a file'
sign --out moved docs/order-3.xml
status 0 'signs without that PIN'
is "$(readable)" 3 'and reads all'
run ofs-audit verify
status 0 'the log verifies'
run ofs-audit rotate --station-key "$desk;object=log" --drop-auditor 00000000
status 2 'a rotation that is refused'
run ofs-audit rotate --station-key other.key --drop-auditor 00000000
status 2 'with a file, too'
[ ! -e other.key ]
ok $? 'leaves no file'
is "$(readable)" 3 'and changes nothing'
must ofs-audit rotate --station-key "$desk;object=log"
must ofs-token delete "$desk;object=log" --yes log --audit setup
sign --out moved docs/order-4.xml
status 3 'a station key that was deleted'
like "$err" 'not on token|rotate' 'is said'
run ofs-audit rotate --station-key again.key --auditor-key alice.key
status 0 'an auditor names another'
sign --out moved docs/order-4.xml
status 0 'and it goes on'
is "$(readable)" 4 'with all of it'

# --- refused, and no log is made
enroll "$desk;object=log" --key-type rsa:2048 --use log
must pkcs11-tool --module "$OFS_MODULE" --login --pin "$(cat sandbox/pin)" \
	--token-label sandbox --keypairgen --key-type rsa:2048 --label loose \
	--extractable --usage-decrypt
no_log 3 'signs; a station key decrypts' 'a key that signs' \
	--station-key "$desk;object=rsa"
no_log 2 'is P-256; a station key is an RSA key' 'an EC key' \
	--station-key "$key"
no_log 3 'can leave the token' 'an extractable key' \
	--station-key "$desk;object=loose"
no_log 3 'none matches the URI' 'a key that is not there' \
	--station-key "$desk;object=missing"
no_log 4 'wrong|rejected|PIN' 'a wrong PIN' --station-key "$desk;object=log" \
	--pin-source file:wrong.pin
no_log 2 'plain audit log has no keys' 'a plain log' \
	--station-key "$desk;object=log" --plain
no_log 2 'needs a passphrase' 'none, and one on a token' \
	--station-key "$desk;object=log" --no-station-key
for bad in --use=log\ --key-type=ec:P-256 \
	--use=log\ --key-type=rsa:2048\ --self-signed\ --subject=/CN=x; do
	run ofs-token enroll "$desk;object=bad" --audit setup $bad
	status 2 "enroll $bad"
done
sign --audit setup --format raw --out no docs/order-1.xml --key "$desk;object=log"
status 3 'documents are not signed with it'
run ofs-token adopt "$desk;object=loose" --use log --audit setup
status 3 'adopt: one that can leave the token'
run ofs-token adopt "$desk;object=log" --use log --audit setup
status 0 'adopt: one that cannot'

# --- verbs that are about the token of the station key want one PIN, once
enroll "$desk;object=heads" --key-type ec:P-256
must ofs-audit init --audit one --station-key "$desk;object=log" \
	--auditor alice.crt
one() { # VERB...
	run env -u OFS_PIN_SOURCE setsid -w ofs-audit "$@" --audit one
	status 4 "$1: no PIN"
	like "$err" 'pass --pin-source file:' 'says where one comes from'
	run setsid -w ofs-audit "$@" --audit one
	status 0 "$1: one PIN"
}
one audit-key --set "$desk;object=heads"
one checkpoint --sign
one anchor --token "$desk"
one rotate --station-key "$desk;object=log"
is "$(ofs-audit list --audit one --type login --json --auditor-key alice.key |
	jq -s length)" 5 'with one login each'
run setsid -w ofs-audit backup one-bak --audit one
status 6 'a backup that cannot be recorded'
like "$err" 'PIN of the audit log on; pass --passphrase-source file:' \
	'says what the log wants'
run ofs-token delete "$desk;object=log" --yes log --audit one
status 3 'the station key of the log is not deleted'
like "$err" "name another one first, with 'ofs-audit rotate" 'what to do first'

# --- a sealed log: the token opens what is unfinished, and nothing else
export OFS_AUDIT=$T/sealed
run ofs-audit init --sealed --auditor alice.crt --station-key "$desk;object=log"
status 0 'a sealed log'
like "$out" 'object=log, what is unfinished$' 'says for what'
IOFAIL='write .p7s 3 0' LD_PRELOAD=$iofail run ofs-sign --key "$key" \
	--jobs 1 --out sealed --recursive docs
is "$rc" 137 'a batch that is killed'
rm -f counts
OFS_MODULE=$fault sign --out sealed --recursive docs --resign-unknown
status 0 'is gone on with'
isnt "$(calls C_Sign)" 6 'and not signed anew'
is "$(find sealed -name '*.p7s' | wc -l)" 6 'all of it'
is "$(readable --station-key pkcs11: --passphrase-source file:sandbox/pin)" 0 \
	'what is finished is sealed'
is "$(readable --auditor-key alice.key)" 6 'but for the auditor'
must ofs-audit rotate --station-key sealed.key \
	--passphrase-source file:sandbox/pin
sign --out sealed2 --recursive docs
status 0 'rotate: to a file'
must ofs-audit rotate --station-key "$desk;object=log"
sign --out sealed3 --recursive docs
status 0 'and back'
run ofs-audit verify --auditor-key alice.key
status 0 'the log verifies'

done_testing
