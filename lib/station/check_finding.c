/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The catalogue of findings: how bad each is, and what to do about it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/text.h"
#include "station/check.h"

#define INFO OFS_SEVERITY_INFO
#define WARNING OFS_SEVERITY_WARNING
#define SERIOUS OFS_SEVERITY_SERIOUS

/* ofs-token(1) lists the ids; an id is never used for anything else */
static const struct {
	const char *id;
	enum ofs_severity severity;
	const char *action;
} catalogue[] = {
	{ "key-extractable", SERIOUS,
		"make a new key with ofs-token enroll, and have the "
		"certificate of this one revoked" },
	{ "key-not-sensitive", SERIOUS,
		"make a new key with ofs-token enroll, and have the "
		"certificate of this one revoked" },
	{ "key-protection-unknown", WARNING,
		"ask the maker of the token, or use one that says it" },
	{ "key-was-extractable", WARNING,
		"make sure that no copy exists, or make a new key with "
		"ofs-token enroll" },
	{ "key-imported", WARNING,
		"make sure that no copy exists, or make a new key with "
		"ofs-token enroll" },
	{ "key-roca", SERIOUS,
		"stop using the key, have its certificate revoked, and make a "
		"key on another token" },
	{ "rsa-too-short", SERIOUS, "make a new key: rsa:3072, or ec:P-256" },
	{ "rsa-short-soon", INFO,
		"take rsa:3072 or ec:P-256 for the next key" },
	{ "key-retired-algorithm", SERIOUS,
		"make a new key: rsa:3072, or ec:P-256" },
	{ "key-unsupported", INFO,
		"keep it for other programs; make another key for ofs-sign" },
	{ "key-unreadable", WARNING,
		"store the certificate of the key with ofs-token import-cert" },
	{ "key-not-for-signing", INFO, "name another key for ofs-sign" },
	{ "key-decrypts", WARNING,
		"use one key for one purpose: make one for signing with "
		"ofs-token enroll" },
	{ "key-always-authenticate", INFO,
		"expect to be asked, or tell ofs-sign how to go about it" },
	{ "key-no-id", WARNING,
		"give it an id, so that its certificate can be found" },
	{ "key-no-public", INFO,
		"store the certificate of the key with ofs-token import-cert" },
	{ "duplicate-id", SERIOUS,
		"remove or rename what does not belong there; programs pick "
		"one of them by chance" },
	{ "duplicate-label", WARNING,
		"rename one of them; until then name the key by id=" },
	{ "key-no-cert", WARNING,
		"have one made and store it with ofs-token import-cert" },
	{ "cert-mismatch", SERIOUS,
		"delete it, and store the right one with ofs-token "
		"import-cert" },
	{ "cert-expired", SERIOUS,
		"have it renewed and store the new one with ofs-token "
		"import-cert" },
	{ "cert-expiring", WARNING,
		"have it renewed and store the new one with ofs-token "
		"import-cert" },
	{ "cert-not-yet-valid", WARNING,
		"wait, or look at the clock of this machine" },
	{ "pin-not-set", WARNING, "set it: ofs-token init, or the SO does" },
	{ "pin-count-low", WARNING,
		"find out who tried; a login with the right PIN resets it" },
	{ "pin-final-try", SERIOUS,
		"log in once with the right PIN and --last-try" },
	{ "pin-locked", SERIOUS, "unblock it with the SO PIN" },
	{ "pin-to-be-changed", WARNING, "change it before anything else" },
	{ "so-pin-count-low", WARNING,
		"find out who tried; an SO login with the right PIN resets "
		"it" },
	{ "so-pin-final-try", WARNING,
		"do not try the SO PIN unless you are sure of it" },
	{ "so-pin-locked", WARNING,
		"know that a locked user PIN cannot be unblocked any more" },
	{ "so-pin-to-be-changed", WARNING, "change the SO PIN" },
	{ "pin-short-allowed", INFO, "choose a PIN of 6 digits or more" },
	{ "login-not-required", SERIOUS,
		"do not leave the token plugged in, and use one with a PIN" },
	{ "not-logged-in", WARNING,
		"run it again without --no-login when the PIN is in order" },
	{ "firmware-advisory", WARNING, "see the advisory" },
	{ "module-writable", SERIOUS,
		"give it to root, and let nobody else write there" },
	{ "module-changed", WARNING,
		"make sure that the change is an update that you know of" },
	{ "mechanism-missing", WARNING, "use another token for signing" },
	{ "mechanism-weak-only", WARNING,
		"do not sign with it; use another token or newer firmware" },
	{ "token-holds-data", INFO, "" },
	{ "token-no-data", INFO, "" },
	{ "monotonic-counter", INFO, "" },
	{ "clock", INFO, "" },
	{ "rng", INFO, "" },
	{ "token-write-protected", INFO,
		"keys and certificates cannot be changed in this state" },
	{ "sessions", INFO, "measure with ofs-token bench" },
};

#define N_CATALOGUE (sizeof(catalogue) / sizeof(catalogue[0]))

const char *
check_catalogue_id(size_t i)
{
	return i < N_CATALOGUE ? catalogue[i].id : NULL;
}

static struct ofs_finding *
grow(struct check *c)
{
	struct ofs_finding *f;

	if (c->n == c->cap) {
		size_t cap = c->cap * 2 + 16;

		f = reallocarray(c->v, cap, sizeof(*f));
		if (f == NULL) {
			c->nomem = true;
			return NULL;
		}
		c->v = f;
		c->cap = cap;
	}
	f = &c->v[c->n++];
	memset(f, 0, sizeof(*f));
	f->size = sizeof(*f);
	return f;
}

/* who it is about; the id tells keys with the same label apart */
static void
name_subject(const struct check *c, const struct ofs_key_info *k,
	struct ofs_finding *f)
{
	char hex[2 * 20 + 1];
	size_t n;

	if (k == NULL) {
		snprintf(f->subject, sizeof(f->subject), "token '%s'",
			c->probe.info.label);
		snprintf(f->uri, sizeof(f->uri), "%s", c->probe.info.uri);
		return;
	}
	n = k->id_len < 20 ? k->id_len : 20;
	f->of_key = true;
	snprintf(f->subject, sizeof(f->subject), "key '%s' (%s%s%s)", k->label,
		n > 0 ? "id " : "no id", hex_encode(hex, k->id, n),
		k->id_len > n ? "..." : "");
	snprintf(f->uri, sizeof(f->uri), "%s", k->uri);
}

void
check_add(struct check *c, const char *id, const struct ofs_key_info *k,
	const char *fmt, ...)
{
	struct ofs_finding *f = grow(c);
	va_list ap;

	if (f == NULL)
		return;
	for (size_t i = 0; i < N_CATALOGUE; i++)
		if (strcmp(catalogue[i].id, id) == 0) {
			f->id = catalogue[i].id;
			f->severity = catalogue[i].severity;
			snprintf(f->action, sizeof(f->action), "%s",
				catalogue[i].action);
		}
	name_subject(c, k, f);
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	text_clean(f->text);
}

void
check_add_advisory(struct check *c, enum ofs_severity severity,
	const char *text, const char *action)
{
	struct ofs_finding *f;

	check_add(c, "firmware-advisory", NULL, "%s", text);
	if (c->nomem)
		return;
	f = &c->v[c->n - 1];
	f->severity = severity;
	snprintf(f->action, sizeof(f->action), "%s", action);
}
