#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# make bench: a private token, two keys, then the figures.
# usage: bench.sh BUILD-DIR
set -eu
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT INT TERM

env=$(OFS_TOKEN="$build/bin/ofs-token" "$top/softhsm-conf/sandbox" "$dir/sandbox" 2>"$dir/log") || {
	cat "$dir/log" >&2
	exit 1
}
eval "$env"
OFS_BENCH_PIN=$(cat "${OFS_PIN_SOURCE#file:}")
export OFS_BENCH_PIN
for k in rsa:2048=bench-rsa ec:P-256=bench-ec; do
	"$build/bin/ofs-token" enroll "pkcs11:token=sandbox;object=${k#*=}" \
		--key-type "${k%=*}" --subject "/CN=${k#*=}" --self-signed \
		>"$dir/log" 2>&1 || {
		cat "$dir/log" >&2
		exit 1
	}
done
"$build/test/bench/bench" "$dir" "${OFS_PIN_SOURCE#file:}" "$build/bin/ofs-sign"
