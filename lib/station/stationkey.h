/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The station key of a log on a token. */
#ifndef STATION_STATIONKEY_H
#define STATION_STATIONKEY_H

#include "audit/log.h"
#include "crypto/wrap.h"
#include "token/key.h"

/* what opens the log from now on, and how the token gets at it */
struct station_key {
	struct log_station_key log; /* points to what follows */
	char uri[1024];
	struct wrap_token box;
	uint8_t kek[WRAP_KEY];
};

/*
 * A new one, with the key on the token that the URI names; logs in. OFS_EPOLICY
 * for a key that signs, or may leave the token. Free it with station_key_free.
 */
int station_key_make(ofs_token *token, const char *uri,
	struct station_key **out, struct ofs_error *e);
void station_key_free(struct station_key *s);
/* that a key which was opened is fit for it; the same errors */
int station_key_prove(ofs_key *key, struct ofs_error *e);

#endif
