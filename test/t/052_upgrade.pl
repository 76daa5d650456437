# Upgrade from 1.0: the same objects and privileges as with a new installation; grants survive the
# update, and a dump.
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

# Returns the extension's objects with their privileges.
sub objects
{
	my ($database) = @_;
	return run($database, <<'SQL');
SELECT pg_describe_object(d.classid, d.objid, 0), proacl, relacl,
	coalesce(i.initprivs, proacl, relacl) FROM pg_depend d
LEFT JOIN pg_proc p ON (d.classid, d.objid) = (p.tableoid, p.oid)
LEFT JOIN pg_class c ON (d.classid, d.objid) = (c.tableoid, c.oid)
LEFT JOIN pg_init_privs i ON (d.classid, d.objid) = (i.classoid, i.objoid)
WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cognito_srf') AND d.deptype = 'e'
ORDER BY 1
SQL
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
is(objects('updated'), objects('fresh'), 'an updated extension has the same objects and privileges as a new one');

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
