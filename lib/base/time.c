/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clocks and RFC 3339 times. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/time.h"

#define SECOND 1000000
#define DAY_SECONDS INT64_C(86400)

static int64_t
clock_us(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) != 0)
		return 0;
	return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec / 1000;
}

int64_t
time_now(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t
time_boot(void)
{
	return clock_us(CLOCK_BOOTTIME);
}

int64_t
time_mono(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

/* a / b rounded down, for b > 0 */
static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Days since the epoch; years start in March so that leap days come last. */
static int64_t
days_of(int64_t year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = floor_div(y, 400);
	int64_t yoe = y - era * 400;
	int64_t doy =
		(153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void
date_of(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = yoe + era * 400 + (*month <= 2);
}

static int
month_days(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };

	if (month == 2 &&
		(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
		return 29;
	return days[month - 1];
}

char *
time_rfc3339(char to[TIME_TEXT_SIZE], int64_t t, bool micro)
{
	int64_t s = floor_div(t, SECOND), day = floor_div(s, DAY_SECONDS);
	int in_day = (int)(s - day * DAY_SECONDS), n;
	int us = (int)(t % SECOND), month, mday;
	int64_t year;
	char frac[16] = "";

	if (us < 0)
		us += SECOND;
	date_of(day, &year, &month, &mday);
	if (micro)
		snprintf(frac, sizeof(frac), ".%06d", us);
	n = snprintf(to, TIME_TEXT_SIZE,
		"%04" PRId64 "-%02d-%02dT%02d:%02d:%02d%sZ", year, month, mday,
		in_day / 3600, in_day / 60 % 60, in_day % 60, frac);
	if (n < 0 || n >= TIME_TEXT_SIZE)
		to[0] = '\0';
	return to;
}

/* exactly n digits, then `end` unless that is 0 */
static bool
digits(const char **s, int n, char end, int *v)
{
	*v = 0;
	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		*v = *v * 10 + (**s - '0');
	}
	if (end != '\0' && *(*s)++ != end)
		return false;
	return true;
}

/* a fraction, if there is one: 1 to 6 digits */
static bool
fraction(const char **s, int *us)
{
	int scale = 100000;

	*us = 0;
	if (**s != '.')
		return true;
	(*s)++;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, scale /= 10) {
		if (scale == 0)
			return false;
		*us += (**s - '0') * scale;
	}
	return true;
}

/* "Z" or "+hh:mm", to seconds, and nothing behind it */
static bool
offset(const char *s, int *seconds)
{
	int hour, minute, sign;

	*seconds = 0;
	if ((*s == 'Z' || *s == 'z') && s[1] == '\0')
		return true;
	if (*s != '+' && *s != '-')
		return false;
	sign = *s++ == '-' ? -1 : 1;
	if (!digits(&s, 2, ':', &hour) || !digits(&s, 2, '\0', &minute) ||
		hour > 23 || minute > 59 || *s != '\0')
		return false;
	*seconds = sign * (hour * 3600 + minute * 60);
	return true;
}

bool
time_parse(const char *s, int64_t *t)
{
	int year, month, day, hour, minute, second, us, off;
	int64_t sec;

	*t = 0;
	if (!digits(&s, 4, '-', &year) || !digits(&s, 2, '-', &month) ||
		!digits(&s, 2, '\0', &day) || (*s != 'T' && *s != 't'))
		return false;
	s++;
	if (!digits(&s, 2, ':', &hour) || !digits(&s, 2, ':', &minute) ||
		!digits(&s, 2, '\0', &second) || !fraction(&s, &us) ||
		!offset(s, &off))
		return false;
	if (month < 1 || month > 12 || day < 1 ||
		day > month_days(year, month) || hour > 23 || minute > 59 ||
		second > 60)
		return false;
	sec = days_of(year, month, day) * DAY_SECONDS + hour * 3600 +
		minute * 60 + second - off;
	/* a leap second ends a day of UTC; the epoch counts it as the next */
	if (second == 60 && floor_div(sec, DAY_SECONDS) * DAY_SECONDS != sec)
		return false;
	*t = sec * SECOND + us;
	return true;
}
