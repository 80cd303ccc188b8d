/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a witness cosigns: checkpoints of a log that only grows. */
#include "log_sample.h"

#include <fcntl.h>
#include <sys/file.h>

#include <offlinesig/checkpoint.h>

static char memory[96], witness_key[96], vkey[1024];

static int
setup(void **state)
{
	sample_setup(state);
	snprintf(memory, sizeof(memory), "%s/memory", sample_dir);
	snprintf(witness_key, sizeof(witness_key), "%s/witness", sample_dir);
	return 0;
}

/* a new log of the same name and with the same audit key */
static int
fresh(void **state)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	char key[128];

	(void)state;
	shell("rm -rf '%s'", log_dir);
	snprintf(key, sizeof(key), "file:%s/audit", sample_dir);
	o.origin = "log";
	o.audit_key = key;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	return 0;
}

static int
forgets(void **state)
{
	shell("rm -rf '%s'", memory);
	return fresh(state);
}

/* a checkpoint, after n more records */
static char *
checkpoint(int n)
{
	struct ofs_audit_key_info i;
	struct buf body = BUF_INIT;
	ofs_audit *a = sample_open(0);
	char *note;

	for (; n > 0; n--) {
		sample_begin(a);
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
		sample_commit(a);
	}
	assert_int_equal(ofs_audit_checkpoint(a, true, &note), 0);
	assert_int_equal(ofs_audit_get_key(a, &i), 0);
	snprintf(vkey, sizeof(vkey), "%s", i.vkey);
	ofs_audit_free(a);
	return note;
}

static char *
growth(uint64_t since)
{
	ofs_audit *a = sample_open(OFS_AUDIT_READ_ONLY);
	char *proof;

	assert_int_equal(ofs_audit_prove_growth(a, since, &proof), 0);
	ofs_audit_free(a);
	return proof;
}

static int
ask(ofs_ctx *ctx, const char *request)
{
	struct ofs_witness_opts o = OFS_WITNESS_OPTS_INIT;
	char *note;
	int rc;

	o.dir = memory;
	o.key_file = witness_key;
	o.name = "witness";
	o.vkey = vkey;
	rc = ofs_witness_cosign(ctx, request, strlen(request), &o, &note);
	assert_true((rc == 0) == (note != NULL));
	free(note);
	return rc;
}

/* and what is said */
static void
cosigns(char *request, int code, const char *words)
{
	assert_int_equal(ask(sample_ctx, request), code);
	if (words != NULL &&
		strstr(ofs_ctx_error(sample_ctx)->message, words) == NULL)
		fail_msg("'%s' does not say '%s'",
			ofs_ctx_error(sample_ctx)->message, words);
	free(request);
}

/* first record: a genesis, so that sizes are 4 and 7 */
static void
growing(void **state)
{
	(void)state;
	cosigns(checkpoint(3), 0, NULL);
	cosigns(checkpoint(0), 0, NULL);
	cosigns(checkpoint(3), OFS_EINVAL, "--since 4");
	cosigns(growth(3), OFS_EINVAL, "--since 4");
	cosigns(growth(4), 0, NULL);
	cosigns(growth(4), OFS_EINVAL, "--since 7");
	/* from where it stands, and nothing was added */
	cosigns(growth(7), 0, NULL);
}

static void
forged(void **state)
{
	char *older = checkpoint(3);

	cosigns(checkpoint(3), 0, NULL);
	cosigns(older, OFS_ESIGNATURE, "shrank");
	(void)fresh(state);
	cosigns(checkpoint(6), OFS_ESIGNATURE, "differ: keep both");
	cosigns(growth(7), OFS_ESIGNATURE, NULL);
	free(checkpoint(3));
	cosigns(growth(7), OFS_ESIGNATURE, NULL);
}

static void
signed_by_another(void **state)
{
	char *note = checkpoint(1);

	(void)state;
	snprintf(vkey, sizeof(vkey),
		"example.com/foo+530d903a+"
		"AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k");
	cosigns(note, OFS_ESIGNATURE, "is not signed by");
	note = checkpoint(1);
	note[strlen("log\n")] ^= 1;
	cosigns(note, OFS_ESIGNATURE, NULL);
}

/* it does not begin anew because it cannot remember */
static void
remembers(void **state)
{
	(void)state;
	cosigns(checkpoint(3), 0, NULL);
	shell("cd '%s' && f=$(echo *.checkpoint) && rm \"$f\" && "
	      "ln -s \"$f\" \"$f\"",
		memory);
	cosigns(checkpoint(3), OFS_EIO, NULL);
	shell("cd '%s' && f=$(echo *.checkpoint) && rm \"$f\" && "
	      "echo nonsense >\"$f\"",
		memory);
	cosigns(checkpoint(3), OFS_EIO, "what this witness remembers");
}

static int64_t
at_time(void *arg)
{
	return *(int64_t *)arg * 1000000;
}

/* the checkpoint as this witness has cosigned it, at that second */
static char *
cosigned(const char *name, int64_t second, const char *note, char **key)
{
	struct ofs_ctx_opts co = OFS_CTX_OPTS_INIT;
	struct ofs_witness_opts o = OFS_WITNESS_OPTS_INIT;
	char dir[128], file[128], *out;
	ofs_ctx *ctx;

	co.clock = at_time;
	co.clock_arg = &second;
	ok(ofs_ctx_new(&co, &ctx), NULL);
	snprintf(dir, sizeof(dir), "%s/%s", memory, name);
	snprintf(file, sizeof(file), "%s/%s.key", sample_dir, name);
	o.dir = dir;
	o.key_file = file;
	o.name = name;
	o.vkey = vkey;
	ok(ofs_witness_cosign(ctx, note, strlen(note), &o, &out),
		ofs_ctx_error(ctx));
	ok(ofs_witness_vkey(ctx, &o, key), ofs_ctx_error(ctx));
	ofs_ctx_free(ctx);
	return out;
}

static void
says_what_it_lacks(void **state)
{
	struct ofs_witness_opts o = OFS_WITNESS_OPTS_INIT;
	char *key;

	(void)state;
	assert_int_equal(ofs_witness_vkey(sample_ctx, NULL, &key), OFS_EINVAL);
	assert_int_equal(ofs_witness_vkey(sample_ctx, &o, &key), OFS_EINVAL);
	assert_int_equal(
		ofs_witness_cosign(sample_ctx, "", 0, &o, &key), OFS_EINVAL);
	assert_null(key);
}

static int
check(const char *proof, const char *const *witnesses, size_t n,
	struct ofs_proof_report *rep)
{
	struct ofs_proof_opts o = OFS_PROOF_OPTS_INIT;
	ofs_record *rec;
	int rc;

	o.vkey = vkey;
	o.witnesses = witnesses;
	o.n_witnesses = n;
	rc = ofs_proof_check(sample_ctx, proof, strlen(proof), &o, rep, &rec);
	ofs_record_free(rec);
	return rc;
}

/* all that are named have to be there; the first of them counts */
static void
two_of_them(void **state)
{
	char *note = checkpoint(1), *one, *both, *proof, *end, *keys[3];
	struct ofs_proof_report rep;
	char text[4096];
	ofs_audit *a;

	(void)state;
	one = cosigned("w1", 2000, note, &keys[0]);
	both = cosigned("w2", 1000, one, &keys[1]);
	free(cosigned("w3", 3000, one, &keys[2]));
	a = sample_open(OFS_AUDIT_READ_ONLY);
	assert_int_equal(ofs_audit_prove(a, 1, false, &proof), 0);
	ofs_audit_free(a);
	end = strstr(proof, "\n\n");
	assert_non_null(end);
	snprintf(text, sizeof(text), "%.*s\n\n%s", (int)(end - proof), proof,
		both);
	assert_int_equal(check(text, NULL, 0, &rep), 0);
	assert_int_equal(rep.witnesses, 0);
	assert_int_equal(check(text, (const char *const *)keys, 2, &rep), 0);
	assert_int_equal(rep.witnesses, 2);
	assert_int_equal(rep.witnessed, 1000 * 1000000);
	assert_int_equal(check(text, (const char *const *)keys, 3, &rep),
		OFS_EUNTRUSTED);
	assert_int_equal(rep.witnesses, 0);
	free(proof);
	free(note);
	free(one);
	free(both);
	for (int i = 0; i < 3; i++)
		free(keys[i]);
}

/* two at once could cosign two histories */
static void
one_at_a_time(void **state)
{
	char *note = checkpoint(1), lock[128];
	int fd, status = 0;
	ofs_ctx *ctx;
	pid_t pid;

	(void)state;
	shell("mkdir '%s'", memory);
	snprintf(lock, sizeof(lock), "%s/lock", memory);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)ofs_ctx_new(NULL, &ctx);
		_exit(ask(ctx, note) == 0 ? 0 : 1);
	}
	while (!sample_waits(pid) && waitpid(pid, &status, WNOHANG) == 0)
		usleep(1000);
	assert_true(sample_waits(pid));
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(fd);
	free(note);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup(fn, forgets)
	const struct CMUnitTest tests[] = {
		TEST(growing),
		TEST(says_what_it_lacks),
		TEST(forged),
		TEST(signed_by_another),
		TEST(remembers),
		TEST(two_of_them),
		TEST(one_at_a_time),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, sample_teardown);
}
