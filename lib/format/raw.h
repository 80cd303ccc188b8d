/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Raw signatures: which documents must not be signed bare. */
#ifndef FORMAT_RAW_H
#define FORMAT_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_PREFIX 4096 /* bytes of a document that are enough to decide */
/* bytes of a document that is signed itself and not by its hash (EdDSA) */
#define RAW_MESSAGE_MAX (64u << 20)

/*
 * Whether a document of `total` bytes, of which `n` (all, or RAW_PREFIX) are
 * at p, could be the signed attributes of a CMS signature (RFC 5652 5.4): a
 * SET whose length fits the document and whose first element starts like an
 * Attribute. Errs on the side of yes. A raw signature over such bytes could be
 * wrapped as a CMS signature of another document.
 */
bool raw_looks_like_attrs(const uint8_t *p, size_t n, uint64_t total);

#endif
