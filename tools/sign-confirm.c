/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Nobody is asked for a PIN before the list is confirmed. */
#include <string.h>

#include "common/confirm.h"
#include "common/plain.h"
#include "sign.h"

#define WORD 8 /* hex digits to type */

bool
cmd_sign_is_word(const char *s)
{
	uint8_t bytes[32];
	size_t n;

	return plain_parse_hex(s, bytes, sizeof(bytes), &n) && 2 * n >= WORD;
}

int
cmd_sign_check_confirmed(struct out *o, ofs_batch *b, const char *word)
{
	uint8_t list[32], bytes[32];
	char hex[65];
	size_t n;

	if (ofs_batch_list_sha256(b, list) != 0)
		return out_fail_with(o, ofs_batch_error(b));
	if (plain_parse_hex(word, bytes, sizeof(bytes), &n) &&
		memcmp(bytes, list, n) == 0)
		return 0;
	plain_hex(hex, list, sizeof(list));
	return out_fail(o, OFS_EMISMATCH,
		"this is not the list that was confirmed: its digest is "
		"%.16s..., not '%s'; nothing was signed; look at it with "
		"--dry-run",
		hex, NAME(word));
}

int
cmd_sign_confirm_terminal(struct out *o, FILE **tty)
{
	*tty = confirm_open();
	if (*tty != NULL)
		return 0;
	return out_fail(o, OFS_EINVAL,
		"there is no terminal to confirm on; run with --dry-run, and "
		"then with --confirmed and the first digits of its list "
		"digest");
}

int
cmd_sign_confirm(struct out *o, FILE *tty, const struct ofs_plan *p)
{
	char hex[65];

	cmd_sign_plan_print(tty, p);
	plain_hex(hex, p->list_sha256, 32);
	hex[WORD] = '\0';
	return confirm_typed(
		o, tty, "the first digits of the list's digest,", hex);
}
