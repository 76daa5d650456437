-- What servers and user mappings may hold.  Every refusal names option and rule, none a value.
SET ROLE regress_cognito_admin;

-- A server may hold no credentials at all, and need not be complete: that is asked of it when it is used.
CREATE SERVER bare FOREIGN DATA WRAPPER cognito_wrapper;
SELECT * FROM cognito_users('bare');
\echo :SQLSTATE
ALTER SERVER bare OPTIONS (ADD region 'eu-west-1');
SELECT * FROM cognito_users('bare');

BEGIN;
ALTER SERVER bare OPTIONS (ADD user_pool_id 'eu-west-1_AbCdEf123');
SELECT * FROM cognito_users('bare');
ROLLBACK;
-- Misspelt, doubled, in the wrong place
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (regoin 'eu-west-1');
\echo :SQLSTATE
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1', region 'eu-west-1');
CREATE USER MAPPING FOR CURRENT_USER SERVER bare OPTIONS (region 'eu-west-1');
\echo :SQLSTATE
CREATE FOREIGN DATA WRAPPER w VALIDATOR cognito_fdw_validator OPTIONS (region 'eu-west-1');
\echo :SQLSTATE
CREATE FOREIGN TABLE t (username text) SERVER bare;
\echo :SQLSTATE

-- Credentials are whole, from one place
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (aws_access_key_id 'AKIAIOSFODNN7EXAMPLE');
\echo :SQLSTATE
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'S3CRET', api_key_id 'cognito');
\echo :SQLSTATE
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (api_key_id 'cognito');
\echo :SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER bare;
\echo :SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER bare OPTIONS (aws_session_token 'T0KEN');
\echo :SQLSTATE

-- A credential source replaces static keys on the server
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	credential_source 'chain', aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'S3CRET');
\echo :SQLSTATE
CREATE USER MAPPING FOR CURRENT_USER SERVER bare OPTIONS (credential_source 'chain');
\echo :SQLSTATE

-- What a role is assumed with is no use without one
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (external_id 'ab');
\echo :SQLSTATE
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (role_session_name 'ab');
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (role_duration '1h');
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (role_arn 'arn:aws:iam::123456789012:role/reader', external_id 'ab');
ALTER SERVER s OPTIONS (DROP role_arn);
ALTER SERVER s OPTIONS (DROP role_arn, DROP external_id);
DROP SERVER s;

-- Who keeps a secret where every role can read it is told so
CREATE SERVER readable FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'S3CRET');
CREATE USER MAPPING FOR CURRENT_USER SERVER bare OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'S3CRET', aws_session_token 'T0KEN');

-- Whoever names a pool of another region is told so, but emulators name theirs as they like
CREATE SERVER other FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1',
	user_pool_id 'eu-west-2_AbCdEf123', identity_pool_id 'eu-west-11:11111111-2222-4333-8444-555555555555');
ALTER SERVER other OPTIONS (SET user_pool_id 'eu-west-1_AbCdEf123',
	SET identity_pool_id 'eu-west-1:11111111-2222-4333-8444-555555555555');
ALTER SERVER other OPTIONS (SET region 'eu-west-2', DROP identity_pool_id);
ALTER SERVER other OPTIONS (DROP region);
DROP SERVER other;

-- Values.  A function to try many: it gives SQLSTATE, message and detail, or says that it was accepted.
CREATE FUNCTION try_option(option text, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
BEGIN
	EXECUTE format('CREATE SERVER tried FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (%s %L)', option, value);
	DROP SERVER tried;
	RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s: %s: %s', state, message, detail);
END $$;

SELECT value, try_option('region', value)
FROM unnest(ARRAY['eu-west-1', 'us-gov-west-1', 'cn-north-1', 'us-isob-east-1', 'local', '', 'eu west', 'EU-WEST-1', '-eu', 'eu-', 'eu.west', 'eu-west1', 'eu-west', 'eu-west-1a', 'euwest1', 'eu-1', 'eu--west-1', 'eu-west-1-', repeat('a', 64), repeat('a', 63)]) value;
SELECT value, try_option('user_pool_id', value)
FROM unnest(ARRAY['eu-west-1_AbCdEf123', 'local_1a2b', '', 'abc', '_abc', 'eu-west-1_', 'eu-west-1_a-b', 'eu-west-1_ü', repeat('a', 54) || '_b']) value;
SELECT value, try_option('identity_pool_id', value)
FROM unnest(ARRAY['eu-west-1:11111111-2222-4333-8444-555555555555', 'local:0a', '', 'abc', ':0a', 'eu-west-1:', 'eu-west-1:0A', 'eu west:0a', 'eu-west-1:0a:0b', 'eu-west-1:ü', repeat('a', 53) || ':0', repeat('a', 54) || ':0']) value;
SELECT value, try_option('endpoint_url', value)
FROM unnest(ARRAY[
	'https://cognito-idp-fips.us-east-1.amazonaws.com', 'https://vpce-1.example.com:8443/', 'http://localhost:9229',
	'http://127.0.0.1:9229', 'http://127.9.9.9', 'http://[::1]:9229',
	'', 'example.com', 'ftp://example.com', 'file:///etc/passwd', 'http://example.com', 'http://10.0.0.1',
	'http://127.0.0.1.example.com', 'http://localhost.example.com', 'http://[::2]', 'https://user:pw@host', 'http://127.0.0.1@example.com',
	'https://host/path', 'https://host/?a=b', 'https://host/#a', 'https://host:99999', 'https://host:0', 'https://host:', 'https://host:/', 'https://host:port', 'https://ho st', E'https://host\r\nx']) value;
SELECT length, try_option('endpoint_url', 'https://' || rpad('a', length, '.a') || ':8443') FROM unnest(ARRAY[253, 254, 100000]) length;
SELECT value, try_option('identity_endpoint_url', value)
FROM unnest(ARRAY['https://cognito-identity-fips.us-east-1.amazonaws.com', 'http://127.0.0.1:9229', '', 'ftp://localhost', 'http://example.com', 'https://user:pw@host']) value;
SELECT value, try_option('request_timeout', value)
FROM unnest(ARRAY['10s', '500ms', '2min', '250', '1.5s', '30', ' 1.5 ', '0.001', '1us', '0', '-1', '-1s', '5 parsecs', '', 'soon', '100d', '2147484', 'NaN']) value;
SELECT try_option('connect_timeout', '0');
CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (request_timeout '10 seconds');
SELECT value, try_option('max_retries', value) FROM unnest(ARRAY['0', '100', '101', '-1', '3s', 'many', '']) value;
SELECT value, try_option('credential_source', value)
FROM unnest(ARRAY['environment', 'web_identity', 'container', 'instance', 'chain', '', 'Chain', 'static']) value;
SELECT value, try_option('role_arn', value)
FROM unnest(ARRAY['arn:aws:iam::123456789012:role/reader', 'arn:aws-cn:iam::123456789012:role/team/a+=,.@-_b', 'arn:aws:iam::123456789012:role/', 'arn:aws:iam::123456789012:user/reader', 'arn:aws:iam::role/reader', 'arn:aws:sts::123456789012:role/reader', 'arn:aws:iam::1234567890123:role/reader', 'arn:aws:iam::123456789012:role/a b', 'reader', '']) value;
SELECT length, try_option('role_arn', rpad('arn:aws:iam::123456789012:role/', length, 'a')) FROM unnest(ARRAY[607, 608]) length;
\set role 'role_arn ''arn:aws:iam::123456789012:role/reader'', '
SELECT value, try_option(:'role' || 'external_id', value) FROM unnest(ARRAY['customer:17/x', 'ab', 'a', '', 'a b', 'ü1']) value;
SELECT value, try_option(:'role' || 'role_session_name', value) FROM unnest(ARRAY['a+=,.@-_b', 'a', '', 'a/b', repeat('a', 65)]) value;
SELECT value, try_option(:'role' || 'role_duration', value) FROM unnest(ARRAY['15min', '1h', '12h', '14min', '13h', '900', '']) value;
SELECT value, try_option('sts_endpoint_url', value)
FROM unnest(ARRAY['https://sts-fips.us-east-1.amazonaws.com', 'http://127.0.0.1:9229', '', 'http://169.254.169.254', 'http://example.com', 'https://host/path']) value;
SELECT option, try_option(option, '') FROM unnest(ARRAY['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token', 'api_key_id']) option;
SELECT option, try_option(option, E'S3CRET\n') FROM unnest(ARRAY['aws_access_key_id', 'aws_secret_access_key', 'aws_session_token']) option;
SELECT try_option('aws_session_token', 'S3CRÉT');

DROP FUNCTION try_option;
DROP SERVER bare CASCADE;
DROP SERVER readable;
