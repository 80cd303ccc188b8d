/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is signed and how: the options and results that batches share. */
#ifndef OFFLINESIG_SIGN_H
#define OFFLINESIG_SIGN_H

#include <offlinesig/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* What to do where an output exists already. */
enum ofs_existing {
	OFS_EXISTING_FAIL, /* the item fails with OFS_EEXIST */
	OFS_EXISTING_REPLACE,
	OFS_EXISTING_SKIP /* the item is reported as skipped */
};

/* What to do with a document that this key has signed before. */
enum ofs_duplicate {
	OFS_DUPLICATE_DEFAULT, /* skip; with OFS_EXISTING_REPLACE sign */
	OFS_DUPLICATE_SIGN,    /* as if it were new */
	OFS_DUPLICATE_SKIP,  /* when its signature stands there and is valid */
	OFS_DUPLICATE_REFUSE /* then the item fails with OFS_EEXIST */
};

struct ofs_sign_opts {
	size_t size;
	enum ofs_format format;
	enum ofs_digest digest;
	/*
	 * PEM certificates, the signer's first, then intermediates; NULL: the
	 * token's certificate with the key's id. Copied. A self-signed issuer
	 * among the intermediates is not embedded.
	 */
	const void *certs;
	size_t certs_len;
	bool allow_expired;  /* sign with a certificate out of its validity */
	const char *out_dir; /* NULL: beside each document */
	enum ofs_existing existing;
	unsigned int jobs;  /* token sessions; 0: one for each processor */
	bool stop_on_error; /* no further item once one has failed */
	enum ofs_padding padding; /* of an RSA key */
	bool low_s;               /* secp256k1: s never above half the order */
	/* a batch beyond these is refused before the first signature; 0: any */
	size_t max_items;
	uint64_t max_bytes; /* of all documents */
	/*
	 * Where a long list lies while the batch works on it, in a file that
	 * has no name and is readable for nobody else; NULL: the directory of
	 * the audit log. Copied.
	 */
	const char *spool_dir;
	/*
	 * A second copy of every released file goes below this directory,
	 * which must exist, with the path that it has below out_dir, or that of
	 * the document. It is read back and compared. Copied string; NULL: none
	 */
	const char *copy_dir;
	unsigned int rate; /* signatures a minute at most; 0: no limit */
	/*
	 * Hexadecimal id of an unfinished batch, or its beginning, that the
	 * list must be of; copied. NULL: a list of
	 * files that an unfinished batch of this log has begun with the same
	 * key, format and outputs is gone on with by itself.
	 */
	const char *resume;
	bool resign_unknown; /* sign what has an unknown outcome once more */
	enum ofs_duplicate on_duplicate;
	/*
	 * Documents may be added while the batch runs, which goes on until
	 * ofs_batch_end(). Nobody can plan such a batch, or go on with it.
	 */
	bool open_ended;
};

#define OFS_SIGN_OPTS_INIT                                                     \
	{                                                                      \
		sizeof(struct ofs_sign_opts), OFS_FORMAT_CMS,                  \
			OFS_DIGEST_DEFAULT, 0, 0, false, 0, OFS_EXISTING_FAIL, \
			0, false, OFS_PADDING_DEFAULT, false, 0, 0, 0, 0, 0,   \
			0, false, OFS_DUPLICATE_DEFAULT, false                 \
	}

enum ofs_item_status {
	OFS_ITEM_SIGNED, /* recorded and released */
	/*
	 * its output exists (OFS_EXISTING_SKIP), or it was signed by an earlier
	 * run, and the output stands: `seq` is of that run's outcome then
	 */
	OFS_ITEM_SKIPPED,
	OFS_ITEM_FAILED, /* see code and message; recorded if it was begun */
	OFS_ITEM_NOT_ATTEMPTED, /* cancelled or stopped before C_Sign */
	OFS_ITEM_UNKNOWN /* C_Sign was asked, the outcome is not recorded */
};

/*
 * A document with what is known of it. The texts are UTF-8 without control
 * characters and not empty, or NULL; none of them is read from the document.
 */
struct ofs_item {
	size_t size;
	const char *path;
	/* 32 bytes that the document must have, or NULL */
	const uint8_t *sha256;
	const char *id;      /* at most 255 bytes, no two alike in a batch */
	const char *name;    /* 1,023 bytes; for the record; NULL: base name */
	const char *version; /* 255 bytes */
	const char *media_type; /* "application/xml"; 255 bytes */
};

#define OFS_ITEM_INIT                                     \
	{                                                 \
		sizeof(struct ofs_item), 0, 0, 0, 0, 0, 0 \
	}

/* The result of one item; pointers are borrowed for the call. */
struct ofs_result {
	size_t size;
	size_t index; /* in the order of adding, from 0 */
	enum ofs_item_status status;
	const char *path;   /* as given */
	const char *output; /* path of the signature file; NULL: memory item */
	enum ofs_digest digest_alg;
	const uint8_t *digest; /* of the document; NULL where not read */
	size_t digest_len;
	uint64_t document_size;
	uint64_t seq; /* of the outcome record; 0 if none */
	const uint8_t
		*signature; /* the finished file's bytes, memory items only */
	size_t signature_len;
	int code;            /* 0 when signed or skipped */
	const char *message; /* "" when signed; a note when skipped, or "" */
	const char *id;      /* of the item; NULL: none */
	/* with copy_dir, of what is signed or skipped; else NULL, 0 and "" */
	const char *copy;         /* path of the second copy */
	int copy_code;            /* why it could not be made; 0: it is there */
	const char *copy_message; /* one line; "" when it is there */
};

/* ofs_format_suffix: ".p7s", ".p7m" or ".sig". Static. */
const char *ofs_format_suffix(enum ofs_format format);
/* ofs_is_signature_name: whether a file name ends in one of these. */
bool ofs_is_signature_name(const char *name);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
