# Synchronization of users into a table: where it can be called, its record, and what a session keeps of it.
use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use SyncPool;
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', 'autovacuum = off');
my $pool = SyncPool->new($cognito, $node, 'eu-west-1_Contexts', 320, max_concurrent_requests => 4);
my $counts = q{inserted => i, updated => u, deleted => d, unchanged => n};
my $call = "CALL cognito_sync_users('srv', 'users', $counts)";
my $declare = 'i bigint; u bigint; d bigint; n bigint;';

$node->safe_psql('postgres', qq{
	CREATE TABLE users (sub uuid NOT NULL UNIQUE, username text, email text, created_at timestamptz, deleted_at timestamptz);
	CREATE PROCEDURE twice() LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN
		$call; RAISE NOTICE '% inserted', i; $call; RAISE NOTICE '% unchanged', n; END \$\$;
	CREATE PROCEDURE definer() SECURITY DEFINER LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN $call; END \$\$;
	CREATE PROCEDURE with_setting() SET work_mem = '1MB' LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN $call; END \$\$;
	CREATE PROCEDURE caught() LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN
		BEGIN $call; EXCEPTION WHEN invalid_text_representation THEN NULL; END; END \$\$;
	CREATE FUNCTION in_function() RETURNS void LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN $call; END \$\$;
	CREATE TABLE triggering (a int);
	CREATE FUNCTION in_trigger() RETURNS trigger LANGUAGE plpgsql AS \$\$ DECLARE $declare BEGIN $call; RETURN NULL; END \$\$;
	CREATE TRIGGER call AFTER INSERT ON triggering EXECUTE FUNCTION in_trigger()});

# Where it cannot commit
$cognito->clear_requests;
my %atomic = (
	'a transaction block' => 'BEGIN; ' . $pool->statement('users'),
	'a subtransaction' => 'BEGIN; SAVEPOINT s; ' . $pool->statement('users'),
	'a SECURITY DEFINER procedure' => 'CALL definer()',
	'a procedure with SET' => 'CALL with_setting()',
	'a block with an exception handler' => 'CALL caught()',
	'a function' => 'SELECT in_function()',
	'a trigger' => 'INSERT INTO triggering VALUES (1)');
for my $name (sort keys %atomic)
{
	like(Cognito::error_of($node, $atomic{$name}), qr/ERROR:  25001: cognito_sync_users cannot be called inside a transaction block/, "in $name");
}
my ($code, $out, $err) = $node->psql('postgres', undef, extra_params => [ '-c', 'SELECT 1; ' . $pool->statement('users') ]);
like($err, qr/cannot be called inside a transaction block/, 'in a list of statements');
like(Cognito::error_of($node, "SET default_transaction_read_only = on; " . $pool->statement('users')), qr/ERROR:  25006/, 'in a read-only transaction');
is(scalar(() = $cognito->requests), 0, 'none of these calls has sent a request');

# Where it can
is($node->safe_psql('postgres', 'TRUNCATE users') . do { my ($c, $o, $e) = $node->psql('postgres', 'CALL twice()'); $e =~ s/^.*NOTICE:  //mgr }, "320 inserted\n320 unchanged", 'twice in a procedure');
is($node->safe_psql('postgres', "DO \$\$ DECLARE $declare BEGIN $call; COMMIT; $call; ROLLBACK; END \$\$; " . $pool->statement('users')), '0|0|0|320', 'in DO');
my $script = PostgreSQL::Test::Utils::tempdir() . '/call.sql';
append_to_file($script, $pool->statement('users') . ";\n");
for my $protocol (qw(simple extended prepared))
{
	$node->safe_psql('postgres', 'DELETE FROM users');
	$node->command_ok([ 'pgbench', '-n', '-M', $protocol, '-t', 3, '-f', $script, 'postgres' ], "the protocol $protocol");
	is($pool->differences('users'), 0, 'all rows');
}

# Rows that spill to a file, and are read by several statements
is($node->safe_psql('postgres', q{DELETE FROM users; SET work_mem = '64kB'; SET log_temp_files = 0; } . $pool->statement('users') . '; ' . $pool->statement('users')),
	"320|0|0|0\n0|0|0|320", 'rows in a temporary file');

# What a session keeps
my ($session, $pid) = Cognito::session_with_pid($node);
my $kept = sub { return Cognito::query($session, q{SELECT sum(total_bytes) FROM pg_backend_memory_contexts WHERE name NOT LIKE '%cache%'}) };
my $files = sub { return Cognito::query($session, "SELECT count(*) FROM pg_ls_dir('/proc/self/fd')") };
Cognito::query($session, "SET cognito_srf.progress_interval = 0; SET work_mem = '64kB'; " . $pool->statement('users') . ';' . $pool->statement('no_table') . ';' . $pool->statement('users'));
my ($bytes, $descriptors) = ($kept->(), $files->());
Cognito::query($session, join ';', ($pool->statement('users')) x 20);
cmp_ok($kept->(), '<=', $bytes + 8192, 'no memory is left by 20 calls');
cmp_ok($files->(), '<=', $descriptors, 'nor a file');
$cognito->faults({ operation => 'ListUsers', skip => 10, times => -1, error => 'InvalidParameterException' });
Cognito::query($session, join ';', ($pool->statement('users')) x 20);
cmp_ok($kept->(), '<=', $bytes + 8192, 'nor by 20 errors');
cmp_ok($files->(), '<=', $descriptors, 'nor a file');
$cognito->faults;
is(Cognito::query($session, q{SELECT calls, errors FROM cognito_statistics WHERE server_name = 'srv'}), '42|20', 'each CALL is counted once');
$session->quit;

# max_age, and clocks that are wrong
$pool->call('users');
my $requests = sub { my ($age) = @_; my ($r, @requests) = $cognito->query_with_requests($node, $pool->statement('users', "max_age => '$age'")); return scalar @requests };
is($requests->('1 hour'), 0, 'all partitions are recent');
is($requests->('-1 hour'), 16, 'a negative max_age');
is($requests->('1 month'), 0, 'a month');
$node->safe_psql('postgres', q{UPDATE cognito_sync_partitions SET synced_at = now() + interval '1 year' WHERE partition < '4'});
is($requests->('1 hour'), 4, 'a time in the future does not count');
$node->safe_psql('postgres', q{UPDATE cognito_sync_partitions SET user_pool_id = 'eu-west-1_Other' WHERE partition < '2'});
is($requests->('1 hour'), 2, 'nor does another user pool');

# max_deleted
delete $pool->{users}{$_} for 16, 32;
$pool->fill;
like($pool->error('users', q{deletions => 'delete'}, 'max_deleted => 0.0999'), qr/ERROR:  55000: .*In partition "0", 2 of 20 users are not listed/s, 'more than max_deleted');
like($pool->error('users', q{deletions => 'mark'}, 'max_deleted => 0'), qr/ERROR:  55000/, 'max_deleted is 0');
is($pool->call('users', q{deletions => 'mark'}, 'max_deleted => 0.1'), '0|0|2|318', 'exactly max_deleted');
is($pool->call('users', q{deletions => 'mark'}, 'max_deleted => 0'), '0|0|0|318', 'rows that are marked do not count');
$pool->set(16);
$pool->fill;
for (1 .. 2)
{
	is($pool->call('users', q{deletions => 'mark'}), '0|1|0|318', 'a user who reappears');
	delete $pool->{users}{16};
	$pool->fill;
	is($pool->call('users', q{deletions => 'mark'}), '0|0|1|318', 'and is gone again');
	$pool->set(16);
	$pool->fill;
}
is($pool->call('users', q{deletions => 'delete'}, 'max_deleted => 1'), '0|0|1|319', 'a row that is marked can be deleted');

# Dump and restore
$node->safe_psql('postgres', 'CREATE TABLE kept (sub uuid UNIQUE, username text)');
$pool->call('kept');
my $temporary = Cognito::session($node);
Cognito::query($temporary, 'CREATE TEMPORARY TABLE mine (sub uuid UNIQUE); ' . $pool->statement('mine'));
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, 'postgres' ], 'pg_dump, while a temporary table is synchronized');
$temporary->quit;
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, 'restored' ], 'restore');
is($node->safe_psql('restored', qq{SELECT target, count(*) FROM cognito_syncs WHERE user_pool_id = 'eu-west-1_Contexts' GROUP BY 1 ORDER BY 1::text}), "kept|16\nusers|16", 'the record is that of the new tables');
$node->safe_psql('postgres', 'CREATE ROLE dumper LOGIN; GRANT pg_read_all_data TO dumper');
$node->command_ok([ 'pg_dump', '-U', 'dumper', '-f', $dump, 'postgres' ], 'pg_dump by a role of pg_read_all_data');
is($node->safe_psql('postgres', q{DROP TABLE kept; SELECT count(*) FROM cognito_syncs WHERE target::text ~ '^([0-9]+|kept|pg_temp.*)$'}), 0, 'a dropped table is not shown');
$pool->call('users');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT target::text, ',') FROM cognito_sync_partitions}), 'users', 'and its record is deleted');

# Errors in a database of another encoding
{
	$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'});
	$node->safe_psql('latin', 'CREATE EXTENSION cognito_srf; CREATE TABLE users (sub uuid UNIQUE, email text, "custom:int" int)');
	local $Cognito::DATABASE = 'latin';
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Contexts');
	$pool->set(5, 'custom:int' => 'many');
	$pool->{users}{5}{Username} = 'Zoë';
	$pool->fill;
	like($pool->error('users'), qr/ERROR:  22P02: .*CONTEXT:  column "custom:int" of user "Zo/s, 'an error names the user in LATIN1');
	$pool->{users}{5}{Username} = 'Čapek';
	$pool->fill;
	like($pool->error('users'), qr/ERROR:  22P05: /, 'a name that LATIN1 lacks');
}

is_deeply([ $cognito->violations ], [], 'all requests were well-formed');
done_testing();
