/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The module as a whole: what it exports, and its beginning and end. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "count.h"
#include "faultp11.h"
#include "removal.h"

#define EXPORT __attribute__((visibility("default")))

#define LIST_ROW(name, output) .name = name,
static CK_FUNCTION_LIST functions = { { 2, 40 }, FUNCTIONS(LIST_ROW) };

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void *
open_module(void)
{
	static const char *const places[] = {
		"/usr/lib/softhsm/libsofthsm2.so",
		"/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
	};
	const char *given = getenv("FAULTP11_MODULE");

	if (given != NULL && given[0] != '\0')
		return dlopen(given, RTLD_NOW | RTLD_LOCAL);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], R_OK) == 0)
			return dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
	return NULL;
}

static void
load(void)
{
	CK_C_GetFunctionList get = NULL;
	void *h = open_module(), *sym = NULL;

	if (h != NULL)
		sym = dlsym(h, "C_GetFunctionList");
	memcpy(&get, &sym, sizeof(get));
	if (get == NULL || get(&real) != CKR_OK) {
		real = NULL;
		fprintf(stderr,
			"faultp11: cannot load the module behind; set "
			"FAULTP11_MODULE\n");
		return;
	}
	(void)pthread_atfork(
		call_fork_prepare, call_fork_parent, call_fork_child);
}

EXPORT CK_RV
C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	struct call c;
	CK_RV rv;

	pthread_once(&once, load);
	if (real == NULL)
		return CKR_GENERAL_ERROR;
	if (!call_plain(&c, FN_C_GetFunctionList, &rv))
		return rv;
	if (list != NULL)
		*list = &functions;
	return call_end(&c, list != NULL ? CKR_OK : CKR_ARGUMENTS_BAD);
}

CK_RV
C_Initialize(void *args)
{
	struct call c;
	CK_RV rv;

	if (!call_plain(&c, FN_C_Initialize, &rv))
		return rv;
	if (c.child) { /* SoftHSM2 believes that it is its parent */
		(void)real->C_Finalize(NULL);
		state_lock();
		removal_finalized(true);
		state_unlock();
	}
	rv = real->C_Initialize(args);
	if (rv == CKR_OK) {
		state_lock();
		removal_initialized();
		state_unlock();
	}
	return call_end(&c, rv);
}

CK_RV
C_Finalize(void *reserved)
{
	struct call c;
	CK_RV rv;

	if (!call_plain(&c, FN_C_Finalize, &rv))
		return rv;
	rv = real->C_Finalize(reserved);
	if (rv == CKR_OK) {
		state_lock();
		removal_finalized(false);
		state_unlock();
	}
	return call_end(&c, rv);
}

CK_RV
C_GetInfo(CK_INFO *info)
{
	struct call c;
	CK_RV rv;

	if (!call_plain(&c, FN_C_GetInfo, &rv))
		return rv;
	rv = real->C_GetInfo(info);
	if (info != NULL) {
		call_fixed(
			&c, info->manufacturerID, sizeof(info->manufacturerID));
		call_fixed(&c, info->libraryDescription,
			sizeof(info->libraryDescription));
	}
	return call_end(&c, rv);
}

EXPORT int
faultp11_script(const char *text)
{
	int line;

	state_lock();
	armed_poll(false);
	line = armed_set(text);
	state_unlock();
	return line;
}

EXPORT unsigned long
faultp11_calls(const char *function)
{
	int fn = fn_number(function);

	return fn < 0 ? 0 : count_get((enum fn)fn);
}

EXPORT void
faultp11_reset(void)
{
	gate_close();
	state_lock();
	(void)armed_set("");
	if (real != NULL)
		removal_undo();
	state_unlock();
	gate_open();
}
