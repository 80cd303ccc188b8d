#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Modules registered with p11-kit are found without --module; broken ones are
# reported and passed over. The registrations are those of a user of the test's
# own, so that what this machine has registered does not matter.
. "$(dirname "$0")/../lib/tap.sh"

compgen -G '/usr/lib/*/softhsm/libsofthsm2.so' >/dev/null ||
	skip_all 'SoftHSM2 is not installed'
sandbox_start
softhsm=$OFS_MODULE
unset OFS_MODULE XDG_CONFIG_HOME
export HOME=$T/home
mods=$HOME/.config/pkcs11/modules
mkdir -p "$mods"
key='pkcs11:token=sandbox;object=batch'

# p11-kit reads no configuration of root's own, and neither do we
as=()
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 711 "$T"
	if ! "${as[@]}" ofs-token --version >/dev/null 2>&1; then
		cp -r "$OFS_BUILD/bin" "$T/bin"
		chmod -R a+rX "$T/bin"
		PATH=$T/bin:$PATH
	fi
	chown -R 65534:65534 "$T/sandbox"
fi
tool()
{
	run "${as[@]}" "$@"
}
register() # NAME LINE...
{
	printf '%s\n' "${@:2}" >"$mods/$1.module"
}

echo 'user-config: only' >"$HOME/.config/pkcs11/pkcs11.conf"
tool ofs-token list
status 3 'nothing is registered: exit 3'
like "$err" 'is registered with p11-kit; register one in .*/modules' 'says so'
like "$err" 'or name it with --module PATH or in OFS_MODULE' 'and what to do'

register good "# a comment" "  module :  $softhsm  " '' 'managed: yes'
tool ofs-token list
status 0 'SoftHSM2 is registered: found without --module'
like "$out" '^sandbox$' 'with its token'
like "$err" "module 'good' is looked at: $softhsm" 'and the module is named'
tool ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=x --self-signed
status 0 'enroll without --module'
echo one >"$T/home/one"
tool ofs-sign --key "$key" --out "$T/sandbox/out" "$T/home/one"
status 0 'ofs-sign without --module'

register missing "module: $T/nothing.so"
register text "module: /etc/passwd"
register malformed 'no colon here'
register empty '# nothing'
register other "module: $T/nothing.so" 'enable-in: another-program, yet-another'
register trusted "module: $T/nothing.so" 'trust-policy: yes'
register far "remote: |$T/nothing"
register off "module: $T/nothing.so" 'disable-in: x ofs-token'
: >"$mods/.hidden.module"
echo 'module: /x' >"$mods/backup.module~"
tool ofs-token list
status 0 'with broken ones beside it the good one works'
like "$out" '^sandbox$' 'its token is there'
like "$err" "warning: the registered module 'missing' is passed over: cannot load .*nothing.so': No such file" \
	'a missing file is reported'
like "$err" "warning: the registered module 'text' is passed over: .*ELF" \
	'what is no module is reported'
like "$err" "warning: the registered module 'malformed' .*line 1 has no colon" \
	'a malformed file is reported'
like "$err" "warning: the registered module 'empty' .*names no module" \
	'one that names nothing is reported'
like "$err" "^ofs-token: module 'other' is passed over: .*enable" \
	'enable-in names other programs'
like "$err" "^ofs-token: module 'off' is passed over: .*enable" \
	'disable-in names this one'
like "$err" "^ofs-token: module 'trusted' is passed over: it holds trusted" \
	'trusted certificates are passed over'
like "$err" "^ofs-token: module 'far' is passed over: .*remote" \
	'and remote ones'
is "$(grep -cE 'module .*(passed over|looked at)' <<<"$err")" 9 \
	'and those are all'
tool ofs-token list --json
is "$(jq -r 'select(.type == "module") |
	[.name, .used, .broken, .why == null] | join(" ")' <<<"$out")" \
'empty false true false
far false false false
good true false true
malformed false true false
missing false true false
off false false false
other false false false
text false true false
trusted false false false' 'the same as JSON'
is "$(jq -r 'select(.name == "good").module' <<<"$out")" "$softhsm" \
	'with the file'
tool ofs-sign --key "$key" --out "$T/sandbox/out2" "$T/home/one"
status 0 'ofs-sign goes on as well'
like "$err" "'missing' is passed over" 'and reports broken ones'
unlike "$err" "'trusted'|'other'" 'but not those that are none of its business'

tool ofs-token list --module "$softhsm"
unlike "$err" 'passed over' '--module: registrations do not matter'
tool env OFS_MODULE="$softhsm" ofs-token list
unlike "$err" 'passed over' 'OFS_MODULE: neither'
tool env P11_KIT_NO_USER_CONFIG=1 ofs-token list
unlike "$err" "'missing'" "p11-kit's switch for the user's configuration holds"
mkdir -p "$T/home/xdg/pkcs11/modules"
cp "$HOME/.config/pkcs11/pkcs11.conf" "$T/home/xdg/pkcs11"
cp "$mods/good.module" "$T/home/xdg/pkcs11/modules/mine.module"
tool env XDG_CONFIG_HOME="$T/home/xdg" ofs-token list
like "$err" "module 'mine' is looked at" 'XDG_CONFIG_HOME holds'
unlike "$err" "'missing'" 'instead of HOME'

rm "$mods"/*.module
register missing "module: $T/nothing.so"
tool ofs-token list
status 3 'only a broken one: exit 3'
like "$err" 'no PKCS#11 module can be used of those registered' 'says so'
register good "module: $softhsm"
register missing "module: $T/nothing.so" 'critical: yes'
tool ofs-token list
status 3 'one registered as critical is broken: exit 3'
like "$err" "'missing', registered as critical" 'says so'
done_testing
