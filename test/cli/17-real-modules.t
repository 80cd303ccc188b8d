#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Modules that are none of ours: p11-kit's client, whose server dies in the
# middle of a batch and is started again; NSS; OpenSC without a reader.
. "$(dirname "$0")/../lib/tap.sh"

client=$(compgen -G '/usr/lib/*/pkcs11/p11-kit-client.so' | head -1)
[ -n "$client" ] && command -v p11-kit >/dev/null ||
	skip_all 'p11-kit and p11-kit-modules are not installed'
p11-kit server --help >/dev/null 2>&1 || skip_all 'p11-kit has no server'
sandbox_start
cd "$T" || exit 1
softhsm=$OFS_MODULE
export HOME=$T/home XDG_CONFIG_HOME=$T/home/.config
mkdir -p home

# p11-kit reads no configuration of root's own
as=()
if [ "$(id -u)" = 0 ]; then
	as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
	chmod 711 "$T"
	if ! "${as[@]}" ofs-token --version >/dev/null 2>&1; then
		cp -r "$OFS_BUILD/bin" "$T/bin"
		chmod -R a+rX "$T/bin"
		PATH=$T/bin:$PATH
	fi
fi
own()
{
	[ "$(id -u)" != 0 ] || chown -R 65534:65534 "$@"
}
tool()
{
	run "${as[@]}" "$@"
}

server=
# it has a process for each connection; nobody may connect once they go
stop_server()
{
	local parts

	[ -n "$server" ] || return
	parts=$(pgrep -P "$server")
	kill -9 "$server" 2>/dev/null
	wait "$server" 2>/dev/null
	# shellcheck disable=SC2086 # words
	kill -9 $parts 2>/dev/null
	server=
}
trap 'stop_server; tap_end' EXIT
start_server() # OPTION...: the socket is home/sock
{
	local i

	rm -f home/sock
	"${as[@]}" p11-kit server --foreground --name "$T/home/sock" "$@" \
		>home/server.out 2>&1 &
	server=$!
	for i in $(seq 100); do
		[ ! -S home/sock ] || return 0
		sleep 0.05
	done
	tap_comment "$(cat home/server.out)"
	return 1
}
export P11_KIT_SERVER_ADDRESS=unix:path=$T/home/sock

# --- SoftHSM2 behind a socket: the column 'network module, server died'
own sandbox home
key='pkcs11:token=sandbox;object=batch'
# slow, so that it can be killed while a batch runs
cp "$OFS_BUILD/test/faultp11.so" slow.so
serve()
{
	FAULTP11_SCRIPT='latency 10ms' \
		start_server --provider "$T/slow.so" pkcs11:token=sandbox
}
export OFS_MODULE=$client
tool ofs-token list
like "$err" 'no token is there' 'no server: no token'
serve
ok $? 'a server of SoftHSM2 starts'
tool ofs-token list
status 0 'list'
like "$out" '^sandbox$' 'shows its token'
tool ofs-token enroll "$key" --key-type ec:P-256 --subject /CN=far --self-signed
status 0 'enroll'
mkdir home/many
for i in $(seq 200); do
	echo "order $i" >"home/many/$i"
done
own home
tool ofs-sign --key "$key" --out home/first home/many/1
status 0 'sign'


# begin OUT OPTION...: a batch that has signed some of 200
begin()
{
	rm -rf "home/$1"
	"${as[@]}" ofs-sign --key "$key" --out "$T/home/$1" --recursive \
		home/many "${@:2}" >home/batch 2>home/batch.err &
	batch=$!
	for i in $(seq 500); do
		[ "$(signatures "$1")" -lt 5 ] || break
		sleep 0.01
	done
}
signatures()
{
	find "home/$1" -name '*.p7s' 2>/dev/null | wc -l
}
end()
{
	rc=0
	wait "$batch" || rc=$?
	out=$(tail -5 home/batch)
	err=$(cat home/batch.err)
}

begin out --token-timeout 20
stop_server
before=$(signatures out)
sleep 0.7
serve
ok $? 'the server is killed in the middle of a batch, and started again'
end
status 0 'the batch is complete'
[ "$before" -lt 200 ]
ok $? 'it was not before'
is "$(signatures out)" 200 'with 200 signatures'
like "$err" "insert token 'sandbox' \(serial" 'the token was asked for'
like "$err" "token 'sandbox' is there, going on" 'and found again'
tool ofs-audit verify
status 0 'the log verifies'
like "$out" '^signed +203$' 'nothing was signed twice'

begin out2 --token-timeout 1
stop_server
end
status 3 'a server that stays away: exit 3, and no end by SIGPIPE'
tool ofs-audit verify
status 0 'the log verifies'

# --- NSS behind the same, as it wants parameters that only p11-kit hands over
softokn=$(compgen -G '/usr/lib/*/libsoftokn3.so' | head -1)
if [ -n "$softokn" ] && command -v certutil >/dev/null; then
	mkdir -p home/nss home/.config/pkcs11/modules
	printf '12345678\n' >home/nss-pin
	chmod 600 home/nss-pin
	must certutil -N -d sql:home/nss -f home/nss-pin
	head -c 100 /dev/urandom >home/noise
	for k in ec rsa; do
		args='-k ec -q nistp256'
		[ $k = ec ] || args='-k rsa -g 2048'
		# shellcheck disable=SC2086 # words
		must certutil -S -d sql:home/nss -f home/nss-pin -n nss$k \
			-s CN=nss$k -x -t u,u,u -z home/noise $args
	done
	echo 'user-config: only' >home/.config/pkcs11/pkcs11.conf
	cat >home/.config/pkcs11/modules/nss.module <<END
module: $softokn
x-init-reserved: configdir='sql:$T/home/nss' certPrefix='' keyPrefix='' secmod='' flags=optimizeSpace
END
	own home
	nss='pkcs11:token=NSS%20Certificate%20DB'
	export OFS_PIN_SOURCE=file:$T/home/nss-pin
	start_server 'pkcs11:model=NSS%203'
	ok $? 'a server of NSS starts'
	tool ofs-token list
	status 0 'NSS: list'
	like "$out" '^NSS Certificate DB$' 'NSS: has its tokens'
	tool ofs-token keys "$nss" --json
	status 0 'NSS: keys'
	is "$(jq -r '[.key_type, .private_key, .certificate.subject,
		(.always_authenticate | tostring)] | join(" ")' <<<"$out" | sort)" \
		'P-256 true CN=nssec null
RSA-2048 true CN=nssrsa null' 'NSS: with certificates, and what it does not say'
	jq -r 'select(.key_type == "P-256").uri' <<<"$out" >home/uri
	tool ofs-token adopt "$(cat home/uri)"
	status 3 'NSS: a key that it would give away is not adopted'
	like "$err" 'extractable' 'NSS: for that reason'
	tool ofs-token check "$nss" --json --advisories "$OFS_TOP/tools/advisories"
	status 1 'NSS: check'
	like "$(jq -r 'select(.type == "finding").id' <<<"$out")" \
		'^key-extractable$' 'NSS: finds it'
	for k in ec:P-256 rsa:2048; do
		tool ofs-token enroll "$nss;object=${k%:*}" --key-type $k \
			--subject /CN=$k --self-signed --cert-out home/$k.pem
		status 0 "NSS: enroll $k"
		tool ofs-sign --key "$nss;object=${k%:*}" --out "home/${k%:*}" \
			home/many/1 home/many/2
		status 0 "NSS: sign with $k"
		tool ofs-verify --trust home/$k.pem home/many/1 \
			--sig "home/${k%:*}/home/many/1.p7s"
		status 0 "NSS: verify with $k"
	done
	tool ofs-audit verify
	status 0 'NSS: the log verifies'
	stop_server
fi

# --- OpenSC without a reader: no slot, and no harm
opensc=$(compgen -G '/usr/lib/*/opensc-pkcs11.so' | head -1)
if [ -n "$opensc" ]; then
	run ofs-token list --module "$opensc" --module "$softhsm"
	status 0 'OpenSC beside SoftHSM2: list'
	like "$out" '^sandbox$' 'with the token of SoftHSM2'
fi
done_testing
