/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Going on with a list that earlier batches have begun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sign/resume.h"

#include "base/file.h"
#include "base/text.h"
#include "crypto/pubkey.h"
#include "sign/journal.h"
#include "sign/standing.h"

/*
 * SHA-256 of "ofs-outputs-v1" NUL, then for every item: u64 length of the
 * absolute path of its output, path. *files: all of them are files.
 */
static int
outputs_sha256(
	const struct list *l, uint8_t out[32], bool *files, struct ofs_error *e)
{
	static const char tag[] = "ofs-outputs-v1";
	struct list_item it = { 0 };
	struct digest d = { 0 };
	struct buf line = BUF_INIT;
	const char *path;
	size_t i;
	int rc;

	*files = true;
	rc = digest_begin(&d, &digest_sha256, e);
	if (rc == 0)
		rc = digest_update(&d, tag, sizeof(tag), e);
	for (i = 0; i < l->n && rc == 0; i++) {
		rc = list_read(l, i, &it, e);
		if (rc != 0)
			break;
		*files = *files && it.output != NULL;
		path = it.absolute != NULL ? it.absolute : "";
		buf_reset(&line);
		buf_u64(&line, strlen(path));
		buf_str(&line, path);
		rc = buf_ok(&line) ? digest_update(&d, line.p, line.len, e)
				   : err_nomem(e);
	}
	if (rc == 0)
		rc = digest_end(&d, out, e);
	list_item_free(&it);
	digest_free(&d);
	buf_free(&line);
	return rc;
}

static int
describe_own(struct resume *r, const struct list *l, struct ofs_error *e)
{
	struct track *t = &r->own;
	int rc;

	t->items = l->n;
	snprintf(t->form, sizeof(t->form), "%s %s",
		journal_format_name(r->maker->format), r->maker->alg->name);
	rc = list_sha256(l, t->list_sha256, e);
	if (rc == 0)
		rc = outputs_sha256(l, t->outputs_sha256, &r->tracked, e);
	if (rc == 0)
		rc = pubkey_sha256(r->maker->pub, t->spki_sha256, e);
	if (rc == 0 && r->tracked)
		rc = log_can_track(r->audit, r->resign, &r->tracked, e);
	return rc;
}

/* the newest batch that fits, and whether any of its list is running */
struct search {
	const struct track *own;
	const char *id;      /* NULL: by what is signed */
	const uint8_t *root; /* or by its list; NULL: not */
	struct track hit, first;
	bool found, ambiguous, alive, has_first;
};

static bool
same_work(const struct track *a, const struct track *b)
{
	return memcmp(a->list_sha256, b->list_sha256, 32) == 0 &&
		memcmp(a->outputs_sha256, b->outputs_sha256, 32) == 0 &&
		memcmp(a->spki_sha256, b->spki_sha256, 32) == 0 &&
		strcmp(a->form, b->form) == 0 && a->items == b->items;
}

static int
look(void *arg, const struct track *t)
{
	struct search *s = arg;
	bool fits = s->root != NULL ? memcmp(s->root, t->root_id, 16) == 0
		: s->id == NULL     ? same_work(s->own, t)
				    : track_has_id(t, s->id);

	if (!fits)
		return 0;
	if (s->found && memcmp(s->hit.root_id, t->root_id, 16) != 0)
		s->ambiguous = true;
	s->hit = *t;
	s->found = true;
	return 0;
}

static int
look_at_list(void *arg, const struct track *t)
{
	struct search *s = arg;

	if (memcmp(t->root_id, s->hit.root_id, 16) != 0)
		return 0;
	s->alive = s->alive || t->alive;
	if (!s->has_first)
		s->first = *t;
	s->has_first = true;
	return 0;
}

/* what was asked for by its id must be this very list */
static int
check_asked(ofs_audit *audit, const struct search *s, struct ofs_error *e)
{
	const struct track *t = &s->hit, *own = s->own;
	int rc = track_check_id(s->id, e);

	if (rc != 0)
		return rc;
	if (!s->found)
		return track_missing(audit, s->id, e);
	if (s->ambiguous)
		return track_ambiguous(s->id, e);
	if (memcmp(t->spki_sha256, own->spki_sha256, 32) != 0)
		return err_set(e, OFS_EMISMATCH,
			"batch '%s' was begun with another key; name that one",
			TEXT_Q(s->id));
	if (strcmp(t->form, own->form) != 0)
		return err_set(e, OFS_EMISMATCH,
			"batch '%s' was begun as '%s' and this is '%s'; give "
			"the same format and digest",
			TEXT_Q(s->id), t->form, own->form);
	if (memcmp(t->list_sha256, own->list_sha256, 32) != 0)
		return err_set(e, OFS_EMISMATCH,
			"the list differs from that of batch '%s': %llu items "
			"then, %llu now; name the same documents in the same "
			"way",
			TEXT_Q(s->id), (unsigned long long)t->items,
			(unsigned long long)own->items);
	return 0;
}

/* the very list that was asked for, finished by the recovery before this run */
static bool
is_finished(const struct resume *r, const struct search *s)
{
	return s->id != NULL && !s->found && r->was_asked &&
		same_work(&r->was, &r->own);
}

static int
hold_first(struct resume *r, const struct search *s, struct ofs_error *e)
{
	if (same_work(&s->first, &r->own))
		return 0;
	return log_list_hold(r->audit, &s->first, &r->holds[1], e);
}

static int
find(struct resume *r, const char *id, bool hold, struct ofs_error *e)
{
	struct search s = { .own = &r->own, .id = id };
	int rc;

	/* a batch that has come to nothing is gone now, and its list is not */
	if (r->was_asked)
		s.root = r->was.root_id;

	rc = log_each_track(r->audit, look, &s, e);
	if (rc == 0 && is_finished(r, &s))
		return 0;
	if (rc == 0 && id != NULL)
		rc = check_asked(r->audit, &s, e);
	if (rc != 0 || !s.found)
		return rc;
	rc = log_each_track(r->audit, look_at_list, &s, e);
	if (rc == 0 && hold)
		rc = hold_first(r, &s, e);
	if (rc == 0 && s.alive)
		rc = err_set(e, OFS_EEXIST,
			"another run is at this very list, with this key: "
			"wait until it has ended");
	if (rc == 0)
		rc = log_list_runs(r->audit, s.hit.root_id, &r->runs, e);
	if (rc != 0)
		return rc;
	memcpy(r->own.root_id, s.hit.root_id, 16);
	r->first = s.first;
	r->found = true;
	return 0;
}

int
resume_before(struct resume *r, ofs_audit *audit,
	const struct ofs_sign_opts *opts, struct ofs_error *e)
{
	struct search s = { .id = opts->resume };
	int rc;

	memset(r, 0, sizeof(*r));
	if (s.id == NULL || strlen(s.id) < TRACK_ID_DIGITS)
		return 0;
	rc = log_each_track(audit, look, &s, e);
	r->was_asked = rc == 0 && s.found && !s.ambiguous;
	r->was = s.hit;
	return rc;
}

int
resume_find(struct resume *r, ofs_audit *audit, const struct maker *m,
	const struct list *l, const struct ofs_sign_opts *opts, bool hold,
	struct ofs_error *e)
{
	int rc;

	r->audit = audit;
	r->maker = m;
	r->resign = opts->on_duplicate == OFS_DUPLICATE_SIGN;
	r->resign_unknown = opts->resign_unknown;
	rc = describe_own(r, l, e);
	if (rc != 0)
		return rc;
	if (!r->tracked && log_is_sealed(audit) && opts->resume != NULL)
		return err_set(e, OFS_EAUDIT,
			"cannot go on with batch '%s': the audit log is "
			"sealed, and does not tell this station what is left "
			"of a list",
			TEXT_Q(opts->resume));
	if (!r->tracked && opts->resume != NULL)
		return err_set(e, OFS_EINVAL,
			"only a list of files can be gone on with");
	if (!r->tracked)
		return 0;
	if (hold)
		rc = log_list_hold(audit, &r->own, &r->holds[0], e);
	if (rc == 0)
		rc = find(r, opts->resume, hold, e);
	if (rc != 0)
		resume_clear(r);
	return rc;
}

void
resume_clear(struct resume *r)
{
	size_t i;

	for (i = 0; i < 2; i++)
		if (r->holds[i] != 0)
			log_batch_release(r->audit, r->holds[i]);
	runs_free(&r->runs);
	memset(r, 0, sizeof(*r));
}

/* what the outcome says of one item; borrowed from the record */
struct recorded {
	ofs_record *rec;
	struct ofs_field digest, output_sha256, output_path, signature,
		signed_bytes;
	bool attributes; /* signed_bytes is there */
};

static int
read_outcome(const struct resume *r, uint64_t seq, struct recorded *out,
	struct work *w)
{
	struct ofs_record_head head;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = log_get(r->audit, seq, &out->rec, &w->err);
	if (rc != 0)
		return rc;
	ofs_record_get_head(out->rec, &head);
	memcpy(w->batch_id, head.batch_id, sizeof(w->batch_id));
	out->attributes =
		ofs_record_find(out->rec, "signed_bytes", &out->signed_bytes);
	if (head.type != OFS_REC_OUTCOME ||
		!ofs_record_find(out->rec, "document.digest", &out->digest) ||
		!ofs_record_find(out->rec, "signature", &out->signature) ||
		!ofs_record_find(
			out->rec, "output_sha256", &out->output_sha256) ||
		!ofs_record_find(out->rec, "output_path", &out->output_path) ||
		out->output_sha256.len != 32)
		return err_set(&w->err, OFS_EDAMAGED,
			"record %llu of the audit log is not the outcome that "
			"'%s' should have; check the log with ofs-audit verify",
			(unsigned long long)seq, TEXT_Q(w->item->path));
	return 0;
}

static bool
same_document(const struct resume *r, const struct recorded *rec,
	const struct work *w)
{
	return rec->digest.len == r->maker->alg->digest->size &&
		memcmp(rec->digest.bytes, w->digest, rec->digest.len) == 0;
}

/* the finished file once more, out of what was recorded: byte for byte */
static int
restore(const struct resume *r, const struct recorded *rec, struct work *w)
{
	int rc;

	buf_put(&w->sig, rec->signature.bytes, rec->signature.len);
	if (rec->attributes)
		buf_put(&w->tbs, rec->signed_bytes.bytes,
			rec->signed_bytes.len);
	w->recorded_path = strndup(
		(const char *)rec->output_path.bytes, rec->output_path.len);
	if (w->recorded_path == NULL || !buf_ok(&w->sig) || !buf_ok(&w->tbs))
		return err_nomem(&w->err);
	rc = maker_finish(r->maker, w, &w->err);
	if (rc == 0 && memcmp(w->out_sha256, rec->output_sha256.bytes, 32) != 0)
		rc = err_set(&w->err, OFS_EMISMATCH,
			"'%s' is gone, which record %llu is of, and cannot be "
			"made again from it, perhaps because the certificate "
			"is another one; --on-duplicate sign signs the "
			"document again",
			TEXT_Q(w->item->output), (unsigned long long)w->seq);
	if (rc != 0)
		return rc;
	w->restored = true;
	w->status = OFS_ITEM_SKIPPED;
	w->note = "signed by an earlier run; its signature was gone and is "
		  "made again from the record";
	return 0;
}

/* OFS_EEXIST for what stands there instead */
static int
judge(const struct resume *r, const struct recorded *rec,
	enum standing standing, struct work *w, bool *sign)
{
	bool same = same_document(r, rec, w);

	*sign = !same && standing == STANDING_NONE;
	if (*sign)
		return 0;
	if (!same)
		return err_set(&w->err, OFS_EMISMATCH,
			"'%s' has changed since it was signed (record %llu); "
			"its signature is kept as it is; to sign what it is "
			"now, use --on-duplicate sign and --force",
			TEXT_Q(w->item->path), (unsigned long long)w->seq);
	if (standing == STANDING_VALID) {
		w->status = OFS_ITEM_SKIPPED;
		w->note = "signed by an earlier run";
		return 0;
	}
	if (standing == STANDING_NONE ||
		r->maker->existing == OFS_EXISTING_REPLACE)
		return restore(r, rec, w);
	return err_set(&w->err, OFS_EEXIST,
		"'%s' is not the signature that was recorded (record %llu); "
		"--force puts that in its place",
		TEXT_Q(w->item->output), (unsigned long long)w->seq);
}

/* whether to sign it all the same: it is another document now */
static bool
go_through(const struct resume *r, struct prepare *p, struct work *w)
{
	struct recorded rec;
	enum standing standing;
	bool sign = false;
	int rc;

	rc = read_outcome(r, w->seq, &rec, w);
	if (rc == 0)
		rc = maker_read(r->maker, p, w);
	if (rc == 0)
		rc = standing_look(r->maker, w, &standing, &w->err);
	if (rc == 0)
		rc = judge(r, &rec, standing, w, &sign);
	if (rc == OFS_EINTR)
		w->status = OFS_ITEM_NOT_ATTEMPTED;
	ofs_record_free(rec.rec);
	return sign;
}

bool
resume_item(const struct resume *r, struct prepare *p, struct work *w)
{
	const struct item_run *run;

	if (r == NULL || !r->found || w->item->problem != NULL)
		return false;
	run = runs_find(&r->runs, w->index);
	if (run == NULL)
		return false;
	if (run->status == RUN_UNKNOWN) {
		if (r->resign_unknown)
			return false;
		w->status = OFS_ITEM_UNKNOWN;
		(void)err_set(&w->err, OFS_EITEMS,
			"an earlier run asked the token for '%s' (record %llu) "
			"and whether it signed is not known; "
			"--resign-unknown signs it again",
			TEXT_Q(w->item->path), (unsigned long long)run->seq);
		return true;
	}
	if (r->resign)
		return false;
	w->status = OFS_ITEM_FAILED;
	err_clear(&w->err);
	w->seq = run_seq(run, w->index);
	if (!go_through(r, p, w))
		return true;
	w->seq = 0;
	buf_reset(&w->content);
	return false;
}
