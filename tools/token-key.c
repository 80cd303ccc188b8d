/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A key of a token, as verbs of ofs-token show it. */
#include <inttypes.h>
#include <string.h>

#include "common/plain.h"
#include "token.h"

static const struct {
	const char *name;
	size_t at;
} flags[] = {
	{ "sensitive", offsetof(struct ofs_key_info, sensitive) },
	{ "extractable", offsetof(struct ofs_key_info, extractable) },
	{ "always_sensitive", offsetof(struct ofs_key_info, always_sensitive) },
	{ "never_extractable",
		offsetof(struct ofs_key_info, never_extractable) },
	{ "local", offsetof(struct ofs_key_info, local) },
	{ "always_authenticate",
		offsetof(struct ofs_key_info, always_authenticate) },
	{ "sign", offsetof(struct ofs_key_info, sign) },
	{ "decrypt", offsetof(struct ofs_key_info, decrypt) },
};

/* by enum ofs_always_auth */
const char *const cmd_token_policies[] = { "refuse", "hold", "ask", NULL };

#define N_FLAGS (sizeof(flags) / sizeof(flags[0]))

/* 1, 0, or -1 where the token did not say */
static int
flag(const struct ofs_key_info *k, size_t i)
{
	return *((const signed char *)k + flags[i].at);
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
cert_json(struct jline *out, const struct ofs_key_info *k)
{
	struct jline j = { json_object(), false };

	j.bad = j.o == NULL;
	jline_text(&j, "subject", k->cert_subject);
	jline_text(&j, "issuer", k->cert_issuer);
	jline_text(&j, "serial", k->cert_serial);
	jline_time(&j, "not_before", k->cert_not_before);
	jline_time(&j, "not_after", k->cert_not_after);
	jline_hex(&j, "sha256", k->cert_sha256, 32);
	out->bad |= j.bad;
	jline_json(out, "certificate", j.o);
}

void
cmd_token_key_json(struct jline *j, const struct ofs_key_info *k)
{
	size_t i;

	jline_hex(j, "id", k->id, k->id_len);
	jline_text(j, "label", k->label);
	jline_text(j, "key_type", k->type_name);
	jline_number(j, "bits", k->bits);
	jline_text(j, "uri", k->uri);
	jline_bool(j, "private_key", k->has_private);
	jline_bool(j, "public_key", k->has_public);
	if (nonzero(k->spki_sha256, 32))
		jline_hex(j, "spki_sha256", k->spki_sha256, 32);
	if (k->has_cert)
		cert_json(j, k);
	else
		jline_null(j, "certificate");
	for (i = 0; i < N_FLAGS; i++) {
		if (!k->has_private || flag(k, i) < 0)
			jline_null(j, flags[i].name);
		else
			jline_bool(j, flags[i].name, flag(k, i) != 0);
	}
}

static void
print_protection(FILE *f, const struct ofs_key_info *k)
{
	char line[200];

	snprintf(line, sizeof(line), "%s%s%s%s",
		k->extractable == 0 && k->sensitive == 1
			? "cannot leave the token"
			: k->extractable == 1
			? "EXTRACTABLE: it can leave the token"
			: "unknown: the token does not say",
		k->local == 1 && k->never_extractable == 1 ? ", made on it"
			: k->local == 0 ? ", brought to it from outside"
					: "",
		k->sign == 0 ? ", NOT FOR SIGNING" : "",
		k->always_authenticate == 1 ? ", PIN for each signature" : "");
	cmd_token_row(f, "private key", line);
}

void
cmd_token_key_print(FILE *f, const struct ofs_key_info *k)
{
	char hex[2 * sizeof(k->id) + 1], line[400], t[PLAIN_TIME_SIZE];

	plain_hex(hex, k->id, k->id_len);
	cmd_token_row(f, "label", k->label);
	cmd_token_row(f, "id", hex);
	cmd_token_row(f, "type", k->type_name);
	if (k->has_private)
		print_protection(f, k);
	else
		cmd_token_row(f, "private key", "not seen without a login");
	if (k->has_cert) {
		cmd_token_row(f, "certificate", k->cert_subject);
		snprintf(line, sizeof(line), "until %s",
			plain_time(t, k->cert_not_after));
		cmd_token_row(f, "", line);
	} else {
		cmd_token_row(f, "certificate", "none");
	}
	cmd_token_row(f, "URI", k->uri);
}

static void
attestation_json(struct jline *out, const struct ofs_attestation *a)
{
	struct jline j = { NULL, false };

	if (!a->found) {
		jline_null(out, "attestation");
		return;
	}
	j.o = json_object();
	j.bad = j.o == NULL;
	jline_text(&j, "subject", a->subject);
	jline_text(&j, "issuer", a->issuer);
	jline_hex(&j, "sha256", a->sha256, 32);
	if (nonzero(a->issuer_sha256, 32))
		jline_hex(&j, "issuer_sha256", a->issuer_sha256, 32);
	else
		jline_null(&j, "issuer_sha256");
	out->bad |= j.bad;
	jline_json(out, "attestation", j.o);
}

void
cmd_token_next_log(FILE *f, const char *uri)
{
	fputs("next, let it open the audit log instead of the key in a file:\n"
	      "  ofs-audit rotate --station-key ",
		f);
	plain_put_shell(f, uri);
	fputc('\n', f);
}

const char *const cmd_token_uses[] = { "document", "digest", "log", NULL };

int
cmd_token_key_recorded(struct out *o, const char *type,
	const struct ofs_enrolled *e, const char *pem_path)
{
	struct jline j;
	FILE *f;

	if (o->json) {
		jline_begin(&j, type);
		cmd_token_key_json(&j, &e->key);
		attestation_json(&j, &e->attestation);
		jline_number(&j, "seq", (int64_t)e->seq);
		if (pem_path != NULL)
			jline_name(&j, "pem", pem_path, strlen(pem_path));
		return jline_end(&j, o);
	}
	f = out_human(o);
	cmd_token_key_print(f, &e->key);
	if (e->attestation.found) {
		cmd_token_row(f, "attestation", e->attestation.subject);
		cmd_token_row(f, "  issued by", e->attestation.issuer);
	}
	fprintf(f, "  %-12saudit record %" PRIu64 "\n", "recorded", e->seq);
	return 0;
}
