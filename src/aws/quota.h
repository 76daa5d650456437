/*
 * quota.h
 *		The limiters of a session, which all of its requests to a server obey.
 */
#ifndef COGNITO_AWS_QUOTA_H
#define COGNITO_AWS_QUOTA_H

#include "postgres.h"

#include "aws/limiter.h"

/* Return a server's limiter, made at its first use; it lasts as long as the session. */
extern Limiter *quota_get(Oid serverid);

#endif
