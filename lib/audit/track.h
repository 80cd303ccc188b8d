/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Batches whose list is not finished, and what became of its items. */
#ifndef AUDIT_TRACK_H
#define AUDIT_TRACK_H

#include "audit/log.h"
#include "store/runs.h"

/*
 * A batch is tracked from its BATCH OPENED on, until its whole list is done:
 * by itself or by later batches that go on with it, all of which have the id
 * of the first as their root. A batch that was closed and left nothing that a
 * later one has to know is not tracked any more either.
 */
struct track {
	uint64_t opened_seq;
	uint8_t batch_id[16], root_id[16];
	uint8_t list_sha256[32];    /* what is signed, */
	uint8_t outputs_sha256[32]; /* where the signatures go, */
	uint8_t spki_sha256[32];    /* with which key, */
	char form[64];              /* and how: "cms ecdsa-sha256" */
	uint64_t items;
	uint64_t closed_seq; /* of its BATCH CLOSED; 0: none */
	bool alive;          /* not for log_track_open */
};

/* in a sealed log the row does not say what the list is: its record does */
struct store_track;
void track_hide(struct store_track *row);
/* whether its own id, or that of its list, begins with these digits */
#define TRACK_ID_DIGITS 4 /* that must be given, at least */
bool track_has_id(const struct track *t, const char *digits);

/*
 * What is said of an id that names no list: check_id, OFS_EINVAL when it cannot
 * be one; missing and ambiguous, OFS_EFORMAT when nothing that is tracked has
 * it, or more than one list.
 */
int track_check_id(const char *digits, struct ofs_error *e);
int track_missing(ofs_audit *a, const char *digits, struct ofs_error *e);
int track_ambiguous(const char *digits, struct ofs_error *e);

/*
 * Inside a transaction, for what was appended in it. open: after the BATCH
 * OPENED, whose log_entry had LOG_FORMAT_TRACKS. items: replaces the runs that
 * begin at items first..last of the batch by these; n may be 0. unknown: the
 * items that this intent announced. close: by this record; `finished` when all
 * items of the list are signed and released, or were passed over. abandon: all
 * batches of a list; OFS_EEXIST when one of them is not closed.
 */
#define LOG_FORMAT_TRACKS 3
int log_track_open(ofs_audit *a, const struct track *t, struct ofs_error *e);
int log_track_items(ofs_audit *a, uint64_t opened_seq, uint64_t first,
	uint64_t last, const struct item_run *runs, size_t n,
	struct ofs_error *e);
int log_track_unknown(ofs_audit *a, uint64_t opened_seq, uint64_t intent_seq,
	struct ofs_error *e);
int log_track_close(ofs_audit *a, uint64_t opened_seq, uint64_t closed_seq,
	bool finished, struct ofs_error *e);
int log_track_abandon(
	ofs_audit *a, const uint8_t root_id[16], struct ofs_error *e);

/* What is tracked, the oldest first; fn as that of log_each_open_batch(). */
int log_each_track(ofs_audit *a, int (*fn)(void *arg, const struct track *t),
	void *arg, struct ofs_error *e);
/* the one with this id; *found is false where there is none */
int log_track_of(ofs_audit *a, const uint8_t batch_id[16], struct track *out,
	bool *found, struct ofs_error *e);
/* the items of one batch, added to *out */
int log_track_runs(ofs_audit *a, uint64_t opened_seq, struct runs *out,
	struct ofs_error *e);
/*
 * What all batches of a list have come to: an item that one of them signed is
 * signed (the latest counts); else, where the outcome is unknown or still to
 * come, RUN_UNKNOWN. Other items are left out.
 */
int log_list_runs(ofs_audit *a, const uint8_t root_id[16], struct runs *out,
	struct ofs_error *e);

/*
 * Holds a list while it is worked on, as log_batch_hold() does a batch:
 * OFS_EEXIST when another run has it. *number is for log_batch_release().
 */
int log_list_hold(ofs_audit *a, const struct track *t, uint64_t *number,
	struct ofs_error *e);

#endif
