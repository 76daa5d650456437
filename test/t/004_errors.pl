# Errors: SQLSTATE, a message that names the server, a detail with AWS's message, and a hint.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use Test::More;

$ENV{no_proxy} = '*';

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
my $call = q(SELECT * FROM cognito_users('srv', 'username ^= ""'));
my $id = '[0-9a-f]{8}-[0-9a-f-]{27}';

# Returns a pattern for an error as psql shows it; each argument is a pattern. Without a hint, none may be shown.
sub text_of
{
	my ($state, $message, $detail, $hint) = @_;
	my $remedy = defined $hint ? "HINT:  .*$hint.*\n" : '';
	return qr/ERROR:  $state: $message\nDETAIL:  ListUsers: $detail\.\n${remedy}LOCATION:/;
}

# Checks the error that an answer of the service becomes.
sub is_error
{
	my ($name, $fault, @text) = @_;
	$cognito->faults($fault);
	like(Cognito::error_of($node, $call), text_of(@text), $name);
	return;
}


# Error responses of AWS

my $denied = 'permission denied by IAM for the access key of server "srv"';
my $allow = 'cognito-idp:ListUsers';
my $refused = 'Cognito refused the credentials of server "srv"';
my $check = 'Check the access key';
my $unknown = 'user pool "eu-west-1_AbCdEf123" of server "srv" does not exist';

$cognito->create_server($node, 'srv', max_retries => 0);
for (
	[ 'UnrecognizedClientException', '28000', $refused, $check ],
	[ 'InvalidClientTokenId', '28000', $refused, $check ],
	[ 'InvalidSignatureException', '28000', $refused, $check ],
	[ 'MissingAuthenticationToken', '28000', $refused, $check ],
	[ 'MissingAuthenticationTokenException', '28000', $refused, $check ],
	[ 'IncompleteSignature', '28000', $refused, $check ],
	[ 'IncompleteSignatureException', '28000', $refused, $check ],
	[ 'ExpiredTokenException', '28000', 'the session token of server "srv" has expired', 'Set new' ],
	[ 'ExpiredToken', '28000', 'the session token of server "srv" has expired', 'Set new' ],
	[ 'AccessDeniedException', '42501', $denied, $allow ],
	[ 'NotAuthorizedException', '42501', $denied, $allow ],
	[ 'ResourceNotFoundException', '42704', $unknown, '"user_pool_id"' ],
	[ 'UserNotFoundException', '42704', 'user requested from Cognito for server "srv" does not exist' ],
	[ 'InvalidParameterException', '22023', 'Cognito refused an argument .* "srv"', 'A filter must be' ],
	[ 'ValidationException', '22023', 'Cognito refused an argument .* "srv"', 'A filter must be' ],
	[ 'TooManyRequestsException', '53400', 'Cognito throttled .* "srv"', '"max_requests_per_second".*AWS does not raise' ],
	[ 'InternalErrorException', 'HV000', 'Cognito failed to process the request for server "srv"', 'again later' ],
	[ 'LimitExceededException', 'HV000', 'Cognito refused the request for server "srv"' ],
	[ 'SomethingNewException', 'HV000', 'Cognito refused the request for server "srv"' ])
{
	my ($type, $state, $message, $hint) = @$_;
	is_error($type, { error => $type }, $state, $message,
		qq(answered with status 400, $type, "Ordered by the test.", request id $id), $hint);
}

for (
	[ 'prefixed', { error => 'AccessDeniedException', type_in => 'prefixed' } ],
	[ 'in the header', { error => 'AccessDeniedException', type_in => 'header' } ],
	[ 'in the header, with a suffix',
		{
			reply => {
				status => 400,
				headers => { 'x-amzn-errortype' => 'AccessDeniedException:http://a.example/' },
				body => '{"message": "Ordered by the test."}'
			}
		} ],
	[ 'in the body, with "Message"',
		{
			reply => {
				status => 400,
				body => '{"__type": "AccessDeniedException", "Message": "Ordered by the test."}'
			}
		} ])
{
	my ($name, $fault) = @$_;
	is_error("type $name", $fault, '42501', $denied,
		qq(answered with status 400, AccessDeniedException, "Ordered by the test.", request id $id),
		$allow);
}

for (
	[ 'HTML', 403, '<h1>Forbidden</h1>', '403' ],
	[ 'nothing', 400, '', '400' ],
	[ 'a list', 400, '[{"__type": "AccessDeniedException"}]', '400' ],
	[ 'a type that is a number', 400, '{"__type": 7, "message": 8}', '400' ],
	[ 'only a message', 400, '{"message": "So not."}', '400, "So not."' ],
	[ 'only a type', 400, '{"__type": "OddException"}', '400, OddException' ])
{
	my ($name, $status, $body, $detail) = @$_;
	is_error("an error of $name", { reply => { status => $status, body => $body } },
		'HV000', 'Cognito refused the request for server "srv"',
		"answered with status $detail, request id $id");
}


# The same errors without a fault

$cognito->control('PUT', 'keys',
	{
		AKIDDENIED => { secret => 's', denied => ['ListUsers'] },
		ASIAEXPIRED => { secret => 's', token => 't', expired => JSON::PP::true }
	});
for (
	[ 'a key without the permission', '42501', $allow,
		aws_access_key_id => 'AKIDDENIED', aws_secret_access_key => 's' ],
	[ 'an expired session', '28000', 'temporary credentials',
		aws_access_key_id => 'ASIAEXPIRED', aws_secret_access_key => 's', aws_session_token => 't' ],
	[ 'a pool that is not there', '42704', 'user_pool_id', user_pool_id => 'eu-west-1_None' ],
	[ 'a pool of another region', '42704', 'region', region => 'us-east-1' ],
	[ 'a wrong secret', '28000', 'secret', aws_secret_access_key => 's' ])
{
	my ($name, $state, $hint, %options) = @$_;
	$cognito->create_server($node, 'srv', %options);
	like(Cognito::error_of($node, $call),
		text_of($state, '.* server "srv".*', '.*, request id .*', $hint), $name);
}
$cognito->create_server($node, 'srv');
like(Cognito::error_of($node, q(SELECT * FROM cognito_users('srv', 'email like "a%"'))),
	text_of('22023', '.*', '.*, "Error while parsing filter.", .*', 'A filter must be'), 'a bad filter');


# What there is, where something is not found
for (
	[ q(cognito_add_user_to_group('srv', 'u', 'none')), 'ResourceNotFoundException', 'group "none"', 'groups' ],
	[ q(cognito_add_user_to_group('srv', 'none', 'g')), 'UserNotFoundException', 'user "none"', 'users' ],
	[ q(cognito_app_client('srv', 'none')), 'ResourceNotFoundException', 'app client "none"', 'app_clients' ])
{
	my ($function, $type, $missing, $list) = @$_;
	$cognito->faults({ error => $type, message => 'none' });
	like(Cognito::error_of($node, "SELECT * FROM $function"),
		qr/ERROR:  42704: $missing .*\nDETAIL: .*\nHINT:  To list the .*, execute: SELECT \* FROM cognito_$list\('srv'\);\n/,
		"$missing: the hint contains a statement that lists them");
}
$cognito->faults;


# Connection failures and timeouts

my $unreachable = 'could not connect to Cognito for server "srv"';
my $closed = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1')->sockport;
$cognito->create_server($node, 'srv', endpoint_url => "http://127.0.0.1:$closed", max_retries => 0);
like(Cognito::error_of($node, $call),
	text_of('HV00N', $unreachable, ".*[ :]$closed .*, while connecting", '"endpoint_url"'),
	'connection refused');

$cognito->create_server($node, 'srv', endpoint_url => 'https://nohost.invalid', max_retries => 0);
like(Cognito::error_of($node, $call),
	text_of('HV00N', $unreachable, '.* nohost\.invalid, while resolving the host name', '"region"'),
	'a host that is not known');

# Checks the error of a timeout of one second, and that it took about as long.
sub times_out
{
	my ($name, @text) = @_;
	my $error = Cognito::error_of($node, $call);

	like($error, text_of(@text), $name);
	my ($seconds) = $error =~ /gave up after (\d+\.\d{3}) s/;
	cmp_ok($seconds // 0, '>=', 1, "$name: not earlier");
	cmp_ok($seconds // 9, '<', 5, "$name: not much later");
	return;
}

# The kernel accepts a few connections for a socket that takes none, and then no more.
my $full = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $address = '127.0.0.1:' . $full->sockport;
my @waiting = map { IO::Socket::INET->new(PeerAddr => $address, Blocking => 0) } 1 .. 8;
$cognito->create_server($node, 'srv',
	endpoint_url => "http://$address",
	max_retries => 0,
	connect_timeout => '1s');
times_out('connect_timeout', 'HV00N', 'timeout expired while connecting to Cognito for server "srv"',
	'gave up after .* s while connecting', '"connect_timeout"');

my $silent = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
$cognito->create_server($node, 'srv',
	endpoint_url => 'https://127.0.0.1:' . $silent->sockport,
	max_retries => 0,
	connect_timeout => '1000ms');
times_out('connect_timeout in TLS', 'HV00N', 'timeout expired while connecting to Cognito for server "srv"',
	'gave up after .* s while negotiating TLS', '"connect_timeout"');

# without a unit: seconds
$cognito->create_server($node, 'srv', max_retries => 0, request_timeout => '1');
for (
	[ 'response', 'waiting for the response', 1 ],
	[ 'body', 'receiving the response', 1 ],
	[ 'response', 'waiting for the response', 2 ],
	[ 'body', 'receiving the response', 2 ])
{
	my ($stall, $phase, $page) = @$_;
	my $name = "request_timeout on page $page while $phase";
	$cognito->faults({ stall => $stall, skip => $page - 1 });
	$cognito->clear_requests;
	times_out($name, 'HV000', q(timeout expired while waiting for Cognito's response for server "srv"),
		"gave up after .* s while $phase", '"request_timeout"');
	is($cognito->requests, $page, "$name: at once");
}
$cognito->create_server($node, 'srv', request_timeout => '10s');
$cognito->faults({ delay => 0.6 });
is(Cognito::error_of($node, $call), '', 'an answer in time is none');


# The service's messages

$cognito->create_server($node, 'srv');
for (
	[ 'control characters', "a\r\n\e[31mb\x07\x7fc\td", 'a   \[31mb  c d' ],
	[ 'format characters', '100%s %n %1$d', '100%s %n %1\$d' ],
	[ '10,000 characters', 'x' x 10_000, 'x{500}' ],
	[ '10,000 characters of two bytes', 'a' . 'é' x 10_000, 'aé{249}' ],
	[ '10,000 characters of four bytes', '🦆' x 10_000, '🦆{125}' ])
{
	my ($name, $message, $shown) = @$_;
	$cognito->faults({ error => 'OddException', message => $message });
	like(decode_utf8(Cognito::error_of($node, $call), Encode::FB_CROAK),
		qr/DETAIL:  ListUsers: answered with status 400, OddException, "$shown", request id $id\.\n/,
		"$name in a message");
}

# Characters that control terminals, are invisible, or change order or lines of text are replaced
for my $range (
  [ 0x01, 0x1f ], [ 0x7f, 0x9f ], [0xad], [0x61c], [0x180e], [ 0x200b, 0x200f ], [ 0x2028, 0x202e ],
  [ 0x2060, 0x206f ], [0xfeff], [ 0xfff9, 0xfffb ], [ 0x1d173, 0x1d17a ], [ 0xe0000, 0xe007f ])
{
	my $name = sprintf 'U+%04X to U+%04X', $range->[0] - 1, $range->[-1] + 1;
	my ($before, $after) = ($range->[0] > 1 ? chr($range->[0] - 1) : '', chr($range->[-1] + 1));
	my $inside = join '', map { chr } $range->[0] .. $range->[-1];
	$inside =~ s/^(.{20}).*(.{20})$/$1$2/s;
	my $text = "$before$inside$after";
	my $shown = quotemeta($before) . ' ' x length($inside) . quotemeta($after);

	$cognito->faults({ error => 'OddException', message => $text });
	like(decode_utf8(Cognito::error_of($node, $call), Encode::FB_CROAK),
		qr/OddException, "$shown", request id/, "$name: only the first and the last are shown");
}
$cognito->faults({ error => "Odd\x{9b}\x{202e}Exception", message => 'm' });
like(Cognito::error_of($node, $call), qr/status 400, Odd  Exception, "m"/, 'and so in a type');
$cognito->faults({ operation => 'AdminAddUserToGroup', error => 'UserNotFoundException' });
like(
	decode_utf8(Cognito::error_of($node, encode_utf8("SELECT cognito_add_user_to_group('srv', 'a\x{9b}b\x{202e}cé', 'g')"))),
	qr/ERROR:  42704: user "a b cé" of server "srv" does not exist/, 'and so in the name of what is missing');
is_error('an error that is not UTF-8',
	{ reply => { status => 400, body_base64 => 'eyJtZXNzYWdlIjogIv/+In0=' } },
	'HV000', '.*"srv"', "answered with status 400, request id $id");
is_error('headers that are not UTF-8',
	{
		reply => {
			status => 400,
			headers => { 'x-amzn-errortype' => "Caf\x{e9}", 'x-amzn-requestid' => "\x{ff}\x{01}" }
		}
	},
	'HV000', '.*"srv"', 'answered with status 400, Caf\?, request id \? ');

my $token = 'FwoGZXIvYXdzEBYaDGV4YW1wbGUvdG9rZW4+/==';
$cognito->control('PUT', 'keys', { ASIAECHO => { secret => 'another', token => $token } });
$cognito->create_server($node, 'srv', aws_access_key_id => 'ASIAECHO', aws_session_token => $token);
for (
	[ 'the canonical request' ],
	[ 'a message', { error => 'OddException', message => "$token and $Cognito::SECRET, " x 2 } ],
	[ 'a type', { error => "Odd$Cognito::SECRET$token" } ],
	[ 'a request id',
		{ error => 'OddException', headers => { 'x-amzn-requestid' => "$token$Cognito::SECRET" } } ],
	[ 'the words at which a message is clipped',
		{ error => 'OddException', message => 'x' x 480 . $Cognito::SECRET } ])
{
	my ($name, @faults) = @$_;
	$cognito->faults(@faults);
	my $error = Cognito::error_of($node, $call);
	like($error, qr/\*{20}/, "secrets in $name: masked");
	my $parts = join '|', map { quotemeta } map { (substr($_, 0, 10), substr($_, -10)) } $token,
	  $Cognito::SECRET;
	unlike($error, qr/$parts/, "secrets in $name: not shown");
}

# Secrets that resemble their masks or each other: no part of one is shown, and masking terminates.
for (
	[ '*', 'T', 'a*b**cT', 'a\*b\*\*c\*' ],
	[ '**', '*', '***** a', '\*{5} a' ],
	[ 'key', 'a-key-too', 'a-key-too, key, key', '\*{9}, \*{3}, \*{3}' ],
	[ 'long' x 2000, 'Z', 'a' . 'long' x 2000 . 'b', 'a\*{499}' ],
	[ 'key', 'long' x 2000, 'a' x 490 . 'long' x 2000 . 'b', 'a{490}\*{10}' ])
{
	my ($secret, $token, $message, $shown) = @$_;
	my $name = substr($secret, 0, 10) . ' and ' . substr($token, 0, 10);
	my $late = 0;

	$cognito->create_server($node, 'srv', aws_secret_access_key => $secret, aws_session_token => $token);
	$cognito->faults({ error => 'OddException', message => $message });
	my (undef, undef, $error) = $node->psql('postgres', $call, timeout => 10, timed_out => \$late);
	like($error, qr/OddException, "$shown", request id/, "secrets $name: masked");
	ok(!$late, "secrets $name: that ends");
}


# Arguments

$cognito->create_server($node, 'srv');
$cognito->clear_requests;
for (
	[ q('none'), '42704: server "none" does not exist', 'CREATE SERVER' ],
	[ q(NULL), q(22004: argument "server_name" of cognito_users must not be null) ],
	[ q(NULL, NULL, 0), q(22004: argument "server_name" of cognito_users must not be null) ],
	[ q('srv', NULL, -1), '22023: argument "max_users" must not be negative' ],
	[ q('srv', NULL, -9223372036854775808), '22023: argument "max_users" must not be negative' ])
{
	my ($arguments, $message, $hint) = @$_;
	my $remedy = defined $hint ? "HINT:  .*$hint.*\n" : '';
	like(Cognito::error_of($node, "SELECT * FROM cognito_users($arguments)"),
		qr/ERROR:  $message\n${remedy}LOCATION:/, "arguments $arguments");
}
is($cognito->requests, 0, 'bad arguments: no request');

# A server name with special characters
$cognito->create_server($node, '"100%s ""é"""', user_pool_id => 'eu-west-1_None');
like(
	decode_utf8(Cognito::error_of($node, encode_utf8(q(SELECT * FROM cognito_users('100%s "é"'))))),
	qr/ERROR:  42704: user pool "eu-west-1_None" of server "100%s "é"" does not exist\n/,
	'a server of an odd name');


# Servers of another foreign-data wrapper, which does not validate options

$node->safe_psql('postgres',
	'CREATE FOREIGN DATA WRAPPER other; CREATE SERVER bare FOREIGN DATA WRAPPER other');
like(
	Cognito::error_of($node, "SELECT * FROM cognito_users('bare')"),
	qr/ERROR:  HV00J: missing required options "region", "user_pool_id" for server "bare"
HINT:  .*: ALTER SERVER bare OPTIONS \(ADD region '...', ADD user_pool_id '...'\);\n/,
	'a server of another wrapper: everything that is missing');

my $url = $cognito->url;
$node->safe_psql('postgres', "CREATE SERVER foreign_server FOREIGN DATA WRAPPER other OPTIONS (
	aws_access_key_id '$Cognito::KEY', aws_secret_access_key '$Cognito::SECRET', region 'eu-west-1',
	user_pool_id 'eu-west-1_AbCdEf123', endpoint_url '$url', something 'else')");
is($node->safe_psql('postgres', "SELECT count(*) FROM cognito_users('foreign_server')"),
	300, 'a server of another wrapper with the options');
$cognito->clear_requests;
for (
	[ 'region', 'eu west', 'HV00A' ],
	[ 'user_pool_id', 'abc', 'HV00A' ],
	[ 'endpoint_url', 'http://example.com', 'HV00A' ],
	[ 'aws_secret_access_key', "two\nlines", 'HV00A' ],
	[ 'request_timeout', '5 parsecs', '22023' ],
	[ 'max_retries', '101', '22023' ])
{
	my ($option, $value, $state) = @$_;
	my $error = Cognito::error_of($node, "BEGIN;
		CREATE SERVER wrong FOREIGN DATA WRAPPER other OPTIONS (
			aws_access_key_id 'k', "
		  . ($option =~ /secret/ ? '' : "aws_secret_access_key 's', ")
		  . ($option eq 'region' ? '' : "region 'eu-west-1', ")
		  . ($option eq 'user_pool_id' ? '' : "user_pool_id 'eu-west-1_a', ")
		  . "$option '$value');
		SELECT * FROM cognito_users('wrong')");
	like($error, qr/ERROR:  $state: invalid value for option "$option"\nDETAIL:/,
		"a server of another wrapper: $option is checked");
	unlike($error, qr/$value/, "a server of another wrapper: the value of $option is not shown");
}
is($cognito->requests, 0, 'malformed options: no request');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');

done_testing();
