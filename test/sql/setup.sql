-- The extension, and how it describes itself.
CREATE ROLE regress_cognito_admin SUPERUSER;
SET ROLE regress_cognito_admin;
CREATE EXTENSION cognito_srf;
\dx+ cognito_srf
\df cognito_*
\dew+ cognito_wrapper
\d+ cognito_users

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
