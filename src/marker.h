/*
 * marker.h - what the collection put on top of a report: the field X-Learnspool-Report that the
 * Sieve scripts add, and the transport's own fields above it. Pure; says what is there, trust.h
 * says whether it is believed.
 *
 *     X-Learnspool-Report: v1; class=spam; user=alice@example.org; token=...
 */
#ifndef LS_MARKER_H
#define LS_MARKER_H

#include <stdbool.h>
#include <stddef.h>

#include "class.h"
#include "part.h"

enum { MARKER_TEXT_MAX = 512 }; /* bytes of a value; a longer one makes the field malformed */

struct marker {
	bool found;	/* there is an X-Learnspool-Report that collection can have put there */
	bool malformed; /* ... and it is not of the form above */
	enum mail_class class;				    /* NONE where it says none */
	char user[MARKER_TEXT_MAX], token[MARKER_TEXT_MAX]; /* "" where it says none */

	/* The fields above it; without one, those above the original (mime_original). */
	struct span above;
	unsigned return_paths, delivered_tos; /* how many of them there are */

	/*
	 * The envelope sender: the topmost Return-Path, without < and >, in lower case. "" for
	 * none. Where nothing of the collection's is on top, that is the topmost one of the
	 * message, which is the server's own provided that the server writes one (return_paths
	 * is 1 then).
	 */
	char return_path[MARKER_TEXT_MAX];
};

/* Read the top of a message. Nothing in out points anywhere but into msg. */
void marker_read(const char *msg, size_t len, struct marker *out);

/*
 * Who reported, in lower case: the marker's user, else the envelope sender; "" if unknown.
 * Points into m.
 */
const char *marker_reporter(const struct marker *m);

#endif
