#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# The module that misbehaves: with nothing armed it cannot be told from what is
# behind it; it is driven through the environment and through a file.
. "$(dirname "$0")/../lib/tap.sh"
FAULT=$OFS_BUILD/test/faultp11.so
. "$OFS_TOP/test/lib/faultp11.sh"

# whole suites that know nothing of it
for suite in token_test batch_test key_test evp_test station_test; do
	OFS_TEST_MODULE=$FAULT FAULTP11_COUNTS=$T/$suite \
		run "$OFS_BUILD/test/token/$suite"
	status 0 "$suite runs with it as with SoftHSM2"
	unlike "$out" '^not ok' "$suite: nothing failed"
	[ "$(fault_calls "$T/$suite" C_Initialize)" -gt 0 ]
	ok $? "$suite really went through it"
done

sandbox_start
unset FAULTP11_SCRIPT FAULTP11_SCRIPT_FILE
tool() { run pkcs11-tool --module "${1?}" "${@:2}"; }

tool "$OFS_MODULE" -L
behind=$out
tool "$FAULT" -L
first=$out
is "$out" "$behind" 'slots and tokens look the same'
tool "$OFS_MODULE" -M
behind=$out
tool "$FAULT" -M
is "$out" "$behind" 'mechanisms look the same'

export FAULTP11_COUNTS=$T/counts
FAULTP11_SCRIPT='C_GetTokenInfo 1+ ckr=CKR_DEVICE_ERROR' tool "$FAULT" -L
like "$out$err" 'CKR_DEVICE_ERROR' \
	'FAULTP11_SCRIPT is obeyed'
n=$(fault_calls "$T/counts" C_GetTokenInfo)
[ "$n" -gt 0 ]
ok $? 'its calls are counted'
tool "$FAULT" -L
[ "$(fault_calls "$T/counts" C_GetTokenInfo)" -gt "$n" ]
ok $? 'counts add up over processes'

FAULTP11_SCRIPT='C_Initialize 1 kill' tool "$FAULT" -L
is "$rc" 137 'kill ends the process'
is "$(fault_calls "$T/counts" C_Initialize)" 3 'the call that it died in counts'

FAULTP11_SCRIPT='C_Sign 1 ckr=CKR_NONSENSE' tool "$FAULT" -L
isnt "$rc" 0 'a script with a mistake lets nothing work'
like "$err" 'faultp11: line 1 of the script' 'and says which line it is'

FAULTP11_SCRIPT_FILE=$T/none FAULTP11_SCRIPT='' tool "$FAULT" -L
is "$out" "$first" 'a script file that is not there is no script'

done_testing
