# Synchronization of users into a table: every kind of change, target, privilege and error.
use strict;
use warnings;
use utf8;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', 'autovacuum = off');
my $pool = 'eu-west-1_Sync';

# The users of the pool by their number, and what a test changes in them.
my %users;

# Returns the sub of a user: the first digit is that of the number.
sub sub_of
{
	my ($number) = @_;
	return sprintf '%x4c8f2a%x-10a1-70bb-8d2e-%012x', $number % 16, $number % 16, $number;
}

# Sets a user, with attributes.
sub set_user
{
	my ($number, %attributes) = @_;
	my $user = Cognito->user("user$number");
	my %all = (sub => sub_of($number), email => "user$number\@example.com", %attributes);

	$user->{Attributes} = [ map { { Name => $_, Value => $all{$_} } } grep { defined $all{$_} } sort keys %all ];
	$users{$number} = $user;
	return;
}

# Gives the pool its users.
sub fill
{
	$cognito->pool($pool, users => [ map { $users{$_} } sort { $a <=> $b } keys %users ]);
	return;
}

# Calls cognito_sync_users with the table and other arguments; returns the counts.
sub sync
{
	my ($table, @arguments) = @_;
	return $node->safe_psql('postgres', 'CALL cognito_sync_users(' . join(', ', "'srv'", "'$table'", @arguments) . ')');
}

# Returns the error of a call.
sub sync_error
{
	my ($table, @arguments) = @_;
	return Cognito::error_of($node,
		'CALL cognito_sync_users(' . join(', ', "'srv'", "'$table'", @arguments) . ')');
}

# Checks that a table has the rows of the pool.
sub is_synchronized
{
	my ($table, $name) = @_;
	is($node->safe_psql('postgres', "SELECT count(*) FROM
			((SELECT username, email, sub::text FROM $table EXCEPT ALL
			  SELECT username, email, attributes->>'sub' FROM cognito_users('srv')) UNION ALL
			 (SELECT username, email, attributes->>'sub' FROM cognito_users('srv') EXCEPT ALL
			  SELECT username, email, sub::text FROM $table)) AS d"), 0, $name);
	return;
}

set_user($_) for 1 .. 400;
fill();
$cognito->create_server($node, 'srv', user_pool_id => $pool, max_concurrent_requests => 4);
$node->safe_psql('postgres', q{
	CREATE EXTENSION citext;
	CREATE SCHEMA app;
	CREATE TABLE app.users (
		id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		sub uuid NOT NULL UNIQUE,
		username text, email citext, enabled boolean, phone_number text, "custom:plan" text,
		created_at timestamptz, deleted_at timestamptz, note text DEFAULT 'mine',
		upper_name text GENERATED ALWAYS AS (upper(username)) STORED);
	CREATE TABLE changes (operation text, level text);
	CREATE FUNCTION record_change() RETURNS trigger LANGUAGE plpgsql AS
		$$ BEGIN INSERT INTO public.changes VALUES (TG_OP, TG_LEVEL); RETURN NULL; END $$;
	CREATE TRIGGER statements AFTER INSERT OR UPDATE OR DELETE ON app.users EXECUTE FUNCTION record_change();
	CREATE TRIGGER rows AFTER INSERT OR UPDATE OR DELETE ON app.users FOR EACH ROW EXECUTE FUNCTION record_change()});

# Every kind of change
is(sync('app.users'), '400|0|0|0', 'the first call inserts all users');
is_synchronized('app.users', 'the table has the users of the pool');
is($node->safe_psql('postgres', 'SELECT count(*), min(note), min(upper_name) FROM app.users'), '400|mine|USER1',
	'columns without a source are left alone');

$node->safe_psql('postgres', 'TRUNCATE changes');
my $versions = $node->safe_psql('postgres', 'SELECT sum(xmin::text::bigint), sum(xmax::text::bigint) FROM app.users');
is(sync('app.users'), '0|0|0|400', 'a second call changes nothing');
is($node->safe_psql('postgres', 'SELECT sum(xmin::text::bigint), sum(xmax::text::bigint) FROM app.users'), $versions,
	'it writes and locks no row');
is($node->safe_psql('postgres', 'SELECT count(*) FROM changes'), 0, 'it fires no trigger');

set_user(7, email => 'USER7@example.com', 'custom:plan' => 'gold', phone_number => '+4912345');
set_user(401);
delete $users{9};
fill();
is(sync('app.users'), '1|1|0|398', 'a changed user is updated, also if only the case of citext differs');
is($node->safe_psql('postgres', q{SELECT email, "custom:plan", phone_number, note FROM app.users WHERE username = 'user7'}),
	'USER7@example.com|gold|+4912345|mine', 'the columns of a changed user');
is($node->safe_psql('postgres', q{SELECT count(*) FROM app.users WHERE username = 'user9'}), 1, 'deletions are kept');

is(sync('app.users', q{deletions => 'mark'}), '0|0|1|400', 'a user who is gone is marked');
is($node->safe_psql('postgres', q{SELECT string_agg(username, ',') FROM app.users WHERE deleted_at IS NOT NULL}), 'user9',
	'only that user is marked');
is(sync('app.users', q{deletions => 'mark'}), '0|0|0|400', 'a marked row is not marked again');
set_user(9);
fill();
is(sync('app.users', q{deletions => 'mark'}), '0|1|0|400', 'a user who reappears is updated');
is($node->safe_psql('postgres', 'SELECT count(*) FROM app.users WHERE deleted_at IS NOT NULL'), 0, 'the mark is gone');

delete $users{$_} for 9, 10;
fill();
is(sync('app.users', q{deletions => 'delete'}), '0|0|2|399', 'users who are gone are deleted');
is_synchronized('app.users', 'the table has the users of the pool again');

# Rows that are never deleted
$node->safe_psql('postgres', q{
	INSERT INTO app.users (sub, username, email, created_at) VALUES
		('14c8f2a1-0000-4000-8000-000000000001', 'new', 'new@example.com', now()),
		('14c8f2a1-0000-4000-8000-000000000002', 'undated', 'undated@example.com', NULL)});
is(sync('app.users', q{deletions => 'delete'}), '0|0|0|399', 'rows that are new or have no date are kept');
$node->safe_psql('postgres', q{DELETE FROM app.users WHERE username IN ('new', 'undated')});

# A wrong pool
my %saved = %users;
delete $users{$_} for grep { $_ % 16 == 3 } keys %users;
fill();
my $error = sync_error('app.users', q{deletions => 'delete'});
like($error, qr/ERROR:  55000: synchronization would delete too many rows of table app\.users/, 'too many deletions are an error');
like($error, qr/In partition "3", 25 of 25 users are not listed/, 'its detail');
is($node->safe_psql('postgres', q{SELECT count(*) FROM app.users WHERE sub::text ~ '^3'}), 25, 'the rows are still there');
is(sync('app.users', q{deletions => 'delete'}, 'max_deleted => 1'), '0|0|25|374', 'max_deleted allows more');
%users = %saved;
fill();
is(sync('app.users'), '25|0|0|374', 'they come back');

# Values that change places under unique indexes
$node->safe_psql('postgres', 'CREATE UNIQUE INDEX ON app.users (email)');
my $emails = sub { return $node->safe_psql('postgres', 'SELECT string_agg(email::text, $$,$$ ORDER BY username) FROM app.users
	WHERE username IN ($$user17$$, $$user33$$, $$user2$$, $$user47$$)') };
set_user(17, email => 'user33@example.com');
set_user(33, email => 'user17@example.com');
fill();
is(sync('app.users'), '0|2|0|397', 'email addresses change places within a partition');
is($emails->(), 'user33@example.com,user2@example.com,user17@example.com,user47@example.com', 'the addresses');
set_user(2, email => 'user47@example.com');
set_user(47, email => 'user2@example.com');
fill();
is(sync('app.users'), '0|2|0|397', 'email addresses change places between partitions of different transactions');
is($emails->(), 'user33@example.com,user47@example.com,user17@example.com,user2@example.com', 'the addresses');
set_user(3, email => 'user47@example.com');
fill();
like(sync_error('app.users'), qr/ERROR:  23505: duplicate key/, 'two users with the same address are an error');
set_user(3);
fill();

# Deferred constraints
$node->safe_psql('postgres', q{
	CREATE TABLE deferred (sub uuid UNIQUE, email text UNIQUE DEFERRABLE INITIALLY DEFERRED, username text);
	CREATE TABLE alone (sub text UNIQUE)});
is(sync('deferred'), '399|0|0|0', 'a deferrable constraint');
set_user(4, email => 'user5@example.com');
fill();
like(sync_error('deferred'), qr/ERROR:  23505/, 'a deferred constraint is checked when a partition is committed');
set_user(4);
fill();
is(sync('deferred'), '0|0|0|399', 'the partition was not written');
is(sync('alone'), '399|0|0|0', 'a table of nothing but sub, as text');
is(sync('alone'), '0|0|0|399', 'which does not change');

# Partitioned tables, views, small targets
$node->safe_psql('postgres', q{
	CREATE TABLE parted (sub uuid PRIMARY KEY, username text, email text) PARTITION BY HASH (sub);
	CREATE TABLE parted0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parted1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE VIEW user_view AS SELECT sub, username, email FROM app.users;
	CREATE VIEW aggregate_view AS SELECT sub, count(*) FROM app.users GROUP BY sub;
	CREATE TABLE fresh (LIKE app.users INCLUDING ALL);
	CREATE VIEW fresh_view AS SELECT sub, username, email FROM fresh});
is(sync('parted'), '399|0|0|0', 'a partitioned table');
is_synchronized('parted', 'its rows');
is(sync('fresh_view'), '399|0|0|0', 'an updatable view');
is_synchronized('fresh_view', 'its rows');
like(sync_error('aggregate_view'), qr/ERROR:  55000: cannot update view "aggregate_view"/, 'a view that is not updatable');

# Sixteen types of columns
$node->safe_psql('postgres', q{
	CREATE DOMAIN address AS text CHECK (VALUE LIKE '%@%');
	CREATE TYPE plan AS ENUM ('free', 'gold');
	CREATE TABLE types (
		sub uuid UNIQUE, username varchar(20), email address, status name, enabled text, created_at timestamp,
		updated_at date, attributes json, "custom:int" int, "custom:big" bigint, "custom:num" numeric(6, 2),
		"custom:float" float8, "custom:bool" boolean, "custom:inet" inet, "custom:plan" plan, "custom:json" jsonb,
		"custom:list" text[], "custom:char" char(5), birthdate date, "custom:time" time, "custom:uuid" uuid, zoneinfo text)});
set_user(5, 'custom:int' => '42', 'custom:big' => '9007199254740993', 'custom:num' => '12.345', 'custom:float' => '1.5',
	'custom:bool' => 'yes', 'custom:inet' => '10.0.0.1', 'custom:plan' => 'gold', 'custom:json' => '{"a": 1}',
	'custom:list' => '{a,b}', 'custom:char' => 'abc', birthdate => '1990-05-06', 'custom:time' => '10:11',
	'custom:uuid' => sub_of(1), zoneinfo => 'Europe/Berlin');
fill();
is(sync('types'), '399|0|0|0', 'columns of many types');
is(sync('types'), '0|0|0|399', 'a second call changes none of them');
is($node->safe_psql('postgres', q{SELECT status, enabled, "custom:int", "custom:big", "custom:num", "custom:float", "custom:bool",
	"custom:inet", "custom:plan", "custom:json", "custom:list", "custom:char", birthdate, "custom:time", zoneinfo,
	attributes->>'email', updated_at FROM types WHERE username = 'user5'}),
	'CONFIRMED|t|42|9007199254740993|12.35|1.5|t|10.0.0.1|gold|{"a": 1}|{a,b}|abc  |1990-05-06|10:11:00|Europe/Berlin|user5@example.com|2023-11-14',
	'the values');
is($node->safe_psql('postgres', q{SELECT created_at = (SELECT created_at FROM cognito_users('srv', 'username = "user5"'))
	FROM types WHERE username = 'user5'}), 't', 'a timestamp is that of the session\'s time zone');
set_user(5, 'custom:int' => 'many');
fill();
$error = sync_error('types');
like($error, qr/ERROR:  22P02: invalid input syntax for type integer: "many"/, 'a value that does not fit is an error');
like($error, qr/CONTEXT:  column "custom:int" of user "user5"/, 'which names the user and the column');
set_user(5, email => 'nowhere');
fill();
like(sync_error('types'), qr/ERROR:  23514: .*CONTEXT:  column "email" of user "user5"/s, 'so does the error of a domain');
set_user(5);
$users{5}{Username} = 'a' x 30;
fill();
like(sync_error('types'), qr/ERROR:  22001: value too long.*CONTEXT:  column "username" of user "aaa/s,
	'a string that is too long is not truncated');
set_user(5);
fill();
sync('app.users');

# Targets that cannot be written: an error before any request is sent
$node->safe_psql('postgres', q{
	CREATE TABLE no_sub (username text);
	CREATE TABLE no_index (sub uuid, username text);
	CREATE TABLE partial (sub uuid, username text);
	CREATE UNIQUE INDEX ON partial (sub) WHERE username IS NOT NULL;
	CREATE TABLE expression (sub text, username text);
	CREATE UNIQUE INDEX ON expression (lower(sub));
	CREATE TABLE wrong_type (sub int UNIQUE);
	CREATE SEQUENCE numbers;
	CREATE VIEW no_index_view AS SELECT * FROM no_index;
	CREATE TABLE undated (sub uuid UNIQUE, deleted_at timestamptz);
	CREATE TABLE unmarked (sub uuid UNIQUE, created_at timestamptz)});
$cognito->clear_requests;
like(sync_error('no_sub'), qr/ERROR:  42703: table public\.no_sub has no column "sub".*HINT:  To add it, execute: ALTER TABLE public\.no_sub ADD COLUMN sub uuid NOT NULL UNIQUE;/s, 'no column sub');
like(sync_error($_), qr/ERROR:  42P10: table public\.$_ has no unique index on column "sub".*HINT:  To create one, execute: CREATE UNIQUE INDEX ON public\.$_ \(sub\);/s, "no unique index: $_")
	for qw(no_index partial expression);
like(sync_error('no_index_view'), qr/ERROR:  42P10/, 'a view of a table without a unique index');
like(sync_error('wrong_type'), qr/ERROR:  42804: column "sub" of table public\.wrong_type must be of type uuid or text/, 'sub of a wrong type');
like(sync_error('numbers'), qr/ERROR:  42809: public\.numbers is not a table or view/, 'a sequence');
like(sync_error('undated', q{deletions => 'mark'}), qr/ERROR:  42703: .* has no column "created_at".*HINT:  To add it, execute: ALTER TABLE public\.undated ADD COLUMN created_at timestamptz;/s, 'deletions without created_at');
like(sync_error('unmarked', q{deletions => 'mark'}), qr/ERROR:  42703: .* has no column "deleted_at"/, 'marks without deleted_at');
like(sync_error('alone', q{deletions => 'all'}), qr/ERROR:  22023: invalid value for argument "deletions": "all"/, 'an unknown value of deletions');
like(sync_error('alone', 'max_deleted => 2'), qr/ERROR:  22023: argument "max_deleted" must be between 0 and 1/, 'max_deleted above 1');
like(sync_error('alone', "max_deleted => 'NaN'"), qr/ERROR:  22023/, 'max_deleted is no number');
like(sync_error('alone', 'max_age => NULL'), qr/ERROR:  22004: argument "max_age" of cognito_sync_users must not be null/, 'a NULL argument');
like(Cognito::error_of($node, "BEGIN; CALL cognito_sync_users('srv', 'alone')"), qr/ERROR:  25001: cognito_sync_users cannot be called inside a transaction block/, 'a transaction block');
like(Cognito::error_of($node, "SET cognito_srf.offline = on; CALL cognito_sync_users('srv', 'alone')"), qr/ERROR:  55000: .*offline is on/, 'offline');
like(Cognito::error_of($node, "CALL cognito_sync_users('none', 'alone')"), qr/ERROR:  42704: server "none"/, 'an unknown server');

# Privileges
$node->safe_psql('postgres', q{
	CREATE ROLE worker;
	CREATE TABLE owned (sub uuid UNIQUE, username text, created_at timestamptz);
	CREATE TABLE filtered (sub uuid UNIQUE, username text);
	ALTER TABLE filtered ENABLE ROW LEVEL SECURITY;
	CREATE POLICY few ON filtered USING (username <> 'user1') WITH CHECK (username <> 'user1');
	GRANT SELECT, INSERT, UPDATE ON filtered TO worker});
my $as_worker = sub { my ($table, @arguments) = @_;
	return Cognito::error_of($node, 'SET ROLE worker; CALL cognito_sync_users(' . join(', ', "'srv'", "'$table'", @arguments) . ')') };
like($as_worker->('owned'), qr/ERROR:  42501: permission denied for table owned/, 'no privilege on the target');
$node->safe_psql('postgres', 'GRANT SELECT, INSERT, UPDATE ON owned TO worker');
like($as_worker->('owned'), qr/ERROR:  42501: permission denied for server "srv"/, 'no USAGE on the server');
is(scalar(() = $cognito->requests), 0, 'none of these calls has sent a request');
$node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER srv TO worker');
is($as_worker->('owned'), '', 'both privileges suffice');
like($as_worker->('owned', q{deletions => 'delete'}), qr/ERROR:  42501: permission denied for table owned/, 'deletions need DELETE');
like($as_worker->('filtered'), qr/ERROR:  42501: new row violates row-level security policy/, 'row-level security applies');
like(Cognito::error_of($node, 'SET ROLE worker; DELETE FROM cognito_sync_partitions'), qr/ERROR:  42501/, 'no role can change the record');
is($node->safe_psql('postgres', q{SET ROLE worker; SELECT DISTINCT target FROM cognito_syncs}), 'owned', 'a role sees the tables that it may read');

# search_path
$node->safe_psql('postgres', q{
	CREATE SCHEMA trap;
	GRANT USAGE ON SCHEMA trap TO worker;
	CREATE FUNCTION trap.hit(uuid, uuid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
	CREATE OPERATOR trap.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = trap.hit);
	CREATE FUNCTION trap."left"(text, integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
	CREATE TABLE trap.cognito_sync_rows (sub uuid)});
is(Cognito::error_of($node, q{SET search_path = trap, pg_catalog, public; CALL public.cognito_sync_users('srv', 'public.owned')}), '',
	'no name is resolved through the search_path');

# Bookkeeping
is($node->safe_psql('postgres', q{SELECT count(*), sum(unchanged), min(server_name), min(user_pool_id)
	FROM cognito_syncs WHERE target = 'app.users'::regclass}), "16|399|srv|$pool", 'a row for each partition');
$cognito->clear_requests;
is(sync('app.users', q{max_age => '1 hour'}), '0|0|0|0', 'partitions that have been synchronized lately are skipped');
is(scalar(() = $cognito->requests), 0, 'without a request');
$node->safe_psql('postgres', q{UPDATE cognito_sync_partitions SET synced_at = now() - interval '2 hours'
	WHERE target = 'app.users'::regclass AND partition IN ('0', 'f')});
my ($result, @requests) = $cognito->query_with_requests($node, q{CALL cognito_sync_users('srv', 'app.users', max_age => '1 hour')});
is($result, '0|0|0|50', 'only partitions that are due');
is_deeply([ sort map { $_->{body}{Filter} } @requests ], [ 'sub ^= "0"', 'sub ^= "f"' ], 'their requests');
$node->safe_psql('postgres', 'DROP TABLE owned');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cognito_syncs WHERE target::text ~ '^[0-9]'}), 0, 'a dropped table is no longer shown');
sync('alone');
is($node->safe_psql('postgres', q{SELECT count(*) FROM cognito_sync_partitions WHERE target::text ~ '^[0-9]'}), 0, 'and its record is deleted');

# Dump and restore
my ($dump) = run_command([ 'pg_dump', '-d', $node->connstr('postgres') ]);
like($dump, qr/COPY public\.cognito_sync_partitions .*app\.users\tsrv\t$pool\t0\t/s, 'the record is dumped');

# Two sessions
$cognito->faults({ operation => 'ListUsers', delay => 1, times => 2 });
my $session = Cognito::start($node, q{CALL cognito_sync_users('srv', 'app.users')});
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_locks WHERE locktype = 'object' AND mode = 'ExclusiveLock'});
like(sync_error('app.users'), qr/ERROR:  55P03: table app\.users is being synchronized by another session/, 'a second call fails at once');
is($node->safe_psql('postgres', 'SELECT count(*) FROM app.users'), 399, 'readers are not blocked');
is(sync('alone'), '0|0|0|399', 'another table is not locked');
is(Cognito::finish($session), '0|0|0|399', 'the first call ends');
is(sync('app.users'), '0|0|0|399', 'then a call succeeds again');
$cognito->faults;

# After an error of the service, complete partitions stay and the lock is released
$node->safe_psql('postgres', 'TRUNCATE app.users; DELETE FROM cognito_sync_partitions');
$cognito->faults({ operation => 'ListUsers', skip => 8, times => -1, error => 'InvalidParameterException' });
like(sync_error('app.users'), qr/ERROR:  22023/, 'an error after half of the partitions');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT left(sub::text, 1), '' ORDER BY left(sub::text, 1)) FROM app.users}), '01234567',
	'complete partitions stay');
$cognito->faults;
($result, @requests) = $cognito->query_with_requests($node, q{CALL cognito_sync_users('srv', 'app.users', max_age => '1 hour')});
is(scalar @requests, 8, 'the next call requests only the others');
is_synchronized('app.users', 'and completes the table');

# A crash
$node->safe_psql('postgres', 'TRUNCATE app.users; DELETE FROM cognito_sync_partitions');
$cognito->faults({ operation => 'ListUsers', skip => 9, times => -1, delay => 3 });
$session = Cognito::start($node, q{CALL cognito_sync_users('srv', 'app.users')});
$node->poll_query_until('postgres', q{SELECT count(*) >= 8 FROM cognito_syncs});
$node->stop('immediate');
$cognito->faults;
$node->start;
eval { $session->quit };
is($node->safe_psql('postgres', q{SELECT count(DISTINCT left(sub::text, 1)) = (SELECT count(*) FROM cognito_syncs) FROM app.users}), 't',
	'after a crash the record is that of the rows');
sync('app.users', q{max_age => '1 hour'});
is_synchronized('app.users', 'a call completes the table');

is_deeply([ $cognito->violations ], [], 'all requests were well-formed');
done_testing();
