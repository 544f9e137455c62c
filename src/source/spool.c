#include "source/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const place_names[] = {"taken", "done", "skipped", "failed", "archive"};

static int system_error(const struct spool *s, const char *what, struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_LOCAL, "spool %s: %s%s%s", s->path, what,
		       what[0] ? ": " : "", strerror(errno));
}

void spool_number(uint32_t number, char name[SPOOL_NAME_MAX])
{
	snprintf(name, SPOOL_NAME_MAX, "%" PRIu32, number);
}

void spool_link(enum mail_class class, uint32_t number, char name[SPOOL_NAME_MAX])
{
	snprintf(name, SPOOL_NAME_MAX, "%s-%" PRIu32, class_name(class), number);
}

bool spool_drop_path(const char *spool, enum mail_class class, char *out, size_t size)
{
	return (size_t)snprintf(out, size, "%s/%s", spool, class_name(class)) < size;
}

/* ---- open ---- */

static int check_owner(const struct spool *s, struct err *e)
{
	struct stat st;

	if (fstat(s->base, &st) == -1)
		return system_error(s, "", e);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(e, ERR_SERVER, ERR_CONFIG,
			       "spool %s: it belongs to user id %lu; run learnspool as that "
			       "user, or give it to the one that runs learnspool (chown)",
			       s->path, (unsigned long)st.st_uid);
	if (st.st_mode & 022)
		return err_set(e, ERR_SERVER, ERR_CONFIG,
			       "spool %s: others may write to it, and replace its folders; "
			       "chmod 755 it, only spam and ham in it are open to others",
			       s->path);
	return 0;
}

/* If everybody may add messages, nobody may see or take away those of others. */
static int check_drop(const struct spool *s, enum mail_class class, struct err *e)
{
	const char *name = class_name(class);
	struct stat st;

	if (fstatat(s->base, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || (st.st_mode & 02) == 0 ||
	    (st.st_mode & 01004) == 01000)
		return 0; /* what it is otherwise, spool_enter() says */
	return err_set(e, ERR_SERVER, ERR_CONFIG,
		       "spool %s: in %s everybody may see or remove what others have reported; "
		       "chmod %o it",
		       s->path, name, SPOOL_DROP_MODE);
}

static int open_folder(int dir, const char *name)
{
	return openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* What learnspool itself has created there; missing where it never ran. */
static int open_taken(struct spool *s, struct err *e)
{
	s->taken = open_folder(s->base, place_names[SPOOL_TAKEN]);
	if (s->taken == -1)
		return errno == ENOENT ? 0 : system_error(s, "taken", e);
	s->names = open_folder(s->taken, "name");
	return s->names == -1 && errno != ENOENT ? system_error(s, "taken/name", e) : 0;
}

int spool_open(struct spool *s, const char *path, struct err *e)
{
	*s = (struct spool){.path = path, .base = -1, .taken = -1, .names = -1};
	s->base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->base == -1 && errno == ENOENT)
		return err_set(e, ERR_SERVER, ERR_CONFIG,
			       "spool %s: it does not exist; create it for the user that runs "
			       "learnspool: install -d -m 755 -o USER %s",
			       path, path);
	if (s->base == -1)
		return system_error(s, "", e);
	if (check_owner(s, e) == -1 || check_drop(s, CLASS_SPAM, e) == -1 ||
	    check_drop(s, CLASS_HAM, e) == -1)
		return -1;
	return open_taken(s, e);
}

int spool_peek(struct spool *s, struct err *e)
{
	if (s->taken == -1 || s->state.identity != 0)
		return 0;
	return spool_state_read(s->taken, &s->state, e) == -1 ? -1 : 0;
}

void spool_close(struct spool *s)
{
	if (s->base != -1)
		close(s->base);
	if (s->taken != -1)
		close(s->taken);
	if (s->names != -1)
		close(s->names);
	*s = (struct spool){.path = s->path, .base = -1, .taken = -1, .names = -1};
}

int spool_folder(const struct spool *s, enum spool_place place, enum mail_class class)
{
	char name[32];

	snprintf(name, sizeof name, "%s/%s", place_names[place], class_name(class));
	return open_folder(s->base, name);
}

bool spool_has_drop(const struct spool *s, enum mail_class class)
{
	return faccessat(s->base, class_name(class), F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

/* ---- enter ---- */

/* Create a folder in dir if it is missing. */
static int need_folder(const struct spool *s, int dir, const char *name, mode_t mode,
		       struct err *e)
{
	struct stat st;

	if (mkdirat(dir, name, mode & 0777) == 0) {
		/* By its name, since who may not list it may not open it; it is ours. */
		if (fchmodat(dir, name, mode, 0) == -1)
			return system_error(s, name, e);
		return 0;
	}
	if (errno != EEXIST)
		return system_error(s, name, e);
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return system_error(s, name, e);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, ERR_SERVER, ERR_CONFIG,
			       "spool %s: %s is no folder of the user that runs learnspool; "
			       "chown it",
			       s->path, name);
	return 0;
}

static int need_places(struct spool *s, struct err *e)
{
	static const enum mail_class classes[] = {CLASS_SPAM, CLASS_HAM};

	for (int c = 0; c < 2; c++)
		if (need_folder(s, s->base, class_name(classes[c]), SPOOL_DROP_MODE, e) == -1)
			return -1;
	for (int p = 0; p < SPOOL_PLACES; p++) {
		int dir, rc = need_folder(s, s->base, place_names[p], 0700, e);

		if (rc == -1)
			return -1;
		dir = open_folder(s->base, place_names[p]);
		if (dir == -1)
			return system_error(s, place_names[p], e);
		for (int c = 0; c < 2 && rc == 0; c++)
			rc = need_folder(s, dir, class_name(classes[c]), 0700, e);
		if (rc == 0 && p == SPOOL_TAKEN)
			rc = need_folder(s, dir, "name", 0700, e);
		close(dir);
		if (rc == -1)
			return -1;
	}
	return 0;
}

static int lock(const struct spool *s, struct err *e)
{
	if (flock(s->taken, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return system_error(s, "lock", e);
	return err_set(e, ERR_SERVER, ERR_TEMPORARY,
		       "spool %s: another learnspool works on it, with another ledger; try "
		       "again when it is done",
		       s->path);
}

int spool_enter(struct spool *s, struct err *e)
{
	if (s->entered)
		return 0;
	if (need_places(s, e) == -1)
		return -1;
	if (s->taken != -1)
		close(s->taken);
	if (s->names != -1)
		close(s->names);
	s->names = -1;
	/* What it says now, when nobody else can change it. */
	if (open_taken(s, e) == -1 || lock(s, e) == -1 ||
	    spool_state_read(s->taken, &s->state, e) == -1)
		return -1;
	if (s->state.identity == 0) {
		spool_state_begin(&s->state);
		if (spool_state_save(s->taken, &s->state, e) == -1)
			return -1;
	}
	s->entered = true;
	return 0;
}
