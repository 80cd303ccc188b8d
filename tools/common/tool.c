/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tools with a token have in common: modules, audit log, PINs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/tool.h"
#include "common/plain.h"

#define MODULE_PATH_MAX 4096

void
tool_harden(void)
{
	struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void
log_line(void *arg, enum ofs_log_level level, const char *line)
{
	struct tool *s = arg;

	if (level <= OFS_LOG_WARNING)
		out_warn(s->out, "%s", line);
}

/* an ofs_wanted_fn */
static int
tell_wanted(void *arg, const struct ofs_token_wanted *w)
{
	struct tool *s = arg;
	const char *label = w->label[0] != '\0' ? w->label : "?";
	struct jline j;

	if (s->waiting && !w->present)
		return 0; /* once is enough */
	s->waiting = !w->present;
	if (s->out->json) {
		jline_begin(&j, w->present ? "token-back" : "token-wanted");
		jline_text(&j, "label", w->label);
		jline_text(&j, "serial", w->serial);
		jline_number(&j, "seconds_left", (w->left + 999999) / 1000000);
		return jline_end(&j, s->out);
	}
	if (w->present)
		out_say(s->out, "token '%s' is there, going on", label);
	else
		out_say(s->out, "insert token '%s'%s%s%s; waiting %lld s",
			label, w->serial[0] != '\0' ? " (serial " : "",
			w->serial, w->serial[0] != '\0' ? ")" : "",
			(long long)((w->left + 999999) / 1000000));
	return 0;
}

static int
parse_pin(struct tool *s, const char *option, const char *spec,
	const char *variable, struct pinsrc_source *to)
{
	const char *env = variable != NULL ? getenv(variable) : NULL;
	char name[64];

	snprintf(name, sizeof(name), "the value of '%s'", option);
	if (spec != NULL || env == NULL || env[0] == '\0')
		return pinsrc_parse(s->out, name, spec, to);
	snprintf(name, sizeof(name), "the value of %s", variable);
	return pinsrc_parse(s->out, name, env, to);
}

static int
parse_pins(struct tool *s, const struct tool_opts *opts)
{
	struct pins *p = &s->pins;
	int rc;

	p->change = opts->change;
	rc = parse_pin(
		s, "--pin-source", opts->pin, "OFS_PIN_SOURCE", &p->user);
	if (rc == 0)
		rc = parse_pin(s, "--so-pin-source", opts->so_pin,
			"OFS_SO_PIN_SOURCE", &p->so);
	if (rc == 0)
		rc = parse_pin(s, "--new-pin-source", opts->new_pin, NULL,
			&p->new_user);
	return rc != 0 ? rc
		       : parse_pin(s, "--new-so-pin-source", opts->new_so_pin,
				 NULL, &p->new_so);
}

/* where the keys of new logs belong; never with the logs; allocated */
static char *
key_dir(void)
{
	const char *home = getenv("HOME"), *config = getenv("XDG_CONFIG_HOME");
	char *dir = NULL;
	int n;

	if (config != NULL && config[0] == '/')
		n = asprintf(&dir, "%s/offlinesig", config);
	else if (geteuid() != 0 && home != NULL && home[0] == '/')
		n = asprintf(&dir, "%s/.config/offlinesig", home);
	else
		n = asprintf(&dir, "/etc/offlinesig");
	return n < 0 ? NULL : dir;
}

int
tool_open(struct tool *s, struct out *o, const struct tool_opts *opts)
{
	struct ofs_ctx_opts ctx_opts = OFS_CTX_OPTS_INIT;
	char tool[128], *keys;
	int rc;

	memset(s, 0, sizeof(*s));
	s->out = s->pins.out = o;
	rc = parse_pins(s, opts);
	if (rc != 0)
		return rc;
	snprintf(tool, sizeof(tool), "%s %s", program_invocation_short_name,
		ofs_version());
	ctx_opts.log = log_line;
	ctx_opts.log_arg = s;
	ctx_opts.pin = pinsrc_ask;
	ctx_opts.pin_arg = &s->pins;
	ctx_opts.tool = tool;
	ctx_opts.pinpad =
		s->pins.user.from == PIN_PAD || s->pins.so.from == PIN_PAD;
	ctx_opts.last_try = opts->last_try;
	ctx_opts.always_auth = (enum ofs_always_auth)opts->always_auth;
	ctx_opts.wanted = tell_wanted;
	ctx_opts.wanted_arg = s;
	ctx_opts.token_timeout = opts->token_timeout;
	ctx_opts.open_timeout = opts->open_timeout;
	keys = key_dir();
	if (keys == NULL)
		return out_fail(o, OFS_ENOMEM, "out of memory");
	ctx_opts.station_keys = keys;
	rc = ofs_ctx_new(&ctx_opts, &s->ctx);
	free(keys);
	if (rc != 0)
		return out_fail(o, rc, "cannot start the library: %s",
			ofs_err_text(rc));
	return 0;
}

static int
add_module(struct tool *s, const char *path)
{
	if (ofs_ctx_add_module(s->ctx, path) != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	return 0;
}

/* OFS_MODULE: one or more, with colons between */
static int
modules_of_environment(struct tool *s, const char *env)
{
	char path[MODULE_PATH_MAX];
	size_t n;
	int rc;

	for (; *env != '\0'; env += n + (env[n] == ':')) {
		n = strcspn(env, ":");
		if (n == 0)
			continue;
		if (n >= sizeof(path))
			return out_fail(s->out, OFS_EINVAL,
				"a path in OFS_MODULE is too long");
		memcpy(path, env, n);
		path[n] = '\0';
		rc = add_module(s, path);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* as p11-kit does: not for root, and nothing of a setuid program's caller */
static int
user_config(struct out *o, char **dir)
{
	const char *home = secure_getenv("HOME"),
		   *config = secure_getenv("XDG_CONFIG_HOME");
	int n = 0;

	*dir = NULL;
	if (getuid() == 0 || secure_getenv("P11_KIT_NO_USER_CONFIG") != NULL)
		return 0;
	if (config != NULL && config[0] == '/')
		n = asprintf(dir, "%s/pkcs11", config);
	else if (home != NULL && home[0] == '/')
		n = asprintf(dir, "%s/.config/pkcs11", home);
	return n < 0 ? out_fail(o, OFS_ENOMEM, "out of memory") : 0;
}

static int
registered_modules(struct tool *s)
{
	const struct ofs_error *e = ofs_ctx_error(s->ctx);
	char *config;
	int rc = user_config(s->out, &config);

	if (rc != 0)
		return rc;
	rc = ofs_ctx_add_registered(
		s->ctx, config, s->on_module, s->on_module_arg);
	free(config);
	if (rc == OFS_EMODULE)
		return out_fail(s->out, rc,
			"%s with --module PATH or in OFS_MODULE", e->message);
	return rc != 0 ? out_fail_with(s->out, e) : 0;
}

int
tool_modules(struct tool *s, const struct tool_opts *opts)
{
	const char *env = getenv("OFS_MODULE");
	size_t i;
	int rc = 0;

	if (s->loaded)
		return 0;
	s->loaded = true;
	if (opts->modules.n == 0 && (env == NULL || env[0] == '\0'))
		return registered_modules(s);
	if (opts->modules.n == 0)
		return modules_of_environment(s, env);
	for (i = 0; i < opts->modules.n && rc == 0; i++)
		rc = add_module(s, opts->modules.p[i]);
	return rc;
}

/* the parents of a default place may be missing on a fresh account */
static void
make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(path, 0700); /* the open of the log tells */
		*slash = '/';
	}
}

char *
tool_audit_dir(struct out *o, const struct tool_opts *opts)
{
	const char *env = getenv("OFS_AUDIT"), *home = getenv("HOME"),
		   *state = getenv("XDG_STATE_HOME");
	char *dir = NULL;
	int n;

	if (opts->audit != NULL)
		n = asprintf(&dir, "%s", opts->audit);
	else if (env != NULL && env[0] != '\0')
		n = asprintf(&dir, "%s", env);
	else if (state != NULL && state[0] == '/')
		n = asprintf(&dir, "%s/offlinesig", state);
	else if (geteuid() == 0)
		n = asprintf(&dir, "/var/lib/offlinesig");
	else if (home != NULL && home[0] == '/')
		n = asprintf(&dir, "%s/.local/state/offlinesig", home);
	else {
		out_fail(o, OFS_EAUDIT,
			"no place for the audit log; name it with --audit DIR");
		return NULL;
	}
	if (n < 0) {
		out_fail(o, OFS_ENOMEM, "out of memory");
		return NULL;
	}
	if (opts->audit == NULL && (env == NULL || env[0] == '\0'))
		make_parents(dir);
	return dir;
}

struct log_secret {
	const char *option, *spec; /* NULL: none was named */
};

static struct log_secret
named_secret(const struct tool_opts *opts)
{
	static const char variable[] = "OFS_AUDIT_PASSPHRASE_SOURCE";
	const char *env = getenv(variable);

	if (opts->passphrase == NULL && env != NULL && env[0] != '\0')
		return (struct log_secret){ variable, env };
	if (opts->passphrase_option == NULL)
		return (struct log_secret){ variable, NULL };
	return (struct log_secret){ opts->passphrase_option, opts->passphrase };
}

static int
fail_log(struct tool *s)
{
	ofs_audit_error(s->audit, &s->why);
	return out_fail_with(s->out, &s->why);
}

static int
unlock_with_passphrase(struct tool *s, const struct log_secret *from)
{
	struct ofs_audit_unlock_opts u = OFS_AUDIT_UNLOCK_OPTS_INIT;
	char *passphrase;
	int rc;

	rc = pinsrc_passphrase(s->out, from->option, from->spec,
		"the audit log", false, &passphrase);
	if (rc != 0)
		return rc;
	u.passphrase = passphrase;
	rc = ofs_audit_unlock(s->audit, &u);
	pinsrc_buffer_free(passphrase);
	return rc == 0 ? 0 : fail_log(s);
}

int
tool_unlock_token(struct tool *s, const struct tool_opts *opts, const char *uri,
	const char *option, const char *spec)
{
	ofs_token *token = NULL;
	char name[64];
	int rc;

	snprintf(name, sizeof(name), "the value of '%s'", option);
	rc = tool_modules(s, opts);
	if (rc == 0)
		rc = pinsrc_parse(s->out, name, spec, &s->pins.other);
	if (rc != 0)
		return rc;
	/* never the PIN of the token that signs */
	s->pins.other_option = option;
	if (ofs_token_open(s->ctx, uri, &token) != 0)
		rc = out_fail(s->out, ofs_ctx_error(s->ctx)->code,
			"the audit log opens with a key on a token, '%s': %s",
			NAME(uri), ofs_ctx_error(s->ctx)->message);
	if (rc == 0 && ofs_audit_unlock_token(s->audit, token) != 0)
		rc = out_fail_with(s->out, ofs_token_error(token));
	s->pins.other_option = NULL;
	ofs_token_free(token);
	return rc;
}

bool
tool_is_on_token(const char *place)
{
	return place != NULL && strncmp(place, "pkcs11:", 7) == 0;
}

/* what would have opened it, where nobody can be asked */
static void
tell_closed(struct tool *s, const struct ofs_audit_keys *k, const char *option)
{
	bool token = tool_is_on_token(k->station_key);

	if (option[0] == '-' && (token || k->passphrase))
		out_note(s->out,
			"no terminal to ask for the %s of the audit log on; "
			"pass %s file:PATH, fd:N, env:NAME or cmd:PROGRAM",
			token ? "PIN" : "passphrase", option);
}

int
tool_unlock(struct tool *s, const struct tool_opts *opts)
{
	struct log_secret from = named_secret(opts);
	struct ofs_audit_keys k;
	bool needed;

	if (ofs_audit_get_keys(s->audit, &k) != 0)
		return fail_log(s);
	needed = k.mode == OFS_AUDIT_SEALED ? opts->lists : !k.readable;
	if (!needed)
		return 0;
	if (tool_is_on_token(k.station_key) && s->near != NULL) {
		if (ofs_audit_unlock_token(s->audit, s->near) == 0)
			return 0;
		if (ofs_token_error(s->near)->code != OFS_EKEY)
			return out_fail_with(s->out, ofs_token_error(s->near));
	}
	if (opts->may_lack && from.spec == NULL && !pinsrc_has_terminal()) {
		tell_closed(s, &k, from.option);
		return 0;
	}
	if (k.passphrase && (from.spec != NULL || k.station_key[0] == '\0'))
		return unlock_with_passphrase(s, &from);
	if (tool_is_on_token(k.station_key))
		return tool_unlock_token(
			s, opts, k.station_key, from.option, from.spec);
	return 0;
}

int
tool_audit(struct tool *s, const struct tool_opts *opts, unsigned int flags)
{
	char *dir = tool_audit_dir(s->out, opts);
	int rc;

	if (dir == NULL)
		return OFS_EAUDIT;
	rc = ofs_audit_open(s->ctx, dir, flags, &s->audit);
	free(dir);
	if (rc == 0 && (flags & OFS_AUDIT_READ_ONLY) == 0)
		rc = ofs_ctx_set_audit(s->ctx, s->audit);
	if (rc != 0)
		return out_fail_with(s->out, ofs_ctx_error(s->ctx));
	if (opts->locked ||
		((flags & OFS_AUDIT_READ_ONLY) != 0 && !opts->lists))
		return 0;
	return tool_unlock(s, opts);
}

int
tool_audit_near(struct tool *s, const struct tool_opts *opts, ofs_token *token)
{
	int rc;

	s->near = token;
	rc = tool_audit(s, opts, OFS_AUDIT_CREATE);
	s->near = NULL;
	return rc;
}

int
tool_token(struct tool *s, const struct tool_opts *opts, const char *uri,
	ofs_token **out)
{
	int rc;

	*out = NULL;
	rc = tool_modules(s, opts);
	if (rc == 0 && ofs_token_open(s->ctx, uri, out) != 0)
		rc = out_fail_with(s->out, ofs_ctx_error(s->ctx));
	/* before the login, which goes into it */
	return rc != 0 ? rc : tool_audit_near(s, opts, *out);
}

void
tool_close(struct tool *s)
{
	pinsrc_forget(&s->pins);
	/* the context borrows the log */
	if (s->ctx != NULL && s->audit != NULL)
		(void)ofs_ctx_set_audit(s->ctx, NULL);
	ofs_audit_free(s->audit);
	ofs_ctx_free(s->ctx);
	s->audit = NULL;
	s->ctx = NULL;
}
