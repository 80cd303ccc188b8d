/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a batch makes of each document: algorithm, format, certificates. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/x509v3.h>

#include "sign/maker.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/cert.h"
#include "crypto/pubkey.h"
#include "format/raw.h"
#include "sign/plan.h"
#include "sign/release.h"
#include "sign/standing.h"

/* leaf first; self-signed issuers are left out: a root is not embedded */
static int
take_certs(
	struct maker *m, const struct ofs_sign_opts *opts, struct ofs_error *e)
{
	STACK_OF(X509) *all = NULL;
	struct ofs_error why;
	int rc, i;

	rc = cert_list_parse(opts->certs, opts->certs_len, &all, &why);
	if (rc != 0)
		return err_set(
			e, rc, "certificate of the signer: %s", why.message);
	m->cert = sk_X509_shift(all);
	m->chain = sk_X509_new_null();
	if (m->chain == NULL)
		rc = err_nomem(e);
	for (i = 0; rc == 0 && i < sk_X509_num(all); i++) {
		X509 *c = sk_X509_value(all, i);

		if (cert_self_issued(c))
			continue;
		if (!X509_up_ref(c) || !sk_X509_push(m->chain, c))
			rc = err_nomem(e);
	}
	sk_X509_pop_free(all, X509_free);
	return rc;
}

static int
check_validity(const struct maker *m, const struct ofs_sign_opts *opts,
	struct ofs_error *e)
{
	char subject[256], when[TIME_TEXT_SIZE];
	int64_t from, to, now = ctx_now(m->ctx);
	int rc;

	rc = cert_not_before(m->cert, &from, e);
	if (rc == 0)
		rc = cert_not_after(m->cert, &to, e);
	if (rc != 0 || opts->allow_expired)
		return rc;
	cert_subject(m->cert, subject, sizeof(subject));
	if (now > to)
		return err_set(e, OFS_ECERT,
			"certificate '%s' expired on %s; renew it, or allow it "
			"with --allow-expired",
			subject, time_rfc3339(when, to, false));
	if (now < from)
		return err_set(e, OFS_ECERT,
			"certificate '%s' is not valid before %s; check the "
			"clock, or allow it with --allow-expired",
			subject, time_rfc3339(when, from, false));
	return 0;
}

static int
check_cert(struct maker *m, const ofs_key *key,
	const struct ofs_sign_opts *opts, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(key);
	char subject[256];

	if (m->cert == NULL && m->format == OFS_FORMAT_RAW)
		return 0;
	if (m->cert == NULL)
		return err_set(e, OFS_EKEY,
			"key '%s' has no certificate on the token, and CMS "
			"needs one; pass --cert, import one with ofs-token "
			"import-cert, or sign with --format raw",
			info->label);
	cert_subject(m->cert, subject, sizeof(subject));
	if (!cert_has_key(m->cert, key_pub(key)))
		return err_set(e, OFS_ECERT,
			"certificate '%s' is not for key '%s': it holds "
			"another public key; put the signer's certificate "
			"first",
			subject, info->label);
	if ((X509_get_key_usage(m->cert) &
		    (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
		return err_set(e, OFS_ECERT,
			"certificate '%s' is not for signing: its key usage "
			"has neither digitalSignature nor nonRepudiation",
			subject);
	return check_validity(m, opts, e);
}

int
maker_init(struct maker *m, ofs_ctx *ctx, ofs_key *key,
	const struct ofs_sign_opts *opts, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(key);
	int rc = 0;

	memset(m, 0, sizeof(*m));
	m->ctx = ctx;
	m->format = opts->format;
	m->existing = opts->existing;
	m->duplicate = opts->on_duplicate;
	if (m->duplicate == OFS_DUPLICATE_DEFAULT)
		m->duplicate = m->existing == OFS_EXISTING_REPLACE
			? OFS_DUPLICATE_SIGN
			: OFS_DUPLICATE_SKIP;
	m->pub = key_pub(key);
	rc = key_alg(key, opts->padding, opts->digest, &m->alg, e);
	if (rc != 0)
		return rc;
	m->low_s = opts->low_s;
	if (m->low_s && info->type != OFS_KEY_EC_SECP256K1)
		return err_set(e, OFS_EUNSUPPORTED,
			"a low s is for secp256k1 keys, and key '%s' is %s",
			info->label, info->type_name);
	m->message =
		m->format == OFS_FORMAT_RAW && key_takes_message(key, m->alg);
	if (opts->certs != NULL) {
		rc = take_certs(m, opts, e);
	} else if (key_cert(key) != NULL) {
		m->cert = key_cert(key);
		if (!X509_up_ref(m->cert)) {
			m->cert = NULL;
			rc = err_nomem(e);
		}
	}
	if (rc == 0)
		rc = check_cert(m, key, opts, e);
	if (rc == 0 && m->format != OFS_FORMAT_RAW)
		rc = cms_maker_new(m->cert, m->chain, m->alg,
			m->format == OFS_FORMAT_CMS_ATTACHED, &m->cms, e);
	if (rc != 0)
		maker_clear(m);
	return rc;
}

int
maker_set_key(struct maker *m, ofs_key *key, const struct ofs_sign_opts *opts,
	struct ofs_error *e)
{
	const struct alg *alg;
	struct cms_maker *cms = NULL;
	int rc;

	rc = key_alg(key, opts->padding, opts->digest, &alg, e);
	if (rc == 0 && alg != m->alg && m->format != OFS_FORMAT_RAW)
		rc = cms_maker_new(m->cert, m->chain, alg,
			m->format == OFS_FORMAT_CMS_ATTACHED, &cms, e);
	if (rc != 0)
		return rc;
	if (cms != NULL) {
		cms_maker_free(m->cms);
		m->cms = cms;
	}
	m->pub = key_pub(key);
	m->alg = alg;
	m->message = m->format == OFS_FORMAT_RAW && key_takes_message(key, alg);
	return 0;
}

void
maker_clear(struct maker *m)
{
	X509_free(m->cert);
	sk_X509_pop_free(m->chain, X509_free);
	cms_maker_free(m->cms);
	memset(m, 0, sizeof(*m));
}

/* one reading of a document */
struct reading {
	const struct maker *maker;
	struct prepare *prepare;
	struct work *work;
	uint64_t total;             /* bytes read */
	bool both;                  /* SHA-256 besides the signature's digest */
	uint8_t sha256[DIGEST_MAX]; /* where it is asked for */
	uint8_t prefix[RAW_PREFIX];
	size_t prefix_len;
};

/* what has to be in memory as a whole */
static int
keep_content(struct reading *r, const uint8_t *p, size_t n, struct ofs_error *e)
{
	bool attached = r->maker->format == OFS_FORMAT_CMS_ATTACHED;
	size_t most = attached ? CMS_ATTACHED_MAX : RAW_MESSAGE_MAX;
	struct buf *to = &r->work->content;

	if (!attached && !r->maker->message)
		return 0;
	if (n > most - to->len)
		return err_set(e, OFS_EUNSUPPORTED,
			"'%s' is larger than %zu MiB, too large %s; sign it "
			"with --format cms",
			TEXT_Q(r->work->item->path), most >> 20,
			attached ? "to be put inside its signature"
				 : "for a token that has to take it whole");
	buf_put(to, p, n);
	return buf_ok(to) ? 0 : err_nomem(e);
}

static int
take_block(void *arg, const uint8_t *p, size_t n, struct ofs_error *e)
{
	struct reading *r = arg;
	struct work *w = r->work;
	size_t room = sizeof(r->prefix) - r->prefix_len;
	int rc;

	if (atomic_load(&r->prepare->stop))
		return err_set(e, OFS_EINTR,
			"not attempted: the batch was stopped while '%s' was "
			"read",
			TEXT_Q(w->item->path));
	atomic_fetch_add(&r->prepare->bytes, n);
	r->total += n;
	if (room > n)
		room = n;
	if (room > 0)
		memcpy(r->prefix + r->prefix_len, p, room);
	r->prefix_len += room;
	rc = keep_content(r, p, n, e);
	if (rc == 0)
		rc = digest_update(&r->prepare->digest, p, n, e);
	if (rc == 0 && r->both)
		rc = digest_update(&r->prepare->sha256, p, n, e);
	return rc;
}

/* all is read: it must be the document that is meant */
static int
check_read(struct reading *r, struct ofs_error *e)
{
	const struct list_item *it = r->work->item;
	struct work *w = r->work;
	int rc;

	rc = digest_end(&r->prepare->digest, w->digest, e);
	if (rc == 0 && r->both)
		rc = digest_end(&r->prepare->sha256, r->sha256, e);
	else if (rc == 0)
		memcpy(r->sha256, w->digest, 32);
	if (rc != 0)
		return rc;
	w->read = true;
	if (it->has_sha256 && memcmp(r->sha256, it->sha256, 32) != 0)
		return err_set(e, OFS_EMISMATCH,
			"'%s' is not the document that was listed: its SHA-256 "
			"differs; it is not signed",
			TEXT_Q(it->path));
	if (r->maker->planned != NULL)
		rc = plan_check(r->maker->planned, w, e);
	return rc;
}

/*
 * A file_then_fn. The hash is made first and the file is held open, so that
 * what is accepted is what is signed: file_stream_then() fails if it changed.
 */
static int
validate(void *arg, int fd, struct ofs_error *e)
{
	struct reading *r = arg;
	const struct list_item *it = r->work->item;
	struct ofs_document doc = { .size = sizeof(doc),
		.index = r->work->index,
		.path = it->path,
		.fd = fd,
		.bytes = it->bytes,
		.document_size = r->total };
	char said[512] = "";
	int rc;

	rc = check_read(r, e);
	if (rc != 0)
		return rc;
	memcpy(doc.sha256, r->sha256, sizeof(doc.sha256));
	rc = r->maker->validate(
		r->maker->validate_arg, &doc, said, sizeof(said));
	if (rc == 0)
		return 0;
	said[sizeof(said) - 1] = '\0';
	if (rc == OFS_EINTR)
		return err_set(e, rc,
			"not attempted: the batch was stopped while '%s' was "
			"validated",
			TEXT_Q(it->path));
	return err_set(e, rc < 0 ? rc : OFS_EPOLICY,
		"'%s' is refused by its validation: %s", TEXT_Q(it->path),
		said[0] != '\0' ? TEXT_Q(said) : "no reason given");
}

static int
read_document(struct reading *r, struct ofs_error *e)
{
	const struct digest_alg *alg = r->maker->alg->digest;
	const struct list_item *it = r->work->item;
	bool asks = r->maker->validate != NULL;
	struct work *w = r->work;
	int rc;

	r->both = (it->has_sha256 || asks) && alg->id != OFS_DIGEST_SHA256;
	rc = digest_begin(&r->prepare->digest, alg, e);
	if (rc == 0 && r->both)
		rc = digest_begin(&r->prepare->sha256,
			digest_by_id(OFS_DIGEST_SHA256), e);
	if (rc != 0)
		return rc;
	if (it->bytes != NULL) {
		w->size = it->len;
		rc = take_block(r, it->bytes, it->len, e);
		if (rc == 0 && asks)
			rc = validate(r, -1, e);
	} else {
		const struct file_place at = { it->path, it->root, it->inside };

		rc = file_stream_then(&at, take_block, asks ? validate : NULL,
			r, &w->size, e);
	}
	return rc != 0 || asks ? rc : check_read(r, e);
}

int
maker_check_digest(const struct maker *m, size_t len, struct ofs_error *e)
{
	const struct digest_alg *alg = m->alg->digest;

	if (m->format == OFS_FORMAT_CMS_ATTACHED)
		return err_set(e, OFS_EUNSUPPORTED,
			"cms-attached holds the document, and of a digest "
			"there is none; sign it with --format cms");
	if (m->message)
		return err_set(e, OFS_EUNSUPPORTED,
			"a raw %s signature is made over the document itself "
			"and not over its digest; sign it with --format cms",
			m->alg->name);
	if (m->validate != NULL)
		return err_set(e, OFS_EUNSUPPORTED,
			"a document that is not here cannot be validated");
	if (len != alg->size)
		return err_set(e, OFS_EINVAL,
			"a digest has %zu bytes, and this batch signs with %s, "
			"which has %zu",
			len, alg->name, alg->size);
	return 0;
}

/* what was made elsewhere stands for the document */
static int
take_digest(struct reading *r, struct ofs_error *e)
{
	const struct list_item *it = r->work->item;
	struct work *w = r->work;
	int rc;

	rc = maker_check_digest(r->maker, it->digest_len, e);
	if (rc != 0)
		return rc;
	memcpy(w->digest, it->digest, it->digest_len);
	w->read = true;
	return r->maker->planned != NULL ? plan_check(r->maker->planned, w, e)
					 : 0;
}

static int
read_item(struct reading *r, struct ofs_error *e)
{
	return r->work->item->digest_len > 0 ? take_digest(r, e)
					     : read_document(r, e);
}

int
maker_read(const struct maker *m, struct prepare *p, struct work *w)
{
	struct reading r = { .maker = m, .prepare = p, .work = w };

	return read_item(&r, &w->err);
}

static int
check_place(const char *output, struct ofs_error *e)
{
	size_t n = strlen(file_basename(output));
	char *dir;
	int rc;

	/* where its directory is still to be made, nothing else tells */
	if (n > NAME_MAX)
		return err_set(e, OFS_EIO,
			"cannot write '%s': its name would have %zu bytes, and "
			"%d is the limit; give the document a shorter one",
			TEXT_Q(output), n, NAME_MAX);
	dir = file_dirname(output);
	if (dir == NULL)
		return err_nomem(e);
	rc = release_check_place(dir, e);
	free(dir);
	return rc;
}

static int
exists(const struct list_item *it, struct ofs_error *e)
{
	return err_set(e, OFS_EEXIST,
		"'%s' exists already; use --skip-existing or --force",
		TEXT_Q(it->output));
}

/*
 * OFS_EEXIST, or 0 with *skip set, or 0; *look when it depends on what stands
 * there
 */
static int
check_output(const struct maker *m, const struct list_item *it, bool *skip,
	bool *look, struct ofs_error *e)
{
	struct stat st;

	*skip = *look = false;
	if (it->output == NULL ||
		(m->existing == OFS_EXISTING_REPLACE &&
			m->duplicate == OFS_DUPLICATE_SIGN))
		return 0;
	if (lstat(it->output, &st) != 0) {
		if (errno == ENOENT || errno == ENOTDIR)
			return 0;
		return err_sys(e, OFS_EIO, errno, "cannot write '%s'",
			TEXT_Q(it->output));
	}
	*skip = m->existing == OFS_EXISTING_SKIP;
	*look = !*skip && m->duplicate != OFS_DUPLICATE_SIGN;
	return *skip || *look ? 0 : exists(it, e);
}

/* this key has signed the document before, and the signature stands there */
static int
check_duplicate(const struct maker *m, struct work *w, bool *skip)
{
	enum standing standing;
	int rc;

	rc = standing_look(m, w, &standing, &w->err);
	if (rc != 0 || standing == STANDING_NONE)
		return rc;
	if (standing == STANDING_OTHER)
		return m->existing == OFS_EXISTING_REPLACE
			? 0
			: exists(w->item, &w->err);
	if (m->duplicate == OFS_DUPLICATE_REFUSE)
		return err_set(&w->err, OFS_EEXIST,
			"'%s' is signed already: '%s' is this key's signature "
			"of it",
			TEXT_Q(w->item->path), TEXT_Q(w->item->output));
	w->note = "signed before: its signature stands and is valid";
	*skip = true;
	return 0;
}

static int
to_be_signed(struct reading *r, struct ofs_error *e)
{
	const struct maker *m = r->maker;
	struct work *w = r->work;
	int rc;

	if (m->format == OFS_FORMAT_RAW) {
		if (raw_looks_like_attrs(r->prefix, r->prefix_len, w->size))
			return err_set(e, OFS_EPOLICY,
				"'%s' looks like the signed attributes of a "
				"CMS signature, and a raw signature over it "
				"could be passed off as one; sign it with "
				"--format cms",
				TEXT_Q(w->item->path));
		memcpy(w->hash, w->digest, m->alg->digest->size);
		return 0;
	}
	rc = cms_attrs(m->cms, w->digest, ctx_now(m->ctx), &w->tbs, e);
	if (rc == 0)
		rc = digest_of(
			m->alg->digest, w->tbs.p, w->tbs.len, w->hash, e);
	return rc;
}

void
maker_prepare(const struct maker *m, struct prepare *p, struct work *w)
{
	struct reading r = { .maker = m, .prepare = p, .work = w };
	const struct list_item *it = w->item;
	bool skip = false, look = false;
	int rc = 0;

	w->status = OFS_ITEM_FAILED;
	err_clear(&w->err);
	if (it->problem != NULL)
		rc = err_set(&w->err, it->problem_code, "%s", it->problem);
	if (rc == 0)
		rc = check_output(m, it, &skip, &look, &w->err);
	if (rc == 0 && !skip)
		rc = read_item(&r, &w->err);
	if (rc == 0 && look)
		rc = check_duplicate(m, w, &skip);
	if (rc == 0 && skip) {
		w->status = OFS_ITEM_SKIPPED;
		return;
	}
	if (rc == 0 && it->output != NULL)
		rc = check_place(it->output, &w->err);
	if (rc == 0)
		rc = to_be_signed(&r, &w->err);
	if (rc == OFS_EINTR)
		w->status = OFS_ITEM_NOT_ATTEMPTED;
	if (rc != 0)
		return;
	w->status = OFS_ITEM_NOT_ATTEMPTED;
	w->ready = true;
}

void
prepare_free(struct prepare *p)
{
	digest_free(&p->digest);
	digest_free(&p->sha256);
}

static const uint8_t *
content_of(const struct work *w)
{
	return w->content.len > 0 ? w->content.p : (const uint8_t *)"";
}

void
maker_to_sign(const struct maker *m, const struct work *w, struct to_sign *t)
{
	memset(t, 0, sizeof(*t));
	t->alg = m->alg;
	t->low_s = m->low_s;
	t->hash = w->hash;
	if (m->format != OFS_FORMAT_RAW) {
		t->message = w->tbs.p;
		t->message_len = w->tbs.len;
	} else if (m->message) {
		t->message = content_of(w);
		t->message_len = w->content.len;
	}
}

int
maker_finish(const struct maker *m, struct work *w, struct ofs_error *e)
{
	const uint8_t *content = NULL;
	int rc = 0;

	if (m->format == OFS_FORMAT_CMS_ATTACHED)
		content = content_of(w);
	if (m->format == OFS_FORMAT_RAW) {
		buf_put(&w->out, w->sig.p, w->sig.len);
		if (!buf_ok(&w->out))
			rc = err_nomem(e);
	} else {
		rc = cms_assemble(m->cms, w->tbs.p, w->tbs.len, w->sig.p,
			w->sig.len, content, w->content.len, &w->out, e);
	}
	if (rc != 0)
		return rc;
	return digest_of(digest_by_id(OFS_DIGEST_SHA256), w->out.p, w->out.len,
		w->out_sha256, e);
}
