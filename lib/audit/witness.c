/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A witness: cosigns checkpoints of logs that it has seen to grow only. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <offlinesig/checkpoint.h>

#include "audit/auditkey.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/text.h"
#include "format/proof.h"

/* What is asked for, and what the witness remembers. */
struct asked {
	struct proof proof; /* n and index are 0 for a bare checkpoint */
	const char *note;
	size_t note_len;
	struct note parsed;
	struct checkpoint now;
	struct buf last_note; /* empty: none was cosigned yet */
	struct checkpoint last;
	char *path; /* of what is remembered */
};

static void
asked_free(struct asked *a)
{
	proof_free(&a->proof);
	note_free(&a->parsed);
	buf_free(&a->last_note);
	free(a->path);
}

/* a checkpoint by itself, or behind a proof of growth */
static int
read_request(struct asked *a, const char *p, size_t n, struct ofs_error *e)
{
	int rc;

	a->note = p;
	a->note_len = n;
	if (n >= 4 && memcmp(p, "old ", 4) == 0) {
		rc = proof_parse(p, n, &a->proof, e);
		if (rc != 0)
			return rc;
		a->note = a->proof.note;
		a->note_len = a->proof.note_len;
	}
	rc = note_parse(a->note, a->note_len, &a->parsed, e);
	if (rc == 0)
		rc = checkpoint_parse(
			a->parsed.text, a->parsed.text_len, &a->now, e);
	return rc;
}

static int
check_log(const struct asked *a, const char *vkey, struct ofs_error *e)
{
	struct note_key k;
	bool found;
	int rc;

	rc = note_key_given(vkey, &k, e);
	if (rc != 0)
		return rc;
	rc = note_check(&a->parsed, &k, &found, NULL, e);
	if (rc == 0 && !found)
		rc = err_set(e, OFS_ESIGNATURE,
			"the checkpoint is not signed by '%s'", TEXT_Q(k.name));
	note_key_free(&k);
	return rc;
}

/* DIR/SHA256(origin).checkpoint */
static int
remember(struct asked *a, const char *dir, struct ofs_error *e)
{
	struct ofs_error why;
	struct note last;
	uint8_t sum[32];
	char name[80];
	int rc;

	rc = digest_of(
		&digest_sha256, a->now.origin, strlen(a->now.origin), sum, e);
	if (rc != 0)
		return rc;
	hex_encode(name, sum, sizeof(sum));
	memcpy(name + 64, ".checkpoint", sizeof(".checkpoint"));
	a->path = file_join(dir, name);
	if (a->path == NULL)
		return err_nomem(e);
	if (access(a->path, F_OK) != 0 && errno == ENOENT)
		return 0;
	rc = file_read(a->path, NOTE_MAX, &a->last_note, e);
	if (rc != 0)
		return rc;
	rc = note_parse(a->last_note.p, a->last_note.len, &last, &why);
	if (rc == 0) {
		rc = checkpoint_parse(last.text, last.text_len, &a->last, &why);
		note_free(&last);
	}
	return rc == 0 ? 0
		       : err_set(e, OFS_EIO,
				 "cannot read what this witness remembers, "
				 "'%s': %s; restore it from a backup",
				 TEXT_Q(a->path), why.message);
}

static int
check_growth(const struct asked *a, struct ofs_error *e)
{
	uint64_t last = a->last_note.len > 0 ? a->last.size : 0;

	if (a->now.size < last)
		return err_set(e, OFS_ESIGNATURE,
			"the log '%s' shrank: %" PRIu64
			" records were cosigned, and this checkpoint is of "
			"%" PRIu64,
			TEXT_Q(a->now.origin), last, a->now.size);
	if (last == 0 || (a->now.size == last && !a->proof.growth))
		return last == 0 || memcmp(a->now.root, a->last.root, 32) == 0
			? 0
			: err_set(e, OFS_ESIGNATURE,
				  "two checkpoints of %" PRIu64
				  " records of '%s' differ: keep both, they "
				  "prove that the log was forged",
				  last, TEXT_Q(a->now.origin));
	if (!a->proof.growth || a->proof.index != last)
		return err_set(e, OFS_EINVAL,
			"this witness has cosigned %" PRIu64
			" records of '%s'; bring a proof that the log grew "
			"from there: ofs-audit prove --since %" PRIu64,
			last, TEXT_Q(a->now.origin), last);
	return merkle_check_consistency(last, a->now.size,
		(const uint8_t(*)[MERKLE_HASH])a->proof.hash, a->proof.n,
		a->last.root, a->now.root, e);
}

static int
sign_line(const struct asked *a, EVP_PKEY *key, const char *name, int64_t time,
	struct buf *to, struct ofs_error *e)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	struct buf text = BUF_INIT;
	struct note_key k;
	uint8_t sig[64];
	size_t n = sizeof(sig);
	int rc;

	rc = note_key_make(name, NOTE_COSIGNATURE, key, &k, e);
	note_signed_bytes(NOTE_COSIGNATURE, time, a->parsed.text,
		a->parsed.text_len, &text);
	if (rc == 0 && (ctx == NULL || !buf_ok(&text)))
		rc = err_nomem(e);
	if (rc == 0 &&
		(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
			EVP_DigestSign(ctx, sig, &n, text.p, text.len) != 1))
		rc = err_ssl(e, OFS_EINTERNAL, "cannot cosign");
	if (rc == 0) {
		buf_put(to, a->note, a->note_len);
		note_sig_line(&k, time, sig, n, to);
		rc = buf_cstr(to) != NULL ? 0 : err_nomem(e);
		note_key_free(&k);
	}
	EVP_MD_CTX_free(ctx);
	buf_free(&text);
	return rc;
}

/* what two processes would cosign at once could contradict itself */
static int
lock_state(const char *dir, int *fd, struct ofs_error *e)
{
	char *path;
	int rc;

	rc = file_mkdirs(dir, 0700, e);
	if (rc != 0)
		return rc;
	path = file_join(dir, "lock");
	if (path == NULL)
		return err_nomem(e);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0 || flock(*fd, LOCK_EX) != 0)
		rc = err_sys(
			e, OFS_EIO, errno, "cannot lock '%s'", TEXT_Q(path));
	free(path);
	return rc;
}

/* checks, then remembers, and only then gives the cosignature away */
static int
cosign(ofs_ctx *ctx, struct asked *a, const struct ofs_witness_opts *o,
	struct buf *out, struct ofs_error *e)
{
	EVP_PKEY *key = NULL;
	char *path = NULL;
	bool made;
	int rc;

	rc = check_log(a, o->vkey, e);
	if (rc == 0)
		rc = remember(a, o->dir, e);
	if (rc == 0)
		rc = check_growth(a, e);
	if (rc == 0)
		rc = file_absolute(o->key_file, &path, e);
	if (rc == 0)
		rc = auditkey_open_file(NULL, path, &made, &key, e);
	if (rc == 0)
		rc = sign_line(a, key, o->name, ctx_now(ctx) / 1000000, out, e);
	if (rc == 0)
		rc = file_write_new(a->path, out->p, out->len, true, e);
	EVP_PKEY_free(key);
	free(path);
	return rc;
}

static int
lacks(struct ofs_error *e)
{
	return err_set(e, OFS_EINVAL,
		"a witness has a directory, a key and a name, and the verifier "
		"key of the log");
}

/* who the witness is */
static int
check_opts(const struct ofs_witness_opts *o, struct ofs_error *e)
{
	return o == NULL || o->size != sizeof(*o) || o->key_file == NULL ||
			o->name == NULL
		? lacks(e)
		: 0;
}

int
ofs_witness_cosign(ofs_ctx *ctx, const void *request, size_t n,
	const struct ofs_witness_opts *opts, char **note)
{
	struct asked a = { .note = NULL };
	struct buf out = BUF_INIT;
	struct ofs_error e;
	int rc, fd = -1;
	size_t len;

	*note = NULL;
	rc = check_opts(opts, &e);
	if (rc == 0 && (opts->dir == NULL || opts->vkey == NULL))
		rc = lacks(&e);
	if (rc == 0)
		rc = read_request(&a, request, n, &e);
	if (rc == 0)
		rc = lock_state(opts->dir, &fd, &e);
	if (rc == 0)
		rc = cosign(ctx, &a, opts, &out, &e);
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		*note = (char *)buf_take(&out, &len);
	buf_free(&out);
	asked_free(&a);
	return rc != 0 ? ctx_fail(ctx, &e) : 0;
}

int
ofs_witness_vkey(ofs_ctx *ctx, const struct ofs_witness_opts *opts, char **vkey)
{
	struct note_key k = { .pub = NULL };
	struct buf text = BUF_INIT;
	EVP_PKEY *key = NULL;
	char *path = NULL;
	struct ofs_error e;
	size_t len;
	bool made;
	int rc;

	*vkey = NULL;
	rc = check_opts(opts, &e);
	if (rc == 0)
		rc = file_absolute(opts->key_file, &path, &e);
	if (rc == 0)
		rc = auditkey_open_file(NULL, path, &made, &key, &e);
	if (rc == 0)
		rc = note_key_make(opts->name, NOTE_COSIGNATURE, key, &k, &e);
	if (rc == 0)
		rc = note_key_text(&k, &text, &e);
	if (rc == 0)
		*vkey = (char *)buf_take(&text, &len);
	buf_free(&text);
	note_key_free(&k);
	EVP_PKEY_free(key);
	free(path);
	return rc != 0 ? ctx_fail(ctx, &e) : 0;
}
