/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tests drive faultp11.so with this, and call it without the library. */
#ifndef TEST_FAULTP11_H
#define TEST_FAULTP11_H

#include <stdbool.h>

#include <p11-kit/pkcs11.h>

/* beside this program; ends it when it is not there */
const char *fault_path(void);
/*
 * softhsm_start(), with contexts of softhsm_ctx() going through faultp11.so.
 * What is scripted below holds for this process.
 */
void fault_start(void);
/* ends the program when the script is wrong: see test/README.md */
void fault_script(const char *text);
int fault_try_script(const char *text); /* 0, or the line that is wrong */
unsigned long fault_calls(const char *function);
void fault_reset(void);

/* PKCS#11 calls of the test's own; they end the program when they fail */
CK_FUNCTION_LIST *fault_functions(void);
/* makes a token, with the PINs of softhsm.h */
void fault_init_token(const char *label);
/* its slot; false: no slot shows a token with this label */
bool fault_find_slot(const char *label, CK_SLOT_ID *slot);
CK_SLOT_ID fault_slot(const char *label);
CK_SESSION_HANDLE fault_session(CK_SLOT_ID slot); /* read-write */
/* P-256, with a public key object, logged in */
void fault_make_key(CK_SESSION_HANDLE h, const char *label, unsigned char id);
CK_RV fault_login(CK_SESSION_HANDLE h, CK_USER_TYPE user, const char *pin);
/* 0: there is none */
CK_OBJECT_HANDLE fault_find(
	CK_SESSION_HANDLE h, CK_OBJECT_CLASS class, const char *label);
/* C_SignInit and C_Sign of 32 bytes; sig has room for 64 and 16 more */
CK_RV fault_sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key,
	unsigned char sig[80], CK_ULONG *len);
/* asks the token whether it is this public key's signature */
bool fault_verifies(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE public_key,
	const unsigned char *sig, CK_ULONG len);

#endif
