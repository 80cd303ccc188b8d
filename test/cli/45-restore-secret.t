#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Encrypted logs that no file on this machine opens any more: their backups are
# restored with what opens them, and go on.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=docs'
enroll() { OFS_AUDIT=$T/setup must ofs-token enroll "$@"; }
enroll "$key" --key-type ec:P-256 --subject /CN=docs --self-signed
enroll 'pkcs11:token=sandbox;object=log' --key-type rsa:2048 --use log
auditor alice
auditor bob
printf old >old.pass && printf wrong >wrong.pass && chmod 600 ./*.pass
echo a >a
echo b >b
events() { ofs-audit list --json "$@" 2>/dev/null | jq -r '.body |
	select(.event == "restore" or .event == "read" or .user == "user") |
	.event // "login"' | grep -B 1 restore | xargs; }
# a log that is lost with all that lay beside it, but a backup
lose() { # NAME INIT-OPTION...
	export OFS_AUDIT=$T/$1
	name=$1
	must ofs-audit init "${@:2}"
	[ "$name" != pass ] || export OFS_AUDIT_PASSPHRASE_SOURCE=file:old.pass
	must ofs-sign --key "$key" --out "$name-1" a
	OFS_AUDIT_PASSPHRASE_SOURCE=${OFS_AUDIT_PASSPHRASE_SOURCE-file:sandbox/pin} \
		must ofs-audit backup "$name-bak"
	unset OFS_AUDIT_PASSPHRASE_SOURCE
	rm -r "$name" && rm -f station.key
	run setsid -w ofs-audit restore "$name-bak"
	status 6 "$name: without what opens it"
	like "$err" "nothing here opens, .* or the key of an auditor" \
		"$name: which is said"
	[ ! -e "$name" ] && [ -z "$(find . -maxdepth 1 -name "$name.*")" ]
	ok $? "$name: nothing is left there" "$(ls)"
}
restored() { # EVENTS READ-OPTION...
	status 0 "$name: restored"
	is "$(events "${@:2}")" "$1" "$name: which is recorded"
	run ofs-audit verify "${@:2}"
	status 0 "$name: and verifies"
}

lose pass --no-station-key --passphrase-source file:old.pass
run ofs-audit restore pass-bak --passphrase-source file:wrong.pass
status 4 'a wrong passphrase'
[ ! -e pass ]
ok $? 'restores nothing'
run ofs-audit restore pass-bak --passphrase-source file:old.pass
restored 'read restore' --passphrase-source file:old.pass
must ofs-sign --key "$key" --out pass-2 b \
	--audit-passphrase-source file:old.pass

lose token --station-key 'pkcs11:token=sandbox;object=log'
run ofs-audit restore token-bak --passphrase-source file:wrong.pass
status 4 'a wrong PIN'
[ ! -e token ]
ok $? 'restores nothing'
run ofs-audit restore token-bak --passphrase-source file:sandbox/pin
restored 'login restore' --passphrase-source file:sandbox/pin
must ofs-sign --key "$key" --out token-2 b

# the station key is gone with the station: an auditor is left
lose station --station-key station.key --auditor alice.crt
run ofs-audit restore station-bak --auditor-key bob.key
status 5 'the key of somebody else'
like "$err" "cannot use --auditor-key 'bob.key'" 'is named'
[ ! -e station ]
ok $? 'restores nothing'
run ofs-audit restore station-bak --auditor-key alice.key
restored 'read restore' --auditor-key alice.key
run ofs-sign --key "$key" --out station-2 b
status 6 'the station cannot write it'
must ofs-audit rotate --station-key fresh.key --auditor-key alice.key
run ofs-sign --key "$key" --out station-2 b
status 0 'but with a new key'

done_testing
