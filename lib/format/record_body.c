/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Decodes record bodies strictly and lists their fields by dotted name. */
#include <stdlib.h>
#include <string.h>

#include "format/record.h"

#include "base/text.h"
#include "crypto/der.h"
#include "format/record_asn1.h"

/* Text and bytes are borrowed from the decoded value. */
struct body_field {
	size_t name; /* offset in names */
	enum ofs_field_kind kind;
	int64_t number;
	const uint8_t *bytes;
	size_t len;
};

struct record_body {
	int type;
	const ASN1_ITEM *it;
	ASN1_VALUE *value;
	struct buf names;  /* NUL-terminated, one after the other */
	struct buf fields; /* array of struct body_field */
	size_t n;
	const char *wrong; /* why it is refused */
};

static ASN1_ITEM_EXP *
item_of(int type)
{
	switch (type) {
	case OFS_REC_GENESIS:
		return ASN1_ITEM_ref(REC_GENESIS);
	case OFS_REC_BATCH_OPENED:
		return ASN1_ITEM_ref(REC_BATCH_OPENED);
	case OFS_REC_BATCH_CLOSED:
		return ASN1_ITEM_ref(REC_BATCH_CLOSED);
	case OFS_REC_INTENT:
		return ASN1_ITEM_ref(REC_INTENT);
	case OFS_REC_OUTCOME:
		return ASN1_ITEM_ref(REC_OUTCOME);
	case OFS_REC_RECOVERY:
		return ASN1_ITEM_ref(REC_RECOVERY);
	case OFS_REC_LOGIN:
		return ASN1_ITEM_ref(REC_LOGIN);
	case OFS_REC_KEY_LENT:
		return ASN1_ITEM_ref(REC_KEY_LENT);
	case OFS_REC_KEY_EVENT:
		return ASN1_ITEM_ref(REC_KEY_EVENT);
	case OFS_REC_TOKEN_EVENT:
		return ASN1_ITEM_ref(REC_TOKEN_EVENT);
	case OFS_REC_RELEASE:
		return ASN1_ITEM_ref(REC_RELEASE);
	case OFS_REC_EPOCH:
		return ASN1_ITEM_ref(REC_EPOCH);
	case OFS_REC_ANCHOR:
		return ASN1_ITEM_ref(REC_ANCHOR);
	case OFS_REC_LOG_EVENT:
		return ASN1_ITEM_ref(REC_LOG_EVENT);
	}
	return NULL;
}

static bool
one_of(const char *name, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(name, *list) == 0)
			return true;
	return false;
}

/* an OCTET STRING holds a file name or bytes, an INTEGER a time or a number */
static bool
is_file_name(const char *name)
{
	static const char *const names[] = { "path", "name", "output_path",
		NULL };

	return one_of(name, names);
}

static bool
is_time(const char *name)
{
	static const char *const names[] = { "not_after", NULL };

	return one_of(name, names);
}

static void
add_field(struct record_body *b, const struct buf *prefix, const char *name,
	struct body_field *f)
{
	f->name = b->names.len;
	if (prefix->len > 0)
		buf_put(&b->names, prefix->p, prefix->len);
	buf_put(&b->names, name, strlen(name) + 1);
	buf_put(&b->fields, f, sizeof(*f));
	b->n++;
}

static void
add_string(struct record_body *b, const struct buf *prefix, const char *name,
	const ASN1_STRING *s)
{
	struct body_field f = { .bytes = s->data, .len = (size_t)s->length };

	if (f.bytes == NULL)
		f.bytes = (const uint8_t *)"";
	if (s->type == V_ASN1_UTF8STRING) {
		f.kind = OFS_FIELD_TEXT;
		if (!text_is_utf8((const char *)f.bytes, f.len))
			b->wrong = "a text that is not UTF-8";
	} else {
		f.kind = is_file_name(name) ? OFS_FIELD_NAME : OFS_FIELD_BYTES;
	}
	if (f.kind != OFS_FIELD_BYTES && memchr(f.bytes, '\0', f.len) != NULL)
		b->wrong = "a text with a NUL in it";
	add_field(b, prefix, name, &f);
}

static void
add_number(struct record_body *b, const struct buf *prefix, const char *name,
	int64_t v)
{
	struct body_field f = { .kind = OFS_FIELD_INT, .number = v };

	if (is_time(name))
		f.kind = OFS_FIELD_TIME;
	add_field(b, prefix, name, &f);
}

static void walk(struct record_body *b, const ASN1_ITEM *it, const void *value,
	struct buf *prefix);

/* `name.` and what is below it; at most four levels, as the templates are */
static void
walk_part(struct record_body *b, const ASN1_ITEM *it, const void *value,
	struct buf *prefix, const char *name)
{
	size_t len = prefix->len;

	if (name[0] != '\0')
		buf_printf(prefix, "%s.", name);
	walk(b, it, value, prefix);
	prefix->len = len;
}

static void
walk_list(struct record_body *b, const ASN1_ITEM *it, const OPENSSL_STACK *list,
	struct buf *prefix, const char *name)
{
	size_t len = prefix->len;
	int i;

	for (i = 0; i < OPENSSL_sk_num(list); i++) {
		buf_printf(prefix, "%s.%d.", name, i);
		walk(b, it, OPENSSL_sk_value(list, i), prefix);
		prefix->len = len;
	}
}

static void
walk_field(struct record_body *b, const ASN1_TEMPLATE *t, const void *field,
	struct buf *prefix)
{
	const ASN1_ITEM *it = ASN1_ITEM_ptr(t->item);
	const char *name = t->field_name;
	const void *value;

	if ((t->flags & ASN1_TFLG_EMBED) != 0) {
		int64_t v = *(const int64_t *)field;

		if (v != 0 || (t->flags & ASN1_TFLG_OPTIONAL) == 0)
			add_number(b, prefix, name, v);
		return;
	}
	if (it->utype == V_ASN1_BOOLEAN && it->itype == ASN1_ITYPE_PRIMITIVE) {
		add_number(b, prefix, name, *(const ASN1_BOOLEAN *)field != 0);
		return;
	}
	value = *(const void *const *)field;
	if (value == NULL)
		return;
	if ((t->flags & ASN1_TFLG_SK_MASK) != 0)
		walk_list(b, it, value, prefix, name);
	else if (it->itype == ASN1_ITYPE_SEQUENCE)
		walk_part(b, it, value, prefix, name);
	else
		add_string(b, prefix, name, value);
}

static void
walk(struct record_body *b, const ASN1_ITEM *it, const void *value,
	struct buf *prefix)
{
	for (long i = 0; i < it->tcount; i++) {
		const ASN1_TEMPLATE *t = &it->templates[i];

		walk_field(b, t, (const uint8_t *)value + t->offset, prefix);
	}
}

static struct der_party *
party_of(const struct record_body *b)
{
	for (long i = 0; i < b->it->tcount; i++) {
		const ASN1_TEMPLATE *t = &b->it->templates[i];

		if (ASN1_ITEM_ptr(t->item) == ASN1_ITEM_rptr(REC_PARTY))
			return *(void *const *)((const uint8_t *)b->value +
				t->offset);
	}
	return NULL;
}

/* then OpenSSL may take the bytes that it keeps of it: they were checked */
static bool
is_known(const struct record_known *known, const struct der_party *party)
{
	return known->party.len > 0 &&
		(size_t)party->enc.len == known->party.len &&
		memcmp(party->enc.enc, known->party.p, known->party.len) == 0;
}

static int
check_same(struct record_body *b, struct record_known *known, const uint8_t *p,
	size_t n, struct ofs_error *e)
{
	struct der_party *party = known != NULL ? party_of(b) : NULL;
	unsigned char *again = NULL;
	int len;
	bool same;

	if (party != NULL && is_known(known, party)) {
		party->enc.modified = 0;
		party = NULL;
	}
	len = ASN1_item_i2d(b->value, &again, b->it);
	if (len < 0)
		return err_ssl(e, OFS_EFORMAT, "body cannot be encoded again");
	same = (size_t)len == n && memcmp(again, p, n) == 0;
	OPENSSL_free(again);
	if (!same)
		return err_set(e, OFS_EFORMAT, "body is not canonical DER");
	if (party != NULL) {
		buf_reset(&known->party);
		buf_put(&known->party, party->enc.enc, (size_t)party->enc.len);
	}
	return 0;
}

/* about what the fields of n bytes need: growing bit by bit costs more */
static void
reserve(struct record_body *b, size_t n)
{
	(void)buf_grow(&b->names, n);
	(void)buf_grow(&b->fields, 2 * n);
	buf_reset(&b->names);
	buf_reset(&b->fields);
}

int
record_body_decode(int type, const uint8_t *p, size_t n,
	struct record_body **out, struct ofs_error *e)
{
	return record_body_decode_next(NULL, type, p, n, out, e);
}

int
record_body_decode_next(struct record_known *known, int type, const uint8_t *p,
	size_t n, struct record_body **out, struct ofs_error *e)
{
	ASN1_ITEM_EXP *item = item_of(type);
	const unsigned char *at = p;
	struct buf prefix = BUF_INIT;
	struct record_body *b;
	int rc;

	*out = NULL;
	if (item == NULL)
		return err_set(
			e, OFS_EFORMAT, "record type %d is not known", type);
	if (n == 0 || n > RECORD_BODY_MAX || !der_is_strict(p, n))
		return err_set(e, OFS_EFORMAT, "body is not DER");
	b = calloc(1, sizeof(*b));
	if (b == NULL)
		return err_nomem(e);
	b->type = type;
	b->it = ASN1_ITEM_ptr(item);
	b->value = ASN1_item_d2i(NULL, &at, (long)n, b->it);
	if (b->value == NULL) {
		rc = err_ssl(e, OFS_EFORMAT, "body is not a record of type %s",
			record_type_name(type));
		goto out;
	}
	if (at != p + n) {
		rc = err_set(e, OFS_EFORMAT, "body has bytes behind it");
		goto out;
	}
	rc = check_same(b, known, p, n, e);
	if (rc != 0)
		goto out;
	reserve(b, n);
	walk(b, b->it, b->value, &prefix);
	if (!buf_ok(&b->names) || !buf_ok(&b->fields) || !buf_ok(&prefix))
		rc = err_nomem(e);
	else if (b->wrong != NULL)
		rc = err_set(e, OFS_EFORMAT, "body holds %s", b->wrong);
	if (rc == 0) {
		*out = b;
		b = NULL;
	}
out:
	buf_free(&prefix);
	record_body_free(b);
	return rc;
}

void
record_body_free(struct record_body *b)
{
	if (b == NULL)
		return;
	ASN1_item_free(b->value, b->it);
	buf_free(&b->names);
	buf_free(&b->fields);
	free(b);
}

int
record_body_type(const struct record_body *b)
{
	return b->type;
}

static void
give(const struct record_body *b, size_t i, struct ofs_field *to)
{
	const struct body_field *f = (const void *)b->fields.p;

	f += i;
	to->size = sizeof(*to);
	to->name = (const char *)b->names.p + f->name;
	to->kind = f->kind;
	to->number = f->number;
	to->bytes = f->bytes;
	to->len = f->len;
}

int
record_body_each(const struct record_body *b, ofs_field_fn fn, void *arg)
{
	struct ofs_field f;
	int rc = 0;

	for (size_t i = 0; i < b->n && rc == 0; i++) {
		give(b, i, &f);
		rc = fn(arg, &f);
	}
	return rc;
}

bool
record_body_find(
	const struct record_body *b, const char *name, struct ofs_field *out)
{
	for (size_t i = 0; i < b->n; i++) {
		give(b, i, out);
		if (strcmp(out->name, name) == 0)
			return true;
	}
	memset(out, 0, sizeof(*out));
	return false;
}

bool
record_body_is(const struct record_body *b, const char *name, const char *text)
{
	struct ofs_field f;

	return record_body_find(b, name, &f) && f.len == strlen(text) &&
		memcmp(f.bytes, text, f.len) == 0;
}
