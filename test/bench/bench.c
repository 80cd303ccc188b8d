/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the token, the verifier and the whole way through the library cost. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "others.h"

#include "base/file.h"
#include "base/time.h"
#include "crypto/pubkey.h"

#define RUNS 3
#define THREADS 2
#define BARE_US 1500000 /* how long each bare loop runs */
#define BIG_SIZE (4ull << 30)
#define BIG_RSS_MAX (32l << 10) /* KiB */

struct bench {
	const char *dir, *ofs_sign;
	ofs_ctx *ctx;
	ofs_token *token;
	ofs_audit *audit;
	int failed;
	int outs; /* output directories so far */
};

/*
 * Every run writes to a new directory: ext4 takes long to give out inodes that
 * were freed in the last five seconds, which is not what is measured here.
 */
static void
new_out(struct bench *b, char *to, size_t size)
{
	snprintf(to, size, "%s/out-%d", b->dir, b->outs++);
}

/* bare loops: C_Sign in threads, verification in one */

struct bare {
	ofs_key *key;
	const struct alg *alg;
	unsigned long count;
	int64_t until;
};

static void *
bare_sign(void *arg)
{
	struct bare *b = arg;
	ofs_token *t = key_token(b->key);
	struct ofs_error e;
	struct session s;

	if (session_open(t->module, t->slot, false, &s, &e) != 0)
		bench_die("session", &e);
	for (; time_mono() < b->until; b->count++)
		bench_sign_bare(&s, b->key, b->alg);
	session_close(&s);
	return NULL;
}

static double
rate_sign(ofs_key *key, const struct alg *alg)
{
	pthread_t t[THREADS];
	struct bare b[THREADS];
	unsigned long sum = 0;
	int64_t began = time_mono();

	for (int i = 0; i < THREADS; i++) {
		b[i] = (struct bare){ key, alg, 0, began + BARE_US };
		if (pthread_create(&t[i], NULL, bare_sign, &b[i]) != 0)
			bench_die("thread", NULL);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(t[i], NULL);
		sum += b[i].count;
	}
	return (double)sum * 1e6 / (double)(time_mono() - began);
}

static double
rate_verify(ofs_key *key, const struct alg *alg)
{
	struct pubkey_verifier v;
	struct key_session *s;
	struct buf sig = BUF_INIT;
	struct ofs_error e;
	uint8_t hash[DIGEST_MAX] = { 1, 2, 3 };
	struct to_sign what = { .alg = alg, .hash = hash };
	int64_t began;
	unsigned long n = 0;

	if (key_session_open(key, &s, &e) != 0 ||
		key_session_sign(s, &what, &sig, &e) != 0 ||
		pubkey_verifier_init(&v, key_pub(key), alg, &e) != 0)
		bench_die("verify", &e);
	for (began = time_mono(); time_mono() < began + BARE_US / 2; n++)
		if (pubkey_verifier_check(&v, &what, sig.p, sig.len, &e) != 0)
			bench_die("verify", &e);
	key_session_close(s);
	pubkey_verifier_free(&v);
	buf_free(&sig);
	return (double)n * 1e6 / (double)(time_mono() - began);
}

/* documents from files to files, or, with docs NULL, from memory to memory */
static double
rate_api(struct bench *b, ofs_key *key, const char *docs, int n)
{
	static const uint8_t document[2048] = { 1 };
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	ofs_batch *batch;
	char name[600], out[600];
	int64_t began = time_mono();
	double took;
	int rc;

	if (docs != NULL) {
		new_out(b, out, sizeof(out));
		o.out_dir = out;
	}
	o.jobs = THREADS;
	if (ofs_batch_new(b->ctx, key, b->audit, &o, &batch) != 0)
		bench_die("batch", ofs_ctx_error(b->ctx));
	for (int i = 0; i < n; i++) {
		bench_document(name, sizeof(name), docs != NULL ? docs : "", i);
		rc = docs != NULL ? ofs_batch_add_file(batch, name, NULL)
				  : ofs_batch_add_bytes(batch, name, document,
					    sizeof(document));
		if (rc != 0)
			bench_die("add", ofs_batch_error(batch));
	}
	if (ofs_batch_run(batch, &p) != 0)
		bench_die("run", ofs_batch_error(batch));
	took = (double)(time_mono() - began);
	ofs_batch_free(batch);
	return n * 1e6 / took;
}

/* us to create, write and rename a file, as a release does, without syncs */
static double
cost_file(struct bench *b, int n)
{
	struct file_out o = FILE_OUT_INIT;
	uint8_t data[1000] = { 0 };
	char dir[600], name[700];
	struct ofs_error e;
	int64_t began;

	new_out(b, dir, sizeof(dir));
	if (mkdir(dir, 0700) != 0)
		bench_die(dir, NULL);
	began = time_mono();
	for (int i = 0; i < n; i++) {
		bench_document(name, sizeof(name), dir, i);
		if (file_out_write(&o, name, data, sizeof(data), &e) != 0 ||
			file_out_commit(&o, false, &e) != 0)
			bench_die("file", &e);
	}
	return (double)(time_mono() - began) / n;
}

static double
rate_tool(struct bench *b, const char *uri, const char *docs, int n)
{
	char out[600];
	const char *argv[] = { b->ofs_sign, "--key", uri, "--out", out,
		"--recursive", "--jobs", "2", docs, NULL };
	int64_t began = time_mono();

	new_out(b, out, sizeof(out));
	if (bench_run(argv, NULL) != 0)
		bench_die("ofs-sign", NULL);
	return n * 1e6 / (double)(time_mono() - began);
}

struct subject {
	const char *title, *uri, *label, *mech;
	enum ofs_key_type type;
	double of_limit;   /* goal against L */
	double of_process; /* goal against pkcs11-tool for each file */
	double of_bare;    /* goal of ofs-sign on files against S; 0: none */
	int documents;
};

static void
bench_key(struct bench *b, const struct subject *k)
{
	const struct alg *alg = alg_for(k->type, OFS_DIGEST_DEFAULT);
	char docs[256];
	double s[RUNS], v[RUNS], api[RUNS], files[RUNS], tool[RUNS],
		limit[RUNS], of_limit[RUNS], of_bare[RUNS], file[RUNS],
		other[OTHERS][RUNS], of_other[OTHERS][RUNS];
	ofs_key *key;

	if (ofs_key_open(b->token, k->uri, 0, &key) != 0)
		bench_die(k->uri, ofs_token_error(b->token));
	snprintf(docs, sizeof(docs), "%s/%s", b->dir, k->label);
	bench_documents(docs, k->documents);
	for (int i = 0; i < RUNS; i++) {
		s[i] = rate_sign(key, alg);
		v[i] = rate_verify(key, alg);
		limit[i] = 1 / (1 / s[i] + 1 / (v[i] * THREADS));
		api[i] = rate_api(b, key, NULL, k->documents);
		file[i] = cost_file(b, 1000);
		files[i] = rate_api(b, key, docs, k->documents);
		tool[i] = rate_tool(b, k->uri, docs, k->documents);
		for (int o = 0; o < OTHERS; o++) {
			other[o][i] = others_rate(
				(enum other)o, key, k->mech, b->dir);
			of_other[o][i] = tool[i] / other[o][i];
		}
		of_limit[i] = api[i] / limit[i];
		of_bare[i] = tool[i] / s[i];
	}
	printf("%s, %d documents of 2 KiB, %d threads, medians of %d\n",
		k->title, k->documents, THREADS, RUNS);
	printf("  S, bare C_Sign                          %10.0f per s\n",
		bench_median(s, RUNS));
	printf("  V, verification on one core             %10.0f per s\n",
		bench_median(v, RUNS));
	printf("  L = 1/(1/S + 1/(V x %d))                 %10.0f per s\n",
		THREADS, bench_median(limit, RUNS));
	printf("  CMS through the API, recorded           %10.0f per s\n",
		bench_median(api, RUNS));
	printf("  the same from files to files            %10.0f per s\n",
		bench_median(files, RUNS));
	printf("  ofs-sign on files                       %10.0f per s\n",
		bench_median(tool, RUNS));
	printf("  (to create and rename a file here       %10.0f us)\n",
		bench_median(file, RUNS));
	for (int o = 0; o < OTHERS; o++)
		printf("  %-39s %10.0f per s\n", others_name((enum other)o),
			bench_median(other[o], RUNS));
	if (!bench_at_least(
		    "API / L", bench_median(of_limit, RUNS), k->of_limit))
		b->failed++;
	if (!bench_at_least("ofs-sign / pkcs11-tool",
		    bench_median(of_other[PKCS11_TOOL], RUNS), k->of_process))
		b->failed++;
	printf("  %-46s %8.3f\n", "ofs-sign / openssl cms",
		bench_median(of_other[OPENSSL_CMS], RUNS));
	printf("  %-46s %8.3f\n", "ofs-sign / p11tool",
		bench_median(of_other[P11TOOL], RUNS));
	if (k->of_bare == 0)
		printf("  %-46s %8.3f\n", "ofs-sign / S",
			bench_median(of_bare, RUNS));
	else if (!bench_at_least("ofs-sign / S", bench_median(of_bare, RUNS),
			 k->of_bare))
		b->failed++;
	printf("\n");
	ofs_key_free(key);
}

static void
bench_memory(struct bench *b, const char *uri)
{
	char big[512];
	const char *argv[] = { b->ofs_sign, "--key", uri, "--force", big,
		NULL };
	int64_t began;
	long rss;
	int fd;

	snprintf(big, sizeof(big), "%s/big", b->dir);
	fd = open(big, O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)BIG_SIZE) != 0)
		bench_die(big, NULL);
	close(fd);
	began = time_mono();
	if (bench_run(argv, &rss) != 0)
		bench_die("ofs-sign of a 4 GiB file", NULL);
	printf("a 4 GiB file: %.1f s, peak memory %.1f MiB (goal < %ld MiB) "
	       "%s\n\n",
		(double)(time_mono() - began) / 1e6, (double)rss / 1024,
		BIG_RSS_MAX >> 10, rss < BIG_RSS_MAX ? "met" : "MISSED");
	if (rss >= BIG_RSS_MAX)
		b->failed++;
}

int
main(int argc, char **argv)
{
	static const struct subject rsa = { "RSA-2048",
		"pkcs11:token=sandbox;object=bench-rsa", "bench-rsa",
		"RSA-PKCS", OFS_KEY_RSA, 0.90, 10, 0.80, 4000 };
	static const struct subject ec = { "P-256",
		"pkcs11:token=sandbox;object=bench-ec", "bench-ec", "ECDSA",
		OFS_KEY_EC_P256, 0.75, 50, 0, 12000 };
	struct bench b = { 0 };

	if (argc != 4)
		bench_die("usage: bench DIR PIN-FILE OFS-SIGN", NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	b.dir = argv[1];
	b.ofs_sign = argv[3];
	bench_open(argv[2], &b.ctx, &b.audit);
	if (ofs_token_open(b.ctx, "pkcs11:token=sandbox", &b.token) != 0)
		bench_die("token", ofs_ctx_error(b.ctx));
	/* first: a child's peak counts ours at the fork, which is low yet */
	bench_memory(&b, rsa.uri);
	bench_key(&b, &rsa);
	bench_key(&b, &ec);
	ofs_token_free(b.token);
	ofs_audit_free(b.audit);
	ofs_ctx_free(b.ctx);
	return b.failed == 0 ? BENCH_MET : BENCH_MISSED;
}
