/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logs with auditors, who sign what they are told, for tests only. */
#ifndef TEST_UNIT_KEEP_KIT_H
#define TEST_UNIT_KEEP_KIT_H

#include "log_sample.h"

#include <offlinesig/keep.h>

#include "base/file.h"

/* sample_dir/NAME.pem and NAME.key */
static inline void
kit_auditor(const char *name)
{
	shell("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
	      "-nodes -subj /CN=%s -days 1 -keyout %s/%s.key -out %s/%s.pem "
	      "2>/dev/null",
		name, sample_dir, name, sample_dir, name);
}

/* what the last auditor has signed */
static struct buf cms;

static inline int
kit_setup(void **state)
{
	sample_setup(state);
	kit_auditor("alice");
	kit_auditor("mallory");
	return 0;
}

static inline int
kit_teardown(void **state)
{
	buf_free(&cms);
	return sample_teardown(state);
}

/* CMS over a text, with more options for openssl cms -sign */
static inline void
kit_sign(
	const char *name, const char *text, const char *options, struct buf *to)
{
	char path[128];
	struct ofs_error e;

	snprintf(path, sizeof(path), "%s/statement", sample_dir);
	ok(file_write_new(path, text, strlen(text), true, &e), &e);
	shell("openssl cms -sign -in %s -signer %s/%s.pem -inkey %s/%s.key "
	      "-outform PEM -out %s.cms %s 2>/dev/null",
		path, sample_dir, name, sample_dir, name, path, options);
	snprintf(path, sizeof(path), "%s/statement.cms", sample_dir);
	buf_reset(to);
	ok(file_read(path, 1 << 20, to, &e), &e);
}

/* a log in log_dir that names this auditor */
static inline void
kit_init(const char *name)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert cert;
	struct buf pem = BUF_INIT;
	struct ofs_error e;
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.pem", sample_dir, name);
	ok(file_read(path, 1 << 20, &pem, &e), &e);
	cert = (struct ofs_audit_cert){ pem.p, pem.len };
	o.auditors = &cert;
	o.n_auditors = 1;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	buf_free(&pem);
}

/* one that this station reads: log_dir is encrypted with a key beside it */
static inline void
kit_init_encrypted(const char *name)
{
	struct ofs_audit_init_opts o = OFS_AUDIT_INIT_OPTS_INIT;
	struct ofs_audit_cert cert;
	struct buf pem = BUF_INIT;
	struct ofs_error e;
	char path[128], key[160];

	snprintf(path, sizeof(path), "%s/%s.pem", sample_dir, name);
	snprintf(key, sizeof(key), "%s.key", log_dir);
	ok(file_read(path, 1 << 20, &pem, &e), &e);
	cert = (struct ofs_audit_cert){ pem.p, pem.len };
	o.auditors = &cert;
	o.n_auditors = 1;
	o.station_key = key;
	ok(ofs_audit_init(sample_ctx, log_dir, &o), ofs_ctx_error(sample_ctx));
	buf_free(&pem);
}

static inline void
kit_logins(ofs_audit *a, int n)
{
	struct buf body = BUF_INIT;

	sample_begin(a);
	for (int i = 0; i < n; i++) {
		sample_login(a, &body);
		(void)sample_append(a, OFS_REC_LOGIN, NULL, &body, NULL);
	}
	sample_commit(a);
}

#endif
