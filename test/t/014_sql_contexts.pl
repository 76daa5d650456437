# A pool can be read wherever SQL allows a set-returning function.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', 'client_min_messages = error');
$cognito->create_server($node, 'srv', max_retries => 0);
$cognito->create_server($node, 'small', user_pool_id => 'eu-west-1_Users61');

my $session = Cognito::session($node);

# Checks the result of queries, all in the same session; an error fails the test.
sub returns
{
	my ($expected, $name, $queries) = @_;
	my $answer = Cognito::query($session, $queries) . $session->{stderr};
	return is($answer, $expected, $name);
}

# Faults: a refused request, and a response that is not a page.
my $denied = { error => 'AccessDeniedException' };
my $spoiled = { reply => { body => '{"Users":[{},{"Enabled":"yes"}],"PaginationToken":"next"}' } };

# The session continues after errors

Cognito::query($session, <<'SQL');
CREATE FUNCTION counted_or(instead bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE undone ();
	RETURN (SELECT count(*) FROM cognito_users('srv'));
EXCEPTION WHEN OTHERS THEN
	RETURN instead;
END $$;
SQL
for my $fault ($denied, $spoiled)
{
	my $name = join '', keys %$fault;

	$cognito->faults($fault);
	returns("-1\n300\n300", "$name: caught in PL/pgSQL, then it lists", <<'SQL');
BEGIN;
SELECT counted_or(-1);
SELECT count(*) FROM cognito_users('srv');
COMMIT;
SELECT counted_or(-1);
DROP TABLE undone;
SQL

	$cognito->faults($fault);
	my $error = Cognito::query_error($session,
		"BEGIN; SAVEPOINT before; SELECT count(*) FROM cognito_users('srv')");
	like($error, qr/^psql\S* ERROR:  (42501|HV000): /, "$name: an error");
	returns("300", "$name: rolled back to a savepoint, it lists", <<'SQL');
ROLLBACK TO before;
SELECT count(*) FROM cognito_users('srv');
COMMIT;
SQL
}

# In queries

returns('300|300', 'in a target list',
	q{SELECT count(u), count(DISTINCT (u).username) FROM (SELECT cognito_users('srv') AS u) rows});
returns('1', 'in a target list, with LIMIT',
	q{SELECT count(*) FROM (SELECT (cognito_users('srv')).username LIMIT 1) rows});
returns("300|61|18300", 'twice in one query, on different servers', q{
	SELECT count(DISTINCT a.username), count(DISTINCT b.username), count(*)
	FROM cognito_users('srv') a, cognito_users('small') b});
returns('300', 'twice in one query, on the same server', q{
	SELECT count(*) FROM cognito_users('srv') a JOIN cognito_users('srv') b
		USING (username, attributes)});
returns("small|61\nsrv|300\nsrv|300", 'LATERAL over servers', q{
	SELECT s, count(*) FROM unnest(ARRAY['srv', 'small', 'srv']) WITH ORDINALITY AS servers(s, n),
		LATERAL cognito_users(s) GROUP BY s, n ORDER BY s});
returns("300\n61\n300", 'in a prepared statement with a generic plan', <<'SQL');
SET plan_cache_mode = force_generic_plan;
PREPARE counted(text) AS SELECT count(*) FROM cognito_users($1);
EXECUTE counted('srv');
EXECUTE counted('small');
EXECUTE counted('srv');
SQL
returns("61\n1", 'a prepared statement uses the current options of the server', <<'SQL');
PREPARE small AS SELECT count(*) FROM cognito_users('small');
EXECUTE small;
ALTER SERVER small OPTIONS (SET user_pool_id 'eu-west-1_Users1');
EXECUTE small;
ALTER SERVER small OPTIONS (SET user_pool_id 'eu-west-1_Users61');
RESET plan_cache_mode;
SQL

# In a parallel plan: the table is read in parallel, the pool once, by the leader.

Cognito::query($session, <<'SQL');
CREATE TABLE visits AS
	SELECT 'user' || to_char(1 + n % 100, 'FM000000') AS username FROM generate_series(1, 100000) n;
ANALYZE visits;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SQL
my $join = "SELECT count(*) FROM visits JOIN cognito_users('small') USING (username)";
like(Cognito::query($session, "EXPLAIN $join"),
	qr/Gather.*Parallel Seq Scan on visits/s, 'a parallel plan');
$cognito->clear_requests;
returns('61000', 'in a parallel plan', $join);
is(scalar($cognito->requests), 2, 'in a parallel plan: each page is requested once');
my $forced = $node->pg_version >= 16 ? 'debug_parallel_query' : 'force_parallel_mode';
returns('61', 'where all plans that can be are parallel by force',
	"SET $forced = on;\nSELECT count(*) FROM cognito_users('small')");
Cognito::query($session, 'RESET ALL');

# In cursors

returns("5\n300\n300", 'in a cursor: part, back and all of it, and closed', <<'SQL');
BEGIN;
DECLARE users SCROLL CURSOR FOR SELECT row_number() OVER () FROM cognito_users('srv');
MOVE 4 FROM users;
FETCH 1 FROM users;
FETCH LAST FROM users;
MOVE FIRST FROM users;
FETCH ABSOLUTE 300 FROM users;
CLOSE users;
COMMIT;
SQL
returns("1\n1", 'in two cursors by turns, left open', <<'SQL');
BEGIN;
DECLARE a CURSOR FOR SELECT 1 FROM cognito_users('srv');
DECLARE b CURSOR FOR SELECT 1 FROM cognito_users('small');
FETCH a;
FETCH b;
ROLLBACK;
SQL
returns('300', 'in a cursor that outlives its transaction', <<'SQL');
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT row_number() OVER () FROM cognito_users('srv');
COMMIT;
MOVE 299 FROM held;
FETCH held;
CLOSE held;
SQL
returns('300', 'in a loop of PL/pgSQL', <<'SQL');
CREATE FUNCTION looped() RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	n int := 0;
	a_user record;
BEGIN
	FOR a_user IN SELECT * FROM cognito_users('srv') LOOP
		n := n + 1;
	END LOOP;
	RETURN n;
END $$;
SELECT looped();
SQL

# Into tables

returns('300', 'in CREATE TABLE AS', <<'SQL');
CREATE TABLE users AS SELECT * FROM cognito_users('srv');
SELECT count(*) FROM users;
SQL
returns("361\n300", 'in INSERT, rolled back', <<'SQL');
BEGIN;
INSERT INTO users SELECT * FROM cognito_users('small');
SELECT count(*) FROM users;
ROLLBACK;
SELECT count(*) FROM users;
SQL
returns("61\n1\n61", 'in a materialized view, refreshed, also concurrently', <<'SQL');
CREATE MATERIALIZED VIEW stored AS SELECT * FROM cognito_users('small');
CREATE UNIQUE INDEX ON stored (username);
SELECT count(*) FROM stored;
ALTER SERVER small OPTIONS (SET user_pool_id 'eu-west-1_Users1');
REFRESH MATERIALIZED VIEW stored;
SELECT count(*) FROM stored;
ALTER SERVER small OPTIONS (SET user_pool_id 'eu-west-1_Users61');
REFRESH MATERIALIZED VIEW CONCURRENTLY stored;
SELECT count(*) FROM stored;
SQL

$cognito->pool('eu-west-1_Spoiled', users => [ { Username => 'a' }, { Username => 1 } ]);
Cognito::query($session, "ALTER SERVER small OPTIONS (SET user_pool_id 'eu-west-1_Spoiled')");
like(Cognito::query_error($session, 'REFRESH MATERIALIZED VIEW CONCURRENTLY stored'),
	qr/HV000: unusable reply/, 'a refresh that fails');
returns('61', 'a refresh that fails keeps the previous rows', 'SELECT count(*) FROM stored');
returns('300', 'after DISCARD ALL',
	"DISCARD ALL;\nSELECT count(*) FROM cognito_users('srv')");

# In two sessions at the same time

my $other = Cognito::session($node);
$cognito->faults({ delay => 3 });
$other->{stdin} .= "SELECT count(*) FROM cognito_users('srv');\n";
$other->{run}->pump_nb;
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension'");
returns('300', 'while another session waits', "SELECT count(*) FROM cognito_users('srv')");
is($other->{stdout}, '', 'the other session still waits');
is(Cognito::query($other, '\\echo now'), "300\nnow", 'the other session gets its own rows');

# A view that somebody changes while it is about to be replaced

Cognito::query($session, "CREATE SCHEMA views; SELECT cognito_create_views('small', 'views'); BEGIN;
	CREATE OR REPLACE VIEW views.users AS SELECT * FROM cognito_users('small') WHERE enabled");
my $replacing = Cognito::start($node, "SELECT cognito_create_views('srv', 'views', true)");
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'");
Cognito::query($session, 'COMMIT');
like(
	Cognito::finish($replacing),
	qr/relation "users" already exists in schema "views"/,
	'a view that was changed while the call waited is not replaced');

is(join("\n", $cognito->violations), '', 'no request was malformed');
done_testing();
