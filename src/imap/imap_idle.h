/*
 * imap_idle.h - a session that waits for news: IDLE (RFC 2177) tells of the selected mailbox,
 * NOTIFY (RFC 5465) of several, and STATUS is asked again and again where there is neither.
 * While it waits, nothing but the calls of this header may be made, and no silence is too long.
 */
#ifndef LS_IMAP_IDLE_H
#define LS_IMAP_IDLE_H

#include "imap/imap.h"

/* Servers may end a session that said nothing for 30 minutes; RFC 2177 advises 29. */
enum { IMAP_RENEW_MS = 28 * 60 * 1000 };

/*
 * IDLE in the selected mailbox; returns when the server has agreed. flags: also a message that
 * was read (\Seen) is news. Returns 0, or -1: ERR_MAILBOX where the server refuses, or as
 * imap_next.
 */
int imap_idle_begin(struct imap *s, bool flags, struct err *e);

/* DONE, and the end of IDLE; what comes in between counts as news. 0, or -1 as imap_next. */
int imap_idle_end(struct imap *s, struct err *e);

/* Is the server still in the IDLE that it agreed to? Some end it of their own accord. */
bool imap_is_idle(const struct imap *s);

/*
 * Have the server tell of news in these n mailboxes (n >= 1; modified UTF-7), as from now on
 * and with no mailbox selected. flags as above. Returns 0, or -1: ERR_MAILBOX where the server
 * refuses or the names are too long for one command, or as imap_next. Renewed by a NOOP.
 */
int imap_notify(struct imap *s, const char *const *names, size_t n, bool flags, struct err *e);

/*
 * May there be something new since this last said so? Never waits. 1: yes; 0: no, and *wait
 * says what to wait for, for as long as the caller likes, or not at all where wait->ms is 0;
 * -1: ERR_SERVER (connection, protocol, BYE; ERR_TEMPORARY where the server ends NOTIFY),
 * ERR_FATAL.
 */
int imap_news(struct imap *s, struct wait *wait, struct err *e);

/* What STATUS says of a mailbox; 0 where it says nothing. */
struct imap_counts {
	uint32_t uidvalidity, uidnext, messages, unseen;
};

/* Ask for it. 0, or -1 as imap_command. */
int imap_count(struct imap *s, const char *name, struct imap_counts *out, struct err *e);

/*
 * Is there news between these two? More messages, or higher numbers; with flags also a change
 * of how many are unread. That there are fewer is none. Pure.
 */
bool imap_counts_differ(const struct imap_counts *was, const struct imap_counts *is,
			bool flags);

#endif
