/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as a time-stamp request or response: no response is accepted but
 * with the time that the authority has signed.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "crypto/digest.h"
#include "crypto/tsp.h"

#define STAMPED INT64_C(1795290630000000) /* corpus/tsp/response */

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char authority[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBijCCATGgAwIBAgIUDiSxDDEW60lt0qH2QP8I93f8dtgwCgYIKoZIzj0EAwIw\n"
	"DjEMMAoGA1UEAwwDdHNhMCAXDTI2MTEyMTE5NTAwN1oYDzIxMjYxMDI4MTk1MDA3\n"
	"WjAOMQwwCgYDVQQDDAN0c2EwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ7htDL\n"
	"7tqt0lEY2qzI0ZNsOzesOX/6iiE8mo7ylaxcT9zwez9Vlw3Oz/6fpxDpAJGxbQ7Z\n"
	"gGNxnQbkX4DYIb+qo2swaTAdBgNVHQ4EFgQUp6t8WITlM3PUP1TBtyFPk5bP/8Ew\n"
	"HwYDVR0jBBgwFoAUp6t8WITlM3PUP1TBtyFPk5bP/8EwDwYDVR0TAQH/BAUwAwEB\n"
	"/zAWBgNVHSUBAf8EDDAKBggrBgEFBQcDCDAKBggqhkjOPQQDAgNHADBEAiAWC6Ku\n"
	"Ibzy5KVQHaNSZ8qymNTYLNaQMrKk8EBxtyrd5wIgZ3eTeIXlBQ8aaN+Wgju51Zeg\n"
	"feI1ACDxGxxqzYantR4=\n"
	"-----END CERTIFICATE-----\n";

static void
need(bool yes)
{
	if (!yes)
		abort();
}

static const struct tsp_trust *
trust(void)
{
	static struct tsp_trust t;
	struct ofs_error e;

	if (t.roots == NULL)
		need(cert_list_parse((const uint8_t *)authority,
			     sizeof(authority) - 1, &t.roots, &e) == 0);
	return &t;
}

/* the bytes of corpus/tsp/request: the response has its nonce */
static const uint8_t request[] = { 0x30, 0x44, 0x02, 0x01, 0x01, 0x30, 0x31,
	0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
	0x01, 0x05, 0x00, 0x04, 0x20, 0xaf, 0x3f, 0x21, 0x18, 0x16, 0x22, 0xd0,
	0x5e, 0xb6, 0x37, 0x5e, 0xbb, 0x30, 0xe6, 0x2b, 0xbe, 0x98, 0xf8, 0x54,
	0x1c, 0x77, 0x8a, 0xe2, 0xec, 0xed, 0xd0, 0xaf, 0x33, 0x3c, 0x43, 0xa5,
	0x04, 0x02, 0x09, 0x00, 0xb4, 0xe1, 0xb9, 0x28, 0x4d, 0xf7, 0x03, 0x26,
	0x01, 0x01, 0xff };

static void
try_response(const uint8_t *p, size_t n, const uint8_t *req, size_t req_len)
{
	static const char stamped[] = "a checkpoint\n";
	int64_t said, time;
	struct ofs_error e;
	uint8_t sum[32];
	int rc;

	need(digest_of(&digest_sha256, stamped, sizeof(stamped) - 1, sum, &e) ==
		0);
	rc = tsp_check(p, n, sum, req, req_len, trust(), &time, &e);
	need(rc == 0 || rc == OFS_EFORMAT || rc == OFS_ESIGNATURE ||
		rc == OFS_EUNTRUSTED);
	if (rc == 0)
		need(tsp_time(p, n, &said, &e) == 0 && said == time &&
			time == STAMPED);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct ofs_error e;
	uint8_t sum[32];
	int64_t time;
	int rc;

	rc = tsp_request_imprint(p, n, sum, &e);
	need(rc == 0 || rc == OFS_EFORMAT);
	rc = tsp_time(p, n, &time, &e);
	need(rc == 0 || rc == OFS_EFORMAT);
	need(tsp_imprint(p, n, sum, &e) != 0 || rc == 0);
	try_response(p, n, NULL, 0);
	try_response(p, n, request, sizeof(request));
	return 0;
}
