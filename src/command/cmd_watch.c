/* watch: signals, systemd, and the turns of learn/watch.h. */
#include "command/cmd.h"

#include <sys/resource.h>

#include "base/log.h"
#include "base/service.h"
#include "base/signals.h"
#include "base/stop.h"
#include "learn/watch.h"
#include "mail/mime.h"

/* What the configuration says now, or NULL with an error. */
static struct watch *load(const struct cmd_options *o, struct err *e)
{
	const struct output like = cmd_output(o, "watch");
	const struct watch_options w = {
	    .account = o->account,
	    .n_accounts = o->n_accounts,
	    .ops = like.ops,
	    .quiet = like.quiet,
	    .verbose = like.verbose,
	};
	struct conf *conf;

	return cmd_load(o, &conf, e) == -1 ? NULL : watch_open(conf, &w, e);
}

/* A bad configuration is refused, and the old one stays. */
static void reload(const struct cmd_options *o, struct watch **w)
{
	struct watch *fresh;
	struct err e;

	service_reloading();
	fresh = load(o, &e);
	if (fresh) {
		watch_close(*w);
		*w = fresh;
		log_info("reloaded %s", o->config);
	} else {
		log_error("not reloaded, the old configuration stays: %s", e.text);
	}
	service_ready();
}

static void loop(const struct cmd_options *o, struct watch **w)
{
	char status[WATCH_STATUS_MAX];
	struct pollfd *p;
	int64_t alive;
	size_t n;
	int ms;

	while (!stop_requested()) {
		if (signals_reload())
			reload(o, w);
		if (signals_now())
			watch_now(*w);
		ms = watch_turn(*w);
		watch_status(*w, status);
		service_status(status);
		alive = service_alive();
		n = watch_poll(*w, &p);
		signals_wait(p, n, alive < ms ? (int)alive : ms);
	}
}

/* A pipe for each account: where there are many, more than systems grant without being asked.
 */
static void raise_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

int cmd_watch(const struct cmd_options *o)
{
	struct err e;
	struct watch *w;

	raise_limit();
	signals_install();
	w = load(o, &e);
	if (w == NULL) {
		log_error("%s", e.text);
		return output_exit_status(&e);
	}
	mime_init();
	service_ready();
	loop(o, &w);
	service_stopping();
	watch_close(w);
	mime_shutdown();
	return EXIT_DONE;
}
