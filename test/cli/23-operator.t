#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# What an operator sees of a batch while it runs, and has after: progress,
# signals, a limit on the rate, the report, second copies.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
cd "$T" || exit 1
key='pkcs11:token=sandbox;object=batch'
must ofs-token enroll "$key" --key-type ec:P-256 --subject /O=Acme/CN=Batch \
	--self-signed --cert-out cert.pem
mkdir docs docs/below
for ((i = 0; i < 60; i++)); do
	echo "order $i" >"docs/order-$i"
done
echo below >docs/below/x
count() { find "$1" -name '*.p7s' 2>/dev/null | wc -l; }
flat() { tr '\n' ' ' <<<"$1" | tr -s ' '; }
# in the background, deaf to nothing; $pid is the tool
start()
{
	env --default-signal=INT ofs-sign --key "$key" --recursive "$@" docs \
		>"$T/.out" 2>"$T/.err" </dev/null &
	pid=$!
}
until_signed() # DIR N
{
	for ((i = 0; i < 1000; i++)); do
		[ "$(count "$1")" -ge "$2" ] && return
		sleep 0.02
	done
}
finish()
{
	wait $pid
	rc=$? out=$(cat "$T/.out") err=$(cat "$T/.err")
}

# --- --rate, SIGUSR1, a signal
began=$(date +%s%N)
run ofs-sign --key "$key" --out fast --rate 600 --recursive docs/below docs/order-1*
us=$((($(date +%s%N) - began) / 1000))
status 0 '--rate'
n=$(count fast)
[ $us -ge $(((n - 1) * 100000)) ]
ok $? "$n signatures at 600 a minute take $((n - 1)) tenths of a second ($us us)"
like "$(ofs-audit list --json --type batch-opened | jq -r .body.options)" \
	'rate=600' 'the record has the rate'

start --out out --rate 1200 --quiet --report kept
until_signed out 3
kill -USR1 $pid
sleep 0.5
kill -TERM $pid
finish
status 7 'a signal: exit 7'
is "$(grep -c 'of 61 done' <<<"$err")" 1 'SIGUSR1 prints one line, --quiet or not'
like "$err" '^ofs-sign: [0-9]+ of 61 done \([0-9]+%\), 0 failed, [0-9.]+/s, [0-9:-]+ left$' \
	'with count, rate and time left'
n=$(count out)
like "$out" "^$n of 61 signed, $((61 - n)) not attempted" 'the summary'
is "$(jq -r 'select(.type == "summary") | [.signed, .not_attempted, .exit] | join(" ")' \
	kept)" "$n $((61 - n)) 7" 'the report has the summary'
is "$(jq -r 'select(.type == "item") | .status' kept | sort | uniq -c | xargs)" \
	"$((61 - n)) not-attempted $n signed" 'and every item'

# --- a second signal stops at once
# a command that hangs holds the batch: only a second signal gets it to end
cat >slow <<END
#!/bin/sh
case \$1 in */order-3*) echo \$\$ >>"$T/asked"; sleep 66.$$ ;; esac
END
chmod +x slow
start --out hung --validate "$T/slow"
for ((i = 0; i < 1000; i++)); do
	[ -s asked ] && break
	sleep 0.02
done
began=$SECONDS
kill -INT $pid
finish
status 7 'stopped while a command runs'
[ $((SECONDS - began)) -lt 30 ]
ok $? 'which is not waited for'
is "$(pgrep -f "sleep 66\\.$$\$")" '' 'the command is not left behind'
like "$(flat "$out")" 'run the same command again' 'and how to go on'
unlike "$out" 'failed' 'the document is not refused for that'
run ofs-audit verify
status 0 'the log verifies'

rm asked
start --out hung --validate "$T/slow" --quiet
for ((i = 0; i < 1000; i++)); do
	[ -s asked ] && break
	sleep 0.02
done
kill -STOP $pid
kill -INT $pid
kill -TERM $pid
kill -CONT $pid
finish
status 7 'two signals while a command runs'
is "$(pgrep -f "sleep 66\\.$$\$")" '' 'it is not left behind either'

before=$(ofs-audit verify --json | jq -r 'select(.type == "report") | .signed')
start --out twice --rate 2400
until_signed twice 5
# both before anything can be done about the first
kill -STOP $pid
kill -INT $pid
kill -TERM $pid
kill -CONT $pid
finish
status 7 'two signals: exit 7'
like "$(flat "$err")" 'stopped at once; .* run the same command again' \
	'and how to go on'
[ "$(count twice)" -lt 61 ]
ok $? 'it came in the middle'
run ofs-audit verify --json
status 0 'the log verifies'
is "$(jq -r 'select(.type == "finding") | .id' <<<"$out" | grep -c unclosed-batch)" 1 \
	'one batch is unclosed'
run ofs-sign --key "$key" --recursive --out twice --skip-existing docs
status 0 'the next run goes on'
run ofs-verify --trust cert.pem --sig twice --recursive docs
status 0 'everything is valid'
run ofs-audit verify --json
is "$(jq -r 'select(.type == "report") | .pending_outputs' <<<"$out")" 0 \
	'nothing waits'
unknown=$(jq -r 'select(.type == "report") | .unknown' <<<"$out")
is "$(jq -r "select(.type == \"report\") | .signed - $before" <<<"$out")" 61 \
	"each has one signature on record, $unknown unknown"

# --- progress on terminals
columns() # N: the widest line of the bar
{
	: >screen
	script -qec "stty cols $1; TERM=xterm ofs-sign --key '$key' --recursive \
		--out wide$1 --rate 1800 none-1 none-2 none-3 docs" /dev/null \
		>screen 2>&1 </dev/null
	tr '\r' '\n' <screen | sed 's/\x1b\[K//g' | grep '%' | tee bars |
		awk '{ if (length($0) > n) n = length($0) } END { print n }'
}
if command -v script >/dev/null; then
	n=$(columns 80)
	[ "${n:-99}" -lt 80 ]
	ok $? "the bar fits 80 columns ($n)"
	like "$(cat bars)" '^\[#+-*\] +[0-9]+%  [0-9]+/64  [0-9.]+/s  [0-9:-]+ left' \
		'bar, count, rate, time left'
	n=$(columns 40)
	[ "${n:-99}" -lt 40 ]
	ok $? "and 40 ($n)"
	n=$(columns 34)
	[ "${n:-99}" -lt 34 ]
	ok $? "and 34 ($n)"
	like "$(tail -1 bars)" '[0-9]+%  [0-9]+/64  .*[0-9:-]+ left  3 failed$' \
		'where time left and failures are still seen'
fi

# --- --report
echo mine >there
run ofs-sign --key "$key" --out rep --report there docs/order-1
status 5 'a report that exists is not replaced'
is "$(cat there)" mine 'it is still there'
is "$(count rep)" 0 'and nothing is signed'
run ofs-sign --key "$key" --out rep --report nowhere/there docs/order-1
status 5 'a report that cannot be written: before anything is signed'
is "$(count rep)" 0 'really'
run ofs-sign --key "$key" --out rep --report - docs/order-1
status 2 '--report -'
run ofs-sign --key "$key" --out rep --report there --force docs/order-1 docs/none
status 1 '--force'
is "$(jq -r '[.type, .status] | map(. // "") | join(" ")' there | xargs)" \
	'item signed item failed summary' 'the report is replaced'
run ofs-sign --key "$key" --out rep2 --report again --json docs/order-1
is "$(cat again)" "$out" 'it is what --json prints'
is "$(find . -maxdepth 1 -name 'again.*' -o -maxdepth 1 -name 'there.*')" '' \
	'nothing is left beside it'
run ofs-sign --key pkcs11:token=none --out rep3 --report gone docs/order-1
is "$(ls gone* 2>/dev/null)" '' 'no report of a run that never began'

# --- --copy-to
run ofs-sign --key "$key" --out c1 --copy-to medium --recursive docs
status 5 'a medium that is not there'
is "$(count c1)" 0 'nothing is signed'
mkdir medium
run ofs-sign --key "$key" --out c1 --copy-to medium --recursive docs
status 0 'second copies'
like "$out" '^61 of 61 signed, 61 copied' 'are counted'
like "$(flat "$err")" 'warning: the second copies go to the file system' \
	'on the same disk: a warning'
diff -r c1 medium >/dev/null
ok $? 'with the same paths and bytes'
rm medium/docs/order-5.p7s
echo other >medium/docs/order-6.p7s
run ofs-sign --key "$key" --out c1 --copy-to medium --recursive --skip-existing \
	--json docs
status 5 'one copy is missing, one is another: exit 5'
cmp -s c1/docs/order-5.p7s medium/docs/order-5.p7s
ok $? 'the missing one is made'
is "$(jq -r 'select(.copy_error) | [.status, .path, .copy_code] | join(" ")' <<<"$out")" \
	'skipped docs/order-6 OFS_EEXIST' 'the other is named, and its item is not failed'
is "$(cat medium/docs/order-6.p7s)" other 'and left alone'
is "$(jq -r 'select(.type == "summary") | [.skipped, .failed, .copied, .copy_failed,
	.exit] | join(" ")' <<<"$out")" '61 0 60 1 5' 'the summary counts it'
# a file stands where a directory has to be made
mkdir broken
echo x >broken/docs
run ofs-sign --key "$key" --out c2 --copy-to broken --recursive docs
status 5 'a medium that takes nothing'
is "$(count c2)" 61 'everything is signed all the same'
like "$(flat "$out")" '61 of 61 signed, 61 NOT COPIED .* for the copies that are missing, run the same' \
	'and said, and what to do'
is "$(ofs-audit list --json --type batch-closed | tail -1 | jq -r '.body.reason')" \
	'everything is signed, and 61 of 61 second copies could not be made' \
	'the record has it'
run ofs-sign --key "$key" --copy-to . docs/order-9
status 5 'copies onto the signatures themselves'
like "$(flat "$out$err")" 'is the signature itself; use another directory' 'are refused'
done_testing
