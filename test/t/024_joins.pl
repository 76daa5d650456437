# Joins: the values of the other relation are requested, in batches, and never many more than a listing of
# the pool would take.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users3000');    # 50 pages
$cognito->create_server($node, 'wide', user_pool_id => 'eu-west-1_Users60000', max_concurrent_requests => 16);
$cognito->create_server($node, 'people');    # 300 users, of 20 given names
$cognito->create_server($node, 'small', user_pool_id => 'eu-west-1_Users300');    # five pages
$node->safe_psql('postgres', q{
	CREATE TABLE orders AS
		SELECT n AS id, CASE WHEN n % 50 = 0 THEN NULL ELSE 'user' || lpad((n % 3000)::text, 6, '0') END AS customer
		FROM generate_series(1, 20000) n;
	CREATE INDEX ON orders (id);
	ANALYZE orders});

# Returns the requests of a query: how many have a filter, and how many have not.
sub requests
{
	my @requests = @_;
	my $filtered = grep { defined $_->{body}{Filter} } @requests;
	return "$filtered filtered, " . (@requests - $filtered) . ' others';
}

# Checks the result and the numbers of requests of a query, in a new session.
sub check_query
{
	my ($name, $query, $rows, $requests) = @_;
	my ($result, @requests) = $cognito->query_with_requests($node, $query);

	is($result, $rows, "$name: rows");
	is(requests(@requests), $requests, "$name: requests");
	return @requests;
}

my $join = "FROM orders o JOIN cognito_users('srv') u ON u.username = o.customer";


# The values that are requested

my ($request) = check_query('one row', "SELECT o.id, u.email $join WHERE o.id = 42", '42|user000042@example.com', '1 filtered, 0 others');
is($request->{body}{Filter}, 'username = "user000042"', 'its filter');
check_query('a value that occurs often', "SELECT count(*) $join WHERE o.id % 3000 = 7", 7, '1 filtered, 0 others');
check_query('NULL', "SELECT count(*) $join WHERE o.id = 50", 0, '0 filtered, 0 others');
check_query('20 rows', "SELECT count(*) $join WHERE o.id <= 20", 20, '20 filtered, 0 others');
check_query('a value that no user has', "SELECT count(u) FROM (VALUES ('nobody')) v (name) LEFT JOIN cognito_users('srv') u ON u.username = v.name",
	0, '1 filtered, 0 others');
check_query('LEFT JOIN', "SELECT count(*), count(u.username) FROM orders o LEFT JOIN cognito_users('srv') u ON u.username = o.customer
	WHERE o.id BETWEEN 41 AND 60", '20|19', '19 filtered, 0 others');
check_query('EXISTS', "SELECT count(*) FROM orders o WHERE o.id < 11 AND EXISTS (SELECT FROM cognito_users('srv') u WHERE u.username = o.customer)",
	10, '10 filtered, 0 others');
check_query('NOT EXISTS', "SELECT count(*) FROM orders o WHERE o.id BETWEEN 41 AND 50 AND NOT EXISTS (SELECT FROM cognito_users('srv') u WHERE u.username = o.customer)",
	1, '9 filtered, 0 others');
check_query('IN', "SELECT count(*) FROM cognito_users('srv') u WHERE u.username IN (SELECT customer FROM orders WHERE id < 11)",
	10, '10 filtered, 0 others');
check_query('LATERAL', "SELECT count(*) FROM orders o, LATERAL (SELECT * FROM cognito_users('srv') u WHERE u.username = o.customer) x WHERE o.id < 11",
	10, '10 filtered, 0 others');
check_query('through a view', "SET cognito_srf.default_server = srv; SELECT count(*) FROM orders o JOIN cognito_users u ON u.username = o.customer WHERE o.id < 11",
	10, '10 filtered, 0 others');
check_query('through an equivalence class', "SELECT count(*) FROM orders o JOIN (VALUES ('user000003'), ('user000004')) v (name) ON v.name = o.customer
	JOIN cognito_users('srv') u ON u.username = v.name", 14, '2 filtered, 0 others');
check_query('a UUID', "SELECT count(*) FROM (SELECT (attributes->>'sub')::uuid AS id FROM cognito_users('srv', max_users => 3)) v
	JOIN cognito_users('srv') u ON (u.attributes->>'sub')::uuid = v.id", 3, '3 filtered, 1 others');
check_query('a condition on the user', "SELECT count(*) $join WHERE o.id < 5 AND u.status <> 'UNKNOWN'", 4, '4 filtered, 0 others');
check_query('memberships', "SELECT count(*) FROM (VALUES ('user000003')) v (name) JOIN cognito_memberships('srv') m ON m.username = v.name",
	0, '1 filtered, 1 others');
check_query('a condition on the whole user', "SELECT count(*) $join WHERE o.id < 5 AND u::text LIKE '%user%'", 4, '0 filtered, 50 others');
check_query('a condition on the other relation', "SELECT count(*), count(u.username) FROM orders o LEFT JOIN cognito_users('srv') u
	ON u.username = o.customer AND o.id < 45 WHERE o.id BETWEEN 41 AND 60", '20|4', '4 filtered, 0 others');
check_query('a condition with a subquery', "SELECT count(*) $join AND u.email <> ALL (SELECT customer FROM orders x WHERE x.id = o.id) WHERE o.id < 5",
	4, '4 filtered, 0 others');
check_query('LIMIT', "SELECT o.id $join LIMIT 2", "1\n2", '3 filtered, 0 others');
my $latest = "SELECT o.id $join ORDER BY o.id DESC LIMIT 5";
check_query('LIMIT with the order of an index', $latest, join("\n", reverse 19995 .. 19999), '6 filtered, 0 others');
like($node->safe_psql('postgres', "EXPLAIN (COSTS OFF) $latest"),
	qr/^Limit\n  ->  Custom Scan \(cognito_users\)\n        Request: .*\n        ->  Index Scan Backward using orders_id_idx on orders o$/,
	'its plan has no sort');
check_query('LIMIT with the order of an index, LEFT JOIN', "SELECT o.id FROM orders o LEFT JOIN (SELECT username FROM cognito_users('srv')) u ON u.username = o.customer
	ORDER BY o.id LIMIT 3", "1\n2\n3", '3 filtered, 0 others');
check_query('LIMIT with the order of an index, EXISTS', "SELECT o.id FROM orders o WHERE EXISTS (SELECT FROM cognito_users('srv') u WHERE u.username = o.customer)
	ORDER BY o.id LIMIT 3", "1\n2\n3", '3 filtered, 0 others');
check_query('LIMIT with the order of an index, NOT EXISTS', "SELECT o.id FROM orders o WHERE NOT EXISTS (SELECT FROM cognito_users('srv') u WHERE u.username = o.customer)
	AND o.id > 48 ORDER BY o.id LIMIT 1", 50, '2 filtered, 0 others');
check_query("beside $_, of a pool of unknown size", "SELECT count(*) $join WHERE o.id <= 20 AND $_", 18, '20 filtered, 0 others')
	for 'u.enabled', "u.status = 'CONFIRMED'";
my $in_group = "SELECT count(*) FROM orders o WHERE o.id <= 3 AND EXISTS (SELECT FROM cognito_memberships('srv') m
	WHERE m.username = o.customer AND m.group_name = 'everyone')";
check_query('beside a group, of a pool of unknown size', $in_group, 0, '3 filtered, 3 others');


# Bounded requests

check_query('more values than pages of a listed pool', "SELECT count(*) FROM cognito_users('srv'); SELECT count(*) $join WHERE o.id <= 500",
	"3000\n490", '0 filtered, 100 others');
check_query('more rows than pages of an unknown pool', "SELECT count(*) $join", 19600, '4 filtered, 50 others');
check_query('a pool as an argument', "SELECT count(*) FROM orders o JOIN cognito_users('srv', user_pool_id => 'eu-west-1_Users3000') u
	ON u.username = o.customer WHERE o.id <= 20", 20, '20 filtered, 0 others');
check_query('a value over 256 characters', "SELECT count(*) FROM (VALUES ('user000001'), (repeat('x', 300))) v (name) JOIN cognito_users('srv') u ON u.username = v.name",
	1, '0 filtered, 50 others');
check_query('LIMIT below the pages of a listed pool, which the next batch would exceed',
	"SELECT count(*) FROM cognito_users('srv'); SELECT count(*) FROM (SELECT $join LIMIT 32) limited", "3000\n32", '49 filtered, 50 others');
my %read_completely = (
	'a sort below LIMIT' => "SELECT o.id $join WHERE o.id <= 500 ORDER BY u.email DESC LIMIT 1",
	'an aggregate below LIMIT' => "SELECT max(o.id) $join WHERE o.id <= 499 HAVING count(u.email) > 0 LIMIT 1",
	'groups below LIMIT' => "SELECT max(o.id) $join WHERE o.id <= 499 GROUP BY length(u.email) LIMIT 1",
	'a sort below a cursor' => "BEGIN; DECLARE c CURSOR FOR SELECT o.id $join WHERE o.id <= 500 ORDER BY u.email DESC; FETCH 1 FROM c; COMMIT");
check_query("$_ reads all rows", "SELECT count(*) FROM cognito_users('srv'); $read_completely{$_}", "3000\n499", '0 filtered, 100 others')
	for sort keys %read_completely;
check_query('little memory', "SET work_mem = '64kB'; SELECT count(*) FROM cognito_users('srv'); SELECT count(*) $join", "3000\n19600", '0 filtered, 100 others');
my ($result, @requests) = $cognito->query_with_requests($node, "SELECT count(*) FROM cognito_users('srv');
	BEGIN; DECLARE c CURSOR FOR SELECT o.id $join; FETCH 1 FROM c; MOVE 40 FROM c; MOVE ALL FROM c; COMMIT");
cmp_ok(scalar @requests, '<=', 50 + 2 * 50 + 15, 'a cursor, read to its end: at most twice the requests of a listing');
like(requests(@requests), qr/^\d+ filtered, 100 others$/, 'the pool is listed once');

# However many values there are, and however large the pool is, there are never many more than twice the
# requests of the better choice: one for each value, or a listing.
my $CONSTANT = 32;
my %queries = (
	'a join' => "SELECT count(*) FROM orders o JOIN cognito_users('%s') u ON u.email = 'user' || lpad(o.id::text, 6, '0') || '\@example.com' WHERE o.id <= %d",
	'an array' => "SELECT count(*) FROM cognito_users('%s') u WHERE u.username = ANY (ARRAY(SELECT to_char(n, '\"user\"FM000000') FROM generate_series(1, %d) n))",
	'a correlated subquery' => "SELECT count(u) FROM generate_series(1, %2\$d) n,
		LATERAL (SELECT * FROM cognito_users('%1\$s') u WHERE username = to_char(n, '\"user\"FM000000') OFFSET 0) u");
for my $users (60, 300, 3000, 60000)
{
	for my $concurrent (1, 16)
	{
		$cognito->create_server($node, "pool${users}_$concurrent", user_pool_id => "eu-west-1_Users$users", max_concurrent_requests => $concurrent);
		check_bounds($users, $concurrent, $_) for 1, 10, 20, 100, 500, 5000;
	}
}

# Checks the bounds for a number of values in a pool of some users.
sub check_bounds
{
	my ($users, $concurrent, $values) = @_;
	my $pages = $users / 60;
	my $least = $values < $pages ? $values : $pages;
	my $rows = $values < $users ? $values : $users;
	my $server = "pool${users}_$concurrent";

	for (sort keys %queries)
	{
		my $name = "$_ with $values values, $concurrent at once";
		my $query = sprintf $queries{$_}, $server, $values;
		my ($result, @requests) = $cognito->query_with_requests($node, $query);

		is($result, $rows, "$name, an unknown pool of $pages pages: rows");
		cmp_ok(@requests, '<=', 2 * $least + $CONSTANT, "$name, an unknown pool of $pages pages: requests");
		next if $pages == 1000 || $concurrent > 1;
		($result, @requests) = $cognito->query_with_requests($node, "SELECT count(*) FROM cognito_users('$server'); $query");
		is($result, "$users\n$rows", "$name, a known pool of $pages pages: rows");
		cmp_ok(@requests - $pages, '<=', 2 * $least, "$name, a known pool of $pages pages: requests");
	}
	return;
}


# Concurrency

$cognito->faults({ delay => 0.1, times => -1 });
my @sent = check_query('200 rows, 16 at a time', "SELECT count(*) FROM orders o JOIN cognito_users('wide') u ON u.username = o.customer WHERE o.id <= 200",
	196, '203 filtered, 0 others');
my @sampled = grep { $_->{body}{Filter} =~ /^sub/ } @sent[0 .. 15];
cmp_ok(scalar @sampled, '<', 7, 'the seven pages of the sample are listed beside them');
my $seconds = $node->safe_psql('postgres', "SELECT clock_timestamp() AS start \\gset
	SELECT count(*) FROM orders o JOIN cognito_users('wide') u ON u.username = o.customer WHERE o.id <= 200 \\gset
	SELECT extract(epoch FROM clock_timestamp() - :'start')");
cmp_ok($seconds, '<', 196 * 0.1 / 2, 'they are requested concurrently');
$cognito->faults;


# What EXPLAIN shows

my $plan = $node->safe_psql('postgres', "EXPLAIN (COSTS OFF) SELECT o.id, u.email $join WHERE o.id = 42");
like($plan, qr/^Custom Scan \(cognito_users\)\n  Request: u\.username = o\.customer\n  ->  /, 'the request');
$plan = $node->safe_psql('postgres', "SET cognito_srf.default_server = srv; EXPLAIN (VERBOSE, COSTS OFF)
	SELECT o.id, w.email $join JOIN cognito_users ON cognito_users.email = u.email JOIN cognito_users w ON w.username = cognito_users.username WHERE o.id = 42");
like($plan, qr/^ *Request: \Q$_\E$/m, "the alias: $_")
  for 'u.username = o.customer', 'cognito_users.email = u.email', 'cognito_users_1.username = cognito_users.username';
like($plan, qr/^ *Function Call: \Q$_\E$/m, "the server: $_")
  for q(cognito_users('srv'::text, 'username'::text, '='::text, ARRAY[o.customer])),
	q(cognito_users(cognito_default_server(), 'email'::text, '='::text, ARRAY[u.email]));
like($node->safe_psql('postgres', "EXPLAIN (VERBOSE, COSTS OFF) SELECT m.group_name FROM orders o
	JOIN cognito_memberships('srv', user_pool_id => 'eu-west-1_Users3000') m ON m.username = o.customer WHERE o.id = 42"),
	qr/^  Function Call: \Qcognito_memberships('srv'::text, 'eu-west-1_Users3000'::text, 'username'::text, '='::text, ARRAY[o.customer])\E$/m,
	'the pool');

# Returns what EXPLAIN ANALYZE shows of the requests of a query: how many values, and whether the pool was listed.
sub analyzed
{
	my ($query, $settings) = @_;
	my $output = $node->safe_psql('postgres', ($settings // '') . "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) $query");
	return join ' ', $output =~ /^ *(Values Requested: \d+|Pool Listed: \w+)$/mg;
}

is(analyzed("SELECT o.id, u.email $join WHERE o.id < 11"), 'Values Requested: 10', 'how many values were requested');
is(analyzed("SELECT o.id, u.email $join"), 'Values Requested: 0 Pool Listed: true', 'that the pool was listed instead');
is(analyzed("SELECT FROM (VALUES ('user000001'), (E'\\\\')) v (name) JOIN cognito_users('srv') u ON u.username = v.name"),
	'Values Requested: 0 Pool Listed: true', 'values that cannot be sent are not counted');
is(analyzed("SELECT o.id $join LIMIT 100", "SELECT count(*) FROM cognito_users('srv'); "), 'Values Requested: 50 Pool Listed: true',
	'values that were requested before the pool was listed');
is(analyzed("SELECT o.id $join WHERE o.id < 11", 'SET client_min_messages = error; SET cognito_srf.offline = on; '), 'Values Requested: 0', 'none offline');
like($node->safe_psql('postgres', "EXPLAIN (ANALYZE, FORMAT yaml) SELECT o.id $join WHERE o.id = 1"), qr/Values Requested: 1\n *Pool Listed: false\n/,
	'a format for programs shows both');
unlike($node->safe_psql('postgres', "SET cognito_srf.enable_pushdown = off; EXPLAIN SELECT o.id $join"), qr/Custom Scan/, 'enable_pushdown');
like($node->safe_psql('postgres', "EXPLAIN (COSTS OFF) SELECT o.id, u.email FROM orders o LEFT JOIN cognito_users('srv') u ON u.username = o.customer
	AND o.id < 5 AND u.status <> 'UNKNOWN'"),
	qr/^  Join Type: Left\n  Request: u\.username = o\.customer\n  Join Filter: \(\(o\.id < 5\) AND \(\S+\.status <> 'UNKNOWN'::text\)\)$/m,
	'the type of the join, and its other conditions');
$node->safe_psql('postgres', q{CREATE FUNCTION any_server() RETURNS text LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN ''srv''; END'});
unlike($node->safe_psql('postgres', 'EXPLAIN SELECT o.id FROM orders o JOIN cognito_users(any_server()) u ON u.username = o.customer'),
	qr/Custom Scan/, 'not if the server could be another one for each batch');
$node->safe_psql('postgres', q{ALTER SERVER srv OPTIONS (ADD pushdown 'off')});
unlike($node->safe_psql('postgres', "EXPLAIN SELECT o.id $join"), qr/Custom Scan/, 'option pushdown');
$node->safe_psql('postgres', q{ALTER SERVER srv OPTIONS (DROP pushdown)});
unlike($node->safe_psql('postgres', "EXPLAIN SELECT o.id $join WHERE o.id < 5 FOR UPDATE OF o"), qr/Custom Scan/, 'not with row locks');
unlike($node->safe_psql('postgres', "EXPLAIN SELECT o.id FROM orders o JOIN cognito_users('srv') u ON lower(u.username) = o.customer"),
	qr/Custom Scan/, 'not for an expression over a column');


# Executed again

check_query('a rescan requests nothing again', "SET enable_material = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_memoize = off;
	SELECT count(*) FROM generate_series(1, 5) n, LATERAL (SELECT count(*) $join WHERE o.id < 11 AND o.id <> n + 100 OFFSET 0) x", 5, '10 filtered, 0 others');
check_query('a correlated subquery with a join', "SELECT sum((SELECT count(*) $join WHERE o.id BETWEEN n AND n + 1)) FROM generate_series(1, 10) n",
	20, '11 filtered, 0 others');
check_query('a correlated subquery with a join by its parameter', "SELECT sum((SELECT count(*) $join AND u.email <> 'user00000' || n || '\@example.com'
	WHERE o.id < 5)) FROM generate_series(1, 3) n", 9, '4 filtered, 0 others');
check_query('a server that a correlated subquery names', "SELECT n, (SELECT count(*) FROM orders o JOIN cognito_users(n) u ON u.username = o.customer
	WHERE o.id BETWEEN 299 AND 301) FROM (VALUES ('srv'), ('small')) v (n)", "srv|2\nsmall|1", '4 filtered, 0 others');
check_query('a prepared statement', "SET plan_cache_mode = force_generic_plan;
	PREPARE p (int) AS SELECT u.email $join WHERE o.id = \$1; EXECUTE p (3); EXECUTE p (4); EXECUTE p (50)",
	"user000003\@example.com\nuser000004\@example.com", '2 filtered, 0 others');
check_query('a prepared statement with another server', "SET plan_cache_mode = force_generic_plan;
	PREPARE p (text) AS SELECT count(*) FROM orders o JOIN cognito_users(\$1) u ON u.username = o.customer WHERE o.id BETWEEN 299 AND 301;
	EXECUTE p ('srv'); EXECUTE p ('small')", "2\n1", '4 filtered, 0 others');
check_query('a cursor that goes back', "BEGIN; DECLARE c SCROLL CURSOR FOR SELECT o.id $join WHERE o.id < 5 ORDER BY 1; FETCH ALL FROM c;
	FETCH ABSOLUTE 2 FROM c; COMMIT", "1\n2\n3\n4\n2", '4 filtered, 0 others');
check_query('a parallel query', "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
	SELECT count(*) $join WHERE o.id < 11", 10, '10 filtered, 0 others');
check_query('GEQO', "SET geqo_threshold = 2; SET plan_cache_mode = force_generic_plan;
	PREPARE p AS SELECT o.id, q.id $join JOIN orders p ON p.id = o.id + 1 JOIN orders q ON q.id = p.id + 1 JOIN cognito_users('srv') w ON w.username = q.customer
		JOIN orders r ON r.id = q.id WHERE o.id < 4 ORDER BY 1;
	EXECUTE p; EXECUTE p", "1|3\n2|4\n3|5\n" . "1|3\n2|4\n3|5", '12 filtered, 0 others');

# An update finds that its row has changed meanwhile, and checks its condition again.
$node->safe_psql('postgres', 'CREATE TABLE counter AS SELECT 1 AS id, 0 AS n');
my $first = Cognito::session($node);
$first->query('BEGIN; UPDATE counter SET n = 1');
my $second = Cognito::start($node, "UPDATE counter SET n = n + 10 WHERE (SELECT count(*) $join WHERE o.id < counter.id + 4) = 4");
$node->poll_query_until('postgres', 'SELECT count(*) > 0 FROM pg_locks WHERE NOT granted');
$first->query('COMMIT');
$first->quit;
is(Cognito::finish($second), '', 'an update after another one');
is($node->safe_psql('postgres', 'SELECT n FROM counter'), 11, 'a subquery that is executed again for a row that has changed');


# Privileges

$node->safe_psql('postgres', q{
	CREATE ROLE reader;
	GRANT SELECT ON orders TO reader});
my $as_reader = "SET ROLE reader; SELECT count(*) $join WHERE o.id < 5";
like(Cognito::error_of($node, $as_reader), qr/ERROR:  42501: permission denied for server "srv"/, 'USAGE is needed');
$node->safe_psql('postgres', q{GRANT USAGE ON FOREIGN SERVER srv TO reader});
$node->safe_psql('postgres', q{
	CREATE TABLE hidden AS SELECT * FROM orders WHERE id <= 20;
	GRANT SELECT ON hidden TO reader;
	ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
	CREATE POLICY p ON hidden USING (id IN (3, 4));
	CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM orders WHERE id IN (3, 4);
	GRANT SELECT ON guarded TO reader;
	CREATE FUNCTION leak(text) RETURNS text LANGUAGE plpgsql IMMUTABLE COST 0.0001 AS 'BEGIN RETURN $1; END'});
for my $table (qw(hidden guarded))
{
	my @sent = check_query("$table rows", "SET ROLE reader; SELECT count(*) FROM $table o JOIN cognito_users('srv') u ON u.username = leak(o.customer)
		AND u.email <> leak(o.customer)", 2, '2 filtered, 0 others');
	is(join(' ', sort map { $_->{body}{Filter} } @sent), 'username = "user000003" username = "user000004"', "no value of rows that are hidden: $table");
}
check_query('with USAGE', $as_reader, 4, '4 filtered, 0 others');
$node->safe_psql('postgres', q{REVOKE EXECUTE ON FUNCTION cognito_users(text, text, text, text[]) FROM PUBLIC});
check_query('without EXECUTE on the overload', $as_reader, 4, '0 filtered, 50 others');
like(Cognito::error_of($node, "PREPARE p AS SELECT count(*) $join WHERE o.id < 5; EXECUTE p; SET ROLE reader; SET plan_cache_mode = force_generic_plan; EXECUTE p"),
	qr/^$/, 'a plan of another role is not used');
$node->safe_psql('postgres', q{GRANT EXECUTE ON FUNCTION cognito_users(text, text, text, text[]) TO PUBLIC});


# Errors and cancels

$cognito->faults({ skip => 5, times => -1, error => 'InvalidParameterException' });
like(Cognito::error_of($node, "SELECT count(*) $join WHERE o.id < 20"), qr/ERROR:  22023/, 'an error in the middle');
$cognito->faults({ stall => 'response', skip => 3, times => -1 });
like(Cognito::error_of($node, "SET statement_timeout = '500ms'; SELECT count(*) $join WHERE o.id < 20"), qr/ERROR:  57014/, 'a cancel in the middle');
$cognito->faults;
check_query('a cursor that is closed early, after a listing', "SELECT count(*) FROM cognito_users('srv'); BEGIN; DECLARE c CURSOR FOR SELECT o.id $join;
	MOVE 100 FROM c; SAVEPOINT s; MOVE 100 FROM c; ROLLBACK TO s; MOVE 100 FROM c; FETCH 1 FROM c; CLOSE c; COMMIT;
	SELECT count(*) FROM pg_ls_tmpdir()", "3000\n307\n0", '50 filtered, 100 others');
check_query('offline', "SET client_min_messages = error; SET cognito_srf.offline = on; SELECT count(*) $join WHERE o.id < 20", 0, '0 filtered, 0 others');


# Little memory

my $little = "SET work_mem = '64kB'; SET hash_mem_multiplier = 1;";
my $repeated = "FROM generate_series(1, 20000) n JOIN cognito_users('wide') u ON u.username = to_char(n % 400 + 1, '\"user\"FM000000')";
my %memory = (little => $little, enough => '');

# Checks that a query requests as much with little memory as with enough, and closes its files.
sub check_little
{
	my ($name, $query, $rows, $requests) = @_;

	check_query("$name, $_ memory", "$memory{$_} BEGIN; $query; COMMIT", $rows, $requests) for sort keys %memory;
	my $session = Cognito::session($node);
	is(Cognito::query_error($session, "$little BEGIN; $query; COMMIT"), '', "$name, little memory: no file is left open");
	$session->quit;
	return;
}

check_little('values that repeat', "SELECT count(*), count(DISTINCT u.email), count(DISTINCT u.attributes) $repeated", '20000|400|400', '413 filtered, 0 others');
check_little('several rows of a value', "SELECT count(*), count(DISTINCT u.username)
	FROM generate_series(1, 2), unnest('{Ana,Aoife,Emma,Hana,Isaac,Kwame,Layla,Liam,Maria,Mehmet,Noah,Oskar,Priya,Sara,Yuki}'::text[]) given
	JOIN cognito_users('people') u ON u.attributes->>'given_name' = given", '450|225', '15 filtered, 0 others');
check_little('wide rows of the other relation', "SELECT count(*) FROM cognito_users('srv');
	SELECT count(*), min(length(o.wide)) FROM (SELECT *, repeat(id::text, 2000) AS wide FROM orders WHERE id BETWEEN 1000 AND 1999 OFFSET 0) o
	JOIN cognito_users('srv') u ON u.username = o.customer", "3000\n980|8000", '0 filtered, 100 others');
check_little('rescans', "SET LOCAL enable_material = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_memoize = off;
	SELECT sum(x.n) FROM generate_series(1, 5) m, LATERAL (SELECT count(u.email) AS n $repeated AND n <> m + 30000 OFFSET 0) x", 100000, '413 filtered, 0 others');
check_little('another server', "SELECT s, (SELECT count(u.email) FROM orders o JOIN cognito_users(s) u ON u.username = o.customer
	WHERE o.id BETWEEN 300 AND 600) FROM unnest(ARRAY['wide', 'srv']) s", "wide|294\nsrv|294", '308 filtered, 50 others');
check_little('a savepoint while a cursor is open', "SAVEPOINT a; DECLARE c CURSOR FOR SELECT u.email $repeated; MOVE 5 FROM c; RELEASE a;
	SAVEPOINT b; MOVE 300 FROM c; ROLLBACK TO b; SAVEPOINT c; MOVE 1000 FROM c; RELEASE c; FETCH 1 FROM c; CLOSE c",
	'user000107@example.com', '504 filtered, 0 others');
check_little('a cursor WITH HOLD', "DECLARE c CURSOR WITH HOLD FOR SELECT u.email $repeated; FETCH 1 FROM c; COMMIT; BEGIN; MOVE 19998 FROM c; FETCH 1 FROM c; CLOSE c",
	"user000002\@example.com\nuser000001\@example.com", '504 filtered, 0 others');

my $memory = $node->safe_psql('postgres', "$little BEGIN; DECLARE c CURSOR FOR SELECT u.attributes $repeated ORDER BY n; MOVE 1 FROM c;
	SELECT sum(total_bytes) / 1024 FROM pg_backend_memory_contexts WHERE name LIKE 'cognito %'; COMMIT");
cmp_ok($memory, '<', 128, 'memory of what was found, in kB');

# Returns how many temporary files a query writes.
sub temporary_files
{
	my ($query) = @_;
	my ($status, $output, $messages) = $node->psql('postgres', "SET client_min_messages = log; SET log_temp_files = 0; $query");
	return scalar(() = $messages =~ /temporary file: /g);
}

is(temporary_files("SELECT count(*) $join WHERE o.id < 11"), 0, 'no file for a few rows');
cmp_ok(temporary_files("$little SELECT count(*) $repeated"), '>', 0, 'files beyond work_mem');
like(Cognito::error_of($node, "$little SET temp_file_limit = '64kB'; SELECT count(*) $repeated"), qr/ERROR:  53400: temporary file size exceeds/,
	'more than temp_file_limit');


# Rows that are kept

($result, @requests) = $cognito->query_with_requests($node, "SELECT count(*) FROM cognito_users('small');
	SELECT sum((SELECT count(*) FROM cognito_users('small') u WHERE u.username = o.customer)) FROM orders o WHERE o.id <= 2000");
is($result, "300\n294", 'lookups in rows that are kept');
cmp_ok(scalar @requests, '<=', 15, 'after as many requests as the pool has pages, it is listed once');

is($cognito->violations, 0, 'every request is well-formed');
done_testing();
