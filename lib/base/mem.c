/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory for secrets: locked, left out of core dumps, wiped. */
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

/* size rounded up to whole pages, 0 if that is impossible */
static size_t
pages(size_t size)
{
	long page = sysconf(_SC_PAGESIZE);
	size_t mask;

	if (page <= 0 || size == 0)
		return 0;
	mask = (size_t)page - 1;
	if (size > SIZE_MAX - mask)
		return 0;
	return (size + mask) & ~mask;
}

void *
mem_secret_new(size_t size)
{
	size_t n = pages(size);
	void *p;

	if (n == 0)
		return NULL;
	p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		-1, 0);
	if (p == MAP_FAILED)
		return NULL;
	/* RLIMIT_MEMLOCK may be 0: swapping is then the system's affair */
	(void)mlock(p, n);
	(void)madvise(p, n, MADV_DONTDUMP);
	return p;
}

void
mem_secret_free(void *p, size_t size)
{
	if (p == NULL)
		return;
	mem_wipe(p, size);
	(void)munmap(p, pages(size));
}

void
mem_wipe(void *p, size_t size)
{
	if (p != NULL && size > 0)
		explicit_bzero(p, size);
}
