# The requests of pushed-down conditions: as few as possible, none if no row can match, and never many
# more than a listing of the pool.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $POOL = 'eu-west-1_Users300';    # five pages

$cognito->create_server($node, 'srv', user_pool_id => $POOL);

# Returns the filters of requests; the empty string for a request without one.
sub filters
{
	return [ map { $_->{body}{Filter} // '' } @_ ];
}

# Checks result and requests of a query, in a new session.
sub check_query
{
	my ($name, $query, $rows, @filters) = @_;
	my ($result, @requests) = $cognito->query_with_requests($node, encode_utf8($query));

	is($result, $rows, "$name: the right rows");
	is_deeply(filters(@requests), \@filters, "$name: the right requests");
	return @requests;
}

# A user's name in these pools.
sub username { return sprintf 'user%06d', $_[0] }

my $users = "SELECT username FROM cognito_users('srv')";
my $count = "SELECT count(*) FROM cognito_users('srv')";
my @whole_pool = ('') x 5;


# As few as possible

check_query('one value', "$users WHERE username = 'user000007'", 'user000007', 'username = "user000007"');
check_query('quotes', "$users WHERE attributes->>'name' = 'Dwayne \"The Rock\"'",
	'', 'name = "Dwayne \"The Rock\""');
check_query('non-ASCII', "$users WHERE attributes->>'name' LIKE 'Zoë%'", '', 'name ^= "Zoë"');
check_query('a prefix over two pages', "$count WHERE email LIKE 'user0001%'",
	100, ('email ^= "user0001"') x 2);
check_query(
	'a list with doubles and NULL',
	"$users WHERE username IN ('user000002', 'user000001', NULL, 'user000002') ORDER BY 1",
	"user000001\nuser000002",
	map { qq(username = "$_") } 'user000001', 'user000002');
check_query(
	'25 values, the size of the pool being unknown',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 34) i))",
	25,
	map { "username = \"user0000$_\"" } 10 .. 34);
check_query(
	'61 values, the size of the pool being unknown: it is estimated first',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 70) i))",
	61,
	'sub ^= "0"',
	@whole_pool);
check_query(
	'61 constants, the size of the pool being unknown: it is estimated first',
	"$count WHERE username IN (" . join(', ', map { "'user0000$_'" } 10 .. 70) . ')',
	61,
	'sub ^= "0"',
	@whole_pool);
check_query(
	'an estimate is remembered',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 70) i));
	 $count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 70) i))",
	"61\n61",
	'sub ^= "0"',
	(@whole_pool) x 2);
check_query(
	'as many values as the pool has pages',
	"$count; $count WHERE username IN (" . join(', ', map { Cognito::quote(username($_)) } 1 .. 5) . ')',
	"300\n5",
	@whole_pool,
	map { qq(username = "$_") } map { username($_) } 1 .. 5);
check_query('a UUID', "$users WHERE (attributes->>'sub')::uuid = 'AAAAAAAA-0000-4000-8000-000000000000'", '',
	'sub = "aaaaaaaa-0000-4000-8000-000000000000"');
check_query('varchar(n)', "$users WHERE email::varchar(10) = 'user000003'", 'user000003', 'email ^= "user000003"');
check_query('prefixes of which one begins with another',
	"SELECT count(*) FROM cognito_users('srv', 'username', '^=', '{user00001,user000012,user00001}')",
	10, 'username ^= "user00001"');
check_query('a join through an equality', "SELECT u.username FROM cognito_users('srv') u
	JOIN (VALUES ('user000003\@example.com'), ('b')) t (email) USING (email) WHERE t.email LIKE 'user000003%'",
	'user000003', 'email = "user000003@example.com"');
check_query('a join through a constant', "SELECT u.username FROM cognito_users('srv') u
	JOIN (VALUES ('user000003\@example.com'), ('b')) t (email) USING (email) WHERE t.email = 'user000003\@example.com'",
	'user000003', 'email = "user000003@example.com"');
my ($request) = check_query('LIMIT', "$users LIMIT 2 OFFSET 5", "user000006\nuser000007", '');
is($request->{body}{Limit}, 7, 'LIMIT: no more users than it takes');
check_query('a condition with LIMIT', "$users WHERE enabled LIMIT 3", "user000001\nuser000002\nuser000003",
	'status = "Enabled"');
check_query('a condition with LIMIT, over two pages', "SELECT count(*) FROM ($users WHERE enabled LIMIT 61) limited", 61,
	('status = "Enabled"') x 2);
check_query('a condition with LIMIT 0', "$users WHERE enabled LIMIT 0", '');
check_query('values with LIMIT', "$users WHERE username IN ('user000005', 'user000004') LIMIT 1", 'user000004',
	'username = "user000004"');


# None if no row can match

my $generic = 'SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS';
check_query('NULL', "$generic $users WHERE email = \$1; EXECUTE p (NULL)", '');
check_query('a list of NULL', "$generic $users WHERE email IN (\$1, \$1); EXECUTE p (NULL)", '');
check_query('a list that is NULL', "$generic $users WHERE email = ANY (\$1::text[]); EXECUTE p (NULL)", '');
check_query('an empty list', "$users WHERE email = ANY ('{}')", '');
check_query('enabled = NULL', "$generic $users WHERE enabled = \$1::boolean; EXECUTE p (NULL)", '');
check_query('LIMIT 0', "$users LIMIT 0", '');


# Decisions that the executor makes, as the planner lacks the values

check_query("a value that no filter can hold: $_->[0]",
	"$generic $users WHERE email = \$1; EXECUTE p ($_->[1])", '', @whole_pool)
  for [ 'a backslash', q('back\slash') ], [ 'a line feed', q(E'line\nfeed') ],
  [ 'nothing', "''" ], [ '300 characters', "repeat('x', 300)" ];
check_query('one of several that no filter can hold',
	"$generic $users WHERE username IN (\$1, 'a\\b'); EXECUTE p ('user000001')",
	'user000001', @whole_pool);

check_query('the beginning of a status, of which the service does not say what it means',
	"SELECT count(*) FROM cognito_users('srv', '$_->[0]', '^=', '{$_->[1]}')", $_->[2], @whole_pool)
  for [ 'status', 'Dis', 30 ], [ 'cognito:user_status', 'CONF', 263 ];

my $names = "(SELECT srvname::text AS name FROM pg_foreign_server WHERE srvname = 'srv') s";
$node->safe_psql('postgres', "ALTER SERVER srv OPTIONS (pushdown 'off')");
check_query("pushdown 'off', server unknown to the planner",
	"SELECT username FROM $names, cognito_users(s.name) WHERE username = 'user000001'",
	'user000001', @whole_pool);
check_query("pushdown 'off', given to the function itself",
	"SELECT username FROM cognito_users('srv', 'username', '=', '{user000001}')",
	'user000001', @whole_pool);
check_query("pushdown 'off', NULL", "SELECT username FROM cognito_users('srv', 'username', '=', NULL)", '');
check_query("pushdown 'off' once a plan is made", "ALTER SERVER srv OPTIONS (SET pushdown 'on');
	PREPARE p AS $users WHERE username = 'user000001';
	EXECUTE p;
	ALTER SERVER srv OPTIONS (SET pushdown 'off');
	EXECUTE p;",
	"user000001\nuser000001", 'username = "user000001"', @whole_pool);
$node->safe_psql('postgres', 'ALTER SERVER srv OPTIONS (DROP pushdown)');


# A service whose filters match more

$cognito->pool('eu-west-1_Cases', users => [ map { Cognito->user($_) } qw(ana Ana ANA) ]);
my $answer = JSON::PP->new->encode({ Users => [ map { Cognito->user($_) } qw(ana Ana ANA) ] });
$cognito->faults({ times => 4, reply => { body => $answer } });
check_query('a service that ignores case', "$users WHERE username = 'Ana'", 'Ana', 'username = "Ana"');
check_query('a service that ignores case, two values', "$users WHERE username IN ('Ana', 'ana', 'x') ORDER BY 1",
	"Ana\nana", map { qq(username = "$_") } qw(Ana ana x));
$cognito->faults();
$cognito->pool('eu-west-1_Deaf', users => [ map { Cognito->user("u$_", Enabled => $_ % 10 ? JSON::PP::true : JSON::PP::false) } 1 .. 120 ],
	ignore_filter => JSON::PP::true);
$cognito->create_server($node, 'deaf', user_pool_id => 'eu-west-1_Deaf');
check_query('a service that ignores filters, a condition with LIMIT: only users who match count, on full pages',
	"SELECT count(*), bool_or(enabled) FROM (SELECT enabled FROM cognito_users('deaf') WHERE NOT enabled LIMIT 7) limited",
	'7|f', ('status = "Disabled"') x 2);


# Several values at the same time

$cognito->create_server($node, 'four', user_pool_id => $POOL, max_concurrent_requests => 4);
$cognito->faults({ delay => 0.3, times => -1 });
my (undef, undef, @at_once) = $cognito->query_with_requests($node, "SELECT FROM cognito_users('four', max_users => 1);
	SELECT count(*) FROM cognito_users('four') WHERE username IN ('user000001', 'user000002', 'user000003', 'user000004', 'user000005')");
my @times = map { $_->{time} } @at_once;
is(@at_once, 5, 'five values, four at the same time');
cmp_ok($times[3] - $times[0], '<', 0.3, 'four are looked up at the same time');
cmp_ok($times[4] - $times[0], '>=', 0.3, 'and the fifth only then');
$cognito->faults();


# A user pool as an argument: its size and its rows are not taken for those of another

$cognito->create_server($node, 'account', user_pool_id => undef);
my $pools = "(VALUES ('eu-west-1_Users300'), ('eu-west-1_Users61')) p (id)";
check_query('a pool as an argument, one value', "SELECT username FROM cognito_users('account', user_pool_id => '$POOL')
	WHERE username = 'user000007'", 'user000007', 'username = "user000007"');
my @named = check_query('two pools, one value', "SELECT p.id, username FROM $pools, LATERAL cognito_users('account', user_pool_id => p.id)
	WHERE username = 'user000061' ORDER BY 1", "eu-west-1_Users300|user000061\neu-west-1_Users61|user000061",
	('username = "user000061"') x 2);
is_deeply([ map { $_->{body}{UserPoolId} } @named ], [ 'eu-west-1_Users300', 'eu-west-1_Users61' ], 'each pool is asked');
check_query('a pool as an argument, LIMIT', "SELECT username FROM cognito_users('account', user_pool_id => '$POOL') LIMIT 1",
	'user000001', '');
check_query('a pool as an argument, its size being known',
	"SELECT count(*) FROM cognito_users('account', user_pool_id => 'eu-west-1_Users61');
	 SELECT count(*) FROM cognito_users('account', user_pool_id => '$POOL') WHERE username IN ('user000001', 'user000002', 'user000003');
	 SELECT count(*) FROM cognito_users('account', user_pool_id => 'eu-west-1_Users61')
		WHERE username IN ('user000001', 'user000002', 'user000003')",
	"61\n3\n3", ('') x 2, (map { qq(username = "$_") } map { username($_) } 1 .. 3), ('') x 2);
check_query('the kept rows of one pool are not taken for those of another',
	"SELECT p.id, count(u.username) FROM (SELECT id, n FROM $pools, generate_series(50, 400, 50) n ORDER BY 1, 2 OFFSET 0) p,
		LATERAL (SELECT * FROM cognito_users('account', user_pool_id => p.id) u WHERE username IN (to_char(n, '\"user\"FM000000'), 'a\\b') OFFSET 0) u
	 GROUP BY 1 ORDER BY 1",
	"eu-west-1_Users300|6\neu-west-1_Users61|1", ('') x 7);


# Never many more than a listing

my $each = "SELECT count(u.username) FROM generate_series(1, %d) n LEFT JOIN LATERAL
	(SELECT * FROM cognito_users('srv') u WHERE username = to_char(n, '\"user\"FM000000') OFFSET 0) u ON true";
check_query('for each of 3 rows', sprintf($each, 3), 3, map { qq(username = "$_") } map { username($_) } 1 .. 3);
check_query(
	'for each of 200 rows, the size of the pool being known',
	"$count; " . sprintf($each, 200),
	"300\n200",
	@whole_pool,
	(map { qq(username = "$_") } map { username($_) } 1 .. 5),
	@whole_pool);
check_query(
	'for each of 9 rows, several pages each',
	"$count; SELECT sum(c) FROM generate_series(1, 9) n, LATERAL (SELECT count(*) AS c
		FROM cognito_users('srv') u WHERE status = 'CONFIRM' || left('ED', n + 1)) u",
	"300\n2367",
	@whole_pool,
	('cognito:user_status = "CONFIRMED"') x 5,
	@whole_pool);
check_query(
	'for each of 4 rows, by enabled',
	"$count; SELECT sum(c) FROM generate_series(1, 4) n, LATERAL (SELECT count(*) AS c
		FROM cognito_users('srv') u WHERE enabled = (n % 2 = 0)) u",
	"300\n600",
	@whole_pool,
	'status = "Disabled"',
	('status = "Enabled"') x 5,
	@whole_pool);
check_query('a list longer than the pool, its size being known',
	"$count; $count WHERE username IN (" . join(', ', map { Cognito::quote(username($_)) } 1 .. 6) . ')',
	"300\n6", @whole_pool, @whole_pool);
check_query(
	'for each of 200 rows, the size of the pool being unknown',
	sprintf($each, 200),
	200,
	(map { qq(username = "$_") } map { username($_) } 1 .. 16),
	'sub ^= "0"',
	@whole_pool);



# Many pages at once

$cognito->create_server($node, 'wide', user_pool_id => $POOL, max_concurrent_requests => 4);
my $wide = "SELECT count(*) FROM cognito_users('wide') WHERE";
for ([ 'enabled', 270 ], [ "status = 'CONFIRMED'", 263 ], [ "status IN ('UNCONFIRMED', 'CONFIRMED')", 268 ])
{
	my ($condition, $rows) = @$_;
	my ($result, @requests) = $cognito->query_with_requests($node, "$wide $condition");

	is($result, $rows, "$condition, four pages at once: the right rows");
	is_deeply(filters(@requests), [ '', '', 'sub ^= "0"', ('') x 3 ],
		"$condition, four pages at once: all users, as most of them match");
}
check_query('enabled with LIMIT, four pages at once: the pages that have so many',
	"SELECT count(*) FROM (SELECT FROM cognito_users('wide') WHERE enabled LIMIT 100) limited", 100, ('status = "Enabled"') x 2);
check_query('NOT enabled, four pages at once', "$wide NOT enabled", 30, 'status = "Disabled"');
check_query('a rare status, four pages at once', "$wide status = 'UNCONFIRMED'", 5, 'cognito:user_status = "UNCONFIRMED"');

$cognito->create_server($node, 'large', user_pool_id => 'eu-west-1_Users6000');
my $session = Cognito::session($node);
is( Cognito::query_error($session, "SET work_mem = '64kB'; SELECT count(*) FROM cognito_users('large');
		SELECT count(*) FROM generate_series(1, 120) n, LATERAL
			(SELECT * FROM cognito_users('large') u WHERE username ^@ to_char(n, '\"user\"FM000000') OFFSET 0) u"),
	'',
	'a kept pool that spills leaves nothing behind');
$cognito->create_server($node, 'small', user_pool_id => 'eu-west-1_Users61');
is( Cognito::query(
		$session,
		"SELECT count(*) FROM cognito_users('srv') a, cognito_users('small') b;
		 SELECT s, count(u.username) FROM
			(SELECT s, n FROM (VALUES ('small'), ('srv')) s (s), generate_series(50, 400, 50) n ORDER BY 1, 2 OFFSET 0) v,
			LATERAL (SELECT * FROM cognito_users(s) u WHERE username = to_char(n, '\"user\"FM000000') OFFSET 0) u
		 GROUP BY 1 ORDER BY 1"),
	"18300\nsmall|1\nsrv|6",
	'the kept pool of one server is not taken for that of another');
$session->quit;

is($cognito->violations, 0, 'every request is well-formed');
done_testing();
