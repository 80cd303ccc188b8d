/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a test finds in faultp11.so with dlsym(), beside C_GetFunctionList. */
#ifndef FAULTP11_H
#define FAULTP11_H

/*
 * faultp11_script: arms the text and nothing else; test/README.md has the
 * language. What was armed before is gone, and the counters start from 0
 * unless the first word is "keep"; tokens that are out stay out. Returns 0, or
 * the number of the first line that is wrong, and then nothing has changed.
 */
typedef int faultp11_script_fn(const char *text);
/* calls of "C_Sign" in this process since then; 0 for an unknown name */
typedef unsigned long faultp11_calls_fn(const char *function);
/* disarms everything, puts every token back, sets the counters to 0 */
typedef void faultp11_reset_fn(void);

faultp11_script_fn faultp11_script;
faultp11_calls_fn faultp11_calls;
faultp11_reset_fn faultp11_reset;

#endif
