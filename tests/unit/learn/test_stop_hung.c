/*
 * A signal while rspamd hangs: the wait has an end, and what has no answer stays submitted, for
 * the next run to ask again. (A program of its own: a signal cannot be taken back.)
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/stop.h"
#include "fake/world.h"
#include "mail/mime.h"

static struct world w;
static int waits;
static int64_t asked;

static void on_wait(void *ctx)
{
	(void)ctx;
	if (++waits != 3)
		return;
	asked = clock_ms();
	raise(SIGINT);
}

static void test_hung(void **state)
{
	(void)state;
	mime_init();
	stop_install();
	world_init(&w);
	for (int i = 0; i < 6; i++)
		fake_deliver(&w.source, NULL, WORLD_NOW - 100);
	w.rspamd.delay = -1;
	w.rspamd.waited = on_wait;
	assert_int_equal(world_learn_in(&w, &w.source, -1, false), -1);
	assert_int_equal(w.e.kind, ERR_CANCELLED);
	assert_true(clock_ms() - asked >= STOP_GRACE_MS - 1000);
	assert_true(clock_ms() - asked <= STOP_GRACE_MS + 1000);
	for (uint32_t id = 1; id <= 6; id++) {
		struct record_message r = world_message(&w, &w.source, id);

		assert_int_equal((int)r.state, id <= WORLD_CONNECTIONS ? STATE_SUBMITTED : -1);
	}
	assert_false(w.store.dirty);
	fake_events_lack(&w.events, "mark ");
	assert_int_equal(w.output.last.left, 6);
	assert_int_equal(stop_exit_status(), 130);
	world_close(&w, &w.source);
	world_free(&w);
	mime_shutdown();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hung),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
