# A service with a quota: a listing does not fail, and is seldom throttled.  How much of the quota it
# uses depends on the machine, too: see make bench.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $count = "SELECT count(*), count(DISTINCT username) FROM cognito_users('srv')";

# So little is allowed that a machine that has other things to do overruns it all the same; and few
# retries, so that it must not happen often to the same request.
$cognito->create_server($node, 'srv',
	user_pool_id => 'eu-west-1_Users6000',
	max_concurrent_requests => 16,
	max_retries => 1);
$cognito->control('PUT', 'quota', { rate => 20, burst => 15 });
my $session = Cognito::session($node);

# Lists the pool; the part of its requests that was throttled.
sub throttled_part
{
	$cognito->clear_requests;
	is(Cognito::query($session, $count), '6000|6000', 'every user once');

	my @requests = $cognito->requests;
	my @throttled = grep { ($_->{error} // '') eq 'TooManyRequestsException' } @requests;
	note sprintf '%d requests, %d throttled', scalar @requests, scalar @throttled;
	return @throttled / @requests;
}

my $first = throttled_part();
cmp_ok($first, '>', 0, 'first listing: some requests are throttled');
cmp_ok($first, '<', 0.25, 'first listing: most requests are not throttled');
cmp_ok(throttled_part(), '<', 0.1, 'second listing: fewer requests are throttled');


# A service that counts requests per second of the clock: 100 pages take 5 s, and must not take far
# more, although nothing is accepted for the rest of a second; nor after another client has taken
# the whole quota.
for ([ 'a count per second', {} ], [ 'another client takes all for 2 of 10 s', { burst => 15, taken_seconds => 2 } ])
{
	my ($name, $options) = @$_;
	my $fresh = Cognito::session($node);

	$cognito->control('PUT', 'quota', { rate => 20, %$options });
	$cognito->clear_requests;
	is(Cognito::query($fresh, $count), '6000|6000', "$name: every user once");
	my @requests = $cognito->requests;
	my $seconds = $requests[-1]->{time} - $requests[0]->{time};
	my $throttled = grep { defined $_->{error} } @requests;
	note sprintf '%s: %.1f s, %d requests, %d throttled', $name, $seconds, scalar @requests, $throttled;
	cmp_ok($seconds, '<', 20, "$name: the rate does not collapse");
	cmp_ok($throttled / @requests, '<', 0.15, "$name: most requests are not throttled");
}

is_deeply([ $cognito->violations ], [], 'nothing malformed was sent');
done_testing();
