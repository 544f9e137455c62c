/*
 * shell.h - a command of the configuration: run by /bin/sh -c, in a process group of its own,
 * without input (/dev/null), with our standard error, and never for longer than it may.
 */
#ifndef LS_SHELL_H
#define LS_SHELL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct shell {
	const char *command;
	const char *what; /* the command in errors: "account x: the password command" */
	int timeout_ms;

	/* Each piece of what it prints, which is overwritten afterwards; false: too much. */
	bool (*take)(void *ctx, const char *data, size_t len);
	void *ctx;
};

/*
 * Run it until the shell has ended; what it left in the background may go on. Returns 0, or -1
 * with an ERR_FATAL error that has nothing of what it printed: ERR_CONFIG (it failed, with its
 * exit status or signal; it was killed, because it did not end in time or printed too much),
 * ERR_LOCAL, or ERR_CANCELLED after a signal to us.
 */
int shell_run(const struct shell *shell, struct err *e);

#endif
