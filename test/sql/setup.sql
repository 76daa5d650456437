-- The extension, and how it describes itself.
CREATE ROLE regress_cognito_admin SUPERUSER;
SET ROLE regress_cognito_admin;
CREATE EXTENSION cognito_srf;
-- Not \dx+ and \d+, whose output depends on the version of PostgreSQL.
SELECT pg_describe_object(classid, objid, 0) AS "Object description"
FROM pg_depend
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND deptype = 'e'
	AND classid <> 'pg_type'::regclass
ORDER BY 1;
\df cognito_*
\dew+ cognito_wrapper
SELECT attname, atttypid::regtype AS type, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = 'cognito_users'::regclass AND attnum > 0 ORDER BY attnum;

-- Nothing of it is without a comment.
SELECT pg_describe_object(classid, objid, 0) AS uncommented
FROM pg_depend
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND deptype = 'e'
	AND classid NOT IN ('pg_type'::regclass, 'pg_rewrite'::regclass)
	AND obj_description(objid, classid::regclass::name) IS NULL;

-- The settings, once the library is loaded; the prefix is reserved.
LOAD 'cognito_srf';
SELECT name, setting, context, short_desc FROM pg_settings WHERE name LIKE 'cognito\_srf.%' ORDER BY name;
SET cognito_srf.defualt_server = 'x';
