/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Making a blank token, or an erased one, ready for use. */
#include <string.h>

#include "base/text.h"
#include "token/label.h"
#include "token/login.h"
#include "token/yubikey.h"

#define LABEL_MAX 32

/* What an initialisation works with. */
struct init {
	ofs_ctx *ctx;
	const struct ofs_token_init_opts *o;
	CK_UTF8CHAR label[LABEL_MAX]; /* blank-padded */
	struct slot target;
	struct ofs_token_info info; /* of target, as it is now */
	bool erase;
	struct pin so, user;
};

static int
check_opts(struct init *in, struct ofs_error *e)
{
	const char *label = in->o->label;
	size_t n, step;

	if (in->o->size != sizeof(*in->o) || label == NULL)
		return err_set(e, OFS_EINVAL,
			"cannot initialise a token: it needs a label");
	n = strlen(label);
	if (n == 0 || n > LABEL_MAX || !text_is_utf8(label, n))
		return err_set(e, OFS_EINVAL,
			"cannot initialise a token: a label is 1 to %d bytes "
			"of UTF-8",
			LABEL_MAX);
	for (size_t i = 0; i < n; i += step) {
		step = text_utf8_char(label + i, n - i);
		if (step == 0 || text_is_control(label + i, step))
			return err_set(e, OFS_EINVAL,
				"cannot initialise a token as '%s': the label "
				"holds a control character",
				TEXT_Q(label));
	}
	if (label[0] == ' ' || label[n - 1] == ' ')
		return err_set(e, OFS_EINVAL,
			"cannot initialise a token as '%s': the label begins "
			"or ends with a blank",
			TEXT_Q(label));
	memset(in->label, ' ', sizeof(in->label));
	memcpy(in->label, label, n);
	return 0;
}

static bool
has_label(const struct slot *s, const char *label)
{
	size_t n = label_len(s->raw.label, sizeof(s->raw.label));

	return slot_initialised(s) && n == strlen(label) &&
		memcmp(s->raw.label, label, n) == 0;
}

/* the first blank one, or the one to erase */
static int
pick_without_uri(
	struct init *in, const struct slot_list *l, struct ofs_error *e)
{
	const struct slot *found = NULL;

	for (size_t i = 0; i < l->n; i++) {
		const struct slot *s = &l->v[i];

		if (in->o->erase == NULL) {
			if (slot_initialised(s))
				continue;
			in->target = *s;
			return 0;
		}
		if (!has_label(s, in->o->erase))
			continue;
		if (found != NULL)
			return err_set(e, OFS_EAMBIGUOUS,
				"cannot erase '%s': more than one token has "
				"this label; name it by a URI with serial=",
				TEXT_Q(in->o->erase));
		found = s;
	}
	if (in->o->erase == NULL)
		return err_set(e, OFS_ETOKEN,
			"cannot initialise a token: there is no blank one; "
			"insert one, or name a token to erase by its label");
	if (found == NULL)
		return err_set(e, OFS_ETOKEN,
			"cannot erase '%s': no token has this label",
			TEXT_Q(in->o->erase));
	in->target = *found;
	return 0;
}

static int
pick_by_uri(struct init *in, const struct slot_list *l, struct ofs_error *e)
{
	const struct slot *s = NULL;
	struct uri u;
	int rc;

	rc = uri_parse(in->o->uri, &u, e);
	if (rc == 0)
		rc = slot_pick(l, &u, true, &s, e);
	if (rc == 0)
		in->target = *s;
	uri_free(&u);
	return rc;
}

/* which token it is to be, and whether it may be */
static int
pick(struct init *in, struct ofs_error *e)
{
	struct slot_list l = { NULL, 0 };
	const char *erase = in->o->erase;
	int rc;

	rc = slot_scan(in->ctx, &l, e);
	if (rc == 0)
		rc = in->o->uri != NULL ? pick_by_uri(in, &l, e)
					: pick_without_uri(in, &l, e);
	if (rc != 0)
		goto out;
	slot_describe(&in->target, &in->info);
	in->erase = slot_initialised(&in->target);
	if (in->erase && (erase == NULL || !has_label(&in->target, erase)))
		rc = err_set(e, OFS_EPOLICY,
			"cannot initialise token '%s' (serial %s): it is in "
			"use, and all keys on it would be lost; to erase it, "
			"give its label (ofs-token init --erase LABEL)",
			in->info.label, in->info.serial);
	else if (!in->erase && erase != NULL)
		rc = err_set(e, OFS_EINVAL,
			"cannot erase '%s': the token in slot %lu is blank; "
			"leave the erasing out",
			TEXT_Q(erase), in->info.slot_id);
	if (rc == 0)
		rc = yubikey_check_label(&in->info, in->o->label, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		if (has_label(&l.v[i], in->o->label) &&
			!(l.v[i].module == in->target.module &&
				l.v[i].id == in->target.id))
			rc = err_set(e, OFS_EPOLICY,
				"cannot initialise a token as '%s': another "
				"token has this label; choose a label of its "
				"own",
				TEXT_Q(in->o->label));
out:
	slot_list_free(&l);
	return rc;
}

/* both PINs are there, and fit, before anything is changed */
static int
ask_pins(struct init *in, struct ofs_error *e)
{
	int rc = 0;

	/* a blank token may say that its SO PIN is locked: there is none */
	if (in->erase)
		rc = login_guard(in->ctx, OFS_PIN_SO, &in->info, e);
	if (rc == 0)
		rc = pin_ask(in->ctx, in->erase ? OFS_PIN_SO : OFS_PIN_NEW_SO,
			&in->info, &in->so, e);
	if (rc == 0 && !in->erase)
		rc = pin_check_new(&in->so, &in->target.raw, "SO", e);
	if (rc == 0)
		rc = pin_ask(
			in->ctx, OFS_PIN_NEW_USER, &in->info, &in->user, e);
	if (rc == 0)
		rc = pin_check_new(&in->user, &in->target.raw, "user", e);
	return rc;
}

/* the slot still holds what was picked, and its SO PIN may be sent */
static int
check_again(struct init *in, struct ofs_error *e)
{
	struct slot now = in->target;
	int rc;

	rc = slot_read(now.module, now.id, &now.raw, e);
	if (rc != 0)
		return rc;
	if (!slot_same_token(&now.raw, &in->target.raw) ||
		slot_initialised(&now) != in->erase)
		return err_set(e, OFS_ETOKEN,
			"cannot initialise the token in slot %lu: it was "
			"changed meanwhile; look and start again",
			now.id);
	in->target = now;
	slot_describe(&now, &in->info);
	return in->erase ? login_guard(in->ctx, OFS_PIN_SO, &in->info, e) : 0;
}

static int
init_token(struct init *in, struct ofs_error *e)
{
	CK_FUNCTION_LIST *f = in->target.module->f;
	struct ofs_error unsaid;
	CK_RV rv;
	int rc;

	CRYPTOKI_SLOW(rv,
		f->C_InitToken(in->target.id, (CK_UTF8CHAR *)in->so.p,
			in->so.len, in->label));
	if (rv == CKR_OK)
		return 0;
	if (rv == CKR_SESSION_EXISTS)
		return cryptoki_err(e, OFS_ETOKEN, rv,
			"cannot initialise token '%s': a program has it open; "
			"close it there first",
			in->info.label);
	rc = cryptoki_code(rv);
	if (!in->erase || (rc != OFS_EPIN && rc != OFS_EPINLOCKED))
		return cryptoki_err(e, rc, rv,
			"cannot initialise the token in slot %lu",
			in->target.id);
	rc = login_err(&in->info, OFS_PIN_SO, rv, e);
	err_clear(&unsaid);
	if (login_report(in->ctx, OFS_PIN_SO, &in->info, e, &unsaid) != 0)
		ctx_log(in->ctx, OFS_LOG_ERROR,
			"a failed login could not be recorded: %s",
			unsaid.message);
	return rc;
}

/* slot ids and serials may change with C_InitToken: the label finds it */
static int
find_again(struct init *in, struct ofs_error *e)
{
	struct slot_list l = { NULL, 0 };
	const struct slot *found = NULL;
	int rc;

	rc = slot_scan(in->ctx, &l, e);
	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (l.v[i].module != in->target.module ||
			!has_label(&l.v[i], in->o->label))
			continue;
		if (found != NULL)
			rc = err_set(e, OFS_EAMBIGUOUS,
				"two tokens are called '%s' now; the new one "
				"has no user PIN yet",
				TEXT_Q(in->o->label));
		found = &l.v[i];
	}
	if (rc == 0 && found == NULL)
		rc = err_set(e, OFS_ETOKEN,
			"cannot find token '%s' after its initialisation",
			TEXT_Q(in->o->label));
	if (rc == 0) {
		in->target = *found;
		slot_describe(found, &in->info);
	}
	slot_list_free(&l);
	return rc;
}

static int
set_user_pin(struct init *in, struct ofs_error *e)
{
	struct module *m = in->target.module;
	struct session s = { NULL, 0, 0 };
	bool rejected;
	CK_RV rv;
	int rc;

	rc = session_open(m, in->target.id, true, &s, e);
	if (rc == 0 && yubikey_is(&in->info)) {
		rc = yubikey_set_first_pin(
			in->ctx, &s, &in->info, &in->user, e);
		goto out;
	}
	if (rc == 0)
		rc = login_once(in->ctx, &s, OFS_PIN_SO, &in->so, &in->info,
			&rejected, e);
	if (rc == 0) {
		CRYPTOKI(rv,
			m->f->C_InitPIN(
				s.h, (CK_UTF8CHAR *)in->user.p, in->user.len));
		if (rv != CKR_OK)
			rc = cryptoki_err(e, cryptoki_code(rv), rv,
				"cannot set the user PIN of '%s'; erase and "
				"initialise the token again",
				in->info.label);
		CRYPTOKI(rv, m->f->C_Logout(s.h));
		if (rc == 0 && rv != CKR_OK)
			rc = cryptoki_err(e, cryptoki_code(rv), rv,
				"cannot log the SO out of '%s'",
				in->info.label);
	}
out:
	session_close(&s);
	return rc;
}

static int
describe(struct init *in, struct ofs_error *e)
{
	const struct ofs_token_info *info = &in->info;
	int rc;

	rc = slot_read(in->target.module, in->target.id, &in->target.raw, e);
	if (rc != 0)
		return rc;
	slot_describe(&in->target, &in->info);
	if (info->initialised && info->pin_initialised)
		return 0;
	return err_set(e, OFS_ETOKEN,
		"token '%s' answered CKR_OK, but has no user PIN afterwards; "
		"do not use it",
		info->label);
}

/* everything that the chosen token is called for */
static int
run_init(void *arg, struct ofs_error *e)
{
	struct init *in = arg;
	int rc;

	rc = ask_pins(in, e);
	if (rc == 0)
		rc = check_again(in, e);
	if (rc == 0)
		rc = init_token(in, e);
	if (rc == 0)
		rc = find_again(in, e);
	if (rc == 0)
		rc = set_user_pin(in, e);
	return rc == 0 ? describe(in, e) : rc;
}

int
token_init(ofs_ctx *ctx, const struct ofs_token_init_opts *opts,
	struct ofs_token_info *out, struct ofs_error *e)
{
	struct init in = { .ctx = ctx, .o = opts };
	int rc;

	memset(out, 0, sizeof(*out));
	if (opts == NULL)
		return err_set(e, OFS_EINVAL,
			"cannot initialise a token: it needs a label");
	rc = check_opts(&in, e);
	if (rc == 0)
		rc = pick(&in, e);
	if (rc == 0)
		rc = module_run(in.target.module, run_init, &in, e);
	pin_free(&in.so);
	pin_free(&in.user);
	if (rc == 0)
		*out = in.info;
	return rc;
}
