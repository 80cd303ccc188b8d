/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches whose list is not finished, and what became of its items. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "audit/track.h"

#include "audit/handle.h"
#include "base/hex.h"

_Static_assert(LOG_FORMAT_TRACKS == STORE_FORMAT_TRACKS, "one format");

bool
track_has_id(const struct track *t, const char *digits)
{
	char own[33], root[33];
	size_t n = strlen(digits);

	return strncasecmp(hex_encode(own, t->batch_id, 16), digits, n) == 0 ||
		strncasecmp(hex_encode(root, t->root_id, 16), digits, n) == 0;
}

void
track_hide(struct store_track *row)
{
	memset(row->list_sha256, 0, sizeof(row->list_sha256));
	memset(row->outputs_sha256, 0, sizeof(row->outputs_sha256));
	memset(row->spki_sha256, 0, sizeof(row->spki_sha256));
	memset(row->form, 0, sizeof(row->form));
	row->items = 0;
}

static void
to_row(const ofs_audit *a, const struct track *t, struct store_track *row)
{
	memset(row, 0, sizeof(*row));
	row->opened_seq = t->opened_seq;
	row->closed_seq = t->closed_seq;
	memcpy(row->batch_id, t->batch_id, 16);
	memcpy(row->root_id, t->root_id, 16);
	memcpy(row->list_sha256, t->list_sha256, 32);
	memcpy(row->outputs_sha256, t->outputs_sha256, 32);
	memcpy(row->spki_sha256, t->spki_sha256, 32);
	memcpy(row->form, t->form, sizeof(row->form));
	row->items = t->items;
	if (a->keys.mode == LOG_SEALED)
		track_hide(row);
}

static void
take_sum(const struct record_body *b, const char *name, uint8_t to[32])
{
	struct ofs_field f;

	if (record_body_find(b, name, &f) && f.len == 32)
		memcpy(to, f.bytes, 32);
}

/* what BATCH OPENED says of the list */
static void
describe(const struct record_body *b, struct track *t)
{
	struct ofs_field format = { .len = 0 }, mechanism = { .len = 0 }, items;

	take_sum(b, "list_sha256", t->list_sha256);
	take_sum(b, "outputs_sha256", t->outputs_sha256);
	take_sum(b, "party.key.spki_sha256", t->spki_sha256);
	if (record_body_find(b, "items", &items))
		t->items = (uint64_t)items.number;
	if (record_body_find(b, "format", &format) &&
		record_body_find(b, "mechanism", &mechanism))
		snprintf(t->form, sizeof(t->form), "%.*s %.*s", (int)format.len,
			(const char *)format.bytes, (int)mechanism.len,
			(const char *)mechanism.bytes);
}

/* a record as it is stored */
struct stored {
	struct record_header h;
	struct buf body;
};

static int
take_record(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct stored *s = arg;

	buf_put(&s->body, r->body, r->body_len);
	if (!buf_ok(&s->body))
		return err_nomem(e);
	return record_header_decode(r->header, r->header_len, &s->h, e);
}

/* outside walks over records: its key may be in one that is read for it */
static int
look_inside(ofs_audit *a, struct track *t, struct ofs_error *e)
{
	struct stored s = { .body = BUF_INIT };
	struct record_body *b = NULL;
	const uint8_t *der = NULL;
	size_t n;
	int rc;

	rc = store_record_get(&a->store, t->opened_seq, take_record, &s, e);
	if (rc == 0 && s.body.len > 0)
		rc = keys_open_body(a, &s.h, s.body.p, s.body.len, &der, &n, e);
	if (rc == 0 && der != NULL)
		rc = record_body_decode(s.h.type, der, n, &b, e);
	if (b != NULL)
		describe(b, t);
	record_body_free(b);
	buf_free(&s.body);
	return rc;
}

static void
from_row(ofs_audit *a, const struct store_track *row, struct track *t)
{
	memset(t, 0, sizeof(*t));
	t->opened_seq = row->opened_seq;
	memcpy(t->batch_id, row->batch_id, 16);
	memcpy(t->root_id, row->root_id, 16);
	memcpy(t->list_sha256, row->list_sha256, 32);
	memcpy(t->outputs_sha256, row->outputs_sha256, 32);
	memcpy(t->spki_sha256, row->spki_sha256, 32);
	memcpy(t->form, row->form, sizeof(t->form));
	t->items = row->items;
	t->closed_seq = row->closed_seq;
	t->alive = t->closed_seq == 0 && hold_alive(&a->hold, t->opened_seq);
}

int
log_track_open(ofs_audit *a, const struct track *t, struct ofs_error *e)
{
	struct store_track row;
	int rc = handle_check_tx(a, e);

	if (rc != 0)
		return rc;
	to_row(a, t, &row);
	return handle_step(a, store_track_put(&a->store, &row, e), e);
}

int
log_track_items(ofs_audit *a, uint64_t opened_seq, uint64_t first,
	uint64_t last, const struct item_run *runs, size_t n,
	struct ofs_error *e)
{
	int rc = handle_check_tx(a, e);
	size_t i;

	if (rc != 0)
		return rc;
	rc = store_items_cut(&a->store, opened_seq, first, last, e);
	for (i = 0; i < n && rc == 0; i++)
		rc = store_items_put(&a->store, opened_seq, &runs[i], e);
	return handle_step(a, rc, e);
}

int
log_track_unknown(ofs_audit *a, uint64_t opened_seq, uint64_t intent_seq,
	struct ofs_error *e)
{
	int rc = handle_check_tx(a, e);

	if (rc != 0)
		return rc;
	return handle_step(a,
		store_items_unknown(&a->store, opened_seq, intent_seq, e), e);
}

/* a walk that copies: nothing may be deleted under it */
struct copy {
	ofs_audit *a;
	struct track *p;
	size_t n, cap;
};

static int
copy_track(void *arg, const struct store_track *row, struct ofs_error *e)
{
	struct copy *c = arg;
	struct track *grown;

	if (c->n == c->cap) {
		grown = reallocarray(c->p, c->cap * 2 + 8, sizeof(*grown));
		if (grown == NULL)
			return err_nomem(e);
		c->p = grown;
		c->cap = c->cap * 2 + 8;
	}
	from_row(c->a, row, &c->p[c->n++]);
	return 0;
}

/* the handle is ours; p is freed by the caller */
static int
copy_all(ofs_audit *a, struct copy *c, struct ofs_error *e)
{
	bool has;
	size_t i;
	int rc;

	memset(c, 0, sizeof(*c));
	c->a = a;
	kept_look_again(a);
	rc = store_has_tracks(&a->store, &has, e);
	if (rc == 0 && has)
		rc = store_track_each(&a->store, copy_track, c, e);
	for (i = 0; i < c->n && rc == 0 && a->keys.mode == LOG_SEALED; i++)
		rc = look_inside(a, &c->p[i], e);
	return rc;
}

static int
has_knowledge(void *arg, uint64_t opened_seq, const struct item_run *r,
	struct ofs_error *e)
{
	bool *has = arg;

	(void)opened_seq, (void)e;
	*has = *has || r->status == RUN_SIGNED || r->status == RUN_UNKNOWN;
	return 0;
}

static int
drop_list(ofs_audit *a, const struct copy *c, const struct track *own,
	struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n && rc == 0; i++)
		if (memcmp(c->p[i].root_id, own->root_id, 16) == 0 &&
			(c->p[i].closed_seq != 0 ||
				c->p[i].opened_seq == own->opened_seq))
			rc = store_track_del(&a->store, c->p[i].opened_seq, e);
	return rc;
}

static int
close_track(ofs_audit *a, uint64_t opened_seq, uint64_t closed_seq,
	bool finished, const struct copy *c, struct ofs_error *e)
{
	bool keep = false;
	size_t i;
	int rc;

	for (i = 0; i < c->n && c->p[i].opened_seq != opened_seq;)
		i++;
	if (i == c->n)
		return 0;
	if (finished)
		return drop_list(a, c, &c->p[i], e);
	rc = store_items_each(
		&a->store, opened_seq, opened_seq, has_knowledge, &keep, e);
	if (rc != 0)
		return rc;
	return keep ? store_track_close(&a->store, opened_seq, closed_seq, e)
		    : store_track_del(&a->store, opened_seq, e);
}

int
log_track_close(ofs_audit *a, uint64_t opened_seq, uint64_t closed_seq,
	bool finished, struct ofs_error *e)
{
	struct copy c;
	int rc = handle_check_tx(a, e);

	if (rc != 0)
		return rc;
	rc = copy_all(a, &c, e);
	a->keys.sweep = true;
	if (rc == 0)
		rc = close_track(a, opened_seq, closed_seq, finished, &c, e);
	free(c.p);
	return handle_step(a, rc, e);
}

static int
abandon(ofs_audit *a, const uint8_t root_id[16], const struct copy *c,
	struct ofs_error *e)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < c->n && rc == 0; i++) {
		if (memcmp(c->p[i].root_id, root_id, 16) != 0)
			continue;
		if (c->p[i].closed_seq == 0)
			return err_set(e, OFS_EEXIST,
				"a batch of this list is running: wait until "
				"it has ended");
		rc = store_track_del(&a->store, c->p[i].opened_seq, e);
	}
	return rc;
}

int
log_track_abandon(ofs_audit *a, const uint8_t root_id[16], struct ofs_error *e)
{
	struct copy c;
	int rc = handle_check_tx(a, e);

	if (rc != 0)
		return rc;
	rc = copy_all(a, &c, e);
	a->keys.sweep = true;
	if (rc == 0)
		rc = abandon(a, root_id, &c, e);
	free(c.p);
	return handle_step(a, rc, e);
}

/* all that is tracked, in memory: it is little */
static int
read_all(ofs_audit *a, struct copy *c, struct ofs_error *e)
{
	bool nested;
	int rc;

	memset(c, 0, sizeof(*c));
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = copy_all(a, c, e);
	handle_leave(a, nested);
	return rc;
}

int
log_each_track(ofs_audit *a, int (*fn)(void *arg, const struct track *t),
	void *arg, struct ofs_error *e)
{
	struct copy c;
	size_t i;
	int rc;

	rc = read_all(a, &c, e);
	for (i = 0; i < c.n && rc == 0; i++) {
		rc = fn(arg, &c.p[i]);
		if (rc != 0)
			(void)err_set(e, rc,
				"walk over unfinished batches was ended: %s",
				ofs_err_text(rc));
	}
	free(c.p);
	return rc;
}

int
log_track_of(ofs_audit *a, const uint8_t batch_id[16], struct track *out,
	bool *found, struct ofs_error *e)
{
	struct copy c;
	size_t i;
	int rc;

	*found = false;
	rc = read_all(a, &c, e);
	for (i = 0; i < c.n && rc == 0; i++)
		if (memcmp(c.p[i].batch_id, batch_id, 16) == 0) {
			*out = c.p[i];
			*found = true;
		}
	free(c.p);
	return rc;
}

static int
add_run(void *arg, uint64_t opened_seq, const struct item_run *r,
	struct ofs_error *e)
{
	(void)opened_seq;
	return runs_put(arg, r, e);
}

static int
add_signed(void *arg, uint64_t opened_seq, const struct item_run *r,
	struct ofs_error *e)
{
	(void)opened_seq;
	return r->status == RUN_SIGNED ? runs_put(arg, r, e) : 0;
}

static int
add_unknown(void *arg, uint64_t opened_seq, const struct item_run *r,
	struct ofs_error *e)
{
	struct item_run u = *r;

	(void)opened_seq;
	u.status = RUN_UNKNOWN;
	return r->status == RUN_UNKNOWN || r->status == RUN_ANNOUNCED
		? runs_put(arg, &u, e)
		: 0;
}

int
log_track_runs(ofs_audit *a, uint64_t opened_seq, struct runs *out,
	struct ofs_error *e)
{
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = store_items_each(
		&a->store, opened_seq, opened_seq, add_run, out, e);
	handle_leave(a, nested);
	return rc;
}

/* what was signed later covers what was unknown */
static int
list_runs(ofs_audit *a, const uint8_t root_id[16], const struct copy *c,
	struct runs *out, struct ofs_error *e)
{
	static const store_items_fn passes[] = { add_unknown, add_signed };
	size_t pass, i;
	int rc = 0;

	for (pass = 0; pass < 2; pass++)
		for (i = 0; i < c->n && rc == 0; i++)
			if (memcmp(c->p[i].root_id, root_id, 16) == 0)
				rc = store_items_each(&a->store,
					c->p[i].opened_seq, c->p[i].opened_seq,
					passes[pass], out, e);
	return rc;
}

int
log_list_runs(ofs_audit *a, const uint8_t root_id[16], struct runs *out,
	struct ofs_error *e)
{
	struct copy c;
	bool nested;
	int rc;

	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = copy_all(a, &c, e);
	if (rc == 0)
		rc = list_runs(a, root_id, &c, out, e);
	free(c.p);
	handle_leave(a, nested);
	return rc;
}

int
log_list_hold(ofs_audit *a, const struct track *t, uint64_t *number,
	struct ofs_error *e)
{
	struct digest d = { 0 };
	uint8_t sum[32];
	size_t i;
	int rc;

	*number = 0;
	rc = digest_begin(&d, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&d, t->list_sha256, 32, e);
	if (rc == 0)
		rc = digest_update(&d, t->outputs_sha256, 32, e);
	if (rc == 0)
		rc = digest_update(&d, t->spki_sha256, 32, e);
	if (rc == 0)
		rc = digest_update(&d, t->form, strlen(t->form), e);
	if (rc == 0)
		rc = digest_end(&d, sum, e);
	digest_free(&d);
	if (rc != 0)
		return rc;
	for (i = 0; i < sizeof(*number); i++)
		*number = *number << 8 | sum[i];
	*number = HOLD_LISTS | (*number & (HOLD_LISTS - 1));
	if (hold_take(&a->hold, *number, e) == 0)
		return 0;
	*number = 0;
	if (e->sys_errno != 0 || e->code == OFS_ENOMEM)
		return e->code;
	return err_set(e, OFS_EEXIST,
		"another run is at this very list, with this key: wait until "
		"it has ended; ofs-sign --list-unfinished shows it");
}
