/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The library context with its callbacks, and the types that all parts share.
 */
#ifndef OFFLINESIG_TYPES_H
#define OFFLINESIG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <offlinesig/err.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Conventions of the whole API.
 *
 * Functions return 0 or a negative enum ofs_errcode; outputs come last and are
 * NULL or zero on failure. An option struct starts with its own size: set it
 * with the OFS_..._OPTS_INIT initialiser; NULL means defaults. Details of an
 * error are in the record of the handle that the function was called on (for a
 * constructor: of its parent). ofs_x_free(NULL) does nothing.
 *
 * A handle is used by one thread at a time; different handles are independent.
 * Any thread may call ofs_audit_*, ofs_batch_add_* and ofs_batch_cancel.
 *
 * The library never prints, exits, reads the environment or touches signal
 * handlers. Times are microseconds since 1970-01-01T00:00:00Z (int64_t).
 */

typedef struct ofs_ctx ofs_ctx;
typedef struct ofs_token ofs_token;
typedef struct ofs_key ofs_key;
typedef struct ofs_audit ofs_audit;
typedef struct ofs_record ofs_record;
typedef struct ofs_batch ofs_batch;
typedef struct ofs_verifier ofs_verifier;

enum ofs_digest {
	/*
	 * SHA-256; with P-384 SHA-384, P-521 and Ed25519 SHA-512, Ed448
	 * SHAKE256
	 */
	OFS_DIGEST_DEFAULT,
	OFS_DIGEST_SHA256,
	OFS_DIGEST_SHA384,
	OFS_DIGEST_SHA512,
	OFS_DIGEST_SHAKE256 /* 64 bytes of it; with Ed448 only */
};

enum ofs_padding {
	OFS_PADDING_DEFAULT, /* PKCS1, or PSS where the token has that alone */
	OFS_PADDING_PKCS1,   /* RSASSA-PKCS1-v1_5: RFC 8017 8.2 */
	OFS_PADDING_PSS      /* RSASSA-PSS, salt as long as the hash: 8.1 */
};

enum ofs_format {
	OFS_FORMAT_CMS,          /* detached CMS, CAdES-B-B, NAME.p7s */
	OFS_FORMAT_CMS_ATTACHED, /* CMS with the content inside, NAME.p7m */
	OFS_FORMAT_RAW           /* bare signature, NAME.sig */
};

enum ofs_key_type {
	OFS_KEY_OTHER, /* a key that this library cannot sign with */
	OFS_KEY_RSA,
	OFS_KEY_EC_P256,
	OFS_KEY_EC_P384,
	OFS_KEY_EC_P521,
	OFS_KEY_EC_SECP256K1,
	OFS_KEY_ED25519, /* RFC 8032 */
	OFS_KEY_ED448
};

enum ofs_pin_kind {
	OFS_PIN_USER,
	OFS_PIN_SO,
	OFS_PIN_NEW_USER,
	OFS_PIN_NEW_SO,
	OFS_PIN_CONTEXT /* the user's PIN once more, for one signature */
};

enum ofs_log_level {
	OFS_LOG_ERROR,
	OFS_LOG_WARNING,
	OFS_LOG_INFO,
	OFS_LOG_DEBUG
};

#define OFS_PIN_MAX 255 /* bytes, without the terminating NUL */

/* What the PIN callback is asked for. All pointers are borrowed. */
struct ofs_pin_request {
	size_t size;
	enum ofs_pin_kind kind;
	const char *token_label;
	const char *token_serial;
	bool count_low; /* the token says that a PIN was wrong lately */
	bool final_try; /* one more wrong PIN locks the token */
	/* the SO PIN of a YubiKey: the PIV management key, in hex */
	bool management_key;
};

/*
 * Writes a NUL-terminated PIN of at most OFS_PIN_MAX bytes to `pin`, a locked
 * buffer of OFS_PIN_MAX + 1 bytes that the library wipes. Returns 0, or a
 * negative code (OFS_ENOPIN) to give up. It is called at most once for each
 * login; a rejected PIN is never sent again.
 */
typedef int (*ofs_pin_fn)(
	void *arg, const struct ofs_pin_request *req, char *pin);

/* Receives one line without a newline. May be called from any thread. */
typedef void (*ofs_log_fn)(
	void *arg, enum ofs_log_level level, const char *line);

/* Returns the time in microseconds since the epoch. */
typedef int64_t (*ofs_clock_fn)(void *arg);

/* What happens when a token is not there: pulled out, or not yet inserted. */
struct ofs_token_wanted {
	size_t size;
	const char *label, *serial; /* borrowed; "" where not known */
	bool present;   /* it is back: the last call for this wait */
	int64_t waited; /* us since the wait began */
	int64_t left;   /* us until it is given up */
};

/*
 * Called when the library begins to wait for a token, about once a second
 * while it waits, and once when the token is there. Return 0 to go on, a
 * negative code to give up. Called from the thread that called the library.
 */
typedef int (*ofs_wanted_fn)(void *arg, const struct ofs_token_wanted *w);

/* A key that wants the PIN for every signature (CKA_ALWAYS_AUTHENTICATE). */
enum ofs_always_auth {
	OFS_ALWAYS_AUTH_REFUSE, /* it is not used: OFS_EPOLICY */
	OFS_ALWAYS_AUTH_HOLD, /* the PIN of the login is kept for it, locked */
	OFS_ALWAYS_AUTH_ASK   /* OFS_PIN_CONTEXT is asked for each signature */
};

#define OFS_CALL_TIMEOUT_DEFAULT 60000
#define OFS_TOKEN_TIMEOUT_DEFAULT 60000

struct ofs_ctx_opts {
	size_t size;
	ofs_log_fn log; /* NULL: say nothing */
	void *log_arg;
	ofs_pin_fn pin; /* NULL: logins fail with OFS_ENOPIN */
	void *pin_arg;
	ofs_clock_fn clock; /* NULL: the system's real-time clock */
	void *clock_arg;
	const char *tool; /* name and version for records; copied; or NULL */
	bool pinpad;      /* enter PINs on the reader's own pad only */
	bool last_try;    /* log in even when one more wrong PIN would lock */
	enum ofs_always_auth always_auth;
	ofs_wanted_fn wanted; /* NULL: the wait is silent */
	void *wanted_arg;
	/*
	 * Milliseconds; 0 is the default, negative never waits. call_timeout:
	 * after which a call into a module counts as hung; what it was asked
	 * for is unknown then, and the module is not called again in this
	 * process. token_timeout: how long a batch waits for a token that was
	 * pulled out. open_timeout: how long ofs_token_open waits for one that
	 * is not there; here 0 is not at all.
	 */
	int call_timeout, token_timeout, open_timeout;
	/*
	 * Where processes that share a token with few sessions take turns;
	 * copied; NULL: "/run/lock", "": they do not.
	 */
	const char *lock_dir;
	/*
	 * Where an audit log that is made gets its station key, as ID.key;
	 * copied. NULL: logs are not encrypted unless ofs_audit_init is told.
	 */
	const char *station_keys;
};

#define OFS_CTX_OPTS_INIT                                                  \
	{                                                                  \
		sizeof(struct ofs_ctx_opts), 0, 0, 0, 0, 0, 0, 0, false,   \
			false, OFS_ALWAYS_AUTH_REFUSE, 0, 0, 0, 0, 0, 0, 0 \
	}

/*
 * ofs_ctx_new: makes a library context. opts may be NULL; strings in it are
 * copied. The caller frees *out with ofs_ctx_free after everything that was
 * made with it. Errors: OFS_ENOMEM, OFS_EINVAL (wrong size).
 */
int ofs_ctx_new(const struct ofs_ctx_opts *opts, ofs_ctx **out);
void ofs_ctx_free(ofs_ctx *ctx);

/* ofs_ctx_error: the context's last error; borrowed. */
const struct ofs_error *ofs_ctx_error(const ofs_ctx *ctx);

/*
 * ofs_ctx_add_module: loads and initialises the PKCS#11 module at `path` (an
 * absolute path, or a name in the system's module directory) and adds it to
 * those that tokens are looked for in. The same file twice is one module. A
 * module that somebody else in this process initialised is used and never
 * finalised by us. Errors: OFS_EMODULE.
 */
int ofs_ctx_add_module(ofs_ctx *ctx, const char *path);

/* A module registered with p11-kit; all pointers are borrowed. */
struct ofs_module_info {
	size_t size;
	const char *name; /* of the registration */
	const char *path; /* of the module; NULL where it was not looked for */
	bool used;        /* tokens are looked for in it */
	bool broken;      /* it should work and does not */
	const char *why;  /* it is not used; else NULL */
};

typedef int (*ofs_module_fn)(void *arg, const struct ofs_module_info *info);

/*
 * ofs_ctx_add_registered: adds the modules that are registered with p11-kit
 * (pkcs11.conf(5)) for this program, in p11-kit's order. user_config is the
 * user's configuration, usually ~/.config/pkcs11 (p11-kit leaves it out for
 * root and in setuid programs); NULL: none. fn (may be NULL) is told of each;
 * an answer other than 0 ends it and is returned. A broken one is logged as a
 * warning and passed over, unless it is registered as critical. Modules of
 * trusted certificates and remote ones are passed over. Errors: OFS_EMODULE
 * (none can be used, or a critical one is broken), OFS_EFORMAT, OFS_EIO (a
 * pkcs11.conf cannot be read).
 */
int ofs_ctx_add_registered(
	ofs_ctx *ctx, const char *user_config, ofs_module_fn fn, void *arg);

/*
 * ofs_ctx_set_audit: from now on logins and their failures on tokens of this
 * context are recorded in `audit` (borrowed, must outlive the context or be
 * replaced; NULL stops it). A login that cannot be recorded is undone and
 * fails with OFS_EAUDIT.
 */
int ofs_ctx_set_audit(ofs_ctx *ctx, ofs_audit *audit);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
