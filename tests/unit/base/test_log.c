/*
 * log.c: one line an event, in the form of each target, and nothing above the level that is
 * wanted. What would go to syslog is caught here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static char printed[8192]; /* what went to standard error */
static char sent[8192];	   /* what went to syslog, as "<N>text\n" each */
static char ident[64];
static int facility, option;

/* In place of libc's; the second is what -D_FORTIFY_SOURCE makes of syslog. */
void openlog(const char *name, int with, int as)
{
	snprintf(ident, sizeof ident, "%s", name);
	option = with;
	facility = as;
}

__attribute__((format(printf, 2, 0))) static void take(int priority, const char *fmt,
						       va_list ap)
{
	size_t n = strlen(sent);

	n += (size_t)snprintf(sent + n, sizeof sent - n, "<%d>", priority);
	n += (size_t)vsnprintf(sent + n, sizeof sent - n, fmt, ap);
	snprintf(sent + n, sizeof sent - n, "\n");
}

void syslog(int priority, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	take(priority, fmt, ap);
	va_end(ap);
}

void __syslog_chk(int priority, int flag, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void __syslog_chk(int priority, int flag, const char *fmt, ...)
{
	va_list ap;

	(void)flag;
	va_start(ap, fmt);
	take(priority, fmt, ap);
	va_end(ap);
}

/* Call it, and keep what it prints on standard error. */
static void keep(void (*what)(void))
{
	int saved = dup(STDERR_FILENO), fds[2];
	ssize_t n;

	sent[0] = '\0';
	assert_int_equal(pipe(fds), 0);
	fflush(stderr);
	assert_int_not_equal(dup2(fds[1], STDERR_FILENO), -1);
	close(fds[1]);
	what();
	fflush(stderr);
	assert_int_not_equal(dup2(saved, STDERR_FILENO), -1);
	close(saved);
	n = read(fds[0], printed, sizeof printed - 1); /* it fits into a pipe */
	close(fds[0]);
	assert_true(n >= 0);
	printed[n] = '\0';
}

static void one_of_each(void)
{
	log_error("no %s", "room");
	log_warn("slow account=%s", "a");
	log_info("learned uid=%d", 12);
	log_debug("step");
}

/* Nobody opened it: warnings and errors, on standard error. */
static void test_unopened(void **state)
{
	(void)state;
	keep(one_of_each);
	assert_string_equal(printed, "learnspool: no room\nlearnspool: slow account=a\n");
	assert_string_equal(sent, "");
}

static void test_levels(void **state)
{
	static const char all[] = "learnspool: no room\nlearnspool: slow account=a\n"
				  "learnspool: learned uid=12\nlearnspool: step\n";
	static const size_t len[] = {20, 47, 74, sizeof all - 1};

	(void)state;
	for (int max = LOG_LEVEL_ERROR; max <= LOG_LEVEL_DEBUG; max++) {
		log_open(LOG_TO_STDERR, (enum log_level)max);
		for (int level = LOG_LEVEL_ERROR; level <= LOG_LEVEL_DEBUG; level++)
			assert_int_equal(log_wants((enum log_level)level), level <= max);
		keep(one_of_each);
		assert_int_equal(strlen(printed), len[max]);
		assert_memory_equal(printed, all, len[max]);
	}
}

static void test_journal(void **state)
{
	(void)state;
	log_open(LOG_TO_JOURNAL, LOG_LEVEL_DEBUG);
	keep(one_of_each);
	assert_string_equal(printed, "<3>no room\n<4>slow account=a\n<6>learned uid=12\n"
				     "<7>step\n");
	assert_string_equal(sent, "");
	assert_string_equal(ident, "");
}

static void test_syslog(void **state)
{
	(void)state;
	log_open(LOG_TO_SYSLOG, LOG_LEVEL_INFO);
	assert_string_equal(ident, "learnspool");
	assert_int_equal(facility, LOG_MAIL);
	assert_int_equal(option & LOG_PID, LOG_PID);
	keep(one_of_each);
	assert_string_equal(printed, "");
	assert_string_equal(sent, "<3>no room\n<4>slow account=a\n<6>learned uid=12\n");
}

static void hostile(void)
{
	log_error("user=%s", "a\nlearned\x1B[2J %s %n");
}

/* What a stranger wrote is one line, and no format. */
static void test_hostile(void **state)
{
	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	keep(hostile);
	assert_string_equal(printed, "learnspool: user=a\\x0alearned\\x1b[2J %s %n\n");
	log_open(LOG_TO_SYSLOG, LOG_LEVEL_ERROR);
	keep(hostile);
	assert_string_equal(sent, "<3>user=a\\x0alearned\\x1b[2J %s %n\n");
}

static void too_long(void)
{
	log_error("%04000d", 0);
}

static void test_cut(void **state)
{
	size_t n;

	(void)state;
	log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
	keep(too_long);
	n = strspn(printed + 12, "0");
	assert_in_range(n, 1900, 2047);
	assert_int_equal(printed[strlen(printed) - 1], '\n');
	assert_ptr_equal(strchr(printed, '\n'), printed + strlen(printed) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unopened), cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_journal),  cmocka_unit_test(test_syslog),
	    cmocka_unit_test(test_hostile),  cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
