/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What signals ask of a running batch: to stop, to stop at once, to report. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "common/exit.h"
#include "sign.h"

/* for the handlers alone */
static _Atomic(ofs_batch *) running;
static atomic_int stops;
static atomic_bool report_wanted;

static const char at_once[] =
	"\nofs-sign: stopped at once; what the token was asked for last may "
	"have been\nsigned and not be recorded ('ofs-audit verify' names it). "
	"To go on, run the\nsame command again\n";

/* the second is no different from a crash, for which everything is made */
static void
stop(int signum)
{
	ofs_batch *b = atomic_load(&running);

	(void)signum;
	if (b == NULL)
		return;
	if (atomic_fetch_add(&stops, 1) == 0) {
		ofs_batch_cancel(b);
		return;
	}
	cmd_sign_validate_kill();
	if (write(STDERR_FILENO, at_once, sizeof(at_once) - 1) < 0)
		_exit(EXIT_INTERRUPTED);
	_exit(EXIT_INTERRUPTED);
}

static void
want_report(int signum)
{
	(void)signum;
	atomic_store(&report_wanted, true);
}

static const int watched[] = { SIGINT, SIGTERM, SIGHUP };

#define N_WATCHED (sizeof(watched) / sizeof(watched[0]))

static struct sigaction before[N_WATCHED];

/* one that is ignored stays so */
static void catch (int signum, void (*fn)(int), struct sigaction *was)
{
	struct sigaction act, old;

	memset(&act, 0, sizeof(act));
	sigemptyset(&act.sa_mask);
	act.sa_handler = fn;
	act.sa_flags = SA_RESTART;
	sigaction(signum, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(signum, &act, NULL);
	if (was != NULL)
		*was = old;
}

void
cmd_sign_catch_report(void)
{
	catch (SIGUSR1, want_report, NULL);
}

bool
cmd_sign_report_wanted(void)
{
	return atomic_exchange(&report_wanted, false);
}

bool
cmd_sign_stopping(void)
{
	return atomic_load(&stops) > 0;
}

void
cmd_sign_watch(ofs_batch *b)
{
	size_t i;

	atomic_store(&running, b);
	for (i = 0; i < N_WATCHED; i++)
		catch (watched[i], stop, &before[i]);
}

void
cmd_sign_unwatch(void)
{
	size_t i;

	for (i = 0; i < N_WATCHED; i++)
		sigaction(watched[i], &before[i], NULL);
	atomic_store(&running, NULL);
}
