/*
 * spool.h - the folders of a spool.
 *
 *     SPOOL/spam, SPOOL/ham   where everybody may put a message in, and nobody may look
 *     SPOOL/taken/CLASS       messages that were taken, each in a file named by its number
 *     SPOOL/done/CLASS        learned; they stay as long as retention says
 *     SPOOL/skipped/CLASS     settled without being learned; the same
 *     SPOOL/failed/CLASS      the last attempt failed; N.reason says why
 *     SPOOL/archive/CLASS     where retention moves mail instead of deleting it
 *     SPOOL/taken/state       the next number (spool_state.h)
 *     SPOOL/taken/name/CLASS-N  a symbolic link that says what the file was called, and by
 *                             its own date when it came; the service's and root's reports,
 *                             whose files tell that themselves, have none
 *
 * All but the first two are the service's own, and nobody else can read them.
 */
#ifndef LS_SPOOL_H
#define LS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "mail/class.h"
#include "source/spool_state.h"

#define SPOOL_REPORT ".report"	/* how names end that `submit` gives */
#define SPOOL_FRESH  ".submit-" /* how they begin until the message is there as a whole */
#define SPOOL_FIELD  "X-Learnspool-Report: v1; class=" /* how its own first line begins */

enum {
	SPOOL_DROP_MODE = 01733,  /* add, and neither list nor touch what others added */
	SPOOL_NAME_MAX = 16,	  /* of a file that is named by its number, with NUL */
	SPOOL_REPORTER_MAX = 200, /* bytes of an address */
	SPOOL_LINE_MAX = SPOOL_REPORTER_MAX + 80, /* of that first line, with NUL */
};

enum spool_place {
	SPOOL_TAKEN,
	SPOOL_DONE,
	SPOOL_SKIPPED,
	SPOOL_FAILED,
	SPOOL_ARCHIVE,
	SPOOL_PLACES,
	SPOOL_HERE = SPOOL_ARCHIVE, /* in the places below this one a message still counts */
};

/* A spool that is open; zeroed with -1 for every descriptor by spool_open(). */
struct spool {
	const char *path; /* borrowed */
	int base, taken, names;
	bool entered; /* it is ours to change */
	struct spool_state state;
};

/* Every int is 0, or -1 with an error, where nothing else is said. */

/*
 * Open it; nothing is created or changed. It must belong to us or to root, and nobody else may
 * write to it; where everybody may add messages, nobody may list or remove those of others.
 * ERR_SERVER/ERR_CONFIG with the cure, ERR_LOCAL. spool_close() in every case.
 */
int spool_open(struct spool *s, const char *path, struct err *e);

/* For a dry run: read the state, if there is one. Nothing is created or locked. */
int spool_peek(struct spool *s, struct err *e);

/*
 * Before anything is changed: nobody else works on it (the lock lasts until spool_close), and
 * the folders are there. ERR_SERVER: ERR_TEMPORARY names the cure, ERR_CONFIG, ERR_LOCAL.
 */
int spool_enter(struct spool *s, struct err *e);
void spool_close(struct spool *s);

/* Open the folder of a place and a class, to be closed by the caller; -1 with errno. */
int spool_folder(const struct spool *s, enum spool_place place, enum mail_class class);

/* Is the folder there that messages of this class are put in? */
bool spool_has_drop(const struct spool *s, enum mail_class class);

/* The name of the file of this number, and that of the link in taken/name. */
void spool_number(uint32_t number, char name[SPOOL_NAME_MAX]);
void spool_link(enum mail_class class, uint32_t number, char name[SPOOL_NAME_MAX]);

/* The path of the folder that messages of this class are put in. false: it is too long. */
bool spool_drop_path(const char *spool, enum mail_class class, char *out, size_t size);

#endif
