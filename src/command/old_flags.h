/*
 * old_flags.h - the command line of the script that this program succeeds: flags in the place
 * of a command, with or without a configuration. learnspool(1), OLD FLAGS, says what they mean.
 */
#ifndef LS_OLD_FLAGS_H
#define LS_OLD_FLAGS_H

#include <stdbool.h>

#include "base/err.h"
#include "conf/conf.h"

enum old_flag {
	OLD_TRAIN,
	OLD_STATS,
	OLD_RESET,
	OLD_USER,
	OLD_PASSWORD,
	OLD_SPAM_FOLDER,
	OLD_HAM_FOLDER,
	OLD_HOST,
	OLD_PORT,
	OLD_CA_FILE,
	OLD_RSPAMD_URL,
	OLD_FLAGS, /* how many there are */
};

struct old_flags {
	const char
	    *value[OLD_FLAGS]; /* borrowed; "" for a flag without a value; NULL: not given */
	bool any;
	bool connects; /* set by the caller: the mail server is needed, and so is a password */
	conf_ready_fn *ready; /* set by the caller, with ctx: as conf_load() */
	void *ctx;
};

/*
 * Take a flag and its value (NULL: it has none). A password is copied, and overwritten where it
 * stood: in the process list.
 */
void old_flags_take(struct old_flags *f, enum old_flag flag, char *value);

/* The command that the flags ask for; NULL unless they ask for exactly one. */
const char *old_flags_command(const struct old_flags *f);

/*
 * The configuration in path, if there is one, changed as the flags and the environment say. It
 * has to be there if required. May ask for a password on the terminal. creates: the folder
 * above the ledger of a user without a configuration is made. On success *out is owned by the
 * caller. Returns 0, or -1 with an error.
 */
int old_flags_load(const struct old_flags *f, const char *path, bool required, bool creates,
		   struct conf **out, struct err *e);

#endif
