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
	max_retries => 4);
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

is_deeply([ $cognito->violations ], [], 'nothing malformed was sent');
done_testing();
