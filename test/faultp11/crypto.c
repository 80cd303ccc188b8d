/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Operations with keys, passed on. */
#include "attest.h"
#include "call.h"
#include "object.h"
#include "yubikey.h"

/* #define-d functions: name, parameters after the session, and what they do */

/* C_XInit(session, mechanism, key) */
#define KEYED(name)                                                   \
	CK_RV name(CK_SESSION_HANDLE session, CK_MECHANISM *mech,     \
		CK_OBJECT_HANDLE key)                                 \
	{                                                             \
		struct call c;                                        \
		CK_RV rv;                                             \
                                                                      \
		if (!call_session(&c, FN_##name, session, &rv))       \
			return rv;                                    \
		rv = mech != NULL && call_hidden(&c, mech->mechanism) \
			? CKR_MECHANISM_INVALID                       \
			: real->name(c.h, mech, object_in(&c, key));  \
		return call_end(&c, object_key_answer(&c, rv));       \
	}

/* in: bytes; out: bytes */
#define THROUGH(name)                                                   \
	CK_RV name(CK_SESSION_HANDLE session, unsigned char *in,        \
		CK_ULONG in_len, unsigned char *out, CK_ULONG *out_len) \
	{                                                               \
		struct call c;                                          \
		CK_RV rv;                                               \
                                                                        \
		if (!call_session(&c, FN_##name, session, &rv))         \
			return rv;                                      \
		rv = real->name(c.h, in, in_len, out, out_len);         \
		call_bytes(&c, out, out_len);                           \
		return call_end(&c, rv);                                \
	}

/* in: bytes */
#define TAKES(name)                                                            \
	CK_RV name(                                                            \
		CK_SESSION_HANDLE session, unsigned char *in, CK_ULONG in_len) \
	{                                                                      \
		struct call c;                                                 \
		CK_RV rv;                                                      \
                                                                               \
		if (!call_session(&c, FN_##name, session, &rv))                \
			return rv;                                             \
		return call_end(&c, real->name(c.h, in, in_len));              \
	}

/* out: bytes */
#define GIVES(name)                                               \
	CK_RV name(CK_SESSION_HANDLE session, unsigned char *out, \
		CK_ULONG *out_len)                                \
	{                                                         \
		struct call c;                                    \
		CK_RV rv;                                         \
                                                                  \
		if (!call_session(&c, FN_##name, session, &rv))   \
			return rv;                                \
		rv = real->name(c.h, out, out_len);               \
		call_bytes(&c, out, out_len);                     \
		return call_end(&c, rv);                          \
	}

#define NOTHING(name)                                           \
	CK_RV name(CK_SESSION_HANDLE session)                   \
	{                                                       \
		struct call c;                                  \
		CK_RV rv;                                       \
                                                                \
		if (!call_session(&c, FN_##name, session, &rv)) \
			return rv;                              \
		return call_end(&c, real->name(c.h));           \
	}

KEYED(C_EncryptInit)
THROUGH(C_Encrypt)
THROUGH(C_EncryptUpdate)
GIVES(C_EncryptFinal)
KEYED(C_DecryptInit)
THROUGH(C_Decrypt)
THROUGH(C_DecryptUpdate)
GIVES(C_DecryptFinal)
THROUGH(C_Digest)
TAKES(C_DigestUpdate)
GIVES(C_DigestFinal)
KEYED(C_SignInit)
THROUGH(C_Sign)
TAKES(C_SignUpdate)
GIVES(C_SignFinal)
KEYED(C_SignRecoverInit)
THROUGH(C_SignRecover)
KEYED(C_VerifyInit)
TAKES(C_VerifyUpdate)
TAKES(C_VerifyFinal)
KEYED(C_VerifyRecoverInit)
THROUGH(C_VerifyRecover)
THROUGH(C_DigestEncryptUpdate)
THROUGH(C_DecryptDigestUpdate)
THROUGH(C_SignEncryptUpdate)
THROUGH(C_DecryptVerifyUpdate)
TAKES(C_SeedRandom)
NOTHING(C_GetFunctionStatus)
NOTHING(C_CancelFunction)
GIVES(C_GetOperationState)

CK_RV
C_SetOperationState(CK_SESSION_HANDLE session, unsigned char *state,
	CK_ULONG len, CK_OBJECT_HANDLE encryption,
	CK_OBJECT_HANDLE authentication)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_SetOperationState, session, &rv))
		return rv;
	rv = real->C_SetOperationState(c.h, state, len,
		object_in(&c, encryption), object_in(&c, authentication));
	return call_end(&c, rv);
}

CK_RV
C_DigestInit(CK_SESSION_HANDLE session, CK_MECHANISM *mech)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_DigestInit, session, &rv))
		return rv;
	rv = mech != NULL && call_hidden(&c, mech->mechanism)
		? CKR_MECHANISM_INVALID
		: real->C_DigestInit(c.h, mech);
	return call_end(&c, rv);
}

CK_RV
C_DigestKey(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_DigestKey, session, &rv))
		return rv;
	rv = real->C_DigestKey(c.h, object_in(&c, key));
	return call_end(&c, object_key_answer(&c, rv));
}

CK_RV
C_Verify(CK_SESSION_HANDLE session, unsigned char *data, CK_ULONG len,
	unsigned char *signature, CK_ULONG signature_len)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_Verify, session, &rv))
		return rv;
	rv = real->C_Verify(c.h, data, len, signature, signature_len);
	return call_end(&c, rv);
}

CK_RV
C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech, CK_ATTRIBUTE *a,
	CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GenerateKey, session, &rv))
		return rv;
	rv = mech != NULL && call_hidden(&c, mech->mechanism)
		? CKR_MECHANISM_INVALID
		: real->C_GenerateKey(c.h, mech, a, n, key);
	object_made(&c, rv, key);
	return call_end(&c, rv);
}

CK_RV
C_GenerateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
	CK_ATTRIBUTE *pub, CK_ULONG pub_n, CK_ATTRIBUTE *priv, CK_ULONG priv_n,
	CK_OBJECT_HANDLE *pub_key, CK_OBJECT_HANDLE *priv_key)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GenerateKeyPair, session, &rv))
		return rv;
	if (mech != NULL && call_hidden(&c, mech->mechanism))
		rv = CKR_MECHANISM_INVALID;
	else if (call_has(&c, MODE_YUBIKEY)) /* looks at templates first */
		rv = yubikey_generate(
			&c, mech, pub, pub_n, priv, priv_n, pub_key, priv_key);
	else if (yubikey_may_write(&c, &rv))
		rv = real->C_GenerateKeyPair(
			c.h, mech, pub, pub_n, priv, priv_n, pub_key, priv_key);
	if (rv == CKR_OK && call_has(&c, MODE_ATTEST))
		rv = attest_key(&c, *pub_key);
	object_made(&c, rv, pub_key);
	object_made(&c, rv, priv_key);
	return call_end(&c, rv);
}

CK_RV
C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
	CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key, unsigned char *out,
	CK_ULONG *out_len)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_WrapKey, session, &rv))
		return rv;
	rv = real->C_WrapKey(c.h, mech, object_in(&c, wrapping),
		object_in(&c, key), out, out_len);
	call_bytes(&c, out, out_len);
	return call_end(&c, rv);
}

CK_RV
C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
	CK_OBJECT_HANDLE unwrapping, unsigned char *in, CK_ULONG in_len,
	CK_ATTRIBUTE *a, CK_ULONG n, CK_OBJECT_HANDLE *key)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_UnwrapKey, session, &rv))
		return rv;
	rv = real->C_UnwrapKey(
		c.h, mech, object_in(&c, unwrapping), in, in_len, a, n, key);
	object_made(&c, rv, key);
	return call_end(&c, rv);
}

CK_RV
C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM *mech,
	CK_OBJECT_HANDLE base, CK_ATTRIBUTE *a, CK_ULONG n,
	CK_OBJECT_HANDLE *key)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_DeriveKey, session, &rv))
		return rv;
	rv = real->C_DeriveKey(c.h, mech, object_in(&c, base), a, n, key);
	object_made(&c, rv, key);
	return call_end(&c, rv);
}

CK_RV
C_GenerateRandom(CK_SESSION_HANDLE session, unsigned char *out, CK_ULONG len)
{
	struct call c;
	CK_RV rv;

	if (!call_session(&c, FN_C_GenerateRandom, session, &rv))
		return rv;
	rv = real->C_GenerateRandom(c.h, out, len);
	call_fixed(&c, out, len);
	return call_end(&c, rv);
}
