/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dry run found, and what every document was then. */
#ifndef SIGN_PLAN_H
#define SIGN_PLAN_H

#include <offlinesig/plan.h>

#include "sign/chunk.h"
#include "sign/maker.h"

/*
 * What was seen of each item is spooled in `dir`; memory goes with the number
 * of documents that are there twice, and with nothing else.
 */
struct plan;

int plan_new(const char *dir, struct plan **out, struct ofs_error *e);
void plan_free(struct plan *p);
/* one prepared item, in the order of the list, which must outlive the plan */
int plan_add(struct plan *p, const struct work *w, struct ofs_error *e);
/* after the last: duplicates, digest of the list, certificate */
int plan_finish(struct plan *p, const struct list *l, const struct maker *m,
	struct ofs_error *e);
/* what is known of the key's speed; `limit` signatures a minute, 0: none */
int plan_estimate(struct plan *p, ofs_audit *audit, const ofs_key *key,
	unsigned int limit, struct ofs_error *e);
const struct ofs_plan *plan_get(const struct plan *p);

/* OFS_EMISMATCH unless the document is the one that the plan found ready */
int plan_check(const struct plan *p, const struct work *w, struct ofs_error *e);

#endif
