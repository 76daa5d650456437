-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cognito_srf" to load this file. \quit

-- The wrapper exists for the server catalog: CREATE SERVER, user mappings, USAGE.

CREATE FUNCTION cognito_fdw_validator(options text[], catalog oid) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C STRICT;
COMMENT ON FUNCTION cognito_fdw_validator(text[], oid) IS
	'checks the options of servers and user mappings of cognito_wrapper';

CREATE FOREIGN DATA WRAPPER cognito_wrapper NO HANDLER VALIDATOR cognito_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER cognito_wrapper IS
	'AWS Cognito: servers for the functions of cognito_srf; it has no foreign tables';

-- Users

CREATE FUNCTION cognito_users_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cognito_users_support(internal) IS
	'planner support function of cognito_users';

CREATE FUNCTION cognito_users(server_name text)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text) IS
	'all users of the user pool of a server';

CREATE FUNCTION cognito_users(server_name text, filter text, max_users bigint DEFAULT NULL)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, text, bigint) IS
	'users of the user pool of a server: those that match a filter of ListUsers, and no more than max_users of them';

CREATE FUNCTION cognito_users(server_name text, attribute text, operator text, "values" text[])
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_matching'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, text, text, text[]) IS
	'users of the user pool of a server: those whose attribute equals (=) or starts with (^=) one of the values';

CREATE FUNCTION cognito_filter(attribute text, operator text, value text) RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cognito_filter(text, text, text) IS
	'a filter of ListUsers, with the value in quotes';

-- The views read the default server.  The setting is unknown until the library
-- is loaded, so its default stands here as well.

CREATE FUNCTION cognito_default_server() RETURNS text
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN coalesce(nullif(current_setting('cognito_srf.default_server', true), ''),
		'cognito_server');
COMMENT ON FUNCTION cognito_default_server() IS
	'name of the server that the views read, cognito_srf.default_server';

CREATE VIEW cognito_users AS SELECT * FROM cognito_users(cognito_default_server());
COMMENT ON VIEW cognito_users IS
	'all users of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_users.username IS 'name that is unique in the user pool';
COMMENT ON COLUMN cognito_users.email IS 'the attribute email';
COMMENT ON COLUMN cognito_users.status IS 'UserStatus, such as CONFIRMED or FORCE_CHANGE_PASSWORD';
COMMENT ON COLUMN cognito_users.enabled IS 'whether the user may sign in';
COMMENT ON COLUMN cognito_users.created_at IS 'UserCreateDate';
COMMENT ON COLUMN cognito_users.updated_at IS 'UserLastModifiedDate';
COMMENT ON COLUMN cognito_users.attributes IS 'all attributes by name, sub and email among them';

-- Groups

CREATE FUNCTION cognito_groups(server_name text)
	RETURNS TABLE (group_name text, description text, role_arn text, precedence integer,
		created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 100;
COMMENT ON FUNCTION cognito_groups(text) IS
	'all groups of the user pool of a server';

CREATE VIEW cognito_groups AS SELECT * FROM cognito_groups(cognito_default_server());
COMMENT ON VIEW cognito_groups IS
	'all groups of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_groups.group_name IS 'name that is unique in the user pool';
COMMENT ON COLUMN cognito_groups.description IS 'description';
COMMENT ON COLUMN cognito_groups.role_arn IS 'IAM role of the users in the group';
COMMENT ON COLUMN cognito_groups.precedence IS 'rank of the group, 0 the first, where a user is in several';
COMMENT ON COLUMN cognito_groups.created_at IS 'CreationDate';
COMMENT ON COLUMN cognito_groups.updated_at IS 'LastModifiedDate';

CREATE FUNCTION cognito_group_users(server_name text, group_name text)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION cognito_group_users(text, text) IS
	'all users in a group of the user pool of a server';

CREATE FUNCTION cognito_user_groups(server_name text, username text)
	RETURNS TABLE (group_name text, description text, role_arn text, precedence integer,
		created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_user_groups(text, text) IS
	'all groups of a user of the user pool of a server';

CREATE FUNCTION cognito_memberships_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION cognito_memberships_support(internal) IS
	'planner support function of cognito_memberships';

CREATE FUNCTION cognito_memberships(server_name text)
	RETURNS TABLE (group_name text, username text)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_memberships_support;
COMMENT ON FUNCTION cognito_memberships(text) IS
	'who is in which group of the user pool of a server';

CREATE FUNCTION cognito_memberships(server_name text, attribute text, "values" text[])
	RETURNS TABLE (group_name text, username text)
	AS 'MODULE_PATHNAME', 'cognito_memberships_matching'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_memberships_support;
COMMENT ON FUNCTION cognito_memberships(text, text, text[]) IS
	'who is in which group of the user pool of a server: those whose attribute, group_name or username, is one of the values';

CREATE VIEW cognito_memberships AS SELECT * FROM cognito_memberships(cognito_default_server());
COMMENT ON VIEW cognito_memberships IS
	'who is in which group of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_memberships.group_name IS 'name of the group';
COMMENT ON COLUMN cognito_memberships.username IS 'name of a user in it';

CREATE FUNCTION cognito_add_user_to_group(server_name text, username text, group_name text) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION cognito_add_user_to_group(text, text, text) IS
	'puts a user of the user pool of a server into a group; no matter if already in it';

CREATE FUNCTION cognito_remove_user_from_group(server_name text, username text, group_name text) RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION cognito_remove_user_from_group(text, text, text) IS
	'takes a user of the user pool of a server out of a group; no matter if not in it';

-- User pools, and what belongs to one

CREATE FUNCTION cognito_user_pools(server_name text)
	RETURNS TABLE (id text, name text, status text, created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 100;
COMMENT ON FUNCTION cognito_user_pools(text) IS
	'all user pools of the account and region of a server';

CREATE VIEW cognito_user_pools AS SELECT * FROM cognito_user_pools(cognito_default_server());
COMMENT ON VIEW cognito_user_pools IS
	'all user pools of the account and region of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_user_pools.id IS 'id';
COMMENT ON COLUMN cognito_user_pools.name IS 'name, not always unique';
COMMENT ON COLUMN cognito_user_pools.status IS 'Status, which AWS no longer fills in';
COMMENT ON COLUMN cognito_user_pools.created_at IS 'CreationDate';
COMMENT ON COLUMN cognito_user_pools.updated_at IS 'LastModifiedDate';

CREATE FUNCTION cognito_user_pool(server_name text)
	RETURNS TABLE (id text, name text, arn text, mfa_configuration text, estimated_users integer,
		deletion_protection text, created_at timestamptz, updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_user_pool(text) IS
	'the user pool of a server';

CREATE VIEW cognito_user_pool AS SELECT * FROM cognito_user_pool(cognito_default_server());
COMMENT ON VIEW cognito_user_pool IS
	'the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_user_pool.id IS 'id';
COMMENT ON COLUMN cognito_user_pool.name IS 'name';
COMMENT ON COLUMN cognito_user_pool.arn IS 'Amazon resource name';
COMMENT ON COLUMN cognito_user_pool.mfa_configuration IS 'OFF, ON or OPTIONAL';
COMMENT ON COLUMN cognito_user_pool.estimated_users IS 'how many users there are, roughly';
COMMENT ON COLUMN cognito_user_pool.deletion_protection IS 'ACTIVE or INACTIVE';
COMMENT ON COLUMN cognito_user_pool.created_at IS 'CreationDate';
COMMENT ON COLUMN cognito_user_pool.updated_at IS 'LastModifiedDate';
COMMENT ON COLUMN cognito_user_pool.details IS 'everything that Cognito tells of it';

CREATE FUNCTION cognito_app_clients(server_name text)
	RETURNS TABLE (client_id text, client_name text)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_app_clients(text) IS
	'all app clients of the user pool of a server';

CREATE VIEW cognito_app_clients AS SELECT * FROM cognito_app_clients(cognito_default_server());
COMMENT ON VIEW cognito_app_clients IS
	'all app clients of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_app_clients.client_id IS 'id';
COMMENT ON COLUMN cognito_app_clients.client_name IS 'name';

CREATE FUNCTION cognito_app_client(server_name text, client_id text)
	RETURNS TABLE (client_id text, client_name text, created_at timestamptz,
		updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_app_client(text, text) IS
	'an app client of the user pool of a server, without its secret';

CREATE FUNCTION cognito_identity_providers(server_name text)
	RETURNS TABLE (provider_name text, provider_type text, created_at timestamptz,
		updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_identity_providers(text) IS
	'all identity providers of the user pool of a server';

CREATE VIEW cognito_identity_providers AS SELECT * FROM cognito_identity_providers(cognito_default_server());
COMMENT ON VIEW cognito_identity_providers IS
	'all identity providers of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_identity_providers.provider_name IS 'name';
COMMENT ON COLUMN cognito_identity_providers.provider_type IS 'such as SAML, OIDC, Google or Facebook';
COMMENT ON COLUMN cognito_identity_providers.created_at IS 'CreationDate';
COMMENT ON COLUMN cognito_identity_providers.updated_at IS 'LastModifiedDate';

-- Identity pools, and the identities in one

CREATE FUNCTION cognito_identity_pools(server_name text)
	RETURNS TABLE (identity_pool_id text, identity_pool_name text)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_identity_pools(text) IS
	'all identity pools of the account and region of a server';

CREATE VIEW cognito_identity_pools AS SELECT * FROM cognito_identity_pools(cognito_default_server());
COMMENT ON VIEW cognito_identity_pools IS
	'all identity pools of the account and region of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_identity_pools.identity_pool_id IS 'id';
COMMENT ON COLUMN cognito_identity_pools.identity_pool_name IS 'name';

CREATE FUNCTION cognito_identity_pool(server_name text)
	RETURNS TABLE (id text, name text, allow_unauthenticated boolean, allow_classic_flow boolean,
		developer_provider_name text, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_identity_pool(text) IS
	'the identity pool of a server';

CREATE FUNCTION cognito_identity_pool(server_name text, identity_pool_id text)
	RETURNS TABLE (id text, name text, allow_unauthenticated boolean, allow_classic_flow boolean,
		developer_provider_name text, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_identity_pool(text, text) IS
	'an identity pool of the account and region of a server';

CREATE VIEW cognito_identity_pool AS SELECT * FROM cognito_identity_pool(cognito_default_server());
COMMENT ON VIEW cognito_identity_pool IS
	'the identity pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_identity_pool.id IS 'id';
COMMENT ON COLUMN cognito_identity_pool.name IS 'name';
COMMENT ON COLUMN cognito_identity_pool.allow_unauthenticated IS 'whether there may be identities without a login';
COMMENT ON COLUMN cognito_identity_pool.allow_classic_flow IS 'whether the classic (basic) flow of authentication is allowed';
COMMENT ON COLUMN cognito_identity_pool.developer_provider_name IS 'name of the developer provider';
COMMENT ON COLUMN cognito_identity_pool.details IS 'everything that Cognito tells of it';

CREATE FUNCTION cognito_identities(server_name text)
	RETURNS TABLE (identity_id text, logins text[], created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION cognito_identities(text) IS
	'all identities of the identity pool of a server';

CREATE FUNCTION cognito_identities(server_name text, identity_pool_id text)
	RETURNS TABLE (identity_id text, logins text[], created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION cognito_identities(text, text) IS
	'all identities of an identity pool of the account and region of a server';

CREATE VIEW cognito_identities AS SELECT * FROM cognito_identities(cognito_default_server());
COMMENT ON VIEW cognito_identities IS
	'all identities of the identity pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_identities.identity_id IS 'id';
COMMENT ON COLUMN cognito_identities.logins IS 'providers with which the identity has logged in';
COMMENT ON COLUMN cognito_identities.created_at IS 'CreationDate';
COMMENT ON COLUMN cognito_identities.updated_at IS 'LastModifiedDate';

-- The views ask with the rights of their reader, who needs USAGE on the server.

GRANT SELECT ON cognito_users, cognito_groups, cognito_memberships, cognito_user_pools,
	cognito_user_pool, cognito_app_clients, cognito_identity_providers, cognito_identity_pools,
	cognito_identity_pool, cognito_identities TO PUBLIC;

-- Views over another server than the default

CREATE FUNCTION cognito_create_views(server_name text, schema_name name,
		replace boolean DEFAULT false)
	RETURNS SETOF name
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION cognito_create_views(text, name, boolean) IS
	'creates in a schema the views of a server, and returns their names';

-- What a session did

CREATE FUNCTION cognito_statistics()
	RETURNS TABLE (server_name text, calls bigint, requests bigint, pages bigint, rows bigint,
		retries bigint, throttled bigint, errors bigint, bytes_received bigint,
		connections_opened bigint, waited interval, last_call timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION cognito_statistics() IS
	'what this session asked of each server, and what came of it';

CREATE VIEW cognito_statistics AS SELECT * FROM cognito_statistics();
COMMENT ON VIEW cognito_statistics IS
	'what this session asked of each server, and what came of it';
COMMENT ON COLUMN cognito_statistics.server_name IS 'server';
COMMENT ON COLUMN cognito_statistics.calls IS 'calls of functions that read this server';
COMMENT ON COLUMN cognito_statistics.requests IS 'requests sent, retries among them';
COMMENT ON COLUMN cognito_statistics.pages IS 'pages received';
COMMENT ON COLUMN cognito_statistics.rows IS 'rows made of them';
COMMENT ON COLUMN cognito_statistics.retries IS 'requests sent again';
COMMENT ON COLUMN cognito_statistics.throttled IS 'requests that the service refused because there were too many';
COMMENT ON COLUMN cognito_statistics.errors IS 'calls that failed or were cancelled';
COMMENT ON COLUMN cognito_statistics.bytes_received IS 'bytes of the answers'' bodies';
COMMENT ON COLUMN cognito_statistics.connections_opened IS 'connections opened';
COMMENT ON COLUMN cognito_statistics.waited IS 'time from request to answer, summed over all requests';
COMMENT ON COLUMN cognito_statistics.last_call IS 'begin of the last call';

GRANT SELECT ON cognito_statistics TO PUBLIC;
