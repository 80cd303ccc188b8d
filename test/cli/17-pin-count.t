#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# How often a PIN reaches the token: counted where it arrives. A wrong one once,
# whatever the tool; none at the last try; one for each signature where the key
# wants it, typed once.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/faultp11.sh"

sandbox_start
cd "$T" || exit 1
token='pkcs11:token=sandbox'
key="$token;object=batch"
careful="$token;object=careful"
pin=$(cat sandbox/pin)
must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --login \
	--pin "$pin" --keypairgen --key-type EC:prime256v1 --label careful \
	--id 22 --sensitive --usage-sign --always-auth
export OFS_MODULE=$OFS_BUILD/test/faultp11.so
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed
must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --login \
	--pin "$pin" --keypairgen --key-type EC:prime256v1 --label loose \
	--id 33 --sensitive --usage-sign
must ofs-token export-cert "$key" --out batch.pem
printf 'not-the-pin' >wrong
chmod 600 wrong
echo one >one

# counted COMMAND...: with counters of its own; $logins and $sessions
counted()
{
	rm -f counts
	FAULTP11_COUNTS=$T/counts run "$@"
	# C_SetPIN takes the PIN, too
	logins=$(($(fault_calls counts C_Login) + $(fault_calls counts C_SetPIN)))
}
# what is opened is closed, and the module is left as it was found
tidy() # NAME
{
	is "$(fault_calls counts C_Initialize) $(fault_calls counts C_Finalize)" \
		'1 1' "$1: C_Initialize and C_Finalize once"
	is "$(fault_calls counts C_CloseSession)" \
		"$(fault_calls counts C_OpenSession)" "$1: closes its sessions"
	is "$(fault_calls counts C_FindObjectsFinal)" \
		"$(fault_calls counts C_FindObjectsInit)" "$1: ends its searches"
}

# --- a wrong PIN
while read -r name args; do
	# shellcheck disable=SC2086 # words
	counted $args --pin-source file:wrong
	status 4 "wrong PIN, $name: exit 4"
	is "$logins" 1 "wrong PIN, $name: sent once"
	is "$(fault_calls counts C_Sign)" 0 "wrong PIN, $name: no C_Sign"
	tidy "wrong PIN, $name"
done <<END
sign ofs-sign --key $key --out out one
clones ofs-sign --key $key --key $key;id=%99 --out out one
enroll ofs-token enroll $token;object=new --key-type ec:P-256
adopt ofs-token adopt $token;object=loose
import-cert ofs-token import-cert $key batch.pem
keys ofs-token keys $token
rename ofs-token rename $token;object=loose --label x
delete ofs-token delete $token;object=loose --yes loose
pin-change ofs-token pin change $token --new-pin-source file:sandbox/so-pin
check ofs-token check $token
bench ofs-token bench $token;object=loose --seconds 1 --jobs 1
END
[ ! -e out/one.p7s ]
ok $? 'nothing was signed'
counted ofs-token pin unblock "$token" --so-pin-source file:wrong \
	--new-pin-source file:sandbox/pin
status 4 'wrong SO PIN: exit 4'
is "$logins" 1 'wrong SO PIN: one C_Login'
tidy 'wrong SO PIN'

# --- the last try
export FAULTP11_SCRIPT='pinflags 0x00020000'
while read -r name args; do
	# shellcheck disable=SC2086 # words
	counted $args
	status 4 "final try, $name: exit 4"
	like "$err" 'one more wrong PIN would lock' "final try, $name: says so"
	is "$logins" 0 "final try, $name: not sent"
	tidy "final try, $name"
done <<END
sign ofs-sign --key $key --out out one
enroll ofs-token enroll $token;object=new --key-type ec:P-256
adopt ofs-token adopt $token;object=loose
import-cert ofs-token import-cert $key batch.pem
keys ofs-token keys $token
pin-change ofs-token pin change $token --new-pin-source file:sandbox/pin
END
counted ofs-sign --key "$key" --out out one --last-try
status 0 '--last-try signs'
is "$logins" 1 'with one C_Login'
rm -r out
export FAULTP11_SCRIPT='pinlock 3'
# the file of counts keeps the PIN's state, too
rm -f counts
export FAULTP11_COUNTS=$T/counts
for i in 1 2 3 4; do
	run ofs-sign --key "$key" --out out one --pin-source file:wrong
	status 4 "a PIN that locks, try $i: exit 4"
done
is "$(fault_calls counts C_Login)" 2 'the third try is not made'
run ofs-sign --key "$key" --out out one --pin-source file:wrong --last-try
status 4 'it is with --last-try'
like "$err" 'the PIN is locked now' 'and what came of it is told'
run ofs-sign --key "$key" --out out one --last-try
status 4 'a locked PIN'
like "$err" 'unblock it with ofs-token pin unblock' 'says what to do'
is "$(fault_calls counts C_Login)" 3 'and is not sent'
unset FAULTP11_COUNTS FAULTP11_SCRIPT

# --- the PIN for every signature
mkdir many
for i in $(seq 100); do
	echo "order $i" >"many/$i"
done
counted ofs-sign --key "$careful" --format raw --out out --recursive many
status 3 'a key that wants the PIN each time: refused'
like "$err" 'always-auth hold' 'with the way out'
is "$(fault_calls counts C_Sign)" 0 'and not used'
counted ofs-sign --key "$careful" --format raw --out out --recursive many \
	--always-auth refuse
status 3 '--always-auth refuse says the same'

cat >typist <<END
#!/bin/sh
echo >>"$T/asked"
cat "$T/sandbox/pin"
END
chmod 755 typist
counted ofs-sign --key "$careful" --format raw --out out --recursive many \
	--always-auth hold --pin-source "cmd:$T/typist"
status 0 '--always-auth hold: signs 100'
is "$(find out -name '*.sig' | wc -l)" 100 '100 signatures'
is "$logins" 101 'one C_Login, and one for each signature'
is "$(fault_calls counts C_Sign)" 100 '100 C_Sign'
is "$(wc -l <asked)" 1 'the PIN was entered once'
tidy hold
rm -rf out asked
counted ofs-sign --key "$careful" --format raw --out out many/1 many/2 many/3 \
	--always-auth ask --pin-source "cmd:$T/typist"
status 0 '--always-auth ask: signs 3'
is "$logins" 4 'one C_Login, and one for each signature'
is "$(wc -l <asked)" 4 'the PIN was entered each time'
tidy ask
# right for the login and wrong for the first signature
cat >typist <<END
#!/bin/sh
[ -e "$T/once" ] && exec cat "$T/wrong"
: >"$T/once"
cat "$T/sandbox/pin"
END
rm -rf out
counted ofs-sign --key "$careful" --format raw --out out --recursive many \
	--always-auth ask --pin-source "cmd:$T/typist" --jobs 4
status 4 'a wrong PIN for a signature: exit 4'
is "$logins" 2 'sent once'
is "$(fault_calls counts C_Sign)" 0 'and nothing was signed'
tidy 'a wrong PIN for a signature'

# a token that does not say so (NSS)
rm -rf out
FAULTP11_SCRIPT='noattr CKA_ALWAYS_AUTHENTICATE' counted ofs-sign \
	--key "$careful" --format raw --out out many/1 many/2 --always-auth hold
status 0 'a key that does not say that it wants the PIN: signs'
is "$logins" 3 'with the PIN for each'

# --- verbs that sign
for verb in 'adopt' 'bench --seconds 1 --jobs 2'; do
	# shellcheck disable=SC2086 # words
	counted ofs-token ${verb%% *} "$careful" ${verb#"${verb%% *}"}
	status 3 "ofs-token ${verb%% *}: refused"
	is "$(fault_calls counts C_Sign)" 0 'and not used'
done
counted ofs-token bench "$careful" --seconds 1 --jobs 2 --always-auth hold --json
status 0 'ofs-token bench --always-auth hold'
is "$(jq 'select(.type == "level").jobs' <<<"$out")" 1 \
	'measures one session: such keys are used by one at a time'
is "$logins" $(($(fault_calls counts C_Sign) + 1)) \
	'one C_Login for each signature'
tidy bench
counted ofs-token adopt "$careful" --always-auth hold --json
status 0 'ofs-token adopt --always-auth hold'
is "$(jq .always_authenticate <<<"$out")" true 'and says what the key is'
is "$logins" 2 'one C_Login for the proof'
tidy adopt
must openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
	-keyout ca.key -out ca.crt -subj /CN=ca
must pkcs11-tool --module "$OFS_MODULE" --token-label sandbox --read-object \
	--type pubkey --id 22 --output-file careful.der
must openssl pkey -pubin -inform DER -in careful.der -out careful.pub
must openssl req -new -key ca.key -subj /CN=careful -out any.csr
must openssl x509 -req -in any.csr -force_pubkey careful.pub -CA ca.crt \
	-CAkey ca.key -CAcreateserial -days 30 -out careful.crt
counted ofs-token import-cert "$careful" careful.crt
status 0 'import-cert needs no policy: nothing is signed'
is "$logins" 1 'one C_Login'
run ofs-token export-cert "$careful"
status 0 'nor does export-cert'
must ofs-sign --key "$careful" --out out many/1 --always-auth hold
run ofs-verify --trust ca.crt many/1 --sig out/many/1.p7s
status 0 'what it signs verifies'
run ofs-audit verify
status 0 'the log verifies'
done_testing
