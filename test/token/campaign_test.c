/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every PKCS#11 call of a batch fails, in every way, one at a time; whatever
 * happens, the log is sound and says what is true.
 *
 * A case is a process of its own, with a new log and new outputs: it signs 20
 * documents with faultp11.so armed. Its parent, which never loads a module,
 * then looks at what is left. OFS_LONG=1 runs all cases, else a sample of at
 * most a minute. To repeat one: campaign_test 'C_Sign 3 ckr=0x30'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <offlinesig.h>

#include "base/buf.h"
#include "base/file.h"
#include "faultp11.h"
#include "format/record.h"
#include "softhsm.h"

#define LABEL "campaign"
#define KEY_URI "pkcs11:token=" LABEL ";object=signer"
#define DOCS 20
#define CALL_TIMEOUT 300 /* ms, that the library may wait for a call */
#define SAMPLE_SECONDS 60
#define LEAKED 23 /* exit status */

static const unsigned long ckrs[] = { 0x30, 0x31, 0x32, 0x60, 0x82, 0xB0, 0xB3,
	0xE0, 0xE1, 0x101, 0x190 };
#define CKRS (sizeof(ckrs) / sizeof(ckrs[0]))

static const char *const functions[] = { "C_GetFunctionList", "C_Initialize",
	"C_Finalize", "C_GetInfo", "C_GetSlotList", "C_GetSlotInfo",
	"C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo",
	"C_OpenSession", "C_CloseSession", "C_CloseAllSessions",
	"C_GetSessionInfo", "C_Login", "C_Logout", "C_GetAttributeValue",
	"C_FindObjectsInit", "C_FindObjects", "C_FindObjectsFinal",
	"C_SignInit", "C_Sign", "C_VerifyInit", "C_Verify",
	"C_GenerateRandom" };
#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

enum way { ONCE, FOREVER, HANGS, WRONG, KILLS };
#define WAYS_BESIDE_CKRS 3

struct trial {
	size_t fn;
	unsigned long n;
	enum way way;
	unsigned long ckr;
};

/* what a case tells its parent, in shared memory */
struct report {
	bool ran; /* ofs_batch_run returned */
	bool ended;
	int rc; /* of the first thing that failed, or of the batch */
	char message[1024];
	unsigned long before[FUNCTIONS]; /* calls up to the batch */
	unsigned long after[FUNCTIONS];  /* and to its end */
	unsigned long all[FUNCTIONS];
};

static struct report *report;
static char dir[512];
static struct buf cert;
static const char *given; /* the one case to run */

static const char *
under(const char *name)
{
	static char path[8][700];
	static int n;

	n = (n + 1) % 8;
	snprintf(path[n], sizeof(path[n]), "%s/%s", dir, name);
	return path[n];
}

static const char *
document(int i)
{
	char name[32];

	snprintf(name, sizeof(name), "doc-%02d", i);
	return under(name);
}

static const char *
output(int i)
{
	static char path[1500];

	snprintf(path, sizeof(path), "%s/case/out%s.p7s", dir, document(i));
	return path;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* -------- in the child -------- */

static void
count(unsigned long *to)
{
	for (size_t i = 0; i < FUNCTIONS; i++)
		to[i] = fault_calls(functions[i]);
}

static int
give_pin(void *arg, const struct ofs_pin_request *req, char *pin)
{
	(void)arg;
	(void)req;
	memcpy(pin, SOFTHSM_PIN, sizeof(SOFTHSM_PIN));
	return 0;
}

static int
keep(int rc, const struct ofs_error *e)
{
	if (rc != 0) {
		report->rc = rc;
		memcpy(report->message, e->message, sizeof(report->message));
	}
	return rc;
}

static int
sign_all(ofs_ctx *ctx, ofs_key *key, ofs_audit *audit)
{
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	ofs_batch *b;
	int rc;

	o.out_dir = under("case/out");
	o.jobs = 2;
	rc = keep(ofs_batch_new(ctx, key, audit, &o, &b), ofs_ctx_error(ctx));
	if (rc != 0)
		return rc;
	for (int i = 0; rc == 0 && i < DOCS; i++)
		rc = ofs_batch_add_file(b, document(i), NULL);
	if (rc == 0) {
		count(report->before);
		rc = ofs_batch_run(b, &p);
		count(report->after);
		report->ran = true;
	}
	keep(rc, ofs_batch_error(b));
	ofs_batch_free(b);
	return rc;
}

static int
open_and_sign(ofs_ctx *ctx, ofs_audit *audit)
{
	ofs_token *token = NULL;
	ofs_key *key = NULL;
	int rc;

	rc = ofs_ctx_add_module(ctx, fault_path());
	if (rc == 0)
		rc = ofs_token_open(ctx, "pkcs11:token=" LABEL, &token);
	keep(rc, ofs_ctx_error(ctx));
	if (rc == 0)
		rc = keep(ofs_key_open(token, KEY_URI, 0, &key),
			ofs_token_error(token));
	if (rc == 0)
		rc = sign_all(ctx, key, audit);
	ofs_key_free(key);
	ofs_token_free(token);
	return rc;
}

static void
run_case(const char *script)
{
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	ofs_audit *audit;
	ofs_ctx *ctx;

	fault_script(script);
	o.pin = give_pin;
	o.call_timeout = CALL_TIMEOUT;
	o.token_timeout = CALL_TIMEOUT;
	o.lock_dir = dir;
	if (ofs_ctx_new(&o, &ctx) != 0 ||
		ofs_audit_open(ctx, under("case/audit"), OFS_AUDIT_CREATE,
			&audit) != 0)
		_exit(2);
	(void)open_and_sign(ctx, audit);
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
	count(report->all);
	report->ended = true;
}

static void
enroll(void)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct softhsm_seen seen;
	struct ofs_enrolled en;
	struct ofs_error e;
	ofs_audit *audit;
	ofs_token *token;
	ofs_ctx *ctx;

	softhsm_init_token(LABEL);
	ctx = softhsm_ctx(&seen);
	token = softhsm_open(ctx, "pkcs11:token=" LABEL);
	o.key_type = "ec:P-256";
	o.subject = "/CN=Campaign";
	o.self_signed = true;
	if (ofs_audit_open(ctx, under("enroll"), OFS_AUDIT_CREATE, &audit) !=
			0 ||
		ofs_key_enroll(token, audit, KEY_URI, &o, &en) != 0 ||
		file_write_new(under("cert.pem"), en.pem, strlen(en.pem), true,
			&e) != 0)
		_exit(2);
	ofs_enrolled_clear(&en);
	ofs_token_free(token);
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
}

/* -------- in the parent -------- */

/* there with AddressSanitizer */
extern int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

/* wait status; -1: it did not end and was killed */
static int
in_child(void (*fn)(const char *), const char *arg, int ms)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fn(arg);
		if (__lsan_do_recoverable_leak_check != NULL &&
			__lsan_do_recoverable_leak_check() != 0)
			_exit(LEAKED);
		_exit(0);
	}
	for (int waited = 0; waited < ms; waited += 2) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(2000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

static void
enroll_case(const char *unused)
{
	(void)unused;
	enroll();
}

static void
describe(const struct trial *t, char *out, size_t room)
{
	const char *fn = functions[t->fn];

	switch (t->way) {
	case ONCE:
		snprintf(out, room, "%s %lu ckr=0x%lx", fn, t->n, t->ckr);
		break;
	case FOREVER:
		snprintf(out, room, "%s %lu+ ckr=0x%lx", fn, t->n, t->ckr);
		break;
	case HANGS:
		snprintf(out, room, "%s %lu hang", fn, t->n);
		break;
	case WRONG:
		snprintf(out, room, "%s %lu wrong", fn, t->n);
		break;
	case KILLS:
		snprintf(out, room, "%s %lu kill", fn, t->n);
		break;
	}
}

/* what the records say */
struct story {
	int signed_times[DOCS];
	int bad; /* a signed outcome of something else, or not verified */
};

static int64_t
number(const ofs_record *r, const char *name)
{
	struct ofs_field f;

	return ofs_record_find(r, name, &f) ? f.number : -1;
}

static int
read_record(void *arg, const ofs_record *r)
{
	struct story *s = arg;
	struct ofs_record_head head = { .size = sizeof(head) };
	struct ofs_field f;
	int i;

	ofs_record_get_head(r, &head);
	if (head.type != OFS_REC_OUTCOME || number(r, "status") != REC_SIGNED)
		return 0;
	for (i = 0; ofs_record_find(r, "document.path", &f) && i < DOCS; i++)
		if (strlen(document(i)) == f.len &&
			memcmp(document(i), f.bytes, f.len) == 0)
			break;
	if (i == DOCS || number(r, "verified") != 1)
		s->bad++;
	else
		s->signed_times[i]++;
	return 0;
}

static int problems;

static void problem(const char *what, const char *script, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void
problem(const char *what, const char *script, const char *fmt, ...)
{
	char why[1200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (problems++ < 40)
		printf("# '%s': %s: %s\n", script, what, why);
}

static ofs_verifier *
new_verifier(ofs_ctx *ctx)
{
	ofs_verifier *v;

	assert_int_equal(ofs_verifier_new(ctx, NULL, &v), 0);
	assert_int_equal(ofs_verifier_trust(v, cert.p, cert.len), 0);
	return v;
}

/* how many outputs there are; each verifies and has one record */
static int
check_outputs(ofs_ctx *ctx, const struct story *s, const char *script)
{
	ofs_verifier *v = new_verifier(ctx);
	struct ofs_verdict verdict;
	int n = 0;

	for (int i = 0; i < DOCS; i++) {
		bool there = access(output(i), F_OK) == 0;

		n += there;
		if (s->signed_times[i] > 1)
			problem("signed twice", script, "document %d", i);
		if (there && s->signed_times[i] == 0)
			problem("no record", script, "document %d", i);
		if (there &&
			ofs_verify_file(v, document(i), output(i), &verdict) !=
				0)
			problem("bad output", script, "%s", verdict.reason);
	}
	ofs_verifier_free(v);
	return n;
}

/* each C_Sign has its item in an intent; one retry is the ladder's right */
static void
check_signs(const struct ofs_audit_report *r, unsigned long calls,
	const char *script)
{
	uint64_t known = r->signed_items + r->failed_items + r->unknown_items +
		r->in_flight_items;

	if (calls > known)
		problem("C_Sign without a record", script,
			"%lu calls, %lu items in the log", calls,
			(unsigned long)known);
}

/*
 * killed: it may have been stopped between a record and its release. calls:
 * of C_Sign in the batch, as far as that is known.
 */
static int
check_log(bool killed, unsigned long calls, const char *script)
{
	struct ofs_audit_report r = { .size = sizeof(r) };
	struct story s = { { 0 }, 0 };
	struct ofs_error e;
	ofs_audit *audit;
	ofs_ctx *ctx;
	int n, signed_items = 0;

	assert_int_equal(ofs_ctx_new(NULL, &ctx), 0);
	if (ofs_audit_open(ctx, under("case/audit"), OFS_AUDIT_READ_ONLY,
		    &audit) != 0) {
		problem("no log", script, "%s", ofs_ctx_error(ctx)->message);
		ofs_ctx_free(ctx);
		return 0;
	}
	if (ofs_audit_verify(audit, NULL, NULL, &r) != 0 ||
		ofs_audit_list(audit, 0, 0, read_record, &s) != 0) {
		ofs_audit_error(audit, &e);
		problem("damaged log", script, "%s", e.message);
	}
	n = check_outputs(ctx, &s, script);
	check_signs(&r, calls, script);
	for (int i = 0; i < DOCS; i++)
		signed_items += s.signed_times[i];
	if (s.bad > 0)
		problem("untrue records", script, "%d", s.bad);
	if (!killed && n != signed_items)
		problem("records and outputs", script, "%d and %d",
			signed_items, n);
	if (!killed && r.unclosed_batches > 0)
		problem("batch left open", script, "though it ended");
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
	return n;
}

/* what a failure of the token may be called */
static bool
is_right_code(int rc)
{
	switch (rc) {
	case 0:
	case OFS_EITEMS:
	case OFS_ETOKEN:
	case OFS_EMODULE:
	case OFS_EKEY:
	case OFS_EBADSIG:
	case OFS_EAMBIGUOUS:
	case OFS_EPOLICY:
	case OFS_EUNSUPPORTED:
	case OFS_EPIN:
	case OFS_EPINLOCKED:
	case OFS_ENOPIN:
	case OFS_ECERT:
		return true;
	default:
		return false;
	}
}

/* is the nth call made before, in or after the batch? */
static int
phase(const struct report *quiet, const struct trial *t)
{
	if (t->n <= quiet->before[t->fn])
		return -1;
	return t->n <= quiet->after[t->fn] ? 0 : 1;
}

static bool
must_be_complete(const struct report *quiet, const struct trial *t)
{
	int when = phase(quiet, t);

	/* what goes wrong at the end takes nothing back */
	if (when == 1 && t->way != HANGS && t->way != KILLS)
		return true;
	return when == 0 && t->way == ONCE;
}

static int
run_script(const char *script, int ms)
{
	(void)nftw(under("case"), remove_one, 16, FTW_DEPTH | FTW_PHYS);
	assert_int_equal(mkdir(under("case"), 0700), 0);
	memset(report, 0, sizeof(*report));
	return in_child(run_case, script, ms);
}

static void
check_end(int status, const char *script)
{
	if (status != -1 && WIFSIGNALED(status))
		problem("crashed", script, "signal %d", WTERMSIG(status));
	else if (status != -1 && WEXITSTATUS(status) == LEAKED)
		problem("leaked", script, "see what it wrote");
	else if (status != -1 && WEXITSTATUS(status) != 0)
		problem("exit status", script, "%d", WEXITSTATUS(status));
	else if (status != -1 && !report->ended)
		problem("ended", script, "too early");
	else if (!is_right_code(report->rc))
		problem("wrong code", script, "%s: %s",
			ofs_err_name(report->rc), report->message);
}

/* C_Sign calls that the log must know of; retries of failed ones not */
static unsigned long
signs_of(const struct report *quiet, const struct trial *t, int status)
{
	size_t sign;

	for (sign = 0; strcmp(functions[sign], "C_Sign") != 0; sign++)
		;
	if (status == -1 || WIFSIGNALED(status))
		return t->fn == sign && t->way == KILLS &&
				t->n <= quiet->after[sign]
			? t->n - quiet->before[sign]
			: 0;
	return t->way == WRONG ? report->after[sign] - report->before[sign] : 0;
}

static void
run_trial(const struct report *quiet, const struct trial *t)
{
	bool cut_off;
	char script[100];
	int status, n;

	describe(t, script, sizeof(script));
	status = run_script(script, 20000);
	/* what the thread that hangs has in use is left to it */
	if (t->way == HANGS && status != -1 && WIFEXITED(status) &&
		WEXITSTATUS(status) == LEAKED)
		status = 0;
	if (status == -1)
		problem("hung", script, "and was killed");
	cut_off = status == -1 ||
		(t->way == KILLS && WIFSIGNALED(status) &&
			WTERMSIG(status) == SIGKILL);
	if (!cut_off)
		check_end(status, script);
	n = check_log(cut_off, signs_of(quiet, t, status), script);
	if (cut_off)
		return;
	if (report->rc == 0 && n != DOCS)
		problem("said to be complete", script, "with %d outputs", n);
	if (must_be_complete(quiet, t) && n != DOCS)
		problem("not complete", script, "%d outputs, %s: %s", n,
			ofs_err_name(report->rc), report->message);
}

/* all there are; *out is freed by the caller */
static size_t
all_trials(const struct report *quiet, struct trial **out)
{
	size_t n = 0, room = 0;
	struct trial *v = NULL;

	for (size_t i = 0; i < FUNCTIONS; i++)
		room += (quiet->all[i] + 1) * (CKRS * 2 + WAYS_BESIDE_CKRS);
	v = calloc(room, sizeof(*v));
	assert_non_null(v);
	for (size_t i = 0; i < FUNCTIONS; i++)
		/* one more than there are: the loop is past the last call */
		for (unsigned long k = 1; k <= quiet->all[i] + 1; k++) {
			for (size_t c = 0; c < CKRS; c++) {
				v[n++] = (struct trial){ i, k, ONCE, ckrs[c] };
				v[n++] = (struct trial){ i, k, FOREVER,
					ckrs[c] };
			}
			v[n++] = (struct trial){ i, k, WRONG, 0 };
			v[n++] = (struct trial){ i, k, HANGS, 0 };
			v[n++] = (struct trial){ i, k, KILLS, 0 };
		}
	*out = v;
	return n;
}

static uint64_t
next_random(uint64_t *x)
{
	/* xorshift64 */
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static void
shuffle(struct trial *v, size_t n, uint64_t seed)
{
	uint64_t x = seed * 2654435761u + 1;

	for (size_t i = n; i > 1; i--) {
		size_t k = next_random(&x) % i;
		struct trial t = v[i - 1];

		v[i - 1] = v[k];
		v[k] = t;
	}
}

static void
every_call_fails_in_every_way(void **state)
{
	const char *seed_text = getenv("SEED");
	unsigned long seed =
		seed_text != NULL ? strtoul(seed_text, NULL, 10) : 1;
	bool all = getenv("OFS_LONG") != NULL;
	time_t end = time(NULL) + SAMPLE_SECONDS;
	struct report quiet;
	struct trial *v;
	size_t n, done;

	(void)state;
	assert_int_equal(run_script("", 20000), 0);
	quiet = *report;
	assert_int_equal(quiet.rc, 0);
	assert_int_equal(check_log(false, DOCS, "nothing"), DOCS);
	n = all_trials(&quiet, &v);
	if (!all)
		shuffle(v, n, seed);
	for (done = 0; done < n && (all || time(NULL) < end); done++)
		run_trial(&quiet, &v[done]);
	free(v);
	printf("# seed %lu: %zu of %zu cases\n", seed, done, n);
	if (problems > 0)
		fail_msg("%d problems", problems);
}

/* it must be able to see what it looks for */
static void
sees_a_bad_case(void **state)
{
	FILE *f;

	(void)state;
	assert_int_equal(run_script("", 20000), 0);
	assert_int_equal(check_log(false, DOCS, "nothing"), DOCS);
	assert_int_equal(problems, 0);
	/* an output is spoilt, one is taken away */
	f = fopen(output(3), "r+");
	assert_non_null(f);
	assert_int_equal(fseek(f, -3, SEEK_END), 0);
	assert_int_not_equal(fputc('x', f), EOF);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(unlink(output(7)), 0);
	assert_int_equal(check_log(false, DOCS, "(wanted) spoilt"), DOCS - 1);
	assert_int_equal(problems, 2);
	problems = 0;
}

static void
the_given_case(void **state)
{
	int status;

	(void)state;
	status = run_script(given, 20000);
	printf("# status %d, %s: %s\n", status, ofs_err_name(report->rc),
		report->message);
	check_end(status, given);
	printf("# %d outputs\n",
		check_log(status == -1 || WIFSIGNALED(status), 0, given));
	assert_int_equal(problems, 0);
}

static int
set_up(void **state)
{
	struct ofs_error e;

	(void)state;
	report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(report != MAP_FAILED);
	setenv("OFS_TEST_MODULE", fault_path(), 1);
	/* nothing here outlives a power cut: memory will do, and is faster */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	softhsm_start();
	snprintf(dir, sizeof(dir), "%s", softhsm_dir());
	assert_int_equal(in_child(enroll_case, NULL, 20000), 0);
	if (file_read(under("cert.pem"), 65536, &cert, &e) != 0)
		return -1;
	for (int i = 0; i < DOCS; i++)
		if (file_write_new(document(i), document(i),
			    strlen(document(i)), true, &e) != 0)
			return -1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_free(&cert);
	softhsm_stop();
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest all[] = {
		cmocka_unit_test(sees_a_bad_case),
		cmocka_unit_test(every_call_fails_in_every_way),
	};
	static const struct CMUnitTest only[] = {
		cmocka_unit_test(the_given_case),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	given = argc > 1 ? argv[1] : NULL;
	return given != NULL ? cmocka_run_group_tests(only, set_up, tear_down)
			     : cmocka_run_group_tests(all, set_up, tear_down);
}
