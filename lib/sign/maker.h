/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a batch makes of each document: algorithm, format, certificates. */
#ifndef SIGN_MAKER_H
#define SIGN_MAKER_H

#include <stdatomic.h>

#include <openssl/x509.h>

#include <offlinesig/batch.h>

#include "crypto/alg.h"
#include "format/cms.h"
#include "sign/chunk.h"
#include "token/key.h"

struct plan;

/*
 * Immutable once the batch runs: every thread of it shares it. maker_init sets
 * all but what stands last.
 */
struct maker {
	const ofs_ctx *ctx;
	enum ofs_format format;
	enum ofs_existing existing;
	enum ofs_duplicate duplicate; /* resolved: never the default */
	const struct alg *alg;
	bool low_s;
	bool message;  /* raw: the document itself is signed, not its hash */
	EVP_PKEY *pub; /* the key's; borrowed */
	X509 *cert;    /* NULL: raw without one */
	STACK_OF(X509) *chain;    /* to embed, no root; NULL */
	struct cms_maker *cms;    /* NULL for raw */
	ofs_validate_fn validate; /* asked about each document; NULL */
	void *validate_arg;
	const struct plan *planned; /* what each must still be; NULL */
};

/* OFS_EKEY, OFS_ECERT, OFS_EUNSUPPORTED as ofs_batch_new() says */
int maker_init(struct maker *m, ofs_ctx *ctx, ofs_key *key,
	const struct ofs_sign_opts *opts, struct ofs_error *e);
/* the same key, opened with a login: the token may want another algorithm */
int maker_set_key(struct maker *m, ofs_key *key,
	const struct ofs_sign_opts *opts, struct ofs_error *e);
void maker_clear(struct maker *m);

/*
 * Prepares an item: reads and hashes the document, checks it against what the
 * list says, builds the bytes to be signed. Sets status and err itself; a work
 * that can be signed comes back `ready`, one that `stop` cut short as not
 * attempted. Needs no token.
 */
struct prepare {
	struct digest digest, sha256;
	/* for other threads */
	atomic_uint_fast64_t bytes; /* of documents read so far */
	atomic_bool stop; /* give up, also in the middle of a document */
};
void maker_prepare(const struct maker *m, struct prepare *p, struct work *w);
/*
 * Of that, only the reading: w->digest, w->size and the content where it is
 * needed. Fills w->err, and returns OFS_EINTR when `stop` cut it short.
 */
int maker_read(const struct maker *m, struct prepare *p, struct work *w);
/*
 * Whether documents that are not here can be signed, by a digest of `len`
 * bytes: OFS_EUNSUPPORTED, OFS_EINVAL.
 */
int maker_check_digest(const struct maker *m, size_t len, struct ofs_error *e);
void prepare_free(struct prepare *p);

/* What the token is asked for; borrowed from w, which is ready. */
void maker_to_sign(
	const struct maker *m, const struct work *w, struct to_sign *t);

/* The finished file from the signature value: w->out and w->out_sha256. */
int maker_finish(const struct maker *m, struct work *w, struct ofs_error *e);

#endif
