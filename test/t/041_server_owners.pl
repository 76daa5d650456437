# Server owners: the owner of a server chooses the endpoint, so Vault is read as a role for another
# role's server only if the server's owner has the privileges of that role.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{no_proxy} = '*';

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir);
my $cognito = Cognito->new('--tls', $folder);
my $node = Cognito::cluster('main', "cognito_srf.ca_file = '$folder/ca.pem'");
my $superuser = run('SELECT current_user');

# Keys that can be told apart in the requests; the secret of each is SECRET/OF/<key>
my %keys = map { $_ => { secret => "SECRET/OF/$_" } } qw(AKIASERVER AKIAMAPPING AKIAVAULT);
$cognito->control('PUT', 'keys', \%keys);

# Runs statements as superuser.
sub run { return $node->safe_psql('postgres', $_[0]) }

# Returns the access keys that sign a query's requests, or its error and the number of requests.
sub outcome
{
	my ($query) = @_;
	$cognito->clear_requests;
	my $error = Cognito::error_of($node, $query);
	my @requests = $cognito->requests;

	return "$error\n" . @requests . ' requests' if $error;
	return join ' ',
	  uniq map { "$_->{status} " . $_->{headers}{authorization} =~ s{.*Credential=([^/]+)/.*}{$1}r }
	  @requests;
}

# Creates the server "srv" without credentials, owned by a role.
sub create_server
{
	my ($owner, %options) = @_;
	$cognito->create_server($node, 'srv',
		aws_access_key_id => undef, aws_secret_access_key => undef, %options);
	run(qq(ALTER SERVER srv OWNER TO "$owner"; GRANT USAGE ON FOREIGN SERVER srv TO PUBLIC));
	return;
}

# The options of a user mapping, by the place of the secret.
my %credentials = (
	mapping => "aws_access_key_id 'AKIAMAPPING', aws_secret_access_key 'SECRET/OF/AKIAMAPPING'",
	Vault => "aws_access_key_id 'AKIAVAULT', api_key_id 'vaulted'");

# Returns the statement by which a role creates a user mapping.
sub create_mapping
{
	my ($maker, $user, $where) = @_;
	return qq(SET ROLE "$maker"; CREATE USER MAPPING FOR "$user" SERVER srv
		OPTIONS ($credentials{$where}););
}

# Statements that call with the privileges of the role "caller".
my %ways = (
	'called directly' => q(SET ROLE caller; SELECT count(*) FROM cognito_users('srv')),
	'through a view' => 'SET ROLE caller; SELECT count(*) FROM users_of_srv',
	'through a SECURITY DEFINER function' => 'SET ROLE stranger; SELECT counted_by_caller()');

# Checks the outcome of each of these statements.
sub check_ways
{
	my ($expected, $name) = @_;
	like(outcome($ways{$_}), $expected, "$name, $_") for sort keys %ways;
	return;
}

# Returns a pattern of the error for a role as which Vault must not be read.
sub refused
{
	my ($role, $owner) = @_;
	my $message = qq(permission denied to read Vault as role "$role" for server "srv"\n);
	return qr/42501: ${message}DETAIL:  Role "$owner" owns the server .*\nHINT: .*\n0 requests$/s;
}

run(<<'SQL');
CREATE ROLE caller; CREATE ROLE third; CREATE ROLE stranger; CREATE ROLE deputy IN ROLE caller;
CREATE ROLE team; GRANT team TO caller, third;
GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO caller, third, deputy, team;
CREATE VIEW users_of_srv AS SELECT * FROM cognito_users('srv');
ALTER VIEW users_of_srv OWNER TO third;
GRANT SELECT ON users_of_srv TO PUBLIC;
CREATE FUNCTION counted_by_caller() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$SELECT count(*) FROM cognito_users('srv')$$;
ALTER FUNCTION counted_by_caller() OWNER TO caller;
SQL
Cognito::create_vault($node);
run(q(SELECT vault.create_secret('SECRET/OF/AKIAVAULT', 'vaulted')));

# Allows a role to read Vault.
sub open_vault
{
	my ($role) = @_;
	run("GRANT USAGE ON SCHEMA vault TO $role; GRANT SELECT ON vault.decrypted_secrets TO $role;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO $role");
	return;
}
open_vault('caller');


# The caller's own mapping

for my $owner ($superuser, 'caller', 'third')
{
	for my $maker ($superuser, 'caller', 'third')
	{
		for my $where ('mapping', 'Vault')
		{
			my $name = "server of $owner, mapping by $maker, secret in $where";
			my $create = create_mapping($maker, 'caller', $where);

			create_server($owner);
			if ($maker eq 'third' && $owner ne 'third')
			{
				like(Cognito::error_of($node, $create), qr/42501: must be owner of foreign server srv/,
					"$name: PostgreSQL refuses the mapping");
				next;
			}
			run($create);
			if ($where eq 'mapping') { check_ways(qr/^200 AKIAMAPPING$/, $name) }
			elsif ($owner ne 'third') { check_ways(qr/^200 AKIAVAULT$/, $name) }
			else { check_ways(refused('caller', 'third'), $name) }
		}
	}
}

create_server('third');
run(create_mapping('third', $superuser, 'Vault'));
like(outcome(q(SELECT count(*) FROM cognito_users('srv'))), refused($superuser, 'third'),
	"a server that no superuser owns does not use a superuser's secret in Vault");

open_vault('third');
create_server('third');
run(create_mapping('third', 'caller', 'Vault'));
check_ways(refused('caller', 'third'), 'the privileges of the server\'s owner do not replace those of the caller');


# Membership: an owner with the caller's privileges could read the secret itself

create_server('deputy');
run(create_mapping('deputy', 'caller', 'Vault'));
check_ways(qr/^200 AKIAVAULT$/, "server of a role that has the caller's privileges");
run('ALTER ROLE deputy NOINHERIT; REVOKE caller FROM deputy');
check_ways(refused('caller', 'deputy'), 'server of a role that no longer has the caller\'s privileges');

create_server('team');
run(create_mapping('caller', 'caller', 'Vault'));
check_ways(refused('caller', 'team'), 'server of a group role of which the caller is a member');


# A change of owner takes effect with the next call

create_server($superuser);
run(create_mapping('caller', 'caller', 'Vault'));
{
	my $session = Cognito::session($node);
	my $count = q(SET ROLE caller; SELECT count(*) FROM cognito_users('srv'); RESET ROLE);

	is(Cognito::query($session, $count), 300, "a superuser's server is used");
	run('ALTER SERVER srv OWNER TO third');
	like(Cognito::query_error($session, $count), qr/42501: permission denied to read Vault as role "caller"/,
		'after the server is given to another role, the same session fails');
	run("ALTER SERVER srv OWNER TO $superuser");
	is(Cognito::query($session, $count), 300, 'after it is given back, the session succeeds');
	$session->quit;
}


# PUBLIC's mapping and the server's own credentials are read as the owner

for my $place ("PUBLIC's mapping", 'the server')
{
	# Creates a server with the credentials in that place.
	my $create = sub {
		my ($owner) = @_;

		return create_server($owner, aws_access_key_id => 'AKIAVAULT', api_key_id => 'vaulted')
		  if $place eq 'the server';
		create_server($owner);
		run("SET ROLE $owner; CREATE USER MAPPING FOR PUBLIC SERVER srv
			OPTIONS ($credentials{Vault})");
	};

	run('REVOKE SELECT ON vault.decrypted_secrets FROM third');
	$create->('third');
	my $unreadable = qr/42501: permission denied for the Vault secret of server "srv"\nDETAIL:  .* role "third", .*\n0 requests$/s;
	check_ways($unreadable, "$place, an owner who may not read Vault");
	like(outcome(q(SELECT count(*) FROM cognito_users('srv'))), $unreadable,
		"$place, an owner who may not read Vault, called by a superuser");

	open_vault('third');
	run('REVOKE SELECT ON vault.decrypted_secrets FROM caller');
	check_ways(qr/^200 AKIAVAULT$/, "$place, an owner who may read Vault, a caller who may not");
	$create->($superuser);
	check_ways(qr/^200 AKIAVAULT$/, "$place, a superuser as the owner, a caller who may not read Vault");
	open_vault('caller');
}

run("CREATE USER MAPPING FOR PUBLIC SERVER srv OPTIONS ($credentials{mapping})");
run(create_mapping('caller', 'caller', 'Vault'));
check_ways(qr/^200 AKIAVAULT$/, "a role's own mapping takes precedence over PUBLIC's");


# A SECURITY DEFINER function of a third role has that role's privileges and mapping

run(<<'SQL');
CREATE FUNCTION counted_by_third() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$SELECT count(*) FROM cognito_users('srv')$$;
ALTER FUNCTION counted_by_third() OWNER TO third;
SQL
is(outcome('SET ROLE caller; SELECT counted_by_third()'), '200 AKIAMAPPING',
	"a third role's SECURITY DEFINER function does not use the caller's mapping");


# A caller cannot choose the server of a SECURITY DEFINER function that names it

$cognito->create_server($node, 'cognito_server');
$cognito->create_server($node, 'decoy', user_pool_id => 'eu-west-1_Users61');
run(<<'SQL');
GRANT USAGE ON FOREIGN SERVER decoy TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER cognito_server TO caller;
CREATE FUNCTION by_view() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS 'SELECT count(*) FROM cognito_users';
CREATE FUNCTION by_name() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$SELECT count(*) FROM cognito_users('cognito_server')$$;
SET cognito_srf.default_server = 'cognito_server';
CREATE FUNCTION by_setting() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	SET cognito_srf.default_server = 'cognito_server' AS 'SELECT count(*) FROM cognito_users';
ALTER FUNCTION by_view() OWNER TO caller;
ALTER FUNCTION by_name() OWNER TO caller;
ALTER FUNCTION by_setting() OWNER TO caller;
SQL
for (
	[ 'by_view', 61, 'a SECURITY DEFINER function that reads a default view is redirected, as documented' ],
	[ 'by_name', 300, 'a SECURITY DEFINER function that names its server is not redirected' ],
	[ 'by_setting', 300, 'a SECURITY DEFINER function that sets the default server is not redirected' ])
{
	my ($function, $count, $name) = @$_;
	is(run("SET ROLE stranger; SET cognito_srf.default_server = 'decoy'; SELECT $function()"),
		$count, $name);
}


# cognito_statistics shows nothing of servers that a role may not use

my $servers = q(SELECT string_agg(server_name, ' ' ORDER BY server_name) FROM cognito_statistics);
is(run("SET ROLE stranger; SELECT by_name() = 300; SELECT count(*) > 0 FROM cognito_users('decoy');
	$servers; RESET ROLE; $servers"),
	"t\nt\ndecoy\ncognito_server decoy", 'statistics include only servers that the role may use');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
