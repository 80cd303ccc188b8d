/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is peculiar to a YubiKey seen through its maker's module, ykcs11. */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "base/text.h"
#include "crypto/cert.h"
#include "token/yubikey.h"

#define SLOT_SIGNATURE 2
#define SLOT_ATTESTATION 25

/* a YubiHSM has the same maker, and its users make their keys themselves */
bool
yubikey_is(const struct ofs_token_info *t)
{
	return strncmp(t->manufacturer, "Yubico", 6) == 0 &&
		strncmp(t->model, "YubiKey", 7) == 0;
}

const char *
yubikey_so_hint(const struct ofs_token_info *t)
{
	return yubikey_is(t)
		? " (the SO PIN of a YubiKey is its management key in hex)"
		: "";
}

/* ids from 1 are 9a 9c 9d 9e 82 ... 95 f9 (ykcs11) */
static unsigned int
slot_of(uint8_t id)
{
	static const uint8_t first[] = { 0x9a, 0x9c, 0x9d, 0x9e };

	if (id == SLOT_ATTESTATION)
		return 0xf9;
	return id <= 4 ? first[id - 1] : 0x82U + id - 5;
}

static bool
is_slot(const uint8_t *id, size_t n)
{
	return n == 1 && id[0] >= 1 && id[0] <= SLOT_ATTESTATION;
}

int
yubikey_check_place(
	const ofs_token *t, const struct uri *u, struct ofs_error *e)
{
	const char *label = t->info.label;

	if (!yubikey_is(&t->info))
		return 0;
	if (!is_slot(u->id, u->id_len))
		return err_set(e, OFS_EINVAL,
			"cannot make a key on '%s': on a YubiKey the id is the "
			"number of the slot; name it in the URI: id=%%01 is "
			"9a, id=%%02 9c, id=%%03 9d, id=%%04 9e, id=%%05 to "
			"id=%%18 82 to 95",
			label);
	if (u->id[0] == SLOT_ATTESTATION)
		return err_set(e, OFS_EPOLICY,
			"cannot make a key on '%s' in slot f9: the maker's "
			"attestation key is there, and would be lost for good; "
			"take another slot",
			label);
	if (u->id[0] == SLOT_SIGNATURE &&
		t->ctx->opts.always_auth == OFS_ALWAYS_AUTH_REFUSE)
		return err_set(e, OFS_EPOLICY,
			"cannot make a key on '%s' in slot 9c: it would want "
			"the PIN for every signature; choose --always-auth "
			"hold or ask, or another slot",
			label);
	return 0;
}

int
yubikey_check_delete(const ofs_token *t, const uint8_t *id, size_t id_len,
	const char *label, struct ofs_error *e)
{
	char slot[8] = "SLOT";

	if (!yubikey_is(&t->info))
		return 0;
	if (is_slot(id, id_len))
		snprintf(slot, sizeof(slot), "%02x", slot_of(id[0]));
	return err_set(e, OFS_EUNSUPPORTED,
		"cannot delete key '%s' on '%s': the module of a YubiKey "
		"deletes certificates only, and the key would stay in its "
		"slot; use 'ykman piv keys delete %s'",
		label, t->info.label, slot);
}

int
yubikey_check_rename(const ofs_token *t, const char *label, struct ofs_error *e)
{
	if (!yubikey_is(&t->info))
		return 0;
	return err_set(e, OFS_EUNSUPPORTED,
		"cannot rename key '%s' on '%s': labels and ids on a YubiKey "
		"are fixed, those of its slots; name the key by id=",
		label, t->info.label);
}

int
yubikey_check_label(
	const struct ofs_token_info *t, const char *label, struct ofs_error *e)
{
	if (!yubikey_is(t) || strcmp(t->label, label) == 0)
		return 0;
	return err_set(e, OFS_EINVAL,
		"cannot initialise '%s' as '%s': the label of a YubiKey is "
		"fixed; pass it as the new one, too",
		t->label, TEXT_Q(label));
}

int
yubikey_set_first_pin(ofs_ctx *ctx, const struct session *s,
	const struct ofs_token_info *t, const struct pin *pin,
	struct ofs_error *e)
{
	CK_UTF8CHAR first[] = "123456";
	CK_RV rv;

	CRYPTOKI(rv,
		s->module->f->C_SetPIN(s->h, first, sizeof(first) - 1,
			(CK_UTF8CHAR *)pin->p, pin->len));
	if (rv != CKR_OK)
		return cryptoki_err(e, cryptoki_code(rv), rv,
			"token '%s' is erased, but its user PIN is still what "
			"its maker has set; change it with ofs-token pin "
			"change",
			t->label);
	ctx_log(ctx, OFS_LOG_WARNING,
		"the PUK of '%s' is what its maker has set; change it with "
		"'ykman piv access change-puk'",
		t->label);
	return 0;
}

bool
yubikey_is_placeholder(const ofs_token *t, X509 *cert)
{
	EVP_PKEY *own = X509_get0_pubkey(cert);
	bool placeholder;

	if (!yubikey_is(&t->info) || own == NULL)
		return false;
	placeholder = cert_self_issued(cert) && X509_verify(cert, own) != 1;
	ERR_clear_error();
	return placeholder;
}
