#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What a machine can say about style.
# usage: style.sh BUILD-DIR
# shellcheck disable=SC2046
set -eu
cd "${OFS_TOP:-$(dirname "$0")/../..}"
rc=0
bad()
{
	echo "$*" >&2
	rc=1
}

c=$(find include lib tools test -name '*.[ch]')
sh=$(grep -rlIE '^#!/bin/(ba)?sh' softhsm-conf test .ci tools)
for f in $sh; do
	head -3 "$f" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' ||
		bad "$f: no SPDX line"
done

for f in $c; do
	head -2 "$f" | grep -q 'SPDX-License-Identifier: LGPL-2.1-or-later' ||
		bad "$f: no SPDX line"
	sed -n 2p "$f" | grep -q '^/\*' ||
		bad "$f:2: no sentence that says what the file is for"
	case $f in
	lib/* | tools/* | include/*)
		n=$(wc -l <"$f")
		[ "$n" -le 700 ] || bad "$f: $n lines, more than 700"
		;;
	esac
done
# shellcheck disable=SC2086
{
	grep -nE '^([^"]*[^:"])?//' $c && bad 'comments are /* */'
	awk '{
		gsub(/\t/, "        ")
		if (length($0) > 100) {
			print FILENAME ":" FNR ": longer than 100 columns"
			bad = 1
		}
	} END { exit bad }' $c || rc=1
	grep -nE '[[:space:]]+$' $c $sh Makefile && bad 'blanks at the end of a line'
	clang-format --dry-run -Werror $c 2>&1 | grep -E '(error|warning):' |
		head -20 | grep . && bad 'run clang-format -i on these'
	grep -nE '\bassert\(' $(find lib tools -name '*.[ch]') &&
		bad 'no assert on input'
	# the compiler may turn these into others, so that no object shows them
	grep -nwE '(str(p?cpy|cat|tok)|v?sprintf|gets|ato[ilf]|atoll|alloca)\(' \
		$(find lib tools -name '*.[ch]') && bad 'banned'
}

# functions: one thing each
command -v ctags >/dev/null || bad 'ctags is missing'
ctags --kinds-C=f --fields=+ne -f - $(find lib tools -name '*.c') |
	awk -F'\t' '{
		for (i = 4; i <= NF; i++) {
			if ($i ~ /^line:/) line = substr($i, 6)
			if ($i ~ /^end:/) end = substr($i, 5)
		}
		if (end - line >= 80) {
			printf "%s:%d: %s has %d lines, more than 80\n", $2, \
				line, $1, end - line + 1
			bad = 1
		}
	} END { if (NR < 100) print "ctags found hardly any function"
		exit bad || NR < 100 }' >&2 || rc=1

for f in $sh; do
	case $(head -1 "$f") in
	*bash) bash -n "$f" || rc=1 ;;
	*) sh -n "$f" || rc=1 ;;
	esac
done
# shellcheck disable=SC2086
shellcheck -S warning -e SC1090,SC1091,SC2034,SC2154 $sh || rc=1

git ls-files 2>/dev/null | grep -vE '^(Makefile|README\.md|COPYING|(lib|include|tools|test|softhsm-conf|man)/|\.)' |
	grep . && bad 'not in the top level that was agreed on'
exit $rc
