/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A batch of ten times as many documents has the memory of the smaller one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <offlinesig.h>

#include "softhsm.h"

#define LABEL "memory"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
/* that are signed, or only planned, and ten times as many */
#define FEW 2000
#define PLAN 20000
#define MOST (10 * PLAN)

/* with a sanitizer, memory that was freed still counts */
extern void __asan_init(void) __attribute__((weak));
extern void __tsan_init(void) __attribute__((weak));

static const char *self;

static int
open_station(ofs_ctx **ctx, ofs_token **token, ofs_audit **audit)
{
	static struct softhsm_seen seen;
	char dir[600];

	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	*ctx = softhsm_ctx(&seen);
	*token = softhsm_open(*ctx, "pkcs11:token=" LABEL);
	return ofs_audit_open(*ctx, dir, OFS_AUDIT_CREATE, audit);
}

/* KiB at most, of this program alone; 0 where it cannot be told */
static long
peak(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[200];
	long kib = 0;

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return kib;
}

static int
run(ofs_batch *b, bool sign, long n)
{
	/* documents lie one byte apart, and no two of them are alike */
	static uint32_t pool[MOST / 4 + 64];
	const char *documents = (const char *)pool;
	struct ofs_progress p;
	char name[32];

	for (size_t i = 0; i < sizeof(pool) / sizeof(pool[0]); i++)
		pool[i] = (uint32_t)i * 2654435761u;
	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "document %ld", i);
		if (ofs_batch_add_bytes(b, name, documents + i, 256) != 0)
			return -1;
	}
	if (sign)
		return ofs_batch_run(b, &p) == 0 && (long)p.signed_items == n
			? 0
			: -1;
	return ofs_batch_plan(b, &p);
}

/* the child: "sign" or "plan", how many, where its peak goes */
static int
child(char **argv)
{
	long n = strtol(argv[3], NULL, 10);
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	ofs_audit *audit;
	ofs_token *token;
	ofs_batch *b;
	ofs_ctx *ctx;
	ofs_key *key;
	FILE *f;

	softhsm_join(argv[1]);
	o.format = OFS_FORMAT_RAW;
	if (open_station(&ctx, &token, &audit) != 0 ||
		ofs_key_open(token, KEY_URI, 0, &key) != 0 ||
		ofs_batch_new(ctx, key, audit, &o, &b) != 0)
		return 1;
	if (run(b, strcmp(argv[2], "sign") == 0, n) != 0) {
		fprintf(stderr, "%s\n", ofs_batch_error(b)->message);
		return 1;
	}
	f = fopen(argv[4], "w");
	if (f == NULL || fprintf(f, "%ld\n", peak()) < 0 || fclose(f) != 0)
		return 1;
	ofs_batch_free(b);
	ofs_key_free(key);
	ofs_token_free(token);
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
	return 0;
}

static long
peak_of(const char *what, long n)
{
	char number[24], to[600];
	const char *argv[] = { self, softhsm_dir(), what, number, to, NULL };
	long kib = 0;
	FILE *f;

	snprintf(number, sizeof(number), "%ld", n);
	snprintf(to, sizeof(to), "%s/peak", softhsm_dir());
	assert_int_equal(softhsm_run(argv), 0);
	f = fopen(to, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &kib), 1);
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

static void
stays(const char *what, long n)
{
	long few = peak_of(what, n), many = peak_of(what, 10 * n);

	printf("# %s: %ld items %ld KiB, %ld items %ld KiB\n", what, n, few,
		10 * n, many);
	assert_true(10 * many < 11 * few);
}

static void
of_a_batch(void **state)
{
	(void)state;
	stays("sign", FEW);
}

static void
of_a_plan(void **state)
{
	(void)state;
	stays("plan", PLAN);
}

static int
setup(void **state)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;
	ofs_audit *audit;
	ofs_token *token;
	ofs_ctx *ctx;

	(void)state;
	softhsm_start();
	softhsm_init_token(LABEL);
	assert_int_equal(open_station(&ctx, &token, &audit), 0);
	o.key_type = "ec:P-256";
	o.subject = "/CN=Memory test";
	o.self_signed = true;
	if (ofs_key_enroll(token, audit, KEY_URI, &o, &en) != 0)
		fail_msg("%s", ofs_token_error(token)->message);
	ofs_enrolled_clear(&en);
	ofs_token_free(token);
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	softhsm_stop();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_batch),
		cmocka_unit_test(of_a_plan),
	};

	self = argv[0];
	if (argc == 5)
		return child(argv);
	if (__asan_init != NULL || __tsan_init != NULL) {
		printf("1..0 # SKIP memory under a sanitizer is not ours\n");
		return 0;
	}
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("memory", tests, setup, teardown);
}
