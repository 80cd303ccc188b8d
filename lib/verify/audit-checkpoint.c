/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checks the signed heads that a log keeps, and which key signs them. */
#include <string.h>

#include "verify/audit-checkpoint.h"
#include "verify/audit-head.h"

#include <offlinesig/checkpoint.h>

/* a log has one audit key: that of the genesis, or of a later anchor */
static int
name_key(struct av *v, const struct av_record *r, const char *field,
	struct ofs_error *e)
{
	struct rec_span vkey;

	if (v->checkpoints.named)
		return av_damage(e, r->seq,
			"it names an audit key, and record %llu has named one",
			(unsigned long long)v->checkpoints.named_by);
	if (!av_bytes(r->body, field, &vkey) ||
		vkey.n >= sizeof(v->rep->audit_key))
		return av_damage(e, r->seq, "its audit key is malformed");
	v->checkpoints.named = true;
	v->checkpoints.named_by = r->seq;
	memcpy(v->rep->audit_key, vkey.p, vkey.n);
	return 0;
}

/* the root that it gives is compared when the tree has been checked so far */
static int
audit_key_anchor(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	struct rec_span at;

	if (av_int(r->body, "records") != (int64_t)r->seq ||
		!av_bytes(r->body, "root", &at) || at.n != sizeof(c->root))
		return av_damage(e, r->seq,
			"it names an audit key for another log than the one "
			"in front of it");
	memcpy(c->root, at.p, at.n);
	c->has_root = true;
	return name_key(v, r, "data", e);
}

int
av_checkpoint_record(
	struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct rec_span f;

	if (r->h->type == OFS_REC_GENESIS && av_bytes(r->body, "audit_key", &f))
		return name_key(v, r, "audit_key", e);
	if (r->h->type != OFS_REC_ANCHOR)
		return 0;
	if (av_bytes(r->body, "kind", &f) && f.n == strlen("audit-key") &&
		memcmp(f.p, "audit-key", f.n) == 0)
		return audit_key_anchor(v, r, e);
	return av_anchor(v, r, e);
}

/* the table says which record names the key, and nothing else */
static int
check_key(struct av *v, struct ofs_error *e)
{
	struct audit_key *k = &v->a->key;
	struct buf vkey = BUF_INIT;
	bool same;
	int rc;

	if (k->pub.pub == NULL) {
		rc = handle_load_key(v->a, e);
		if (rc != 0)
			return rc;
	}
	/* no body was read: the key is the one that the table points to */
	if (v->hashes_only) {
		v->checkpoints.named = k->pub.pub != NULL;
		v->checkpoints.named_by = k->seq;
		return 0;
	}
	if (!v->checkpoints.named)
		return k->pub.pub == NULL
			? 0
			: err_set(e, OFS_EDAMAGED,
				  "table audit_key of the audit log names "
				  "record %llu, which names no key",
				  (unsigned long long)k->seq);
	if (k->pub.pub == NULL || k->seq != v->checkpoints.named_by)
		return err_set(e, OFS_EDAMAGED,
			"table audit_key of the audit log does not name "
			"record %llu",
			(unsigned long long)v->checkpoints.named_by);
	rc = note_key_text(&k->pub, &vkey, e);
	same = rc == 0 && strcmp((const char *)vkey.p, v->rep->audit_key) == 0;
	buf_free(&vkey);
	if (rc == 0 && !same)
		rc = err_set(e, OFS_EDAMAGED,
			"audit key of the audit log was replaced while it was "
			"read");
	v->rep->audit_key_on_token = k->on_token;
	return rc;
}

static int
check_pin(struct av *v, struct ofs_error *e)
{
	const struct note_key *pin = &v->a->pin, *k = &v->a->key.pub;

	if (pin->pub == NULL)
		return 0;
	if (k->pub == NULL)
		return err_set(e, OFS_EDAMAGED,
			"audit log has no audit key, and was expected to have "
			"that of '%s'",
			pin->name);
	if (strcmp(pin->name, k->name) != 0 || pin->type != k->type ||
		EVP_PKEY_eq(pin->pub, k->pub) != 1)
		return err_set(e, OFS_EDAMAGED,
			"audit key of the audit log is not the one that was "
			"expected: this is another log, or one that somebody "
			"has written anew");
	v->rep->audit_key_pinned = true;
	return 0;
}

static int
add_hash(void *arg, const uint8_t hash[32], struct ofs_error *e)
{
	struct av_checkpoints *c = arg;

	return merkle_add(&c->tree, c->height, hash, e);
}

/* the tree of `size` records out of what was checked before */
static int
grow_to(struct av *v, uint64_t size, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	int rc = 0;

	while (rc == 0 && c->tree.size < size) {
		unsigned int level = 0;
		uint64_t n;

		/* the largest tiles that fit, until one larger fits */
		while (level < MERKLE_TILE_LEVELS) {
			unsigned int h = (level + 1) * MERKLE_TILE_HEIGHT;

			if (c->tree.size >> h << h != c->tree.size ||
				size - c->tree.size < UINT64_C(1) << h)
				break;
			level++;
		}
		c->height = level * MERKLE_TILE_HEIGHT;
		n = (size - c->tree.size) >> c->height;
		if (n > 256 - (c->tree.size >> c->height) % 256)
			n = 256 - (c->tree.size >> c->height) % 256;
		rc = store_hash_each(&v->a->store, level,
			c->tree.size >> c->height, n, &c->tree, add_hash, c, e);
	}
	return rc;
}

/* of the records in front of the one that names the key */
static int
check_anchor(struct av *v, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	uint8_t root[32];
	int rc;

	if (!c->has_root)
		return 0;
	rc = grow_to(v, c->named_by, e);
	if (rc == 0)
		rc = merkle_root(&c->tree, root, e);
	if (rc == 0 &&
		(c->tree.size != c->named_by ||
			memcmp(c->root, root, sizeof(root)) != 0))
		rc = av_damage(e, c->named_by,
			"it names an audit key for another log than the one "
			"in front of it");
	c->has_root = false;
	return rc;
}

static int
check_one(struct av *v, uint64_t size, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	uint64_t before = c->tree.size;
	struct checkpoint cp;
	struct ofs_error why;
	uint8_t root[32];
	int rc;

	if (!c->named)
		return err_set(e, OFS_EDAMAGED,
			"audit log keeps a checkpoint and names no audit key");
	rc = auditkey_check(&v->a->key, c->note.p, c->note.len, &cp, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	if (rc != 0)
		return err_set(e, OFS_EDAMAGED,
			"checkpoint up to record %llu of the audit log: %s",
			(unsigned long long)size - 1, why.message);
	rc = grow_to(v, size, e);
	if (rc == 0)
		rc = merkle_root(&c->tree, root, e);
	if (rc == 0 &&
		(cp.size != size || memcmp(cp.root, root, sizeof(root)) != 0))
		rc = av_damage_within(e, before, size - 1,
			"up to it the log is not the one that a checkpoint "
			"was signed for");
	c->n++;
	v->rep->checkpoints = c->n;
	v->rep->checkpoint_records = size;
	return rc;
}

/* *left: whether there may be another one */
static int
next_one(struct av *v, bool *left, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	uint64_t size;
	int rc;

	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = store_checkpoint_next(
		&v->a->store, c->tree.size, &size, &c->note, e);
	*left = rc == 0 && size != 0 && size <= v->tree.size;
	if (rc == 0 && size > v->tree.size && v->locked)
		rc = av_rolled_back(
			e, v->tree.size, size, "a checkpoint in it");
	if (rc == 0 && *left)
		rc = check_one(v, size, e);
	av_leave(v);
	return rc;
}

/* one that was signed late is of fewer records than the last that was seen */
static int
count_again(struct av *v, struct ofs_error *e)
{
	struct av_checkpoints *c = &v->checkpoints;
	bool left = true;
	uint64_t n;
	int rc;

	rc = store_checkpoint_count(&v->a->store, &n, e);
	if (rc != 0 || n == c->n)
		return rc;
	merkle_reset(&c->tree);
	c->n = 0;
	while (rc == 0 && left)
		rc = next_one(v, &left, e);
	return rc;
}

int
av_checkpoints(struct av *v, struct ofs_error *e)
{
	bool left = true;
	int rc;

	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = check_key(v, e);
	if (rc == 0)
		rc = check_pin(v, e);
	if (rc == 0)
		rc = check_anchor(v, e);
	av_leave(v);
	while (rc == 0 && left)
		rc = next_one(v, &left, e);
	if (rc == 0 && v->locked)
		rc = count_again(v, e);
	return rc;
}

uint64_t
av_checkpoints_agree(struct av *v, uint64_t end)
{
	struct av_checkpoints *c = &v->checkpoints;
	struct ofs_error ignored;
	uint64_t good = 0, size = 0;
	int rc;

	merkle_reset(&c->tree);
	do {
		good = size;
		rc = av_enter(v, &ignored);
		if (rc != 0)
			break;
		rc = store_checkpoint_next(
			&v->a->store, good, &size, &c->note, &ignored);
		if (rc == 0 && size != 0 && size < end)
			rc = check_one(v, size, &ignored);
		av_leave(v);
	} while (rc == 0 && size != 0 && size < end);
	return good;
}

void
av_key_token_report(struct av *v)
{
	struct keytokens_both both;

	if (!keytokens_both(&v->keytokens, &both))
		return;
	v->rep->audit_key_shared = true;
	av_find(v, both.seq, "audit-key-shared",
		"no protection against the operator: it opens a batch of token "
		"'%s', which holds the audit key, too, and one PIN signs "
		"documents and checkpoints; keep that key on another token",
		both.label);
}

void
av_checkpoints_free(struct av_checkpoints *c)
{
	merkle_free(&c->tree);
	buf_free(&c->note);
}

int
ofs_audit_pin(ofs_audit *audit, const char *vkey)
{
	struct note_key k = { .pub = NULL };
	struct ofs_error e;

	if (vkey != NULL && note_key_given(vkey, &k, &e) != 0)
		return handle_fail(audit, &e);
	note_key_free(&audit->pin);
	audit->pin = k;
	return 0;
}
