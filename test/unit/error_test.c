/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every error code has a class, a name and words; records are well formed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <offlinesig.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/text.h"

#define FIRST OFS_EINTERNAL /* the lowest code */

static void
every_code_has_words(void **state)
{
	(void)state;
	for (int code = FIRST; code <= 0; code++) {
		const char *name = ofs_err_name(code);
		const char *text = ofs_err_text(code);

		assert_string_not_equal(name, "OFS_E?");
		assert_int_equal(strncmp(name, code == 0 ? "OFS_OK" : "OFS_E",
					 code == 0 ? 7 : 5),
			0);
		assert_string_not_equal(text, "unknown error");
		assert_true(strlen(text) > 5);
		assert_null(strchr(text, '.'));
		for (int other = FIRST; other < code; other++) {
			assert_string_not_equal(name, ofs_err_name(other));
			assert_string_not_equal(text, ofs_err_text(other));
		}
	}
}

/* The comments of err.h, once more by hand. */
static void
every_code_has_its_class(void **state)
{
	static const struct {
		int code;
		const char *name;
		enum ofs_errclass class;
	} want[] = {
		{ OFS_OK, "OFS_OK", OFS_CLASS_NONE },
		{ OFS_EINVAL, "OFS_EINVAL", OFS_CLASS_USAGE },
		{ OFS_EUNSUPPORTED, "OFS_EUNSUPPORTED", OFS_CLASS_USAGE },
		{ OFS_ESIGNATURE, "OFS_ESIGNATURE", OFS_CLASS_VERDICT },
		{ OFS_EUNTRUSTED, "OFS_EUNTRUSTED", OFS_CLASS_VERDICT },
		{ OFS_EUNREADABLE, "OFS_EUNREADABLE", OFS_CLASS_FORMAT },
		{ OFS_EITEMS, "OFS_EITEMS", OFS_CLASS_VERDICT },
		{ OFS_EPIN, "OFS_EPIN", OFS_CLASS_AUTH },
		{ OFS_EPINLOCKED, "OFS_EPINLOCKED", OFS_CLASS_AUTH },
		{ OFS_ENOPIN, "OFS_ENOPIN", OFS_CLASS_AUTH },
		{ OFS_EMODULE, "OFS_EMODULE", OFS_CLASS_TOKEN },
		{ OFS_ETOKEN, "OFS_ETOKEN", OFS_CLASS_TOKEN },
		{ OFS_EKEY, "OFS_EKEY", OFS_CLASS_TOKEN },
		{ OFS_EAMBIGUOUS, "OFS_EAMBIGUOUS", OFS_CLASS_TOKEN },
		{ OFS_EPOLICY, "OFS_EPOLICY", OFS_CLASS_TOKEN },
		{ OFS_EBADSIG, "OFS_EBADSIG", OFS_CLASS_TOKEN },
		{ OFS_EFORMAT, "OFS_EFORMAT", OFS_CLASS_FORMAT },
		{ OFS_EMISMATCH, "OFS_EMISMATCH", OFS_CLASS_FORMAT },
		{ OFS_ECERT, "OFS_ECERT", OFS_CLASS_FORMAT },
		{ OFS_EEXIST, "OFS_EEXIST", OFS_CLASS_IO },
		{ OFS_EIO, "OFS_EIO", OFS_CLASS_IO },
		{ OFS_EAUDIT, "OFS_EAUDIT", OFS_CLASS_IO },
		{ OFS_EDAMAGED, "OFS_EDAMAGED", OFS_CLASS_VERDICT },
		{ OFS_EINTR, "OFS_EINTR", OFS_CLASS_RESOURCE },
		{ OFS_ENOMEM, "OFS_ENOMEM", OFS_CLASS_RESOURCE },
		{ OFS_EINTERNAL, "OFS_EINTERNAL", OFS_CLASS_INTERNAL },
	};

	(void)state;
	assert_int_equal(sizeof(want) / sizeof(want[0]), 1 - FIRST);
	for (int i = 0; i < 1 - FIRST; i++) {
		assert_int_equal(want[i].code, -i);
		assert_string_equal(ofs_err_name(-i), want[i].name);
		assert_int_equal(ofs_err_class(-i), want[i].class);
	}
}

static void
unknown_codes(void **state)
{
	(void)state;
	assert_int_equal(ofs_err_class(1), OFS_CLASS_INTERNAL);
	assert_int_equal(ofs_err_class(FIRST - 1), OFS_CLASS_INTERNAL);
	assert_string_equal(ofs_err_name(1), "OFS_E?");
	assert_string_equal(ofs_err_name(FIRST - 1), "OFS_E?");
	assert_string_equal(ofs_err_text(FIRST - 1), "unknown error");
}

static void
set_fills_all(void **state)
{
	struct ofs_error e;

	(void)state;
	memset(&e, 0x5a, sizeof(e));
	assert_int_equal(err_set(&e, OFS_EKEY, "no '%s'", "k"), OFS_EKEY);
	assert_int_equal(e.code, OFS_EKEY);
	assert_int_equal(e.ckr, 0);
	assert_int_equal(e.sys_errno, 0);
	assert_true(e.item == OFS_NO_ITEM);
	assert_string_equal(e.message, "no 'k'");
	/* wrapping a message in itself */
	err_set(&e, OFS_EFORMAT, "cannot use '%s': %s", "f", e.message);
	assert_string_equal(e.message, "cannot use 'f': no 'k'");
	err_clear(&e);
	assert_int_equal(e.code, 0);
	assert_string_equal(e.message, "");
	assert_true(e.item == OFS_NO_ITEM);
	assert_int_equal(err_nomem(&e), OFS_ENOMEM);
	assert_string_equal(e.message, "out of memory");
}

static void
sys_appends_the_reason(void **state)
{
	struct ofs_error e;
	char want[256];

	(void)state;
	snprintf(want, sizeof(want), "cannot open 'x': %s", strerror(ENOENT));
	assert_int_equal(
		err_sys(&e, OFS_EIO, ENOENT, "cannot open '%s'", "x"), OFS_EIO);
	assert_int_equal(e.sys_errno, ENOENT);
	assert_string_equal(e.message, want);
}

static void
ssl_appends_the_oldest_reason(void **state)
{
	const uint8_t junk[] = { 0x30, 0x05, 0x01 };
	const uint8_t *p = junk;
	struct ofs_error e;
	const char *want;

	(void)state;
	ERR_clear_error();
	assert_null(d2i_X509(NULL, &p, sizeof(junk)));
	want = ERR_reason_error_string(ERR_peek_error());
	assert_non_null(want);
	assert_int_equal(err_ssl(&e, OFS_EFORMAT, "cannot read"), OFS_EFORMAT);
	assert_int_equal(strncmp(e.message, "cannot read: ", 13), 0);
	assert_string_equal(e.message + 13, want);
	assert_int_equal(ERR_peek_error(), 0);
	/* nothing queued: no colon */
	err_ssl(&e, OFS_EFORMAT, "cannot read");
	assert_string_equal(e.message, "cannot read");
}

/* A long message is cut between two characters and stays one line. */
static void
message_is_one_line_of_utf8(void **state)
{
	char s[3000];
	struct ofs_error e;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		memset(s, 'a', sizeof(s));
		for (size_t i = shift; i + 3 < sizeof(s); i += 3)
			memcpy(s + i, "\xe2\x82\xac", 3);
		s[sizeof(s) - 1] = '\0';
		err_set(&e, OFS_EIO, "%s", s);
		assert_true(strlen(e.message) > sizeof(e.message) - 5);
		assert_true(text_is_utf8(e.message, strlen(e.message)));
	}
	err_set(&e, OFS_EIO, "a\nb\xff%s\xc2\x85", "\x1b[31m");
	assert_string_equal(e.message, "a b? [31m ");
}

static void
log_line(void *arg, enum ofs_log_level level, const char *line)
{
	snprintf(arg, 100, "%d %s", level, line);
}

static int64_t
stopped_clock(void *arg)
{
	return *(int64_t *)arg;
}

static void
free_set(struct module_set *set)
{
	*(int *)(void *)set += 1;
}

static void
context(void **state)
{
	struct ofs_ctx_opts opts = OFS_CTX_OPTS_INIT;
	char tool[] = "tool 1", line[100] = "";
	int64_t at = 12345;
	struct ofs_error e;
	int freed = 0;
	ofs_ctx *ctx;

	(void)state;
	assert_int_equal(ofs_ctx_new(NULL, NULL), OFS_EINVAL);
	opts.size--;
	ctx = (ofs_ctx *)&at;
	assert_int_equal(ofs_ctx_new(&opts, &ctx), OFS_EINVAL);
	assert_null(ctx);
	opts.size++;
	opts.tool = tool;
	opts.log = log_line;
	opts.log_arg = line;
	opts.clock = stopped_clock;
	opts.clock_arg = &at;
	assert_int_equal(ofs_ctx_new(&opts, &ctx), 0);
	tool[0] = 'X';
	assert_string_equal(ctx->opts.tool, "tool 1");
	ctx_log(ctx, OFS_LOG_INFO, "read %d\n", 7);
	assert_string_equal(line, "2 read 7 ");
	assert_int_equal(ctx_now(ctx), 12345);
	assert_int_equal(ofs_ctx_error(ctx)->code, 0);
	assert_true(ofs_ctx_error(ctx)->item == OFS_NO_ITEM);
	err_set(&e, OFS_EPIN, "wrong");
	assert_int_equal(ctx_fail(ctx, &e), OFS_EPIN);
	assert_string_equal(ofs_ctx_error(ctx)->message, "wrong");
	ctx->modules = (struct module_set *)(void *)&freed;
	ctx->modules_free = free_set;
	ofs_ctx_free(ctx);
	assert_int_equal(freed, 1);
	ofs_ctx_free(NULL);

	assert_int_equal(ofs_ctx_new(NULL, &ctx), 0);
	ctx_log(ctx, OFS_LOG_ERROR, "nobody listens");
	assert_true(ctx_now(ctx) > INT64_C(1600000000000000));
	ofs_ctx_free(ctx);
}

static void
version(void **state)
{
	char want[32];

	(void)state;
	snprintf(want, sizeof(want), "%d.%d.%d", OFS_VERSION_MAJOR,
		OFS_VERSION_MINOR, OFS_VERSION_PATCH);
	assert_string_equal(ofs_version(), want);
	assert_string_equal(OFS_VERSION, want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_has_words),
		cmocka_unit_test(every_code_has_its_class),
		cmocka_unit_test(unknown_codes),
		cmocka_unit_test(set_fills_all),
		cmocka_unit_test(sys_appends_the_reason),
		cmocka_unit_test(ssl_appends_the_oldest_reason),
		cmocka_unit_test(message_is_one_line_of_utf8),
		cmocka_unit_test(context),
		cmocka_unit_test(version),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
