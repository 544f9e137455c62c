/*
 * disk.h - the store below the ledger: in memory, with what a disk does. What is not committed
 * is lost at the end of a process, and a commit can fail.
 */
#ifndef SIM_DISK_H
#define SIM_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "ledger/store.h"

struct sim;
struct undo;

struct disk {
	struct store store;  /* what a process opens */
	struct sim *sim;     /* borrowed */
	struct store *data;  /* owned */
	struct store *saved; /* owned: a backup; NULL: there is none */
	struct undo *undo;   /* owned: what takes back the changes since the last commit */
	int n_undo, size_undo;
	unsigned commits; /* of this run */
};

/* An empty disk. */
void disk_new(struct disk *d, struct sim *s);
void disk_free(struct disk *d);

/* Everything on it is lost. No process has it open. */
void disk_lose(struct disk *d);

/* A backup of what is on it; and put it in place: false where there is none. */
void disk_save(struct disk *d);
bool disk_restore(struct disk *d);

/* Is something written that is not committed? */
bool disk_is_dirty(const struct disk *d);

/* A number that stands for everything on it. */
uint64_t disk_hash(const struct disk *d);

#endif
