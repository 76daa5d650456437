-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION cognito_srf UPDATE" to load this file. \quit

-- Changing who is in a group needs EXECUTE, beside USAGE on the server, which is enough to read.

REVOKE EXECUTE ON FUNCTION cognito_add_user_to_group(text, text, text),
	cognito_remove_user_from_group(text, text, text) FROM PUBLIC;

-- With a REVOKE in a script PostgreSQL records the whole ACL as the extension's own, which
-- pg_dump leaves out.  Grants that an administrator made in 1.0 do not belong there, nor does what
-- PostgreSQL 17 records of their roles.

UPDATE pg_init_privs
SET initprivs = ARRAY[makeaclitem(proowner, proowner, 'EXECUTE', false)]
FROM pg_proc AS function
WHERE (classoid, objoid) = (function.tableoid, function.oid) AND function.oid IN (
	'cognito_add_user_to_group(text, text, text)'::regprocedure,
	'cognito_remove_user_from_group(text, text, text)'::regprocedure);

DELETE FROM pg_shdepend
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND classid = 'pg_proc'::regclass AND deptype = 'i' AND objid IN (
	'cognito_add_user_to_group(text, text, text)'::regprocedure,
	'cognito_remove_user_from_group(text, text, text)'::regprocedure);
