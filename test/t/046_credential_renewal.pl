# Credentials are kept for the session, replaced before they expire and when the service says that
# they have, and forgotten when their server changes.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $ROLE = 'arn:aws:iam::123456789012:role/reader';
my $TRUST = { trusts => [ $Cognito::KEY, 'ASIAINSTANCE' ] };
my $count = q(SELECT count(*) FROM cognito_users('srv'));

my $cognito = Cognito->new;
my $shift = PostgreSQL::Test::Utils::tempdir() . '/shift';
my $node = do
{
	local $ENV{LD_PRELOAD} = Cognito::preload('shifted_clock');
	local $ENV{SHIFTED_CLOCK} = $shift;
	local $ENV{AWS_EC2_METADATA_SERVICE_ENDPOINT} = $cognito->url;
	local $ENV{AWS_CONTAINER_CREDENTIALS_FULL_URI} = $cognito->url . '/v2/credentials/a';
	Cognito::cluster('main');
};
$cognito->control('PUT', 'credentials', { roles => { $ROLE => $TRUST } });
my ($session, $pid) = Cognito::session_with_pid($node);

# Lets time pass for the server process, in seconds since the start.
sub shift_clock
{
	my ($seconds) = @_;
	open my $file, '>', "$shift.new" or die $!;
	binmode $file;
	print $file pack('q2', 0, $seconds);
	close $file;
	return rename "$shift.new", $shift;
}

# Creates the server "srv", by default with a static key that assumes a role.
sub create_server
{
	my (%options) = @_;
	return $cognito->create_server($node, 'srv',
		role_arn => $ROLE, sts_endpoint_url => $cognito->url, max_retries => 0, %options);
}

# Creates the server "srv" with a source of credentials.
sub create_server_with
{
	my ($source, %options) = @_;
	return create_server(
		credential_source => $source,
		aws_access_key_id => undef,
		aws_secret_access_key => undef,
		role_arn => undef,
		%options);
}

# Runs a query in the session; returns its result or its error, and the operations but ListUsers.
sub ask
{
	my ($query) = @_;
	$cognito->clear_requests;
	my $result = Cognito::query($session, $query);
	$result = $session->{stderr} if $session->{stderr} =~ /ERROR/;
	return join ' ', $result, grep { $_ ne 'ListUsers' } map { $_->{operation} } $cognito->requests;
}


# The session keeps credentials until five minutes before they expire

shift_clock(0);
create_server();
is(ask($count), '300 AssumeRole', 'the first call assumes the role');
is(ask($count), '300', 'the second one uses the same credentials');
shift_clock(54 * 60);
is(ask($count), '300', 'six minutes before they expire: too');
shift_clock(55 * 60 + 5);
is(ask($count), '300 AssumeRole', 'five minutes before they expire: others');
is(ask($count), '300', 'which are kept again');

create_server(role_duration => '12h');
is(ask($count), '300 AssumeRole', 'another server with the same name: others');
shift_clock(12 * 3600);
is(ask($count), '300', 'for twelve hours');
shift_clock(13 * 3600);
is(ask($count), '300 AssumeRole', 'longer: others');

# A change of the server, here and in another session

for my $statement (
	q(ALTER SERVER srv OPTIONS (ADD connect_timeout '5s')),
	q(ALTER SERVER srv OPTIONS (ADD role_session_name 'other')))
{
	Cognito::query($session, $statement);
	is(ask($count), '300 AssumeRole', "$statement: others");
	is(ask($count), '300', "$statement: which are kept");
	$node->safe_psql('postgres', 'ALTER SERVER srv OPTIONS (SET max_retries $$1$$)');
	is(ask($count), '300 AssumeRole', 'a change in another session: others');
}
my $contexts = q(SELECT count(*) FROM pg_backend_memory_contexts WHERE name = 'cognito credentials');
is(Cognito::query($session, $contexts), 1 + 1, 'the session keeps one set of keys, and their table');
$node->safe_psql('postgres', 'DROP SERVER srv');
is(Cognito::query($session, $contexts), 1, 'none when the server is dropped');
for my $end ('ROLLBACK', 'SAVEPOINT s; SELECT 1/0; ROLLBACK TO s; ROLLBACK')
{
	create_server();
	Cognito::query($session, "BEGIN; ALTER SERVER srv OPTIONS (ADD role_session_name 'other')");
	is(ask($count), '300 AssumeRole', "$end: an altered server");
	Cognito::query($session, $end);
	is(ask($count), '300 AssumeRole', "$end: the server as it was before");
	like(($cognito->requests)[0]{body}{RoleSessionName}, qr/^cognito_srf$/, "$end: its own role session");
}
$node->safe_psql('postgres', 'DROP SERVER srv');


# Credentials that the service refuses as expired are replaced once, at once

create_server();
ask($count);
$cognito->control('PUT', 'credentials/expire', {});
is(ask($count), '300 AssumeRole', 'expired credentials are replaced');
is(join(' ', map { $_->{error} // 'ok' } $cognito->requests),
	'ExpiredTokenException ok ok ok ok ok ok', 'and the request is sent again');

create_server(max_concurrent_requests => 16, user_pool_id => 'eu-west-1_Users3000');
Cognito::query($session, $count);
$cognito->control('PUT', 'credentials/expire', {});
is(ask($count), '3000 AssumeRole', 'many requests that are refused: replaced once');

create_server();
$cognito->faults({ operation => 'ListUsers', error => 'ExpiredToken', times => -1 });
like(ask($count),
	qr/ERROR:  28000: the session token of server "srv" has expired\n.*HINT:  SELECT \* FROM cognito_credentials\('srv'\).* AssumeRole AssumeRole$/s,
	'credentials that are refused again: an error');
create_server(max_concurrent_requests => 16, user_pool_id => 'eu-west-1_Users3000');
like(ask($count), qr/ERROR:  28000: the session token.* server "srv" has expired\n.* AssumeRole AssumeRole$/s,
	'many requests that are refused again: an error, after as few requests');
$cognito->faults;


# In a long listing none is lost when credentials are replaced: they live for three seconds, and the
# listing takes nine

for my $concurrency (1, 4)
{
	create_server_with('instance', role_arn => $ROLE, user_pool_id => 'eu-west-1_Users3000', max_concurrent_requests => $concurrency);
	$cognito->control('PUT', 'credentials', { roles => { $ROLE => { %$TRUST, lifetime => 3 } } });
	$cognito->faults({ operation => 'ListUsers', delay => 0.18 * $concurrency, times => -1 });
	is((split ' ', ask("SELECT count(*) || ':' || count(DISTINCT username) FROM cognito_users('srv')"))[0],
		'3000:3000', "$concurrency at a time: all rows of a long listing");
	my @requests = $cognito->requests;
	my @keys = uniq map { $_->{key} } grep { $_->{operation} eq 'ListUsers' } @requests;
	cmp_ok(scalar @keys, '>=', 4, "$concurrency at a time: with several credentials");
	is_deeply([ uniq map { $_->{status} } @requests ], [200], "$concurrency at a time: none was refused");
}
$cognito->faults;
$cognito->control('PUT', 'credentials', { roles => { $ROLE => $TRUST } });


# Credentials that cannot be replaced are used as long as they are valid

shift_clock(20 * 3600);
create_server();
ask($count);
$cognito->faults({ operation => 'AssumeRole', reply => { status => 503 }, times => -1 });
shift_clock(20 * 3600 + 57 * 60);
is(ask($count), '300 AssumeRole', 'STS fails: the call goes on');
is(ask($count), '300', 'STS fails: the next one does not try again at once');
shift_clock(20 * 3600 + 61 * 60);
like(ask($count), qr/ERROR:  HV000: could not assume the role of server "srv"\nDETAIL:  AssumeRole: \S+ answered with status 503\.\n/,
	'STS fails: when they have expired, the call fails');
$cognito->faults;
is(ask($count), '300 AssumeRole', 'STS recovers');
$cognito->control('PUT', 'credentials', { roles => { $ROLE => { %$TRUST, lifetime => 40 } } });
create_server();
ask($count);
$cognito->faults({ operation => 'AssumeRole', reply => { status => 503 }, times => -1 });
shift_clock(20 * 3600 + 61 * 60 + 25);
is(ask($count), '300 AssumeRole', 'STS fails shortly before they expire: the call goes on');
shift_clock(20 * 3600 + 61 * 60 + 45);
like(ask($count), qr/ERROR:  HV000: could not assume the role/, 'STS fails: not longer than until they expire');
$cognito->faults;
$cognito->control('PUT', 'credentials', { roles => { $ROLE => $TRUST } });


# The time for which credentials are valid is that of the service, whose clock differs

for my $ahead (7200, -7200)
{
	$cognito->control('PUT', 'clock', $ahead);
	create_server();
	is(ask($count), '300 AssumeRole AssumeRole', "a service whose clock is ahead by $ahead s: corrected");
	is(ask($count), '300', "a service whose clock is ahead by $ahead s: credentials are kept");
	create_server_with('container');
	is(ask($count), '300 GetContainerCredentials', "a container whose clock is ahead by $ahead s");
}
$cognito->control('PUT', 'clock', 0);


# Ten thousand refreshes, and a thousand that fail, leave nothing in the session

create_server_with('container');

# Has the session ask the source some times, because the server changes.
sub refresh
{
	my ($times) = @_;
	return ask(<<"SQL");
DO \$\$
BEGIN
	FOR i IN 1 .. $times LOOP
		EXECUTE format('ALTER SERVER srv OPTIONS (SET max_retries %L)', i % 2);
		PERFORM FROM cognito_credentials('srv');
		COMMIT;
	END LOOP;
END \$\$
SQL
}

# Has the session ask the source some times in vain, for each of several reasons.
sub ask_in_vain
{
	my ($times) = @_;
	my $failures = 0;

	Cognito::query($session, q(ALTER SERVER srv OPTIONS (SET max_retries '0')));
	for my $fault (
		{ reply => { body => '<html>' } },
		{ reply => { body => '{"AccessKeyId": "A", "Token": "T"}' } },
		{ reply => { status => 403 } },
		{ close => 'midway' })
	{
		$cognito->faults({ operation => 'GetContainerCredentials', times => -1, %$fault });
		Cognito::query($session, <<"SQL");
DO \$\$
BEGIN
	FOR i IN 1 .. $times LOOP
		BEGIN
			PERFORM FROM cognito_credentials('srv');
		EXCEPTION WHEN invalid_authorization_specification THEN
			RAISE NOTICE 'failed';
		END;
	END LOOP;
END \$\$
SQL
		$failures += () = $session->{stderr} =~ /failed/g;
	}
	$cognito->faults;
	return $failures;
}

# Returns the backend's own memory, and that of its contexts, in kB, and its file descriptors.
sub holdings
{
	my ($own) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+)/m;
	return ($own,
		Cognito::query($session,
			'SELECT sum(used_bytes)::bigint / 1024 FROM pg_backend_memory_contexts'),
		scalar(() = glob "/proc/$pid/fd/*"));
}

refresh(1000);
ask_in_vain(50);
holdings();
my ($own, $used, $descriptors) = holdings();
my $asked = () = refresh(10_000) =~ /GetContainerCredentials/g;
is($asked, 10_000, 'a source is asked ten thousand times');
is(ask_in_vain(250), 1000, 'and a thousand times in vain');
my ($own_after, $used_after, $descriptors_after) = holdings();
diag("$own kB, of which $used kB in contexts; afterwards $own_after kB, $used_after kB");
cmp_ok($own_after, '<=', $own + 128, 'memory is flat');
cmp_ok($used_after, '<=', $used + 32, 'memory contexts are flat');
is($descriptors_after, $descriptors, 'descriptors are flat');

$session->quit;
is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
