#include "ledger/store.h"

void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}
