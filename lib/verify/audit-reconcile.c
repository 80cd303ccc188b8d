/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signature files that are found against those that the log knows. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <offlinesig/batch.h>
#include <offlinesig/keep.h>
#include <offlinesig/verify.h>

#include "audit/handle.h"
#include "audit/log_event.h"
#include "base/file.h"
#include "base/text.h"
#include "base/twins.h"
#include "crypto/digest.h"

/* tag of a file; without it, a record's number */
#define IS_FILE (UINT64_C(1) << 63)

/* A file that was found; its path follows in the spool. */
struct found {
	uint8_t sha256[32];
	uint64_t path_len;
};

enum file_state { UNSEEN, KNOWN, RENAMED };

struct reconcile {
	ofs_audit *a;
	ofs_reconcile_fn fn;
	void *arg;
	char **dirs; /* absolute */
	size_t n_dirs;
	struct spool files;
	struct buf at;        /* uint64_t: where each file is in it */
	struct twins by_hash; /* of contents */
	struct twins by_path;
	struct buf state;   /* a byte for each file: enum file_state */
	struct buf present; /* a bit for each record: nothing is missing */
	struct ofs_reconcile_report rep;
};

static size_t
n_files(const struct reconcile *r)
{
	return r->at.len / sizeof(uint64_t);
}

static void
find(struct reconcile *r, const char *id, const char *path, uint64_t seq,
	const char *text)
{
	struct ofs_reconcile_finding f = { sizeof(f), id, path, seq, text };

	if (r->fn != NULL)
		r->fn(r->arg, &f);
}

static int
hash_path(const char *path, size_t n, uint8_t out[32], struct ofs_error *e)
{
	return digest_of(&digest_sha256, path, n, out, e);
}

static int
add_file(struct reconcile *r, const char *path, struct ofs_error *e)
{
	struct found f = { .path_len = strlen(path) };
	uint64_t at = spool_size(&r->files), number = n_files(r), size;
	struct ofs_error why;
	uint8_t name[32];
	int rc;

	r->rep.files++;
	if (digest_file(&digest_sha256, path, f.sha256, &size, &why) != 0) {
		r->rep.unchecked++;
		find(r, "unreadable", path, 0, why.message);
		return 0;
	}
	rc = spool_append(&r->files, &f, sizeof(f), e);
	if (rc == 0)
		rc = spool_append(&r->files, path, f.path_len, e);
	if (rc == 0)
		rc = twins_add(&r->by_hash, f.sha256, IS_FILE | number, e);
	if (rc == 0)
		rc = hash_path(path, f.path_len, name, e);
	if (rc == 0)
		rc = twins_add(&r->by_path, name, IS_FILE | number, e);
	buf_put(&r->at, &at, sizeof(at));
	buf_u8(&r->state, UNSEEN);
	if (rc == 0 && (!buf_ok(&r->at) || !buf_ok(&r->state)))
		rc = err_nomem(e);
	return rc;
}

static int
see_file(
	void *arg, const char *path, const struct stat *st, struct ofs_error *e)
{
	struct reconcile *r = arg;

	if (st == NULL) {
		r->rep.unchecked++;
		find(r, "unreadable", path, 0, "it cannot be looked at");
		return 0;
	}
	return S_ISREG(st->st_mode) && ofs_is_signature_name(path)
		? add_file(r, path, e)
		: 0;
}

static bool
get_bit(const struct buf *b, uint64_t i)
{
	return i / 8 >= b->len || (b->p[i / 8] & 1u << (i % 8)) != 0;
}

static void
set_bit(struct buf *b, uint64_t i)
{
	if (i / 8 < b->len)
		b->p[i / 8] |= (uint8_t)(1u << (i % 8));
}

/* a signature that was handed out, and where to */
static bool
is_signed(const struct record_body *b, struct ofs_field *sum,
	struct ofs_field *path)
{
	struct ofs_field status;

	memset(path, 0, sizeof(*path));
	(void)record_body_find(b, "output_path", path);
	return record_body_find(b, "status", &status) &&
		status.number == REC_SIGNED &&
		record_body_find(b, "output_sha256", sum) && sum->len == 32;
}

static int
see_outcome(void *arg, uint64_t seq, const struct record_body *b,
	struct ofs_error *e)
{
	struct reconcile *r = arg;
	struct ofs_field sum, path;
	uint8_t name[32];
	int rc;

	if (!is_signed(b, &sum, &path))
		return 0;
	rc = twins_add(&r->by_hash, sum.bytes, seq, e);
	if (rc != 0 || path.len == 0)
		return rc;
	rc = hash_path((const char *)path.bytes, path.len, name, e);
	return rc == 0 ? twins_add(&r->by_path, name, seq, e) : rc;
}

/* an output that somebody gave up is not missed */
static int
see_release(void *arg, uint64_t seq, const struct record_body *b,
	struct ofs_error *e)
{
	struct reconcile *r = arg;
	struct ofs_field outcome, result;

	(void)seq, (void)e;
	if (record_body_find(b, "outcome_seq", &outcome) &&
		record_body_find(b, "result", &result) && result.len >= 9 &&
		memcmp(result.bytes, "discarded", 9) == 0)
		set_bit(&r->present, (uint64_t)outcome.number);
	return 0;
}

static int
see_pending(void *arg, const struct log_pending *p)
{
	struct reconcile *r = arg;

	set_bit(&r->present, p->outcome_seq);
	return 0;
}

/* records come before files, and files with one hash one after the other */
static int
see_same_bytes(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	struct reconcile *r = arg;

	(void)e;
	if ((second & IS_FILE) != 0 &&
		((first & IS_FILE) == 0 ||
			r->state.p[first & ~IS_FILE] == KNOWN))
		r->state.p[second & ~IS_FILE] = KNOWN;
	return 0;
}

/* the record in front of a file, or of a later record, has its successor */
static int
see_same_path(void *arg, uint64_t first, uint64_t second, struct ofs_error *e)
{
	struct reconcile *r = arg;

	(void)e;
	if ((first & IS_FILE) != 0)
		return 0;
	set_bit(&r->present, first);
	if ((second & IS_FILE) != 0 && r->state.p[second & ~IS_FILE] != KNOWN)
		r->state.p[second & ~IS_FILE] = RENAMED;
	return 0;
}

static bool
is_below(const struct reconcile *r, const char *path, size_t n)
{
	size_t i, len;

	for (i = 0; i < r->n_dirs; i++) {
		len = strlen(r->dirs[i]);
		if (n > len && memcmp(path, r->dirs[i], len) == 0 &&
			(path[len] == '/' || len == 1))
			return true;
	}
	return false;
}

static int
see_missing(void *arg, uint64_t seq, const struct record_body *b,
	struct ofs_error *e)
{
	struct reconcile *r = arg;
	struct ofs_field sum, path;
	struct stat st;
	char *name;

	if (get_bit(&r->present, seq) || !is_signed(b, &sum, &path) ||
		!is_below(r, (const char *)path.bytes, path.len))
		return 0;
	name = strndup((const char *)path.bytes, path.len);
	if (name == NULL)
		return err_nomem(e);
	if (lstat(name, &st) != 0 && errno == ENOENT) {
		r->rep.missing++;
		find(r, "missing-file", name, seq,
			"it was released there, and is gone");
	}
	free(name);
	return 0;
}

struct cert {
	uint8_t sha256[32];
	struct buf der; /* empty: there is none */
};

static int
take_cert(void *arg, const uint8_t sha256[32], const uint8_t *der, size_t n,
	struct ofs_error *e)
{
	struct cert *c = arg;

	memcpy(c->sha256, sha256, sizeof(c->sha256));
	buf_put(&c->der, der, n);
	return buf_ok(&c->der) ? 0 : err_nomem(e);
}

/* the first certificate that the log keeps, or the one behind c */
static int
next_cert(struct reconcile *r, struct cert *c, struct ofs_error *e)
{
	const uint8_t *after = c->der.len > 0 ? c->sha256 : NULL;
	bool nested;
	int rc;

	buf_reset(&c->der);
	rc = handle_enter(r->a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_cert_each(&r->a->store, after, 1, take_cert, c, e);
	handle_leave(r->a, nested);
	return rc;
}

static bool
is_valid(int code)
{
	return code == 0 || code == OFS_EUNTRUSTED;
}

/* the verdict over a raw signature, if this certificate's key has made it */
static int
try_cert(struct reconcile *r, const char *path, const struct cert *c,
	struct ofs_verdict *v, struct ofs_error *e)
{
	ofs_verifier *verifier;
	int rc = ofs_verifier_new(r->a->ctx, NULL, &verifier);

	if (rc != 0)
		return err_set(e, rc, "cannot verify '%s'", TEXT_Q(path));
	/* one that cannot be a signer's has not made it */
	v->code = ofs_verifier_signer(verifier, c->der.p, c->der.len);
	if (v->code == 0)
		(void)ofs_verify_file(verifier, path, NULL, v);
	ofs_verifier_free(verifier);
	return 0;
}

/*
 * A file may be large, and the log may have many certificates: nobody has to
 * wait for the log meanwhile. *v is set when the document cannot be read.
 */
static int
try_all(struct reconcile *r, const char *path, bool *ours,
	struct ofs_verdict *v, struct ofs_error *e)
{
	struct cert c = { .der = BUF_INIT };
	struct ofs_verdict tried;
	int rc;

	while ((rc = next_cert(r, &c, e)) == 0 && c.der.len > 0) {
		rc = try_cert(r, path, &c, &tried, e);
		*ours = rc == 0 && is_valid(tried.code);
		if (rc == 0 && tried.code == OFS_EIO)
			*v = tried;
		if (rc != 0 || *ours || tried.code == OFS_EIO)
			break;
	}
	buf_free(&c.der);
	return rc;
}

static int
is_known_cert(struct reconcile *r, const uint8_t sha256[32], bool *known,
	struct ofs_error *e)
{
	bool nested;
	int rc = handle_enter(r->a, &nested, e);

	if (rc != 0)
		return rc;
	rc = store_cert_has(&r->a->store, sha256, known, e);
	handle_leave(r->a, nested);
	return rc;
}

/* the verdict, and whether a key is known to have made it that the log knows */
static int
find_signer(struct reconcile *r, const char *path, bool *ours,
	struct ofs_verdict *v, struct ofs_error *e)
{
	ofs_verifier *verifier;
	size_t n = strlen(path);
	int rc;

	*ours = false;
	rc = ofs_verifier_new(r->a->ctx, NULL, &verifier);
	if (rc != 0)
		return err_set(e, rc, "cannot verify '%s'", TEXT_Q(path));
	(void)ofs_verify_file(verifier, path, NULL, v);
	ofs_verifier_free(verifier);
	if (n > 4 && strcmp(path + n - 4, ".sig") == 0)
		return try_all(r, path, ours, v, e);
	return is_valid(v->code) ? is_known_cert(r, v->cert_sha256, ours, e)
				 : 0;
}

/*
 * A file that no record has. It counts once: that a key of the log was used
 * weighs more than that another file stood there, and this more than whose it
 * is.
 */
static int
judge(struct reconcile *r, const char *path, enum file_state state,
	struct ofs_error *e)
{
	struct ofs_verdict v;
	bool ours;
	int rc = find_signer(r, path, &ours, &v, e);

	if (rc != 0)
		return rc;
	if (ours) {
		r->rep.unknown++;
		find(r, "unknown-signature", path, 0,
			"a key of this log has made it, and no record says so");
	} else if (state == RENAMED) {
		r->rep.changed++;
		find(r, "changed-file", path, 0,
			"a record has other bytes for this name");
	} else if (v.code == OFS_EIO) {
		r->rep.unchecked++;
		find(r, "unchecked-signature", path, 0, v.reason);
	} else {
		r->rep.foreign++;
		find(r, "foreign-signature", path, 0,
			v.code == OFS_ESIGNATURE || v.code == OFS_EUNREADABLE
				? v.reason
				: "it is by a key that this log does not know");
	}
	return 0;
}

static int
judge_file(struct reconcile *r, size_t i, struct ofs_error *e)
{
	struct found f;
	uint64_t at;
	char *path;
	int rc;

	if (r->state.p[i] == KNOWN) {
		r->rep.known++;
		return 0;
	}
	memcpy(&at, r->at.p + i * sizeof(at), sizeof(at));
	rc = spool_read(&r->files, at, &f, sizeof(f), e);
	if (rc != 0)
		return rc;
	path = calloc(1, (size_t)f.path_len + 1);
	if (path == NULL)
		return err_nomem(e);
	rc = spool_read(&r->files, at + sizeof(f), path, (size_t)f.path_len, e);
	if (rc == 0)
		rc = judge(r, path, (enum file_state)r->state.p[i], e);
	free(path);
	return rc;
}

static int
compare(struct reconcile *r, struct ofs_error *e)
{
	uint64_t size;
	size_t i;
	int rc;

	rc = log_count(r->a, &size, e);
	if (rc != 0)
		return rc;
	if (buf_grow(&r->present, (size_t)(size / 8 + 1)) == NULL)
		return err_nomem(e);
	memset(r->present.p, 0, r->present.len);
	/* what is appended from here on is not asked for */
	for (; size % 8 != 0 || size / 8 < r->present.len; size++)
		set_bit(&r->present, size);
	rc = log_each_of_type(r->a, OFS_REC_OUTCOME, see_outcome, r, e);
	if (rc == 0)
		rc = log_each_of_type(r->a, OFS_REC_RELEASE, see_release, r, e);
	if (rc == 0)
		rc = log_each_pending(r->a, 0, see_pending, r, e);
	if (rc == 0)
		rc = twins_each(&r->by_hash, see_same_bytes, r, e);
	if (rc == 0)
		rc = twins_each(&r->by_path, see_same_path, r, e);
	for (i = 0; i < n_files(r) && rc == 0; i++)
		rc = judge_file(r, i, e);
	if (rc == 0)
		rc = log_each_of_type(r->a, OFS_REC_OUTCOME, see_missing, r, e);
	return rc;
}

static int
record(struct reconcile *r, struct ofs_error *e)
{
	struct rec_log_event ev = {
		.event = "reconcile", .count = r->rep.files, .path = r->dirs[0]
	};
	char counts[256];

	snprintf(counts, sizeof(counts),
		"%llu known, %llu unknown, %llu changed, %llu foreign, "
		"%llu unchecked, %llu missing",
		(unsigned long long)r->rep.known,
		(unsigned long long)r->rep.unknown,
		(unsigned long long)r->rep.changed,
		(unsigned long long)r->rep.foreign,
		(unsigned long long)r->rep.unchecked,
		(unsigned long long)r->rep.missing);
	ev.reason = counts;
	return log_event_record(r->a, &ev, &r->rep.seq, e);
}

static int
walk(struct reconcile *r, const char *const *dirs, size_t n,
	struct ofs_error *e)
{
	int rc = 0;

	if (n == 0)
		return err_set(e, OFS_EINVAL, "no directory was named");
	r->dirs = calloc(n, sizeof(*r->dirs));
	if (r->dirs == NULL)
		return err_nomem(e);
	for (; r->n_dirs < n && rc == 0; r->n_dirs++) {
		r->dirs[r->n_dirs] = realpath(dirs[r->n_dirs], NULL);
		if (r->dirs[r->n_dirs] == NULL)
			return err_sys(e, OFS_EIO, errno,
				"cannot find directory '%s'",
				TEXT_Q(dirs[r->n_dirs]));
		rc = file_tree(r->dirs[r->n_dirs], see_file, r, e);
	}
	return rc;
}

static void
reconcile_free(struct reconcile *r)
{
	for (size_t i = 0; i < r->n_dirs; i++)
		free(r->dirs[i]);
	free(r->dirs);
	spool_free(&r->files);
	twins_free(&r->by_hash);
	twins_free(&r->by_path);
	buf_free(&r->at);
	buf_free(&r->state);
	buf_free(&r->present);
}

int
ofs_audit_reconcile(ofs_audit *audit, const char *const *dirs, size_t n_dirs,
	ofs_reconcile_fn fn, void *arg, struct ofs_reconcile_report *out)
{
	struct reconcile r = { .a = audit,
		.fn = fn,
		.arg = arg,
		.rep = { .size = sizeof(r.rep) } };
	struct ofs_error e;
	int rc = 0;

	spool_init(&r.files, log_place(audit));
	twins_init(&r.by_hash, log_place(audit));
	twins_init(&r.by_path, log_place(audit));
	if (log_read_only(audit))
		rc = err_set(&e, OFS_EAUDIT,
			"cannot reconcile with '%s': it was opened read-only, "
			"and what is found is recorded",
			TEXT_Q(log_place(audit)));
	if (rc == 0)
		rc = walk(&r, dirs, n_dirs, &e);
	if (rc == 0)
		rc = compare(&r, &e);
	if (rc == 0)
		rc = record(&r, &e);
	if (rc == 0 &&
		r.rep.unknown + r.rep.changed + r.rep.unchecked +
				r.rep.missing >
			0)
		rc = err_set(&e, OFS_EITEMS,
			"signature files and records do not agree");
	reconcile_free(&r);
	if (out != NULL)
		*out = r.rep;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
