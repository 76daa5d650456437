/*
 * server.h
 *		Who is asked, and with which credentials: the server catalog, the user
 *		mapping of the calling role, and Vault, as one plain struct.
 */
#ifndef COGNITO_SERVER_SERVER_H
#define COGNITO_SERVER_SERVER_H

#include "postgres.h"

#include "server/session.h"

/* The pools whose ids a server may hold. */
typedef enum PoolKind
{
	POOL_NONE,
	POOL_USER,
	POOL_IDENTITY
} PoolKind;

typedef struct CognitoServer
{
	MemoryContext context; /* holds this struct and whatever a call hangs into it */
	char         *name;
	const char   *region;
	const char   *user_pool_id;          /* NULL if there is none */
	const char   *identity_pool_id;      /* likewise */
	const char   *endpoint_url;          /* NULL for the service's own */
	const char   *identity_endpoint_url; /* likewise */
	const char   *access_key_id;
	const char   *secret_access_key;
	const char   *session_token;   /* NULL if there is none */
	int           connect_timeout; /* in milliseconds */
	int           request_timeout; /* in milliseconds */
	int           max_retries;
	int           max_concurrent_requests;
	double        max_requests_per_second; /* infinite for no limit */
	Session      *session;                 /* what this session remembers of the server */
	bool          done;                    /* the call has succeeded */
	bool          pushdown;                /* conditions of queries may be sent as filters */
} CognitoServer;

/*
 * Opens a server for the calling role (current_user): checks its USAGE, takes
 * the role's user mapping, or PUBLIC's, or else the server's own credentials,
 * and reads the secret from Vault where one is named.  The server must have
 * the id of the pool that the call is about.
 *
 * Vault is read as the server's owner for the credentials of the server and of
 * PUBLIC's mapping, and as the calling role for its own mapping, if the owner
 * has the privileges of that role.
 *
 * The result lives in a context of its own below the current one; it is wiped
 * and freed by server_close or, after an error, with that parent.
 *
 * Raises 42704 for an unknown server; 42501 without USAGE, for an endpoint without
 * TLS if the owner is no superuser, or if Vault is not to be read as the calling
 * role for this owner's server; HV00J for missing options or credentials, HV00A and
 * 22023 for malformed ones; and what vault_secret raises.
 */
extern CognitoServer *server_open(const char *name, PoolKind pool);
extern void           server_close(CognitoServer *server);

/* The id of one of a server's pools, NULL if it has none. */
extern const char *server_pool_id(const CognitoServer *server, PoolKind pool);

/*
 * Does a server that the calling role may use have the id of such a pool?
 * Raises 42704 for an unknown server, and 42501 without USAGE.
 */
extern bool server_has_pool(const char *name, PoolKind pool);

/*
 * For the planner: the pushdown option of a server, true if there is no such
 * server, for that is the executor's to say.
 */
extern bool server_allows_pushdown(const char *name);

#endif
