# TLS: the service's certificate is always verified, and TLS 1.2 is the oldest accepted version.
use strict;
use warnings;

use Cwd qw(abs_path);
use File::Copy qw(copy);
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IPC::Run qw(start timeout);
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{no_proxy} = '*';

my $folder = abs_path(PostgreSQL::Test::Utils::tempdir);
my $cognito = Cognito->new('--tls', "$folder/tls");
my $other = Cognito->new('--tls', "$folder/other");
my $plain = Cognito->new;
my ($port) = $cognito->url =~ /:(\d+)$/;
my $ca_file = "$folder/tls/ca.pem";

# OpenSSL's most permissive configuration: what is refused is refused by the extension.
append_to_file("$folder/lax.cnf", <<'EOT');
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = lax
[lax]
MinProtocol = TLSv1
CipherString = DEFAULT:@SECLEVEL=0
EOT
$ENV{OPENSSL_CONF} = "$folder/lax.cnf";

my $node = Cognito::cluster('main');
my $count = q(SELECT count(*) FROM cognito_users('srv'));
my $trust = "SET cognito_srf.ca_file = '$ca_file'";

# Returns the result of statements, or their error.
sub outcome
{
	my ($sql) = @_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql");
	return $code == 0 ? $out : $err;
}

# Checks that the connection is refused in TLS, at once.
sub is_refused
{
	my ($name, $sql) = @_;
	like(outcome($sql),
		qr/ERROR:  HV00N: could not connect to Cognito for .* "srv"\nDETAIL:  (?!.* retries).*\n/,
		$name);
	return;
}


# Certificates

$cognito->create_server($node, 'srv');
is_refused('a certificate of an unknown CA is refused', $count);
is(outcome("$trust; $count"), 300, 'with cognito_srf.ca_file it is trusted');
is_refused('what is trusted is asked for anew with each call',
	"$trust; SELECT * FROM cognito_users('srv', NULL, 1); RESET cognito_srf.ca_file; $count");
for ([ 'a file that is not there', 'none.pem' ], [ 'a file that holds no certificate', 'lax.cnf' ])
{
	my ($name, $file) = @$_;
	my $statements = "SET cognito_srf.ca_file = '$folder/$file'; $count";
	is_refused($name, $statements);
	like(outcome($statements), qr/^HINT:  Set "cognito_srf\.ca_file" to the absolute path of /m,
		"$name: the hint names the setting, and nothing else");
}

$cognito->create_server($node, 'srv', endpoint_url => "https://127.0.0.1:$port");
is(outcome("$trust; $count"), 300, 'the certificate holds for the address too');
$cognito->create_server($node, 'srv', endpoint_url => "https://other.localhost:$port");
is_refused('a certificate for another host is refused', "$trust; $count");

$other->create_server($node, 'srv');
is_refused('a certificate of another CA is refused', "$trust; $count");
is(outcome("SET cognito_srf.ca_file = '$folder/other/ca.pem'; $count"),
	300, 'each server with its own CA');
is_refused('a kept connection does not help another host', qq($trust; BEGIN;
	ALTER SERVER srv OPTIONS (SET endpoint_url 'https://localhost:$port');
	SELECT * FROM cognito_users('srv', NULL, 1);
	ALTER SERVER srv OPTIONS (SET endpoint_url 'https://other.localhost:$port');
	$count));


# A CA that the system trusts, by the bundle that libcurl was built with, and by its directory:
# cognito_srf.ca_file takes the place of both.

for my $place (qw(bundle directory))
{
	my $certificates = "$folder/$place";
	mkdir $certificates;
	my $bundle = $place eq 'bundle' ? $ca_file : "$folder/other/ca.pem";
	copy($bundle, "$certificates/ca-certificates.crt");
	copy($ca_file, "$certificates/ca.pem") if $place eq 'directory';
	system_or_bail('openssl', 'rehash', $certificates);

	my $trusting = do
	{
		local $ENV{LD_PRELOAD} = Cognito::preload('system_certificates');
		local $ENV{SYSTEM_CERTIFICATES} = $certificates;
		Cognito::cluster("trusting_$place");
	};
	$cognito->create_server($trusting, 'srv');
	is($trusting->safe_psql('postgres', $count), 300, "$place: what the system trusts is trusted");
	like(
		Cognito::error_of($trusting, "SET cognito_srf.ca_file = '$folder/other/ca.pem'; $count"),
		qr/ERROR:  HV00N: could not connect to Cognito for server "srv"/,
		"$place: not where cognito_srf.ca_file names another CA");
	is($trusting->safe_psql('postgres', "SELECT cognito_users('srv', NULL, 1) IS NULL; $trust; $count"),
		"f\n300", "$place: the CA of the file after that of the system");
	$trusting->stop;
}


# Who may set cognito_srf.ca_file

$cognito->create_server($node, 'srv');
$node->safe_psql('postgres', 'CREATE ROLE ordinary; GRANT USAGE ON FOREIGN SERVER srv TO ordinary');
like(outcome("LOAD 'cognito_srf'; SET ROLE ordinary; $trust"),
	qr/ERROR:  42501: permission denied to set parameter "cognito_srf.ca_file"/,
	'an ordinary role cannot set it');
like(outcome("SET ROLE ordinary; $trust; $count"), qr/ERROR:  HV00N:/,
	'not before the library is loaded either');
$node->safe_psql('postgres',
	"LOAD 'cognito_srf'; ALTER DATABASE postgres SET cognito_srf.ca_file = '$ca_file'");
is(outcome("SET ROLE ordinary; $count"), 300, 'set for the database it serves all');


# Without TLS

my $plain_url = $plain->url =~ s/^http:/https:/r;
$cognito->create_server($node, 'srv', endpoint_url => $plain_url, max_retries => 0);
$plain->clear_requests;
is_refused('a port that speaks plain HTTP', $count);
is($plain->requests, 0, 'a port that speaks plain HTTP: nothing was asked');
like(outcome("$trust; $count"), qr/^HINT:  Check that the endpoint supports TLS /m,
	'a port that speaks plain HTTP: the hint says so');
like(
	outcome(q(CREATE SERVER open FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
		region 'eu-west-1', user_pool_id 'eu-west-1_a', endpoint_url 'http://example.com'))),
	qr/ERROR:  HV00A: invalid value for option "endpoint_url"\nDETAIL:  .*https/,
	'http:// to elsewhere is refused when the server is made');


# Versions

for ([ '-tls1_2', 1 ], [ '-tls1_1', 0 ], [ '-tls1', 0 ])
{
	my ($version, $arrives) = @$_;
	my ($in, $seen, $err) = ('', '', '');
	my $server = start
	  [ qw(openssl s_server -accept 127.0.0.1:0), $version,
		'-cert', "$folder/tls/server.pem", '-key', "$folder/tls/server.key" ],
	  \$in, \$seen, \$err, timeout($PostgreSQL::Test::Utils::timeout_default);
	$server->pump until $seen =~ /^ACCEPT 127\.0\.0\.1:(\d+)/m;
	my $url = "https://localhost:$1";

	my $client = `openssl s_client -brief -connect localhost:$1 2>&1 </dev/null`;
	my $protocol = 'TLSv' . $version =~ s/-tls1_?/1./r =~ s/\.$//r;
	like($client, qr/Protocol version: \Q$protocol\E\n/, "a server of $protocol alone");

	$cognito->create_server($node, 'srv', endpoint_url => $url, max_retries => 0, request_timeout => '2s');
	if ($arrives)
	{
		like(outcome($count), qr/ERROR:  HV000: timeout expired while waiting for Cognito's response/, "$protocol is enough");
		$server->pump until $seen =~ /^POST/m;
	}
	else
	{
		is_refused("$protocol is refused", $count);
		$server->pump_nb;
		unlike($seen, qr/^POST/m, "$protocol: no request is sent");
	}
	$server->kill_kill;
}


# Key exchange over a finite field, which keeps the processor busy for long

for my $options ([qw(-tls1_3 -groups ffdhe8192)], [qw(-tls1_2 -cipher kDHE)])
{
	my ($in, $seen, $err) = ('', '', '');
	my $server = start
	  [ qw(openssl s_server -accept 127.0.0.1:0), @$options,
		'-cert', "$folder/tls/server.pem", '-key', "$folder/tls/server.key" ],
	  \$in, \$seen, \$err, timeout($PostgreSQL::Test::Utils::timeout_default);
	$server->pump until $seen =~ /^ACCEPT 127\.0\.0\.1:(\d+)/m;
	$cognito->create_server($node, 'srv', endpoint_url => "https://localhost:$1", max_retries => 0, request_timeout => '2s');
	is_refused("@$options is refused", $count);
	$server->kill_kill;
}

done_testing();
