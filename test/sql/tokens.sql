-- Tokens of a user pool. They were signed with a key that has been deleted, and are valid until 2100.
\set jwks '{"keys":[{"alg":"RS256","e":"AQAB","kid":"regression","kty":"RSA","n":"sDP-g-KpXhwPWPI3oQUKQS4pAz4w2tNb_71bRQYhe0DzZlaqOZCZTmWvZDX8lLJ5FbvFRu-lhi5Wx33_bPDGPsVX4_yHqbCvuhSoVHVRrOMNLJfnY-9FoBXqAl62WnyeXKazdoG41QgD8vtGQ9cBELEvKi8gFkkp26c8HEWUBDO2V5czOjgY_8PpOzreurxR8tLsD0UkFiwV9JSrMGT3pwrLHL8fzxQVamP9UzyRiovXdYI5G-8uVVg8EoA6GiKsWKjK17_aSIujoyvTiAtlxa8EwesvfWPMXjNbfIYUuodw3gGaIOa0rnx1EHS488LaFbk-fXE1VrDtE4sT5zqfJw","use":"sig"}]}'
\set id 'eyJhbGciOiJSUzI1NiIsImtpZCI6InJlZ3Jlc3Npb24ifQ.eyJhdWQiOiIxZXhhbXBsZTIzNDU2Nzg5IiwiYXV0aF90aW1lIjoxNzk1MDAwMDAwLCJjb2duaXRvOmdyb3VwcyI6WyJhZG1pbnMiLCJzdGFmZiJdLCJjb2duaXRvOnVzZXJuYW1lIjoiYW5hLnNhdG8iLCJlbWFpbCI6ImFuYS5zYXRvQGV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3OTUwMDAwMDAsImlzcyI6Imh0dHBzOi8vY29nbml0by1pZHAuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20vZXUtd2VzdC0xX0FiQ2RFZjEyMyIsInN1YiI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSIsInRva2VuX3VzZSI6ImlkIn0.h2Td61O8klb8GhvpuTS3_txXwCNdLYEK6GWsHQ6z5L4UaaUmtU5nEKuWACmvaQScl08_khObuZN9ffOYdX2chuP0oRdaDodmI0WR2frRmpn8c4LsJod4THvMFwg8HyicHbGsGBNgA4LC0nUxngxZTZsKiiJxQdHuA7cdn3u18eE5oodK6GGzRMqcuDhrd-8C717TQU3HrwjyVGGIT4z_JuZaYaOLUdWKxFXuEM14ibRN2mEDECoUYc2v_m6h9B6UijNVJ82U9n6A-LIq0Wg1WPaXio1Vinl_kipjjwHFk9IaCdkl4viMb19Ud9u0UmVAfGEwGmuk8RuCENY3Y7PWfQ'
\set access 'eyJhbGciOiJSUzI1NiIsImtpZCI6InJlZ3Jlc3Npb24ifQ.eyJhdXRoX3RpbWUiOjE3OTUwMDAwMDAsImNsaWVudF9pZCI6IjFleGFtcGxlMjM0NTY3ODkiLCJleHAiOjQxMDI0NDQ4MDAsImlhdCI6MTc5NTAwMDAwMCwiaXNzIjoiaHR0cHM6Ly9jb2duaXRvLWlkcC5ldS13ZXN0LTEuYW1hem9uYXdzLmNvbS9ldS13ZXN0LTFfQWJDZEVmMTIzIiwic2NvcGUiOiJhd3MuY29nbml0by5zaWduaW4udXNlci5hZG1pbiIsInN1YiI6Ijk5OTk5OTk5LTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSIsInRva2VuX3VzZSI6ImFjY2VzcyIsInVzZXJuYW1lIjoiYW5hLnNhdG8ifQ.J13cfVIZxA33PDi7T1l6gH7T_DXx_mFsLl2murTZcodfpLj3km0r4Ydawwjic2ygxnfZ-L-7W7T4ayodg-PspvljHiSJdB4RY1-ytqFTz2XPdCFxpCQITBQ224f7BIyfsypA5lEbsw9plF_cUNQOS03O1Au9jwUjq8jFEnQKEqcxYXMtb8u3u0snVB0zGZ7cLPIaYwo2b4OuDTYRjPA037jsAlELEQv_pEyfxBfp1Xd3WmRY7YGitrn-13U9o4BOAE3uZGSDvNdivO3pnr78XiIFzZvRNLg3kqNfI9CwXmYMrfhyNkmkA70HbzeYVYTN6uoPVw0PoFN4vgR0pz83Qw'
\set expired 'eyJhbGciOiJSUzI1NiIsImtpZCI6InJlZ3Jlc3Npb24ifQ.eyJhdWQiOiIxZXhhbXBsZTIzNDU2Nzg5IiwiYXV0aF90aW1lIjoxNzk1MDAwMDAwLCJjb2duaXRvOmdyb3VwcyI6WyJhZG1pbnMiLCJzdGFmZiJdLCJjb2duaXRvOnVzZXJuYW1lIjoiYW5hLnNhdG8iLCJlbWFpbCI6ImFuYS5zYXRvQGV4YW1wbGUuY29tIiwiZXhwIjoxNzk1MDAzNjAwLCJpYXQiOjE3OTUwMDAwMDAsImlzcyI6Imh0dHBzOi8vY29nbml0by1pZHAuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20vZXUtd2VzdC0xX0FiQ2RFZjEyMyIsInN1YiI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSIsInRva2VuX3VzZSI6ImlkIn0.LJyDGhkA4Oip3JtvL4LdjoDzEofSnuuBtvbRpxKGhVQOmqiV5O3FsvroaQbA3Ww1SHOozV3NfOhIxjyQsk6qLG_ARk6tBHXhe6RcD1Y8_Mx5ingoBS-kCirJ5bHovTXOBpFc7gmWmKMcsGmkW_LOO0wNoH9iKHmsdQCgENWvRfiztIgz7tuCP1EnE0pbOFY4YKvd8I5URTYrXNZJPbtkIGQoZCbUU1MwKTU_wk8CFU-j_d6nBzEksggz3N8gnAOfE-6y6rn9utmY4Y6lXzAOOcmn0ssAigr5FRtxpkFRtxc0SPB3GRwdunFi00uAgZHajM3fn-7vqX81UuwtlHRQ_Q'
\set foreign 'eyJhbGciOiJSUzI1NiIsImtpZCI6InJlZ3Jlc3Npb24ifQ.eyJhdWQiOiJhbm90aGVyIiwiYXV0aF90aW1lIjoxNzk1MDAwMDAwLCJjb2duaXRvOmdyb3VwcyI6WyJhZG1pbnMiLCJzdGFmZiJdLCJjb2duaXRvOnVzZXJuYW1lIjoiYW5hLnNhdG8iLCJlbWFpbCI6ImFuYS5zYXRvQGV4YW1wbGUuY29tIiwiZXhwIjo0MTAyNDQ0ODAwLCJpYXQiOjE3OTUwMDAwMDAsImlzcyI6Imh0dHBzOi8vY29nbml0by1pZHAuZXUtd2VzdC0xLmFtYXpvbmF3cy5jb20vZXUtd2VzdC0xX0FiQ2RFZjEyMyIsInN1YiI6IjExMTExMTExLTIyMjItNDMzMy04NDQ0LTU1NTU1NTU1NTU1NSIsInRva2VuX3VzZSI6ImlkIn0.TgRDbuu8mwbE6NxZ5rmJBppIy2Tn7MQumWy7dMYXPnLudxwgpEjFscdTLh-Q3Ksty4eBKvvFuSAVU9moOqncCs7bFtd1HcejsyyFBsFSoEJ-qk-G13RCjk65sXJORmIq7wqhtlRB3hWtC02HwQgypQA3eM2H7bkLdFt3A1XJ0wuJxmz0fkE21c52V6JddmxuNhrNtanK64aUvQOGychnMKnjVIRybA93j8wARhjG6m2PKO2l9rUPLw3lPC4YwvSUOogo6n5XJTtgAd85NbG_NDLSRBrhXIl81L49CmaTCEdnb-rpK-OOLFvmH4DkMEdb146Ahw723OtuJtZ1OnnVcQ'
CREATE SERVER regress_tokens FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	region 'eu-west-1', user_pool_id 'eu-west-1_AbCdEf123', jwks :'jwks');

-- Which app clients' tokens are accepted has to be said.
SELECT cognito_verify_token('regress_tokens', :'id');
ALTER SERVER regress_tokens OPTIONS (ADD app_client_ids '1example23456789');
SELECT * FROM jsonb_each_text(cognito_verify_token('regress_tokens', :'id')) ORDER BY key;
SELECT * FROM jsonb_each_text(cognito_verify_token('regress_tokens', token => :'access')) ORDER BY key;
SELECT token_use, cognito_verify_token('regress_tokens', :'id', token_use)->'token_use' AS used
FROM (VALUES (NULL), ('id')) uses (token_use);

-- Invalid tokens
SELECT cognito_verify_token('regress_tokens', :'access', 'id');
SELECT cognito_verify_token('regress_tokens', :'id', 'refresh');
SELECT cognito_verify_token('regress_tokens', :'expired');
SELECT cognito_verify_token('regress_tokens', :'foreign');
SELECT cognito_verify_token('regress_tokens', :'id' || 'AA');
SELECT cognito_verify_token('regress_tokens', 'x');
SELECT cognito_verify_token('regress_tokens', NULL);
SELECT cognito_verify_token('nowhere', :'id');

-- The token of a transaction
SELECT cognito_claims('regress_tokens');
BEGIN;
SET LOCAL cognito_srf.token = :'id';
SELECT cognito_claims('regress_tokens')->>'email' AS email;
SHOW cognito_srf.token;
COMMIT;
SELECT cognito_claims('regress_tokens');
SELECT set_config('cognito_srf.token', :'access', false);
SELECT cognito_claims('regress_tokens')->>'username' AS username;
SET cognito_srf.default_server = regress_tokens;
SELECT cognito_claims()->>'token_use' AS token_use;
RESET cognito_srf.default_server;
RESET cognito_srf.token;

-- Policies and defaults
CREATE ROLE regress_cognito_app;
GRANT USAGE ON FOREIGN SERVER regress_tokens TO regress_cognito_app;
CREATE TABLE orders (id int, customer uuid DEFAULT (cognito_claims('regress_tokens')->>'sub')::uuid);
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
GRANT ALL ON orders TO regress_cognito_app;
CREATE POLICY own ON orders USING (customer = (SELECT (cognito_claims('regress_tokens')->>'sub')::uuid));
SET ROLE regress_cognito_app;
SET cognito_srf.token = :'id';
INSERT INTO orders VALUES (1), (2);
INSERT INTO orders VALUES (3, '99999999-2222-4333-8444-555555555555');
SET cognito_srf.token = :'access';
INSERT INTO orders VALUES (4);
SELECT * FROM orders ORDER BY id;
SET cognito_srf.token = :'id';
SELECT * FROM orders ORDER BY id;
RESET cognito_srf.token;
SELECT * FROM orders ORDER BY id;
RESET ROLE;
CREATE POLICY admins ON orders FOR SELECT USING ((SELECT cognito_claims('regress_tokens')->'cognito:groups' ? 'admins'));
SET ROLE regress_cognito_app;
SET cognito_srf.token = :'id';
SELECT * FROM orders ORDER BY id;
SET cognito_srf.token = :'expired';
SELECT * FROM orders ORDER BY id;
RESET cognito_srf.token;

-- USAGE is needed.
RESET ROLE;
REVOKE USAGE ON FOREIGN SERVER regress_tokens FROM regress_cognito_app;
SET ROLE regress_cognito_app;
SELECT cognito_verify_token('regress_tokens', :'id');
RESET ROLE;

-- Options
ALTER SERVER regress_tokens OPTIONS (SET app_client_ids '*');
SELECT cognito_verify_token('regress_tokens', :'foreign')->>'aud' AS aud;
ALTER SERVER regress_tokens OPTIONS (SET app_client_ids 'a, b;c');
ALTER SERVER regress_tokens OPTIONS (SET app_client_ids '*, b');
ALTER SERVER regress_tokens OPTIONS (SET app_client_ids ' , ');
ALTER SERVER regress_tokens OPTIONS (SET app_client_ids 'b,1example23456789');
ALTER SERVER regress_tokens OPTIONS (ADD token_issuer '');
ALTER SERVER regress_tokens OPTIONS (ADD token_issuer 'http://localhost:9229/local');
SELECT cognito_verify_token('regress_tokens', :'id');
ALTER SERVER regress_tokens OPTIONS (SET jwks '');
ALTER SERVER regress_tokens OPTIONS (SET jwks '{"keys": []}');
CREATE USER MAPPING FOR CURRENT_USER SERVER regress_tokens OPTIONS (jwks '{"keys": []}');

DROP TABLE orders;
DROP SERVER regress_tokens CASCADE;
DROP ROLE regress_cognito_app;
