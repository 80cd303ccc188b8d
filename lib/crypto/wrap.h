/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of 32 bytes, wrapped: by another key, a passphrase, a certificate. */
#ifndef CRYPTO_WRAP_H
#define CRYPTO_WRAP_H

#include <openssl/x509.h>

#include "base/buf.h"
#include "base/err.h"

#define WRAP_KEY 32
#define WRAP_KWP_SIZE 40
#define WRAP_SALT 16

/*
 * All that unwrap take outside bytes: OFS_EDAMAGED when these are malformed or
 * made for another key. Keys are wiped on failure.
 */

/* AES-256-KWP, RFC 5649 */
int wrap_kwp(const uint8_t kek[WRAP_KEY], const uint8_t key[WRAP_KEY],
	uint8_t out[WRAP_KWP_SIZE], struct ofs_error *e);
int wrap_kwp_open(const uint8_t kek[WRAP_KEY], const uint8_t *p, size_t n,
	uint8_t key[WRAP_KEY], struct ofs_error *e);

/*
 * scrypt (RFC 7914) makes a key of a passphrase, that key does the rest. What
 * is stored: byte 1, byte log2(N), u32 r, u32 p, salt, AES-KWP.
 */
struct wrap_scrypt {
	uint8_t log_n;
	uint32_t r, p;
	uint8_t salt[WRAP_SALT];
};
#define WRAP_SCRYPT_SIZE (10 + WRAP_SALT + WRAP_KWP_SIZE)

/* N = 2^17, r = 8, p = 1 (128 MiB), and a salt of its own */
int wrap_scrypt_init(struct wrap_scrypt *s, struct ofs_error *e);
int wrap_scrypt_key(const struct wrap_scrypt *s, const char *passphrase,
	uint8_t kek[WRAP_KEY], struct ofs_error *e);
void wrap_scrypt_put(const struct wrap_scrypt *s,
	const uint8_t kwp[WRAP_KWP_SIZE], uint8_t out[WRAP_SCRYPT_SIZE]);
/* bounds what the key may cost; *kwp is borrowed from p */
int wrap_scrypt_parse(const uint8_t *p, size_t n, struct wrap_scrypt *s,
	const uint8_t **kwp, struct ofs_error *e);

/*
 * An RSA key on a token opens a key: RSAES-OAEP (RFC 8017 7.1), no label, one
 * hash for all its uses. That key does the rest. What is stored: byte 1, byte
 * hash, SHA-256 of the RSA key's SubjectPublicKeyInfo, u16 n, n bytes that the
 * token decrypts, AES-KWP.
 */
enum wrap_oaep { WRAP_OAEP_SHA1 = 1, WRAP_OAEP_SHA256 = 2 };
#define WRAP_OAEP_MAX 1024 /* RSA of 8192 bits */
struct wrap_token {
	enum wrap_oaep hash;
	uint8_t spki_sha256[32];
	size_t n;
	uint8_t box[WRAP_OAEP_MAX];
};
/* OFS_EKEY: not an RSA key of 2048 to 8192 bits */
int wrap_token_init(struct wrap_token *t, EVP_PKEY *rsa, enum wrap_oaep hash,
	const uint8_t kek[WRAP_KEY], struct ofs_error *e);
bool wrap_token_equal(const struct wrap_token *a, const struct wrap_token *b);
void wrap_token_put(const struct wrap_token *t,
	const uint8_t kwp[WRAP_KWP_SIZE], struct buf *to);
/* *kwp is borrowed from p */
int wrap_token_parse(const uint8_t *p, size_t n, struct wrap_token *t,
	const uint8_t **kwp, struct ofs_error *e);

/*
 * Whether keys can be wrapped for it: RSA from 2048 bits on or EC, a key usage
 * that allows it, and not expired `now` (us). OFS_ECERT.
 */
int wrap_x509_check(X509 *c, int64_t now, struct ofs_error *e);
/*
 * CMS EnvelopedData (RFC 5652 6), DER: RSAES-OAEP with SHA-256 (RFC 3560), or
 * ECDH (RFC 5753) with its X9.63 KDF on SHA-256; content in AES-256-CBC.
 */
int wrap_x509(X509 *c, const uint8_t key[WRAP_KEY], struct buf *to,
	struct ofs_error *e);
int wrap_x509_open(EVP_PKEY *k, X509 *c, const uint8_t *p, size_t n,
	uint8_t key[WRAP_KEY], struct ofs_error *e);

#endif
