#include "fake/fixture.h"

#include <fcntl.h>

#include "mail/mime.h"

int fixture_mime(void **state)
{
	(void)state;
	mime_init();
	return 0;
}

int fixture_mime_end(void **state)
{
	(void)state;
	mime_shutdown();
	return 0;
}

int fixture_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}
