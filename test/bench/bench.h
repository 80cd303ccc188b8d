/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the programs of `make bench` share. */
#ifndef TEST_BENCH_H
#define TEST_BENCH_H

#include <stdbool.h>

#include <offlinesig.h>

#include "base/err.h"
#include "token/keydef.h"

/* exit statuses of these programs */
enum bench_exit {
	BENCH_MET,
	BENCH_MISSED, /* some goal */
	BENCH_BROKEN  /* nothing could be measured */
};

_Noreturn void bench_die(const char *what, const struct ofs_error *e);

/* an ofs_pin_fn; arg is the name of a file with the PIN in its first line */
int bench_pin(void *arg, const struct ofs_pin_request *req, char *pin);
/* a context with OFS_MODULE, and the audit log OFS_AUDIT */
void bench_open(const char *pin_file, ofs_ctx **ctx, ofs_audit **audit);

double bench_median(double *v, int n); /* sorts them */

/* us: wall time, and CPU time of this process and of children that ended */
struct bench_used {
	double wall, cpu;
};
void bench_start(struct bench_used *used);
void bench_stop(struct bench_used *used); /* since bench_start() */

/* C_SignInit and C_Sign, and nothing else of ours */
void bench_sign_bare(
	const struct session *s, const ofs_key *key, const struct alg *alg);

/* n documents of 2 KiB in a new directory, named by bench_document() */
void bench_documents(const char *dir, int n);
void bench_document(char *to, size_t size, const char *dir, int i);

/*
 * Runs argv, output thrown away; its exit status, or -1. rss, where not NULL:
 * the child's peak memory in KiB.
 */
int bench_run(const char *const argv[], long *rss);

/* print a figure beside its goal; whether that is met */
bool bench_at_least(const char *what, double value, double goal);
bool bench_below(const char *what, double value, double goal);

/* audit_read.c: whether the goals are met */
bool bench_log_verify(ofs_audit *audit, int threads);
bool bench_log_prove(ofs_audit *audit);

#endif
