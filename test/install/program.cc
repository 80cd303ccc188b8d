// SPDX-License-Identifier: LGPL-2.1-or-later
// Built by make installcheck against the installed library, as C++.
#include <cstdio>

#include <offlinesig.h>

int main()
{
	ofs_ctx_opts opts = OFS_CTX_OPTS_INIT;
	ofs_ctx *ctx = nullptr;

	if (ofs_ctx_new(&opts, &ctx) != 0)
		return 1;
	ofs_ctx_free(ctx);
	std::printf("%s\n", ofs_version());
	return 0;
}
