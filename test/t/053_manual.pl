# All SQL of the manual works in a database with servers of other wrappers, and one without a pool; and
# what else the manual says of setup.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

my $SOURCE = "$FindBin::Bin/../..";
my @FILES = map { s!^\Q$SOURCE/!!r } "$SOURCE/README.md", sort glob "$SOURCE/docs/*.md";

# SQL that is in blocks of another kind, because a test cannot execute it, or another one does: that of
# tokens is executed by 060_tokens.pl.
my @NOT_EXECUTED = (
	'docs/architecture.md: CREATE FUNCTION cognito_user_import_jobs(server_name text)',
	( map { "docs/credentials.md: CREATE SERVER $_ FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (" }
		  map { "cognito_$_" } qw(role ec2 ecs irsa outside partner)),
	'docs/credentials.md: SELECT source, access_key_id, role, expires_at FROM cognito_credentials(\'cognito_role\');',
	'docs/row-level-security.md: CREATE SERVER app_users FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (',
	'docs/row-level-security.md: CREATE TABLE orders (',
	'docs/row-level-security.md: CREATE POLICY own ON orders TO app',
	'docs/row-level-security.md: CREATE POLICY support ON orders FOR SELECT TO app',
	'docs/row-level-security.md: SELECT count(*) FROM orders;',
	q(docs/row-level-security.md: SELECT cognito_verify_token('app_users', :'token', 'id')->>'email' AS email;),
	q(docs/row-level-security.md: SELECT cognito_jwks('app_users') AS jwks \gset),
	'docs/row-level-security.md: ALTER FUNCTION cognito_claims(text) PARALLEL SAFE;',
	'docs/setup.md: DROP EXTENSION cognito_srf CASCADE;',
	"docs/synchronization.md: SELECT cron.schedule('users', '*/10 * * * *',");

my $cognito = Cognito->new;
my $node = Cognito::empty_cluster('main');

# Runs statements in a database; returns the result.
sub run { return $node->safe_psql(@_) }


# The manual

my (@chapters, @others, @inline);
for my $file (@FILES)
{
	my $heading = '';
	my %seen;
	my $text = decode_utf8(slurp_file("$SOURCE/$file"));
	push @inline, $text =~ /`(SELECT\s[^`…]+)`/g;
	while ($text =~ /^(?:(#+ .*)$|\ *```(\w*)\n\ *(.*)\n(?s:.*?)^\ *```$)/mg)
	{
		my ($kind, $first) = ($2, $3);
		$heading = $1, next if defined $1;
		push @chapters, "$file: $heading" if $kind eq 'sql' && !$seen{$heading}++;
		push @others, "$file: $first"
		  if $kind ne 'sql' && $first =~ /^(?:--|(?:SELECT|WITH|TABLE|SET|RESET|CREATE|ALTER|DROP|GRANT|REVOKE|INSERT|BEGIN) )/;
	}
}
cmp_ok(@chapters, '>', 20, 'the manual has SQL in many chapters');
is_deeply(\@others, \@NOT_EXECUTED, 'all SQL of the manual is of the kind that is executed');

run('postgres', q(CREATE DATABASE manual ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0));
{
	local %ENV = (
		%ENV,
		PGHOST => $node->host, PGPORT => $node->port, PGDATABASE => 'manual',
		PGUSER => run('postgres', 'SELECT current_user'),
		COGNITO_ENDPOINT => $cognito->url);
	my $is_well = IPC::Run::run([ "$SOURCE/test/demo" ], '<', \undef, '>', \my $output, '2>', \my $messages);
	ok($is_well, 'the demo succeeds') or diag(join "\n", (split /\n/, $output)[ -20 .. -1 ], $messages);
	my @run = $messages =~ /^== (\S+\.md: #.*)$/mg;
	is_deeply([ sort @run ], [ sort @chapters ], 'it runs all SQL of the manual');
}

$Cognito::DATABASE = 'manual';
is(Cognito::error_of($node, $_), '', "in a sentence: $_") for @inline;
is(run('manual', 'SELECT string_agg(DISTINCT fdwname, $$ $$) FROM pg_foreign_server JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw'),
	'cognito_wrapper file_fdw postgres_fdw', 'there were servers of other wrappers');
is(
	run('manual', q(SELECT count(*) FILTER (WHERE email IS NULL) > 0, count(*) FILTER (WHERE status = 'EXTERNAL_PROVIDER') > 0
		FROM cognito_users('cognito_server'))), 't|t', 'and users without an address, and federated ones');
like(Cognito::error_of($node, q(SELECT * FROM cognito_users('account'))), qr/ERROR:  HV00J: /, 'and a server without a pool');
is_deeply([ $cognito->violations ], [], 'every request was well-formed');


# Settings, before the library is loaded and afterwards

run('manual', 'CREATE ROLE clerk');
my $set = 'ALTER ROLE clerk SET cognito_srf.default_server';
like(Cognito::error_of($node, "SET ROLE clerk; $set = 'a'"), qr/42501: permission denied to set parameter/,
	'a role needs the library for ALTER ROLE');
is(Cognito::error_of($node, "SET ROLE clerk; TABLE cognito_statistics; $set = 'b'"), '', 'with the library it may');
run('manual', 'GRANT SET ON PARAMETER cognito_srf.default_server TO clerk');
is(Cognito::error_of($node, "SET ROLE clerk; $set = 'c'"), '', 'or with a privilege on the parameter');
run('manual', "$set = 'd'; ALTER ROLE clerk SET cognito_srf.defualt_server = 'e'; ALTER ROLE clerk LOGIN");
my ($code, $out, $err) = $node->psql('manual',
	'SELECT cognito_default_server(); TABLE cognito_statistics; SELECT cognito_default_server()',
	extra_params => [ '-U', 'clerk' ]);
is($out, "d\nd", 'a superuser may, and it takes effect before and after the library is loaded');
like($err, qr/invalid configuration parameter name "cognito_srf.defualt_server", removing it/,
	'a misspelt name leads to a warning');


# Vault: what test/vault-settings adds to a cluster's configuration where supabase_vault is installed

my $directory = PostgreSQL::Test::Utils::tempdir();
my $pg_config = $ENV{PG_CONFIG} || 'pg_config';
append_to_file("$directory/pg_config", <<"SH");
#!/bin/sh
[ "\$1" = --pkglibdir ] && echo '$directory' || exec $pg_config "\$@"
SH
chmod 0755, "$directory/pg_config" or die $!;
my $vaulted = PostgreSQL::Test::Cluster->new('vaulted');
$vaulted->init;
$vaulted->append_conf('postgresql.conf', "shared_preload_libraries = 'auto_explain'");

# Runs the script; returns the value that the cluster would have for a setting.
sub configured
{
	my ($setting) = @_;
	local $ENV{PG_CONFIG} = "$directory/pg_config";
	system_or_bail("$SOURCE/test/vault-settings", $vaulted->data_dir);
	my ($value) = slurp_file($vaulted->data_dir . '/postgresql.conf') =~ /.*^\Q$setting\E = '([^']*)'$/ms;
	return $value;
}

is(configured('shared_preload_libraries'), 'auto_explain', 'without supabase_vault, nothing changes');
append_to_file("$directory/supabase_vault.so", '');
is(configured('shared_preload_libraries'), 'auto_explain, supabase_vault', 'with it, its library is preloaded, too');
my $script = configured('vault.getkey_script');
like(`$script`, qr/^[0-9a-f]{64}$/, 'its script prints a key');

done_testing();
