# Only superusers decide which servers use the machine's identity, and where these send requests.
use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir);
my $ROLE = 'arn:aws:iam::123456789012:role/reader';
my $cognito = Cognito->new('--tls', $folder);
my $node = do
{
	local @ENV{qw(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY no_proxy)} = ($Cognito::KEY, $Cognito::SECRET, '*');
	Cognito::cluster('main', "cognito_srf.ca_file = '$folder/ca.pem'");
};
$cognito->control('PUT', 'credentials', { roles => { $ROLE => { trusts => [$Cognito::KEY] } } });

# Runs statements as superuser.
sub run { return $node->safe_psql('postgres', $_[0]) }

# Returns the error of statements without its place, or an empty string.
sub error { return Cognito::error_of($node, $_[0]) =~ s/^psql:\S+ //r }

my $superuser = run('SELECT current_user');
my $count = q(SELECT count(*) FROM cognito_users('srv'));
my $refused = qr/^ERROR:  42501: permission denied for option "credential_source"\nDETAIL:  Only superusers/;
my $unused = qr/^ERROR:  42501: permission denied for the credential source of server "srv"\nDETAIL:  The server is owned by role "mallory", which is not a superuser\./;

run('CREATE ROLE boss SUPERUSER; CREATE ROLE mallory; CREATE ROLE caller; GRANT boss TO mallory;
	GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO mallory');

# Creates the server "srv" with a source of credentials, owned by a role.
sub create_server
{
	my ($owner, %options) = @_;
	$cognito->create_server($node, 'srv',
		aws_access_key_id => undef,
		aws_secret_access_key => undef,
		credential_source => 'environment',
		%options);
	return run(qq(ALTER SERVER srv OWNER TO "$owner"; GRANT USAGE ON FOREIGN SERVER srv TO caller));
}


# Who may create and alter it

my $create = 'CREATE SERVER other FOREIGN DATA WRAPPER cognito_wrapper OPTIONS';
like(error("SET ROLE mallory; $create (credential_source 'chain')"), $refused, 'creating a server');
is(error("BEGIN; SET ROLE mallory; $create (region 'eu-west-1'); ROLLBACK"), '', 'creating one without a source');
like(error("SET ROLE mallory; BEGIN; $create (region 'eu-west-1'); ALTER SERVER other OPTIONS (ADD credential_source 'chain')"),
	$refused, 'adding a source');

# mallory as a member of the owner, and as the owner
for my $owner ('boss', 'mallory')
{
	create_server($owner, sts_endpoint_url => $cognito->url);
	for my $change (
		q(SET endpoint_url 'https://mallory.example.com'), q(SET sts_endpoint_url 'https://mallory.example.com'),
		q(ADD identity_endpoint_url 'https://mallory.example.com'), q(DROP endpoint_url),
		"ADD role_arn '$ROLE'", q(SET region 'eu-west-2'), q(ADD max_retries '1'),
		q(SET credential_source 'instance'))
	{
		like(error("SET ROLE mallory; ALTER SERVER srv OPTIONS ($change)"), $refused, "a server of $owner: $change");
	}
	is(error('BEGIN; SET ROLE mallory; ALTER SERVER srv OPTIONS (DROP credential_source); ROLLBACK'),
		'', "a server of $owner: dropping the source");
	like(error(q(SET ROLE mallory; BEGIN; ALTER SERVER srv OPTIONS (DROP credential_source);
		ALTER SERVER srv OPTIONS (SET endpoint_url 'https://mallory.example.com');
		ALTER SERVER srv OPTIONS (ADD credential_source 'chain'))),
		$refused, "a server of $owner: dropping it for a change, and adding it again");
}


# Who may use it

create_server($superuser);
is(run("SET ROLE caller; $count"), 300, 'a server of a superuser: used by every role with USAGE');
is(run("SET ROLE caller; SELECT source, access_key_id FROM cognito_credentials('srv')"),
	"environment|$Cognito::KEY", 'and its credentials are shown');
like(error("SET ROLE mallory; SELECT * FROM cognito_credentials('srv')"),
	qr/42501: permission denied for server "srv"/, 'not to others');
create_server('mallory');
for my $role ('mallory', 'caller', $superuser)
{
	like(error("SET ROLE $role; $count"), $unused, "$role: a server that another role owns now");
}
{
	my $session = Cognito::session($node);
	run("ALTER SERVER srv OWNER TO $superuser");
	is(Cognito::query($session, $count), 300, 'a server that comes back');
	run('ALTER SERVER srv OWNER TO mallory');
	like(Cognito::query_error($session, $count), qr/42501: permission denied for the credential source/, 'and goes: cached credentials are not used');
	$session->quit;
}
run("CREATE USER MAPPING FOR caller SERVER srv OPTIONS (aws_access_key_id '$Cognito::KEY', aws_secret_access_key '$Cognito::SECRET')");
is(run("SET ROLE caller; $count"), 300, 'with a user mapping the source is not used');

run(<<"SQL");
CREATE FOREIGN DATA WRAPPER lax;
GRANT USAGE ON FOREIGN DATA WRAPPER lax TO mallory;
DROP SERVER srv CASCADE;
SET ROLE mallory;
CREATE SERVER srv FOREIGN DATA WRAPPER lax OPTIONS (credential_source 'chain', region 'eu-west-1',
	user_pool_id 'eu-west-1_AbCdEf123', endpoint_url '@{[ $cognito->url ]}');
SQL
like(error($count), $unused, 'a server of another wrapper, which has not looked at its options');


# A role that is assumed with keys of the server itself is its owner's affair

create_server('mallory',
	credential_source => undef,
	aws_access_key_id => $Cognito::KEY,
	aws_secret_access_key => $Cognito::SECRET,
	role_arn => $ROLE,
	sts_endpoint_url => $cognito->url);
is(run("SET ROLE caller; $count"), 300, 'a role with keys of the owner');
is(error("SET ROLE mallory; ALTER SERVER srv OPTIONS (ADD external_id '17')"), '', 'its owner may change it');
run("ALTER SERVER srv OPTIONS (SET sts_endpoint_url '$cognito->{control_url}')");
like(error("SET ROLE mallory; $count"), qr/42501: permission denied for the plain HTTP endpoint of server "srv"/, 'but not to plain HTTP');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
