-- Secrets of Vault: by id, by key_id, by name, and who may read them.
SET ROLE regress_cognito_admin;
\getenv endpoint COGNITO_ENDPOINT
SET client_min_messages = warning;
CREATE ROLE regress_cognito_reader;
CREATE SERVER cognito_server FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', api_key_id 'cognito', region 'eu-west-1',
	user_pool_id 'eu-west-1_Users61', endpoint_url :'endpoint');

-- Without a Vault
SELECT * FROM cognito_users;
\echo :SQLSTATE

\set ECHO none
\i test/vault.sql
\set ECHO all
\set QUIET on
SELECT * FROM cognito_users;
\echo :SQLSTATE

-- By name, id and key_id
SELECT vault.create_secret('wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY', 'cognito') AS id \gset
SELECT count(*) FROM cognito_users;
ALTER SERVER cognito_server OPTIONS (SET api_key_id :'id');
SELECT count(*) FROM cognito_users;
UPDATE vault.secrets SET key_id = '11111111-2222-3333-4444-555555555555' WHERE name = 'cognito';
ALTER SERVER cognito_server OPTIONS (SET api_key_id '11111111-2222-3333-4444-555555555555');
SELECT count(*) FROM cognito_users;

-- An ambiguous key_id is an error, not a guess
SELECT vault.create_secret('another', 'another', '', NULL) IS NOT NULL AS created;
UPDATE vault.secrets SET key_id = '11111111-2222-3333-4444-555555555555' WHERE name = 'another';
SELECT count(*) FROM cognito_users;
\echo :SQLSTATE

-- What was pasted with a line's end is no key
SELECT vault.create_secret(E'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n', 'pasted') IS NOT NULL AS created;
ALTER SERVER cognito_server OPTIONS (SET api_key_id 'pasted');
SELECT count(*) FROM cognito_users;
\echo :SQLSTATE

-- The owner reads for a server, whoever calls
ALTER SERVER cognito_server OPTIONS (SET api_key_id 'cognito');
GRANT USAGE ON FOREIGN SERVER cognito_server TO regress_cognito_reader;
SET ROLE regress_cognito_reader;
SELECT count(*) FROM cognito_users;
SET ROLE regress_cognito_admin;

-- The caller reads for a user mapping, and the hint helps
CREATE USER MAPPING FOR regress_cognito_reader SERVER cognito_server OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', api_key_id 'cognito');
SET ROLE regress_cognito_reader;
SELECT count(*) FROM cognito_users;
\echo :SQLSTATE
SET ROLE regress_cognito_admin;

-- Without USAGE there is nothing
REVOKE USAGE ON FOREIGN SERVER cognito_server FROM regress_cognito_reader;
SET ROLE regress_cognito_reader;
SELECT count(*) FROM cognito_users;
\echo :SQLSTATE
SET ROLE regress_cognito_admin;

DROP SERVER cognito_server CASCADE;
DROP ROLE regress_cognito_reader;

-- What the tests made for all databases
RESET ROLE;
DROP OWNED BY regress_cognito_admin CASCADE;
DROP ROLE regress_cognito_admin;
