#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The export list, the public headers, the documentation and the library agree;
# every header compiles alone, in C and in C++.
# usage: exports.sh BUILD-DIR
set -eu
build=$1
cd "${OFS_TOP:-$(dirname "$0")/../..}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

# prototypes, not what comments mention
sed -n '/^#\|^ \*\|^\/\*/!p' include/offlinesig/*.h |
	grep -oE '\bofs_[a-z0-9_]+\(' | tr -d '(' | sort -u >"$tmp/headers"
sed -n 's/^	\(ofs_[a-z0-9_]*\);$/\1/p' lib/offlinesig.map | sort -u >"$tmp/map"
nm -D --defined-only "$build/libofflinesig.so" | awk '$2 == "T" {print $3}' |
	sed 's/@.*//' | sort -u >"$tmp/library"
nm -g --defined-only "$build/libofflinesig.a" |
	awk '$2 ~ /^[A-Z]$/ {print $3}' | sort -u >"$tmp/archive"
grep -ohE '\bofs_[a-z0-9_]+' man/*.3 | sort -u >"$tmp/man"

same() # WHAT WHAT
{
	diff "$tmp/$1" "$tmp/$2" >"$tmp/diff" && return
	echo "$1 (<) and $2 (>) differ:" >&2
	grep '^[<>]' "$tmp/diff" >&2
	rc=1
}
same headers map
same map library
same map archive
comm -23 "$tmp/headers" "$tmp/man" >"$tmp/undocumented"
if [ -s "$tmp/undocumented" ]; then
	echo 'no man page of section 3 names:' >&2
	cat "$tmp/undocumented" >&2
	rc=1
fi

for h in include/offlinesig.h include/offlinesig/*.h; do
	echo "#include <${h#include/}>" >"$tmp/h.c"
	cp "$tmp/h.c" "$tmp/h.cc"
	cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude "$tmp/h.c" || rc=1
	c++ -Wall -Wextra -Werror -fsyntax-only -Iinclude "$tmp/h.cc" || rc=1
done
exit $rc
