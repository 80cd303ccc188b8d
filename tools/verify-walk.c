/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From operands to pairs of a document and its signature. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/small.h"
#include "common/plain.h"
#include "verify.h"

#define DEPTH_MAX 64

static const enum ofs_format order[] = { OFS_FORMAT_CMS, OFS_FORMAT_RAW,
	OFS_FORMAT_CMS_ATTACHED };

#define N_FORMATS (sizeof(order) / sizeof(order[0]))

static int
no_memory(struct verify_walk *w)
{
	return out_fail(w->report->out, OFS_ENOMEM, "out of memory");
}

static int
check(struct verify_walk *w, const char *document, const char *signature,
	const char *path)
{
	struct ofs_verdict v;

	(void)ofs_verify_file(w->verifier, document, signature, &v);
	return cmd_verify_report_add(w->report, path, &v);
}

/* something that never came to a verdict */
static int
unchecked(struct verify_walk *w, const char *path, int code, const char *why)
{
	struct ofs_verdict v;

	memset(&v, 0, sizeof(v));
	v.size = sizeof(v);
	v.code = code;
	snprintf(v.reason, sizeof(v.reason), "%s", why);
	return cmd_verify_report_add(w->report, path, &v);
}

/*
 * Where ofs-sign --out put the signature of `path`: made relative as tar does,
 * without leading "/", "." and all up to the last "..". Allocated.
 */
static char *
mirrored(const char *dir, const char *path, const char *suffix)
{
	char *to = malloc(strlen(dir) + 1 + strlen(path) + strlen(suffix) + 2);
	char *start, *s;
	size_t n;

	if (to == NULL)
		return NULL;
	s = stpcpy(to, dir);
	*s++ = '/';
	start = s;
	for (; *path != '\0'; path += n, path += strspn(path, "/")) {
		n = strcspn(path, "/");
		if (n == 2 && memcmp(path, "..", 2) == 0) {
			s = start;
		} else if (n > 0 && !(n == 1 && path[0] == '.')) {
			if (s != start)
				*s++ = '/';
			s = mempcpy(s, path, n);
		}
	}
	stpcpy(s, suffix);
	return to;
}

static int
check_mirrored(struct verify_walk *w, const char *path)
{
	char *sig = NULL;
	struct stat st;
	size_t i;
	int rc;

	for (i = 0; i < N_FORMATS; i++) {
		sig = mirrored(w->sig, path, ofs_format_suffix(order[i]));
		if (sig == NULL)
			return no_memory(w);
		if (lstat(sig, &st) == 0)
			break;
		free(sig);
		sig = NULL;
	}
	if (sig == NULL)
		return unchecked(w, path, OFS_EIO,
			"no signature of it below the directory that --sig "
			"names");
	rc = check(w, path, sig, path);
	free(sig);
	return rc;
}

/* a document, its name made from that of a signature file; or the reverse */
static bool
lies_beside(const char *path, const char *suffix)
{
	struct stat st;
	char *other = NULL;
	bool there;

	if (asprintf(&other, "%s%s", path, suffix) < 0)
		return false;
	there = lstat(other, &st) == 0;
	free(other);
	return there;
}

/*
 * In a directory every signature file is checked with its document, and a
 * document without one is named: somebody may have taken it away.
 */
static int
check_entry(struct verify_walk *w, const char *path)
{
	size_t i;

	if (w->sig_is_dir)
		return ofs_is_signature_name(path) ? 0
						   : check_mirrored(w, path);
	if (ofs_is_signature_name(path))
		return check(w, path, NULL, path);
	for (i = 0; i < N_FORMATS; i++)
		if (lies_beside(path, ofs_format_suffix(order[i])))
			return 0;
	return check(w, path, NULL, path);
}

static int
not_dots(const struct dirent *d)
{
	return strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static bool
is_our_temporary(const char *name)
{
	size_t n = strlen(name);

	return n > 22 && name[0] == '.' && name[n - 21] == '.' &&
		strspn(name + n - 20, "0123456789abcdef") == 16 &&
		strcmp(name + n - 4, ".tmp") == 0;
}

static int walk(struct verify_walk *w, const char *dir, int depth);

static int
walk_entry(struct verify_walk *w, const char *dir, const char *name, int depth)
{
	size_t n = strlen(dir);
	char *path = NULL;
	struct stat st;
	int rc = 0;

	if (asprintf(&path, "%s%s%s", dir,
		    n > 0 && dir[n - 1] == '/' ? "" : "/", name) < 0)
		return no_memory(w);
	if (lstat(path, &st) != 0)
		rc = unchecked(w, path, OFS_EIO, strerror(errno));
	else if (S_ISDIR(st.st_mode))
		rc = walk(w, path, depth + 1);
	else if (S_ISREG(st.st_mode) && !is_our_temporary(name))
		rc = check_entry(w, path);
	free(path);
	return rc;
}

static int
walk(struct verify_walk *w, const char *dir, int depth)
{
	struct dirent **names = NULL;
	int n, i, rc = 0;

	if (depth > DEPTH_MAX)
		return unchecked(
			w, dir, OFS_EIO, "it lies too many directories deep");
	n = scandir(dir, &names, not_dots, by_name);
	if (n < 0)
		return unchecked(w, dir, OFS_EIO, strerror(errno));
	for (i = 0; i < n; i++) {
		if (rc == 0)
			rc = walk_entry(w, dir, names[i]->d_name, depth);
		free(names[i]);
	}
	free(names);
	return rc;
}

static bool
ends_in(const char *s, const char *suffix)
{
	size_t n = strlen(s), len = strlen(suffix);

	return n > len && strcmp(s + n - len, suffix) == 0;
}

static enum ofs_format
format_of(const char *signature, const struct bytes *sig)
{
	size_t i;

	for (i = 0; i < N_FORMATS; i++)
		if (ends_in(signature, ofs_format_suffix(order[i])))
			return order[i];
	/* CMS begins with a SEQUENCE of a long length */
	return sig->n > 1 && sig->p[0] == 0x30 && sig->p[1] >= 0x80
		? OFS_FORMAT_CMS
		: OFS_FORMAT_RAW;
}

/* "-": the document, or without --sig a signature with its content */
static int
check_stdin(struct verify_walk *w)
{
	struct bytes doc = { NULL, 0 }, sig = { NULL, 0 };
	struct out *o = w->report->out;
	struct ofs_verdict v;
	int rc;

	rc = small_read(o, "-", SMALL_STDIN_MAX, &doc);
	if (rc == 0 && w->sig != NULL)
		rc = small_read(o, w->sig, SMALL_STDIN_MAX, &sig);
	if (rc != 0)
		goto out;
	if (w->sig == NULL)
		(void)ofs_verify_bytes(w->verifier, OFS_FORMAT_CMS_ATTACHED,
			NULL, 0, doc.p, doc.n, &v);
	else
		(void)ofs_verify_bytes(w->verifier, format_of(w->sig, &sig),
			doc.p, doc.n, sig.p, sig.n, &v);
	rc = cmd_verify_report_add(w->report, "-", &v);
out:
	small_free(&doc);
	small_free(&sig);
	return rc;
}

int
cmd_verify_walk_operand(struct verify_walk *w, const char *operand)
{
	struct stat st;

	if (strcmp(operand, "-") == 0)
		return w->sig_is_dir
			? unchecked(w, operand, OFS_EINVAL,
				  "standard input has no name; give --sig a "
				  "file")
			: check_stdin(w);
	if (stat(operand, &st) == 0 && S_ISDIR(st.st_mode)) {
		if (!w->recursive)
			return unchecked(w, operand, OFS_EIO,
				"it is a directory; use --recursive to check "
				"what is in it");
		return walk(w, operand, 0);
	}
	if (w->sig_is_dir)
		return check_mirrored(w, operand);
	return check(w, operand, w->sig, operand);
}
