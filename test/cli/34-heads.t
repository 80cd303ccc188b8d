#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Heads of the log that are kept outside: what verification finds with them,
# and that it does not say more than it knows without.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=docs'
rm -rf "$OFS_AUDIT"
must ofs-audit init --origin 'station/1' --audit-key file:audit-key.pem
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=docs \
	--self-signed --cert-out cert.pem
sign() {
	mkdir "in-$1"
	for i in $(seq 5); do echo "$1 $i" >"in-$1/$i"; done
	must ofs-sign --key "$key" --format raw --out "out-$1" --recursive \
		--quiet "in-$1"
}
report() { ofs-audit verify --json "$@" | jq -c 'select(.type == "report")'; }

sign a
cp -r "$OFS_AUDIT" old
sign b
cp "$OFS_AUDIT/log.head" kept.head
ofs-audit checkpoint --sign >kept.checkpoint
must ofs-audit backup bak
n=$(report | jq .records)

# --- an intact log
run ofs-audit verify
status 0 'without a head the log verifies'
like "$(xargs -0 <<<"$out" | tr '\n' ' ')" 'UNANCHORED: no head from outside' \
	'and is said to be unanchored'
is "$(report | jq -c '[.verdict, .outside_head, .exposed_records == .records,
	.exposed_since]')" '["unanchored",false,true,null]' 'in JSON, too'
is "$(report | jq -c '.heads[] | [.kind, .outside]' | sort | tr '\n' ' ')" \
	'["checkpoint",false] ["head-file",false] ' \
	'heads of the log itself are no outside ones'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 0 "$head agrees"
	unlike "$out" 'UNANCHORED' "$head: it is not unanchored"
	like "$out" 'exposed: the last [0-9]+ records, since 2' \
		"$head: the exposure window"
done
size=$(sed -n 's/^records: //p' bak/backup.txt)
is "$(report --from-head bak/backup.txt --from-head kept.head |
	jq -c '[.verdict, .exposed_records]')" "[\"anchored\",$((n - size))]" \
	'the newest of several counts'
is "$(report --from-head kept.checkpoint | jq -c '.heads[] |
	select(.outside) | [.kind, .place]')" \
	'["checkpoint","kept.checkpoint"]' 'and is named'
run ofs-audit verify --from-head "$OFS_AUDIT/log.head"
status 2 'the head file of the log itself is none from outside'
like "$err" 'give a copy that was kept elsewhere' 'and the reason'

# --- what is no head
echo nonsense >nonsense
run ofs-audit verify --from-head nonsense
status 5 'no head at all'
run ofs-audit verify --from-head missing
status 5 'a missing file'
sed 's/^\(— [^ ]* ....\)./\1A/' kept.checkpoint >forged.checkpoint
cmp -s kept.checkpoint forged.checkpoint &&
	sed 's/^\(— [^ ]* ....\)./\1B/' kept.checkpoint >forged.checkpoint
sed "2s/.*/$((n + 1000))/" kept.checkpoint >grown.checkpoint
for forged in forged grown; do
	run ofs-audit verify --from-head $forged.checkpoint
	[ "$rc" -ne 0 ] && [ "$rc" -lt 9 ]
	ok $? "$forged.checkpoint is refused"
	unlike "$err" 'rolled back' "$forged.checkpoint does not blame the log"
done

# --- a witness of another station
vkey=$(ofs-audit audit-key)
cosign() { # CHECKPOINT KEY NAME OUT
	must ofs-audit witness "$1" --vkey "$vkey" --key-file "$2.pem" \
		--name "$3" --state "$2.memory" --output "$4"
}
cosign kept.checkpoint witness witness/1 kept.cosigned
witness=$(ofs-audit witness --key-file witness.pem --name witness/1)
nobody=$(ofs-audit witness --key-file nobody.pem --name witness/1)
run ofs-audit verify --from-head kept.cosigned --witness "$witness"
status 0 'a cosigned checkpoint agrees'
like "$out" '  witness  .*from outside, kept.cosigned' 'and is listed as such'
when=$(sed -n 's|^— witness/1 ||p' kept.cosigned | base64 -d |
	od -An -tu8 --endian=big -j4 -N8)
is "$(report --from-head kept.cosigned --witness "$nobody" \
	--witness "$witness" | jq -c '[.exposed_since, (.heads[] |
	select(.outside) | .kind, .time)]')" \
	"$(date -u -d "@$((when))" '+["%FT%TZ","witness","%FT%TZ"]')" \
	'the time of the cosignature counts'
run ofs-audit verify --from-head kept.checkpoint --witness "$witness"
status 1 'a checkpoint that is not cosigned'
like "$err" "'kept.checkpoint' is cosigned by no witness" 'says so'
run ofs-audit verify --from-head kept.cosigned --witness "$nobody"
status 1 'or by another witness of that name'
sed 's|^\(— witness/1 .\{20\}\).|\1A|' kept.cosigned >forged.cosigned
cmp -s kept.cosigned forged.cosigned &&
	sed 's|^\(— witness/1 .\{20\}\).|\1B|' kept.cosigned >forged.cosigned
run ofs-audit verify --from-head forged.cosigned --witness "$witness"
status 1 'a wrong signature of the witness'
like "$err" "signature by 'witness/1' on the note is wrong" 'says so'
run ofs-audit verify --from-head kept.cosigned --witness "$vkey"
status 2 'the key of the log is none of a witness'
run ofs-audit verify --from-head kept.cosigned --witness nonsense
status 2 'nor is nonsense'

# --- time-stamps, by an authority that is not ours
tsa_ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$1" -days 2 -keyout "$1.key" -out "$1.pem" 2>/dev/null
}
tsa_cert() { # NAME EKU
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$1" -keyout "$1.key" -out "$1.csr" 2>/dev/null
	openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -days 1 \
		-extfile <(echo "extendedKeyUsage=critical,$2") -out "$1.pem" \
		2>/dev/null
}
stamp() { # QUERY OUT
	openssl ts -reply -config tsa.cnf -section tsa -queryfile "$1" \
		-out "$2" 2>/dev/null
}
tsa_ca ca
tsa_ca stranger
tsa_cert tsa timeStamping
echo 01 >serial
cat >tsa.cnf <<-END
	[tsa]
	serial = serial
	signer_cert = tsa.pem
	signer_key = tsa.key
	signer_digest = sha256
	default_policy = 1.2.3.4
	digests = sha256
	ess_cert_id_alg = sha256
END
ofs-audit checkpoint >stamped.checkpoint
run ofs-audit timestamp --request head.tsq
status 0 'a request over the newest checkpoint'
run ofs-audit timestamp --request head.tsq
status 5 'which is not replaced'
like "$(openssl ts -query -in head.tsq -text)" 'Nonce: 0x' 'has a nonce'
must ofs-audit timestamp --request second.tsq
stamp head.tsq head.tsr
ok $? 'openssl stamps it'
openssl ts -verify -data stamped.checkpoint -in head.tsr -CAfile ca.pem \
	>/dev/null 2>&1
ok $? 'the stamp is over what ofs-audit checkpoint prints'
record() { run ofs-audit timestamp --request "$1" --response "$2" \
	--tsa-trust "$3"; }
size=$(ofs-audit list --json | wc -l)
record head.tsq head.tsr stranger.pem
status 1 'an authority that is not trusted'
taken="cannot take 'head.tsr' as the response to 'head.tsq': "
like "$err" "$taken.*not good" 'both files are named'
record head.tsq head.tsr head.tsq
status 5 'what is no certificate of an authority'
like "$err" "cannot use --tsa-trust 'head.tsq': " 'is named'
run ofs-audit timestamp --request head.tsq --response head.tsr \
	--tsa-trust ca.pem --tsa-chain head.tsr
like "$err" "cannot use --tsa-chain 'head.tsr': " 'as are more certificates'
record second.tsq head.tsr ca.pem
status 1 'the answer to another request: its nonce'
openssl ts -query -data nonsense -sha256 -cert -out foreign.tsq \
	>/dev/null 2>&1
stamp foreign.tsq foreign.tsr
record foreign.tsq foreign.tsr ca.pem
status 5 'a stamp over something else'
like "$err" 'no checkpoint of this log' 'says so'
record head.tsq nonsense ca.pem
status 5 'no response at all'
head -c 200 head.tsr >cut.tsr
record head.tsq cut.tsr ca.pem
status 5 'a response that is cut'
record head.tsr head.tsr ca.pem
status 5 'no request'
like "$err" "response to 'head.tsr': it is no time-stamp request" 'is named'
n_tsr=$(stat -c %s head.tsr)
# what is stamped, and the signature: not all else in a response is signed
for i in $(seq 70 13 160) $((n_tsr - 50)) $((n_tsr - 9)); do
	perl -0777 -pe "substr(\$_, $i, 1) ^= qq(\\x10)" head.tsr >flip.tsr
	record head.tsq flip.tsr ca.pem
	[ "$rc" -ne 1 ] && [ "$rc" -ne 5 ] && break
done
[ "$rc" -eq 1 ] || [ "$rc" -eq 5 ]
ok $? 'a response with a changed bit'
tsa_cert mail emailProtection 2>/dev/null
sed -e 's/tsa\.\(pem\|key\)/mail.\1/' tsa.cnf >mail.cnf
is "$(openssl ts -reply -config mail.cnf -section tsa -queryfile head.tsq \
	-out mail.tsr >/dev/null 2>&1 || echo refused)" refused \
	'openssl itself stamps with no other certificate'
is "$(ofs-audit list --json | wc -l)" "$size" 'nothing of this was recorded'
record head.tsq head.tsr ca.pem
status 0 'the answer'
like "$out" '^[0-9]+ records stamped at 2' 'is recorded'
run ofs-audit verify
status 0 'the log verifies'
like "$out" 'UNANCHORED' 'a stamp that nobody checked is no head from outside'
like "$out" 'timestamp .*of this log' 'but is named'
is "$(report --tsa-trust ca.pem | jq -c '[.verdict, (.heads[] |
	select(.outside) | .kind)]')" '["anchored","timestamp"]' \
	'with its authority it is one'
run ofs-audit verify --tsa-trust stranger.pem
status 0 'of another authority'
like "$out" 'UNANCHORED' 'it is none'
like "$out" 'does not[[:space:]]+count' 'and that is a finding'

# --- the response, kept elsewhere, is a head by itself
stamped() { run ofs-audit verify --from-head "$1" --tsa-trust "$2"; }
stamped head.tsr ca.pem
status 0 'the response as a head'
like "$out" '  timestamp .*from outside, head.tsr' 'which is named'
when=$(openssl ts -reply -in head.tsr -text | sed -n 's/^Time stamp: //p')
is "$(report --from-head head.tsr --tsa-trust ca.pem |
	jq -c '.exposed_since, (.heads[] | select(.place == "head.tsr") |
	.records)' | tr '\n' ' ')" \
	"\"$(date -u -d "$when" +%FT%TZ)\" $(sed -n 2p stamped.checkpoint) " \
	'with its time and its records'
run ofs-audit verify --from-head head.tsr
status 2 'without its authority'
like "$err" 'name that with --tsa-trust' 'which is asked for'
stamped head.tsr stranger.pem
status 1 'with another authority'
unlike "$err" 'rolled back' 'which does not blame the log'
stamped flip.tsr ca.pem
status 1 'with a changed bit'
stamped cut.tsr ca.pem
status 5 'cut off'
like "$err" "'cut.tsr' is no head of a log: .* a time-stamp" 'is named'
run ofs-audit verify --from-head head.tsr --tsa-trust cut.tsr
status 5 'below what is no root'
like "$err" "cannot use --tsa-trust 'cut.tsr': " 'which is named'
run ofs-audit verify --from-head .
status 5 'a directory'
like "$err" "'\.': it is a directory" 'is named'
stamped foreign.tsr ca.pem
status 6 'over something else'
like "$err" "keeps no checkpoint that 'foreign.tsr' of 2" 'says so'
openssl ts -query -data stamped.checkpoint -sha512 -cert -out sha512.tsq \
	>/dev/null 2>&1
sed -i 's/^\tdigests = sha256$/&, sha512/;s/^digests = .*/&, sha512/' tsa.cnf
stamp sha512.tsq sha512.tsr
stamped sha512.tsr ca.pem
status 5 'over SHA-512'
like "$err" 'not over SHA-256' 'says so'

# --- all of it replaced by an older copy, head file included
mv "$OFS_AUDIT" new
cp -rp old "$OFS_AUDIT"
run ofs-audit verify
status 0 'an older copy looks intact'
is "$(report | jq -r .verdict)" unanchored 'and is unanchored'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head finds it"
	like "$err" 'rolled back: it holds [0-9]+ records, and' \
		"$head: says so"
	like "$err" "'$head' knows of [0-9]+" "$head: and is named"
done
run ofs-audit verify --from-head kept.cosigned --witness "$witness"
status 6 'a cosigned checkpoint finds it'
like "$err" "rolled back: .* 'kept.cosigned' knows of $(sed -n 2p \
	kept.cosigned)" 'and is named, with its records'
run ofs-audit verify --from-head forged.cosigned --witness "$witness"
status 1 'a forged one does not count'
stamped head.tsr ca.pem
status 6 'a time-stamp finds it'
like "$err" "keeps no checkpoint that 'head.tsr' of 2.* is over: it was rolled" \
	'and is named, with its time'
stamped head.tsr stranger.pem
status 1 'by a stranger it does not count'
run ofs-audit verify --from-head kept.checkpoint --json
status 6 'in JSON, too'
is "$(jq -c 'select(.type == "report") |
	[.intact, .exit, .verdict]' <<<"$out")" '[false,6,"damaged"]' \
	'not intact'

# --- it went on from there: another history, longer than the first
for i in c d e; do sign $i; done
[ "$(report | jq .records)" -gt "$n" ]
ok $? 'the fork is longer'
for head in kept.head kept.checkpoint bak/backup.txt; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head finds the fork"
	like "$err" 'rewritten: its first [0-9]+ records are not those' \
		"$head: says up to where"
done
run ofs-audit verify --from-head kept.cosigned --witness "$witness"
status 6 'a cosigned checkpoint finds the fork'
like "$err" 'rewritten: its first [0-9]+ records are not those' 'says so'
stamped head.tsr ca.pem
status 6 'a time-stamp finds the fork'
rm -rf fork
mv "$OFS_AUDIT" fork

# --- two logs spliced: the fork with the end of the other
command -v sqlite3 >/dev/null && {
	cp -rp new "$OFS_AUDIT"
	sqlite3 "$OFS_AUDIT/log.db" "ATTACH 'fork/log.db' AS o;
		DELETE FROM record WHERE seq >= $((n - 3));
		INSERT INTO record SELECT * FROM o.record
			WHERE seq >= $((n - 3)) AND seq < $n;"
	run ofs-audit verify
	status 6 'two logs spliced are found without a head'
	rm -rf "$OFS_AUDIT"
}

# --- another log
must env OFS_AUDIT="$T/other" ofs-audit init --origin 'station/1' \
	--audit-key file:other-key.pem
OFS_AUDIT="$T/other" ofs-audit checkpoint --sign >other.checkpoint
cp -rp new "$OFS_AUDIT"
cp other/log.head other.head
for head in other.head other.checkpoint; do
	run ofs-audit verify --from-head "$head"
	status 6 "$head is of another log of the same name"
	like "$err" 'another log' "$head: says so"
done
must env OFS_AUDIT="$T/other" ofs-audit verify
cp other/log.head "$OFS_AUDIT/log.head"
run ofs-audit verify
status 6 'the head file of another log'

# --- restoring knows checkpoints, too
rm -rf "$OFS_AUDIT"
cp -rp new "$OFS_AUDIT"
ofs-audit checkpoint --sign >newer.checkpoint
rm -rf "$OFS_AUDIT"
run ofs-audit restore bak --from-head newer.checkpoint
status 6 'a backup behind a checkpoint is not restored'
like "$err" "'newer.checkpoint' knows of" 'which is named'
run ofs-audit restore bak --from-head other.checkpoint
status 5 'a checkpoint of another log'
run ofs-audit restore bak --from-head kept.checkpoint
status 0 'a checkpoint that it covers'

done_testing
