/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Groups that a log is shared with, large ones, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <errno.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "store/place.h"

static size_t needed; /* bytes for the group and its members */
static size_t asked;  /* most that was offered */
static int fails;     /* with this errno */

/* instead of the system's: "crowd" is the group of this process */
int
getgrnam_r(const char *name, struct group *g, char *mem, size_t n,
	struct group **found)
{
	*found = NULL;
	asked = n > asked ? n : asked;
	if (fails != 0)
		return fails;
	if (strcmp(name, "crowd") != 0)
		return 0;
	if (n < needed)
		return ERANGE;
	memset(mem, 0, n);
	memset(g, 0, sizeof(*g));
	g->gr_gid = getegid();
	*found = g;
	return 0;
}

static void
share(const char *group, int code, const char *words)
{
	char dir[] = "/tmp/ofs-place-XXXXXX";
	struct ofs_error e = { .code = 0 };
	struct stat st;

	asked = 0;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(place_make(dir, group, &e), code);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(st.st_mode & 07777, code == 0 ? 02770 : 0700);
	if (code != 0 && strstr(e.message, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.message, words);
}

static void
takes_large_groups(void **state)
{
	(void)state;
	needed = 100;
	share("crowd", 0, NULL);
	assert_true(asked <= 1 << 16);
	needed = (1 << 16) + 1;
	share("crowd", 0, NULL);
	needed = 1 << 20;
	share("crowd", 0, NULL);
	assert_int_equal(asked, 1 << 20);
}

static void
says_why_not(void **state)
{
	(void)state;
	needed = (1 << 20) + 1;
	share("crowd", OFS_EAUDIT, "'crowd': its list of members is longer");
	assert_int_equal(asked, 1 << 20);
	share("nobody's", OFS_EINVAL, "there is no group 'nobody's'");
	fails = EIO;
	share("crowd", OFS_EAUDIT, "cannot find group 'crowd'");
	fails = 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_large_groups),
		cmocka_unit_test(says_why_not),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
