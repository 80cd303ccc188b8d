/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signed heads of the log: when one is due, and how it gets into the store. */
#include <string.h>

#include "audit/checkpoint.h"

#include "base/ctx.h"
#include "base/text.h"
#include "crypto/pubkey.h"

void
checkpoint_noted(ofs_audit *a, const struct log_entry *en)
{
	if (a->key.pub.pub == NULL)
		return;
	a->key.dirty = true;
	if (en->type == OFS_REC_BATCH_CLOSED)
		a->key.due = true;
}

/* other processes make checkpoints, too */
static int
refresh(ofs_audit *a, struct ofs_error *e)
{
	struct buf note = BUF_INIT;
	int rc;

	rc = store_checkpoint_last(&a->store, &a->key.done, &note, e);
	buf_free(&note);
	return rc;
}

static bool
is_due(const ofs_audit *a)
{
	return a->state.size >= a->key.done + CHECKPOINT_EVERY;
}

static int
put(ofs_audit *a, uint64_t size, const struct buf *note, struct ofs_error *e)
{
	int rc = store_checkpoint_put(&a->store, size, note->p, note->len, e);

	if (rc == 0 && size > a->key.done)
		a->key.done = size;
	if (rc == 0)
		a->key.dirty = a->key.due = false;
	return rc;
}

/* a signature that fails is said and leaves the records as they are */
static void
say(ofs_audit *a, const struct ofs_error *why)
{
	ctx_log(a->ctx, OFS_LOG_WARNING,
		"no checkpoint was signed for audit log '%s': %s",
		TEXT_Q(a->place.dir), why->message);
}

int
checkpoint_in_tx(ofs_audit *a, struct ofs_error *e)
{
	struct buf note = BUF_INIT;
	struct ofs_error why;
	int rc;

	if (a->key.secret == NULL || (!a->key.due && !is_due(a)))
		return 0;
	rc = refresh(a, e);
	if (rc == 0 && a->state.size > a->key.done) {
		if (auditkey_note(&a->key, a->state.size, a->state.root, &note,
			    &why) == 0)
			rc = put(a, a->state.size, &note, e);
		else
			say(a, &why);
	}
	a->key.due = false;
	buf_free(&note);
	return rc;
}

void
checkpoint_at_end(ofs_audit *a)
{
	struct ofs_error e;
	int rc;

	if (a->key.secret == NULL || !a->key.dirty || a->latched || a->in_tx)
		return;
	rc = log_begin(a, &e);
	if (rc == 0) {
		a->key.due = true;
		rc = log_commit(a, &e);
	}
	if (rc != 0)
		say(a, &e);
}

/* by a key that somebody lends: outside transactions, as it is recorded */
static int
sign_away(ofs_audit *a, struct ofs_error *e)
{
	struct buf text = BUF_INIT, sig = BUF_INIT, note = BUF_INIT;
	struct store_state st;
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_state_get(&a->store, &st, e);
	handle_leave(a, nested);
	if (rc == 0) {
		auditkey_text(&a->key, st.size, st.root, &text);
		rc = buf_ok(&text) ? 0 : err_nomem(e);
	}
	if (rc == 0)
		rc = a->key.sign(a->key.sign_arg, a, text.p, text.len, &sig, e);
	if (rc == 0)
		rc = auditkey_assemble(
			&a->key, &text, sig.p, sig.len, &note, e);
	if (rc == 0)
		rc = log_begin(a, e);
	if (rc == 0) {
		rc = handle_step(a, put(a, st.size, &note, e), e);
		if (rc == 0)
			rc = log_commit(a, e);
		else
			log_rollback(a);
	}
	buf_free(&text);
	buf_free(&sig);
	buf_free(&note);
	return rc;
}

static int
no_key(const ofs_audit *a, struct ofs_error *e)
{
	return err_set(e, OFS_EKEY,
		"audit log '%s' has no audit key; give it one with ofs-audit "
		"audit-key --set",
		TEXT_Q(a->place.dir));
}

int
log_no_checkpoint(const ofs_audit *a, struct ofs_error *e)
{
	if (a->key.pub.pub == NULL)
		return no_key(a, e);
	return err_set(e, OFS_EAUDIT,
		"audit log '%s' has no checkpoint yet; sign one with ofs-audit "
		"checkpoint --sign",
		TEXT_Q(a->place.dir));
}

int
log_checkpoint(ofs_audit *a, struct ofs_error *e)
{
	int rc;

	if (a->key.pub.pub == NULL)
		return no_key(a, e);
	if (a->key.secret == NULL && a->key.sign == NULL)
		return err_set(e, OFS_EKEY,
			"the audit key of the log is not at hand: %s",
			a->key.why.message);
	if (a->key.secret == NULL)
		return sign_away(a, e);
	rc = log_begin(a, e);
	if (rc != 0)
		return rc;
	a->key.due = true;
	return log_commit(a, e);
}

/* whether a key that is not in a file has to be asked now */
static bool
must_ask(ofs_audit *a, bool batch_end)
{
	struct ofs_error ignored;
	bool nested, must;

	if (handle_enter(a, &nested, &ignored) != 0)
		return false;
	must = a->key.pub.pub != NULL && a->key.secret == NULL && !nested &&
		(batch_end || is_due(a));
	handle_leave(a, nested);
	return must;
}

void
log_checkpoint_after(ofs_audit *a, bool batch_end)
{
	struct ofs_error why;
	bool nested;

	if (!must_ask(a, batch_end) || log_checkpoint(a, &why) == 0)
		return;
	say(a, &why);
	/* not again with every record */
	if (handle_enter(a, &nested, &why) != 0)
		return;
	a->key.done = a->state.size;
	handle_leave(a, nested);
}

void
log_lend_key(ofs_audit *a, log_sign_fn sign, void *arg)
{
	a->key.sign = sign;
	a->key.sign_arg = arg;
}

int
log_newest_checkpoint(ofs_audit *a, struct buf *note, struct ofs_error *e)
{
	uint64_t size = 0;
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_checkpoint_last(&a->store, &size, note, e);
	handle_leave(a, nested);
	if (rc == 0 && size == 0)
		rc = log_no_checkpoint(a, e);
	return rc;
}

int
log_token_key_sha256(ofs_audit *a, uint8_t out[32], struct ofs_error *e)
{
	if (a->key.pub.pub == NULL || !a->key.on_token)
		return err_set(e, OFS_EKEY,
			"audit log '%s' has no audit key on a token",
			TEXT_Q(a->place.dir));
	return pubkey_sha256(a->key.pub.pub, out, e);
}

int
log_key_origin(ofs_audit *a, const char **origin, struct ofs_error *e)
{
	*origin = a->key.origin;
	return a->key.pub.pub != NULL ? 0 : no_key(a, e);
}

int
log_refuse_key(ofs_audit *a, const EVP_PKEY *pub, struct ofs_error *e)
{
	if (pub == NULL || a->key.pub.pub == NULL ||
		EVP_PKEY_eq(a->key.pub.pub, pub) != 1)
		return 0;
	return err_set(e, OFS_EPOLICY,
		"this key is the audit key of the log: it signs checkpoints "
		"and nothing else");
}

/*
 * A key that was made or adopted without a certificate, that signed a proof of
 * possession or was measured, is none for documents yet.
 */
static bool
is_for_documents(const struct record_body *body)
{
	int type = record_body_type(body);
	struct ofs_field f;

	if (type == OFS_REC_KEY_EVENT)
		return record_body_find(body, "certificate", &f);
	if (type == OFS_REC_INTENT)
		return !record_body_find(body, "purpose", &f) ||
			(f.number != REC_PURPOSE_PROOF &&
				f.number != REC_PURPOSE_BENCH &&
				f.number != REC_PURPOSE_CHECKPOINT);
	return true;
}

static int
look_for_use(void *arg, uint64_t seq, const struct record_body *body,
	struct ofs_error *e)
{
	const uint8_t *spki_sha256 = arg;
	struct ofs_field f;

	if (!record_body_find(body, "party.key.spki_sha256", &f) ||
		f.len != 32 || memcmp(f.bytes, spki_sha256, 32) != 0 ||
		!is_for_documents(body))
		return 0;
	return err_set(e, OFS_EPOLICY,
		"this key is one for documents: record %llu of the log is of "
		"it; the audit key signs checkpoints and nothing else",
		(unsigned long long)seq);
}

/* who signs documents with it could be given a forged head to sign */
int
log_refuse_used_key(ofs_audit *a, const EVP_PKEY *pub, struct ofs_error *e)
{
	static const enum ofs_record_type types[] = { OFS_REC_KEY_EVENT,
		OFS_REC_BATCH_OPENED, OFS_REC_INTENT, OFS_REC_KEY_LENT };
	uint8_t spki_sha256[32];
	size_t i;
	int rc;

	/* what others have recorded in a sealed log cannot be looked at */
	if (log_is_sealed(a))
		return 0;
	rc = pubkey_sha256(pub, spki_sha256, e);
	/* type by type: a key event says more than a signature, and is named */
	for (i = 0; rc == 0 && i < sizeof(types) / sizeof(types[0]); i++)
		rc = log_each_of_type(
			a, types[i], look_for_use, spki_sha256, e);
	return rc;
}

/* Names the key in a record, when the log was made without one. */
static int
append_key(ofs_audit *a, const char *vkey, const char *place, const char *hint,
	struct ofs_error *e)
{
	struct rec_anchor r = { .kind = "audit-key",
		.records = a->state.size,
		.root = { a->state.root, 32 },
		.place = place,
		.data = { (const uint8_t *)vkey, strlen(vkey) } };
	struct log_entry en = { .type = OFS_REC_ANCHOR, .plain = true };
	struct buf body = BUF_INIT;
	bool has;
	uint64_t seq;
	int rc;

	rc = store_audit_key_get(&a->store, &has, &seq, &body, e);
	buf_reset(&body);
	if (rc == 0 && has)
		rc = err_set(e, OFS_EEXIST,
			"audit log '%s' has an audit key already",
			TEXT_Q(a->place.dir));
	handle_plain_operator(a, &r.operator_);
	if (rc == 0)
		rc = record_anchor_encode(&r, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = log_append(a, &en, &seq, e);
	if (rc == 0)
		rc = handle_step(
			a, store_audit_key_put(&a->store, seq, hint, e), e);
	buf_free(&body);
	return rc;
}

int
log_name_key(ofs_audit *a, EVP_PKEY *pub, const char *place, const char *hint,
	struct ofs_error *e)
{
	char name[NOTE_NAME_MAX + 1];
	struct audit_key fresh = { .done = 0 };
	struct note_key k = { .pub = NULL };
	struct buf vkey = BUF_INIT;
	bool nested;
	int rc;

	rc = log_refuse_used_key(a, pub, e);
	if (rc == 0)
		rc = log_begin(a, e);
	if (rc != 0)
		return rc;
	rc = auditkey_origin(&fresh, &a->store, e);
	note_name_from(fresh.origin, name);
	if (rc == 0)
		rc = note_key_make(name, note_type_of(pub), pub, &k, e);
	if (rc == 0)
		rc = note_key_text(&k, &vkey, e);
	if (rc == 0)
		rc = append_key(a, (const char *)vkey.p, place, hint, e);
	if (rc == 0)
		rc = log_commit(a, e);
	else
		log_rollback(a);
	note_key_free(&k);
	buf_free(&vkey);
	if (rc == 0)
		rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = handle_load_key(a, e);
	handle_leave(a, nested);
	return rc;
}
