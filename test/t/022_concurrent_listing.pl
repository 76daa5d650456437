# Concurrent listings: requests, each user once, rate limit, errors and cancels.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use List::Util qw(max min uniq);
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $count = "SELECT count(*), count(DISTINCT username) FROM cognito_users('srv')";

# Runs a query on a server with these options; returns its result, and the requests.
sub list
{
	my ($query, %options) = @_;

	$cognito->create_server($node, 'srv', %options);
	$cognito->clear_requests;
	return ($node->safe_psql('postgres', $query), $cognito->requests);
}

# Returns the distinct filters of requests, sorted; '-' for no filter.
sub filters { return uniq sort map { $_->{body}->{Filter} // '-' } @_ }

# One digit of sub
my ($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 4);
is($result, '2000|2000', 'four at once: each user once');
is($requests[0]->{body}->{Filter}, undef, 'the first page is asked for alone, without a filter');
is_deeply([ filters(@requests) ], [ '-', map { "sub ^= \"$_\"" } 0 .. 9, 'a' .. 'f' ],
	'four at once: then one filter per digit of sub');
is(scalar(grep { !defined $_->{body}->{Filter} } @requests), 1, 'four at once: only the first page has no filter');
is(scalar(uniq(map { $_->{connection} } @requests)), 4, 'four at once: four connections');

# Two digits
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 32);
is($result, '2000|2000', '32 at once: each user once');
is(scalar(grep { /^sub \^= "[0-9a-f]{2}"$/ } filters(@requests)),
	256, 'parts of which there is more are divided by the second digit');

# Small pools
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users60', max_concurrent_requests => 16);
is($result, '60|60', 'a pool of one page: each user once');
is(@requests, 1, 'a pool of one page: one request');
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users61', max_concurrent_requests => 64);
is($result, '61|61', 'a pool of two pages: each user once');
is(@requests, 17, 'a pool of two pages: one request, and one per digit');

# One at a time, the default, divides nothing
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Users200');
is_deeply([ filters(@requests) ], ['-'], 'one at a time: no filter');

# Returns the number of requests that a session sends if the service stops responding after some responses.
sub sent_into_silence
{
	my ($session, $answers) = @_;

	$cognito->faults({ stall => 'response', times => -1, skip => $answers });
	$cognito->clear_requests;
	like(
		Cognito::query_error($session, "BEGIN; SET LOCAL statement_timeout = '2s'; $count; ROLLBACK"),
		qr/57014/, "silence after $answers: a cancel ends all requests");
	$cognito->faults;
	return scalar $cognito->requests;
}

# Requests in flight: up to the option's value, but fewer at first
my $session = Cognito::session($node);
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users6000', max_concurrent_requests => 6);
is(sent_into_silence($session, 1), 1 + 6, 'six at once: six requests are in flight');
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users6000', max_concurrent_requests => 16);
is(sent_into_silence($session, 1), 1 + 8, '16 at once: a session starts with eight requests in flight');
is(sent_into_silence($session, 9), 9 + 10, '16 at once: the number grows by one after four responses');
is(sent_into_silence($session, 33), 33 + 16, '16 at once: it grows up to the option');
is(Cognito::query($session, $count), '6000|6000', 'the next call succeeds');

# A service that ignores filters
my @subs = map { sprintf '%08x-0000', $_ * 2654435761 % 2**32 } 1 .. 150;
$cognito->pool('eu-west-1_Deaf', ignore_filter => JSON::PP::true,
	users => [ map { Cognito->user("u$_", Attributes => [ { Name => 'sub', Value => $subs[$_] } ]) } 0 .. 149 ]);
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Deaf', max_concurrent_requests => 8);
is($result, '150|150', 'a service that ignores the filter: each user once');
cmp_ok(@requests, '>', 17, 'a service that ignores the filter: partitions are requested');

# Users without a sub cannot be divided by it
$cognito->pool('eu-west-1_Bare', users => [ map { Cognito->user("u$_", Attributes => []) } 1 .. 150 ]);
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Bare', max_concurrent_requests => 8);
is($result, '150|150', 'users without a sub: each once');
is(@requests, 3, 'users without a sub: page after page');

# A user without a sub on a later page is an error, as no user may be missing
my @bare = map { my $user = $_; Cognito->user("bare$user", Attributes => [ map { { Name => 'sub', Value => $_ } } $user ]) }
  'ABCD', 'f-', 'gg';
for my $users ([ Cognito->user('bare', Attributes => []) ], [ Cognito->user('bad', Attributes => 'none') ], map { [$_] } @bare)
{
	my $name = $users->[0]->{Username};
	$cognito->pool('eu-west-1_Late', ignore_filter => JSON::PP::true, users =>
		[ (map { Cognito->user("u$_", Attributes => [ { Name => 'sub', Value => $subs[$_] } ]) } 0 .. 149), @$users ]);
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Late', max_concurrent_requests => 8);
	like(Cognito::error_of($node, $count), qr/HV000: +could not list the users of server "srv" in concurrent requests.*HINT: .*"max_concurrent_requests"/s,
		"a user without a sub on a later page: $name");
}
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Late');
is($node->safe_psql('postgres', $count), '151|151', 'users without a sub, one page at a time: each once');

# A service with unreliable filters
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8, pushdown => 'off');
is_deeply([ filters(@requests) ], ['-'], "pushdown 'off': nothing is divided by a filter");

# A filter and a limit of the caller are sent unchanged
($result, @requests) = list("SELECT count(*) FROM cognito_users('srv', 'username ^= \"user0001\"')",
	user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8);
is($result, 100, 'a filter: its users');
is_deeply([ filters(@requests) ], ['username ^= "user0001"'], 'a filter is sent unchanged');
($result, @requests) = list("SELECT count(*) FROM cognito_users('srv', NULL, 100)",
	user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8);
is($result, 100, 'a limit: as many users');
is(@requests, 2, 'a limit: no unneeded request');

# A rate limit, which the calls of a session share
($result, @requests) = list("SELECT (SELECT count(*) FROM cognito_users('srv')) +
	(SELECT count(*) FROM cognito_users('srv'))",
	user_pool_id => 'eu-west-1_Users600', max_requests_per_second => 20);
is($result, 1200, 'a limit of 20 a second: every user');
my @times = map { $_->{time} } @requests;
cmp_ok($times[-1] - $times[0], '>=', 0.7, 'twenty requests of two calls take a second');
cmp_ok(max(map { my $t = $_; scalar grep { $_ >= $t && $_ < $t + 0.5 } @times } @times),
	'<=', 12, 'a limit of 20 a second: requests are spread evenly');
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Users2000',
	max_requests_per_second => 50, max_concurrent_requests => 4);
cmp_ok($requests[-1]->{time} - $requests[0]->{time}, '>=', @requests / 50 - 0.3,
	'the limit holds for all requests at once');
my @turns = map { my $digit = $_; scalar grep { $_->{body}->{Filter} eq "sub ^= \"$digit\"" } @requests[ 1 .. 8 ] } 0 .. 3;
cmp_ok(min(@turns), '>=', 1, "all partitions progress equally (@turns)");

# The first error ends all requests
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users600', max_concurrent_requests => 8);
$cognito->faults({ error => 'AccessDeniedException', skip => 9 });
like(Cognito::error_of($node, $count), qr/42501.*srv/s, 'an error of one request is the error of the call');
is($node->safe_psql('postgres', $count), '600|600', 'the call after an error succeeds');

# Retries in some partitions while others continue
$cognito->faults({ error => 'TooManyRequestsException', times => 5, skip => 4 },
	{ close => 'midway', times => 2, skip => 7 });
is($node->safe_psql('postgres', $count), '600|600', 'retries in some parts: each user once');

is_deeply([ $cognito->violations ], [], 'nothing malformed was sent');
done_testing();
