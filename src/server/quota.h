/*
 * quota.h
 *		The limiters of the session, one for each quota.
 */
#ifndef COGNITO_SERVER_QUOTA_H
#define COGNITO_SERVER_QUOTA_H

#include "postgres.h"

#include "server/limiter.h"

/*
 * Return the limiter of the quota with a name, which lasts as long as the session, and is
 * initialized with rate and limited at its first use.  Only a hash of the name is kept.
 */
extern Limiter *quota_limiter(const char *name, double rate, bool limited);

#endif
