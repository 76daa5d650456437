# Transfers: limits of memory and file descriptors, and failures of libcurl.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $faults = PostgreSQL::Test::Utils::tempdir();
my $cognito = Cognito->new;
my $node = do
{
	local $ENV{LD_PRELOAD} = Cognito::preload('libcurl_faults');
	local $ENV{LIBCURL_FAULTS} = $faults;
	Cognito::cluster('main', "statement_timeout = '60s'");
};
$cognito->create_server($node, 'srv', max_retries => 0, request_timeout => '30s');
my $session = Cognito::session($node);
my $count = "SELECT count(*) FROM cognito_users('srv')";

# Checks that the next call fails for lack of memory, at once, and the one after it succeeds.
sub fails_once
{
	my ($name, $fault, $skip) = @_;

	append_to_file("$faults/$fault", $skip // 0);
	my $start = time;
	like(Cognito::query_error($session, $count),
		qr/ERROR:  53200: out of memory .* "srv"/, "$name: an error");
	cmp_ok(time - $start, '<', 10, "$name: at once");
	ok(!-e "$faults/$fault", "$name: it happened");
	is(Cognito::query($session, $count), 300, "$name: the next call succeeds");
	return;
}

# libcurl fails while a request is sent, on a new connection and on a kept one.

fails_once('a request that cannot be added', 'add');
fails_once('a body that cannot be copied', 'option');
fails_once('a socket that cannot be watched', 'socket');
fails_once('a request that cannot be added, again', 'add');

# The same for a request that had to wait before it was sent.

for my $fault (qw(add option))
{
	$cognito->create_server($node, 'srv', request_timeout => '30s');
	$cognito->faults({ error => 'TooManyRequestsException' });
	fails_once("$fault in a retry", $fault, 1);
}

# Several requests are in flight.

$cognito->create_server($node, 'srv',
	max_retries => 0,
	request_timeout => '30s',
	max_concurrent_requests => 16,
	user_pool_id => 'eu-west-1_Users2000');
is(Cognito::query($session, $count), 2000, 'sixteen requests at once');
append_to_file("$faults/socket", 20);
like(Cognito::query_error($session, $count),
	qr/ERROR:  53200: /, 'a socket of one of them cannot be watched: an error');
is(Cognito::query($session, $count), 2000, 'the next call with sixteen requests succeeds');


# Descriptors: a backend that may open few leaves room for its own files.

is(Cognito::query($session, 'SHOW max_files_per_process'), 1000, 'a thousand files a backend');
$node->append_conf('postgresql.conf', 'max_files_per_process = 80');
$node->restart;
$session = Cognito::session($node);
$cognito->pool('eu-west-1_Groups', groups => [ map { { GroupName => "g$_" } } 1 .. 250 ]);
$cognito->create_server($node, 'srv',
	max_concurrent_requests => 64,
	user_pool_id => 'eu-west-1_Groups');
$cognito->faults({ delay => 0.05, times => -1 });
like(
	Cognito::query_error($session, "SELECT FROM cognito_memberships('srv')"),
	qr/ERROR:  53000: out of file descriptors for a connection .* "srv"\nDETAIL: .*\nHINT: .*max_concurrent_requests/,
	'64 connections of 80 files are refused');
$cognito->faults();
$cognito->create_server($node, 'srv',
	max_concurrent_requests => 4,
	user_pool_id => 'eu-west-1_Users2000');
is(Cognito::query($session, $count), 2000, 'four connections of 80 files are allowed');
is(Cognito::query($session, 'CREATE TEMP TABLE copy AS SELECT * FROM pg_proc; SELECT count(*) > 0 FROM copy'),
	't', 'other files can be opened');


# Memory: all responses in flight share one limit.

# Responds to each request with 31 MB and never ends the response, but to those for "few" at once.
my $listener = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
my $server = Cognito::serve_connections($listener, sub {
	my ($connection) = @_;
	my $megabyte = ' ' x 1_000_000;
	while (defined(my $line = $connection->getline))
	{
		my $length = $line =~ /^content-length: (\d+)/i ? $1 : next;
		1 while ($connection->getline // "\r\n") ne "\r\n";
		$connection->read(my $body, $length);
		last unless $body =~ /few/;
		print $connection "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"Users\":[]}";
		$connection->flush;
	}
	print $connection "HTTP/1.1 200 OK\r\ncontent-length: 32000000\r\n\r\n";
	print $connection $megabyte for 1 .. 31;
	sleep 60;
});
$cognito->create_server($node, 'srv',
	max_retries => 0,
	request_timeout => '40s',
	max_concurrent_requests => 6);
$node->safe_psql('postgres',
	"ALTER SERVER srv OPTIONS (SET endpoint_url 'http://127.0.0.1:" . $listener->sockport . "')");
is(Cognito::query($session, "SELECT count(*) FROM cognito_users('srv', 'email', '=', ARRAY(SELECT 'few' || n FROM generate_series(1, 24) n))"),
	0, 'after some responses, a session sends six requests at a time');
like(
	Cognito::query_error($session,
		"SELECT FROM cognito_users('srv', 'email', '=', '{a,b,c,d,e,f}')"),
	qr/ERROR:  HV000: Cognito's concurrent responses .* "srv" are larger than 128 MB in total\nDETAIL: .*\nHINT: .*max_concurrent_requests/,
	'six answers of 31 MB are too much');
Cognito::stop_processes($server);

is(join('', $cognito->violations), '', 'every request was well-formed');

# Header lines, which libcurl stores, count as well.
$cognito->create_server($node, 'srv', max_retries => 0);
$cognito->faults({ error => 'AccessDeniedException',
	headers => { map { ("x-filler-$_" => 'x' x 60_000) } 1 .. 5 } });
like(Cognito::query_error($session, $count),
	qr/ERROR:  HV000: Cognito's response for server "srv" has more than 256 kB of header lines\nDETAIL:  ListUsers: while receiving the response\.\n/, '300 kB of header lines are too much');

done_testing();
