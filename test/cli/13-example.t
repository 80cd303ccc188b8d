#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The program in offlinesig(3) compiles without a warning and does what it says.
. "$(dirname "$0")/../lib/tap.sh"

sed -n '/^\.\\" example\.c/,/^\.Ed$/{/^\./d;s/\\e/\\/g;p;}' \
	"$OFS_TOP/man/offlinesig.3" >"$T/example.c"
# a reader of the page sees it, too
is "$(mandoc -Tascii "$OFS_TOP/man/offlinesig.3" 2>/dev/null | col -bx |
	grep -c '^ *ofs_ctx_free(j.ctx);$')" 1 'the page shows the program'
# shellcheck disable=SC2046
must cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror \
	-I"$OFS_TOP/include" -o "$T/example" "$T/example.c" \
	"$OFS_BUILD/libofflinesig.a" \
	$(pkg-config --libs libcrypto libp11 p11-kit-1 sqlite3 jansson) -lpthread
ok 0 'it compiles'

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=example'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=example \
	--self-signed --cert-out cert.pem
echo one >one
echo two >two
run ./example
status 2 'its usage'
run ./example "$OFS_MODULE" "$key" sandbox/pin "$OFS_AUDIT" one two
status 0 'it signs'
like "$out" '^one: signed, record [0-9]+$' 'and says so'
like "$out" '^2 of 2 signed' 'and counts'
run ofs-verify --trust cert.pem one two
status 0 'what it signed is valid'
run ./example "$OFS_MODULE" "$key" sandbox/pin "$OFS_AUDIT" one missing
status 1 'failures'
like "$out" '^missing: cannot open' 'are printed'
like "$err" '^OFS_EITEMS: ' 'and the code'
run ./example "$OFS_MODULE" "$key" nothing "$OFS_AUDIT" one
status 1 'no PIN'
like "$err" '^OFS_ENOPIN: ' 'has its code'
run ofs-audit verify
status 0 'the log is intact'
done_testing
