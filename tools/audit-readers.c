/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Says who can read a log, and what must be kept for that. */
#include <stdlib.h>
#include <string.h>

#include "audit.h"
#include "common/plain.h"
#include "common/small.h"

struct shown {
	struct out *o;
	size_t auditors;
};

static int
show_auditor(void *arg, const char *sha256, const char *subject)
{
	struct shown *shown = arg;
	struct out *o = shown->o;
	struct jline j;

	shown->auditors++;
	if (o->json) {
		jline_begin(&j, "auditor");
		jline_text(&j, "subject", subject);
		jline_text(&j, "sha256", sha256);
		return jline_end(&j, o);
	}
	fprintf(out_human(o), "  auditor     %s\n              %.16s...\n",
		subject, sha256);
	return 0;
}

static void
print(FILE *f, const struct ofs_audit_keys *k)
{
	const char *part =
		k->mode == OFS_AUDIT_SEALED ? ", what is unfinished" : "";

	if (k->mode == OFS_AUDIT_PLAIN) {
		fputs("its records are not encrypted: whoever reads its "
		      "directory reads them\n",
			f);
		return;
	}
	fputs("its records are encrypted; who can read them:\n", f);
	if (k->station_key[0] != '\0') {
		fputs("  station     ", f);
		plain_put(f, k->station_key, strlen(k->station_key));
		fputs(part, f);
		fputc('\n', f);
	}
	if (k->passphrase)
		fprintf(f, "  passphrase  whoever knows it%s\n", part);
}

static void
print_advice(FILE *f, const struct ofs_audit_keys *k)
{
	if (k->mode == OFS_AUDIT_SEALED &&
		(k->station_key[0] != '\0' || k->passphrase))
		plain_wrap(f, 0, 0,
			"the station reads the lists that are not finished, to "
			"go on with them, and nothing else. Without that it "
			"signs no files: a list could be signed twice.");
	else if (tool_is_on_token(k->station_key))
		plain_wrap(f, 0, 0,
			"whoever has that token and its PIN reads everything, "
			"and whoever has the disk alone reads nothing. When "
			"the token is lost only the others named here can read "
			"the log, and nothing can be signed here before one of "
			"them has named another key with 'ofs-audit rotate'.");
	else if (k->station_key[0] != '\0')
		plain_wrap(f, 0, 0,
			"back that file up, away from the log: without it "
			"nothing can be signed here any more, and only the "
			"others named here can read the log. Whoever has both "
			"reads everything.");
	else if (k->mode == OFS_AUDIT_SEALED)
		plain_wrap(f, 0, 0,
			"nothing on this station can read it. Unfinished lists "
			"cannot be gone on with, and what a crash leaves only "
			"an auditor can finish.");
}

int
cmd_audit_readers(struct tool *s)
{
	static const char *const modes[] = { "plain", "station", "sealed" };
	struct shown shown = { s->out, 0 };
	struct ofs_audit_keys k;
	struct jline j;
	int rc;

	if (ofs_audit_get_keys(s->audit, &k) != 0)
		return cmd_audit_fail(s);
	if (s->out->json) {
		jline_begin(&j, "keys");
		jline_text(&j, "log_id", k.id);
		jline_text(&j, "mode", modes[k.mode]);
		jline_number(&j, "epochs", k.epochs);
		if (k.station_key[0] != '\0')
			jline_name(&j, "station_key", k.station_key,
				strlen(k.station_key));
		jline_bool(&j, "passphrase", k.passphrase);
		rc = jline_end(&j, s->out);
		if (rc != 0)
			return rc;
	} else {
		print(out_human(s->out), &k);
	}
	rc = ofs_audit_each_auditor(s->audit, show_auditor, &shown);
	if (rc != 0)
		return cmd_audit_fail(s);
	if (!s->out->json)
		print_advice(out_human(s->out), &k);
	/* a key in a file can be backed up, this one cannot */
	if (tool_is_on_token(k.station_key) && !k.passphrase &&
		shown.auditors == 0)
		out_warn(s->out,
			"when that token is lost or locked the log is lost, "
			"with all that was signed: name an auditor as well, "
			"with 'ofs-audit rotate --auditor CERT', or a "
			"passphrase");
	return 0;
}

int
cmd_audit_certs(struct out *o, const struct strings *files,
	struct ofs_audit_cert certs[STRINGS_MAX])
{
	struct bytes b;
	int rc = 0;

	memset(certs, 0, STRINGS_MAX * sizeof(*certs));
	for (size_t i = 0; rc == 0 && i < files->n; i++) {
		rc = small_read(o, files->p[i], SMALL_PEM_MAX, &b);
		if (rc == 0)
			certs[i] = (struct ofs_audit_cert){ b.p, b.n };
	}
	return rc;
}

void
cmd_audit_certs_free(struct ofs_audit_cert certs[STRINGS_MAX])
{
	struct bytes b;

	for (size_t i = 0; i < STRINGS_MAX; i++) {
		b = (struct bytes){ (uint8_t *)(uintptr_t)certs[i].p,
			certs[i].n };
		small_free(&b);
	}
}
