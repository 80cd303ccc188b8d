/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Built by make installcheck against the installed library. */
#include <stdio.h>
#include <string.h>

#include <offlinesig.h>

int
main(void)
{
	struct ofs_verdict v;
	ofs_verifier *verifier;
	ofs_ctx *ctx;
	int rc = 1;

	if (strcmp(ofs_version(), OFS_VERSION) != 0)
		return 1;
	if (ofs_ctx_new(NULL, &ctx) != 0)
		return 1;
	if (ofs_verifier_new(ctx, NULL, &verifier) == 0 &&
		ofs_verify_bytes(verifier, OFS_FORMAT_CMS, "x", 1, "y", 1,
			&v) == OFS_EUNREADABLE)
		rc = 0;
	ofs_verifier_free(verifier);
	ofs_ctx_free(ctx);
	printf("%s\n", ofs_version());
	return rc;
}
