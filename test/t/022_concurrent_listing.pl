# Concurrent listings: requests, each user once, rate limit, errors and cancels.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use List::Util qw(max min uniq);
use POSIX qw(ceil);
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

# The filters of the partitions, the first of which is the sample
my @partitions = map { "sub ^= \"$_\"" } 0 .. 9, 'a' .. 'f';

# A large pool: two pages, the sample, and then the other partitions
my ($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 4);
is($result, '2000|2000', 'four at once: each user once');
is_deeply([ map { $_->{body}->{Filter} } @requests[ 0 .. 2 ] ], [ undef, undef, $partitions[0] ],
	'the first two pages are requested without a filter, and then the sample');
is_deeply([ filters(@requests) ], [ '-', @partitions ], 'four at once: one filter per digit of sub');
is(scalar(grep { !defined $_->{body}->{Filter} } @requests), 2, 'four at once: only two pages have no filter');
is(scalar(uniq(map { $_->{connection} } @requests)), 4, 'four at once: four connections');

# More requests than 16 at once do not divide the pool further
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Users2000', max_concurrent_requests => 64);
is($result, '2000|2000', '64 at once: each user once');
is_deeply([ filters(@requests) ], [ '-', @partitions ], '64 at once: one filter per digit of sub');
cmp_ok(scalar(uniq(map { $_->{connection} } @requests)), '<=', 16, '64 at once: 16 connections at most');

# No wasted requests: two more than pages up to 480 users, and 3 % and 16 above, whatever the subs are
for my $kind (qw(Users OldUsers))
{
	for my $users (1, 60, 61, 120, 121, 300, 480, 481, 960, 1100, 2500, 6000)
	{
		my $pages = ceil($users / 60);

		($result, @requests) =
		  list($count, user_pool_id => "eu-west-1_$kind$users", max_concurrent_requests => 16);
		is($result, "$users|$users", "$kind, $users: each user once");
		cmp_ok(@requests, '<=', $users <= 120 ? $pages : $users <= 480 ? $pages + 2 : 1.03 * $pages + 16,
			"$kind, $users: no wasted requests for $pages pages");
	}
}

# Empty pages, between which the sample may be one, are no end
my @everyone = map { Cognito->user(sprintf('u%04d', $_), Attributes => [ { Name => 'sub', Value => sprintf '%x-%04d', $_ % 16, $_ } ]) } 1 .. 1200;
$cognito->pool('eu-west-1_Empty', empty_pages => 1, users => [ @everyone[ 0 .. 399 ] ]);
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Empty', max_concurrent_requests => 16);
is($result, '400|400', 'empty pages: each user once');
is_deeply([ filters(@requests) ], [ '-', @partitions ], 'empty pages: the pool is divided, as its partitions have several pages');

# One at a time, the default, divides nothing
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Users200');
is_deeply([ filters(@requests) ], ['-'], 'one at a time: no filter');

# Returns the number of requests that a session sends to list the users of a server, if the service
# stops responding after some responses.
sub sent_into_silence
{
	my ($session, $answers, $server) = @_;
	my $count = "SELECT count(*) FROM cognito_users('$server')";
	my $timeout = 2000 + 80 * $answers;    # in milliseconds, of a busy machine

	$cognito->faults({ stall => 'response', times => -1, skip => $answers });
	$cognito->clear_requests;
	like(
		Cognito::query_error($session, "BEGIN; SET LOCAL statement_timeout = $timeout; $count; ROLLBACK"),
		qr/57014/, "silence after $answers: a cancel ends all requests");
	$cognito->faults;
	return scalar $cognito->requests;
}

# Requests in flight: up to the option's value, but fewer at first. What a session has learned of a
# quota holds for all servers with the same access key, and for no other quota.
my %large = (user_pool_id => 'eu-west-1_Users9000');
my $session = Cognito::session($node);
$cognito->control('PUT', 'keys', { AKIAOTHER => { secret => 'other' } });
$cognito->create_server($node, 'srv', %large, max_concurrent_requests => 16);
$cognito->create_server($node, 'same', %large, max_concurrent_requests => 16);
$cognito->create_server($node, 'six', %large, max_concurrent_requests => 6);
$cognito->create_server($node, 'other', %large, max_concurrent_requests => 16,
	aws_access_key_id => 'AKIAOTHER', aws_secret_access_key => 'other');
my $unlucky = Cognito::session($node);
for (1, 2)
{
	$cognito->faults({ close => 'before', times => 4 });
	is(Cognito::query($unlucky, "SELECT count(*) FROM cognito_users('srv', 'sub = \"none\"')"), 0, 'four lost connections');
}
is(sent_into_silence($unlucky, 3, 'srv'), 3 + 4, 'lost connections do not make the number of requests grow');
is(sent_into_silence($session, 3, 'srv'), 3 + 4, 'a session starts with four requests in flight');
is(sent_into_silence($session, 7, 'srv'), 7 + 5, 'the number grows by one after some responses');
$cognito->faults({ error => 'TooManyRequestsException', operation => 'AdminAddUserToGroup' });
like(Cognito::query_error($session, "SELECT cognito_add_user_to_group('srv', 'nobody', 'none')"),
	qr/42704/, 'a throttled change of a group is sent again');
is(sent_into_silence($session, 3, 'same'), 3 + 6,
	'another server with the same access key shares the quota; the throttled change belongs to another');
is(sent_into_silence($session, 3, 'other'), 3 + 4, 'another access key has its own quota');
is(sent_into_silence($session, 96, 'srv'), 96 + 16, 'the number grows up to the option');
is(sent_into_silence($session, 3, 'six'), 3 + 6, 'six at once: six requests are in flight');

# Operations that are limited to five requests per second in each pool start with this limit
$cognito->pool('eu-west-1_Grouped', groups => [ map { { GroupName => "g$_" } } 1 .. 180 ]);
($result, @requests) = list("SELECT count(*) FROM cognito_groups('srv')", user_pool_id => 'eu-west-1_Grouped');
is($result, 180, 'three pages of groups');
cmp_ok($requests[2]->{time} - $requests[0]->{time}, '>', 0.3, 'pages of groups follow each other slowly');

$cognito->create_server($node, 'srv', %large, max_concurrent_requests => 16);
is(Cognito::query($session, $count), '9000|9000', 'the next call succeeds');

# A service that ignores filters, which the sample shows
my @subs = map { sprintf '%08x-0000', $_ * 2654435761 % 2**32 } 1 .. 150;
my @divided = map { Cognito->user("u$_", Attributes => [ { Name => 'sub', Value => $subs[$_] } ]) } 0 .. 149;
$cognito->pool('eu-west-1_Deaf', ignore_filter => JSON::PP::true, users => \@divided);
($result, @requests) =
  list($count, user_pool_id => 'eu-west-1_Deaf', max_concurrent_requests => 8);
is($result, '150|150', 'a service that ignores the filter: each user once');
is_deeply([ map { $_->{body}->{Filter} // '-' } @requests ], [ '-', '-', $partitions[0], '-' ],
	'a service that ignores the filter: nothing is divided');

# A service that ignores filters only later: users of other partitions are dropped
$cognito->pool('eu-west-1_Turn', users => \@everyone);
$cognito->faults({ skip => 3, reply => { body => JSON::PP->new->encode({ Users => [ grep { $_->{Attributes}->[0]->{Value} =~ /^2/ } @everyone ] }) } });
($result, @requests) = list($count, user_pool_id => 'eu-west-1_Turn', max_concurrent_requests => 2);
like($result, qr/^(\d+)\|\1$/, 'a partition with users of another: these are dropped');
$cognito->faults;

# Users without a sub cannot be divided by it, nor those whose sub is no UUID
for my $attributes ([], [ { Name => 'sub', Value => 'ABCD' } ], [ { Name => 'sub', Value => '0' x 64 } ])
{
	$cognito->pool('eu-west-1_Bare', users => [ map { Cognito->user("u$_", Attributes => $attributes) } 1 .. 150 ]);
	($result, @requests) =
	  list($count, user_pool_id => 'eu-west-1_Bare', max_concurrent_requests => 8);
	is($result, '150|150', 'users without a sub: each once');
	is(@requests, 3, 'users without a sub: page after page');
}

# A user without a sub in a partition is an error, as no user may be missing
my @bare = map { my $user = $_; Cognito->user("bare$user", Attributes => [ map { { Name => 'sub', Value => $_ } } $user ]) }
  'ABCD', 'gg', '-f', '0' x 64;
for my $user (Cognito->user('bare', Attributes => []), Cognito->user('bad', Attributes => 'none'), @bare)
{
	my $name = $user->{Username};
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Turn', max_concurrent_requests => 8);
	$cognito->faults({ skip => 3, reply => { body => JSON::PP->new->encode({ Users => [$user] }) } });
	like(Cognito::error_of($node, $count), qr/HV000: +could not list the users of server "srv" in concurrent requests.*HINT: .*"max_concurrent_requests"/s,
		"a user without a sub in a partition: $name");
}
$cognito->faults;
$cognito->pool('eu-west-1_Late', ignore_filter => JSON::PP::true, users => [ @divided, $bare[0] ]);
for my $n (1, 8)
{
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Late', max_concurrent_requests => $n);
	is($node->safe_psql('postgres', $count), '151|151', "a user without a sub on a later page, $n at once: each once");
}

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
