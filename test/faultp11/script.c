/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parses scripts. */
#include <limits.h>
#include <string.h>

#include "script.h"

/* one directive, cut into words */
struct words {
	char text[1024];
	char *v[WORDS_MAX];
	size_t n;
};

static bool
copy(char *to, size_t room, const char *from)
{
	size_t n = strlen(from);

	if (n >= room)
		return false;
	memcpy(to, from, n + 1);
	return true;
}

static bool
label(char *to, const char *from)
{
	return from[0] != '\0' && copy(to, LABEL_MAX, from);
}

/* "200ms", "200", "2s" */
static bool
milliseconds(const char *text, CK_ULONG *out)
{
	char digits[24];
	size_t n = strspn(text, "0123456789");
	const char *unit = text + n;

	if (n == 0 || n >= sizeof(digits))
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	/* a leading 0 is no octal here */
	if (!name_number(digits +
			    (strspn(digits, "0") < n ? strspn(digits, "0")
						     : n - 1),
		    out))
		return false;
	if (strcmp(unit, "s") == 0)
		*out *= 1000;
	return *unit == '\0' || strcmp(unit, "ms") == 0 ||
		strcmp(unit, "s") == 0;
}

/* "3", "3+", "3-5" */
static bool
parse_range(const char *text, unsigned long *from, unsigned long *to)
{
	char first[24];
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n >= sizeof(first))
		return false;
	memcpy(first, text, n);
	first[n] = '\0';
	if (!name_number(first, from) || *from == 0)
		return false;
	*to = *from;
	if (text[n] == '\0')
		return true;
	if (strcmp(text + n, "+") == 0) {
		*to = ULONG_MAX;
		return true;
	}
	return text[n] == '-' && name_number(text + n + 1, to) && *to >= *from;
}

static bool
parse_column(const char *text, enum column *out)
{
	static const char *const names[] = { "", "opensc", "ykcs11",
		"network" };

	for (int i = COLUMN_OPENSC; i <= COLUMN_NETWORK; i++)
		if (strcmp(text, names[i]) == 0) {
			*out = (enum column)i;
			return true;
		}
	return false;
}

static bool
parse_back(const char *text, struct removal *r)
{
	CK_ULONG ms;

	if (milliseconds(text, &ms)) {
		r->back = (long)ms;
		return true;
	}
	return text[0] == '/' && copy(r->back_file, sizeof(r->back_file), text);
}

static bool
parse_swap(char *text, struct fault *f)
{
	char *comma = strchr(text, ',');

	if (comma == NULL)
		return false;
	*comma = '\0';
	return label(f->swap_a, text) && label(f->swap_b, comma + 1);
}

/* "+3", "-3", "=3"; a bare number is that length, too */
static bool
parse_length(const char *text, struct fault *f)
{
	bool bare = text[0] >= '0' && text[0] <= '9';

	f->length_op = bare ? '=' : text[0];
	return text[0] != '\0' && strchr("+-=", f->length_op) != NULL &&
		name_number(bare ? text : text + 1, &f->length);
}

/* NULL: the word does not begin with it */
static char *
after(char *word, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(word, prefix, n) == 0 ? word + n : NULL;
}

static bool
parse_action(char *w, struct rule *r)
{
	struct fault *f = &r->fault;
	char *v;

	if ((v = after(w, "ckr=")) != NULL)
		return f->has_ckr = name_value(v, "CKR_", &f->ckr);
	if ((v = after(w, "after-ckr=")) != NULL)
		return f->has_after = name_value(v, "CKR_", &f->after);
	if ((v = after(w, "delay=")) != NULL)
		return milliseconds(v, &f->delay);
	if ((v = after(w, "length=")) != NULL)
		return parse_length(v, f);
	if ((v = after(w, "swap=")) != NULL)
		return parse_swap(v, f);
	if ((v = after(w, "remove=")) != NULL)
		return parse_column(v, &f->removal.column);
	if ((v = after(w, "back=")) != NULL)
		return parse_back(v, &f->removal);
	if ((v = after(w, "as=")) != NULL)
		return label(f->removal.as, v);
	if ((v = after(w, "token=")) != NULL)
		return label(r->token, v);
	if (strcmp(w, "slot=move") == 0)
		return f->removal.move = true;
	if (strcmp(w, "hang") == 0)
		return f->hang = true;
	if (strcmp(w, "wrong") == 0)
		return f->wrong = true;
	if (strcmp(w, "sigpipe") == 0)
		return f->sigpipe = true;
	if (strcmp(w, "kill") == 0)
		return f->kill = true;
	return false;
}

static const char *
parse_rule(struct words *w, struct script *s)
{
	struct rule r = { .fault.removal.back = -1 };
	bool plan;

	if (s->rule_count == RULES_MAX)
		return "too many rules";
	r.fn = strcmp(w->v[0], "any") == 0 ? -1 : fn_number(w->v[0]);
	if (r.fn < 0 && strcmp(w->v[0], "any") != 0)
		return "no such function or mode";
	if (w->n < 3)
		return "a rule is: function, which call, what happens";
	if (!parse_range(w->v[1], &r.from, &r.to))
		return "which call: 3, 3+ or 3-5";
	for (size_t i = 2; i < w->n; i++)
		if (!parse_action(w->v[i], &r))
			return "no such action, or its value is wrong";
	plan = r.fault.removal.column == COLUMN_NONE;
	if (plan &&
		(r.fault.removal.back >= 0 || r.fault.removal.back_file[0] ||
			r.fault.removal.as[0] || r.fault.removal.move))
		return "back=, as= and slot= belong to remove=";
	/* here token= says which one is pulled out */
	if (!plan) {
		memcpy(r.fault.removed, r.token, sizeof(r.token));
		r.token[0] = '\0';
	}
	s->rules[s->rule_count++] = r;
	return NULL;
}

static bool
parse_mechanism(char *text, struct mode *m)
{
	return name_value(text, "CKM_", &m->n);
}

static bool
parse_number(char *text, struct mode *m)
{
	return name_number(text, &m->n);
}

static bool
parse_time(char *text, struct mode *m)
{
	return milliseconds(text, &m->n);
}

static bool
parse_word_a(char *text, struct mode *m)
{
	return label(m->a, text);
}

static bool
parse_word_b(char *text, struct mode *m)
{
	return label(m->b, text);
}

static bool
parse_lies(char *text, struct mode *m)
{
	return strcmp(text, "lies") == 0 && label(m->a, text);
}

static bool
parse_so(char *text, struct mode *m)
{
	return strcmp(text, "so") == 0 && label(m->a, text);
}

static bool
parse_form(char *text, struct mode *m)
{
	return (strcmp(text, "raw") == 0 || strcmp(text, "wrapped") == 0) &&
		label(m->a, text);
}

static const struct {
	const char *name;
	enum mode_kind kind;
	int least; /* words that must follow */
	bool (*arg[2])(char *, struct mode *);
} kinds[] = {
	{ "sessions", MODE_SESSIONS, 1, { parse_number, parse_lies } },
	{ "latency", MODE_LATENCY, 1, { parse_time } },
	{ "pinlock", MODE_PINLOCK, 1, { parse_number, parse_so } },
	{ "pinflags", MODE_PINFLAGS, 1, { parse_number } },
	{ "flags", MODE_FLAGS, 1, { parse_number } },
	{ "hideflags", MODE_HIDEFLAGS, 1, { parse_number } },
	{ "slotflags", MODE_SLOTFLAGS, 1, { parse_number } },
	{ "swap", MODE_SWAP, 2, { parse_word_a, parse_word_b } },
	{ "hide", MODE_HIDE, 1, { parse_mechanism } },
	{ "nopublic", MODE_NOPUBLIC, 0, { NULL } },
	{ "ecpoint", MODE_ECPOINT, 1, { parse_form } },
	{ "pinpad", MODE_PINPAD, 0, { NULL } },
	{ "pinpad-delay", MODE_PINPAD_DELAY, 1, { parse_time } },
	{ "yubikey", MODE_YUBIKEY, 0, { NULL } },
	{ "sowrites", MODE_SOWRITES, 0, { NULL } },
	{ "attest", MODE_ATTEST, 0, { NULL } },
	{ "serial", MODE_SERIAL, 2, { parse_word_a, parse_word_b } },
	{ "label", MODE_LABEL, 2, { parse_word_a, parse_word_b } },
	{ "finalize-hang", MODE_FINALIZE_HANG, 0, { NULL } },
	{ "fork-strict", MODE_FORK_STRICT, 0, { NULL } },
};

static const char *
add_mode(struct script *s, const struct mode *m)
{
	if (s->mode_count == MODES_MAX)
		return "too many modes";
	s->modes[s->mode_count++] = *m;
	return NULL;
}

/* "noattr CKA_ID,CKA_LABEL": a mode for each */
static const char *
parse_noattr(struct words *w, const struct mode *given, struct script *s)
{
	struct mode m = *given;
	const char *bad = NULL;
	char *rest = NULL;

	m.kind = MODE_NOATTR;
	if (w->n != 2)
		return "noattr wants a list of attributes";
	for (char *one = strtok_r(w->v[1], ",", &rest);
		one != NULL && bad == NULL; one = strtok_r(NULL, ",", &rest)) {
		if (!name_value(one, "CKA_", &m.n))
			return "no such attribute";
		bad = add_mode(s, &m);
	}
	return bad;
}

/* *mine: the first word is one of a mode */
static const char *
parse_mode(struct words *w, struct script *s, bool *mine)
{
	struct mode m = { MODE_SESSIONS, 0, "", "", "" };
	char *token;

	*mine = true;
	token = w->n > 1 ? after(w->v[w->n - 1], "token=") : NULL;
	if (token != NULL && strncmp(w->v[0], "C_", 2) != 0 &&
		strcmp(w->v[0], "any") != 0) {
		if (!label(m.token, token))
			return "no such label";
		w->n--;
	}
	if (strcmp(w->v[0], "noattr") == 0)
		return parse_noattr(w, &m, s);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(w->v[0], kinds[i].name) != 0)
			continue;
		m.kind = kinds[i].kind;
		if ((int)w->n - 1 < kinds[i].least || w->n > 3)
			return "too few or too many words";
		for (size_t k = 1; k < w->n; k++)
			if (kinds[i].arg[k - 1] == NULL ||
				!kinds[i].arg[k - 1](w->v[k], &m))
				return "a word is wrong";
		return add_mode(s, &m);
	}
	*mine = false;
	return NULL;
}

/* blanks separate, '...' and "..." hold together, # begins a comment */
static bool
cut(const char *from, size_t n, struct words *w)
{
	char *to = w->text, quote = '\0';
	bool in = false;

	w->n = 0;
	if (n >= sizeof(w->text))
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = from[i];

		if (quote == '\0' && c == '#' && !in)
			break;
		if (quote == '\0' && strchr(" \t\r", c) != NULL) {
			if (in)
				*to++ = '\0';
			in = false;
			continue;
		}
		if (!in) {
			if (w->n == WORDS_MAX)
				return false;
			w->v[w->n++] = to;
			in = true;
		}
		if (quote != '\0' ? c == quote : c == '\'' || c == '"')
			quote = quote != '\0' ? '\0' : c;
		else
			*to++ = c;
	}
	*to = '\0';
	return quote == '\0';
}

static const char *
parse_line(struct words *w, struct script *s)
{
	const char *bad;
	bool mine;

	bad = parse_mode(w, s, &mine);
	return mine ? bad : parse_rule(w, s);
}

int
script_parse(const char *text, struct script *s, const char **why)
{
	struct words w;
	bool first = true;
	int line = 1;

	memset(s, 0, sizeof(*s));
	*why = NULL;
	for (;;) {
		size_t n = strcspn(text, "\n;");

		if (!cut(text, n, &w))
			*why = "too long, or a quote is not closed";
		if (*why == NULL && first && w.n > 0 &&
			strcmp(w.v[0], "keep") == 0) {
			s->keep = true;
			w.n--;
			for (size_t i = 0; i < w.n; i++)
				w.v[i] = w.v[i + 1];
		}
		if (*why == NULL && w.n > 0) {
			first = false;
			*why = parse_line(&w, s);
		}
		if (*why != NULL)
			return line;
		if (text[n] == '\0')
			return 0;
		line += text[n] == '\n';
		text += n + 1;
	}
}
