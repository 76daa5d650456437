# Dump, restore and pg_upgrade of databases that use the extension, also if Cognito is unreachable;
# ALTER EXTENSION SET SCHEMA, and DROP EXTENSION.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $OFFLINE = '-c cognito_srf.offline=on';
my $WARNING = qr/WARNING:  no rows from server "\w+" while cognito_srf.offline is on/;
my $directory = PostgreSQL::Test::Utils::tempdir();

# Runs a client program with PGOPTIONS; returns its exit status and its messages.
sub client
{
	my ($options, @command) = @_;
	local $ENV{PGOPTIONS} = $options;

	IPC::Run::run(\@command, '>', \my $out, '2>', \my $err);
	return ($? >> 8, $err);
}

# Restores a dump in the custom format.
sub pg_restore
{
	my ($options, @arguments) = @_;
	return client($options, 'pg_restore', '--verbose', '--jobs=2', @arguments);
}

# Restores a dump of SQL, up to its first error.
sub psql
{
	my ($options, $connection, $file) = @_;
	return client($options, 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $connection, '-f',
		$file);
}

# Returns a list of all user-defined objects with owners, definitions, options, privileges and comments.
sub objects
{
	my ($node, $database) = @_;
	return [ split /\n/, $node->safe_psql($database, <<'SQL') ];
CREATE FUNCTION pg_temp.sort(anyarray) RETURNS text[] LANGUAGE sql
AS 'SELECT array_agg(i::text ORDER BY i::text COLLATE "C") FROM unnest($1) i';

SELECT extname, extversion, extowner::regrole, extnamespace::regnamespace FROM pg_extension
ORDER BY 1;
SELECT pg_describe_object(classid, objid, 0), pg_describe_object(refclassid, refobjid, 0)
FROM pg_depend WHERE deptype = 'e' AND objid >= 16384 ORDER BY 1;
SELECT nspname, nspowner::regrole, pg_temp.sort(nspacl) FROM pg_namespace
WHERE nspname !~ '^pg_' ORDER BY 1;
SELECT fdwname, pg_temp.sort(fdwacl) FROM pg_foreign_data_wrapper ORDER BY 1;
SELECT srvname, srvowner::regrole, pg_temp.sort(srvacl), pg_temp.sort(srvoptions)
FROM pg_foreign_server ORDER BY 1;
SELECT srvname, usename, pg_temp.sort(umoptions) FROM pg_user_mappings ORDER BY 1, 2;
SELECT oid::regclass::text, relkind, relowner::regrole, pg_temp.sort(relacl), reloptions,
	pg_get_viewdef(oid), pg_get_indexdef(oid)
FROM pg_class WHERE oid >= 16384 AND relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace
ORDER BY 1;
SELECT attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull,
	pg_temp.sort(attacl)
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
WHERE attrelid >= 16384 AND attnum > 0 AND relkind IN ('r', 'v', 'm')
ORDER BY 1, attnum;
SELECT oid::regprocedure::text, proowner::regrole, pg_temp.sort(proacl), pg_get_functiondef(oid)
FROM pg_proc WHERE oid >= 16384 AND prokind = 'f' AND pronamespace <> pg_my_temp_schema()
ORDER BY 1;
SELECT pg_describe_object(classoid, objoid, objsubid), description
FROM pg_description WHERE objoid >= 16384 ORDER BY 1;
SQL
}

# Returns a list of the rows that a dump contains.
sub rows
{
	my ($node, $database) = @_;
	return [ split /\n/, $node->safe_psql($database,
			'SELECT id, name, secret FROM vault.secrets; SELECT * FROM copied ORDER BY username') ];
}

# Returns the numbers of rows of the materialized views, "-" for one that is not populated.
sub filled
{
	my ($node, $database) = @_;
	my @views = split /\n/, $node->safe_psql($database, <<'SQL');
SELECT CASE WHEN relispopulated THEN oid::regclass::text ELSE '-' END FROM pg_class
WHERE relkind = 'm' ORDER BY relname
SQL
	return join ' ',
	  map { $_ eq '-' ? '-' : $node->safe_psql($database, "SELECT count(*) FROM $_") } @views;
}

# Returns how many views PostgreSQL would drop with a server.
sub dependent
{
	my ($node) = @_;
	return $node->safe_psql('app', <<'SQL');
SELECT count(*) FROM pg_depend
WHERE classid = 'pg_rewrite'::regclass AND refclassid = 'pg_foreign_server'::regclass
SQL
}

# Returns the manual's statement that lists the materialized views to refresh.
sub statement_of_manual
{
	my ($statement) =
	  slurp_file("$FindBin::Bin/../../docs/dump-restore.md") =~ /```sql\n(WITH RECURSIVE.*?);\n```/s;
	return $statement;
}

# A database with all kinds of objects, in which "counted" reads Cognito through "enabled" and "stored".

my $cognito = Cognito->new;
my $source = Cognito::empty_cluster('source');
$source->safe_psql('postgres', <<SQL);
CREATE ROLE keeper;
CREATE ROLE reader;
CREATE DATABASE app;
ALTER DATABASE app SET cognito_srf.default_server = 'vaulted';
SQL

$Cognito::DATABASE = 'app';
$source->safe_psql('app', 'CREATE EXTENSION cognito_srf');
Cognito::create_vault($source);
$cognito->create_server($source, 'vaulted',
	aws_secret_access_key => undef, api_key_id => 'cognito', connect_timeout => '5s',
	max_retries => 1);
$cognito->create_server($source, 'mapped',
	aws_access_key_id => undef, aws_secret_access_key => undef,
	user_pool_id => 'eu-west-1_Users61', max_retries => 0);
$source->safe_psql('app', <<SQL);
COMMENT ON SERVER vaulted IS 'the demo';
GRANT USAGE ON FOREIGN SERVER vaulted TO reader WITH GRANT OPTION;
GRANT USAGE ON FOREIGN SERVER mapped TO keeper;
CREATE USER MAPPING FOR keeper SERVER mapped OPTIONS (
	aws_access_key_id '$Cognito::KEY', aws_secret_access_key '$Cognito::SECRET');
CREATE USER MAPPING FOR PUBLIC SERVER mapped OPTIONS (
	aws_access_key_id '$Cognito::KEY', api_key_id 'cognito');

REVOKE SELECT ON cognito_groups FROM PUBLIC;
GRANT SELECT ON cognito_groups TO reader;
REVOKE EXECUTE ON FUNCTION cognito_groups(text) FROM PUBLIC;
GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO keeper;

CREATE VIEW enabled AS SELECT username, email FROM cognito_users WHERE enabled;
COMMENT ON VIEW enabled IS 'who may sign in';
COMMENT ON COLUMN enabled.email IS 'where to write to';
GRANT SELECT (username) ON enabled TO reader;

CREATE MATERIALIZED VIEW stored WITH (fillfactor = 90) AS SELECT * FROM cognito_users;
CREATE UNIQUE INDEX stored_key ON stored (username);
COMMENT ON MATERIALIZED VIEW stored IS 'those of this morning';
GRANT SELECT ON stored TO reader;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM enabled JOIN stored USING (username);

CREATE TABLE copied AS SELECT * FROM cognito_users;
ALTER TABLE copied ADD PRIMARY KEY (username);

CREATE SCHEMA reports AUTHORIZATION keeper;
CREATE SCHEMA staff AUTHORIZATION keeper;
SET ROLE keeper;
SELECT cognito_create_views('mapped', 'staff');
GRANT SELECT ON staff.users TO reader;
CREATE MATERIALIZED VIEW reports.users AS SELECT * FROM cognito_users('mapped');
RESET ROLE;

CREATE FUNCTION users_now() RETURNS bigint SECURITY DEFINER SET cognito_srf.offline = off
LANGUAGE sql AS 'SELECT count(*) FROM cognito_users';
SQL

my $objects = objects($source, 'app');
my $rows = rows($source, 'app');
is(filled($source, 'app'), '1 300 61', 'all materialized views are populated');
is(dependent($source), 7, 'the views that cognito_create_views created depend on the server');

# Dumps

$cognito->clear_requests;
for my $dump (
	[ 'pg_dumpall', '--roles-only', '-f', "$directory/roles.sql" ],
	[ 'pg_dump', '-Fc', '-f', "$directory/app.dump" ],
	[ 'pg_dump', '-f', "$directory/app.sql" ],
	[ 'pg_dump', '--schema-only', '-f', "$directory/definitions.sql" ],
	[ 'pg_dump', '-Fc', '-n', 'reports', '-f', "$directory/reports.dump" ])
{
	command_ok([ @$dump, '-d', $source->connstr('app') ], "@$dump[0 .. $#$dump - 2]");
}
is(scalar($cognito->requests), 0, 'pg_dump sends no requests to Cognito');
unlike(slurp_file("$directory/app.sql"), qr/CREATE (VIEW|FUNCTION) public\.cognito/,
	'pg_dump leaves out the objects of the extension');
like(slurp_file("$directory/app.sql"), qr/CREATE SERVER mapped.*CREATE VIEW staff\.users/s,
	'pg_dump writes a server before its views');

# From here on, the service is stopped.

is(scalar($cognito->violations), 0, 'every request was well-formed');
$cognito->stop;

my $target = Cognito::empty_cluster('target');
for my $database (qw(plain failed undone definitions other))
{
	$target->safe_psql('postgres', "CREATE DATABASE $database");
	$target->safe_psql('postgres',
		"ALTER DATABASE $database SET cognito_srf.default_server = 'vaulted'");
}
client('', 'psql', '-X', '-d', $target->connstr('postgres'), '-f', "$directory/roles.sql");

# Restore with cognito_srf.offline

my ($status, $messages) =
  pg_restore($OFFLINE, '--create', '-d', $target->connstr('postgres'), "$directory/app.dump");
is($status, 0, 'pg_restore, offline: success');
like($messages, $WARNING, 'pg_restore, offline: a warning');
is_deeply(objects($target, 'app'), $objects, 'pg_restore, offline: all objects are restored');
is_deeply(rows($target, 'app'), $rows, 'pg_restore, offline: all rows are restored');
is(filled($target, 'app'), '1 0 0', 'pg_restore, offline: the materialized views can be read');
is($target->safe_psql('app', 'SHOW cognito_srf.default_server'),
	'vaulted', "pg_restore, offline: the database's settings are restored");

($status, $messages) = psql($OFFLINE, $target->connstr('plain'), "$directory/app.sql");
is($status, 0, 'psql, offline: success');
like($messages, $WARNING, 'psql, offline: a warning');
is_deeply(objects($target, 'plain'), $objects, 'psql, offline: all objects are restored');
is_deeply(rows($target, 'plain'), $rows, 'psql, offline: all rows are restored');
is(filled($target, 'plain'), '1 0 0', 'psql, offline: the materialized views can be read');

# Restore without cognito_srf.offline

($status, $messages) = pg_restore('', '-d', $target->connstr('failed'), "$directory/app.dump");
is($status, 1, 'pg_restore, online: failure');
like($messages, qr/could not connect to Cognito/, 'pg_restore, online: it tries to connect to Cognito');
is( join(' ', sort $messages =~ /Command was: REFRESH MATERIALIZED VIEW (.*);/g),
	'public.counted public.stored reports.users',
	'pg_restore, online: refreshing the materialized views fails');
is(scalar(() = $messages =~ /Command was: /g), 3, 'pg_restore, online: nothing else fails');
is_deeply(objects($target, 'failed'), $objects, 'pg_restore, online: all objects are restored');
is_deeply(rows($target, 'failed'), $rows, 'pg_restore, online: all rows are restored');
is(filled($target, 'failed'), '- - -', 'pg_restore, online: the materialized views are not populated');

($status) = client('', 'pg_restore', '--single-transaction', '-d', $target->connstr('undone'),
	"$directory/app.dump");
is($status, 1, 'pg_restore --single-transaction, online: failure');
is($target->safe_psql('undone', "SELECT to_regclass('copied') IS NULL"), 't', 'pg_restore --single-transaction, online: nothing is restored');

# A dump of the definitions needs no cognito_srf.offline.

($status) = psql('', $target->connstr('definitions'), "$directory/definitions.sql");
is($status, 0, 'definitions only: success');
is_deeply(objects($target, 'definitions'), $objects, 'definitions only: all objects are restored');
is(filled($target, 'definitions'), '- - -', 'definitions only: the materialized views are not populated');

# A role that is not a superuser restores a schema; the extension exists already.

$target->safe_psql('postgres', 'CREATE ROLE restorer LOGIN; CREATE DATABASE hosted OWNER restorer');
$target->safe_psql('hosted', 'CREATE EXTENSION cognito_srf');
my @restore_hosted = ('--no-owner', '--clean', '--if-exists',
	'-d', $target->connstr('hosted') . ' user=restorer', "$directory/reports.dump");

($status, $messages) = pg_restore('', @restore_hosted);
is($status, 1, 'pg_restore as a role that is not a superuser, online: failure');
($status, $messages) = pg_restore($OFFLINE, @restore_hosted);
is($status, 0, 'pg_restore as a role that is not a superuser, offline: success');
like($messages, $WARNING, 'pg_restore as a role that is not a superuser, offline: a warning');

$Cognito::DATABASE = 'hosted';
for my $alter ('ALTER ROLE restorer', 'ALTER DATABASE hosted')
{
	my $set = "$alter SET cognito_srf.offline = on";

	like(Cognito::error_of($target, "SET ROLE restorer; $set"),
		qr/42501/, "$alter: fails before the library is loaded");
	$target->safe_psql('hosted', "SET ROLE restorer; TABLE cognito_statistics; $set");
	($status, $messages) = pg_restore('', @restore_hosted);
	is($status, 0, "$alter: pg_restore succeeds");
	like($messages, $WARNING, "$alter: a warning");
	$target->safe_psql('hosted', "$alter RESET cognito_srf.offline");
}

# The service is started again. Vault has another key here.

$cognito = Cognito->new;
for my $database (qw(app failed))
{
	$target->safe_psql($database, <<SQL);
DELETE FROM vault.secrets;
SELECT vault.create_secret('$Cognito::SECRET', 'cognito');
ALTER SERVER vaulted OPTIONS (SET endpoint_url '@{[ $cognito->url ]}');
ALTER SERVER mapped OPTIONS (SET endpoint_url '@{[ $cognito->url ]}');
SQL
	$target->safe_psql($database, statement_of_manual() . "\n\\gexec");
	is(filled($target, $database), '1 300 61', "database $database: the manual's statement fills the materialized views");
}
is($target->safe_psql('app', 'SELECT count FROM counted'),
	$source->safe_psql('app', 'SELECT count FROM counted'), 'the manual\'s statement refreshes each view after those that it reads');
is($target->safe_psql('app', 'SET ROLE keeper; SELECT count(*) FROM staff.users'),
	61, 'views that cognito_create_views created can be read after the restore');
is(dependent($target), 0, 'they do not depend on the server after the restore');
is( $target->safe_psql('app', <<'SQL'), '0', 'views that cognito_create_views created can be replaced after the restore');
SET ROLE keeper;
SELECT count(*) FROM cognito_create_views('mapped', 'staff', true) AS name
FULL JOIN pg_views v ON viewname = name AND schemaname = 'staff'
WHERE name IS NULL AND schemaname = 'staff' OR viewname IS NULL
SQL
is(dependent($target), 7, 'views that were replaced depend on the server again');
is($target->safe_psql('app', 'SET cognito_srf.offline = on; SELECT users_now()'),
	300, 'a function may turn cognito_srf.offline off');

# Another schema

$Cognito::DATABASE = 'app';
$target->safe_psql('app', 'CREATE SCHEMA other; ALTER EXTENSION cognito_srf SET SCHEMA other');
is($target->safe_psql('app', 'SELECT count(*) FROM other.cognito_users'),
	300, 'another schema: the default view works');
is($target->safe_psql('app', "SELECT count(*) FROM other.cognito_users('vaulted')"),
	300, 'another schema: the function works');
is($target->safe_psql('app', 'SELECT count(*) = count FROM enabled, counted GROUP BY count'),
	't', 'another schema: views over the default view work');
like(Cognito::error_of($target, 'ALTER SERVER vaulted OPTIONS (ADD regoin $$x$$)'),
	qr/HV00D/, 'another schema: the validator works');

$objects = objects($target, 'app');
client('', 'pg_dump', '-Fc', '-f', "$directory/other.dump", '-d', $target->connstr('app'));
($status) = pg_restore($OFFLINE, '-d', $target->connstr('other'), "$directory/other.dump");
is($status, 0, 'dump of another schema: success');
is_deeply(objects($target, 'other'), $objects, 'dump of another schema: all objects are restored');
is(filled($target, 'other'), '1 0 0', 'dump of another schema: the materialized views can be read');
is($target->safe_psql('other', statement_of_manual() . "\n\\gexec"), '', "dump of another schema: the manual's statement succeeds");

# DROP EXTENSION

like(Cognito::error_of($target, 'DROP EXTENSION cognito_srf'),
	qr/2BP01: .*server vaulted depends on/s, 'DROP EXTENSION fails while a server exists');
$target->safe_psql('app', 'DROP EXTENSION cognito_srf CASCADE');
is($target->safe_psql('app', <<'SQL'), '', 'DROP EXTENSION CASCADE drops all objects that depend on it');
SELECT extname FROM pg_extension WHERE extname = 'cognito_srf'
UNION ALL SELECT fdwname FROM pg_foreign_data_wrapper
UNION ALL SELECT srvname FROM pg_foreign_server
UNION ALL SELECT srvname FROM pg_user_mappings
UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'cognito%'
UNION ALL SELECT relname FROM pg_class WHERE relname IN ('cognito_users', 'enabled', 'stored', 'counted')
UNION ALL SELECT relname FROM pg_class WHERE relnamespace = 'staff'::regnamespace
SQL
is($target->safe_psql('app', 'SELECT count(*) FROM copied'), 300, 'DROP EXTENSION CASCADE does not drop tables with copied rows');
$target->safe_psql('app', 'CREATE EXTENSION cognito_srf SCHEMA other');
is( $target->safe_psql('app', <<'SQL'), 'other', 'the extension can be created again, in another schema');
SELECT DISTINCT pronamespace::regnamespace FROM pg_proc WHERE proname LIKE 'cognito%'
SQL

is(scalar($cognito->violations), 0, 'every request was well-formed');

# pg_upgrade; the servers still name the service that was stopped.

my $upgraded = PostgreSQL::Test::Cluster->new('upgraded');
$upgraded->init;
$objects = objects($source, 'app');
$source->stop;
chdir $PostgreSQL::Test::Utils::tmp_check;    # pg_upgrade writes a script there
command_ok(
	[
		'pg_upgrade', '--no-sync',
		'-d', $source->data_dir, '-b', $source->config_data('--bindir'), '-p', $source->port,
		'-D', $upgraded->data_dir, '-B', $upgraded->config_data('--bindir'), '-P', $upgraded->port,
		'-s', $upgraded->host
	],
	'pg_upgrade: success');
$upgraded->start;
is_deeply(objects($upgraded, 'app'), $objects, 'pg_upgrade: all objects are restored');
is_deeply(rows($upgraded, 'app'), $rows, 'pg_upgrade: all rows are restored');
is(filled($upgraded, 'app'), '1 300 61', 'pg_upgrade: the materialized views have their rows');

done_testing();
