/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How well slow tokens are used, alone and several with the same key.
 *
 *   slow PIN-FILE OFS-SIGN DIR
 *
 * OFS_MODULE has them, labelled slow-1 to slow-4, with one key each.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"

#include "base/time.h"

#define TOKENS 4
#define EACH 100 /* signatures on each token */
#define BARE 40

struct slow {
	const char *ofs_sign, *dir;
	ofs_ctx *ctx;
	ofs_audit *audit;
	ofs_token *tokens[TOKENS];
	ofs_key *keys[TOKENS];
};

static void
key_uri(char *to, size_t size, int i)
{
	snprintf(to, size, "pkcs11:token=slow-%d;object=bench", i + 1);
}

static void
open_keys(struct slow *s)
{
	char uri[64];

	for (int i = 0; i < TOKENS; i++) {
		key_uri(uri, sizeof(uri), i);
		if (ofs_token_open(s->ctx, uri, &s->tokens[i]) != 0)
			bench_die(uri, ofs_ctx_error(s->ctx));
		if (ofs_key_open(s->tokens[i], uri, 0, &s->keys[i]) != 0)
			bench_die(uri, ofs_token_error(s->tokens[i]));
	}
}

static void
close_keys(struct slow *s)
{
	for (int i = 0; i < TOKENS; i++) {
		ofs_key_free(s->keys[i]);
		ofs_token_free(s->tokens[i]);
	}
}

/* signatures per second of a loop that does nothing else, in one session */
static double
rate_bare(const struct slow *s)
{
	const struct alg *alg = alg_for(OFS_KEY_EC_P256, OFS_DIGEST_DEFAULT);
	int64_t began = time_mono();

	for (int i = 0; i < BARE; i++)
		bench_sign_bare(&s->tokens[0]->pinned, s->keys[0], alg);
	return BARE * 1e6 / (double)(time_mono() - began);
}

static double
rate_api(struct slow *s, int tokens)
{
	static const uint8_t document[2048] = { 1 };
	struct ofs_sign_opts o = OFS_SIGN_OPTS_INIT;
	struct ofs_progress p = { .size = sizeof(p) };
	int64_t began = time_mono();
	ofs_batch *batch;
	char name[32];
	double took;

	if (ofs_batch_new(s->ctx, s->keys[0], s->audit, &o, &batch) != 0)
		bench_die("batch", ofs_ctx_error(s->ctx));
	for (int i = 1; i < tokens; i++)
		if (ofs_batch_add_key(batch, s->keys[i]) != 0)
			bench_die("key", ofs_batch_error(batch));
	for (int i = 0; i < tokens * EACH; i++) {
		snprintf(name, sizeof(name), "document %d", i);
		if (ofs_batch_add_bytes(
			    batch, name, document, sizeof(document)) != 0)
			bench_die("add", ofs_batch_error(batch));
	}
	if (ofs_batch_run(batch, &p) != 0)
		bench_die("run", ofs_batch_error(batch));
	took = (double)(time_mono() - began);
	ofs_batch_free(batch);
	return tokens * EACH * 1e6 / took;
}

static double
rate_tool(const struct slow *s, int tokens)
{
	char docs[600], out[600], uris[TOKENS][64];
	const char *argv[TOKENS * 2 + 6] = { s->ofs_sign, "--recursive",
		"--out", out, docs };
	size_t n = 5;
	int64_t began;

	snprintf(docs, sizeof(docs), "%s/slow-%d", s->dir, tokens);
	snprintf(out, sizeof(out), "%s/slow-%d.out", s->dir, tokens);
	bench_documents(docs, tokens * EACH);
	for (int i = 0; i < tokens; i++) {
		key_uri(uris[i], sizeof(uris[i]), i);
		argv[n++] = "--key";
		argv[n++] = uris[i];
	}
	began = time_mono();
	if (bench_run(argv, NULL) != 0)
		bench_die("ofs-sign", NULL);
	return tokens * EACH * 1e6 / (double)(time_mono() - began);
}

static bool
show(const char *what, int tokens, double rate, double bare)
{
	char text[64];

	snprintf(text, sizeof(text), "%d token%s, %s / bare", tokens,
		tokens > 1 ? "s" : "", what);
	return bench_at_least(
		text, rate / bare, tokens == 1 ? 0.99 : 0.98 * tokens);
}

int
main(int argc, char **argv)
{
	struct slow s = { 0 };
	double bare, api[TOKENS + 1];
	bool met = true;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 4)
		bench_die("usage: slow PIN-FILE OFS-SIGN DIR", NULL);
	s.ofs_sign = argv[2];
	s.dir = argv[3];
	bench_open(argv[1], &s.ctx, &s.audit);
	open_keys(&s);
	bare = rate_bare(&s);
	for (int i = 1; i <= TOKENS; i *= 2)
		api[i] = rate_api(&s, i);
	close_keys(&s);
	printf("P-256 on slow tokens, %d signatures on each\n", EACH);
	printf("  bare C_Sign                             %10.3f per s\n",
		bare);
	for (int i = 1; i <= TOKENS; i *= 2) {
		met = show("API", i, api[i], bare) && met;
		met = show("ofs-sign", i, rate_tool(&s, i), bare) && met;
	}
	printf("\n");
	ofs_audit_free(s.audit);
	ofs_ctx_free(s.ctx);
	return met ? BENCH_MET : BENCH_MISSED;
}
