/*
 * source_ops.h - what a kind of source has to do: the functions of source.h, whose contracts
 * are there. For those who write one, and for source.c, which checks what goes in and out.
 */
#ifndef LS_SOURCE_OPS_H
#define LS_SOURCE_OPS_H

#include "source/source.h"

struct source_ops {
	int (*open)(struct source *s, bool read_only, struct err *e);
	int (*list)(struct source *s, uint32_t first, uint32_t last, struct ranges *found,
		    struct err *e);
	int (*want)(struct source *s, struct ranges *todo, const struct source_filter *f,
		    bool alone, struct err *e);
	enum source_next (*next)(struct source *s, struct source_message *m, struct wait *wait,
				 struct err *e);
	uint32_t (*next_size)(const struct source *s);
	uint32_t (*owed)(const struct source *s);
	int (*decided)(struct source *s, struct ranges *found, struct err *e); /* may be NULL */
	int (*look)(struct source *s, const struct ranges *ids, source_sight_fn *fn, void *ctx,
		    struct err *e);
	int (*mark)(struct source *s, struct ranges *ids, enum mail_class class,
		    enum outcome outcome, bool *held, struct err *e);
	const char *(*mark_name)(enum mail_class class, enum outcome outcome);

	/* NULL where nothing is to be told of a failure. */
	int (*fail)(struct source *s, uint32_t id, const char *why, struct err *e);

	int (*can_remove)(struct source *s, const struct source_removal *how, struct err *e);
	int (*remove)(struct source *s, struct ranges *ids, const struct source_removal *how,
		      struct err *e);

	/* Both NULL where a message is moved in one step. */
	int (*target)(struct source *s, const struct source_removal *how, uint64_t *end,
		      struct err *e);
	int (*copied)(struct source *s, const struct ranges *ids,
		      const struct source_removal *how, uint64_t end, struct ranges *copied,
		      struct err *e);

	/* NULL where the number is the message's own name. */
	const char *(*name)(const struct source *s, uint32_t id);

	void (*close)(struct source *s);
};

#endif
