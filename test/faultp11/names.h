/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions of PKCS#11 2.40, and the names of its constants. */
#ifndef FAULTP11_NAMES_H
#define FAULTP11_NAMES_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

/* X(name, whether it returns more than a CK_RV) */
#define FUNCTIONS(X)                   \
	X(C_Initialize, false)         \
	X(C_Finalize, false)           \
	X(C_GetInfo, true)             \
	X(C_GetFunctionList, true)     \
	X(C_GetSlotList, true)         \
	X(C_GetSlotInfo, true)         \
	X(C_GetTokenInfo, true)        \
	X(C_GetMechanismList, true)    \
	X(C_GetMechanismInfo, true)    \
	X(C_InitToken, false)          \
	X(C_InitPIN, false)            \
	X(C_SetPIN, false)             \
	X(C_OpenSession, true)         \
	X(C_CloseSession, false)       \
	X(C_CloseAllSessions, false)   \
	X(C_GetSessionInfo, true)      \
	X(C_GetOperationState, true)   \
	X(C_SetOperationState, false)  \
	X(C_Login, false)              \
	X(C_Logout, false)             \
	X(C_CreateObject, true)        \
	X(C_CopyObject, true)          \
	X(C_DestroyObject, false)      \
	X(C_GetObjectSize, true)       \
	X(C_GetAttributeValue, true)   \
	X(C_SetAttributeValue, false)  \
	X(C_FindObjectsInit, false)    \
	X(C_FindObjects, true)         \
	X(C_FindObjectsFinal, false)   \
	X(C_EncryptInit, false)        \
	X(C_Encrypt, true)             \
	X(C_EncryptUpdate, true)       \
	X(C_EncryptFinal, true)        \
	X(C_DecryptInit, false)        \
	X(C_Decrypt, true)             \
	X(C_DecryptUpdate, true)       \
	X(C_DecryptFinal, true)        \
	X(C_DigestInit, false)         \
	X(C_Digest, true)              \
	X(C_DigestUpdate, false)       \
	X(C_DigestKey, false)          \
	X(C_DigestFinal, true)         \
	X(C_SignInit, false)           \
	X(C_Sign, true)                \
	X(C_SignUpdate, false)         \
	X(C_SignFinal, true)           \
	X(C_SignRecoverInit, false)    \
	X(C_SignRecover, true)         \
	X(C_VerifyInit, false)         \
	X(C_Verify, false)             \
	X(C_VerifyUpdate, false)       \
	X(C_VerifyFinal, false)        \
	X(C_VerifyRecoverInit, false)  \
	X(C_VerifyRecover, true)       \
	X(C_DigestEncryptUpdate, true) \
	X(C_DecryptDigestUpdate, true) \
	X(C_SignEncryptUpdate, true)   \
	X(C_DecryptVerifyUpdate, true) \
	X(C_GenerateKey, true)         \
	X(C_GenerateKeyPair, true)     \
	X(C_WrapKey, true)             \
	X(C_UnwrapKey, true)           \
	X(C_DeriveKey, true)           \
	X(C_SeedRandom, false)         \
	X(C_GenerateRandom, true)      \
	X(C_GetFunctionStatus, false)  \
	X(C_CancelFunction, false)     \
	X(C_WaitForSlotEvent, true)

#define FUNCTION_ENUM(name, output) FN_##name,
enum fn { FUNCTIONS(FUNCTION_ENUM) FN_COUNT };

const char *fn_name(enum fn fn);
/* -1: there is none */
int fn_number(const char *name);
bool fn_has_output(enum fn fn);

/* "CKR_DEVICE_ERROR", "DEVICE_ERROR" or a number; prefix is "CKR_" here */
bool name_value(const char *text, const char *prefix, CK_ULONG *out);
/* a number as strtoul() takes it, all of the text */
bool name_number(const char *text, CK_ULONG *out);

#endif
