/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times and numbers as text, strictly. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/plain.h"

#define SECOND INT64_C(1000000)

const char *
plain_time(char to[PLAIN_TIME_SIZE], int64_t us)
{
	/* rounds down before the epoch, too */
	time_t t = (time_t)(us / SECOND - (us % SECOND < 0));
	struct tm tm;

	if (us == 0 || gmtime_r(&t, &tm) == NULL ||
		strftime(to, PLAIN_TIME_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(to, "-", 2);
	return to;
}

/* n digits at *s; moves *s past them */
static bool
digits(const char **s, int n, int low, int high, int *out)
{
	int v = 0;

	for (; n > 0; n--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		v = v * 10 + (**s - '0');
	}
	*out = v;
	return v >= low && v <= high;
}

static bool
literal(const char **s, char c)
{
	if (**s != c)
		return false;
	(*s)++;
	return true;
}

/* "Z" or "+hh:mm"; seconds east of Greenwich */
static bool
zone(const char **s, int *offset)
{
	int sign, h, m;

	*offset = 0;
	if (literal(s, 'Z') || literal(s, 'z'))
		return true;
	if (**s != '+' && **s != '-')
		return false;
	sign = *(*s)++ == '-' ? -1 : 1;
	if (!digits(s, 2, 0, 23, &h) || !literal(s, ':') ||
		!digits(s, 2, 0, 59, &m))
		return false;
	*offset = sign * (h * 3600 + m * 60);
	return true;
}

static bool
fraction(const char **s, int64_t *us)
{
	int64_t unit = SECOND / 10;

	*us = 0;
	if (!literal(s, '.'))
		return true;
	if (**s < '0' || **s > '9')
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, unit /= 10)
		*us += (**s - '0') * unit;
	return true;
}

/* RFC 3339 5.6; a leap second is not accepted */
bool
plain_parse_time(const char *s, int64_t *us)
{
	struct tm tm, back;
	int64_t part;
	int offset;
	time_t t;

	memset(&tm, 0, sizeof(tm));
	if (!digits(&s, 4, 1970, 9999, &tm.tm_year) || !literal(&s, '-') ||
		!digits(&s, 2, 1, 12, &tm.tm_mon) || !literal(&s, '-') ||
		!digits(&s, 2, 1, 31, &tm.tm_mday) ||
		(!literal(&s, 'T') && !literal(&s, 't')) ||
		!digits(&s, 2, 0, 23, &tm.tm_hour) || !literal(&s, ':') ||
		!digits(&s, 2, 0, 59, &tm.tm_min) || !literal(&s, ':') ||
		!digits(&s, 2, 0, 59, &tm.tm_sec) || !fraction(&s, &part) ||
		!zone(&s, &offset) || *s != '\0')
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	back = tm;
	t = timegm(&back);
	/* the 31st of April is the 1st of May to timegm */
	if (back.tm_mday != tm.tm_mday)
		return false;
	*us = ((int64_t)t - offset) * SECOND + part;
	return true;
}

bool
plain_parse_number(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (*s == '\0')
		return false;
	for (; *s != '\0'; s++) {
		unsigned int d;

		if (*s < '0' || *s > '9')
			return false;
		d = (unsigned int)(*s - '0');
		if (v > (max - d) / 10 || d > max)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}
