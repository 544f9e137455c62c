/* submit: put the message on standard input into the spool. Contacts nobody. */
#include "command/cmd.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "source/spool_submit.h"

/* What Sieve pipes, Postfix and OpenSMTPD understand: refused for good, or try again. */
static int status_of(const struct err *e)
{
	switch (e->kind) {
	case ERR_USAGE:
		return EX_USAGE;
	case ERR_DATA:
		return EX_DATAERR;
	default:
		return EX_TEMPFAIL;
	}
}

int cmd_submit(const struct cmd_options *o)
{
	struct err e;

	if (o->class == CLASS_NONE)
		return cmd_usage("submit needs --class spam or --class ham", "");
	if (spool_submit(o->spool ? o->spool : SPOOL_DEFAULT, o->class, o->reporter,
			 STDIN_FILENO, &e) == 0)
		return EX_OK;
	fprintf(stderr, "learnspool: %s\n", e.text);
	return status_of(&e);
}
