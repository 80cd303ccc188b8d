/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bodies of records as OpenSSL ASN.1 templates; for record_*.c only. */
#ifndef FORMAT_RECORD_ASN1_H
#define FORMAT_RECORD_ASN1_H

#include <stdint.h>

#include <openssl/asn1t.h>

/*
 * The C shape of each SEQUENCE. The templates hold the DER order, the tags and
 * the public names of the fields; ofs-audit-format(5) is their description.
 */
struct der_key {
	ASN1_STRING *id, *label, *type, *spki_sha256, *cert_sha256, *subject,
		*serial;
	int64_t not_after;
};

struct der_token {
	ASN1_STRING *manufacturer, *model, *serial, *label, *module,
		*module_sha256;
};

struct der_operator {
	int64_t uid, loginuid;
	ASN1_STRING *name, *host, *tty;
};

/* An encoder sets only `enc`, to DER made before; a decoder all the rest. */
struct der_party {
	ASN1_ENCODING enc;
	struct der_key *key;
	struct der_token *token;
	struct der_operator *operator_;
	ASN1_STRING *tool;
};

struct der_document {
	ASN1_STRING *path, *name, *version, *id;
	int64_t size;
	ASN1_STRING *digest_alg, *digest, *input;
};

struct der_genesis {
	ASN1_STRING *origin, *tool;
	struct der_operator *operator_;
	ASN1_STRING *salt;
	ASN1_STRING *mode, *audit_key, *audit_key_place, *auditors;
};

struct der_batch_opened {
	struct der_party *party;
	ASN1_STRING *list_sha256;
	int64_t items;
	ASN1_STRING *format, *mechanism;
	int64_t jobs;
	ASN1_STRING *options;
	ASN1_STRING *outputs_sha256, *resumes;
};

struct der_batch_closed {
	int64_t opened_seq, signed_, failed, skipped, not_attempted, unknown,
		code;
	ASN1_STRING *reason, *list_sha256;
};

struct der_intent_item {
	int64_t index;
	struct der_document *doc;
};

struct der_intent {
	int64_t purpose;
	struct der_party *party;
	OPENSSL_STACK *items; /* of struct der_intent_item */
};

struct der_outcome {
	int64_t intent_seq, index, purpose, status;
	struct der_document *doc;
	ASN1_STRING *format;
	struct der_party *party;
	ASN1_STRING *mechanism, *signed_bytes, *signature, *output_sha256,
		*output_path;
	ASN1_BOOLEAN verified;
	int64_t ckr, attempts, token_us, code;
	ASN1_STRING *reason;
};

struct der_recovery {
	int64_t intent_seq, unknown;
	ASN1_STRING *reason;
};

struct der_release {
	int64_t outcome_seq;
	ASN1_STRING *path, *result;
};

struct der_login {
	struct der_token *token;
	struct der_operator *operator_;
	ASN1_STRING *user;
	ASN1_BOOLEAN ok;
	int64_t ckr, code;
	ASN1_STRING *reason;
};

struct der_key_lent {
	struct der_party *party;
	ASN1_STRING *purpose;
};

struct der_key_event {
	ASN1_STRING *event;
	struct der_party *party;
	ASN1_STRING *spki;
	int64_t sensitive, extractable, always_sensitive, never_extractable,
		local, always_authenticate, sign;
	ASN1_STRING *certificate, *attestation_sha256,
		*attestation_issuer_sha256, *use;
};

struct der_token_event {
	ASN1_STRING *event;
	struct der_token *token;
	struct der_operator *operator_;
};

struct der_wrap {
	ASN1_STRING *what, *kind, *hint, *data;
};

struct der_epoch {
	int64_t epoch;
	ASN1_STRING *key_commit, *reason;
	struct der_operator *operator_;
	OPENSSL_STACK *wraps; /* of struct der_wrap */
};

struct der_anchor {
	ASN1_STRING *kind;
	int64_t records;
	ASN1_STRING *root, *place, *data;
	struct der_operator *operator_;
};

struct der_log_event {
	ASN1_STRING *event;
	struct der_operator *operator_;
	int64_t first, last, count;
	ASN1_STRING *sha256, *path, *reason, *authorisation;
};

DECLARE_ASN1_ITEM(REC_PARTY)
DECLARE_ASN1_ITEM(REC_GENESIS)
DECLARE_ASN1_ITEM(REC_BATCH_OPENED)
DECLARE_ASN1_ITEM(REC_BATCH_CLOSED)
DECLARE_ASN1_ITEM(REC_INTENT)
DECLARE_ASN1_ITEM(REC_OUTCOME)
DECLARE_ASN1_ITEM(REC_RECOVERY)
DECLARE_ASN1_ITEM(REC_RELEASE)
DECLARE_ASN1_ITEM(REC_LOGIN)
DECLARE_ASN1_ITEM(REC_KEY_LENT)
DECLARE_ASN1_ITEM(REC_KEY_EVENT)
DECLARE_ASN1_ITEM(REC_TOKEN_EVENT)
DECLARE_ASN1_ITEM(REC_EPOCH)
DECLARE_ASN1_ITEM(REC_ANCHOR)
DECLARE_ASN1_ITEM(REC_LOG_EVENT)

#endif
