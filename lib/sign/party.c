/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who signs with what, as records name it. */
#include <string.h>

#include "sign/party.h"

#include "base/ctx.h"
#include "crypto/cert.h"

void
party_token(const struct ofs_token_info *info, struct rec_token *to)
{
	memset(to, 0, sizeof(*to));
	to->manufacturer = info->manufacturer;
	to->model = info->model;
	to->serial = info->serial;
	to->label = info->label;
	to->module = info->module;
	to->module_sha256 = (struct rec_span){ info->module_sha256,
		sizeof(info->module_sha256) };
}

/* the certificate's names live in the caller's buffers */
struct cert_names {
	char subject[256], serial[64];
	uint8_t sha256[32];
};

static int
party_cert(X509 *cert, struct cert_names *names, struct rec_key *key,
	struct ofs_error *e)
{
	int rc;

	rc = cert_sha256(cert, names->sha256, e);
	if (rc == 0)
		rc = cert_not_after(cert, &key->not_after, e);
	if (rc != 0)
		return rc;
	cert_subject(cert, names->subject, sizeof(names->subject));
	cert_serial_hex(cert, names->serial, sizeof(names->serial));
	key->subject = names->subject;
	key->serial = names->serial;
	key->cert_sha256 = (struct rec_span){ names->sha256, 32 };
	return 0;
}

int
party_encode(ofs_ctx *ctx, ofs_audit *audit, ofs_key *key, X509 *cert,
	struct buf *der, struct ofs_error *e)
{
	const struct ofs_key_info *info = ofs_key_get_info(key);
	struct rec_party p;
	struct cert_names names;
	int rc;

	memset(&p, 0, sizeof(p));
	p.key.id = (struct rec_span){ info->id, info->id_len };
	p.key.label = info->label;
	p.key.type = info->type_name;
	if (key_pub(key) != NULL)
		p.key.spki_sha256 = (struct rec_span){ info->spki_sha256, 32 };
	if (cert != NULL) {
		rc = party_cert(cert, &names, &p.key, e);
		if (rc != 0)
			return rc;
	}
	party_token(ofs_token_get_info(key_token(key)), &p.token);
	log_operator(audit, &p.operator_);
	p.tool = ctx->opts.tool != NULL ? ctx->opts.tool : "libofflinesig";
	return record_party_encode(&p, der, e);
}
