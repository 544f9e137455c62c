/*
 * fixture.h - what test programs begin and end with.
 */
#ifndef FAKE_FIXTURE_H
#define FAKE_FIXTURE_H

/* Group setup and teardown of cmocka, for whatever reads messages: mail/mime.h is ready
 * between. */
int fixture_mime(void **state);
int fixture_mime_end(void **state);

/* How many descriptors are open, of those below 1024: the same before and after. */
int fixture_open_fds(void);

#endif
