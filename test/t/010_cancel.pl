# A cancel, a timeout, a termination and a shutdown take effect at once, whatever a call waits for.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# The limit for "at once" in seconds. As other processes may delay a try, one good try of at most
# $TRIES suffices.
my $AT_ONCE = 0.05;
my $TRIES = 10;

my $good = Cognito->new;
my $bad = Cognito->new;

# Nothing accepts connections of these ports: the kernel completes those to the first; the queue of
# the second is full, so that connecting never ends.
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die $!;
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
my @queue = map {
	IO::Socket::INET->new(
		PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0)
} 1 .. 5;

# Phases in which a call can wait: the endpoint and the fault that cause it, and the error's words.
my @phases = (
	{
		name => 'resolving',
		endpoint => 'https://cognito.stall.test',
		words => 'while resolving the host name'
	},
	{
		name => 'connecting',
		endpoint => 'http://127.0.0.1:' . $full->sockport,
		words => 'while connecting'
	},
	{
		name => 'handshake',
		endpoint => 'https://127.0.0.1:' . $mute->sockport,
		words => 'while negotiating TLS'
	},
	{
		name => 'answer',
		fault => { stall => 'response' },
		words => 'while waiting for the response'
	},
	{
		name => 'trickle',
		fault => { stall => 'body' },
		words => 'while receiving the response'
	},
	{
		name => 'backoff',
		fault => { error => 'TooManyRequestsException' }
	},
	{
		name => 'retry_after',
		fault => { error => 'TooManyRequestsException', headers => { 'Retry-After' => 60 } }
	},
	{
		name => 'role',
		options => {
			role_arn => 'arn:aws:iam::123456789012:role/reader',
			sts_endpoint_url => $bad->url
		},
		fault => { operation => 'AssumeRole', stall => 'response' }
	});

my $node = do
{
	local $ENV{LD_PRELOAD} = Cognito::preload('slow_resolver');
	Cognito::cluster('main');
};
$good->create_server($node, 'good');
for my $phase (@phases)
{
	$phase->{endpoint} //= $bad->url;
	$bad->create_server($node, "hasty_$phase->{name}",
		endpoint_url => $phase->{endpoint},
		max_retries => 0,
		connect_timeout => '1s',
		request_timeout => '1s',
		%{ $phase->{options} || {} });
}

my $watcher = Cognito::session($node);
my $WAITING =
  'active|Extension|' . ($node->pg_version >= 17 ? 'CognitoRequest' : 'Extension');

# A call to a server.
sub call
{
	my ($server) = @_;
	return "SELECT count(*) FROM cognito_users('$server')";
}

# Waits for the end of the started query; returns its error.
sub end
{
	my ($session) = @_;
	$session->{run}->pump until $session->{stderr} =~ /^ended$/m;
	return $session->{stderr};
}

# Repeats a query until its result is as expected, for at most 10 seconds; returns the last result.
sub wait_for_result
{
	my ($query, $expected) = @_;
	my $deadline = time + 10;
	my $answer;

	do
	{
		sleep 0.002;
		$answer = Cognito::query($watcher, $query);
	} until $answer eq $expected || time > $deadline;
	return $answer;
}

# Starts a call that hangs, and waits until it does; returns its state in pg_stat_activity. Each call
# has a new server, as the session remembers which server throttled it.
sub begin_and_hang
{
	my ($session, $pid, $phase) = @_;
	my $requests = $bad->requests;

	$bad->create_server($node, $phase->{name},
		endpoint_url => $phase->{endpoint},
		max_retries => 100,
		%{ $phase->{options} || {} });
	$bad->faults({ %{ $phase->{fault} }, times => -1 }) if $phase->{fault};
	Cognito::begin($session, call($phase->{name}));
	my $seen = wait_for_result(
		"SELECT state, wait_event_type, wait_event FROM pg_stat_activity WHERE pid = $pid",
		$WAITING);
	my $deadline = time + 10;
	sleep 0.002 while $phase->{fault} && $bad->requests == $requests && time < $deadline;
	sleep 0.02;
	return $seen;
}

# Cancels the query of a session; returns the seconds until the session is ready, and the error.
sub cancel
{
	my ($session, $pid) = @_;
	my $start = time;

	Cognito::query($watcher, "SELECT pg_cancel_backend($pid)");
	my $error = end($session);
	return (time - $start, $error);
}

# Repeats a function that returns seconds until it is below the limit; pauses at random, so as not to
# be in step with other periodic work.
sub at_once
{
	my ($what, $try) = @_;
	my @all;

	do
	{
		sleep rand 0.3 if @all;
		push @all, $try->();
	} until $all[-1] < $AT_ONCE || @all == $TRIES;
	diag(sprintf '%s: %s ms', $what, join ', ', map { sprintf '%.1f', 1000 * $_ } @all);
	cmp_ok($all[-1], '<', $AT_ONCE, "$what takes effect at once");
	return;
}

# Checks that a session works after an interrupt.
sub goes_on
{
	my ($session, $name) = @_;
	my $start = time;

	is(Cognito::query($session, call('good')), 300, "$name: then the session answers");
	cmp_ok(time - $start, '<', 4, "$name: without a pause");
	return;
}

for my $phase (@phases)
{
	my $name = $phase->{name};
	my ($session, $pid) = Cognito::session_with_pid($node);
	my ($seen, $seconds, $error);

	at_once(
		"$name: pg_cancel_backend",
		sub {
			$seen = begin_and_hang($session, $pid, $phase);
			($seconds, $error) = cancel($session, $pid);
			return $seconds;
		});
	is($seen, $WAITING, "$name: pg_stat_activity showed that it waits");
	like($error, qr/57014: canceling statement due to user request/, "$name: it is an error");
	goes_on($session, $name);

	# Was it really waiting for that?
	if ($phase->{words})
	{
		like(Cognito::error_of($node, call("hasty_$name")),
			qr/gave up after \d\.\d+ s $phase->{words}\./, "$name: that is what it waits for");
	}
	if ($name eq 'retry_after')
	{
		$bad->clear_requests;
		begin_and_hang($session, $pid, $phase);
		sleep 0.3;
		is($bad->requests, 1, "$name: that is what it waits for, and asks no more");
		cancel($session, $pid);
	}

	Cognito::query($session, "SET statement_timeout = '200ms'");
	at_once(
		"$name: statement_timeout",
		sub {
			my $start = time;
			Cognito::begin($session, call($name));
			$error = end($session);
			return time - $start - 0.2;
		});
	like($error, qr/57014: canceling statement due to statement timeout/, "$name: it is an error");
	Cognito::query($session, 'RESET statement_timeout');
	goes_on($session, $name);
	$session->quit;

	at_once(
		"$name: pg_terminate_backend",
		sub {
			my ($session, $pid) = Cognito::session_with_pid($node);
			begin_and_hang($session, $pid, $phase);
			my $start = time;
			Cognito::query($watcher, "SELECT pg_terminate_backend($pid)");
			sleep 0.001 while kill 0, $pid;
			return time - $start;
		});
}

# A cancel during the conversion to rows, once a part of the rows has been spilled to disk.
{
	my $users = join ',',
	  map { qq({"Username":"u$_","Attributes":[{"Name":"name","Value":"U $_"}]}) } 1 .. 100_000;
	my ($session, $pid) = Cognito::session_with_pid($node);
	my ($seconds, $error);

	$bad->faults({ reply => { body => qq({"Users":[$users]}) }, times => -1 });
	Cognito::query($session, "SET work_mem = '64kB'");
	at_once(
		'rows: pg_cancel_backend',
		sub {
			Cognito::begin($session, call('answer'));
			wait_for_result('SELECT count(*) FROM pg_ls_tmpdir()', '1');
			($seconds, $error) = cancel($session, $pid);
			return $seconds;
		});
	like($error, qr/57014: canceling statement due to user request/, 'rows: it is an error');
	goes_on($session, 'rows');
	is(Cognito::query($session, call('answer')), 100_000, 'rows: without a cancel all of them come');
	$session->quit;
}

# A fast shutdown, with a call in each phase
{
	my @sessions = map { [ Cognito::session_with_pid($node) ] } @phases;
	begin_and_hang(@{ $sessions[$_] }, $phases[$_]) for 0 .. $#phases;
	$watcher->quit;

	my $start = time;
	$node->stop('fast');
	my $seconds = time - $start;
	diag(sprintf 'fast shutdown: %.0f ms', 1000 * $seconds);
	cmp_ok($seconds, '<', 2, 'a fast shutdown waits for no call');
}

# A call ends if the postmaster dies.
{
	$node->start;
	$watcher = Cognito::session($node);
	my ($session, $pid) = Cognito::session_with_pid($node);
	my ($phase) = grep { $_->{name} eq 'answer' } @phases;
	begin_and_hang($session, $pid, $phase);

	my $start = time;
	$node->kill9;
	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/server closed/);
	cmp_ok(time - $start, '<', 1, 'no call outlives the postmaster');
}

done_testing();
