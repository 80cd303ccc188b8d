/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Items on their way through the pipeline, a chunk at a time. */
#ifndef SIGN_CHUNK_H
#define SIGN_CHUNK_H

#include "base/buf.h"
#include "crypto/digest.h"
#include "sign/list.h"

#define CHUNK_ITEMS_MAX 256
#define CHUNK_BYTES_MAX (16u << 20) /* of content in memory */

/* One item: what prepare found, what the token said, what came of it. */
struct work {
	size_t index; /* in the list */
	struct list_item own;
	const struct list_item *item; /* &own */
	bool read;                    /* as a whole; `digest` is known */
	bool ready;                   /* prepared: may go to the token */
	bool verified;                /* the software verification said yes */
	bool placed;                  /* the output file is under its name */
	enum ofs_item_status status;
	unsigned int attempts;      /* calls of C_Sign */
	size_t key;                 /* index of the one that it went to */
	struct ofs_error err;       /* why it is not signed */
	uint64_t size;              /* of the document */
	uint8_t digest[DIGEST_MAX]; /* of the document */
	uint8_t hash[DIGEST_MAX];   /* of what is signed */
	struct buf tbs;             /* CMS signed attributes; empty for raw */
	struct buf content;         /* attached, or raw that is signed itself */
	struct buf sig;             /* raw signature value */
	struct buf out;             /* the finished file */
	uint8_t out_sha256[32];
	int64_t token_us;
	uint64_t seq;         /* of the outcome record */
	char *copy;           /* path of the second copy; NULL: none */
	char *copy_message;   /* why that failed */
	int copy_code;        /* 0: it is there */
	struct chunk *chunk;  /* for the pipeline: it is in, and */
	struct work *again;   /* the next that was handed back */
	bool restored;        /* out was made from it: nothing is signed */
	uint8_t batch_id[16]; /* that it belongs to, when that is another, */
	char *recorded_path;  /* and where that one put the output; owned */
	const char *note;     /* of what is no failure; static; or NULL */
};

/*
 * Filled by the preparer; its ready items are signed by the token workers;
 * the committer does the rest. `next` and `done` are the pipeline's.
 */
struct chunk {
	struct work *works; /* CHUNK_ITEMS_MAX, allocated once */
	size_t n;
	size_t ready;        /* how many are */
	size_t bytes;        /* of content held */
	size_t next;         /* first work that no worker has taken */
	size_t done;         /* works that are through the token stage */
	bool abandoned;      /* no more of it goes to the token */
	uint64_t intent_seq; /* 0: none */
	int64_t began;       /* us, monotonic: handed to the workers */
	struct chunk *link;  /* in a queue */
};

struct chunk *chunk_new(void);
void chunk_free(struct chunk *c);  /* wipes signatures */
void chunk_reset(struct chunk *c); /* empty again, wiped, memory kept */
/*
 * A cleared work at the end of the chunk for item `index` of the list, or NULL
 * when it is full; chunk_drop takes it back.
 */
struct work *chunk_add(struct chunk *c, size_t index);
void chunk_drop(struct chunk *c);

struct chunk_queue {
	struct chunk *first, *last;
	size_t n;
};
void chunk_push(struct chunk_queue *q, struct chunk *c);
struct chunk *chunk_pop(struct chunk_queue *q); /* NULL: empty */

#endif
