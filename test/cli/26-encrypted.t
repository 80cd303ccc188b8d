#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Encrypted logs: made by default, read by whom they are for, opened with
# programs that know the manual page alone; what a stolen sealed log shows.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=batch'
auditor() # NAME NEWKEY...
{
	must openssl req -x509 -nodes -days 30 -subj "/CN=$1" -out "$1.crt" \
		-keyout "$1.key" "${@:2}"
}
auditor alice -newkey rsa:2048
auditor bob -newkey ec -pkeyopt ec_paramgen_curve:P-256
auditor carol -newkey ed25519
mkdir in
for i in 1 2 3; do echo "secret order $i" >"in/order-$i.xml"; done
printf 'correct horse' >pass && chmod 600 pass

# what the tools do by themselves
must ofs-token enroll "$key" --key-type ec:P-256 --self-signed --subject /CN=x
run ofs-audit list --json
is "$(jq -r 'select(.seq > 1) | .cipher' <<<"$out" | sort -u)" 1 \
	'a log that the first use made is encrypted'
is "$(stat -c '%a %s' sandbox/config/offlinesig/*.key)" '600 32' \
	'with a station key that is nobody else'\''s'

export OFS_AUDIT=$T/log
run ofs-audit init --auditor alice.crt --passphrase-source file:pass
status 0 'init'
like "$out" "^  station +$T/config/offlinesig/[0-9a-f]{32}\.key$" 'names the key'
like "$out" '^  auditor +CN=alice$' 'the auditor'
like "$out" '^back that file up' 'and what to do'
must ofs-sign --key "$key" --out out in/*.xml
station=$(ls config/offlinesig/*.key)

run ofs-audit verify
status 0 'verify with the station key'
like "$out" '^signed +3$' 'reads everything'
mv "$station" away.key
run ofs-audit verify
status 0 'verify without'
like "$out" '^NOT OPENED +[0-9]+ bodies' 'says what it did not open'
unlike "$out" '^signed' 'and counts nothing that it cannot know'
run ofs-audit list
like "$out" '^ +[0-9]+  [^ ]+  outcome +sealed: no key here$' 'list: sealed'
run ofs-audit list --document order-1.xml
status 6 'list by document: refused, and not empty'
run ofs-sign --key "$key" --out again in/order-1.xml
status 6 'ofs-sign without the station key'
like "$err" 'cannot read station key.*put a backup of that key there' 'says why, and what to do'
[ ! -e again/order-1.xml.p7s ]
ok $? 'and signs nothing'
run ofs-audit verify --station-key "$T/away.key"
like "$out" '^signed +3$' 'the key from elsewhere'

run ofs-audit list --auditor-key alice.key --json
is "$(jq -r 'select(.type_name == "outcome") | .body.document.path' <<<"$out" |
	sort | xargs)" 'in/order-1.xml in/order-2.xml in/order-3.xml' \
	'an auditor reads it'
is "$(jq -r 'select(.type_name == "log-event") | .body.reason' <<<"$out")" \
	"with the key of 'CN=alice'" 'which is recorded first'
run ofs-audit verify --passphrase-source file:pass
like "$out" '^signed +3$' 'a passphrase does as well'
run ofs-audit verify --passphrase-source env:WRONG
status 4 'no passphrase'
WRONG=wrong run ofs-audit verify --passphrase-source env:WRONG
status 4 'a wrong passphrase'
unlike "$out$err" 'wrong' 'which is not shown'
run ofs-audit verify --auditor-key bob.key
isnt "$rc" 0 'nobody else reads it'
run openssl pkcs8 -topk8 -in alice.key -out locked.key -passout pass:open
run env P=open ofs-audit verify --auditor-key locked.key \
	--passphrase-source env:P
like "$out" '^signed +3$' 'an encrypted private key'

# with openssl and python alone, as ofs-audit-format(5) has it
if python3 -c 'import cryptography' 2>/dev/null; then
	run python3 "$OFS_TOP/test/lib/open_log.py" log/log.db x509 alice.key
	is "$rc $out" '0 2' 'openssl and python open it for the auditor' "$err"
	run python3 "$OFS_TOP/test/lib/open_log.py" log/log.db file away.key
	is "$rc $out" '0 2' 'with the station key' "$err"
	run python3 "$OFS_TOP/test/lib/open_log.py" log/log.db passphrase pass
	is "$rc $out" '0 2' 'and with the passphrase' "$err"
else
	tap_comment 'python3-cryptography is not installed: no second reader'
fi

mv away.key "$station"
run ofs-audit rotate --auditor carol.crt
status 5 'rotate: nothing can be encrypted for such a key'
alice=$(ofs-audit show 1 --json | jq -r '.body.wraps[] |
	select(.kind == "x509") | .hint' | head -1)
run ofs-audit rotate --auditor bob.crt --drop-auditor "${alice:0:12}" \
	--passphrase-source file:pass --reason 'alice has left'
status 0 'rotate'
like "$out" '^  auditor +CN=bob$' 'says who reads now'
unlike "$out" 'CN=alice' 'and no more'
must ofs-sign --key "$key" --out out2 in/order-2.xml
mv "$station" away.key
run ofs-audit list --type outcome --auditor-key alice.key
status 6 'who left cannot leave a record of reading'
cp -a log copy && chmod 755 copy
run ofs-audit list --type outcome --auditor-key alice.key --audit copy
like "$err" 'this reading is not recorded: ' 'a copy that others can read'
is "$(grep -c sealed <<<"$out")" 1 'the one who left reads what was before'
run ofs-audit list --type outcome --auditor-key bob.key --audit copy
is "$(grep -c order-2 <<<"$out")" 2 'the new one reads all'
mv away.key "$station"
run ofs-audit rotate --drop-auditor 00000000
status 2 'rotate: no such auditor'

run ofs-audit init --audit "$T/no" --sealed
status 2 'sealed without auditors'
run ofs-audit init --audit "$T/no" --sealed --auditor alice.crt --plain
status 2 'sealed and plain'
run ofs-audit init --audit "$T/no" --plain --station-key k
status 2 'plain with a station key'
run ofs-audit init --audit "$T/no" --station-key "$T/no/k"
isnt "$rc" 0 'a station key in the log'
run ofs-audit rotate --audit "$T/no"
isnt "$rc" 0 'no log to rotate'

# nothing in a sealed log says what was signed, or by whom
export OFS_AUDIT=$T/sealed
must ofs-audit init --sealed --auditor alice.crt --origin station
must ofs-sign --key "$key" --out out3 in/*.xml
for f in in/*.xml; do
	sha=$(sha256sum "$f" | cut -d' ' -f1)
	! grep -qaF "$(basename "$f")" sealed/*
	ok $? "no name of $f"
	! grep -qaP "$(sed 's/../\\x&/g' <<<"$sha")" sealed/*
	ok $? 'nor its digest'
	tail -c 40 "out3/$f.p7s" >tail.bin
	! grep -qaP "$(xxd -p tail.bin | tr -d '\n' | sed 's/../\\x&/g')" sealed/*
	ok $? 'nor its signature'
done
# as DER has it: the store's own SQL has the word root, too
! grep -qaP "\x0c\x$(printf %02x "$(id -un | tr -d '\n' | wc -c)")$(id -un)" sealed/log.db
ok $? 'nor the operator'
is "$(sqlite3 sealed/log.db 'SELECT count(tag) FROM record')" 0 \
	'nor a tag to try documents with'
run ofs-audit verify
status 0 'it verifies all the same'
run ofs-audit verify --auditor-key alice.key
like "$out" '^signed +3$' 'and the auditor reads it'
run ofs-sign --key "$key" --out out3 --resume 12345678 in/*.xml
status 6 'no list is gone on with'
like "$err" 'sealed, and does not tell this station' 'with the reason'

done_testing
