/*
 * filter_mark.h - the fields by which a spam filter says in a message that it is spam: what a
 * server files into Junk by, and so what tells a filter's decision from a person's. Pure; the
 * input is a stranger's.
 */
#ifndef LS_FILTER_MARK_H
#define LS_FILTER_MARK_H

#include <stdbool.h>
#include <stddef.h>

/* The fields, separated by blanks: what to ask a mail server for. */
#define FILTER_MARK_FIELDS "X-Spam X-Spam-Flag X-Spam-Status X-Rspamd-Action"

/*
 * Does one of them say that it is spam, in this header, or piece of one? "X-Spam: Yes",
 * "X-Spam-Flag: YES", "X-Spam-Status: Yes, score=9.1"; "X-Rspamd-Action: add header", "rewrite
 * subject", "reject", "quarantine" or "discard". The case does not matter, nor what other
 * fields say, and the same ones again.
 */
bool filter_mark_is_spam(const char *header, size_t len);

#endif
