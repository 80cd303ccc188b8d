/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as a note, a checkpoint, a verifier key: both ways. */
#include <stdlib.h>
#include <string.h>

#include "format/note.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
try_key(const char *p, size_t n)
{
	struct buf again = BUF_INIT;
	struct note_key k;
	struct ofs_error e;

	if (note_key_parse(p, n, &k, &e) != 0)
		return;
	if (note_key_text(&k, &again, &e) != 0 || again.len != n ||
		memcmp(again.p, p, n) != 0)
		abort();
	buf_free(&again);
	note_key_free(&k);
}

static void
try_checkpoint(const char *p, size_t n)
{
	struct buf again = BUF_INIT;
	struct checkpoint c;
	struct ofs_error e;

	if (checkpoint_parse(p, n, &c, &e) != 0)
		return;
	checkpoint_text(&c, &again);
	if (!buf_ok(&again) || again.len != n || memcmp(again.p, p, n) != 0)
		abort();
	buf_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char vkey[] =
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
	struct note_key k;
	struct ofs_error e;
	struct note note;
	bool found;

	try_key((const char *)p, n);
	try_checkpoint((const char *)p, n);
	if (note_parse(p, n, &note, &e) != 0)
		return 0;
	try_checkpoint(note.text, note.text_len);
	if (note.n == 0 || note.text_len == 0)
		abort();
	if (note_key_parse(vkey, strlen(vkey), &k, &e) != 0)
		abort();
	(void)note_check(&note, &k, &found, NULL, &e);
	note_key_free(&k);
	note_free(&note);
	return 0;
}
