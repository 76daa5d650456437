-- Views over one server, in a schema of its own
\getenv endpoint COGNITO_ENDPOINT
CREATE ROLE regress_cognito_viewer;
SET ROLE regress_cognito_admin;

SET client_min_messages = error; -- that the server's options are readable is the options' test
CREATE SERVER staff FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	region 'eu-west-1', user_pool_id 'eu-west-1_AbCdEf123', endpoint_url :'endpoint',
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE',
	aws_secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
CREATE SERVER crowd FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	region 'eu-west-1', user_pool_id 'eu-west-1_Users61', endpoint_url :'endpoint',
	identity_pool_id 'eu-west-1:11111111-2222-4333-8444-555555555555',
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE',
	aws_secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
RESET client_min_messages;
CREATE SERVER empty FOREIGN DATA WRAPPER cognito_wrapper;
CREATE SCHEMA staff;
CREATE SCHEMA "Crowd";

-- A schema for each pool; identity pools only where the server has one
SELECT cognito_create_views('staff', 'staff');
SELECT * FROM cognito_create_views(server_name => 'crowd', schema_name => 'Crowd') AS view;
SELECT count(*) FROM staff.users;
SELECT count(*) FROM "Crowd".users;
SELECT group_name FROM staff.groups ORDER BY 1;
SELECT attname, atttypid::regtype AS type, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = 'staff.groups'::regclass AND attnum > 0 ORDER BY attnum;

-- They are the caller's, and each has comments on itself and all its columns.
SELECT relnamespace::regnamespace AS schema, relowner::regrole AS owner,
	count(*) FILTER (WHERE relkind = 'v') AS views,
	obj_description(min(oid), 'pg_class') IS NOT NULL AS has_comment
FROM pg_class WHERE relnamespace IN ('staff'::regnamespace, '"Crowd"'::regnamespace)
GROUP BY 1, 2 ORDER BY views;
SELECT attrelid::regclass, attname AS uncommented FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = '"Crowd"'::regnamespace)
	AND attnum > 0 AND col_description(attrelid, attnum) IS NULL;

-- The default views read the default server of the time when they are executed, whenever the plan was made.
CREATE FUNCTION count_users() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM cognito_users';
DO $$
DECLARE
	server text;
	n bigint;
BEGIN
	FOREACH server IN ARRAY ARRAY['staff', 'crowd', 'staff'] LOOP
		PERFORM set_config('cognito_srf.default_server', server, true);
		n := count_users();
		RAISE NOTICE '%: % users', cognito_default_server(), n;
	END LOOP;
END $$;
DROP FUNCTION count_users;
SET plan_cache_mode = force_generic_plan;
PREPARE count_users AS SELECT count(*) FROM cognito_users;
SET cognito_srf.default_server = 'crowd';
EXECUTE count_users;
SET cognito_srf.default_server = 'staff';
EXECUTE count_users;
DEALLOCATE count_users;
RESET plan_cache_mode;

-- EXPLAIN shows the function, and the setting if asked for.
CREATE FUNCTION explain_settings() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF, SETTINGS) SELECT FROM cognito_groups' LOOP
		RETURN NEXT substring(line, 'Function Call: .*|cognito_srf[^,]*');
	END LOOP;
END $$;
SELECT line FROM explain_settings() AS line WHERE line IS NOT NULL;
SET cognito_srf.default_server = '';
SELECT cognito_default_server();
RESET cognito_srf.default_server;
SELECT cognito_default_server();
DROP FUNCTION explain_settings;

-- A condition still reaches Cognito.
EXPLAIN (VERBOSE, COSTS OFF) SELECT email FROM staff.users WHERE username = 'ana.sato';

-- What is there stays, unless it is to be replaced ...
SELECT cognito_create_views('crowd', 'staff');
\echo :SQLSTATE
-- ... and was made by the function, for whatever server.
SELECT count(*) FROM cognito_create_views('crowd', 'staff', true);
SELECT count(*) FROM staff.users;

-- Views of a pool that the new server lacks would go on to read the old one.
SELECT cognito_create_views('staff', 'staff', replace => true);
\echo :SQLSTATE
DROP VIEW staff.identity_pool, staff.identity_pools, staff.identities;
CREATE TABLE staff.identities ();
SELECT count(*) FROM cognito_create_views('staff', 'staff', true);
SELECT count(*) FROM staff.users;
DROP TABLE staff.identities;

-- The server is not dropped without them, and is once they read another, or something else.
BEGIN;
CREATE SERVER other FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1', user_pool_id 'eu-west-1_Users61');
SELECT count(*) FROM cognito_create_views('other', 'staff', true);
SAVEPOINT depends;
DROP SERVER other;
\echo :SQLSTATE
ROLLBACK TO depends;
DROP SERVER other CASCADE;
SELECT to_regclass('staff.users');
ROLLBACK TO depends;
SELECT count(*) FROM cognito_create_views('staff', 'staff', true);
DROP SERVER other;
SELECT pg_describe_object(refclassid, refobjid, 0) FROM pg_depend
WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_foreign_server'::regclass
	AND objid IN (SELECT oid FROM pg_rewrite WHERE ev_class = 'staff.users'::regclass);
ROLLBACK;
-- They name it as text: a renamed server needs new ones.
BEGIN;
ALTER SERVER staff RENAME TO people;
SAVEPOINT renamed;
SELECT count(*) FROM staff.users;
ROLLBACK TO renamed;
SELECT count(*) FROM cognito_create_views('people', 'staff', true);
SELECT count(*) FROM staff.users;
ROLLBACK;

-- Nothing else is replaced: another relation, or a view that somebody has changed
CREATE FUNCTION try_replace(definition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'DROP VIEW IF EXISTS staff.groups; ' || definition;
	PERFORM cognito_create_views('staff', 'staff', true);
	RAISE 'replaced' USING ERRCODE = 'ZZ000';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLERRM;
END $$;
SELECT try_replace(definition), definition FROM (VALUES
	('CREATE TABLE staff.groups ()'),
	('CREATE MATERIALIZED VIEW staff.groups AS SELECT 1'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''crowd'')'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''it''''s'')'),
	('CREATE VIEW staff.groups AS SELECT cognito_groups.group_name, cognito_groups.description,
		cognito_groups.role_arn, cognito_groups.precedence, cognito_groups.created_at,
		cognito_groups.updated_at FROM public.cognito_groups(''staff''::text)
		cognito_groups(group_name, description, role_arn, precedence, created_at, updated_at)'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''sta'' || ''ff''::text)'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') WHERE precedence = 1'),
	('CREATE VIEW staff.groups WITH (security_barrier) AS SELECT * FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT DISTINCT * FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') ORDER BY 1'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') LIMIT 1'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') OFFSET 1'),
	('CREATE VIEW staff.groups AS WITH w AS (SELECT 1) SELECT * FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') UNION ALL
		SELECT * FROM cognito_groups(''crowd'')'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff''), generate_series(1, 2) AS g'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(''staff'') WITH ORDINALITY'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_groups(cognito_default_server())'),
	('CREATE VIEW staff.groups AS SELECT * FROM cognito_user_groups(''staff'', ''ana.sato'')'),
	('CREATE VIEW staff.groups AS SELECT group_name FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT group_name, upper(description) AS description, role_arn,
		precedence, created_at, updated_at FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT group_name, role_arn AS description,
		description AS role_arn, precedence, created_at, updated_at FROM cognito_groups(''staff'')'),
	('CREATE VIEW staff.groups AS SELECT count(*) FROM cognito_groups(''staff'')')
	) AS v(definition);

-- Bad arguments
SELECT cognito_create_views(NULL, 'staff');
SELECT cognito_create_views('staff', NULL);
SELECT cognito_create_views('staff', 'staff', NULL);
\echo :SQLSTATE
SELECT cognito_create_views('no such server', 'staff');
\echo :SQLSTATE
SELECT cognito_create_views('staff', 'no such schema');
\echo :SQLSTATE
SELECT cognito_create_views('empty', 'staff', true);
BEGIN;
CREATE SCHEMA nothing;
SELECT cognito_create_views('empty', 'nothing');
ROLLBACK;

-- The caller's rights: USAGE on the server, CREATE in the schema, and the views are the caller's own.
RESET ROLE;
SET ROLE regress_cognito_viewer;
SELECT cognito_create_views('staff', 'staff', true);
\echo :SQLSTATE
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER staff TO regress_cognito_viewer;
GRANT USAGE ON SCHEMA staff TO regress_cognito_viewer;
CREATE SCHEMA bare;
GRANT USAGE ON SCHEMA bare TO regress_cognito_viewer;
SET ROLE regress_cognito_viewer;
SELECT cognito_create_views('staff', 'bare');
\echo :SQLSTATE
RESET ROLE;
SET ROLE regress_cognito_admin;
GRANT CREATE ON SCHEMA staff TO regress_cognito_viewer;
SET ROLE regress_cognito_viewer;
SELECT cognito_create_views('staff', 'staff', true);
\echo :SQLSTATE
-- Not even a superuser replaces views of others, which would stay theirs.
RESET ROLE;
SELECT cognito_create_views('staff', 'staff', true);
DROP SCHEMA bare;
SET ROLE regress_cognito_admin;

-- Nothing is created where something fails.
DROP VIEW staff.users, staff.user_pools;
CREATE VIEW staff.user_pools AS SELECT 1;
SELECT cognito_create_views('staff', 'staff', true);
SELECT to_regclass('staff.users');

-- Objects of other schemas do not come between.
CREATE SCHEMA mine;
CREATE FUNCTION mine.cognito_users(text) RETURNS text LANGUAGE sql RETURN 'mine';
CREATE DOMAIN mine.text AS integer;
SET search_path = mine, public, pg_catalog;
DROP VIEW staff.user_pools;
SELECT count(*) FROM public.cognito_create_views('staff', 'staff', true);
RESET search_path;
SELECT count(*) FROM staff.users;

SET client_min_messages = warning;
DROP SCHEMA mine, staff, "Crowd" CASCADE;
DROP SERVER staff, crowd, empty CASCADE;
DROP FUNCTION try_replace;
RESET ROLE;
DROP ROLE regress_cognito_viewer;
