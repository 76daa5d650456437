/*
 * quota.h
 *		The limiters of a session, one for all of its requests to a server.
 */
#ifndef COGNITO_AWS_QUOTA_H
#define COGNITO_AWS_QUOTA_H

#include "postgres.h"

#include "aws/limiter.h"

/* Return a server's limiter, which is created at its first use and lasts as long as the session. */
extern Limiter *quota_get(Oid serverid);

#endif
