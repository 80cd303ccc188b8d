/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What it costs to start on a token with many keys.
 *
 *   start fill PIN-FILE N   N more keys for the first token of OFS_MODULE
 *   start sign PIN-FILE     a bare program: one signature with the key KEY_ID
 *   start measure OFS-SIGN DIR
 *           both programs, on the sandboxes DIR/one and DIR/many with that key
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>

#include "bench.h"

#include "base/time.h"

#define RUNS 15
#define GOAL_MS 100
#define KEY_URI "pkcs11:token=sandbox;id=%BE%0C"
static const CK_BYTE key_id[] = { 0xbe, 0x0c }; /* and in bench.sh */

/* bare PKCS#11: no more calls than there must be */

static CK_FUNCTION_LIST *p11;

static void
must(CK_RV rv, const char *what)
{
	char text[32];

	if (rv == CKR_OK)
		return;
	snprintf(text, sizeof(text), "%.20s: 0x%lx", what, rv);
	bench_die(text, NULL);
}

static CK_SESSION_HANDLE
start(const char *pin_file, CK_FLAGS flags)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	struct ofs_pin_request req = { 0 };
	CK_C_GetFunctionList get;
	CK_SESSION_HANDLE s;
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;
	char pin[OFS_PIN_MAX + 1];
	void *h, *sym;

	h = dlopen(getenv("OFS_MODULE"), RTLD_NOW | RTLD_LOCAL);
	sym = h != NULL ? dlsym(h, "C_GetFunctionList") : NULL;
	if (sym == NULL || bench_pin((void *)(uintptr_t)pin_file, &req, pin))
		bench_die("module or PIN", NULL);
	memcpy(&get, &sym, sizeof(get));
	must(get(&p11), "C_GetFunctionList");
	must(p11->C_Initialize(&args), "C_Initialize");
	must(p11->C_GetSlotList(CK_TRUE, slots, &n), "C_GetSlotList");
	must(p11->C_OpenSession(
		     slots[0], CKF_SERIAL_SESSION | flags, NULL, NULL, &s),
		"C_OpenSession");
	must(p11->C_Login(
		     s, CKU_USER, (CK_UTF8CHAR *)pin, (CK_ULONG)strlen(pin)),
		"C_Login");
	return s;
}

static void
sign(const char *pin_file)
{
	CK_SESSION_HANDLE s = start(pin_file, 0);
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &class, sizeof(class) },
		{ CKA_ID, (CK_BYTE *)(uintptr_t)key_id, sizeof(key_id) } };
	CK_MECHANISM mech = { CKM_ECDSA, NULL, 0 };
	CK_BYTE hash[32] = { 1 }, sig[64];
	CK_ULONG n = 0, len = sizeof(sig);
	CK_OBJECT_HANDLE key[2];

	must(p11->C_FindObjectsInit(s, t, 2), "C_FindObjectsInit");
	must(p11->C_FindObjects(s, key, 2, &n), "C_FindObjects");
	must(p11->C_FindObjectsFinal(s), "C_FindObjectsFinal");
	if (n != 1)
		bench_die("no such key, or two of them", NULL);
	must(p11->C_SignInit(s, &mech, key[0]), "C_SignInit");
	must(p11->C_Sign(s, hash, sizeof(hash), sig, &len), "C_Sign");
	must(p11->C_Finalize(NULL), "C_Finalize");
}

static void
fill(const char *pin_file, int n)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
		0x03, 0x01, 0x07 };
	CK_SESSION_HANDLE s = start(pin_file, CKF_RW_SESSION);
	CK_MECHANISM mech = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_OBJECT_HANDLE pub, priv;
	CK_BBOOL yes = CK_TRUE;
	char label[32];
	uint8_t id[4] = { 0 };
	CK_ATTRIBUTE t[] = { { CKA_TOKEN, &yes, sizeof(yes) },
		{ CKA_ID, id, sizeof(id) }, { CKA_LABEL, label, 0 },
		{ CKA_EC_PARAMS, p256, sizeof(p256) } };
	CK_ATTRIBUTE u[] = { t[0], t[1], t[2], { CKA_SIGN, &yes, sizeof(yes) },
		{ CKA_PRIVATE, &yes, sizeof(yes) },
		{ CKA_SENSITIVE, &yes, sizeof(yes) } };

	for (int i = 0; i < n; i++) {
		id[2] = (uint8_t)(i >> 8);
		id[3] = (uint8_t)i;
		t[2].ulValueLen = u[2].ulValueLen = (CK_ULONG)snprintf(
			label, sizeof(label), "document key %d", i);
		must(p11->C_GenerateKeyPair(s, &mech, t, 4, u, 6, &pub, &priv),
			"C_GenerateKeyPair");
	}
	must(p11->C_Finalize(NULL), "C_Finalize");
}

/* the two programs on the two tokens */

struct tried {
	const char *const *argv;
	double one[RUNS], many[RUNS], more[RUNS];
};

/* ms that a program takes in a sandbox */
static double
time_in(const char *dir, const char *const argv[])
{
	char path[600];
	int64_t began;

	snprintf(path, sizeof(path), "%s/softhsm2.conf", dir);
	(void)setenv("SOFTHSM2_CONF", path, 1);
	snprintf(path, sizeof(path), "%s/audit", dir);
	(void)setenv("OFS_AUDIT", path, 1);
	began = time_mono();
	if (bench_run(argv, NULL) != 0)
		bench_die(argv[0], NULL);
	return (double)(time_mono() - began) / 1e3;
}

static void
try(struct tried *t, const char *dir, int i)
{
	char one[500], many[500];

	snprintf(one, sizeof(one), "%s/one", dir);
	snprintf(many, sizeof(many), "%s/many", dir);
	t->one[i] = time_in(one, t->argv);
	t->many[i] = time_in(many, t->argv);
	t->more[i] = t->many[i] - t->one[i];
}

static void
show(const char *what, struct tried *t)
{
	printf("  %-20s %8.1f ms  %8.1f ms  %8.1f ms more\n", what,
		bench_median(t->one, RUNS), bench_median(t->many, RUNS),
		bench_median(t->more, RUNS));
}

static int
measure(const char *self, const char *ofs_sign, const char *dir)
{
	char pin[600], document[600];
	const char *const bare[] = { self, "sign", pin, NULL };
	const char *const ours[] = { ofs_sign, "--key", KEY_URI, "--force",
		document, NULL };
	struct tried b = { .argv = bare }, o = { .argv = ours };
	double beyond[RUNS];
	bool met;

	snprintf(pin, sizeof(pin), "%s/one/pin", dir);
	snprintf(document, sizeof(document), "%s/start", dir);
	bench_documents(document, 1);
	snprintf(document, sizeof(document), "%s/start/doc-00000.txt", dir);
	for (int i = 0; i < RUNS; i++) {
		try(&b, dir, i);
		try(&o, dir, i);
		beyond[i] = o.more[i] - b.more[i];
	}
	printf("start and one signature, 1 key and 1,000 keys on the token, "
	       "medians of %d\n",
		RUNS);
	show("a bare program", &b);
	show("ofs-sign", &o);
	met = bench_below("ofs-sign, ms more with 1,000",
		bench_median(o.more, RUNS), GOAL_MS);
	printf("  %-46s %8.1f\n\n", "of it not the module's own, ms",
		bench_median(beyond, RUNS));
	return met ? BENCH_MET : BENCH_MISSED;
}

int
main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "measure") == 0)
		return measure(argv[0], argv[2], argv[3]);
	if (argc == 4 && strcmp(argv[1], "fill") == 0)
		fill(argv[2], atoi(argv[3]));
	else if (argc == 3 && strcmp(argv[1], "sign") == 0)
		sign(argv[2]);
	else
		bench_die("usage: start measure OFS-SIGN DIR", NULL);
	return 0;
}
