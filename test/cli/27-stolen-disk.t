#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a thief finds in the files of a sealed log: nothing of what was signed,
# by whom, or where it went; in no state that a crash leaves them in, and not
# by trying documents that he has. The search is tried on a plain log first.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

built "$iofail" "$fault"
station thief --key-type rsa:2048 \
	--subject '/O=Victim Incorporated/CN=Payroll Signer'
auditor alice
documents 300 docs/wire-transfer- .xml

# leaks DIRS RECORDS OUTPUTS: what of the records, as the auditor has them, and
# of the signature files is in the files of the directories, and which tags of
# true digests are there, with any key that could be in those files
cat >leaks.py <<'PY'
import base64, getpass, glob, hashlib, hmac, json, os, socket, sqlite3, sys

dirs, records, outputs = sys.argv[1].split(), sys.argv[2], sys.argv[3]
files = sorted({f for d in dirs for f in glob.glob(d + "/*")})
disk = b"\0\0\0".join(open(f, "rb").read() for f in files)
needles = {}

def want(what, text):
    """as bytes of a field: short words may be in the store's own SQL, and
    what is shorter still, in random bytes"""
    if len(text) >= 8:
        needles.setdefault(text, what)
    elif len(text) > 2:
        for tag in (0x0c, 0x04, 0x80, 0x81, 0x82, 0x83):
            needles.setdefault(bytes([tag, len(text)]) + text, what)

def values(what, v):
    if isinstance(v, dict):
        for k, x in v.items():
            values(what + "." + k, x)
    elif isinstance(v, list):
        for x in v:
            values(what, x)
    elif isinstance(v, str):
        want(what, v.encode())
        try:
            raw = bytes.fromhex(v)
        except ValueError:
            return
        if len(raw) >= 16:
            for p in (raw, v.upper().encode(), base64.b64encode(raw)[:-4]):
                needles.setdefault(p, what)

open_ones, digests, sealed = set(), set(), 0
for line in open(records):
    r = json.loads(line)
    if r["type_name"] in ("genesis", "epoch", "anchor"):
        continue
    sealed += 1
    values(r["type_name"], r["body"])
    d = r["body"].get("document", {}).get("digest")
    if d:
        digests.add(bytes.fromhex(d))
assert sealed > 0 and digests
for name in (getpass.getuser(), socket.gethostname()):
    want("name", name.encode())
for text in ("wire-transfer", "Victim Incorporated", "Payroll Signer",
             "sandbox", "object=thief",
             *(os.getcwd() + "/" + d for d in glob.glob("*out*"))):
    needles[text.encode()] = text
for f in glob.glob("docs/*"):
    d = hashlib.sha256(open(f, "rb").read()).digest()
    values("document", d.hex())
for f in glob.glob(outputs + "/**/*.p7s", recursive=True)[:20]:
    p = open(f, "rb").read()
    for i in range(0, len(p) - 24, 8):
        needles[p[i:i + 24]] = "signature file"
# words of the format itself, and what says nothing
for word in ("sealed", "previous"):
    needles.pop(word.encode(), None)
found = {}
for n, what in needles.items():
    if n in disk:
        found[what] = n
for what, n in sorted(found.items()):
    print("found", what, "as", n[:40])

windows = {disk[i:i + 16] for i in range(len(disk) - 15)}
hits = 0
digests = sorted(digests)
for d in digests:
    hits += hmac.digest(bytes(32), d, "sha256")[:16] in windows
# and any 32 bytes of the files as the key, for two of them
for d in digests[:2]:
    for i in range(len(disk) - 31):
        hits += hmac.digest(disk[i:i + 32], d, "sha256")[:16] in windows
print("tags", hits)
tags = 0
for f in files:
    if f.endswith("log.db"):
        db = sqlite3.connect("file:%s?immutable=1" % f, uri=True)
        tags += db.execute("SELECT count(tag) FROM record").fetchone()[0]
print("column", tags)
print("searched", len(needles), len(files), len(disk), file=sys.stderr)
PY

export OFS_AUDIT=$T/plain
must ofs-audit init --plain
must ofs-sign --key "$key" --out "$T/out-plain" docs/wire-transfer-{1,2}.xml
must ofs-audit list --json
echo "$out" >records
run python3 leaks.py plain records "$T/out-plain"
status 0 'the search, in a plain log'
for what in intent.items.path intent.items.digest outcome.signature \
	outcome.output_path login.operator.name 'Payroll Signer' \
	'signature file'; do
	grep -qF "found $what " <<<"$out"
	ok $? "finds $what" "$out"
done
like "$out" '^tags [1-9]' 'and tries documents'

# thief NAME OPTION...: a sealed log that was made so
thief()
{
	local log=$1 f
	export OFS_AUDIT=$T/$log
	must ofs-audit init --sealed --auditor alice.crt "${@:2}"
	run ofs-audit show 0 --json
	like "$(jq -r .body.origin <<<"$out")" '^log/[0-9a-f]{8}$' \
		"$log: its name does not say where it was made"
	# what a thief who comes at that moment takes away
	steal() { cp -a "$log" "$log-stolen-$1"; }
	must ofs-sign --key "$key" --out "$T/$log-out" docs/wire-transfer-?.xml
	steal 1
	FAULTP11_SCRIPT='C_Sign 60 kill' OFS_MODULE=$fault run ofs-sign --key "$key" \
		--out "$T/$log-out2" docs/wire-transfer-1*.xml
	is "$rc" 137 'a batch that is killed while the token signs'
	steal 2
	# the outcomes are recorded, and their files are not written
	IOFAIL='write .p7s 1 0' LD_PRELOAD=$iofail run ofs-sign --key "$key" \
		--out "$T/$log-out3" docs/wire-transfer-2*.xml
	is "$rc" 137 'one that is killed before the first output'
	steal 3
	isnt "$(sqlite3 "$log"-stolen-3/log.db 'SELECT count(*) FROM pending')" 0 \
		'leaves outputs that wait'
	# in the middle of a transaction
	IOFAIL='write log.db-journal 90 0' LD_PRELOAD=$iofail run ofs-sign \
		--key "$key" --out "$T/$log-out4" docs/wire-transfer-1*.xml
	is "$rc" 137 'one that is killed in a transaction'
	steal 4
	[ -s "$log"-stolen-4/log.db-journal ]
	ok $? 'leaves a journal'
	must ofs-sign --key "$key" --out "$T/$log-out5" docs/wire-transfer-3.xml
	steal 5

	run ofs-audit list --json --auditor-key alice.key
	status 0 'the auditor reads it'
	is "$(jq -r 'select(.sealed or .body == null) | .seq' <<<"$out")" '' \
		'all of it'
	echo "$out" >records
	run python3 leaks.py "$(echo "$log" "$log"-stolen-?)" records "$T"
	status 0 'the search, in what was stolen'
	echo "# $err"
	is "$(grep ^found <<<"$out")" '' 'finds nothing'
	like "$out" '^tags 0$' 'no document that is tried has a tag'
	like "$out" '^column 0$' 'nothing has'
}

thief sealed
# and one whose unfinished lists are gone on with: without that key, the same
thief keyed --station-key "$T/station.key"
isnt "$(sqlite3 keyed-stolen-2/log.db 'SELECT count(*) FROM kept_key')" 0 \
	'there is a key of what was unfinished'

done_testing
