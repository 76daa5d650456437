# Endpoints that misbehave in ways that no Cognito would: a call ends when it is told to, and takes
# no more of the machine than another.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Compress::Gzip qw(gzip $GzipError);
use IO::Socket::INET;
use IPC::Run qw(start timeout);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

$ENV{no_proxy} = '*';

my $cognito = Cognito->new;
my $folder = PostgreSQL::Test::Utils::tempdir();
my $tls = Cognito->new('--tls', "$folder/tls");
my $node = Cognito::cluster('main');
my $session = Cognito::session($node);
my $count = "SELECT count(*) FROM cognito_users('srv')";

# Serves each connection when its request has come; returns the server's URL and process group.
sub serve
{
	my ($handler) = @_;
	my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1');
	my $group = Cognito::serve_connections($listener, sub {
		my ($connection) = @_;
		1 while ($connection->getline // "\r\n") ne "\r\n";
		$handler->($connection);
	});
	return ('http://127.0.0.1:' . $listener->sockport, $group);
}

# Runs a query in the session; returns its error and the seconds that it took.
sub timed
{
	my ($query) = @_;
	my $start = time;
	my $error = Cognito::query_error($session, $query);
	return ($error, time - $start);
}

# The backend's peak of resident memory, in MB.
sub peak
{
	my $pid = Cognito::query($session, 'SELECT pg_backend_pid()');
	return slurp_file("/proc/$pid/status") =~ /^VmHWM:\s+(\d+) kB/m ? $1 / 1024 : die 'no VmHWM';
}


# Transfer encodings: libcurl decodes those that nobody asked for, layer by layer.

my $bomb = "\0" x 100_000_000;
for (1 .. 3)
{
	gzip(\(my $plain = $bomb) => \$bomb) or die $GzipError;
}
for my $encoding ('gzip, gzip, gzip', 'GZIP', "identity", "deflate, chunked", "chunked\r\nTransfer-Encoding: gzip")
{
	my ($url, $server) = serve(sub {
		my ($connection) = @_;
		print $connection "HTTP/1.1 200 OK\r\nTransfer-Encoding: $encoding\r\n\r\n", $bomb;
	});
	$cognito->create_server($node, 'srv', endpoint_url => $url, max_retries => 0);
	my ($error, $seconds) = timed("SET statement_timeout = '2s'; $count; RESET statement_timeout");
	like(
		$error,
		qr/ERROR:  HV000: Cognito's response .* "srv" has a transfer encoding other than "chunked"/,
		"transfer encoding $encoding: refused");
	cmp_ok($seconds, '<', 2, "transfer encoding $encoding: at once");
	Cognito::stop_processes($server);
}
{
	my $body = '{"Users": []}';
	my ($url, $server) = serve(sub {
		my ($connection) = @_;
		printf $connection "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked \r\n\r\n%x\r\n%s\r\n0\r\n\r\n",
		  length $body, $body;
	});
	$cognito->create_server($node, 'srv', endpoint_url => $url);
	is(Cognito::query($session, $count), 0, 'transfer encoding chunked: accepted');
	Cognito::stop_processes($server);
}


# TLS records without data: OpenSSL reads one after another.

my $flood = "$folder/ticket_flood";
system_or_bail('cc', '-o', $flood, "$FindBin::Bin/../ticket_flood.c", '-lssl', '-lcrypto');
my ($in, $out, $err) = ('', '', '');
my $server = start [ $flood, "$folder/tls/server.pem", "$folder/tls/server.key" ],
  \$in, \$out, \$err, timeout($PostgreSQL::Test::Utils::timeout_default);
$server->pump until $out =~ /^(\d+)\n/;
$cognito->create_server($node, 'srv', endpoint_url => "https://localhost:$1", request_timeout => '90s');
my $flooded = Cognito::start($node, "SET cognito_srf.ca_file = '$folder/tls/ca.pem'; $count");
$server->pump until $out =~ /sending/;
Time::HiRes::sleep(0.1);
my $start = time;
$node->safe_psql('postgres',
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%cognito_users%' AND pid <> pg_backend_pid()");
like(Cognito::finish($flooded), qr/ERROR:  57014/, 'session tickets without end: cancelled');
cmp_ok(time - $start, '<', 2, 'session tickets without end: at once');
$server->kill_kill;


# Connections that never come about: their descriptors are given back.

my $full = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my @waiting = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $full->sockport,
	Blocking => 0) } 1 .. 4;
$cognito->create_server($node, 'srv',
	endpoint_url => 'http://127.0.0.1:' . $full->sockport,
	connect_timeout => '5ms',
	max_retries => 0);
my @errors = map { Cognito::query_error($session, $count) } 1 .. 340;
is(scalar(grep { /ERROR:  HV00N: .*tim/ } @errors), 340, '340 connections time out');
$cognito->create_server($node, 'srv');
is(Cognito::query($session, $count), 300, 'and then one succeeds');
$session->quit;
$session = Cognito::session($node);


# Errors that take much memory, again and again

my $values = '{"__type": "ServiceUnavailable", "x": [' . join(',', ('0') x 900_000) . ']}';
$cognito->create_server($node, 'srv', max_retries => 5);
my $before = peak();
$cognito->faults({ reply => { status => 503, body => $values }, times => 5 });
is(Cognito::query($session, $count), 300, 'large errors: tried again');
cmp_ok(peak() - $before, '<', 160, 'large errors: only one is kept');


# A connection that was idle for too long is told so

$cognito->faults({ reply => { status => 408, body => '' } });
is(Cognito::query($session, $count), 300, 'status 408: tried again');


# What is sent is what has come

my $token = "\x{e9}" x 10;
$node->safe_psql('postgres', "CREATE DATABASE latin1 ENCODING LATIN1 LOCALE 'C' TEMPLATE template0");
$node->safe_psql('latin1', 'CREATE EXTENSION cognito_srf');
{
	local $Cognito::DATABASE = 'latin1';
	$cognito->create_server($node, 'srv', max_retries => 0);
	$cognito->faults(
		{ reply => { body => qq({"Users": [], "PaginationToken": "$token"}) } },
		{ reply => { body => '{"Users": []}' } });
	$cognito->clear_requests;
	Cognito::error_of($node, $count);
	my @requests = $cognito->requests;
	is($requests[1]->{body}->{PaginationToken}, $token,
		'a token beyond ASCII in a LATIN1 database');
}

# Credentials have a length at which nobody has to wait for them

for my $option (qw(aws_access_key_id aws_secret_access_key aws_session_token))
{
	like(
		Cognito::error_of($node,
			"ALTER SERVER srv OPTIONS (" . ($option eq 'aws_session_token' ? 'ADD' : 'SET')
			. " $option '" . 'x' x 16_385 . "')"),
		qr/ERROR:  HV00A: invalid value for option "$option"\nDETAIL:  It must not be longer than 16 kB/,
		"$option of more than 16 kB");
}

done_testing();
