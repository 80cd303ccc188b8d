/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other programs, as a script uses them: one process for each signature. */
#ifndef TEST_BENCH_OTHERS_H
#define TEST_BENCH_OTHERS_H

#include "token/keydef.h"

enum other { PKCS11_TOOL, OPENSSL_CMS, P11TOOL, OTHERS };

const char *others_name(enum other o);
/*
 * Signatures in a second, of a token 'sandbox'; `mech` is what pkcs11-tool
 * calls the mechanism. The environment has the PIN: OFS_BENCH_PIN and, for
 * p11tool, GNUTLS_PIN.
 */
double others_rate(
	enum other o, const ofs_key *key, const char *mech, const char *dir);

#endif
