# A service with a quota: a listing takes what there is, and does not fail.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $quota = 30;
my $burst = 15;

$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users6000', max_concurrent_requests => 8);
$cognito->control('PUT', 'quota', { rate => $quota, burst => $burst });
is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT username) FROM cognito_users('srv')"),
	'6000|6000', 'every user once');

my @requests = $cognito->requests;
my @throttled = grep { ($_->{error} // '') eq 'TooManyRequestsException' } @requests;
my $seconds = $requests[-1]->{time} - $requests[0]->{time};
my $possible = $seconds * $quota + $burst;

note sprintf '%d requests in %.1f s, %d throttled; the quota allowed %d', scalar @requests, $seconds,
  scalar @throttled, $possible;
cmp_ok(@throttled, '>', 0, 'it was throttled');
cmp_ok(@throttled, '<', 0.15 * @requests, 'but seldom');
cmp_ok(@requests - @throttled, '>', 0.8 * $possible, 'and used most of the quota');

is_deeply([ $cognito->violations ], [], 'nothing malformed was sent');
done_testing();
