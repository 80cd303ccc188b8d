/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a log: its epochs, and what opens them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "audit/handle.h"

#include "base/mem.h"
#include "base/text.h"

int
keys_init(struct keys *k, struct ofs_error *e)
{
	memset(k, 0, sizeof(*k));
	err_clear(&k->why);
	k->s = mem_secret_new(sizeof(*k->s));
	return k->s != NULL ? 0 : err_nomem(e);
}

struct key_epoch *
keys_entry_new(uint32_t epoch, uint64_t seq)
{
	struct key_epoch *ep = mem_secret_new(sizeof(*ep));

	if (ep != NULL) {
		ep->epoch = epoch;
		ep->seq = seq;
	}
	return ep;
}

void
keys_entry_free(struct key_epoch *ep)
{
	if (ep == NULL)
		return;
	xaes_free(&ep->xaes);
	mem_secret_free(ep, sizeof(*ep));
}

void
keys_free(struct keys *k)
{
	for (size_t i = 0; i < k->n; i++)
		keys_entry_free(k->p[i]);
	free(k->p);
	mem_secret_free(k->s, sizeof(*k->s));
	EVP_PKEY_free(k->reader);
	X509_free(k->reader_cert);
	seal_free(&k->seal);
	memset(k, 0, sizeof(*k));
}

int
keys_set_mode(struct keys *k, const char *mode, struct ofs_error *e)
{
	if (mode == NULL)
		k->mode = LOG_PLAIN;
	else if (strcmp(mode, "station") == 0)
		k->mode = LOG_STATION;
	else if (strcmp(mode, "sealed") == 0)
		k->mode = LOG_SEALED;
	else
		return err_set(e, OFS_EAUDIT,
			"cannot open audit log: its mode is '%s', which this "
			"version does not know",
			TEXT_Q(mode));
	return 0;
}

/* the first entry that is not below `epoch` */
static size_t
find(const struct keys *k, uint32_t epoch)
{
	size_t low = 0, high = k->n;

	/* mostly the newest is asked for */
	if (k->n > 0 && k->p[k->n - 1]->epoch == epoch)
		return k->n - 1;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->p[mid]->epoch < epoch)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static bool
is_here(const struct keys *k, uint32_t epoch)
{
	size_t at = find(k, epoch);

	return at < k->n && k->p[at]->epoch == epoch;
}

static void
drop(struct keys *k, size_t at)
{
	if (k->writer == k->p[at])
		k->writer = NULL;
	keys_entry_free(k->p[at]);
	k->n--;
	memmove(k->p + at, k->p + at + 1, (k->n - at) * sizeof(*k->p));
}

/* each process begins one; the handle's own are not to be had again */
static void
make_room(struct keys *k)
{
	size_t oldest = k->n;

	for (size_t i = 0; i < k->n; i++)
		if (!k->p[i]->own &&
			(oldest == k->n || k->p[i]->used < k->p[oldest]->used))
			oldest = i;
	if (oldest < k->n)
		drop(k, oldest);
}

int
keys_put(struct keys *k, struct key_epoch *ep, struct ofs_error *e)
{
	struct key_epoch **grown;
	size_t at, cap;

	if (k->mode == LOG_SEALED && k->n >= KEYS_SEALED_MAX && !k->keep_all)
		make_room(k);
	ep->used = ++k->uses;
	at = find(k, ep->epoch);
	if (k->n == k->cap) {
		cap = k->cap * 2 + 8;
		grown = reallocarray(k->p, cap, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		k->p = grown;
		k->cap = cap;
	}
	memmove(k->p + at + 1, k->p + at, (k->n - at) * sizeof(*k->p));
	k->p[at] = ep;
	k->n++;
	return 0;
}

void
keys_begin(ofs_audit *a)
{
	a->keys.writer = NULL;
}

void
keys_retry(ofs_audit *a)
{
	struct keys *k = &a->keys;

	for (size_t i = k->n; i > 0; i--)
		if (!k->p[i - 1]->open)
			drop(k, i - 1);
}

void
keys_lock(ofs_audit *a)
{
	struct keys *k = &a->keys;

	for (size_t i = k->n; i > 0; i--)
		if (!k->p[i - 1]->own)
			drop(k, i - 1);
}

void
keys_forget_from(ofs_audit *a, uint64_t size)
{
	struct keys *k = &a->keys;

	for (size_t i = k->n; i > 0; i--) {
		if (k->p[i - 1]->seq < size)
			continue;
		if (k->current == k->p[i - 1]->epoch)
			k->current = 0;
		drop(k, i - 1);
	}
}

struct got {
	struct record_body **body;
	uint64_t seq;
	bool found;
};

static int
take(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct got *got = arg;
	struct record_header h;
	struct ofs_error why;
	int rc;

	got->found = true;
	rc = record_header_decode(r->header, r->header_len, &h, &why);
	if (rc == 0 && (h.type != OFS_REC_EPOCH || h.cipher != 0))
		rc = err_set(&why, OFS_EFORMAT, "it does not begin an epoch");
	if (rc == 0)
		rc = record_body_decode(
			h.type, r->body, r->body_len, got->body, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	if (rc != 0)
		return err_set(e, OFS_EDAMAGED,
			"record %llu of the audit log cannot be read: %s",
			(unsigned long long)r->seq, why.message);
	return 0;
}

int
keys_record_of(ofs_audit *a, uint32_t epoch, uint64_t *seq,
	struct record_body **out, struct ofs_error *e)
{
	struct got got = { .body = out };
	struct ofs_field f;
	int rc;

	*out = NULL;
	rc = store_epoch_get(&a->store, epoch, seq, e);
	if (rc == 0 && *seq > 0)
		rc = store_record_get(&a->store, *seq, take, &got, e);
	if (rc == 0 &&
		(!got.found || !record_body_find(*out, "epoch", &f) ||
			f.number != (int64_t)epoch))
		rc = err_set(e, OFS_EDAMAGED,
			"epoch %u of the audit log is missing", epoch);
	if (rc != 0) {
		record_body_free(*out);
		*out = NULL;
	}
	return rc;
}

int
keys_newest(ofs_audit *a, struct record_body **out, struct ofs_error *e)
{
	uint64_t seq;
	int rc;

	*out = NULL;
	rc = store_epoch_last(&a->store, &a->keys.newest, e);
	if (rc == 0 && a->keys.newest == 0)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log says that it is encrypted, and has no keys");
	return rc != 0 ? rc : keys_record_of(a, a->keys.newest, &seq, out, e);
}

static int
check_commit(struct keys *k, uint32_t epoch, const struct record_body *b,
	const uint8_t data[SEAL_KEY], struct ofs_error *e)
{
	struct ofs_field f;
	uint8_t ours[32];
	int rc;

	rc = seal_epoch_commit(&k->seal, epoch, data, ours, e);
	if (rc == 0 &&
		(!record_body_find(b, "key_commit", &f) ||
			f.len != sizeof(ours) ||
			CRYPTO_memcmp(f.bytes, ours, sizeof(ours)) != 0))
		rc = err_set(e, OFS_EDAMAGED,
			"key of epoch %u of the audit log is not the one that "
			"its record commits to",
			epoch);
	return rc;
}

int
keys_hash_batches(struct keys *k, const struct record_body *b, uint8_t out[32],
	struct ofs_error *e)
{
	struct digest *d = &k->seal.sha;
	struct key_wrap w;
	size_t i = 0;
	int rc = digest_begin(d, &digest_sha256, e);

	while (rc == 0 && kept_wrap(b, &i, &w))
		rc = digest_update(d, w.data.bytes, w.data.len, e);
	return rc != 0 ? rc : digest_end(d, out, e);
}

/* what the certificates of an epoch are, and whether documents have tags */
static int
describe(struct keys *k, const struct record_body *b, struct key_epoch *ep,
	struct ofs_error *e)
{
	struct digest *d = &k->seal.sha;
	struct key_wrap w;
	int rc = digest_begin(d, &digest_sha256, e);

	for (size_t i = 0; rc == 0 && keys_wrap(b, i, &w); i++) {
		ep->tagged = ep->tagged || keys_is(&w.what, "tag");
		if (keys_is(&w.what, "data") && keys_is(&w.kind, "x509") &&
			w.hint.bytes != NULL)
			rc = digest_update(d, w.hint.bytes, w.hint.len, e);
	}
	if (rc == 0)
		rc = digest_end(d, ep->readers, e);
	return rc != 0 ? rc : keys_hash_batches(k, b, ep->batches, e);
}

static int
take_tag(ofs_audit *a, const struct record_body *b, struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;
	int rc;

	if (s->has_tag)
		return 0;
	rc = keys_unwrap(&a->keys, b, "tag", s->tag, &s->has_tag, e);
	if (rc == 0 && s->has_tag)
		rc = tag_set_key(&a->tag, s->tag, e);
	return rc;
}

/* has the key: opens the epoch, and gives the key of the one before in it */
static int
open_epoch(ofs_audit *a, struct key_epoch *ep, const struct record_body *b,
	const uint8_t data[SEAL_KEY], struct ofs_error *e)
{
	int rc;

	rc = check_commit(&a->keys, ep->epoch, b, data, e);
	if (rc == 0)
		rc = xaes_init(&ep->xaes, data, e);
	if (rc == 0)
		rc = take_tag(a, b, e);
	if (rc != 0)
		return rc;
	memcpy(ep->data, data, SEAL_KEY);
	ep->open = true;
	return 0;
}

/*
 * The key of `epoch` out of the record of the one behind it, whose own key is
 * here: a reader of an epoch reads all before it.
 */
static int
from_next(ofs_audit *a, uint32_t epoch, uint8_t data[SEAL_KEY], bool *has,
	struct ofs_error *e)
{
	struct record_body *b = NULL;
	struct key_epoch *next;
	struct key_wrap w;
	uint64_t seq;
	uint32_t n;
	int rc = 0;

	/* the newest first: no chain of any length is climbed on the stack */
	if (!is_here(&a->keys, epoch + 1))
		for (n = a->keys.newest; rc == 0 && n > epoch + 1; n--)
			rc = keys_epoch(a, n, &next, e);
	if (rc == 0)
		rc = keys_epoch(a, epoch + 1, &next, e);
	if (rc == 0 && next->open)
		rc = keys_record_of(a, epoch + 1, &seq, &b, e);
	for (size_t i = 0; b != NULL && !*has && keys_wrap(b, i, &w); i++)
		*has = keys_is(&w.what, "previous") &&
			keys_is(&w.kind, "epoch") &&
			wrap_kwp_open(next->data, w.data.bytes, w.data.len,
				data, e) == 0;
	record_body_free(b);
	return rc;
}

static int
load(ofs_audit *a, struct key_epoch *ep, const struct record_body *b,
	struct ofs_error *e)
{
	uint8_t data[SEAL_KEY];
	bool has = false;
	int rc;

	rc = describe(&a->keys, b, ep, e);
	if (rc == 0)
		rc = keys_unwrap(&a->keys, b, "data", data, &has, e);
	if (rc == 0 && !has)
		rc = kept_open(a, ep->epoch, data, &has, e);
	if (rc == 0 && !has && a->keys.mode == LOG_STATION &&
		ep->epoch < a->keys.newest)
		rc = from_next(a, ep->epoch, data, &has, e);
	if (rc == 0 && has)
		rc = open_epoch(a, ep, b, data, e);
	mem_wipe(data, sizeof(data));
	return rc;
}

int
keys_epoch(ofs_audit *a, uint32_t epoch, struct key_epoch **out,
	struct ofs_error *e)
{
	struct keys *k = &a->keys;
	size_t at = find(k, epoch);
	struct record_body *b;
	struct key_epoch *ep;
	uint64_t seq;
	int rc;

	*out = NULL;
	if (at < k->n && k->p[at]->epoch == epoch) {
		*out = k->p[at];
		(*out)->used = ++k->uses;
		return 0;
	}
	rc = store_epoch_last(&a->store, &k->newest, e);
	if (rc == 0)
		rc = keys_record_of(a, epoch, &seq, &b, e);
	if (rc != 0)
		return rc;
	ep = keys_entry_new(epoch, seq);
	rc = ep == NULL ? err_nomem(e) : load(a, ep, b, e);
	if (rc == 0)
		rc = keys_put(k, ep, e);
	record_body_free(b);
	if (rc != 0) {
		keys_entry_free(ep);
		return rc;
	}
	*out = ep;
	return 0;
}

int
keys_record(ofs_audit *a, const struct record_header *h,
	uint8_t record_key[SEAL_KEY], bool *has, struct ofs_error *e)
{
	struct key_epoch *ep;
	int rc;

	*has = false;
	rc = keys_epoch(a, h->epoch, &ep, e);
	if (rc != 0 || !ep->open)
		return rc;
	rc = seal_record_key(&a->keys.seal, &ep->xaes, h, record_key, e);
	*has = rc == 0;
	return rc;
}

int
keys_open_body(ofs_audit *a, const struct record_header *h, const uint8_t *body,
	size_t n, const uint8_t **der, size_t *der_n, struct ofs_error *e)
{
	uint8_t key[SEAL_KEY];
	bool has;
	int rc;

	*der = body;
	*der_n = n;
	if (h->cipher == 0)
		return 0;
	*der = NULL;
	rc = keys_record(a, h, key, &has, e);
	if (rc != 0 || !has)
		return rc;
	rc = seal_open(&a->keys.seal, key, h, body, n, e);
	mem_wipe(key, sizeof(key));
	if (rc == 0) {
		*der = a->keys.seal.out.p;
		*der_n = a->keys.seal.out.len;
	}
	return rc;
}

/* where the station key is that an epoch names: a file, or on a token */
static int
read_station_key(ofs_audit *a, const struct key_wrap *w, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	char *hint = strndup((const char *)w->hint.bytes, w->hint.len);

	if (hint == NULL)
		return err_nomem(e);
	if (keys_is(&w->kind, "token"))
		(void)err_set(&k->why, OFS_EKEY,
			"its station key is on a token, which is not there or "
			"whose PIN was not given: '%s'",
			TEXT_Q(hint));
	else
		k->s->has_station = keyfile_read(hint, &a->place, k->s->station,
					    &k->why) == 0;
	free(hint);
	return 0;
}

int
keys_find(ofs_audit *a, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	struct record_body *b;
	struct key_wrap w;
	bool found = false;
	int rc;

	if (k->mode == LOG_PLAIN)
		return 0;
	rc = keys_newest(a, &b, e);
	for (size_t i = 0; rc == 0 && !found && keys_wrap(b, i, &w); i++) {
		found = keys_is_station(&w);
		if (found)
			rc = read_station_key(a, &w, e);
	}
	record_body_free(b);
	return rc != 0 || !found ? rc : kept_find(a, e);
}

static int
no_key(ofs_audit *a, struct ofs_error *e)
{
	const struct ofs_error *why = &a->keys.why;

	if (why->code == 0)
		return err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s', which is encrypted: none "
			"of its keys is here; its passphrase, or a backup of "
			"its station key, opens it",
			TEXT_Q(a->place.dir));
	return err_set(e, OFS_EAUDIT,
		"cannot write audit log '%s', which is encrypted: %s; %s, or "
		"have an auditor name another key with ofs-audit rotate",
		TEXT_Q(a->place.dir), why->message,
		why->code == OFS_EKEY ? "insert it and give its PIN"
				      : "put a backup of that key there");
}

/* before anything is recorded that the new secret would not open */
static int
check_batches(ofs_audit *a, const struct key_epoch *newest, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	bool same = true;
	int rc = 0;

	if (k->s->has_batch &&
		memcmp(k->s->batch_of, newest->batches,
			sizeof(k->s->batch_of)) != 0)
		rc = kept_check(a, &same, e);
	if (rc == 0 && !same)
		rc = err_set(e, OFS_EAUDIT,
			"cannot write audit log '%s': its station key or "
			"passphrase was changed meanwhile; begin again with "
			"the new one",
			TEXT_Q(a->place.dir));
	return rc;
}

/* the newest epoch decides; one of another process may be newer than ours */
static int
own_epoch(ofs_audit *a, const struct key_epoch *newest, bool *fits,
	struct ofs_error *e)
{
	struct key_epoch *own = NULL;
	int rc = 0;

	*fits = false;
	if (a->keys.current != 0)
		rc = keys_epoch(a, a->keys.current, &own, e);
	if (rc == 0 && own != NULL)
		*fits = memcmp(own->readers, newest->readers, 32) == 0;
	return rc;
}

int
keys_for_writing(ofs_audit *a, struct key_epoch **out, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	struct key_plan plan = { .reason = NULL };
	uint32_t from = k->current;
	struct key_epoch *newest;
	bool fits;
	int rc;

	*out = k->writer;
	if (k->mode == LOG_PLAIN || k->writer != NULL)
		return 0;
	rc = store_epoch_last(&a->store, &k->newest, e);
	if (rc == 0)
		rc = keys_epoch(a, k->newest, &newest, e);
	if (rc != 0)
		return rc;
	if (k->mode == LOG_STATION) {
		k->current = k->newest;
		if (!newest->open)
			return no_key(a, e);
		*out = k->writer = newest;
		return 0;
	}
	rc = check_batches(a, newest, e);
	if (rc == 0)
		rc = own_epoch(a, newest, &fits, e);
	if (rc == 0 && !fits) {
		rc = keys_plan_of(a, k->newest, &plan, e);
		plan.reason = "process";
		if (rc == 0)
			rc = keys_make(a, &plan, e);
		keys_plan_free(&plan);
	}
	if (rc == 0)
		rc = keys_epoch(a, k->current, &k->writer, e);
	if (rc == 0 && k->current != from)
		rc = kept_moved(a, from, k->writer, e);
	*out = k->writer;
	return rc;
}
