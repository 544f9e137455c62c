#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/signals.h"
#include "base/stop.h"
#include "sim.h"

enum { STACK_SIZE = 512 * 1024, FIRST_PID = 100 };

static struct sim *playing;
static ucontext_t history; /* what goes on when it is nobody's turn */
static char *stacks;

/* ---- turns ---- */

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Both clocks, or the one on the wall would stand still. */
static void move_clocks(struct sim *s, int64_t to)
{
	if (to <= s->ms)
		return;
	s->now += to / 1000 - s->ms / 1000;
	s->ms = to;
	s->latest = later(s->latest, s->now);
}

static void give_up_turn(struct task *t)
{
	t->stop = stop_requested() ? stop_exit_status() - 128 : 0;
	swapcontext(&t->at, &history);
}

static void take_turn(struct sim *s, struct task *t)
{
	s->tasks.now = t;
	stop_request(t->stop);
	swapcontext(&history, &t->at);
	s->tasks.now = NULL;
	stop_request(0);
}

/* A process that ends takes its children with it, as the kernel does for ours. */
static void lose_children(struct sim *s, const struct task *parent)
{
	for (int i = 0; i < MAX_TASKS; i++) {
		struct task *t = &s->tasks.task[i];

		if (t->pid == 0 || t->parent != parent)
			continue;
		t->parent = NULL;
		if (t->ended)
			t->pid = 0;
		else
			task_signal(s, t, t->to == -1 ? SIGTERM : SIGKILL);
	}
}

static void live(void)
{
	struct task *t = playing->tasks.now;

	if (!t->killed)
		t->what.work(t->what.ctx, t->to);
	if (t->killed && t->shared)
		memcpy(t->shared, t->last, t->shared_size);
	if (t->to != -1)
		close(t->to);
	lose_children(playing, t);
	t->ended = true;
	if (t->parent) {
		t->parent->child = true;
		task_wake(playing, t->parent);
	} else {
		t->pid = 0;
	}
	swapcontext(&t->at, &history);
}

/* Who waits for the earliest time, and of these who has waited longest. */
static struct task *next_task(struct sim *s)
{
	struct task *next = NULL;

	for (int i = 0; i < MAX_TASKS; i++) {
		struct task *t = &s->tasks.task[i];

		if (t->pid == 0 || t->ended)
			continue;
		if (!next || t->wake_at < next->wake_at ||
		    (t->wake_at == next->wake_at && t->since < next->since))
			next = t;
	}
	return next;
}

void tasks_pass(struct sim *s, int64_t ms)
{
	struct task *t = s->tasks.now, *next;

	if (t) {
		if (t->killed) {
			t->beyond += ms > 0 ? ms : 1;
			return;
		}
		t->wake_at = s->ms + ms;
		t->since = ++s->tasks.turns;
		next = next_task(s);
		if (next == t && t->wake_at <= s->tasks.until)
			move_clocks(s, t->wake_at);
		else
			give_up_turn(t);
		return;
	}
	s->tasks.until = s->ms + ms;
	while ((next = next_task(s)) != NULL && next->wake_at <= s->tasks.until && !s->broken) {
		move_clocks(s, next->wake_at);
		take_turn(s, next);
	}
	move_clocks(s, s->tasks.until);
}

void task_wake(struct sim *s, struct task *t)
{
	if (t && t->wake_at > s->ms)
		t->wake_at = s->ms;
}

static void kill_task(struct sim *s, struct task *t)
{
	if (t->killed)
		return;
	t->killed = true;
	if (t->shared)
		memcpy(t->last, t->shared, t->shared_size);
	if (s->at_work == t)
		s->dead = true;
	lose_children(s, t);
}

void task_signal(struct sim *s, struct task *t, int sig)
{
	if (t == NULL || t->killed || t->ended)
		return;
	if (sig == SIGKILL)
		kill_task(s, t);
	t->reload = t->reload || sig == SIGHUP;
	t->look = t->look || sig == SIGUSR1;
	if (sig == SIGKILL || sig == SIGTERM)
		t->stop = sig;
	if (t == s->tasks.now && t->stop)
		stop_request(t->stop);
	task_wake(s, t);
}

void task_dies(struct sim *s)
{
	task_signal(s, s->tasks.now, SIGKILL);
}

/* ---- their beginning and end ---- */

static void *stack_of(int number)
{
	if (stacks == NULL) {
		stacks = mmap(NULL, (size_t)MAX_TASKS * STACK_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stacks == MAP_FAILED)
			abort();
	}
	return stacks + (size_t)number * STACK_SIZE;
}

static void prepare(ucontext_t *at, void *stack)
{
	getcontext(at);
	at->uc_stack.ss_sp = stack;
	at->uc_stack.ss_size = STACK_SIZE;
	at->uc_link = &history;
	makecontext(at, live, 0);
}

struct task *task_new(struct sim *s, const struct process *what)
{
	int i = 0;
	struct task *t;

	while (i < MAX_TASKS && s->tasks.task[i].pid != 0)
		i++;
	if (i == MAX_TASKS)
		return NULL;
	t = &s->tasks.task[i];
	*t = (struct task){
	    .pid = FIRST_PID + ++s->tasks.last_pid, .what = *what, .to = -1, .wake_at = s->ms};
	prepare(&t->at, stack_of(i));
	return t;
}

void tasks_begin(struct sim *s)
{
	playing = s;
}

void tasks_end(struct sim *s)
{
	struct task *t;

	for (int i = 0; i < MAX_TASKS; i++)
		if (s->tasks.task[i].pid != 0)
			task_signal(s, &s->tasks.task[i], SIGKILL);
	while ((t = next_task(s)) != NULL)
		take_turn(s, t);
	for (int i = 0; i < s->tasks.n_shares; i++)
		free(s->tasks.share[i].p);
	playing = NULL;
}

/* ---- base/process.h ---- */

static struct task *task_of(struct sim *s, pid_t pid)
{
	for (int i = 0; i < MAX_TASKS; i++)
		if (s->tasks.task[i].pid == pid)
			return &s->tasks.task[i];
	return NULL;
}

static struct share *share_of(struct sim *s, const struct task *owner)
{
	for (int i = s->tasks.n_shares - 1; i >= 0; i--)
		if (s->tasks.share[i].owner == owner)
			return &s->tasks.share[i];
	return NULL;
}

/* The child goes first, up to where it waits: what it is told is its parent's. */
static pid_t begin(struct sim *s, const struct process *what, int to)
{
	struct task *parent = s->tasks.now, *t = task_new(s, what);
	struct share *share = to == -1 ? share_of(s, parent) : NULL;

	if (t == NULL) {
		errno = EAGAIN;
		return -1;
	}
	t->parent = parent;
	t->to = to;
	t->shared = share ? share->p : NULL;
	t->shared_size = share ? share->size : 0;
	tasks_pass(s, 0);
	return t->pid;
}

pid_t process_start(const struct process *what, int *from)
{
	struct sim *s = playing;
	int fd[2] = {-1, -1};
	pid_t pid;

	if (!watching_step(s) || s->watching.no_fork) {
		errno = EAGAIN;
		return -1;
	}
	watching_starts(s, from == NULL);
	if (from && pipe2(fd, O_CLOEXEC | O_NONBLOCK) == -1)
		return -1;
	pid = begin(s, what, fd[1]);
	if (from && pid == -1) {
		close(fd[0]);
		close(fd[1]);
	} else if (from) {
		*from = fd[0];
	}
	(void)watching_step(s);
	return pid;
}

bool process_ended(pid_t pid, int *status)
{
	struct sim *s = playing;
	struct task *t = task_of(s, pid);

	*status = 0;
	if (s->tasks.now->killed)
		return true;
	if (!t->ended)
		return false;
	*status = t->killed ? SIGKILL : 0;
	t->pid = 0;
	return true;
}

void process_signal(pid_t pid, int sig)
{
	struct sim *s = playing;

	if (!s->tasks.now->killed)
		task_signal(s, task_of(s, pid), sig);
}

void process_kill(pid_t pid)
{
	struct sim *s = playing;
	struct task *t = task_of(s, pid);

	if (s->tasks.now->killed)
		return;
	task_signal(s, t, SIGKILL);
	t->parent = NULL;
	if (t->ended)
		t->pid = 0;
}

/* It stays until the end: who was killed does not know that it is given back. */
void *process_share(size_t size)
{
	struct sim *s = playing;
	void *p = s->tasks.n_shares < MAX_SHARES && size <= SHARED_MAX ? calloc(1, size) : NULL;

	if (p)
		s->tasks.share[s->tasks.n_shares++] = (struct share){p, size, s->tasks.now};
	return p;
}

void process_unshare(void *p, size_t size)
{
	(void)p;
	(void)size;
}

/* ---- base/signals.h ---- */

void signals_install(void)
{
}

static bool take(bool *flag)
{
	bool was = *flag;

	*flag = false;
	return was;
}

bool signals_reload(void)
{
	return take(&playing->tasks.now->reload);
}

bool signals_now(void)
{
	return take(&playing->tasks.now->look);
}

void signals_wait(struct pollfd *p, nfds_t n, int ms)
{
	struct sim *s = playing;
	struct task *t = s->tasks.now;
	int64_t end = s->ms + ms;

	watching_turned(s);
	(void)watching_step(s);
	while (!t->child && !t->reload && !t->look && !stop_requested() && s->ms < end &&
	       poll(p, n, 0) <= 0)
		tasks_pass(s, end - s->ms);
	t->child = false;
}
