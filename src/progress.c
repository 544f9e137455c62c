#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"

enum { BAR_WIDTH = 30, REDRAW_MS = 100 };

static struct {
	bool allowed, active, shown;
	const char *label;
	uint64_t total, done;
	int64_t begun, drawn;
} bar;

void progress_allow(bool yes)
{
	bar.allowed = yes && isatty(STDOUT_FILENO);
}

bool progress_is_shown(void)
{
	return bar.allowed;
}

static void draw(int64_t now)
{
	static const char full[] = "##############################";
	uint64_t filled = bar.total ? bar.done * BAR_WIDTH / bar.total : 0;
	double seconds = (double)(now - bar.begun) / 1000;
	double rate = seconds > 0 ? (double)bar.done / seconds : 0;
	uint64_t eta = rate > 0 ? (uint64_t)((double)(bar.total - bar.done) / rate) : 0;

	printf("\r  %s  [%-*.*s]  %llu/%llu   %.0f/s   ETA %llu:%02llu\033[K", bar.label,
	       BAR_WIDTH, (int)filled, full, (unsigned long long)bar.done,
	       (unsigned long long)bar.total, rate, (unsigned long long)(eta / 60),
	       (unsigned long long)(eta % 60));
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
