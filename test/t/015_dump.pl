# The extension and what uses it are dumped, restored, moved to another schema, and dropped.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

# Runs statements in a database.
sub run
{
	my ($database, $statements) = @_;
	return $node->safe_psql($database, $statements);
}

# Everything that this test has made in a database, with options and comments.
sub objects
{
	my ($database) = @_;
	return run($database, <<'SQL');
SELECT extname, extversion, extnamespace::regnamespace, obj_description(oid, 'pg_extension')
FROM pg_extension WHERE extname = 'cognito_srf';
SELECT pg_describe_object(classid, objid, 0), obj_description(objid, classid::regclass::name)
FROM pg_depend
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND deptype = 'e'
ORDER BY 1;
SELECT attname, col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = 'cognito_users'::regclass AND attnum > 0 ORDER BY attnum;
SELECT srvname, srvowner::regrole, srvacl, srvoptions, obj_description(oid, 'pg_foreign_server')
FROM pg_foreign_server;
SELECT srvname, usename, umoptions FROM pg_user_mappings;
SELECT relname, relkind, relispopulated, pg_get_viewdef(oid), obj_description(oid, 'pg_class')
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm') ORDER BY 1;
SQL
}

$cognito->create_server($node, 'cognito_server', connect_timeout => '5s', max_retries => 3);
run('postgres', <<SQL);
CREATE ROLE reader;
GRANT USAGE ON FOREIGN SERVER cognito_server TO reader;
COMMENT ON SERVER cognito_server IS 'the demo';
CREATE USER MAPPING FOR reader SERVER cognito_server OPTIONS (
	aws_access_key_id '$Cognito::KEY', aws_secret_access_key '$Cognito::SECRET');
CREATE VIEW enabled AS SELECT username, email FROM cognito_users WHERE enabled;
COMMENT ON VIEW enabled IS 'who may sign in';
CREATE MATERIALIZED VIEW stored AS SELECT * FROM cognito_users('cognito_server') WITH NO DATA;
SQL

# Dump and restore

my $dump = $node->basedir . '/dump.sql';
command_ok([ 'pg_dump', '-d', $node->connstr('postgres'), '-f', $dump ], 'pg_dump');
is(scalar($cognito->requests), 0, 'it asks Cognito nothing');
unlike(slurp_file($dump), qr/CREATE (VIEW|FUNCTION) \S*cognito/,
	"it leaves out what is the extension's");

run('postgres', 'CREATE DATABASE restored');
command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ],
	'the dump is restored');
is(objects('restored'), objects('postgres'), 'all is as it was, comments and options too');
like(objects('restored'), qr/^stored\|m\|f\|/m, 'the materialized view is still without data');
is(run('restored', 'REFRESH MATERIALIZED VIEW stored; SELECT count(*) FROM stored'),
	300, 'it is filled');
is(run('restored', 'SET ROLE reader; SELECT count(*) FROM cognito_users'),
	300, 'the mapping works');

# Another schema

$Cognito::DATABASE = 'restored';
run('restored', 'CREATE SCHEMA other; ALTER EXTENSION cognito_srf SET SCHEMA other');
is(run('restored', 'SELECT count(*) FROM other.cognito_users'),
	300, 'in another schema, the default view works');
is(run('restored', "SELECT count(*) FROM other.cognito_users('cognito_server')"),
	300, 'the function too');
is(run('restored', 'SELECT count(*) > 0 FROM enabled'), 't', 'and views on them');
like(Cognito::error_of($node, 'ALTER SERVER cognito_server OPTIONS (ADD regoin $$x$$)'),
	qr/HV00D/, 'and the validator');

# Dropped

like(Cognito::error_of($node, 'DROP EXTENSION cognito_srf'),
	qr/2BP01: .*server cognito_server depends on/s, 'it is not dropped while there is a server');
run('restored', 'DROP EXTENSION cognito_srf CASCADE');
is(run('restored', <<'SQL'), '', 'with CASCADE nothing is left');
SELECT extname FROM pg_extension WHERE extname = 'cognito_srf'
UNION ALL SELECT fdwname FROM pg_foreign_data_wrapper
UNION ALL SELECT srvname FROM pg_foreign_server
UNION ALL SELECT srvname FROM pg_user_mappings
UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'cognito%'
UNION ALL SELECT relname FROM pg_class WHERE relname IN ('cognito_users', 'enabled', 'stored')
SQL
run('restored', 'CREATE EXTENSION cognito_srf SCHEMA other');
is(run('restored', "SELECT DISTINCT pronamespace::regnamespace FROM pg_proc WHERE proname LIKE 'cognito%'"),
	'other', 'it is installed again, in a schema of choice');

done_testing();
