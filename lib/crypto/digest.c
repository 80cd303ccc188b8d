/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hash algorithms in use, and streaming over them. */
#include <string.h>

#include <openssl/objects.h>

#include "base/file.h"
#include "crypto/digest.h"

/* RFC 8017 9.2, note 1 */
static const uint8_t di_sha256[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04,
	0x20 };
static const uint8_t di_sha384[] = { 0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04,
	0x30 };
static const uint8_t di_sha512[] = { 0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60,
	0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04,
	0x40 };

/* RFC 5754 2: SHA-2 identifiers are written without parameters */
#define HASH_ALGS 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02
static const uint8_t der_sha256[] = { 0x30, 0x0b, 0x06, 0x09, HASH_ALGS, 0x01 };
static const uint8_t der_sha384[] = { 0x30, 0x0b, 0x06, 0x09, HASH_ALGS, 0x02 };
static const uint8_t der_sha512[] = { 0x30, 0x0b, 0x06, 0x09, HASH_ALGS, 0x03 };
/* RFC 8419 3.1: with signed attributes id-shake256-len, 512 bits */
static const uint8_t der_shake256[] = { 0x30, 0x0f, 0x06, 0x09, HASH_ALGS, 0x12,
	0x02, 0x02, 0x02, 0x00 };

const struct digest_alg digest_sha256 = { OFS_DIGEST_SHA256, "sha256", 32,
	NID_sha256, EVP_sha256, di_sha256, sizeof(di_sha256), der_sha256,
	sizeof(der_sha256) };
const struct digest_alg digest_sha384 = { OFS_DIGEST_SHA384, "sha384", 48,
	NID_sha384, EVP_sha384, di_sha384, sizeof(di_sha384), der_sha384,
	sizeof(der_sha384) };
const struct digest_alg digest_sha512 = { OFS_DIGEST_SHA512, "sha512", 64,
	NID_sha512, EVP_sha512, di_sha512, sizeof(di_sha512), der_sha512,
	sizeof(der_sha512) };
const struct digest_alg digest_shake256 = { OFS_DIGEST_SHAKE256, "shake256", 64,
	NID_shake256, EVP_shake256, NULL, 0, der_shake256,
	sizeof(der_shake256) };

static const struct digest_alg *const algs[] = { &digest_sha256, &digest_sha384,
	&digest_sha512, &digest_shake256 };

#define N_ALGS (sizeof(algs) / sizeof(algs[0]))

const struct digest_alg *
digest_by_id(enum ofs_digest id)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i]->id == id)
			return algs[i];
	return NULL;
}

const struct digest_alg *
digest_by_name(const char *name)
{
	for (size_t i = 0; name != NULL && i < N_ALGS; i++)
		if (strcmp(algs[i]->name, name) == 0)
			return algs[i];
	return NULL;
}

const struct digest_alg *
digest_by_nid(int nid)
{
	for (size_t i = 0; i < N_ALGS; i++)
		if (algs[i]->nid == nid)
			return algs[i];
	return NULL;
}

/* a function of any length gives as much as it is asked for */
static bool
is_xof(const struct digest_alg *alg)
{
	return alg->id == OFS_DIGEST_SHAKE256;
}

int
digest_of(const struct digest_alg *alg, const void *p, size_t n, uint8_t *out,
	struct ofs_error *e)
{
	struct digest d = { NULL, NULL };
	int err;

	if (!is_xof(alg)) {
		if (EVP_Digest(p, n, out, NULL, alg->md(), NULL) != 1)
			return err_ssl(e, OFS_EINTERNAL, "cannot hash with %s",
				alg->name);
		return 0;
	}
	err = digest_begin(&d, alg, e);
	if (err == 0)
		err = digest_update(&d, p, n, e);
	if (err == 0)
		err = digest_end(&d, out, e);
	digest_free(&d);
	return err;
}

int
digest_begin(
	struct digest *d, const struct digest_alg *alg, struct ofs_error *e)
{
	/* the same algorithm again: OpenSSL need not look it up (170 ns) */
	const EVP_MD *md = d->alg == alg ? NULL : alg->md();

	if (d->ctx == NULL) {
		d->ctx = EVP_MD_CTX_new();
		md = alg->md();
	}
	if (d->ctx == NULL)
		return err_nomem(e);
	d->alg = NULL;
	if (EVP_DigestInit_ex(d->ctx, md, NULL) != 1)
		return err_ssl(
			e, OFS_EINTERNAL, "cannot hash with %s", alg->name);
	d->alg = alg;
	return 0;
}

int
digest_update(struct digest *d, const void *p, size_t n, struct ofs_error *e)
{
	if (n > 0 && EVP_DigestUpdate(d->ctx, p, n) != 1)
		return err_ssl(
			e, OFS_EINTERNAL, "cannot hash with %s", d->alg->name);
	return 0;
}

int
digest_end(struct digest *d, uint8_t *out, struct ofs_error *e)
{
	int ok = is_xof(d->alg) ? EVP_DigestFinalXOF(d->ctx, out, d->alg->size)
				: EVP_DigestFinal_ex(d->ctx, out, NULL);

	if (ok != 1)
		return err_ssl(
			e, OFS_EINTERNAL, "cannot hash with %s", d->alg->name);
	return 0;
}

void
digest_free(struct digest *d)
{
	EVP_MD_CTX_free(d->ctx);
	d->ctx = NULL;
	d->alg = NULL;
}

static int
update_block(void *arg, const uint8_t *p, size_t n, struct ofs_error *e)
{
	return digest_update(arg, p, n, e);
}

int
digest_file(const struct digest_alg *alg, const char *path, uint8_t *out,
	uint64_t *size, struct ofs_error *e)
{
	struct digest d = { NULL, NULL };
	int err;

	*size = 0;
	err = digest_begin(&d, alg, e);
	if (err == 0)
		err = file_stream(path, update_block, &d, size, e);
	if (err == 0)
		err = digest_end(&d, out, e);
	if (err != 0)
		*size = 0;
	digest_free(&d);
	return err;
}
