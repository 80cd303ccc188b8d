/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The slots of all modules of a context and the tokens in them. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/text.h"
#include "token/label.h"
#include "token/token.h"

#define SHOWN_MAX 8 /* tokens that a message names */
/* a token with no more sessions is shared by turns */
#define SCARCE_SESSIONS 16

int
slot_read(struct module *m, CK_SLOT_ID id, CK_TOKEN_INFO *raw,
	struct ofs_error *e)
{
	CK_RV rv;

	memset(raw, 0, sizeof(*raw));
	CRYPTOKI(rv, m->f->C_GetTokenInfo(id, raw));
	if (rv != CKR_OK)
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"cannot ask the token in slot %lu of '%s' about itself",
			id, TEXT_Q(m->path));
	return 0;
}

#define TRIMMED(field)            \
	(const uint8_t *)(field), \
		label_len((const uint8_t *)(field), sizeof(field))

void
slot_describe(const struct slot *s, struct ofs_token_info *info)
{
	const CK_TOKEN_INFO *t = &s->raw;
	size_t len = strlen(s->module->path);

	memset(info, 0, sizeof(*info));
	info->size = sizeof(*info);
	label_text(info->label, sizeof(info->label), TRIMMED(t->label));
	label_text(info->manufacturer, sizeof(info->manufacturer),
		TRIMMED(t->manufacturerID));
	label_text(info->model, sizeof(info->model), TRIMMED(t->model));
	label_text(
		info->serial, sizeof(info->serial), TRIMMED(t->serialNumber));
	uri_format(t, NULL, info->uri, sizeof(info->uri));
	if (len < sizeof(info->module))
		memcpy(info->module, s->module->path, len + 1);
	memcpy(info->module_sha256, s->module->sha256, 32);
	info->slot_id = s->id;
	info->firmware_major = t->firmwareVersion.major;
	info->firmware_minor = t->firmwareVersion.minor;
	info->flags = t->flags;
	info->initialised = slot_initialised(s);
	info->pin_initialised = (t->flags & CKF_USER_PIN_INITIALIZED) != 0;
	info->login_required = (t->flags & CKF_LOGIN_REQUIRED) != 0;
	info->pinpad = (t->flags & CKF_PROTECTED_AUTHENTICATION_PATH) != 0;
	info->pin_count_low = (t->flags & CKF_USER_PIN_COUNT_LOW) != 0;
	info->pin_final_try = (t->flags & CKF_USER_PIN_FINAL_TRY) != 0;
	info->pin_locked = (t->flags & CKF_USER_PIN_LOCKED) != 0;
	info->pin_to_be_changed = (t->flags & CKF_USER_PIN_TO_BE_CHANGED) != 0;
}

bool
slot_initialised(const struct slot *s)
{
	return (s->raw.flags & CKF_TOKEN_INITIALIZED) != 0;
}

bool
slot_same_token(const CK_TOKEN_INFO *a, const CK_TOKEN_INFO *b)
{
	return memcmp(a->label, b->label, sizeof(a->label)) == 0 &&
		memcmp(a->serialNumber, b->serialNumber,
			sizeof(a->serialNumber)) == 0;
}

static int
list_add(struct slot_list *l, const struct slot *s, struct ofs_error *e)
{
	struct slot *more = realloc(l->v, (l->n + 1) * sizeof(*more));

	if (more == NULL)
		return err_nomem(e);
	l->v = more;
	l->v[l->n++] = *s;
	return 0;
}

/*
 * Whether processes fight over this token's sessions. One that does not say
 * how many it has is left alone, unless it is one that is plugged in.
 */
static bool
is_scarce(const struct slot *s)
{
	CK_ULONG max = s->raw.ulMaxSessionCount;
	CK_SLOT_INFO info;
	CK_RV rv;

	if (max != CK_EFFECTIVELY_INFINITE && max != CK_UNAVAILABLE_INFORMATION)
		return max <= SCARCE_SESSIONS;
	memset(&info, 0, sizeof(info));
	CRYPTOKI(rv, s->module->f->C_GetSlotInfo(s->id, &info));
	return rv == CKR_OK && (info.flags & CKF_REMOVABLE_DEVICE) != 0;
}

struct scan {
	const ofs_ctx *ctx;
	struct module *m;
	struct slot_list *out;
};

static int
scan(void *arg, struct ofs_error *e)
{
	const struct scan *sc = arg;
	CK_SLOT_ID *ids = NULL;
	struct slot s = { .module = sc->m };
	size_t n = 0;
	int rc;

	rc = module_slots(sc->m, &ids, &n, e);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		s.id = ids[i];
		if (slot_read(s.module, ids[i], &s.raw, e) != 0) {
			ctx_log(sc->ctx, OFS_LOG_WARNING,
				"slot passed over: %s", e->message);
			err_clear(e);
			continue;
		}
		s.scarce = is_scarce(&s);
		rc = list_add(sc->out, &s, e);
	}
	free(ids);
	return rc;
}

int
slot_scan_module(const ofs_ctx *ctx, struct module *m, struct slot_list *out,
	struct ofs_error *e)
{
	struct scan sc = { ctx, m, out };
	int rc;

	rc = module_run(m, scan, &sc, e);
	/* a module that hangs is as bad as one that fails */
	if (rc == OFS_ETOKEN)
		e->code = rc = OFS_EMODULE;
	return rc;
}

int
slot_scan(ofs_ctx *ctx, struct slot_list *out, struct ofs_error *e)
{
	size_t failed = 0;
	int rc = 0;

	memset(out, 0, sizeof(*out));
	if (ctx->modules == NULL || ctx->modules->n == 0)
		return err_set(e, OFS_EMODULE,
			"cannot look for tokens: no PKCS#11 module was named; "
			"name one");
	for (size_t i = 0; rc == 0 && i < ctx->modules->n; i++) {
		rc = slot_scan_module(ctx, ctx->modules->v[i], out, e);
		if (rc != OFS_EMODULE)
			continue;
		/* one broken module does not hide the others' tokens */
		if (++failed == ctx->modules->n)
			break;
		ctx_log(ctx, OFS_LOG_WARNING, "module passed over: %s",
			e->message);
		err_clear(e);
		rc = 0;
	}
	return rc;
}

void
slot_list_free(struct slot_list *l)
{
	free(l->v);
	memset(l, 0, sizeof(*l));
}

/* "'payroll' (serial 1234, slot 7), ..." */
static void
name_tokens(const struct slot_list *l, const struct uri *u, bool blank,
	struct buf *to)
{
	struct ofs_token_info info;
	size_t shown = 0, more = 0;

	for (size_t i = 0; i < l->n; i++) {
		if (!blank && !slot_initialised(&l->v[i]))
			continue;
		if (u != NULL &&
			!uri_matches_token(u, &l->v[i].raw, l->v[i].id))
			continue;
		if (shown == SHOWN_MAX) {
			more++;
			continue;
		}
		slot_describe(&l->v[i], &info);
		buf_printf(to, "%s'%s' (serial %s, slot %lu)",
			shown++ > 0 ? ", " : "", info.label, info.serial,
			info.slot_id);
	}
	if (more > 0)
		buf_printf(to, " and %zu more", more);
}

static int
none(const struct slot_list *l, bool blank, struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	const char *names;

	name_tokens(l, NULL, blank, &b);
	names = buf_cstr(&b);
	if (names == NULL)
		err_nomem(e);
	else if (b.len == 0)
		err_set(e, OFS_ETOKEN,
			"cannot find the token: %s; insert it, or check the "
			"module",
			l->n > 0 ? "no token there is initialised"
				 : "no token is there");
	else
		err_set(e, OFS_ETOKEN,
			"cannot find the token: none matches the URI; there "
			"are %s",
			names);
	buf_free(&b);
	return e->code;
}

static int
several(const struct slot_list *l, const struct uri *u, bool blank,
	struct ofs_error *e)
{
	struct buf b = BUF_INIT;
	const char *names;

	name_tokens(l, u, blank, &b);
	names = buf_cstr(&b);
	if (names == NULL)
		err_nomem(e);
	else
		err_set(e, OFS_EAMBIGUOUS,
			"the URI matches more than one token: %s; add serial= "
			"to it",
			names);
	buf_free(&b);
	return e->code;
}

int
slot_pick(const struct slot_list *l, const struct uri *u, bool blank,
	const struct slot **out, struct ofs_error *e)
{
	*out = NULL;
	for (size_t i = 0; i < l->n; i++) {
		const struct slot *s = &l->v[i];

		if (!blank && !slot_initialised(s))
			continue;
		if (u != NULL && !uri_matches_token(u, &s->raw, s->id))
			continue;
		if (*out != NULL) {
			*out = NULL;
			return several(l, u, blank, e);
		}
		*out = s;
	}
	return *out != NULL ? 0 : none(l, blank, e);
}
