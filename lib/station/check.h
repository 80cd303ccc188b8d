/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A safety assessment on its way: what was read, what was found. */
#ifndef STATION_CHECK_H
#define STATION_CHECK_H

#include "audit/log.h"
#include "base/ctx.h"
#include "token/probe.h"

struct check {
	ofs_token *token;
	ofs_ctx *ctx;
	struct ofs_check_opts opts;
	struct probe probe;
	int64_t now;
	struct ofs_finding *v; /* in the order in which they were found */
	size_t n, cap;
	bool nomem;
	size_t advisories;
};

/*
 * A finding about a key, or about the token where k is NULL, with what it
 * means; severity and what to do come from the catalogue.
 */
void check_add(struct check *c, const char *id, const struct ofs_key_info *k,
	const char *fmt, ...) ERR_PRINTF(4, 5);
/* the same with what an advisory says */
void check_add_advisory(struct check *c, enum ofs_severity severity,
	const char *text, const char *action);

/* one of the catalogue of findings; NULL behind the last */
const char *check_catalogue_id(size_t i);

/* the parts of the assessment */
void check_keys(struct check *c);
void check_pins(struct check *c);
void check_abilities(struct check *c);
int check_module(struct check *c, struct ofs_error *e);
int check_advisories(struct check *c, struct ofs_error *e);

#endif
