/*
 * quota.c
 *		The limiters of a session.
 *
 * They outlive a call, because the quota that they have adapted to is the same for
 * the next one.
 */
#include "postgres.h"

#include "utils/hsearch.h"

#include "aws/quota.h"
#include "clock.h"

typedef struct Quota
{
	Oid     serverid; /* the key */
	Limiter limiter;
} Quota;

static HTAB *quotas;

Limiter *
quota_get(Oid serverid)
{
	Quota *quota;
	bool   found;

	if (quotas == NULL)
	{
		HASHCTL control = {.keysize = sizeof(Oid), .entrysize = sizeof(Quota)};

		quotas = hash_create("cognito quotas", 8, &control, HASH_ELEM | HASH_BLOBS);
	}

	quota = hash_search(quotas, &serverid, HASH_ENTER, &found);
	if (!found)
		limiter_init(&quota->limiter, clock_now());
	return &quota->limiter;
}
