/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A batch: a list of documents, planned, signed with one key, recorded. */
#ifndef OFFLINESIG_BATCH_H
#define OFFLINESIG_BATCH_H

#include <offlinesig/sign.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Counts while a batch runs and at its end. */
struct ofs_progress {
	size_t size;
	size_t items; /* in the batch */
	size_t signed_items;
	size_t failed, skipped, not_attempted, unknown;
	uint64_t bytes;             /* of documents read */
	int64_t elapsed;            /* us since the run began */
	bool stopped;               /* cancelled, or stopped on an error */
	char batch_id[33];          /* hex; "" before the batch is opened */
	size_t copied, copy_failed; /* second copies, with opts.copy_dir */
	char resumes[33]; /* batch that this one goes on with, hex; "": none */
	size_t resumed;   /* items that it and its successors have signed */
};

/*
 * Called from the thread that runs the batch, after a signature is recorded
 * and released, in the order of release. A result with `signature` set hands
 * over the bytes of a memory item.
 */
typedef void (*ofs_result_fn)(void *arg, const struct ofs_result *res);
typedef void (*ofs_progress_fn)(void *arg, const struct ofs_progress *p);

/* A document that somebody is asked about before it is signed. */
struct ofs_document {
	size_t size;
	size_t index;      /* in the order of adding */
	const char *path;  /* as given */
	int fd;            /* open for reading, at the beginning; -1: memory */
	const void *bytes; /* of a memory item */
	uint64_t document_size;
	uint8_t sha256[32]; /* of what will be signed if it is accepted */
};

/*
 * Returns 0 to accept, OFS_EINTR when it was itself told to stop, or another
 * negative code to refuse the document; it may put the reason, a text of less
 * than `size` bytes, into `message`. Called from a thread of the library, for
 * one document at a time.
 */
typedef int (*ofs_validate_fn)(
	void *arg, const struct ofs_document *doc, char *message, size_t size);

/*
 * ofs_batch_new: a batch for one key. `audit` is required: there is no
 * signing without a record. opts are copied. key and audit are borrowed until
 * ofs_batch_free. A key opened with OFS_KEY_PUBLIC_ONLY can only plan.
 * Errors, in ctx's record: OFS_EKEY (CMS without a certificate), OFS_ECERT
 * (another key's, or out of its validity), OFS_EUNSUPPORTED.
 */
int ofs_batch_new(ofs_ctx *ctx, ofs_key *key, ofs_audit *audit,
	const struct ofs_sign_opts *opts, ofs_batch **out);
void ofs_batch_free(ofs_batch *batch);
/*
 * ofs_batch_add_key: one more key (borrowed) that holds the same key pair: a
 * cloned card, another partition of an HSM. The work spreads over all of them,
 * and goes on while one of them is left. One that is in the batch already, but
 * was opened with OFS_KEY_PUBLIC_ONLY, is replaced. Errors: OFS_EKEY (another
 * public key), OFS_EINVAL (named twice, or the batch has run).
 */
int ofs_batch_add_key(ofs_batch *batch, ofs_key *key);
/* of an open-ended batch: of the last call by this thread */
const struct ofs_error *ofs_batch_error(const ofs_batch *batch);

void ofs_batch_on_result(ofs_batch *batch, ofs_result_fn fn, void *arg);
/* at least every 200 ms while the batch runs */
void ofs_batch_on_progress(ofs_batch *batch, ofs_progress_fn fn, void *arg);
/*
 * ofs_batch_on_validate: asked about every document after it was hashed and
 * before anything of it reaches the token or the log. One that is refused
 * fails with that code, and the reason is in its result and its record. A
 * document that changes meanwhile fails with OFS_EIO, so that what was
 * accepted is what is signed.
 */
void ofs_batch_on_validate(ofs_batch *batch, ofs_validate_fn fn, void *arg);

/*
 * With opts->open_ended ofs_batch_add_file, _item, _bytes and _digest may be
 * called by any thread while the batch runs. What is
 * added is signed at once. Up to 1,024 documents wait; then a call waits for
 * room, but one from a callback of the batch fails with OFS_EINVAL. When one
 * returns 0, the document is in the batch and will have a result; otherwise the
 * batch goes on without it. OFS_EEXIST: its output is, or is to be, that of
 * another document, or one of the documents. OFS_EFORMAT: its id was given
 * before, or it is beyond max_items or max_bytes. OFS_EINTR: the batch was
 * cancelled or has stopped. OFS_EINVAL: it was ended, or the item is wrong.
 * A document costs up to 90 bytes of memory until the end, an id 45 more.
 *
 * ofs_batch_add_file: one document. `sha256` (32 bytes, copied) may be NULL;
 * when given, a document with another hash fails with OFS_EMISMATCH and is not
 * signed. Nothing is read yet. The path is copied.
 */
int ofs_batch_add_file(
	ofs_batch *batch, const char *path, const uint8_t *sha256);
/*
 * ofs_batch_add_tree: every regular file below `dir`, sorted by name;
 * signature files (ofs_is_signature_name) and hidden temporary files of ours
 * are passed over, links and special files are not followed.
 */
int ofs_batch_add_tree(ofs_batch *batch, const char *dir);
/*
 * ofs_batch_add_sums: the documents that a SHA256SUMS file lists (sha256sum's
 * output, escaped names included), relative to the directory of that file.
 * The whole file is checked before anything is added: OFS_EFORMAT names the
 * line.
 */
int ofs_batch_add_sums(ofs_batch *batch, const char *sums_path);
/* ofs_batch_add_item: one document with all that is known of it; copied */
int ofs_batch_add_item(ofs_batch *batch, const struct ofs_item *item);
/*
 * ofs_batch_add_manifest: the documents of a JSON Lines file, one object a
 * line: {"path", "sha256"?, "id"?, "name"?, "version"?, "media_type"?}, texts
 * as in struct ofs_item. `path` may be "-", the standard input. With `root`
 * (or NULL) paths are relative to that directory, and none may leave it, by
 * name or by a link: what is outside is not read later, either. Without it
 * they are relative to the directory of the manifest. The whole file is
 * checked before anything is added: OFS_EFORMAT names the line; OFS_EINVAL:
 * there is none.
 */
int ofs_batch_add_manifest(
	ofs_batch *batch, const char *path, const char *root);
/*
 * ofs_batch_add_digest: a document that is not here, by a digest that was made
 * elsewhere, of `len` bytes and with the digest algorithm of the batch. Its
 * path tells where the signature goes and is recorded; nothing is read there.
 * Copied. The records say that the document was not seen. Errors:
 * OFS_EUNSUPPORTED (the key was not enrolled or adopted for digests, with
 * use_digest; cms-attached; raw EdDSA; ofs_batch_on_validate), OFS_EINVAL.
 */
int ofs_batch_add_digest(ofs_batch *batch, const struct ofs_item *item,
	const uint8_t *digest, size_t len);
/*
 * ofs_batch_add_digests: all that a list like SHA256SUMS has, "-" the standard
 * input, with the digest algorithm of the batch; names as with
 * ofs_batch_add_sums. OFS_EFORMAT names the line; OFS_EINVAL: it is empty.
 */
int ofs_batch_add_digests(ofs_batch *batch, const char *path);
/* What stands between names. */
enum ofs_names {
	OFS_NAMES_AUTO, /* NUL if there is one at the beginning of the list */
	OFS_NAMES_LINES,
	OFS_NAMES_NUL
};
/*
 * ofs_batch_add_names: the documents that a list of bare names has, as find(1)
 * writes it. All as for a manifest, but without `root` names are relative to
 * the working directory.
 */
int ofs_batch_add_names(ofs_batch *batch, const char *path, const char *root,
	enum ofs_names how);
/*
 * ofs_batch_add_bytes: a document in memory (borrowed until the run ends);
 * its signature goes to the result callback and not to a file. `name` goes to
 * the record.
 */
int ofs_batch_add_bytes(
	ofs_batch *batch, const char *name, const void *p, size_t n);

/*
 * ofs_batch_plan: reads and checks every item without touching the token:
 * readable, digest as listed, output free, outputs distinct, raw input
 * harmless. Each item goes to the result callback (OFS_ITEM_NOT_ATTEMPTED
 * when it could be signed). Returns 0, or OFS_EITEMS when some cannot be;
 * OFS_EFORMAT, here and from ofs_batch_run, when two items have one id or the
 * batch is beyond its limits, before anything is read. What it found is in
 * ofs_batch_get_plan(). ofs_batch_run may follow on the same handle, once
 * ofs_batch_add_key() has replaced keys opened with OFS_KEY_PUBLIC_ONLY: it
 * signs what was planned, and a document that changed since, or could not be
 * signed then, fails with OFS_EMISMATCH.
 */
int ofs_batch_plan(ofs_batch *batch, struct ofs_progress *out);

/*
 * ofs_batch_run: signs everything, once for each handle. First it finishes
 * what crashed batches of this log left: recorded outputs are released,
 * intents without an outcome are marked unknown.
 * Returns 0 when every item is signed or skipped, OFS_EITEMS when some failed,
 * OFS_EINTR when cancelled, OFS_EIO when all is signed and some second copy
 * could not be made, or what stopped the batch: OFS_EAUDIT, OFS_ETOKEN,
 * OFS_EBADSIG... *out is filled in every case.
 */
int ofs_batch_run(ofs_batch *batch, struct ofs_progress *out);

/*
 * ofs_batch_end: any thread. No more documents come: an open-ended batch ends
 * when those that were added are signed. An ofs_batch_add_* that waits for room
 * is refused. Returns 0; OFS_EINVAL: the batch is not open-ended.
 */
int ofs_batch_end(ofs_batch *batch);

/*
 * ofs_batch_abandon: gives up the unfinished list whose batch has this id, or
 * an id that begins so (at least 4 hexadecimal digits), as
 * ofs_audit_each_unfinished() shows it; recorded with the reason. What crashed
 * batches left is finished first, as by ofs_batch_run(). Nothing that is
 * recorded or released changes, but nobody can go on with the list: begun
 * again, it is a new one, and items whose outcome was unknown are signed.
 * OFS_EINVAL (no such id), OFS_EFORMAT (no list or more than one has it),
 * OFS_EEXIST (a run is at it); errors are those of the context.
 */
int ofs_batch_abandon(
	ofs_ctx *ctx, ofs_audit *audit, const char *id, const char *reason);

/* ofs_batch_cancel: any thread, also from a signal handler. The chunk in the
 * token is finished, recorded and released; the rest is not attempted. */
void ofs_batch_cancel(ofs_batch *batch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
