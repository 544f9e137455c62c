/*
 * conf.c: any file is a configuration that holds together, or one error that names the file and
 * what to do.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#include "conf/conf.h"

/* The path of a file that has these bytes and is ours alone. */
static int make_file(const uint8_t *data, size_t len, char *path, size_t size)
{
	int fd = memfd_create("conf", MFD_CLOEXEC);

	fuzz_must(fd != -1 && fchmod(fd, 0600) == 0, "no file");
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, data + at, len - at);

		fuzz_must(n > 0, "no file");
		at += (size_t)n;
	}
	snprintf(path, size, "/proc/self/fd/%d", fd);
	return fd;
}

static void check_error(const struct err *e, const char *path)
{
	fuzz_must(e->scope == ERR_FATAL, "an error that is not fatal");
	fuzz_must(e->kind == ERR_CONFIG, "an error of another kind");
	fuzz_must(strncmp(e->text, path, strlen(path)) == 0,
		  "an error without the file's name");
	fuzz_must(strchr(e->text, '\n') == NULL, "an error of two lines");
}

static void check_conf(const struct conf *c)
{
	struct err e;

	fuzz_must(conf_check(c, &e) == 0, "loaded, and does not hold together");
	fuzz_must(c->ledger && c->rspamd.url, "loaded without what it needs");
	for (size_t i = 0; i < c->n_accounts; i++)
		fuzz_must(c->accounts[i].n_mailboxes > 0, "an account without a mailbox");
}

/* What the input names as a command is not run, nor read as a list of users. */
static int run_nothing(void *ctx, const struct conf *conf, struct err *e)
{
	(void)ctx, (void)conf;
	return err_set(e, ERR_FATAL, ERR_CONFIG, "not here; try it with a configuration");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conf *c = NULL;
	struct err e = {0};
	char path[64];
	int fd = make_file(data, len, path, sizeof path);

	if (conf_load(path, run_nothing, NULL, &c, &e) == -1) {
		fuzz_must(c == NULL, "an error and a configuration");
		check_error(&e, path);
	} else {
		check_conf(c);
		conf_free(c);
	}
	close(fd);
	return 0;
}
