#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The service in ofs_batch_run(3) compiles without a warning, and signs what
# comes while it runs.
. "$(dirname "$0")/../lib/tap.sh"

sed -n '/^\.\\" service\.c/,/^\.Ed$/{/^\./d;s/\\e/\\/g;p;}' \
	"$OFS_TOP/man/ofs_batch_run.3" >"$T/service.c"
is "$(mandoc -Tascii "$OFS_TOP/man/ofs_batch_run.3" 2>/dev/null | col -bx |
	grep -c '^ *ofs_ctx_free(s.ctx);$')" 1 'the page shows the program'
# shellcheck disable=SC2046
must cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror \
	-I"$OFS_TOP/include" -o "$T/service" "$T/service.c" \
	"$OFS_BUILD/libofflinesig.a" \
	$(pkg-config --libs libcrypto libp11 p11-kit-1 sqlite3 jansson) -lpthread
ok 0 'it compiles'

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=service'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=service \
	--self-signed --cert-out cert.pem
mkdir in out
for i in {1..300}; do echo "order $i" >"in/$i"; done
run ./service
status 2 'its usage'

# starts it, with a pipe to write to it and one to read what it says
start()
{
	rm -f ask told
	mkfifo ask told
	./service "$OFS_MODULE" "$key" sandbox/pin "$OFS_AUDIT" out \
		<ask >told 2>err &
	pid=$!
	exec 7>ask 8<told
}

# NAME: its answer, which comes while the service waits for more
answer()
{
	echo "$1" >&7
	read -r line <&8
}

verified()
{
	openssl cms -verify -cades -binary -inform DER -content "$1" \
		-in "out/$1.p7s" -CAfile cert.pem -purpose any -out /dev/null \
		2>/dev/null
}

start
answer in/1
is "$line" 'signed out/in/1.p7s' 'one document has its answer'
verified in/1
ok $? 'and a signature that openssl takes'
answer in/missing
like "$line" '^not signed in/missing: cannot open' 'what fails is told'
echo in/1 >&7
for i in {2..300}; do echo "in/$i"; done >&7
exec 7>&-
cat <&8 >all
exec 8<&-
wait $pid
is $? 1 'it ends with its input'
is "$(grep -c '^signed ' all)" 299 'everything is signed'
like "$(cat err)" "^refused: cannot add 'in/1': its output" \
	'what comes twice is refused'
like "$(cat err)" '^300 of 301 signed, batch [0-9a-f]{32}$' 'it counts'
bad=0
for i in {1..300}; do verified "in/$i" || bad=1; done
ok $bad 'openssl takes all of them'
run ofs-audit verify
status 0 'the log is intact'
must ofs-audit list --type batch-opened
like "$out" 'open-ended' 'it tells what kind of batch that was'
must ofs-sign --status "$(sed -n 's/.*batch //p' err)" --json
is "$(jq -r .items <<<"$out")" 301 'and how many there were'

rm -r out && mkdir out
start
answer in/1
kill -TERM $pid
wait $pid
is $? 0 'a signal ends it while it waits, and nothing was left'
like "$(cat err)" '^1 of 1 signed' 'with what was signed'
verified in/1
ok $? 'which is there'
exec 7>&- 8<&-
run ofs-audit verify
status 0 'the log is intact'
done_testing
