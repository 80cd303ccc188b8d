# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Shell tests begin with this station: a token with a key, an auditor, documents.
#
#   $iofail, $fault            what is preloaded, and a module that fails
#   built FILE...              skips the test where one is not built
#   auditor NAME [NEWKEY...]   makes NAME.crt and NAME.key; P-256 by default
#   station OBJECT ENROLL...   goes to $T, starts a sandbox and makes $key there,
#                              which a log of its own, $T/first, tells of
#   documents N PREFIX [SUFFIX]   makes N documents, PREFIX0SUFFIX and so on
#   no_log STATUS TEXT NAME OPTION...   an init that is refused and makes nothing
#   csigns                     calls of C_Sign so far, of FAULTP11_COUNTS
#   kept [LOG]                 keys of what is unfinished that the log keeps

. "$OFS_TOP/test/lib/faultp11.sh"

iofail=$OFS_BUILD/test/lib/iofail.so
fault=$OFS_BUILD/test/faultp11.so

built()
{
	local f

	for f; do
		[ -e "$f" ] || skip_all "$f is not built"
	done
}

auditor()
{
	local name=$1

	shift
	[ $# -gt 0 ] || set -- -newkey ec -pkeyopt ec_paramgen_curve:P-256
	must openssl req -x509 -nodes -days 30 -subj "/CN=$name" \
		-out "$name.crt" -keyout "$name.key" "$@"
}

station()
{
	sandbox_start
	cd "$T" || exit 1
	key="pkcs11:token=sandbox;object=$1"
	OFS_AUDIT=$T/first must ofs-token enroll "$key" --self-signed "${@:2}"
}

documents()
{
	local i

	mkdir -p "${2%/*}"
	for ((i = 0; i < $1; i++)); do echo "order $i" >"$2$i${3-}"; done
}

csigns() { fault_calls "$FAULTP11_COUNTS" C_Sign; }
kept() { sqlite3 "${1:-$OFS_AUDIT}/log.db" 'SELECT count(*) FROM kept_key'; }

no_log()
{
	run ofs-audit init --audit none "${@:4}"
	status "$1" "$3"
	like "$err" "$2" "$3: says so"
	[ ! -e none ]
	ok $? "$3: no log is made"
}
