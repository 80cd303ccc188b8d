/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether an item costs the same in a batch of any size: time and memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "bench.h"

#include "base/file.h"
#include "base/hex.h"
#include "base/time.h"
#include "crypto/digest.h"

#define KEY "pkcs11:token=sandbox;object=bench-ec"
#define POOL 4096 /* documents lie one byte apart, so that all differ */
#define DOCUMENT 256
#define THREADS 2

static int64_t
cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
add_documents(ofs_batch *batch, const uint8_t *pool, long n)
{
	char name[32];

	for (long i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "document %07ld", i);
		if (ofs_batch_add_bytes(
			    batch, name, pool + i % POOL, DOCUMENT) != 0)
			bench_die("add", ofs_batch_error(batch));
	}
}

/* the child: one batch of n documents from memory to memory */
static int
run(const char *pin, long n)
{
	static uint8_t pool[POOL + DOCUMENT];
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p;
	struct rusage ru;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
	ofs_key *key;
	ofs_batch *batch;
	int64_t began, cpu;

	if (RAND_bytes(pool, sizeof(pool)) != 1)
		bench_die("documents", NULL);
	bench_open(pin, &ctx, &audit);
	if (ofs_token_open(ctx, "pkcs11:token=sandbox", &token) != 0)
		bench_die("token", ofs_ctx_error(ctx));
	if (ofs_key_open(token, KEY, 0, &key) != 0)
		bench_die(KEY, ofs_token_error(token));
	began = time_mono();
	cpu = cpu_us();
	o.jobs = THREADS;
	if (ofs_batch_new(ctx, key, audit, &o, &batch) != 0)
		bench_die("batch", ofs_ctx_error(ctx));
	add_documents(batch, pool, n);
	if (ofs_batch_run(batch, &p) != 0)
		bench_die("run", ofs_batch_error(batch));
	cpu = cpu_us() - cpu;
	began = time_mono() - began;
	getrusage(RUSAGE_SELF, &ru);
	printf("%lld %lld %ld\n", (long long)began, (long long)cpu,
		ru.ru_maxrss);
	ofs_batch_free(batch);
	ofs_key_free(key);
	ofs_token_free(token);
	ofs_audit_free(audit);
	ofs_ctx_free(ctx);
	return 0;
}

/* the parent: stays small, since a child's peak counts ours at the fork */

struct scale {
	const char *self, *pin, *ofs_sign, *dir;
	int batches; /* so far: each has a log and an output of its own */
	bool missed;
};

struct figures {
	double wall, cpu; /* us */
	double rss;       /* KiB */
};

static struct figures
run_child(struct scale *s, long n)
{
	struct figures f = { 0 };
	char log[600], number[32], line[200] = "";
	int out[2];
	pid_t pid;
	ssize_t got;
	int status;

	snprintf(log, sizeof(log), "%s/log-%d", s->dir, s->batches++);
	snprintf(number, sizeof(number), "%ld", n);
	if (pipe(out) != 0 || (pid = fork()) < 0)
		bench_die("child", NULL);
	if (pid == 0) {
		dup2(out[1], 1);
		setenv("OFS_AUDIT", log, 1);
		execl(s->self, s->self, "run", s->pin, number, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	got = read(out[0], line, sizeof(line) - 1);
	close(out[0]);
	if (waitpid(pid, &status, 0) != pid || status != 0 || got <= 0 ||
		sscanf(line, "%lf %lf %lf", &f.wall, &f.cpu, &f.rss) != 3)
		bench_die("a batch", NULL);
	bench_run((const char *[]){ "rm", "-rf", log, NULL }, NULL);
	return f;
}

/* medians; small batches more often */
static struct figures
median_of(struct scale *s, long n)
{
	double wall[9], cpu[9], rss[9];
	int runs = n <= 1000 ? 9 : n <= 10000 ? 3 : 1;

	for (int i = 0; i < runs; i++) {
		struct figures f = run_child(s, n);

		wall[i] = f.wall;
		cpu[i] = f.cpu;
		rss[i] = f.rss;
	}
	return (struct figures){ bench_median(wall, runs),
		bench_median(cpu, runs), bench_median(rss, runs) };
}

static void
judge(struct scale *s, const char *what, double least, double most, double base)
{
	double off = most / base - 1 > 1 - least / base ? most / base - 1
							: 1 - least / base;

	if (!bench_below(what, 100 * off, 10))
		s->missed = true;
}

/* the widest of some figures of one kind */
struct range {
	double least, most;
};

static void
widen(struct range *r, double v)
{
	if (r->most == 0 || v < r->least)
		r->least = v;
	if (v > r->most)
		r->most = v;
}

/*
 * What a batch of one item takes is the price of a beginning and an end; the
 * rest is the items'. Times are held against those of 10,000: a batch begins
 * with chunks of 16, until it knows how fast the token is, and for as long
 * each item has more of a commit to pay.
 */
static void
measure_batches(struct scale *s, long most)
{
	struct figures one = median_of(s, 1), f;
	struct range wall = { 0, 0 }, cpu = { 0, 0 }, rss = { 0, 0 };
	double base_wall = 0, base_cpu = 0, base_rss = 0;

	printf("P-256, CMS from memory to memory, %d threads; beginning and "
	       "end of a batch %.1f ms\n",
		THREADS, one.wall / 1e3);
	printf("  %9s %10s %12s %12s %14s\n", "items", "per s", "us an item",
		"CPU us", "peak MiB");
	for (long n = 1000; n <= most; n *= 10) {
		f = median_of(s, n);
		f.wall = (f.wall - one.wall) / (double)(n - 1);
		f.cpu = (f.cpu - one.cpu) / (double)(n - 1);
		if (n == 1000)
			base_rss = f.rss;
		if (n == 10000) {
			base_wall = f.wall;
			base_cpu = f.cpu;
		}
		if (n >= 10000) {
			widen(&wall, f.wall);
			widen(&cpu, f.cpu);
		}
		widen(&rss, f.rss);
		printf("  %9ld %10.0f %12.1f %12.1f %14.1f\n", n, 1e6 / f.wall,
			f.wall, f.cpu, f.rss / 1024);
	}
	if (most >= 100000)
		judge(s, "time of an item, % off that of 10,000", wall.least,
			wall.most, base_wall);
	if (most >= 100000)
		judge(s, "CPU of an item, % off that of 10,000", cpu.least,
			cpu.most, base_cpu);
	judge(s, "peak memory, % off that of 1,000", rss.least, rss.most,
		base_rss);
	if (!bench_below("peak memory, MiB", rss.most / 1024, 64))
		s->missed = true;
}

/* lists of files, and the files */

enum kind { MANIFEST, SUMS, NAMES, N_KINDS };

static FILE *
create(const char *path)
{
	FILE *f = fopen(path, "w");

	if (f == NULL)
		bench_die(path, NULL);
	return f;
}

static void
make_files(const char *dir, long n)
{
	char path[700], text[64], hex[65], name[64];
	FILE *list[N_KINDS];
	struct ofs_error e;
	uint8_t sum[32];
	int len;

	if (mkdir(dir, 0700) != 0)
		bench_die(dir, NULL);
	for (int k = 0; k < N_KINDS; k++) {
		snprintf(path, sizeof(path), "%s.%d", dir, k);
		list[k] = create(path);
	}
	for (long i = 0; i < n; i++) {
		len = snprintf(text, sizeof(text), "payment order %ld\n", i);
		snprintf(name, sizeof(name), "%s/%07ld", strrchr(dir, '/') + 1,
			i);
		snprintf(path, sizeof(path), "%s/%07ld", dir, i);
		if (digest_of(&digest_sha256, text, (size_t)len, sum, &e) !=
				0 ||
			file_write_new(path, (uint8_t *)text, (size_t)len, true,
				&e) != 0)
			bench_die("document", &e);
		fprintf(list[MANIFEST], "{\"path\":\"%s\",\"id\":\"%ld\"}\n",
			name, i);
		fprintf(list[SUMS], "%s  %s\n", hex_encode(hex, sum, 32), name);
		fprintf(list[NAMES], "%s\n", path);
	}
	for (int k = 0; k < N_KINDS; k++)
		if (fclose(list[k]) != 0)
			bench_die("list", NULL);
}

static struct figures
sign_files(struct scale *s, const char *dir, enum kind kind)
{
	static const char *const options[] = { "--manifest", "--sums",
		"--files-from" };
	char out[600], log[600], list[620];
	const char *const argv[] = { s->ofs_sign, "--key", KEY, "--audit", log,
		"--out", out, "--jobs", "2", options[kind], list, NULL };
	struct figures f = { 0 };
	int64_t began = time_mono();
	long rss;

	snprintf(log, sizeof(log), "%s/log-%d", s->dir, s->batches);
	snprintf(out, sizeof(out), "%s/out-%d", s->dir, s->batches++);
	snprintf(list, sizeof(list), "%s.%d", dir, (int)kind);
	if (bench_run(argv, &rss) != 0)
		bench_die("ofs-sign with a list", NULL);
	f.wall = (double)(time_mono() - began);
	f.rss = (double)rss;
	bench_run((const char *[]){ "rm", "-rf", log, out, NULL }, NULL);
	return f;
}

static void
measure_files(struct scale *s, long most)
{
	static const char *const names[] = { "--manifest", "--sums",
		"--files-from" };
	struct range rss[N_KINDS] = { { 0, 0 } };
	double base[N_KINDS] = { 0 };
	char dir[600], what[64];

	printf("ofs-sign with a list of files\n");
	printf("  %9s %-14s %10s %14s\n", "files", "list", "per s", "peak MiB");
	for (long n = 1000; n <= most; n *= 10) {
		snprintf(dir, sizeof(dir), "%s/files-%ld", s->dir, n);
		make_files(dir, n);
		for (int k = 0; k < N_KINDS; k++) {
			struct figures f = sign_files(s, dir, (enum kind)k);

			if (n == 1000)
				base[k] = f.rss;
			widen(&rss[k], f.rss);
			printf("  %9ld %-14s %10.0f %14.1f\n", n, names[k],
				(double)n * 1e6 / f.wall, f.rss / 1024);
		}
		bench_run((const char *[]){ "rm", "-rf", dir, NULL }, NULL);
	}
	for (int k = 0; k < N_KINDS; k++) {
		snprintf(what, sizeof(what),
			"%s: peak memory, %% off that of 1,000", names[k]);
		judge(s, what, rss[k].least, rss[k].most, base[k]);
	}
	printf("\n");
}

int
main(int argc, char **argv)
{
	struct scale s = { .self = argv[0] };
	long most;

	if (argc == 4 && strcmp(argv[1], "run") == 0)
		return run(argv[2], atol(argv[3]));
	if (argc != 6 || strcmp(argv[1], "measure") != 0)
		bench_die("usage: scale measure PIN-FILE OFS-SIGN DIR MOST",
			NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	s.pin = argv[2];
	s.ofs_sign = argv[3];
	s.dir = argv[4];
	most = atol(argv[5]);
	if (most < 10000)
		bench_die("at least 10000 items", NULL);
	measure_batches(&s, most);
	measure_files(&s, most / 10);
	return s.missed ? BENCH_MISSED : BENCH_MET;
}
