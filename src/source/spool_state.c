#include "source/spool_state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

#define FORM "learnspool spool 1\nidentity %" PRIu32 "\nnext %" PRIu32 "\n"

enum {
	AHEAD = 1000, /* numbers that the file covers at a time: a write to the disk for each */
	TEXT_MAX = 128,
};

static const char file[] = "state";

static int failed(struct err *e)
{
	return err_set(e, ERR_SERVER, ERR_LOCAL, "the spool's file taken/state: %s",
		       strerror(errno));
}

/*
 * durable: the new file has to be there, even after a power failure, before a number is given
 * that the old one does not cover. Otherwise either of the two may be.
 */
static int write_state(int dir, const struct spool_state *s, uint32_t next, bool durable,
		       struct err *e)
{
	char text[TEXT_MAX];
	int len = snprintf(text, sizeof text, FORM, s->identity, next);

	if (file_replace(dir, file, text, (size_t)len) == -1 || (durable && fsync(dir) == -1))
		return failed(e);
	return 0;
}

/* Exactly what write_state() writes, and nothing else. */
static bool parse(const char *text, struct spool_state *s)
{
	char again[TEXT_MAX];

	return sscanf(text, FORM, &s->identity, &s->next) == 2 && s->identity != 0 &&
	       s->next != 0 && snprintf(again, sizeof again, FORM, s->identity, s->next) > 0 &&
	       strcmp(again, text) == 0;
}

int spool_state_read(int dir, struct spool_state *s, struct err *e)
{
	char text[TEXT_MAX];
	int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t n;

	*s = (struct spool_state){0};
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return failed(e);
	n = read(fd, text, sizeof text - 1);
	if (n == -1)
		failed(e);
	close(fd);
	if (n == -1)
		return -1;
	text[n] = '\0';
	if (!parse(text, s)) {
		*s = (struct spool_state){0};
		log_warn(
		    "the spool's file taken/state is damaged; messages get new numbers, and "
		    "are told apart by their content");
		return 0;
	}
	s->durable = s->next;
	return 1;
}

void spool_state_begin(struct spool_state *s)
{
	*s = (struct spool_state){.next = 1};
	while (s->identity == 0 &&
	       getrandom(&s->identity, sizeof s->identity, 0) == sizeof s->identity)
		;
}

int spool_state_take(int dir, struct spool_state *s, uint32_t *number, struct err *e)
{
	if (s->next > UINT32_MAX - AHEAD)
		return err_set(e, ERR_SERVER, ERR_LOCAL,
			       "the spool has no numbers left; remove its file taken/state");
	if (s->next >= s->durable) {
		if (write_state(dir, s, s->next + AHEAD, true, e) == -1)
			return -1;
		s->durable = s->next + AHEAD;
	}
	*number = s->next++;
	return 0;
}

int spool_state_save(int dir, struct spool_state *s, struct err *e)
{
	if (s->durable == s->next)
		return 0;
	/* If this is lost in a power failure, the file says more: some numbers are wasted. */
	if (write_state(dir, s, s->next, false, e) == -1)
		return -1;
	s->durable = s->next;
	return 0;
}
