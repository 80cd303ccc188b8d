/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the programs of `make bench` share. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/rand.h>

#include "bench.h"

#include "base/buf.h"
#include "base/file.h"
#include "base/time.h"
#include "token/mech.h"

void
bench_die(const char *what, const struct ofs_error *e)
{
	fprintf(stderr, "bench: %s: %s\n", what, e != NULL ? e->message : "");
	exit(BENCH_BROKEN);
}

int
bench_pin(void *arg, const struct ofs_pin_request *req, char *pin)
{
	struct buf b = BUF_INIT;
	struct ofs_error e;

	(void)req;
	if (file_read(arg, OFS_PIN_MAX, &b, &e) != 0)
		return OFS_ENOPIN;
	while (b.len > 0 && b.p[b.len - 1] == '\n')
		b.len--;
	memcpy(pin, b.p, b.len);
	pin[b.len] = '\0';
	buf_wipe(&b);
	return 0;
}

void
bench_open(const char *pin_file, ofs_ctx **ctx, ofs_audit **audit)
{
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;

	o.pin = bench_pin;
	o.pin_arg = (void *)(uintptr_t)pin_file;
	if (ofs_ctx_new(&o, ctx) != 0)
		bench_die("context", NULL);
	if (ofs_ctx_add_module(*ctx, getenv("OFS_MODULE")) != 0 ||
		ofs_audit_open(*ctx, getenv("OFS_AUDIT"), OFS_AUDIT_CREATE,
			audit) != 0 ||
		ofs_ctx_set_audit(*ctx, *audit) != 0)
		bench_die("module or log", ofs_ctx_error(*ctx));
}

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double
bench_median(double *v, int n)
{
	qsort(v, (size_t)n, sizeof(*v), by_value);
	return v[n / 2];
}

static struct bench_used
used_until_now(void)
{
	struct bench_used used = { (double)time_mono(), 0 };
	struct rusage of[2];

	(void)getrusage(RUSAGE_SELF, &of[0]);
	(void)getrusage(RUSAGE_CHILDREN, &of[1]);
	for (int i = 0; i < 2; i++)
		used.cpu += (double)of[i].ru_utime.tv_sec * 1e6 +
			(double)of[i].ru_utime.tv_usec +
			(double)of[i].ru_stime.tv_sec * 1e6 +
			(double)of[i].ru_stime.tv_usec;
	return used;
}

void
bench_start(struct bench_used *used)
{
	*used = used_until_now();
}

void
bench_stop(struct bench_used *used)
{
	struct bench_used now = used_until_now();

	used->wall = now.wall - used->wall;
	used->cpu = now.cpu - used->cpu;
}

void
bench_sign_bare(
	const struct session *s, const ofs_key *key, const struct alg *alg)
{
	const uint8_t hash[DIGEST_MAX] = { 1, 2, 3 };
	struct to_sign what = { .alg = alg, .hash = hash };
	CK_FUNCTION_LIST *f = s->module->f;
	CK_BYTE sig[1024];
	CK_ULONG n = sizeof(sig);
	struct ofs_error e;
	struct mech m;

	if (mech_prepare(key->mechs, &what, &m, &e) != 0)
		bench_die("mechanism", &e);
	if (f->C_SignInit(s->h, &m.ck, key->p.priv.h) != CKR_OK ||
		f->C_Sign(s->h, (CK_BYTE *)(uintptr_t)m.in, m.in_len, sig,
			&n) != CKR_OK)
		bench_die("C_Sign", NULL);
}

void
bench_document(char *to, size_t size, const char *dir, int i)
{
	snprintf(to, size, "%s/doc-%05d.txt", dir, i);
}

void
bench_documents(const char *dir, int n)
{
	char name[600];
	uint8_t data[2048];
	struct ofs_error e;

	if (mkdir(dir, 0700) != 0)
		bench_die(dir, NULL);
	for (int i = 0; i < n; i++) {
		bench_document(name, sizeof(name), dir, i);
		if (RAND_bytes(data, sizeof(data)) != 1 ||
			file_write_new(name, data, sizeof(data), true, &e) != 0)
			bench_die("document", &e);
	}
}

int
bench_run(const char *const argv[], long *rss)
{
	struct rusage ru;
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, 0);
		dup2(null, 1);
		dup2(null, 2);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &ru) != pid)
		return -1;
	if (rss != NULL)
		*rss = ru.ru_maxrss;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

bool
bench_at_least(const char *what, double value, double goal)
{
	bool met = value >= goal;

	printf("  %-46s %8.3f  (goal >= %.2f) %s\n", what, value, goal,
		met ? "met" : "MISSED");
	return met;
}

bool
bench_below(const char *what, double value, double goal)
{
	bool met = value < goal;

	printf("  %-46s %8.1f  (goal < %.0f) %s\n", what, value, goal,
		met ? "met" : "MISSED");
	return met;
}
