/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Drives faultp11.so, and calls it without the library. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faultp11.h"
#include "softhsm.h"

static struct {
	char path[4096];
	CK_FUNCTION_LIST *f;
	int (*script)(const char *);
	unsigned long (*calls)(const char *);
	void (*reset)(void);
} it;

static const unsigned char digest[32] = "what is signed";

static void
die(const char *what, unsigned long rv)
{
	printf("Bail out! %s: 0x%lx\n", what, rv);
	fflush(stdout);
	_exit(1);
}

static void
must(CK_RV rv, const char *what)
{
	if (rv != CKR_OK)
		die(what, rv);
}

const char *
fault_path(void)
{
	static const char place[] = "/../faultp11.so";
	char self[3000] = "", *slash;

	if (it.path[0] != '\0')
		return it.path;
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		die("readlink", 0);
	slash = strrchr(self, '/');
	if (slash != NULL)
		*slash = '\0';
	snprintf(it.path, sizeof(it.path), "%s%s", self, place);
	if (access(it.path, R_OK) != 0)
		die("faultp11.so is not there", 0);
	return it.path;
}

static void
symbol(void *lib, const char *name, void *out)
{
	void *sym = dlsym(lib, name);

	if (sym == NULL)
		die(name, 0);
	memcpy(out, &sym, sizeof(sym));
}

static void
load(void)
{
	CK_C_GetFunctionList get;
	void *lib;

	if (it.f != NULL)
		return;
	lib = dlopen(fault_path(), RTLD_NOW | RTLD_LOCAL);
	if (lib == NULL)
		die(dlerror(), 0);
	symbol(lib, "C_GetFunctionList", &get);
	symbol(lib, "faultp11_script", &it.script);
	symbol(lib, "faultp11_calls", &it.calls);
	symbol(lib, "faultp11_reset", &it.reset);
	must(get(&it.f), "C_GetFunctionList");
}

void
fault_start(void)
{
	if (setenv("OFS_TEST_MODULE", fault_path(), 1) != 0)
		die("setenv", 0);
	softhsm_start();
	load();
}

int
fault_try_script(const char *text)
{
	load();
	return it.script(text);
}

void
fault_script(const char *text)
{
	int line = fault_try_script(text);

	if (line != 0)
		die(text, (unsigned long)line);
}

unsigned long
fault_calls(const char *function)
{
	load();
	return it.calls(function);
}

void
fault_reset(void)
{
	load();
	it.reset();
}

CK_FUNCTION_LIST *
fault_functions(void)
{
	load();
	return it.f;
}

static CK_UTF8CHAR *
bytes(const char *text)
{
	return (CK_UTF8CHAR *)(uintptr_t)text;
}

CK_RV
fault_login(CK_SESSION_HANDLE h, CK_USER_TYPE user, const char *pin)
{
	return fault_functions()->C_Login(
		h, user, bytes(pin), pin != NULL ? strlen(pin) : 0);
}

void
fault_init_token(const char *label)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_UTF8CHAR padded[32];
	CK_SLOT_ID slots[64];
	CK_SESSION_HANDLE h;
	CK_ULONG n = 64;

	memset(padded, ' ', sizeof(padded));
	memcpy(padded, label, strlen(label));
	/* the last slot is the one without a token */
	must(f->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
	must(f->C_InitToken(slots[n - 1], bytes(SOFTHSM_SO_PIN),
		     strlen(SOFTHSM_SO_PIN), padded),
		"C_InitToken");
	h = fault_session(fault_slot(label));
	must(fault_login(h, CKU_SO, SOFTHSM_SO_PIN), "C_Login");
	must(f->C_InitPIN(h, bytes(SOFTHSM_PIN), strlen(SOFTHSM_PIN)),
		"C_InitPIN");
	must(f->C_CloseSession(h), "C_CloseSession");
}

bool
fault_find_slot(const char *label, CK_SLOT_ID *slot)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_SLOT_ID slots[64];
	CK_TOKEN_INFO t;
	CK_ULONG n = 64;
	size_t len = strlen(label);

	/* SoftHSM2 sees new tokens when it is asked for the number */
	must(f->C_GetSlotList(CK_TRUE, NULL, &n), "C_GetSlotList");
	n = 64;
	must(f->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
	for (CK_ULONG i = 0; i < n; i++)
		if (f->C_GetTokenInfo(slots[i], &t) == CKR_OK &&
			memcmp(t.label, label, len) == 0 &&
			(len == 32 || t.label[len] == ' ')) {
			*slot = slots[i];
			return true;
		}
	return false;
}

CK_SLOT_ID
fault_slot(const char *label)
{
	CK_SLOT_ID slot;

	if (!fault_find_slot(label, &slot))
		die(label, 0);
	return slot;
}

CK_SESSION_HANDLE
fault_session(CK_SLOT_ID slot)
{
	CK_SESSION_HANDLE h;

	must(fault_functions()->C_OpenSession(
		     slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h),
		"C_OpenSession");
	return h;
}

void
fault_make_key(CK_SESSION_HANDLE h, const char *label, unsigned char id)
{
	static unsigned char p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
		0x3d, 0x03, 0x01, 0x07 };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ATTRIBUTE pub[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &no, 1 },
		{ CKA_VERIFY, &yes, 1 },
		{ CKA_LABEL, bytes(label), strlen(label) },
		{ CKA_ID, &id, 1 },
		{ CKA_EC_PARAMS, p256, sizeof(p256) },
	};
	CK_ATTRIBUTE priv[] = {
		{ CKA_TOKEN, &yes, 1 },
		{ CKA_PRIVATE, &yes, 1 },
		{ CKA_SIGN, &yes, 1 },
		{ CKA_LABEL, bytes(label), strlen(label) },
		{ CKA_ID, &id, 1 },
	};
	CK_OBJECT_HANDLE a, b;

	must(fault_functions()->C_GenerateKeyPair(
		     h, &mech, pub, 6, priv, 5, &a, &b),
		"C_GenerateKeyPair");
}

CK_OBJECT_HANDLE
fault_find(CK_SESSION_HANDLE h, CK_OBJECT_CLASS class, const char *label)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_ATTRIBUTE a[] = {
		{ CKA_CLASS, &class, sizeof(class) },
		{ CKA_LABEL, bytes(label), strlen(label) },
	};
	CK_OBJECT_HANDLE o = 0;
	CK_ULONG n = 0;

	must(f->C_FindObjectsInit(h, a, 2), "C_FindObjectsInit");
	must(f->C_FindObjects(h, &o, 1, &n), "C_FindObjects");
	must(f->C_FindObjectsFinal(h), "C_FindObjectsFinal");
	return n == 1 ? o : 0;
}

CK_RV
fault_sign(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE key, unsigned char sig[80],
	CK_ULONG *len)
{
	CK_MECHANISM mech = { CKM_ECDSA, NULL, 0 };
	CK_RV rv;

	rv = fault_functions()->C_SignInit(h, &mech, key);
	if (rv != CKR_OK)
		return rv;
	*len = 64;
	return fault_functions()->C_Sign(h, (unsigned char *)(uintptr_t)digest,
		sizeof(digest), sig, len);
}

bool
fault_verifies(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE public_key,
	const unsigned char *sig, CK_ULONG len)
{
	CK_FUNCTION_LIST *f = fault_functions();
	CK_MECHANISM mech = { CKM_ECDSA, NULL, 0 };

	must(f->C_VerifyInit(h, &mech, public_key), "C_VerifyInit");
	return f->C_Verify(h, (unsigned char *)(uintptr_t)digest,
		       sizeof(digest), (unsigned char *)(uintptr_t)sig,
		       len) == CKR_OK;
}
