#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# make installcheck: programs build with pkg-config against what was installed,
# in C and C++, shared and static, and run; what was installed works from there.
set -eu
root=$DESTDIR$PREFIX
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
unset OFS_TOKEN

[ -e "$root/lib/pkgconfig/offlinesig.pc" ] || {
	echo "nothing is installed in $root: run make install first" >&2
	exit 1
}
PKG_CONFIG_PATH=$root/lib/pkgconfig
export PKG_CONFIG_PATH
pc()
{
	pkg-config --define-variable=prefix="$root" "$@" offlinesig
}
# the archive by name, and what it needs as shared libraries: --static would
# want what those were linked with, too, and Debian has no static p11-kit
static_libs()
{
	# shellcheck disable=SC2046
	echo "$root/lib/libofflinesig.a" \
		$(pkg-config --libs $(pc --print-requires-private)) -pthread
}

# shellcheck disable=SC2046
{
	"$CC" -std=c11 -Wall -Werror "$here/program.c" $(pc --cflags --libs) -o "$tmp/c-shared"
	"$CC" -std=c11 -Wall -Werror "$here/program.c" $(pc --cflags) $(static_libs) -o "$tmp/c-static"
	c++ -Wall -Werror "$here/program.cc" $(pc --cflags --libs) -o "$tmp/cc-shared"
	c++ -Wall -Werror "$here/program.cc" $(pc --cflags) $(static_libs) -o "$tmp/cc-static"
}
for p in c-shared c-static cc-shared cc-static; do
	said=$(LD_LIBRARY_PATH="$root/lib" "$tmp/$p")
	[ "$said" = "$(pc --modversion)" ] || {
		echo "$p: says '$said'" >&2
		exit 1
	}
	echo "ok $p"
done
readelf -d "$tmp/c-shared" | grep -q 'libofflinesig.so.0' || {
	echo 'the shared program does not need libofflinesig.so.0' >&2
	exit 1
}
readelf -d "$tmp/c-static" | grep -q libofflinesig && {
	echo 'the static program needs the shared library' >&2
	exit 1
}
(
	eval "$("$root/share/offlinesig/sandbox" "$tmp/sand box")"
	"$root/bin/ofs-token" list
) >"$tmp/list" 2>"$tmp/log" && grep -q sandbox "$tmp/list" || {
	cat "$tmp/log" >&2
	echo 'the installed sandbox does not work' >&2
	exit 1
}
echo 'ok installed sandbox and tools'
