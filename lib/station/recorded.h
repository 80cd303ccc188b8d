/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Single signatures outside batches, each with its intent and its outcome. */
#ifndef STATION_RECORDED_H
#define STATION_RECORDED_H

#include "audit/log.h"
#include "base/ctx.h"
#include "crypto/alg.h"
#include "token/attest.h"
#include "token/key.h"

struct recorded {
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_key *key;
	struct buf party; /* DER */
};

int recorded_init(struct recorded *r, ofs_audit *audit, ofs_key *key,
	X509 *cert, struct ofs_error *e);
void recorded_clear(struct recorded *r);

/*
 * Intent, C_Sign over the hash of tbs, verification in software, outcome; the
 * signature is handed out only after all of them. `name` says in the records
 * what was signed.
 */
int recorded_sign(struct recorded *r, enum rec_purpose purpose,
	const char *name, const struct alg *alg, const uint8_t *tbs, size_t n,
	struct buf *sig, struct ofs_error *e);

/*
 * The two halves of it, for what is signed in another way: the intent is
 * durable on return, and what the token was asked for between them is in the
 * outcome, whose intent_seq is *seq. The caller fills in the rest.
 */
int recorded_intent(struct recorded *r, enum rec_purpose purpose,
	const struct rec_document *doc, uint64_t *seq, struct ofs_error *e);
int recorded_outcome(
	struct recorded *r, const struct rec_outcome *o, struct ofs_error *e);

/* one record outside batches, in a transaction of its own */
int recorded_append(ofs_audit *audit, enum ofs_record_type type,
	const struct buf *body, uint64_t *seq, struct ofs_error *e);

/*
 * A record of the key: public key, attributes as read back, certificate, and
 * what the vendor attests (may be NULL)
 */
int recorded_key_event(struct recorded *r, const char *event, X509 *cert,
	const struct attestation *attested, uint64_t *seq, struct ofs_error *e);
/* the same of a key that is enrolled; `use` is of permit.h, or NULL */
int recorded_enrolled(struct recorded *r, const char *event, X509 *cert,
	const struct attestation *attested, const char *use, uint64_t *seq,
	struct ofs_error *e);
/* a record of the token: what was done with it, by whom */
int recorded_token_event(ofs_audit *audit, const char *event,
	const struct ofs_token_info *info, struct ofs_error *e);
/* of a login, as the token layer reports it; arg is the log */
int recorded_login(void *arg, const struct ctx_event *ev, struct ofs_error *e);
int recorded_lent(struct recorded *r, const char *purpose, struct ofs_error *e);

#endif
