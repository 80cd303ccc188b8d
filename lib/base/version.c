/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The version of the running library. */
#include <offlinesig/version.h>

const char *
ofs_version(void)
{
	return OFS_VERSION;
}
