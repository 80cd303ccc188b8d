/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of the log as text and as JSON. */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"

/* ofs-audit-format(5), outcome.status and intent.purpose */
const char *
cmd_audit_status_name(int64_t status)
{
	static const char *const names[] = { NULL, "signed", "failed",
		"not-attempted" };

	return status >= 1 && status <= 3 ? names[status] : NULL;
}

const char *
cmd_audit_purpose_name(int64_t purpose)
{
	static const char *const names[] = { NULL, "document", "proof",
		"certificate", "csr", "bench", "checkpoint" };

	return purpose >= 1 && purpose <= 6 ? names[purpose] : NULL;
}

static int64_t
number(const ofs_record *rec, const char *name)
{
	struct ofs_field f;

	return ofs_record_find(rec, name, &f) ? f.number : 0;
}

/* " what", or nothing where the field is absent */
static void
put(FILE *f, const ofs_record *rec, const char *name)
{
	struct ofs_field field;

	if (!ofs_record_find(rec, name, &field))
		return;
	fputc(' ', f);
	cmd_audit_field_print(f, &field);
}

static void
opened_text(FILE *f, const ofs_record *rec)
{
	struct ofs_field list;

	if (ofs_record_find(rec, "list_sha256", &list))
		fprintf(f, "%" PRId64 " items,", number(rec, "items"));
	else
		fputs("open-ended,", f);
	put(f, rec, "format");
	put(f, rec, "mechanism");
	fputs(", key", f);
	put(f, rec, "party.key.label");
	fputs(", by", f);
	put(f, rec, "party.operator.name");
}

static void
closed_text(FILE *f, const ofs_record *rec)
{
	static const char *const counts[] = { "failed", "skipped",
		"not_attempted", "unknown" };
	struct ofs_field reason;
	size_t i;

	fprintf(f, "%" PRId64 " signed", number(rec, "signed"));
	for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		if (number(rec, counts[i]) > 0)
			fprintf(f, ", %" PRId64 " %s", number(rec, counts[i]),
				counts[i]);
	if (ofs_record_find(rec, "reason", &reason)) {
		fputs(": ", f);
		cmd_audit_field_print(f, &reason);
	}
}

static void
intent_text(FILE *f, const ofs_record *rec)
{
	const char *purpose = cmd_audit_purpose_name(number(rec, "purpose"));
	struct ofs_field field;
	char name[64];
	size_t n = 0;

	do {
		snprintf(name, sizeof(name), "items.%zu.path", n);
	} while (ofs_record_find(rec, name, &field) && ++n < 100000);
	fprintf(f, "%s, %zu item%s:", purpose != NULL ? purpose : "?", n,
		n == 1 ? "" : "s");
	put(f, rec, "items.0.path");
	if (n > 1)
		fputs(" ...", f);
}

static void
outcome_text(FILE *f, const ofs_record *rec)
{
	const char *status = cmd_audit_status_name(number(rec, "status"));
	struct ofs_field field;

	fputs(status != NULL ? status : "?", f);
	put(f, rec, "document.path");
	if (ofs_record_find(rec, "document.input", &field))
		fputs(" (its digest)", f);
	if (number(rec, "status") != 1) {
		fputc(':', f);
		put(f, rec, "reason");
	}
}

static void
login_text(FILE *f, const ofs_record *rec)
{
	fputs(number(rec, "ok") != 0 ? "ok," : "FAILED,", f);
	put(f, rec, "user");
	fputs(" of token", f);
	put(f, rec, "token.label");
	fputs(", by", f);
	put(f, rec, "operator.name");
	put(f, rec, "reason");
}

void
cmd_audit_record_text(FILE *f, const ofs_record *rec)
{
	struct ofs_record_head h = { .size = sizeof(h) };

	ofs_record_get_head(rec, &h);
	if (h.sealed) {
		fputs("sealed: no key here", f);
		return;
	}
	if (h.erased) {
		fputs("(erased)", f);
		return;
	}
	switch (h.type) {
	case OFS_REC_GENESIS:
		fputs("log", f);
		put(f, rec, "origin");
		break;
	case OFS_REC_BATCH_OPENED:
		opened_text(f, rec);
		break;
	case OFS_REC_BATCH_CLOSED:
		closed_text(f, rec);
		break;
	case OFS_REC_INTENT:
		intent_text(f, rec);
		break;
	case OFS_REC_OUTCOME:
		outcome_text(f, rec);
		break;
	case OFS_REC_RECOVERY:
		fprintf(f, "%" PRId64 " unknown, of record %" PRId64,
			number(rec, "unknown"), number(rec, "intent_seq"));
		break;
	case OFS_REC_LOGIN:
		login_text(f, rec);
		break;
	case OFS_REC_KEY_LENT:
		fputs("key", f);
		put(f, rec, "party.key.label");
		put(f, rec, "purpose");
		break;
	case OFS_REC_KEY_EVENT:
		fputs("key", f);
		put(f, rec, "party.key.label");
		put(f, rec, "party.key.type");
		fputc(':', f);
		put(f, rec, "event");
		break;
	case OFS_REC_TOKEN_EVENT:
		fputs("token", f);
		put(f, rec, "token.label");
		fputc(':', f);
		put(f, rec, "event");
		break;
	case OFS_REC_RELEASE:
		fputs("output", f);
		put(f, rec, "path");
		fputc(':', f);
		put(f, rec, "result");
		break;
	case OFS_REC_EPOCH:
		fprintf(f, "epoch %" PRId64, number(rec, "epoch"));
		put(f, rec, "reason");
		break;
	case OFS_REC_ANCHOR:
		fprintf(f,
			"head of %" PRId64 " records:", number(rec, "records"));
		put(f, rec, "kind");
		put(f, rec, "place");
		break;
	case OFS_REC_LOG_EVENT:
		fputs("log:", f);
		put(f, rec, "event");
		put(f, rec, "path");
		put(f, rec, "reason");
		break;
	}
}

void
cmd_audit_field_print(FILE *f, const struct ofs_field *field)
{
	char t[PLAIN_TIME_SIZE], hex[3];
	size_t i;

	switch (field->kind) {
	case OFS_FIELD_INT:
		fprintf(f, "%" PRId64, field->number);
		break;
	case OFS_FIELD_TIME:
		fputs(plain_time(t, field->number), f);
		break;
	case OFS_FIELD_TEXT:
	case OFS_FIELD_NAME:
		plain_put(f, (const char *)field->bytes, field->len);
		break;
	case OFS_FIELD_BYTES:
		for (i = 0; i < field->len; i++) {
			plain_hex(hex, field->bytes + i, 1);
			fputs(hex, f);
		}
		break;
	}
}

static json_t *
field_value(const struct ofs_field *f)
{
	struct jline one = { json_object(), false };
	json_t *v;

	switch (f->kind) {
	case OFS_FIELD_INT:
		jline_number(&one, "v", f->number);
		break;
	case OFS_FIELD_TIME:
		jline_time(&one, "v", f->number);
		break;
	case OFS_FIELD_TEXT:
	case OFS_FIELD_NAME:
		jline_name(&one, "v", (const char *)f->bytes, f->len);
		break;
	case OFS_FIELD_BYTES:
		jline_hex(&one, "v", f->bytes, f->len);
		break;
	}
	v = json_incref(json_object_get(one.o, "v"));
	json_decref(one.o);
	return v;
}

/* what `name` is in the array or object `in`; borrowed, or NULL */
static json_t *
member(json_t *in, const char *name)
{
	if (json_is_array(in))
		return json_array_get(in, (size_t)strtoul(name, NULL, 10));
	return json_object_get(in, name);
}

/* takes v; elements come in order */
static int
put_member(json_t *in, const char *name, json_t *v)
{
	return json_is_array(in) ? json_array_append_new(in, v)
				 : json_object_set_new(in, name, v);
}

/* "items.0.path": an object of items, an array, an object of a path */
static int
put_nested(json_t *in, const char *dotted, json_t *v)
{
	char name[64];
	json_t *next;
	size_t n;

	for (;; dotted += n + 1) {
		n = strcspn(dotted, ".");
		if (n >= sizeof(name)) {
			json_decref(v);
			return -1;
		}
		memcpy(name, dotted, n);
		name[n] = '\0';
		if (dotted[n] == '\0')
			return put_member(in, name, v);
		next = member(in, name);
		if (next == NULL) {
			next = isdigit((unsigned char)dotted[n + 1])
				? json_array()
				: json_object();
			if (put_member(in, name, next) != 0) {
				json_decref(v);
				return -1;
			}
		}
		in = next;
	}
}

static int
add_field(void *arg, const struct ofs_field *f)
{
	struct jline *j = arg;
	struct ofs_field raw = *f;
	char hex_name[128];

	if (put_nested(j->o, f->name, field_value(f)) != 0)
		j->bad = true;
	if (f->kind != OFS_FIELD_NAME ||
		plain_utf8((const char *)f->bytes, f->len))
		return 0;
	/* stray bytes: the name as it is, besides */
	raw.kind = OFS_FIELD_BYTES;
	snprintf(hex_name, sizeof(hex_name), "%s_hex", f->name);
	if (put_nested(j->o, hex_name, field_value(&raw)) != 0)
		j->bad = true;
	return 0;
}

void
cmd_audit_record_json(struct jline *j, const ofs_record *rec)
{
	static const uint8_t none[16];
	struct ofs_record_head h = { .size = sizeof(h) };
	struct jline body = { json_object(), false };

	ofs_record_get_head(rec, &h);
	jline_number(j, "seq", (int64_t)h.seq);
	jline_text(j, "type_name", h.type_name);
	jline_time(j, "time", h.time);
	jline_number(j, "time_us", h.time);
	jline_number(j, "boottime_us", h.boottime);
	jline_hex(j, "boot_id", h.boot_id, 16);
	if (memcmp(h.batch_id, none, 16) == 0)
		jline_null(j, "batch");
	else
		jline_hex(j, "batch", h.batch_id, 16);
	jline_number(j, "epoch", h.epoch);
	jline_number(j, "cipher", h.cipher);
	jline_bool(j, "sealed", h.sealed);
	jline_number(j, "body_len", h.body_len);
	jline_hex(j, "header_sha256", h.header_sha256, 32);
	if (h.erased)
		jline_bool(j, "erased", true);
	body.bad = body.o == NULL;
	(void)ofs_record_each(rec, add_field, &body);
	j->bad |= body.bad;
	jline_json(j, "body", body.o);
}
