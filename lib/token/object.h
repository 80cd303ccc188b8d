/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects on a token: found by class, id and label. */
#ifndef TOKEN_OBJECT_H
#define TOKEN_OBJECT_H

#include "token/attr.h"

#define OBJECT_ID_MAX 64

/* as a class: whatever it is */
#define OBJECT_ANY CK_UNAVAILABLE_INFORMATION

struct object {
	CK_OBJECT_HANDLE h; /* 0: none */
	CK_OBJECT_CLASS class_;
	CK_KEY_TYPE key_type;
	uint8_t id[OBJECT_ID_MAX];
	size_t id_len;
	uint8_t *label; /* of any bytes; NULL when empty */
	size_t label_len;
};

struct object_list {
	struct object *v;
	size_t n;
};

/* What is looked for. A part with length 0 matches everything. */
struct object_query {
	CK_OBJECT_CLASS class_;
	const uint8_t *id;
	size_t id_len;
	const uint8_t *label;
	size_t label_len;
};

/*
 * The token objects that the query matches; what the token returns is
 * compared again here. An id longer than OBJECT_ID_MAX counts as none. Caller
 * frees with object_list_free, after a failure too.
 */
int object_find(const struct session *s, const struct object_query *q,
	struct object_list *out, struct ofs_error *e);
/* copies of those in a list that the query matches; free it, too */
int object_pick(const struct object_list *from, const struct object_query *q,
	struct object_list *out, struct ofs_error *e);
void object_list_free(struct object_list *l);

int object_copy(
	struct object *to, const struct object *from, struct ofs_error *e);
void object_free(struct object *o);
int object_destroy(
	const struct session *s, CK_OBJECT_HANDLE h, struct ofs_error *e);

#endif
