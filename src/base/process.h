/*
 * process.h - processes that do one thing for this one, which waits for none of them. They end
 * with it, however it ends. A simulator has its own in the place of all of these.
 */
#ifndef LS_PROCESS_H
#define LS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a process is to do, and how. */
struct process {
	const char *name; /* in the list of processes; at most 15 bytes */
	/*
	 * Its whole life. to: the end of a pipe to write to, which never blocks, and all that
	 * it has of ours: no log, no output. -1 where there is none, and it has both.
	 */
	void (*work)(const void *ctx, int to);
	const void *ctx; /* borrowed until process_start returns, and copied by work before it
			  * waits for anything */
};

/*
 * Start one. from: NULL, and SIGTERM asks it to stop (stop.h); or *from is set to our end of
 * its pipe, non-blocking, owned by the caller, and SIGTERM ends it. SIGCHLD comes when it has
 * ended. Nothing may be open that must not be inherited: no ledger. Returns its number, or -1
 * with errno (EMFILE also while some descriptors are left: they are for the processes).
 */
pid_t process_start(const struct process *p, int *from);

/* Has it ended? Then *status is that of waitpid(2), and its number means nothing any more. */
bool process_ended(pid_t pid, int *status);

void process_signal(pid_t pid, int sig);

/* End it at once, and wait for that. */
void process_kill(pid_t pid);

/* Memory, all zero, that is shared with the processes that are started later. NULL with errno.
 */
void *process_share(size_t size);
void process_unshare(void *p, size_t size);

#endif
