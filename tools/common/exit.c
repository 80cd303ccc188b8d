/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The exit status of every tool: one table. */
#include <offlinesig.h>

#include "common/exit.h"

int
exit_status(int code)
{
	switch (code) {
	case OFS_OK:
		return EXIT_DONE;
	case OFS_ESIGNATURE:
	case OFS_EUNTRUSTED:
	case OFS_EITEMS:
		return EXIT_NEGATIVE;
	case OFS_EINVAL:
	case OFS_EUNSUPPORTED:
		return EXIT_USAGE;
	case OFS_EMODULE:
	case OFS_ETOKEN:
	case OFS_EKEY:
	case OFS_EAMBIGUOUS:
	case OFS_EPOLICY:
	case OFS_EBADSIG:
		return EXIT_TOKEN;
	case OFS_EPIN:
	case OFS_EPINLOCKED:
	case OFS_ENOPIN:
		return EXIT_PIN;
	case OFS_EAUDIT:
	case OFS_EDAMAGED:
		return EXIT_AUDIT;
	case OFS_EINTR:
		return EXIT_INTERRUPTED;
	default:
		/*
		 * OFS_EUNREADABLE, EFORMAT, EMISMATCH, ECERT, EEXIST, EIO; and
		 * ENOMEM and EINTERNAL, where this machine is what failed
		 */
		return EXIT_PLACE;
	}
}
