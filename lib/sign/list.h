/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what a batch is to sign, and where each output goes. */
#ifndef SIGN_LIST_H
#define SIGN_LIST_H

#include <offlinesig/sign.h>

#include "base/err.h"

struct list_item {
	char *path;     /* as given; the name of a memory item */
	char *output;   /* as shown and as opened; NULL: memory item */
	char *absolute; /* of the output: for the record and a later release */
	const void *bytes; /* memory item, borrowed; NULL: a file */
	size_t len;
	bool has_sha256;
	uint8_t sha256[32]; /* what the document must have */
	char *problem;      /* why it cannot be signed; NULL: nothing known */
	int problem_code;
};

struct list {
	struct list_item *items;
	size_t n, cap;
};

int list_add_file(struct list *l, const char *path, const uint8_t *sha256,
	struct ofs_error *e);
int list_add_bytes(struct list *l, const char *name, const void *p, size_t n,
	struct ofs_error *e);
int list_add_tree(struct list *l, const char *dir, struct ofs_error *e);
int list_add_sums(struct list *l, const char *path, struct ofs_error *e);
void list_free(struct list *l);

/*
 * Gives every item its output and finds those that cannot have one: two items
 * with one output, an output that is a document of the list.
 */
int list_place(struct list *l, enum ofs_format format, const char *out_dir,
	struct ofs_error *e);

/*
 * SHA-256 of "ofs-list-v1" NUL, then for every item: u64 length of the path,
 * path, one byte 0 or 1, and after a 1 the 32 bytes of the expected SHA-256.
 */
int list_sha256(const struct list *l, uint8_t out[32], struct ofs_error *e);

#endif
