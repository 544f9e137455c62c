/*
 * sim [-kv] [-j PROCESSES] [FIRST:LAST | SEED] - play the histories of these seeds; with -v and
 * one seed, tell what happens in it. Ends with 1 at the first history that fails, which is
 * printed, shortened; with -k it goes on, and counts which check failed how often.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "mail/mime.h"
#include "sim.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show(struct history *h, const char *broken)
{
	static struct sim s;
	int n = h->n;

	history_shorten(h, broken);
	printf("\nseed %llu: %s\nshortened from %d events to %d:\n\n",
	       (unsigned long long)h->seed, broken, n, h->n);
	history_print(h, stdout);
	printf("\n");
	log_open(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	sim_play(&s, h, true);
	fflush(stdout);
}

/* The checks that failed, where the simulation goes on after one. */
static struct {
	const char *broken;
	uint64_t first, n;
} counts[64];

static void count(const char *broken, uint64_t seed)
{
	size_t i = 0;

	while (counts[i].broken && counts[i].broken != broken)
		i++;
	if (counts[i].broken == NULL)
		counts[i].first = seed;
	counts[i].broken = broken;
	counts[i].n++;
}

static int show_counts(void)
{
	for (size_t i = 0; counts[i].broken; i++)
		printf("%6llu  first seed %llu: %s\n", (unsigned long long)counts[i].n,
		       (unsigned long long)counts[i].first, counts[i].broken);
	return counts[0].broken != NULL;
}

/* Every step-th seed from first to last. Returns 0, or 1 and the history that failed is shown.
 */
static int play_range(uint64_t first, uint64_t last, uint64_t step, bool go_on)
{
	static struct history h;
	static struct sim s;

	for (uint64_t seed = first; seed <= last; seed += step) {
		history_draw(&h, seed);
		sim_play(&s, &h, false);
		if (s.broken && go_on) {
			count(s.broken, seed);
		} else if (s.broken) {
			show(&h, s.broken);
			return 1;
		}
	}
	return show_counts();
}

static int tell_one(uint64_t seed)
{
	static struct history h;
	static struct sim s;

	history_draw(&h, seed);
	history_print(&h, stdout);
	log_open(LOG_TO_STDERR, LOG_LEVEL_WARNING);
	setvbuf(stdout, NULL, _IOLBF, 0);
	sim_play(&s, &h, true);
	return s.broken != NULL;
}

static int play_side_by_side(uint64_t first, uint64_t last, unsigned n, bool go_on)
{
	int failed = 0, status;

	for (unsigned i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(play_range(first + i, last, n, go_on));
		failed |= pid == -1;
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}

static bool number(const char *s, size_t len, uint64_t *out)
{
	return text_number(s, len, UINT64_MAX, out);
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [-kv] [-j processes] [first:last | seed]\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t first = 1, last = 1000, jobs = 1;
	bool verbose = false, go_on = false;
	const char *colon;
	double begun = seconds();
	int failed, c;

	while ((c = getopt(argc, argv, "kvj:")) != -1)
		if (c == 'v')
			verbose = true;
		else if (c == 'k')
			go_on = true;
		else if (c != 'j' || !number(optarg, strlen(optarg), &jobs) || jobs == 0)
			return usage();
	if (optind < argc) {
		colon = strchr(argv[optind], ':');
		if (colon == NULL)
			colon = argv[optind] + strlen(argv[optind]);
		if (!number(argv[optind], (size_t)(colon - argv[optind]), &first))
			return usage();
		last = first;
		if (*colon && !number(colon + 1, strlen(colon + 1), &last))
			return usage();
	}
	setenv("TZ", "UTC0", 1);
	tzset();
	signal(SIGPIPE, SIG_IGN);
	mime_init();
	log_open(LOG_TO_STDERR, LOG_LEVEL_NONE);
	failed =
	    verbose ? tell_one(first) : play_side_by_side(first, last, (unsigned)jobs, go_on);
	mime_shutdown();
	if (!verbose)
		printf("%s: %llu histories, %.1f s\n", failed ? "not ok" : "ok",
		       (unsigned long long)(last - first + 1), seconds() - begun);
	return failed;
}
