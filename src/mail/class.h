/*
 * class.h - the two classes that a user's verdict can have.
 */
#ifndef LS_CLASS_H
#define LS_CLASS_H

/* The numbers are stored in the ledger (docs/ledger.md): they never change. */
enum mail_class {
	CLASS_NONE = 0,
	CLASS_SPAM = 1,
	CLASS_HAM = 2,
};

/* "spam", "ham" or "none". */
const char *class_name(enum mail_class c);

/* The class of that name; CLASS_NONE if it is neither. */
enum mail_class class_parse(const char *name);

#endif
