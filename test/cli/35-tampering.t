#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Every way to tamper with a log (lib/tamper.py), on a plain log, one that the
# station reads, the same without its key, and a sealed one: found against a
# head from outside, and the message names the record; where all is replaced,
# the log is never said to be more than unanchored.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

python3 -c 'import cryptography' 2>/dev/null ||
	skip_all 'python3-cryptography is missing'
station docs --key-type ec:P-256 --subject /CN=docs --cert-out cert.pem
auditor auditor
documents 262 in/
sign() # LOG WHAT...
{
	must ofs-sign --key "$key" --audit "$1" --format raw --quiet \
		--out "out-$1-$((n_out++))" "${@:2}"
}

# LOG.kept: a batch of more than a tile, and three of one document each, so
# that there are as many records in LOG.fork, which has three others. LOG.old:
# the first. LOG.head, LOG.note and LOG.old-head are kept outside
make_log() # LOG INIT-OPTION...
{
	must ofs-audit init --audit "$1" --origin 'station/1' \
		--audit-key "file:$1.pem" "${@:2}"
	sign "$1" --recursive in
	cp -r "$1" "$1.old"
	cp "$1/log.head" "$1.old-head"
	cp -r "$1" "$1.fork"
	for i in 1 2 3; do sign "$1" in/$i; done
	cp "$1/log.head" "$1.head"
	ofs-audit checkpoint --audit "$1" >"$1.note"
	cp -r "$1" "$1.kept"
	# the same key is that of the log in the same place
	rm -r "$1" && mv "$1.fork" "$1"
	for i in 4 5 6; do sign "$1" in/$i; done
	mv "$1" "$1.fork"
}
make_log plain --plain
make_log station --station-key "$T/station.key"
make_log sealed --sealed --auditor auditor.crt
must ofs-audit init --audit other --origin 'station/1' --plain \
	--audit-key file:other.pem
sign other in/1

# look HEAD...: verifies against these heads, with the log's key or without
look()
{
	local heads=() h

	for h; do heads+=(--from-head "$h"); done
	[ "$name" = keyless ] && mv station.key away.key
	run ofs-audit verify --audit tampered --json "${heads[@]}"
	[ "$name" = keyless ] && mv away.key station.key
	verdict=$(jq -r 'select(.type == "report") | .verdict' <<<"$out")
	verdict=${verdict:-damaged} # it could not even be opened
}

# the message names a record that was changed, or a range with the first of them
names()
{
	local from to

	read -r from to < <(sed -n '
		s/.*\<records \([0-9]*\) to \([0-9]*\).*/\1 \2/p; t
		s/.*\<record \([0-9]*\).*/\1/p' <<<"$err")
	if [ -n "$to" ]; then
		[ "$from" -le "$first" ] && [ "$first" -le "$to" ]
	else
		[ -n "$from" ] && [ "$first" -le "$from" ] &&
			[ "$from" -le "$last" ]
	fi
}

tamper() # CASE [OTHER]: the records that it changed are $first to $last
{
	rm -rf tampered
	cp -r "$log.kept" tampered
	read -r first last < <(
		python3 "$OFS_TOP/test/lib/tamper.py" "$1" tampered "${@:2}")
	[ -n "$first" ] || { echo "Bail out! tamper.py $1"; exit 1; }
}

against() # HEAD CASE
{
	look "$1"
	status 6 "$name $2, against $1"
	names
	ok $? "$name $2, against $1: names record $first" "$err"
}

# detected CASE [OTHER]: with a head from outside, whatever is said without one
detected()
{
	tamper "$@"
	against "$log.head" "$1"
	printf '# %-8s %-12s %3d  exit %d  %s\n' "$name" "$1" "$first" "$rc" \
		"${err#ofs-audit: }"
	look
	if [ "$verdict" = unanchored ]; then
		status 0 "$name $1, without a head: unanchored"
		against "$log.note" "$1"
	else
		status 6 "$name $1, without a head: damaged"
		is "$verdict" damaged 'in the report, too'
	fi
}

# nothing in the files can show it: detected, and without a head unanchored
replaced()
{
	detected "$@"
	look
	is "$verdict" unanchored "$name $1: nothing shows it from inside"
}

for name in plain station keyless sealed; do
	log=${name/keyless/station}
	for c in swap duplicate delete close_up cut header body rehash; do
		detected $c
	done
	detected older_store "$log.old"
	detected splice "$log.fork"
	detected splice_other other
	detected head_other other
	like "$err" 'head file is that of another audit log' 'which is said'
	detected notes_other other
	replaced cut_all
	replaced older "$log.old"
	replaced splice_all "$log.fork"
	replaced replaced other
	# who has no key cannot write encrypted records anew, which a key shows
	if [ "$name" = station ]; then
		detected rehash_all
		detected anew
	else
		replaced rehash_all
		replaced anew
	fi

	# an older head that agrees says from where on
	tamper rehash_all
	look "$log.old-head" "$log.head"
	status 6 "$name: two heads"
	old=$(sqlite3 "$log.old/log.db" 'SELECT size FROM state')
	[ "$name" = station ] || like "$err" "in records $old to " \
		'what differs is between them'

	# without its head file, a log is as good as a head from outside
	tamper head_gone
	look
	is "$verdict" unanchored "$name: without its head file unanchored"
	is "$(jq -c 'select(.id == "no-head") | .seq' <<<"$out")" "$first" \
		'and that it is gone is a finding'
	look "$log.head"
	is "$verdict" anchored 'a head from outside shows that all is there'
done

log=plain name=plain
tamper header
look
notes=$(sqlite3 plain.kept/log.db "SELECT max(size) FROM checkpoint
	WHERE size <= $first")
like "$err" "in records $notes to " \
	'a checkpoint in the log says from where on, too'
tamper rehash_all
run ofs-audit verify --audit tampered
unlike "$out" 'intact' 'nobody is told that such a log is intact'
like "$out" 'UNANCHORED' 'but that it is unanchored'

done_testing
