/*
 * capture.h - what is printed to standard output.
 */
#ifndef FAKE_CAPTURE_H
#define FAKE_CAPTURE_H

/* What fn prints: in a buffer that the next call uses again. */
const char *fake_capture(void (*fn)(void *ctx), void *ctx);

#endif
