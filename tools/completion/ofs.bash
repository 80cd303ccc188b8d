# SPDX-License-Identifier: LGPL-2.1-or-later
# Completion of ofs-token, ofs-sign, ofs-verify and ofs-audit for bash.
# shellcheck shell=bash

# the options come from --help, so that they cannot grow apart from it
_ofs_options()
{
	"$@" --help 2>/dev/null | grep -oE -- '--[a-z][a-z-]+' | sort -u
}

# the words of $1 that begin with what is typed
_ofs_words()
{
	mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
}

_ofs_files()
{
	compopt -o filenames 2>/dev/null
	mapfile -t COMPREPLY < <(compgen -f -- "$1")
}

# values of the option $1; fails where there is nothing to offer
_ofs_value()
{
	case $1 in
	--format) _ofs_words 'cms cms-attached raw' "$2" ;;
	--digest) _ofs_words 'sha256 sha384 sha512' "$2" ;;
	--result) _ofs_words 'signed failed not-attempted unknown' "$2" ;;
	--severity) _ofs_words 'info warning serious' "$2" ;;
	--padding) _ofs_words 'pkcs1 pss' "$2" ;;
	--time) _ofs_words 'now claimed' "$2" ;;
	--key-type)
		COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
		_ofs_words 'rsa:2048 rsa:3072 rsa:4096 ec:P-256 ec:P-384 ec:P-521
			ec:secp256k1 ed25519 ed448' "$2"
		;;
	--pin-source | --so-pin-source | --new-pin-source | \
		--new-so-pin-source | --passphrase-source | \
		--new-passphrase-source | \
		--audit-passphrase-source)
		COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
		compopt -o nospace
		_ofs_words 'prompt pinpad env: file: fd: cmd:' "$2"
		;;
	--key-usage)
		_ofs_words 'digitalSignature nonRepudiation
			digitalSignature,nonRepudiation' "$2"
		;;
	--type)
		_ofs_words 'genesis batch-opened batch-closed intent outcome
			recovery login key-lent key-event token-event release
			epoch anchor log-event' "$2"
		;;
	--out | --tiles | --pending | --state | --audit | --root | --copy-to)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$2")
		;;
	--cert | --module | --sums | --digests | --manifest | --files-from | --trust | \
		--signer | --crl | --sig | --csr | --cert-out | --advisories | \
		--auditor | --from-head | --accept | --csv | --jsonl | \
		--tsa-trust | --tsa-chain | --request | --response | \
		--report | --station-key | --auditor-key)
		_ofs_files "$2"
		;;
	--use) _ofs_words 'document digest log' "$2" ;;
	--audit-key | --set)
		COMP_WORDBREAKS=${COMP_WORDBREAKS//:/}
		compopt -o nospace
		_ofs_words 'file file: pkcs11:' "$2"
		;;
	--output | --key-file) _ofs_files "$2" ;;
	--on-duplicate) _ofs_words 'skip sign refuse' "$2" ;;
	--resume | --abandon)
		_ofs_words "$(ofs-sign --list-unfinished --json 2>/dev/null |
			sed -n 's/.*"batch": *"\([0-9a-f]*\)".*/\1/p')" "$2"
		;;
	--always-auth) _ofs_words 'hold ask refuse' "$2" ;;
	--group) mapfile -t COMPREPLY < <(compgen -g -- "$2") ;;
	--vkey | --witness | --since | --name |\
		--key | --label | --jobs | --token | --head-token | --erase | --subject | --days | \
		--origin | --from | --to | --batch | --token-timeout | \
		--san | --ext | --id | --yes | --seconds | --confirmed | \
		--rate | --validate-timeout | --status | --discard-pending | \
		--reason | --drop-auditor | --since | --until | --operator | --document | --limit) ;;
	--validate) mapfile -t COMPREPLY < <(compgen -c -- "$2") ;;
	*) return 1 ;;
	esac
}

_ofs()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local tool=${COMP_WORDS[0]} verbs='' words second

	COMPREPLY=()
	case ${tool##*/} in
	ofs-token)
		verbs='list info init enroll adopt import-cert export-cert
			keys rename delete pin so-pin check bench'
		;;
	ofs-audit)
		verbs='init verify list show rotate backup restore erase
			reconcile checkpoint audit-key
			prove check-proof export witness timestamp anchor'
		;;
	esac
	_ofs_value "$prev" "$cur" && return
	# verbs of two words
	case ${COMP_WORDS[1]} in
	pin) words=(pin) second='change unblock' ;;
	so-pin) words=(so-pin) second='change' ;;
	*) words=("${COMP_WORDS[1]}") second='' ;;
	esac
	[ -z "$second" ] || words+=("${COMP_WORDS[2]-}")
	if [ -n "$verbs" ] && [ "$COMP_CWORD" -eq 2 ] && [ -n "$second" ]; then
		_ofs_words "$second" "$cur"
	elif [ -n "$verbs" ] && [ "$COMP_CWORD" -eq 1 ]; then
		_ofs_words "$verbs --help --version" "$cur"
	elif [[ $cur == -* && -n $verbs ]]; then
		_ofs_words "$(_ofs_options "$tool" "${words[@]}")" "$cur"
	elif [[ $cur == -* ]]; then
		_ofs_words "$(_ofs_options "$tool")" "$cur"
	else
		_ofs_files "$cur"
	fi
}

complete -F _ofs ofs-token ofs-sign ofs-verify ofs-audit
