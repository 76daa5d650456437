/*
 * sts.h
 *		Temporary credentials of roles from AWS's Security Token Service (STS).
 */
#ifndef COGNITO_CREDENTIALS_STS_H
#define COGNITO_CREDENTIALS_STS_H

#include "postgres.h"

#include "credentials/keys.h"
#include "server/server.h"

/*
 * Return the keys of the server's role, assumed with other keys; or NULL, and set the
 * failure.  They are in the current memory context, with the other keys' source.
 * Raise what waiting does.
 */
extern SourceKeys *
sts_assume_role(const CognitoServer *server, const SourceKeys *keys, KeysFailure *failure);

/* Do the same for a role that is assumed with a token of a web identity. */
extern SourceKeys *
sts_assume_role_with_web_identity(const CognitoServer *server, const char *source, const char *role,
								  const char *session_name, const char *token,
								  KeysFailure *failure);

#endif
