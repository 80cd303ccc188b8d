#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Keeping the record of operations: finding records in it.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
key='pkcs11:token=sandbox;object=batch'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=batch \
	--self-signed --cert-out "$T/cert.pem"
mkdir "$T/docs"
for i in 1 2 3; do
	echo "payment order $i" >"$T/docs/order-$i"
done
must ofs-sign --key "$key" --recursive --out "$T/out" "$T/docs"

# --- list
seqs() { ofs-audit list --json "$@" | jq -r .seq | tr '\n' ' '; }
types() { ofs-audit list --json "$@" | jq -r .type_name | uniq | tr '\n' ' '; }
sum=$(sha256sum <"$T/docs/order-2" | cut -d' ' -f1)
is "$(types --digest "$sum")" 'intent outcome ' 'a digest finds its records'
is "$(ofs-audit list --json --digest "$sum" --type outcome |
	jq -r .body.document.name)" order-2 'and no others'
is "$(types --document order-2)" 'intent outcome ' 'so does a name'
is "$(seqs --result signed --key batch | wc -w)" 5 \
	'by result and key: the enrolment made two'
is "$(seqs --result failed)" '' 'nothing has failed'
spki=$(openssl x509 -in "$T/cert.pem" -noout -pubkey |
	openssl pkey -pubin -outform DER | sha256sum | cut -d' ' -f1)
is "$(seqs --key "$spki" --type outcome --result signed | wc -w)" 5 \
	'by the hash of the key'
is "$(seqs --operator "$(id -un)" --type batch-closed | wc -w)" 1 \
	'who closed the batch'
is "$(seqs --operator nobody-of-that-name)" '' 'somebody else did nothing'
is "$(seqs --token sandbox --type login | wc -w)" \
	"$(seqs --type login | wc -w)" 'by token'
all=$(seqs)
is "$(seqs --until 2020-01-01)" '' 'before'
is "$(seqs --since 2020-01-01)" "$all" 'since a day'
is "$(seqs --since 2020-01-01T00:00:00+02:00 --until 9999-01-01)" "$all" \
	'in a span'
last=$(ofs-audit list --reverse --limit 1 | awk '{print $2}')
is "$(seqs --until "$last")" "$all" 'what was listed is included'
is "$(seqs --until "${last%Z}")" "$(seqs --until "$last")" 'times are UTC'
is "$(seqs --reverse | wc -w)" "$(wc -w <<<"$all")" 'the newest first'
is "$(seqs --to 0)" '0 ' 'the genesis alone'
for bad in '--since yesterday' '--until 2026-13-01' '--digest xy' \
	'--batch xyz' '--result maybe' '--limit 0' '--since 2026-11-21Z'; do
	# shellcheck disable=SC2086
	run ofs-audit list $bad
	status 2 "list $bad: exit 2"
done

done_testing
