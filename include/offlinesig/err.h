/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Error codes, their classes, and the record that a handle keeps. */
#ifndef OFFLINESIG_ERR_H
#define OFFLINESIG_ERR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * Every function that can fail returns 0 or one of these. A bad signature is
 * an error code, never a success value. The comment gives the class.
 */
enum ofs_errcode {
	OFS_OK = 0,
	OFS_EINVAL = -1,       /* usage: argument or combination is wrong */
	OFS_EUNSUPPORTED = -2, /* usage: algorithm or feature not available */
	OFS_ESIGNATURE = -3,   /* verdict: signature or document is wrong */
	OFS_EUNTRUSTED = -4,   /* verdict: chain, revocation, time, policy */
	OFS_EUNREADABLE = -5,  /* format: the signature file cannot be parsed */
	OFS_EITEMS = -6,       /* verdict: some items of the batch failed */
	OFS_EPIN = -7,         /* auth: the token rejected the PIN */
	OFS_EPINLOCKED = -8,   /* auth: PIN locked, or on its final try */
	OFS_ENOPIN = -9,       /* auth: no PIN could be had */
	OFS_EMODULE = -10,     /* token: the PKCS#11 module is unusable */
	OFS_ETOKEN = -11,      /* token: absent, removed, or it failed */
	OFS_EKEY = -12,        /* token: no such key or certificate */
	OFS_EAMBIGUOUS = -13,  /* token: the URI matches more than one */
	OFS_EPOLICY = -14,     /* token: key or token refused by a rule */
	OFS_EBADSIG = -15,     /* token: CKR_OK came with a wrong signature */
	OFS_EFORMAT = -16,     /* format: list, certificate or file malformed */
	OFS_EMISMATCH = -17,   /* format: the document is not what was listed */
	OFS_ECERT = -18,       /* format: certificate does not fit or expired */
	OFS_EEXIST = -19,      /* io: the output exists already */
	OFS_EIO = -20,         /* io: a file cannot be read or written */
	OFS_EAUDIT = -21,      /* io: the audit log cannot be written */
	OFS_EDAMAGED = -22,    /* verdict: the audit log fails verification */
	OFS_EINTR = -23,       /* resource: cancelled, work is unfinished */
	OFS_ENOMEM = -24,      /* resource: out of memory */
	OFS_EINTERNAL = -25    /* internal: a bug or an unexpected answer */
};

/* What a caller can do about an error. */
enum ofs_errclass {
	OFS_CLASS_NONE,     /* no error */
	OFS_CLASS_USAGE,    /* mend the call */
	OFS_CLASS_VERDICT,  /* do not rely on what was checked */
	OFS_CLASS_AUTH,     /* another PIN, or unblock; never retry by itself */
	OFS_CLASS_TOKEN,    /* look at the token, its module or its keys */
	OFS_CLASS_IO,       /* look at the disk, names and permissions */
	OFS_CLASS_FORMAT,   /* mend the input */
	OFS_CLASS_RESOURCE, /* try again later */
	OFS_CLASS_INTERNAL  /* report it */
};

#define OFS_NO_ITEM ((size_t)-1)

/*
 * The last error of a handle, owned by it and borrowed by the caller until
 * the next call on that handle. `message` is one line of UTF-8 without a full
 * stop: what failed, the subject, what to do. It never holds a PIN. File
 * names in it are escaped as in C where they hold control characters or bytes
 * that are not UTF-8.
 */
struct ofs_error {
	int code;           /* enum ofs_errcode */
	unsigned long ckr;  /* PKCS#11 CK_RV, 0 (CKR_OK) if none was involved */
	int sys_errno;      /* errno, 0 if none */
	size_t item;        /* index in the batch, or OFS_NO_ITEM */
	char message[1024]; /* NUL-terminated */
};

/* ofs_err_class: the class of a code; OFS_CLASS_INTERNAL for unknown ones. */
enum ofs_errclass ofs_err_class(int code);

/* ofs_err_name: "OFS_EPIN" for OFS_EPIN, "OFS_E?" for unknown. Static. */
const char *ofs_err_name(int code);

/* ofs_err_text: a few lower-case words for a code. Static. */
const char *ofs_err_text(int code);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
