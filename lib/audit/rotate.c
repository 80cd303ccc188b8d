/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may read an encrypted log, and how that is changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "audit/auditors.h"
#include "audit/handle.h"
#include "audit/log_event.h"

#include "base/hex.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/cert.h"

#define DROP_DIGITS 8

static int
newest_plan(ofs_audit *a, struct key_plan *plan, struct key_epoch **newest,
	struct ofs_error *e)
{
	uint32_t last;
	int rc;

	memset(plan, 0, sizeof(*plan));
	*newest = NULL;
	if (a->keys.mode == LOG_PLAIN)
		return 0;
	rc = store_epoch_last(&a->store, &last, e);
	if (rc == 0)
		rc = keys_epoch(a, last, newest, e);
	return rc != 0 ? rc : keys_plan_of(a, last, plan, e);
}

int
ofs_audit_get_keys(ofs_audit *audit, struct ofs_audit_keys *out)
{
	struct key_plan plan = { .reason = NULL };
	struct key_epoch *newest;
	struct ofs_error e;
	bool nested;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	rc = handle_enter(audit, &nested, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	rc = newest_plan(audit, &plan, &newest, &e);
	out->mode = (enum ofs_audit_mode)audit->keys.mode;
	hex_encode(out->id, audit->state.log_id, 16);
	handle_leave(audit, nested);
	if (newest != NULL) {
		out->epochs = newest->epoch;
		out->readable = newest->open;
	}
	out->passphrase = plan.passphrase;
	if (plan.station_path != NULL)
		snprintf(out->station_key, sizeof(out->station_key), "%s",
			plan.station_path);
	keys_plan_free(&plan);
	return rc != 0 ? handle_fail(audit, &e) : 0;
}

int
ofs_audit_each_auditor(ofs_audit *audit, ofs_auditor_fn fn, void *arg)
{
	struct key_plan plan = { .reason = NULL };
	struct key_epoch *newest;
	char subject[256], hex[65];
	struct ofs_error e;
	uint8_t sum[32];
	bool nested;
	int rc, i, ended = 0;

	rc = handle_enter(audit, &nested, &e);
	if (rc != 0)
		return handle_fail(audit, &e);
	rc = newest_plan(audit, &plan, &newest, &e);
	handle_leave(audit, nested);
	for (i = 0; rc == 0 && ended == 0 && i < sk_X509_num(plan.auditors);
		i++) {
		X509 *c = sk_X509_value(plan.auditors, i);

		cert_subject(c, subject, sizeof(subject));
		rc = cert_sha256(c, sum, &e);
		if (rc == 0)
			ended = fn(arg, hex_encode(hex, sum, 32), subject);
	}
	keys_plan_free(&plan);
	return rc != 0 ? handle_fail(audit, &e) : ended;
}

/* by the beginning of its hash */
static int
drop_auditor(STACK_OF(X509) *all, const char *digits, struct ofs_error *e)
{
	size_t n = strlen(digits);
	int i, found = -1;
	uint8_t sum[32];
	char hex[65];

	for (i = 0; n >= DROP_DIGITS && i < sk_X509_num(all); i++) {
		if (cert_sha256(sk_X509_value(all, i), sum, e) != 0)
			return e->code;
		hex_encode(hex, sum, sizeof(sum));
		if (strncasecmp(hex, digits, n) != 0)
			continue;
		if (found >= 0)
			return err_set(e, OFS_EAMBIGUOUS,
				"more than one auditor's certificate begins "
				"with '%s'; give more digits",
				TEXT_Q(digits));
		found = i;
	}
	if (found < 0)
		return err_set(e, OFS_EINVAL,
			"no auditor of this log has a certificate whose "
			"SHA-256 begins with '%s'; give at least %d digits",
			TEXT_Q(digits), DROP_DIGITS);
	X509_free(sk_X509_delete(all, found));
	return 0;
}

static int
add_auditors(ofs_audit *a, const struct ofs_audit_rotate_opts *o,
	STACK_OF(X509) *to, struct ofs_error *e)
{
	STACK_OF(X509) *more = NULL;
	struct buf sums = BUF_INIT;
	X509 *c;
	int rc;

	rc = auditors_parse(a, o->auditors, o->n_auditors, &more, &sums, e);
	for (size_t i = 0; rc == 0 && i < sums.len / 32; i++) {
		if (auditors_find(to, sums.p + 32 * i) >= 0)
			continue;
		c = sk_X509_value(more, (int)i);
		if (X509_up_ref(c) != 1 || sk_X509_push(to, c) <= 0)
			rc = err_nomem(e);
	}
	sk_X509_pop_free(more, X509_free);
	buf_free(&sums);
	return rc;
}

static int
change_station_key(ofs_audit *a, const char *path, struct key_plan *plan,
	struct ofs_error *e)
{
	uint8_t key[KEYFILE_SIZE];
	char *absolute = NULL;
	bool made;
	int rc;

	if (a->keys.mode == LOG_SEALED)
		return err_set(e, OFS_EINVAL,
			"a sealed audit log keeps the station key that it was "
			"made with, or none");
	rc = keyfile_make(path, &a->place, key, &absolute, &made, e);
	if (rc == 0 && !text_is_utf8(absolute, strlen(absolute)))
		rc = err_set(
			e, OFS_EINVAL, "path of the station key must be UTF-8");
	if (rc == 0) {
		memcpy(a->keys.s->station, key, sizeof(key));
		a->keys.s->has_station = true;
		free((void *)(uintptr_t)plan->station_path);
		plan->station_path = absolute;
	} else {
		free(absolute);
	}
	mem_wipe(key, sizeof(key));
	return rc;
}

static int
change(ofs_audit *a, const struct ofs_audit_rotate_opts *o,
	struct key_plan *plan, struct ofs_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < o->n_drop; i++)
		rc = drop_auditor(plan->auditors, o->drop[i], e);
	if (rc == 0)
		rc = add_auditors(a, o, plan->auditors, e);
	if (rc == 0 && o->station_key != NULL)
		rc = change_station_key(a, o->station_key, plan, e);
	if (rc == 0 && sk_X509_num(plan->auditors) == 0 &&
		(a->keys.mode == LOG_SEALED ||
			(plan->station_path == NULL && !plan->passphrase)))
		rc = err_set(e, OFS_EINVAL,
			"nobody could read the audit log any more");
	return rc;
}

/* inside a transaction */
static int
rotate(ofs_audit *a, const struct ofs_audit_rotate_opts *o, struct ofs_error *e)
{
	struct rec_log_event event = { .event = "rotate", .reason = o->reason };
	struct key_epoch *newest;
	struct key_plan plan;
	uint64_t seq;
	int rc;

	rc = newest_plan(a, &plan, &newest, e);
	if (rc == 0)
		rc = change(a, o, &plan, e);
	plan.reason = "rotated";
	if (a->keys.mode == LOG_STATION)
		plan.previous = newest;
	if (rc == 0)
		rc = handle_step(a, keys_make(a, &plan, e), e);
	if (rc == 0)
		rc = log_event_append(a, &event, NULL, &seq, e);
	keys_plan_free(&plan);
	return rc;
}

/* the station key that was to be is not the one of the log */
static void
roll_back(ofs_audit *a)
{
	struct ofs_error ignored;
	bool nested;

	log_rollback(a);
	if (handle_enter(a, &nested, &ignored) == 0) {
		(void)keys_find(a, &ignored);
		handle_leave(a, nested);
	}
}

int
ofs_audit_rotate(ofs_audit *audit, const struct ofs_audit_rotate_opts *opts)
{
	struct ofs_error e;
	int rc = 0;

	if (opts == NULL || opts->size != sizeof(*opts))
		rc = err_set(&e, OFS_EINVAL,
			"options for new keys of an audit log have a wrong "
			"size");
	else if (audit->keys.mode == LOG_PLAIN)
		rc = err_set(&e, OFS_EINVAL,
			"this audit log is not encrypted, and stays so; make a "
			"new one");
	if (rc == 0)
		rc = log_begin(audit, &e);
	if (rc == 0) {
		rc = rotate(audit, opts, &e);
		if (rc == 0)
			rc = log_commit(audit, &e);
		else
			roll_back(audit);
	}
	return rc != 0 ? handle_fail(audit, &e) : 0;
}
