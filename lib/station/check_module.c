/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The file of the module: who can change it, and whether somebody has. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "station/check.h"

/* somebody beside root and us can write or replace what is there */
static const char *
who_writes(const struct stat *st)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "another user, who owns it";
	/* in a sticky directory nobody replaces what others own */
	if (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0)
		return NULL;
	if ((st->st_mode & S_IWOTH) != 0)
		return "everybody";
	if ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0)
		return "its group";
	return NULL;
}

/* the file and every directory above it */
static int
writable(struct check *c, struct ofs_error *e)
{
	char *path = strdup(c->probe.info.module), *up;
	const char *who;
	struct stat st;

	while (path != NULL) {
		if (stat(path, &st) != 0) {
			int errnum = errno;

			err_sys(e, OFS_EMODULE, errnum,
				"cannot look at the module '%s'", TEXT_Q(path));
			free(path);
			return OFS_EMODULE;
		}
		who = who_writes(&st);
		if (who != NULL)
			check_add(c, "module-writable", NULL,
				"'%s' can be changed by %s: the PKCS#11 module "
				"sees every PIN",
				TEXT_Q(path), who);
		if (strcmp(path, "/") == 0) {
			free(path);
			return 0;
		}
		up = file_dirname(path);
		free(path);
		path = up;
	}
	return err_nomem(e);
}

/* the module of the last enrolment on this token */
struct last {
	const struct ofs_token_info *token;
	uint64_t seq;
	bool found, same;
};

static int
look(void *arg, uint64_t seq, const struct record_body *b, struct ofs_error *e)
{
	struct last *l = arg;
	struct ofs_field f;

	(void)e;
	if (!record_body_is(b, "party.token.serial", l->token->serial) ||
		!record_body_is(b, "party.token.label", l->token->label) ||
		(!record_body_is(b, "event", "enroll") &&
			!record_body_is(b, "event", "adopt")) ||
		!record_body_find(b, "party.token.module_sha256", &f))
		return 0;
	l->found = true;
	l->seq = seq;
	l->same = f.len == 32 &&
		memcmp(f.bytes, l->token->module_sha256, 32) == 0;
	return 0;
}

static int
changed(struct check *c, struct ofs_error *e)
{
	struct last l = { .token = &c->probe.info };
	int rc;

	/* a sealed log does not tell this station what it has recorded */
	if (c->opts.audit == NULL || log_is_sealed(c->opts.audit))
		return 0;
	rc = log_each_of_type(c->opts.audit, OFS_REC_KEY_EVENT, look, &l, e);
	if (rc == 0 && l.found && !l.same)
		check_add(c, "module-changed", NULL,
			"the PKCS#11 module is not the one of the last "
			"enrolment on this token (record %llu)",
			(unsigned long long)l.seq);
	return rc;
}

int
check_module(struct check *c, struct ofs_error *e)
{
	int rc;

	rc = writable(c, e);
	return rc == 0 ? changed(c, e) : rc;
}
