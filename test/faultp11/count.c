/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Counters. The file has lines of 40 bytes, "00000012 C_Sign", with the digits
 * at an offset that is a multiple of 8: eight digits are one machine word,
 * and a compare-and-swap counts them up. No lock can be left behind by a
 * process that is killed, and any reader sees whole numbers.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "count.h"

#define LINE 40
#define PINS 16 /* lines for the wrong PINs of tokens */
#define LINES (FN_COUNT + PINS)

static unsigned long calls[FN_COUNT];
static char *lines; /* the mapped file; or memory of this process */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
fill(char *p)
{
	char line[LINE + 1];

	for (int i = 0; i < LINES; i++) {
		snprintf(line, sizeof(line), "00000000 %-*s\n", LINE - 10,
			i < FN_COUNT ? fn_name((enum fn)i) : "-");
		memcpy(p + i * LINE, line, LINE);
	}
}

/* others may do the same at this moment */
static void
set_up(void)
{
	const char *path = getenv("FAULTP11_COUNTS");
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = -1;

	if (path != NULL && path[0] != '\0')
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	if (fd >= 0 && fcntl(fd, F_SETLKW, &lock) == 0) {
		bool fresh = lseek(fd, 0, SEEK_END) < LINES * LINE;

		if (ftruncate(fd, LINES * LINE) == 0)
			lines = mmap(NULL, LINES * LINE, PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0);
		if (lines == MAP_FAILED)
			lines = NULL;
		if (lines != NULL && fresh)
			fill(lines);
	}
	if (fd >= 0)
		close(fd); /* and the lock is gone */
	if (lines != NULL)
		return;
	if (path != NULL && path[0] != '\0') {
		fprintf(stderr, "faultp11: cannot count in '%s'\n", path);
		_exit(99);
	}
	lines = aligned_alloc(8, LINES * LINE);
	if (lines == NULL)
		_exit(99);
	fill(lines);
}

static unsigned long
digits_read(uint64_t word)
{
	unsigned char d[8];
	unsigned long n = 0;

	memcpy(d, &word, 8);
	for (int i = 0; i < 8; i++)
		n = n * 10 + (d[i] - '0');
	return n;
}

static uint64_t
digits_write(unsigned long n)
{
	unsigned char d[8];
	uint64_t word;

	for (int i = 7; i >= 0; i--, n /= 10)
		d[i] = (unsigned char)('0' + n % 10);
	memcpy(&word, d, 8);
	return word;
}

/* change as for count_wrong_pins; the number after it */
static unsigned long
line_change(int line, int change)
{
	uint64_t *at = (uint64_t *)(void *)(lines + line * LINE);
	uint64_t old = __atomic_load_n(at, __ATOMIC_SEQ_CST), new;
	unsigned long n;

	do {
		n = change < 0 ? 0 : digits_read(old) + (unsigned long)change;
		new = digits_write(n);
	} while (change != 0 &&
		!__atomic_compare_exchange_n(at, &old, new, false,
			__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return n;
}

void
count_call(enum fn fn)
{
	pthread_once(&once, set_up);
	__atomic_add_fetch(&calls[fn], 1, __ATOMIC_SEQ_CST);
	line_change(fn, 1);
}

unsigned long
count_get(enum fn fn)
{
	return __atomic_load_n(&calls[fn], __ATOMIC_SEQ_CST);
}

void
count_clear(void)
{
	for (int i = 0; i < FN_COUNT; i++)
		__atomic_store_n(&calls[i], 0, __ATOMIC_SEQ_CST);
}

/*
 * The caller holds the state's lock; two processes that meet a new token in
 * the same instant might share a line, which no test does.
 */
unsigned long
count_wrong_pins(const char *serial, bool so, int change)
{
	char want[LINE - 9];

	pthread_once(&once, set_up);
	snprintf(want, sizeof(want), "wrong-%s:%.16s", so ? "so-pin" : "pin",
		serial);
	for (int i = FN_COUNT; i < LINES; i++) {
		char *name = lines + i * LINE + 9;
		size_t n = strlen(want);

		if (name[0] == '-' && name[1] == ' ')
			memcpy(name, want, n);
		if (memcmp(name, want, n) == 0 && name[n] == ' ')
			return line_change(i, change);
	}
	return 0;
}
