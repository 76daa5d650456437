# Many pages at once: what is asked, each user once, a limit of the rate, errors and cancels.
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

# Calls with so many requests at once; gives the result, and the requests that the server saw.
sub list
{
	my ($query, %options) = @_;

	$cognito->create_server($node, 'srv', %options);
	$cognito->forget;
	return ($node->safe_psql('postgres', $query), $cognito->requests);
}

# The different filters of some requests, sorted; '-' where there is none.
sub filters { return uniq sort map { $_->{body}->{Filter} // '-' } @_ }

# One digit of sub
my ($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 4);
is($result, '2000|2000', 'four at once: each user once');
is($requests[0]->{body}->{Filter}, undef, 'the first page is asked for alone, without a filter');
is_deeply([ filters(@requests) ], [ '-', map { "sub ^= \"$_\"" } 0 .. 9, 'a' .. 'f' ],
	'then each digit of sub');
is(scalar(grep { !defined $_->{body}->{Filter} } @requests), 1, 'and nothing more of the whole pool');
is(scalar(uniq(map { $_->{connection} } @requests)), 4, 'over four connections');

# Two digits
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 32);
is($result, '2000|2000', '32 at once: each user once');
is(scalar(grep { /^sub \^= "[0-9a-f]{2}"$/ } filters(@requests)),
	256, 'parts of which there is more are divided by the second digit');

# Small pools
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users60', max_concurrent_requests => 16);
is($result, '60|60', 'a pool of one page');
is(@requests, 1, 'is one request');
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users61', max_concurrent_requests => 64);
is($result, '61|61', 'a pool of two pages');
is(@requests, 17, 'is one request, and one a digit');

# One at a time, the default, divides nothing
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Users200');
is_deeply([ filters(@requests) ], ['-'], 'one at a time: no filter');

# How many requests are sent in a session if the service falls silent after so many answers.
sub sent_into_silence
{
	my ($session, $answers) = @_;

	$cognito->faults({ stall => 'answer', times => -1, skip => $answers });
	$cognito->forget;
	like(
		Cognito::complaints($session, "BEGIN; SET LOCAL statement_timeout = '2s'; $count; ROLLBACK"),
		qr/57014/, "silence after $answers: a cancel ends all requests");
	$cognito->faults;
	return scalar $cognito->requests;
}

# They are under way at the same time: as many as the option says, but at first only a few
my $session = Cognito::session($node);
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users6000', max_concurrent_requests => 6);
is(sent_into_silence($session, 1), 1 + 6, 'six at once: so many are under way');
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users6000', max_concurrent_requests => 16);
is(sent_into_silence($session, 1), 1 + 8, '16 at once: a session begins with eight');
is(sent_into_silence($session, 9), 9 + 10, 'and adds one for four answers');
is(sent_into_silence($session, 33), 33 + 16, 'up to the option');
is(Cognito::ask($session, $count), '6000|6000', 'and the next call is well');

# A service that ignores filters
my @subs = map { sprintf '%08x-0000', $_ * 2654435761 % 2**32 } 1 .. 150;
$cognito->pool('eu-west-1_Deaf', ignore_filter => JSON::PP::true,
	users => [ map { Cognito->user("u$_", Attributes => [ { Name => 'sub', Value => $subs[$_] } ]) } 0 .. 149 ]);
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Deaf', max_concurrent_requests => 8);
is($result, '150|150', 'a service that ignores the filter: each user once');
cmp_ok(@requests, '>', 17, 'though each part gave them all');

# Users without a sub cannot be divided by it
$cognito->pool('eu-west-1_Bare', users => [ map { Cognito->user("u$_", Attributes => []) } 1 .. 150 ]);
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Bare', max_concurrent_requests => 8);
is($result, '150|150', 'users without a sub: each once');
is(@requests, 3, 'page after page');

# Nor can those who show up only later: an error, as nobody may be missing
my @bare = map { my $user = $_; Cognito->user("bare$user", Attributes => [ map { { Name => 'sub', Value => $_ } } $user ]) }
  'ABCD', 'f-', 'gg';
for my $users ([ Cognito->user('bare', Attributes => []) ], [ Cognito->user('bad', Attributes => 'none') ], map { [$_] } @bare)
{
	my $name = $users->[0]->{Username};
	$cognito->pool('eu-west-1_Late', ignore_filter => JSON::PP::true, users =>
		[ (map { Cognito->user("u$_", Attributes => [ { Name => 'sub', Value => $subs[$_] } ]) } 0 .. 149), @$users ]);
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Late', max_concurrent_requests => 8);
	like(Cognito::error_of($node, $count), qr/HV000: +could not list the users of server "srv" in several concurrent requests.*HINT: .*"max_concurrent_requests"/s,
		"a user without a sub on a later page: $name");
}
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Late');
is($node->safe_psql('postgres', $count), '151|151', 'but one at a time: each once');

# A service whose filters are not to be relied on
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8, pushdown => 'off');
is_deeply([ filters(@requests) ], ['-'], "pushdown 'off': nothing is divided by a filter");

# A filter and a limit of the caller's own are asked for as they are
($result, @requests) = list("SELECT count(*) FROM cognito_users('srv', 'username ^= \"user0001\"')",
	user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8);
is($result, 100, 'a filter');
is_deeply([ filters(@requests) ], ['username ^= "user0001"'], 'is asked for as it is');
($result, @requests) = list("SELECT count(*) FROM cognito_users('srv', NULL, 100)",
	user_pool_id => 'eu-west-1_Users200', max_concurrent_requests => 8);
is($result, 100, 'a limit');
is(@requests, 2, 'asks for no more than it needs');

# A limit of the rate, which the calls of a session share
($result, @requests) = list("SELECT (SELECT count(*) FROM cognito_users('srv')) +
	(SELECT count(*) FROM cognito_users('srv'))",
	user_pool_id => 'eu-west-1_Users600', max_requests_per_second => 20);
is($result, 1200, 'a limit of 20 a second: every user');
my @times = map { $_->{time} } @requests;
cmp_ok($times[-1] - $times[0], '>=', 0.7, 'twenty requests of two calls take a second');
cmp_ok(max(map { my $t = $_; scalar grep { $_ >= $t && $_ < $t + 0.5 } @times } @times),
	'<=', 12, 'and are spread evenly');
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Users2000',
	max_requests_per_second => 50, max_concurrent_requests => 4);
cmp_ok($requests[-1]->{time} - $requests[0]->{time}, '>=', @requests / 50 - 0.3,
	'the limit holds for all requests at once');
my @turns = map { my $digit = $_; scalar grep { $_->{body}->{Filter} eq "sub ^= \"$digit\"" } @requests[ 1 .. 8 ] } 0 .. 3;
cmp_ok(min(@turns), '>=', 1, "and none has to wait for the others' last (@turns)");

# The first error ends them all
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users600', max_concurrent_requests => 8);
$cognito->faults({ error => 'AccessDeniedException', skip => 9 });
like(Cognito::error_of($node, $count), qr/42501.*srv/s, 'an error of one request is the error of the call');
is($node->safe_psql('postgres', $count), '600|600', 'and the next call is well');

# Retries in some parts while others go on
$cognito->faults({ error => 'TooManyRequestsException', times => 5, skip => 4 },
	{ close => 'midway', times => 2, skip => 7 });
is($node->safe_psql('postgres', $count), '600|600', 'retries in some parts: each user once');

is_deeply([ $cognito->violations ], [], 'nothing malformed was sent');
done_testing();
