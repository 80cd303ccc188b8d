/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory for secrets: locked, left out of core dumps, wiped. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* whole pages: mlock (best effort), MADV_DONTDUMP, zeroed; NULL on failure */
void *mem_secret_new(size_t size);
/* wipes and unmaps; NULL is fine */
void mem_secret_free(void *p, size_t size);
/* a wipe that the compiler keeps */
void mem_wipe(void *p, size_t size);

#endif
