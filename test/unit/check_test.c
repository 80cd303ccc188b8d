/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a safety assessment makes of what a token says, without a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/ec.h>
#include <openssl/rsa.h>

#include "base/buf.h"
#include "base/file.h"
#include "crypto/pubkey.h"
#include "station/check.h"

#define DAY (INT64_C(86400) * 1000000)
#define NOW (INT64_C(1000) * DAY)

static struct ofs_error e;
static struct check c;
static struct probe_key keys[3];

/* a token and a key that nothing is wrong with */
static int
set_up(void **state)
{
	(void)state;
	memset(&c, 0, sizeof(c));
	memset(keys, 0, sizeof(keys));
	c.now = NOW;
	c.probe.raw.flags = CKF_LOGIN_REQUIRED | CKF_USER_PIN_INITIALIZED;
	c.probe.raw.ulMinPinLen = 6;
	c.probe.logged_in = true;
	c.probe.mechs.n = 2;
	c.probe.mechs.rsa = c.probe.mechs.ec = true;
	c.probe.keys = keys;
	c.probe.n_keys = 1;
	for (int i = 0; i < 3; i++) {
		struct ofs_key_info *k = &keys[i].info;

		k->size = sizeof(*k);
		k->id[0] = (uint8_t)(i + 1);
		k->id_len = 1;
		snprintf(k->label, sizeof(k->label), "key %d", i);
		k->has_private = k->has_public = k->has_cert = true;
		k->sensitive = k->always_sensitive = 1;
		k->never_extractable = k->local = k->sign = 1;
		k->type = OFS_KEY_EC_P256;
		snprintf(k->type_name, sizeof(k->type_name), "P-256");
		k->cert_not_before = NOW - 10 * DAY;
		k->cert_not_after = NOW + 100 * DAY;
		keys[i].key = EVP_EC_gen("P-256");
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		EVP_PKEY_free(keys[i].key);
	free(c.v);
	return 0;
}

static void
again(void)
{
	tear_down(NULL);
	set_up(NULL);
}

/* exactly these, in this order; "" ends the list */
static void
must_find(const char *const want[])
{
	size_t n = 0;

	for (; want[n][0] != '\0'; n++) {
		if (n >= c.n)
			fail_msg("'%s' was not found", want[n]);
		assert_string_equal(c.v[n].id, want[n]);
		assert_true(c.v[n].text[0] != '\0');
		assert_true(c.v[n].severity >= OFS_SEVERITY_INFO);
		assert_true(c.v[n].severity == OFS_SEVERITY_INFO ||
			c.v[n].action[0] != '\0');
	}
	if (c.n > n)
		fail_msg("'%s' was found", c.v[n].id);
	again();
}
#define MUST_FIND(...) must_find((const char *const[]){ __VA_ARGS__, "" })
#define MUST_FIND_NOTHING() must_find((const char *const[]){ "" })

static void
judges_pins(void **state)
{
	static const struct {
		CK_FLAGS flags;
		const char *id;
	} each[] = {
		{ CKF_USER_PIN_COUNT_LOW, "pin-count-low" },
		{ CKF_USER_PIN_FINAL_TRY, "pin-final-try" },
		{ CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_COUNT_LOW,
			"pin-final-try" },
		{ CKF_USER_PIN_LOCKED | CKF_USER_PIN_FINAL_TRY, "pin-locked" },
		{ CKF_USER_PIN_TO_BE_CHANGED, "pin-to-be-changed" },
		{ CKF_SO_PIN_COUNT_LOW, "so-pin-count-low" },
		{ CKF_SO_PIN_FINAL_TRY, "so-pin-final-try" },
		{ CKF_SO_PIN_LOCKED, "so-pin-locked" },
		{ CKF_SO_PIN_TO_BE_CHANGED, "so-pin-to-be-changed" },
	};

	(void)state;
	check_pins(&c);
	MUST_FIND_NOTHING();
	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		c.probe.raw.flags |= each[i].flags;
		check_pins(&c);
		MUST_FIND(each[i].id);
	}
	c.probe.raw.flags = 0;
	c.probe.raw.ulMinPinLen = 5;
	check_pins(&c);
	MUST_FIND("pin-not-set", "login-not-required", "pin-short-allowed");
}

static void
judges_protection(void **state)
{
	(void)state;
	check_keys(&c);
	MUST_FIND_NOTHING();
	keys[0].info.extractable = 1;
	check_keys(&c);
	MUST_FIND("key-extractable");
	keys[0].info.sensitive = 0;
	check_keys(&c);
	MUST_FIND("key-not-sensitive");
	keys[0].info.extractable = -1;
	check_keys(&c);
	MUST_FIND("key-protection-unknown");
	keys[0].info.never_extractable = 0;
	check_keys(&c);
	MUST_FIND("key-was-extractable");
	keys[0].info.local = keys[0].info.never_extractable = 0;
	check_keys(&c);
	MUST_FIND("key-imported");
	keys[0].info.always_authenticate = 1;
	check_keys(&c);
	MUST_FIND("key-always-authenticate");
	/* a key for something else needs no certificate and may decrypt */
	keys[0].info.sign = 0;
	keys[0].info.decrypt = 1;
	keys[0].info.has_cert = false;
	check_keys(&c);
	MUST_FIND("key-not-for-signing");
	/* what is not seen is not judged, and that is said */
	c.probe.logged_in = false;
	keys[0].info.has_private = false;
	keys[0].info.sensitive = keys[0].info.extractable = -1;
	check_keys(&c);
	MUST_FIND("not-logged-in");
}

static void
judge_key(EVP_PKEY *key)
{
	assert_non_null(key);
	EVP_PKEY_free(keys[0].key);
	keys[0].key = key;
	check_keys(&c);
}

static void
judges_algorithms(void **state)
{
	(void)state;
	judge_key(EVP_RSA_gen(1024));
	MUST_FIND("rsa-too-short");
	judge_key(EVP_RSA_gen(2048));
	MUST_FIND("rsa-short-soon");
	judge_key(EVP_RSA_gen(3072));
	MUST_FIND_NOTHING();
	keys[0].info.decrypt = 1;
	judge_key(EVP_RSA_gen(3072));
	MUST_FIND("key-decrypts");
	keys[0].unwrap = 1;
	judge_key(EVP_RSA_gen(3072));
	MUST_FIND("key-decrypts");
	/* an EC key cannot decrypt, whatever its attributes say */
	keys[0].info.decrypt = keys[0].unwrap = 1;
	check_keys(&c);
	MUST_FIND_NOTHING();
	keys[0].retired = true;
	check_keys(&c);
	MUST_FIND("key-retired-algorithm");
	keys[0].info.type = OFS_KEY_OTHER;
	judge_key(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"));
	MUST_FIND("key-unsupported");
	EVP_PKEY_free(keys[0].key);
	keys[0].key = NULL;
	check_keys(&c);
	MUST_FIND("key-unreadable");
}

/* the fingerprint is of powers of 65537, prime factors or not */
static void
judges_roca(void **state)
{
	static const uint8_t exponent[] = { 1, 0, 1 };
	BIGNUM *n = BN_new();
	uint8_t bytes[512];
	EVP_PKEY *k;
	int len;

	(void)state;
	assert_int_equal(BN_one(n), 1);
	while (BN_num_bits(n) < 3072)
		assert_int_equal(BN_mul_word(n, 65537), 1);
	len = BN_bn2bin(n, bytes);
	assert_int_equal(
		pubkey_from_rsa(bytes, (size_t)len, exponent, 3, &k, &e), 0);
	judge_key(k);
	MUST_FIND("key-roca");
	BN_free(n);
}

static void
judges_certificates(void **state)
{
	(void)state;
	keys[0].info.has_cert = false;
	check_keys(&c);
	MUST_FIND("key-no-cert");
	keys[0].info.cert_not_after = NOW - 1;
	check_keys(&c);
	MUST_FIND("cert-expired");
	keys[0].info.cert_not_after = NOW + 29 * DAY;
	check_keys(&c);
	MUST_FIND("cert-expiring");
	keys[0].info.cert_not_after = NOW + 31 * DAY;
	check_keys(&c);
	MUST_FIND_NOTHING();
	c.opts.days = 40;
	keys[0].info.cert_not_after = NOW + 31 * DAY;
	check_keys(&c);
	MUST_FIND("cert-expiring");
	keys[0].info.cert_not_before = NOW + 1;
	check_keys(&c);
	MUST_FIND("cert-not-yet-valid");
	keys[0].foreign_certs = 1;
	check_keys(&c);
	MUST_FIND("cert-mismatch");
}

static void
judges_names(void **state)
{
	(void)state;
	c.probe.n_keys = 3;
	check_keys(&c);
	MUST_FIND_NOTHING();
	c.probe.n_keys = 3;
	keys[0].info.id[0] = keys[2].info.id[0] = 7;
	check_keys(&c);
	assert_non_null(strstr(c.v[0].text, "2 keys"));
	assert_non_null(strstr(c.v[0].subject, "'key 0' (id 07)"));
	MUST_FIND("duplicate-id");
	c.probe.n_keys = 3;
	keys[0].info.id[0] = keys[1].info.id[0] = keys[2].info.id[0] = 7;
	check_keys(&c);
	assert_non_null(strstr(c.v[0].text, "3 keys"));
	MUST_FIND("duplicate-id");
	keys[0].conflict = true;
	check_keys(&c);
	MUST_FIND("duplicate-id");
	c.probe.n_keys = 2;
	strcpy(keys[1].info.label, keys[0].info.label);
	check_keys(&c);
	MUST_FIND("duplicate-label");
	/* no name is not a name that is shared */
	c.probe.n_keys = 2;
	keys[0].info.label[0] = keys[1].info.label[0] = '\0';
	keys[0].info.id_len = keys[1].info.id_len = 0;
	check_keys(&c);
	MUST_FIND("key-no-id", "key-no-id");
	keys[0].info.has_public = keys[0].info.has_cert = false;
	check_keys(&c);
	MUST_FIND("key-no-public", "key-no-cert");
}

static void
judges_abilities(void **state)
{
	(void)state;
	check_abilities(&c);
	MUST_FIND("token-no-data", "monotonic-counter", "clock", "rng",
		"sessions");
	c.probe.mechs.ec = false;
	check_abilities(&c);
	MUST_FIND("mechanism-missing", "token-no-data", "monotonic-counter",
		"clock", "rng", "sessions");
	c.probe.mechs.ec = false;
	c.probe.mechs.ec_weak = true;
	check_abilities(&c);
	MUST_FIND("mechanism-weak-only", "token-no-data", "monotonic-counter",
		"clock", "rng", "sessions");
	/* keys that it cannot sign with, and none of them is here */
	c.probe.mechs.rsa = false;
	c.probe.data_objects = 2;
	c.probe.raw.flags |= CKF_WRITE_PROTECTED;
	check_abilities(&c);
	MUST_FIND("token-holds-data", "token-write-protected",
		"monotonic-counter", "clock", "rng", "sessions");
	c.probe.mechs.rsa = c.probe.mechs.ec = false;
	c.probe.counter = true;
	c.probe.raw.ulMaxSessionCount = 16;
	check_abilities(&c);
	assert_non_null(strstr(c.v[2].text, "has a monotonic counter"));
	assert_non_null(strstr(c.v[5].text, " 16 "));
	MUST_FIND("mechanism-missing", "token-no-data", "monotonic-counter",
		"clock", "rng", "sessions");
	c.probe.mechs.rsa = c.probe.mechs.ec = false;
	c.probe.mechs.rsa_weak = true;
	c.probe.write = PROBE_WRITTEN;
	check_abilities(&c);
	MUST_FIND("mechanism-weak-only", "token-holds-data",
		"monotonic-counter", "clock", "rng", "sessions");
}

static void
compares_firmware(void **state)
{
	static const char file[] =
		"id: A\nmanufacturer: Maker\nmodel: *\nfirmware: 1.2-1.4\n"
		"keys: rsa\nseverity: serious\ntext: bad keys\ndo: replace\n";
	const struct ofs_advisories a = { "file", file, sizeof(file) - 1 };
	const struct ofs_advisories bad = { "b\nad", "x\n", 2 };

	(void)state;
	for (unsigned int minor = 1; minor <= 5; minor++) {
		c.opts.advisories = &a;
		c.opts.n_advisories = 1;
		strcpy(c.probe.info.manufacturer, "Maker");
		c.probe.info.firmware_major = 1;
		c.probe.info.firmware_minor = minor;
		c.probe.logged_in = minor != 3;
		assert_int_equal(check_advisories(&c, &e), 0);
		assert_int_equal(c.advisories, 1);
		if (minor < 2 || minor > 4) {
			MUST_FIND_NOTHING();
			continue;
		}
		/* there is an EC key only, as far as is known */
		assert_int_equal(c.v[0].severity,
			minor == 3 ? OFS_SEVERITY_SERIOUS : OFS_SEVERITY_INFO);
		assert_non_null(strstr(c.v[0].text, "A: bad keys"));
		assert_string_equal(c.v[0].action, "replace");
		MUST_FIND("firmware-advisory");
	}
	c.opts.advisories = &bad;
	c.opts.n_advisories = 1;
	assert_int_equal(check_advisories(&c, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "'b\\nad'"));
}

static void
judges_the_module_file(void **state)
{
	char dir[] = "/tmp/ofs-check-XXXXXX";
	char *path = c.probe.info.module;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(
		snprintf(path, sizeof(c.probe.info.module), "%s/m.so", dir),
		26);
	assert_int_equal(file_write_new(path, "x", 1, false, &e), 0);
	assert_int_equal(chmod(path, 0755), 0);
	/* /tmp is sticky: what we own there nobody else replaces */
	assert_int_equal(check_module(&c, &e), 0);
	assert_int_equal(c.n, 0);
	assert_int_equal(chmod(path, 0757), 0);
	assert_int_equal(check_module(&c, &e), 0);
	assert_int_equal(c.n, 1);
	assert_non_null(strstr(c.v[0].text, "m.so"));
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(check_module(&c, &e), 0);
	assert_int_equal(c.n, 2);
	assert_null(strstr(c.v[1].text, "m.so"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(check_module(&c, &e), OFS_EMODULE);
	assert_int_equal(rmdir(dir), 0);
	MUST_FIND("module-writable", "module-writable");
}

/* the manual names every finding */
static void
the_manual_has_all(void **state)
{
	const char *top = getenv("OFS_TOP"), *page, *id;
	struct buf b = BUF_INIT;
	char path[4096];
	size_t n = 0;

	(void)state;
	snprintf(path, sizeof(path), "%s/man/ofs-token.1",
		top != NULL ? top : ".");
	if (file_read(path, 1 << 20, &b, &e) != 0)
		fail_msg("%s", e.message);
	page = buf_cstr(&b);
	assert_non_null(page);
	page = strstr(page, ".Sh FINDINGS");
	assert_non_null(page);
	for (; (id = check_catalogue_id(n)) != NULL; n++) {
		const char *at = strstr(page, id);
		size_t len = strlen(id);

		/* as a whole word */
		while (at != NULL &&
			(at[-1] != ' ' || (at[len] != '\n' && at[len] != ' ')))
			at = strstr(at + 1, id);
		if (at == NULL)
			fail_msg("man/ofs-token.1 does not name '%s'", id);
	}
	assert_true(n > 40);
	buf_free(&b);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		TEST(judges_pins),
		TEST(judges_protection),
		TEST(judges_algorithms),
		TEST(judges_roca),
		TEST(judges_certificates),
		TEST(judges_names),
		TEST(judges_abilities),
		TEST(compares_firmware),
		TEST(judges_the_module_file),
		TEST(the_manual_has_all),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
