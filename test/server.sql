-- The server of the regression tests: the local Cognito's user pool :pool, and its identity pool.
\getenv endpoint COGNITO_ENDPOINT
CREATE SERVER cognito_server FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE',
	aws_secret_access_key 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
	region 'eu-west-1',
	user_pool_id :'pool',
	identity_pool_id 'eu-west-1:11111111-2222-4333-8444-555555555555',
	endpoint_url :'endpoint',
	identity_endpoint_url :'endpoint');
