/*
 * stalwart.h - a Stalwart of the world: an account whose one mailbox is the training samples of
 * its users, of both classes. The program's own source reads it (source/source_stalwart.c);
 * only the server below is simulated. A sample is a struct mail with its class; its content's
 * name is the same for all users.
 */
#ifndef SIM_STALWART_H
#define SIM_STALWART_H

#include <stdbool.h>
#include <stdint.h>

#include "history.h"
#include "source/account.h"
#include "world.h"

struct sim;

/* A further account in some of the histories. */
void stalwart_draw(struct setup *s, uint64_t seed);

struct account *stalwart_account(struct sim *s, int number);

/* ---- the world ---- */

/* What arrives in such a mailbox is a decision: its size, and its place in the list. */
void stalwart_decides(const struct sim *s, struct mail *m, int mail);

/* Something happens to the server, to one of its samples or to the ledger, that happens only
 * where there is one. False: the event means something else here. */
bool stalwart_event(struct sim *s, const struct event *ev);

/* Every permission is there again. */
void stalwart_heal(struct sim *s);

/* ---- the truth ---- */

bool stalwart_is(const struct sim *s, const struct mail *m);

/* The number that the ledger has given to it, within the identity; 0: none. */
uint32_t stalwart_number(struct sim *s, const struct mail *m, uint32_t *identity);

/* Its user decided again on this content, or the configuration leaves him out. */
bool stalwart_counts(const struct sim *s, int mail);
bool stalwart_left_out(const struct mail *m);

#endif
