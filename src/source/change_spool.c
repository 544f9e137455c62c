/* Verdicts go back to a spool: messages move from folder to folder, and leave. */
#include "source/source_spool_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"

/* Do this with one message that lies in from; it may be gone. 0, or -1 with errno. */
typedef int each_fn(const struct source_spool *s, uint32_t id, enum spool_place from,
		    enum spool_place to);

/*
 * fn for each of ids, wherever it lies but in to, where they are from then on. 0, or -1: then
 * it was done for some of them.
 */
static int for_each(struct source_spool *s, const struct ranges *ids, each_fn *fn,
		    enum spool_place to, struct err *e)
{
	for (int p = 0; p < SPOOL_HERE; p++) {
		struct ranges moved = {0}, rest = {0};
		uint32_t id = 0;
		int rc = 0;

		for (size_t i = 0; i < ids->n && rc == 0 && p != (int)to; i++)
			rc = source_spool_between(&s->in[p], ids->range[i].first,
						  ids->range[i].last, &moved, e);
		while (rc == 0 && ranges_next(&moved, &id))
			if (fn(s, id, (enum spool_place)p, to) == -1)
				rc = source_spool_broken(s, "a message that was settled", e);
		if (rc == 0 && moved.n > 0)
			rc = ranges_minus(&s->in[p], &moved, &rest, e);
		if (rc == 0 && moved.n > 0) {
			struct ranges before = s->in[p];

			s->in[p] = rest;
			rest = before;
			if (to < SPOOL_HERE)
				rc = ranges_union(&s->in[to], &moved, e);
		}
		ranges_free(&moved);
		ranges_free(&rest);
		if (rc == -1)
			return -1;
	}
	return 0;
}

/* The reason why it failed stands beside it only as long as it is there. */
static void drop_reason(const struct source_spool *s, uint32_t id, enum spool_place place)
{
	char name[32];

	snprintf(name, sizeof name, "%u.reason", (unsigned)id);
	if (place == SPOOL_FAILED)
		(void)unlinkat(s->folder[place], name, 0);
}

/*
 * In the archive nobody looks for a number any more, and one may be there that was given before
 * numbers began anew: "N.2" is the next. Nobody but us writes there.
 */
static void archive_name(const struct source_spool *s, const char *number, char *name,
			 size_t size)
{
	snprintf(name, size, "%s", number);
	for (unsigned n = 2;
	     faccessat(s->folder[SPOOL_ARCHIVE], name, F_OK, AT_SYMLINK_NOFOLLOW) == 0; n++)
		snprintf(name, size, "%s.%u", number, n);
}

static int move(const struct source_spool *s, uint32_t id, enum spool_place from,
		enum spool_place to)
{
	char number[SPOOL_NAME_MAX], name[32];

	spool_number(id, number);
	if (to == SPOOL_ARCHIVE)
		archive_name(s, number, name, sizeof name);
	else
		memcpy(name, number, sizeof number);
	fault_step("spool-move");
	if (renameat(s->folder[from], number, s->folder[to], name) == -1 && errno != ENOENT)
		return -1;
	drop_reason(s, id, from);
	return 0;
}

static int delete_file(const struct source_spool *s, uint32_t id, enum spool_place from,
		       enum spool_place to)
{
	char number[SPOOL_NAME_MAX], link[SPOOL_NAME_MAX];

	(void)to;
	spool_number(id, number);
	spool_link(s->source.class, id, link);
	fault_step("spool-remove");
	drop_reason(s, id, from);
	(void)unlinkat(s->account->spool.names, link, 0);
	return unlinkat(s->folder[from], number, 0) == -1 && errno != ENOENT ? -1 : 0;
}

static enum spool_place place_for(enum outcome outcome)
{
	return outcome_is_learned(outcome) ? SPOOL_DONE : SPOOL_SKIPPED;
}

int change_spool_mark(struct source *source, struct ranges *ids, enum mail_class class,
		      enum outcome outcome, bool *held, struct err *e)
{
	int rc = for_each(source_spool_of(source), ids, move, place_for(outcome), e);

	(void)class; /* what is in these folders has one class */
	*held = true;
	ranges_clear(ids);
	return rc;
}

const char *change_spool_mark_name(enum mail_class class, enum outcome outcome)
{
	(void)class;
	return place_for(outcome) == SPOOL_DONE ? "done" : "skipped";
}

/* Write the reason beside it, as one line. */
static int write_reason(const struct source_spool *s, uint32_t id, const char *why)
{
	char name[32];
	size_t len = strlen(why);
	int fd, rc;

	snprintf(name, sizeof name, "%u.reason", (unsigned)id);
	fd = openat(s->folder[SPOOL_FAILED], name,
		    O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	rc = write(fd, why, len) == (ssize_t)len && write(fd, "\n", 1) == 1 ? 0 : -1;
	close(fd);
	return rc;
}

int change_spool_fail(struct source *source, uint32_t id, const char *why, struct err *e)
{
	struct source_spool *s = source_spool_of(source);
	struct range range = {id, id};
	const struct ranges one = {&range, 1, 1};

	if (source_spool_place(s, id) == SPOOL_HERE)
		return 0;
	if (write_reason(s, id, why) == -1)
		return source_spool_broken(s, "the reason of a failure", e);
	/* A folder that its owner put in the place of a file at the last moment may stay. */
	if (for_each(s, &one, move, SPOOL_FAILED, e) == 0)
		return 0;
	log_info("%s", e->text);
	return e->scope == ERR_MAILBOX ? 0 : -1;
}

int change_spool_can_remove(struct source *source, const struct source_removal *how,
			    struct err *e)
{
	(void)source;
	(void)how;
	(void)e;
	return 0;
}

int change_spool_remove(struct source *source, struct ranges *ids,
			const struct source_removal *how, struct err *e)
{
	int rc = how->move_to
		     ? for_each(source_spool_of(source), ids, move, SPOOL_ARCHIVE, e)
		     : for_each(source_spool_of(source), ids, delete_file, SPOOL_HERE, e);

	ranges_clear(ids);
	return rc;
}
