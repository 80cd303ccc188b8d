#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Man pages are valid, and tools and their pages name the same options.
# usage: man.sh BUILD-DIR
set -eu
build=$1
cd "${OFS_TOP:-$(dirname "$0")/../..}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

mandoc -Tlint -W warning man/*.[1357] >&2 || rc=1
for t in ofs-token ofs-sign ofs-verify ofs-audit; do
	"$build/bin/$t" --help >"$tmp/help"
	# mdoc writes --key as "Fl Fl key" or "Fl -key"
	mandoc -Tutf8 "man/$t.1" | col -b >"$tmp/page"
	grep -oE -- '--[a-z][a-z-]+' "$tmp/help" | sort -u >"$tmp/options"
	while read -r o; do
		grep -q -- "$o" "$tmp/page" || {
			echo "man/$t.1 does not name $o" >&2
			rc=1
		}
	done <"$tmp/options"
	awk '{ gsub(/\t/, "        ") } length($0) > 80 {
		print FILENAME ": longer than 80 columns: " $0; bad = 1
	} END { exit bad }' "$tmp/help" >&2 || rc=1
done
exit $rc
