-- What the functions beside cognito_users return, and their views
SET ROLE regress_cognito_admin;
SET client_min_messages = error; -- that the server's options are readable is the options' test
\set pool eu-west-1_AbCdEf123
\set ECHO none
\i test/server.sql
\set ECHO all
RESET client_min_messages;
SET timezone = 'UTC';

-- Groups
SELECT * FROM cognito_groups('cognito_server');
SELECT group_name FROM cognito_groups;
SELECT count(*), min(email) FROM cognito_group_users('cognito_server', 'admins');
SELECT group_name, precedence FROM cognito_user_groups('cognito_server', 'ana.sato');
SELECT (u).group_name FROM (SELECT cognito_user_groups('cognito_server', username)
	FROM cognito_users('cognito_server', 'username ^= "ana.s"')) AS t(u);

-- User pools
SELECT id, name, mfa_configuration, estimated_users, deletion_protection, created_at
FROM cognito_user_pool('cognito_server');
SELECT jsonb_pretty(details) FROM cognito_user_pool;
SELECT * FROM cognito_user_pools('cognito_server') WHERE name = 'demo';
SELECT count(*) FROM cognito_user_pools WHERE name = 'demo';

-- App clients, whose secrets stay in Cognito
SELECT * FROM cognito_app_clients('cognito_server');
SELECT * FROM cognito_app_clients;
SELECT c.* FROM cognito_app_clients AS l, cognito_app_client('cognito_server', l.client_id) AS c;

-- Identity providers
SELECT * FROM cognito_identity_providers('cognito_server');
SELECT provider_name FROM cognito_identity_providers;
SELECT p.* FROM cognito_identity_providers AS l, cognito_identity_provider('cognito_server', l.provider_name) AS p;

-- Identity pools, and the identities in one
SELECT * FROM cognito_identity_pools('cognito_server');
SELECT * FROM cognito_identity_pools;
SELECT * FROM cognito_identity_pool('cognito_server');
SELECT name FROM cognito_identity_pool('cognito_server', 'eu-west-1:11111111-2222-4333-8444-555555555555');
SELECT name FROM cognito_identity_pool;
SELECT * FROM cognito_identities('cognito_server') LIMIT 3;
SELECT count(*) FROM cognito_identities('cognito_server', 'eu-west-1:11111111-2222-4333-8444-555555555555');
SELECT count(*) FROM cognito_identities WHERE logins <> '{}';

-- Group membership
SELECT cognito_add_user_to_group('cognito_server', 'ana.sato', 'admins');
SELECT cognito_add_user_to_group('cognito_server', 'ana.sato', 'admins');
SELECT string_agg(group_name, ' ' ORDER BY precedence) FROM cognito_user_groups('cognito_server', 'ana.sato');
SELECT cognito_remove_user_from_group('cognito_server', 'ana.sato', 'admins');
SELECT cognito_remove_user_from_group('cognito_server', 'ana.sato', 'admins');
SELECT string_agg(group_name, ' ' ORDER BY precedence) FROM cognito_user_groups('cognito_server', 'ana.sato');
\set VERBOSITY terse \\ -- the detail has the id of the request
SELECT cognito_add_user_to_group('cognito_server', 'ana.sato', 'kings');
\echo :SQLSTATE
SELECT cognito_add_user_to_group('cognito_server', 'nobody', 'admins');
\echo :SQLSTATE
\set VERBOSITY default

-- Offline
SET cognito_srf.offline = on;
SELECT * FROM cognito_groups;
SELECT * FROM cognito_user_pool;
SELECT count(*) FROM cognito_users WHERE username = 'ana.sato';
SELECT cognito_remove_user_from_group('cognito_server', 'ana.sato', 'viewers');
\echo :SQLSTATE
RESET cognito_srf.offline;

DROP SERVER cognito_server;
