/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What reading the record of operations costs: verification and proofs. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#include "audit/handle.h"
#include "crypto/digest.h"
#include "format/proof.h"
#include "verify/audit-verify.h"

#define RUNS 5
#define BARE_BLOCK (1u << 20) /* that the bare loop reads at once */
#define THREADS_MAX 16
#define PROOFS 1000

#define GOAL_VERIFY 0.8
#define GOAL_PROOF_MS 5.0
#define GOAL_PROOF_SIZE 1024

struct hasher {
	pthread_t id;
	const char *path;
	off_t from, to;
};

static void *
hash_part(void *arg)
{
	struct hasher *h = arg;
	struct digest d = { NULL, NULL };
	uint8_t *block = malloc(BARE_BLOCK), sum[32];
	int fd = open(h->path, O_RDONLY | O_CLOEXEC);
	struct ofs_error e;
	ssize_t got;

	if (block == NULL || fd < 0 ||
		digest_begin(&d, &digest_sha256, &e) != 0)
		bench_die(h->path, NULL);
	while (h->from < h->to &&
		(got = pread(fd, block, BARE_BLOCK, h->from)) > 0) {
		if (digest_update(&d, block, (size_t)got, &e) != 0)
			bench_die("hash", &e);
		h->from += got;
	}
	if (h->from < h->to || digest_end(&d, sum, &e) != 0)
		bench_die("hash", NULL);
	digest_free(&d);
	close(fd);
	free(block);
	return NULL;
}

static void
hash_file(const char *path, off_t size, int threads)
{
	struct hasher h[THREADS_MAX];

	for (int i = 0; i < threads; i++) {
		h[i] = (struct hasher){ .path = path,
			.from = size / threads * i,
			.to = i == threads - 1 ? size
					       : size / threads * (i + 1) };
		if (pthread_create(&h[i].id, NULL, hash_part, &h[i]) != 0)
			bench_die("thread", NULL);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(h[i].id, NULL);
}

/*
 * "A bare SHA-256 loop over the same bytes and threads" has to get the bytes,
 * too: it reads the store from end to end, in large blocks, and does nothing
 * but hash. In a process of its own, as closing the file in this one would drop
 * SQLite's locks on it.
 */
static void
time_bare(const char *path, off_t size, int threads, struct bench_used *used)
{
	int status;
	pid_t pid;

	bench_start(used);
	pid = fork();
	if (pid == 0) {
		hash_file(path, size, threads);
		_exit(BENCH_MET);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		bench_die("bare loop", NULL);
	bench_stop(used);
}

static void
time_verify(ofs_audit *audit, int threads, bool hashes_only,
	struct bench_used *used)
{
	struct av_how how = { .threads = (unsigned int)threads,
		.hashes_only = hashes_only };
	struct ofs_audit_report rep;
	struct ofs_error e;

	bench_start(used);
	if (av_verify(audit, &how, NULL, NULL, &rep) != 0) {
		ofs_audit_error(audit, &e);
		bench_die("verify", &e);
	}
	bench_stop(used);
}

/* medians of n runs */
static void
print_rate(const char *what, off_t size, struct bench_used *used, int n)
{
	double wall[RUNS], cpu[RUNS];

	for (int i = 0; i < n; i++) {
		wall[i] = used[i].wall;
		cpu[i] = used[i].cpu;
	}
	printf("  %-40s %10.0f MB/s  (CPU %.3f s)\n", what,
		(double)size / bench_median(wall, n),
		bench_median(cpu, n) / 1e6);
}

bool
bench_log_verify(ofs_audit *audit, int threads)
{
	struct bench_used bare[RUNS], keyless[RUNS], keyed;
	double ratio[RUNS], cpu[RUNS];
	struct stat st;

	if (stat(audit->db_path, &st) != 0)
		bench_die(audit->db_path, NULL);
	for (int i = 0; i < RUNS; i++) {
		time_bare(audit->db_path, st.st_size, threads, &bare[i]);
		time_verify(audit, threads, true, &keyless[i]);
		ratio[i] = bare[i].wall / keyless[i].wall;
		cpu[i] = bare[i].cpu / keyless[i].cpu;
	}
	time_verify(audit, threads, false, &keyed);
	printf("  of log.db, %d threads:\n", threads);
	print_rate("bare loop: large reads, SHA-256", st.st_size, bare, RUNS);
	print_rate("verification without a key", st.st_size, keyless, RUNS);
	print_rate("with bodies and links", st.st_size, &keyed, 1);
	printf("  the same, by CPU time                    %10.2f\n",
		bench_median(cpu, RUNS));
	return bench_at_least("verification without a key / bare loop",
		bench_median(ratio, RUNS), GOAL_VERIFY);
}

/* hashes as bytes, and the checkpoint */
static double
proof_size(const char *text)
{
	struct ofs_error e;
	struct proof p;
	double size;

	if (proof_parse(text, strlen(text), &p, &e) != 0)
		bench_die("proof", &e);
	size = (double)(p.n * sizeof(p.hash[0]) + p.note_len);
	proof_free(&p);
	return size;
}

bool
bench_log_prove(ofs_audit *audit)
{
	double ms[PROOFS], size = 0;
	struct bench_used used;
	struct ofs_error e;
	uint64_t records;
	char *text;
	bool met;

	if (ofs_audit_checkpoint(audit, true, &text) != 0 ||
		ofs_audit_size(audit, &records) != 0)
		goto fail;
	free(text);
	for (int i = 0; i < PROOFS; i++) {
		bench_start(&used);
		if (ofs_audit_prove(audit, (uint64_t)i * (records - 1) / PROOFS,
			    false, &text) != 0)
			goto fail;
		bench_stop(&used);
		ms[i] = used.wall / 1000;
		if (proof_size(text) > size)
			size = proof_size(text);
		free(text);
	}
	met = bench_below(
		"a proof, median, ms", bench_median(ms, PROOFS), GOAL_PROOF_MS);
	printf("  99 of 100 proofs within                  %10.2f ms\n",
		ms[PROOFS * 99 / 100]);
	return bench_below("hashes and checkpoint of the largest, bytes", size,
		       GOAL_PROOF_SIZE + 1) &&
		met;
fail:
	ofs_audit_error(audit, &e);
	bench_die("proof", &e);
}
