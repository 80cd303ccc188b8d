/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clocks and RFC 3339 times; microseconds since the epoch. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIME_TEXT_SIZE 32

int64_t time_now(void);  /* CLOCK_REALTIME */
int64_t time_boot(void); /* CLOCK_BOOTTIME */
int64_t time_mono(void); /* CLOCK_MONOTONIC */
/* "2026-11-21T07:52:00Z", with ".000123" where micro is true */
char *time_rfc3339(char to[TIME_TEXT_SIZE], int64_t t, bool micro);
/*
 * RFC 3339 5.6 date-time with Z or offset; strict. At most six digits of
 * fraction; a leap second only at the end of a day of UTC, as the next second.
 */
bool time_parse(const char *s, int64_t *t);

#endif
