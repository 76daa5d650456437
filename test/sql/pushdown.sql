-- What of a query reaches Cognito.  The local Cognito's pool eu-west-1_UsersN has N users.
SET ROLE regress_cognito_admin;
SET client_min_messages = error; -- that the server's options are readable is the options' test
\set pool eu-west-1_Users61
\set ECHO none
\i test/server.sql
\set ECHO all

-- cognito_filter
SELECT cognito_filter('email', '=', 'ana@example.com'), cognito_filter('sub', '^=', 'a');
SELECT cognito_filter('name', '=', 'Dwayne "The Rock" Johnson'), cognito_filter('name', '^=', ''), cognito_filter('name', '=', 'Zoë');
SELECT cognito_filter('name', '=', NULL);
SELECT length(cognito_filter('name', '=', repeat('ë', 247)));
SELECT username FROM cognito_users('cognito_server', cognito_filter('username', '^=', 'user00005')) ORDER BY 1 LIMIT 2;
SELECT cognito_filter('custom:plan', '=', 'free');
\echo :SQLSTATE
SELECT cognito_filter('email', '~', 'a');
\echo :SQLSTATE
SELECT cognito_filter('name', '=', repeat('ë', 248));
\echo :SQLSTATE
SELECT cognito_filter('name', '=', E'line\nfeed');
SELECT cognito_filter('name', '=', E'del\x7f');
SELECT cognito_filter('name', '=', 'back\slash');
\echo :SQLSTATE

-- The overload with a list of values
SELECT username FROM cognito_users('cognito_server', 'username', '=', '{user000003,user000001,user000003,NULL,nobody}') ORDER BY 1;
SELECT username FROM cognito_users('cognito_server', 'email', '^=', '{user00006,user000060,nobody,user000060@example.com}') ORDER BY 1;
SELECT username FROM cognito_users('cognito_server', 'username', '=', '{USER000003}');
SELECT username FROM cognito_users('cognito_server', 'username', '=', '{}');
SELECT username FROM cognito_users('cognito_server', 'username', '=', NULL);
SELECT username FROM cognito_users('cognito_server', 'username', '=', '{NULL}');
SELECT username FROM cognito_users('cognito_server', 'username', '=', ARRAY['back\slash', 'user000003']);
SELECT username FROM cognito_users('cognito_server', 'username', '=', ARRAY['', 'user000003']);
SELECT username FROM cognito_users('cognito_server', 'name', '=', ARRAY[repeat('x', 300), 'User 3']);
SELECT count(*) FROM cognito_users('cognito_server', 'username', '^=', '{""}');
SELECT count(*) FROM cognito_users('cognito_server', 'username', '=', ARRAY(SELECT 'user0000' || i FROM generate_series(10, 99) i));
SELECT count(*) FROM cognito_users('cognito_server', 'username', '=', ARRAY[['user000001', 'user000002'], ['user000003', 'user000001']]::varchar[]);
SELECT attributes->>'phone_number' AS phone_number FROM cognito_users('cognito_server', 'phone_number', '=', '{+15550000007}');
SELECT count(*) FROM cognito_users('cognito_server', 'status', '=', '{Disabled}');
SELECT count(*) FROM cognito_users('cognito_server', 'status', '^=', '{Dis,En}');
SELECT count(*) FROM cognito_users('cognito_server', 'cognito:user_status', '=', '{CONFIRMED,confirmed,ARCHIVED}');
SELECT n, u.username FROM generate_series(1, 3) n, cognito_users('cognito_server', 'username', '=', ARRAY['user00000' || n]) u;
SELECT (u).username FROM (SELECT cognito_users('cognito_server', 'username', '=', ARRAY['user00000' || n]) AS u FROM generate_series(1, 3) n) in_target_list;
SELECT * FROM cognito_users('cognito_server', 'custom:plan', '=', '{x}');
\echo :SQLSTATE
SELECT * FROM cognito_users('cognito_server', 'email', '<>', '{x}');
SELECT * FROM cognito_users('cognito_server', NULL, '=', '{x}');
\echo :SQLSTATE
SELECT * FROM cognito_users('no such server', 'email', '=', '{}');

-- The calls in the plans of queries.  From PostgreSQL 17 on, the results of subqueries have names.
CREATE FUNCTION calls(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (VERBOSE, COSTS OFF) ' || query LOOP
		IF line LIKE '%Function Call: cognito_%' THEN
			RETURN NEXT replace(regexp_replace(line, '.*Function Call: ', ''), '(InitPlan 1).col1', '$0');
		END IF;
	END LOOP;
END $$;
CREATE FUNCTION asks(VARIADIC queries text[]) RETURNS TABLE (query text, call text) LANGUAGE sql AS
'SELECT query, call FROM unnest(queries) query LEFT JOIN calls(query) call ON true';
CREATE FUNCTION asks_where(VARIADIC conditions text[]) RETURNS TABLE (condition text, call text) LANGUAGE sql AS
$$ SELECT condition, call FROM unnest(conditions) condition, calls('SELECT * FROM cognito_users(''s'') u WHERE ' || condition) call $$;
CREATE FUNCTION asks_after(VARIADIC ends text[]) RETURNS TABLE (query_end text, call text) LANGUAGE sql AS
$$ SELECT query_end, call FROM unnest(ends) query_end, calls('SELECT * FROM cognito_users(''s'') ' || query_end) call $$;

-- Conditions that are pushed down
CREATE TABLE t (n int, v text);
CREATE DOMAIN own_text AS text;
CREATE DOMAIN own_texts AS text[];
CREATE DOMAIN checked_text AS text CHECK (VALUE <> '');
INSERT INTO t VALUES (1, 'user000001'), (2, 'user000002'), (3, 'user000001@example.com');
\pset format unaligned
SELECT * FROM asks_where(
	$$username = 'a'$$, $$'a' = email$$, $$attributes->>'email' = 'a'$$, $$attributes->>'sub' = 'a'$$,
	$$attributes->>'phone_number' = 'a'$$, $$attributes->>'name' = 'a'$$, $$attributes->>'given_name' = 'a'$$,
	$$attributes->>'family_name' = 'a'$$, $$attributes->>'preferred_username' = 'a'$$,
	$$email = 'a'::varchar$$, $$email::varchar = 'a'$$, $$email = 'a'::name$$, $$username = current_user$$,
	$$email = 'a'::own_text$$, $$email::own_text = 'a'$$, $$email = ANY ('{a,b}'::own_texts)$$,
	$$email COLLATE "C" = 'a'$$, $$texteq(email, 'a')$$, $$NOT email <> 'a'$$, $$(email, username) = ('a', 'b')$$,
	$$email = 'a"b'$$, $$email = 'Zoë'$$, $$email = lower('A')$$, $$email = (SELECT min(v) FROM t)$$,
	$$email = current_setting('x', true)$$, $$email = 'a'::varchar(5)$$, $$email::varchar(5) = 'a'$$,
	$$'a' = (attributes->>'name')::varchar(5)$$, $$email::varchar(5) IN ('a', 'b')$$,
	$$email::varchar = ANY (ARRAY(SELECT v::varchar FROM t))$$);
SELECT * FROM asks_where(
	$$(attributes->>'sub')::uuid = '{AAAAAAAA-0000-4000-8000-000000000000}'$$,
	$$(SELECT md5(v)::uuid FROM t WHERE n = 1) = (attributes->>'sub')::uuid$$,
	$$(attributes->>'sub')::uuid IN ('aaaaaaaa000040008000000000000000', 'AAAAAAAA000040008000000000000000')$$,
	$$(attributes->>'sub')::uuid = ANY (ARRAY(SELECT md5(v)::uuid FROM t))$$,
	$$(attributes->>'sub')::uuid IN (md5(current_setting('x', true))::uuid)$$);
SELECT * FROM asks_where(
	$$email LIKE 'a%'$$, $$email LIKE 'a_b%'$$, $$email LIKE 'a\%b\_c%'$$, $$email LIKE 'a\bc%'$$, $$email LIKE 'abc'$$,
	$$email LIKE 'a\_b'$$, $$email LIKE 'a\'$$, $$email LIKE 'a!%b%' ESCAPE '!'$$, $$email LIKE 'a%' ESCAPE ''$$,
	$$email ^@ 'a'$$, $$email ^@ 'a%'$$, $$starts_with(attributes->>'name', 'a')$$, $$username ^@ current_setting('x', true)$$);
SELECT * FROM asks_where(
	$$email IN ('a', 'b', 'a')$$, $$email IN ('a')$$, $$email IN ('a', NULL)$$, $$email = ANY ('{}')$$,
	$$email = ANY (ARRAY['a', 'b']::varchar[])$$, $$email IN ('a', lower('B'), current_setting('x', true))$$,
	$$email = ANY (ARRAY(SELECT v FROM t))$$, $$email = ANY (string_to_array(current_setting('x', true), ','))$$,
	$$status IN ('CONFIRMED', 'ARCHIVED')$$);
SELECT * FROM asks_where(
	$$attributes @> '{"sub": "a"}'$$, $$attributes @> '{"custom:plan": "a", "name": "b", "email": "c", "sub": 1}'$$,
	$$status = 'CONFIRMED'$$, $$enabled$$, $$NOT enabled$$, $$enabled = true$$, $$enabled = false$$, $$enabled <> true$$,
	$$enabled IS TRUE$$, $$enabled IS FALSE$$, $$enabled = (SELECT count(*) > 1 FROM t)$$);

-- The one that selects the fewest users
SELECT * FROM asks_where(
	$$enabled AND status = 'CONFIRMED'$$, $$status = 'CONFIRMED' AND email LIKE 'a%'$$,
	$$email LIKE 'a%' AND attributes->>'name' LIKE 'ab%' AND username ^@ 'b'$$,
	$$email LIKE 'a%' AND attributes->>'name' IN ('a', 'b')$$,
	$$attributes->>'given_name' = 'a' AND email IN ('a', 'b')$$,
	$$attributes->>'given_name' = 'a' AND email = 'b'$$,
	$$email = 'b' AND attributes->>'sub' = 'a'$$, $$attributes->>'sub' = 'a' AND username = 'b'$$,
	$$attributes->>'name' = 'a' AND email = ANY ('{}')$$, $$attributes->>'name' = 'a' AND email = ANY ('{b,b}')$$,
	$$email <> 'a' AND username ~ '^a' AND enabled$$);

-- Conditions that are not
CREATE FUNCTION f(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN lower($1) = lower($2); END $$;
CREATE SCHEMA own
	CREATE VIEW dummy AS SELECT 1;
CREATE OPERATOR own.= (FUNCTION = f, LEFTARG = text, RIGHTARG = text);
CREATE FUNCTION volatile_text() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RETURN 'a'; END $$;
SELECT * FROM asks_where(
	$$email = 'a' OR username = 'b'$$, $$NOT (email = 'a')$$, $$NOT (email = 'a' AND enabled)$$, $$email <> 'a'$$,
	$$lower(email) = 'a'$$, $$email = username$$, $$email::checked_text = 'a'$$, $$email::name = 'a'$$, $$email::bpchar = 'a'$$,
	$$CASE WHEN email = 'a' THEN true END$$, $$email OPERATOR(own.=) 'a'$$, $$email = volatile_text()$$,
	$$email IS NOT DISTINCT FROM 'a'$$, $$email IS NULL$$, $$(email = 'a') IS NOT FALSE$$,
	$$email = E'a\nb'$$, $$email = 'a\b'$$, $$email = ''$$, $$email = repeat('a', 300)$$,
	$$email IN ('a', '')$$, $$email NOT IN ('a', 'b')$$, $$email = ALL ('{a,b}')$$,
	$$email = ANY (ARRAY(SELECT v || u.username FROM t))$$, $$email LIKE '%a'$$, $$email LIKE '_a'$$, $$email LIKE ''$$,
	$$email LIKE 'a\\b%'$$, $$email LIKE current_setting('x', true)$$, $$email NOT LIKE 'a%'$$, $$email ILIKE 'a%'$$,
	$$email ~ '^a'$$, $$status LIKE 'C%'$$, $$enabled IS NOT TRUE$$, $$enabled IS NOT FALSE$$, $$enabled IS UNKNOWN$$,
	$$attributes->>'custom:plan' = 'a'$$, $$attributes->>'status' = 'a'$$, $$attributes->>'username' = 'a'$$,
	$$attributes->'sub' = '"a"'$$, $$attributes @> '{"custom:plan": "a"}'$$, $$attributes @> '{"sub": ["a"]}'$$,
	$$attributes @> '["sub"]'$$, $$attributes <@ '{"sub": "a"}'$$, $$created_at = now()$$,
	$$enabled = (1 = ANY (SELECT n FROM t))$$, $$username::uuid = md5('a')::uuid$$, $$(attributes->>'name')::uuid = md5('a')::uuid$$,
	$$(attributes->>'sub')::uuid <> md5('a')::uuid$$, $$(attributes->>'sub')::uuid = u.username::uuid$$,
	$$email::varchar(5) <> 'a'$$, $$email::varchar(5) LIKE 'a%'$$, $$status::varchar(5) = 'a'$$, $$email::char(5) = 'a'$$);
CREATE EXTENSION citext;
SELECT * FROM asks_where($$email::citext = 'a'$$, $$'a'::citext = email$$, $$email = ANY (ARRAY(SELECT v::citext FROM t))$$);
DROP EXTENSION citext;
-- However many values
SELECT length(calls(format('SELECT * FROM cognito_users(''s'') WHERE email = ANY (%L)', ARRAY(SELECT i::text FROM generate_series(1, 2000) i))));

-- Nothing is added to a filter or limit that stands there already
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s', 'enabled = "true"') WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s', NULL, 5) WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s', 'email', '=', '{a}') WHERE username = 'a'$$,
	$$SELECT * FROM cognito_users('s', current_setting('x', true)) WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s', NULL) WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s') WITH ORDINALITY WHERE email = 'a'$$,
	$$SELECT * FROM ROWS FROM (cognito_users('s'), generate_series(1, 2)) WHERE email = 'a'$$,
	$$SELECT cognito_users('s')$$);

-- Through views, subqueries, joins
CREATE VIEW enabled_users AS SELECT username AS name, email FROM cognito_users('s') WHERE enabled;
CREATE VIEW guarded_users WITH (security_barrier) AS SELECT * FROM cognito_users('s') WHERE f(username, 'a');
SELECT * FROM asks(
	$$SELECT * FROM cognito_users WHERE email = 'a'$$,
	$$SELECT * FROM enabled_users WHERE email = 'a'$$,
	$$SELECT * FROM guarded_users WHERE email = 'a'$$,
	$$SELECT * FROM guarded_users WHERE email LIKE 'a%'$$,
	$$WITH u AS (SELECT * FROM cognito_users('s')) SELECT * FROM u WHERE email = 'a'$$,
	$$WITH u AS MATERIALIZED (SELECT * FROM cognito_users('s')) SELECT * FROM u WHERE email = 'a'$$,
	$$SELECT * FROM (SELECT status, email, count(*) FROM cognito_users('s') GROUP BY 1, 2) u WHERE email = 'a'$$,
	$$SELECT * FROM (SELECT * FROM cognito_users('s') LIMIT 100) u WHERE email = 'a'$$,
	$$SELECT * FROM (SELECT * FROM cognito_users('s') UNION ALL SELECT * FROM cognito_users('r')) u WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s') u JOIN t ON t.v = u.email WHERE t.v = 'a'$$,
	$$SELECT * FROM cognito_users('s') u JOIN t ON t.v = u.email$$,
	$$SELECT * FROM t LEFT JOIN cognito_users('s') u ON t.v = u.email AND u.username = 'a'$$,
	$$SELECT * FROM t RIGHT JOIN cognito_users('s') u ON t.v = u.email AND u.username = 'a'$$,
	$$SELECT * FROM t LEFT JOIN cognito_users('s') u ON t.v = u.email WHERE u.username = 'a'$$,
	$$SELECT * FROM t LEFT JOIN cognito_users('s') u ON t.v = u.email WHERE coalesce(u.username, 'a') = 'a'$$,
	$$SELECT * FROM t FULL JOIN cognito_users('s') u ON t.v = u.email AND u.username = 'a'$$,
	$$SELECT * FROM t WHERE EXISTS (SELECT FROM cognito_users('s') u WHERE u.email = t.v AND u.enabled)$$,
	$$SELECT (SELECT username FROM cognito_users('s') u WHERE u.email = t.v) FROM t$$,
	$$SELECT * FROM t, LATERAL (SELECT * FROM cognito_users('s') u WHERE u.email = t.v OFFSET 0) u$$,
	$$SELECT * FROM t, LATERAL cognito_users(t.v) u WHERE u.email = 'a'$$,
	$$UPDATE t SET n = 1 FROM cognito_users('s') u WHERE u.email = t.v AND u.username = 'a'$$);

-- Known to be empty, or not for each row
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s') WHERE email = 'a' AND false$$,
	$$SELECT * FROM cognito_users('s') WHERE email = NULL$$,
	$$SELECT * FROM cognito_users('s') WHERE email = 'a' AND current_setting('x', true) = 'y'$$);
SET constraint_exclusion = on;
SELECT * FROM asks($$SELECT * FROM cognito_users('s') WHERE email = 'a' AND email IS NULL$$);
RESET constraint_exclusion;

-- Prepared
SET plan_cache_mode = force_generic_plan;
PREPARE one (text) AS SELECT username FROM cognito_users('cognito_server') WHERE email = $1;
SELECT * FROM asks('EXECUTE one (NULL)');
EXECUTE one ('user000003@example.com');
EXECUTE one (NULL);
PREPARE several (text[], text) AS SELECT username FROM cognito_users('cognito_server') WHERE email = ANY ($1) AND enabled = ($2 > 'a');
SELECT * FROM asks($$EXECUTE several ('{}', 'b')$$);
EXECUTE several ('{user000003@example.com,user000004@example.com}', 'b');
EXECUTE several (NULL, 'b');
RESET plan_cache_mode;
DEALLOCATE ALL;

-- LIMIT
SELECT * FROM asks_after(
	'LIMIT 5', 'LIMIT 5 OFFSET 2', 'OFFSET 2 LIMIT 5', 'LIMIT 5 OFFSET NULL', 'FETCH FIRST 3 ROWS ONLY', 'LIMIT 0',
	'LIMIT 2 + 3', 'WHERE true LIMIT 5');
SELECT * FROM asks(
	'SELECT username FROM cognito_users LIMIT 5',
	$$SELECT * FROM t, (SELECT username FROM cognito_users('s') LIMIT 5) u$$,
	$$SELECT (SELECT max(v) FROM t), username FROM cognito_users('s') LIMIT 5$$,
	$$SELECT * FROM cognito_users('s', NULL) LIMIT 5$$,
	$$SELECT random(), username FROM cognito_users('s') LIMIT 5$$,
	$$SELECT (SELECT username FROM cognito_users('s') LIMIT 1) FROM t$$,
	$$SELECT * FROM t, LATERAL (SELECT username FROM cognito_users(t.v) LIMIT 2) u$$,
	$$(SELECT username FROM cognito_users('s') LIMIT 2) UNION ALL (SELECT username FROM cognito_users('r') LIMIT 3) LIMIT 4$$,
	$$WITH u AS (SELECT * FROM cognito_users('s') LIMIT 5) SELECT * FROM u, u v WHERE v.email = 'a' LIMIT 4$$,
	$$INSERT INTO t SELECT 1, username FROM cognito_users('s') LIMIT 5$$,
	$$DECLARE c SCROLL CURSOR FOR SELECT * FROM cognito_users('s') LIMIT 5$$);
SELECT * FROM asks_after(
	'', 'OFFSET 2', 'LIMIT NULL', 'LIMIT ALL OFFSET 2', 'LIMIT 9223372036854775807 OFFSET 1', 'LIMIT -1',
	'LIMIT 5 OFFSET -1', $$LIMIT current_setting('x', true)::int$$, 'WHERE created_at IS NOT NULL LIMIT 5',
	'WHERE random() < 0.5 LIMIT 5', $$WHERE current_setting('x', true) = 'y' LIMIT 5$$, 'ORDER BY created_at LIMIT 5',
	'ORDER BY created_at FETCH FIRST 5 ROWS WITH TIES',
	'GROUP BY username, email, status, enabled, created_at, updated_at, attributes LIMIT 5',
	'u, t LIMIT 5', 'u CROSS JOIN t LIMIT 5', 'u LEFT JOIN t ON t.v = u.email LIMIT 5',
	'u WHERE EXISTS (SELECT FROM t WHERE t.v = u.email) LIMIT 5', 'WITH ORDINALITY LIMIT 5');
SELECT * FROM asks(
	$$SELECT DISTINCT status FROM cognito_users('s') LIMIT 5$$,
	$$SELECT count(*) FROM cognito_users('s') LIMIT 5$$,
	$$SELECT DISTINCT ON (status) username FROM cognito_users('s') LIMIT 5$$,
	$$SELECT t.n FROM t WHERE EXISTS (SELECT FROM cognito_users('s') u WHERE u.username = t.v LIMIT 1)$$,
	$$SELECT username FROM (SELECT 1) one LEFT JOIN cognito_users('s') u ON true LIMIT 5$$,
	$$SELECT 1 FROM cognito_users('s') HAVING true LIMIT 5$$,
	$$SELECT 1 FROM cognito_users('s') GROUP BY () LIMIT 5$$,
	$$SELECT rank() OVER () FROM cognito_users('s') LIMIT 5$$,
	$$SELECT generate_series(1, 2) FROM cognito_users('s') LIMIT 5$$,
	$$SELECT username FROM cognito_users('s') UNION ALL SELECT v FROM t LIMIT 5$$,
	$$SELECT * FROM (SELECT * FROM cognito_users('s') OFFSET 0) u LIMIT 5$$,
	$$SELECT * FROM t, (SELECT username FROM cognito_users('s') u) u LIMIT 5$$,
	$$SELECT username FROM cognito_users LIMIT 5 FOR UPDATE$$);
-- LIMIT with a condition, if it is the only one, and every row that the function returns passes it
SELECT * FROM asks_after(
	'WHERE enabled LIMIT 5', 'WHERE NOT enabled OFFSET 2 LIMIT 5', $$WHERE email = 'a' LIMIT 1$$, $$WHERE email IN ('a', 'b') LIMIT 3$$,
	$$WHERE email = current_setting('x', true) LIMIT 1$$, $$WHERE email LIKE 'a%' LIMIT 5$$, $$WHERE email LIKE 'a' LIMIT 5$$,
	$$WHERE email ^@ 'a' LIMIT 5$$, $$WHERE attributes @> '{"name": "a"}' LIMIT 5$$, $$WHERE (attributes->>'sub')::uuid = md5('a')::uuid LIMIT 5$$);
SELECT * FROM asks_after(
	$$WHERE enabled AND email = 'a' LIMIT 5$$, $$WHERE enabled AND created_at IS NOT NULL LIMIT 5$$, $$WHERE email LIKE 'a_' LIMIT 5$$,
	$$WHERE email LIKE 'a%b' LIMIT 5$$, $$WHERE email LIKE 'a\' LIMIT 5$$, $$WHERE attributes @> '{"name": "a", "x": "y"}' LIMIT 5$$,
	$$WHERE email::varchar(5) = 'a' LIMIT 5$$, $$WHERE email = 'a' AND current_setting('x', true) = 'y' LIMIT 5$$,
	'WHERE enabled ORDER BY username LIMIT 5', 'WHERE enabled', 'WHERE enabled LIMIT ALL', 'u JOIN t ON t.v = u.email WHERE enabled LIMIT 5');
SELECT * FROM asks(
	$$SELECT count(*) FROM cognito_users('s') WHERE enabled LIMIT 5$$,
	$$SELECT * FROM enabled_users LIMIT 5$$,
	$$SELECT * FROM enabled_users WHERE email = 'a' LIMIT 5$$,
	$$SELECT * FROM guarded_users WHERE email = 'a' LIMIT 5$$,
	$$SELECT * FROM cognito_memberships('s') WHERE group_name = 'a' LIMIT 5$$);

-- A user pool as an argument
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p')$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p') WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p') LIMIT 5$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p') WHERE enabled LIMIT 5$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p', max_users => NULL) WHERE enabled$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p', max_users => 5) WHERE enabled$$,
	$$SELECT * FROM t, cognito_users('s', user_pool_id => t.v) u WHERE u.email = 'a'$$,
	$$SELECT * FROM t, LATERAL (SELECT * FROM cognito_users('s', user_pool_id => t.v) u WHERE u.enabled LIMIT 2) u$$,
	$$SELECT * FROM cognito_memberships('s', user_pool_id => 'p') WHERE username = 'a'$$,
	$$SELECT * FROM cognito_memberships('s', user_pool_id => 'p') LIMIT 5$$);

-- Which overload a call means: what 1.0 allows keeps its meaning, whatever kind of string an argument is
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s')$$, $$SELECT * FROM cognito_users(server_name => 's')$$,
	$$SELECT * FROM cognito_users('s', NULL)$$, $$SELECT * FROM cognito_users('s', 'f')$$, $$SELECT * FROM cognito_users('s', '')$$,
	$$SELECT * FROM cognito_users('s', 'f', 10)$$, $$SELECT * FROM cognito_users('s', 'f', NULL)$$, $$SELECT * FROM cognito_users('s', 'f', '10')$$,
	$$SELECT * FROM cognito_users('s', NULL, 10)$$, $$SELECT * FROM cognito_users('s', NULL, NULL)$$, $$SELECT * FROM cognito_users('s', 'f', 10::smallint)$$,
	$$SELECT * FROM cognito_users('s'::text, 'f')$$, $$SELECT * FROM cognito_users('s', 'f'::text)$$, $$SELECT * FROM cognito_users('s', 'f'::varchar)$$,
	$$SELECT * FROM cognito_users('s', 'f'::name)$$, $$SELECT * FROM cognito_users('s'::name, 'f'::own_text, NULL)$$,
	$$SELECT * FROM cognito_users('s', 'f'::bpchar, 10)$$, $$SELECT * FROM cognito_users('s', (SELECT v FROM t LIMIT 1))$$,
	$$SELECT * FROM cognito_users('s', filter => 'f')$$, $$SELECT * FROM cognito_users('s', filter => NULL, max_users => 10)$$,
	$$SELECT * FROM cognito_users('s', max_users => 10, filter => 'f')$$,
	$$SELECT * FROM cognito_users('s', 'email', '=', '{a}')$$, $$SELECT * FROM cognito_users('s', 'email', '=', NULL)$$,
	$$SELECT * FROM cognito_users('s', NULL, NULL, NULL)$$, $$SELECT * FROM cognito_users('s', 'email'::varchar, '=', ARRAY['a'])$$,
	$$SELECT * FROM cognito_users('s', attribute => 'email', operator => '=', "values" => '{a}')$$,
	$$SELECT * FROM cognito_memberships('s', 'username', '{a}')$$, $$SELECT * FROM cognito_memberships('s', 'username', NULL)$$,
	$$SELECT * FROM cognito_memberships('s', 'username', '=', '{a}')$$, $$SELECT * FROM cognito_group_users('s', 'a')$$,
	$$SELECT * FROM cognito_user_groups('s', NULL)$$, $$SELECT * FROM cognito_app_client('s', 'a')$$);
-- ... and what is new
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s', 10)$$, $$SELECT * FROM cognito_users('s', max_users => 10)$$, $$SELECT * FROM cognito_users('s', max_users => NULL)$$,
	$$SELECT * FROM cognito_users('s', max_users => '10')$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => NULL)$$, $$SELECT * FROM cognito_users('s', user_pool_id => 'p'::varchar)$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p', max_users => 5)$$, $$SELECT * FROM cognito_users('s', max_users => 5, user_pool_id => 'p')$$,
	$$SELECT * FROM cognito_users('s', 'p', 'email', '=', '{a}')$$, $$SELECT * FROM cognito_users('s', 5, 'email', '=', '{a}')$$,
	$$SELECT * FROM cognito_users('s', 'p', 5, 'email', '=', '{a}')$$,
	$$SELECT * FROM cognito_users('s', user_pool_id => 'p', attribute => 'email', operator => '=', "values" => '{a}')$$,
	$$SELECT * FROM cognito_users('s', attribute => 'email', operator => '=', "values" => '{a}', max_users => 5)$$,
	$$SELECT * FROM cognito_memberships('s', 'p')$$, $$SELECT * FROM cognito_memberships('s', 'p', 'username', '=', '{a}')$$,
	$$SELECT * FROM cognito_memberships('s', user_pool_id => 'p', attribute => 'username', operator => '=', "values" => '{a}')$$,
	$$SELECT * FROM cognito_group_users('s', user_pool_id => 'p', group_name => 'a')$$, $$SELECT * FROM cognito_user_groups('s', username => 'a', user_pool_id => 'p')$$);

-- Who is in which group
CREATE FUNCTION asks_memberships(VARIADIC conditions text[]) RETURNS TABLE (condition text, call text) LANGUAGE sql AS
$$ SELECT condition, call FROM unnest(conditions) condition, calls('SELECT * FROM cognito_memberships(''s'') m WHERE ' || condition) call $$;
SELECT * FROM asks_memberships(
	$$group_name = 'a'$$, $$'a' = username$$, $$group_name IN ('a', 'b')$$, $$username = ANY ('{a,b}')$$,
	$$group_name LIKE 'a'$$, $$username::varchar = 'a'$$, $$username = current_setting('x', true)$$,
	$$username = 'Zoë'$$, $$group_name = repeat('x', 128)$$,
	$$group_name = 'a' AND username = 'b'$$, $$group_name = 'a' AND username IN ('b', 'c')$$,
	$$username IN ('b', 'c') AND group_name LIKE 'a%'$$);
SELECT * FROM asks_memberships(
	'true', $$group_name LIKE 'a%'$$, $$username ^@ 'a'$$, $$username ^@ current_setting('x', true)$$, $$group_name <> 'a'$$,
	$$group_name = username$$, $$group_name = 'a' OR username = 'b'$$, $$lower(username) = 'a'$$, $$group_name = ''$$,
	$$username = ''$$, $$group_name = 'a b'$$, $$username = 'a b'$$, $$username = 'a\b'$$, $$group_name = 'Zoë'$$,
	$$group_name = repeat('x', 129)$$, $$username = repeat('x', 129)$$, $$username = ANY (ARRAY(SELECT v || group_name FROM t))$$);
SELECT * FROM asks(
	$$SELECT * FROM cognito_memberships WHERE username = 'a'$$,
	$$SELECT * FROM cognito_memberships('s') LIMIT 5$$,
	$$SELECT * FROM cognito_memberships('s', 'username', '{a}') WHERE group_name = 'a'$$,
	$$SELECT * FROM cognito_memberships('s') WITH ORDINALITY WHERE group_name = 'a'$$,
	$$SELECT * FROM cognito_users('s') u JOIN cognito_memberships('s') m USING (username) WHERE username = 'a'$$,
	$$SELECT n, array(SELECT group_name FROM cognito_memberships('s') WHERE username = v) FROM t$$,
	$$SELECT cognito_memberships('s')$$);
\pset format aligned
SELECT count(*) FROM (SELECT FROM cognito_users('cognito_server') LIMIT 7 OFFSET 2) limited;
BEGIN;
DECLARE c SCROLL CURSOR FOR SELECT username FROM cognito_users('cognito_server') LIMIT 3 OFFSET 1;
FETCH ALL FROM c;
FETCH BACKWARD 2 FROM c;
COMMIT;
SELECT count(*) FROM (SELECT FROM cognito_users('cognito_server') LIMIT 7 OFFSET 58) limited;
SELECT count(*), bool_and(enabled) FROM (SELECT enabled FROM cognito_users('cognito_server') WHERE enabled LIMIT 7) limited;
SELECT username FROM cognito_users('cognito_server', 2, 'username', '^=', '{user00003,user00001}');
SELECT username FROM cognito_users('cognito_server', 0, 'username', '=', '{user000001}');
SELECT username FROM cognito_users('cognito_server', -1, 'username', '=', '{user000001}');
SELECT username FROM cognito_users('cognito_server', NULL::bigint, 'username', '=', '{user000001}');
SELECT username FROM cognito_users('cognito_server', 1, 'username', '=', '{back\\slash,user000001,user000002}');
SELECT count(*) FROM cognito_users('cognito_server', max_users => 10);
SELECT count(*) FROM cognito_users('cognito_server', max_users => NULL);
SELECT * FROM cognito_users('cognito_server', max_users => -1);

-- Switched off
SET cognito_srf.enable_pushdown = off;
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('s') WHERE email = 'a'$$,
	$$SELECT * FROM cognito_memberships('s') WHERE username = 'a'$$,
	$$SELECT * FROM cognito_users('s') LIMIT 5$$);
RESET cognito_srf.enable_pushdown;
ALTER SERVER cognito_server OPTIONS (ADD pushdown 'off');
SELECT * FROM asks(
	$$SELECT * FROM cognito_users('cognito_server') WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users WHERE email = 'a'$$,
	$$SELECT * FROM cognito_users LIMIT 5$$);
SELECT username FROM cognito_users('cognito_server', 'username', '=', '{user000003}');
ALTER SERVER cognito_server OPTIONS (SET pushdown 'on');
SELECT * FROM asks($$SELECT * FROM cognito_users('cognito_server') WHERE email = 'a'$$);
ALTER SERVER cognito_server OPTIONS (SET pushdown 'maybe');
ALTER SERVER cognito_server OPTIONS (DROP pushdown);

-- Only for who may call both functions, whoever planned first
CREATE ROLE regress_cognito_planner;
GRANT USAGE ON FOREIGN SERVER cognito_server TO regress_cognito_planner;
GRANT USAGE ON SCHEMA public TO regress_cognito_planner;
PREPARE one AS SELECT username FROM cognito_users('cognito_server') WHERE email = 'user000003@example.com';
EXECUTE one;
REVOKE EXECUTE ON FUNCTION cognito_users(text, text, text, text[]) FROM PUBLIC;
SET ROLE regress_cognito_planner;
EXECUTE one;
SELECT * FROM asks('EXECUTE one');
SET ROLE regress_cognito_admin;
SELECT * FROM asks('EXECUTE one');
SET ROLE regress_cognito_planner;
SELECT * FROM asks('EXECUTE one');
SET ROLE regress_cognito_admin;
GRANT EXECUTE ON FUNCTION cognito_users(text, text, text, text[]) TO PUBLIC;
SET ROLE regress_cognito_planner;
SELECT * FROM asks('EXECUTE one');
SET ROLE regress_cognito_admin;
REVOKE EXECUTE ON FUNCTION cognito_users(text) FROM PUBLIC;
SET ROLE regress_cognito_planner;
EXECUTE one;
SET ROLE regress_cognito_admin;
EXECUTE one;
GRANT EXECUTE ON FUNCTION cognito_users(text) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION cognito_users(text, text, bigint) FROM PUBLIC;
SET ROLE regress_cognito_planner;
SELECT * FROM asks('EXECUTE one', $$SELECT * FROM cognito_users('cognito_server') LIMIT 5$$);
EXECUTE one;
SET ROLE regress_cognito_admin;
GRANT EXECUTE ON FUNCTION cognito_users(text, text, bigint) TO PUBLIC;

-- Nor in place of a function that runs as another role, or with settings of its own
ALTER FUNCTION cognito_users(text, text, text, text[]) SET work_mem = '1MB';
SELECT * FROM asks('EXECUTE one');
ALTER FUNCTION cognito_users(text, text, text, text[]) RESET ALL;
REVOKE USAGE ON FOREIGN SERVER cognito_server FROM regress_cognito_planner;
ALTER FUNCTION cognito_users(text) SECURITY DEFINER;
SET ROLE regress_cognito_planner;
SELECT * FROM asks('EXECUTE one');
EXECUTE one;
SET ROLE regress_cognito_admin;
ALTER FUNCTION cognito_users(text) SECURITY INVOKER;
SET ROLE regress_cognito_planner;
EXECUTE one;
SET ROLE regress_cognito_admin;

-- Estimates, of a pool that was never listed and of one that was; a request costs 25
CREATE FUNCTION estimates(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN format('%s rows, %s requests', plan->0->'Plan'->'Plan Rows', round((plan->0->'Plan'->>'Total Cost')::numeric / 25));
END $$;
ALTER SERVER cognito_server OPTIONS (SET user_pool_id 'eu-west-1_Users6000');
CREATE SERVER unseen FOREIGN DATA WRAPPER cognito_wrapper;
SELECT estimates($$SELECT * FROM cognito_users('unseen')$$), estimates($$SELECT * FROM cognito_users('no such server')$$);
SELECT count(*) FROM cognito_users;
SELECT left(query, 120) AS query, estimates('SELECT * FROM ' || query) FROM (VALUES
	($$cognito_users('cognito_server')$$),
	($$cognito_users$$),
	($$cognito_users('cognito_server', NULL, 120)$$),
	($$cognito_users('cognito_server', max_users => 120)$$),
	($$cognito_users('cognito_server', user_pool_id => 'eu-west-1_Users6000')$$),
	($$cognito_users('cognito_server', user_pool_id => 'eu-west-1_Users6000', max_users => 120)$$),
	($$cognito_users('cognito_server', user_pool_id => 'eu-west-1_Users61')$$),
	($$cognito_users('cognito_server', user_pool_id => 'eu-west-1_Users6000') WHERE email = ANY (ARRAY(SELECT i::text FROM generate_series(1, 200) i))$$),
	($$cognito_users WHERE enabled LIMIT 120$$),
	($$cognito_users WHERE email IN ('$$ || (SELECT string_agg(i::text, ''',''') FROM generate_series(1, 1000) i) || $$')$$),
	($$cognito_users('cognito_server', 'email = "a"')$$),
	($$cognito_users('cognito_server', 'email ^= "a"')$$),
	($$cognito_users('cognito_server', 'status = "Enabled"')$$),
	($$cognito_users('cognito_server', 'cognito:user_status="CONFIRMED"', 5)$$),
	($$cognito_users('cognito_server', '')$$),
	($$cognito_users WHERE email = 'a'$$),
	($$cognito_users WHERE email IN ('a', 'b', 'c')$$),
	($$cognito_users WHERE email LIKE 'a%'$$),
	($$cognito_users WHERE enabled$$),
	($$cognito_users LIMIT 5$$),
	($$cognito_memberships$$),
	($$cognito_memberships WHERE group_name = 'a'$$),
	($$cognito_memberships WHERE username = 'a'$$),
	($$cognito_memberships WHERE username IN ('a', 'b')$$)) queries (query);

DROP SERVER unseen;
DROP SERVER cognito_server;
DROP VIEW enabled_users, guarded_users;
DROP SCHEMA own CASCADE;
DROP TABLE t;
DROP DOMAIN own_text, own_texts, checked_text;
DROP FUNCTION calls, asks, asks_where, asks_after, asks_memberships, f, volatile_text, estimates;
REVOKE USAGE ON SCHEMA public FROM regress_cognito_planner;
DROP ROLE regress_cognito_planner;
