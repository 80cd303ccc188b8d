#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# softhsm-conf/sandbox: any name of a directory, twice the same, no PIN shown,
# nothing of others touched.
. "$(dirname "$0")/../lib/tap.sh"

sandbox=$OFS_TOP/softhsm-conf/sandbox
compgen -G '/usr/lib/*/softhsm/libsofthsm2.so' >/dev/null ||
	skip_all 'SoftHSM2 is not installed'

for name in plain 'two words' "it's \"q\" \$x \`id\`" 'back\slash & %s' 'ü' -x; do
	cd "$T" || exit 1
	run "$sandbox" "./$name"
	status 0 "'$name'"
	is "$(grep -cvE "^export [A-Z0-9_]+='.*'\$" <<<"$out")" 0 \
		"'$name': nothing but exports on stdout"
	unlike "$out$err" "$(cat "./$name/pin")" "'$name': no PIN is shown"
	first=$out
	seen=$(eval "$out" && cd / && ofs-token list --json &&
		printf '%s' "$OFS_AUDIT")
	like "$seen" '"label":"sandbox"' "'$name': the exports lead to the token"
	is "${seen##*$'\n'}" "$T/$name/audit" "'$name': OFS_AUDIT is absolute"
	run "$sandbox" "./$name"
	is "$out" "$first" "'$name': the same again"
	is "$err" '' "'$name': and nothing is made"
	is "$(find "./$name" -perm /077 | head -n 1)" '' \
		"'$name': nobody else may read it"
done

isnt "$(cat plain/pin)" "$(cat plain/so-pin)" 'PIN and SO PIN differ'
isnt "$(cat plain/pin)" "$(cat 'two words/pin')" 'PINs are random'

mkdir -p own/tokens/precious
run "$sandbox" own
status 1 'a directory with tokens of others'
like "$err" "is in use; take an empty directory" 'says why'
[ -d own/tokens/precious ]
ok $? 'and leaves them alone'

run "$sandbox" 'a#b'
status 1 'a name that SoftHSM2 cannot use'
like "$err" 'newline or # is in the name' 'says why'
is "$out" '' 'nothing to eval'

run env OFS_TOKEN=/bin/false "$sandbox" again
status 1 'ofs-token fails'
is "$out" '' 'ofs-token fails: nothing to eval'
run "$sandbox" again
status 0 'and the next try succeeds'

run env OFS_SOFTHSM=/nonexistent "$sandbox" none
status 1 'no module'
like "$err" 'SoftHSM2 is missing: install softhsm2' 'says what to install'
run "$sandbox"
status 2 'no directory'
run "$sandbox" a b
status 1 'two directories'

done_testing
