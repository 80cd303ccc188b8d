/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is peculiar to a YubiKey seen through its maker's module, ykcs11. */
#ifndef TOKEN_YUBIKEY_H
#define TOKEN_YUBIKEY_H

#include <openssl/x509.h>

#include "token/token.h"

bool yubikey_is(const struct ofs_token_info *t);
/* what its SO PIN is, to be added to a message; "" for other tokens */
const char *yubikey_so_hint(const struct ofs_token_info *t);

/*
 * Whether a key can be made where the URI says. The id is the number of a PIV
 * slot and must be given: the slots differ in when they want the PIN. That of
 * the maker's attestation key is refused, which nobody could bring back, and
 * one whose key could not be used with the context's policy: a key that was
 * made is there for good. Other tokens take any place. OFS_EINVAL, OFS_EPOLICY.
 */
int yubikey_check_place(
	const ofs_token *t, const struct uri *u, struct ofs_error *e);

/*
 * C_DestroyObject deletes a slot's certificate and answers CKR_OK for its key,
 * which disappears until the sessions are closed, and stays. OFS_EUNSUPPORTED,
 * with what to do.
 */
int yubikey_check_delete(const ofs_token *t, const uint8_t *id, size_t id_len,
	const char *label, struct ofs_error *e);

/* labels and ids are those of the slots; OFS_EUNSUPPORTED */
int yubikey_check_rename(
	const ofs_token *t, const char *label, struct ofs_error *e);

/*
 * C_InitToken leaves the label as it is, and the user's PIN as its maker has
 * set it: the new one goes in its place. C_InitPIN is not there.
 */
int yubikey_check_label(
	const struct ofs_token_info *t, const char *label, struct ofs_error *e);
int yubikey_set_first_pin(ofs_ctx *ctx, const struct session *s,
	const struct ofs_token_info *t, const struct pin *pin,
	struct ofs_error *e);

/* the certificate that ykcs11 puts beside a new key; nobody has signed it */
bool yubikey_is_placeholder(const ofs_token *t, X509 *cert);

#endif
