/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what a batch is to sign, and where each output goes. */
#ifndef SIGN_LIST_H
#define SIGN_LIST_H

#include <offlinesig/batch.h>

#include "base/err.h"
#include "base/spool.h"
#include "crypto/digest.h"

/* One item as it was read from a list; all is owned by it. */
struct list_item {
	const char *path;     /* as given; the name of a memory item */
	const char *output;   /* as shown and as opened; NULL: memory item */
	const char *absolute; /* of the output: for record and later release */
	const char *id, *name, *version, *media_type; /* NULL: none */
	const void *bytes; /* memory item, borrowed; NULL: a file */
	size_t len;
	bool has_sha256;
	uint8_t sha256[32]; /* what the document must have */
	size_t digest_len;  /* 0: it is read; else its digest is all there is */
	uint8_t digest[DIGEST_MAX];
	const char *inside; /* of path: what is below `root`; NULL: anywhere */
	int root;           /* borrowed: the directory that it must be in */
	size_t line;        /* of the manifest that named it; 0: none */
	char *problem;      /* why it cannot be signed; NULL: nothing known */
	int problem_code;
	struct buf mem; /* that the strings are in */
};

/* zeroed memory is an empty item */
void list_item_reset(struct list_item *it); /* keeps memory for the next */
void list_item_free(struct list_item *it);

/* A directory that items are not to leave. */
struct list_root {
	char *dir;
	int fd;
};

/*
 * Items are spooled: a list costs the same memory whatever its length. One
 * thread adds and places; after that any number of them may read.
 */
struct list {
	size_t n;
	char *dir; /* of the spools */
	struct spool index, text;
	struct spool placed_index, placed_text; /* the same with outputs */
	bool placed;                            /* these are what is read */
	struct buf scratch;
	struct list_root *roots;
	size_t n_roots;
	bool described; /* some item has an id, name, version or media type */
	bool broken;    /* could not be brought back to what it was */
};

/* `dir` is where the spools go when they are large; copied */
int list_init(struct list *l, const char *dir, struct ofs_error *e);
void list_free(struct list *l);

/* what can be said of an item by itself; OFS_EINVAL */
int list_check_item(const struct ofs_item *item, struct ofs_error *e);
int list_add_file(struct list *l, const char *path, const uint8_t *sha256,
	struct ofs_error *e);
int list_add_item(
	struct list *l, const struct ofs_item *item, struct ofs_error *e);
int list_add_bytes(struct list *l, const char *name, const void *p, size_t n,
	struct ofs_error *e);
/* one that is not here, with its digest, which `item` has none of */
int list_add_digest(struct list *l, const struct ofs_item *item,
	const uint8_t *digest, size_t len, struct ofs_error *e);
/* all of these add everything or nothing */
int list_add_tree(struct list *l, const char *dir, struct ofs_error *e);
int list_add_sums(struct list *l, const char *path, struct ofs_error *e);
/* those have `len` bytes */
int list_add_digests(
	struct list *l, const char *path, size_t len, struct ofs_error *e);
int list_add_manifest(struct list *l, const char *path, const char *root,
	struct ofs_error *e);
int list_add_names(struct list *l, const char *path, const char *root,
	enum ofs_names how, struct ofs_error *e);

/* what `list_add_*` are made of (list.c, for list_add.c and list_place.c) */
struct list_source {
	size_t line;
	size_t root;       /* 0: none, or 1 + its index */
	size_t inside;     /* where in the path the part below it begins */
	const void *bytes; /* borrowed; NULL: a file */
	size_t n_bytes;
	const uint8_t *digest;
	size_t digest_len; /* 0: none */
};
int list_add(struct list *l, const struct ofs_item *item,
	const struct list_source *from, struct ofs_error *e);
struct list_mark {
	size_t n;
	uint64_t text;
	bool described;
};
struct list_mark list_mark(const struct list *l);
void list_back(struct list *l, struct list_mark to);
/*
 * Of each item in turn, as it was just read: where its output goes (NULL:
 * nowhere). After list_end_places they are what is read, and an item can get
 * another that makes its output impossible.
 */
int list_put_place(struct list *l, const struct list_item *it,
	const char *output, const char *absolute, struct ofs_error *e);
void list_end_places(struct list *l);
int list_set_problem(struct list *l, size_t i, size_t other, bool output,
	struct ofs_error *e);

/* Item i. After a failure `it` is an empty item with the path "". */
int list_read(const struct list *l, size_t i, struct list_item *it,
	struct ofs_error *e);

/*
 * Gives every item its output and finds those that cannot have one: two items
 * with one output, an output that is a document of the list. OFS_EFORMAT: two
 * items have one id.
 */
int list_place(struct list *l, enum ofs_format format, const char *out_dir,
	struct ofs_error *e);
/* OFS_EFORMAT when the list is larger than the limits, of which 0 is none */
int list_check_limits(const struct list *l, uint64_t max_items,
	uint64_t max_bytes, struct ofs_error *e);

/*
 * SHA-256 of "ofs-list-v1" NUL, then for every item: u64 length of the path,
 * path, one byte 0 or 1, and after a 1 the 32 bytes of the expected SHA-256.
 * When some item has more than that: "ofs-list-v2" NUL, and each item goes on
 * with id, name, version and media type: a byte 0, or a 1, u64 length, text.
 * Of an item that is not here: a byte 2, u64 length, digest.
 */
int list_sha256(const struct list *l, uint8_t out[32], struct ofs_error *e);
/* what one item adds to that, in the form of "ofs-list-v2" or the first */
void list_describe_item(const struct list_item *it, bool v2, struct buf *to);

#endif
