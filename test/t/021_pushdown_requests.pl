# What pushdown asks of Cognito: one request where one will do, none for
# nothing, and never much more than a listing of the pool.
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

# The filters of requests; of one without, the empty string.
sub filters
{
	return [ map { $_->{body}{Filter} // '' } @_ ];
}

# Checks what a query, in a session of its own, returns and asks for.
sub asks
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


# As few as can be

asks('one value', "$users WHERE username = 'user000007'", 'user000007', 'username = "user000007"');
asks('quotes', "$users WHERE attributes->>'name' = 'Dwayne \"The Rock\"'",
	'', 'name = "Dwayne \"The Rock\""');
asks('non-ASCII', "$users WHERE attributes->>'name' LIKE 'Zoë%'", '', 'name ^= "Zoë"');
asks('a prefix over two pages', "$count WHERE email LIKE 'user0001%'",
	100, ('email ^= "user0001"') x 2);
asks(
	'a list with doubles and NULL',
	"$users WHERE username IN ('user000002', 'user000001', NULL, 'user000002') ORDER BY 1",
	"user000001\nuser000002",
	map { qq(username = "$_") } 'user000001', 'user000002');
asks(
	'60 values',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 69) i))",
	60,
	map { "username = \"user0000$_\"" } 10 .. 69);
asks(
	'61 values',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0000' || i FROM generate_series(10, 70) i))",
	61, @whole_pool);
asks('61 constants', "$count WHERE username IN (" . join(', ', map { "'user0000$_'" } 10 .. 70) . ')',
	61, @whole_pool);
asks('prefixes of which one begins with another',
	"SELECT count(*) FROM cognito_users('srv', 'username', '^=', '{user00001,user000012,user00001}')",
	10, 'username ^= "user00001"');
asks('a join through an equality', "SELECT u.username FROM cognito_users('srv') u
	JOIN (VALUES ('user000003\@example.com'), ('b')) t (email) USING (email) WHERE t.email LIKE 'user000003%'",
	'user000003', @whole_pool);
asks('a join through a constant', "SELECT u.username FROM cognito_users('srv') u
	JOIN (VALUES ('user000003\@example.com'), ('b')) t (email) USING (email) WHERE t.email = 'user000003\@example.com'",
	'user000003', 'email = "user000003@example.com"');
my ($request) = asks('LIMIT', "$users LIMIT 2 OFFSET 5", "user000006\nuser000007", '');
is($request->{body}{Limit}, 7, 'LIMIT: no more users than it takes');


# None for nothing

my $generic = 'SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS';
asks('NULL', "$generic $users WHERE email = \$1; EXECUTE p (NULL)", '');
asks('a list of NULL', "$generic $users WHERE email IN (\$1, \$1); EXECUTE p (NULL)", '');
asks('a list that is NULL', "$generic $users WHERE email = ANY (\$1::text[]); EXECUTE p (NULL)", '');
asks('an empty list', "$users WHERE email = ANY ('{}')", '');
asks('enabled = NULL', "$generic $users WHERE enabled = \$1::boolean; EXECUTE p (NULL)", '');
asks('LIMIT 0', "$users LIMIT 0", '');


# What the executor decides, for the planner could not

asks("a value that no filter can hold: $_->[0]",
	"$generic $users WHERE email = \$1; EXECUTE p ($_->[1])", '', @whole_pool)
  for [ 'a backslash', q('back\slash') ], [ 'a line feed', q(E'line\nfeed') ],
  [ 'nothing', "''" ], [ '300 characters', "repeat('x', 300)" ];
asks('one of several that no filter can hold',
	"$generic $users WHERE username IN (\$1, 'a\\b'); EXECUTE p ('user000001')",
	'user000001', @whole_pool);

asks('the beginning of a status, of which the service does not say what it means',
	"SELECT count(*) FROM cognito_users('srv', '$_->[0]', '^=', '{$_->[1]}')", $_->[2], @whole_pool)
  for [ 'status', 'Dis', 30 ], [ 'cognito:user_status', 'CONF', 263 ];

my $names = "(SELECT srvname::text AS name FROM pg_foreign_server WHERE srvname = 'srv') s";
$node->safe_psql('postgres', "ALTER SERVER srv OPTIONS (pushdown 'off')");
asks("pushdown 'off', server unknown to the planner",
	"SELECT username FROM $names, cognito_users(s.name) WHERE username = 'user000001'",
	'user000001', @whole_pool);
asks("pushdown 'off', given to the function itself",
	"SELECT username FROM cognito_users('srv', 'username', '=', '{user000001}')",
	'user000001', @whole_pool);
asks("pushdown 'off', NULL", "SELECT username FROM cognito_users('srv', 'username', '=', NULL)", '');
asks("pushdown 'off' once a plan is made", "ALTER SERVER srv OPTIONS (SET pushdown 'on');
	PREPARE p AS $users WHERE username = 'user000001';
	EXECUTE p;
	ALTER SERVER srv OPTIONS (SET pushdown 'off');
	EXECUTE p;",
	"user000001\nuser000001", 'username = "user000001"', @whole_pool);
$node->safe_psql('postgres', 'ALTER SERVER srv OPTIONS (DROP pushdown)');


# A service that matches more loosely

$cognito->pool('eu-west-1_Cases', users => [ map { Cognito->user($_) } qw(ana Ana ANA) ]);
my $answer = JSON::PP->new->encode({ Users => [ map { Cognito->user($_) } qw(ana Ana ANA) ] });
$cognito->faults({ times => 4, reply => { body => $answer } });
asks('a service that ignores case', "$users WHERE username = 'Ana'", 'Ana', 'username = "Ana"');
asks('a service that ignores case, two values', "$users WHERE username IN ('Ana', 'ana', 'x') ORDER BY 1",
	"Ana\nana", map { qq(username = "$_") } qw(Ana ana x));
$cognito->faults();


# Never much more than a listing

my $each = "SELECT count(u.username) FROM generate_series(1, %d) n LEFT JOIN LATERAL
	(SELECT * FROM cognito_users('srv') u WHERE username = to_char(n, '\"user\"FM000000') OFFSET 0) u ON true";
asks('for each of 3 rows', sprintf($each, 3), 3, map { qq(username = "$_") } map { username($_) } 1 .. 3);
asks(
	'for each of 200 rows, the size of the pool being known',
	"$count; " . sprintf($each, 200),
	"300\n200",
	@whole_pool,
	(map { qq(username = "$_") } map { username($_) } 1 .. 5),
	@whole_pool);
asks(
	'for each of 9 rows, several pages each',
	"$count; SELECT sum(c) FROM generate_series(1, 9) n, LATERAL (SELECT count(*) AS c
		FROM cognito_users('srv') u WHERE status = 'CONFIRM' || left('ED', n + 1)) u",
	"300\n2367",
	@whole_pool,
	('cognito:user_status = "CONFIRMED"') x 5,
	@whole_pool);
asks(
	'for each of 4 rows, by enabled',
	"$count; SELECT sum(c) FROM generate_series(1, 4) n, LATERAL (SELECT count(*) AS c
		FROM cognito_users('srv') u WHERE enabled = (n % 2 = 0)) u",
	"300\n600",
	@whole_pool,
	'status = "Disabled"',
	('status = "Enabled"') x 5,
	@whole_pool);
asks('a list longer than the pool, its size being known',
	"$count; $count WHERE username IN (" . join(', ', map { Cognito::quote(username($_)) } 1 .. 6) . ')',
	"300\n6", @whole_pool, @whole_pool);
my (undef, @requests) = $cognito->query_with_requests($node, sprintf($each, 1100));
is(@requests, 1005, 'for each of 1100 rows, the size of the pool being unknown: 1000 filters, then the pool');



# Many pages at once

$cognito->create_server($node, 'wide', user_pool_id => $POOL, max_concurrent_requests => 4);
my $wide = "SELECT count(*) FROM cognito_users('wide') WHERE";
my @parts = map { "sub ^= \"$_\"" } 0 .. 9, 'a' .. 'f';
for ([ 'enabled', 270 ], [ "status = 'CONFIRMED'", 263 ], [ "status IN ('UNCONFIRMED', 'CONFIRMED')", 268 ])
{
	my ($condition, $rows) = @$_;
	my ($result, @requests) = $cognito->query_with_requests($node, "$wide $condition");

	is($result, $rows, "$condition, four pages at once: the right rows");
	is_deeply([ sort @{ filters(@requests) } ], [ '', @parts ],
		"$condition, four pages at once: all users in parts, as most of them match");
}
asks('NOT enabled, four pages at once', "$wide NOT enabled", 30, 'status = "Disabled"');
asks('a rare status, four pages at once', "$wide status = 'UNCONFIRMED'", 5, 'cognito:user_status = "UNCONFIRMED"');

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
