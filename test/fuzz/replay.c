/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzzer without libFuzzer: its corpus, cut short and with bits changed.
 */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define FILE_MAX_SIZE (1u << 20)
#define SAMPLE 4000 /* changes to a file unless OFS_LONG is set */

static uint64_t seed;

static uint64_t
next_random(void)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return seed >> 33;
}

/* an exact heap copy, so that a sanitizer sees every byte read too far */
static void
run(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, p, n);
	LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static void
flip(uint8_t *p, size_t n, size_t bit)
{
	p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	run(p, n);
	p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
}

/* returns how many inputs were tried */
static size_t
mutate(uint8_t *p, size_t n)
{
	bool all = getenv("OFS_LONG") != NULL;
	size_t tried = 1;

	run(p, n);
	for (size_t i = 0; i < n; i++, tried++) {
		if (!all && tried > SAMPLE)
			break;
		run(p, all ? i : next_random() % n);
	}
	for (size_t i = 0; n > 0 && i < n * 8; i++, tried++) {
		if (!all && i >= SAMPLE)
			break;
		flip(p, n, all ? i : next_random() % (n * 8));
	}
	return tried;
}

static bool
replay(const char *dir, const char *name)
{
	static uint8_t buf[FILE_MAX_SIZE];
	char path[4096 + 260];
	size_t n, tried;
	bool ok;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "rb");
	if (f == NULL)
		return false;
	n = fread(buf, 1, sizeof(buf), f);
	ok = !ferror(f) && feof(f);
	fclose(f);
	if (!ok)
		return false;
	tried = mutate(buf, n);
	printf("# %s: %zu bytes, %zu inputs\n", name, n, tried);
	return true;
}

int
main(int argc, char **argv)
{
	const char *s = getenv("SEED");
	const char *top = getenv("OFS_TOP");
	const char *base = strrchr(argv[0], '/');
	char dir[4096], name[64];
	struct dirent **list;
	int n, bad = 0;

	(void)argc;
	seed = s != NULL ? strtoull(s, NULL, 10) : 1;
	snprintf(name, sizeof(name), "%s", base != NULL ? base + 1 : argv[0]);
	name[strcspn(name, "_")] = '\0';
	snprintf(dir, sizeof(dir), "%s/test/fuzz/corpus/%s",
		top != NULL ? top : ".", name);
	n = scandir(dir, &list, NULL, alphasort);
	if (n <= 2) {
		printf("1..0\nBail out! no corpus in %s\n", dir);
		return 1;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", n - 2);
	for (int i = 0, point = 1; i < n; i++) {
		if (list[i]->d_name[0] != '.') {
			bool ok = replay(dir, list[i]->d_name);

			printf("%sok %d - %s %s\n", ok ? "" : "not ", point++,
				name, list[i]->d_name);
			bad += !ok;
		}
		free(list[i]);
	}
	free(list);
	return bad != 0;
}
