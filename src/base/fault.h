/*
 * fault.h - a counted step at every point where the outside world or the ledger is about to
 * change. In a build with -DLEARNSPOOL_FAULT the environment variable LEARNSPOOL_FAULT_STEP=N
 * kills the process (SIGKILL) at the Nth step, and each step appends a line to the file named
 * by LEARNSPOOL_FAULT_LOG; the tests kill at each step in turn. Any other build has no steps.
 */
#ifndef LS_FAULT_H
#define LS_FAULT_H

#ifdef LEARNSPOOL_FAULT
void fault_step(const char *name);
#else
#define fault_step(name) ((void)0)
#endif

#endif
