/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The fixed header of audit records: 180 bytes, big-endian. */
#include <string.h>

#include "format/record.h"

#include "base/rd.h"
#include "format/seal.h"

#define MAGIC 0x4f465352u /* "OFSR" */
#define VERSION 1

static const char *const type_names[] = {
	[OFS_REC_GENESIS] = "genesis",
	[OFS_REC_BATCH_OPENED] = "batch-opened",
	[OFS_REC_BATCH_CLOSED] = "batch-closed",
	[OFS_REC_INTENT] = "intent",
	[OFS_REC_OUTCOME] = "outcome",
	[OFS_REC_RECOVERY] = "recovery",
	[OFS_REC_LOGIN] = "login",
	[OFS_REC_KEY_LENT] = "key-lent",
	[OFS_REC_KEY_EVENT] = "key-event",
	[OFS_REC_TOKEN_EVENT] = "token-event",
	[OFS_REC_RELEASE] = "release",
	[OFS_REC_EPOCH] = "epoch",
	[OFS_REC_ANCHOR] = "anchor",
	[OFS_REC_LOG_EVENT] = "log-event",
};

#define N_TYPES (sizeof(type_names) / sizeof(type_names[0]))

const char *
record_type_name(int type)
{
	if (type < 1 || (size_t)type >= N_TYPES)
		return "?";
	return type_names[type];
}

static uint8_t *
put_number(uint8_t *to, uint64_t v, size_t n)
{
	for (size_t i = n; i > 0; i--) {
		to[i - 1] = (uint8_t)v;
		v >>= 8;
	}
	return to + n;
}

static uint8_t *
put_bytes(uint8_t *to, const uint8_t *p, size_t n)
{
	memcpy(to, p, n);
	return to + n;
}

void
record_header_encode(
	const struct record_header *h, uint8_t to[RECORD_HEADER_SIZE])
{
	to = put_number(to, MAGIC, 4);
	to = put_number(to, VERSION, 2);
	to = put_bytes(to, h->log_id, sizeof(h->log_id));
	to = put_number(to, h->type, 2);
	to = put_number(to, h->flags, 2);
	to = put_number(to, h->cipher, 2);
	to = put_number(to, h->seq, 8);
	to = put_number(to, (uint64_t)h->time, 8);
	to = put_number(to, (uint64_t)h->boottime, 8);
	to = put_bytes(to, h->boot_id, sizeof(h->boot_id));
	to = put_bytes(to, h->batch_id, sizeof(h->batch_id));
	to = put_number(to, h->epoch, 4);
	to = put_number(to, h->body_len, 4);
	to = put_bytes(to, h->nonce, sizeof(h->nonce));
	to = put_bytes(to, h->key_commit, sizeof(h->key_commit));
	(void)put_bytes(to, h->body_sha256, sizeof(h->body_sha256));
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	uint8_t any = 0;

	for (size_t i = 0; i < n; i++)
		any |= p[i];
	return any == 0;
}

/* what a plain body leaves no choice about; a sealed one has an epoch */
static int
check_cipher(const struct record_header *h, struct ofs_error *e)
{
	if (h->cipher > SEAL_CIPHER)
		return err_set(e, OFS_EFORMAT,
			"record header has unknown body cipher %u", h->cipher);
	if (h->cipher == SEAL_CIPHER) {
		if (h->epoch == 0)
			return err_set(e, OFS_EFORMAT,
				"record header has no epoch for a sealed body");
		if (h->body_len % SEAL_PAD != XAES_TAG ||
			h->body_len < SEAL_PAD)
			return err_set(e, OFS_EFORMAT,
				"record header has body length %u for a "
				"sealed body",
				h->body_len);
		return 0;
	}
	if (h->epoch != 0 || !all_zero(h->nonce, sizeof(h->nonce)) ||
		!all_zero(h->key_commit, sizeof(h->key_commit)))
		return err_set(e, OFS_EFORMAT,
			"record header has an epoch, nonce or key commitment "
			"for a plain body");
	return 0;
}

static int
check_values(const struct record_header *h, struct ofs_error *e)
{
	if (h->type == 0)
		return err_set(e, OFS_EFORMAT, "record header has no type");
	if (h->flags != 0)
		return err_set(e, OFS_EFORMAT,
			"record header has unknown flags 0x%x", h->flags);
	if (check_cipher(h, e) != 0)
		return e->code;
	if (h->time < 0 || h->boottime < 0 || h->seq > INT64_MAX)
		return err_set(e, OFS_EFORMAT,
			"record header has a number out of range");
	if (h->body_len == 0 || h->body_len > RECORD_BODY_MAX)
		return err_set(e, OFS_EFORMAT,
			"record header has body length %u", h->body_len);
	return 0;
}

int
record_header_decode(const uint8_t *p, size_t n, struct record_header *h,
	struct ofs_error *e)
{
	struct rd r;
	uint32_t magic;
	uint16_t version;

	memset(h, 0, sizeof(*h));
	rd_init(&r, p, n);
	magic = rd_u32(&r);
	version = rd_u16(&r);
	rd_copy(&r, h->log_id, sizeof(h->log_id));
	h->type = rd_u16(&r);
	h->flags = rd_u16(&r);
	h->cipher = rd_u16(&r);
	h->seq = rd_u64(&r);
	h->time = (int64_t)rd_u64(&r);
	h->boottime = (int64_t)rd_u64(&r);
	rd_copy(&r, h->boot_id, sizeof(h->boot_id));
	rd_copy(&r, h->batch_id, sizeof(h->batch_id));
	h->epoch = rd_u32(&r);
	h->body_len = rd_u32(&r);
	rd_copy(&r, h->nonce, sizeof(h->nonce));
	rd_copy(&r, h->key_commit, sizeof(h->key_commit));
	rd_copy(&r, h->body_sha256, sizeof(h->body_sha256));
	if (!rd_done(&r))
		return err_set(e, OFS_EFORMAT,
			"record header has %zu bytes instead of %d", n,
			RECORD_HEADER_SIZE);
	if (magic != MAGIC)
		return err_set(e, OFS_EFORMAT, "record header has no magic");
	if (version != VERSION)
		return err_set(e, OFS_EFORMAT,
			"record header has unknown version %u", version);
	return check_values(h, e);
}
