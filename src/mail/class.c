#include "mail/class.h"

#include <string.h>

const char *class_name(enum mail_class c)
{
	return c == CLASS_SPAM ? "spam" : c == CLASS_HAM ? "ham" : "none";
}

enum mail_class class_parse(const char *name)
{
	return strcmp(name, "spam") == 0  ? CLASS_SPAM
	       : strcmp(name, "ham") == 0 ? CLASS_HAM
					  : CLASS_NONE;
}
