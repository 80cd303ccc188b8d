/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A station with one token, an audit log and a key that signs, for tests. */
#ifndef TEST_TOKEN_STATION_KIT_H
#define TEST_TOKEN_STATION_KIT_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig.h>

#include "base/file.h"
#include "softhsm.h"

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
	ofs_key *key;
	char dir[512];
};

/* DIR/NAME; the last eight stay valid */
static inline char *ERR_PRINTF(2, 3)
	in_dir(const struct fixture *f, const char *fmt, ...)
{
	static char path[8][1400];
	static int n;
	size_t at;
	va_list ap;

	n = (n + 1) % 8;
	at = (size_t)snprintf(path[n], sizeof(path[n]), "%s/", f->dir);
	va_start(ap, fmt);
	vsnprintf(path[n] + at, sizeof(path[n]) - at, fmt, ap);
	va_end(ap);
	return path[n];
}

static inline void
put(const char *path, const char *text)
{
	struct ofs_error e;

	if (file_write_new(path, text, strlen(text), true, &e) != 0)
		fail_msg("%s", e.message);
}

/* in a child program, too: the log is made by whoever comes first */
static inline void
open_station(struct fixture *f, const char *label)
{
	char uri[100];

	snprintf(f->dir, sizeof(f->dir), "%s", softhsm_dir());
	snprintf(uri, sizeof(uri), "pkcs11:token=%s", label);
	f->ctx = softhsm_ctx(&f->seen);
	if (ofs_audit_open(f->ctx, in_dir(f, "audit"), OFS_AUDIT_CREATE,
		    &f->audit) != 0) {
		fprintf(stderr, "%s\n", ofs_ctx_error(f->ctx)->message);
		exit(1);
	}
	f->token = softhsm_open(f->ctx, uri);
}

static inline void
close_station(struct fixture *f)
{
	ofs_key_free(f->key);
	ofs_token_free(f->token);
	ofs_audit_free(f->audit);
	ofs_ctx_free(f->ctx);
}

static inline void
enroll_key(struct fixture *f, const char *uri, const struct ofs_enroll_opts *o,
	ofs_key **key)
{
	struct ofs_enrolled en;

	if (ofs_key_enroll(f->token, f->audit, uri, o, &en) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	ofs_enrolled_clear(&en);
	if (key != NULL)
		assert_int_equal(ofs_key_open(f->token, uri, 0, key), 0);
}

/* a new token with that label */
static inline struct fixture *
make_station(const char *label)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	softhsm_start();
	softhsm_init_token(label);
	open_station(f, label);
	return f;
}

/* the same, with a P-256 key and its certificate */
static inline struct fixture *
make_signer(const char *label, const char *uri)
{
	struct fixture *f = make_station(label);
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;

	o.key_type = "ec:P-256";
	o.subject = "/CN=Signer of a test";
	o.self_signed = true;
	o.days = 10;
	enroll_key(f, uri, &o, &f->key);
	return f;
}

static inline int
end_station(void **state)
{
	close_station(*state);
	free(*state);
	softhsm_stop();
	return 0;
}

static inline void
verify_log(struct fixture *f, struct ofs_audit_report *r)
{
	struct ofs_error e;

	if (ofs_audit_verify(f->audit, NULL, NULL, r) != 0) {
		ofs_audit_error(f->audit, &e);
		fail_msg("%s", e.message);
	}
}

static inline uint64_t
log_size(struct fixture *f)
{
	uint64_t n;

	assert_int_equal(ofs_audit_size(f->audit, &n), 0);
	return n;
}

#endif
