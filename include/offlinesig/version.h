/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The version of the library that these headers belong to. */
#ifndef OFFLINESIG_VERSION_H
#define OFFLINESIG_VERSION_H

#define OFS_VERSION_MAJOR 0
#define OFS_VERSION_MINOR 1
#define OFS_VERSION_PATCH 0
#define OFS_VERSION "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/*
 * ofs_version: the version of the library that is running, as "0.1.0".
 * Compare it with OFS_VERSION to learn whether headers and library agree.
 * Static storage.
 */
const char *ofs_version(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
