/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tokens and the keys on them: find, log in, enrol, adopt, list. */
#ifndef OFFLINESIG_TOKEN_H
#define OFFLINESIG_TOKEN_H

#include <offlinesig/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/*
 * A token as it describes itself (PKCS#11 2.40, CK_TOKEN_INFO). Strings are
 * NUL-terminated, without the padding, with bytes that are not UTF-8 escaped
 * as \xNN.
 */
struct ofs_token_info {
	size_t size;
	char label[33 * 4];
	char manufacturer[33 * 4];
	char model[17 * 4];
	char serial[17 * 4];
	char uri[512];             /* RFC 7512, names exactly this token */
	char module[4096];         /* real path of its module */
	uint8_t module_sha256[32]; /* of the module's file */
	unsigned long slot_id;
	unsigned int firmware_major, firmware_minor;
	unsigned long flags; /* CKF_..., as the token gave them */
	bool initialised;
	bool pin_initialised; /* a user PIN is set */
	bool login_required;
	bool pinpad; /* has a protected authentication path */
	bool pin_count_low, pin_final_try, pin_locked, pin_to_be_changed;
};

/* Receives each token; a non-zero return ends the listing and is returned. */
typedef int (*ofs_token_fn)(void *arg, const struct ofs_token_info *info);

/*
 * ofs_token_list: every token of every module of ctx. A slot that fails is
 * logged and passed over. Errors: OFS_EMODULE when no module was added.
 */
int ofs_token_list(ofs_ctx *ctx, ofs_token_fn fn, void *arg);

/*
 * ofs_token_open: the one token that the token part of an RFC 7512 URI
 * matches (token, serial, manufacturer, model, slot-id; object parts are
 * passed over). `module-path`, `pin-value` and `pin-source` in a URI are
 * refused with the reason. Errors: OFS_EINVAL (URI), OFS_ETOKEN (none),
 * OFS_EAMBIGUOUS (several; the message lists them). Does not log in. Errors
 * are in ctx's record. The caller frees *out before ctx.
 */
int ofs_token_open(ofs_ctx *ctx, const char *uri, ofs_token **out);
void ofs_token_free(ofs_token *token);
const struct ofs_error *ofs_token_error(const ofs_token *token);

/* ofs_token_get_info: as read at the open; borrowed from the token. */
const struct ofs_token_info *ofs_token_get_info(const ofs_token *token);

/*
 * ofs_token_login: logs the user in, once; nothing if somebody in this process
 * is logged in already. Asks the PIN callback at most once and never sends a
 * rejected PIN again. The token's state is read again right before: a locked
 * PIN, or one on its final try without ctx opts' last_try, is refused
 * with OFS_EPINLOCKED and nothing is sent. Errors: OFS_EPIN, OFS_EPINLOCKED,
 * OFS_ENOPIN, OFS_ETOKEN, OFS_EAUDIT.
 */
int ofs_token_login(ofs_token *token);

struct ofs_token_init_opts {
	size_t size;
	const char *label; /* required, at most 32 bytes of UTF-8 */
	const char *uri;   /* which token; NULL: the first that is blank */
	const char
		*erase; /* label of the initialised token to erase, or NULL */
};

#define OFS_TOKEN_INIT_OPTS_INIT                            \
	{                                                   \
		sizeof(struct ofs_token_init_opts), 0, 0, 0 \
	}

/*
 * ofs_token_init: C_InitToken and C_InitPIN. Asks the PIN callback for the SO
 * PIN (OFS_PIN_NEW_SO on a blank token, OFS_PIN_SO when erasing) and for the
 * new user PIN (OFS_PIN_NEW_USER). An initialised token is refused with
 * OFS_EPOLICY unless opts->erase is its label. A token with the same label
 * already there is refused too. A YubiKey keeps its label, which must be given
 * (OFS_EINVAL); the new PIN replaces its maker's, and the PUK is its maker's
 * afterwards. Recorded in ctx's audit log where one is set.
 * *out (may be NULL) describes the token afterwards.
 */
int ofs_token_init(ofs_ctx *ctx, const struct ofs_token_init_opts *opts,
	struct ofs_token_info *out);

/* A key pair on a token, as read back from it. */
struct ofs_key_info {
	size_t size;
	uint8_t id[64]; /* CKA_ID */
	size_t id_len;
	char label[256]; /* CKA_LABEL, escaped as in ofs_token_info */
	enum ofs_key_type type;
	char type_name[32]; /* "RSA-2048", "P-256", or what it is */
	unsigned int bits;
	char uri[1024];   /* RFC 7512, names exactly this key */
	bool has_private; /* the private object was seen */
	bool has_public;  /* a public-key object exists */
	bool has_cert;    /* a certificate with the same id exists */
	/* attributes of the private object: 1, 0, or -1 when not answered */
	signed char sensitive, extractable, always_sensitive, never_extractable,
		local, always_authenticate, sign, decrypt;
	uint8_t spki_sha256[32]; /* of the DER SubjectPublicKeyInfo; or zeros */
	char cert_subject[256];  /* RFC 2253; "" without certificate */
	char cert_issuer[256];
	char cert_serial[64];                    /* hex */
	int64_t cert_not_before, cert_not_after; /* us; 0 without certificate */
	uint8_t cert_sha256[32];
};

typedef int (*ofs_key_fn)(void *arg, const struct ofs_key_info *info);

/*
 * ofs_key_list: the keys of a token. Without a login, most tokens show only
 * public keys and certificates (has_private is then false).
 */
int ofs_key_list(ofs_token *token, ofs_key_fn fn, void *arg);

enum ofs_key_flags {
	OFS_KEY_PUBLIC_ONLY = 1 /* no login: enough to plan, not to sign */
};

/*
 * ofs_key_open: the one private key that the URI matches by id and object
 * (label); logs in unless OFS_KEY_PUBLIC_ONLY. Its public key is taken from
 * the private object, the public object or the certificate with the same id.
 * Errors: OFS_EKEY (none), OFS_EAMBIGUOUS (several; the message lists them),
 * OFS_EUNSUPPORTED (a type we cannot sign with), those of ofs_token_login.
 * Errors are in the token's record. Caller frees *out before the token.
 */
int ofs_key_open(
	ofs_token *token, const char *uri, unsigned int flags, ofs_key **out);
void ofs_key_free(ofs_key *key);
const struct ofs_error *ofs_key_error(const ofs_key *key);
const struct ofs_key_info *ofs_key_get_info(const ofs_key *key);

/* ofs_key_cert_pem: the token's certificate for the key as PEM, or OFS_EKEY.
 * Caller frees *pem with free(). */
int ofs_key_cert_pem(ofs_key *key, char **pem);

struct ofs_enroll_opts {
	size_t size;
	/*
	 * "rsa:2048".."rsa:4096", "ec:P-256|P-384|P-521|secp256k1", "ed25519",
	 * "ed448"
	 */
	const char *key_type;
	const char *subject; /* "/O=Acme/CN=Payroll batch"; NULL: none made */
	bool self_signed;    /* make and store a self-signed certificate */
	bool csr;            /* make a PKCS#10 request (RFC 2986) */
	int days;            /* validity of a self-signed one; 0: 365 */
	/*
	 * Extensions of the certificate or request, "NAME=VALUE" as in
	 * x509v3_config(5): "subjectAltName=DNS:a", "keyUsage=critical,...".
	 * They replace what a certificate has by default (keyUsage,
	 * basicConstraints, subjectKeyIdentifier). No configuration file is
	 * read.
	 */
	const char *const *exts;
	size_t n_exts;
	enum ofs_padding padding; /* of what an RSA key signs here */
	bool use_digest; /* may sign digests of documents that are not here */
	/*
	 * "rsa:..." alone: decrypts, and signs nothing. A station key of audit
	 * logs: ofs_audit_rotate_to_token()
	 */
	bool use_log;
};

#define OFS_ENROLL_OPTS_INIT                                                 \
	{                                                                    \
		sizeof(struct ofs_enroll_opts), 0, 0, false, false, 0, 0, 0, \
			OFS_PADDING_DEFAULT, false, false                    \
	}

/*
 * A certificate on the token in which its vendor says where a key was made. It
 * is kept in the audit log; its chain is not checked.
 */
struct ofs_attestation {
	bool found;
	char subject[256], issuer[256]; /* RFC 2253 */
	uint8_t sha256[32];
	uint8_t issuer_sha256[32]; /* zeros: the token does not show it */
};

struct ofs_enrolled {
	size_t size;
	struct ofs_key_info key; /* as read back from the token */
	uint64_t seq;            /* of the key record in the audit log */
	char *pem;               /* certificate or request, or NULL; free() */
	struct ofs_attestation attestation;
};

/*
 * ofs_key_enroll: makes a key pair on the token at the place that the URI
 * names (object= and/or id=; refused with OFS_EEXIST when something is there):
 * sensitive, not extractable, for signing only. The attributes are read back:
 * a key that the token calls extractable is destroyed and refused with
 * OFS_EPOLICY. One tagged test message is signed and verified. Every C_Sign is
 * recorded in `audit` before it happens, and a key record at the end.
 * ofs_enrolled_clear frees what is in *out.
 *
 * Some tokens leave the making of keys to their SO. There OFS_PIN_SO is asked
 * for, once; the SO logs in, does that, logs out, and the user is logged in
 * again; so it is with ofs_cert_import, ofs_key_rename and ofs_key_delete. On a
 * YubiKey id= is required (OFS_EINVAL), and its key cannot be destroyed.
 */
int ofs_key_enroll(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_enroll_opts *opts, struct ofs_enrolled *out);

struct ofs_adopt_opts {
	size_t size;
	bool use_digest, use_log; /* as in struct ofs_enroll_opts */
};

#define OFS_ADOPT_OPTS_INIT                                 \
	{                                                   \
		sizeof(struct ofs_adopt_opts), false, false \
	}

/*
 * ofs_key_adopt: the same checks and records for a key that is there already.
 * What it may be used for is what was said of it last.
 */
int ofs_key_adopt(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_adopt_opts *opts, struct ofs_enrolled *out);

/*
 * ofs_cert_import: stores a PEM or DER certificate on the token with the id
 * and label of the key that the URI names; refused with OFS_ECERT when it
 * holds another public key. A certificate that is there already is replaced.
 * Recorded.
 */
int ofs_cert_import(ofs_token *token, ofs_audit *audit, const char *uri,
	const void *cert, size_t cert_len);
void ofs_enrolled_clear(struct ofs_enrolled *e);

struct ofs_bench_opts {
	size_t size;
	int seconds; /* for each number of sessions; 0: 2 */
	/* numbers of sessions, 1 to 256; NULL: 1, 2, 4 ... while it helps */
	const unsigned int *jobs;
	size_t n_jobs;
	bool use_enrolled; /* sign with a key that documents are signed with */
};

#define OFS_BENCH_OPTS_INIT                                   \
	{                                                     \
		sizeof(struct ofs_bench_opts), 0, 0, 0, false \
	}

/* What was measured with one number of sessions. */
struct ofs_bench_level {
	size_t size;
	unsigned int jobs;
	uint64_t signatures;
	int64_t us;
	double per_second;
};

/* Receives each; a non-zero return ends the measurement and is returned. */
typedef int (*ofs_bench_fn)(void *arg, const struct ofs_bench_level *l);

struct ofs_bench_report {
	size_t size;
	struct ofs_key_info key;
	unsigned int best_jobs; /* the fewest that are within 3 % of the best */
	double best_per_second; /* with those */
	unsigned int sessions;  /* the token opens no more; 0: not reached */
	uint64_t signatures;    /* all that the token was asked for */
	uint64_t verified;      /* a sample of them */
	uint64_t intent_seq;    /* the record that announces them */
};

/*
 * ofs_key_bench: measures how many signatures a second the key makes, by the
 * number of sessions. It signs tagged test messages, verifies a sample, and
 * records one intent before and one outcome with the count after; a crash
 * leaves the intent open. A key that was enrolled or adopted in `audit` is
 * refused with OFS_EPOLICY unless opts->use_enrolled. Errors: OFS_EBADSIG,
 * those of ofs_key_open.
 */
int ofs_key_bench(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_bench_opts *opts, ofs_bench_fn fn, void *arg,
	struct ofs_bench_report *out);

#define OFS_KEY_UNRECORDED 0x10u

/*
 * ofs_key_evp_pkey: an OpenSSL EVP_PKEY for the key, through libp11, for use
 * with anything in OpenSSL (TLS, CMS, X509_REQ). What is signed with it is
 * outside our records: flags must hold OFS_KEY_UNRECORDED, and lending the
 * handle is itself recorded in `audit`. Free *out with EVP_PKEY_free before
 * the key. OpenSSL's calls have no deadline and do not heal: after the token
 * was away they fail, and the key is to be lent anew; a module with a server
 * may raise SIGPIPE in them. Errors: OFS_EINVAL (flag missing),
 * OFS_EUNSUPPORTED (a token where libp11 would fail), OFS_EAUDIT.
 */
int ofs_key_evp_pkey(ofs_key *key, ofs_audit *audit, unsigned int flags,
	struct evp_pkey_st **out);

/* Everything that a token and its module say of themselves. */
struct ofs_token_details {
	size_t size;
	struct ofs_token_info token; /* read anew */
	unsigned int hardware_major, hardware_minor;
	bool so_pin_count_low, so_pin_final_try, so_pin_locked,
		so_pin_to_be_changed;
	bool write_protected, has_rng, has_clock;
	bool removable, hardware_slot;  /* CKF_..., of the slot */
	unsigned long pin_min, pin_max; /* bytes; a maximum of 0: not said */
	int64_t sessions, sessions_max; /* -1: not said; max 0: no limit */
	int64_t rw_sessions, rw_sessions_max;
	int64_t public_memory, public_memory_free; /* bytes; -1: not said */
	int64_t private_memory, private_memory_free;
	char slot_description[65 * 4];
	char slot_manufacturer[33 * 4];
	char library_description[33 * 4]; /* C_GetInfo */
	char library_manufacturer[33 * 4];
	unsigned int library_major, library_minor;
	unsigned int cryptoki_major, cryptoki_minor;
};

/*
 * ofs_token_get_details: asks token, slot and module about themselves. Does
 * not log in. Errors: OFS_ETOKEN (gone, or another is in its place).
 */
int ofs_token_get_details(ofs_token *token, struct ofs_token_details *out);

/* A mechanism of a token (PKCS#11 2.40, CK_MECHANISM_INFO). */
struct ofs_mechanism {
	size_t size;
	unsigned long type;             /* CKM_... */
	const char *name;               /* "CKM_ECDSA", or NULL */
	unsigned long min_key, max_key; /* in the mechanism's own unit, or 0 */
	unsigned long flags;            /* CKF_... */
	char uses[160];                 /* "sign verify"; of the flags */
};

typedef int (*ofs_mechanism_fn)(void *arg, const struct ofs_mechanism *m);

/*
 * ofs_token_mechanisms: each mechanism that the token offers, by number; a
 * non-zero return of fn ends it and is returned.
 */
int ofs_token_mechanisms(ofs_token *token, ofs_mechanism_fn fn, void *arg);

/*
 * ofs_key_pub_pem: the public key as PEM (SubjectPublicKeyInfo, RFC 7468);
 * ofs_key_pub_der, ofs_key_cert_der: as DER. Errors: OFS_EKEY (no certificate
 * on the token). Caller frees *pem and *der with free().
 */
int ofs_key_pub_pem(ofs_key *key, char **pem);
int ofs_key_pub_der(ofs_key *key, uint8_t **der, size_t *len);
int ofs_key_cert_der(ofs_key *key, uint8_t **der, size_t *len);

struct ofs_key_rename_opts {
	size_t size;
	const char *label; /* UTF-8, at most 128 bytes; NULL: stays */
	const uint8_t *id; /* at most 64 bytes; NULL: stays */
	size_t id_len;
};

#define OFS_KEY_RENAME_OPTS_INIT                            \
	{                                                   \
		sizeof(struct ofs_key_rename_opts), 0, 0, 0 \
	}

/*
 * ofs_key_rename: gives the key that the URI names another label or id, on its
 * private, public and certificate objects, and reads them back. Logs in. The
 * audit log has a record before anything is changed and one of the end.
 * *out (may be NULL) is the key as it is now; its pem is NULL. When an object
 * refuses, the ones before it are set back; the message says what is changed
 * where even that fails. Errors: OFS_EEXIST (another object has that label or
 * id), OFS_EUNSUPPORTED (names on this token are fixed), OFS_EKEY,
 * OFS_EAMBIGUOUS, OFS_EAUDIT (nothing was changed, unless the message says so).
 */
int ofs_key_rename(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_key_rename_opts *opts, struct ofs_enrolled *out);

enum ofs_object_kind {
	OFS_OBJECT_PRIVATE_KEY,
	OFS_OBJECT_PUBLIC_KEY,
	OFS_OBJECT_CERTIFICATE
};

/* One object of a key. */
struct ofs_object_info {
	size_t size;
	enum ofs_object_kind kind;
	uint8_t id[64];
	size_t id_len;
	char label[256];
	char type_name[32]; /* of the key; "" where it cannot be read */
	char subject[256];  /* of a certificate, or "" */
	char serial[64];    /* of a certificate, hex, or "" */
};

/*
 * Is shown everything that is about to be deleted; 0 goes on, a negative code
 * leaves everything as it is and is returned.
 */
typedef int (*ofs_delete_fn)(void *arg, const struct ofs_key_info *key,
	const struct ofs_object_info *objects, size_t n);

struct ofs_key_delete_opts {
	size_t size;
	bool cert_only;        /* its certificates, not the key */
	ofs_delete_fn confirm; /* required */
	void *confirm_arg;
};

#define OFS_KEY_DELETE_OPTS_INIT                                \
	{                                                       \
		sizeof(struct ofs_key_delete_opts), false, 0, 0 \
	}

/*
 * ofs_key_delete: deletes the key that the URI names for good: its private
 * key, and the public keys and certificates with its id that hold its public
 * key. A public key or certificate that was left without a private key is
 * deleted, too. Logs in. Nothing is deleted before the record of it is
 * durable; another is written at the end (*seq, may be NULL). Errors: OFS_EKEY,
 * OFS_EAMBIGUOUS, what confirm returned, OFS_ETOKEN (the message says what is
 * deleted and what is left), OFS_EUNSUPPORTED (a YubiKey, whose module deletes
 * certificates only), OFS_EAUDIT.
 */
int ofs_key_delete(ofs_token *token, ofs_audit *audit, const char *uri,
	const struct ofs_key_delete_opts *opts, uint64_t *seq);

/*
 * ofs_token_change_pin: asks the PIN callback for OFS_PIN_USER and
 * OFS_PIN_NEW_USER and changes one to the other, also where the token demands
 * that. The token's state is read right before: a locked PIN, or one on its
 * final try without ctx opts' last_try, is not sent; a rejected one is never
 * sent again. The audit log has a record before the token is asked, and one of
 * success or failure. Errors: OFS_EPIN, OFS_EPINLOCKED, OFS_ENOPIN, OFS_EINVAL
 * (new PIN too short or long, or refused, or the old one), OFS_EUNSUPPORTED,
 * OFS_ETOKEN, OFS_EAUDIT.
 */
int ofs_token_change_pin(ofs_token *token, ofs_audit *audit);

/*
 * ofs_token_unblock_pin: the SO logs in (OFS_PIN_SO) and sets the user PIN
 * (OFS_PIN_NEW_USER). ofs_token_change_so_pin: OFS_PIN_SO becomes
 * OFS_PIN_NEW_SO. Both as ofs_token_change_pin. An SO logs in only where no
 * user is: the token's own session is closed; keys that were opened on it must
 * have been freed.
 */
int ofs_token_unblock_pin(ofs_token *token, ofs_audit *audit);
int ofs_token_change_so_pin(ofs_token *token, ofs_audit *audit);

/* How bad a finding about a token is. */
enum ofs_severity {
	OFS_SEVERITY_INFO = 1, /* to know */
	OFS_SEVERITY_WARNING,  /* mend it when it suits */
	OFS_SEVERITY_SERIOUS   /* do not sign before it is mended */
};

/* The bytes of a file of advisories (ofs-token(1)); borrowed. */
struct ofs_advisories {
	const char *name; /* for messages */
	const void *p;
	size_t n;
};

struct ofs_check_opts {
	size_t size;
	ofs_audit *audit; /* where the check is recorded; NULL: nowhere */
	const struct ofs_advisories *advisories;
	size_t n_advisories;
	int days;        /* "cert-expiring" within; 0: 30 */
	bool no_login;   /* look at what everybody can see */
	bool write_test; /* store, read and delete a private data object */
};

#define OFS_CHECK_OPTS_INIT                                             \
	{                                                               \
		sizeof(struct ofs_check_opts), 0, 0, 0, 0, false, false \
	}

/* One thing that was found. The ids are listed in ofs-token(1). */
struct ofs_finding {
	size_t size;
	const char *id; /* "key-extractable"; static */
	enum ofs_severity severity;
	bool of_key;       /* of a key, not of the token as a whole */
	char subject[400]; /* "key 'batch' (id 0a)" */
	char uri[1024];
	char text[512];   /* what it means, one line */
	char action[512]; /* what to do, one line; "" for nothing */
};

/* Receives each finding; a non-zero return ends the check and is returned. */
typedef int (*ofs_finding_fn)(void *arg, const struct ofs_finding *f);

struct ofs_check_report {
	size_t size;
	struct ofs_token_info token; /* as it is now */
	char library[128];           /* CK_INFO: maker and description */
	unsigned int library_major, library_minor;
	unsigned int cryptoki_major, cryptoki_minor;
	unsigned int hardware_major, hardware_minor;
	size_t mechanisms;
	char signing[256]; /* those we know that sign: "RSA_PKCS ECDSA" */
	bool logged_in;    /* private keys were looked at */
	size_t keys;
	size_t advisories; /* that were compared */
	size_t serious, warnings, infos;
};

/*
 * ofs_token_check: a safety assessment of a token and its keys. Logs in unless
 * opts->no_login, or the state of the PIN forbids it, which is a finding. No
 * PIN is guessed. *out is complete before fn is called for the first time; the
 * worst findings come first. At the end the check is recorded with the counts
 * in opts->audit. Findings are no error: look at out->serious. Errors:
 * OFS_EFORMAT (advisories), those of ofs_token_login.
 */
int ofs_token_check(ofs_token *token, const struct ofs_check_opts *opts,
	ofs_finding_fn fn, void *arg, struct ofs_check_report *out);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
