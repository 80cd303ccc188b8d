/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Restoring backups: what is refused, and what auditors can allow. */
#include "keep_kit.h"

#include "audit/handle.h"

static char backup[128], head[128];

/* a log of 1 + 300 records, its backup, a record of that, and 10 more */
static int
fresh(void **state)
{
	static int n;
	ofs_audit *a;

	(void)state;
	snprintf(log_dir, sizeof(log_dir), "%s/log%d", sample_dir, n);
	snprintf(backup, sizeof(backup), "%s/backup%d", sample_dir, n);
	snprintf(head, sizeof(head), "%s/head%d", sample_dir, n++);
	kit_init("alice");
	a = sample_open(0);
	kit_logins(a, 300);
	assert_int_equal(ofs_audit_backup(a, backup, NULL, NULL, NULL), 0);
	kit_logins(a, 10);
	ofs_audit_free(a);
	shell("cp %s/log.head %s", log_dir, head);
	return 0;
}

static void
refused(const struct ofs_audit_restore_opts *o, int code, const char *words)
{
	const char *message;

	assert_int_equal(
		ofs_audit_restore(sample_ctx, backup, log_dir, o, NULL), code);
	message = ofs_ctx_error(sample_ctx)->message;
	if (strstr(message, words) == NULL)
		fail_msg("'%s' does not say '%s'", message, words);
	/* nothing is left of it */
	shell("test -z \"$(ls -d %s.* 2>/dev/null)\"", log_dir);
}

static void
restores(const struct ofs_audit_restore_opts *o,
	struct ofs_audit_restore_report *r)
{
	r->size = sizeof(*r);
	ok(ofs_audit_restore(sample_ctx, backup, log_dir, o, r),
		ofs_ctx_error(sample_ctx));
}

static void
state_gap(struct ofs_audit_restore_opts *o, char **text)
{
	o->reason = "the disk failed";
	ok(ofs_audit_restore_statement(sample_ctx, backup, log_dir, o, text),
		ofs_ctx_error(sample_ctx));
}

static void
see_forced(void *arg, const struct ofs_audit_finding *f)
{
	if (strcmp(f->id, "forced-restore") != 0)
		return;
	++*(int *)arg;
	assert_non_null(strstr(f->text, "the disk failed"));
	assert_non_null(strstr(f->text, "CN=alice"));
}

static int
forced(uint64_t *lost)
{
	struct ofs_audit_report rep;
	struct ofs_error e;
	ofs_audit *a = sample_open(OFS_AUDIT_READ_ONLY);
	int n = 0, rc;

	rc = ofs_audit_verify(a, see_forced, &n, &rep);
	ofs_audit_error(a, &e);
	ok(rc, &e);
	ofs_audit_free(a);
	*lost = rep.lost_records;
	return n;
}

/* in an empty place, with no head that knows of more */
static void
restores_to_nothing(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	struct ofs_audit_restore_report r;
	struct ofs_field f;
	ofs_record *rec;
	ofs_audit *a;
	uint64_t lost;

	(void)state;
	shell("rm -r %s", log_dir);
	restores(NULL, &r);
	assert_int_equal(r.records, 301);
	assert_int_equal(r.missing, 0);
	assert_int_equal(r.seq, 301);
	assert_string_equal(r.moved_to, "");
	assert_int_equal(forced(&lost), 0);
	/* it can be written, and knows that it was restored */
	a = sample_open(0);
	kit_logins(a, 5);
	assert_int_equal(ofs_audit_get(a, 301, &rec), 0);
	assert_true(ofs_record_find(rec, "event", &f));
	assert_memory_equal(f.bytes, "restore", f.len);
	assert_true(ofs_record_find(rec, "path", &f));
	assert_int_equal(f.len, strlen(backup));
	ofs_record_free(rec);
	ofs_audit_free(a);
	sample_verifies(307);
	/* the head was kept elsewhere */
	shell("rm -r %s", log_dir);
	o.heads = &(const char *){ head };
	o.n_heads = 1;
	refused(&o, OFS_EDAMAGED, "is behind");
}

static void
refuses_what_is_behind(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	char manifest[160];

	(void)state;
	refused(NULL, OFS_EDAMAGED, "knows of 312");
	sample_verifies(312);
	/* the head file alone, the store alone, a manifest */
	shell("mv %s/log.db %s/db", log_dir, sample_dir);
	refused(NULL, OFS_EDAMAGED, "log.head' knows of 312");
	shell("mv %s/db %s/log.db; rm %s/log.head", sample_dir, log_dir,
		log_dir);
	refused(NULL, OFS_EDAMAGED, "log.db' knows of 312");
	shell("mv %s %s.old", backup, backup);
	ofs_audit *a = sample_open(0);
	assert_int_equal(ofs_audit_backup(a, backup, NULL, NULL, NULL), 0);
	ofs_audit_free(a);
	shell("rm -r %s; mv %s %s.new; mv %s.old %s", log_dir, backup, backup,
		backup, backup);
	snprintf(manifest, sizeof(manifest), "%s.new/backup.txt", backup);
	o.heads = &(const char *){ manifest };
	o.n_heads = 1;
	refused(&o, OFS_EDAMAGED, "knows of 312");
	o.heads = &(const char *){ "/dev/null" };
	refused(&o, OFS_EIO, "regular file");
	o.heads = &(const char *){ "/nowhere" };
	refused(&o, OFS_EIO, "nowhere");
}

static void
auditors_can_force_it(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	struct ofs_audit_restore_report r;
	uint64_t lost;
	ofs_audit *a;
	char *text;

	(void)state;
	state_gap(&o, &text);
	sample_verifies(312);
	kit_sign("alice", text, "-nodetach -binary", &cms);
	o.accept = cms.p;
	o.accept_len = cms.len;
	restores(&o, &r);
	assert_int_equal(r.missing, 11);
	assert_string_equal(r.auditor, "CN=alice");
	assert_int_equal(forced(&lost), 1);
	assert_int_equal(lost, 11);
	/* the old one is still there, whole */
	snprintf(log_dir, sizeof(log_dir), "%.95s", r.moved_to);
	sample_verifies(312);
	log_dir[strlen(log_dir) - strlen(".replaced.XXXXXX")] = '\0';
	/* for ever after */
	a = sample_open(0);
	kit_logins(a, 300);
	ofs_audit_free(a);
	assert_int_equal(forced(&lost), 1);
	/* not once more: more is known now */
	assert_int_equal(ofs_audit_restore(sample_ctx, backup, log_dir, &o, &r),
		OFS_EMISMATCH);
	free(text);
}

static void
only_what_auditors_signed(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	char *text, *other;
	ofs_audit *a;
	size_t i;

	(void)state;
	state_gap(&o, &text);
#define TRY(code, words)                  \
	do {                              \
		o.accept = cms.p;         \
		o.accept_len = cms.len;   \
		refused(&o, code, words); \
	} while (0)
	kit_sign("mallory", text, "-nodetach", &cms);
	TRY(OFS_EUNTRUSTED, "no auditor");
	/* the auditor's certificate inside changes nothing */
	shell("cp %s/alice.pem %s/chain.pem", sample_dir, sample_dir);
	{
		char opts[200];

		snprintf(opts, sizeof(opts), "-nodetach -certfile %s/chain.pem",
			sample_dir);
		kit_sign("mallory", text, opts, &cms);
		TRY(OFS_EUNTRUSTED, "no auditor");
		snprintf(opts, sizeof(opts),
			"-nodetach -signer %s/mallory.pem -inkey "
			"%s/mallory.key",
			sample_dir, sample_dir);
		kit_sign("alice", text, opts, &cms);
		TRY(OFS_EUNTRUSTED, "no auditor");
	}
	kit_sign("alice", text, "", &cms);
	TRY(OFS_EUNREADABLE, "inside");
	kit_sign("alice", text, "-nodetach -md sha1", &cms);
	TRY(OFS_ESIGNATURE, "hash");
	kit_sign("alice", "anything", "-nodetach", &cms);
	TRY(OFS_EFORMAT, "no such statement");
	other = strdup(text);
	memcpy(strstr(other, "known records: 312"), "known records: 311", 18);
	kit_sign("alice", other, "-nodetach", &cms);
	TRY(OFS_EMISMATCH, "311");
	memcpy(strstr(other, "records: 301"), "records: 300", 12);
	kit_sign("alice", other, "-nodetach", &cms);
	TRY(OFS_EMISMATCH, "another backup");
	free(other);
	/* any hash in it is another one */
	for (i = 0; i < 3; i++) {
		static const char *const names[] = {
			"log id: ", "\nroot: ", "known root: "
		};
		char *at = strstr(text, names[i]) + strlen(names[i]);
		char was = *at;

		*at = was == '0' ? '1' : '0';
		kit_sign("alice", text, "-nodetach", &cms);
		TRY(OFS_EMISMATCH, "the auditor has accepted");
		*at = was;
	}
	/* any byte of a good one, in DER */
	kit_sign("alice", text, "-nodetach -binary -outform DER", &cms);
	buf_u8(&cms, 0);
	TRY(OFS_EUNREADABLE, "no CMS file");
	cms.len--;
	for (i = 0; i < cms.len; i += 7) {
		cms.p[i] ^= 1;
		o.accept = cms.p;
		o.accept_len = cms.len;
		if (ofs_audit_restore(sample_ctx, backup, log_dir, &o, NULL) ==
			0)
			break;
		cms.p[i] ^= 1;
	}
	/* bytes that nobody signs, as the certificate inside, may differ */
	if (i < cms.len) {
		uint64_t lost;

		assert_int_equal(forced(&lost), 1);
		free(text);
		return;
	}
	/* the log goes on meanwhile */
	a = sample_open(0);
	kit_logins(a, 1);
	ofs_audit_free(a);
	TRY(OFS_EMISMATCH, "312");
	free(text);
}

/* a log that says so itself, without an auditor */
static void
verify_wants_the_auditor(void **state)
{
	ofs_audit *a = sample_open(0);
	struct rec_log_event r = {
		.event = "restore", .first = 312, .last = 400, .count = 89
	};
	struct log_entry en = { .type = OFS_REC_LOG_EVENT };
	struct ofs_audit_report rep;
	struct buf body = BUF_INIT;
	struct ofs_error e;
	uint64_t seq;

	(void)state;
	log_operator(a, &r.operator_);
	ok(record_log_event_encode(&r, &body, &e), &e);
	en.body = body.p;
	en.body_len = body.len;
	ok(log_append_one(a, &en, &seq, &e), &e);
	buf_free(&body);
	ofs_audit_free(a);
	assert_int_equal(sample_verify(&rep, &e), OFS_EDAMAGED);
	assert_non_null(strstr(e.message, "no auditor has allowed it"));
}

static void
refuses_other_things(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	char kept[sizeof(log_dir)];
	struct ofs_error e;
	ofs_audit *a;
	char *text;

	(void)state;
	/* nothing to accept */
	memcpy(kept, log_dir, sizeof(kept));
	snprintf(log_dir, sizeof(log_dir), "%s/empty", sample_dir);
	o.reason = "none";
	assert_int_equal(ofs_audit_restore_statement(
				 sample_ctx, backup, log_dir, &o, &text),
		OFS_EINVAL);
	assert_null(text);
	assert_int_equal(ofs_audit_restore_statement(
				 sample_ctx, backup, log_dir, NULL, &text),
		OFS_EINVAL);
	/* another log, and what is no log */
	snprintf(log_dir, sizeof(log_dir), "%s/other", sample_dir);
	shell("rm -rf %s", log_dir);
	ofs_audit_free(sample_open(OFS_AUDIT_CREATE));
	refused(NULL, OFS_EEXIST, "another log");
	shell("rm %s/log.head", log_dir);
	refused(NULL, OFS_EEXIST, "another log");
	shell("rm -r %s; mkdir -m 700 %s; touch %s/letter", log_dir, log_dir,
		log_dir);
	refused(NULL, OFS_EAUDIT, "other files");
	shell("rm -r %s; ln -s %s %s", log_dir, kept, log_dir);
	refused(NULL, OFS_EAUDIT, "symbolic link");
	shell("rm %s", log_dir);
	memcpy(log_dir, kept, sizeof(kept));
	/* a batch runs there */
	a = sample_open(0);
	ok(log_batch_hold(a, 5, &e), &e);
	refused(NULL, OFS_EEXIST, "is running");
	ofs_audit_free(a);
	/* damaged backups; one slot of a head file makes up for the other */
	shell("cp %s/log.head %s/head; printf x | dd of=%s/log.head bs=1 "
	      "seek=40 conv=notrunc 2>/dev/null",
		backup, sample_dir, backup);
	refused(NULL, OFS_EDAMAGED, "manifest");
	shell("cp %s/head %s/log.head", sample_dir, backup);
	shell("printf x | dd of=%s/log.db bs=1 seek=9000 conv=notrunc "
	      "2>/dev/null",
		backup);
	shell("rm -r %s", log_dir);
	refused(NULL, OFS_EDAMAGED, "manifest");
	shell("rm %s/backup.txt", backup);
	refused(NULL, OFS_EIO, "backup.txt");
	shell("printf 'offlinesig backup 1\\n' >%s/backup.txt", backup);
	refused(NULL, OFS_EFORMAT, "cannot be read");
}

/* the log went on from an older copy, and both are still about */
static void
refuses_a_fork(void **state)
{
	struct ofs_audit_restore_opts o = OFS_AUDIT_RESTORE_OPTS_INIT;
	ofs_audit *a;

	(void)state;
	/* 301 of the backup, and 11 others than those that followed */
	shell("mv %s %s/mine; cp -r %s %s; rm %s/backup.txt", log_dir,
		sample_dir, backup, log_dir, log_dir);
	a = sample_open(0);
	kit_logins(a, 11);
	shell("rm -r %s", backup);
	assert_int_equal(ofs_audit_backup(a, backup, NULL, NULL, NULL), 0);
	o.heads = &(const char *){ head };
	o.n_heads = 1;
	refused(&o, OFS_EDAMAGED, "first 312 records differ");
	kit_logins(a, 9);
	shell("rm -r %s", backup);
	assert_int_equal(ofs_audit_backup(a, backup, NULL, NULL, NULL), 0);
	ofs_audit_free(a);
	refused(&o, OFS_EDAMAGED, "first 312 records differ");
	/* what stands there is longer, and nothing but its store says so */
	shell("rm -r %s; mv %s/mine %s", log_dir, sample_dir, log_dir);
	a = sample_open(0);
	kit_logins(a, 20);
	ofs_audit_free(a);
	shell("rm %s/log.head", log_dir);
	refused(NULL, OFS_EDAMAGED, "first 322 records differ");
}

/* what is added before its turn comes is known to it */
static void
waits_for_writers(void **state)
{
	struct buf body = BUF_INIT;
	int status = 0;
	ofs_audit *a;
	pid_t pid;

	(void)state;
	shell("rm -r %s; cp -r %s %s; rm %s/backup.txt", log_dir, backup,
		log_dir, log_dir);
	a = sample_open(0);
	sample_begin(a);
	sample_login(a, &body);
	(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		ofs_ctx *ctx;

		(void)ofs_ctx_new(NULL, &ctx);
		_exit(ofs_audit_restore(ctx, backup, log_dir, NULL, NULL) ==
					OFS_EDAMAGED
				? 0
				: 1);
	}
	while (!sample_waits(pid) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	assert_true(sample_waits(pid));
	sample_commit(a);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ofs_audit_free(a);
	sample_verifies(302);
}

/* who can write a backup can write its manifest, too */
static void
verifies_what_it_restores(void **state)
{
	(void)state;
	shell("rm -r %s; sqlite3 %s/log.db 'UPDATE record SET body = "
	      "zeroblob(9) WHERE seq = 9'; sed -i \"s/^log.db sha256: .*/"
	      "log.db sha256: $(sha256sum <%s/log.db | head -c 64)/\" "
	      "%s/backup.txt",
		log_dir, backup, backup, backup);
	refused(NULL, OFS_EDAMAGED, "record 9");
}

/* a log that is shared stays so */
static void
stays_shared(void **state)
{
	struct ofs_audit_restore_report r;

	(void)state;
	shell("rm -r %s; cp -r %s %s; rm %s/backup.txt; chmod 2770 %s; "
	      "chmod 660 %s/*",
		log_dir, backup, log_dir, log_dir, log_dir, log_dir);
	restores(NULL, &r);
	shell("test \"$(stat -c %%a %s %s/log.db %s/log.head | xargs)\" = "
	      "'2770 660 660'",
		log_dir, log_dir, log_dir);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		TEST(restores_to_nothing),
		TEST(refuses_what_is_behind),
		TEST(auditors_can_force_it),
		TEST(only_what_auditors_signed),
		TEST(verify_wants_the_auditor),
		TEST(refuses_other_things),
		TEST(refuses_a_fork),
		TEST(waits_for_writers),
		TEST(verifies_what_it_restores),
		TEST(stays_shared),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, kit_setup, kit_teardown);
}
