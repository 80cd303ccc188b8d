/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hash algorithms in use, and streaming over them. */
#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H

#include <openssl/evp.h>

#include <offlinesig/types.h>

#include "base/err.h"

#define DIGEST_MAX 64

struct digest_alg {
	enum ofs_digest id;
	const char *name; /* "sha256", as records and options spell it */
	size_t size;      /* bytes */
	int nid;          /* NID_sha256 */
	const EVP_MD *(*md)(void);
	const uint8_t *di;  /* DER DigestInfo up to the hash, RFC 8017 9.2 */
	size_t di_len;      /* 0: RSA does not go with it */
	const uint8_t *der; /* DER AlgorithmIdentifier as CMS has it */
	size_t der_len;
};

/* the whole list, for static tables of other files */
extern const struct digest_alg digest_sha256, digest_sha384, digest_sha512,
	digest_shake256;

const struct digest_alg *digest_by_id(enum ofs_digest id); /* NULL: none */
const struct digest_alg *digest_by_name(const char *name); /* NULL: none */
const struct digest_alg *digest_by_nid(int nid);           /* NULL: none */

/* One-shot; 0 or OFS_EINTERNAL. `out` has room for alg->size bytes. */
int digest_of(const struct digest_alg *alg, const void *p, size_t n,
	uint8_t *out, struct ofs_error *e);

/* Streaming, reusable: begin, update any number of times, end. */
struct digest {
	EVP_MD_CTX *ctx;
	const struct digest_alg *alg;
};
int digest_begin(
	struct digest *d, const struct digest_alg *alg, struct ofs_error *e);
int digest_update(
	struct digest *d, const void *p, size_t n, struct ofs_error *e);
int digest_end(struct digest *d, uint8_t *out, struct ofs_error *e);
void digest_free(struct digest *d);

/* digests and hashes a file in one pass with file_stream */
int digest_file(const struct digest_alg *alg, const char *path, uint8_t *out,
	uint64_t *size, struct ofs_error *e);

#endif
