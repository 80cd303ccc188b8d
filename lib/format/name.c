/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* File names of signatures. */
#include <string.h>

#include <offlinesig/sign.h>

static const char *const suffixes[] = {
	[OFS_FORMAT_CMS] = ".p7s",
	[OFS_FORMAT_CMS_ATTACHED] = ".p7m",
	[OFS_FORMAT_RAW] = ".sig",
};

#define N_SUFFIXES (sizeof(suffixes) / sizeof(suffixes[0]))

const char *
ofs_format_suffix(enum ofs_format format)
{
	size_t i = (size_t)format;

	return i < N_SUFFIXES ? suffixes[i] : "";
}

bool
ofs_is_signature_name(const char *name)
{
	size_t n = name != NULL ? strlen(name) : 0;

	for (size_t i = 0; i < N_SUFFIXES; i++) {
		size_t len = strlen(suffixes[i]);

		/* ".sig" alone is a name without a suffix */
		if (n > len && name[n - len - 1] != '/' &&
			strcmp(name + n - len, suffixes[i]) == 0)
			return true;
	}
	return false;
}
