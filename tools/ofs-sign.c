/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-sign: signs piles of documents with a key on a token, on the record. */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include <offlinesig.h>

#include "common/exit.h"
#include "common/small.h"
#include "common/plain.h"
#include "sign.h"

/* clang-format off */
static const char help[] =
"usage: ofs-sign --key URI [options] FILE...\n"
"\n"
"Signs each FILE with one key and one PIN; every signature is recorded in the\n"
"audit log before it is handed out. '-' signs standard input to output.\n"
"\n"
"Key and log\n"
"  --key URI           pkcs11: URI of the key, as 'ofs-token keys' prints it;\n"
"                      may repeat for other tokens that hold the same key\n"
"  --cert PEM          signer's certificate, then intermediates; default: the\n"
"                      token's certificate with the key's id\n"
"  --module PATH       PKCS#11 module (OFS_MODULE); may repeat\n"
"  --audit DIR         the audit log (OFS_AUDIT)\n"
"  --pin-source SRC    prompt, env:NAME, file:PATH, fd:N, cmd:PROGRAM, pinpad\n"
"                      (OFS_PIN_SOURCE)\n"
"  --audit-passphrase-source SRC  of a log that has one: as --pin-source\n"
"  --last-try          log in even when one more wrong PIN locks the token\n"
"  --always-auth P     for a key that wants the PIN for every signature: hold\n"
"                      the PIN for this batch, ask each time, or refuse\n"
"                      (default)\n"
"  --token-timeout S   wait S seconds for a token that is pulled out (default\n"
"                      60), and, when given, for one that is not there yet\n"
"What to make\n"
"  --format F          cms (FILE.p7s, default), cms-attached (FILE.p7m), raw\n"
"                      (FILE.sig)\n"
"  --digest D          sha256, sha384 or sha512\n"
"  --padding P         pkcs1 (default) or pss, of an RSA key\n"
"  --low-s             secp256k1: s never above half the order\n"
"  --out DIR           write below DIR and not beside the documents\n"
"  --force             replace signatures that exist, or\n"
"  --skip-existing     pass over documents that have one\n"
"  --allow-expired     sign with a certificate out of its validity\n"
"What to sign\n"
"  --recursive         what is in directories\n"
"  --sums FILE         what a SHA256SUMS file lists, if it matches\n"
"  --digests FILE      such a list of documents that are not here: its digests\n"
"  --manifest FILE     what a JSON Lines manifest lists; '-' is standard input\n"
"  --files-from FILE   what a list of names has; --null: NULs end them\n"
"  --root DIR          what these two list is below DIR, and nowhere else\n"
"  --max-items N, --max-bytes N: sign nothing if there is more\n"
"How\n"
"  --resume ID         go on with this batch; the same command does by itself\n"
"  --resign-unknown    sign again where nobody knows whether the token did\n"
"  --on-duplicate D    signed by this key before: skip (default), sign, refuse\n"
"  --list-unfinished, --status ID, --abandon ID, --discard-pending SEQ: lists\n"
"  --jobs N, --rate N  token sessions at once; at most N signatures a minute\n"
"  --stop-on-error     no further document once one has failed\n"
"Before and after\n"
"  --dry-run           check everything, show the plan, sign nothing\n"
"  --confirm           show the plan and ask on the terminal, before the PIN\n"
"  --confirmed HEX     sign only the list whose digest begins with these digits\n"
"  --validate CMD, --validate-timeout S: ask CMD about each document, 60 s\n"
"  --copy-to DIR       a second copy of each signature, read back\n"
"  --anchor            put the newest head of the log on the key's token, too\n"
"  --report FILE       keep the result of the run, as --json prints it\n"
"  --quiet             only what failed, and the count; --json, --help, --version\n"
"\n"
"Exit status: 0 all signed; 1 some failed; 2 usage; 3 token; 4 PIN; 5 list,\n"
"certificate or output place; 6 audit log; 7 interrupted.\n"
"\n"
"Example: ofs-sign --key 'pkcs11:token=payroll;object=batch' --out signed *.xml\n";
/* clang-format on */

static int
add_operand(struct sign_report *r, ofs_batch *b, const char *path)
{
	bool recursive = r->opts->recursive;
	struct stat st;
	int rc;

	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (!recursive) {
			cmd_sign_report_refused(r, path, OFS_EIO,
				"it is a directory; use --recursive to sign "
				"what is in it");
			return 0;
		}
		rc = ofs_batch_add_tree(b, path);
	} else {
		rc = ofs_batch_add_file(b, path, NULL);
	}
	if (rc == 0 || rc == OFS_ENOMEM)
		return rc;
	cmd_sign_report_refused(r, path, rc, ofs_batch_error(b)->message);
	return 0;
}

bool
cmd_sign_logs_in_late(const struct sign_options *o)
{
	return o->confirm || o->confirmed != NULL || o->digests.n > 0;
}

bool
cmd_sign_has_list(const struct sign_options *o)
{
	return o->sums.n + o->manifests.n + o->names.n + o->digests.n > 0;
}

static int
add_lists(ofs_batch *b, const struct sign_options *o)
{
	size_t n;
	int rc = 0;

	for (n = 0; n < o->sums.n && rc == 0; n++)
		rc = ofs_batch_add_sums(b, o->sums.p[n]);
	for (n = 0; n < o->digests.n && rc == 0; n++)
		rc = ofs_batch_add_digests(b, o->digests.p[n]);
	for (n = 0; n < o->manifests.n && rc == 0; n++)
		rc = ofs_batch_add_manifest(b, o->manifests.p[n], o->root);
	for (n = 0; n < o->names.n && rc == 0; n++)
		rc = ofs_batch_add_names(b, o->names.p[n], o->root,
			o->null ? OFS_NAMES_NUL : OFS_NAMES_AUTO);
	return rc;
}

static int
add_all(struct sign_report *r, ofs_batch *b, const struct bytes *input)
{
	int i, rc = 0;

	if (r->to_stdout)
		rc = ofs_batch_add_bytes(b, "-", input->p, input->n);
	if (rc == 0)
		rc = add_lists(b, r->opts);
	if (rc != 0)
		return out_fail_with(r->out, ofs_batch_error(b));
	for (i = 0; i < r->ops->n && rc == 0 && !r->to_stdout; i++)
		rc = add_operand(r, b, r->ops->p[i]);
	return rc == 0 ? 0 : out_fail_with(r->out, ofs_batch_error(b));
}

static void
fill_opts(const struct sign_options *o, const struct bytes *certs,
	struct ofs_sign_opts *to)
{
	to->format = (enum ofs_format)o->format;
	to->digest = (enum ofs_digest)o->digest;
	to->padding = (enum ofs_padding)o->padding;
	to->low_s = o->low_s;
	to->certs = certs->p;
	to->certs_len = certs->n;
	to->allow_expired = o->allow_expired;
	to->out_dir = o->out_dir;
	to->existing = o->force    ? OFS_EXISTING_REPLACE
		: o->skip_existing ? OFS_EXISTING_SKIP
				   : OFS_EXISTING_FAIL;
	to->jobs = (unsigned int)o->jobs;
	to->stop_on_error = o->stop_on_error;
	to->max_items = o->max_items;
	to->max_bytes = o->max_bytes;
	to->copy_dir = o->copy_to;
	to->rate = (unsigned int)o->rate;
	to->resume = o->resume;
	to->resign_unknown = o->resign_unknown;
	to->on_duplicate = (enum ofs_duplicate)o->on_duplicate;
}

static int
new_batch(struct tool *s, const struct ofs_sign_opts *so, struct keyring *r,
	struct validator *v, ofs_batch **out)
{
	if (ofs_batch_new(s->ctx, r->keys[0], s->audit, so, out) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (v->n > 0)
		ofs_batch_on_validate(*out, cmd_sign_validate, v);
	return cmd_sign_add_keys(s, *out, r, 1);
}

static int
sign_with(struct tool *s, struct sign_report *r, const struct ofs_sign_opts *so,
	struct validator *v, const struct bytes *input)
{
	const struct sign_options *o = r->opts;
	bool login = !o->dry_run && !cmd_sign_logs_in_late(o);
	struct keyring ring = { .n = 0 };
	ofs_batch *batch = NULL;
	int rc;

	rc = tool_modules(s, &o->session);
	if (rc == 0)
		rc = cmd_sign_open_keys(
			s, o, login ? 0 : OFS_KEY_PUBLIC_ONLY, &ring);
	if (rc == 0)
		rc = new_batch(s, so, &ring, v, &batch);
	if (rc == 0) {
		r->has_cert = ofs_key_get_info(ring.keys[0])->has_cert;
		rc = add_all(r, batch, input);
	}
	if (rc == 0)
		rc = cmd_sign_run(s, r, &ring, batch);
	ofs_batch_free(batch);
	cmd_sign_close_keys(&ring);
	return rc;
}

static int
sign(struct tool *s, const struct sign_options *o, const struct operands *ops)
{
	struct ofs_sign_opts so = OFS_SIGN_OPTS_INIT;
	struct bytes certs = { NULL, 0 }, input = { NULL, 0 };
	struct sign_report r = { .out = s->out, .opts = o, .ops = ops };
	struct validator v;
	int rc;

	r.to_stdout = ops->n == 1 && strcmp(ops->p[0], "-") == 0;
	if (r.to_stdout)
		s->out->to = stderr;
	cmd_sign_catch_report();
	/* all that can be wrong without the token comes before the PIN */
	rc = cmd_sign_validate_open(s->out, o, &v);
	if (rc == 0 && o->cert != NULL)
		rc = small_read(s->out, o->cert, SMALL_PEM_MAX, &certs);
	if (rc == 0 && r.to_stdout)
		rc = small_read(s->out, "-", SMALL_STDIN_MAX, &input);
	if (rc == 0 && o->report != NULL)
		rc = small_begin(s->out, o->report, o->force, &r.file);
	fill_opts(o, &certs, &so);
	if (rc == 0)
		rc = sign_with(s, &r, &so, &v, &input);
	small_abort(&r.file);
	cmd_sign_validate_close(&v);
	small_free(&certs);
	small_free(&input);
	return rc;
}

/* not given: a minute for a token that is pulled out, none before */
#define TIMEOUT_UNSET ULONG_MAX

static void
set_timeouts(struct sign_options *o)
{
	if (o->token_timeout == TIMEOUT_UNSET)
		return;
	o->session.open_timeout = (int)o->token_timeout * 1000;
	o->session.token_timeout =
		o->token_timeout == 0 ? -1 : (int)o->token_timeout * 1000;
}

static size_t
count_dashes(const struct strings *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->n; i++)
		n += strcmp(s->p[i], "-") == 0;
	return n;
}

static int
check_lists(const struct args *a, struct out *o, const struct sign_options *op)
{
	if (op->root != NULL && op->manifests.n + op->names.n == 0)
		return args_usage(a, o,
			"'--root' is for what '--manifest' and '--files-from' "
			"list");
	if (op->null && op->names.n == 0)
		return args_usage(
			a, o, "'--null' is for the names of '--files-from'");
	if (op->digests.n > 0 && op->validate.n > 0)
		return args_usage(a, o,
			"'--digests' and '--validate' exclude each other: the "
			"documents are not here");
	if (count_dashes(&op->manifests) + count_dashes(&op->names) +
			count_dashes(&op->digests) >
		1)
		return args_usage(a, o,
			"standard input is read once; a file of that name is "
			"'./-'");
	return 0;
}

static int
check_usage(const struct args *a, struct out *o, const struct sign_options *op,
	const struct operands *ops)
{
	int i;

	if (cmd_sign_is_batches(op)) {
		if (op->list_unfinished + (op->status != NULL) +
				(op->abandon != NULL) + (op->discard != 0) >
			1)
			return args_usage(a, o,
				"'--list-unfinished', '--status', '--abandon' "
				"and '--discard-pending' exclude each other");
		if (op->keys.n > 0 || op->sums.n > 0 || ops->n > 0)
			return args_usage(a, o,
				"nothing is signed with '--list-unfinished', "
				"'--status', '--abandon' or "
				"'--discard-pending'");
		return 0;
	}
	if (op->keys.n == 0)
		return args_usage(a, o, "'--key URI' is missing");
	if (ops->n == 0 && !cmd_sign_has_list(op))
		return args_usage(a, o, "no document to sign");
	if (op->force && op->skip_existing)
		return args_usage(a, o,
			"'--force' and '--skip-existing' exclude each other");
	if (op->confirm + op->dry_run + (op->confirmed != NULL) > 1)
		return args_usage(a, o,
			"'--dry-run', '--confirm' and '--confirmed' exclude "
			"each other");
	if (op->confirmed != NULL && !cmd_sign_is_word(op->confirmed))
		return args_usage(a, o,
			"'--confirmed' is 8 to 64 hex digits, an even number, "
			"not '%s'",
			NAME(op->confirmed));
	if (op->report != NULL && strcmp(op->report, "-") == 0)
		return args_usage(a, o,
			"'--report' names a file; --json prints the same");
	for (i = 0; i < ops->n; i++)
		if (strcmp(ops->p[i], "-") == 0 &&
			(ops->n > 1 || cmd_sign_has_list(op) ||
				op->out_dir != NULL || op->copy_to != NULL ||
				o->json || op->dry_run))
			return args_usage(a, o,
				"'-' goes with no other document, nor --out, "
				"--copy-to, --json or --dry-run; a file of "
				"that name is './-'");
	return check_lists(a, o, op);
}

/* by the enums that they stand for */
static const char *const formats[] = { "cms", "cms-attached", "raw", NULL };
static const char *const paddings[] = { "default", "pkcs1", "pss", NULL };
static const char *const digests[] = { "default", "sha256", "sha384", "sha512",
	NULL };
static const char *const duplicates[] = { "default", "sign", "skip", "refuse",
	NULL };
static const char *const policies[] = { "refuse", "hold", "ask", NULL };

static int
act(struct out *o, struct sign_options *op, struct operands *ops)
{
	struct tool s = { 0 };
	int rc;

	set_timeouts(op);
	rc = tool_open(&s, o, &op->session);
	if (rc == 0 && cmd_sign_is_batches(op))
		rc = cmd_sign_batches(&s, op);
	else if (rc == 0)
		rc = sign(&s, op, ops);
	tool_close(&s);
	return rc;
}

static int
run(struct out *o, int argc, char **argv)
{
	struct sign_options op = { .token_timeout = TIMEOUT_UNSET,
		.validate_timeout = 60,
		.session = { .lists = true,
			.passphrase_option = "--audit-passphrase-source" } };
	bool json = false;
	const struct opt table[] = {
		{ "key", .list = &op.keys },
		{ "cert", .text = &op.cert },
		{ "module", .list = &op.session.modules },
		{ "audit", .text = &op.session.audit },
		{ "pin-source", .text = &op.session.pin },
		{ "audit-passphrase-source", .text = &op.session.passphrase },
		{ "last-try", .flag = &op.session.last_try },
		{ "always-auth", .choice = &op.session.always_auth,
			.names = policies },
		{ "token-timeout", .number = &op.token_timeout, .min = 0,
			.max = 86400 },
		{ "format", .choice = &op.format, .names = formats },
		{ "digest", .choice = &op.digest, .names = digests },
		{ "padding", .choice = &op.padding, .names = paddings },
		{ "low-s", .flag = &op.low_s },
		{ "out", .text = &op.out_dir },
		{ "force", .flag = &op.force },
		{ "skip-existing", .flag = &op.skip_existing },
		{ "allow-expired", .flag = &op.allow_expired },
		{ "recursive", .flag = &op.recursive },
		{ "sums", .list = &op.sums },
		{ "digests", .list = &op.digests },
		{ "manifest", .list = &op.manifests },
		{ "files-from", .list = &op.names },
		{ "null", .flag = &op.null },
		{ "root", .text = &op.root },
		{ "max-items", .number = &op.max_items, .min = 1,
			.max = LONG_MAX },
		{ "max-bytes", .number = &op.max_bytes, .min = 1,
			.max = LONG_MAX },
		{ "list-unfinished", .flag = &op.list_unfinished },
		{ "status", .text = &op.status },
		{ "abandon", .text = &op.abandon },
		{ "resume", .text = &op.resume },
		{ "resign-unknown", .flag = &op.resign_unknown },
		{ "on-duplicate", .choice = &op.on_duplicate,
			.names = duplicates },
		{ "discard-pending", .number = &op.discard, .min = 1,
			.max = INT64_MAX },
		{ "jobs", .number = &op.jobs, .min = 1, .max = 256 },
		{ "dry-run", .flag = &op.dry_run },
		{ "confirm", .flag = &op.confirm },
		{ "confirmed", .text = &op.confirmed },
		{ "validate", .list = &op.validate },
		{ "validate-timeout", .number = &op.validate_timeout, .min = 1,
			.max = 86400 },
		{ "copy-to", .text = &op.copy_to },
		{ "report", .text = &op.report },
		{ "rate", .number = &op.rate, .min = 1, .max = 1000000000 },
		{ "anchor", .flag = &op.anchor },
		{ "stop-on-error", .flag = &op.stop_on_error },
		{ "json", .flag = &json },
		{ "quiet", .flag = &o->quiet },
		{ .name = NULL },
	};
	const struct args a = { "ofs-sign", help, table, &json };
	struct operands ops;
	int rc;

	rc = args_parse(&a, o, argc, argv, &ops);
	if (rc == 0)
		rc = check_usage(&a, o, &op, &ops);
	if (rc != 0)
		return rc == ARGS_DONE ? 0 : rc;
	return act(o, &op, &ops);
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
