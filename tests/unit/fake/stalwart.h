/*
 * stalwart.h - a Stalwart in memory (source/stalwart.h): samples in the server's order, and
 * everything that a real one does to them and to whoever asks.
 */
#ifndef FAKE_STALWART_H
#define FAKE_STALWART_H

#include "source/stalwart.h"

struct fake_sample {
	struct sample is; /* date: when it expires */
	bool no_blob;	  /* the message is gone, and the sample is not */
	bool unlisted;	  /* it is there, and no list has it any more */
	bool hidden;	  /* it is listed, and get does not know it */
	int breaks;	  /* so often its download breaks */
	char *body;	  /* owned; NULL: "Subject: BLOB" */
};

enum fake_call {
	FAKE_LIST,
	FAKE_GET,
	FAKE_MEET,
	FAKE_ADDRESS,
	FAKE_DESTROY,
	FAKE_BEGIN,
	FAKE_TAKE,
	FAKE_MAY,
	FAKE_CALLS
};

struct fake_stalwart {
	struct stalwart stalwart;
	struct fake_sample *sample; /* owned: in the server's order */
	size_t n, size;
	unsigned made; /* names that were given */

	/* what its administrator did */
	bool not_see, not_read, not_destroy, not_name; /* a permission is missing */
	bool silent;				       /* it does not say what may be done */
	size_t page_max; /* ids of a page; 0: as many as are asked for */
	bool endless;	 /* the list goes round */
	bool twice;	 /* the first id of each page comes twice */
	int waits;	 /* so often nothing has come yet, before each download */

	/* errors */
	enum fake_call fail; /* this call fails, */
	int fail_after;	     /* after so many that do not; -1: none does */
	struct err error;

	/* Called before each call has an effect: somebody else may change the server. */
	void (*before)(struct fake_stalwart *s, enum fake_call what);
	unsigned calls[FAKE_CALLS];

	/* private */
	struct {
		char blob[SAMPLE_BLOB_MAX + 1], name[SAMPLE_WORD_MAX + 1];
		uint32_t owner, max_size;
	} download[JMAP_DOWNLOADS];
	size_t running, found;
	int waited;
	char address[STALWART_ADDRESS_MAX];
};

void fake_stalwart_init(struct fake_stalwart *s);
void fake_stalwart_free(struct fake_stalwart *s);

/*
 * A user decides: it is the last sample of the server's order. The name is "s-1", "s-2" ...,
 * which is no number (stalwart_walk.c) and tells no date; borrowed until the next one.
 */
struct fake_sample *fake_decide(struct fake_stalwart *s, const char *account, const char *blob,
				enum mail_class class);

/* The same at this place of the order: a node whose clock is behind. */
struct fake_sample *fake_decide_at(struct fake_stalwart *s, size_t place, const char *account,
				   const char *blob, enum mail_class class);

/* NULL where there is none of this name. */
struct fake_sample *fake_sample_of(struct fake_stalwart *s, const char *name);

/* It goes; none of that name is no error. */
void fake_vanish(struct fake_stalwart *s, const char *name);

/* What is trained keeps only the last decision on each content. */
void fake_train(struct fake_stalwart *s);

/* The call of this kind fails, after so many that do not. */
void fake_stalwart_fails(struct fake_stalwart *s, enum fake_call what, int after,
			 enum err_scope scope, enum err_kind kind);

#endif
