#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# PIN sources: each gives the PIN, bad ones give exit 4 and send nothing.
. "$(dirname "$0")/../lib/tap.sh"

sandbox_start
pin=$(cat "$T/sandbox/pin")
unset OFS_PIN_SOURCE

# a login, with a record of it, is what shows that the PIN came through
logins() { ofs-audit list --json --type login | wc -l; }
keys() { run ofs-token keys 'pkcs11:token=sandbox' --pin-source "$@"; }
good()
{
	local before

	before=$(logins)
	eval "$2"
	status 0 "$1"
	is "$(logins)" $((before + 1)) "$1: one login"
	unlike "$out$err" "$pin" "$1: the PIN is not shown"
}
bad()
{
	local before

	before=$(logins)
	eval "$3"
	status 4 "$1"
	like "$err" "$2" "$1: says why"
	is "$(logins)" "$before" "$1: nothing was sent"
}

printf '%s' "$pin" >"$T/pin"
printf '%s\r\nsecond line\n' "$pin" >"$T/crlf"
chmod 600 "$T/pin" "$T/crlf"
good 'file:' 'keys "file:$T/pin"'
unlike "$err" warning 'a private file gives no warning'
good 'file: with CR LF and a second line' 'keys "file:$T/crlf"'
chmod 644 "$T/pin"
good 'file: readable by others' 'keys "file:$T/pin"'
like "$err" "warning: others may read the PIN file" 'and warns'
chmod 600 "$T/pin"
good 'env:' 'MY_PIN=$pin; export MY_PIN; keys env:MY_PIN; unset MY_PIN'
good 'fd:' 'exec 7<"$T/pin"; keys fd:7; exec 7<&-'
printf '#!/bin/sh\ncat "%s"\n' "$T/pin" >"$T/program"
chmod 755 "$T/program"
good 'cmd:' 'keys "cmd:$T/program"'

: >"$T/empty"
printf '12\00034\n' >"$T/nul"
head -c 300 /dev/zero | tr '\0' 7 >"$T/long"
head -c 256 /dev/zero | tr '\0' 7 >"$T/long1"
chmod 600 "$T"/{empty,nul,long,long1}
bad 'file: empty' 'it is empty' 'keys "file:$T/empty"'
bad 'file: with a NUL' 'a NUL in it' 'keys "file:$T/nul"'
bad 'file: too long' 'it is too long' 'keys "file:$T/long"'
bad 'file: one byte too long' 'it is too long' 'keys "file:$T/long1"'
bad 'file: missing' 'No such file' 'keys "file:$T/nothing"'
bad 'file: a directory' 'not a regular file' 'keys "file:$T"'
mkfifo "$T/fifo"
bad 'file: a fifo' 'not a regular file' 'keys "file:$T/fifo"'
bad 'env: not set' "no environment variable 'NOT_SET'" 'keys env:NOT_SET'
bad 'env: empty' 'is empty, too long' 'EMPTY=; export EMPTY; keys env:EMPTY'
bad 'fd: not open' 'descriptor 63 is not open' 'keys fd:63'
printf '#!/bin/sh\ncat "%s"\nexit 1\n' "$T/pin" >"$T/failing"
printf '#!/bin/sh\n' >"$T/silent"
chmod 755 "$T/failing" "$T/silent"
bad 'cmd: that fails' 'what it wrote is not used' 'keys "cmd:$T/failing"'
bad 'cmd: that says nothing' 'it is empty' 'keys "cmd:$T/silent"'
bad 'cmd: missing' 'cannot start the PIN program' 'keys "cmd:$T/nothing"'
bad 'cmd: is no shell line' 'cannot start' 'keys "cmd:cat $T/pin"'
bad 'no terminal' 'no terminal to ask for the PIN on' \
	'run setsid -w ofs-token keys pkcs11:token=sandbox --pin-source prompt'

# a PIN program gets no secrets and no descriptors of ours
cat >"$T/spy" <<END
#!/bin/bash
env >"$T/spy.env"
ls /proc/self/fd | sort -n >"$T/spy.fd"
cat "$T/pin"
END
chmod 755 "$T/spy"
exec 9<"$T/pin"
SECRET=geheim99 good 'cmd: that looks around' 'keys "cmd:$T/spy"'
exec 9<&-
is "$(grep -cvE '^(PATH|LANG|PWD|SHLVL|_)=' "$T/spy.env")" 0 \
	'the program sees PATH and LANG only'
# 0 1 2, and what ls opened
is "$(tr '\n' ' ' <"$T/spy.fd")" '0 1 2 3 ' 'the program has no descriptor of ours'

# a wrong PIN is sent once
printf 'wrong-pin' >"$T/wrong"
chmod 600 "$T/wrong"
before=$(logins)
keys "file:$T/wrong"
status 4 'wrong PIN: exit 4'
is "$(logins)" $((before + 1)) 'it was sent once'
is "$(ofs-audit list --json --type login | tail -1 | jq .body.ok)" 0 \
	'and recorded as failed'
unlike "$out$err" wrong-pin 'and is not shown'

# on a terminal: echo off, and on again whatever happens
if command -v script >/dev/null; then
	ask='ofs-token keys pkcs11:token=sandbox --pin-source prompt'
	tty() { # INPUT: what is typed once the prompt stands
		{
			for _ in $(seq 100); do
				grep -q 'PIN of' "$T/tty" 2>/dev/null && break
				sleep 0.05
			done
			sleep 0.1
			printf "$1"
			sleep 0.3
		} | script -qec "$ask; echo status \$?; stty -a" /dev/null \
			>"$T/tty" 2>&1
		out=$(tr -d '\r' <"$T/tty")
		: >"$T/tty"
	}
	: >"$T/tty"
	tty "$pin\n"
	like "$out" "^PIN of 'sandbox' \(serial" 'the prompt names the token'
	like "$out" '^status 0' 'a PIN that is typed logs in'
	unlike "$out" "$pin" 'and does not show'
	like "$out" '(^| )echo( |;|$)' 'echo is on afterwards'
	tty '\n'
	like "$out" 'no PIN was entered' 'an empty line is no PIN'
	like "$out" '^status 4' 'and exit 4'
	tty '\003'
	unlike "$out" '^status 0' 'an interrupt ends it'
	# the shell outlives the interrupt, to tell how the terminal is
	ask="trap : INT; $ask"
	tty '\003'
	like "$out" '(^| )echo( |;|$)' 'echo is on after an interrupt'
fi
is "$(python3 "$OFS_TOP/test/lib/prompt.py" ofs-token keys \
	pkcs11:token=sandbox --pin-source prompt)" 'echo off' \
	'echo is off before the prompt is written'
done_testing
