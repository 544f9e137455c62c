/*
 * memory.h - memory that runs out: one of the allocations of our own code fails, not of the
 * libraries. Every unit test is linked with it (ld --wrap); until it is asked for it does
 * nothing.
 */
#ifndef FAKE_MEMORY_H
#define FAKE_MEMORY_H

#include <stdbool.h>

/* The nth allocation of this thread from now on fails; 0: none does. */
void fake_memory_fails(unsigned nth);

/* Has it come to that? */
bool fake_memory_failed(void);

#endif
