-- Who is in which group. The demo pool of the local Cognito has three groups.
SET ROLE regress_cognito_admin;
SET client_min_messages = error; -- that the server's options are readable is the options' test
\set pool eu-west-1_AbCdEf123
\set ECHO none
\i test/server.sql
\set ECHO all
RESET client_min_messages;

SELECT group_name, count(*), min(username COLLATE "C") FROM cognito_memberships('cognito_server') GROUP BY 1 ORDER BY 1;
SELECT * FROM cognito_memberships WHERE group_name = 'admins' ORDER BY username COLLATE "C";
SELECT * FROM cognito_memberships WHERE username = 'kwame.larsen' ORDER BY group_name;
SELECT * FROM cognito_memberships WHERE username = 'Kwame.Larsen';
SELECT * FROM cognito_memberships WHERE group_name = 'nobody' OR username = 'nobody';
SELECT m.group_name, u.email FROM cognito_users u JOIN cognito_memberships m USING (username)
	WHERE username = 'kwame.larsen' ORDER BY 1;

-- The function itself
SELECT * FROM cognito_memberships('cognito_server', 'group_name', '{admins,admins,nobody,NULL}') ORDER BY username COLLATE "C";
SELECT * FROM cognito_memberships('cognito_server', 'username', '{kwame.larsen}') ORDER BY group_name;
SELECT * FROM cognito_memberships('cognito_server', 'username', NULL);
SELECT * FROM cognito_memberships('cognito_server', 'username', '=', '{kwame.larsen}') ORDER BY group_name;
SELECT * FROM cognito_memberships('cognito_server', 'username', '^=', '{kwame.l}') ORDER BY group_name;
SELECT * FROM cognito_memberships('cognito_server', 'username', '~', '{}');
SELECT * FROM cognito_memberships('cognito_server', 'email', '{a}');
\echo :SQLSTATE
SELECT * FROM cognito_memberships('cognito_server', NULL, '{a}');
\echo :SQLSTATE
SELECT * FROM cognito_memberships('no such server', 'username', '{}');
SELECT * FROM cognito_memberships(NULL);

-- Who may not call the function itself gets the same answer without it
CREATE ROLE regress_cognito_planner;
GRANT USAGE ON FOREIGN SERVER cognito_server TO regress_cognito_planner;
REVOKE EXECUTE ON FUNCTION cognito_memberships(text, text, text, text[]) FROM PUBLIC;
SET ROLE regress_cognito_planner;
SELECT count(*) FROM cognito_memberships WHERE group_name = 'admins';
SELECT * FROM cognito_memberships('cognito_server', 'username', '=', '{a}');
SET ROLE regress_cognito_admin;
GRANT EXECUTE ON FUNCTION cognito_memberships(text, text, text, text[]) TO PUBLIC;

DROP SERVER cognito_server;
DROP ROLE regress_cognito_planner;
