/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-verify: checks signatures of documents, with no token and no network. */
#include <string.h>
#include <sys/stat.h>

#include <offlinesig.h>

#include "common/args.h"
#include "common/exit.h"
#include "common/small.h"
#include "common/tool.h"
#include "common/plain.h"
#include "verify.h"

/* clang-format off */
static const char help[] =
"usage: ofs-verify [options] FILE...\n"
"\n"
"Checks each document against its signature: FILE.p7s or FILE.sig beside it;\n"
"a FILE that is itself a signature names its document. '-' is standard input.\n"
"\n"
"Whom to trust (nobody, unless you say so)\n"
"  --trust PEM      a CA's certificate, or the signer's own; may repeat\n"
"  --signer PEM     the certificate or public key that must have signed;\n"
"                   raw signatures need it\n"
"  --crl PEM        revocation lists; may repeat\n"
"  --time WHEN      judge certificates at: now (default), claimed, or a time\n"
"                   as 2026-01-31T12:00:00Z\n"
"What to check\n"
"  --sig PATH       the signature file, or the directory that\n"
"                   ofs-sign --out wrote\n"
"  --recursive      check what is in directories\n"
"Output\n"
"  --quiet          only what is not valid, and the summary\n"
"  --json           one JSON object a line\n"
"  --help, --version\n"
"\n"
"Exit status: 0 all valid; 1 one invalid or untrusted; 2 usage; 5 one\n"
"unreadable or missing.\n"
"\n"
"Example: ofs-verify --trust ca.pem --recursive outbox\n";
/* clang-format on */

struct options {
	struct strings trust, crl;
	const char *signer, *time, *sig;
	bool recursive;
};

typedef int (*add_fn)(ofs_verifier *v, const void *p, size_t n);

static int
add_file(struct out *o, ofs_verifier *v, const char *option, const char *path,
	add_fn add)
{
	struct bytes b;
	int rc;

	rc = small_read(o, path, SMALL_PEM_MAX, &b);
	if (rc != 0)
		return rc;
	rc = add(v, b.p, b.n);
	small_free(&b);
	if (rc != 0)
		return out_fail(o, rc, "cannot use --%s '%s': %s", option,
			NAME(path), ofs_verifier_error(v)->message);
	return 0;
}

static int
add_all(struct out *o, ofs_verifier *v, const struct options *opts)
{
	size_t i;
	int rc = 0;

	for (i = 0; i < opts->trust.n && rc == 0; i++)
		rc = add_file(
			o, v, "trust", opts->trust.p[i], ofs_verifier_trust);
	for (i = 0; i < opts->crl.n && rc == 0; i++)
		rc = add_file(o, v, "crl", opts->crl.p[i], ofs_verifier_crl);
	if (rc == 0 && opts->signer != NULL)
		rc = add_file(
			o, v, "signer", opts->signer, ofs_verifier_signer);
	return rc;
}

static int
parse_time(const struct args *a, struct out *o, const char *when,
	struct ofs_verifier_opts *to)
{
	if (when == NULL || strcmp(when, "now") == 0)
		return 0;
	if (strcmp(when, "claimed") == 0) {
		to->time = OFS_TIME_CLAIMED;
		return 0;
	}
	to->time = OFS_TIME_AT;
	if (plain_parse_time(when, &to->at))
		return 0;
	return args_usage(a, o,
		"'--time' is now, claimed, or a time as 2026-01-31T12:00:00Z, "
		"not '%s'",
		NAME(when));
}

static int
check_all(struct out *o, ofs_verifier *v, const struct args *a,
	const struct options *opts, const struct operands *ops)
{
	struct verify_report r = { .out = o, .trust_given = opts->trust.n > 0 };
	struct verify_walk w = { .verifier = v,
		.report = &r,
		.sig = opts->sig,
		.recursive = opts->recursive };
	struct stat st;
	int i, rc = 0, code;

	if (opts->sig != NULL && stat(opts->sig, &st) == 0)
		w.sig_is_dir = S_ISDIR(st.st_mode);
	if (opts->sig != NULL && !w.sig_is_dir &&
		(ops->n > 1 || opts->recursive))
		return args_usage(a, o,
			"one signature file belongs to one document; give "
			"'--sig' a directory");
	for (i = 0; i < ops->n && rc == 0; i++)
		rc = cmd_verify_walk_operand(&w, ops->p[i]);
	if (rc == 0 && r.files == 0)
		rc = out_fail(o, OFS_EFORMAT, "there is nothing to check in %s",
			ops->n == 1 ? "it" : "them");
	if (rc != 0)
		return rc;
	code = cmd_verify_report_end(&r);
	return code;
}

static int
run(struct out *o, int argc, char **argv)
{
	struct ofs_verifier_opts vo = OFS_VERIFIER_OPTS_INIT;
	struct tool_opts so = { 0 };
	struct options opts = { 0 };
	struct tool s = { 0 };
	ofs_verifier *v = NULL;
	bool json = false;
	const struct opt table[] = {
		{ "trust", .list = &opts.trust },
		{ "signer", .text = &opts.signer },
		{ "crl", .list = &opts.crl },
		{ "time", .text = &opts.time },
		{ "sig", .text = &opts.sig },
		{ "recursive", .flag = &opts.recursive },
		{ "quiet", .flag = &o->quiet },
		{ "json", .flag = &json },
		{ .name = NULL },
	};
	const struct args a = { "ofs-verify", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = parse_time(&a, o, opts.time, &vo);
	if (rc == 0 && ops.n == 0)
		rc = args_usage(&a, o, "no document to check");
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	rc = tool_open(&s, o, &so);
	if (rc == 0 && ofs_verifier_new(s.ctx, &vo, &v) != 0)
		rc = out_fail_with(o, ofs_ctx_error(s.ctx));
	if (rc == 0)
		rc = add_all(o, v, &opts);
	if (rc == 0)
		rc = check_all(o, v, &a, &opts, &ops);
	ofs_verifier_free(v);
	tool_close(&s);
	return rc;
}

int
main(int argc, char **argv)
{
	struct out o = OUT_INIT;

	if (!out_guard())
		return exit_status(OFS_EIO);
	tool_harden();
	return exit_status(out_end(&o, run(&o, argc, argv)));
}
