/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any one byte changed in the store or in the head file: it is detected, or the
 * log says the same as before. No third thing. So it is without a key of an
 * encrypted log, but for what is derived from bodies alone.
 */
#include "crash_work.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <offlinesig/checkpoint.h>

#define FLIPS 400 /* of the store; all with OFS_LONG */
#define HEAD_FLIPS 60
#define WORKERS 2

static uint64_t seed;

/* in a process of our own, where cmocka would go on with the next test */
static void
need(bool yes)
{
	if (!yes)
		_exit(1);
}

static const char *const tables[] = { "record", "tile", "state", "epoch",
	"checkpoint", "audit_key", "cert", "open_batch", "open_intent",
	"pending", "batch", "batch_item", "kept_key" };
#define TABLES (sizeof(tables) / sizeof(tables[0]))
#define KEYLESS_TABLES 6 /* the others are compared with bodies */

/* what the log says: every row of every table */
struct content {
	uint8_t of[TABLES][32];
};

static void
digest_table(
	sqlite3 *db, const char *columns, const char *table, uint8_t sum[32])
{
	struct digest d = { 0 };
	struct ofs_error e;
	sqlite3_stmt *st = NULL;
	char sql[128];
	int rc;

	need(digest_begin(&d, &digest_sha256, &e) == 0);
	snprintf(sql, sizeof(sql), "SELECT %s FROM %s ORDER BY 1, 2", columns,
		table);
	rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);
	while (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		for (int i = 0; i < sqlite3_column_count(st); i++) {
			int type = sqlite3_column_type(st, i);
			const void *p = sqlite3_column_blob(st, i);
			int n = sqlite3_column_bytes(st, i);

			need(digest_update(&d, &type, sizeof(type), &e) == 0);
			need(digest_update(&d, &n, sizeof(n), &e) == 0);
			if (n > 0)
				need(digest_update(&d, p, (size_t)n, &e) == 0);
		}
		rc = SQLITE_OK;
	}
	need(digest_update(&d, &rc, sizeof(rc), &e) == 0);
	need(digest_end(&d, sum, &e) == 0);
	digest_free(&d);
	sqlite3_finalize(st);
}

/* the hint in audit_key is none of the log's: where the key was last seen */
static const char *
columns_of(const char *table, bool keyless)
{
	if (strcmp(table, "audit_key") == 0)
		return "seq, 0";
	return keyless && strcmp(table, "record") == 0 ? "seq, header, body"
						       : "*";
}

static void
digest_log(struct content *c, bool keyless)
{
	size_t n = keyless ? KEYLESS_TABLES : TABLES;
	char path[160];
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	need(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) ==
		SQLITE_OK);
	for (size_t i = 0; i < n; i++)
		digest_table(db, columns_of(tables[i], keyless), tables[i],
			c->of[i]);
	sqlite3_close(db);
}

/* the first table that is not as it was; NULL: none */
static const char *
changed(const struct content *good, bool keyless)
{
	struct content is;

	digest_log(&is, keyless);
	for (size_t i = 0; i < (keyless ? KEYLESS_TABLES : TABLES); i++)
		if (memcmp(is.of[i], good->of[i], 32) != 0)
			return tables[i];
	return NULL;
}

/* what a worker finds; the first that is wrong */
struct found {
	size_t detected, same, wrong;
	char what[1200];
};

struct flips {
	const char *log, *file;
	bool keyless;
	struct content good;
	struct ofs_audit_report rep;
	size_t size, n;
	struct found *of; /* shared by the workers */
};

/* 0, or what verification says */
static int
verify(struct ofs_audit_report *rep, struct ofs_error *e)
{
	ofs_audit *a;
	int rc;

	rc = ofs_audit_open(sample_ctx, log_dir, OFS_AUDIT_READ_ONLY, &a);
	if (rc != 0) {
		*e = *ofs_ctx_error(sample_ctx);
		return rc;
	}
	rc = ofs_audit_verify(a, NULL, NULL, rep);
	ofs_audit_error(a, e);
	ofs_audit_free(a);
	return rc;
}

static void
look(struct flips *f, struct found *to, size_t at)
{
	const char *table = "no";
	struct ofs_audit_report rep;
	struct ofs_error e;
	int rc = verify(&rep, &e);

	if (rc == OFS_EDAMAGED || rc == OFS_EAUDIT) {
		to->detected++;
		if (e.message[0] != '\0')
			return;
	} else if (rc == 0) {
		to->same++;
		table = changed(&f->good, f->keyless);
		if (table == NULL && rep.head_present &&
			rep.sealed_bodies == f->rep.sealed_bodies &&
			rep.checkpoints == f->rep.checkpoints &&
			rep.records == f->rep.records &&
			memcmp(rep.root, f->rep.root, 32) == 0)
			return;
	}
	if (to->wrong++ == 0)
		snprintf(to->what, sizeof(to->what),
			"byte %zu of %s: %s, table %s is another one", at,
			f->file, rc == 0 ? "intact" : e.message,
			table != NULL ? table : "no");
}

static void
flip(struct flips *f, struct found *to, int fd, size_t at)
{
	uint64_t chance = seed + at;
	uint8_t was, is;

	need(pread(fd, &was, 1, (off_t)at) == 1);
	is = was ^ (uint8_t)(1u << (disk_random(&chance) % 8));
	need(pwrite(fd, &is, 1, (off_t)at) == 1);
	look(f, to, at);
	need(pwrite(fd, &was, 1, (off_t)at) == 1);
}

/* a copy of its own, and its part of the bytes */
static void
work_off(struct flips *f, size_t me)
{
	char good[96], path[256];
	uint64_t chance = seed;
	int fd;

	snprintf(good, sizeof(good), "%s", log_dir);
	snprintf(log_dir, sizeof(log_dir), "%s/copy%zu", sample_dir, me);
	snprintf(path, sizeof(path), "cp -pr '%s' '%s'", good, log_dir);
	need(system(path) == 0);
	snprintf(path, sizeof(path), "%s/%s", log_dir, f->file);
	fd = open(path, O_RDWR);
	need(fd >= 0);
	for (size_t i = 0; i < f->n; i++) {
		uint64_t any = disk_random(&chance);

		if (i % WORKERS == me)
			flip(f, &f->of[me], fd,
				f->n == f->size ? i : any % f->size);
	}
	close(fd);
}

static void
flip_all(struct flips *f)
{
	struct found all = { 0 };
	pid_t pid[WORKERS];
	int status;

	f->of = mmap(NULL, sizeof(*f->of) * WORKERS, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(f->of != MAP_FAILED);
	for (size_t i = 0; i < WORKERS; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (pid[i] == 0) {
			work_off(f, i);
			_exit(0);
		}
	}
	for (size_t i = 0; i < WORKERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
		all.detected += f->of[i].detected;
		all.same += f->of[i].same;
		all.wrong += f->of[i].wrong;
		if (f->of[i].wrong > 0)
			memcpy(all.what, f->of[i].what, sizeof(all.what));
	}
	shell("rm -rf '%s'/copy*", sample_dir);
	munmap(f->of, sizeof(*f->of) * WORKERS);
	print_message("# %s of a %s log: %zu of %zu bytes changed, %zu "
		      "detected, %zu logically identical\n",
		f->file, f->log, f->n, f->size, all.detected, all.same);
	if (all.wrong > 0)
		fail_msg("%zu neither detected nor identical, such as %s",
			all.wrong, all.what);
	assert_int_equal(all.detected + all.same, f->n);
	/* one slot of the head file makes up for the other */
	if (strcmp(f->file, "log.db") == 0)
		assert_true(all.detected > 0);
}

/* signed heads, too */
static void
sign_head(void)
{
	ofs_audit *a = sample_open(0);
	struct ofs_error e;
	char place[128], *note = NULL;
	int rc;

	snprintf(place, sizeof(place), "file:%s/keys/audit.pem", sample_dir);
	rc = ofs_audit_set_key(a, place);
	if (rc == 0)
		rc = ofs_audit_checkpoint(a, true, &note);
	ofs_audit_error(a, &e);
	ok(rc, &e);
	free(note);
	ofs_audit_free(a);
}

static void
flips(enum work_log log, const char *name, bool keyless)
{
	bool all = getenv("OFS_LONG") != NULL;
	struct flips f = { .log = name, .file = "log.db", .keyless = keyless };
	struct ofs_error e;
	char path[160];
	struct stat st;

	shell("cd '%s' && rm -rf log keys && mkdir -m 700 log keys",
		sample_dir);
	assert_true(work_run(log, false));
	sign_head();
	if (keyless)
		shell("rm -f '%s/keys/station.key'", sample_dir);
	ok(verify(&f.rep, &e), &e);
	assert_true((f.rep.sealed_bodies > 0) == keyless);
	assert_true(f.rep.checkpoints > 0);
	digest_log(&f.good, keyless);
	snprintf(path, sizeof(path), "%s/log.db", log_dir);
	assert_int_equal(stat(path, &st), 0);
	f.size = (size_t)st.st_size;
	f.n = all ? f.size : FLIPS;
	flip_all(&f);
	f.file = "log.head";
	f.size = 8192;
	f.n = all ? f.size : HEAD_FLIPS;
	flip_all(&f);
}

static void
plain(void **state)
{
	(void)state;
	flips(WORK_PLAIN, "plain", false);
}

static void
station(void **state)
{
	(void)state;
	flips(WORK_STATION, "station", false);
}

static void
keyless(void **state)
{
	(void)state;
	flips(WORK_STATION, "keyless", true);
}

static void
sealed(void **state)
{
	(void)state;
	flips(WORK_SEALED, "sealed", true);
}

static int
setup(void **state)
{
	const char *s = getenv("SEED");

	seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	print_message("# seed %llu\n", (unsigned long long)seed);
	sample_setup(state);
	work_make_cert();
	return 0;
}

static int
teardown(void **state)
{
	buf_free(&work_cert);
	return sample_teardown(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),
		cmocka_unit_test(station),
		cmocka_unit_test(keyless),
		cmocka_unit_test(sealed),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
