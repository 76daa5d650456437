# Privileges: use of a server, choice of the credentials, and the role that reads the Vault.
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
my $db = 'postgres';

# Keys that the requests tell apart, each with the secret SECRET/OF/<key>
my @keys = qw(AKIASERVER AKIAPUBLIC AKIACALLER AKIAVAULT AKIATOKEN);
my %tokens = (AKIATOKEN => 'session');
$cognito->control('PUT', 'keys',
	{ map { $_ => { secret => "SECRET/OF/$_", token => $tokens{$_} } } @keys });

# Returns a query on a server, run by a role.
sub call
{
	my ($role, $server) = @_;
	return qq(SET ROLE "$role"; SELECT count(*) FROM cognito_users('$server'));
}

# Returns the access key that signs a query's requests, or the query's error.
sub signer_of
{
	my ($query) = @_;
	$cognito->clear_requests;
	my $error = Cognito::error_of($node, $query);
	return $error || join ' ',
	  uniq map { $_->{headers}{authorization} =~ m{Credential=([^/]+)/} } $cognito->requests;
}

# Returns the access key that signs a role's requests to a server.
sub signer { return signer_of(call(@_)) }

# Returns the error that a role gets from a server.
sub error
{
	my ($role, $server) = @_;
	return Cognito::error_of($node, call($role, $server));
}

# Returns the statement of an error's hint.
sub hint
{
	my ($error) = @_;
	my ($statements) = $error =~ /^HINT:  .*?: (GRANT .* TO "?[\w ]+"?;)/m;
	return $statements;
}

# Runs statements as superuser in the test's current database.
sub run { return $node->safe_psql($Cognito::DATABASE, $_[0]) }

run('CREATE ROLE owner; CREATE ROLE caller; CREATE ROLE stranger; CREATE ROLE "Odd Role"');

# USAGE on the server, of current_user

$cognito->create_server($node, '"Odd Server"');
$cognito->create_server($node, 'cognito_server');
{
	my $error = error('Odd Role', 'Odd Server');
	like($error, qr/42501: permission denied for server "Odd Server"/, 'without USAGE the call fails');
	run(hint($error));
	is(run(call('Odd Role', 'Odd Server')), 300, 'the call succeeds after the statement of the hint');
}

run(<<'SQL');
CREATE FUNCTION counted_by_owner() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$SELECT count(*) FROM cognito_users('cognito_server')$$;
ALTER FUNCTION counted_by_owner() OWNER TO owner;
CREATE VIEW owners_view AS SELECT * FROM cognito_users('cognito_server');
ALTER VIEW owners_view OWNER TO owner;
GRANT SELECT ON owners_view TO PUBLIC;
GRANT USAGE ON FOREIGN SERVER cognito_server TO owner;
SQL
is(run('SET ROLE stranger; SELECT counted_by_owner()'),
	300, 'a SECURITY DEFINER function counts as its owner');
is(run('SET ROLE owner; SELECT count(*) FROM cognito_users'),
	300, 'a role with USAGE reads the default view');
like(Cognito::error_of($node, 'SET ROLE stranger; SELECT count(*) FROM cognito_users'),
	qr/42501: permission denied for server "cognito_server"/, 'a role without USAGE does not read the default view');
like(Cognito::error_of($node, 'SET ROLE stranger; SELECT count(*) FROM owners_view'),
	qr/42501: permission denied for server/, 'a role without USAGE does not read a view of a role with USAGE');

run('REVOKE USAGE ON FOREIGN SERVER cognito_server FROM owner;
	GRANT USAGE ON FOREIGN SERVER cognito_server TO stranger');
like(Cognito::error_of($node, 'SET ROLE stranger; SELECT counted_by_owner()'),
	qr/42501: permission denied for server/,
	'a SECURITY DEFINER function has no rights of its caller');

# USAGE on a server of one user pool gives access to that only, whatever is pushed down

$cognito->create_server($node, 'account', user_pool_id => undef);
run('GRANT USAGE ON FOREIGN SERVER account TO owner; GRANT USAGE ON FOREIGN SERVER cognito_server TO owner');
for ('users', 'memberships')
{
	for my $condition ('', "WHERE username = 'user000001'", 'LIMIT 1')
	{
		my $call = "cognito_$_('%s', user_pool_id => 'eu-west-1_Users61') $condition";
		like(Cognito::error_of($node, sprintf "SET ROLE owner; SELECT * FROM $call", 'cognito_server'),
			qr/42501: permission denied for user pool "eu-west-1_Users61" of server "cognito_server"/,
			"no other user pool: cognito_$_ $condition");
		is(Cognito::error_of($node, sprintf "SET ROLE owner; SELECT * FROM $call", 'account'),
			'', "any user pool on a server without one: cognito_$_ $condition");
	}
}
run('REVOKE USAGE ON FOREIGN SERVER account, cognito_server FROM owner');

# Credentials: those of the role's mapping, else PUBLIC's, else the server's

$cognito->create_server($node, 'shared',
	aws_access_key_id => 'AKIASERVER', aws_secret_access_key => 'SECRET/OF/AKIASERVER');
run('GRANT USAGE ON FOREIGN SERVER shared TO PUBLIC');
is(signer('caller', 'shared'), 'AKIASERVER', 'without a mapping the server signs');

run(q(CREATE USER MAPPING FOR PUBLIC SERVER shared
	OPTIONS (aws_access_key_id 'AKIAPUBLIC', aws_secret_access_key 'SECRET/OF/AKIAPUBLIC')));
is(signer('caller', 'shared'), 'AKIAPUBLIC', "PUBLIC's mapping wins over the server");

run(q(CREATE USER MAPPING FOR caller SERVER shared
	OPTIONS (aws_access_key_id 'AKIACALLER', aws_secret_access_key 'SECRET/OF/AKIACALLER')));
is(signer('caller', 'shared'), 'AKIACALLER', "the role's own mapping wins over PUBLIC's");
is(signer('stranger', 'shared'), 'AKIAPUBLIC', "a role's mapping is not used for another role");

run(q(CREATE FUNCTION callers_count() RETURNS bigint LANGUAGE sql SECURITY DEFINER
	AS $$SELECT count(*) FROM cognito_users('shared')$$;
	ALTER FUNCTION callers_count() OWNER TO caller));
is(signer_of('SET ROLE stranger; SELECT callers_count()'),
	'AKIACALLER', "a SECURITY DEFINER function has its owner's mapping");

$cognito->create_server($node, 'bare',
	aws_access_key_id => undef, aws_secret_access_key => undef);
run(q(GRANT USAGE ON FOREIGN SERVER bare TO PUBLIC;
	CREATE USER MAPPING FOR caller SERVER bare
	OPTIONS (aws_access_key_id 'AKIACALLER', aws_secret_access_key 'SECRET/OF/AKIACALLER')));
is(signer('caller', 'bare'), 'AKIACALLER', 'a server without credentials takes the mapping');
{
	my $error = error('stranger', 'bare');
	like($error, qr/HV00J: no credentials for role "stranger" on server "bare"\nDETAIL:  .* role "stranger" /,
		'without a mapping there are none');
	my ($create) = $error =~ /^HINT:  .* ask role "\w+", the owner of the server, .*: (CREATE .*\);)$/m;
	$create =~ s{'\.\.\.'(.*)'\.\.\.'}{'AKIAPUBLIC'$1'SECRET/OF/AKIAPUBLIC'};
	run("SET ROLE stranger; $create");
	is(signer('stranger', 'bare'), 'AKIAPUBLIC', 'what the hint says helps');
}

# A mapping is complete: it is not combined with the server's credentials

$cognito->create_server($node, 'whole',
	aws_access_key_id => 'AKIATOKEN',
	aws_secret_access_key => 'SECRET/OF/AKIATOKEN',
	aws_session_token => 'session');
run(q(GRANT USAGE ON FOREIGN SERVER whole TO PUBLIC;
	CREATE USER MAPPING FOR caller SERVER whole
	OPTIONS (aws_access_key_id 'AKIACALLER', aws_secret_access_key 'SECRET/OF/AKIACALLER')));
is(signer('stranger', 'whole'), 'AKIATOKEN', 'the server has a key with a session token');
is(signer('caller', 'whole'), 'AKIACALLER', 'the mapping has one without');
is(scalar(grep { exists $_->{headers}{'x-amz-security-token'} } $cognito->requests),
	0, "the server's token is not sent with it");

# Vault: none, by name, by id, by key_id

$cognito->create_server($node, 'vaulted',
	aws_access_key_id => 'AKIAVAULT', aws_secret_access_key => undef, api_key_id => 'vaulted');
run('GRANT USAGE ON FOREIGN SERVER vaulted TO PUBLIC');
my $superuser = run('SELECT current_user');

like(error($superuser, 'vaulted'), qr/42P01: .* this database has no Vault/, 'without the schema there is no Vault');
run('CREATE SCHEMA vault');
like(error($superuser, 'vaulted'), qr/42P01: .* this database has no Vault/, 'without the view there is no Vault');
run('DROP SCHEMA vault');
Cognito::create_vault($node);
like(error($superuser, 'vaulted'), qr/42704: Vault has no secret for .* "vaulted"/, 'an unknown secret name');

# Points the server at a secret, by name, id or key_id.
sub use_secret
{
	my ($name) = @_;
	return run("ALTER SERVER vaulted OPTIONS (SET api_key_id '$name')");
}

my $key_id = '0a0b0c0d-0001-0002-0003-0a0b0c0d0e0f';
my $id = run("SELECT vault.create_secret('SECRET/OF/AKIAVAULT', 'vaulted')");
run("UPDATE vault.secrets SET key_id = '$key_id' WHERE name = 'vaulted'");
is(signer($superuser, 'vaulted'), 'AKIAVAULT', 'by name');
use_secret($id);
is(signer($superuser, 'vaulted'), 'AKIAVAULT', 'by id');
use_secret(uc $id);
is(signer($superuser, 'vaulted'), 'AKIAVAULT', 'by id in upper case');
use_secret($key_id);
is(signer($superuser, 'vaulted'), 'AKIAVAULT', 'by key_id');

my $other = run("SELECT vault.create_secret('SECRET/OF/ANOTHER', 'other')");
run("UPDATE vault.secrets SET key_id = '$id' WHERE name = 'other'");
use_secret($id);
is(signer($superuser, 'vaulted'), 'AKIAVAULT', 'an id takes precedence over a key_id');
run("UPDATE vault.secrets SET key_id = '$key_id' WHERE name = 'other'");
use_secret($key_id);
like(error($superuser, 'vaulted'),
	qr/42704: Vault has several secrets/, 'an ambiguous key_id is an error');

use_secret('pasted');
run(q(SELECT vault.create_secret(E'SECRET/OF/AKIAVAULT\n', 'pasted')));
my $error = error($superuser, 'vaulted');
like(
	$error,
	qr/22023: the Vault secret of server "vaulted" is not a valid secret access key\n.* no white space/,
	"a secret with a line's end is refused");
unlike($error, qr/SECRET/, "a secret with a line's end is not shown");

use_secret('broken');
run(q(SELECT vault.create_secret('SECRET/OF/AKIAVAULT', 'broken')));
my $replaced = run(q(UPDATE vault.secrets SET secret = encode('\xc30d04', 'base64') WHERE name = 'broken' RETURNING 1));
is($replaced, 1, 'a secret is corrupted');
like(
	error($superuser, 'vaulted'),
	qr/39000: could not decrypt the Vault secret of server "vaulted"
DETAIL:  Vault reports: .+\.
HINT:  .*vault\.create_secret\.
CONTEXT:  reading the Vault secret of server "vaulted"/,
	'a secret that cannot be decrypted');
run(q(DELETE FROM vault.secrets WHERE name = 'broken'));

# Plans: what the session learned of a server is for roles that may use it

run(q(CREATE FUNCTION listed() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = public
	AS $$ SELECT count(*) FROM cognito_users('counted') $$));
$cognito->create_server($node, 'counted', user_pool_id => 'eu-west-1_Users61');
my $explain = "EXPLAIN SELECT FROM cognito_users('counted')";
like(run("SELECT listed(); $explain"), qr/rows=61 /, 'a plan shows the number of users to a role with USAGE');
like(run("SET ROLE stranger; SELECT listed(); $explain"), qr/rows=1000 /, 'and not to a role without');

# Vault: read as the server's owner for the server's option

run('GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO owner;
	ALTER SERVER vaulted OWNER TO owner');
use_secret('vaulted');
$error = error($superuser, 'vaulted');
like($error, qr/42501: permission denied for the Vault secret of server "vaulted"\nDETAIL:  .* role "owner", .* USAGE on schema "vault"\.\nHINT: .* read all secrets in Vault, .*;  To .*: ALTER SERVER vaulted OWNER TO \.\.\.;\n/,
	"an owner without rights cannot lend them, even to a superuser");
run(hint($error));
$error = error('caller', 'vaulted');
like(
	$error,
	qr/42501: permission denied for the Vault secret of server "vaulted"
DETAIL:  Vault is read as role "owner": permission denied for function \w+\.
HINT:  .* grant it EXECUTE on .*
CONTEXT:  reading the Vault secret of server "vaulted"/,
	"the function that decrypts is the owner's to call too");
run('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO owner');
is(signer('caller', 'vaulted'), 'AKIAVAULT', 'with these privileges of the owner, every role with USAGE can call');
like(Cognito::error_of($node, 'SET ROLE caller; SELECT * FROM vault.decrypted_secrets'),
	qr/42501/, 'a caller cannot read the Vault directly');

# Vault: read as the caller for the caller's own mapping

run("ALTER SERVER vaulted OWNER TO $superuser");
run(q(CREATE USER MAPPING FOR caller SERVER vaulted
	OPTIONS (aws_access_key_id 'AKIAVAULT', api_key_id 'vaulted')));
$error = error('caller', 'vaulted');
like($error, qr/42501: permission denied for the Vault secret of server "vaulted"\nDETAIL:  .* role "caller", .*\nHINT: .*: DROP USER MAPPING FOR caller SERVER vaulted;\n/,
	"the owner's rights do not serve a mapping");
run(hint($error));
run('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vault TO caller');
is(signer('caller', 'vaulted'), 'AKIAVAULT', "the caller's privileges serve a mapping");
run('REVOKE USAGE ON SCHEMA vault FROM caller');
like(error('caller', 'vaulted'), qr/role "caller", .* USAGE on schema "vault"\./, 'USAGE on the schema counts');
run('GRANT USAGE ON SCHEMA vault TO caller; REVOKE SELECT ON vault.decrypted_secrets FROM caller');
like(error('caller', 'vaulted'), qr/role "caller", .* SELECT on view /, 'SELECT on the view counts');

# A caller's operators are not used where the owner's rights are

run(<<'SQL');
DROP USER MAPPING FOR caller SERVER vaulted;
ALTER SERVER vaulted OWNER TO owner;
CREATE SCHEMA evil AUTHORIZATION caller;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET ROLE caller;
CREATE FUNCTION evil.spy(text, text) RETURNS bool LANGUAGE plpgsql AS
	$$BEGIN RAISE WARNING 'spied as %', current_user; RETURN true; END$$;
CREATE FUNCTION evil.spy(uuid, uuid) RETURNS bool LANGUAGE plpgsql AS
	$$BEGIN RAISE WARNING 'spied as %', current_user; RETURN true; END$$;
CREATE OPERATOR evil.= (FUNCTION = evil.spy, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR evil.= (FUNCTION = evil.spy, LEFTARG = uuid, RIGHTARG = uuid);
SQL
for my $name ('vaulted', $id)
{
	use_secret($name);
	my ($code, $out, $err) = $node->psql($db,
		qq(SET ROLE caller; SET search_path = evil, pg_catalog, public;
		SELECT count(*) FROM cognito_users('vaulted'); SELECT 'a'::text = 'b'::text));
	is($out, "300\nt", "a caller's operator finds no secret");
	my @spied = $err =~ /spied as (\w+)/g;
	is("@spied", 'caller', "a caller's operator is only run by the caller's own query");
}

# A Vault that another role created

run('CREATE DATABASE hostile; CREATE ROLE mallory');
run('GRANT CREATE ON DATABASE hostile TO mallory');
$Cognito::DATABASE = 'hostile';
run(<<'SQL');
CREATE EXTENSION cognito_srf;
GRANT USAGE ON FOREIGN DATA WRAPPER cognito_wrapper TO mallory, owner;
SET ROLE mallory;
CREATE SCHEMA vault;
CREATE TABLE vault.attack (command text);
INSERT INTO vault.attack VALUES ('SELECT 1');
CREATE FUNCTION vault.spy() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'spied as %', current_user;
	EXECUTE (SELECT command FROM vault.attack);
	RETURN 'SECRET/OF/AKIAVAULT';
END $$;
CREATE VIEW vault.decrypted_secrets AS
	SELECT gen_random_uuid() AS id, 'vaulted'::text AS name, NULL::uuid AS key_id,
		vault.spy() AS decrypted_secret;
GRANT USAGE ON SCHEMA vault TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA vault TO PUBLIC;
SQL
$cognito->create_server($node, 'vaulted',
	aws_access_key_id => 'AKIAVAULT', aws_secret_access_key => undef, api_key_id => 'vaulted');
run(q(GRANT USAGE ON FOREIGN SERVER vaulted TO PUBLIC));

# Checks that a role does not run the view's functions.
sub is_refused
{
	my ($role, $name) = @_;
	my $error = error($role, 'vaulted');

	like($error, qr/42501: view "vault.decrypted_secrets" is not trusted\nDETAIL:  It is owned by role "mallory"\. .*\nHINT: .* ALTER VIEW .*\nCONTEXT: .* server "vaulted"/, "$name: such a Vault is refused");
	unlike($error, qr/spied/, "$name: and not run");
	return;
}

# Returns the role that runs the view's functions if a role calls; empty if it does not.
sub spied
{
	my ($role) = @_;
	my ($code, $out, $err) = $node->psql('hostile', call($role, 'vaulted'));
	return join ' ', $err =~ /spied as (\w+)/g;
}

is_refused($superuser, 'as a superuser');
is_refused('caller', 'as a superuser who owns the server');
run('ALTER SERVER vaulted OWNER TO owner');
is_refused('caller', 'as another owner of the server');

# Makes a user mapping for each role that names a secret in this Vault, or drops it.
sub map_roles
{
	my ($verb) = @_;
	my $options = $verb eq 'DROP' ? '' : q(OPTIONS (aws_access_key_id 'AKIAVAULT', api_key_id 'vaulted'));
	run("$verb USER MAPPING FOR $_ SERVER vaulted $options") for 'caller', 'mallory', $superuser;
	return;
}

run("ALTER SERVER vaulted OWNER TO $superuser");
map_roles('CREATE');
is_refused('caller', 'as a caller with a mapping');
is_refused($superuser, 'as a superuser with a mapping');
is(spied('mallory'), 'mallory', 'its creator reads it');

map_roles('DROP');
run('ALTER SERVER vaulted OWNER TO owner');
run("ALTER VIEW vault.decrypted_secrets OWNER TO $superuser");
is(spied('caller'), 'owner', "a superuser's Vault is read");
run('ALTER VIEW vault.decrypted_secrets OWNER TO mallory');

# An extension's Vault; supabase_vault is another extension by its name, for this test
run('CREATE EXTENSION pgcrypto; ALTER EXTENSION pgcrypto ADD VIEW vault.decrypted_secrets');
is_refused('caller', 'of another extension');
run(q(UPDATE pg_extension SET extname = 'supabase_vault' WHERE extname = 'pgcrypto'));
is(spied('caller'), 'owner', "the extension supabase_vault's is read");
run('ALTER EXTENSION supabase_vault DROP VIEW vault.decrypted_secrets');
is_refused('caller', 'beside the extension');

# A server of the view's owner: a superuser who calls it does not lend it privileges

run('ALTER SERVER vaulted OWNER TO mallory');
is(spied($superuser), 'mallory', "a server's Vault is not read as the caller");

# Returns the error of a superuser's call whose view runs a command; checks that the session is unchanged.
sub attack
{
	my ($command) = @_;
	my $session = Cognito::session($node);

	run("UPDATE vault.attack SET command = " . Cognito::quote($command));
	my $error = Cognito::query_error($session, "SELECT count(*) FROM cognito_users('vaulted')");
	my $after = Cognito::query($session,
		"SELECT current_user, current_setting('search_path'), current_setting('work_mem')");
	is($after, "$superuser|\"\$user\", public|4MB", "$command: the session is as it was");
	$session->quit;
	return $error;
}

for my $command ("SET ROLE $superuser", 'RESET ROLE', 'RESET SESSION AUTHORIZATION')
{
	like(attack($command), qr/42501: .*\nDETAIL: .* cannot set parameter .* within security-definer function/,
		"$command: the view cannot become another role");
}
for my $command ('CREATE TEMP TABLE trap ()',
	'DECLARE trap CURSOR WITH HOLD FOR SELECT vault.spy()')
{
	like(attack($command), qr/42501: .*\nDETAIL: .* cannot .* within security-restricted operation/,
		"$command: the view cannot leave anything behind");
}
like(attack('SELECT 1 / 0'), qr/22012.*reading the Vault secret of server "vaulted"/s,
	'an error says where it comes from');
unlike(attack(q(SET work_mem = '1MB'; SET search_path = vault)), qr/ERROR/,
	'settings that the view changes hold while it is read');

# The same, where the error is caught
my ($code, $out, $err) = $node->psql('hostile', <<'SQL');
UPDATE vault.attack SET command = 'SELECT 1 / 0';
DO $$
BEGIN
	PERFORM cognito_users('vaulted');
EXCEPTION WHEN division_by_zero THEN
	RAISE NOTICE 'caught as %, %', current_user, current_setting('search_path');
END $$;
SQL
like($err, qr/caught as $superuser, "\$user", public/, 'who catches the error is as before');

run(q(UPDATE vault.attack SET command = 'SELECT 1';
	CREATE OR REPLACE FUNCTION vault.spy() RETURNS text LANGUAGE sql AS 'SELECT NULL::text'));
like(error($superuser, 'vaulted'), qr/42704: the Vault secret of server "vaulted" is null/,
	'a secret that is NULL is none');

is(join("\n", $cognito->violations), '', 'no request was malformed');
done_testing();
