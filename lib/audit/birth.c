/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The first records of a log: its genesis, and its first keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "audit/birth.h"

#include "audit/auditors.h"
#include "audit/handle.h"
#include "base/ctx.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/text.h"

#define ORIGIN_MAX 255
#define SALT_SIZE 32

int
birth_check(
	const struct ofs_audit_init_opts *o, bool on_token, struct ofs_error *e)
{
	bool station_key = o->station_key != NULL || on_token;

	if (o->sealed && o->plain)
		return err_set(e, OFS_EINVAL,
			"an audit log cannot be both sealed and plain");
	if (o->sealed && o->n_auditors == 0)
		return err_set(e, OFS_EINVAL,
			"a sealed audit log needs the certificate of an "
			"auditor, or nobody could ever read it");
	if (o->plain && (station_key || o->passphrase != NULL))
		return err_set(e, OFS_EINVAL,
			"a plain audit log has no keys, and so neither a "
			"station key nor a passphrase");
	if (on_token && o->station_key != NULL)
		return err_set(e, OFS_EINVAL,
			"an audit log has one station key: on a token or in a "
			"file");
	if (o->no_station_key && (station_key || o->passphrase == NULL))
		return err_set(e, OFS_EINVAL,
			"an audit log without a station key needs a "
			"passphrase, and no file or token for that key");
	if (o->passphrase != NULL &&
		(o->passphrase[0] == '\0' ||
			strlen(o->passphrase) > KEYS_PASSPHRASE_MAX))
		return err_set(e, OFS_EINVAL,
			"passphrase of an audit log must have 1 to %d bytes",
			KEYS_PASSPHRASE_MAX);
	return 0;
}

static int
make_origin(const char *asked, const ofs_audit *a, char *to, size_t size,
	struct ofs_error *e)
{
	/* what is sealed does not say where it was made */
	const char *host =
		a->keys.mode == LOG_SEALED ? NULL : a->operator_.host;
	uint8_t rnd[4];
	char hex[2 * sizeof(rnd) + 1], name[128];
	size_t i, n;

	if (asked == NULL) {
		if (RAND_bytes(rnd, sizeof(rnd)) != 1)
			return err_ssl(e, OFS_EINTERNAL, "cannot name the log");
		snprintf(name, sizeof(name), "%s", host != NULL ? host : "log");
		text_clean(name);
		snprintf(to, size, "%s/%s", name,
			hex_encode(hex, rnd, sizeof(rnd)));
		return 0;
	}
	n = strlen(asked);
	if (n == 0 || n > ORIGIN_MAX || n >= size || !text_is_utf8(asked, n))
		return err_set(e, OFS_EINVAL,
			"name of an audit log must be 1 to %d bytes of UTF-8",
			ORIGIN_MAX);
	for (i = 0; i < n; i += text_utf8_char(asked + i, n - i))
		if (text_is_control(
			    asked + i, text_utf8_char(asked + i, n - i)))
			return err_set(e, OFS_EINVAL,
				"name of an audit log may not hold control "
				"characters");
	memcpy(to, asked, n + 1);
	return 0;
}

static int
append_genesis(ofs_audit *a, const char *asked, const char *mode,
	const struct buf *auditors, struct ofs_error *e)
{
	char origin[ORIGIN_MAX + 1];
	uint8_t salt[SALT_SIZE];
	struct rec_genesis g = { .origin = origin,
		.tool = a->ctx->opts.tool != NULL ? a->ctx->opts.tool
						  : "libofflinesig",
		.salt = { salt, sizeof(salt) },
		.mode = mode };
	struct log_entry en = { .type = OFS_REC_GENESIS };
	struct buf body = BUF_INIT, vkey = BUF_INIT, hint = BUF_INIT;
	uint64_t seq;
	int rc;

	rc = make_origin(asked, a, origin, sizeof(origin), e);
	if (rc == 0 && RAND_bytes(salt, sizeof(salt)) != 1)
		rc = err_ssl(e, OFS_EINTERNAL, "cannot make an audit log");
	handle_plain_operator(a, &g.operator_);
	if (auditors->len > 0)
		g.auditors = (struct rec_span){ auditors->p, auditors->len };
	if (mode != NULL || auditors->len > 0)
		en.format = STORE_FORMAT_EVIDENCE;
	if (rc == 0)
		rc = handle_init_key(a, origin, &g, &vkey, &hint, e);
	if (rc == 0)
		rc = record_genesis_encode(&g, &body, e);
	en.body = body.p;
	en.body_len = body.len;
	if (rc == 0)
		rc = handle_append(a, &en, &seq, e);
	if (rc == 0 && hint.len > 0)
		rc = store_audit_key_put(
			&a->store, seq, (const char *)hint.p, e);
	buf_free(&vkey);
	buf_free(&hint);
	buf_free(&body);
	return rc;
}

/* where the station key is to be, when there is to be one; allocated */
static int
key_path(ofs_audit *a, const struct ofs_audit_init_opts *o, char **path,
	struct ofs_error *e)
{
	const char *dir = a->ctx->opts.station_keys;
	char name[2 * 16 + sizeof(".key")];

	*path = NULL;
	if (o->station_key != NULL) {
		*path = strdup(o->station_key);
	} else if (dir != NULL) {
		hex_encode(name, a->state.log_id, 16);
		memcpy(name + 32, ".key", sizeof(".key"));
		*path = file_join(dir, name);
	} else {
		return 0; /* a passphrase alone */
	}
	return *path != NULL ? 0 : err_nomem(e);
}

static int
find_station_key(ofs_audit *a, const struct ofs_audit_init_opts *o,
	struct key_plan *plan, char **made_file, struct ofs_error *e)
{
	char *path = NULL, *absolute = NULL;
	bool made = false;
	int rc;

	rc = key_path(a, o, &path, e);
	if (rc == 0 && path != NULL)
		rc = keyfile_make(path, &a->place, a->keys.s->station,
			&absolute, &made, e);
	free(path);
	if (rc != 0 || absolute == NULL)
		return rc;
	keys_plan_station(plan, absolute, false);
	a->keys.s->has_station = true;
	if (made)
		*made_file = strdup(absolute);
	if (made && *made_file == NULL)
		rc = err_nomem(e);
	if (rc == 0 && !text_is_utf8(absolute, strlen(absolute)))
		rc = err_set(e, OFS_EINVAL,
			"path of the station key '%s' must be UTF-8, as it is "
			"recorded",
			TEXT_Q(absolute));
	return rc;
}

static bool
has_secret(const ofs_audit *a, const struct ofs_audit_init_opts *o)
{
	return o->station_key != NULL || o->passphrase != NULL ||
		a->asked_station_key != NULL;
}

static const char *
mode_of(const ofs_audit *a, const struct ofs_audit_init_opts *o)
{
	if (o->plain)
		return NULL;
	if (o->sealed)
		return "sealed";
	if (has_secret(a, o) || a->ctx->opts.station_keys != NULL)
		return "station";
	return NULL;
}

static int
first_epoch(ofs_audit *a, const struct ofs_audit_init_opts *o,
	struct key_plan *plan, char **key_file, struct ofs_error *e)
{
	int rc = 0;

	plan->reason = "created";
	plan->tag = a->keys.mode == LOG_STATION;
	plan->batch = a->keys.mode == LOG_SEALED && has_secret(a, o);
	if (a->asked_station_key != NULL)
		rc = keys_plan_token(a, plan, a->asked_station_key, e);
	else if ((a->keys.mode == LOG_STATION && !o->no_station_key) ||
		o->station_key != NULL)
		rc = find_station_key(a, o, plan, key_file, e);
	if (o->passphrase != NULL) {
		memcpy(a->keys.s->passphrase, o->passphrase,
			strlen(o->passphrase) + 1);
		plan->passphrase = true;
	}
	return rc != 0 ? rc : keys_make(a, plan, e);
}

int
birth_records(ofs_audit *a, const struct ofs_audit_init_opts *o,
	char **key_file, struct ofs_error *e)
{
	struct key_plan plan = { .reason = NULL };
	const char *mode = mode_of(a, o);
	struct buf sums = BUF_INIT;
	int rc;

	*key_file = NULL;
	rc = keys_set_mode(&a->keys, mode, e);
	if (rc == 0)
		rc = auditors_parse(a, o->auditors, o->n_auditors,
			&plan.auditors, &sums, e);
	if (rc == 0)
		rc = auditors_keep(a, plan.auditors, e);
	if (rc == 0)
		rc = append_genesis(a, o->origin, mode, &sums, e);
	if (rc == 0 && mode != NULL)
		rc = first_epoch(a, o, &plan, key_file, e);
	plan.reason = NULL;
	keys_plan_free(&plan);
	buf_free(&sums);
	return rc;
}
