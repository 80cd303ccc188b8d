/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A QR code as text, for paper. */
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>

#include <qrencode.h>

#include "audit.h"

#define QUIET 4 /* modules of white around it: ISO/IEC 18004 */
#define COLUMNS 80

static bool
is_utf8(void)
{
	locale_t l = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool is = l != (locale_t)0 &&
		strcmp(nl_langinfo_l(CODESET, l), "UTF-8") == 0;

	if (l != (locale_t)0)
		freelocale(l);
	return is;
}

/* the quiet zone is white, and so is what lies beyond it */
static bool
is_dark(const QRcode *q, int x, int y)
{
	x -= QUIET;
	y -= QUIET;
	return x >= 0 && y >= 0 && x < q->width && y < q->width &&
		(q->data[y * q->width + x] & 1) != 0;
}

/* two rows of modules in one of characters: these are half as wide as high */
static void
print_blocks(FILE *f, const QRcode *q, int side, bool invert)
{
	static const char *const glyphs[] = { " ", "\xe2\x96\x80",
		"\xe2\x96\x84", "\xe2\x96\x88" };

	for (int y = 0; y < side; y += 2) {
		for (int x = 0; x < side; x++) {
			bool top = is_dark(q, x, y) != invert;
			bool low = is_dark(q, x, y + 1) != invert;

			fputs(glyphs[(top ? 1 : 0) + (low ? 2 : 0)], f);
		}
		fputc('\n', f);
	}
}

static void
print_ascii(FILE *f, const QRcode *q, int side, bool invert)
{
	for (int y = 0; y < side; y++) {
		for (int x = 0; x < side; x++)
			fputs(is_dark(q, x, y) != invert ? "##" : "  ", f);
		fputc('\n', f);
	}
}

int
cmd_audit_qr(struct out *o, const char *text, bool ascii, bool invert)
{
	QRcode *q = QRcode_encodeData((int)strlen(text),
		(const unsigned char *)text, 0, QR_ECLEVEL_L);
	int side, columns;

	if (q == NULL && errno == ERANGE)
		return out_fail(o, OFS_EINVAL,
			"checkpoint has %zu bytes, which is too long for a QR "
			"code",
			strlen(text));
	if (q == NULL)
		return out_fail(o, OFS_ENOMEM, "cannot make a QR code");
	ascii = ascii || !is_utf8();
	side = q->width + 2 * QUIET;
	columns = ascii ? 2 * side : side;
	if (ascii)
		print_ascii(out_human(o), q, side, invert);
	else
		print_blocks(out_human(o), q, side, invert);
	QRcode_free(q);
	if (columns > COLUMNS)
		out_note(o,
			"the code is %d columns wide: widen the window, or "
			"print it in small type%s",
			columns, ascii ? "; in a UTF-8 locale it is half" : "");
	return 0;
}
