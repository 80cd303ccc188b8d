/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading an encrypted log with a passphrase or an auditor's key. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "audit/handle.h"
#include "audit/log_event.h"

#include "base/mem.h"
#include "crypto/cert.h"

/* what the PEM parser asks for */
struct asked {
	const char *passphrase;
	bool asked;
};

static int
give_passphrase(char *to, int size, int writing, void *arg)
{
	struct asked *a = arg;
	size_t n;

	(void)writing;
	a->asked = true;
	n = a->passphrase != NULL ? strlen(a->passphrase) : 0;
	if (n == 0 || n > (size_t)size)
		return -1;
	memcpy(to, a->passphrase, n);
	return (int)n;
}

static int
parse_key(const struct ofs_audit_unlock_opts *o, EVP_PKEY **out,
	struct ofs_error *e)
{
	struct asked a = { .passphrase = o->passphrase };
	BIO *in;

	if (o->key_len > INT_MAX)
		return err_set(e, OFS_ECERT, "auditor's key is too long");
	in = BIO_new_mem_buf(o->key, (int)o->key_len);
	if (in == NULL)
		return err_nomem(e);
	*out = PEM_read_bio_PrivateKey(in, NULL, give_passphrase, &a);
	BIO_free(in);
	ERR_clear_error();
	if (*out != NULL)
		return 0;
	if (a.asked && o->passphrase == NULL)
		return err_set(e, OFS_ENOPIN,
			"auditor's private key is encrypted, and no passphrase "
			"was given");
	if (a.asked)
		return err_set(e, OFS_EPIN,
			"passphrase does not open the auditor's private key");
	return err_set(e, OFS_ECERT, "auditor's key is not a private key, PEM");
}

/* a certificate of this log that is for the key */
struct search {
	EVP_PKEY *key;
	X509 *found;
};

static int
look(void *arg, const uint8_t sha256[32], const uint8_t *der, size_t n,
	struct ofs_error *e)
{
	struct search *s = arg;
	X509 *c = NULL;

	(void)sha256;
	if (cert_from_der(der, n, &c, e) != 0 || !cert_has_key(c, s->key)) {
		X509_free(c);
		return 0;
	}
	s->found = c;
	return 1;
}

static int
find_cert(ofs_audit *a, EVP_PKEY *key, X509 **out, struct ofs_error *e)
{
	struct search s = { .key = key };
	int rc = store_cert_each(&a->store, NULL, INT_MAX, look, &s, e);

	if (rc < 0)
		return rc;
	if (s.found == NULL)
		return err_set(e, OFS_ECERT,
			"private key is not that of any auditor of this log");
	*out = s.found;
	return 0;
}

/* What is to open the log; or a key on a token. */
struct given {
	const struct ofs_audit_unlock_opts *o;
	const struct log_station_key *token; /* NULL: o */
};

/* What was here before; in locked memory. */
struct before {
	struct key_secrets s;
	EVP_PKEY *reader;
	X509 *reader_cert;
};

static int
take(ofs_audit *a, const struct given *g, struct ofs_error *e)
{
	const struct ofs_audit_unlock_opts *o = g->o;
	struct keys *k = &a->keys;
	int rc = 0;

	if (g->token != NULL) {
		keys_take_token(k, g->token);
		return 0;
	}
	if (o->station_key != NULL) {
		rc = keyfile_read(o->station_key, &a->place, k->s->station, e);
		k->s->has_station = rc == 0;
	}
	if (rc == 0 && o->key != NULL) {
		rc = parse_key(o, &k->reader, e);
		if (rc == 0)
			rc = find_cert(a, k->reader, &k->reader_cert, e);
	} else if (rc == 0 && o->passphrase != NULL) {
		if (strlen(o->passphrase) > KEYS_PASSPHRASE_MAX)
			return err_set(e, OFS_EPIN,
				"passphrase does not open the audit log");
		memcpy(k->s->passphrase, o->passphrase,
			strlen(o->passphrase) + 1);
	}
	return rc;
}

/* one epoch at least, the newest first, opens with that alone */
static int
try_epochs(ofs_audit *a, const struct given *g, struct ofs_error *e)
{
	uint8_t data[SEAL_KEY];
	struct record_body *b;
	bool has = false;
	uint64_t seq;
	uint32_t n;
	int rc;

	rc = kept_find(a, e);
	if (rc == 0 && a->keys.reader == NULL && a->keys.s->has_batch)
		return 0;
	if (rc == 0)
		rc = store_epoch_last(&a->store, &n, e);
	for (; rc == 0 && !has && n > 0; n--) {
		rc = keys_record_of(a, n, &seq, &b, e);
		if (rc == 0)
			rc = keys_unwrap(&a->keys, b, "data", data, &has, e);
		record_body_free(b);
	}
	mem_wipe(data, sizeof(data));
	if (rc != 0 || has)
		return rc;
	if (a->keys.reader != NULL)
		return err_set(e, OFS_ECERT,
			"nothing in this log is encrypted for that private "
			"key");
	return err_set(e, OFS_EPIN, "%s does not open this audit log",
		g->token == NULL && g->o->passphrase != NULL ? "passphrase"
							     : "station key");
}

/* beside what has come, what was there goes on */
static void
join(struct keys *k, const struct before *b)
{
	struct key_secrets *s = k->s;

	if (!s->has_station) {
		memcpy(s->station, b->s.station, sizeof(s->station));
		s->has_station = b->s.has_station;
	}
	if (!s->has_token) {
		s->token = b->s.token;
		memcpy(s->token_kek, b->s.token_kek, sizeof(s->token_kek));
		s->has_token = b->s.has_token;
	}
	if (s->passphrase[0] == '\0') {
		memcpy(s->passphrase, b->s.passphrase, sizeof(s->passphrase));
		s->scrypt = b->s.scrypt;
		memcpy(s->kek, b->s.kek, sizeof(s->kek));
		s->has_kek = b->s.has_kek;
	}
	if (!s->has_batch) {
		memcpy(s->batch, b->s.batch, sizeof(s->batch));
		s->has_batch = b->s.has_batch;
		memcpy(s->batch_of, b->s.batch_of, sizeof(s->batch_of));
	}
	if (!s->has_tag) {
		memcpy(s->tag, b->s.tag, sizeof(s->tag));
		s->has_tag = b->s.has_tag;
	}
	if (k->reader == NULL && b->reader != NULL &&
		EVP_PKEY_up_ref(b->reader) == 1 &&
		X509_up_ref(b->reader_cert) == 1) {
		k->reader = b->reader;
		k->reader_cert = b->reader_cert;
	}
}

static void
swap_reader(struct keys *k, struct before *b)
{
	EVP_PKEY *reader = k->reader;
	X509 *cert = k->reader_cert;

	k->reader = b->reader;
	k->reader_cert = b->reader_cert;
	b->reader = reader;
	b->reader_cert = cert;
}

/* what opened nothing is forgotten, and what was there before is back */
static void
put_back(ofs_audit *a, struct before *b)
{
	*a->keys.s = b->s;
	swap_reader(&a->keys, b);
	keys_lock(a);
}

static struct before *
before_new(struct ofs_error *e)
{
	struct before *b = mem_secret_new(sizeof(*b));

	if (b == NULL)
		(void)err_nomem(e);
	return b;
}

static void
before_free(struct before *b)
{
	EVP_PKEY_free(b->reader);
	X509_free(b->reader_cert);
	mem_secret_free(b, sizeof(*b));
}

/* with the handle's mutex; *b has what was there, also when it fails */
static int
open_with(ofs_audit *a, const struct given *g, struct before *b,
	struct ofs_error *e)
{
	struct keys *k = &a->keys;
	int rc;

	b->s = *k->s;
	mem_wipe(k->s, sizeof(*k->s));
	swap_reader(k, b);
	rc = take(a, g, e);
	if (rc == 0)
		rc = try_epochs(a, g, e);
	if (rc != 0) {
		put_back(a, b);
		return rc;
	}
	join(k, b);
	keys_retry(a);
	return 0;
}

/* with the handle's mutex: another thread may come with another key */
static void
say_reader(const ofs_audit *a, const struct ofs_audit_unlock_opts *o, char *to,
	size_t size)
{
	char subject[256];

	snprintf(to, size, "with the passphrase");
	if (o->key != NULL && a->keys.reader_cert != NULL) {
		cert_subject(a->keys.reader_cert, subject, sizeof(subject));
		snprintf(to, size, "with the key of '%s'", subject);
	}
}

/* who reads with more than the station's own key leaves a trace */
static int
unlock(ofs_audit *a, const struct ofs_audit_unlock_opts *o, struct ofs_error *e)
{
	const struct given g = { o, NULL };
	struct before *b = before_new(e);
	char reader[300];
	struct rec_log_event read = { .event = "read", .reason = reader };
	uint64_t seq;
	bool nested;
	int rc;

	if (b == NULL)
		return e->code;
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		goto out;
	rc = open_with(a, &g, b, e);
	say_reader(a, o, reader, sizeof(reader));
	handle_leave(a, nested);
	if (rc != 0 || a->read_only ||
		(o->key == NULL && o->passphrase == NULL))
		goto out;
	rc = log_event_record(a, &read, &seq, e);
	if (rc != 0 &&
		handle_enter(a, &nested, &(struct ofs_error){ 0 }) == 0) {
		put_back(a, b);
		handle_leave(a, nested);
	}
out:
	before_free(b);
	return rc;
}

int
log_station_box(ofs_audit *a, struct wrap_token *out, struct ofs_error *e)
{
	struct record_body *b = NULL;
	const uint8_t *kwp;
	struct key_wrap w;
	bool nested, found = false;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	if (a->keys.mode != LOG_PLAIN)
		rc = keys_newest(a, &b, e);
	for (size_t i = 0; b != NULL && !found && keys_wrap(b, i, &w); i++)
		found = keys_is(&w.kind, "token");
	if (found)
		rc = wrap_token_parse(w.data.bytes, w.data.len, out, &kwp, e);
	else if (rc == 0)
		rc = err_set(
			e, OFS_EKEY, "audit log has no station key on a token");
	record_body_free(b);
	handle_leave(a, nested);
	return rc;
}

int
log_open_with_token(ofs_audit *a, const struct log_station_key *station,
	struct ofs_error *e)
{
	const struct given g = { NULL, station };
	struct before *b = before_new(e);
	bool nested;
	int rc;

	if (b == NULL)
		return e->code;
	rc = handle_enter(a, &nested, e);
	if (rc == 0) {
		rc = open_with(a, &g, b, e);
		handle_leave(a, nested);
	}
	before_free(b);
	return rc;
}

int
ofs_audit_unlock(ofs_audit *audit, const struct ofs_audit_unlock_opts *opts)
{
	struct ofs_error e;
	int rc = 0;

	if (opts == NULL || opts->size != sizeof(*opts))
		rc = err_set(&e, OFS_EINVAL,
			"options for unlocking an audit log have a wrong size");
	else if (audit->keys.mode != LOG_PLAIN)
		rc = unlock(audit, opts, &e);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
