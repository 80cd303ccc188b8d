/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verdicts as lines and as JSON, and their summary. */
#include <string.h>

#include "common/exit.h"
#include "common/plain.h"
#include "verify.h"

#define WORD_COLUMNS 12

static const char *
word(int code)
{
	switch (code) {
	case OFS_OK:
		return "valid";
	case OFS_ESIGNATURE:
		return "invalid";
	case OFS_EUNTRUSTED:
		return "untrusted";
	case OFS_EUNREADABLE:
		return "unreadable";
	default:
		return "unchecked";
	}
}

static void
count(struct verify_report *r, const struct ofs_verdict *v)
{
	r->files++;
	switch (v->code) {
	case OFS_OK:
		r->valid++;
		break;
	case OFS_ESIGNATURE:
		r->invalid++;
		return;
	case OFS_EUNTRUSTED:
		r->untrusted++;
		return;
	case OFS_EUNREADABLE:
		r->unreadable++;
		break;
	default:
		r->unchecked++;
		break;
	}
	if (v->code != 0) {
		if (r->other == 0)
			r->other = v->code;
		return;
	}
	r->no_revocation |= v->revocation_not_checked;
	r->no_time |= v->time_unproven;
	if (r->valid == 1)
		memcpy(r->signer, v->signer, sizeof(r->signer));
	else if (strcmp(r->signer, v->signer) != 0)
		r->several_signers = true;
}

static bool
nonzero(const uint8_t *p, size_t n)
{
	while (n > 0)
		if (p[--n] != 0)
			return true;
	return false;
}

static void
optional_text(struct jline *j, const char *key, const char *s)
{
	if (s[0] != '\0')
		jline_text(j, key, s);
}

static int
print_json(
	struct verify_report *r, const char *path, const struct ofs_verdict *v)
{
	json_t *notes = json_array();
	struct jline j;

	jline_begin(&j, "verdict");
	jline_name(&j, "path", path, strlen(path));
	jline_text(&j, "verdict", word(v->code));
	jline_text(&j, "code", ofs_err_name(v->code));
	jline_text(&j, "reason", v->reason);
	if (v->document[0] != '\0')
		jline_name(&j, "document", v->document, strlen(v->document));
	if (v->signature[0] != '\0')
		jline_name(&j, "signature", v->signature, strlen(v->signature));
	optional_text(&j, "format", v->format);
	optional_text(&j, "algorithm", v->algorithm);
	optional_text(&j, "signer", v->signer);
	optional_text(&j, "issuer", v->issuer);
	optional_text(&j, "serial", v->serial);
	if (nonzero(v->cert_sha256, 32))
		jline_hex(&j, "cert_sha256", v->cert_sha256, 32);
	if (v->signing_time != 0)
		jline_time(&j, "signing_time", v->signing_time);
	if (nonzero(v->document_sha256, 32))
		jline_hex(&j, "sha256", v->document_sha256, 32);
	if (notes == NULL)
		j.bad = true;
	if (v->revocation_not_checked && v->cert_sha256[0] + v->signer[0] != 0)
		json_array_append_new(
			notes, json_string("revocation-not-checked"));
	if (v->time_unproven)
		json_array_append_new(notes, json_string("time-unproven"));
	jline_json(&j, "notes", notes);
	return jline_end(&j, r->out);
}

int
cmd_verify_report_add(
	struct verify_report *r, const char *path, const struct ofs_verdict *v)
{
	FILE *f;

	count(r, v);
	r->last = *v;
	if (r->out->json)
		return r->out->quiet && v->code == 0 ? 0
						     : print_json(r, path, v);
	if (r->out->quiet && v->code == 0)
		return 0;
	f = out_human(r->out);
	fprintf(f, "%-*s", WORD_COLUMNS, word(v->code));
	plain_put(f, path, strlen(path));
	fputc('\n', f);
	if (v->code != 0)
		plain_wrap(f, 0, WORD_COLUMNS, v->reason);
	return 0;
}

/* one file alone is worth a closer look */
static void
print_details(FILE *f, const struct ofs_verdict *v)
{
	char t[PLAIN_TIME_SIZE];

	if (v->signer[0] != '\0') {
		fputs("  signer    ", f);
		plain_wrap(f, 12, 12, v->signer);
		fputs("  issuer    ", f);
		plain_wrap(f, 12, 12, v->issuer);
		fprintf(f, "  serial    %s\n", v->serial);
	}
	fprintf(f, "  format    %s, %s\n", v->format, v->algorithm);
	if (v->signing_time != 0)
		fprintf(f, "  signed    %s, as the signer claims\n",
			plain_time(t, v->signing_time));
	if (v->signature[0] != '\0') {
		fputs("  checked   ", f);
		plain_put(f, v->signature, strlen(v->signature));
		fputc('\n', f);
	}
}

static void
print_count(FILE *f, const char **sep, size_t n, const char *what)
{
	if (n == 0)
		return;
	fprintf(f, "%s%zu %s", *sep, n, what);
	*sep = ", ";
}

static void
print_notes(FILE *f, const struct verify_report *r)
{
	if (r->no_revocation)
		plain_wrap(f, 0, 0,
			"note: revocation was not checked; pass --crl with the "
			"issuers' lists to check it");
	if (r->no_time)
		plain_wrap(f, 0, 0,
			"note: certificates were judged at the time that the "
			"signer claims; that time is unproven");
	else if (r->valid > 0)
		plain_wrap(f, 0, 0,
			"note: nothing here proves when a document was signed");
	if (r->untrusted > 0 && !r->trust_given)
		plain_wrap(f, 0, 0,
			"hint: nobody is trusted by default; pass --trust "
			"CERT.pem, the signer's certificate or its CA's, got "
			"from somebody you trust");
}

static void
print_summary(struct verify_report *r)
{
	FILE *f = out_human(r->out);
	const char *sep = ": ";

	if (r->files == 1 && r->valid == 1 && !r->out->quiet)
		print_details(f, &r->last);
	fprintf(f, "%s%zu file%s checked",
		r->files > 1 && !r->out->quiet ? "\n" : "", r->files,
		r->files == 1 ? "" : "s");
	print_count(f, &sep, r->valid, "valid");
	print_count(f, &sep, r->invalid, "INVALID");
	print_count(f, &sep, r->untrusted, "untrusted");
	print_count(f, &sep, r->unreadable, "unreadable");
	print_count(f, &sep, r->unchecked, "unchecked");
	fputc('\n', f);
	if (r->valid > 1 && r->several_signers)
		fputs("signed by more than one signer; --json names them\n", f);
	else if (r->valid > 1 && r->signer[0] != '\0') {
		fputs("valid ones signed by ", f);
		plain_wrap(f, 21, 21, r->signer);
	}
	print_notes(f, r);
}

static int
summary_json(struct verify_report *r, int code)
{
	json_t *notes = json_array();
	struct jline j;

	jline_begin(&j, "summary");
	jline_number(&j, "files", (int64_t)r->files);
	jline_number(&j, "valid", (int64_t)r->valid);
	jline_number(&j, "invalid", (int64_t)r->invalid);
	jline_number(&j, "untrusted", (int64_t)r->untrusted);
	jline_number(&j, "unreadable", (int64_t)r->unreadable);
	jline_number(&j, "unchecked", (int64_t)r->unchecked);
	if (notes == NULL)
		j.bad = true;
	if (r->no_revocation)
		json_array_append_new(
			notes, json_string("revocation-not-checked"));
	if (r->no_time)
		json_array_append_new(notes, json_string("time-unproven"));
	jline_json(&j, "notes", notes);
	jline_number(&j, "exit", exit_status(code));
	return jline_end(&j, r->out);
}

int
cmd_verify_report_end(struct verify_report *r)
{
	int code = r->other, rc;

	if (r->untrusted > 0)
		code = OFS_EUNTRUSTED;
	if (r->invalid > 0)
		code = OFS_ESIGNATURE;
	if (r->out->json) {
		rc = summary_json(r, code);
		return code != 0 ? code : rc;
	}
	print_summary(r);
	return code;
}
