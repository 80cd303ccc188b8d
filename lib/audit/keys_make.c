/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Begins an epoch: a new key, wrapped for everybody who may read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "audit/auditors.h"
#include "audit/handle.h"

#include "base/hex.h"
#include "crypto/cert.h"

#define AUDITORS_MAX 100

#define STATION_WAYS 2 /* a station key, a passphrase */
#define WRAPS_MAX (2 * (AUDITORS_MAX + STATION_WAYS) + 1)

/* the wraps of a new epoch; the bytes of all of them are in `arena` */
struct wraps {
	struct rec_wrap w[WRAPS_MAX];
	size_t at[WRAPS_MAX];          /* of the data in the arena */
	char kept[STATION_WAYS][4096]; /* hints of an older epoch */
	char hints[AUDITORS_MAX][65];
	char previous[16];
	size_t n;
	struct buf arena;
};

static void
add(struct wraps *ws, const char *what, const char *kind, const char *hint,
	size_t at)
{
	struct rec_wrap *w = &ws->w[ws->n];

	w->what = what;
	w->kind = kind;
	w->hint = hint;
	w->data.n = ws->arena.len - at;
	ws->at[ws->n++] = at;
}

/* one box for all wraps of a log by a token: that is asked once */
static int
for_station_key(struct wraps *ws, ofs_audit *a, const struct key_plan *plan,
	const char *what, const uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;
	uint8_t kwp[WRAP_KWP_SIZE];
	size_t at = ws->arena.len;
	int rc;

	if (plan->station == NULL)
		return 0;
	if (plan->on_token ? !s->has_token : !s->has_station)
		return err_set(e, OFS_EAUDIT,
			"keys of the audit log are wrapped by its station key, "
			"too, and it is not here: %s; name another with "
			"--station-key",
			a->keys.why.message);
	rc = wrap_kwp(plan->on_token ? s->token_kek : s->station, key, kwp, e);
	if (rc != 0)
		return rc;
	if (plan->on_token)
		wrap_token_put(&s->token, kwp, &ws->arena);
	else
		buf_put(&ws->arena, kwp, sizeof(kwp));
	add(ws, what, plan->on_token ? "token" : "file", plan->station, at);
	return 0;
}

/* one salt for all wraps of a log by this passphrase: it is dear */
static int
for_passphrase(struct wraps *ws, ofs_audit *a, const struct key_plan *plan,
	const char *what, const uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;
	uint8_t kwp[WRAP_KWP_SIZE], blob[WRAP_SCRYPT_SIZE];
	size_t at = ws->arena.len;
	int rc = 0;

	if (!plan->passphrase)
		return 0;
	if (!s->has_kek && s->passphrase[0] == '\0')
		return err_set(e, OFS_ENOPIN,
			"keys of the audit log are wrapped by a passphrase, "
			"too, and it is not here");
	if (!s->has_kek) {
		memset(&s->scrypt, 0, sizeof(s->scrypt));
		rc = wrap_scrypt_init(&s->scrypt, e);
		if (rc == 0)
			rc = wrap_scrypt_key(
				&s->scrypt, s->passphrase, s->kek, e);
		s->has_kek = rc == 0;
	}
	if (rc == 0)
		rc = wrap_kwp(s->kek, key, kwp, e);
	if (rc != 0)
		return rc;
	wrap_scrypt_put(&s->scrypt, kwp, blob);
	buf_put(&ws->arena, blob, sizeof(blob));
	add(ws, what, "passphrase", NULL, at);
	return 0;
}

static int
for_auditors(struct wraps *ws, const struct key_plan *plan, const char *what,
	const uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	uint8_t sum[32];
	size_t at;
	int i, rc = 0;

	for (i = 0; rc == 0 && i < sk_X509_num(plan->auditors); i++) {
		X509 *c = sk_X509_value(plan->auditors, i);

		at = ws->arena.len;
		rc = cert_sha256(c, sum, e);
		if (rc == 0)
			rc = wrap_x509(c, key, &ws->arena, e);
		if (rc == 0)
			add(ws, what, "x509",
				hex_encode(ws->hints[i], sum, sizeof(sum)), at);
	}
	return rc;
}

static int
for_station(struct wraps *ws, ofs_audit *a, const struct key_plan *plan,
	const char *what, const uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	int rc = for_station_key(ws, a, plan, what, key, e);

	return rc != 0 ? rc : for_passphrase(ws, a, plan, what, key, e);
}

static int
for_all(struct wraps *ws, ofs_audit *a, const struct key_plan *plan,
	const char *what, const uint8_t key[SEAL_KEY], struct ofs_error *e)
{
	int rc = for_station(ws, a, plan, what, key, e);

	return rc != 0 ? rc : for_auditors(ws, plan, what, key, e);
}

/* who reads this epoch reads the one before */
static int
for_next(struct wraps *ws, const struct key_plan *plan,
	const uint8_t data[SEAL_KEY], struct ofs_error *e)
{
	uint8_t kwp[WRAP_KWP_SIZE];
	size_t at = ws->arena.len;
	int rc;

	if (plan->previous == NULL || !plan->previous->open)
		return 0;
	rc = wrap_kwp(data, plan->previous->data, kwp, e);
	if (rc != 0)
		return rc;
	buf_put(&ws->arena, kwp, sizeof(kwp));
	snprintf(ws->previous, sizeof(ws->previous), "%u",
		plan->previous->epoch);
	add(ws, "previous", "epoch", ws->previous, at);
	return 0;
}

/* NULL: none that we know */
static const char *
way_of(const struct ofs_field *kind)
{
	static const char *const ways[] = { "file", "token", "passphrase" };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (keys_is(kind, ways[i]))
			return ways[i];
	return NULL;
}

/* by the station's secrets, of which the older epoch tells, or new ones */
static int
for_batches(struct wraps *ws, ofs_audit *a, const struct key_plan *plan,
	struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;
	struct key_wrap w;
	size_t i = 0, n;

	for (n = 0; n < STATION_WAYS && kept_wrap(plan->like, &i, &w); n++) {
		const char *kind = way_of(&w.kind);
		size_t at = ws->arena.len;

		if (kind == NULL)
			continue;
		snprintf(ws->kept[n], sizeof(ws->kept[n]), "%.*s",
			w.hint.bytes != NULL ? (int)w.hint.len : 0,
			(const char *)w.hint.bytes);
		buf_put(&ws->arena, w.data.bytes, w.data.len);
		add(ws, "batch", kind,
			w.hint.bytes != NULL ? ws->kept[n] : NULL, at);
	}
	if (!plan->batch)
		return 0;
	if (RAND_priv_bytes(s->batch, sizeof(s->batch)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a key");
	s->has_batch = true;
	return for_station(ws, a, plan, "batch", s->batch, e);
}

static int
make_tag(ofs_audit *a, struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;

	if (s->has_tag)
		return 0;
	if (RAND_priv_bytes(s->tag, sizeof(s->tag)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a key");
	s->has_tag = true;
	return tag_set_key(&a->tag, s->tag, e);
}

static int
append(ofs_audit *a, const struct key_plan *plan, struct wraps *ws,
	struct key_epoch *ep, struct ofs_error *e)
{
	struct rec_epoch r = { .epoch = ep->epoch,
		.reason = plan->reason,
		.wraps = ws->w,
		.n = ws->n };
	struct log_entry en = { .type = OFS_REC_EPOCH };
	struct buf body = BUF_INIT;
	uint8_t commit[32];
	size_t i;
	int rc;

	if (!buf_ok(&ws->arena))
		return err_nomem(e);
	for (i = 0; i < ws->n; i++)
		ws->w[i].data.p = ws->arena.p + ws->at[i];
	rc = seal_epoch_commit(&a->keys.seal, ep->epoch, ep->data, commit, e);
	r.key_commit = (struct rec_span){ commit, sizeof(commit) };
	handle_plain_operator(a, &r.operator_);
	if (rc == 0)
		rc = record_epoch_encode(&r, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = handle_append(a, &en, &ep->seq, e);
	buf_free(&body);
	return rc;
}

static int
fill(ofs_audit *a, const struct key_plan *plan, struct wraps *ws,
	struct key_epoch *ep, struct ofs_error *e)
{
	int rc = 0;

	if (RAND_priv_bytes(ep->data, sizeof(ep->data)) != 1)
		return err_ssl(e, OFS_EINTERNAL, "cannot make a key");
	if (plan->tag)
		rc = make_tag(a, e);
	if (rc == 0)
		rc = xaes_init(&ep->xaes, ep->data, e);
	if (rc == 0 && a->keys.mode == LOG_SEALED) {
		rc = for_auditors(ws, plan, "data", ep->data, e);
		if (rc == 0)
			rc = for_batches(ws, a, plan, e);
	} else if (rc == 0) {
		rc = for_all(ws, a, plan, "data", ep->data, e);
	}
	if (rc == 0 && plan->tag)
		rc = for_all(ws, a, plan, "tag", a->keys.s->tag, e);
	if (rc == 0)
		rc = for_next(ws, plan, ep->data, e);
	if (rc == 0)
		rc = auditors_keep(a, plan->auditors, e);
	return rc != 0 ? rc : append(a, plan, ws, ep, e);
}

/* as keys_epoch() would find them in the record that was just made */
static int
hash_wraps(ofs_audit *a, const struct wraps *ws, struct key_epoch *ep,
	struct ofs_error *e)
{
	struct digest *d = &a->keys.seal.sha;
	int rc = digest_begin(d, &digest_sha256, e);

	for (size_t i = 0; rc == 0 && i < ws->n; i++)
		if (strcmp(ws->w[i].what, "data") == 0 &&
			strcmp(ws->w[i].kind, "x509") == 0)
			rc = digest_update(
				d, ws->w[i].hint, strlen(ws->w[i].hint), e);
	if (rc == 0)
		rc = digest_end(d, ep->readers, e);
	if (rc == 0)
		rc = digest_begin(d, &digest_sha256, e);
	for (size_t i = 0; rc == 0 && i < ws->n; i++)
		if (strcmp(ws->w[i].what, "batch") == 0)
			rc = digest_update(
				d, ws->w[i].data.p, ws->w[i].data.n, e);
	return rc != 0 ? rc : digest_end(d, ep->batches, e);
}

int
keys_make(ofs_audit *a, const struct key_plan *plan, struct ofs_error *e)
{
	struct keys *k = &a->keys;
	struct wraps *ws;
	struct key_epoch *ep;
	uint32_t last;
	int rc;

	if (sk_X509_num(plan->auditors) > AUDITORS_MAX)
		return err_set(e, OFS_EINVAL,
			"an audit log can have %d auditors at most",
			AUDITORS_MAX);
	rc = store_epoch_last(&a->store, &last, e);
	if (rc == 0 && last == UINT32_MAX)
		rc = err_set(e, OFS_EAUDIT, "audit log has no epochs left");
	if (rc != 0)
		return rc;
	ws = calloc(1, sizeof(*ws));
	ep = keys_entry_new(last + 1, 0);
	rc = ws == NULL || ep == NULL ? err_nomem(e) : fill(a, plan, ws, ep, e);
	if (rc == 0)
		rc = hash_wraps(a, ws, ep, e);
	if (rc == 0) {
		ep->open = ep->own = true;
		ep->tagged = plan->tag;
		rc = keys_put(k, ep, e);
	}
	k->writer = NULL;
	if (rc == 0) {
		if (plan->batch)
			memcpy(k->s->batch_of, ep->batches,
				sizeof(k->s->batch_of));
		k->newest = k->current = ep->epoch;
		k->served = false;
	} else {
		keys_entry_free(ep);
	}
	if (ws != NULL)
		buf_free(&ws->arena);
	free(ws);
	return rc;
}

static int
add_auditor(ofs_audit *a, const struct ofs_field *hint, struct key_plan *plan,
	struct ofs_error *e)
{
	struct buf der = BUF_INIT;
	uint8_t sum[32];
	X509 *c = NULL;
	bool has = false;
	int rc = 0;

	if (hint->len != 64 ||
		!hex_decode(sum, sizeof(sum), (const char *)hint->bytes, 64))
		return err_set(e, OFS_EDAMAGED,
			"audit log names an auditor's certificate by '%.*s'",
			(int)hint->len, (const char *)hint->bytes);
	rc = store_cert_get(&a->store, sum, &der, &has, e);
	if (rc == 0 && !has)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log lacks an auditor's certificate");
	if (rc == 0)
		rc = cert_from_der(der.p, der.len, &c, e);
	if (rc == 0 && sk_X509_push(plan->auditors, c) <= 0) {
		X509_free(c);
		rc = err_nomem(e);
	}
	buf_free(&der);
	return rc;
}

void
keys_plan_station(struct key_plan *plan, char *station, bool on_token)
{
	free((void *)(uintptr_t)plan->station);
	plan->station = station;
	plan->on_token = on_token;
}

int
keys_plan_token(ofs_audit *a, struct key_plan *plan,
	const struct log_station_key *station, struct ofs_error *e)
{
	char *uri = strdup(station->uri);

	if (uri == NULL)
		return err_nomem(e);
	keys_plan_station(plan, uri, true);
	keys_take_token(&a->keys, station);
	return 0;
}

/* the first one counts */
static int
take_station(
	const struct key_wrap *w, struct key_plan *plan, struct ofs_error *e)
{
	char *hint;

	if (plan->station != NULL)
		return 0;
	hint = strndup((const char *)w->hint.bytes, w->hint.len);
	if (hint == NULL)
		return err_nomem(e);
	keys_plan_station(plan, hint, keys_is(&w->kind, "token"));
	return 0;
}

int
keys_plan_of(ofs_audit *a, uint32_t epoch, struct key_plan *plan,
	struct ofs_error *e)
{
	struct record_body *b;
	struct key_wrap w;
	uint64_t seq;
	int rc;

	memset(plan, 0, sizeof(*plan));
	rc = keys_record_of(a, epoch, &seq, &b, e);
	if (rc != 0)
		return rc;
	plan->auditors = sk_X509_new_null();
	if (plan->auditors == NULL)
		rc = err_nomem(e);
	for (size_t i = 0; rc == 0 && keys_wrap(b, i, &w); i++) {
		plan->tag = plan->tag || keys_is(&w.what, "tag");
		if (!keys_is(&w.what, "data") && !keys_is(&w.what, "batch"))
			continue;
		if (keys_is(&w.kind, "x509") && w.hint.bytes != NULL)
			rc = add_auditor(a, &w.hint, plan, e);
		else if (keys_is(&w.kind, "passphrase"))
			plan->passphrase = true;
		else if (keys_is_station(&w))
			rc = take_station(&w, plan, e);
	}
	plan->like = b;
	if (rc != 0)
		keys_plan_free(plan);
	return rc;
}

void
keys_plan_free(struct key_plan *plan)
{
	sk_X509_pop_free(plan->auditors, X509_free);
	keys_plan_station(plan, NULL, false);
	record_body_free(plan->like);
	memset(plan, 0, sizeof(*plan));
}
