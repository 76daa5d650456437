/*
 * quota.c
 *		The limiters of the session, one for each quota.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/hsearch.h"

#include "clock.h"
#include "server/quota.h"

typedef struct Quota
{
	uint64  key; /* hash of the name */
	Limiter limiter;
} Quota;

static HTAB *quotas;

Limiter *
quota_limiter(const char *name, double rate, bool limited)
{
	uint64 key = hash_bytes_extended((const unsigned char *) name, (int) strlen(name), 0);
	Quota *quota;
	bool   found;

	if (quotas == NULL)
	{
		HASHCTL control = {.keysize = sizeof(uint64), .entrysize = sizeof(Quota)};

		quotas = hash_create("cognito quotas", 8, &control, HASH_ELEM | HASH_BLOBS);
	}

	quota = hash_search(quotas, &key, HASH_ENTER, &found);
	if (!found)
		limiter_init(&quota->limiter, rate, limited, clock_now());
	return &quota->limiter;
}
