/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tokens of the audit key and of keys for documents, as records tell. */
#include <stdio.h>
#include <string.h>

#include "audit/keytokens.h"

#include <offlinesig/checkpoint.h>

#include "audit/handle.h"
#include "base/text.h"
#include "crypto/pubkey.h"

#define TOKENS_MAX 1024 /* a station has a few */

struct seen {
	char id[448]; /* manufacturer, model, serial number and label */
	struct keytokens_both told;
};

static const enum ofs_record_type types[] = { OFS_REC_KEY_EVENT, OFS_REC_INTENT,
	OFS_REC_BATCH_OPENED };

bool
keytokens_told_by(int type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if ((int)types[i] == type)
			return true;
	return false;
}

/* control characters of names are escaped in records: lines part the fields */
static void
read_seen(const struct record_body *b, uint64_t seq, struct seen *p)
{
	static const char *const names[] = { "party.token.manufacturer",
		"party.token.model", "party.token.serial",
		"party.token.label" };
	struct ofs_field f;
	size_t n = 0;

	memset(p, 0, sizeof(*p));
	p->told.seq = seq;
	for (size_t i = 0; i < 4 && n < sizeof(p->id); i++) {
		if (!record_body_find(b, names[i], &f))
			f.len = 0;
		n += (size_t)snprintf(p->id + n, sizeof(p->id) - n, "%.*s\n",
			(int)f.len, f.len > 0 ? (const char *)f.bytes : "");
		if (i == 3)
			snprintf(p->told.label, sizeof(p->told.label), "%.*s",
				(int)f.len,
				f.len > 0 ? (const char *)f.bytes : "");
	}
	text_clean(p->told.label);
}

static bool
find(const struct buf *places, const char *id, struct keytokens_both *told)
{
	struct seen p;

	for (size_t at = 0; at + sizeof(p) <= places->len; at += sizeof(p)) {
		memcpy(&p, places->p + at, sizeof(p));
		if (strcmp(p.id, id) != 0)
			continue;
		*told = p.told;
		return true;
	}
	return false;
}

void
keytokens_take(struct keytokens *k, uint64_t seq, const struct record_body *b)
{
	struct keytokens_both ignored;
	struct buf *to = &k->documents;
	struct ofs_field f;
	struct seen p;

	/* within batches, intents do not say it again */
	if (!record_body_find(b, "party.key.spki_sha256", &f) ||
		f.len != sizeof(k->audit_sha256))
		return;
	if (memcmp(f.bytes, k->audit_sha256, f.len) == 0)
		to = &k->audit;
	else if (record_body_type(b) != OFS_REC_BATCH_OPENED)
		return;
	read_seen(b, seq, &p);
	if (to->len < TOKENS_MAX * sizeof(p) && !find(to, p.id, &ignored))
		buf_put(to, &p, sizeof(p));
}

bool
keytokens_both(const struct keytokens *k, struct keytokens_both *out)
{
	struct seen p;

	if (!buf_ok(&k->audit) || !buf_ok(&k->documents))
		return false;
	for (size_t at = 0; at + sizeof(p) <= k->audit.len; at += sizeof(p)) {
		memcpy(&p, k->audit.p + at, sizeof(p));
		if (find(&k->documents, p.id, out))
			return true;
	}
	return false;
}

void
keytokens_free(struct keytokens *k)
{
	buf_free(&k->audit);
	buf_free(&k->documents);
}

/* a log_record_fn */
static int
look(void *arg, uint64_t seq, const struct record_body *b, struct ofs_error *e)
{
	(void)e;
	keytokens_take(arg, seq, b);
	return 0;
}

int
ofs_audit_check_key(ofs_audit *audit, struct ofs_audit_key_check *out)
{
	struct keytokens k = { .audit = BUF_INIT, .documents = BUF_INIT };
	struct keytokens_both both;
	struct ofs_error e;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	if (audit->key.pub.pub == NULL || !audit->key.on_token)
		return 0;
	rc = pubkey_sha256(audit->key.pub.pub, k.audit_sha256, &e);
	if (rc == 0)
		rc = log_each_of_types(audit, types,
			sizeof(types) / sizeof(types[0]), look, &k, &e);
	/* records that nobody here reads */
	out->known = rc == 0;
	if (rc == OFS_EAUDIT)
		rc = 0;
	if (rc == 0 && out->known && keytokens_both(&k, &both)) {
		out->shared = true;
		out->seq = both.seq;
		snprintf(out->token, sizeof(out->token), "%s", both.label);
	}
	keytokens_free(&k);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
