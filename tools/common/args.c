/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Command lines: long options bound to variables, operands, help. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/args.h"
#include "common/plain.h"

int
args_usage(const struct args *a, struct out *o, const char *fmt, ...)
{
	char message[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	return out_fail(o, OFS_EINVAL, "%s; see '%s --help'", message, a->name);
}

/* edit distance of two short names; a large number for long ones */
static int
distance(const char *a, const char *b)
{
	int row[32], n = (int)strlen(b), i, j, corner, up;

	if (n >= 32)
		return 99;
	for (j = 0; j <= n; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		corner = row[0];
		row[0] = i;
		for (j = 1; j <= n; j++) {
			up = row[j];
			if (a[i - 1] != b[j - 1])
				corner++;
			if (up + 1 < corner)
				corner = up + 1;
			if (row[j - 1] + 1 < corner)
				corner = row[j - 1] + 1;
			row[j] = corner;
			corner = up;
		}
	}
	return row[n];
}

static int
unknown(const struct args *a, struct out *o, const char *arg, const char *name)
{
	const struct opt *op, *best = NULL;
	int d, least = 3;

	for (op = a->opts; op->name != NULL; op++) {
		d = strncmp(op->name, name, strlen(name)) == 0
			? 1
			: distance(name, op->name);
		if (d < least) {
			least = d;
			best = op;
		}
	}
	if (best != NULL && name[0] != '\0')
		return args_usage(a, o,
			"unknown option '%s'; did you mean '--%s'?", NAME(arg),
			best->name);
	return args_usage(a, o, "unknown option '%s'", NAME(arg));
}

static int
set_choice(const struct args *a, struct out *o, const struct opt *op,
	const char *value)
{
	char all[256];
	size_t at = 0;
	int i;

	for (i = 0; op->names[i] != NULL; i++)
		if (strcmp(op->names[i], value) == 0) {
			*op->choice = i;
			return 0;
		}
	all[0] = '\0';
	for (i = 0; op->names[i] != NULL && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s",
			i == 0 ? "" : ", ", op->names[i]);
	return args_usage(a, o, "'--%s' is one of %s, not '%s'", op->name, all,
		NAME(value));
}

static int
set_value(const struct args *a, struct out *o, const struct opt *op,
	const char *value)
{
	uint64_t v;

	if (op->choice != NULL)
		return set_choice(a, o, op, value);
	if (op->number != NULL) {
		if (!plain_parse_number(value, op->max, &v) || v < op->min)
			return args_usage(a, o,
				"'--%s' is a number from %lu to %lu, not '%s'",
				op->name, op->min, op->max, NAME(value));
		*op->number = (unsigned long)v;
		return 0;
	}
	if (value[0] == '\0')
		return args_usage(a, o, "'--%s' is empty", op->name);
	if (op->list != NULL) {
		if (op->list->n == STRINGS_MAX)
			return args_usage(a, o,
				"'--%s' was given more than %d times", op->name,
				STRINGS_MAX);
		op->list->p[op->list->n++] = value;
		return 0;
	}
	if (*op->text != NULL)
		return args_usage(a, o, "'--%s' was given twice", op->name);
	*op->text = value;
	return 0;
}

/* "--name", "--name=value" or "--name value"; *i is that of the argument */
static int
option(const struct args *a, struct out *o, int argc, char **argv, int *i)
{
	char *arg = argv[*i], name[64];
	const char *value = strchr(arg, '=');
	size_t n = value != NULL ? (size_t)(value - arg) : strlen(arg);
	const struct opt *op;

	if (strncmp(arg, "--", 2) != 0 || n - 2 >= sizeof(name))
		return unknown(a, o, arg, "");
	memcpy(name, arg + 2, n - 2);
	name[n - 2] = '\0';
	for (op = a->opts; op->name != NULL; op++)
		if (strcmp(op->name, name) == 0)
			break;
	if (op->name == NULL)
		return unknown(a, o, arg, name);
	if (op->flag != NULL) {
		if (value != NULL)
			return args_usage(a, o, "'--%s' takes no value", name);
		*op->flag = true;
		return 0;
	}
	if (value != NULL)
		return set_value(a, o, op, value + 1);
	if (*i + 1 == argc)
		return args_usage(a, o, "'--%s' needs a value", name);
	value = argv[++*i];
	if (strncmp(value, "--", 2) == 0)
		return args_usage(a, o,
			"'--%s' needs a value, and '%s' looks like an option; "
			"write '--%s=%s' if it is meant",
			name, NAME(value), name, NAME(value));
	return set_value(a, o, op, value);
}

/* before anything else, so that errors know how to show themselves */
static bool
asked_for(int argc, char **argv, const char *what, const char *brief)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], what) == 0 ||
			(brief != NULL && strcmp(argv[i], brief) == 0))
			return true;
	return false;
}

int
args_parse(const struct args *a, struct out *o, int argc, char **argv,
	struct operands *out)
{
	bool ended = false;
	int i, rc;

	out->p = argv;
	out->n = 0;
	if (asked_for(argc, argv, "--help", "-h")) {
		fputs(a->help, stdout);
		return ARGS_DONE;
	}
	if (asked_for(argc, argv, "--version", "-V")) {
		printf("%s %s\n", program_invocation_short_name, ofs_version());
		return ARGS_DONE;
	}
	if (a->json != NULL)
		o->json = *a->json = asked_for(argc, argv, "--json", NULL);
	for (i = 1; i < argc; i++) {
		if (!ended && strcmp(argv[i], "--") == 0) {
			ended = true;
			continue;
		}
		if (ended || argv[i][0] != '-' || argv[i][1] == '\0') {
			out->p[out->n++] = argv[i];
			continue;
		}
		rc = option(a, o, argc, argv, &i);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
args_operands(const struct args *a, struct out *o, const struct operands *ops,
	int min, int max, const char *what)
{
	if (ops->n < min)
		return args_usage(a, o, "%s is missing", what);
	if (ops->n > max && max == 0)
		return args_usage(
			a, o, "'%s' is one word too many", NAME(ops->p[0]));
	if (ops->n > max)
		return args_usage(a, o, "'%s' is one word too many after %s",
			NAME(ops->p[max]), what);
	return 0;
}

/* "pin change" stands for two words; how many of argv's name it, or 0 */
static int
names_verb(const char *name, int argc, char **argv)
{
	const char *blank = strchr(name, ' ');
	size_t n = blank != NULL ? (size_t)(blank - name) : strlen(name);

	if (argc < 2 || strlen(argv[1]) != n || memcmp(argv[1], name, n) != 0)
		return 0;
	if (blank == NULL)
		return 1;
	return argc > 2 && strcmp(argv[2], blank + 1) == 0 ? 2 : 0;
}

/* the verbs that begin with this word, as "'pin change' or 'pin unblock'" */
static bool
completions(const struct verb *v, const char *word, char *to, size_t size)
{
	size_t n = strlen(word), at = 0;

	for (; v->name != NULL; v++)
		if (strncmp(v->name, word, n) == 0 && v->name[n] == ' ' &&
			at < size)
			at += (size_t)snprintf(to + at, size - at, "%s'%s'",
				at > 0 ? " or " : "", v->name);
	return at > 0;
}

int
args_verb(const char *tool, const char *help, const struct verb *verbs,
	struct out *o, int argc, char **argv)
{
	static const struct opt none[] = { { .name = NULL } };
	const struct args a = { tool, help, none, NULL };
	struct operands ops;
	char which[256];
	int rc, n;

	for (const struct verb *v = verbs; v->name != NULL; v++) {
		n = names_verb(v->name, argc, argv);
		if (n > 0)
			return v->run(o, argc - n, argv + n);
	}
	if (argc > 1 && argv[1][0] != '-' &&
		completions(verbs, argv[1], which, sizeof(which))) {
		if (!asked_for(argc, argv, "--help", "-h"))
			return args_usage(&a, o, "which verb? %s", which);
		fputs(help, stdout);
		return 0;
	}
	if (argc > 1 && argv[1][0] != '-')
		return args_usage(&a, o, "unknown verb '%s'", NAME(argv[1]));
	rc = args_parse(&a, o, argc < 2 ? argc : 2, argv, &ops);
	if (rc == 0)
		rc = args_usage(&a, o, "which verb?");
	return rc == ARGS_DONE ? 0 : rc;
}
