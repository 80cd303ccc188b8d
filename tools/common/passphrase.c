/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Passphrases come from where PINs come from. */
#include "common/pinsrc.h"

int
pinsrc_passphrase(struct out *o, const char *option, const char *spec,
	const char *of, bool fresh, char **out)
{
	struct pins pins = { .out = o, .passphrase = option };
	struct ofs_pin_request req = { .size = sizeof(req),
		.kind = fresh ? OFS_PIN_NEW_USER : OFS_PIN_USER,
		.token_label = of };
	char value[64];
	int rc;

	*out = NULL;
	snprintf(value, sizeof(value), "the value of '%s'", option);
	rc = pinsrc_parse(o, value, spec, &pins.user);
	if (rc == 0 && pins.user.from == PIN_PAD)
		rc = out_fail(o, OFS_EINVAL,
			"a passphrase cannot come from a PIN pad");
	if (rc != 0)
		return rc;
	*out = pinsrc_buffer_new();
	if (*out == NULL)
		return out_fail(o, OFS_ENOMEM, "out of memory");
	rc = pinsrc_ask(&pins, &req, *out);
	if (rc != 0) {
		pinsrc_buffer_free(*out);
		*out = NULL;
	}
	return rc;
}
