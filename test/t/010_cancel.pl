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

# What "at once" means, in seconds.  The machine may have other things to do, so
# one good try counts, of so many at the most.
my $AT_ONCE = 0.05;
my $TRIES = 10;

my $good = Cognito->new;
my $bad = Cognito->new;

# Nobody accepts what comes to these ports: the kernel does for the first, and
# the queue of the second is full, so that it does not answer at all.
my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 128) or die $!;
my $full = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die $!;
my @queue = map {
	IO::Socket::INET->new(
		PeerAddr => '127.0.0.1', PeerPort => $full->sockport, Blocking => 0)
} 1 .. 5;

# What a call can wait for: the endpoint and the fault that make it, and how errors call it.
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
		fault => { stall => 'answer' },
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
		connect_timeout => '1s',
		request_timeout => '1s');
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

# A new session, and the process of its backend.
sub session
{
	my $session = Cognito::session($node);
	return ($session, Cognito::ask($session, 'SELECT pg_backend_pid()'));
}

# Starts a query in a session and does not wait for its end.
sub begin
{
	my ($session, $query) = @_;
	$session->{stderr} = '';
	$session->{stdin} .= "$query;\n\\warn ended\n";
	$session->{run}->pump_nb;
	return;
}

# Waits until a session is ready for the next query; the error of the one begun.
sub end
{
	my ($session) = @_;
	$session->{run}->pump until $session->{stderr} =~ /^ended$/m;
	return $session->{stderr};
}

# Asks until the answer is the expected one, for 10 seconds at the most; the last answer.
sub watch
{
	my ($query, $expected) = @_;
	my $deadline = time + 10;
	my $answer;

	do
	{
		sleep 0.002;
		$answer = Cognito::ask($watcher, $query);
	} until $answer eq $expected || time > $deadline;
	return $answer;
}

# Starts a call that hangs, gives it the time to do so, and tells what pg_stat_activity says of it.
# The server is a new one each time: of the last, the session may remember that it throttles.
sub begin_and_hang
{
	my ($session, $pid, $phase) = @_;
	my $requests = $bad->requests;

	$bad->create_server($node, $phase->{name},
		endpoint_url => $phase->{endpoint},
		max_retries => 100);
	$bad->faults({ %{ $phase->{fault} }, times => -1 }) if $phase->{fault};
	begin($session, call($phase->{name}));
	my $seen = watch(
		"SELECT state, wait_event_type, wait_event FROM pg_stat_activity WHERE pid = $pid",
		$WAITING);
	my $deadline = time + 10;
	sleep 0.002 while $phase->{fault} && $bad->requests == $requests && time < $deadline;
	sleep 0.02;
	return $seen;
}

# Cancels the query of a session; seconds until the session is ready for the next, and its error.
sub cancel
{
	my ($session, $pid) = @_;
	my $start = time;

	Cognito::ask($watcher, "SELECT pg_cancel_backend($pid)");
	my $error = end($session);
	return (time - $start, $error);
}

# Tries, each of which returns seconds, until one is good; not in step with what else runs.
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

# A session that was interrupted is as good as before.
sub goes_on
{
	my ($session, $name) = @_;
	my $start = time;

	is(Cognito::ask($session, call('good')), 300, "$name: then the session answers");
	cmp_ok(time - $start, '<', 4, "$name: without a pause");
	return;
}

for my $phase (@phases)
{
	my $name = $phase->{name};
	my ($session, $pid) = session();
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
		$bad->forget;
		begin_and_hang($session, $pid, $phase);
		sleep 0.3;
		is($bad->requests, 1, "$name: that is what it waits for, and asks no more");
		cancel($session, $pid);
	}

	Cognito::ask($session, "SET statement_timeout = '200ms'");
	at_once(
		"$name: statement_timeout",
		sub {
			my $start = time;
			begin($session, call($name));
			$error = end($session);
			return time - $start - 0.2;
		});
	like($error, qr/57014: canceling statement due to statement timeout/, "$name: it is an error");
	Cognito::ask($session, 'RESET statement_timeout');
	goes_on($session, $name);
	$session->quit;

	at_once(
		"$name: pg_terminate_backend",
		sub {
			my ($session, $pid) = session();
			begin_and_hang($session, $pid, $phase);
			my $start = time;
			Cognito::ask($watcher, "SELECT pg_terminate_backend($pid)");
			sleep 0.001 while kill 0, $pid;
			return time - $start;
		});
}

# Not only where it waits: a page is turned into rows once a part of them has left the memory.
{
	my $users = join ',',
	  map { qq({"Username":"u$_","Attributes":[{"Name":"name","Value":"U $_"}]}) } 1 .. 100_000;
	my ($session, $pid) = session();
	my ($seconds, $error);

	$bad->faults({ reply => { body => qq({"Users":[$users]}) }, times => -1 });
	Cognito::ask($session, "SET work_mem = '64kB'");
	at_once(
		'rows: pg_cancel_backend',
		sub {
			begin($session, call('answer'));
			watch('SELECT count(*) FROM pg_ls_tmpdir()', '1');
			($seconds, $error) = cancel($session, $pid);
			return $seconds;
		});
	like($error, qr/57014: canceling statement due to user request/, 'rows: it is an error');
	goes_on($session, 'rows');
	is(Cognito::ask($session, call('answer')), 100_000, 'rows: without a cancel all of them come');
	$session->quit;
}

# A fast shutdown, with a call in each phase
{
	my @sessions = map { [ session() ] } @phases;
	begin_and_hang(@{ $sessions[$_] }, $phases[$_]) for 0 .. $#phases;
	$watcher->quit;

	my $start = time;
	$node->stop('fast');
	my $seconds = time - $start;
	diag(sprintf 'fast shutdown: %.0f ms', 1000 * $seconds);
	cmp_ok($seconds, '<', 2, 'a fast shutdown waits for no call');
}

# A server that dies takes the calls with it.
{
	$node->start;
	$watcher = Cognito::session($node);
	my ($session, $pid) = session();
	my ($phase) = grep { $_->{name} eq 'answer' } @phases;
	begin_and_hang($session, $pid, $phase);

	my $start = time;
	$node->kill9;
	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/server closed/);
	cmp_ok(time - $start, '<', 1, 'no call outlives the postmaster');
}

done_testing();
