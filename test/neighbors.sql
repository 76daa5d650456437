-- What else a database may have: foreign servers of other wrappers, and one of Cognito's without a
-- pool. Also counts calls of functions, as the manual shows.
--	psql -v ON_ERROR_STOP=1 -f test/neighbors.sql
SET client_min_messages = error;
CREATE SERVER account FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1');
SELECT format('ALTER DATABASE %I SET track_functions = %L', current_database(), 'all')
\gexec

SELECT format('CREATE EXTENSION %I', name) FROM pg_available_extensions
WHERE name IN ('postgres_fdw', 'file_fdw')
\gexec
SELECT format('CREATE SERVER %I FOREIGN DATA WRAPPER %I', 'a_' || fdwname, fdwname)
FROM pg_foreign_data_wrapper WHERE fdwname IN ('postgres_fdw', 'file_fdw')
\gexec
