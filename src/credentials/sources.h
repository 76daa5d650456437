/*
 * sources.h
 *		Where the environment of the server process offers credentials: its
 *		variables, a web identity, a container's agent, an instance's metadata.
 */
#ifndef COGNITO_CREDENTIALS_SOURCES_H
#define COGNITO_CREDENTIALS_SOURCES_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "credentials/keys.h"
#include "server/server.h"

/*
 * Return the keys of the server's credential_source, in the current memory context.  A
 * chain is the first source that is configured.  Return NULL if there are none, after
 * appending a line for each source that was tried, with its reason.  Raise what waiting
 * does.
 */
extern SourceKeys *sources_get(const CognitoServer *server, StringInfo reasons);

#endif
