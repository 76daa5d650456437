# A cancel takes effect at once while a response is processed, whatever it contains and however large it is.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# The limit for a backend's processor time after a cancel, in seconds; other processes do not count.
# A call is cancelled at each of $STEPS points of its processor time, up to $TRIES times if it is over
# the limit.
my $AT_ONCE = 0.05;
my $STEPS = 6;
my $TRIES = 3;

# The maximal size of a response, minus what surrounds its content.
my $SIZE = 32 * 1024 * 1024 - 1000;

my $IDENTITIES = 'eu-west-1:11111111-2222-4333-8444-555555555555';
my $body_file = PostgreSQL::Test::Utils::tempdir() . '/body';
my $cognito = Cognito->new;
my $node = Cognito::cluster('main', "work_mem = '1MB'");
my ($session, $pid) = Cognito::session_with_pid($node);
$cognito->create_server($node, 'srv', identity_endpoint_url => $cognito->url);

# Returns a list with that many copies of a text, by default as many as a response may have.
sub list
{
	my ($text, $number) = @_;
	return join ',', ($text) x ($number // int($SIZE / (1 + length $text)));
}

# Returns a list of different texts in random order: a format with different numbers.
sub different
{
	my ($text, $number) = @_;
	return join ',', map { sprintf $text, $_ * 7_919 % 1_000_003 } 1 .. $number;
}

# Returns a JSON string of that length.
sub string { my ($text, $length) = @_; return '"' . $text x int($length / length $text) . '"' }

my $MAX = 1000 * 1000;
my $attribute = '{"Name":"n%06d","Value":"v"}';
my $users = "SELECT count(*) FROM cognito_users('srv')";
my $found = "SELECT count(*) FROM cognito_users('srv', 'email', '=', '{a\@example.com}')";
my $pool = "SELECT count(details) FROM cognito_user_pool('srv')";
my $client = "SELECT count(details) FROM cognito_app_client('srv', '1example23456789')";
my $identities = "SELECT count(logins) FROM cognito_identities('srv', '$IDENTITIES')";

# Responses, and the calls that receive them; with a status other than 200 the call fails.
for (
	[ 'a string', $users, '{"Users":[{"Username":' . string('x', $SIZE) . '}]}' ],
	[ 'characters of two bytes', $users, '{"Users":[],"x":[' . list(string("\xc3\xab", $MAX)) . ']}' ],
	[ 'characters of four bytes', $users, '{"Users":[],"x":[' . list(string("\xf0\x9f\xa6\x86", $MAX)) . ']}' ],
	[ 'backslashes', $users, '{"Users":[],"x":[' . list(string('\\\\', $MAX)) . ']}' ],
	[ 'escapes', $users, '{"Users":[],"x":[' . list(string('\u00eb', $MAX)) . ']}' ],
	[ 'white space', $users, '{"Users":[]' . ' ' x $SIZE . '}' ],
	[ 'no UTF-8 in the end', $users, '{"Users":[]' . ' ' x $SIZE . "\xff}" ],
	[ 'brackets', $users, '{"Users":[' . list('[]') . ']}' ],
	[ 'nested lists', $users, '{"Users":[' . list('[' x 900 . ']' x 900) . ']}' ],
	[ 'members', $users, '{' . list('"a":0') . ',"Users":[]}' ],
	[ 'fewer members', $users, '{' . list('"a":0', 900_000) . ',"Users":[]}' ],
	[ 'attributes', $users, '{"Users":[{"Attributes":[' . different($attribute, 1_000_000) . ']}]}' ],
	[ 'fewer attributes', $users, '{"Users":[{"Attributes":[' . different($attribute, 200_000) . ']}]}' ],
	[ 'as many attributes as a user may have', $users,
		'{"Users":[' . list('{"Attributes":[' . different($attribute, 10_000) . ']}', 30) . ']}' ],
	[ 'users', $users, '{"Users":[' . list('{}', 1_000_000) . ']}' ],
	[ 'users of another search', $found, '{"Users":[' . list('{}', 1_000_000) . ']}' ],
	[ 'users with many attributes, of another search', $found,
		'{"Users":[' . list('{"Attributes":[' . different($attribute, 10_000) . ']}', 30) . ']}' ],
	[ 'details', $pool, '{"UserPool":{"x":[' . list('0.1') . ']}}' ],
	[ 'as many details as there may be', $pool,
		'{"UserPool":{' . different('"n%06d":0.1', 30_000) . '}}' ],
	[ 'strings as details', $pool, '{"UserPool":{"x":[' . list(string("\xc3\xab", $MAX), 4) . ']}}' ],
	[ "a client's secrets", $client,
		'{"UserPoolClient":{' . list('"a":0', 300_000) . ',' . list('"ClientSecret":"s"', 300_000) . '}}' ],
	[ 'identities', $identities, '{"Identities":[' . list('{"Logins":["a"]}', 300_000) . ']}' ],
	[ 'logins', $identities, '{"Identities":[' . list('{"Logins":[' . list('"a"', 30_000) . ']}', 30) . ']}' ],
	[ 'more logins', $identities, '{"Identities":[{"Logins":[' . list('"a"', 1_000_000) . ']}]}' ],
	[ 'a long error', $users, '{"__type":"OddException","message":' . string('*', $SIZE) . '}', 400 ],
	[ 'an error of many members', $users, '{' . list('"message":"*"') . '}', 400 ],
	[ 'an error that is no JSON', $users, '<p>' . "\xc3\xab\\" x int($SIZE / 3), 400 ])
{
	is_cancelled(@$_);
}

# Interrupts that do not end the query: the response is read completely.
{
	my $watcher = Cognito::session($node);
	my $interrupts = 0;

	$session->quit;
	($session, $pid) = Cognito::session_with_pid($node);
	$cognito->faults({ times => -1, reply => { body => '{"Users":[' . list('{}', 1_000_000) . ']}' } });
	$session->{stdout} = '';
	Cognito::begin($session, $users);
	until (has_ended())
	{
		Cognito::query($watcher, "SELECT pg_log_backend_memory_contexts($pid)");
		$interrupts++;
	}
	diag("$interrupts interrupts");
	like($session->{stdout}, qr/^1000000$/m, 'interrupts that do not end the query change nothing');
	$watcher->quit;
}

# Returns the processor time of the backend in seconds.
sub taken
{
	my ($nanoseconds) = split / /, slurp_file("/proc/$pid/schedstat");
	return $nanoseconds / 1e9;
}

# Returns true if the started query has ended.
sub has_ended
{
	$session->{run}->pump_nb;
	return $session->{stderr} =~ /^ended$/m;
}

# Starts a call and cancels it after that much processor time; returns the processor time from then
# on in seconds, or undef if the call ended before, and that of the whole call.
sub cancel_after
{
	my ($query, $seconds) = @_;
	my $start = taken();
	my $cancelled;

	Cognito::begin($session, $query);
	sleep 0.001 until has_ended() || taken() - $start >= $seconds;
	$cancelled = taken();
	return (undef, $cancelled - $start) if has_ended();
	kill 'INT', $pid;
	sleep 0.002 until has_ended();
	my $end = taken();
	return ($session->{stderr} =~ /57014/ ? $end - $cancelled : undef, $end - $start);
}

# Checks that a call can be cancelled at every step of processing a response.
sub is_cancelled
{
	my ($name, $query, $body, $status) = @_;
	my $longest = 0;
	my $cancelled = 0;
	my $start;
	my $all;

	unlink $body_file;
	append_to_file($body_file, $body);
	$cognito->faults({ times => -1, reply => { body_file => $body_file, status => $status // 200 } });
	$session->quit;
	($session, $pid) = Cognito::session_with_pid($node);
	$start = taken();
	Cognito::begin($session, $query);
	sleep 0.005 until has_ended();
	$all = taken() - $start;

	for my $step (0 .. $STEPS - 1)
	{
		my $tries = 0;
		my ($more, $taken);

		do
		{
			($more, $taken) = cancel_after($query, $all * $step / $STEPS);
			$tries++;
		} until !defined $more || $more < $AT_ONCE || $tries == $TRIES;
		$cancelled++ if defined $more;
		$all = $taken if !defined $more && $taken < $all;    # the first call may have taken longer
		$longest = $more if defined $more && $more > $longest;
	}
	diag(sprintf '%s: %.0f ms, %.1f ms after one of %d cancels',
		$name, 1000 * $all, 1000 * $longest, $cancelled);
	cmp_ok($cancelled, '>=', 2, "$name: it is cancelled");
	cmp_ok($longest, '<', $AT_ONCE, "$name: a cancel takes effect at once");
	return;
}

done_testing();
