# Synchronization of users into a table: targets of every kind, values that conflict, listings that lie.
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
my $pool = SyncPool->new($cognito, $node, 'eu-west-1_Conflicts', 160, max_concurrent_requests => 4);
my $email = sub { my ($table) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(email::text, ',' ORDER BY username) FROM $table
		WHERE username IN ('user18', 'user23', 'user29')") };
my $swapped = 'user23@example.com,user29@example.com,user18@example.com';

# Exchanges the values of an attribute among three users of three partitions, then restores them.
sub rotate
{
	my ($attribute, @values) = @_;
	my %next = (18 => $values[1], 23 => $values[2], 29 => $values[0]);
	$pool->set($_, $attribute => $next{$_}) for keys %next;
	$pool->fill;
	return;
}
sub rotate_email { return rotate('email', map { "user$_\@example.com" } 18, 23, 29) }
sub restore { $pool->set($_) for 18, 23, 29; $pool->fill; return }

$node->safe_psql('postgres', q{
	CREATE EXTENSION citext;
	CREATE DOMAIN required AS text NOT NULL CHECK (VALUE <> '')});

# Values that change places, whatever finds the conflict
my %constraints = (
	'a unique constraint' => 'email text UNIQUE',
	'a unique constraint on a column that is not null' => 'email text NOT NULL UNIQUE',
	'a unique constraint on citext that is not null' => 'email citext NOT NULL UNIQUE',
	'a deferrable constraint' => 'email text UNIQUE DEFERRABLE',
	'a deferred constraint' => 'email text UNIQUE DEFERRABLE INITIALLY DEFERRED',
	'an exclusion constraint' => 'email text, EXCLUDE USING hash (email WITH =)',
	'a deferred exclusion constraint' => 'email text, EXCLUDE USING hash (email WITH =) DEFERRABLE INITIALLY DEFERRED');
for my $name (sort keys %constraints)
{
	restore();
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS target; CREATE TABLE target (sub uuid NOT NULL UNIQUE, username text, $constraints{$name})");
	is($pool->call('target'), '160|0|0|0', "$name: the first call");
	rotate_email();
	is($pool->error('target'), '', "$name: three addresses change places between partitions");
	is($email->('target'), $swapped, "$name: the addresses");
}
for my $index ('(lower(email))', '((email || username))')
{
	restore();
	$node->safe_psql('postgres', "DROP TABLE IF EXISTS target; CREATE TABLE target (sub uuid NOT NULL UNIQUE, username text, email text NOT NULL);
		CREATE UNIQUE INDEX ON target $index");
	$pool->call('target');
	rotate_email();
	is($pool->error('target'), '', "an index on the expression $index");
	is($email->('target'), $swapped, 'the addresses');
}
restore();
$node->safe_psql('postgres', q{CREATE TABLE numbered (sub uuid UNIQUE, username text, "custom:number" int UNIQUE)});
rotate('custom:number', 1, 2, 3);
$pool->call('numbered');
rotate('custom:number', 2, 3, 1);
is($pool->error('numbered'), '', 'numbers change places');
is($node->safe_psql('postgres', q{SELECT string_agg("custom:number"::text, ',' ORDER BY username) FROM numbered WHERE "custom:number" IS NOT NULL}),
	'3,1,2', 'the numbers');
restore();

# A row that the application inserts at the same time
$node->safe_psql('postgres', 'DROP TABLE target; CREATE TABLE target (sub uuid NOT NULL UNIQUE, username text, email text)');
my $application = Cognito::session($node);
Cognito::query($application, "BEGIN; INSERT INTO target (sub) VALUES ('" . SyncPool::sub_of(1) . "')");
my $session = Cognito::start($node, $pool->statement('target'));
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'});
Cognito::query($application, 'COMMIT');
$application->quit;
is(Cognito::finish($session), '159|1|0|0', 'a row that the application inserts at the same time is updated');
is($pool->differences('target'), 0, 'all rows');

# Errors inside of triggers
$node->safe_psql('postgres', q{
	DROP TABLE target; CREATE TABLE target (sub uuid NOT NULL UNIQUE, username text, email text);
	CREATE TABLE audit (id int UNIQUE);
	CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (1); RETURN NULL; END $$;
	CREATE TRIGGER audit AFTER INSERT ON target FOR EACH ROW EXECUTE FUNCTION audit()});
like($pool->error('target'), qr/ERROR:  23505: .*"audit_id_key"/, 'a unique violation that a trigger causes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM target'), 0, 'nothing is written');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_locks WHERE locktype = 'object'}), 0, 'and nothing locked');

# Users that are listed twice
for my $type ('uuid', 'text')
{
	$node->safe_psql('postgres', "DROP TABLE target; CREATE TABLE target (sub $type NOT NULL UNIQUE, username text, email text)");
	$pool->fill($pool->{users}{3}, Cognito->user('other', Attributes => [ { Name => 'sub', Value => SyncPool::sub_of(4) } ]));
	is($pool->error('target'), '', "users that are listed twice are inserted once ($type)");
	is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT sub) FROM target'), '160|160', 'each has a row');
	$node->safe_psql('postgres', 'UPDATE target SET email = NULL');
	is($pool->error('target'), '', 'and updated');
}
$pool->fill;

# Replies that lie
my $reply = sub { my ($user) = @_;
	$cognito->faults({ operation => 'ListUsers', times => -1, reply => { body => JSON::PP->new->utf8->encode({ Users => [ $user ] }) } });
	my $error = $pool->error('target', q{deletions => 'delete'}, 'max_deleted => 1');
	$cognito->faults;
	return $error };
$node->safe_psql('postgres', q{DROP TABLE target; CREATE TABLE target (sub text NOT NULL UNIQUE, username text, email text, created_at timestamptz)});
$pool->call('target');
my @sub = { Name => 'sub', Value => SyncPool::sub_of(16) };
like($reply->(Cognito->user('liar', Attributes => [ @sub, { Name => 'email', Value => 5 } ])), qr/ERROR:  HV000: .*"Value" is not a string/s, 'a value that is a number');
like($reply->(Cognito->user('liar', Attributes => [ @sub, { Name => 'email', Value => 'a' }, { Name => 'email', Value => 'b' } ])), qr/ERROR:  HV000: .*the same attribute twice/s, 'an attribute twice');
like($reply->(Cognito->user('liar', Attributes => [ @sub, 5 ])), qr/ERROR:  HV000: .*"Name" is not a string/s, 'an attribute that is no object');
like($reply->(Cognito->user('liar', Attributes => { Name => 'sub', Value => 'f' })), qr/ERROR:  HV000: /, 'attributes that are no list');
like($reply->(Cognito->user('liar', Attributes => [])), qr/ERROR:  HV000: /, 'a user without sub');
like($reply->(Cognito->user('liar', Attributes => [ { Name => 'sub', Value => 'X' } ])), qr/ERROR:  HV000: /, 'a sub that is no UUID');
like($reply->(Cognito->user("li\0ar", Attributes => [ @sub ])), qr/ERROR:  22P05: /, 'a NUL');
is($pool->differences('target'), 0, 'none of them has been written');
$cognito->faults({ operation => 'ListUsers', times => -1, reply => { body => '{"Users": []}' } });
like($pool->error('target', q{deletions => 'delete'}), qr/ERROR:  55000: synchronization would delete too many rows.*10 users are not listed/s, 'an empty listing deletes nobody');
$cognito->faults;
is($pool->differences('target'), 0, 'all rows are there');
my $large = 'x' x 900_000;
$pool->set(5, email => $large);
$pool->fill;
is($pool->call('target'), '0|1|0|159', 'a value of 1 MB');
is($pool->call('target'), '0|0|0|160', 'is compared, too');
$pool->set(5);
$pool->fill;

# Columns and targets of other kinds
$node->safe_psql('postgres', q{
	CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
	CREATE TYPE pair AS (a int, b text);
	CREATE TABLE collated (sub text COLLATE "C" UNIQUE, username text COLLATE "C", email text COLLATE nocase, "custom:pair" pair);
	CREATE TABLE quoted (sub uuid UNIQUE, username text, email text, "custom:a""b" text, "custom:x'; --" text, "SUB" text, "Sub" int);
	CREATE TABLE parent (sub uuid UNIQUE, username text, email text);
	CREATE TABLE child (extra int) INHERITS (parent);
	CREATE TABLE nested (sub uuid UNIQUE, username text, email text) PARTITION BY RANGE (sub);
	CREATE TABLE nested_low PARTITION OF nested FOR VALUES FROM (MINVALUE) TO ('80000000-0000-0000-0000-000000000000') PARTITION BY HASH (sub);
	CREATE TABLE nested_low0 PARTITION OF nested_low FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE nested_low1 PARTITION OF nested_low FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE nested_high PARTITION OF nested FOR VALUES FROM ('80000000-0000-0000-0000-000000000000') TO (MAXVALUE);
	CREATE UNLOGGED TABLE unlogged (sub uuid UNIQUE, username text, email text);
	CREATE TABLE "Quoted ""name""" (sub uuid UNIQUE, username text, email text)});
$pool->set(6, 'custom:a"b' => 'quoted', "custom:x'; --" => 'injected', 'custom:pair' => '(1,x)');
$pool->fill;
for my $table (qw(collated quoted parent nested unlogged), '"Quoted ""name"""')
{
	is($pool->error($table), '', "target $table");
	is($pool->differences($table), 0, 'its rows');
	is($pool->call($table), '0|0|0|160', 'a second call changes nothing');
}
is($node->safe_psql('postgres', q{SELECT "custom:a""b", "custom:x'; --" FROM quoted WHERE username = 'user6'}), 'quoted|injected', 'quoted columns');
$node->safe_psql('postgres', q{WITH moved AS (DELETE FROM ONLY parent WHERE username < 'user2' RETURNING *) INSERT INTO child SELECT * FROM moved});
is($pool->call('parent'), '0|0|0|160', 'rows of children belong to their parent');
$node->safe_psql('postgres', q{CREATE TABLE folded (sub text COLLATE nocase UNIQUE, username text, email text, created_at timestamptz);
	INSERT INTO folded VALUES ('AB', 'mine', NULL, '2000-01-01')});
is($pool->call('folded', q{deletions => 'delete', max_deleted => 1}), '160|0|0|0', 'a collation that ignores case: letters of partitions are lower-case');
is($node->safe_psql('postgres', q{SELECT count(*) FROM folded WHERE username = 'mine'}), 1, 'a row of no partition is kept');
is($node->safe_psql('postgres', q{CREATE TEMPORARY TABLE mine (sub uuid UNIQUE, username text);} . $pool->statement('mine') . ';' . $pool->statement('mine')),
	"160|0|0|0\n0|0|0|160", 'a temporary table');
like($node->psql('postgres', q{CREATE TEMPORARY TABLE mine (sub uuid UNIQUE) ON COMMIT DROP;} . $pool->statement('mine')) // '', qr/./, 'a temporary table that is dropped');

# A domain whose constraint itself reads Cognito, while users are listed; errors in it are caught
$node->safe_psql('postgres', q{
	CREATE FUNCTION is_listed(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
		IF $1 = 'user7' THEN
			BEGIN PERFORM * FROM cognito_users('srv', 'wrong'); EXCEPTION WHEN OTHERS THEN NULL; END;
		END IF;
		RETURN (SELECT count(*) = 160 FROM cognito_users('srv')); END $$;
	CREATE DOMAIN listed AS text CHECK (is_listed(VALUE));
	CREATE TABLE reentrant (sub uuid UNIQUE, username listed, email text)});
is($pool->call('reentrant'), '160|0|0|0', 'a domain that reads Cognito');
is($pool->differences('reentrant'), 0, 'its rows');

# Targets that are refused before a request
$node->safe_psql('postgres', q{
	CREATE EXTENSION file_fdw;
	CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
	CREATE FOREIGN TABLE remote (sub uuid) SERVER files OPTIONS (filename '/dev/null');
	CREATE MATERIALIZED VIEW stored AS SELECT sub FROM parent;
	CREATE VIEW computed AS SELECT sub, upper(email) AS email FROM quoted;
	CREATE VIEW replaced AS SELECT sub, email FROM quoted;
	CREATE RULE replaced AS ON INSERT TO replaced DO INSTEAD NOTHING;
	CREATE VIEW triggered AS SELECT DISTINCT sub, email FROM quoted;
	CREATE TRIGGER audit INSTEAD OF INSERT OR UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION audit();
	CREATE TABLE generated (sub uuid GENERATED ALWAYS AS ('00000000-0000-0000-0000-000000000000'::uuid) STORED UNIQUE)});
$cognito->clear_requests;
like($pool->error('remote'), qr/ERROR:  42809/, 'a foreign table');
like($pool->error('stored'), qr/ERROR:  42809/, 'a materialized view');
like($pool->error('computed'), qr/ERROR:  0A000/, 'a view of expressions');
like($pool->error('replaced'), qr/ERROR:  (0A000|55000)/, 'a view with a rule');
like($pool->error('triggered'), qr/ERROR:  (0A000|55000|42P10)/, 'a view with triggers');
like($pool->error('generated'), qr/ERROR:  42804/, 'a generated key');
like($pool->error('pg_class'), qr/ERROR:  42703/, 'a catalog');
like($pool->error('cognito_sync_partitions'), qr/ERROR:  42703/, 'the record');
like($pool->error('123456789'), qr/ERROR:  42P01/, 'no table');
is(scalar(() = $cognito->requests), 0, 'none of these calls has sent a request');

# Privileges on columns
$node->safe_psql('postgres', q{
	CREATE ROLE worker;
	GRANT USAGE ON FOREIGN SERVER srv TO worker;
	CREATE TABLE secretive (sub uuid UNIQUE, username text, email text, created_at timestamptz, deleted_at timestamptz, gender text GENERATED ALWAYS AS ('x') STORED, password text);
	GRANT SELECT (sub, username, email, created_at, deleted_at), INSERT (sub, username, email, created_at, deleted_at),
		UPDATE (sub, username, email, created_at, deleted_at), DELETE ON secretive TO worker});
for my $deletions (qw(keep mark delete))
{
	is(Cognito::error_of($node, 'SET ROLE worker; ' . $pool->statement('secretive', "deletions => '$deletions'")), '',
		"privileges on the columns that are used suffice ($deletions)");
}

is_deeply([ $cognito->violations ], [], 'all requests were well-formed');
done_testing();
