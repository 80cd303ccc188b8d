/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens whose SO looks after keys: who logs in, how often, and what fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <offlinesig.h>

#include "crypto/pubkey.h"
#include "faultp11.h"
#include "softhsm.h"
#include "token/keydef.h"
#include "token/so.h"
#include "token/yubikey.h"

#define LABEL "office"
#define URI(rest) "pkcs11:token=" LABEL ";" rest

struct fixture {
	struct softhsm_seen seen;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *token;
};

/* what the callback answers instead of the right PINs */
static struct {
	const char *so, *user;
	int asked_so, asked_user, hex;
} answers;

static int
give(void *arg, const struct ofs_pin_request *req, char *pin)
{
	const char *p = SOFTHSM_PIN;

	(void)arg;
	if (req->kind == OFS_PIN_SO) {
		answers.asked_so++;
		p = answers.so != NULL ? answers.so : SOFTHSM_SO_PIN;
	} else {
		answers.asked_user++;
		p = answers.user != NULL ? answers.user : p;
	}
	answers.hex += req->management_key;
	if (p[0] == '\0')
		return OFS_ENOPIN;
	memcpy(pin, p, strlen(p) + 1);
	return 0;
}

static int
start(void **state)
{
	(void)state;
	fault_start();
	softhsm_init_token(LABEL);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	softhsm_stop();
	return 0;
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	static int n;
	char dir[600];

	memset(&answers, 0, sizeof(answers));
	snprintf(dir, sizeof(dir), "%s/audit-%d", softhsm_dir(), n++);
	f->ctx = softhsm_ctx(&f->seen);
	f->ctx->opts.pin = give;
	if (ofs_audit_open(f->ctx, dir, OFS_AUDIT_CREATE, &f->audit) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	f->token = softhsm_open(f->ctx, "pkcs11:token=" LABEL);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	fault_script("");
	ofs_token_free(f->token);
	ofs_audit_free(f->audit);
	ofs_ctx_free(f->ctx);
	free(f);
	return 0;
}

/* a mode holds before the token is opened, too */
static void
script(struct fixture *f, const char *text)
{
	fault_script(text);
	ofs_token_free(f->token);
	f->token = softhsm_open(f->ctx, "pkcs11:token=" LABEL);
	f->seen.warnings = f->seen.login_ok = f->seen.login_failed = 0;
}

static int
enroll(struct fixture *f, const char *uri, bool self_signed,
	struct ofs_key_info *info)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;
	int rc;

	o.key_type = "ec:P-256";
	o.subject = self_signed ? "/CN=SO" : NULL;
	o.self_signed = self_signed;
	rc = ofs_key_enroll(f->token, f->audit, uri, &o, &en);
	if (rc == 0 && info != NULL)
		*info = en.key;
	ofs_enrolled_clear(&en);
	return rc;
}

static int
agree(void *arg, const struct ofs_key_info *key,
	const struct ofs_object_info *objects, size_t n)
{
	(void)arg;
	(void)key;
	(void)objects;
	(void)n;
	return 0;
}

static int
delete_key(struct fixture *f, const char *uri)
{
	struct ofs_key_delete_opts o = OFS_KEY_DELETE_OPTS_INIT;

	o.confirm = agree;
	return ofs_key_delete(f->token, f->audit, uri, &o, NULL);
}

/* with nothing armed: the private keys with this label */
static size_t
keys_called(struct fixture *f, const char *label)
{
	struct object_query q = { .class_ = CKO_PRIVATE_KEY,
		.label = (const uint8_t *)label,
		.label_len = strlen(label) };
	struct object_list l;
	struct session *s;
	struct ofs_error e;
	size_t n;

	script(f, "");
	memset(&answers, 0, sizeof(answers));
	assert_int_equal(ofs_token_login(f->token), 0);
	assert_int_equal(token_session(f->token, &s, &e), 0);
	assert_int_equal(object_find(s, &q, &l, &e), 0);
	n = l.n;
	object_list_free(&l);
	return n;
}

#define assert_says(f, text)                                                 \
	do {                                                                 \
		if (strstr(ofs_token_error((f)->token)->message, (text)) ==  \
			NULL)                                                \
			fail_msg("'%s' lacks '%s'",                          \
				ofs_token_error((f)->token)->message, text); \
	} while (0)

static bool
user_is_in(const struct fixture *f)
{
	CK_STATE state;

	return session_state(&f->token->pinned, &state) == CKR_OK &&
		state == CKS_RO_USER_FUNCTIONS;
}

static void
takes_turns(void **state)
{
	struct fixture *f = *state;

	script(f, "sowrites");
	assert_int_equal(enroll(f, URI("object=turns"), true, NULL), 0);
	assert_int_equal(answers.asked_user, 1);
	assert_int_equal(answers.asked_so, 1);
	assert_int_equal(answers.hex, 0);
	/* user, SO, user for the key; SO, user for its certificate */
	assert_int_equal(fault_calls("C_Login"), 5);
	assert_int_equal(f->seen.login_ok, 5);
	assert_int_equal(f->seen.login_failed, 0);
	assert_true(user_is_in(f));
	assert_null(f->token->so_pin.p); /* not kept for longer */
	assert_int_equal(delete_key(f, URI("object=turns")), 0);
	assert_int_equal(answers.asked_so, 2);
	assert_int_equal(keys_called(f, "turns"), 0);
}

/* where PINs are not held the user is asked once more, before all is closed */
static void
asks_again_for_what_was_not_kept(void **state)
{
	struct fixture *f = *state;

	f->ctx->opts.token_timeout = -1;
	script(f, "sowrites");
	assert_int_equal(enroll(f, URI("object=asked"), false, NULL), 0);
	assert_int_equal(answers.asked_user, 2);
	assert_int_equal(answers.asked_so, 1);
	assert_int_equal(fault_calls("C_Login"), 3);
	assert_int_equal(delete_key(f, URI("object=asked")), 0);
}

static void
sends_a_wrong_so_pin_once(void **state)
{
	struct fixture *f = *state;

	script(f, "sowrites");
	answers.so = "wrong";
	assert_int_equal(enroll(f, URI("object=never"), false, NULL), OFS_EPIN);
	assert_says(f, "rejected the SO PIN");
	assert_int_equal(f->seen.login_failed, 1);
	assert_int_equal(fault_calls("C_Login"), 3); /* the user again */
	assert_true(user_is_in(f));
	answers.so = NULL;
	assert_int_equal(enroll(f, URI("object=never"), false, NULL), OFS_EPIN);
	assert_says(f, "none is sent again");
	assert_int_equal(fault_calls("C_Login"), 3);
	assert_int_equal(answers.asked_so, 1);
	assert_int_equal(keys_called(f, "never"), 0);
}

static void
guards_the_so_pin(void **state)
{
	struct fixture *f = *state;
	char text[64];

	snprintf(text, sizeof(text), "sowrites; flags 0x%lx",
		(unsigned long)CKF_SO_PIN_FINAL_TRY);
	script(f, text);
	assert_int_equal(
		enroll(f, URI("object=never"), false, NULL), OFS_EPINLOCKED);
	assert_int_equal(fault_calls("C_Login"), 1);
	assert_int_equal(answers.asked_so, 0);
	assert_true(user_is_in(f));
	script(f, "sowrites");
	answers.so = "";
	assert_int_equal(
		enroll(f, URI("object=never"), false, NULL), OFS_ENOPIN);
	assert_says(f, "the SO makes keys");
	assert_says(f, "pass --so-pin-source");
	assert_int_equal(fault_calls("C_Login"), 1);
	assert_int_equal(keys_called(f, "never"), 0);
}

/* the user cannot come back: what the SO made is not left behind */
static void
leaves_nothing_of_a_half(void **state)
{
	struct fixture *f = *state;

	script(f, "sowrites; C_Login 3 ckr=CKR_PIN_INCORRECT");
	assert_int_equal(enroll(f, URI("object=half"), false, NULL), OFS_EPIN);
	assert_says(f, "the user could not log in again");
	assert_int_equal(keys_called(f, "half"), 0);
	/* the token failed the SO */
	script(f, "sowrites; C_GenerateKeyPair 2 ckr=CKR_DEVICE_ERROR");
	assert_int_equal(
		enroll(f, URI("object=half"), false, NULL), OFS_ETOKEN);
	assert_true(user_is_in(f));
	/* the key gave a wrong signature */
	script(f, "sowrites; C_Sign 1 wrong");
	assert_int_not_equal(enroll(f, URI("object=half"), false, NULL), 0);
	assert_int_equal(f->seen.warnings, 0);
	assert_int_equal(keys_called(f, "half"), 0);
}

/* CKR_OK, and nothing has happened */
static void
believes_no_so(void **state)
{
	struct fixture *f = *state;

	script(f, "sowrites");
	assert_int_equal(enroll(f, URI("object=tough"), false, NULL), 0);
	script(f, "sowrites; C_DestroyObject 2 wrong");
	assert_int_equal(delete_key(f, URI("object=tough")), OFS_ETOKEN);
	assert_says(f, "still shows the private key");
	script(f, "sowrites; C_DestroyObject 3 ckr=CKR_DEVICE_ERROR");
	assert_int_equal(enroll(f, URI("object=other"), true, NULL), 0);
	assert_int_equal(delete_key(f, URI("object=other")), OFS_ETOKEN);
	assert_says(f,
		"deleted: private key, public key; still there: certificate");
	script(f, "sowrites");
	assert_int_equal(delete_key(f, URI("object=other")), 0);
	assert_int_equal(delete_key(f, URI("object=tough")), 0);
	assert_int_equal(keys_called(f, "tough"), 0);
}

static void
waits_for_no_signer(void **state)
{
	struct fixture *f = *state;
	struct key_session *s;
	struct ofs_error e;
	ofs_key *k;

	script(f, "sowrites");
	assert_int_equal(enroll(f, URI("object=busy"), false, NULL), 0);
	assert_int_equal(ofs_key_open(f->token, URI("object=busy"), 0, &k), 0);
	assert_int_equal(key_session_open(k, &s, &e), 0);
	assert_int_equal(delete_key(f, URI("object=busy")), OFS_ETOKEN);
	assert_says(f, "while this process signs with it");
	assert_true(user_is_in(f));
	key_session_close(s);
	/* a key that was open before the SO had a turn signs after it */
	assert_int_equal(enroll(f, URI("object=second"), false, NULL), 0);
	assert_int_not_equal(k->generation, f->token->generation);
	assert_int_equal(so_key_again(k, &e), 0);
	assert_int_equal(key_refresh(k, &e), 0);
	ofs_key_free(k);
	assert_int_equal(delete_key(f, URI("object=second")), 0);
	assert_int_equal(delete_key(f, URI("object=busy")), 0);
}

static void
spares_a_slot_in_use(void **state)
{
	struct fixture *f = *state;
	struct ofs_key_info was;
	ofs_key *k;

	script(f, "yubikey");
	assert_int_equal(enroll(f, URI("id=%05"), false, &was), 0);
	assert_int_equal(answers.hex, 1); /* the SO PIN, and not the user's */
	assert_string_equal(was.label, "Private key for Retired Key 1");
	assert_int_equal(was.extractable, 0);
	assert_false(was.has_cert);
	script(f, "yubikey");
	assert_int_equal(enroll(f, URI("id=%05"), true, NULL), OFS_EEXIST);
	assert_int_equal(fault_calls("C_GenerateKeyPair"), 0);
	assert_int_equal(fault_calls("C_CreateObject"), 0);
	assert_int_equal(answers.asked_so, 1); /* of the first */
	assert_int_equal(ofs_key_open(f->token, URI("id=%05"), 0, &k), 0);
	assert_memory_equal(
		ofs_key_get_info(k)->spki_sha256, was.spki_sha256, 32);
	ofs_key_free(k);
	/* an attestation alone says that there is a key, too */
	script(f, "yubikey; attest");
	assert_int_equal(enroll(f, URI("id=%06"), false, NULL), 0);
	script(f, "yubikey; nopublic");
	assert_int_equal(enroll(f, URI("id=%06"), false, NULL), OFS_EEXIST);
}

/* a key that cannot be taken back is spoken of */
static void
says_what_stays_on_a_yubikey(void **state)
{
	struct fixture *f = *state;

	script(f, "yubikey; C_Sign 1 wrong");
	assert_int_not_equal(enroll(f, URI("id=%07"), false, NULL), 0);
	assert_int_equal(f->seen.warnings, 1);
	assert_non_null(strstr(f->seen.last_log, "still on the token"));
	assert_int_equal(fault_calls("C_DestroyObject"), 0);
	script(f, "yubikey");
	assert_int_equal(enroll(f, URI("id=%07"), false, NULL), OFS_EEXIST);
}

static void
names_slots(void **state)
{
	static const struct {
		const char *uri;
		int rc;
	} places[] = {
		{ URI("object=x"), OFS_EINVAL },
		{ URI("id=%00"), OFS_EINVAL },
		{ URI("id=%1A"), OFS_EINVAL },
		{ URI("id=%01%01"), OFS_EINVAL },
		{ URI("id=%19"), OFS_EPOLICY },
		{ URI("id=%02"), OFS_EPOLICY },
	};
	struct fixture *f = *state;
	struct ofs_error e;
	uint8_t id;

	script(f, "yubikey");
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		assert_int_equal(
			enroll(f, places[i].uri, false, NULL), places[i].rc);
	assert_int_equal(answers.asked_user + answers.asked_so, 0);
	for (id = 1; id <= 25; id++) {
		static const char *const slots[] = { "9a'", "9c'", "9d'", "9e'",
			"82'" };

		assert_int_equal(
			yubikey_check_delete(f->token, &id, 1, "k", &e),
			OFS_EUNSUPPORTED);
		if (id <= 5)
			assert_non_null(strstr(e.message, slots[id - 1]));
	}
	id = 24;
	(void)yubikey_check_delete(f->token, &id, 1, "k", &e);
	assert_non_null(strstr(e.message, "delete 95'"));
	/* the same maker's HSM is not a YubiKey */
	snprintf(f->token->info.model, sizeof(f->token->info.model), "YubiHSM");
	assert_false(so_known(f->token));
	assert_int_equal(yubikey_check_delete(f->token, &id, 1, "k", &e), 0);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(takes_turns),
		TEST(asks_again_for_what_was_not_kept),
		TEST(sends_a_wrong_so_pin_once),
		TEST(guards_the_so_pin),
		TEST(leaves_nothing_of_a_half),
		TEST(believes_no_so),
		TEST(waits_for_no_signer),
		TEST(names_slots),
		TEST(spares_a_slot_in_use),
		TEST(says_what_stays_on_a_yubikey),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
