/*
 * part.h - splits a message into its header block, its fields and the parts of a multipart.
 * Pure: it returns spans of the caller's bytes, without copies or memory, in linear time.
 * GMime's parser is not used because it keeps every field and part that a sender invents: 10 MB
 * of "X: a" lines cost it 980 MB, 10 MB of "--z" lines inside 1,000 multiparts 11 s
 * (GMime 3.2.13).
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
 * Split an entity (a message or a part) at its first empty line, which belongs to neither side.
 * A "From " or ">From " line of an mbox at the top is skipped. If the first line is not a
 * field, there is no header: everything is body. Lines end in LF or CRLF; a lone CR is not a
 * line end.
 */
void part_split(struct span entity, struct span *header, struct span *body);

/*
 * Take the next field off a header block: its name and its value, including continuation lines,
 * without the last line end. A line that is not a field has an empty name and the whole line as
 * its value. Returns false at the end of the block.
 */
bool part_field_next(struct span *header, struct span *name, struct span *value);

/* The value of the first field of that name; false (and an empty span) if there is none. */
bool part_field(struct span header, const char *name, struct span *value);

/*
 * The strict functions, for the digest: what all parsers read in the same way is regular. The
 * caller hashes everything else as it is.
 */

/*
 * Is the value of a field regular? It must have no CR that does not end a line, and no blank
 * continuation line.
 */
bool part_field_is_regular(struct span value);

/*
 * Split an entity as part_split does, if its header is regular up to the empty line. Otherwise
 * return false: the header is then the regular fields above the first line that is not regular,
 * and the body begins with that line; if there is no empty line, everything is body.
 */
bool part_header(struct span entity, struct span *header, struct span *body);

/* The message after the "From " or ">From " line of an mbox, if a field follows it. */
struct span part_without_from(struct span message);

/* A split multipart; its members are borrowed from the body. */
struct part_iter {
	struct span preamble, epilogue; /* including line ends */
	struct span boundary;		/* without "--" */
	struct span rest;		/* what part_next has not returned yet */
};

/*
 * Split a multipart's body. Returns true if it is regular: each line that any parser might take
 * for a delimiter (in another case, with blanks after it, after a lone CR) is exactly one;
 * there is at least one part, none is empty, and one delimiter closes the last.
 */
bool part_multipart(struct span body, struct span boundary, struct part_iter *out);

/* The next part, without the line end that belongs to its delimiter; false: there is none. */
bool part_next(struct part_iter *it, struct span *part);

/* Unfold a value without NULs: each run of blanks becomes one space, none is left at the ends.
 * Owned by the caller. */
char *part_unfold(struct span value);

#endif
