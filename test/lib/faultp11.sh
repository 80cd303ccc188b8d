# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Shell tests read the counters of faultp11.so with this.
#
#   fault_calls FILE FUNCTION   how often it was called, in all processes that
#                               had FAULTP11_COUNTS=FILE; 0 without a file

fault_calls()
{
	[ -e "$1" ] || {
		echo 0
		return
	}
	awk -v f="$2" '$2 == f { n = $1 + 0 } END { print n + 0 }' "$1"
}
