/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ofs-token: prepares tokens, enrols and looks after the keys on them. */
#include <stdio.h>
#include <string.h>

#include "common/exit.h"
#include "common/plain.h"
#include "token.h"

/* clang-format off */
static const char help[] =
"usage: ofs-token VERB [options] [operands]\n"
"\n"
"  list                      the tokens that the modules show\n"
"  info [URI]                everything about one token\n"
"  init --label NAME         make a blank token ready, set its PINs\n"
"  enroll URI --key-type T   make a key on the token, with a certificate\n"
"                            or a request for one\n"
"  adopt URI                 check and record a key that is there already\n"
"  import-cert URI FILE      store the certificate of a key on the token\n"
"  export-cert URI           write a key's certificate, or its public key\n"
"  keys [URI]                the keys of a token\n"
"  rename URI --label NEW    give a key another label or id\n"
"  delete URI                delete a key or its certificates for good\n"
"  pin change [URI]          change the user PIN\n"
"  pin unblock [URI]         set the user PIN with the SO PIN\n"
"  so-pin change [URI]       change the SO PIN\n"
"  check [URI]               a safety assessment of a token and its keys\n"
"  bench URI...              how fast keys sign, and the best --jobs\n"
"\n"
"A URI names a token or a key (RFC 7512): 'pkcs11:token=payroll;object=batch'.\n"
"'ofs-token VERB --help' has the options of a verb. PINs are never arguments:\n"
"they are asked for on the terminal or come from --pin-source.\n"
"\n"
"  --help, --version\n"
"\n"
"Exit status: 0 done; 1 check found something serious; 2 usage; 3 token, module\n"
"or key; 4 PIN; 5 certificate or output place; 6 audit log.\n"
"\n"
"Example:\n"
"  ofs-token init --label payroll\n"
"  ofs-token enroll 'pkcs11:token=payroll;object=batch' --key-type ec:P-256 \\\n"
"      --subject '/O=Acme/CN=Payroll batch' --csr req.pem\n";
/* clang-format on */

static const struct verb verbs[] = {
	{ "list", cmd_token_list },
	{ "info", cmd_token_info },
	{ "init", cmd_token_init },
	{ "enroll", cmd_token_enroll },
	{ "adopt", cmd_token_adopt },
	{ "import-cert", cmd_token_import_cert },
	{ "export-cert", cmd_token_export_cert },
	{ "keys", cmd_token_keys },
	{ "rename", cmd_token_rename },
	{ "delete", cmd_token_delete },
	{ "pin change", cmd_token_pin_change },
	{ "pin unblock", cmd_token_pin_unblock },
	{ "so-pin change", cmd_token_so_pin_change },
	{ "check", cmd_token_check },
	{ "bench", cmd_token_bench },
	{ .name = NULL },
};

void
cmd_token_row(FILE *f, const char *name, const char *value)
{
	fprintf(f, "  %-12s", name);
	plain_put(f, value, strlen(value));
	fputc('\n', f);
}

int
main(int argc, char **argv)
{
	struct out o = OUT_INIT;

	if (!out_guard())
		return exit_status(OFS_EIO);
	tool_harden();
	return exit_status(out_end(
		&o, args_verb("ofs-token", help, verbs, &o, argc, argv)));
}
