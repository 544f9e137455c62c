/*
 * progress.c: one line on a terminal, redrawn and taken away, and not a byte anywhere else.
 */
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/progress.h"

static char printed[4096];
static int64_t now = 1000000;

/* In place of clock.c's. */
int64_t clock_ms(void)
{
	return now;
}

/* What comes out of fd before it falls silent. */
static void read_all(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	ssize_t got;

	while (poll(&p, 1, 100) == 1 && (p.revents & POLLIN) && n < sizeof printed - 1 &&
	       (got = read(fd, printed + n, sizeof printed - 1 - n)) > 0)
		n += (size_t)got;
	printed[n] = '\0';
}

/* Call it with standard output at fd out, and read what comes in at fd in. */
static void print_of(void (*what)(void), int out, int in)
{
	int saved = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_int_not_equal(dup2(out, STDOUT_FILENO), -1);
	what();
	fflush(stdout);
	assert_int_not_equal(dup2(saved, STDOUT_FILENO), -1);
	close(saved);
	read_all(in);
}

static void on_terminal(void (*what)(void))
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY), user;
	struct termios raw;

	if (terminal == -1 || grantpt(terminal) == -1 || unlockpt(terminal) == -1) {
		print_message("SKIPPED: no pseudo-terminal to be had\n");
		skip();
	}
	user = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_int_not_equal(user, -1);
	assert_int_equal(tcgetattr(user, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(setenv("TERM", "xterm", 1), 0);
	assert_int_equal(tcsetattr(user, TCSANOW, &raw), 0);
	print_of(what, user, terminal);
	close(user);
	close(terminal);
}

static void one_bar(void)
{
	progress_allow(true);
	progress_begin("learning", 200);
	progress_update(50);
	progress_hide();
	printf("a line of its own\n");
	progress_update(1000); /* more than there are */
	progress_end();
	progress_update(60); /* it has ended */
	progress_hide();
}

static void test_terminal(void **state)
{
	const char *p;

	(void)state;
	on_terminal(one_bar);
	p = strstr(printed, "\r  learning  [#######                       ]  50/200   ");
	assert_ptr_equal(p, printed);
	p = strstr(p, "\r\033[Ka line of its own\n");
	assert_non_null(p);
	p = strstr(p, "\r  learning  [##############################]  200/200   ");
	assert_non_null(p);
	assert_non_null(strstr(p, "ETA 0:00\033[K\r\033[K"));
	assert_null(strstr(p + 1, "60/200"));
	assert_string_equal(printed + strlen(printed) - 4, "\r\033[K");
}

static void many_updates(void)
{
	progress_allow(true);
	progress_begin("learning", 100000);
	for (uint64_t i = 1; i <= 1000; i++)
		progress_update(i);
	progress_end();
}

/* A thousand messages in a moment are not a thousand lines. */
static void test_redraw(void **state)
{
	int drawn = 0;

	(void)state;
	on_terminal(many_updates);
	for (const char *p = printed; (p = strstr(p, "learning")) != NULL; p++)
		drawn++;
	assert_in_range(drawn, 1, 3);
}

/* Ten times a second at most; rate and time that is left are of the whole. */
static void a_slow_bar(void)
{
	progress_allow(true);
	progress_begin("learning", 1000);
	progress_update(0);
	now += 2000;
	progress_update(100);
	now += 99;
	progress_update(101);
	now += 1;
	progress_update(105);
	progress_hide();
	progress_update(106); /* it comes back by itself */
	now += 7900;
	progress_update(110);
	progress_end();
	progress_begin("next", 3);
	progress_update(1);
	progress_end();
}

#define BAR(done) "\r  learning  [" done "]  "
#define B27	  "                           "

static void test_rate(void **state)
{
	(void)state;
	on_terminal(a_slow_bar);
	assert_string_equal(
	    printed,
	    BAR("   " B27) "0/1000   0/s   ETA 0:00\033[K" BAR(
		"##"
		"#" B27) "100/1000   50/s   ETA 0:18\033[K" BAR("###" B27) "105/1000   50/s   "
									   "ETA "
									   "0:17\033[K\r\033["
									   "K" BAR(
									       "###" B27) "106/"
											  "1000"
											  "  "
											  " 50/"
											  "s "
											  "  "
											  "ETA "
											  "0:"
											  "17"
											  "\033"
											  "["
											  "K" BAR(
											      "###" B27) "110/1000   11/s   ETA 1:20\033[K\r\033[K"
													 "\r  next  [##########                    ]  1/3   0/s   ETA 0:00"
													 "\033[K\r\033[K");
}

static bool shown[3];

static void ask(void)
{
	progress_allow(false);
	shown[0] = progress_is_shown();
	progress_allow(true);
	shown[1] = progress_is_shown();
}

static void ask_again(void)
{
	progress_allow(true);
	shown[2] = progress_is_shown();
}

static void test_is_shown(void **state)
{
	int fds[2];

	(void)state;
	on_terminal(ask);
	assert_false(shown[0]);
	assert_true(shown[1]);
	assert_int_equal(pipe(fds), 0);
	print_of(ask_again, fds[1], fds[0]);
	assert_false(shown[2]);
	close(fds[0]);
	close(fds[1]);
}

static void nothing_to_do(void)
{
	progress_allow(true);
	progress_begin("learning", 0);
	progress_update(0);
	progress_end();
	progress_allow(false);
	progress_begin("learning", 10);
	progress_update(5);
	progress_end();
}

static void test_not_shown(void **state)
{
	(void)state;
	on_terminal(nothing_to_do);
	assert_string_equal(printed, "");
}

static void test_no_terminal(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	print_of(one_bar, fds[1], fds[0]);
	assert_string_equal(printed, "a line of its own\n");
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_terminal),  cmocka_unit_test(test_redraw),
	    cmocka_unit_test(test_rate),      cmocka_unit_test(test_is_shown),
	    cmocka_unit_test(test_not_shown), cmocka_unit_test(test_no_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
