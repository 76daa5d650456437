# Retries: which errors are retried, how often and after which delay; which fail at once; clock skew.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use List::Util qw(max min);
use POSIX qw(strftime);
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $throttling = Cognito->new;
my $failing = Cognito->new;
my $node = Cognito::cluster('main', "statement_timeout = '60s'");
my $undisturbed;

# Everything that a listing of 5 pages returns, in short.
my $listing =
  "SELECT count(*), md5(string_agg(u::text, ',' ORDER BY username)) FROM cognito_users('srv') u";

# Runs a query; returns its error, or an empty string, and the requests.
sub attempt
{
	my ($query) = @_;
	$cognito->clear_requests;
	my $error = Cognito::error_of($node, $query // $listing);
	return ($error, $cognito->requests);
}

# Checks that the faults do no harm to a listing but take more requests.
sub recovers
{
	my ($name, $extra, @faults) = @_;
	$cognito->faults(@faults);
	$cognito->clear_requests;
	my ($code, $result, $error) = $node->psql('postgres', $listing);

	is($result, $undisturbed, "$name: every row once") or diag $error;
	is($cognito->requests, 5 + $extra, "$name: $extra requests more");
	return;
}

# Checks that a fault, though it would last, is an error after that many requests.
sub fails
{
	my ($name, $count, $fault, $pattern) = @_;
	$cognito->faults({ %$fault, times => -1 });
	my ($error, @requests) = attempt();

	like($error, $pattern, "$name: fails");
	is(@requests, $count, "$name: $count requests");
	return;
}

# The times between requests, in seconds.
sub gaps
{
	my @times = map { $_->{time} } @_;
	return map { $times[$_] - $times[ $_ - 1 ] } 1 .. $#times;
}


# Sessions that fail until they give up; in the background, as this takes long

$failing->create_server($node, 'failing');
$failing->faults({ reply => { status => 503 }, times => -1 });
my @sessions = map { Cognito::start($node, "SELECT * FROM cognito_users('failing')") } 1 .. 4;
$throttling->create_server($node, 'throttled', max_retries => 1);
$throttling->faults({ error => 'TooManyRequestsException', times => -1 });
my $throttled_session =
  Cognito::start($node, "SET statement_timeout = 0; SELECT * FROM cognito_users('throttled')");


# Transient errors are retried

$cognito->create_server($node, 'srv');
$undisturbed = $node->safe_psql('postgres', $listing);

my $html = { 'content-type' => 'text/html' };
for (
	[ 'TooManyRequestsException', { error => 'TooManyRequestsException' } ],
	[ 'ThrottlingException', { error => 'ThrottlingException' } ],
	[ 'Throttling', { error => 'Throttling' } ],
	(map { [ $_, { error => $_ } ] }
		qw(ThrottledException RequestThrottled RequestThrottledException RequestLimitExceeded SlowDown
		RequestTimeout RequestTimeoutException)),
	[ 'a throttling type in the header',
		{ error => 'TooManyRequestsException', type_in => 'header' } ],
	[ 'a prefixed throttling type',
		{ error => 'TooManyRequestsException', type_in => 'prefixed' } ],
	[ '429 without JSON', { reply => { status => 429 } } ],
	[ 'InternalErrorException', { error => 'InternalErrorException', status => 500 } ],
	[ 'InternalErrorException as 400', { error => 'InternalErrorException' } ],
	[ 'ServiceUnavailable', { error => 'ServiceUnavailable' } ],
	[ 'a connection that closes before the answer', { close => 'before' } ],
	[ 'a connection that closes amid the header lines', { close => 'headers' } ],
	[ 'a connection that closes midway', { close => 'midway' } ],
	map { [ "$_ with HTML", { reply => { status => $_, headers => $html, body => '<h1>' } } ] }
	500, 502, 503, 504)
{
	my ($name, $fault) = @$_;
	recovers("$name, on page 3, twice", 2, { %$fault, skip => 2, times => 2 });
}

recovers('a broken first page', 1, { close => 'midway' });
recovers('different faults after each other', 3,
	{ error => 'TooManyRequestsException' },
	{ close => 'before' },
	{ reply => { status => 503 } });


# A listing of 1,000 pages survives a host name that is not found once, a lost connection and a request
# without a response.

my $folder = PostgreSQL::Test::Utils::tempdir();
my $tls = Cognito->new('--tls', "$folder/tls");
my ($port) = $tls->url =~ /:(\d+)$/;
my $resolving = do
{
	local $ENV{LD_PRELOAD} = Cognito::preload('slow_resolver');
	local $ENV{RESOLVER_FAULT} = "$folder/fault";
	Cognito::cluster('resolving', "cognito_srf.ca_file = '$folder/tls/ca.pem'");
};
$tls->create_server(
	$resolving, 'srv',
	user_pool_id => 'eu-west-1_Users60000',
	endpoint_url => "https://cognito.flaky.test:$port",
	request_timeout => '3s');
append_to_file("$folder/fault", '');
$tls->faults({ skip => 300, close => 'midway' }, { skip => 300, stall => 'response' });
is( $resolving->safe_psql('postgres',
		"SELECT count(*), count(DISTINCT username) FROM cognito_users('srv');
		 SELECT pages, requests, retries FROM cognito_statistics"),
	"60000|60000\n1000|1003|3",
	'1,000 pages, with three failures on the way: each user once');
ok(!-e "$folder/fault", 'the host name was not found at first');
is(() = $tls->requests, 1002, 'a lost connection and a request without a response: repeated');
is_deeply([ $tls->violations ], [], '1,000 pages: every request was well-formed');

# What connects in vain is repeated, too

append_to_file("$folder/fault", '');
$tls->create_server(
	$resolving, 'srv',
	endpoint_url => "https://cognito.flaky.test:$port",
	max_retries => 0);
like(Cognito::error_of($resolving, $listing),
	qr/HV00N: could not connect .*\n.* cognito\.flaky\.test, while resolving the host name\.\n/,
	'max_retries 0: a host name that is not found is an error');
$resolving->stop;

my $refusing = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
my $mute = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
for (
	[ 'a refused connection', 'could not connect to', "http://127.0.0.1:$refusing" ],
	[ 'a host name that is not found', 'could not connect to', 'https://nohost.invalid' ],
	[ 'a failing TLS handshake', 'could not connect to', $cognito->url =~ s/http:/https:/r ],
	[ 'a TLS handshake without an end', 'timeout expired while connecting to', 'https://127.0.0.1:' . $mute->sockport ])
{
	my ($name, $message, $url) = @$_;
	$cognito->create_server($node, 'srv', endpoint_url => $url, max_retries => 2, connect_timeout => '500ms');
	like(Cognito::error_of($node, $listing), qr/ERROR:  HV00N: $message Cognito .*\n.*, after 2 retries\./, "$name: repeated");
}
$cognito->create_server($node, 'srv', max_retries => 1, request_timeout => '500ms');
fails("no response, $_", 2, { stall => $_ },
	qr/ERROR:  HV000: timeout expired while waiting for Cognito's response .*\n.*, after 1 retry\./)
  for qw(response body);
$tls->create_server($node, 'srv', max_retries => 2);
like(Cognito::error_of($node, $listing), qr/ERROR:  HV00N: could not connect .*\nDETAIL: .*certificate.* TLS\.\n/,
	'a certificate that is refused: not repeated');
$cognito->faults;


# As often as max_retries says, for each page

$cognito->create_server($node, 'srv', max_retries => 1);
recovers('max_retries 1, each page fails once', 5,
	map { { error => 'TooManyRequestsException', skip => $_ } } 0 .. 4);

my $throttled = { error => 'TooManyRequestsException', message => 'Rate exceeded' };
my $id = '[0-9a-f]{8}-[0-9a-f-]{27}';
$cognito->create_server($node, 'srv', max_retries => 0);
my $detail = qq(status 400, TooManyRequestsException, "Rate exceeded", request id $id);
fails("max_retries 0, throttled", 1, $throttled,
	qr/ERROR:  53400: Cognito throttled .* "srv"\nDETAIL:  ListUsers: answered with $detail\.\n/);
$cognito->create_server($node, 'srv', max_retries => 2);
fails(
	'max_retries 2, failing', 3,
	{ reply => { status => 503 } },
	qr/ERROR:  HV000: Cognito failed to process the request for server "srv"\n.* status 503.*, after 2 retries\./);
fails('max_retries 2, broken',
	3, { close => 'midway' },
	qr/ERROR:  HV000: connection to Cognito .* "srv" was lost\n.*, after 2 retries\./);


# Everything else fails at once; 004_errors.pl checks the errors themselves

$cognito->create_server($node, 'srv');
fails($_, 1, { error => $_ }, qr/ERROR:  .*\n(?!.* retries)/)
  for qw(LimitExceededException AccessDeniedException NotAuthorizedException ResourceNotFoundException
  UserNotFoundException InvalidParameterException UnrecognizedClientException InvalidClientTokenId
  InvalidSignatureException MissingAuthenticationToken IncompleteSignature ExpiredTokenException
  SomethingNewException);
fails("status $_", 1, { reply => { status => $_, headers => $html, body => 'x' } }, qr/ERROR:  HV000/)
  for 204, 302, 400, 403, 404, 413, 501;
fails('an empty reply', 1, { reply => { body => '' } }, qr/ERROR:  HV000/);


# Retry-After is respected

for (
	[ 'Retry-After as a date', strftime('%a, %d %b %Y %H:%M:%S GMT', gmtime(time + 3)) ],
	[ 'Retry-After 1', 1 ])
{
	my ($name, $value) = @$_;
	recovers($name, 1, { %$throttled, headers => { 'retry-after' => $value } });
	my ($gap) = gaps($cognito->requests);
	cmp_ok($gap, '>=', 1, "$name: waited for");
	cmp_ok($gap, '<', 5, "$name: not for longer");
}
fails("Retry-After $_", 1, { %$throttled, headers => { 'retry-after' => $_ } }, qr/ERROR:  53400/)
  for 301, 100_000;
$cognito->faults({ %$throttled, headers => { 'retry-after' => 300 } });
my ($error, @requests) = attempt("SET statement_timeout = '500ms'; $listing");
like($error, qr/ERROR:  57014/, 'Retry-After 300: waited for, and that can be cancelled');
is(@requests, 1, 'Retry-After 300: one request so far');


# A wrong clock

$cognito->create_server($node, 'srv', max_retries => 0);
for my $ahead (3600, -3600, 86_400)
{
	$cognito->control('PUT', 'clock', $ahead);
	recovers("a clock that is $ahead s off", 1);
	is_deeply(
		[ map { $_->{error} } $cognito->requests ],
		[ 'InvalidSignatureException', (undef) x 5 ],
		"a clock that is $ahead s off: corrected for all pages");
}
$cognito->control('PUT', 'clock', 0);

# The correction is the session's, and the first request finds it out for all others: for 16 values,
# and for the next call.
$cognito->create_server($node, 'srv', max_concurrent_requests => 16, max_retries => 0);
my $session = Cognito::session($node);
my $sixteen = q(SELECT count(*) FROM cognito_users('srv', 'username', '=',
	(SELECT array_agg('user' || n) FROM generate_series(1, 16) n)));
for my $ahead (3600, -3600, 0)
{
	$cognito->control('PUT', 'clock', $ahead);
	$cognito->clear_requests;
	Cognito::query($session, $sixteen) for 1 .. 2;
	my @refused = grep { ($_->{error} // '') eq 'InvalidSignatureException' } $cognito->requests;
	my $few = $ahead == 3600 ? 1 : 16;
	cmp_ok(scalar @refused, '>=', 1, "16 at once, a clock that is $ahead s off: refused");
	cmp_ok(scalar @refused, '<=', $few, "16 at once, a clock that is $ahead s off: $few refused at most");
	is($cognito->requests, 32 + @refused, "16 at once, a clock that is $ahead s off: these are sent again");
}
$session->quit;
$cognito->create_server($node, 'srv', max_retries => 0);

recovers($_, 1, { error => $_, skip => 2 }) for 'RequestTimeTooSkewed', 'RequestExpired';
for ('Signature expired: 20260101T000000Z is now earlier', 'Signature not yet current: 2026')
{
	fails(
		"$_ after the correction", 2,
		{ error => 'InvalidSignatureException', message => $_ },
		qr/ERROR:  28000: Cognito refused the request .* "srv" because of its timestamp\n.*\nHINT: .* clock/);
}
fails(
	'a clock error without a date', 1,
	{ error => 'RequestExpired', headers => { date => 'soon' } },
	qr/ERROR:  28000/);

my $time = '\d+-\d\d-\d\d \d\d:\d\d:\d\d UTC';
for ([ 'two days ahead', 172_800 ], [ 'two days behind', -172_800 ], [ 'years behind', -1e9 ])
{
	my ($name, $ahead) = @$_;
	$cognito->control('PUT', 'clock', $ahead);
	$cognito->faults();
	($error, @requests) = attempt();
	like(
		$error,
		qr/ERROR:  28000: system clock differs from Cognito's by more than a day .* "srv"\nDETAIL:  ListUsers: .* $time, .* $time\.\nHINT: .* clock/,
		"a clock that is $name is not believed");
	is(@requests, 1, "a clock that is $name: one request");
}
$cognito->control('PUT', 'clock', 0);
for my $year (9999, 20_000, 2_147_483_647)
{
	fails(
		"the year $year", 1,
		{ error => 'RequestExpired', headers => { date => "Sat, 01 Jan $year 00:00:00 GMT" } },
		qr/ERROR:  28000: (?:system clock differs|Cognito refused the request .* because of its timestamp)/);
}

$cognito->create_server($node, 'srv', max_retries => 1);
recovers('a clock error, then throttling', 2,
	{ error => 'RequestExpired' },
	{ error => 'TooManyRequestsException' });


# The sessions in the background: by default 8 retries of failures, at random times under a growing limit

my @errors = map { Cognito::finish($_) } @sessions;
my %of_connection;
push @{ $of_connection{ $_->{connection} } }, $_ for $failing->requests;
is_deeply(
	[ map { scalar @$_ } values %of_connection ],
	[ (9) x @sessions ],
	'by default: 9 requests each');
like($_, qr/ERROR:  HV000: .*\n.*, after 8 retries\./, 'by default: fails after 8 retries') for @errors;

my @gaps = map { [ gaps(@$_) ] } values %of_connection;
my @late;
my $early = 0;
my $spread = 0;
for my $i (0 .. 7)
{
	my $longest = min(0.1 * 2**$i, 5);
	my @here = map { $_->[$i] } @gaps;

	push @late, grep { $_ > $longest + 2 } @here;    # two seconds for a busy machine
	$early += grep { $_ < $longest / 2 } @here;
	$spread = max($spread, max(@here) - min(@here));
}
is_deeply(\@late, [], 'no wait is longer than 100 ms, doubled each time, and 5 s');
cmp_ok($early, '>', 0, 'waits begin at nothing');
cmp_ok(max(map { @$_ } @gaps), '>', 1, 'waits grow');
cmp_ok($spread, '>', 0.1, 'waits differ');


# The throttled session: for a minute, however few retries are allowed, with one probe at a time

my $throttled_error = Cognito::finish($throttled_session);
my @probes = map { $_->{time} } $throttling->requests;
like($throttled_error, qr/ERROR:  53400: .*\n.*, after \d{2,} retries\./, 'throttled for long: fails');
cmp_ok($probes[-1] - $probes[0], '>=', 59.5, 'throttled for long: after a minute');
cmp_ok(@probes, '<', 165, 'throttled for long: seldom sent again');    # every 400 ms

is_deeply([ $cognito->violations, $throttling->violations, $failing->violations ], [], 'every request was well-formed');

done_testing();
