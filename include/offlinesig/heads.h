/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Heads of the record of operations that are kept outside of it. */
#ifndef OFFLINESIG_HEADS_H
#define OFFLINESIG_HEADS_H

#include <offlinesig/audit.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * A log alone cannot show that nothing was cut off at its end, or that it was
 * not put back to an older copy, its head file with it. A head that was kept
 * where the station cannot write shows that up to its number of records. What
 * is behind the newest of them is exposed.
 */

/* A head that was compared with the log, and agrees. */
struct ofs_audit_head {
	size_t size;
	/*
	 * "head-file", "backup", "checkpoint", "witness" (a checkpoint that is
	 * cosigned), "timestamp", or the kind of an anchor
	 */
	char kind[24];
	uint64_t records;
	int64_t time;     /* us: made then, or of the last record in it */
	bool outside;     /* the station cannot rewrite it */
	uint64_t seq;     /* of the record that tells of it; 0: none does */
	char place[1024]; /* where it is, as far as known */
};

/*
 * ofs_audit_check_head: compares a head that was kept outside with the log,
 * after ofs_audit_verify on the same handle: a copy of log.head, the manifest
 * of a backup, a checkpoint of the log's audit key, or a time-stamp (RFC 3161,
 * DER) over a checkpoint that the log keeps. out may be NULL.
 * OFS_EDAMAGED: the log was rolled back, was rewritten, or is another one.
 * OFS_EINVAL: the file is the head file of the log itself, or a time-stamp
 * without ofs_audit_trust_tsa(). OFS_EFORMAT: it is no head. OFS_ESIGNATURE,
 * OFS_EUNTRUSTED: its signature is wrong, or somebody else's. OFS_EIO.
 */
int ofs_audit_check_head(
	ofs_audit *audit, const char *file, struct ofs_audit_head *out);
/*
 * The newest checkpoint as a data object on a token, which anybody can read
 * there without a PIN. It shows that the log alone was put back; whoever may
 * write to the token can put back the object, too. Errors are in the record of
 * the log; out may be NULL. OFS_EKEY: the log has no audit key.
 *
 * ofs_audit_put_token_head: logs in, stores it, reads it back, deletes the
 * older ones of this log, and records an anchor. OFS_EAUDIT: there is no
 * checkpoint. OFS_EDAMAGED: the token knows of records that the log lacks;
 * nothing is replaced then. OFS_EEXIST: a newer head is there.
 * OFS_EUNSUPPORTED: the token keeps no such objects. OFS_ETOKEN: it has no
 * room.
 *
 * ofs_audit_check_token_head: as ofs_audit_check_head, with the head on the
 * token. OFS_ETOKEN: there is none, or an older one than a record tells of.
 */
int ofs_audit_put_token_head(
	ofs_audit *audit, ofs_token *token, struct ofs_audit_head *out);
int ofs_audit_check_token_head(
	ofs_audit *audit, ofs_token *token, struct ofs_audit_head *out);
/*
 * ofs_audit_trust_witness: names a witness (c2sp.org/tlog-cosignature), by its
 * verifier key; may be called again. From now on checkpoints count for
 * ofs_audit_check_head only with the cosignature of one of them, whose time is
 * that of the head. OFS_EINVAL: it is no such key.
 */
int ofs_audit_trust_witness(ofs_audit *audit, const char *vkey);
/*
 * ofs_audit_each_head: the heads that the last ofs_audit_verify found at the
 * log, of those that its records tell of the newest of each place, and those
 * that ofs_audit_check_head compared since. A non-zero return of fn ends it and
 * is returned.
 */
typedef int (*ofs_audit_head_fn)(void *arg, const struct ofs_audit_head *head);
int ofs_audit_each_head(ofs_audit *audit, ofs_audit_head_fn fn, void *arg);

/* What the log could be changed in without any of these heads showing it. */
struct ofs_audit_exposure {
	size_t size;
	bool anchored;    /* a head from outside was compared */
	uint64_t records; /* behind the newest of those; else all */
	int64_t since;    /* us: the time of that head; 0: not anchored */
	int64_t now;      /* us */
};
int ofs_audit_get_exposure(ofs_audit *audit, struct ofs_audit_exposure *out);

/*
 * Time-stamps of RFC 3161, carried by files. A time-stamping authority says
 * that a checkpoint was there at a time, which the station cannot say anew.
 */
struct ofs_tsa_opts {
	size_t size;
	const void *trust; /* certificates of roots, PEM or DER */
	size_t trust_len;
	const void *chain; /* more, where the response lacks them; or NULL */
	size_t chain_len;
};

#define OFS_TSA_OPTS_INIT                               \
	{                                               \
		sizeof(struct ofs_tsa_opts), 0, 0, 0, 0 \
	}

/*
 * ofs_audit_timestamp_request: a request (DER) over the newest checkpoint, as
 * ofs_audit_checkpoint gives it. Caller frees *der with free(). OFS_EAUDIT,
 * OFS_EKEY: there is no checkpoint.
 */
int ofs_audit_timestamp_request(ofs_audit *audit, uint8_t **der, size_t *n);
/*
 * ofs_audit_timestamp_record: checks the response to such a request and
 * records it. out may be NULL. OFS_EFORMAT; OFS_EMISMATCH: the request is over
 * no checkpoint of this log; OFS_ESIGNATURE, OFS_EUNTRUSTED: the response is
 * not to this request, wrong, or of somebody else.
 */
int ofs_audit_timestamp_record(ofs_audit *audit,
	const struct ofs_tsa_opts *opts, const void *request,
	size_t request_len, const void *response, size_t response_len,
	struct ofs_audit_head *out);
/*
 * ofs_audit_trust_tsa: from now on ofs_audit_verify checks the time-stamps in
 * the log, at the time that they state, and counts good ones as heads from
 * outside. The options are copied.
 */
int ofs_audit_trust_tsa(ofs_audit *audit, const struct ofs_tsa_opts *opts);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
