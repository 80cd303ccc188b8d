/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs, as a script uses them: one process for each signature. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "bench.h"
#include "others.h"

#include "base/file.h"
#include "base/hex.h"
#include "base/time.h"

#define TIMES 60

/* what a program is given, and where it writes */
struct place {
	char hash[600], document[600], cert[600], config[600], out[600];
	char uri[400], id[2 * 256 + 1];
};

const char *
others_name(enum other o)
{
	static const char *const names[] = {
		[PKCS11_TOOL] = "pkcs11-tool --sign, process per hash",
		[OPENSSL_CMS] = "openssl cms -engine, process per file",
		[P11TOOL] = "p11tool --test-sign, which verifies too",
	};

	return names[o];
}

static void
put(const char *path, const void *p, size_t n)
{
	struct ofs_error e;

	if (file_write_new(path, p, n, true, &e) != 0)
		bench_die(path, &e);
}

static void
put_cert(const char *path, const ofs_key *key)
{
	FILE *f = fopen(path, "w");

	if (f == NULL || PEM_write_X509(f, key_cert(key)) != 1 ||
		fclose(f) != 0)
		bench_die(path, NULL);
}

/* openssl(1) learns of the module and the PIN by its configuration only */
static void
put_config(const char *path)
{
	struct buf b = BUF_INIT;

	buf_printf(&b,
		"openssl_conf = init\n[init]\nengines = engines\n[engines]\n"
		"pkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n"
		"MODULE_PATH = %s\nPIN = %s\ninit = 1\n",
		getenv("OFS_MODULE"), getenv("OFS_BENCH_PIN"));
	if (buf_cstr(&b) == NULL)
		bench_die("configuration", NULL);
	put(path, b.p, b.len);
	buf_wipe(&b);
}

static void
furnish(struct place *p, const ofs_key *key, const char *dir)
{
	static const uint8_t hash[32] = { 1 }, document[2048] = { 1 };
	const struct ofs_key_info *info = ofs_key_get_info(key);
	mode_t old = umask(077);

	hex_encode(p->id, info->id, info->id_len);
	snprintf(p->uri, sizeof(p->uri),
		"pkcs11:token=sandbox;object=%s;type=private", info->label);
	snprintf(p->hash, sizeof(p->hash), "%s/hash", dir);
	snprintf(p->document, sizeof(p->document), "%s/document", dir);
	snprintf(p->cert, sizeof(p->cert), "%s/cert.pem", dir);
	snprintf(p->config, sizeof(p->config), "%s/openssl.cnf", dir);
	snprintf(p->out, sizeof(p->out), "%s/other.out", dir);
	put(p->hash, hash, sizeof(hash));
	put(p->document, document, sizeof(document));
	put_cert(p->cert, key);
	put_config(p->config);
	umask(old);
}

static double
rate(const char *const argv[])
{
	int64_t began = time_mono();

	for (int i = 0; i < TIMES; i++)
		if (bench_run(argv, NULL) != 0)
			bench_die(argv[0], NULL);
	return TIMES * 1e6 / (double)(time_mono() - began);
}

/*
 * It gets the hash ready made, as SoftHSM has no hashed ECDSA, and the key's
 * id: for --sign it passes over the label and takes any key.
 */
static double
rate_pkcs11_tool(const struct place *p, const char *mech)
{
	return rate((const char *[]){ "pkcs11-tool", "--module",
		getenv("OFS_MODULE"), "--token-label", "sandbox", "--login",
		"--pin", "env:OFS_BENCH_PIN", "--sign", "--mechanism", mech,
		"--id", p->id, "--input-file", p->hash, "--output-file", p->out,
		NULL });
}

/* the engine is libp11's */
static double
rate_openssl(const struct place *p)
{
	double r;

	setenv("OPENSSL_CONF", p->config, 1);
	r = rate((const char *[]){ "openssl", "cms", "-sign", "-binary",
		"-engine", "pkcs11", "-keyform", "engine", "-inkey", p->uri,
		"-signer", p->cert, "-in", p->document, "-outform", "DER",
		"-out", p->out, NULL });
	unsetenv("OPENSSL_CONF");
	return r;
}

/* it can sign nothing but a test of its own */
static double
rate_p11tool(const struct place *p)
{
	return rate((const char *[]){ "p11tool", "--provider",
		getenv("OFS_MODULE"), "--login", "--test-sign", p->uri, NULL });
}

double
others_rate(enum other o, const ofs_key *key, const char *mech, const char *dir)
{
	struct place p;

	furnish(&p, key, dir);
	switch (o) {
	case PKCS11_TOOL:
		return rate_pkcs11_tool(&p, mech);
	case OPENSSL_CMS:
		return rate_openssl(&p);
	case P11TOOL:
		return rate_p11tool(&p);
	case OTHERS:
		break;
	}
	return 0;
}
