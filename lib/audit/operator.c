/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The operator as this process sees itself. */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "audit/handle.h"

#include "base/hex.h"

#define NO_LOGINUID 4294967295LL /* (uid_t)-1: nobody logged in */

/* a short file of /proc; "" when it cannot be read */
static void
read_proc(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, to, size - 1);
		close(fd);
	}
	to[n > 0 ? n : 0] = '\0';
}

static int64_t
find_loginuid(void)
{
	char text[32], *end;
	long long v;

	read_proc("/proc/self/loginuid", text, sizeof(text));
	if (text[0] < '0' || text[0] > '9')
		return -1;
	v = strtoll(text, &end, 10);
	if ((*end != '\0' && *end != '\n') || v >= NO_LOGINUID)
		return -1;
	return v;
}

static void
find_name(uid_t uid, char *to, size_t size)
{
	struct passwd pw, *found = NULL;
	size_t n = 1 << 16;
	char *mem = malloc(n);

	to[0] = '\0';
	if (mem == NULL)
		return;
	if (getpwuid_r(uid, &pw, mem, n, &found) == 0 && found != NULL)
		snprintf(to, size, "%s", pw.pw_name);
	free(mem);
}

static bool
find_tty(char *to, size_t size)
{
	return ttyname_r(STDIN_FILENO, to, size) == 0 ||
		ttyname_r(STDERR_FILENO, to, size) == 0;
}

/* "0f0b...-....": 32 digits and four dashes */
static void
find_boot_id(uint8_t id[16])
{
	char text[64], digits[33];
	size_t n = 0;

	memset(id, 0, 16);
	read_proc("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	for (const char *s = text; *s != '\0' && *s != '\n'; s++)
		if (*s != '-' && n < sizeof(digits) - 1)
			digits[n++] = *s;
	if (!hex_decode(id, 16, digits, n))
		memset(id, 0, 16);
}

void
handle_find_operator(ofs_audit *a)
{
	struct rec_operator *o = &a->operator_;

	find_boot_id(a->boot_id);
	o->uid = (int64_t)getuid();
	o->loginuid = find_loginuid();
	find_name(getuid(), a->operator_name, sizeof(a->operator_name));
	if (gethostname(a->operator_host, sizeof(a->operator_host) - 1) != 0)
		a->operator_host[0] = '\0';
	o->name = a->operator_name[0] != '\0' ? a->operator_name : NULL;
	o->host = a->operator_host[0] != '\0' ? a->operator_host : NULL;
	o->tty = find_tty(a->operator_tty, sizeof(a->operator_tty))
		? a->operator_tty
		: NULL;
}

void
handle_plain_operator(const ofs_audit *a, struct rec_operator *out)
{
	*out = a->operator_;
	if (a->keys.mode == LOG_SEALED)
		*out = (struct rec_operator){ .uid = -1, .loginuid = -1 };
}

void
log_operator(ofs_audit *a, struct rec_operator *out)
{
	*out = a->operator_;
}
