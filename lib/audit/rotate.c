/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may read an encrypted log, and how that is changed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "audit/auditors.h"
#include "audit/handle.h"
#include "audit/log_event.h"

#include "base/ctx.h"
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
log_get_keys(ofs_audit *a, struct ofs_audit_keys *out, struct ofs_error *e)
{
	struct key_plan plan = { .reason = NULL };
	struct key_epoch *newest;
	bool nested;
	int rc;

	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	rc = handle_enter(a, &nested, e);
	if (rc != 0)
		return rc;
	rc = newest_plan(a, &plan, &newest, e);
	out->mode = (enum ofs_audit_mode)a->keys.mode;
	hex_encode(out->id, a->state.log_id, 16);
	if (newest != NULL) {
		out->epochs = newest->epoch;
		out->readable = newest->open;
	}
	handle_leave(a, nested);
	out->passphrase = plan.passphrase;
	if (plan.station != NULL)
		snprintf(out->station_key, sizeof(out->station_key), "%s",
			plan.station);
	keys_plan_free(&plan);
	return rc;
}

int
ofs_audit_get_keys(ofs_audit *audit, struct ofs_audit_keys *out)
{
	struct ofs_error e;
	int rc = log_get_keys(audit, out, &e);

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
		if (X509_add_cert(to, c, X509_ADD_FLAG_UP_REF) != 1)
			rc = err_nomem(e);
	}
	sk_X509_pop_free(more, X509_free);
	buf_free(&sums);
	return rc;
}

/* What is asked for. */
struct changes {
	const struct ofs_audit_rotate_opts *o;
	const struct log_station_key *station; /* on a token; or NULL */
	char *made; /* a file for a station key; goes if nothing is changed */
};

static bool
is_of_secret(const struct changes *c)
{
	return c->o->station_key != NULL || c->o->passphrase != NULL ||
		c->station != NULL;
}

static int
change_station_key(ofs_audit *a, struct changes *c, struct key_plan *plan,
	struct ofs_error *e)
{
	const char *path = c->o->station_key;
	uint8_t key[KEYFILE_SIZE];
	char *absolute = NULL;
	bool made;
	int rc;

	rc = keyfile_make(path, &a->place, key, &absolute, &made, e);
	if (rc == 0 && made && (c->made = strdup(absolute)) == NULL)
		rc = err_nomem(e);
	if (rc == 0 && !text_is_utf8(absolute, strlen(absolute)))
		rc = err_set(
			e, OFS_EINVAL, "path of the station key must be UTF-8");
	if (rc == 0) {
		memcpy(a->keys.s->station, key, sizeof(key));
		a->keys.s->has_station = true;
		keys_plan_station(plan, absolute, false);
	} else {
		free(absolute);
	}
	mem_wipe(key, sizeof(key));
	return rc;
}

static int
change_passphrase(ofs_audit *a, const char *passphrase, struct key_plan *plan,
	struct ofs_error *e)
{
	struct key_secrets *s = a->keys.s;
	size_t n = strlen(passphrase);

	if (n == 0 || n > KEYS_PASSPHRASE_MAX)
		return err_set(e, OFS_EINVAL,
			"passphrase of an audit log must have 1 to %d bytes",
			KEYS_PASSPHRASE_MAX);
	memcpy(s->passphrase, passphrase, n + 1);
	s->has_kek = false;
	plan->passphrase = true;
	return 0;
}

struct running {
	ofs_audit *a;
	bool any;
};

static int
look(void *arg, uint64_t seq, const uint8_t id[16], struct ofs_error *e)
{
	struct running *r = arg;

	(void)id, (void)e;
	r->any = r->any || hold_alive(&r->a->hold, seq);
	return 0;
}

/*
 * Who is signing now could not record what the token gives: they have the old
 * secret only. Who begins later finds that it was changed, before they sign.
 */
static int
check_idle(ofs_audit *a, struct ofs_error *e)
{
	struct running r = { .a = a };
	int rc = store_batch_each(&a->store, look, &r, e);

	if (rc == 0)
		rc = store_intent_each(&a->store, look, &r, e);
	if (rc == 0 && r.any)
		rc = err_set(e, OFS_EEXIST,
			"cannot change the station key or passphrase of audit "
			"log '%s' while a batch is running",
			TEXT_Q(a->place.dir));
	return rc;
}

/* who changes what opens the log can open it, or is one of its auditors */
static int
check_leave(ofs_audit *a, const struct key_plan *plan,
	const struct key_epoch *newest, struct ofs_error *e)
{
	bool may = a->keys.mode == LOG_STATION
		? newest->open
		: a->keys.s->has_batch || a->keys.reader != NULL ||
			(plan->station == NULL && !plan->passphrase);

	if (may)
		return check_idle(a, e);
	return err_set(e, OFS_EAUDIT,
		"what opens the audit log now is needed to change it: its "
		"passphrase, its station key, or the key of an auditor");
}

static int
change(ofs_audit *a, struct changes *c, struct key_plan *plan,
	struct ofs_error *e)
{
	const struct ofs_audit_rotate_opts *o = c->o;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < o->n_drop; i++)
		rc = drop_auditor(plan->auditors, o->drop[i], e);
	if (rc == 0)
		rc = add_auditors(a, o, plan->auditors, e);
	if (rc == 0 && o->station_key != NULL)
		rc = change_station_key(a, c, plan, e);
	if (rc == 0 && c->station != NULL)
		rc = keys_plan_token(a, plan, c->station, e);
	if (rc == 0 && o->passphrase != NULL)
		rc = change_passphrase(a, o->passphrase, plan, e);
	if (rc == 0 && sk_X509_num(plan->auditors) == 0 &&
		(a->keys.mode == LOG_SEALED ||
			(plan->station == NULL && !plan->passphrase)))
		rc = err_set(e, OFS_EINVAL,
			"nobody could read the audit log any more");
	return rc;
}

/*
 * A sealed log: another secret is for another batch key, so that the old one
 * opens nothing from now on. What is unfinished is kept with the new one; what
 * a backup did not bring along can be had again with an auditor's key.
 */
static int
keep_anew(ofs_audit *a, const struct kept_list *kept, struct ofs_error *e)
{
	uint64_t left;
	int rc;

	if (!a->keys.s->has_batch)
		return err_set(e, OFS_EAUDIT,
			"an auditor's key is here, and no station key or "
			"passphrase for what is unfinished; set one with "
			"--station-key or --new-passphrase-source");
	rc = kept_renew(a, kept, &left, e);
	if (rc == 0 && left > 0)
		ctx_log(a->ctx, OFS_LOG_WARNING,
			"%llu unfinished lists cannot be opened, and so not "
			"be gone on with; the key of an auditor opens them",
			(unsigned long long)left);
	return rc;
}

/* *renew: the keys that are kept are to be kept anew */
static int
prepare(ofs_audit *a, struct changes *c, struct key_plan *plan,
	struct kept_list *kept, bool *renew, struct ofs_error *e)
{
	bool secret = is_of_secret(c);
	struct key_epoch *newest;
	int rc;

	*renew = a->keys.mode == LOG_SEALED &&
		(secret || a->keys.reader != NULL);
	keys_retry(a);
	rc = newest_plan(a, plan, &newest, e);
	if (rc == 0)
		keys_forget_stale(&a->keys, plan->like);
	if (rc == 0 && secret)
		rc = check_leave(a, plan, newest, e);
	if (rc == 0 && *renew)
		rc = kept_load(a, kept, e);
	if (rc == 0)
		rc = change(a, c, plan, e);
	plan->reason = "rotated";
	if (a->keys.mode == LOG_STATION)
		plan->previous = newest;
	if (rc == 0 && *renew && secret) {
		plan->batch = true;
		record_body_free(plan->like);
		plan->like = NULL;
	}
	return rc;
}

/* inside a transaction */
static int
rotate(ofs_audit *a, struct changes *c, struct ofs_error *e)
{
	struct rec_log_event event = { .event = "rotate",
		.reason = c->o->reason };
	struct kept_list kept = { NULL, 0, 0 };
	struct key_plan plan = { .reason = NULL };
	uint64_t seq;
	bool renew;
	int rc;

	rc = prepare(a, c, &plan, &kept, &renew, e);
	if (rc == 0)
		rc = handle_step(a, keys_make(a, &plan, e), e);
	if (rc == 0 && renew)
		rc = handle_step(a, keep_anew(a, &kept, e), e);
	if (rc == 0)
		rc = log_event_append(a, &event, NULL, &seq, e);
	keys_plan_free(&plan);
	free(kept.p);
	return rc;
}

/* in one transaction; what is not committed has changed no secret either */
static int
rotate_all(ofs_audit *a, struct changes *c, struct ofs_error *e)
{
	struct key_secrets *before = mem_secret_new(sizeof(*before));
	int rc;

	if (before == NULL)
		return err_nomem(e);
	rc = log_begin(a, e);
	if (rc != 0)
		goto out;
	*before = *a->keys.s;
	rc = rotate(a, c, e);
	if (rc != 0) {
		if (c->made != NULL)
			(void)unlink(c->made);
		*a->keys.s = *before;
		log_rollback(a);
	} else {
		rc = log_commit(a, e);
	}
	a->keys.keep_all = false;
out:
	mem_secret_free(before, sizeof(*before));
	return rc;
}

int
log_rotate(ofs_audit *a, const struct ofs_audit_rotate_opts *opts,
	const struct log_station_key *station, struct ofs_error *e)
{
	struct changes c = { opts, station, NULL };
	int rc;

	if (opts == NULL || opts->size != sizeof(*opts))
		return err_set(e, OFS_EINVAL,
			"options for new keys of an audit log have a wrong "
			"size");
	if (a->keys.mode == LOG_PLAIN)
		return err_set(e, OFS_EINVAL,
			"this audit log is not encrypted, and stays so; make a "
			"new one");
	if (station != NULL && opts->station_key != NULL)
		return err_set(e, OFS_EINVAL,
			"an audit log has one station key: on a token or in a "
			"file");
	rc = rotate_all(a, &c, e);
	free(c.made);
	return rc;
}

int
ofs_audit_rotate(ofs_audit *audit, const struct ofs_audit_rotate_opts *opts)
{
	struct ofs_error e;
	int rc = log_rotate(audit, opts, NULL, &e);

	return rc != 0 ? handle_fail(audit, &e) : 0;
}
