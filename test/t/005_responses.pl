# Responses: each violation of the service's contract is an error, and leaves no partial result.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', "timezone = 'UTC'");

$cognito->create_server($node, 'srv');
$node->safe_psql('postgres', q(CREATE TABLE kept AS SELECT * FROM cognito_users('srv', NULL, 0)));

# Returns a fault that responds with these bytes.
sub answer
{
	my ($bytes, %more) = @_;
	return { reply => { body_base64 => encode_base64($bytes, ''), %more } };
}

# Replaces the second page of a listing by the given response, for two statements that store the rows.
# Checks that both fail, that nothing is stored, and that the session can list again.
sub is_rejected
{
	my ($name, $answer, $state, $message, $detail) = @_;

	$cognito->faults({ %$answer, skip => 1 }, { %$answer, skip => 2 });
	my ($code, $out, $err) = $node->psql('postgres', q(
		\set VERBOSITY verbose
		SET client_min_messages = error;
		DROP TABLE IF EXISTS made;
		TRUNCATE kept;
		CREATE TABLE made AS SELECT * FROM cognito_users('srv');
		INSERT INTO kept SELECT * FROM cognito_users('srv');
		SELECT to_regclass('made') IS NULL, (SELECT count(*) FROM kept),
			(SELECT count(*) FROM cognito_users('srv'))), on_error_stop => 0);

	my $text = qr/ERROR:  $state: $message server "srv".*\nDETAIL:  ListUsers: $detail\n/;
	like($err, qr/$text.*$text/s, $name);
	is($out, 't|0|300', "$name: nothing half-done, and the session goes on");
	return;
}

# Checks the error for a response that violates the contract of ListUsers.
sub is_unusable
{
	my ($name, $body, $detail, $state) = @_;
	return is_rejected($name, answer($body), $state // 'HV000', 'unusable reply from Cognito for',
		$detail);
}

# Returns a page whose second user is the given, invalid one.
sub second_user { return qq({"Users": [{"Username": "u"}, $_[0]]}) }

# Returns the result of a query for this response, or its error.
sub result_of
{
	my ($body, $query) = @_;
	$cognito->faults(answer($body));
	my ($code, $out, $err) = $node->psql('postgres', $query);
	return $code == 0 ? $out : $err;
}


# The response is not a JSON object

my $no_json = 'The reply is not valid JSON\.';
my $too_deep = 'The reply is nested more than 1,000 levels deep\.';
is_unusable(@$_)
  for (
	[ 'an empty reply', '', 'The reply is empty\.' ],
	[ 'white space', " \n", $no_json ],
	[ 'HTML', '<html><body>Sign in to this network</body></html>', $no_json ],
	[ 'a truncated reply', '{"Users": [{"Username": "u"}, {"User', $no_json ],
	[ 'something after the reply', '{"Users": []} {"Users": []}', $no_json ],
	[ 'a lone high surrogate', second_user('{"Username": "\ud83d"}'), $no_json ],
	[ 'a lone low surrogate', second_user('{"Username": "\ude00"}'), $no_json ],
	[ 'a high surrogate before a letter',
		second_user('{"Username": "\ud83d\u0061"}'), $no_json ],
	[ 'an escape that JSON lacks', second_user('{"Username": "\x41"}'), $no_json ],
	[ 'lists nested 100,000 deep',
		'{"Users": ' . '[' x 100_000 . ']' x 100_000 . '}', $too_deep ],
	[ 'objects nested 100,000 deep, where nobody looks',
		'{"Users": [], "Other": ' . '{"a":' x 100_000 . '1' . '}' x 100_000 . '}',
		$too_deep ],
	[ 'lists nested 1,001 deep, after brackets in a string',
		'{"\\"[[]{": [], "Other": ' . '[' x 1000 . ']' x 1000 . '}', $too_deep ],
	[ 'lists nested 1,000 deep, and a mistake', '{"Other": ' . '[' x 999 . '!' . ']' x 999 . '}', $no_json ],
	[ 'many closed lists, and a mistake', '{"Other": [' . '[],' x 2000 . '!]}', $no_json ],
	[ 'a list', '[{"Username": "u"}]', 'The reply is not a JSON object\.' ],
	[ 'a string', '"Users"', 'The reply is not a JSON object\.' ],
	[ 'null', 'null', 'The reply is not a JSON object\.' ]);


# The object is not a page of users

is_unusable(@$_)
  for (
	[ 'an empty object', '{}', 'The reply has no member "Users"\.' ],
	[ 'Users in lower case', '{"users": []}', 'The reply has no member "Users"\.' ],
	[ 'Users a string', '{"Users": "u"}', 'Member "Users" is not a list\.' ],
	[ 'Users an object', '{"Users": {"Username": "u"}}', 'Member "Users" is not a list\.' ],
	[ 'Users null', '{"Users": null}', 'Member "Users" is not a list\.' ],
	[ 'a token that is a number', '{"Users": [], "PaginationToken": 7}',
		'Member "PaginationToken" is not a string\.' ],
	[ 'a token that is a list', '{"Users": [], "PaginationToken": ["t"]}',
		'Member "PaginationToken" is not a string\.' ]);


# An item is not a user

is_unusable("a user that is $_", second_user($_), 'Item 2 is not an object\.')
  for '7', '"u"', 'null', 'true', '[]';

for (
	[ 'Username', 'is not a string', '7', 'true', '["u"]', '{}' ],
	[ 'UserStatus', 'is not a string', '7', 'false' ],
	[ 'Enabled', 'is not a boolean', '"yes"', '"true"', '1', '[]' ],
	[ 'UserCreateDate', 'is not a number', 'true', '{}', '""', '"1700000000"', '"2023-11-14T22:13:20Z"' ],
	[ 'UserLastModifiedDate', 'is out of the range of timestamps', '1e300', '-1e300', '1e999', '1e14' ],
	[ 'Attributes', 'is not a list', '"a"', '{"Name": "n", "Value": "v"}', 'true' ],
	[ 'Attributes', 'has an element whose "Name" is not a string', '[{"Value": "v"}]',
		'[{"Name": null, "Value": "v"}]', '[{"Name": 7, "Value": "v"}]', '["n"]', '[null]', '[[]]' ],
	[ 'Attributes', 'has an element whose "Value" is not a string', '[{"Name": "n"}]',
		'[{"Name": "n", "Value": null}]', '[{"Name": "n", "Value": 7}]' ],
	[ 'Attributes', 'contains the same attribute twice',
		'[{"Name": "n", "Value": "v"}, {"Name": "m", "Value": "v"}, {"Name": "n", "Value": "w"}]' ])
{
	my ($member, $problem, @values) = @$_;
	my $detail = qq(Item 2: member "$member" $problem\\.);
	is_unusable("$member $_", second_user(qq({"$member": $_})), $detail) for @values;
}


# The response is not valid text

my $no_utf8 = 'The reply is not valid UTF-8\.';
is_unusable("$_->[0]", second_user(qq({"Username": "$_->[1]"})), $no_utf8, '22021')
  for (
	[ 'a byte that is never in UTF-8', "\xff" ],
	[ 'Latin-1', "Zo\xeb" ],
	[ 'an overlong sequence', "\xc0\xaf" ],
	[ 'a surrogate in UTF-8', "\xed\xa0\x80" ],
	[ 'beyond U+10FFFF', "\xf4\x90\x80\x80" ],
	[ 'a NUL byte', "a\0b" ]);
is_unusable('a reply that ends in a character', "{\"Users\": []}\xc3", $no_utf8, '22021');
is_unusable('a byte that is not UTF-8, where nobody looks',
	"{\"Users\": [], \"Other\": \"\xff\"}", $no_utf8, '22021');

is_unusable($_->[0], $_->[1], 'The reply contains \\\\u0000, .*', '22P05')
  for (
	[ 'U+0000 in a value', second_user('{"Username": "a\u0000b"}') ],
	[ 'U+0000 in an attribute',
		second_user('{"Attributes": [{"Name": "n", "Value": "\u0000"}]}') ],
	[ 'U+0000 in a name', second_user('{"Attributes": [{"Name": "n\u0000", "Value": "v"}]}') ],
	[ 'U+0000 in a key', '{"Users": [], "Other\u0000": 7}' ],
	[ 'U+0000 after an escaped backslash', second_user('{"Username": "\\\\\u0000"}') ]);


# Status, size and HTTP framing

is_rejected("status $_", answer('{"Users": []}', status => $_),
	'HV000', 'Cognito refused the request for', "answered with status $_, request id .*")
  for 201, 204, 206, 304;

my $elsewhere = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
my $location = 'http://127.0.0.1:' . $elsewhere->sockport . '/';
$cognito->create_server($node, 'srv', request_timeout => '2s');
is_rejected(
	"a redirect $_", answer('{"Users": []}', status => $_, headers => { location => $location }),
	'HV000', 'Cognito refused the request for', "answered with status $_, request id .*")
  for 301, 302, 303, 307, 308;
ok(!IO::Select->new($elsewhere)->can_read(0), 'no redirect is followed');
$cognito->create_server($node, 'srv');

my $megabyte = ' ' x (1024 * 1024);
is_rejected(
	'a reply of 33 MB', answer('{"Users": []' . $megabyte x 33 . '}'),
	'HV000', q(Cognito's response for), 'while receiving the response\.');
is( result_of(
		'{"Users": [{"Username": "u"}]' . $megabyte x 31 . '}',
		q(SELECT username FROM cognito_users('srv'))),
	'u', 'a reply of 31 MB is read');

my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1', Timeout => 10);
$cognito->create_server($node, 'raw',
	endpoint_url => 'http://127.0.0.1:' . $listener->sockport,
	max_retries => 0);

# Calls a server that sends these bytes; returns the result or the error.
sub answer_raw
{
	my ($bytes) = @_;
	my $session = Cognito::start($node, "SELECT username FROM cognito_users('raw')");
	my $connection = $listener->accept;
	$connection->sysread(my $request, 65_536);
	$connection->syswrite($bytes);
	$connection->close;
	return Cognito::finish($session);
}

my $ok = "HTTP/1.1 200 OK\r\n";
my $broke = 'ERROR:  HV000: connection to Cognito for server "raw" was lost\n';
my $chunked = "${ok}transfer-encoding: chunked\r\n\r\n";
like(answer_raw("220 mail.example.com ESMTP\r\n"),
	qr/ERROR:  HV000: .* server "raw"\nDETAIL:  ListUsers: .*, while waiting for the response\.\n/,
	'an answer that is not HTTP');
like(answer_raw(''),
	qr/${broke}DETAIL:  ListUsers: /, 'no answer at all');
like(answer_raw("${ok}content-length: 100\r\n\r\n{\"Users\": []}"),
	qr/${broke}DETAIL:  ListUsers: .*, while receiving the response\.\n/,
	'an answer that ends early');
like(answer_raw("${chunked}5\r\n{\"Use\r\n"), qr/$broke/, 'chunks that end early');
like(answer_raw("${chunked}many\r\n{\"Users\": []}\r\n0\r\n\r\n"),
	qr/ERROR:  HV000: .* server "raw"/, 'chunks that are none');
is( answer_raw("${chunked}a\r\n{\"Users\": \r\n15\r\n[{\"Username\": \"raw\"}]\r\n1\r\n}\r\n0\r\n\r\n"),
	'raw', 'an answer in chunks is read');
is(answer_raw("${ok}\r\n{\"Users\": [{\"Username\": \"raw\"}]}"),
	'raw', 'an answer that ends with its connection is read');


# Unusual but valid responses

is(result_of('{"Users": [{"Username": "a\\\\u0000b"}]}', q(SELECT username FROM cognito_users('srv'))),
	'a\u0000b', 'an escaped backslash before u0000 is text');
is( result_of(
		'{"Users": [{"Attributes": [{"Name": "\\\\u0000", "Value": "\\\\\\\\u0000"}]}]}',
		q(SELECT key, value FROM cognito_users('srv'), jsonb_each_text(attributes))),
	'\u0000|\\\\u0000',
	'escaped backslashes before u0000 are text in attributes');
is( result_of('{"Users": [{"Username": "\"\\\\\/\b\f\n\r\t\u00eb\ud83e\udd86"}]}',
		q(SELECT username = E'"\\\\/\b\f\n\r\t\u00eb\U0001f986' FROM cognito_users('srv'))),
	't', 'all escapes of JSON');
is( result_of('{"Users": [{}, {"Username": null, "Attributes": null, "UserCreateDate": null,
		"UserLastModifiedDate": null, "Enabled": null, "UserStatus": null}]}',
		q(SELECT count(*) FROM cognito_users('srv') u WHERE u IS NULL)),
	2, 'members that are missing or null are NULL');
is( result_of('{"Users": [{"Username": "", "Attributes": [], "UserStatus": "BRAND_NEW",
		"Extra": {"a": [1]}}], "Extra": ' . '[' x 900 . ']' x 900 . '}',
		q(SELECT *, username IS NULL FROM cognito_users('srv'))),
	'||BRAND_NEW||||{}|f', 'no attributes, new statuses, members nobody knows');

for my $token ('""', 'null')
{
	$cognito->clear_requests;
	is( result_of(
			qq({"Users": [{}], "PaginationToken": $token}),
			q(SELECT count(*) FROM cognito_users('srv'))),
		1, "the token $token ends the listing");
	is($cognito->requests, 1, "the token $token leads nowhere");
}

for (
	[ '1700000000', '2023-11-14 22:13:20' ],
	[ '1700000000.123456', '2023-11-14 22:13:20.123456' ],
	[ '1.7E9', '2023-11-14 22:13:20' ],
	[ '0', '1970-01-01 00:00:00' ],
	[ '-1.5', '1969-12-31 23:59:58.5' ])
{
	my ($date, $timestamp) = @$_;
	is( result_of(qq({"Users": [{"UserCreateDate": $date, "UserLastModifiedDate": $date}]}),
			q(SELECT created_at, updated_at FROM cognito_users('srv'))),
		"$timestamp+00|$timestamp+00",
		"date $date");
}

my @dates = map { sprintf '%d.%03d', 1_400_000_000 + 1_234_567 * $_, $_ } 0 .. 999;
is( result_of(
		'{"Users": ['
		  . join(',', map { qq({"Username": "$_", "UserCreateDate": $_}) } @dates) . ']}',
		q(SELECT count(*) FROM cognito_users('srv')
			WHERE extract(epoch FROM created_at) = username::numeric)),
	1000,
	'dates are exact to the millisecond');

my @long = map { { Name => "custom:a$_", Value => "\x{eb}" x 2048 } } 1 .. 20;
$cognito->faults;
my @users = map { Cognito->user("u$_", Attributes => \@long) } 1 .. 61;
$cognito->pool('eu-west-1_Long', users => \@users);
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Long');
is( $node->safe_psql('postgres',
		q(SELECT count(*), sum(length(value)) FROM cognito_users('srv'), jsonb_each_text(attributes))),
	61 * 20 . '|' . 61 * 20 * 2048,
	'pages of 60 users with 20 attributes of 2,048 characters');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');

done_testing();
