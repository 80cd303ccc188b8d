#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# make bench: private tokens with a few keys, or many, then the figures.
# usage: bench.sh BUILD-DIR [speed] [start] [slow] [scale] [cost] [audit]
#     [verify]
# OFS_BENCH_MOST: items of the largest batch of `scale` (1000000)
# OFS_BENCH_RECORDS: in the log of `audit` and `verify` (1000000)
# OFS_BENCH_LOG: a directory where the log of `verify` is made once, and kept
set -eu
build=$(cd "$1" && pwd)
top=$(cd "$(dirname "$0")/../.." && pwd)
shift
dir=$(mktemp -d)
logs=$dir
trap 'rm -rf "$dir" "$logs"' EXIT INT TERM
missed=0
# where station keys go
export XDG_CONFIG_HOME="$dir/config"

# said only when it fails
quietly()
{
	"$@" >"$dir/log" 2>&1 || {
		cat "$dir/log" >&2
		exit 1
	}
}

# sandbox NAME: a token in $dir/NAME, and its environment
sandbox()
{
	env=$(OFS_TOKEN="$build/bin/ofs-token" "$top/softhsm-conf/sandbox" \
		"$dir/$1" 2>"$dir/log") || {
		cat "$dir/log" >&2
		exit 1
	}
	eval "$env"
}

# enroll URI-PATH TYPE
enroll()
{
	quietly "$build/bin/ofs-token" enroll "pkcs11:token=sandbox;$1" \
		--key-type "$2" --subject /CN=bench --self-signed
}

# a program of this folder; a goal that it missed ends nothing
measure()
{
	program=$build/test/bench/$1
	shift
	rc=0
	"$program" "$@" || rc=$?
	case $rc in
	0) ;;
	1) missed=1 ;;
	*) exit 1 ;;
	esac
}

speed()
{
	sandbox speed
	OFS_BENCH_PIN=$(cat "${OFS_PIN_SOURCE#file:}")
	GNUTLS_PIN=$OFS_BENCH_PIN
	export OFS_BENCH_PIN GNUTLS_PIN
	enroll 'object=bench-rsa' rsa:2048
	enroll 'object=bench-ec' ec:P-256
	measure bench "$dir" "${OFS_PIN_SOURCE#file:}" "$build/bin/ofs-sign"
}

# the same token with one key, and with a thousand
start()
{
	sandbox one
	enroll 'object=bench;id=%BE%0C' ec:P-256
	cp -a "$dir/one" "$dir/many"
	sed "s|$dir/one|$dir/many|" "$dir/one/softhsm2.conf" \
		>"$dir/many/softhsm2.conf"
	SOFTHSM2_CONF=$dir/many/softhsm2.conf \
		quietly "$build/test/bench/start" fill "$dir/one/pin" 999
	measure start measure "$build/bin/ofs-sign" "$dir"
}

# four tokens with one key; their label and serial stand in token.object
slow()
{
	sandbox slow
	enroll 'object=bench' ec:P-256
	tokens=$dir/slow/tokens
	one=$(ls "$tokens")
	serial=$(grep -aoE '[0-9a-f]{16}' "$tokens/$one/token.object" | head -1)
	for i in 1 2 3 4; do
		cp -a "$tokens/$one" "$tokens/slow-$i"
		sed -e "s/sandbox/slow-$i /" -e "s/$serial/00000000c10e000$i/" \
			"$tokens/$one/token.object" \
			>"$tokens/slow-$i/token.object"
	done
	rm -r "${tokens:?}/$one"
	export OFS_MODULE="$build/test/faultp11.so"
	export FAULTP11_SCRIPT="latency 200ms; sessions 1"
	measure slow "${OFS_PIN_SOURCE#file:}" "$build/bin/ofs-sign" "$dir"
	unset FAULTP11_SCRIPT
}

# batches of 1,000 items and of a thousand times as many
scale()
{
	sandbox scale
	enroll 'object=bench-ec' ec:P-256
	measure scale measure "${OFS_PIN_SOURCE#file:}" "$build/bin/ofs-sign" \
		"$dir" "${OFS_BENCH_MOST:-1000000}"
}

# where the host's CPU goes
cost()
{
	sandbox cost
	enroll 'object=bench-ec' ec:P-256
	measure cost "$dir" "${OFS_PIN_SOURCE#file:}"
}

# the record of operations with much in it; beside the build, not in memory
audit()
{
	logs=$(mktemp -d "$build/bench-audit.XXXXXX")
	measure audit "$logs/log" "${OFS_BENCH_RECORDS:-1000000}"
	rm -rf "$logs"
	logs=$dir
}

# of `audit`, what verifies; on a log that is there already
verify()
{
	[ -n "${OFS_BENCH_LOG:-}" ] || {
		echo 'bench.sh: verify needs OFS_BENCH_LOG' >&2
		exit 2
	}
	mkdir -p "$OFS_BENCH_LOG"
	measure audit "$OFS_BENCH_LOG/log" "${OFS_BENCH_RECORDS:-1000000}" \
		verify
}

[ $# -gt 0 ] || set -- speed cost start slow scale audit
for part; do
	case $part in
	speed | cost | start | slow | scale | audit | verify) "$part" ;;
	*)
		echo "bench.sh: no part '$part'; there are speed, cost, start," \
			"slow, scale, audit, verify" >&2
		exit 2
		;;
	esac
done
[ "$missed" = 0 ] && echo 'every goal is met' || echo 'some goals are missed'
