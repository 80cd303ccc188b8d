/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Object handles and attributes, as callers see them. */
#ifndef FAULTP11_OBJECT_H
#define FAULTP11_OBJECT_H

#include "call.h"

/* the handle behind, with keys exchanged that the script exchanges */
CK_OBJECT_HANDLE object_in(struct call *c, CK_OBJECT_HANDLE outer);
CK_OBJECT_HANDLE object_out(struct call *c, CK_OBJECT_HANDLE inner);
/* writes one that was made, and makes it an output */
void object_made(struct call *c, CK_RV rv, CK_OBJECT_HANDLE *handle);
/* what this module says about a bad key handle */
CK_RV object_key_answer(struct call *c, CK_RV rv);

/* the first object with these attributes, in a session of its own; or 0 */
CK_OBJECT_HANDLE object_find(CK_SLOT_ID inner, CK_ATTRIBUTE *a, CK_ULONG n);

#endif
