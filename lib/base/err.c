/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error codes as words, and filling the error record of a handle. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/err.h"
#include "base/text.h"

static const struct {
	int code;
	enum ofs_errclass class;
	const char *name;
	const char *text;
} codes[] = {
	{ OFS_OK, OFS_CLASS_NONE, "OFS_OK", "no error" },
	{ OFS_EINVAL, OFS_CLASS_USAGE, "OFS_EINVAL", "invalid argument" },
	{ OFS_EUNSUPPORTED, OFS_CLASS_USAGE, "OFS_EUNSUPPORTED",
		"not supported" },
	{ OFS_ESIGNATURE, OFS_CLASS_VERDICT, "OFS_ESIGNATURE",
		"signature or document is wrong" },
	{ OFS_EUNTRUSTED, OFS_CLASS_VERDICT, "OFS_EUNTRUSTED",
		"signature is not trusted" },
	{ OFS_EUNREADABLE, OFS_CLASS_FORMAT, "OFS_EUNREADABLE",
		"signature file cannot be parsed" },
	{ OFS_EITEMS, OFS_CLASS_VERDICT, "OFS_EITEMS", "some items failed" },
	{ OFS_EPIN, OFS_CLASS_AUTH, "OFS_EPIN", "PIN rejected by the token" },
	{ OFS_EPINLOCKED, OFS_CLASS_AUTH, "OFS_EPINLOCKED",
		"PIN is locked or on its final try" },
	{ OFS_ENOPIN, OFS_CLASS_AUTH, "OFS_ENOPIN", "no PIN was given" },
	{ OFS_EMODULE, OFS_CLASS_TOKEN, "OFS_EMODULE",
		"PKCS#11 module is unusable" },
	{ OFS_ETOKEN, OFS_CLASS_TOKEN, "OFS_ETOKEN",
		"token is absent or failed" },
	{ OFS_EKEY, OFS_CLASS_TOKEN, "OFS_EKEY", "no such key or certificate" },
	{ OFS_EAMBIGUOUS, OFS_CLASS_TOKEN, "OFS_EAMBIGUOUS",
		"more than one object matches" },
	{ OFS_EPOLICY, OFS_CLASS_TOKEN, "OFS_EPOLICY",
		"key or token refused by a rule" },
	{ OFS_EBADSIG, OFS_CLASS_TOKEN, "OFS_EBADSIG",
		"token returned a wrong signature" },
	{ OFS_EFORMAT, OFS_CLASS_FORMAT, "OFS_EFORMAT", "malformed input" },
	{ OFS_EMISMATCH, OFS_CLASS_FORMAT, "OFS_EMISMATCH",
		"document is not what was listed" },
	{ OFS_ECERT, OFS_CLASS_FORMAT, "OFS_ECERT",
		"certificate does not fit or has expired" },
	{ OFS_EEXIST, OFS_CLASS_IO, "OFS_EEXIST", "output exists already" },
	{ OFS_EIO, OFS_CLASS_IO, "OFS_EIO", "file cannot be read or written" },
	{ OFS_EAUDIT, OFS_CLASS_IO, "OFS_EAUDIT",
		"audit log cannot be written" },
	{ OFS_EDAMAGED, OFS_CLASS_VERDICT, "OFS_EDAMAGED",
		"audit log is damaged" },
	{ OFS_EINTR, OFS_CLASS_RESOURCE, "OFS_EINTR",
		"cancelled before the end" },
	{ OFS_ENOMEM, OFS_CLASS_RESOURCE, "OFS_ENOMEM", "out of memory" },
	{ OFS_EINTERNAL, OFS_CLASS_INTERNAL, "OFS_EINTERNAL",
		"internal error" },
};

#define N_CODES (sizeof(codes) / sizeof(codes[0]))

/* the record of everything but the message */
static void
fill(struct ofs_error *e, int code, int errnum, const char *message)
{
	e->code = code;
	e->ckr = 0;
	e->sys_errno = errnum;
	e->item = OFS_NO_ITEM;
	snprintf(e->message, sizeof(e->message), "%s", message);
	text_clean(e->message);
}

static int fill_with(struct ofs_error *e, int code, int errnum, const char *why,
	const char *fmt, va_list ap) ERR_PRINTF(5, 0);

/* Formats to a buffer of its own: an argument may be e->message itself. */
static int
fill_with(struct ofs_error *e, int code, int errnum, const char *why,
	const char *fmt, va_list ap)
{
	char s[sizeof(e->message)];
	int n;

	n = vsnprintf(s, sizeof(s), fmt, ap);
	if (n < 0)
		snprintf(s, sizeof(s), "%s", ofs_err_text(code));
	if (why != NULL && why[0] != '\0') {
		size_t len = strlen(s);

		snprintf(s + len, sizeof(s) - len, ": %s", why);
	}
	fill(e, code, errnum, s);
	return code;
}

enum ofs_errclass
ofs_err_class(int code)
{
	for (size_t i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].class;
	return OFS_CLASS_INTERNAL;
}

const char *
ofs_err_name(int code)
{
	for (size_t i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "OFS_E?";
}

const char *
ofs_err_text(int code)
{
	for (size_t i = 0; i < N_CODES; i++)
		if (codes[i].code == code)
			return codes[i].text;
	return "unknown error";
}

void
err_clear(struct ofs_error *e)
{
	fill(e, OFS_OK, 0, "");
}

int
err_set(struct ofs_error *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill_with(e, code, 0, NULL, fmt, ap);
	va_end(ap);
	return code;
}

int
err_sys(struct ofs_error *e, int code, int errnum, const char *fmt, ...)
{
	char why[128];
	va_list ap;

	va_start(ap, fmt);
	fill_with(
		e, code, errnum, strerror_r(errnum, why, sizeof(why)), fmt, ap);
	va_end(ap);
	return code;
}

int
err_ssl(struct ofs_error *e, int code, const char *fmt, ...)
{
	unsigned long err = ERR_get_error();
	char buf[128];
	const char *why = NULL;
	va_list ap;

	if (err != 0 && ERR_SYSTEM_ERROR(err))
		why = strerror_r(ERR_GET_REASON(err), buf, sizeof(buf));
	else if (err != 0)
		why = ERR_reason_error_string(err);
	va_start(ap, fmt);
	fill_with(e, code, 0, why, fmt, ap);
	va_end(ap);
	ERR_clear_error();
	return code;
}

int
err_nomem(struct ofs_error *e)
{
	fill(e, OFS_ENOMEM, 0, ofs_err_text(OFS_ENOMEM));
	return OFS_ENOMEM;
}
