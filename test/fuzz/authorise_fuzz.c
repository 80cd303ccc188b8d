/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Any bytes as what an auditor has signed: what is accepted is recorded as DER,
 * and says the same to whoever verifies the log.
 */
#include <stdlib.h>
#include <string.h>

#include "crypto/cert.h"
#include "verify/authorise.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char auditor[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBezCCASGgAwIBAgIURncaV9C4rDgEv6bmWEBOn6KQi/kwCgYIKoZIzj0EAwIw\n"
	"EjEQMA4GA1UEAwwHYXVkaXRvcjAgFw0yNjExMjExOTUwMDdaGA8yMTI2MTAyODE5\n"
	"NTAwN1owEjEQMA4GA1UEAwwHYXVkaXRvcjBZMBMGByqGSM49AgEGCCqGSM49AwEH\n"
	"A0IABLrkf3ZO0VLb9hZn5dotoooei8ZodIdlqQyPCdai1A7Jkl0Bn2ixJD62rkhS\n"
	"Do9/yNt0qcW6UfKpAMpbwgWJdpqjUzBRMB0GA1UdDgQWBBTQwCpW15NTi8rGflKY\n"
	"JYeSGz64fTAfBgNVHSMEGDAWgBTQwCpW15NTi8rGflKYJYeSGz64fTAPBgNVHRMB\n"
	"Af8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIC5hBdrZj/mmVKaZI1spTVwEV8ja\n"
	"4PCwz6DxmdePE15EAiEAt5RFnFs6Bzec3LUshTdIbYOWUl1MCWKrDjjptk8iamc=\n"
	"-----END CERTIFICATE-----\n";

static STACK_OF(X509) *
auditors(void)
{
	static STACK_OF(X509) *all;
	struct ofs_error e;

	if (all == NULL &&
		cert_list_parse((const uint8_t *)auditor, sizeof(auditor) - 1,
			&all, &e) != 0)
		abort();
	return all;
}

static void
try_kind(const uint8_t *p, size_t n, enum statement_kind kind)
{
	struct buf der = BUF_INIT, first = BUF_INIT, second = BUF_INIT;
	struct statement s, again;
	struct ofs_error e;
	char who[256];
	int rc;

	rc = authorise_check(
		auditors(), p, n, kind, &s, who, sizeof(who), &der, &e);
	if (rc != 0 && rc != OFS_EUNREADABLE && rc != OFS_ESIGNATURE &&
		rc != OFS_EUNTRUSTED && rc != OFS_EFORMAT)
		abort();
	if (rc == 0) {
		if (authorise_check(auditors(), der.p, der.len, kind, &again,
			    who, sizeof(who), NULL, &e) != 0 ||
			statement_encode(&s, &first, &e) != 0 ||
			statement_encode(&again, &second, &e) != 0 ||
			first.len != second.len ||
			memcmp(first.p, second.p, first.len) != 0)
			abort();
		/* nobody but the auditor could sign; that is all of it */
		if (strcmp(s.origin, "example.org/log") != 0 ||
			strcmp(who, "CN=auditor") != 0)
			abort();
	}
	buf_free(&der);
	buf_free(&first);
	buf_free(&second);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	try_kind(p, n, STATEMENT_RESTORE);
	try_kind(p, n, STATEMENT_ERASE);
	return 0;
}
