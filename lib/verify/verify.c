/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Verification of a document: which files, which format, one verdict. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/err.h>

#include <offlinesig/sign.h>

#include "base/ctx.h"
#include "base/file.h"
#include "base/text.h"
#include "crypto/cert.h"
#include "format/cms_parse.h"
#include "verify/verifier.h"

/* Both paths are owned; document NULL: the content is in the signature. */
struct names {
	char *document;
	char *signature;
	enum ofs_format format;
	bool guessed; /* the document's name, from that of the signature */
};

int
verdict_signer(struct ofs_verdict *out, X509 *c, struct ofs_error *e)
{
	cert_subject(c, out->signer, sizeof(out->signer));
	cert_issuer(c, out->issuer, sizeof(out->issuer));
	cert_serial_hex(c, out->serial, sizeof(out->serial));
	return cert_sha256(c, out->cert_sha256, e);
}

static void
verdict_begin(const ofs_verifier *v, struct ofs_verdict *out)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->revocation_not_checked = sk_X509_CRL_num(v->crls) <= 0;
}

/* the verdict of a finished check, and the record of the handle */
static int
verdict_end(ofs_verifier *v, int code, struct ofs_verdict *out)
{
	ERR_clear_error();
	/* whatever was malformed was the signature file */
	if (code == OFS_EFORMAT)
		code = v->err.code = OFS_EUNREADABLE;
	if (code == 0) {
		err_clear(&v->err);
		snprintf(out->reason, sizeof(out->reason), "%s",
			"the signature is valid");
	} else {
		snprintf(out->reason, sizeof(out->reason), "%.*s",
			(int)sizeof(out->reason) - 1, v->err.message);
	}
	/* what was cut in the middle of a character */
	text_clean(out->reason);
	out->code = code;
	return code;
}

static int
judge(ofs_verifier *v, enum ofs_format format, const struct document *doc,
	const uint8_t *sig, size_t sig_len, struct ofs_verdict *out)
{
	if (format == OFS_FORMAT_RAW)
		return verify_raw(v, doc, sig, sig_len, out, &v->err);
	return verify_cms(v, doc, sig, sig_len, out, &v->err);
}

int
ofs_verify_bytes(ofs_verifier *v, enum ofs_format format, const void *doc,
	size_t doc_len, const void *sig, size_t sig_len,
	struct ofs_verdict *out)
{
	struct document d = { NULL, doc, doc_len };
	struct ofs_verdict own;
	int err;

	out = out != NULL ? out : &own;
	verdict_begin(v, out);
	if ((format != OFS_FORMAT_CMS && format != OFS_FORMAT_CMS_ATTACHED &&
		    format != OFS_FORMAT_RAW) ||
		sig == NULL || (doc == NULL && doc_len > 0) ||
		(doc == NULL && format != OFS_FORMAT_CMS_ATTACHED))
		err = err_set(&v->err, OFS_EINVAL,
			"cannot verify: the document or the signature was not "
			"given");
	else
		err = judge(v, format, &d, sig, sig_len, out);
	return verdict_end(v, err, out);
}

/* whether name ends in suffix and has something before it */
static bool
has_suffix(const char *name, enum ofs_format format)
{
	const char *suffix = ofs_format_suffix(format);
	size_t n = strlen(name), len = strlen(suffix);

	return n > len && name[n - len - 1] != '/' &&
		strcmp(name + n - len, suffix) == 0;
}

static bool
exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
}

static char *
with_suffix(const char *name, enum ofs_format format)
{
	char *s = NULL;

	if (asprintf(&s, "%s%s", name, ofs_format_suffix(format)) < 0)
		return NULL;
	return s;
}

/* the signature that lies beside a document */
static int
beside(const char *document, struct names *n, struct ofs_error *e)
{
	static const enum ofs_format order[] = { OFS_FORMAT_CMS,
		OFS_FORMAT_RAW };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		char *path = with_suffix(document, order[i]);

		if (path == NULL)
			return err_nomem(e);
		if (exists(path)) {
			n->signature = path;
			n->format = order[i];
			return 0;
		}
		free(path);
	}
	if (!exists(document))
		return err_sys(e, OFS_EIO, ENOENT, "cannot open '%s'",
			TEXT_Q(document));
	return err_set(e, OFS_EIO,
		"cannot find the signature of '%s': there is neither "
		"NAME.p7s nor NAME.sig beside it; name it with --sig",
		TEXT_Q(document));
}

static int
name_files(const char *document, const char *signature, struct names *n,
	struct ofs_error *e)
{
	static const enum ofs_format formats[] = { OFS_FORMAT_CMS_ATTACHED,
		OFS_FORMAT_CMS, OFS_FORMAT_RAW };
	const char *sig = signature != NULL ? signature : document;
	size_t i = 0;

	while (i < 3 && !has_suffix(sig, formats[i]))
		i++;
	/* one that is named and has no suffix of ours is looked into */
	n->format = i < 3 ? formats[i] : OFS_FORMAT_CMS_ATTACHED;
	if (signature == NULL && i == 3) {
		n->document = strdup(document);
		return n->document != NULL ? beside(document, n, e)
					   : err_nomem(e);
	}
	n->signature = strdup(sig);
	if (n->signature == NULL)
		return err_nomem(e);
	if (signature == NULL && n->format == OFS_FORMAT_CMS_ATTACHED)
		return 0;
	n->guessed = signature == NULL;
	n->document = signature != NULL
		? strdup(document)
		: strndup(document,
			  strlen(document) -
				  strlen(ofs_format_suffix(n->format)));
	return n->document != NULL ? 0 : err_nomem(e);
}

static int
check_files(ofs_verifier *v, const struct names *n, struct ofs_verdict *out)
{
	struct document doc = { n->document, NULL, 0 };
	enum ofs_format format = n->format;
	struct buf sig = BUF_INIT;
	int err;

	snprintf(out->document, sizeof(out->document), "%s",
		n->document != NULL ? n->document : "");
	snprintf(out->signature, sizeof(out->signature), "%s", n->signature);
	err = file_read(n->signature, CMS_FILE_MAX, &sig, &v->err);
	if (err == 0 && sig.len == 0)
		err = err_set(&v->err, OFS_EUNREADABLE,
			"cannot read the signature: the file is empty");
	if (err == 0 && !ofs_is_signature_name(n->signature) &&
		!cms_looks_like(sig.p, sig.len))
		format = OFS_FORMAT_RAW;
	if (err == 0)
		err = judge(v, format, &doc, sig.p, sig.len, out);
	buf_free(&sig);
	if (err == OFS_EIO && n->guessed && !exists(n->document))
		err = err_set(&v->err, OFS_EIO,
			"there is no '%s' beside its signature; name the "
			"document where it is, and the signature with --sig",
			TEXT_Q(n->document));
	return err;
}

int
ofs_verify_file(ofs_verifier *v, const char *document, const char *signature,
	struct ofs_verdict *out)
{
	struct names n = { NULL, NULL, OFS_FORMAT_CMS, false };
	struct ofs_verdict own;
	int err;

	out = out != NULL ? out : &own;
	verdict_begin(v, out);
	if (document == NULL)
		err = err_set(&v->err, OFS_EINVAL,
			"cannot verify: no document was given");
	else
		err = name_files(document, signature, &n, &v->err);
	if (err == 0)
		err = check_files(v, &n, out);
	free(n.document);
	free(n.signature);
	return verdict_end(v, err, out);
}
