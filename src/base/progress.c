#include "base/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

enum { BAR_WIDTH = 30, REDRAW_MS = 100 };

static struct {
	bool allowed, active, shown;
	const char *label;
	uint64_t total, done;
	int64_t begun, drawn;
} bar;

void progress_allow(bool yes)
{
	const char *term = getenv("TERM");

	/* A terminal that cannot erase a line gets no bar. */
	bar.allowed = yes && isatty(STDOUT_FILENO) && term && term[0] != '\0' &&
		      strcmp(term, "dumb") != 0;
}

bool progress_is_shown(void)
{
	return bar.allowed;
}

/* Columns of the terminal; 80 if it does not tell. */
static int columns(void)
{
	struct winsize w;

	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

/* Print what fits into a line: with the bar, without it, or only the numbers. */
static void draw(int64_t now)
{
	static const char full[] = "##############################";
	uint64_t filled = bar.total ? bar.done * BAR_WIDTH / bar.total : 0;
	double seconds = (double)(now - bar.begun) / 1000;
	double rate = seconds > 0 ? (double)bar.done / seconds : 0;
	char facts[96], line[256];
	int width = columns(), n;
	uint64_t eta = rate > 0 ? (uint64_t)((double)(bar.total - bar.done) / rate) : 0;

	snprintf(facts, sizeof facts, "  %llu/%llu   %.0f/s   ETA %llu:%02llu",
		 (unsigned long long)bar.done, (unsigned long long)bar.total, rate,
		 (unsigned long long)(eta / 60), (unsigned long long)(eta % 60));
	n = snprintf(line, sizeof line, "  %s  [%-*.*s]%s", bar.label, BAR_WIDTH, (int)filled,
		     full, facts);
	if (n >= width)
		n = snprintf(line, sizeof line, "  %s%s", bar.label, facts);
	if (n >= width)
		snprintf(line, sizeof line, "%llu/%llu", (unsigned long long)bar.done,
			 (unsigned long long)bar.total);
	printf("\r%.*s\033[K", width - 1, line);
	fflush(stdout);
	bar.drawn = now;
	bar.shown = true;
}

void progress_begin(const char *label, uint64_t total)
{
	bar.label = label;
	bar.total = total;
	bar.done = 0;
	bar.begun = clock_ms();
	bar.drawn = 0;
	bar.active = bar.allowed && total > 0;
}

void progress_update(uint64_t done)
{
	int64_t now;

	if (!bar.active)
		return;
	bar.done = done < bar.total ? done : bar.total;
	now = clock_ms();
	if (now - bar.drawn >= REDRAW_MS)
		draw(now);
}

void progress_hide(void)
{
	if (!bar.shown)
		return;
	fputs("\r\033[K", stdout);
	fflush(stdout);
	bar.shown = false;
	bar.drawn = 0;
}

void progress_end(void)
{
	progress_hide();
	bar.active = false;
}
