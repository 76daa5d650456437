# Endpoints: only servers of superusers may have endpoints without TLS.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Select;
use IO::Socket::INET;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $superuser = run('SELECT current_user');
my $count = q(SELECT count(*) FROM cognito_users('srv'));
my $denied = qr/42501: permission denied for the plain HTTP endpoint of server "srv"/;

# Runs statements as superuser.
sub run { return $node->safe_psql('postgres', $_[0]) }

# Returns the error of a query, without the parts that differ between queries.
sub error
{
	my ($query) = @_;
	return Cognito::error_of($node, $query) =~ s/^psql:\S+ //r;
}

run('CREATE ROLE mallory; CREATE ROLE caller;
	GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO mallory');

# Creates the server "srv", owned by a role.
sub create_server
{
	my ($owner, %options) = @_;
	$cognito->create_server($node, 'srv',
		max_retries => 0, request_timeout => '1s', %options);
	run(qq(ALTER SERVER srv OWNER TO "$owner"; GRANT USAGE ON FOREIGN SERVER srv TO PUBLIC));
	return;
}


# An ordinary role learns nothing about local ports

my $open = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
my $closed = do
{
	my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
	$listener->sockport;
};
my %errors;
for my $option ('endpoint_url', 'identity_endpoint_url')
{
	for my $port ($open->sockport, $closed)
	{
		for my $url ("http://127.0.0.1:$port", "HTTP://localhost:$port", "http://[::1]:$port")
		{
			create_server('mallory', endpoint_url => undef, $option => $url);
			for my $role ('mallory', 'caller', $superuser)
			{
				my $error = error("SET ROLE $role; $count");
				like($error, $denied, "$role, $option $url: refused");
				$errors{$error} = 1;
			}
		}
	}
}
is(keys %errors, 1, 'the error is always the same');
my @connected = IO::Select->new($open)->can_read(0);
is(@connected, 0, 'no connection was made');

# Functions that do not list users
for my $call ('cognito_identity_pools($$srv$$)', 'cognito_user_pools($$srv$$)')
{
	like(error("SELECT * FROM $call"), $denied, "$call: refused");
}


# The owner at the time of the call counts

create_server($superuser);
is(run("SET ROLE caller; $count"), 300, "a superuser's server is read by every role");
{
	my $session = Cognito::session($node);

	is(Cognito::query($session, $count), 300, 'a server of a superuser is read');
	run('ALTER SERVER srv OWNER TO mallory');
	like(Cognito::query_error($session, $count), $denied, 'a server that changes its owner is refused in the same session');
	run('ALTER ROLE mallory SUPERUSER');
	is(Cognito::query($session, $count), 300, 'a server whose owner becomes a superuser is read');
	run('ALTER ROLE mallory NOSUPERUSER');
	like(Cognito::query_error($session, $count), $denied, 'a server whose owner is no longer a superuser is refused');
	$session->quit;
}

# The statement in the hint resolves the error
my ($statement) = error($count) =~ /^HINT: .*(ALTER SERVER srv OWNER TO)/m;
run("$statement $superuser");
is(run("SET ROLE caller; $count"), 300, 'the server is read after the statement of the hint');


# A server of a wrapper without a validator is refused as well

run(<<"SQL");
CREATE FOREIGN DATA WRAPPER lax;
GRANT USAGE ON FOREIGN DATA WRAPPER lax TO mallory;
DROP SERVER srv;
SET ROLE mallory;
CREATE SERVER srv FOREIGN DATA WRAPPER lax OPTIONS (aws_access_key_id '$Cognito::KEY',
	aws_secret_access_key '$Cognito::SECRET', region 'eu-west-1',
	user_pool_id 'eu-west-1_AbCdEf123', endpoint_url '@{[ $cognito->url ]}');
SQL
like(error($count), $denied, 'a server of another wrapper: refused');
run("ALTER SERVER srv OWNER TO $superuser");
is(run($count), 300, "a superuser's of another wrapper: read");


# CREATE SERVER and ALTER SERVER warn

my $warning = qr/WARNING:  01000: a server with a plain HTTP endpoint /;
my $create = q(CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1'));

# Returns the messages of statements that must succeed.
sub said
{
	my ($statements) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$statements");
	return $code == 0 ? $err : die $err;
}

for my $option ('endpoint_url', 'identity_endpoint_url')
{
	my $add = "ALTER SERVER s OPTIONS (ADD $option 'http://127.0.0.1')";
	like(said("BEGIN; SET ROLE mallory; $create; $add"), $warning, "$option: a warning");
	unlike(said("BEGIN; $create; $add"), $warning, "$option: no warning for a superuser");
}
unlike(said("BEGIN; SET ROLE mallory; $create"), $warning, 'no warning without an endpoint');
unlike(
	said("BEGIN; SET ROLE mallory; $create;
		ALTER SERVER s OPTIONS (ADD endpoint_url 'https://127.0.0.1')"),
	$warning, 'no warning for https');


# A zone, which requests would not use, is refused

like(error("BEGIN; CREATE SERVER s FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (endpoint_url 'https://[fe80::1%25eth0]')"),
	qr/HV00A: invalid value for option "endpoint_url"\n.*zone of an IPv6 address/, 'an IPv6 zone is refused');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
