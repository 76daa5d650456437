-- Makes a Vault for the tests and the demo, as superuser:
--	psql -v ON_ERROR_STOP=1 -f test/vault.sql
-- Where the library of the real extension is preloaded (see test/vault-settings), that one; else a
-- stand-in with its public face, encrypted with pgcrypto, that nobody has been granted anything on.
\set QUIET on
SET client_min_messages = warning;

SELECT current_setting('shared_preload_libraries') ~ '\msupabase_vault\M' AS is_preloaded
\gset
\if :is_preloaded
CREATE EXTENSION supabase_vault;
\else

CREATE SCHEMA vault;
CREATE EXTENSION pgcrypto SCHEMA vault;

CREATE TABLE vault.root_key (key text NOT NULL);
INSERT INTO vault.root_key VALUES (encode(vault.gen_random_bytes(32), 'hex'));

CREATE TABLE vault.secrets (
	id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
	name text UNIQUE,
	description text NOT NULL DEFAULT '',
	secret text NOT NULL,
	key_id uuid,
	nonce bytea DEFAULT vault.gen_random_bytes(16),
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

-- As in the real one, the tables are read as the view's owner, and the function
-- that decrypts is called as whoever reads the view.
CREATE VIEW vault.decrypted_secrets AS
SELECT id, name, description, secret,
	vault.pgp_sym_decrypt(decode(secret, 'base64'), key) AS decrypted_secret,
	key_id, nonce, created_at, updated_at
FROM vault.secrets, vault.root_key;

CREATE FUNCTION vault.create_secret(
	new_secret text, new_name text = NULL, new_description text = '', new_key_id uuid = NULL)
RETURNS uuid LANGUAGE sql SET search_path = '' AS $$
	INSERT INTO vault.secrets (secret, name, description, key_id)
	SELECT encode(vault.pgp_sym_encrypt(new_secret, key), 'base64'),
		new_name, new_description, new_key_id
	FROM vault.root_key
	RETURNING id
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA vault FROM PUBLIC;

\endif

RESET client_min_messages;
