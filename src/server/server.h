/*
 * server.h
 *		A server as a call uses it: the options from the catalog, the credentials
 *		of the calling role, and the state of the session, as one struct.
 */
#ifndef COGNITO_SERVER_SERVER_H
#define COGNITO_SERVER_SERVER_H

#include "postgres.h"

#include "server/endpoint.h"
#include "server/session.h"

/* The pools whose ids a server may hold. */
typedef enum PoolKind
{
	POOL_NONE,
	POOL_USER,
	POOL_IDENTITY
} PoolKind;

/* The longest credential that is accepted, in bytes; AWS's session tokens have some kB. */
#define MAX_CREDENTIAL (16 * 1024)

/*
 * Keeps the credentials of a call current, if they are not those of options: a
 * callback of the layer credentials, for whoever signs requests.
 */
typedef struct CredentialProvider CredentialProvider;
struct CredentialProvider
{
	/*
	 * Make sure that the server's credentials can sign a request now.  Return true if
	 * they were fetched: that waits, and other requests may have had their responses
	 * meanwhile.  Raise what credentials_renew does.
	 */
	bool (*renew)(CredentialProvider *provider);
	int  version; /* of the server's credentials; each replacement has another */
	bool expired; /* set by callers: the service says that this version has expired */
};

typedef struct CognitoServer
{
	MemoryContext context; /* holds this struct and all that lives as long as the call */
	char         *name;
	Session      *session; /* what this session remembers of the server */

	/* Set from options; NULL if not given, but never for those that server_open requires */
	const char     *region;
	const char     *user_pool_id;
	const char     *identity_pool_id;
	const Endpoint *endpoint;          /* NULL for the service's own */
	const Endpoint *identity_endpoint; /* likewise */
	const char     *access_key_id;
	const char     *secret_access_key; /* from the option or from Vault */
	const char     *vault_secret_name; /* name, id or key_id of the secret in Vault */
	const char     *session_token;
	const char     *credential_source; /* NULL if the credentials are options */
	const char     *role_arn;          /* to be assumed with the credentials, or NULL */
	const char     *external_id;
	const char     *role_session_name; /* NULL for the default */
	int             role_duration;     /* in milliseconds */
	const Endpoint *sts_endpoint;      /* NULL for the service's own */
	int             connect_timeout;   /* in milliseconds */
	int             request_timeout;   /* in milliseconds */
	int             max_retries;
	int             max_concurrent_requests;
	int             max_requests_per_second; /* 0 for no limit */
	const char     *app_client_ids;          /* whose tokens are accepted: a list, or "*" */
	const char     *jwks;                    /* keys of tokens, instead of the user pool's */
	const char     *token_issuer;            /* of tokens, instead of the user pool's */
	bool            pushdown;                /* conditions of queries may be sent as filters */

	/*
	 * The three credentials above are those of a user mapping, of the server, or the
	 * provider's, which are NULL before it is asked first.  The secret and the token
	 * that it replaced last are kept, to be masked in errors.
	 */
	bool                uses_mapping;
	CredentialProvider *provider; /* NULL if the credentials do not change */
	const char         *replaced_secret;
	const char         *replaced_token;
} CognitoServer;

/*
 * Open a server for the calling role (current_user): check its USAGE, take the
 * credentials of the role's user mapping, or of PUBLIC's, or else of the server,
 * and read the secret from Vault where one is named.  For a user mapping, neither
 * credential_source nor role_arn is set; otherwise credentials_attach, in the layer
 * credentials, must follow.
 *
 * The pool that the call reads, if any, is the server's own, or that with the id
 * pool_id, if that is not NULL.  USAGE on a server with option user_pool_id must not
 * give access to other user pools: then pool_id must be the same.
 *
 * Vault is read as the server's owner for the credentials of the server and of
 * PUBLIC's mapping, and as the calling role for its own mapping, if the owner
 * has the privileges of that role.
 *
 * The result lives in a memory context of its own below the current one.  All
 * copies of secrets are wiped when that is deleted: by server_close or, after an
 * error, with its parent.  A call that is not closed counts as failed.
 *
 * Raise 42704 for an unknown server; 42501 without USAGE, for a user pool other than
 * the server's, for an endpoint without TLS or a credential source if the owner is no
 * superuser, or if Vault must not be read as the calling role for this owner's server;
 * HV00J for missing options or credentials, HV00A and 22023 for malformed ones or a
 * malformed pool_id; and what vault_secret raises.
 */
extern CognitoServer *server_open(const char *name, PoolKind pool, const char *pool_id);

/*
 * Open a server for what AWS lets everybody do: like server_open, but without credentials,
 * which the calling role then does not need.
 */
extern CognitoServer *server_open_public(const char *name, PoolKind pool);

extern void server_close(CognitoServer *server);

/* Return the id of one of a server's pools, or of the one that the call names; NULL if it has none. */
extern const char *server_pool_id(const CognitoServer *server, PoolKind pool);

/* Return a server that the calling role may use.  Raise 42704, or 42501 without USAGE. */
extern Oid server_find(const char *name);

/*
 * Return true if a server that the calling role may use has the id of a pool of
 * this kind.  Raise 42704 for an unknown server, and 42501 without USAGE.
 */
extern bool server_has_pool(const char *name, PoolKind pool);

/*
 * Return the size of a listing of a user pool, or, if its id is NULL, of the server's
 * own, for the planner.  It is zero if it is unknown, and for a role without USAGE,
 * which must not learn it from a plan.
 */
extern SessionExtent
server_extent(const char *name, const char *user_pool_id, SessionListing listing);

/*
 * Return the pushdown option of a server, for the planner; true if there is no such
 * server, because the error for that is the executor's.
 */
extern bool server_allows_pushdown(const char *name);

#endif
