/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libofflinesig: signs piles of documents with keys on PKCS#11 tokens. */
#ifndef OFFLINESIG_H
#define OFFLINESIG_H

#include <offlinesig/version.h>
#include <offlinesig/err.h>
#include <offlinesig/types.h>
#include <offlinesig/token.h>
#include <offlinesig/sign.h>
#include <offlinesig/batch.h>
#include <offlinesig/plan.h>
#include <offlinesig/verify.h>
#include <offlinesig/audit.h>
#include <offlinesig/keep.h>
#include <offlinesig/checkpoint.h>
#include <offlinesig/heads.h>

#endif
