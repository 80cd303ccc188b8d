# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# TAP for shell tests. A test sources it, checks things, and ends with
# done_testing. `make check` sets the environment; by hand, build/ is used.
#
#   $T                a directory of the test's own, removed at the end
#   run CMD...        runs it: status in $rc, output in $out, errors in $err
#   must CMD...       the same, and the test bails out if it fails
#   ok RC NAME [WHY]  passes if RC is 0; WHY is shown when it does not
#   is GOT WANT NAME, isnt GOT OTHER NAME
#   like TEXT REGEX NAME, unlike TEXT REGEX NAME   (grep -E, any line)
#   status WANT NAME  the status of the last run; shows its output if wrong
#   skip_all REASON   nothing can be tested here
#   sandbox_start [NAME]  a token labelled 'sandbox' and its environment, in $T/NAME

OFS_TOP=${OFS_TOP:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
OFS_BUILD=${OFS_BUILD:-$OFS_TOP/build}
SEED=${SEED:-$(date +%s)}
export OFS_TOP OFS_BUILD SEED
case :$PATH: in
*":$OFS_BUILD/bin:"*) ;;
*) PATH=$OFS_BUILD/bin:$PATH ;;
esac
export OFS_TOKEN=${OFS_TOKEN:-$OFS_BUILD/bin/ofs-token}
# what the user of the test has set must not matter
unset OFS_MODULE OFS_AUDIT OFS_PIN_SOURCE OFS_SO_PIN_SOURCE XDG_STATE_HOME
export LC_ALL=C.UTF-8

tap_n=0 tap_failed=0
T=$(mktemp -d "${TMPDIR:-/tmp}/ofs-test.XXXXXX") || exit 1
# station keys of the logs that are made
export XDG_CONFIG_HOME=$T/config
tap_end()
{
	local code=$?

	chmod -R u+rwX "$T" 2>/dev/null
	rm -rf "$T"
	return $code
}
trap tap_end EXIT

tap_comment()
{
	printf '%s\n' "$@" | sed 's/^/#   /'
}

ok()
{
	tap_n=$((tap_n + 1))
	if [ "$1" -eq 0 ]; then
		printf 'ok %d - %s\n' "$tap_n" "$2"
		return 0
	fi
	tap_failed=$((tap_failed + 1))
	printf 'not ok %d - %s\n' "$tap_n" "$2"
	[ -z "${3-}" ] || tap_comment "$3"
	return 1
}

is()
{
	[ "$1" = "$2" ]
	ok $? "$3" "got:  $1
want: $2"
}

isnt()
{
	[ "$1" != "$2" ]
	ok $? "$3" "got what it must not be: $1"
}

like()
{
	grep -Eq -e "$2" <<<"$1"
	ok $? "$3" "got:  $1
want: /$2/"
}

unlike()
{
	! grep -Eq -e "$2" <<<"$1"
	ok $? "$3" "got:  $1
must not match: /$2/"
}

run()
{
	rc=0
	"$@" >"$T/.out" 2>"$T/.err" </dev/null || rc=$?
	# NUL bytes cannot live in a variable
	out=$(tr -d '\000' <"$T/.out")
	err=$(tr -d '\000' <"$T/.err")
	return 0
}

status()
{
	[ "$rc" -eq "$1" ]
	ok $? "$2" "exit status $rc, not $1
$out
$err"
}

must()
{
	run "$@"
	[ "$rc" -eq 0 ] && return 0
	tap_comment "$*" "$out" "$err"
	echo "Bail out! exit status $rc of: ${*//$'\n'/ }"
	exit 1
}

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 0
}

done_testing()
{
	echo "1..$tap_n"
	[ "$tap_failed" -eq 0 ] && [ "$tap_n" -gt 0 ]
	exit
}

sandbox_start()
{
	local exports

	exports=$("$OFS_TOP/softhsm-conf/sandbox" "$T/${1:-sandbox}" \
		2>"$T/.sandbox") || {
		tap_comment "$(cat "$T/.sandbox")"
		echo 'Bail out! no sandbox'
		exit 1
	}
	eval "$exports"
}
