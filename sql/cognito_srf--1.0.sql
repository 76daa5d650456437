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

-- The server that the views read.  The setting is unknown until the library is
-- loaded, so its default stands here as well.

CREATE VIEW cognito_users AS
	SELECT * FROM cognito_users(
		coalesce(nullif(current_setting('cognito_srf.default_server', true), ''), 'cognito_server'));
COMMENT ON VIEW cognito_users IS
	'all users of the user pool of the default server, cognito_srf.default_server';
COMMENT ON COLUMN cognito_users.username IS 'name that is unique in the user pool';
COMMENT ON COLUMN cognito_users.email IS 'the attribute email';
COMMENT ON COLUMN cognito_users.status IS 'UserStatus, such as CONFIRMED or FORCE_CHANGE_PASSWORD';
COMMENT ON COLUMN cognito_users.enabled IS 'whether the user may sign in';
COMMENT ON COLUMN cognito_users.created_at IS 'UserCreateDate';
COMMENT ON COLUMN cognito_users.updated_at IS 'UserLastModifiedDate';
COMMENT ON COLUMN cognito_users.attributes IS 'all attributes by name, sub and email among them';

-- The view asks with the rights of its reader, who needs USAGE on the server.

GRANT SELECT ON cognito_users TO PUBLIC;

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
