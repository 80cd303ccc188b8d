#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sealed log with a station key: unfinished lists are gone on with and what
# waits is released, nothing is signed twice; the key opens what is unfinished,
# and nothing else, and what is finished never again.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

built "$iofail" "$fault"
station lists --key-type ec:P-256 --subject /CN=lists
auditor alice
items=300
documents $items docs/order-
export FAULTP11_COUNTS=$T/counts OFS_AUDIT=$T/log
sign()
{
	OFS_MODULE=$fault run ofs-sign --key "$key" --recursive "$@"
}
field() { jq -r "select(.type == \"$1\") | .$2" <<<"$out"; }
# documents that the log, or a copy, shows to whoever has the station key
readable()
{
	ofs-audit list --json --audit "$1" --station-key "$T/key" |
		jq -r 'select(.type_name == "outcome") |
			.body.document.path // empty' | sort -u
}

run ofs-audit init --sealed --auditor alice.crt --station-key "$T/key"
status 0 'init --sealed --station-key'
like "$out" "^  station +$T/key, what is unfinished$" 'says what the key opens'
is "$(stat -c '%a %s' key)" '600 32' 'which is made'
echo early >early && must ofs-sign --key "$key" --out "$T/before" early
is "$(kept)" 0 'nothing is kept of a batch that has ended'
is "$(readable log)" '' 'and nothing can be read with the key'

FAULTP11_SCRIPT='C_Sign 101 kill' sign --out "$T/out" docs
is "$rc" 137 'a batch that is killed in the middle'
asked=$(csigns)
isnt "$(kept)" 0 'its key is kept'
sqlite3 log/log.db "ATTACH 'kept.db' AS k;
	CREATE TABLE k.kept_key AS SELECT * FROM kept_key"
left() { ofs-audit verify --json | jq -r 'select(.id == "kept-key") | .seq' |
	wc -l; }
is "$(left)" 0 'for something that is unfinished'
cp -a log stolen
isnt "$(readable stolen)" '' 'who steals log and key reads what is unfinished'
unlike "$(readable stolen)" early 'but not what had ended before'
mv key away
is "$(ofs-audit list --json --audit stolen | jq -r 'select(.sealed | not) |
	.type_name' | sort -u | xargs)" 'epoch genesis' \
	'without the key, nothing'
sign --out "$T/out" docs
status 6 'nor is anything signed then'
like "$err" 'cannot tell whether this list was begun before: .*station key' \
	'as it could be for the second time'
is "$(csigns)" "$asked" 'the token was not asked'
mv away key

run ofs-sign --list-unfinished --json
status 0 '--list-unfinished'
is "$(field batch items)" $items 'shows the list'
id=$(field batch batch)
sign --out "$T/out" --resume "$id" docs/order-1
status 5 'another list is refused'
sign --out "$T/out" --json docs
status 1 'the same list once more'
unknown=$(field item status | grep -c unknown)
skipped=$(field item status | grep -c skipped)
echo "# $skipped skipped, $unknown unknown"
[ "$skipped" -gt 0 ] && [ "$unknown" -gt 0 ]
ok $? 'goes on with what was begun'
is "$(csigns)" $((asked + items - skipped - unknown)) 'and signs the rest once'
isnt "$(kept)" 0 'it is not finished yet'
sign --out "$T/out" --resign-unknown docs
status 0 'when it is'
is "$(kept)" 0 'the keys are destroyed'
is "$(readable log)" '' 'and nothing can be read any more'
run ofs-sign --list-unfinished --json
is "$out" '' 'nor is there anything to go on with'
is "$(find out -name '*.p7s' | wc -l)" $items 'every document has its signature'

# somebody puts a key back that was destroyed
is "$(left)" 0 'verification finds no key that is left'
sqlite3 log/log.db "ATTACH 'kept.db' AS k;
	INSERT INTO kept_key SELECT * FROM k.kept_key"
isnt "$(readable log)" '' 'one that is put back opens what is finished'
run ofs-audit verify
status 0 'the log is intact'
like "$out" "^kept-key at record [0-9]+
 +the key of epoch [0-9]+ is still kept, for batch $id" 'and that is found'
is "$(left)" "$(kept)" 'all of them are'
must ofs-sign --key "$key" --out "$T/before" --on-duplicate sign --force early
is "$(kept) $(left)" '0 0' 'the next batch that ends destroys them'

# what waits for its release
IOFAIL='write .p7s 1 0' LD_PRELOAD=$iofail run ofs-sign --key "$key" \
	--out "$T/out2" --recursive docs
is "$rc" 137 'a batch that is killed before its first output'
n=$(sqlite3 log/log.db 'SELECT count(*) FROM pending')
isnt "$n" 0 'leaves outputs'
asked=$(csigns)
rm -rf backup
must ofs-audit backup backup
is "$(kept "$(dirname "$(find backup -name log.db)")")" 0 \
	'a backup has no keys of what is unfinished'
sign --out "$T/out2" --json docs
is "$(field item status | grep -c skipped)" "$n" 'they are released'
[ "$(csigns)" -le $((asked + items - n)) ]
ok $? 'and not signed again'
sign --out "$T/out2" --resign-unknown docs
status 0 'and the rest'
is "$(kept)" 0 'no key is left'

# what will never be finished
FAULTP11_SCRIPT='C_Sign 101 kill' sign --out "$T/out3" docs
isnt "$(kept)" 0 'another batch that is killed leaves a key'
id=$(ofs-sign --list-unfinished --json | jq -r .batch)
mv key away
run ofs-sign --list-unfinished
status 0 'without the station key'
like "$out" "$id" 'it is still shown'
run ofs-sign --abandon "$id"
status 0 '--abandon'
is "$(sqlite3 log/log.db 'SELECT count(*) FROM batch')" 0 'gives it up'
is "$(kept)" "$(sqlite3 log/log.db \
	'SELECT count(DISTINCT batch_id) FROM pending')" \
	'only what waits for its release keeps its key'
mv away key
sign --out "$T/out4" docs/order-1
status 0 'the next run releases that'
is "$(kept)" 0 'then the key is destroyed'
is "$(readable log)" '' 'and nothing can be read'

run ofs-audit verify --auditor-key alice.key --json
status 0 'the auditor verifies it all'
is "$(jq -r 'select(.type == "report") | "\(.sealed_bodies) \(.pending_outputs) \(.unclosed_batches)"' <<<"$out")" \
	'0 0 0' 'with nothing left open'
run ofs-audit verify
status 0 'and the station what it can'
is "$(sqlite3 log/log.db 'SELECT count(*) FROM batch')" 0 'no list is left'

done_testing
