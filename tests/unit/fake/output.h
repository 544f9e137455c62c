/*
 * output.h - an output that writes what it is told into the events.
 */
#ifndef FAKE_OUTPUT_H
#define FAKE_OUTPUT_H

#include "fake/events.h"
#include "output/output.h"

struct fake_output {
	struct output output;
	struct fake_events *events;
	struct tally last; /* of the last mailbox_end or expire_end */
	char why[128];	   /* of the last mailbox_end; "-" for none */
	unsigned ends;	   /* mailbox_ends so far */
};

void fake_output_init(struct fake_output *o, struct fake_events *events);

#endif
