/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of a log: files of them, and how they are compared with a store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "verify/audit-head.h"

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "format/statement.h"

static void
take_slots(const struct head_file *f, struct kept *out)
{
	out->kind = "head-file";
	for (int i = 0; i < HEAD_SLOTS; i++)
		if (f->valid[i])
			out->head[out->n++] = f->slot[i];
}

static void
take_manifest(const struct statement *m, struct kept *out)
{
	struct head *h = &out->head[0];

	out->kind = "backup";
	out->n = 1;
	h->size = m->records;
	h->time = m->time;
	memcpy(h->root, m->root, sizeof(h->root));
	memcpy(h->log_id, m->log_id, sizeof(h->log_id));
}

static int
take_checkpoint(const char *path, const struct note *note, const ofs_audit *a,
	const uint8_t log_id[16], int code, struct kept *out,
	struct ofs_error *e)
{
	const struct audit_key *k = &a->key;
	struct head *h = &out->head[0];
	struct checkpoint c;
	struct ofs_error why;
	bool found = false;
	int rc;

	rc = k->pub.pub != NULL ? note_check(note, &k->pub, &found, NULL, &why)
				: 0;
	if (rc != 0)
		return err_set(e, rc, "checkpoint '%s': %s", TEXT_Q(path),
			why.message);
	if (!found)
		return err_set(e, code,
			"checkpoint '%s' is not signed by the audit key of the "
			"log, which record %llu names: one of them is of "
			"another log, or was made anew",
			TEXT_Q(path), (unsigned long long)k->seq);
	rc = checkpoint_parse(note->text, note->text_len, &c, &why);
	if (rc != 0 || c.size == 0)
		return err_set(e, OFS_EFORMAT, "checkpoint '%s': %s",
			TEXT_Q(path),
			rc != 0 ? why.message : "it is of an empty log");
	if (strcmp(c.origin, k->origin) != 0)
		return err_set(e, code, "'%s' is of another log", TEXT_Q(path));
	out->kind = "checkpoint";
	out->n = 1;
	h->size = c.size;
	memcpy(h->root, c.root, sizeof(h->root));
	memcpy(h->log_id, log_id, sizeof(h->log_id));
	return 0;
}

int
kept_note(const char *name, const struct buf *text, const ofs_audit *a,
	const uint8_t log_id[16], int code, struct kept *out,
	struct ofs_error *e)
{
	struct ofs_error why;
	struct note note;
	int rc;

	memset(out, 0, sizeof(*out));
	rc = note_parse(text->p, text->len, &note, &why);
	if (rc == OFS_ENOMEM)
		return err_nomem(e);
	if (rc != 0)
		return err_set(e, rc, "'%s' holds no checkpoint: %s",
			TEXT_Q(name), why.message);
	rc = take_checkpoint(name, &note, a, log_id, code, out, e);
	note_free(&note);
	return rc;
}

static int
read_text(const char *path, const ofs_audit *a, const uint8_t log_id[16],
	int code, struct kept *out, struct ofs_error *e)
{
	struct buf text = BUF_INIT;
	struct ofs_error why;
	struct statement m;
	struct note note;
	int rc;

	rc = file_read(path, NOTE_MAX, &text, &why);
	if (rc == 0 &&
		statement_decode(
			text.p, text.len, STATEMENT_BACKUP, &m, &why) == 0 &&
		m.records != 0) {
		take_manifest(&m, out);
	} else if (rc == 0 && note_parse(text.p, text.len, &note, &why) == 0) {
		rc = take_checkpoint(path, &note, a, log_id, code, out, e);
		if (rc == 0)
			rc = kept_witnessed(
				a, &note, path, &out->head[0].time, e);
		if (rc == 0 && a->n_witnesses > 0)
			out->kind = "witness";
		note_free(&note);
	} else if (rc == OFS_EIO) {
		*e = why;
	} else {
		rc = err_set(e, OFS_EFORMAT,
			"'%s' is no head of a log: neither a head file, "
			"backup.txt of a backup, a checkpoint, nor (for "
			"verify) a time-stamp",
			TEXT_Q(path));
	}
	buf_free(&text);
	return rc;
}

int
kept_read(const char *path, const ofs_audit *a, const uint8_t log_id[16],
	int code, struct kept *out, struct ofs_error *e)
{
	struct head_file f;
	struct ofs_error why;
	int fd, rc;

	memset(out, 0, sizeof(*out));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(e, OFS_EIO, errno, "cannot open head '%s'",
			TEXT_Q(path));
	rc = head_read(fd, &f, &why);
	close(fd);
	if (rc == 0)
		take_slots(&f, out);
	else
		rc = read_text(path, a, log_id, code, out, e);
	for (size_t i = 0; rc == 0 && i < out->n; i++)
		if (memcmp(out->head[i].log_id, log_id, 16) != 0)
			rc = err_set(e, code,
				"'%s' is of another log: record 0 is not its "
				"genesis",
				TEXT_Q(path));
	return rc;
}

int
kept_compare(struct store *s, const struct head *h, const char *name,
	uint64_t agreed, struct ofs_error *e)
{
	uint8_t root[32];
	int rc = store_root_at(s, h->size, root, e);

	if (rc == 0 && memcmp(root, h->root, sizeof(root)) != 0)
		rc = err_set(e, OFS_EDAMAGED,
			"audit log was rewritten: its first %llu records are "
			"not those that '%s' knows; what differs is in records "
			"%llu to %llu",
			(unsigned long long)h->size, TEXT_Q(name),
			(unsigned long long)agreed,
			(unsigned long long)h->size - 1);
	return rc;
}

static int
take_time(void *arg, const struct store_record *r, struct ofs_error *e)
{
	struct record_header h;
	int64_t *time = arg;
	int rc = record_header_decode(r->header, r->header_len, &h, e);

	if (rc == 0)
		*time = h.time;
	return rc;
}

/*
 * Of what records tell, the newest of each place: with every batch one may go
 * to the same token.
 */
static struct ofs_audit_head *
find_older(ofs_audit *a, const struct ofs_audit_head *h)
{
	struct ofs_audit_head *all = (struct ofs_audit_head *)a->heads.p;

	for (size_t i = a->heads.len / sizeof(*all); h->seq > 0 && i > 0; i--)
		if (all[i - 1].seq > 0 && all[i - 1].records <= h->records &&
			all[i - 1].outside == h->outside &&
			strcmp(all[i - 1].kind, h->kind) == 0 &&
			strcmp(all[i - 1].place, h->place) == 0)
			return &all[i - 1];
	return NULL;
}

int
kept_remember(ofs_audit *a, const struct head *h, struct ofs_audit_head *out,
	struct ofs_error *e)
{
	struct ofs_audit_head *older;
	int rc = 0;

	out->size = sizeof(*out);
	out->records = h->size;
	out->time = h->time;
	text_clean(out->place);
	if (h->time == 0)
		rc = store_record_get(
			&a->store, h->size - 1, take_time, &out->time, e);
	older = find_older(a, out);
	if (rc == 0 && older != NULL)
		*older = *out;
	else if (rc == 0)
		buf_put(&a->heads, out, sizeof(*out));
	return rc == 0 && !buf_ok(&a->heads) ? err_nomem(e) : rc;
}

static void
take_words(const struct record_body *b, const char *name, char *to, size_t size)
{
	struct rec_span f;

	if (av_bytes(b, name, &f))
		snprintf(to, size, "%.*s", (int)f.n, (const char *)f.p);
}

int
av_anchor(struct av *v, const struct av_record *r, struct ofs_error *e)
{
	struct ofs_audit_head out = { .seq = r->seq };
	struct head h = { .size = (uint64_t)av_int(r->body, "records"),
		.time = r->h->time };
	struct rec_span root;
	struct ofs_error why;
	int rc;

	if (h.size == 0 || h.size > r->seq ||
		!av_bytes(r->body, "root", &root) || root.n != sizeof(h.root))
		return av_damage(
			e, r->seq, "it tells of a head that cannot be");
	memcpy(h.root, root.p, root.n);
	take_words(r->body, "kind", out.kind, sizeof(out.kind));
	take_words(r->body, "place", out.place, sizeof(out.place));
	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	rc = kept_compare(&v->a->store, &h, out.kind, 0, &why);
	if (rc == OFS_EDAMAGED)
		rc = av_damage(e, r->seq,
			"the head that it tells of is not that of the %llu "
			"records in front",
			(unsigned long long)h.size);
	else if (rc != 0)
		*e = why;
	if (rc == 0 && strcmp(out.kind, "timestamp") == 0)
		rc = av_timestamp(v, r, &h, &out.outside, e);
	if (rc == 0)
		rc = kept_remember(v->a, &h, &out, e);
	av_leave(v);
	return rc;
}

int
av_heads_report(struct av *v, struct ofs_error *e)
{
	struct ofs_audit_head file = { .kind = "head-file" };
	struct ofs_audit_head note = { .kind = "checkpoint" };
	struct head cp = { .size = v->rep->checkpoint_records };
	const struct head *newest = head_newest(&v->head);
	int rc;

	rc = av_enter(v, e);
	if (rc != 0)
		return rc;
	v->a->heads_size = v->tree.size;
	if (newest != NULL)
		rc = kept_remember(v->a, newest, &file, e);
	if (rc == 0 && cp.size > 0)
		rc = kept_remember(v->a, &cp, &note, e);
	av_leave(v);
	return rc;
}

/* who gives us that file by mistake would be told that all is well */
static int
check_foreign(const ofs_audit *a, const char *path, struct ofs_error *e)
{
	struct stat given, own;

	if (a->head_fd < 0 || fstat(a->head_fd, &own) != 0 ||
		stat(path, &given) != 0 || given.st_dev != own.st_dev ||
		given.st_ino != own.st_ino)
		return 0;
	return err_set(e, OFS_EINVAL,
		"'%s' is the head file of the log itself: whoever changes the "
		"log can change it; give a copy that was kept elsewhere",
		TEXT_Q(path));
}

struct below {
	uint64_t size, agreed;
};

static int
take_agreed(void *arg, const struct ofs_audit_head *h)
{
	struct below *b = arg;

	if (h->outside && h->records < b->size && h->records > b->agreed)
		b->agreed = h->records;
	return 0;
}

/* so many records a head from outside has shown to be right */
static uint64_t
agreed_below(ofs_audit *a, uint64_t size)
{
	struct below b = { size, 0 };

	(void)ofs_audit_each_head(a, take_agreed, &b);
	return b.agreed;
}

int
kept_compare_all(ofs_audit *a, const struct kept *k, const char *name,
	const struct head **newest, struct ofs_error *e)
{
	uint64_t size = a->heads_size;
	char quoted[sizeof(struct text_q) + 2];
	int rc = 0;

	snprintf(quoted, sizeof(quoted), "'%s'", TEXT_Q(name));
	*newest = &k->head[0];
	for (size_t i = 0; i < k->n && rc == 0; i++) {
		const struct head *h = &k->head[i];

		if (h->size > (*newest)->size)
			*newest = h;
		if (h->size > size)
			rc = av_rolled_back(e, size, h->size, quoted);
		else
			rc = kept_compare(&a->store, h, name,
				agreed_below(a, h->size), e);
	}
	return rc;
}

static int
compare_file(ofs_audit *a, const struct kept *k, const char *path,
	struct ofs_audit_head *out, struct ofs_error *e)
{
	const struct head *newest;
	int rc = kept_compare_all(a, k, path, &newest, e);

	if (rc != 0)
		return rc;
	snprintf(out->kind, sizeof(out->kind), "%s", k->kind);
	snprintf(out->place, sizeof(out->place), "%s", path);
	out->outside = true;
	return kept_remember(a, newest, out, e);
}

static int
check_head(ofs_audit *a, const char *path, struct ofs_audit_head *out,
	struct ofs_error *e)
{
	struct store_state st;
	struct kept k;
	bool stamp;
	int rc;

	rc = store_begin(&a->store, false, e);
	if (rc != 0)
		return rc;
	rc = store_state_get(&a->store, &st, e);
	if (rc == 0)
		rc = check_foreign(a, path, e);
	if (rc == 0)
		rc = kept_stamped(path, a, &k, &stamp, e);
	if (rc == 0 && !stamp)
		rc = kept_read(path, a, st.log_id, OFS_EDAMAGED, &k, e);
	if (rc == 0 && st.size > a->heads_size)
		a->heads_size = st.size;
	if (rc == 0)
		rc = compare_file(a, &k, path, out, e);
	store_rollback(&a->store);
	return rc;
}

int
ofs_audit_check_head(
	ofs_audit *audit, const char *file, struct ofs_audit_head *out)
{
	struct ofs_audit_head got = { .size = sizeof(got) };
	struct ofs_error e;
	bool nested;
	int rc;

	rc = handle_enter(audit, &nested, &e);
	if (rc == 0 && nested)
		rc = err_set(&e, OFS_EINTERNAL,
			"cannot compare heads within a transaction");
	if (rc != 0)
		return handle_fail(audit, &e);
	rc = check_head(audit, file, &got, &e);
	handle_leave(audit, nested);
	if (out != NULL)
		*out = got;
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_each_head(ofs_audit *audit, ofs_audit_head_fn fn, void *arg)
{
	struct ofs_audit_head h;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at + sizeof(h) <= audit->heads.len;
		at += sizeof(h)) {
		memcpy(&h, audit->heads.p + at, sizeof(h));
		rc = fn(arg, &h);
	}
	return rc;
}

static int
take_newest(void *arg, const struct ofs_audit_head *h)
{
	struct ofs_audit_head *newest = arg;

	if (h->outside &&
		(!newest->outside || h->records > newest->records ||
			(h->records == newest->records &&
				h->time > newest->time)))
		*newest = *h;
	return 0;
}

int
ofs_audit_get_exposure(ofs_audit *audit, struct ofs_audit_exposure *out)
{
	struct ofs_audit_head newest = { .outside = false };
	struct ofs_error e;
	uint64_t size;
	bool nested;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	rc = handle_enter(audit, &nested, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	size = audit->heads_size;
	handle_leave(audit, nested);
	(void)ofs_audit_each_head(audit, take_newest, &newest);
	out->anchored = newest.outside;
	out->records = size - newest.records;
	out->since = newest.time;
	out->now = ctx_now(audit->ctx);
	return 0;
}
