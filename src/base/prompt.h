/*
 * prompt.h - ask for a secret on the terminal, without echo.
 */
#ifndef LS_PROMPT_H
#define LS_PROMPT_H

#include <stddef.h>

#include "base/err.h"

/*
 * Ask on the controlling terminal, whatever the standard streams are, and read one line into
 * answer (size bytes, without its newline; the caller wipes it). A signal that ends or stops
 * the process finds the terminal as it was; after a stop the question is asked again. Returns
 * 1; 0 where there is no terminal; -1 after SIGINT or SIGTERM (ERR_CANCELLED), or if the
 * terminal cannot be read.
 */
int prompt_hidden(const char *question, char *answer, size_t size, struct err *e);

#endif
