-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION cognito_srf UPDATE" to load this file. \quit

-- Functions that change groups require EXECUTE and USAGE on the server; to read, USAGE is enough.

REVOKE EXECUTE ON FUNCTION cognito_add_user_to_group(text, text, text),
	cognito_remove_user_from_group(text, text, text) FROM PUBLIC;

-- After a REVOKE in a script, PostgreSQL records the whole ACL as initial privileges of the
-- extension, which pg_dump leaves out.  Remove from this record the grants that an administrator
-- made in 1.0, and the dependencies on the grantees that PostgreSQL 17 records with them.
--
-- A superuser runs this with the extension's schema in the search_path, in which other roles may
-- create operators.  So each operator is qualified, and compares two values of the same type, for
-- which pg_catalog has one.

UPDATE pg_catalog.pg_init_privs AS initial
SET initprivs = ARRAY[pg_catalog.makeaclitem(
	proowner, proowner, 'EXECUTE'::pg_catalog.text, false::pg_catalog.bool)]
FROM pg_catalog.pg_proc AS function
WHERE initial.classoid OPERATOR(pg_catalog.=) function.tableoid
	AND initial.objoid OPERATOR(pg_catalog.=) function.oid
	AND function.oid OPERATOR(pg_catalog.=) ANY (ARRAY[
		'cognito_add_user_to_group(text, text, text)'::pg_catalog.regprocedure::pg_catalog.oid,
		'cognito_remove_user_from_group(text, text, text)'::pg_catalog.regprocedure::pg_catalog.oid]);

DELETE FROM pg_catalog.pg_shdepend
WHERE dbid OPERATOR(pg_catalog.=) (SELECT oid FROM pg_catalog.pg_database
		WHERE datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
	AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid
	AND deptype OPERATOR(pg_catalog.=) 'i'::pg_catalog."char"
	AND objid OPERATOR(pg_catalog.=) ANY (ARRAY[
		'cognito_add_user_to_group(text, text, text)'::pg_catalog.regprocedure::pg_catalog.oid,
		'cognito_remove_user_from_group(text, text, text)'::pg_catalog.regprocedure::pg_catalog.oid]);

-- Sessions may still have the library of 1.0.  What is added or replaced here has symbols that it
-- lacks, so that they get an error: it would misread the arguments, and not check pools.

CREATE OR REPLACE FUNCTION cognito_users_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'cognito_users_support_1_1' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE OR REPLACE FUNCTION cognito_memberships_support(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'cognito_memberships_support_1_1' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;

-- Pushdown calls this overload, like that of cognito_users.

CREATE FUNCTION cognito_memberships(server_name text, attribute text, operator text, "values" text[])
	RETURNS TABLE (group_name text, username text)
	AS 'MODULE_PATHNAME', 'cognito_memberships_matching_1_1'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_memberships_support;
COMMENT ON FUNCTION cognito_memberships(text, text, text, text[]) IS
	'memberships in the user pool of a server whose attribute (group_name or username) equals (=) or starts with (^=) one of the values';

-- A limit without a filter, and with a condition.  Pushdown calls the latter.

CREATE FUNCTION cognito_users(server_name text, max_users bigint)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_limited'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, bigint) IS
	'users of the user pool of a server, at most max_users';

CREATE FUNCTION cognito_users(server_name text, max_users bigint, attribute text, operator text,
		"values" text[])
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_matching_limited'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, bigint, text, text, text[]) IS
	'users of the user pool of a server whose attribute equals (=) or starts with (^=) one of the values, at most max_users';

-- The user pool as an argument, on a server without option user_pool_id.  It is the second argument
-- of each function.  That of cognito_users must not be mistaken for a filter: PostgreSQL prefers the
-- parameter of type text to one of a domain, whatever kind of string an argument is.

CREATE DOMAIN cognito_user_pool_id AS text;
COMMENT ON DOMAIN cognito_user_pool_id IS 'id of a user pool, such as eu-west-1_AbCdEf123';

CREATE FUNCTION cognito_users(server_name text, user_pool_id cognito_user_pool_id, max_users bigint DEFAULT NULL)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, cognito_user_pool_id, bigint) IS
	'users of a user pool, at most max_users';

CREATE FUNCTION cognito_users(server_name text, user_pool_id cognito_user_pool_id, attribute text,
		operator text, "values" text[])
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_of_pool_matching'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, cognito_user_pool_id, text, text, text[]) IS
	'users of a user pool whose attribute equals (=) or starts with (^=) one of the values';

CREATE FUNCTION cognito_users(server_name text, user_pool_id cognito_user_pool_id, max_users bigint,
		attribute text, operator text, "values" text[])
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_users_of_pool_matching_limited'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_users_support;
COMMENT ON FUNCTION cognito_users(text, cognito_user_pool_id, bigint, text, text, text[]) IS
	'users of a user pool whose attribute equals (=) or starts with (^=) one of the values, at most max_users';

CREATE FUNCTION cognito_groups(server_name text, user_pool_id text)
	RETURNS TABLE (group_name text, description text, role_arn text, precedence integer,
		created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME', 'cognito_groups_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 100;
COMMENT ON FUNCTION cognito_groups(text, text) IS
	'all groups of a user pool';

CREATE FUNCTION cognito_group_users(server_name text, user_pool_id text, group_name text)
	RETURNS TABLE (username text, email text, status text, enabled boolean,
		created_at timestamptz, updated_at timestamptz, attributes jsonb)
	AS 'MODULE_PATHNAME', 'cognito_group_users_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION cognito_group_users(text, text, text) IS
	'all users in a group of a user pool';

CREATE FUNCTION cognito_user_groups(server_name text, user_pool_id text, username text)
	RETURNS TABLE (group_name text, description text, role_arn text, precedence integer,
		created_at timestamptz, updated_at timestamptz)
	AS 'MODULE_PATHNAME', 'cognito_user_groups_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_user_groups(text, text, text) IS
	'all groups of a user of a user pool';

CREATE FUNCTION cognito_memberships(server_name text, user_pool_id text)
	RETURNS TABLE (group_name text, username text)
	AS 'MODULE_PATHNAME', 'cognito_memberships_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_memberships_support;
COMMENT ON FUNCTION cognito_memberships(text, text) IS
	'all memberships in a user pool: which user is in which group';

CREATE FUNCTION cognito_memberships(server_name text, user_pool_id text, attribute text, operator text,
		"values" text[])
	RETURNS TABLE (group_name text, username text)
	AS 'MODULE_PATHNAME', 'cognito_memberships_of_pool_matching'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000
	SUPPORT cognito_memberships_support;
COMMENT ON FUNCTION cognito_memberships(text, text, text, text, text[]) IS
	'memberships in a user pool whose attribute (group_name or username) equals (=) or starts with (^=) one of the values';

CREATE FUNCTION cognito_user_pool(server_name text, user_pool_id text)
	RETURNS TABLE (id text, name text, arn text, mfa_configuration text, estimated_users integer,
		deletion_protection text, created_at timestamptz, updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME', 'cognito_user_pool_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_user_pool(text, text) IS
	'a user pool of the account and region of a server';

CREATE FUNCTION cognito_app_clients(server_name text, user_pool_id text)
	RETURNS TABLE (client_id text, client_name text)
	AS 'MODULE_PATHNAME', 'cognito_app_clients_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_app_clients(text, text) IS
	'all app clients of a user pool';

CREATE FUNCTION cognito_app_client(server_name text, user_pool_id text, client_id text)
	RETURNS TABLE (client_id text, client_name text, created_at timestamptz,
		updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME', 'cognito_app_client_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_app_client(text, text, text) IS
	'an app client of a user pool, without its secret';

CREATE FUNCTION cognito_identity_providers(server_name text, user_pool_id text)
	RETURNS TABLE (provider_name text, provider_type text, created_at timestamptz,
		updated_at timestamptz)
	AS 'MODULE_PATHNAME', 'cognito_identity_providers_of_pool'
	LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 10;
COMMENT ON FUNCTION cognito_identity_providers(text, text) IS
	'all identity providers of a user pool';

-- In C, so that EXPLAIN shows the call, and not the expression that would be inlined.  The library
-- knows the setting.

CREATE OR REPLACE FUNCTION cognito_default_server() RETURNS text
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL SAFE;

-- Credentials

CREATE FUNCTION cognito_credentials(server_name text)
	RETURNS TABLE (source text, access_key_id text, role text, expires_at timestamptz)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_credentials(text) IS
	'credentials with which requests to a server are signed, without secrets';

-- Statistics of the session start anew.

CREATE FUNCTION cognito_statistics_reset() RETURNS void
	AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL RESTRICTED;
COMMENT ON FUNCTION cognito_statistics_reset() IS
	'sets the counters of cognito_statistics to zero, in this session';

-- One identity provider

CREATE FUNCTION cognito_identity_provider(server_name text, provider_name text)
	RETURNS TABLE (provider_name text, provider_type text, created_at timestamptz,
		updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_identity_provider(text, text) IS
	'an identity provider of the user pool of a server, without the secrets of the provider';

CREATE FUNCTION cognito_identity_provider(server_name text, user_pool_id text, provider_name text)
	RETURNS TABLE (provider_name text, provider_type text, created_at timestamptz,
		updated_at timestamptz, details jsonb)
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000 ROWS 1;
COMMENT ON FUNCTION cognito_identity_provider(text, text, text) IS
	'an identity provider of a user pool, without the secrets of the provider';

-- Comments of 1.0 that were unclear

COMMENT ON FUNCTION cognito_users(text, text, bigint) IS
	'users of the user pool of a server that match a filter of ListUsers, at most max_users';
COMMENT ON FUNCTION cognito_users(text, text, text, text[]) IS
	'users of the user pool of a server whose attribute equals (=) or starts with (^=) one of the values';
COMMENT ON FUNCTION cognito_filter(text, text, text) IS
	'filter of ListUsers that compares an attribute with a value, which it quotes';
COMMENT ON FUNCTION cognito_default_server() IS
	'name of the server that the views read: the setting cognito_srf.default_server';
COMMENT ON FUNCTION cognito_memberships(text) IS
	'all memberships in the user pool of a server: which user is in which group';
COMMENT ON FUNCTION cognito_memberships(text, text, text[]) IS
	'memberships in the user pool of a server whose attribute (group_name or username) equals one of the values';
COMMENT ON VIEW cognito_memberships IS
	'all memberships in the user pool of the default server: which user is in which group';
COMMENT ON FUNCTION cognito_add_user_to_group(text, text, text) IS
	'adds a user of the user pool of a server to a group; no error if the user is already in it';
COMMENT ON FUNCTION cognito_remove_user_from_group(text, text, text) IS
	'removes a user of the user pool of a server from a group; no error if the user is not in it';
COMMENT ON FUNCTION cognito_create_views(text, name, boolean) IS
	'creates views of the pools of a server in a schema, and returns their names';
COMMENT ON FUNCTION cognito_statistics() IS
	'requests of this session to each server, and their results';
COMMENT ON VIEW cognito_statistics IS
	'requests of this session to each server, and their results';

COMMENT ON COLUMN cognito_users.username IS 'name of the user, unique in the user pool';
COMMENT ON COLUMN cognito_users.email IS 'email address of the user: the attribute email';
COMMENT ON COLUMN cognito_users.status IS 'status of the user, such as CONFIRMED or FORCE_CHANGE_PASSWORD';
COMMENT ON COLUMN cognito_users.enabled IS 'whether the user may sign in';
COMMENT ON COLUMN cognito_users.created_at IS 'time at which the user was created';
COMMENT ON COLUMN cognito_users.updated_at IS 'time at which the user was last modified';
COMMENT ON COLUMN cognito_users.attributes IS 'object of all attributes by name, including sub and email';

COMMENT ON COLUMN cognito_groups.group_name IS 'name of the group, unique in the user pool';
COMMENT ON COLUMN cognito_groups.description IS 'description of the group';
COMMENT ON COLUMN cognito_groups.role_arn IS 'ARN of the IAM role of the users in the group';
COMMENT ON COLUMN cognito_groups.precedence IS 'precedence among the groups of a user; the lowest number wins';
COMMENT ON COLUMN cognito_groups.created_at IS 'time at which the group was created';
COMMENT ON COLUMN cognito_groups.updated_at IS 'time at which the group was last modified';

COMMENT ON COLUMN cognito_memberships.group_name IS 'name of the group';
COMMENT ON COLUMN cognito_memberships.username IS 'name of a user in the group';

COMMENT ON COLUMN cognito_user_pools.id IS 'id of the user pool, such as eu-west-1_AbCdEf123';
COMMENT ON COLUMN cognito_user_pools.name IS 'name of the user pool, not necessarily unique';
COMMENT ON COLUMN cognito_user_pools.status IS 'status of the user pool, no longer set by AWS';
COMMENT ON COLUMN cognito_user_pools.created_at IS 'time at which the user pool was created';
COMMENT ON COLUMN cognito_user_pools.updated_at IS 'time at which the user pool was last modified';

COMMENT ON COLUMN cognito_user_pool.id IS 'id of the user pool, such as eu-west-1_AbCdEf123';
COMMENT ON COLUMN cognito_user_pool.name IS 'name of the user pool, not necessarily unique';
COMMENT ON COLUMN cognito_user_pool.arn IS 'ARN (Amazon resource name) of the user pool';
COMMENT ON COLUMN cognito_user_pool.mfa_configuration IS 'multi-factor authentication: OFF, ON or OPTIONAL';
COMMENT ON COLUMN cognito_user_pool.estimated_users IS 'estimated number of users';
COMMENT ON COLUMN cognito_user_pool.deletion_protection IS 'protection against deletion: ACTIVE or INACTIVE';
COMMENT ON COLUMN cognito_user_pool.created_at IS 'time at which the user pool was created';
COMMENT ON COLUMN cognito_user_pool.updated_at IS 'time at which the user pool was last modified';
COMMENT ON COLUMN cognito_user_pool.details IS 'full description of the user pool, as Cognito returns it';

COMMENT ON COLUMN cognito_app_clients.client_id IS 'id of the app client';
COMMENT ON COLUMN cognito_app_clients.client_name IS 'name of the app client';

COMMENT ON COLUMN cognito_identity_providers.provider_name IS 'name of the identity provider, unique in the user pool';
COMMENT ON COLUMN cognito_identity_providers.provider_type IS 'type of the identity provider, such as SAML, OIDC, Google or Facebook';
COMMENT ON COLUMN cognito_identity_providers.created_at IS 'time at which the identity provider was created';
COMMENT ON COLUMN cognito_identity_providers.updated_at IS 'time at which the identity provider was last modified';

COMMENT ON COLUMN cognito_identity_pools.identity_pool_id IS 'id of the identity pool';
COMMENT ON COLUMN cognito_identity_pools.identity_pool_name IS 'name of the identity pool';

COMMENT ON COLUMN cognito_identity_pool.id IS 'id of the identity pool';
COMMENT ON COLUMN cognito_identity_pool.name IS 'name of the identity pool';
COMMENT ON COLUMN cognito_identity_pool.allow_unauthenticated IS 'whether identities without a login are allowed';
COMMENT ON COLUMN cognito_identity_pool.allow_classic_flow IS 'whether the classic (basic) authentication flow is allowed';
COMMENT ON COLUMN cognito_identity_pool.developer_provider_name IS 'name of the developer provider';
COMMENT ON COLUMN cognito_identity_pool.details IS 'full description of the identity pool, as Cognito returns it';

COMMENT ON COLUMN cognito_identities.identity_id IS 'id of the identity';
COMMENT ON COLUMN cognito_identities.logins IS 'names of the providers with which the identity has logged in';
COMMENT ON COLUMN cognito_identities.created_at IS 'time at which the identity was created';
COMMENT ON COLUMN cognito_identities.updated_at IS 'time at which the identity was last modified';

COMMENT ON COLUMN cognito_statistics.server_name IS 'name of the server';
COMMENT ON COLUMN cognito_statistics.calls IS 'number of function calls that used the server';
COMMENT ON COLUMN cognito_statistics.requests IS 'number of requests sent, including retries';
COMMENT ON COLUMN cognito_statistics.pages IS 'number of pages received';
COMMENT ON COLUMN cognito_statistics.rows IS 'number of rows received';
COMMENT ON COLUMN cognito_statistics.retries IS 'number of retries';
COMMENT ON COLUMN cognito_statistics.throttled IS 'number of requests that the service throttled';
COMMENT ON COLUMN cognito_statistics.errors IS 'number of function calls that failed or were canceled';
COMMENT ON COLUMN cognito_statistics.bytes_received IS 'total size of the response bodies in bytes';
COMMENT ON COLUMN cognito_statistics.connections_opened IS 'number of connections opened';
COMMENT ON COLUMN cognito_statistics.waited IS 'total time from sending requests to receiving their responses';
COMMENT ON COLUMN cognito_statistics.last_call IS 'start time of the last call';

-- Synchronization of users into a table

CREATE TABLE cognito_sync_partitions (
	target regclass NOT NULL,
	server_name text NOT NULL,
	user_pool_id text NOT NULL,
	partition text NOT NULL,
	synced_at timestamptz NOT NULL,
	inserted bigint NOT NULL,
	updated bigint NOT NULL,
	deleted bigint NOT NULL,
	unchanged bigint NOT NULL,
	PRIMARY KEY (target, server_name, user_pool_id, partition)
);
SELECT pg_catalog.pg_extension_config_dump('cognito_sync_partitions',
	'WHERE target IN (SELECT oid FROM pg_catalog.pg_class WHERE relpersistence <> ''t'')');
COMMENT ON TABLE cognito_sync_partitions IS
	'when cognito_sync_users has written each partition; see view cognito_syncs';

CREATE VIEW cognito_syncs WITH (security_barrier) AS
	SELECT target, server_name, user_pool_id, partition, synced_at, inserted, updated, deleted,
		unchanged
	FROM cognito_sync_partitions
	WHERE pg_catalog.has_table_privilege(target::pg_catalog.oid, 'SELECT');
GRANT SELECT ON cognito_syncs TO PUBLIC;
COMMENT ON VIEW cognito_syncs IS
	'last synchronization of each partition into the tables that the current role may read';
COMMENT ON COLUMN cognito_syncs.target IS 'table into which users were synchronized';
COMMENT ON COLUMN cognito_syncs.server_name IS 'name of the server';
COMMENT ON COLUMN cognito_syncs.user_pool_id IS 'id of the user pool';
COMMENT ON COLUMN cognito_syncs.partition IS 'first digit of the users'' sub';
COMMENT ON COLUMN cognito_syncs.synced_at IS 'time at which the listing of the partition started';
COMMENT ON COLUMN cognito_syncs.inserted IS 'number of rows inserted';
COMMENT ON COLUMN cognito_syncs.updated IS 'number of rows updated';
COMMENT ON COLUMN cognito_syncs.deleted IS 'number of rows deleted or marked as deleted';
COMMENT ON COLUMN cognito_syncs.unchanged IS 'number of listed users whose rows did not change';

CREATE PROCEDURE cognito_sync_users(server_name text, target regclass, deletions text DEFAULT 'keep',
		max_age interval DEFAULT '0', max_deleted float8 DEFAULT 0.1, INOUT inserted bigint DEFAULT 0,
		INOUT updated bigint DEFAULT 0, INOUT deleted bigint DEFAULT 0, INOUT unchanged bigint DEFAULT 0)
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE cognito_sync_users IS
	'writes the users of the user pool of a server to a table, and only what has changed';

-- Tokens of a user pool. What a session knows of keys, and when it requested them, is not known to
-- its parallel workers.

CREATE FUNCTION cognito_verify_token(server_name text, token text, token_use text DEFAULT NULL)
	RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 100;
COMMENT ON FUNCTION cognito_verify_token(text, text, text) IS
	'claims of a valid token (id, access, or either) of the user pool of a server; an error if it is not valid';

CREATE FUNCTION cognito_claims(server_name text DEFAULT cognito_default_server())
	RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10;
COMMENT ON FUNCTION cognito_claims(text) IS
	'claims of the token in setting cognito_srf.token; null without a token, an error if it is not valid';

CREATE FUNCTION cognito_jwks(server_name text)
	RETURNS jsonb
	AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED COST 10000;
COMMENT ON FUNCTION cognito_jwks(text) IS
	'keys of the tokens of the user pool of a server, for its option jwks';
