#include "source/nearest.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { COMPARED = 64 }; /* bytes of a name */

static int fold(char c)
{
	return tolower((unsigned char)c);
}

/* How many bytes have to be changed, put in or left out (Levenshtein), whatever their case. */
static unsigned distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	unsigned row[COMPARED + 1];

	if (la > COMPARED || lb > COMPARED)
		return COMPARED;
	for (unsigned j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned replaced = diagonal + (fold(a[i - 1]) != fold(b[j - 1]));
			unsigned other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

			diagonal = row[j];
			row[j] = replaced < other ? replaced : other;
		}
	}
	return row[lb];
}

/* The name behind the last separator, "/" or ".", of a name with several parts. */
static const char *last_part(const char *name)
{
	for (const char *p = name; *p; p++)
		if ((*p == '/' || *p == '.') && p[1] != '\0')
			name = p + 1;
	return name;
}

void nearest_offer(struct nearest *n, const char *name)
{
	unsigned whole = distance(n->wanted, name);
	unsigned part = distance(last_part(n->wanted), last_part(name)) + 1;
	unsigned d = whole < part ? whole : part;
	size_t i = n->n;

	n->is_there |= strcmp(n->wanted, name) == 0;
	if (d > 1 + strlen(n->wanted) / 4 || strlen(name) >= NEAREST_SIZE)
		return;
	while (i > 0 && n->best[i - 1].distance > d)
		i--;
	if (i == NEAREST_NAMES)
		return;
	if (n->n < NEAREST_NAMES)
		n->n++;
	memmove(&n->best[i + 1], &n->best[i], (n->n - i - 1) * sizeof n->best[0]);
	n->best[i].distance = d;
	snprintf(n->best[i].name, NEAREST_SIZE, "%s", name);
}
