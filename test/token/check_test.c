/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The safety assessment of tokens that SoftHSM2 plays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <offlinesig.h>

#include "softhsm.h"
#include "token/probe.h"

#define GOOD "good"
#define BAD "bad"

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *good, *bad;
	int64_t later; /* added to the time */
};

/* what one check found: "id subject\n" each */
struct found {
	char text[8192];
	size_t n;
	int stop_at; /* ends the check at that finding */
	enum ofs_severity last;
	bool sorted;
	struct ofs_check_report r;
};

static int
take(void *arg, const struct ofs_finding *f)
{
	struct found *all = arg;
	size_t used = strlen(all->text);

	/* the report is complete before */
	assert_true(all->r.infos > 0);
	assert_int_equal(f->size, sizeof(*f));
	assert_true(strncmp(f->uri, "pkcs11:", 7) == 0);
	if (all->n > 0 && f->severity > all->last)
		all->sorted = false;
	all->last = f->severity;
	snprintf(all->text + used, sizeof(all->text) - used, "%s %s\n", f->id,
		f->subject);
	all->n++;
	return all->stop_at > 0 && all->n == (size_t)all->stop_at ? -77 : 0;
}

static int
check(ofs_token *t, const struct ofs_check_opts *o, struct found *all)
{
	memset(all->text, 0, sizeof(all->text));
	all->n = 0;
	all->sorted = true;
	return ofs_token_check(t, o, take, all, &all->r);
}

static void
must_check(ofs_token *t, const struct ofs_check_opts *o, struct found *all)
{
	if (check(t, o, all) != 0)
		fail_msg("%s", ofs_token_error(t)->message);
	assert_true(all->sorted);
	assert_int_equal(
		all->n, all->r.serious + all->r.warnings + all->r.infos);
}

static bool
has(const struct found *all, const char *what)
{
	return strstr(all->text, what) != NULL;
}
#define MUST_HAVE(all, what)                                            \
	do {                                                            \
		if (!has(all, what))                                    \
			fail_msg("no '%s' in:\n%s", what, (all)->text); \
	} while (0)

static int64_t
clock_of_test(void *arg)
{
	const struct fixture *f = arg;
	struct timespec t;

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + f->later;
}

static void
enroll(struct fixture *f, ofs_token *t, const char *uri, const char *type)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;

	o.key_type = type;
	o.subject = "/CN=Check";
	o.self_signed = true;
	o.days = 100;
	if (ofs_key_enroll(t, f->audit, uri, &o, &en) != 0)
		fail_msg("%s", ofs_token_error(t)->message);
	ofs_enrolled_clear(&en);
}

static void
make(const char *const args[])
{
	assert_int_equal(softhsm_pkcs11_tool(BAD, args), 0);
}

/* the certificate of the good key as DER, for a place where it is wrong */
static void
write_cert(struct fixture *f, const char *path)
{
	ofs_key *k = NULL;
	char *pem = NULL;
	BIO *b;
	X509 *c;
	FILE *to;

	assert_int_equal(ofs_key_open(f->good, "pkcs11:object=sign",
				 OFS_KEY_PUBLIC_ONLY, &k),
		0);
	assert_int_equal(ofs_key_cert_pem(k, &pem), 0);
	b = BIO_new_mem_buf(pem, -1);
	c = PEM_read_bio_X509(b, NULL, NULL, NULL);
	to = fopen(path, "wb");
	assert_non_null(c);
	assert_non_null(to);
	assert_int_equal(i2d_X509_fp(to, c), 1);
	fclose(to);
	X509_free(c);
	BIO_free(b);
	free(pem);
	ofs_key_free(k);
}

/* a key of each kind of trouble */
static void
fill_bad(struct fixture *f)
{
	char path[600];
	const char *const loose[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "loose", "--id", "aa",
		"--extractable", "--usage-sign", NULL };
	const char *const twin[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "twin", "--id", "bb", "--sensitive",
		"--usage-sign", NULL };
	const char *const old[] = { "--keypairgen", "--key-type", "rsa:1024",
		"--label", "old", "--id", "cc", "--sensitive", "--usage-sign",
		"--usage-decrypt", NULL };
	const char *const cert[] = { "--write-object", path, "--type", "cert",
		"--id", "cc", "--label", "old", NULL };
	const char *const always[] = { "--keypairgen", "--key-type",
		"EC:prime256v1", "--label", "always", "--id", "dd",
		"--sensitive", "--usage-sign", "--always-auth", NULL };

	snprintf(path, sizeof(path), "%s/cert.der", softhsm_dir());
	make(loose);
	make(twin);
	make(twin);
	make(old);
	write_cert(f, path);
	make(cert);
	make(always);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char dir[600];

	softhsm_start();
	softhsm_init_token(GOOD);
	softhsm_init_token(BAD);
	f->ctx = softhsm_ctx(&f->seen);
	f->ctx->opts.clock = clock_of_test;
	f->ctx->opts.clock_arg = f;
	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	if (ofs_audit_open(f->ctx, dir, OFS_AUDIT_CREATE, &f->audit) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	f->good = softhsm_open(f->ctx, "pkcs11:token=" GOOD);
	enroll(f, f->good, "pkcs11:object=sign", "ec:P-256");
	fill_bad(f);
	f->bad = softhsm_open(f->ctx, "pkcs11:token=" BAD);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ofs_token_free(f->good);
	ofs_token_free(f->bad);
	ofs_audit_free(f->audit);
	ofs_ctx_free(f->ctx);
	free(f);
	softhsm_stop();
	return 0;
}

static void
finds_nothing_wrong(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	struct found all = { .n = 0 };

	o.audit = f->audit;
	must_check(f->good, &o, &all);
	if (all.r.serious + all.r.warnings != 0)
		fail_msg("%s", all.text);
	assert_true(all.r.logged_in);
	assert_int_equal(all.r.keys, 1);
	assert_true(all.r.mechanisms > 10);
	assert_non_null(strstr(all.r.signing, "RSA_PKCS"));
	assert_non_null(strstr(all.r.library, "SoftHSM"));
	assert_int_equal(all.r.cryptoki_major, 2);
	assert_string_equal(all.r.token.label, GOOD);
	MUST_HAVE(&all, "token-no-data token 'good'\n");
}

static void
finds_what_is_wrong(void **state)
{
	struct fixture *f = *state;
	struct found all = { .n = 0 };

	must_check(f->bad, NULL, &all);
	MUST_HAVE(&all, "key-extractable key 'loose' (id aa)\n");
	MUST_HAVE(&all, "duplicate-id key 'twin' (id bb)\n");
	MUST_HAVE(&all, "duplicate-label key 'twin' (id bb)\n");
	MUST_HAVE(&all, "rsa-too-short key 'old' (id cc)\n");
	MUST_HAVE(&all, "key-decrypts key 'old' (id cc)\n");
	MUST_HAVE(&all, "cert-mismatch key 'old' (id cc)\n");
	MUST_HAVE(&all, "key-no-cert key 'old' (id cc)\n");
	MUST_HAVE(&all, "key-no-cert key 'loose' (id aa)\n");
	MUST_HAVE(&all, "key-always-authenticate key 'always' (id dd)\n");
	assert_false(has(&all, "key-extractable key 'twin'"));
	assert_false(has(&all, "key-decrypts key 'loose'"));
	assert_false(has(&all, "cert-mismatch key 'loose'"));
	/* extractable, duplicate, short, mismatch; twins count once */
	assert_true(all.r.serious >= 4);
	assert_int_equal(all.r.keys, 5);
}

/* what is read, before anybody judges it */
static void
reads_what_keys_are_for(void **state)
{
	struct fixture *f = *state;
	struct ofs_error e;
	struct probe p;
	size_t seen = 0;

	assert_int_equal(probe_token(f->bad, false, &p, &e), 0);
	for (size_t i = 0; i < p.n_keys; i++)
		if (strcmp(p.keys[i].info.label, "old") == 0) {
			assert_int_equal(p.keys[i].info.decrypt, 1);
			seen++;
		}
	assert_int_equal(seen, 1);
	probe_free(&p);
	assert_int_equal(probe_token(f->good, false, &p, &e), 0);
	assert_int_equal(p.n_keys, 1);
	assert_int_equal(p.keys[0].info.decrypt, 0);
	assert_int_equal(p.keys[0].unwrap, 0);
	assert_false(p.keys[0].retired);
	assert_true(p.mechs.rsa && p.mechs.rsa_weak && p.mechs.ec);
	probe_free(&p);
}

static void
follows_the_clock(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	struct found all = { .n = 0 };
	const int64_t day = INT64_C(86400) * 1000000;

	f->later = 65 * day;
	must_check(f->good, &o, &all);
	assert_int_equal(all.r.warnings, 0);
	o.days = 60;
	must_check(f->good, &o, &all);
	MUST_HAVE(&all, "cert-expiring key 'sign'");
	f->later = 101 * day;
	must_check(f->good, &o, &all);
	MUST_HAVE(&all, "cert-expired key 'sign'");
	assert_int_equal(all.r.serious, 1);
	f->later = -day;
	must_check(f->good, &o, &all);
	MUST_HAVE(&all, "cert-not-yet-valid key 'sign'");
	f->later = 0;
}

/* the event of the newest record */
static void
last_event(struct fixture *f, char *to, size_t size)
{
	struct ofs_record_head h;
	struct ofs_field field;
	ofs_record *rec;
	uint64_t n;

	assert_int_equal(ofs_audit_size(f->audit, &n), 0);
	assert_int_equal(ofs_audit_get(f->audit, n - 1, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_TOKEN_EVENT);
	assert_true(ofs_record_find(rec, "event", &field));
	assert_true(field.len < size);
	memcpy(to, field.bytes, field.len);
	to[field.len] = '\0';
	ofs_record_free(rec);
}

static void
is_recorded(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	struct found all = { .n = 0 };
	char event[200], want[200];

	o.audit = f->audit;
	o.write_test = true;
	must_check(f->bad, &o, &all);
	MUST_HAVE(&all, "token-holds-data token 'bad'\n");
	last_event(f, event, sizeof(event));
	snprintf(want, sizeof(want),
		"check serious=%zu warning=%zu info=%zu login=yes write-test",
		all.r.serious, all.r.warnings, all.r.infos);
	assert_string_equal(event, want);
	/* nothing stays of it */
	o.write_test = false;
	must_check(f->bad, &o, &all);
	MUST_HAVE(&all, "token-no-data");
	/* recorded even when its reader has seen enough */
	all.stop_at = 1;
	o.audit = f->audit;
	o.write_test = true;
	assert_int_equal(check(f->good, &o, &all), -77);
	last_event(f, event, sizeof(event));
	assert_non_null(strstr(event, "serious=0"));
}

static void
notices_another_module(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	struct found all = { .n = 0 };

	o.audit = f->audit;
	must_check(f->good, &o, &all);
	assert_false(has(&all, "module-changed"));
	f->good->module->sha256[0] ^= 1;
	must_check(f->good, &o, &all);
	MUST_HAVE(&all, "module-changed token 'good'");
	/* nothing was enrolled on this one, so nothing is known */
	must_check(f->bad, &o, &all);
	assert_false(has(&all, "module-changed"));
	f->good->module->sha256[0] ^= 1;
}

/* a module in front of SoftHSM's, with what that does not have */
static struct {
	CK_FUNCTION_LIST *real, list;
	CK_FLAGS flags; /* of the token, beside its own */
	CK_ULONG left;  /* features that the search has to give */
	bool searching; /* for them */
	int logins;
} front;

#define COUNTER 0x7fffff01UL
#define CLOCK 0x7fffff02UL

static CK_RV
get_token_info(CK_SLOT_ID id, CK_TOKEN_INFO *t)
{
	CK_RV rv = front.real->C_GetTokenInfo(id, t);

	t->flags |= front.flags;
	return rv;
}

static CK_RV
login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	front.logins++;
	return front.real->C_Login(h, user, pin, n);
}

static CK_RV
find_init(CK_SESSION_HANDLE h, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_OBJECT_CLASS class_;

	assert_int_equal(a[0].type, CKA_CLASS);
	memcpy(&class_, a[0].pValue, sizeof(class_));
	front.searching = class_ == CKO_HW_FEATURE;
	front.left = 2;
	/* they are no token objects: a template that says so misses them */
	if (front.searching && n == 1)
		return CKR_OK;
	front.searching = false;
	return front.real->C_FindObjectsInit(h, a, n);
}

static CK_RV
find(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *v, CK_ULONG max, CK_ULONG *n)
{
	if (!front.searching)
		return front.real->C_FindObjects(h, v, max, n);
	for (*n = 0; *n < max && front.left > 0; front.left--)
		v[(*n)++] = front.left == 2 ? COUNTER : CLOCK;
	return CKR_OK;
}

static CK_RV
find_final(CK_SESSION_HANDLE h)
{
	return front.searching ? CKR_OK : front.real->C_FindObjectsFinal(h);
}

static CK_RV
get_attributes(
	CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, CK_ULONG n)
{
	CK_ULONG kind = o == COUNTER ? CKH_MONOTONIC_COUNTER : CKH_CLOCK;

	if (o != COUNTER && o != CLOCK)
		return front.real->C_GetAttributeValue(h, o, a, n);
	assert_int_equal(a[0].type, CKA_HW_FEATURE_TYPE);
	a[0].ulValueLen = sizeof(kind);
	if (a[0].pValue != NULL)
		memcpy(a[0].pValue, &kind, sizeof(kind));
	return CKR_OK;
}

static void
stand_in_front(ofs_token *t)
{
	memset(&front, 0, sizeof(front));
	front.real = t->module->f;
	front.list = *t->module->f;
	front.list.C_GetTokenInfo = get_token_info;
	front.list.C_Login = login;
	front.list.C_FindObjectsInit = find_init;
	front.list.C_FindObjects = find;
	front.list.C_FindObjectsFinal = find_final;
	front.list.C_GetAttributeValue = get_attributes;
	t->module->f = &front.list;
}

static int
take_feature(void *arg, const struct ofs_finding *f)
{
	int *n = arg;

	if (strcmp(f->id, "monotonic-counter") == 0 ||
		strcmp(f->id, "clock") == 0)
		*n += strncmp(f->text, "the token has a ", 16) == 0;
	return 0;
}

static void
sees_hardware_features(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_report r;
	int n = 0;

	assert_int_equal(
		ofs_token_check(f->good, NULL, take_feature, &n, &r), 0);
	assert_int_equal(n, 0);
	stand_in_front(f->good);
	assert_int_equal(
		ofs_token_check(f->good, NULL, take_feature, &n, &r), 0);
	assert_int_equal(n, 2);
	f->good->module->f = front.real;
}

/* what the token says of its PIN is told, and nothing is sent to it */
static void
sends_nothing_to_a_locked_token(void **state)
{
	static const struct {
		CK_FLAGS flag;
		const char *id;
	} each[] = { { CKF_USER_PIN_LOCKED, "pin-locked token 'locked'\n" },
		{ CKF_USER_PIN_FINAL_TRY, "pin-final-try token 'locked'\n" },
		{ CKF_USER_PIN_TO_BE_CHANGED,
			"pin-to-be-changed token 'locked'\n" } };
	struct softhsm_seen seen;
	struct found all = { .n = 0 };
	ofs_token *t;
	ofs_ctx *ctx;

	(void)state;
	ctx = softhsm_ctx(&seen);
	softhsm_init_token("locked");
	for (size_t i = 0; i < 3; i++) {
		t = softhsm_open(ctx, "pkcs11:token=locked");
		stand_in_front(t);
		ofs_token_free(t);
		front.flags = each[i].flag;
		t = softhsm_open(ctx, "pkcs11:token=locked");
		must_check(t, NULL, &all);
		MUST_HAVE(&all, each[i].id);
		MUST_HAVE(&all, "not-logged-in token 'locked'\n");
		assert_int_equal(front.logins, 0);
		assert_int_equal(seen.asked[OFS_PIN_USER], 0);
		t->module->f = front.real;
		ofs_token_free(t);
	}
	ofs_ctx_free(ctx);
}

static void
options_are_checked(void **state)
{
	struct fixture *f = *state;
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	const struct ofs_advisories bad = { "list", "no\n", 3 };
	struct found all = { .n = 0 };

	o.write_test = o.no_login = true;
	assert_int_equal(check(f->good, &o, &all), OFS_EINVAL);
	o = (struct ofs_check_opts)OFS_CHECK_OPTS_INIT;
	o.days = -1;
	assert_int_equal(check(f->good, &o, &all), OFS_EINVAL);
	o = (struct ofs_check_opts)OFS_CHECK_OPTS_INIT;
	o.advisories = &bad;
	o.n_advisories = 1;
	assert_int_equal(check(f->good, &o, &all), OFS_EFORMAT);
	assert_int_equal(all.n, 0);
}

/* in a token of its own, where nobody is logged in */
static void
looks_without_a_login(void **state)
{
	struct ofs_check_opts o = OFS_CHECK_OPTS_INIT;
	struct softhsm_seen seen;
	struct found all = { .n = 0 };
	ofs_token *t;
	ofs_ctx *ctx;

	(void)state;
	ctx = softhsm_ctx(&seen);
	softhsm_init_token("shy");
	t = softhsm_open(ctx, "pkcs11:token=shy");
	o.no_login = true;
	must_check(t, &o, &all);
	MUST_HAVE(&all, "not-logged-in token 'shy'\n");
	assert_false(all.r.logged_in);
	assert_int_equal(seen.asked[OFS_PIN_USER], 0);
	/* one wrong PIN is sent, once, and nothing else */
	o.no_login = false;
	seen.pin = "wrong pin";
	assert_int_equal(check(t, &o, &all), OFS_EPIN);
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	assert_int_equal(seen.login_failed, 1);
	ofs_token_free(t);
	t = softhsm_open(ctx, "pkcs11:token=shy");
	o.no_login = true;
	must_check(t, &o, &all);
	MUST_HAVE(&all, "pin-count-low token 'shy'\n");
	/* the token says that it must not be tried: that is told instead */
	o.no_login = false;
	t->info.pin_final_try = true;
	must_check(t, &o, &all);
	MUST_HAVE(&all, "not-logged-in token 'shy'\n");
	assert_int_equal(seen.asked[OFS_PIN_USER], 1);
	ofs_token_free(t);
	ofs_ctx_free(ctx);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_nothing_wrong),
		cmocka_unit_test(finds_what_is_wrong),
		cmocka_unit_test(reads_what_keys_are_for),
		cmocka_unit_test(follows_the_clock),
		cmocka_unit_test(is_recorded),
		cmocka_unit_test(notices_another_module),
		cmocka_unit_test(options_are_checked),
		cmocka_unit_test(sees_hardware_features),
		cmocka_unit_test(sends_nothing_to_a_locked_token),
		cmocka_unit_test(looks_without_a_login),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("check", tests, setup, teardown);
}
