/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a log: its epochs, and what opens and makes them. */
#ifndef AUDIT_KEYS_H
#define AUDIT_KEYS_H

#include <openssl/x509.h>

#include "audit/keyfile.h"
#include "audit/log.h"
#include "audit/tag.h"
#include "crypto/wrap.h"
#include "format/seal.h"

#define KEYS_PASSPHRASE_MAX 1023
#define KEYS_SEALED_MAX 256 /* epochs of a sealed log, which has many */

/* a wrapped key in the record of an epoch */
struct key_wrap {
	struct ofs_field what, kind, hint, data; /* hint.bytes NULL: none */
};

/* how bodies are kept: the genesis says it */
enum log_mode { LOG_PLAIN, LOG_STATION, LOG_SEALED };

/* One epoch; in locked memory. */
struct key_epoch {
	uint32_t epoch;
	uint64_t seq;        /* of its record */
	uint64_t used;       /* the larger, the later */
	bool open;           /* its key is here */
	bool own;            /* made by this handle, which may write with it */
	bool tagged;         /* its record has a tag key: documents have tags */
	uint8_t readers[32]; /* hash over the certificates it is wrapped for */
	uint8_t batches[32]; /* hash over the wraps of the batch key */
	uint8_t data[SEAL_KEY];
	struct xaes xaes;
};

/* What opens epochs; in locked memory. */
struct key_secrets {
	bool has_station, has_token, has_tag, has_kek, has_batch;
	uint8_t station[KEYFILE_SIZE];
	struct wrap_token token;     /* a station key on a token, and */
	uint8_t token_kek[WRAP_KEY]; /* what it decrypted of that */
	uint8_t batch[SEAL_KEY]; /* a sealed log: it wraps keys that are kept */
	uint8_t batch_of[32];    /* the hash of an epoch: batch is of that */
	uint8_t tag[SEAL_KEY];
	char passphrase[KEYS_PASSPHRASE_MAX + 1]; /* "": none */
	struct wrap_scrypt scrypt;                /* what kek was made with */
	uint8_t kek[WRAP_KEY];                    /* of the passphrase */
};

/* A part of the handle; all under its mutex. */
struct keys {
	enum log_mode mode;
	struct key_secrets *s;
	/* by epoch; those that were asked for, of a sealed log the latest */
	struct key_epoch **p;
	size_t n, cap;
	uint64_t uses;
	bool keep_all;    /* from kept_load() to the end of a rotation */
	uint32_t newest;  /* as of the transaction */
	uint32_t current; /* what is written with; 0: none yet */
	struct key_epoch *writer; /* in this transaction; NULL: not known yet */
	EVP_PKEY *reader;         /* an auditor's */
	X509 *reader_cert;
	struct ofs_error why; /* no station key: the reason */
	bool served;          /* a batch was written with the current epoch */
	bool sweep;           /* in this transaction something was finished */
	struct seal seal;
};

int keys_init(struct keys *k, struct ofs_error *e);
void keys_free(struct keys *k);
/* the word of the genesis; NULL: plain */
int keys_set_mode(struct keys *k, const char *mode, struct ofs_error *e);

/*
 * The functions below are called with the handle's mutex held and the store
 * open. Finds the station key that the newest epoch names, if in a file.
 */
int keys_find(ofs_audit *a, struct ofs_error *e);
/* a station key on a token, from now on */
void keys_take_token(struct keys *k, const struct log_station_key *station);
/* another reader's secret came in: what could not be opened may be now */
void keys_retry(ofs_audit *a);
/* forgets what was opened, but what this handle writes with */
void keys_lock(ofs_audit *a);
/*
 * The epoch, opened if anything here opens it: (*out)->open. OFS_EDAMAGED when
 * there is no such epoch, or its record says another key.
 */
int keys_epoch(ofs_audit *a, uint32_t epoch, struct key_epoch **out,
	struct ofs_error *e);
/* The key of a record whose body is sealed; *has: there is one here. */
int keys_record(ofs_audit *a, const struct record_header *h,
	uint8_t record_key[SEAL_KEY], bool *has, struct ofs_error *e);
/*
 * The body of a record in the clear: *der is `body` itself where it is plain,
 * and else in a->keys.seal.out; NULL: no key here.
 */
int keys_open_body(ofs_audit *a, const struct record_header *h,
	const uint8_t *body, size_t n, const uint8_t **der, size_t *der_n,
	struct ofs_error *e);

/*
 * Inside a transaction: what the next body is encrypted with. In a sealed log
 * this makes an epoch when the handle has none, or not one for the present
 * auditors. *out is NULL for a plain log.
 */
int keys_for_writing(ofs_audit *a, struct key_epoch **out, struct ofs_error *e);
/* a transaction begins: others may have begun epochs */
void keys_begin(ofs_audit *a);
/* a transaction that was rolled back had begun with `size` records */
void keys_forget_from(ofs_audit *a, uint64_t size);

/* keys_make.c: an epoch that begins now. All but `reason` may be absent. */
struct key_plan {
	const char *reason;
	STACK_OF(X509) *auditors;
	const char *station; /* its key is in k->s: absolute path, or URI */
	bool on_token;       /* a URI */
	bool passphrase;     /* the one in k->s */
	/*
	 * A sealed log, where the two do not open records: make the batch key
	 * for them; or it is in the wraps of this older epoch.
	 */
	bool batch;
	struct record_body *like;
	bool tag; /* with the tag key: made when there is none */
	const struct key_epoch *previous; /* readers of this read that, too */
};
int keys_make(ofs_audit *a, const struct key_plan *plan, struct ofs_error *e);
/* the same plan as that of an older epoch: free with keys_plan_free() */
int keys_plan_of(ofs_audit *a, uint32_t epoch, struct key_plan *plan,
	struct ofs_error *e);
void keys_plan_free(struct key_plan *plan);
/* the station key that it names from now on; `station` is taken */
void keys_plan_station(struct key_plan *plan, char *station, bool on_token);
/* the same of one on a token, which is k->s's from now on, too */
int keys_plan_token(ofs_audit *a, struct key_plan *plan,
	const struct log_station_key *station, struct ofs_error *e);

/*
 * keys_kept.c: the keys of what is unfinished in a sealed log that has a batch
 * key. begin: a batch is to be opened in this transaction; put: with this id.
 * moved: the handle's epoch, which was `from`, is another one from now on.
 * open: the data key of an epoch, if it is kept and the batch key is here.
 * lacks: how many lists are not finished that no key is kept for.
 */
int kept_begin(ofs_audit *a, struct ofs_error *e);
int kept_put(ofs_audit *a, const uint8_t batch_id[16], struct ofs_error *e);
int kept_moved(ofs_audit *a, uint32_t from, const struct key_epoch *to,
	struct ofs_error *e);
int kept_open(ofs_audit *a, uint32_t epoch, uint8_t data[SEAL_KEY], bool *has,
	struct ofs_error *e);
int kept_sweep(ofs_audit *a, struct ofs_error *e);
int kept_lacks(ofs_audit *a, uint64_t *n, struct ofs_error *e);
/*
 * The secret that opens the batch key may be changed by another process: then
 * the batch key is another one. *same is false when it was, and what is here
 * does not open the new one.
 */
int kept_check(ofs_audit *a, bool *same, struct ofs_error *e);
/*
 * For another batch key. load: opens, with the batch key or an auditor's key,
 * all epochs that are needed, and remembers which; OFS_EAUDIT when one that is
 * kept cannot be. renew: keeps them with the present batch key, and nothing
 * else; *left: of how many batches not all could be opened.
 */
struct kept_entry {
	uint8_t batch_id[16];
	uint32_t epoch;
};
struct kept_list {
	struct kept_entry *p;
	size_t n, cap;
};
int kept_load(ofs_audit *a, struct kept_list *l, struct ofs_error *e);
int kept_renew(ofs_audit *a, const struct kept_list *l, uint64_t *left,
	struct ofs_error *e);
/* the batch key out of the newest epoch, with the secrets that are here */
int kept_find(ofs_audit *a, struct ofs_error *e);
/* before a walk: other processes may have kept keys since */
void kept_look_again(ofs_audit *a);
/* for keys_make(): the wraps of an older epoch that go on; NULL: nothing */
bool kept_wrap(const struct record_body *like, size_t *i, struct key_wrap *w);

/* for keys*.c: the first wrap of a key `what` that opens; *has: there is one */
int keys_unwrap(struct keys *k, const struct record_body *b, const char *what,
	uint8_t key[SEAL_KEY], bool *has, struct ofs_error *e);
/*
 * Before keys are wrapped anew: a station key or passphrase that does not open
 * this epoch, which has one of its kind, was changed since it came here.
 */
void keys_forget_stale(struct keys *k, const struct record_body *b);
/* for keys*.c: the decoded record of an epoch; free it */
int keys_record_of(ofs_audit *a, uint32_t epoch, uint64_t *seq,
	struct record_body **out, struct ofs_error *e);
/* that of the newest, which k->newest is then; free it */
int keys_newest(ofs_audit *a, struct record_body **out, struct ofs_error *e);
/* hash over its wraps of the batch key */
int keys_hash_batches(struct keys *k, const struct record_body *b,
	uint8_t out[32], struct ofs_error *e);
/* the i-th wrap of it; false: there are no more */
bool keys_wrap(const struct record_body *b, size_t i, struct key_wrap *w);
bool keys_is(const struct ofs_field *f, const char *text);
/* whether it is one by the station key, and says where that is */
bool keys_is_station(const struct key_wrap *w);
/* makes room for an entry; it is the caller's until keys_put() */
struct key_epoch *keys_entry_new(uint32_t epoch, uint64_t seq);
void keys_entry_free(struct key_epoch *ep);
int keys_put(struct keys *k, struct key_epoch *ep, struct ofs_error *e);

#endif
