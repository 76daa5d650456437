/*
 * credentials.h
 *		Credentials that change: of the environment's sources and of roles, kept for
 *		the session and replaced before they expire.
 */
#ifndef COGNITO_CREDENTIALS_CREDENTIALS_H
#define COGNITO_CREDENTIALS_CREDENTIALS_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "server/server.h"

/*
 * Give a server that was just opened its provider, if it has a credential source or a
 * role; the first request has it fetch the credentials.  Where the session has them
 * already, they are used.
 *
 * The provider raises 28000 with the reason of each source if none has credentials.  If
 * the role cannot be assumed, it raises 42501 if that is denied, 53400 if STS throttles,
 * HV00N if it cannot be reached, HV000 if it fails or its reply is unusable, and
 * 28000 for what else it refuses.
 */
extern void credentials_attach(CognitoServer *server);

/* What may be shown of credentials; strings live as long as the server. */
typedef struct CredentialsView
{
	const char *source; /* "user mapping", "server", or that of SourceKeys */
	const char *access_key_id;
	const char *role; /* or NULL */
	bool        can_expire;
	TimestampTz expires_at; /* if they can expire */
} CredentialsView;

/* Return what may be shown of a server's credentials, which are fetched if necessary. */
extern CredentialsView credentials_view(const CognitoServer *server);

#endif
