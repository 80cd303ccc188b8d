/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lending a key to an application as an OpenSSL EVP_PKEY. */
#include "station/recorded.h"

int
ofs_key_evp_pkey(ofs_key *key, ofs_audit *audit, unsigned int flags,
	struct evp_pkey_st **out)
{
	struct recorded r = { 0 };
	struct ofs_error e;
	int rc = 0;

	*out = NULL;
	err_clear(&e);
	if (flags != OFS_KEY_UNRECORDED)
		rc = err_set(&e, OFS_EINVAL,
			"what is signed with an EVP_PKEY is not recorded; pass "
			"OFS_KEY_UNRECORDED to say that this is meant");
	if (rc == 0 && audit != NULL)
		rc = log_refuse_key(audit, key_pub(key), &e);
	if (rc == 0)
		rc = recorded_init(&r, audit, key, key_cert(key), &e);
	if (rc == 0)
		rc = recorded_lent(&r, "EVP_PKEY", &e);
	if (rc == 0)
		rc = key_to_evp(key, out, &e);
	recorded_clear(&r);
	return rc == 0 ? 0 : key_fail(key, &e);
}
