/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keys of a log have in common that are on a token. */
#include <string.h>

#include "station/logkeys.h"
#include "token/login.h"

/* a ctx_event_fn */
static int
remember(void *arg, const struct ctx_event *ev, struct ofs_error *e)
{
	struct early_login *l = arg;

	(void)e;
	l->happened = true;
	l->ev = *ev;
	l->token = *(const struct ofs_token_info *)ev->token;
	l->ev.token = &l->token;
	return 0;
}

void
early_begin(struct early_login *l, ofs_ctx *ctx)
{
	memset(l, 0, sizeof(*l));
	l->event = ctx->event;
	l->event_arg = ctx->event_arg;
	ctx->event = remember;
	ctx->event_arg = l;
}

void
early_end(struct early_login *l, ofs_ctx *ctx)
{
	ctx->event = l->event;
	ctx->event_arg = l->event_arg;
}

int
early_tell(struct early_login *l, struct ofs_error *e)
{
	if (!l->happened || l->event == NULL)
		return 0;
	return l->event(l->event_arg, &l->ev, e);
}

void
early_undo(const struct early_login *l, ofs_token *t)
{
	if (l->happened && l->ev.type == CTX_EVENT_LOGIN_OK)
		login_undo(t);
}

struct search {
	const uint8_t *spki_sha256;
	char *uri;
};

static int
compare(void *arg, const struct ofs_key_info *info)
{
	struct search *s = arg;

	if (memcmp(info->spki_sha256, s->spki_sha256, 32) != 0)
		return 0;
	memcpy(s->uri, info->uri, sizeof(info->uri));
	return 1;
}

int
logkeys_find(ofs_token *t, const uint8_t spki_sha256[32], char uri[1024],
	struct ofs_error *e)
{
	struct search s = { spki_sha256, uri };
	int rc;

	uri[0] = '\0';
	rc = ofs_key_list(t, compare, &s);
	if (rc < 0)
		*e = *ofs_token_error(t);
	return rc < 0 ? rc : 0;
}

int
logkeys_check_uri(const ofs_key *key, struct ofs_error *e)
{
	if (ofs_key_get_info(key)->uri[0] != '\0')
		return 0;
	return err_set(e, OFS_EUNSUPPORTED,
		"names of token and key are too long for a URI");
}
