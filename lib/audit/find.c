/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks over the records of some types, without decoding the others. */
#include "audit/handle.h"

#define AT_ONCE 4096 /* records between which others may write */

struct walk {
	ofs_audit *a;
	const enum ofs_record_type *types;
	size_t n_types;
	log_record_fn fn;
	void *arg;
	uint64_t next; /* seq that has to come */
};

static bool
is_wanted(const struct walk *w, uint16_t type)
{
	for (size_t i = 0; i < w->n_types; i++)
		if ((uint16_t)w->types[i] == type)
			return true;
	return false;
}

static int
visit(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct walk *w = arg;
	struct record_body *body;
	struct record_header h;
	struct ofs_error why;
	const uint8_t *der;
	size_t n;
	int rc;

	if (r->seq != w->next)
		return store_missing(w->next, e);
	w->next++;
	rc = record_header_decode(r->header, r->header_len, &h, &why);
	/* what was erased has nothing to say */
	if (rc == 0 && (!is_wanted(w, h.type) || r->body == NULL))
		return 0;
	if (rc == 0)
		rc = keys_open_body(
			w->a, &h, r->body, r->body_len, &der, &n, &why);
	if (rc == 0 && der == NULL)
		return err_set(e, OFS_EAUDIT,
			"record %llu of the audit log is sealed, and no key "
			"for it is here",
			(unsigned long long)r->seq);
	if (rc == 0)
		rc = record_body_decode(h.type, der, n, &body, &why);
	if (rc != 0)
		return err_set(e, rc == OFS_EFORMAT ? OFS_EDAMAGED : rc,
			"record %llu of the audit log cannot be read: %s",
			(unsigned long long)r->seq, why.message);
	rc = w->fn(w->arg, r->seq, body, e);
	record_body_free(body);
	return rc;
}

/* *more: there are records behind these */
static int
walk_on(struct walk *w, bool *more, struct ofs_error *e)
{
	uint64_t end = w->next + AT_ONCE;
	ofs_audit *a = w->a;
	struct store_state st;
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	st.size = a->tree.size;
	if (!nested)
		rc = store_state_get(&a->store, &st, e);
	if (rc == 0)
		rc = store_record_each(
			&a->store, w->next, end - 1, visit, w, e);
	*more = rc == 0 && w->next < st.size;
	if (*more && w->next < end)
		rc = store_missing(w->next, e);
	handle_leave(a, nested);
	return rc;
}

int
log_each_of_types(ofs_audit *a, const enum ofs_record_type *types, size_t n,
	log_record_fn fn, void *arg, struct ofs_error *e)
{
	struct walk w = {
		.a = a, .types = types, .n_types = n, .fn = fn, .arg = arg
	};
	bool more = true;
	int rc = 0;

	while (rc == 0 && more)
		rc = walk_on(&w, &more, e);
	return rc;
}

int
log_each_of_type(ofs_audit *a, enum ofs_record_type type, log_record_fn fn,
	void *arg, struct ofs_error *e)
{
	return log_each_of_types(a, &type, 1, fn, arg, e);
}
