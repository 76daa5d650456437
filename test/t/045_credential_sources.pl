# Sources of credentials: the environment of the server process, web identities, containers,
# instances, chains, and roles that are assumed with them.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $cognito = Cognito->new;
my $folder = PostgreSQL::Test::Utils::tempdir();
my $ROLE = 'arn:aws:iam::123456789012:role/reader';
my $FAR_ROLE = 'arn:aws:iam::999999999999:role/team/far-reader';
my $count = q(SELECT count(*) FROM cognito_users('srv'));
my $show = q(SELECT source, access_key_id, role, expires_at > now() FROM cognito_credentials('srv'));

# A proxy that must never be used, for nothing listens there
$ENV{http_proxy} = $ENV{https_proxy} = $ENV{all_proxy} = 'http://127.0.0.1:1';
delete @ENV{ grep { /^AWS_/ } keys %ENV };

# The metadata services' own addresses lead to the local ones.
$ENV{LINK_LOCAL_PORT} = $cognito->url =~ s/.*://r;
$ENV{LD_PRELOAD} = Cognito::preload('link_local');

my $node = Cognito::cluster('main');

# Runs statements as superuser.
sub run { return $node->safe_psql('postgres', $_[0]) }

# Restarts the server process with these variables in its environment.
sub restart_with
{
	my (%variables) = @_;
	local @ENV{ keys %variables } = values %variables;
	return $node->restart;
}

# Creates the server "srv" without an access key.
sub create_server
{
	my (%options) = @_;
	return $cognito->create_server($node, 'srv',
		aws_access_key_id => undef,
		aws_secret_access_key => undef,
		sts_endpoint_url => $cognito->url,
		max_retries => 0,
		%options);
}

# Returns the error of a query, without its place.
sub error { return Cognito::error_of($node, $_[0]) =~ s/^psql:\S+ //r }

# Checks that Cognito accepts a server's credentials; returns the requests.
sub is_accepted
{
	my ($name, $shown) = @_;
	$cognito->clear_requests;
	is(run($count), 300, "$name: accepted");
	my @requests = $cognito->requests;
	like(run($show), $shown, "$name: shown");
	return @requests;
}

# Returns the operations of requests.
sub operations { return join ' ', map { $_->{operation} } @_ }

# Writes a file for the server process; returns its path.
sub write_file
{
	my ($name, $content) = @_;
	open my $file, '>', "$folder/$name" or die $!;
	print $file $content;
	close $file;
	return "$folder/$name";
}

$cognito->control(
	'PUT', 'keys',
	{
		AKIAENV => { secret => 'environment/SECRET' },
		ASIAENV => { secret => 'environment/SECRET', token => 'environment/TOKEN' }
	});
$cognito->control(
	'PUT',
	'credentials',
	{
		container_token => 'Basic container/TOKEN',
		roles => {
			$ROLE => { trusts => [ 'AKIAENV', $Cognito::KEY ] },
			$FAR_ROLE => { trusts => ['ASIAINSTANCE'], external_id => 'customer:17/x' }
		}
	});


# The environment

create_server(credential_source => 'environment');
restart_with(AWS_ACCESS_KEY_ID => 'AKIAENV', AWS_SECRET_ACCESS_KEY => 'environment/SECRET', AWS_SESSION_TOKEN => '');
is_accepted('long-term keys of the environment', qr/^environment\|AKIAENV\|\|$/);

# A role, with the environment's keys and with those of the server

create_server(credential_source => 'environment', role_arn => $ROLE);
my @requests = is_accepted('a role', qr/^environment\|ASIAROLE\d+\|\Q$ROLE\E\|t$/);
is(operations(@requests), 'AssumeRole' . ' ListUsers' x 5, 'a role: one request to STS');
is_deeply(
	$requests[0]{body},
	{
		Action => 'AssumeRole', Version => '2011-06-15', RoleArn => $ROLE,
		RoleSessionName => 'cognito_srf', DurationSeconds => '3600'
	},
	'a role: the default parameters');
like($requests[0]{headers}{authorization}, qr{Credential=AKIAENV/\d+/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date,},
	'a role: signed for STS');
my $statistics = run("$count; SELECT requests FROM cognito_statistics");
is($statistics, "300\n5", 'a role: statistics do not count the request to STS');

create_server(
	aws_access_key_id => $Cognito::KEY, aws_secret_access_key => $Cognito::SECRET,
	role_arn => $ROLE, role_session_name => 'a=b,c@d', role_duration => '15min', external_id => 'x:/1');
@requests = is_accepted('a role with static keys', qr/^server\|ASIAROLE\d+\|\Q$ROLE\E\|t$/);
is_deeply(
	[ @{ $requests[0]{body} }{qw(RoleSessionName DurationSeconds ExternalId)} ],
	[ 'a=b,c@d', 900, 'x:/1' ],
	'a role with static keys: the parameters');

Cognito::create_vault($node);
create_server(aws_access_key_id => $Cognito::KEY, api_key_id => 'cognito', role_arn => $ROLE);
is_accepted('a role with a key of Vault', qr/^server\|ASIAROLE\d+\|\Q$ROLE\E\|t$/);

# A user mapping replaces the source and the role

run("CREATE USER MAPPING FOR CURRENT_USER SERVER srv OPTIONS (aws_access_key_id '$Cognito::KEY',
	aws_secret_access_key '$Cognito::SECRET')");
@requests = is_accepted('a user mapping', qr/^user mapping\|$Cognito::KEY\|\|$/);
is(operations(@requests), join(' ', ('ListUsers') x 5), 'a user mapping: no role is assumed');

restart_with(AWS_ACCESS_KEY_ID => 'ASIAENV', AWS_SECRET_ACCESS_KEY => 'environment/SECRET', AWS_SESSION_TOKEN => 'environment/TOKEN');
create_server(credential_source => 'chain');
is_accepted('temporary keys of the environment', qr/^environment\|ASIAENV\|\|$/);


# A web identity: the file is read each time

my $token_file = write_file('web', "web.identity.token\n");
my @web = (AWS_WEB_IDENTITY_TOKEN_FILE => $token_file, AWS_ROLE_ARN => $ROLE);
create_server(credential_source => 'web_identity');
restart_with(@web, AWS_ROLE_SESSION_NAME => 'pod-1');
@requests = is_accepted('a web identity', qr/^web_identity\|ASIAWEB\d+\|\Q$ROLE\E\|t$/);
is_deeply(
	$requests[0]{body},
	{
		Action => 'AssumeRoleWithWebIdentity', Version => '2011-06-15', RoleArn => $ROLE,
		RoleSessionName => 'pod-1', WebIdentityToken => 'web.identity.token'
	},
	'a web identity: the parameters');
$cognito->control('PUT', 'credentials', { web_identity_token => 'another/token+==' });
like(error($count), qr/28000.*\nDETAIL:  web_identity: AssumeRoleWithWebIdentity: .* answered with status 400, InvalidIdentityToken, "Couldn't verify: \*{18}"/,
	'a web identity: a token that is refused is masked');
$cognito->faults({ operation => 'AssumeRoleWithWebIdentity', reply => { status => 400, body =>
	'<ErrorResponse><Error><Code>E</Code><Message>web.identity.token&amp;a%2Fb%3D</Message></Error></ErrorResponse>' } });
write_file('web', 'a/b=');
like(error($count), qr/, "web\.identity\.token&\*{8}"/, 'a web identity: as it was sent, too');
$cognito->faults;
write_file('web', 'another/token+==');
is_accepted('another token in the same file', qr/^web_identity\|/);

$cognito->faults({ operation => 'AssumeRoleWithWebIdentity', reply => { status => 400, body =>
	'<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>' } });
run('ALTER SERVER srv OPTIONS (SET max_retries $$1$$)');
is_accepted('an issuer that does not answer at once', qr/^web_identity\|/);
$cognito->faults;

my $fifo = "$folder/fifo";
POSIX::mkfifo($fifo, 0666) or die $!;
for (
	[ "$folder/none", qr/could not read the file of AWS_WEB_IDENTITY_TOKEN_FILE: No such file/ ],
	[ $folder, qr/the file of AWS_WEB_IDENTITY_TOKEN_FILE is not a regular file of at most 16 kB/ ],
	[ '/dev/zero', qr/is not a regular file/ ],
	[ write_file('long', 'x' x 20_000), qr/is not a regular file of at most 16 kB/ ],
	[ write_file('empty', ''), qr/does not contain a token/ ],
	[ write_file('words', 'two words'), qr/does not contain a token/ ],
	[ write_file('binary', "another/token+==\0\n"), qr/does not contain a token/ ],
	[ $fifo, qr/is not a regular file/ ])
{
	my ($path, $reason) = @$_;
	restart_with(@web, AWS_WEB_IDENTITY_TOKEN_FILE => $path);
	like(error($count), qr/28000: no credential source of server "srv" has credentials\nDETAIL:  web_identity: .*$reason/, "token file $path");
}


# A container

create_server(credential_source => 'container');
restart_with(
	AWS_CONTAINER_CREDENTIALS_FULL_URI => $cognito->url . '/v2/credentials/a?b=c',
	AWS_CONTAINER_AUTHORIZATION_TOKEN => 'Basic container/TOKEN');
is_accepted('a container', qr/^container\|ASIACONTAINER\d+\|arn:aws:iam::123456789012:role\/task\|t$/);
my $container_file = write_file('container', "not/the/token\n");
restart_with(
	AWS_CONTAINER_CREDENTIALS_FULL_URI => $cognito->url . '/v2/credentials/a',
	AWS_CONTAINER_AUTHORIZATION_TOKEN => 'not used',
	AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE => $container_file);
like(error($count), qr/28000.*\nDETAIL:  container: 127.0.0.1:\d+ answered with status 403\n/, 'a container: a token that is refused');
$cognito->control('PUT', 'credentials', { container_token => 'container/TOKEN' });
write_file('container', "container/TOKEN\r\n");
is_accepted('a container with a file', qr/^container\|/);

for (
	[ FULL => 'http://example.com/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://169.254.169.254/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://127.0.0.1@example.com/', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://localhost@169.254.169.254/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://2852039166/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://[::ffff:169.254.170.2]/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'http://[fd00:ec2::23%25lo]/a', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => "http://127.0.0.1:1/a\r\nX-A: b", qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ FULL => 'file:///etc/passwd', qr/AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https/ ],
	[ RELATIVE => '.example.com/', qr/AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path/ ],
	[ RELATIVE => '@example.com/', qr/AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path/ ])
{
	my ($kind, $uri, $reason) = @$_;
	restart_with("AWS_CONTAINER_CREDENTIALS_${kind}_URI" => $uri);
	like(error($count), qr/28000.*\nDETAIL:  container: $reason/, 'URI ' . $uri =~ s/[^ -~]/?/gr);
}
$cognito->control('PUT', 'credentials', { container_token => undef });
for (
	[ FULL => 'http://169.254.170.2/v2/credentials/a' ],
	[ FULL => 'http://169.254.170.23/v2/credentials/a' ],
	[ FULL => 'http://[fd00:ec2::23]/v2/credentials/a' ],
	[ FULL => 'HTTP://LocalHost:' . $ENV{LINK_LOCAL_PORT} . '/v2/credentials/a' ],
	[ RELATIVE => '/v2/credentials/a?b' ])
{
	my ($kind, $uri) = @$_;
	restart_with("AWS_CONTAINER_CREDENTIALS_${kind}_URI" => $uri);
	is_accepted("URI $uri", qr/^container\|/);
}
restart_with(AWS_CONTAINER_CREDENTIALS_FULL_URI => $cognito->url =~ s/http:/https:/r . '/v2/credentials/a');
like(error($count), qr/28000.*\nDETAIL:  container: 127\.0\.0\.1:\d+: .*, while negotiating TLS\n/, 'https: a handshake');


# An instance

create_server(credential_source => 'instance');
for my $url ($cognito->url . '/', 'http://169.254.169.254:80', 'http://[fd00:ec2::254]')
{
	restart_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => $url);
	is_accepted("an instance with $url", qr/^instance\|/);
}
restart_with();
@requests = is_accepted('an instance', qr/^instance\|ASIAINSTANCE\d+\|app-role\|t$/);
is(operations(@requests), 'GetMetadataToken ListInstanceRoles GetInstanceCredentials' . ' ListUsers' x 5,
	'an instance: three requests');
is($requests[0]{headers}{'x-aws-ec2-metadata-token-ttl-seconds'}, 21600, 'an instance: the lifetime of the token');

# An instance's role assumes one of another account, with an external id

create_server(credential_source => 'chain', role_arn => $FAR_ROLE, external_id => 'customer:17/x');
@requests = is_accepted('a role of another account', qr/^instance\|ASIAROLE\d+\|\Q$FAR_ROLE\E\|t$/);
like($requests[3]{headers}{authorization}, qr/Credential=ASIAINSTANCE.*x-amz-security-token/, 'it is assumed with the token of the instance');
create_server(credential_source => 'chain', role_arn => $FAR_ROLE, external_id => 'customer:18');
like(error($count), qr/ERROR:  42501: could not assume the role of server "srv"\nDETAIL:  AssumeRole: 127.0.0.1:\d+ answered with status 403, AccessDenied, "User: ASIAINSTANCE\d+ is not authorized.*request id.*\nHINT:  Allow sts:AssumeRole/,
	'a wrong external id');

for my $answer ('a b', "app-role\nother", "app-role\0x", '../../x', '', 'x' x 65)
{
	create_server(credential_source => 'instance');
	$cognito->faults({ operation => 'ListInstanceRoles', reply => { body => $answer } });
	like(error($count), qr/28000.*\nDETAIL:  instance: the metadata service returned no role/, 'a role named ' . $answer =~ s/[^ -~]/?/gr);
}
$cognito->faults;
$cognito->control('PUT', 'credentials', { instance_role => undef });
like(error($count), qr/28000.*\nDETAIL:  instance: the instance has no role\n/, 'an instance without a role');

for my $url ('http://example.com', 'https://example.com', 'http://169.254.170.2', 'http://127.0.0.1:1/path')
{
	restart_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => $url);
	like(error($count), qr/28000.*\nDETAIL:  instance: AWS_EC2_METADATA_SERVICE_ENDPOINT is not the address/, "endpoint $url");
}


# Replies are read strictly: what is malformed is refused, as are redirects

my %good = (AccessKeyId => 'A', SecretAccessKey => 'S', Token => 'T', Expiration => '2099-12-31T23:59:59Z');

# Returns the reply of a container's agent with some members, undef for none.
sub json
{
	my %all = (%good, @_);
	return encode_json({ map { $_ => $all{$_} } grep { defined $all{$_} } keys %all });
}

my $no_time = qr/the expiry is not a time such as/;
create_server(credential_source => 'container');
restart_with(AWS_CONTAINER_CREDENTIALS_FULL_URI => $cognito->url . '/v2/credentials/a');
for (
	[ '<html>', qr/the reply is not a JSON object/ ],
	[ '', qr/the reply is not a JSON object/ ],
	[ '["A", "S", "T"]', qr/the reply is not a JSON object/ ],
	[ json(Code => 'AssumeRoleUnauthorizedAccess'), qr/the reply has a "Code" other than "Success"/ ],
	[ json(Token => undef), qr/the reply lacks "Token" or "Expiration"/ ],
	[ json(Expiration => undef), qr/the reply lacks "Token" or "Expiration"/ ],
	[ json(AccessKeyId => undef), qr/the access key ID is missing or malformed/ ],
	[ json(AccessKeyId => 17), qr/the access key ID is missing or malformed/ ],
	[ json(SecretAccessKey => "S\n"), qr/the secret access key is missing or malformed/ ],
	[ json(SecretAccessKey => ''), qr/the secret access key is missing or malformed/ ],
	[ json(Token => 'x y'), qr/the session token is malformed/ ],
	[ json(Token => "T\0"), qr/the reply is not a JSON object/ ],
	[ json(Token => 'x' x 20_000), qr/the session token is malformed/ ],
	[ json(Other => 'x' x 70_000), qr/the reply is longer than 64 kB/ ],
	[ json(Expiration => 'soon'), $no_time ],
	[ json(Expiration => '2099-12-31 23:59:59Z'), $no_time ],
	[ json(Expiration => '2099-12-31T23:59:59+01'), $no_time ],
	[ json(Expiration => '2099-13-01T00:00:00Z'), $no_time ],
	[ json(Expiration => '2099-02-29T00:00:00Z'), $no_time ],
	[ json(Expiration => '2099-12-31T24:00:00Z'), $no_time ],
	[ json(Expiration => '2099-12-31T23:59:59.Z'), $no_time ],
	[ json(Expiration => '2099-12-31T23:59:59.1'), $no_time ],
	[ json(Expiration => '2099-12-31T23:59:59.1Z1'), $no_time ],
	[ json(Expiration => '2020-02-29T23:59:59Z'), qr/the credentials have expired/ ])
{
	my ($body, $reason) = @$_;
	$cognito->faults({ operation => 'GetContainerCredentials', reply => { body => $body } });
	like(error($show), qr/28000.*\nDETAIL:  container: $reason/, 'container: ' . substr $body, 0, 100);
}
$cognito->faults({ operation => 'GetContainerCredentials', reply => { body => json() } });
is(run($show), 'container|A||t', 'a reply without what is wrong above');
create_server(credential_source => 'container');
$cognito->faults({ operation => 'GetContainerCredentials', reply => { body => json(Expiration => '2099-12-31T23:59:59.123456Z') } });
is(run(q(SELECT expires_at AT TIME ZONE 'UTC' FROM cognito_credentials('srv'))), '2099-12-31 23:59:59', 'a fraction of a second in the expiry');
create_server(credential_source => 'container');
$cognito->faults({ operation => 'GetContainerCredentials',
	reply => { status => 302, headers => { Location => $cognito->url . '/v2/credentials/b' } } });
like(error($show), qr/28000.*\nDETAIL:  container: \S+ answered with status 302\n/, 'redirects are not followed');

# Returns a document of STS with some elements.
sub xml
{
	my %all = (%good, @_);
	my $token = delete $all{Token};
	$all{SessionToken} //= $token;
	my $elements = join "\n", map { defined $all{$_} ? "<$_>$all{$_}</$_>" : () } sort keys %all;
	return qq(<?xml version="1.0"?>\n<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
		<AssumeRoleResult><AssumedRoleUser/><Credentials a='b' >$elements</Credentials></AssumeRoleResult>
		</AssumeRoleResponse>\n);
}

my $no_xml = qr/the reply is not valid XML/;
my @role = (aws_access_key_id => $Cognito::KEY, aws_secret_access_key => $Cognito::SECRET, role_arn => $ROLE);
create_server(@role);
for (
	[ '', $no_xml ],
	[ '{}', $no_xml ],
	[ '<AssumeRoleResponse>', $no_xml ],
	[ xml() . '<a/>', $no_xml ],
	[ xml() . 'text', $no_xml ],
	[ xml() =~ s{</AssumeRoleResult>}{}r, $no_xml ],
	[ xml() =~ s{</Credentials>}{</Credential>}r, $no_xml ],
	[ xml() =~ s{a='b'}{a='b}r, $no_xml ],
	[ xml() =~ s{a='b'}{a=b}r, $no_xml ],
	[ xml() =~ s{a='b'}{a}r, $no_xml ],
	[ xml() =~ s{\?>}{?><!DOCTYPE a [<!ENTITY b "c">]>}r, $no_xml ],
	[ xml() =~ s{<AssumedRoleUser/>}{<!-- a -->}r, $no_xml ],
	[ xml() =~ s{<AssumedRoleUser/>}{'<a>' x 300}er, $no_xml ],
	[ xml() =~ s{<AssumedRoleUser/>}{'<' . 'a' x 300 . '/>'}er, $no_xml ],
	[ xml(Token => 'a&b;'), $no_xml ],
	[ xml(Token => 'a&amp'), $no_xml ],
	[ xml(Token => 'a&#65;'), $no_xml ],
	[ xml(Token => '<![CDATA[T]]>'), $no_xml ],
	[ xml(Token => 'T<a/>'), $no_xml ],
	[ xml(Token => "T\x01"), $no_xml ],
	[ xml(AccessKeyId => 'A</AccessKeyId><AccessKeyId>B'), $no_xml ],
	[ xml() =~ s/Credentials/Others/gr, qr/the session token or the expiry is missing/ ],
	[ xml() =~ s/<AssumedRoleUser.>/<Credentials>/r =~ s{<.AssumeRoleResult>}{</Credentials></AssumeRoleResult>}r,
		qr/the session token or the expiry is missing/ ],
	[ xml(Expiration => undef), qr/the session token or the expiry is missing/ ],
	[ xml(SecretAccessKey => undef), qr/the secret access key is missing or malformed/ ],
	[ xml(SecretAccessKey => ' S'), qr/the secret access key is missing or malformed/ ],
	[ xml(Expiration => '2020-01-01T00:00:00Z'), qr/the credentials have expired/ ])
{
	my ($body, $reason) = @$_;
	$cognito->faults({ operation => 'AssumeRole', reply => { body => $body } });
	like(error($show), qr/HV000: could not assume the role.*\nDETAIL:  AssumeRole: $reason/,
		'STS: ' . substr $body =~ s/\s+/ /gr, 100, 200);
}
$cognito->control('PUT', 'keys', { A => { secret => q(<">&'s), token => 'a&&b' } });
$cognito->faults({ operation => 'AssumeRole', reply => { body =>
	xml(SecretAccessKey => '&lt;&quot;&gt;&amp;&apos;s', Token => 'a&amp;&amp;b') } });
is(run($count), 300, 'STS: entities are decoded');

# What STS refuses, by SQLSTATE

for (
	[ 'HV000', 500, 'InternalFailure' ], [ '53400', 400, 'Throttling' ],
	[ '28000', 403, 'InvalidClientTokenId' ], [ '28000', 403, 'ExpiredToken' ],
	[ '42501', 403, 'AccessDenied' ], [ '28000', 400, 'ValidationError' ],
	[ 'HV000', 503, undef ])
{
	my ($sqlstate, $status, $code) = @$_;
	my $body = defined $code ? "<ErrorResponse><Error><Code>$code</Code><Message>No.</Message></Error></ErrorResponse>" : '';
	my $quoted = defined $code ? qr/, $code, "No\."/ : '';
	create_server(@role);
	$cognito->faults({ operation => 'AssumeRole', reply => { status => $status, body => $body } });
	like(error($show), qr/ERROR:  $sqlstate: could not assume the role of server "srv"\nDETAIL:  AssumeRole: \S+ answered with status $status$quoted\.\n/,
		"STS: status $status");
}
$cognito->faults;
create_server(@role, sts_endpoint_url => 'http://127.0.0.1:1');
like(error($show), qr/ERROR:  HV00N: could not assume the role of server "srv"\nDETAIL:  AssumeRole: 127.0.0.1:1: /, 'STS: nobody listens');


# The statements of the manual

my $manual = slurp_file("$FindBin::Bin/../../docs/credentials.md");
restart_with();
$cognito->control(
	'PUT',
	'credentials',
	{
		instance_role => 'database',
		roles => { 'arn:aws:iam::999999999999:role/cognito-reader' => { trusts => ['ASIAINSTANCE'], external_id => 'customer-17' } }
	});
my @shown = split /\n/, run(join "\n", $manual =~ /^```\n((?:CREATE|SELECT) .*?)^```$/msg);
is(scalar(grep { /^instance\|ASIAINSTANCE\d+\|database\|\d/ } @shown), 2, 'the statements of the manual: the results');
is(@shown, 2, 'the statements of the manual: no others');
for my $server (qw(cognito_role cognito_ec2 cognito_partner))
{
	run("ALTER SERVER $server OPTIONS (ADD endpoint_url '@{[ $cognito->url ]}', ADD sts_endpoint_url '@{[ $cognito->url ]}')");
	is(run("SELECT count(*) FROM cognito_users('$server')"), 300, "the manual's server $server");
}
ok(eval { decode_json($_) }, 'a policy of the manual is JSON') for $manual =~ /^```json\n(.*?)^```$/msg;


# A chain that finds nothing gives the reasons, at once

my $mute = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 8);
my $mute_host = '127.0.0.1:' . $mute->sockport;
create_server(credential_source => 'chain', max_retries => 8);
restart_with(AWS_EC2_METADATA_SERVICE_ENDPOINT => "http://$mute_host");
my $start = time;
is(error($count) =~ s/\nLOCATION:.*//sr, <<"ERROR" =~ s/\n$//r, 'the reasons of a chain');
ERROR:  28000: no credential source of server "srv" has credentials
DETAIL:  environment: AWS_ACCESS_KEY_ID is not set
web_identity: AWS_WEB_IDENTITY_TOKEN_FILE is not set
container: neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set
instance: no answer from $mute_host within 1 s
ERROR
cmp_ok(time - $start, '<', 2, 'a chain fails within two seconds');
restart_with(AWS_EC2_METADATA_DISABLED => 'TRUE', AWS_ACCESS_KEY_ID => 'AKIAENV');
like(error($count), qr/DETAIL:  environment: AWS_SECRET_ACCESS_KEY is not set\nLOCATION/, 'a chain ends with a source that is configured');
restart_with(AWS_EC2_METADATA_DISABLED => 'TRUE');
like(error($count), qr/instance: AWS_EC2_METADATA_DISABLED is set\n/, 'a chain without the metadata service');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
