/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dry run found, for people and as JSON. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/plain.h"
#include "sign.h"

#define COLUMN 14
/* duplicates that people are shown; --json has them all */
#define DUPLICATES_SHOWN 10
#define TYPES_SHOWN 8
/* a certificate that ends so soon is worth a word */
#define DAYS_SOON 30

static void
size_text(char *to, size_t n, uint64_t bytes)
{
	if (bytes < 10240)
		snprintf(to, n, "%" PRIu64 " bytes", bytes);
	else if (bytes < 10240 * UINT64_C(1024))
		snprintf(to, n, "%" PRIu64 " KiB", bytes >> 10);
	else
		snprintf(to, n, "%" PRIu64 " MiB", bytes >> 20);
}

static void __attribute__((format(printf, 3, 4)))
line(FILE *f, const char *label, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	fprintf(f, "%-*s", COLUMN, label);
	plain_wrap(f, COLUMN, COLUMN, text != NULL ? text : "?");
	free(text);
}

static void
print_items(FILE *f, const struct ofs_plan *p)
{
	char text[160];
	int at;

	at = snprintf(
		text, sizeof(text), "%zu, %zu to sign", p->items, p->ready);
	if (p->skipped > 0)
		snprintf(text + at, sizeof(text) - (size_t)at,
			", %zu skipped: signed already", p->skipped);
	line(f, "items", "%s", text);
	if (p->failed == 0)
		return;
	line(f, "cannot sign",
		"%zu: %zu unreadable, %zu not as listed, %zu whose signature "
		"exists, %zu refused",
		p->failed, p->unreadable, p->mismatched, p->existing,
		p->refused);
}

static void
print_sizes(FILE *f, const struct ofs_plan *p)
{
	char all[32], largest[32], text[512];
	size_t i, at = 0, others = 0;

	size_text(all, sizeof(all), p->bytes);
	size_text(largest, sizeof(largest), p->largest);
	if (p->largest_path == NULL)
		return;
	line(f, "size", "%s; the largest %s: '%s'", all, largest,
		p->largest_path);
	text[0] = '\0';
	for (i = 0; i < p->n_types; i++) {
		const struct ofs_plan_type *t = &p->types[i];

		if (i >= TYPES_SHOWN || strcmp(t->extension, "*") == 0) {
			others += t->items;
			continue;
		}
		size_text(all, sizeof(all), t->bytes);
		at += (size_t)snprintf(text + at, sizeof(text) - at,
			"%s%zu %s (%s)", i > 0 ? ", " : "", t->items,
			t->extension[0] != '\0' ? t->extension
						: "without extension",
			all);
	}
	if (others > 0)
		snprintf(text + at, sizeof(text) - at, ", %zu others", others);
	line(f, "types", "%s", text);
}

static void
print_duplicates(FILE *f, const struct ofs_plan *p)
{
	size_t i;

	for (i = 0; i < p->n_duplicates && i < DUPLICATES_SHOWN; i++)
		line(f, i == 0 ? "duplicates" : "",
			"'%s' is the same document as '%s'",
			p->duplicates[i].path, p->duplicates[i].first_path);
	if (i < p->n_duplicates)
		line(f, "", "and %zu more; --json names all",
			p->n_duplicates - i);
}

static void
print_certificate(FILE *f, const struct ofs_plan *p)
{
	char from[PLAIN_TIME_SIZE], to[PLAIN_TIME_SIZE];

	if (!p->has_cert) {
		line(f, "certificate", "none; raw signatures need none");
		return;
	}
	line(f, "certificate", "%s", p->subject);
	line(f, "", "valid %.10s to %.10s, %s%ld days %s",
		plain_time(from, p->not_before), plain_time(to, p->not_after),
		p->days_left <= DAYS_SOON && p->days_left >= 0 ? "ONLY " : "",
		labs(p->days_left), p->days_left < 0 ? "OVER" : "left");
	line(f, "", "key usage: %s",
		p->key_usage[0] != '\0' ? p->key_usage : "not restricted");
}

static void
print_time(FILE *f, const struct ofs_plan *p)
{
	static const char *const sources[] = { "as --rate allows",
		"as the batch of record", "as the bench of record" };
	char source[64], left[32];

	if (p->seconds == 0 && p->ready > 0) {
		line(f, "time", "not known: 'ofs-token bench' measures it");
	} else {
		snprintf(source, sizeof(source), "%s", sources[p->rate_source]);
		if (p->rate_source != OFS_RATE_UNKNOWN)
			snprintf(source, sizeof(source), "%s %" PRIu64,
				sources[p->rate_source], p->rate_seq);
		progress_duration(
			left, sizeof(left), (int64_t)(p->seconds * 1e6));
		line(f, "time", "about %s, at %.*f signatures a second (%s)",
			left, p->per_second < 10 ? 1 : 0, p->per_second,
			source);
	}
	line(f, "signatures",
		"%zu, one for each document; an aggregate over the list takes "
		"1",
		p->ready);
}

void
cmd_sign_plan_print(FILE *f, const struct ofs_plan *p)
{
	char hex[65];

	fputc('\n', f);
	print_items(f, p);
	print_sizes(f, p);
	print_duplicates(f, p);
	print_certificate(f, p);
	print_time(f, p);
	plain_hex(hex, p->list_sha256, 32);
	line(f, "list", "%s", hex);
	fputc('\n', f);
}

static json_t *
types_json(const struct ofs_plan *p)
{
	json_t *all = json_array();
	size_t i;

	for (i = 0; all != NULL && i < p->n_types; i++)
		if (json_array_append_new(all,
			    json_pack("{s:s, s:I, s:I}", "extension",
				    p->types[i].extension, "items",
				    (json_int_t)p->types[i].items, "bytes",
				    (json_int_t)p->types[i].bytes)) != 0) {
			json_decref(all);
			return NULL;
		}
	return all;
}

static int
duplicates_json(struct sign_report *r, const struct ofs_plan *p)
{
	struct jline j;
	size_t i;
	int rc = 0;

	for (i = 0; i < p->n_duplicates && rc == 0; i++) {
		const struct ofs_plan_duplicate *d = &p->duplicates[i];

		jline_begin(&j, "duplicate");
		jline_number(&j, "index", (int64_t)d->index);
		jline_name(&j, "path", d->path, strlen(d->path));
		jline_number(&j, "first", (int64_t)d->first);
		jline_name(
			&j, "first_path", d->first_path, strlen(d->first_path));
		rc = cmd_sign_report_line(r, &j);
	}
	return rc;
}

static void
certificate_json(struct jline *j, const struct ofs_plan *p)
{
	struct jline c;

	if (!p->has_cert) {
		jline_null(j, "certificate");
		return;
	}
	jline_begin(&c, "certificate");
	jline_text(&c, "subject", p->subject);
	jline_time(&c, "not_before", p->not_before);
	jline_time(&c, "not_after", p->not_after);
	jline_number(&c, "days_left", p->days_left);
	jline_text(&c, "key_usage", p->key_usage);
	j->bad = j->bad || c.bad;
	jline_json(j, "certificate", c.o);
}

static void
time_json(struct jline *j, const struct ofs_plan *p)
{
	static const char *const sources[] = { NULL, "batch", "bench" };

	jline_text(j, "rate_source", sources[p->rate_source]);
	if (p->rate_source != OFS_RATE_UNKNOWN)
		jline_number(j, "rate_record", (int64_t)p->rate_seq);
	if (p->per_second > 0) {
		jline_json(j, "per_second", json_real(p->per_second));
		jline_json(j, "seconds", json_real(p->seconds));
	} else {
		jline_null(j, "per_second");
		jline_null(j, "seconds");
	}
}

int
cmd_sign_plan_json(struct sign_report *r, const struct ofs_plan *p)
{
	struct jline j;
	int rc;

	rc = duplicates_json(r, p);
	if (rc != 0)
		return rc;
	jline_begin(&j, "plan");
	jline_number(&j, "items", (int64_t)p->items);
	jline_number(&j, "ready", (int64_t)p->ready);
	jline_number(&j, "skipped", (int64_t)p->skipped);
	jline_number(&j, "failed", (int64_t)p->failed);
	jline_number(&j, "unreadable", (int64_t)p->unreadable);
	jline_number(&j, "mismatched", (int64_t)p->mismatched);
	jline_number(&j, "existing", (int64_t)p->existing);
	jline_number(&j, "refused", (int64_t)p->refused);
	jline_number(&j, "bytes", (int64_t)p->bytes);
	jline_number(&j, "largest", (int64_t)p->largest);
	if (p->largest_path != NULL)
		jline_name(&j, "largest_path", p->largest_path,
			strlen(p->largest_path));
	jline_json(&j, "types", types_json(p));
	jline_number(&j, "duplicates", (int64_t)p->n_duplicates);
	certificate_json(&j, p);
	time_json(&j, p);
	jline_number(&j, "aggregate_signatures", 1);
	jline_hex(&j, "list_sha256", p->list_sha256, 32);
	return cmd_sign_report_line(r, &j);
}
