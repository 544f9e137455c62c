/*
 * report_field.h - what was added at the top of a report: the field X-Learnspool-Report that
 * the Sieve scripts add, and the transport's own fields above it. Pure; it only reads the
 * fields, trust.h decides whether to believe them.
 *
 *     X-Learnspool-Report: v1; class=spam; user=alice@example.org; token=...
 */
#ifndef LS_REPORT_FIELD_H
#define LS_REPORT_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "mail/class.h"
#include "mail/part.h"

enum { REPORT_FIELD_MAX = 512 }; /* bytes of a value; a longer one makes the field malformed */

struct report_field {
	bool found;	/* there is an X-Learnspool-Report that the scripts can have added */
	bool malformed; /* ... but not of the form above */
	enum mail_class class;				      /* NONE if it names none */
	char user[REPORT_FIELD_MAX], token[REPORT_FIELD_MAX]; /* "" if it names none */

	/* The fields above it; if there is none, those above the original (mime_original). */
	struct span above;
	unsigned return_paths, delivered_tos; /* how many of them there are */

	/*
	 * The envelope sender: the topmost Return-Path, without < and >, in lower case. "" for
	 * none. If nothing was added at the top, this is the topmost one of the message, and it
	 * is the server's own if the server writes one (then return_paths is 1).
	 */
	char return_path[REPORT_FIELD_MAX];
};

/* Read the top of a message. Pointers in out point into msg. */
void report_field_read(const char *msg, size_t len, struct report_field *out);

/*
 * The reporter, in lower case: the report field's user, else the envelope sender; "" if
 * unknown. Points into m.
 */
const char *report_field_reporter(const struct report_field *m);

#endif
