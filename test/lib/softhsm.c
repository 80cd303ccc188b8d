/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private SoftHSM2 for one test program: its own configuration and tokens. */
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softhsm.h"
#include "token/token.h"

extern char **environ;

static char dir[4096];
static const char *module;

static void
die(const char *what)
{
	printf("Bail out! %s\n", what);
	fflush(stdout);
	_exit(1);
}

static const char *
find_softhsm(void)
{
	static const char *const places[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	};

	for (size_t i = 0; i < 2; i++)
		if (access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

static const char *
find_module(void)
{
	const char *given = getenv("OFS_TEST_MODULE");

	if (given != NULL && given[0] != '\0')
		return access(given, R_OK) == 0 ? given : NULL;
	return find_softhsm();
}

void
softhsm_start(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[4200];
	FILE *f;

	module = find_module();
	if (module == NULL) {
		if (getenv("CI") != NULL)
			die("SoftHSM2 is missing, and CI must have it");
		printf("1..0 # SKIP SoftHSM2 is not installed\n");
		exit(0);
	}
	snprintf(dir, sizeof(dir), "%s/ofs-token-XXXXXX",
		tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		die("mkdtemp");
	snprintf(path, sizeof(path), "%s/tokens", dir);
	if (mkdir(path, 0700) != 0)
		die("mkdir");
	snprintf(path, sizeof(path), "%s/softhsm2.conf", dir);
	f = fopen(path, "w");
	if (f == NULL)
		die("softhsm2.conf");
	fprintf(f,
		"directories.tokendir = %s/tokens\n"
		"objectstore.backend = file\n"
		"log.level = ERROR\n"
		"slots.removable = false\n",
		dir);
	if (fclose(f) != 0 || setenv("SOFTHSM2_CONF", path, 1) != 0)
		die("softhsm2.conf");
}

void
softhsm_join(const char *made)
{
	module = find_module();
	snprintf(dir, sizeof(dir), "%s", made);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
softhsm_stop(void)
{
	if (dir[0] != '\0')
		(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	dir[0] = '\0';
}

const char *
softhsm_module(void)
{
	return module;
}

const char *
softhsm_dir(void)
{
	return dir;
}

static int
give_pin(void *arg, const struct ofs_pin_request *req, char *pin)
{
	struct softhsm_seen *seen = arg;
	const char *p = seen->pin != NULL ? seen->pin : SOFTHSM_PIN;

	seen->asked[req->kind]++;
	if (seen->pin_code != 0)
		return seen->pin_code;
	if (req->kind == OFS_PIN_SO || req->kind == OFS_PIN_NEW_SO)
		p = SOFTHSM_SO_PIN;
	memcpy(pin, p, strlen(p) + 1);
	return 0;
}

static void
take_log(void *arg, enum ofs_log_level level, const char *line)
{
	struct softhsm_seen *seen = arg;

	if (level > OFS_LOG_WARNING)
		return;
	seen->warnings++;
	snprintf(seen->last_log, sizeof(seen->last_log), "%s", line);
}

static int
take_event(void *arg, const struct ctx_event *ev, struct ofs_error *e)
{
	struct softhsm_seen *seen = arg;

	if (ev->type == CTX_EVENT_LOGIN_OK) {
		seen->login_ok++;
	} else {
		seen->login_failed++;
		seen->failed_code = ev->code;
		seen->failed_ckr = ev->ckr;
	}
	if (seen->event_code != 0)
		return err_set(e, seen->event_code, "the listener refuses");
	return 0;
}

ofs_ctx *
softhsm_ctx(struct softhsm_seen *seen)
{
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	ofs_ctx *ctx;

	memset(seen, 0, sizeof(*seen));
	o.pin = give_pin;
	o.pin_arg = seen;
	o.log = take_log;
	o.log_arg = seen;
	if (ofs_ctx_new(&o, &ctx) != 0)
		die("ofs_ctx_new");
	ctx->event = take_event;
	ctx->event_arg = seen;
	if (ofs_ctx_add_module(ctx, module) != 0)
		die(ofs_ctx_error(ctx)->message);
	return ctx;
}

void
softhsm_init_token(const char *label)
{
	struct ofs_token_init_opts o = OFS_TOKEN_INIT_OPTS_INIT;
	struct ofs_token_info info;
	struct softhsm_seen seen;
	struct ofs_error e;
	ofs_ctx *ctx = softhsm_ctx(&seen);

	o.label = label;
	if (token_init(ctx, &o, &info, &e) != 0)
		die(e.message);
	ofs_ctx_free(ctx);
}

ofs_token *
softhsm_open(ofs_ctx *ctx, const char *uri)
{
	ofs_token *t;

	if (ofs_token_open(ctx, uri, &t) != 0)
		die(ofs_ctx_error(ctx)->message);
	return t;
}

int
softhsm_run(const char *const argv[])
{
	posix_spawn_file_actions_t fa;
	int status = -1, rc;
	pid_t pid;

	/* what the program says belongs to no TAP line */
	if (posix_spawn_file_actions_init(&fa) != 0 ||
		posix_spawn_file_actions_addopen(
			&fa, 1, "/dev/null", O_WRONLY, 0) != 0 ||
		posix_spawn_file_actions_addopen(
			&fa, 2, "/dev/null", O_WRONLY, 0) != 0)
		die("posix_spawn_file_actions");
	rc = posix_spawnp(&pid, argv[0], &fa, NULL,
		(char *const *)(uintptr_t)argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	if (rc != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int
softhsm_pkcs11_tool(const char *token, const char *const args[])
{
	/* faults are meant for the library's calls */
	bool faulty = strstr(module, "/faultp11.so") != NULL;
	const char *argv[32] = { "pkcs11-tool", "--module",
		faulty ? find_softhsm() : module, "--token-label", token,
		"--login", "--pin", SOFTHSM_PIN };
	size_t n = 8;

	for (size_t i = 0; args[i] != NULL && n < 31; i++)
		argv[n++] = args[i];
	argv[n] = NULL;
	return softhsm_run(argv);
}
