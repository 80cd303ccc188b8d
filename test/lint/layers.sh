#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# lib/LAYERS against the object files, and what a layer must not do at all.
# usage: layers.sh BUILD-DIR
# shellcheck disable=SC2013,SC2044
set -eu
build=$1
cd "${OFS_TOP:-$(dirname "$0")/../..}"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
rc=0

: >"$tmp/defined"
: >"$tmp/used"
for dir in lib/*/; do
	m=$(basename "$dir")
	grep -q "^$m\([[:space:]]\|\$\)" lib/LAYERS || {
		echo "lib/$m is not in lib/LAYERS" >&2
		rc=1
	}
	for src in "$dir"*.c; do
		o=$build/obj/${src%.c}.o
		[ -e "$o" ] || {
			echo "$o is missing: run make" >&2
			exit 1
		}
		# what _FORTIFY_SOURCE and C99 make of a name is that name
		nm -P "$o" | sed 's/^__\([a-z]*\)_chk /\1 /
			s/^__isoc99_//; s/^__open_2 /open /' |
			awk -v m="$m" -v src="$src" \
			-v d="$tmp/defined" -v u="$tmp/used" '
			$2 == "U" { print $1, m, src >>u; next }
			$2 ~ /^[TDBRC]$/ { print $1, m, src >>d }'
	done
done

# 1. calls between modules
awk -v layers=lib/LAYERS '
	BEGIN {
		while ((getline line <layers) > 0) {
			if (line ~ /^#/) continue
			n = split(line, w, /[ \t]+/)
			for (i = 2; i <= n; i++) may[w[1], w[i]] = 1
		}
	}
	FNR == NR { home[$1] = $2; next }
	($1 in home) && home[$1] != $2 && !(($2, home[$1]) in may) {
		printf "%s: %s must not call %s (%s is in %s)\n", $3, $2, \
			home[$1], $1, home[$1]
		bad = 1
	}
	END { exit bad }' "$tmp/defined" "$tmp/used" >&2 || rc=1

# 2. what the library does not do: print, exit, read the environment; formats
# do no I/O; hashing and file access have one home each
forbid() # MODULES-REGEX SYMBOLS-REGEX REASON
{
	awk -v m="^($1)\$" -v s="^($2)\$" -v why="$3" '
		$2 ~ m && $1 ~ s {
			printf "%s: calls %s: %s\n", $3, $1, why
			bad = 1
		}
		END { exit bad }' "$tmp/used" >&2 || rc=1
}
forbid '.*' 'v?f?printf|f?puts|f?putc|putchar|perror|stdout|stderr|_?exit|abort|__assert_fail|(secure_)?getenv|setenv|environ|signal|sigaction|system|popen' \
	'the library does not print, exit, read the environment or touch signal handlers'
forbid '.*' 'str(p?cpy|cat|tok)|v?sprintf|gets|ato[ilf]|atoll|alloca|s?rand|tmpnam|mktemp|localtime|gmtime|ctime|asctime|strerror' \
	'banned (STYLE: bounded, checked, thread-safe functions only)'
forbid 'format|crypto' '(f|open)?open(at)?(64)?|p?(read|write)v?(64)?|f(read|write)|socket|connect|[fl]?stat(at)?(64)?|unlink|rename(at2?)?|mmap(64)?|fsync|BIO_new_f(ile|d|p)' \
	'formats and crypto turn bytes into structs and do no I/O'
forbid 'verify|audit|store|format|crypto|base' 'p11_kit_.*|dlopen|PKCS11_.*' \
	'only token/ knows PKCS#11'

# 3. tools use what is exported, nothing else of the library
sed -n 's/^	\(ofs_[a-z0-9_]*\);$/\1/p' lib/offlinesig.map >"$tmp/map"
for src in $(find tools -name '*.c'); do
	o=$build/obj/${src%.c}.o
	[ -e "$o" ] || {
		echo "$o is missing: run make" >&2
		exit 1
	}
	nm -P "$o" | awk -v src="$src" -v map="$tmp/map" '
		BEGIN { while ((getline line <map) > 0) exported[line] = 1 }
		FNR == NR { home[$1] = $3; next }
		$2 == "U" && ($1 in home) && !($1 in exported) {
			printf "%s: uses %s of %s, which is not exported\n", \
				src, $1, home[$1]
			bad = 1
		}
		END { exit bad }' "$tmp/defined" - >&2 || rc=1
done

# 4. headers
for f in $(grep -lE '^#include <(libp11|p11-kit/|pkcs11).*>' lib/*/*.[ch] \
	tools/*.[ch] tools/*/*.[ch] 2>/dev/null); do
	case $f in
	lib/token/*) ;;
	*)
		echo "$f: PKCS#11 headers belong to lib/token" >&2
		rc=1
		;;
	esac
done
n=$(grep -l '^#include <libp11.h>' lib/*/*.[ch] | grep -cv '^lib/token/evp.c$' || :)
[ "$n" = 0 ] || {
	echo "libp11.h is included outside lib/token/evp.c" >&2
	rc=1
}
grep -nE '^#include "(base|crypto|format|token|store|audit|verify|sign|station)/' \
	tools/*.[ch] tools/*/*.[ch] >&2 && {
	echo 'tools use <offlinesig.h> only' >&2
	rc=1
}
grep -nE '^#[[:space:]]*if(def|ndef)?\b' lib/*/*.c | grep -v '^lib/base/' >&2 && {
	echo '#if belongs to lib/base' >&2
	rc=1
}
exit $rc
