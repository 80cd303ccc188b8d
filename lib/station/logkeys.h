/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keys of a log have in common that are on a token. */
#ifndef STATION_LOGKEYS_H
#define STATION_LOGKEYS_H

#include "base/ctx.h"
#include "token/key.h"

/*
 * A login that happens before there is a log to record it in, or before that
 * can be written. Between begin and end it is remembered; tell gives it to who
 * listened before, if somebody did.
 */
struct early_login {
	ctx_event_fn event;
	void *event_arg;
	bool happened;
	struct ctx_event ev;
	struct ofs_token_info token;
};
void early_begin(struct early_login *l, ofs_ctx *ctx);
void early_end(struct early_login *l, ofs_ctx *ctx);
int early_tell(struct early_login *l, struct ofs_error *e);

/* what was remembered is recorded nowhere: a login that was made is undone */
void early_undo(const struct early_login *l, ofs_token *t);

/*
 * The URI of the key on the token whose SubjectPublicKeyInfo has this hash, as
 * far as it is seen; "" when there is none.
 */
int logkeys_find(ofs_token *t, const uint8_t spki_sha256[32], char uri[1024],
	struct ofs_error *e);
/* OFS_EUNSUPPORTED: a key that no URI names */
int logkeys_check_uri(const ofs_key *key, struct ofs_error *e);

#endif
