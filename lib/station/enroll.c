/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Enrolling and adopting keys, importing certificates. */
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "station/recorded.h"
#include "station/stationkey.h"

#include "base/ctx.h"
#include "crypto/cert.h"
#include "crypto/cert_ext.h"
#include "crypto/pubkey.h"
#include "sign/permit.h"
#include "token/so.h"

#define DAYS_DEFAULT 365
#define DAYS_MAX 36500
#define RSA_BITS_MIN 2048
/* a little back, so that a receiver whose clock is behind accepts it */
#define BACKDATE_US (5 * 60 * INT64_C(1000000))

/* one enrolment on its way */
struct enrolment {
	ofs_token *token;
	ofs_audit *audit;
	const char *uri;
	const struct ofs_enroll_opts *opts; /* of one that makes the key */
	bool use_digest, use_log;
	struct ofs_enrolled *out;
	const void *given; /* a certificate to import */
	size_t given_len;
	ofs_key *key;
	const struct alg *alg;
	struct recorded rec;
	X509 *cert;
	struct attestation attested;
	struct buf pem;
};

static void
enrolment_clear(struct enrolment *n)
{
	recorded_clear(&n->rec);
	X509_free(n->cert);
	attestation_free(&n->attested);
	buf_free(&n->pem);
	ofs_key_free(n->key);
}

/* what the token says of the key decides, not what it was asked for */
static int
check_attributes(const struct ofs_key_info *info, struct ofs_error *e)
{
	if (info->extractable != 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' %s extractable: it can leave the token and "
			"is not enrolled; generate one on a token that keeps "
			"it",
			info->label, info->extractable > 0 ? "is" : "may be");
	if (info->sensitive == 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' is not sensitive: the token may reveal it, "
			"so it is not enrolled",
			info->label);
	if (info->sign == 0)
		return err_set(e, OFS_EPOLICY,
			"key '%s' is not for signing; name another",
			info->label);
	if (info->type == OFS_KEY_OTHER ||
		(info->type == OFS_KEY_RSA && info->bits < RSA_BITS_MIN))
		return err_set(e, OFS_EPOLICY,
			"key '%s' is %s, which is too weak or of no use here; "
			"take rsa:2048 or more, ec:P-256 or ed25519",
			info->label, info->type_name);
	return 0;
}

/* a tagged message, so that it can't be anything else */
static int
prove_possession(struct enrolment *n, struct ofs_error *e)
{
	static const char tag[] = "ofs-proof-of-possession-v1";
	struct buf msg = BUF_INIT, sig = BUF_INIT;
	uint8_t nonce[32];
	int rc;

	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a nonce");
	buf_put(&msg, tag, sizeof(tag));
	buf_put(&msg, ofs_key_get_info(n->key)->spki_sha256, 32);
	buf_put(&msg, nonce, sizeof(nonce));
	rc = buf_ok(&msg) ? 0 : err_nomem(e);
	if (rc == 0)
		rc = recorded_sign(&n->rec, REC_PURPOSE_PROOF,
			"proof of possession", n->alg, msg.p, msg.len, &sig, e);
	buf_free(&msg);
	buf_free(&sig);
	return rc;
}

static int
check_key(struct enrolment *n, enum ofs_padding padding, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(n->key);
	int rc;

	if (n->use_log) {
		rc = station_key_prove(n->key, e);
		return rc != 0 ? rc
			       : recorded_init(&n->rec, n->audit, n->key,
					 key_cert(n->key), e);
	}
	rc = check_attributes(info, e);
	if (rc != 0)
		return rc;
	rc = key_alg(n->key, padding, OFS_DIGEST_DEFAULT, &n->alg, e);
	if (rc == 0)
		rc = recorded_init(
			&n->rec, n->audit, n->key, key_cert(n->key), e);
	return rc != 0 ? rc : prove_possession(n, e);
}

static int
make_self_signed(struct enrolment *n, const X509_NAME *name,
	const struct ofs_enroll_opts *o, struct ofs_error *e)
{
	struct buf tbs = BUF_INIT, sig = BUF_INIT;
	int64_t from = ctx_now(n->rec.ctx) - BACKDATE_US;
	int rc, days = o->days > 0 ? o->days : DAYS_DEFAULT;

	rc = cert_build_self_signed(
		name, key_pub(n->key), n->alg, from, days, &n->cert, e);
	if (rc == 0)
		rc = cert_ext_set(n->cert, o->exts, o->n_exts, e);
	if (rc == 0)
		rc = cert_tbs(n->cert, &tbs, e);
	if (rc == 0)
		rc = recorded_sign(&n->rec, REC_PURPOSE_CERTIFICATE,
			"self-signed certificate", n->alg, tbs.p, tbs.len, &sig,
			e);
	if (rc == 0)
		rc = cert_finish(n->cert, n->alg, sig.p, sig.len, e);
	if (rc == 0)
		rc = key_store_cert(n->key, n->cert, e);
	if (rc == 0)
		rc = cert_to_pem(n->cert, &n->pem, e);
	buf_free(&tbs);
	buf_free(&sig);
	return rc;
}

static int
make_csr(struct enrolment *n, const X509_NAME *name,
	const struct ofs_enroll_opts *o, struct ofs_error *e)
{
	struct buf tbs = BUF_INIT, sig = BUF_INIT;
	X509_REQ *req = NULL;
	int rc;

	rc = cert_build_csr(name, key_pub(n->key), n->alg, &req, e);
	if (rc == 0)
		rc = cert_ext_request(req, o->exts, o->n_exts, e);
	if (rc == 0)
		rc = cert_csr_tbs(req, &tbs, e);
	if (rc == 0)
		rc = recorded_sign(&n->rec, REC_PURPOSE_CSR,
			"certificate signing request", n->alg, tbs.p, tbs.len,
			&sig, e);
	if (rc == 0)
		rc = cert_csr_finish(req, n->alg, sig.p, sig.len, e);
	if (rc == 0)
		rc = cert_csr_to_pem(req, &n->pem, e);
	X509_REQ_free(req);
	buf_free(&tbs);
	buf_free(&sig);
	return rc;
}

static int
check_opts(
	const struct ofs_enroll_opts *o, X509_NAME **name, struct ofs_error *e)
{
	int rc;

	*name = NULL;
	if (o == NULL || o->size != sizeof(*o) || o->key_type == NULL)
		return err_set(e, OFS_EINVAL,
			"a key type is needed; take ec:P-256 or rsa:3072");
	if (o->use_log &&
		(o->use_digest || o->subject != NULL ||
			strncmp(o->key_type, "rsa:", 4) != 0))
		return err_set(e, OFS_EINVAL,
			"a key that opens audit logs is an RSA key, has no "
			"certificate, and signs nothing");
	if (o->self_signed && o->csr)
		return err_set(e, OFS_EINVAL,
			"a self-signed certificate and a request exclude each "
			"other; choose one");
	if ((o->self_signed || o->csr) != (o->subject != NULL))
		return err_set(e, OFS_EINVAL,
			"a subject goes with a self-signed certificate or a "
			"request, and they with a subject");
	if (o->n_exts > 0 && o->subject == NULL)
		return err_set(e, OFS_EINVAL,
			"extensions go with a self-signed certificate or a "
			"request; ask for one");
	if ((unsigned int)o->padding > OFS_PADDING_PSS ||
		(o->padding != OFS_PADDING_DEFAULT &&
			strncmp(o->key_type, "rsa:", 4) != 0))
		return err_set(e, OFS_EINVAL,
			"a padding goes with an RSA key; leave it out");
	if (o->days < 0 || o->days > DAYS_MAX)
		return err_set(e, OFS_EINVAL,
			"%d days are out of range; take 1 to %d", o->days,
			DAYS_MAX);
	if (o->subject == NULL)
		return 0;
	rc = cert_ext_check(o->csr, o->exts, o->n_exts, e);
	return rc != 0 ? rc : cert_name_parse(o->subject, name, e);
}

/* what the token's vendor says of the key, where the token shows it */
static int
attest(struct enrolment *n, struct ofs_attestation *out, struct ofs_error *e)
{
	X509 *cert, *issuer;
	int rc;

	rc = attest_find(n->key, &n->attested, e);
	cert = n->attested.cert;
	issuer = n->attested.issuer;
	if (rc != 0 || cert == NULL)
		return rc;
	out->found = true;
	cert_subject(cert, out->subject, sizeof(out->subject));
	cert_issuer(cert, out->issuer, sizeof(out->issuer));
	rc = cert_sha256(cert, out->sha256, e);
	if (rc == 0 && issuer != NULL)
		rc = cert_sha256(issuer, out->issuer_sha256, e);
	return rc;
}

/* *out from what stands on the token now */
static int
hand_out(struct enrolment *n, struct ofs_error *e)
{
	struct ofs_enrolled *out = n->out;
	int rc;

	rc = key_refresh(n->key, e);
	if (rc != 0)
		return rc;
	out->key = *ofs_key_get_info(n->key);
	rc = attest(n, &out->attestation, e);
	if (rc != 0)
		return rc;
	if (n->pem.len > 0) {
		out->pem = strdup(buf_cstr(&n->pem));
		if (out->pem == NULL)
			return err_nomem(e);
	}
	return 0;
}

static int
record_enrolled(
	struct enrolment *n, const char *event, X509 *cert, struct ofs_error *e)
{
	return recorded_enrolled(&n->rec, event, cert, &n->attested,
		n->use_log              ? PERMIT_LOG
			: n->use_digest ? PERMIT_DIGEST
					: NULL,
		&n->out->seq, e);
}

static int
enroll(struct enrolment *n, struct ofs_error *e)
{
	const struct ofs_enroll_opts *o = n->opts;
	X509_NAME *name = NULL;
	int rc;

	rc = check_opts(o, &name, e);
	if (rc == 0 && n->audit == NULL)
		rc = err_set(e, OFS_EINVAL,
			"a key is not made without an audit log; open one");
	if (rc == 0)
		rc = o->use_log ? key_generate_decrypting(n->token, n->uri,
					  o->key_type, &n->key, e)
				: key_generate(n->token, n->uri, o->key_type,
					  &n->key, e);
	if (rc == 0)
		rc = check_key(n, o->padding, e);
	if (rc == 0 && o->self_signed)
		rc = make_self_signed(n, name, o, e);
	if (rc == 0 && o->csr)
		rc = make_csr(n, name, o, e);
	if (rc == 0)
		rc = hand_out(n, e);
	if (rc == 0)
		rc = record_enrolled(n, "enroll", n->cert, e);
	X509_NAME_free(name);
	return rc;
}

/* an enrolment that failed leaves nothing on the token */
static void
undo(struct enrolment *n)
{
	struct ofs_error e;

	if (n->key == NULL)
		return;
	if (key_destroy(n->key, &e) != 0)
		ctx_log(token_ctx(n->token), OFS_LOG_ERROR,
			"the key that was not enrolled is still on the token: "
			"%s",
			e.message);
}

static int
run_enroll(void *arg, struct ofs_error *e)
{
	struct enrolment *n = arg;
	int rc = enroll(n, e);

	if (rc != 0)
		undo(n);
	return rc;
}

/* opens the key of a new enrolment */
static int
open_key(struct enrolment *n, struct ofs_error *e)
{
	int rc;

	if (n->use_log)
		return key_open_idle(n->token, n->uri, &n->key, e);
	rc = ofs_key_open(n->token, n->uri, 0, &n->key);
	if (rc != 0)
		*e = *ofs_token_error(n->token);
	return rc;
}

static int
run_adopt(void *arg, struct ofs_error *e)
{
	struct enrolment *n = arg;
	int rc;

	rc = open_key(n, e);
	if (rc == 0)
		rc = check_key(n, OFS_PADDING_DEFAULT, e);
	if (rc == 0)
		rc = hand_out(n, e);
	if (rc == 0)
		rc = record_enrolled(n, "adopt", key_cert(n->key), e);
	return rc;
}

/* runs one of them with the token watched */
static int
run(struct enrolment *n, watch_fn fn)
{
	struct ofs_error e;
	int rc;

	if (n->out != NULL) {
		memset(n->out, 0, sizeof(*n->out));
		n->out->size = sizeof(*n->out);
	}
	err_clear(&e);
	rc = token_run(n->token, fn, n, &e);
	so_forget(n->token);
	if (rc != 0 && n->out != NULL)
		ofs_enrolled_clear(n->out);
	enrolment_clear(n);
	return rc == 0 ? 0 : token_fail(n->token, &e);
}

int
ofs_key_enroll(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_enroll_opts *opts, struct ofs_enrolled *out)
{
	struct enrolment n = { .token = token,
		.audit = audit,
		.uri = uri,
		.opts = opts,
		.use_digest = opts != NULL && opts->use_digest,
		.use_log = opts != NULL && opts->use_log,
		.out = out };

	return run(&n, run_enroll);
}

int
ofs_key_adopt(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_adopt_opts *opts, struct ofs_enrolled *out)
{
	struct enrolment n = { .token = token,
		.audit = audit,
		.uri = uri,
		.use_digest = opts != NULL && opts->use_digest,
		.use_log = opts != NULL && opts->use_log,
		.out = out };
	struct ofs_error e;

	if (opts != NULL && opts->size != sizeof(*opts)) {
		(void)err_set(&e, OFS_EINVAL,
			"the options are of another version of the library; "
			"start from OFS_ADOPT_OPTS_INIT");
		return token_fail(token, &e);
	}
	return run(&n, run_adopt);
}

static int
run_import(void *arg, struct ofs_error *e)
{
	struct enrolment *n = arg;
	STACK_OF(X509) *all = NULL;
	char subject[256];
	uint64_t seq;
	int rc;

	rc = key_open_idle(n->token, n->uri, &n->key, e);
	if (rc == 0)
		rc = cert_list_parse(n->given, n->given_len, &all, e);
	if (rc != 0)
		return rc;
	n->cert = sk_X509_shift(all);
	sk_X509_pop_free(all, X509_free);
	cert_subject(n->cert, subject, sizeof(subject));
	if (!cert_has_key(n->cert, key_pub(n->key)))
		return err_set(e, OFS_ECERT,
			"certificate '%s' is not for key '%s': it holds "
			"another public key; it is not stored",
			subject, ofs_key_get_info(n->key)->label);
	rc = recorded_init(&n->rec, n->audit, n->key, n->cert, e);
	if (rc == 0)
		rc = key_store_cert(n->key, n->cert, e);
	if (rc == 0)
		rc = recorded_key_event(
			&n->rec, "import-cert", n->cert, NULL, &seq, e);
	return rc;
}

int
ofs_cert_import(ofs_token *token, ofs_audit *audit, const char *uri,
	const void *cert, size_t cert_len)
{
	struct enrolment n = { .token = token,
		.audit = audit,
		.uri = uri,
		.given = cert,
		.given_len = cert_len };

	return run(&n, run_import);
}

void
ofs_enrolled_clear(struct ofs_enrolled *e)
{
	free(e->pem);
	e->pem = NULL;
}
