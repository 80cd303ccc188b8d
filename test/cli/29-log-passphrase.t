#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Logs that a passphrase opens, and no file: written and read when it is given.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=pass'
must openssl req -x509 -nodes -days 30 -subj /CN=auditor -out alice.crt \
	-keyout alice.key -newkey ec -pkeyopt ec_paramgen_curve:P-256
printf 'correct horse' >pass && chmod 600 pass
printf 'wrong battery' >wrong && chmod 600 wrong
mkdir in
for i in 1 2 3; do echo "order $i" >"in/$i"; done

export OFS_AUDIT=$T/log
run ofs-audit init --no-station-key
status 2 'no station key and no passphrase'
run ofs-audit init --no-station-key --passphrase-source file:pass \
	--station-key k
status 2 'a station key and none'
run ofs-audit init --no-station-key --passphrase-source file:pass
status 0 'init --no-station-key'
unlike "$out" '^  station' 'has no such key'
[ ! -e config ]
ok $? 'nor makes one'

run env OFS_AUDIT_PASSPHRASE_SOURCE=file:pass ofs-token enroll "$key" \
	--key-type ec:P-256 --self-signed --subject /CN=x
status 0 'ofs-token writes with the passphrase'
run ofs-sign --key "$key" --out out in/1
status 4 'ofs-sign without it'
[ ! -e out ]
ok $? 'signs nothing'
run ofs-sign --key "$key" --out out in/1 --audit-passphrase-source file:wrong
status 4 'nor with a wrong one'
unlike "$out$err" 'battery' 'which is not shown'
run setsid -w ofs-audit verify --passphrase-source prompt
like "$err" 'ask for the passphrase on; pass --passphrase-source file:PATH' \
	'without a terminal, the option that gives it is named'
chmod 644 wrong
run ofs-audit verify --passphrase-source file:wrong
status 4 'a wrong one does not open the log'
like "$err" "others may read the passphrase file 'wrong'" 'and is called so'
run ofs-sign --key "$key" --out out in/1 --audit-passphrase-source pinpad
status 2 'a PIN pad has none'
run ofs-sign --key "$key" --out out --audit-passphrase-source file:pass in/*
status 0 'but with the right one'
run ofs-audit verify --passphrase-source file:pass
# with the two of the enrolment
like "$out" '^signed +5$' 'and all can be read with it'
run ofs-audit verify
like "$out" '^NOT OPENED' 'and without it, nothing'

export OFS_AUDIT=$T/sealed
run ofs-audit init --sealed --auditor alice.crt --passphrase-source file:pass
status 0 'a sealed log with a passphrase'
like "$out" '^  passphrase  whoever knows it, what is unfinished$' 'says for what'
run ofs-sign --key "$key" --out out2 in/*
status 4 'is asked for it'
[ ! -e out2 ]
ok $? 'before anything is signed'
run ofs-sign --key "$key" --out out2 --audit-passphrase-source file:pass in/*
status 0 'and signs'
run ofs-audit verify --auditor-key alice.key
like "$out" '^signed +3$' 'what the auditor reads'
run ofs-audit list --passphrase-source file:pass
unlike "$out" 'in/1' 'and the passphrase does not open'

done_testing
