/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Modules registered with p11-kit, against p11-kit's own reading. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>

#include "softhsm.h"
#include "token/p11conf.h"
#include "token/registered.h"

static char top[4200];

/* what is under top; a NULL text is a folder */
static void
put(const char *name, const char *text)
{
	char path[8400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	if (text == NULL) {
		assert_int_equal(mkdir(path, 0755), 0);
		return;
	}
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static void
put_module(const char *name, const char *file, const char *more)
{
	char text[8600];

	snprintf(text, sizeof(text), "module: %s\n%s", file, more);
	put(name, text);
}

static int
setup(void **state)
{
	static int n;

	(void)state;
	snprintf(top, sizeof(top), "%s/reg%d", softhsm_dir(), n++);
	assert_int_equal(mkdir(top, 0755), 0);
	put("user", NULL);
	put("user/pkcs11", NULL);
	put("user/pkcs11/modules", NULL);
	put("etc", NULL);
	put("etc/modules", NULL);
	put("share", NULL);
	return 0;
}

struct told {
	char text[4096];
	int stop;
};

static int
tell(void *arg, const struct ofs_module_info *m)
{
	struct told *t = arg;
	size_t n = strlen(t->text);

	snprintf(t->text + n, sizeof(t->text) - n, "%s%s ", m->name,
		m->used             ? "+"
			: m->broken ? "!"
				    : "-");
	return t->stop;
}

static int
look(struct told *told, struct ofs_error *e)
{
	char user[8400], etc[8400], share[8400], lib[8400];
	const struct registered_places at = { user, etc, share, lib };
	struct ofs_ctx_opts o = OFS_CTX_OPTS_INIT;
	ofs_ctx *ctx;
	int rc;

	snprintf(user, sizeof(user), "%s/user/pkcs11", top);
	snprintf(etc, sizeof(etc), "%s/etc", top);
	snprintf(share, sizeof(share), "%s/share", top);
	snprintf(lib, sizeof(lib), "%s/lib", top);
	err_clear(e);
	told->text[0] = '\0';
	assert_int_equal(ofs_ctx_new(&o, &ctx), 0);
	rc = registered_add(ctx, &at, tell, told, e);
	ofs_ctx_free(ctx);
	return rc;
}

static void
seen(const char *want)
{
	struct told told = { "", 0 };
	struct ofs_error e;

	(void)look(&told, &e);
	assert_string_equal(told.text, want);
}

/* which folders count, and who has the say about a name in several */
static void
places(void **state)
{
	const char *softhsm = softhsm_module();

	(void)state;
	put_module("user/pkcs11/modules/u.module", softhsm, "");
	put_module("etc/modules/s.module", softhsm, "");
	put_module("share/p.module", softhsm, "");
	/* the user's file goes before, what it does not say is added */
	put("user/pkcs11/modules/same.module", "trust-policy: no\n");
	put_module("share/same.module", softhsm, "trust-policy: yes\n");
	put_module("share/none.module", softhsm, "trust-policy: yes\n");
	seen("none- p+ s+ same+ u+ ");
	put("etc/pkcs11.conf", "user-config: none\n");
	seen("none- p+ s+ same- ");
	put("user/pkcs11/pkcs11.conf", "user-config: only\n");
	seen("none- p+ s+ same- "); /* the system's none is final */
	put("etc/pkcs11.conf", "user-config: merge\n");
	seen("same! u+ ");
	put("user/pkcs11/pkcs11.conf", "user-config: none\n");
	seen("none- p+ s+ same- ");
}

static void
order(void **state)
{
	const char *softhsm = softhsm_module();

	(void)state;
	put_module("share/b.module", softhsm, "");
	put_module("share/a.module", softhsm, "");
	put_module("share/z.module", softhsm, "priority: 3\n");
	put_module("share/y.module", softhsm, "priority: 3\n");
	put_module("share/c.module", softhsm, "priority: -1\npriority: -2\n");
	put_module("share/d.module", softhsm, "priority: -1\n");
	seen("y+ z+ a+ b+ d+ c+ ");
}

/* a name without folder is below p11-kit's module folder */
static void
relative(void **state)
{
	char path[8400];

	(void)state;
	put("lib", NULL);
	put("lib/sub", NULL);
	snprintf(path, sizeof(path), "%s/lib/sub/hsm.so", top);
	assert_int_equal(symlink(softhsm_module(), path), 0);
	put("share/r.module", "module: sub/hsm.so\n");
	put("share/s.module", "module: hsm.so\n");
	seen("r+ s! ");
}

static void
errors(void **state)
{
	struct told told = { "", 0 };
	struct ofs_error e;
	char path[8400];

	(void)state;
	assert_int_equal(look(&told, &e), OFS_EMODULE);
	assert_non_null(strstr(e.message, "is registered with p11-kit"));
	put_module("share/a.module", softhsm_module(), "");
	put_module("share/b.module", softhsm_module(), "");
	assert_int_equal(look(&told, &e), 0);
	told.stop = OFS_EINTR;
	assert_int_equal(look(&told, &e), OFS_EINTR);
	assert_string_equal(told.text, "a+ ");
	told.stop = 0;
	put("share/c.module", "critical: yes\n");
	assert_int_equal(look(&told, &e), OFS_EMODULE);
	assert_non_null(strstr(e.message, "'c', registered as critical"));
	put("share/c.module", "module: x\nmodule x\n");
	assert_int_equal(look(&told, &e), 0);
	assert_string_equal(told.text, "a+ b+ c! ");
	put("user/pkcs11/pkcs11.conf", "only\n");
	assert_int_equal(look(&told, &e), OFS_EFORMAT);
	assert_non_null(strstr(e.message, "pkcs11.conf': line 1"));
	snprintf(path, sizeof(path), "%s/user/pkcs11/pkcs11.conf", top);
	assert_int_equal(unlink(path), 0);
	put("user/pkcs11/pkcs11.conf", NULL);
	assert_int_equal(look(&told, &e), OFS_EIO);
}

static void
lists(void **state)
{
	(void)state;
	assert_true(p11conf_lists("a", "a"));
	assert_true(p11conf_lists(" b,  a\t", "a"));
	assert_true(p11conf_lists("b,a,", "a"));
	assert_false(p11conf_lists("ab, b a.", "a"));
	assert_false(p11conf_lists("a b", "ab"));
	assert_false(p11conf_lists("", "a"));
	assert_false(p11conf_lists(NULL, "a"));
	assert_false(p11conf_lists(",", ""));
}

/* p11-kit's own list, as a user with the registrations in HOME */
static void
list_of_p11_kit(int to)
{
	char home[8400], text[4096] = "";
	CK_FUNCTION_LIST **m;

	/* p11-kit leaves out what root has registered for himself */
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		_exit(1);
	snprintf(home, sizeof(home), "%s/user", top);
	setenv("XDG_CONFIG_HOME", home, 1);
	m = p11_kit_modules_load(NULL, 0);
	for (size_t i = 0; m != NULL && m[i] != NULL; i++) {
		char *name = p11_kit_module_get_name(m[i]);
		char *trust = p11_kit_config_option(m[i], "trust-policy");
		size_t n = strlen(text);

		if (trust == NULL || strcmp(trust, "yes") != 0)
			snprintf(text + n, sizeof(text) - n, "%s+ ",
				name != NULL ? name : "?");
		free(name);
		free(trust);
	}
	_exit(write(to, text, sizeof(text)) == sizeof(text) ? 0 : 1);
}

static void
as_p11_kit(void **state)
{
	const char *softhsm = softhsm_module();
	struct told told = { "", 0 };
	char theirs[4096], used[4096] = "", file[3][8400];
	struct ofs_error e;
	int fd[2], status;
	pid_t pid;

	(void)state;
	/* files of their own, as p11-kit names one file once */
	for (size_t i = 0; i < 3; i++) {
		const char *cp[] = { "cp", softhsm, file[i], NULL };

		snprintf(file[i], sizeof(file[i]), "%s/copy%zu.so", top, i);
		assert_int_equal(softhsm_run(cp), 0);
	}
	put("user/pkcs11/pkcs11.conf", "user-config: only\n");
	put_module("user/pkcs11/modules/m1.module", file[0], "priority: 1\n");
	put_module("user/pkcs11/modules/m2.module", "/nonexistent", "");
	put_module("user/pkcs11/modules/m3.module", softhsm,
		"trust-policy: yes\n");
	put_module("user/pkcs11/modules/m4.module", file[1],
		"enable-in: x, registered_test\n");
	put_module("user/pkcs11/modules/m5.module", softhsm, "enable-in: x\n");
	put_module("user/pkcs11/modules/m6.module", softhsm,
		"disable-in: registered_test\n");
	put_module(
		"user/pkcs11/modules/m7.module", "x", "module: /nonexistent\n");
	put("user/pkcs11/modules/m8.module", "managed: no\n");
	put_module("user/pkcs11/modules/m9.module", file[2],
		"#trust-policy: yes\ntrust-policy: no\npriority: 9\n");
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	if (pid == 0)
		list_of_p11_kit(fd[1]);
	close(fd[1]);
	assert_int_equal(read(fd[0], theirs, sizeof(theirs)), sizeof(theirs));
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(look(&told, &e), 0);
	for (char *s = told.text, *end; (end = strchr(s, ' ')) != NULL;
		s = end + 1)
		if (end[-1] == '+')
			strncat(used, s, (size_t)(end + 1 - s));
	assert_string_equal(used, theirs);
	assert_string_equal(used, "m9+ m1+ m4+ ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(places, setup),
		cmocka_unit_test_setup(order, setup),
		cmocka_unit_test_setup(relative, setup),
		cmocka_unit_test_setup(errors, setup),
		cmocka_unit_test(lists),
		cmocka_unit_test_setup(as_p11_kit, setup),
	};
	int rc;

	cmocka_set_message_output(CM_OUTPUT_TAP);
	softhsm_start();
	if (chmod(softhsm_dir(), 0755) != 0)
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	softhsm_stop();
	return rc;
}
