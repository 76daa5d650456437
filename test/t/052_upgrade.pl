# Upgrade from 1.0: the same objects, definitions, comments and privileges as with a new installation;
# grants and the views of users survive the update, and a dump. Until the update is executed, the
# library works under the script of 1.0.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = Cognito::cluster('main');
my $directory = PostgreSQL::Test::Utils::tempdir;
my @writers = map { "cognito_${_}" } qw(add_user_to_group remove_user_from_group);
my $writers = join ', ', @writers;

# Runs statements in a database.
sub run { return $node->safe_psql(@_) }

# Returns the definition of the extension and of all its objects: a dump for pg_upgrade, which lacks
# nothing, without the numbers that differ between databases.
sub objects
{
	my ($database) = @_;
	my ($dump) = run_command(
		[ 'pg_dump', '--binary-upgrade', '--schema-only', '-d', $node->connstr($database) ]);
	return join "\n", map { s/binary_upgrade_create_empty_extension\(.*?\K'\{\d+\}'//r }
	  grep { !/^--|^\\(un)?restrict|binary_upgrade_set_next|relfrozenxid|WHERE oid = '\d/ } split /\n/, $dump;
}

# Returns those functions that write which a role may execute.
sub executable
{
	my ($database, $role) = @_;
	return run($database, "SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
		WHERE proname = ANY ('{$writers}') AND has_function_privilege('$role', oid, 'EXECUTE')");
}

# Returns the function call in the plan of a condition on memberships.
sub call_of_memberships
{
	my ($database) = @_;
	my $plan = run($database, q(EXPLAIN (VERBOSE, COSTS OFF)
		SELECT FROM cognito_memberships('srv') WHERE username = 'ana'));
	return $plan =~ /Function Call: (.*)/ ? $1 : $plan;
}

# Dumps a database and restores it as another.
sub copy_database
{
	my ($from, $to) = @_;
	run('postgres', "CREATE DATABASE $to");
	command_ok([ 'pg_dump', '-f', "$directory/$to.sql", '-d', $node->connstr($from) ], "$from: pg_dump succeeds");
	command_ok(
		[ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/$to.sql", '-d', $node->connstr($to) ],
		"$from: the restore succeeds");
	return;
}

run('postgres', 'CREATE DATABASE fresh; CREATE DATABASE updated; CREATE DATABASE used;
	CREATE ROLE before; CREATE ROLE after; CREATE ROLE anybody');


# Privileges of PUBLIC

run('fresh', 'CREATE EXTENSION cognito_srf');
is(run('fresh', q(SELECT extversion FROM pg_extension WHERE extname = 'cognito_srf')),
	'1.1', 'the default version is 1.1');
is(
	run('fresh', <<'SQL'), join("\n", @writers), 'PUBLIC may execute all functions except those that write');
SELECT proname FROM pg_depend JOIN pg_proc p ON (classid, objid) = (p.tableoid, p.oid)
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND deptype = 'e'
	AND NOT has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY proname
SQL

# The update

run('updated', q(CREATE EXTENSION cognito_srf VERSION '1.0'));
is(executable('updated', 'anybody'), "@writers", 'in 1.0 every role may execute the functions that write');
is(call_of_memberships('updated'),
	"cognito_memberships('srv'::text)", 'in 1.0 the condition is not pushed down');
run('updated', 'ALTER EXTENSION cognito_srf UPDATE');
is( call_of_memberships('updated'),
	"cognito_memberships('srv'::text, 'username'::text, '='::text, '{ana}'::text[])",
	'after the update the condition is pushed down');
like(objects('fresh'), $_, "definitions are compared: $_")
  for qr/ADD DOMAIN/, qr/security_barrier/, qr/PRIMARY KEY/, qr/WHERE target IN/, qr/init_privs/, qr/COMMENT ON COLUMN/;
is(objects('updated'), objects('fresh'), 'an updated extension has the same objects as a new one');

# Symbols: sessions that still have the library of 1.0 must not execute functions of 1.1 with it

run('postgres', 'CREATE DATABASE old');
run('old', q(CREATE EXTENSION cognito_srf VERSION '1.0'));

# Returns the symbols of functions in C, with what the functions are called with.
sub symbols
{
	my ($database) = @_;
	return map { [ split /\|/ ] } split /\n/, run($database, <<'SQL');
SELECT p.prosrc, p.oid::regprocedure, s.prosrc
FROM pg_depend JOIN pg_proc p ON (classid, objid) = (p.tableoid, p.oid) LEFT JOIN pg_proc s ON s.oid = p.prosupport
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND deptype = 'e'
	AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
SQL
}

my %of_1_0 = map { ($_->[0] => $_->[1]) } symbols('old');
my %is_old = map { ($_->[1] => 1) } symbols('old');
my @shared = grep { !$is_old{ $_->[1] } && ($of_1_0{ $_->[0] } || ($_->[2] && $of_1_0{ $_->[2] })) } symbols('fresh');
is(join("\n", map { $_->[1] } @shared), '', 'no new function has a symbol, or a support function, of 1.0');

# The objects of 1.0, before and after the update: with the new library, every function returns the
# same, and what users have created over them stays

my $cognito = Cognito->new;
my @calls = (
	q(cognito_users('cognito_server')),
	q(cognito_users('cognito_server', 'name ^= "A"', 5)),
	q(cognito_users('cognito_server', 'email', '^=', '{ana,liam}')),
	q(cognito_filter('name', '^=', 'A"b')),
	q(cognito_default_server()),
	q(cognito_groups('cognito_server')),
	q(cognito_group_users('cognito_server', 'editors')),
	q(cognito_user_groups('cognito_server', 'ana.sato')),
	q(cognito_memberships('cognito_server')),
	q(cognito_memberships('cognito_server', 'username', '{ana.sato,hana.sato}')),
	q(cognito_add_user_to_group('cognito_server', 'ana.sato', 'admins')),
	q(cognito_remove_user_from_group('cognito_server', 'ana.sato', 'admins')),
	q(cognito_user_pools('cognito_server')),
	q(cognito_user_pool('cognito_server')),
	q(cognito_app_clients('cognito_server')),
	q(cognito_app_client('cognito_server', '1example23456789')),
	q(cognito_identity_providers('cognito_server')),
	q(cognito_identity_pools('cognito_server')),
	q(cognito_identity_pool('cognito_server')),
	q(cognito_identity_pool('cognito_server', 'eu-west-1:11111111-2222-4333-8444-555555555555')),
	q(cognito_identities('cognito_server')),
	q(cognito_identities('cognito_server', 'eu-west-1:11111111-2222-4333-8444-555555555555')),
	q((SELECT server_name FROM cognito_statistics())));

# Returns the rows of a relation or a function call of a database.
sub rows
{
	my ($database, $source) = @_;
	return run($database, "SELECT r.* FROM $source AS r ORDER BY r::text");
}

# Returns the definitions and the rows of all views that are not the extension's.
sub views_of_users
{
	my ($database) = @_;
	my $views = run($database,
		q(SELECT oid::regclass, pg_get_viewdef(oid) FROM pg_class WHERE relname ~ '^of_' ORDER BY relname));
	my @names = $views =~ /^(of_\w+)\|/mg;
	return join "\n", $views, map { "$_: " . rows($database, $_) } grep { !/statistics/ } @names;
}

run('postgres', 'CREATE DATABASE viewed');
run('viewed', q(CREATE EXTENSION cognito_srf VERSION '1.0'));
for my $database ('viewed', 'fresh')
{
	local $Cognito::DATABASE = $database;
	$cognito->create_server($node, 'cognito_server',
		identity_pool_id => 'eu-west-1:11111111-2222-4333-8444-555555555555',
		identity_endpoint_url => $cognito->url);
}
is(rows('viewed', $_), rows('fresh', $_), "under the script of 1.0: $_") for @calls;
is( run('viewed', q(CREATE SCHEMA demo; SELECT count(*) FROM cognito_create_views('cognito_server', 'demo'))),
	10, 'under the script of 1.0: cognito_create_views');

run('viewed', "CREATE VIEW of_call_$_ AS SELECT r.* FROM $calls[$_] AS r") for grep { $calls[$_] !~ /_(add|remove)_/ } 0 .. $#calls;
run('viewed', <<'SQL');
SELECT format('CREATE VIEW of_%1$s AS SELECT * FROM %1$I', relname) FROM pg_depend JOIN pg_class c ON objid = c.oid
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND relkind = 'v' \gexec
SQL
my $before = views_of_users('viewed');
cmp_ok(scalar(() = $before =~ /^of_\w+\|/mg), '>=', 30, 'there are views over all objects of 1.0');
run('viewed', 'ALTER EXTENSION cognito_srf UPDATE');
is(views_of_users('viewed'), $before, 'views of users survive the update, and return the same');

# Grants, and a dump of them

run('used', <<"SQL");
CREATE EXTENSION cognito_srf VERSION '1.0';
GRANT EXECUTE ON FUNCTION $writers TO before;
REVOKE EXECUTE ON FUNCTION cognito_groups(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION cognito_groups(text) TO before;
ALTER EXTENSION cognito_srf UPDATE;
GRANT EXECUTE ON FUNCTION $writers TO after;
SQL
copy_database('used', 'copied');
for my $database ('used', 'copied')
{
	for ([ 'before', "@writers" ], [ 'after', "@writers" ], [ 'anybody', '' ])
	{
		my ($role, $expected) = @$_;
		is(executable($database, $role), $expected, "$database: functions that write which role \"$role\" may execute");
	}
}
is(objects('copied'), objects('used'), 'a restored dump has the same objects and privileges');

# Roles with grants can be dropped
run($_, 'DROP OWNED BY before, after') for 'used', 'copied';
run('postgres', 'DROP ROLE before, after');
is(executable('used', 'anybody'), '', 'roles with grants can be dropped');


# The update, which a superuser runs, uses no object that another role has created in the
# extension's schema

run('postgres', 'CREATE DATABASE hostile');
run('postgres', 'CREATE ROLE eve');
run('hostile', "CREATE SCHEMA ext; GRANT CREATE, USAGE ON SCHEMA ext TO eve;
	CREATE EXTENSION cognito_srf SCHEMA ext VERSION '1.0'; SET ROLE eve;");
my @types = ('oid, regclass', 'oid, regprocedure', 'oid, oid', 'name, name', '"char", "char"', '"char", text');
for my $i (0 .. $#types)
{
	my ($left, $right) = split /, /, $types[$i];
	run('hostile', qq{SET ROLE eve;
		CREATE FUNCTION ext.evil$i($left, $right) RETURNS boolean LANGUAGE plpgsql COST 0.000001 AS \$\$
		BEGIN
			IF (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
				EXECUTE 'ALTER ROLE eve SUPERUSER';
			END IF;
			RETURN pg_catalog.texteq(\$1::text, \$2::text);
		END \$\$;
		CREATE OPERATOR ext.= (LEFTARG = $left, RIGHTARG = $right, FUNCTION = ext.evil$i)});
}
run('hostile', 'ALTER EXTENSION cognito_srf UPDATE');
is(run('hostile', "SELECT rolsuper FROM pg_roles WHERE rolname = 'eve'"), 'f',
	"the update does not use other roles' operators in the extension's schema");

done_testing();
