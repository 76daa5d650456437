# Signature Version 4: the local Cognito verifies each request with botocore's own signer.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use List::Util qw(uniq);
use Test::More;

# A proxy for https://. That for http:// must not be used, so nothing listens there.
my $proxy = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1', Timeout => 10);
my $cognito = Cognito->new;
my $node = do
{
	local $ENV{https_proxy} = 'http://127.0.0.1:' . $proxy->sockport;
	local $ENV{http_proxy} = 'http://127.0.0.1:1';
	Cognito::cluster('main');
};

# Lists all users of a server and checks that Cognito accepted the signature of each page.
sub is_accepted
{
	my ($name) = @_;

	$cognito->clear_requests;
	$node->psql('postgres', q(SELECT count(*) FROM cognito_users('srv')));
	my @requests = $cognito->requests;
	is_deeply([ uniq map { $_->{status} } @requests ], [200], "$name: accepted");
	return @requests;
}

# The value of a part of a request's header Authorization.
sub authorization
{
	my ($request, $part) = @_;
	return $request->{headers}{authorization} =~ /$part=([^,]+)/ ? $1 : undef;
}

# Makes an access key, and the server "srv" use it.
sub use_key
{
	my ($id, $secret, $token) = @_;
	$cognito->control('PUT', 'keys', { $id => { secret => $secret, token => $token } });
	$cognito->create_server($node, 'srv',
		aws_access_key_id => $id,
		aws_secret_access_key => $secret,
		aws_session_token => $token);
	return;
}


# Keys and tokens

my $printable = join '', map { chr } 33 .. 126;

$cognito->create_server($node, 'srv');
my ($request) = is_accepted('a long-term key');
is( authorization($request, 'SignedHeaders'),
	'content-type;host;x-amz-date;x-amz-target',
	'a long-term key: the signed headers');
like(authorization($request, 'Credential'),
	qr{^$Cognito::KEY/\d{8}/eu-west-1/cognito-idp/aws4_request$},
	'the scope: day, region, service');

for (
	[ 'a secret of one character', 'AKIDSHORT', 'x' ],
	[ 'a secret longer than a block of SHA-256', 'AKIDLONG', $printable x 3 ],
	[ 'a secret of all printable characters', 'AKIDPRINTABLE', $printable ],
	[ 'temporary keys', 'ASIATOKEN', $Cognito::SECRET, 'FwoGZXIvYXdzE/+==' ],
	[ 'a token of all printable characters', 'ASIAPRINTABLE', $Cognito::SECRET, $printable ],
	[ 'a token of 5,000 characters', 'ASIALONG', $Cognito::SECRET, 'Fwo/+' x 1000 ])
{
	my ($name, @key) = @$_;
	use_key(@key);
	($request) = is_accepted($name);
	is($request->{headers}{'x-amz-security-token'}, $key[2], "$name: the token is sent, or none");
	is( authorization($request, 'SignedHeaders') =~ /;x-amz-security-token;/ ? 1 : 0,
		defined $key[2] ? 1 : 0,
		"$name: the token is signed, or none");
}


# Regions and hosts

for my $region (qw(us-east-1 us-gov-west-1 ap-southeast-2 cn-north-1 cn-northwest-1))
{
	$cognito->create_server($node, 'srv',
		region => $region,
		user_pool_id => "${region}_Users130");
	($request) = is_accepted($region);
	like(authorization($request, 'Credential'), qr{/$region/}, "$region: in the scope");
}

my $other = Cognito->new;
$other->create_server($node, 'other');
$other->query_with_requests($node, "SELECT count(*) FROM cognito_users('other', NULL, 1)");
for ([ $cognito, 'the one' ], [ $other, 'the other' ])
{
	my ($server, $name) = @$_;
	my ($host) = $server->url =~ m{//(.*)};
	is_deeply([ uniq map { $_->{headers}{host} } $server->requests ],
		[$host], "$name: header host with the port");
}
isnt($cognito->url, $other->url, 'these are two ports');

my $by_name = $cognito->url =~ s/127.0.0.1/localhost/r;
$cognito->create_server($node, 'srv', endpoint_url => "$by_name/");
($request) = is_accepted('an endpoint with a final slash');
is("http://$request->{headers}{host}", $by_name, 'header host by name');

# Other spellings of the same endpoint: signed alike, and without the proxy

my $port = $cognito->url =~ s/.*://r;
for my $url ("HTTP://127.0.0.1:$port", "Http://LocalHost:$port/", "http://127.1:$port")
{
	$cognito->create_server($node, 'srv', endpoint_url => $url);
	is_accepted("endpoint_url $url");
}


# The request to the proxy contains the host. The proxy does not respond, as AWS cannot be reached here.
for (
	[ 'eu-west-1', 'cognito-idp.eu-west-1.amazonaws.com' ],
	[ 'us-gov-west-1', 'cognito-idp.us-gov-west-1.amazonaws.com' ],
	[ 'cn-north-1', 'cognito-idp.cn-north-1.amazonaws.com.cn' ])
{
	my ($region, $host) = @$_;
	$cognito->create_server($node, 'srv',
		region => $region,
		endpoint_url => undef,
		max_retries => 0,
		connect_timeout => '1s');
	like(Cognito::error_of($node, "SELECT * FROM cognito_users('srv')"),
		qr/ERROR:  HV00N: timeout expired while connecting to Cognito/,
		"$region: no answer of the proxy");
	is( $proxy->accept->getline,
		"CONNECT $host:443 HTTP/1.1\r\n",
		"$region: the region's host, over TLS");
}

for ([ '403 Forbidden', 8, '' ], [ '503 Service Unavailable', 1, ', after 1 retry' ])
{
	my ($status, $max_retries, $retries) = @$_;

	$cognito->create_server($node, 'srv', endpoint_url => undef, max_retries => $max_retries);
	my $session = Cognito::start($node, "SELECT * FROM cognito_users('srv')");
	for (0 .. ($retries ? 1 : 0))
	{
		my $connection = $proxy->accept;
		$connection->sysread(my $asked, 65_536);
		$connection->syswrite("HTTP/1.1 $status\r\ncontent-length: 0\r\n\r\n");
	}
	my $code = substr $status, 0, 3;
	like(Cognito::finish($session),
		qr/ERROR:  HV00N: could not connect to Cognito for server "srv"\nDETAIL: .*$code.*, while \w+[a-zA-Z ]*$retries\.\n/,
		"a proxy that responds $status");
}


# Wrong credentials are refused: the checks above can fail

for (
	[ 'another secret', aws_secret_access_key => lc $Cognito::SECRET ],
	[ 'another access key', aws_access_key_id => 'AKIDUNKNOWN' ],
	[ 'a token that the key does not have', aws_session_token => 'token' ],
	[ 'a key without its token', aws_access_key_id => 'ASIATOKEN' ])
{
	my ($name, %options) = @$_;
	$cognito->create_server($node, 'srv', %options);
	like(
		Cognito::error_of($node, "SELECT * FROM cognito_users('srv')"),
		qr/ERROR:  28000: Cognito refused the credentials of server "srv"\n/,
		"$name: refused");
}

is_deeply([ $cognito->violations, $other->violations ], [], 'every request was well-formed');

done_testing();
