/*
 * part.h - where the pieces of a message are: its header block, its fields, the parts of a
 * multipart. Pure: spans into the caller's bytes, no copy, no memory, linear time. Not GMime's
 * parser, because that one keeps every field and part that a sender invents: 10 MB of "X: a"
 * lines cost it 980 MB, 10 MB of "--z" lines inside 1,000 multiparts 11 s (GMime 3.2.13).
 */
#ifndef LS_PART_H
#define LS_PART_H

#include <stdbool.h>
#include <stddef.h>

/* Borrowed bytes, not terminated. */
struct span {
	const char *data;
	size_t len;
};

/*
 * Cut an entity (a message or a part) at its first empty line, which belongs to neither side.
 * A "From " or ">From " line of an mbox on top is skipped. Where the first line is no field
 * there is no header: the whole is body. Lines end in LF or CRLF; a lone CR ends nothing.
 */
void part_split(struct span entity, struct span *header, struct span *body);

/*
 * Take the next field off a header block: its name and, without the last line end, its value,
 * continuation lines included. A line that is no field comes with an empty name and the whole
 * line as value. false at the end of the block.
 */
bool part_field_next(struct span *header, struct span *name, struct span *value);

/* The value of the first field of that name; false (and an empty span) where there is none. */
bool part_field(struct span header, const char *name, struct span *value);

/* A multipart on its way through part_next; fill body and delimiter, leave the rest zero. */
struct part_iter {
	struct span rest;      /* the multipart's body */
	struct span delimiter; /* "--" and its boundary */
	bool open;	       /* the preamble is behind us */
};

/*
 * The next part of a multipart, without the line end that belongs to the delimiter behind it.
 * A part that is never closed goes to the end. false where there is no more.
 */
bool part_next(struct part_iter *it, struct span *part);

#endif
