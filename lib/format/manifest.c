/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Manifests: one JSON object a line, each a document to be signed. */
#include <string.h>

#include <jansson.h>

#include "base/hex.h"
#include "base/text.h"
#include "format/manifest.h"

#define TEXT_MAX 255
#define NAME_MAX_LEN 1023
#define SHA256_HEX 64

static int
check_text(const char *field, const char *s, size_t max, struct ofs_error *e)
{
	size_t left, n;

	if (s == NULL)
		return 0;
	left = strlen(s);
	if (left == 0)
		return err_set(
			e, OFS_EINVAL, "'%s' is empty; leave it out", field);
	if (left > max)
		return err_set(e, OFS_EINVAL, "'%s' is longer than %zu bytes",
			field, max);
	for (; left > 0; s += n, left -= n) {
		n = text_utf8_char(s, left);
		if (n == 0)
			return err_set(
				e, OFS_EINVAL, "'%s' is not UTF-8", field);
		if (text_is_control(s, n))
			return err_set(e, OFS_EINVAL,
				"'%s' has a control character", field);
	}
	return 0;
}

/* RFC 6838 4.2: two names, no parameters */
static int
check_media_type(const char *s, struct ofs_error *e)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char more[] = "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "!#$&-^_.+";
	size_t type, subtype;

	if (s == NULL)
		return 0;
	type = strspn(s, more);
	subtype = s[type] == '/' ? strspn(s + type + 1, more) : 0;
	if (type == 0 || subtype == 0 || s[type + 1 + subtype] != '\0' ||
		strchr(first, s[0]) == NULL ||
		strchr(first, s[type + 1]) == NULL)
		return err_set(e, OFS_EINVAL,
			"'media_type' is '%s' and not two names with a slash "
			"between, such as 'application/xml'",
			TEXT_Q(s));
	return 0;
}

int
manifest_check_item(const struct ofs_item *it, struct ofs_error *e)
{
	int rc;

	rc = check_text("id", it->id, TEXT_MAX, e);
	if (rc == 0)
		rc = check_text("name", it->name, NAME_MAX_LEN, e);
	if (rc == 0)
		rc = check_text("version", it->version, TEXT_MAX, e);
	if (rc == 0)
		rc = check_text("media_type", it->media_type, TEXT_MAX, e);
	return rc != 0 ? rc : check_media_type(it->media_type, e);
}

static int
take_sha256(struct manifest_line *l, const char *hex, struct ofs_error *e)
{
	size_t n = strlen(hex);

	if (n != SHA256_HEX)
		return err_set(e, OFS_EFORMAT,
			"'sha256' has %zu characters; a SHA-256 in hex has %d",
			n, SHA256_HEX);
	if (!hex_decode(l->sha256, sizeof(l->sha256), hex, n))
		return err_set(e, OFS_EFORMAT, "'sha256' is not hex");
	l->item.sha256 = l->sha256;
	return 0;
}

static int
take_field(struct manifest_line *l, const char *key, const json_t *v,
	struct ofs_error *e)
{
	struct ofs_item *it = &l->item;
	const struct {
		const char *name;
		const char **to;
	} fields[] = { { "path", &it->path }, { "id", &it->id },
		{ "name", &it->name }, { "version", &it->version },
		{ "media_type", &it->media_type } };
	bool sha256 = strcmp(key, "sha256") == 0;
	size_t i, n = sizeof(fields) / sizeof(fields[0]);

	for (i = 0; i < n && strcmp(key, fields[i].name) != 0; i++)
		;
	if (i == n && !sha256)
		return err_set(e, OFS_EFORMAT,
			"'%s' is no field of a manifest; these are path, "
			"sha256, id, name, version, media_type",
			TEXT_Q(key));
	if (!json_is_string(v))
		return err_set(e, OFS_EFORMAT, "'%s' is not a string", key);
	if (sha256)
		return take_sha256(l, json_string_value(v), e);
	*fields[i].to = json_string_value(v);
	return 0;
}

static int
take_object(struct manifest_line *l, struct ofs_error *e)
{
	json_t *o = l->json, *v;
	const char *key;
	int rc;

	if (!json_is_object(o))
		return err_set(e, OFS_EFORMAT, "it is not a JSON object");
	json_object_foreach(o, key, v)
	{
		rc = take_field(l, key, v, e);
		if (rc != 0)
			return rc;
	}
	if (l->item.path == NULL)
		return err_set(e, OFS_EFORMAT, "there is no 'path'");
	rc = check_text("path", l->item.path, MANIFEST_LINE_MAX, e);
	return rc != 0 ? rc : manifest_check_item(&l->item, e);
}

int
manifest_parse(const uint8_t *p, size_t n, size_t line,
	struct manifest_line *out, struct ofs_error *e)
{
	json_error_t why;
	int rc;

	memset(out, 0, sizeof(*out));
	out->item.size = sizeof(out->item);
	if (n > MANIFEST_LINE_MAX)
		return err_set(e, OFS_EFORMAT,
			"line %zu is longer than %d bytes", line,
			MANIFEST_LINE_MAX);
	if (n == 0)
		return err_set(e, OFS_EFORMAT, "line %zu is empty", line);
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0)
		return err_set(e, OFS_EFORMAT,
			"line %zu begins with a byte order mark; save the "
			"file without it",
			line);
	out->json =
		json_loadb((const char *)p, n, JSON_REJECT_DUPLICATES, &why);
	if (out->json == NULL &&
		json_error_code(&why) == json_error_out_of_memory)
		return err_nomem(e);
	if (out->json == NULL)
		return err_set(e, OFS_EFORMAT, "line %zu is not JSON: %s", line,
			TEXT_Q(why.text));
	rc = take_object(out, e);
	if (rc == 0)
		return 0;
	manifest_clear(out);
	return err_set(e, OFS_EFORMAT, "line %zu: %s", line, e->message);
}

void
manifest_clear(struct manifest_line *l)
{
	json_decref(l->json);
	memset(l, 0, sizeof(*l));
}
