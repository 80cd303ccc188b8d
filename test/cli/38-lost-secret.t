#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Sealed logs whose outputs the station cannot release: what is said of them,
# and how an auditor has them all the same.
. "$(dirname "$0")/../lib/tap.sh"
. "$OFS_TOP/test/lib/station.sh"

built "$iofail"
station lost --key-type ec:P-256 --subject /CN=lost --cert-out cert.pem
auditor alice
auditor bob
documents 20 docs/order-
kill_release() { # OUT
	IOFAIL='write .p7s 1 0' LD_PRELOAD=$iofail run ofs-sign --key "$key" \
		--out "$T/$1" --recursive docs
	is "$rc" 137 "a batch is killed before its first output"
}
waiting() { sqlite3 "$OFS_AUDIT/log.db" 'SELECT count(*) FROM pending'; }

# --- a sealed log without a station key
export OFS_AUDIT=$T/log
must ofs-audit init --sealed --auditor alice.crt
kill_release out
n=$(waiting)
isnt "$n" 0 'outputs wait'
run ofs-audit verify
status 0 'the log is intact'
like "$out" "not released +$n\$" 'verification counts them without a key'
like "$(xargs -0 <<<"$out" | tr -s ' \n' ' ')" \
	'takes them out with ofs-audit export --pending DIR --auditor-key' \
	'and says what to do'
echo one more >later
run ofs-sign --key "$key" --out "$T/other" later
status 0 'another run signs'
like "$err" "$n recorded signatures .*export --pending" 'and says it, too'
is "$(waiting)" "$n" 'and leaves them'
run ofs-audit export --pending had
status 6 'nobody takes them out without a key'
like "$err" "$n outputs that wait cannot be opened .*--auditor-key" 'says so'
is "$(ls had)" '' 'nor any of them'
run ofs-audit export --pending had --auditor-key bob.key
status 5 'nor with the key of somebody else'
run ofs-audit export --tiles tiles --auditor-key alice.key
status 2 'that key is for these outputs alone'

# the auditor works on a copy
cp -a log copy
run ofs-audit export --pending had --auditor-key alice.key --audit copy --json
status 0 'the auditor has them'
is "$(jq -r 'select(.type == "pending-output") | .output' <<<"$out" | sort)" \
	"$(for f in $(jq -r .path <<<"$out"); do
		echo "$T/out/docs/${f#had/*-}"; done | sort)" 'with their places'
is "$(find had -type f | wc -l)" "$n" 'all of them'
good=0
for f in had/*.p7s; do
	doc=${f#had/*-}
	openssl cms -verify -binary -inform DER -in "$f" -CAfile cert.pem \
		-purpose any -content "docs/${doc%.p7s}" -out /dev/null \
		2>/dev/null && good=$((good + 1))
done
is "$good" "$n" 'and every signature is good'
run ofs-audit export --pending had --auditor-key alice.key --audit copy
status 5 'files that are there are kept'
run ofs-audit export --pending had --auditor-key alice.key --force
status 0 'but with --force'
is "$(waiting)" "$n" 'the log keeps them'
like "$(ofs-audit list --type log-event --auditor-key alice.key)" \
	"read.*with the key of 'CN=alice'" 'the reading is recorded'

# --- nothing waits
must ofs-audit init --audit empty --sealed --auditor alice.crt
run ofs-audit export --pending none --auditor-key alice.key --audit empty
status 0 'a log where nothing waits'
like "$out" 'no output waits' 'says so'

done_testing
