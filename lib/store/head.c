/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The head file beside the store: how far the log had got, and its root. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "store/head.h"

#include "base/buf.h"
#include "base/rd.h"
#include "crypto/digest.h"

#define MAGIC 0x4f465348u /* "OFSH" */
#define VERSION 1
#define SLOT_SIZE 4096 /* a torn write of one cannot reach the other */
#define SIGNED_SIZE 70 /* what the checksum covers */
#define USED_SIZE (SIGNED_SIZE + 32)

static ssize_t
read_at(int fd, uint8_t *to, size_t n, off_t at)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(fd, to + have, n - have, at + (off_t)have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int
write_at(int fd, const uint8_t *p, size_t n, off_t at)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, p, n, at);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		if (put == 0)
			return EIO;
		p += put;
		n -= (size_t)put;
		at += put;
	}
	return 0;
}

static int
decode(const uint8_t slot[SLOT_SIZE], struct head *h, struct ofs_error *e)
{
	uint8_t sum[32];
	struct rd r;
	uint32_t magic;
	uint16_t version;
	int rc;

	rd_init(&r, slot, SIGNED_SIZE);
	magic = rd_u32(&r);
	version = rd_u16(&r);
	rd_copy(&r, h->log_id, sizeof(h->log_id));
	h->size = rd_u64(&r);
	h->time = (int64_t)rd_u64(&r);
	rd_copy(&r, h->root, sizeof(h->root));
	rc = digest_of(&digest_sha256, slot, SIGNED_SIZE, sum, e);
	if (rc != 0)
		return rc;
	if (!rd_done(&r) || magic != MAGIC ||
		memcmp(sum, slot + SIGNED_SIZE, sizeof(sum)) != 0)
		return err_set(e, OFS_EDAMAGED, "its checksum does not match");
	if (version != VERSION)
		return err_set(
			e, OFS_EDAMAGED, "its version %u is unknown", version);
	if (h->size == 0 || h->size > INT64_MAX || h->time < 0)
		return err_set(e, OFS_EDAMAGED, "its size is out of range");
	for (size_t i = USED_SIZE; i < SLOT_SIZE; i++)
		if (slot[i] != 0)
			return err_set(e, OFS_EDAMAGED,
				"bytes behind its checksum are not zero");
	return 0;
}

static int
encode(const struct head *h, uint8_t slot[SLOT_SIZE], struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	int rc;

	buf_u32(&b, MAGIC);
	buf_u16(&b, VERSION);
	buf_put(&b, h->log_id, sizeof(h->log_id));
	buf_u64(&b, h->size);
	buf_u64(&b, (uint64_t)h->time);
	buf_put(&b, h->root, sizeof(h->root));
	if (!buf_ok(&b) || b.len != SIGNED_SIZE) {
		buf_free(&b);
		return err_nomem(e);
	}
	memset(slot, 0, SLOT_SIZE);
	memcpy(slot, b.p, SIGNED_SIZE);
	buf_free(&b);
	rc = digest_of(
		&digest_sha256, slot, SIGNED_SIZE, slot + SIGNED_SIZE, e);
	return rc;
}

int
head_read(int fd, struct head_file *f, struct ofs_error *e)
{
	uint8_t slot[SLOT_SIZE];
	ssize_t got;
	int rc;

	memset(f, 0, sizeof(*f));
	if (fd < 0)
		return 0;
	f->present = true;
	for (int i = 0; i < HEAD_SLOTS; i++) {
		got = read_at(fd, slot, sizeof(slot), (off_t)i * SLOT_SIZE);
		if (got < 0)
			return err_sys(e, OFS_EAUDIT, errno,
				"cannot read the head file of the audit log");
		if (got < (ssize_t)sizeof(slot)) {
			(void)err_set(&f->why, OFS_EDAMAGED, "it is cut off");
			continue;
		}
		rc = decode(slot, &f->slot[i], &f->why);
		if (rc == OFS_EDAMAGED)
			continue;
		if (rc != 0) {
			*e = f->why;
			return rc;
		}
		f->valid[i] = true;
	}
	if (!f->valid[0] && !f->valid[1])
		return err_set(e, OFS_EDAMAGED,
			"head file of the audit log is damaged: %s; compare "
			"the log with a head kept elsewhere before it is "
			"removed",
			f->why.message);
	return 0;
}

const struct head *
head_newest(const struct head_file *f)
{
	if (f->valid[0] && (!f->valid[1] || f->slot[0].size > f->slot[1].size))
		return &f->slot[0];
	return f->valid[1] ? &f->slot[1] : NULL;
}

int
head_write(int fd, const struct head_file *old, const struct head *h,
	struct ofs_error *e)
{
	const struct head *newest = head_newest(old);
	uint8_t slot[SLOT_SIZE];
	int rc, errnum;

	rc = encode(h, slot, e);
	if (rc != 0)
		return rc;
	for (int i = 0; i < HEAD_SLOTS; i++) {
		if (newest == &old->slot[i])
			continue;
		errnum = write_at(fd, slot, sizeof(slot), (off_t)i * SLOT_SIZE);
		if (errnum == 0 && fdatasync(fd) != 0)
			errnum = errno;
		if (errnum != 0)
			return err_sys(e, OFS_EAUDIT, errnum,
				"cannot write the head file of the audit log");
	}
	return 0;
}
