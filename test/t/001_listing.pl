# Listings: every page of every pool, no more requests than needed, on kept connections.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use List::Util qw(uniq);
use Test::More;
use Time::HiRes qw(usleep);

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

# Points the server "srv" at a pool.
sub use_pool
{
	my ($id) = @_;
	$cognito->create_server($node, 'srv', user_pool_id => $id);
	return;
}

# Lists a pool and checks rows and requests; more arguments of the function may be given.
sub check_listing
{
	my ($name, $pool, $rows, $requests, $arguments) = @_;

	use_pool($pool);
	my ($counts, @requests) = $cognito->query_with_requests($node,
		"SELECT count(*), count(DISTINCT username) FROM cognito_users('srv'"
		  . (defined $arguments ? ", $arguments)" : ')'));
	is($counts, "$rows|$rows", "$name: $rows distinct users");
	is(@requests, $requests, "$name: $requests requests");
	return @requests;
}

# The parameter of each request.
sub parameter
{
	my ($name, @requests) = @_;
	return [ map { $_->{body}{$name} } @requests ];
}

# Waits, ten seconds at the most, until the server has read that many requests; how many it has.
sub wait_for_requests
{
	my ($count) = @_;

	for (1 .. 200)
	{
		last if $cognito->requests >= $count;
		usleep(50_000);
	}
	return scalar $cognito->requests;
}


# Pools of all sizes

check_listing("pool of $_->[0]", "eu-west-1_Users$_->[0]", @$_)
  for [ 0, 1 ], [ 1, 1 ], [ 60, 1 ], [ 61, 2 ], [ 10_000, 167 ];

my @users = map { Cognito->user("u$_") } 1 .. 130;
$cognito->pool('eu-west-1_Gaps', users => \@users, empty_pages => 3);
check_listing('three empty pages after each', 'eu-west-1_Gaps', 130, 12);

$cognito->pool('eu-west-1_Tokens', users => \@users, token_length => 20_000);
my @requests = check_listing('long tokens', 'eu-west-1_Tokens', 130, 3);
is_deeply(
	[ map { length($_ // '') } @{ parameter('PaginationToken', @requests) } ],
	[ 0, 20_000, 20_000 ],
	'tokens of 20,000 characters go back whole');

$cognito->pool('eu-west-1_Deaf', users => \@users, ignore_limit => 1);
check_listing('a service that ignores Limit', 'eu-west-1_Deaf', 130, 1);
check_listing('a service that ignores Limit, max_users 10', 'eu-west-1_Deaf', 10, 1, 'NULL, 10');


# max_users: no request too many, and no row

my $pool = 'eu-west-1_Users300';
check_listing('max_users 0', $pool, 0, 0, 'NULL, 0');
for (
	[ 10, 1, 10 ],
	[ 60, 1, 60 ],
	[ 61, 2, 31 ],
	[ 120, 2, 60 ],
	[ 121, 3, 41 ])
{
	my ($max_users, $pages, $limit) = @$_;
	@requests = check_listing("max_users $max_users", $pool, $max_users, $pages, "NULL, $max_users");
	is_deeply(parameter('Limit', @requests),
		[ ($limit) x $pages ], "max_users $max_users: each has Limit $limit");
}
@requests = check_listing('max_users beyond the pool', $pool, 300, 6, 'NULL, 1000');
is(uniq(@{ parameter('Limit', @requests) }), 1, 'max_users beyond the pool: one Limit throughout');
check_listing('max_users NULL', $pool, 300, 5, 'NULL, NULL');
check_listing('the largest max_users', $pool, 300, 5, 'NULL, 9223372036854775807');
check_listing('max_users over empty pages', 'eu-west-1_Gaps', 61, 5, 'NULL, 61');


# Filters are sent to Cognito unchanged, and with a signature that Cognito accepts

$cognito->pool('eu-west-1_Names',
	users => [
		map { Cognito->user("n$_->[0]", Attributes => [ { Name => 'name', Value => $_->[1] } ]) }
		  [ 1, 'Zoë' ],
		[ 2, 'Dwayne "The Rock" Johnson' ],
		[ 3, 'back\\slash' ],
		[ 4, '日本 🦆' ]
	]);
use_pool('eu-west-1_Names');
for (
	[ 'non-ASCII', 'name = "Zoë"', 'n1' ],
	[ 'quotes', 'name ^= "Dwayne \"The"', 'n2' ],
	[ 'a backslash', 'name = "back\\slash"', 'n3' ],
	[ 'characters of four bytes', 'name = "日本 🦆"', 'n4' ],
	[ 'white space', '  username   ^=  "n1"   ', 'n1' ],
	[ 'control characters', "name = \"\x01\t\n\r\x1f\x7f\"", '' ],
	[ 'what JSON, SQL and URLs escape', q(name = "'/%2B+&?#</script>"), '' ],
	[ '256 non-ASCII characters', 'name = "' . 'ë' x 247 . '"', '' ],
	[ 'nothing', '', "n1\nn2\nn3\nn4" ])
{
	my ($name, $filter, $usernames) = @$_;
	my ($result, $request) = $cognito->query_with_requests($node,
		encode_utf8("SELECT username FROM cognito_users('srv', " . Cognito::quote($filter) . ')'));
	is($request->{body}{Filter}, $filter, "filter with $name: passed through");
	is($result, $usernames, "filter with $name: the right users");
}
my (undef, $request) =
  $cognito->query_with_requests($node, "SELECT count(*) FROM cognito_users('srv', NULL)");
ok(!exists $request->{body}{Filter}, 'filter NULL: none is sent');

@requests = check_listing('filter over two pages', $pool, 100, 2, q('username ^= "user0001"'));
is_deeply(
	parameter('Filter', @requests),
	[ ('username ^= "user0001"') x 2 ],
	'filter over two pages: sent with each');


# The token of the page just asked for, again

use_pool($pool);
$cognito->faults(
	{ times => 5, reply => { body => '{"Users": [{"Username": "u"}], "PaginationToken": "t"}' } });
$cognito->clear_requests;
like(
	Cognito::error_of($node, "SELECT * FROM cognito_users('srv')"),
	qr/ERROR:  HV000: unusable reply from .* "srv"\n.*"PaginationToken" is the token that was sent/,
	'a token that repeats is an error');
is($cognito->requests, 2, 'a token that repeats is noticed at once');


# The next page is requested before a page is converted to rows: the invalid user must not prevent it

$cognito->faults(
	{ reply => { body => '{"Users": [{"Username": 7}], "PaginationToken": "t"}' } });
$cognito->clear_requests;
like(
	Cognito::error_of($node, "SELECT * FROM cognito_users('srv')"),
	qr/ERROR:  HV000: .*\n.*Item 1: member "Username" is not a string/,
	'a bad user on the first page is an error');
is(wait_for_requests(2), 2, 'the second page was asked for before the first became rows');


# Connections are kept, and replaced when they break

my $other = Cognito->new;
$cognito->create_server($node, 'srv');
$other->create_server($node, 'other', user_pool_id => 'eu-west-1_Users61');

my $count = "SELECT count(*) FROM cognito_users('srv')";
my $counts;
($counts, @requests) = $cognito->query_with_requests($node, "$count; BEGIN; $count; ROLLBACK; $count");
is($counts, "300\n300\n300", 'three calls in one session');
is(@requests, 15, 'three calls: each asks for itself');
is(uniq(map { $_->{connection} } @requests), 1, 'three calls: one connection');

# The local Cognito closes a connection if the content-length is not in its own format.
my $last = '{"Users": []}';
$cognito->faults({
	skip => 4,
	reply => { body => $last, headers => { 'content-length' => '0' . length $last } }
});
$cognito->create_server($node, 'brittle', max_retries => 0);
my $session = $node->background_psql('postgres');
$cognito->clear_requests;
is($session->query_safe("SELECT count(*) FROM cognito_users('brittle')"),
	240, 'a call after which the server closes the connection');
is($session->query_safe("SELECT count(*) FROM cognito_users('brittle')"),
	300, 'the next call needs no retry');
is_deeply(
	[ uniq map { $_->{connection} } ($cognito->requests)[ 0 .. 4 ] ],
	[ ($cognito->requests)[0]{connection} ],
	'the connection was kept until the server closed it');
is(uniq(map { $_->{connection} } $cognito->requests), 2, 'a new connection took its place');
$session->quit;

$other->clear_requests;
($counts, @requests) = $cognito->query_with_requests($node, "SELECT (SELECT count(*) FROM cognito_users('srv')),
	(SELECT count(*) FROM cognito_users('other')); $count");
is($counts, "300|61\n300", 'two servers in one session');
is(@requests, 10, 'two servers: the first one got its requests');
is($other->requests, 2, 'two servers: the second one got its requests');
is(uniq(map { $_->{connection} } @requests), 1, 'two servers: the other one disturbs no connection');

is_deeply([ $cognito->violations, $other->violations ], [], 'every request was well-formed');


# A filter that is too long: the local Cognito records it as a violation, so this test comes last

like(
	Cognito::error_of($node,
		q(SELECT * FROM cognito_users('srv', 'name = "' || repeat('e', 248) || '"'))),
	qr/ERROR:  22023: .*"srv"\n.*InvalidParameterException.*\nHINT:.* at most 256 characters.* user_pool_id => '/,
	'a filter of 257 characters is refused by Cognito');

done_testing();
