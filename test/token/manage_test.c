/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Renaming, deleting, exporting keys; what a token tells of itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <offlinesig.h>

#include "station_kit.h"
#include "token/token.h"

#define LABEL "manage"
#define URI(object) "pkcs11:token=" LABEL ";object=" object

/* Between us and SoftHSM2: fails calls, and counts them. */
static struct {
	CK_FUNCTION_LIST *real, list;
	int sets, destroys; /* calls since arm() */
	int fail_at;        /* the nth fails; 0: none */
	bool for_ever;      /* and so do those behind it */
	CK_RV rv;           /* CKR_OK: claims to have done it */
} spy;

static bool
fails(int n)
{
	return spy.fail_at != 0 &&
		(spy.for_ever ? n >= spy.fail_at : n == spy.fail_at);
}

static CK_RV
set_attribute_value(
	CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *t, CK_ULONG n)
{
	if (fails(++spy.sets))
		return spy.rv;
	return spy.real->C_SetAttributeValue(h, o, t, n);
}

static CK_RV
destroy_object(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE o)
{
	if (fails(++spy.destroys))
		return spy.rv;
	return spy.real->C_DestroyObject(h, o);
}

static void
arm(int fail_at, bool for_ever, CK_RV rv)
{
	spy.sets = spy.destroys = 0;
	spy.fail_at = fail_at;
	spy.for_ever = for_ever;
	spy.rv = rv;
}

static int
setup(void **state)
{
	struct fixture *f = make_station(LABEL);

	spy.real = f->token->module->f;
	spy.list = *spy.real;
	spy.list.C_SetAttributeValue = set_attribute_value;
	spy.list.C_DestroyObject = destroy_object;
	f->token->module->f = &spy.list;
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	f->token->module->f = spy.real;
	return end_station(state);
}

#define assert_says(f, text)                                                 \
	do {                                                                 \
		if (strstr(ofs_token_error((f)->token)->message, (text)) ==  \
			NULL)                                                \
			fail_msg("'%s' lacks '%s'",                          \
				ofs_token_error((f)->token)->message, text); \
	} while (0)

/* the record is a key event of this name, of a key of this label */
static void
assert_event(
	struct fixture *f, uint64_t seq, const char *event, const char *label)
{
	struct ofs_record_head h;
	struct ofs_field field;
	ofs_record *rec;

	assert_int_equal(ofs_audit_get(f->audit, seq, &rec), 0);
	ofs_record_get_head(rec, &h);
	assert_int_equal(h.type, OFS_REC_KEY_EVENT);
	assert_true(ofs_record_find(rec, "event", &field));
	assert_int_equal(field.len, strlen(event));
	assert_memory_equal(field.bytes, event, field.len);
	assert_true(ofs_record_find(rec, "party.key.label", &field));
	assert_int_equal(field.len, strlen(label));
	assert_memory_equal(field.bytes, label, field.len);
	ofs_record_free(rec);
}

static void
enroll(struct fixture *f, const char *uri, const char *type)
{
	struct ofs_enroll_opts o = OFS_ENROLL_OPTS_INIT;
	struct ofs_enrolled en;

	o.key_type = type;
	o.subject = "/CN=Managed";
	o.self_signed = true;
	if (ofs_key_enroll(f->token, f->audit, uri, &o, &en) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	ofs_enrolled_clear(&en);
}

/* what is on the token with this label */
struct seen_keys {
	const char *label;
	int privates, publics, certs;
	struct ofs_key_info last;
};

static int
look(void *arg, const struct ofs_key_info *k)
{
	struct seen_keys *s = arg;

	if (strcmp(k->label, s->label) != 0)
		return 0;
	s->privates += k->has_private;
	s->publics += k->has_public;
	s->certs += k->has_cert;
	s->last = *k;
	return 0;
}

static struct seen_keys
seen(struct fixture *f, const char *label)
{
	struct seen_keys s = { .label = label };

	assert_int_equal(ofs_key_list(f->token, look, &s), 0);
	return s;
}

static void
assert_whole(struct fixture *f, const char *label)
{
	struct seen_keys s = seen(f, label);

	assert_int_equal(s.privates, 1);
	assert_int_equal(s.publics, 1);
	assert_int_equal(s.certs, 1);
}

static void
assert_gone(struct fixture *f, const char *label)
{
	struct seen_keys s = seen(f, label);

	assert_int_equal(s.privates + s.publics + s.certs, 0);
	assert_int_equal(s.last.size, 0);
}

static int
rename_to(struct fixture *f, const char *uri, const char *label, const char *id,
	struct ofs_enrolled *out)
{
	struct ofs_key_rename_opts o = OFS_KEY_RENAME_OPTS_INIT;

	o.label = label;
	o.id = (const uint8_t *)id;
	o.id_len = id != NULL ? strlen(id) : 0;
	return ofs_key_rename(f->token, f->audit, uri, &o, out);
}

/* a document is signed with the key, as ofs-sign does it */
static void
assert_signs(struct fixture *f, const char *uri)
{
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	ofs_batch *b;
	ofs_key *k;

	o.format = OFS_FORMAT_CMS;
	if (ofs_key_open(f->token, uri, 0, &k) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	if (ofs_batch_new(f->ctx, k, f->audit, &o, &b) != 0)
		fail_msg("%s", ofs_ctx_error(f->ctx)->message);
	assert_int_equal(ofs_batch_add_bytes(b, "doc", "abc", 3), 0);
	assert_int_equal(ofs_batch_run(b, NULL), 0);
	ofs_batch_free(b);
	ofs_key_free(k);
}

static void
renames_all_objects(void **state)
{
	struct fixture *f = *state;
	struct ofs_enrolled out;
	struct seen_keys s;
	uint64_t before;

	enroll(f, URI("old"), "ec:P-256");
	before = log_size(f);
	arm(0, false, CKR_OK);
	if (rename_to(f, URI("old"), "new", "\x01\x02\x03", &out) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	assert_int_equal(spy.sets, 3);
	assert_string_equal(out.key.label, "new");
	assert_int_equal(out.key.id_len, 3);
	assert_memory_equal(out.key.id, "\x01\x02\x03", 3);
	assert_true(out.key.has_cert && out.key.has_public);
	assert_null(out.pem);
	assert_whole(f, "new");
	s = seen(f, "new");
	assert_memory_equal(s.last.id, "\x01\x02\x03", 3);
	assert_gone(f, "old");
	assert_int_equal(log_size(f), before + 2);
	assert_event(f, before, "rename-begun", "old");
	assert_event(f, before + 1, "rename", "new");
	assert_int_equal(out.seq, before + 1);
	assert_signs(f, URI("new"));
}

static void
refuses_names_that_are_taken(void **state)
{
	struct fixture *f = *state;
	uint64_t before;
	struct ofs_key_rename_opts by_id = OFS_KEY_RENAME_OPTS_INIT;
	struct seen_keys s;

	enroll(f, URI("one"), "ec:P-256");
	enroll(f, URI("two"), "ec:P-256");
	before = log_size(f);
	arm(0, false, CKR_OK);
	s = seen(f, "two");
	by_id.id = s.last.id;
	by_id.id_len = s.last.id_len;
	assert_int_equal(
		rename_to(f, URI("one"), "two", NULL, NULL), OFS_EEXIST);
	assert_says(f, "has this label");
	assert_int_equal(
		ofs_key_rename(f->token, f->audit, URI("one"), &by_id, NULL),
		OFS_EEXIST);
	assert_says(f, "has this id");
	by_id.id_len = 65;
	assert_int_equal(
		ofs_key_rename(f->token, f->audit, URI("one"), &by_id, NULL),
		OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("one"), "one", NULL, NULL), OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("one"), NULL, NULL, NULL), OFS_EINVAL);
	assert_int_equal(rename_to(f, URI("one"), "", NULL, NULL), OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("one"), "a\nb", NULL, NULL), OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("one"), " a", NULL, NULL), OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("one"), "\xff", NULL, NULL), OFS_EINVAL);
	assert_int_equal(
		rename_to(f, URI("nobody"), "x", NULL, NULL), OFS_EKEY);
	assert_int_equal(rename_to(f, "pkcs11:token=" LABEL, "x", NULL, NULL),
		OFS_EINVAL);
	assert_int_equal(rename_to(f, URI("one") ";type=cert", "x", NULL, NULL),
		OFS_EINVAL);
	assert_int_equal(spy.sets, 0);
	assert_int_equal(log_size(f), before);
	assert_whole(f, "one");
	assert_whole(f, "two");
}

/* one object after the other refuses: all have the old name, each time */
static void
renames_all_or_none(void **state)
{
	struct fixture *f = *state;
	uint64_t before;

	enroll(f, URI("firm"), "ec:P-256");
	for (int i = 1; i <= 3; i++) {
		before = log_size(f);
		arm(i, false, CKR_ATTRIBUTE_READ_ONLY);
		assert_int_equal(rename_to(f, URI("firm"), "soft", NULL, NULL),
			OFS_EUNSUPPORTED);
		assert_says(f, "are fixed; nothing was changed");
		assert_int_equal(ofs_token_error(f->token)->ckr,
			CKR_ATTRIBUTE_READ_ONLY);
		assert_whole(f, "firm");
		assert_gone(f, "soft");
		assert_event(f, before, "rename-begun", "firm");
		assert_event(f, before + 1, "rename-failed", "firm");
		assert_int_equal(log_size(f), before + 2);
	}
	/* the fourth call does not come */
	arm(4, false, CKR_DEVICE_ERROR);
	assert_int_equal(rename_to(f, URI("firm"), "soft", NULL, NULL), 0);
	assert_int_equal(spy.sets, 3);
	assert_whole(f, "soft");
	/* and where it cannot be set back, that is said */
	arm(2, true, CKR_DEVICE_ERROR);
	assert_int_equal(
		rename_to(f, URI("soft"), "half", NULL, NULL), OFS_ETOKEN);
	assert_says(f,
		"1 of its 3 objects have the new name, beginning with "
		"the private key");
	assert_int_equal(seen(f, "half").privates, 1);
	/* by its id it is mended */
	arm(0, false, CKR_OK);
	assert_int_equal(rename_to(f, URI("half"), "half", NULL, NULL), 0);
	assert_whole(f, "half");
	assert_int_equal(spy.sets, 2);
}

static void
does_not_believe_ckr_ok(void **state)
{
	struct fixture *f = *state;

	enroll(f, URI("liar"), "ec:P-256");
	arm(2, true, CKR_OK);
	assert_int_equal(
		rename_to(f, URI("liar"), "honest", NULL, NULL), OFS_ETOKEN);
	assert_says(f, "is not called so afterwards");
	assert_event(f, log_size(f) - 1, "rename-failed", "liar");
}

/* What the confirmation is shown, and what it does. */
struct confirming {
	struct fixture *f;
	int calls, code;
	bool spoil; /* takes the certificate away while the question stands */
	size_t n;
	struct ofs_object_info objects[4];
};

static int delete_key(struct fixture *f, const char *uri, bool cert_only,
	struct confirming *c);

static int
confirm(void *arg, const struct ofs_key_info *key,
	const struct ofs_object_info *objects, size_t n)
{
	struct confirming *c = arg, other = { .f = c->f };

	c->calls++;
	c->n = n;
	assert_true(n <= 4);
	memcpy(c->objects, objects, n * sizeof(*objects));
	assert_string_equal(key->label, objects[0].label);
	if (c->spoil)
		assert_int_equal(delete_key(c->f, key->uri, true, &other), 0);
	return c->code;
}

static int
delete_key(struct fixture *f, const char *uri, bool cert_only,
	struct confirming *c)
{
	struct ofs_key_delete_opts o = OFS_KEY_DELETE_OPTS_INIT;

	c->f = f;
	o.cert_only = cert_only;
	o.confirm = confirm;
	o.confirm_arg = c;
	return ofs_key_delete(f->token, f->audit, uri, &o, NULL);
}

static void
deletes_one_key_and_no_other(void **state)
{
	struct fixture *f = *state;
	struct confirming c = { 0 };
	uint64_t before;

	enroll(f, URI("doomed"), "rsa:2048");
	enroll(f, URI("bystander"), "ec:P-256");
	before = log_size(f);
	arm(0, false, CKR_OK);
	/* not confirmed: as if nothing had been asked */
	c.code = OFS_EINTR;
	assert_int_equal(delete_key(f, URI("doomed"), false, &c), OFS_EINTR);
	assert_int_equal(c.calls, 1);
	assert_int_equal(spy.destroys, 0);
	assert_int_equal(log_size(f), before);
	assert_whole(f, "doomed");
	c.code = 0;
	if (delete_key(f, URI("doomed"), false, &c) != 0)
		fail_msg("%s", ofs_token_error(f->token)->message);
	assert_int_equal(c.n, 3);
	assert_int_equal(c.objects[0].kind, OFS_OBJECT_PRIVATE_KEY);
	assert_string_equal(c.objects[0].type_name, "RSA-2048");
	assert_int_equal(c.objects[1].kind, OFS_OBJECT_PUBLIC_KEY);
	assert_int_equal(c.objects[2].kind, OFS_OBJECT_CERTIFICATE);
	assert_string_equal(c.objects[2].subject, "CN=Managed");
	assert_int_equal(spy.destroys, 3);
	assert_gone(f, "doomed");
	assert_whole(f, "bystander");
	assert_event(f, before, "delete-begun", "doomed");
	assert_event(f, before + 1, "delete", "doomed");
	assert_int_equal(log_size(f), before + 2);
	assert_int_equal(delete_key(f, URI("doomed"), false, &c), OFS_EKEY);
	assert_signs(f, URI("bystander"));
}

static void
deletes_the_certificate_only(void **state)
{
	struct fixture *f = *state;
	struct confirming c = { 0 };
	uint64_t before;

	enroll(f, URI("bare"), "ec:P-256");
	before = log_size(f);
	arm(0, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("bare"), true, &c), 0);
	assert_int_equal(c.n, 1);
	assert_int_equal(c.objects[0].kind, OFS_OBJECT_CERTIFICATE);
	assert_int_equal(spy.destroys, 1);
	assert_int_equal(seen(f, "bare").privates, 1);
	assert_int_equal(seen(f, "bare").certs, 0);
	assert_event(f, before, "delete-cert-begun", "bare");
	assert_event(f, before + 1, "delete-cert", "bare");
	assert_int_equal(delete_key(f, URI("bare"), true, &c), OFS_EKEY);
	assert_int_equal(spy.destroys, 1);
}

/* an ambiguous name deletes nothing; the other's public key is not ours */
static void
refuses_an_ambiguous_uri(void **state)
{
	struct fixture *f = *state;
	const char *const a[] = { "--keypairgen", "--key-type", "rsa:1024",
		"--label", "twin", "--id", "c1", "--sensitive", NULL };
	const char *const b[] = { "--keypairgen", "--key-type", "rsa:1024",
		"--label", "twin", "--id", "c2", "--sensitive", NULL };
	const char *const same[] = { "--keypairgen", "--key-type", "rsa:1024",
		"--label", "other", "--id", "c1", "--sensitive", NULL };
	struct confirming c = { 0 };
	uint64_t before;

	assert_int_equal(softhsm_pkcs11_tool(LABEL, a), 0);
	assert_int_equal(softhsm_pkcs11_tool(LABEL, b), 0);
	assert_int_equal(softhsm_pkcs11_tool(LABEL, same), 0);
	before = log_size(f);
	arm(0, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("twin"), false, &c), OFS_EAMBIGUOUS);
	assert_says(f, "'twin' (id c1)");
	assert_says(f, "'twin' (id c2)");
	assert_int_equal(
		rename_to(f, URI("twin"), "x", NULL, NULL), OFS_EAMBIGUOUS);
	assert_int_equal(
		delete_key(f, "pkcs11:token=" LABEL ";id=%c1", false, &c),
		OFS_EAMBIGUOUS);
	assert_int_equal(c.calls, 0);
	assert_int_equal(spy.destroys, 0);
	assert_int_equal(log_size(f), before);
	/* two keys of one id: each goes with its own public key */
	assert_int_equal(delete_key(f, URI("other"), false, &c), 0);
	assert_int_equal(spy.destroys, 2);
	assert_int_equal(delete_key(f, URI("twin") ";id=%C1", false, &c), 0);
	assert_int_equal(spy.destroys, 4);
	assert_int_equal(seen(f, "twin").privates, 1);
	assert_int_equal(seen(f, "twin").publics, 1);
	assert_int_equal(delete_key(f, URI("twin"), false, &c), 0);
	assert_gone(f, "twin");
}

/* the token refuses the nth; the rest can be deleted later */
static void
says_what_is_left(void **state)
{
	struct fixture *f = *state;
	struct confirming c = { 0 };
	uint64_t before;

	enroll(f, URI("tough"), "ec:P-256");
	before = log_size(f);
	arm(1, false, CKR_ACTION_PROHIBITED);
	assert_int_equal(delete_key(f, URI("tough"), false, &c), OFS_ETOKEN);
	assert_says(f, "nothing was deleted");
	assert_int_equal(spy.destroys, 1);
	assert_whole(f, "tough");
	assert_event(f, before + 1, "delete-failed", "tough");
	arm(1, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("tough"), false, &c), OFS_ETOKEN);
	assert_says(f, "still shows the private key");
	assert_event(f, log_size(f) - 1, "delete-failed", "tough");
	/* the lie was about the private key: the others are gone */
	assert_int_equal(seen(f, "tough").privates, 1);
	arm(0, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("tough"), false, &c), 0);

	enroll(f, URI("tougher"), "ec:P-256");
	arm(2, false, CKR_DEVICE_ERROR);
	assert_int_equal(delete_key(f, URI("tougher"), false, &c), OFS_ETOKEN);
	assert_says(f,
		"deleted: private key; still there: public key, "
		"certificate 'CN=Managed'");
	assert_int_equal(seen(f, "tougher").privates, 0);
	/* what is left of it goes, too */
	arm(0, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("tougher"), false, &c), 0);
	assert_int_equal(c.n, 2);
	assert_gone(f, "tougher");
}

static void
deletes_what_was_shown_or_nothing(void **state)
{
	struct fixture *f = *state;
	struct confirming c = { .spoil = true };

	enroll(f, URI("moving"), "ec:P-256");
	arm(0, false, CKR_OK);
	assert_int_equal(delete_key(f, URI("moving"), false, &c), OFS_ETOKEN);
	assert_says(f, "was changed meanwhile");
	assert_int_equal(spy.destroys, 1); /* the spoiler's */
	assert_int_equal(seen(f, "moving").privates, 1);
}

/* what cannot be recorded is not done */
static void
does_nothing_without_a_record(void **state)
{
	struct fixture *f = *state;
	struct ofs_key_delete_opts o = OFS_KEY_DELETE_OPTS_INIT;
	struct ofs_key_rename_opts r = OFS_KEY_RENAME_OPTS_INIT;
	struct confirming c = { .f = f };
	ofs_audit *read_only;
	char dir[600];

	enroll(f, URI("kept"), "ec:P-256");
	snprintf(dir, sizeof(dir), "%s/audit", softhsm_dir());
	assert_int_equal(
		ofs_audit_open(f->ctx, dir, OFS_AUDIT_READ_ONLY, &read_only),
		0);
	arm(0, false, CKR_OK);
	o.confirm = confirm;
	o.confirm_arg = &c;
	r.label = "lost";
	assert_int_equal(
		ofs_key_delete(f->token, read_only, URI("kept"), &o, NULL),
		OFS_EAUDIT);
	assert_int_equal(
		ofs_key_rename(f->token, read_only, URI("kept"), &r, NULL),
		OFS_EAUDIT);
	assert_int_equal(ofs_key_delete(f->token, NULL, URI("kept"), &o, NULL),
		OFS_EINVAL);
	assert_int_equal(ofs_key_rename(f->token, NULL, URI("kept"), &r, NULL),
		OFS_EINVAL);
	o.confirm = NULL;
	assert_int_equal(
		ofs_key_delete(f->token, f->audit, URI("kept"), &o, NULL),
		OFS_EINVAL);
	assert_int_equal(spy.destroys + spy.sets, 0);
	assert_whole(f, "kept");
	ofs_audit_free(read_only);
}

/* a key that we cannot sign with can be renamed and deleted all the same */
static void
handles_keys_of_other_kinds(void **state)
{
	struct fixture *f = *state;
	const char *const decrypts[] = { "--keypairgen", "--key-type",
		"rsa:1024", "--label", "decrypts", "--id", "d1", "--sensitive",
		"--usage-decrypt", NULL };
	struct confirming c = { 0 };

	assert_int_equal(softhsm_pkcs11_tool(LABEL, decrypts), 0);
	arm(0, false, CKR_OK);
	assert_int_equal(rename_to(f, URI("decrypts"), "opens", NULL, NULL), 0);
	assert_int_equal(spy.sets, 2);
	assert_int_equal(delete_key(f, URI("opens"), false, &c), 0);
	assert_int_equal(c.n, 2);
	assert_gone(f, "opens");
}

static void
exports_the_public_parts(void **state)
{
	struct fixture *f = *state;
	uint8_t *der, *cert_der;
	size_t len, cert_len;
	char *pem;
	EVP_PKEY *pub;
	const uint8_t *p;
	X509 *cert;
	ofs_key *k;
	BIO *bio;

	enroll(f, URI("shown"), "ec:P-384");
	assert_int_equal(
		ofs_key_open(f->token, URI("shown"), OFS_KEY_PUBLIC_ONLY, &k),
		0);
	assert_int_equal(ofs_key_pub_pem(k, &pem), 0);
	assert_int_equal(ofs_key_pub_der(k, &der, &len), 0);
	assert_int_equal(ofs_key_cert_der(k, &cert_der, &cert_len), 0);
	bio = BIO_new_mem_buf(pem, -1);
	pub = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
	assert_non_null(pub);
	p = cert_der;
	cert = d2i_X509(NULL, &p, (long)cert_len);
	assert_non_null(cert);
	assert_ptr_equal(p, cert_der + cert_len);
	assert_int_equal(EVP_PKEY_eq(pub, X509_get0_pubkey(cert)), 1);
	EVP_PKEY_free(pub);
	p = der;
	pub = d2i_PUBKEY(NULL, &p, (long)len);
	assert_ptr_equal(p, der + len);
	assert_int_equal(EVP_PKEY_eq(pub, X509_get0_pubkey(cert)), 1);
	EVP_PKEY_free(pub);
	X509_free(cert);
	BIO_free(bio);
	free(pem);
	free(der);
	free(cert_der);
	ofs_key_free(k);
	assert_int_equal(
		ofs_key_open(f->token, URI("bare"), OFS_KEY_PUBLIC_ONLY, &k),
		0);
	assert_int_equal(ofs_key_cert_der(k, &der, &len), OFS_EKEY);
	assert_null(der);
	ofs_key_free(k);
}

struct mechs {
	int n;
	unsigned long before;
	struct ofs_mechanism ecdsa;
};

static int
take_mechanism(void *arg, const struct ofs_mechanism *m)
{
	struct mechs *s = arg;

	assert_true(s->n == 0 || m->type > s->before);
	s->before = m->type;
	s->n++;
	if (m->type == CKM_ECDSA)
		s->ecdsa = *m;
	return 0;
}

static int
stop(void *arg, const struct ofs_mechanism *m)
{
	(void)m;
	++*(int *)arg;
	return 42;
}

static void
tells_all_of_a_token(void **state)
{
	struct fixture *f = *state;
	struct ofs_token_details d;
	struct mechs m = { 0 };
	CK_ULONG n = 0;
	CK_TOKEN_INFO raw;
	int calls = 0;

	assert_int_equal(ofs_token_get_details(f->token, &d), 0);
	assert_int_equal(
		spy.real->C_GetTokenInfo(f->token->slot, &raw), CKR_OK);
	assert_string_equal(d.token.label, LABEL);
	assert_int_equal(d.pin_min, raw.ulMinPinLen);
	assert_int_equal(d.pin_max, raw.ulMaxPinLen);
	assert_int_equal(d.hardware_major, raw.hardwareVersion.major);
	assert_int_equal(d.public_memory, -1);
	assert_int_equal(d.sessions_max, 0);
	assert_false(d.so_pin_locked || d.write_protected);
	assert_non_null(strstr(d.library_manufacturer, "SoftHSM"));
	assert_int_equal(d.cryptoki_major, 2);
	assert_int_equal(ofs_token_mechanisms(f->token, take_mechanism, &m), 0);
	assert_int_equal(
		spy.real->C_GetMechanismList(f->token->slot, NULL, &n), CKR_OK);
	assert_int_equal(m.n, n);
	assert_string_equal(m.ecdsa.name, "CKM_ECDSA");
	assert_string_equal(m.ecdsa.uses, "sign verify");
	assert_true(m.ecdsa.min_key <= 256 && m.ecdsa.max_key >= 521);
	assert_int_equal(ofs_token_mechanisms(f->token, stop, &calls), 42);
	assert_int_equal(calls, 1);
}

static void
the_log_verifies(void **state)
{
	struct fixture *f = *state;
	struct ofs_audit_report r;
	struct ofs_error e;

	if (ofs_audit_verify(f->audit, NULL, NULL, &r) != 0) {
		ofs_audit_error(f->audit, &e);
		fail_msg("%s", e.message);
	}
	assert_int_equal(r.unknown_items, 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(renames_all_objects),
		cmocka_unit_test(refuses_names_that_are_taken),
		cmocka_unit_test(renames_all_or_none),
		cmocka_unit_test(does_not_believe_ckr_ok),
		cmocka_unit_test(deletes_one_key_and_no_other),
		cmocka_unit_test(deletes_the_certificate_only),
		cmocka_unit_test(refuses_an_ambiguous_uri),
		cmocka_unit_test(says_what_is_left),
		cmocka_unit_test(deletes_what_was_shown_or_nothing),
		cmocka_unit_test(does_nothing_without_a_record),
		cmocka_unit_test(handles_keys_of_other_kinds),
		cmocka_unit_test(exports_the_public_parts),
		cmocka_unit_test(tells_all_of_a_token),
		cmocka_unit_test(the_log_verifies),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("manage", tests, setup, teardown);
}
