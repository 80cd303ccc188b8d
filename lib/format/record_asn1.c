/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ASN.1 templates of record bodies: order, tags and names of fields. */
#include <stddef.h>

#include "format/record_asn1.h"

/*
 * A row is (struct, member, public name[, context tag]). Context tags are
 * explicit, and a field's tag is its place in the SEQUENCE, from 0: a later
 * version appends optional fields with the next tags. A name "" adds nothing
 * to the dotted name of what is inside.
 */
#define ROW(flags, tag, st, member, name, type)                      \
	{                                                            \
		(flags), (tag), offsetof(struct st, member), (name), \
			ASN1_ITEM_ref(type)                          \
	}
#define OPTIONAL_FLAGS (ASN1_TFLG_EXPLICIT | ASN1_TFLG_OPTIONAL)

#define INT(st, member, name) ROW(ASN1_TFLG_EMBED, 0, st, member, name, INT64)
#define TIME(st, member, name, tag) \
	ROW(OPTIONAL_FLAGS | ASN1_TFLG_EMBED, tag, st, member, name, ZINT64)
#define COUNT(st, member, name, tag) TIME(st, member, name, tag)
#define BOOL(st, member, name) ROW(0, 0, st, member, name, ASN1_BOOLEAN)
#define TEXT(st, member, name, tag) \
	ROW(OPTIONAL_FLAGS, tag, st, member, name, ASN1_UTF8STRING)
#define BYTES(st, member, name, tag) \
	ROW(OPTIONAL_FLAGS, tag, st, member, name, ASN1_OCTET_STRING)
#define PART(st, member, name, type) ROW(0, 0, st, member, name, type)
#define LIST(st, member, name, type) \
	ROW(ASN1_TFLG_SEQUENCE_OF, 0, st, member, name, type)

#define SEQUENCE_WITH(type, st, rows, aux)                                     \
	const ASN1_ITEM *type##_it(void)                                       \
	{                                                                      \
		static const ASN1_ITEM it = { ASN1_ITYPE_SEQUENCE,             \
			V_ASN1_SEQUENCE, rows, sizeof(rows) / sizeof(rows[0]), \
			aux, sizeof(struct st), #type };                       \
		return &it;                                                    \
	}
#define SEQUENCE(type, st, rows) SEQUENCE_WITH(type, st, rows, NULL)

/* parts that only this file names */
DECLARE_ASN1_ITEM(REC_KEY)
DECLARE_ASN1_ITEM(REC_TOKEN)
DECLARE_ASN1_ITEM(REC_OPERATOR)
DECLARE_ASN1_ITEM(REC_DOCUMENT)
DECLARE_ASN1_ITEM(REC_INTENT_ITEM)
DECLARE_ASN1_ITEM(REC_WRAP)

/* clang-format off */
static const ASN1_TEMPLATE key_rows[] = {
	BYTES(der_key, id, "id", 0),
	TEXT(der_key, label, "label", 1),
	TEXT(der_key, type, "type", 2),
	BYTES(der_key, spki_sha256, "spki_sha256", 3),
	BYTES(der_key, cert_sha256, "cert_sha256", 4),
	TEXT(der_key, subject, "subject", 5),
	TEXT(der_key, serial, "serial", 6),
	TIME(der_key, not_after, "not_after", 7)
};
SEQUENCE(REC_KEY, der_key, key_rows)

static const ASN1_TEMPLATE token_rows[] = {
	TEXT(der_token, manufacturer, "manufacturer", 0),
	TEXT(der_token, model, "model", 1),
	TEXT(der_token, serial, "serial", 2),
	TEXT(der_token, label, "label", 3),
	TEXT(der_token, module, "module", 4),
	BYTES(der_token, module_sha256, "module_sha256", 5)
};
SEQUENCE(REC_TOKEN, der_token, token_rows)

static const ASN1_TEMPLATE operator_rows[] = {
	INT(der_operator, uid, "uid"),
	INT(der_operator, loginuid, "loginuid"),
	TEXT(der_operator, name, "name", 2),
	TEXT(der_operator, host, "host", 3),
	TEXT(der_operator, tty, "tty", 4)
};
SEQUENCE(REC_OPERATOR, der_operator, operator_rows)

static const ASN1_TEMPLATE document_rows[] = {
	BYTES(der_document, path, "path", 0),
	BYTES(der_document, name, "name", 1),
	TEXT(der_document, version, "version", 2),
	TEXT(der_document, id, "id", 3),
	INT(der_document, size, "size"),
	TEXT(der_document, digest_alg, "digest_alg", 5),
	BYTES(der_document, digest, "digest", 6),
	TEXT(der_document, input, "input", 7)
};
SEQUENCE(REC_DOCUMENT, der_document, document_rows)

static const ASN1_TEMPLATE party_rows[] = {
	PART(der_party, key, "key", REC_KEY),
	PART(der_party, token, "token", REC_TOKEN),
	PART(der_party, operator_, "operator", REC_OPERATOR),
	TEXT(der_party, tool, "tool", 3)
};

/*
 * OpenSSL keeps the bytes that a party was decoded from and would hand them
 * back for re-encoding; marking them as modified makes it really encode.
 */
static int
party_decoded(int op, ASN1_VALUE **val, const ASN1_ITEM *it, void *arg)
{
	struct der_party *party;

	(void)it;
	(void)arg;
	if (op == ASN1_OP_D2I_POST) {
		party = (struct der_party *)(void *)*val;
		party->enc.modified = 1;
	}
	return 1;
}

static const ASN1_AUX party_aux = { NULL, ASN1_AFLG_ENCODING, 0, 0,
	party_decoded, offsetof(struct der_party, enc), NULL };
SEQUENCE_WITH(REC_PARTY, der_party, party_rows, &party_aux)

static const ASN1_TEMPLATE genesis_rows[] = {
	PART(der_genesis, origin, "origin", ASN1_UTF8STRING),
	TEXT(der_genesis, tool, "tool", 1),
	PART(der_genesis, operator_, "operator", REC_OPERATOR),
	PART(der_genesis, salt, "salt", ASN1_OCTET_STRING),
	TEXT(der_genesis, mode, "mode", 4),
	TEXT(der_genesis, audit_key, "audit_key", 5),
	TEXT(der_genesis, audit_key_place, "audit_key_place", 6),
	BYTES(der_genesis, auditors, "auditors", 7)
};
SEQUENCE(REC_GENESIS, der_genesis, genesis_rows)

static const ASN1_TEMPLATE batch_opened_rows[] = {
	PART(der_batch_opened, party, "party", REC_PARTY),
	BYTES(der_batch_opened, list_sha256, "list_sha256", 1),
	INT(der_batch_opened, items, "items"),
	TEXT(der_batch_opened, format, "format", 3),
	TEXT(der_batch_opened, mechanism, "mechanism", 4),
	INT(der_batch_opened, jobs, "jobs"),
	TEXT(der_batch_opened, options, "options", 6),
	BYTES(der_batch_opened, outputs_sha256, "outputs_sha256", 7),
	BYTES(der_batch_opened, resumes, "resumes", 8)
};
SEQUENCE(REC_BATCH_OPENED, der_batch_opened, batch_opened_rows)

static const ASN1_TEMPLATE batch_closed_rows[] = {
	INT(der_batch_closed, opened_seq, "opened_seq"),
	INT(der_batch_closed, signed_, "signed"),
	INT(der_batch_closed, failed, "failed"),
	INT(der_batch_closed, skipped, "skipped"),
	INT(der_batch_closed, not_attempted, "not_attempted"),
	INT(der_batch_closed, unknown, "unknown"),
	INT(der_batch_closed, code, "code"),
	TEXT(der_batch_closed, reason, "reason", 7),
	BYTES(der_batch_closed, list_sha256, "list_sha256", 8)
};
SEQUENCE(REC_BATCH_CLOSED, der_batch_closed, batch_closed_rows)

static const ASN1_TEMPLATE intent_item_rows[] = {
	INT(der_intent_item, index, "index"),
	PART(der_intent_item, doc, "", REC_DOCUMENT)
};
SEQUENCE(REC_INTENT_ITEM, der_intent_item, intent_item_rows)

static const ASN1_TEMPLATE intent_rows[] = {
	INT(der_intent, purpose, "purpose"),
	ROW(OPTIONAL_FLAGS, 1, der_intent, party, "party", REC_PARTY),
	LIST(der_intent, items, "items", REC_INTENT_ITEM)
};
SEQUENCE(REC_INTENT, der_intent, intent_rows)

static const ASN1_TEMPLATE outcome_rows[] = {
	INT(der_outcome, intent_seq, "intent_seq"),
	INT(der_outcome, index, "index"),
	INT(der_outcome, purpose, "purpose"),
	INT(der_outcome, status, "status"),
	PART(der_outcome, doc, "document", REC_DOCUMENT),
	TEXT(der_outcome, format, "format", 5),
	PART(der_outcome, party, "party", REC_PARTY),
	TEXT(der_outcome, mechanism, "mechanism", 7),
	BYTES(der_outcome, signed_bytes, "signed_bytes", 8),
	BYTES(der_outcome, signature, "signature", 9),
	BYTES(der_outcome, output_sha256, "output_sha256", 10),
	BYTES(der_outcome, output_path, "output_path", 11),
	BOOL(der_outcome, verified, "verified"),
	INT(der_outcome, ckr, "ckr"),
	INT(der_outcome, attempts, "attempts"),
	INT(der_outcome, token_us, "token_us"),
	INT(der_outcome, code, "code"),
	TEXT(der_outcome, reason, "reason", 17)
};
SEQUENCE(REC_OUTCOME, der_outcome, outcome_rows)

static const ASN1_TEMPLATE recovery_rows[] = {
	INT(der_recovery, intent_seq, "intent_seq"),
	INT(der_recovery, unknown, "unknown"),
	TEXT(der_recovery, reason, "reason", 2)
};
SEQUENCE(REC_RECOVERY, der_recovery, recovery_rows)

static const ASN1_TEMPLATE release_rows[] = {
	INT(der_release, outcome_seq, "outcome_seq"),
	BYTES(der_release, path, "path", 1),
	TEXT(der_release, result, "result", 2)
};
SEQUENCE(REC_RELEASE, der_release, release_rows)

static const ASN1_TEMPLATE login_rows[] = {
	PART(der_login, token, "token", REC_TOKEN),
	PART(der_login, operator_, "operator", REC_OPERATOR),
	TEXT(der_login, user, "user", 2),
	BOOL(der_login, ok, "ok"),
	INT(der_login, ckr, "ckr"),
	INT(der_login, code, "code"),
	TEXT(der_login, reason, "reason", 6)
};
SEQUENCE(REC_LOGIN, der_login, login_rows)

static const ASN1_TEMPLATE key_lent_rows[] = {
	PART(der_key_lent, party, "party", REC_PARTY),
	TEXT(der_key_lent, purpose, "purpose", 1)
};
SEQUENCE(REC_KEY_LENT, der_key_lent, key_lent_rows)

static const ASN1_TEMPLATE key_event_rows[] = {
	TEXT(der_key_event, event, "event", 0),
	PART(der_key_event, party, "party", REC_PARTY),
	BYTES(der_key_event, spki, "spki", 2),
	INT(der_key_event, sensitive, "sensitive"),
	INT(der_key_event, extractable, "extractable"),
	INT(der_key_event, always_sensitive, "always_sensitive"),
	INT(der_key_event, never_extractable, "never_extractable"),
	INT(der_key_event, local, "local"),
	INT(der_key_event, always_authenticate, "always_authenticate"),
	INT(der_key_event, sign, "sign"),
	BYTES(der_key_event, certificate, "certificate", 10),
	BYTES(der_key_event, attestation_sha256, "attestation_sha256", 11),
	BYTES(der_key_event, attestation_issuer_sha256,
		"attestation_issuer_sha256", 12),
	TEXT(der_key_event, use, "use", 13)
};
SEQUENCE(REC_KEY_EVENT, der_key_event, key_event_rows)

static const ASN1_TEMPLATE token_event_rows[] = {
	TEXT(der_token_event, event, "event", 0),
	PART(der_token_event, token, "token", REC_TOKEN),
	PART(der_token_event, operator_, "operator", REC_OPERATOR)
};
SEQUENCE(REC_TOKEN_EVENT, der_token_event, token_event_rows)

static const ASN1_TEMPLATE wrap_rows[] = {
	PART(der_wrap, what, "what", ASN1_UTF8STRING),
	PART(der_wrap, kind, "kind", ASN1_UTF8STRING),
	TEXT(der_wrap, hint, "hint", 2),
	PART(der_wrap, data, "data", ASN1_OCTET_STRING)
};
SEQUENCE(REC_WRAP, der_wrap, wrap_rows)

static const ASN1_TEMPLATE epoch_rows[] = {
	INT(der_epoch, epoch, "epoch"),
	BYTES(der_epoch, key_commit, "key_commit", 1),
	TEXT(der_epoch, reason, "reason", 2),
	PART(der_epoch, operator_, "operator", REC_OPERATOR),
	LIST(der_epoch, wraps, "wraps", REC_WRAP)
};
SEQUENCE(REC_EPOCH, der_epoch, epoch_rows)

static const ASN1_TEMPLATE anchor_rows[] = {
	PART(der_anchor, kind, "kind", ASN1_UTF8STRING),
	INT(der_anchor, records, "records"),
	PART(der_anchor, root, "root", ASN1_OCTET_STRING),
	TEXT(der_anchor, place, "place", 3),
	BYTES(der_anchor, data, "data", 4),
	PART(der_anchor, operator_, "operator", REC_OPERATOR)
};
SEQUENCE(REC_ANCHOR, der_anchor, anchor_rows)

static const ASN1_TEMPLATE log_event_rows[] = {
	PART(der_log_event, event, "event", ASN1_UTF8STRING),
	PART(der_log_event, operator_, "operator", REC_OPERATOR),
	COUNT(der_log_event, first, "first", 2),
	COUNT(der_log_event, last, "last", 3),
	COUNT(der_log_event, count, "count", 4),
	BYTES(der_log_event, sha256, "sha256", 5),
	BYTES(der_log_event, path, "path", 6),
	TEXT(der_log_event, reason, "reason", 7),
	BYTES(der_log_event, authorisation, "authorisation", 8)
};
SEQUENCE(REC_LOG_EVENT, der_log_event, log_event_rows)
/* clang-format on */
