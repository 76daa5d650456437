# Synchronization of users into a table: interruptions in every phase, other sessions, what is held meanwhile.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use SyncPool;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', 'autovacuum = off', 'restart_after_crash = on', 'work_mem = 64kB', 'log_min_messages = warning');
my $pool = SyncPool->new($cognito, $node, 'eu-west-1_Interrupted', 320, max_concurrent_requests => 4);

# Delays pages: the first ones of a batch are fast, the others not.
sub delay { my ($skip, $seconds) = @_; return $cognito->faults({ operation => 'ListUsers', skip => $skip, times => -1, delay => $seconds }) }

# Empties the tables and the record.
sub clear { return $node->safe_psql('postgres', 'TRUNCATE users, changes; DELETE FROM cognito_sync_partitions') }

# Starts a call with a session; returns the session and its pid.
sub start_call
{
	my ($table, $before) = @_;
	my ($session, $pid) = Cognito::session_with_pid($node);
	Cognito::query($session, $before) if defined $before;
	Cognito::begin($session, $pool->statement($table));
	return ($session, $pid);
}

# Waits until a query returns true.
sub wait_until { return $node->poll_query_until('postgres', "SELECT $_[0]") || die "not reached: $_[0]" }

# Waits until the call of a session has ended; returns its output.
sub end
{
	my ($session) = @_;
	eval { $session->{run}->pump until $session->{stderr} =~ /ended|terminat|closed/ };
	return $session->{stderr};
}

# Checks that the rows are those of the partitions in the record, nothing is locked, and a next call completes them.
sub check_resumed
{
	my ($name) = @_;
	wait_until(q{count(*) = 0 FROM pg_locks WHERE locktype = 'object' AND mode = 'ExclusiveLock'});
	is($node->safe_psql('postgres', q{SELECT
			(SELECT coalesce(string_agg(DISTINCT left(sub::text, 1), '' ORDER BY left(sub::text, 1)), '') FROM users)
			= (SELECT coalesce(string_agg(partition, '' ORDER BY partition), '') FROM cognito_syncs WHERE target = 'users'::regclass)}), 't',
		"$name: the record is that of the rows");
	my $recorded = $node->safe_psql('postgres', q{SELECT count(*) FROM cognito_syncs WHERE target = 'users'::regclass});
	my ($result, @requests) = $cognito->query_with_requests($node, $pool->statement('users', q{max_age => '1 hour'}));
	is(scalar @requests, 16 - $recorded, "$name: the next call requests only the other partitions");
	is($pool->differences('users'), 0, "$name: all rows are there");
	return;
}

$node->safe_psql('postgres', q{
	CREATE TABLE users (sub uuid NOT NULL UNIQUE, username text, email text, created_at timestamptz);
	CREATE TABLE changes (sub uuid);
	CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'failed'; END $$});

# Phases: what makes a call stay in one, and how that is seen
my %phases = (
	'listing' => { before => sub { delay(6, 60) }, seen => q{count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'CALL%' AND state = 'active' AND (SELECT count(*) = 4 FROM cognito_syncs)}, partitions => 4 },
	'a statement' => { before => sub { $node->safe_psql('postgres', q{CREATE TRIGGER slow AFTER INSERT ON users FOR EACH ROW WHEN (NEW.sub > '90000000-0000-0000-0000-000000000000') EXECUTE FUNCTION slow()}) },
		seen => q{count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, partitions => 8 },
	'commit' => { before => sub { $node->safe_psql('postgres', q{CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.sub > '50000000-0000-0000-0000-000000000000') EXECUTE FUNCTION slow()}) },
		seen => q{count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}, partitions => 4 });
my %interruptions = (
	cancel => sub { my ($pid) = @_; $node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)") },
	terminate => sub { my ($pid) = @_; $node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)") },
	kill => sub { my ($pid) = @_; kill 'KILL', $pid; });
for my $phase (sort keys %phases)
{
	for my $interruption (sort keys %interruptions)
	{
		my $name = "$interruption in $phase";
		clear();
		$phases{$phase}{before}->();
		my ($session, $pid) = start_call('users');
		wait_until($phases{$phase}{seen});
		$interruptions{$interruption}->($pid);
		my $output = end($session);
		like($output, qr/57014/, "$name: the error") if $interruption eq 'cancel';
		eval { $session->quit };
		$cognito->faults;
		$node->poll_query_until('postgres', 'SELECT true');
		$node->safe_psql('postgres', 'DROP TRIGGER IF EXISTS slow ON users');
		is($node->safe_psql('postgres', 'SELECT count(*) FROM cognito_syncs'), $phases{$phase}{partitions}, "$name: complete partitions stay");
		check_resumed($name);
	}
}

# statement_timeout applies to the whole call, though it commits
clear();
delay(0, 0.4);
like(Cognito::error_of($node, q{SET statement_timeout = '1s'; } . $pool->statement('users')), qr/ERROR:  57014: canceling statement due to statement timeout/, 'statement_timeout');
$cognito->faults;
check_resumed('statement_timeout');

# Errors in every phase; none keeps the table locked
for my $error (
	[ 'of a row trigger', q{CREATE TRIGGER fail BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.sub > '90000000-0000-0000-0000-000000000000') EXECUTE FUNCTION fail()}, 8 ],
	[ 'of a deferred trigger', q{CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.sub > '90000000-0000-0000-0000-000000000000') EXECUTE FUNCTION fail()}, 8 ])
{
	my ($name, $statement, $partitions) = @$error;
	clear();
	$node->safe_psql('postgres', $statement);
	like($pool->error('users'), qr/ERROR:  P0001: failed/, "an error $name");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM cognito_syncs'), $partitions, "an error $name: complete partitions stay");
	$node->safe_psql('postgres', 'DROP TRIGGER fail ON users');
	check_resumed("an error $name");
}
my $other = Cognito::session($node);
Cognito::query($other, q{BEGIN; UPDATE users SET email = email WHERE username = 'user9'});
$node->safe_psql('postgres', q{UPDATE users SET email = 'changed' WHERE username = 'user25'});
is($pool->call('users'), '0|1|0|319', 'a row that is locked does not matter if it is not written');
Cognito::query($other, q{UPDATE users SET email = 'changed' WHERE username = 'user9'});
$pool->set(9, email => 'new');
$pool->fill;
like(Cognito::error_of($node, q{SET lock_timeout = '100ms'; } . $pool->statement('users')), qr/ERROR:  55P03: canceling statement due to lock timeout/, 'lock_timeout');
Cognito::query($other, 'COMMIT');
is($pool->call('users'), '0|1|0|319', 'the next call');

# What is held while users are listed, under each isolation level
$node->safe_psql('postgres', q{CREATE DOMAIN address AS text CHECK (VALUE <> 'nobody');
	CREATE TABLE domains (sub uuid NOT NULL UNIQUE, username address, email address)});
for my $isolation ('read committed', 'repeatable read', 'serializable')
{
	delay(6, 1);
	my ($session, $pid) = start_call('domains', "SET default_transaction_isolation = '$isolation'; DELETE FROM domains");
	wait_until(q{count(*) = 4 FROM cognito_syncs WHERE target = 'domains'::regclass});
	usleep(400_000); # the first two pages of the next batch have been converted
	is($node->safe_psql('postgres', "SELECT backend_xmin IS NULL AND backend_xid IS NULL FROM pg_stat_activity WHERE pid = $pid"), 't',
		"$isolation: no snapshot is held while users are listed");
	is($node->safe_psql('postgres', "SELECT string_agg(locktype || ' ' || mode, ',') FROM pg_locks WHERE pid = $pid AND locktype <> 'virtualxid'"),
		'object ExclusiveLock', "$isolation: nor a lock, but that against other calls");
	$node->safe_psql('postgres', "INSERT INTO domains VALUES ('" . SyncPool::sub_of(15) . "', 'application')");
	$cognito->faults;
	like(end($session), qr/^ended/m, "$isolation: the call succeeds");
	$session->quit;
	is($pool->differences('domains'), 0, "$isolation: a row that was inserted meanwhile is updated");
	$node->safe_psql('postgres', 'DELETE FROM cognito_sync_partitions');
}

# What others do to the target, the server, the extension and the role while users are listed
sub meanwhile
{
	my ($statement, $before, $table) = @_;
	delay(6, 0.5);
	$node->safe_psql('postgres', q{DELETE FROM cognito_sync_partitions});
	my ($session, $pid) = start_call($table // 'users', $before);
	wait_until(q{count(*) = 4 FROM cognito_sync_partitions});
	$node->safe_psql('postgres', $statement);
	$cognito->faults;
	my $output = end($session);
	$session->quit;
	return $output;
}
like(meanwhile('ALTER TABLE users RENAME TO renamed'), qr/^ended/, 'the table is renamed');
like(meanwhile('CREATE SCHEMA elsewhere; ALTER TABLE renamed SET SCHEMA elsewhere', undef, 'renamed'), qr/^ended/, 'the table is moved');
$node->safe_psql('postgres', 'ALTER TABLE elsewhere.renamed SET SCHEMA public; ALTER TABLE renamed RENAME TO users');
like(meanwhile('ALTER TABLE users ALTER email TYPE varchar'), qr/ERROR:  55000: table public\.users was altered while users were listed/, 'a type is changed');
like(meanwhile('ALTER TABLE users DROP COLUMN email'), qr/ERROR:  55000/, 'a column is dropped');
$node->safe_psql('postgres', 'ALTER TABLE users ADD COLUMN email text');
like(meanwhile('ALTER TABLE users ADD COLUMN name text'), qr/ERROR:  55000/, 'a column is added');
like(meanwhile('ALTER TABLE users ADD COLUMN note text'), qr/^ended/, 'a column without a source is added');
like(meanwhile('DROP TABLE domains', undef, 'domains'), qr/ERROR:  42P01/, 'the table is dropped');
like(meanwhile(q{ALTER SERVER srv OPTIONS (SET user_pool_id 'eu-west-1_AbCdEf123')}), qr/ERROR:  55000: server "srv" was set to another user pool/, 'the server gets another pool');
$node->safe_psql('postgres', q{ALTER SERVER srv OPTIONS (SET user_pool_id 'eu-west-1_Interrupted')});
like(meanwhile('ALTER SERVER srv RENAME TO other'), qr/ERROR:  42704/, 'the server is renamed');
$node->safe_psql('postgres', 'ALTER SERVER other RENAME TO srv');
$node->safe_psql('postgres', 'CREATE ROLE worker; GRANT SELECT, INSERT, UPDATE ON users TO worker; GRANT USAGE ON FOREIGN SERVER srv TO worker');
like(meanwhile('REVOKE SELECT ON users FROM worker', 'SET ROLE worker'), qr/ERROR:  42501/, 'a privilege is revoked');
$node->safe_psql('postgres', 'GRANT SELECT ON users TO worker');
$cognito->clear_requests;
my $do = 'DO $do$ DECLARE n bigint; BEGIN %s ' . $pool->statement('users', 'inserted => n', 'updated => n', 'deleted => n', 'unchanged => n') . '; RAISE NOTICE $$%%$$, n; END $do$';
like(Cognito::error_of($node, sprintf $do, 'SET LOCAL ROLE worker;'), qr/ERROR:  55000: role was changed when cognito_sync_users committed/, 'SET LOCAL ROLE');
is(scalar(() = $cognito->requests), 0, 'ends before a request');
is(Cognito::error_of($node, sprintf $do, 'SET ROLE worker;'), '', 'SET ROLE does not');

# A role that replaces the schema of the extension, which it owns
$node->safe_psql('postgres', q{
	CREATE ROLE schemer;
	CREATE SCHEMA home AUTHORIZATION schemer;
	GRANT CREATE ON DATABASE postgres TO schemer;
	ALTER EXTENSION cognito_srf SET SCHEMA home;
	ALTER DATABASE postgres SET search_path = public, home, gone});
like(meanwhile(q{
	SET ROLE schemer;
	ALTER SCHEMA home RENAME TO gone;
	CREATE SCHEMA home;
	CREATE TABLE home.cognito_sync_partitions (LIKE gone.cognito_syncs, PRIMARY KEY (target, server_name, user_pool_id, partition));
	CREATE FUNCTION home.trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped as %', current_user; END $$;
	CREATE TRIGGER trap BEFORE INSERT ON home.cognito_sync_partitions FOR EACH ROW EXECUTE FUNCTION home.trap()}),
	qr/^ended/, 'the record is not written to a table of the same name');
is($node->safe_psql('postgres', 'SELECT count(*) FROM gone.cognito_syncs'), 16, 'but to that of the extension');

is_deeply([ $cognito->violations ], [], 'all requests were well-formed');
done_testing();
