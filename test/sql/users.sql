-- What cognito_users returns.  The local Cognito's pool eu-west-1_UsersN has N users.
SET ROLE regress_cognito_admin;
\getenv endpoint COGNITO_ENDPOINT
SET client_min_messages = error; -- that the server's options are readable is the options' test
\set pool eu-west-1_Users61
\set ECHO none
\i test/server.sql
\set ECHO all
SET timezone = 'UTC';

-- Function and view
SELECT count(*), count(DISTINCT username), min(username), max(username) FROM cognito_users('cognito_server');
SELECT email, username FROM cognito_users ORDER BY username LIMIT 3;
\x
SELECT * FROM cognito_users WHERE username IN ('user000001', 'user000010') ORDER BY username;
\x
SELECT jsonb_typeof(attributes), attributes->>'email' = email AS same_email, count(*) FROM cognito_users GROUP BY 1, 2;

-- The default server is a setting
SET cognito_srf.default_server = 'nowhere';
SELECT * FROM cognito_users;
\echo :SQLSTATE
RESET cognito_srf.default_server;

-- Filter and limit
SELECT username FROM cognito_users('cognito_server', 'email = "user000017@example.com"');
SELECT count(*) FROM cognito_users('cognito_server', 'username ^= "user00002"');
SELECT count(*) FROM cognito_users('cognito_server', '');
SELECT count(*) FROM cognito_users('cognito_server', NULL);
SELECT count(*) FROM cognito_users('cognito_server', NULL, 0);
SELECT count(*) FROM cognito_users('cognito_server', NULL, 10);
SELECT count(*) FROM cognito_users('cognito_server', filter => 'username ^= "user00002"', max_users => 3);
SELECT count(*) FROM cognito_users('cognito_server', NULL, 1000);
SELECT count(*) FROM cognito_users('cognito_server', NULL, 9223372036854775807);

-- Bad arguments
SELECT * FROM cognito_users(NULL);
\echo :SQLSTATE
SELECT * FROM cognito_users('no such server');
\echo :SQLSTATE
SELECT * FROM cognito_users('cognito_server', NULL, -1);
\echo :SQLSTATE

-- Sizes around a page
SELECT n, (SELECT count(*) FROM cognito_users('cognito_server', NULL, n)) FROM (VALUES (1), (59), (60), (61), (62)) sizes (n);
ALTER SERVER cognito_server OPTIONS (SET user_pool_id 'eu-west-1_Users0');
SELECT * FROM cognito_users;
ALTER SERVER cognito_server OPTIONS (SET user_pool_id 'eu-west-1_Users1');
SELECT username FROM cognito_users;
ALTER SERVER cognito_server OPTIONS (SET user_pool_id 'eu-west-1_Users61');

-- As part of queries
CREATE TABLE orders (email text, total int);
INSERT INTO orders SELECT format('user%s@example.com', to_char(i % 5 + 1, 'fm000000')), i FROM generate_series(1, 20) i;
SELECT u.username, count(*), sum(o.total) FROM orders o JOIN cognito_users u USING (email) GROUP BY 1 ORDER BY 1;
SELECT status, enabled, count(*) FROM cognito_users GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) FROM cognito_users a JOIN cognito_users('cognito_server') b USING (username);
SELECT count(*) FROM (SELECT cognito_users('cognito_server')) in_target_list;
SELECT (u).username FROM (SELECT cognito_users('cognito_server', NULL, 1) AS u) in_target_list;
CREATE VIEW disabled_users AS SELECT username FROM cognito_users('cognito_server') WHERE NOT enabled;
SELECT * FROM disabled_users ORDER BY 1;
CREATE MATERIALIZED VIEW user_copy AS SELECT * FROM cognito_users;
REFRESH MATERIALIZED VIEW user_copy;
SELECT count(*) FROM user_copy;
SELECT s.srvname, u.username FROM pg_foreign_server s, LATERAL cognito_users(s.srvname, NULL, 2) u ORDER BY 2;
PREPARE one (text) AS SELECT username FROM cognito_users($1) WHERE email = 'user000003@example.com';
EXECUTE one('cognito_server');
EXPLAIN (VERBOSE, COSTS OFF) SELECT username FROM cognito_users WHERE email = 'user000003@example.com';

-- In PL/pgSQL, with a failing call in a subtransaction that is rolled back
SET client_min_messages = notice;
DO $$
DECLARE
	n int;
BEGIN
	BEGIN
		PERFORM * FROM cognito_users('cognito_server', 'no filter');
	EXCEPTION WHEN invalid_parameter_value THEN
		RAISE NOTICE 'refused: %', SQLERRM;
	END;
	SELECT count(*) INTO n FROM cognito_users('cognito_server');
	RAISE NOTICE '% users', n;
END $$;
SET client_min_messages = error;

-- A cursor
BEGIN;
DECLARE users SCROLL CURSOR FOR SELECT username FROM cognito_users('cognito_server');
FETCH 2 FROM users;
FETCH LAST FROM users;
FETCH FIRST FROM users;
COMMIT;

-- A server of any wrapper will do, if it has the options
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER foreign_server FOREIGN DATA WRAPPER other;
SELECT * FROM cognito_users('foreign_server');
\echo :SQLSTATE
ALTER SERVER foreign_server OPTIONS (region 'eu west', user_pool_id 'eu-west-1_Users61',
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY');
SELECT * FROM cognito_users('foreign_server');
\echo :SQLSTATE
ALTER SERVER foreign_server OPTIONS (SET region 'eu-west-1', ADD api_key_id 'x');
SELECT * FROM cognito_users('foreign_server');
\echo :SQLSTATE
ALTER SERVER foreign_server OPTIONS (DROP api_key_id, ADD endpoint_url :'endpoint');
SELECT count(*) FROM cognito_users('foreign_server');

DROP FOREIGN DATA WRAPPER other CASCADE;
DROP SERVER cognito_server;
DROP VIEW disabled_users;
DROP MATERIALIZED VIEW user_copy;
DROP TABLE orders;
