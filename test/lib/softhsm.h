/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A private SoftHSM2 for one test program: its own configuration and tokens. */
#ifndef TEST_SOFTHSM_H
#define TEST_SOFTHSM_H

#include <offlinesig/token.h>

#include "base/ctx.h"

#define SOFTHSM_SO_PIN "87654321"
#define SOFTHSM_PIN "1234"

/* What a context of softhsm_ctx saw, and what it is to do. */
struct softhsm_seen {
	int asked[5]; /* calls of the PIN callback, by enum ofs_pin_kind */
	int login_ok, login_failed; /* events */
	int failed_code;            /* of the last failed one */
	unsigned long failed_ckr;
	const char *pin; /* NULL: SOFTHSM_PIN */
	int pin_code;    /* the callback's answer when not 0 */
	int event_code;  /* the listener's answer when not 0 */
	int warnings;    /* log lines of at least that level */
	char last_log[256];
};

/*
 * Makes the directory and the configuration, once, before any module is
 * loaded. Without SoftHSM2 it ends the program: skipped, or failed when the
 * environment has CI set.
 */
void softhsm_start(void);
/* in a child program: uses what the parent has made */
void softhsm_join(const char *dir);
/* removes it; call when every context is gone */
void softhsm_stop(void);
const char *softhsm_module(void);
const char *softhsm_dir(void);

/* a context with the module, PINs and a listener; seen is zeroed */
ofs_ctx *softhsm_ctx(struct softhsm_seen *seen);
/* a new token, made with token_init; exits on failure */
void softhsm_init_token(const char *label);
/* opens it in ctx; exits on failure */
ofs_token *softhsm_open(ofs_ctx *ctx, const char *uri);

/* runs a program with the private SoftHSM2; its exit status */
int softhsm_run(const char *const argv[]);
/* pkcs11-tool, logged in on the labelled token; the rest ends with NULL */
int softhsm_pkcs11_tool(const char *token, const char *const args[]);

#endif
