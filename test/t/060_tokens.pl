# Tokens of a user pool: claims, keys and when they are requested, what a session remembers, the
# setting, privileges, policies, parallel plans, and the chapter of the manual.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Token;

my $POOL = 'eu-west-1_AbCdEf123';
my $cognito = Cognito->new;
my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';

# Sets the time that the server sees, undef for the real one, and how much later it is than it was.
sub set_clock
{
	my ($now, $ahead) = @_;
	open my $file, '+>:raw', "$clock.new" or die;
	print $file pack 'q<q<', defined $now ? 1e6 * $now : 0, $ahead // 0;
	close $file;
	rename "$clock.new", $clock or die;
	return;
}

set_clock(undef);
my $node;
{
	local $ENV{LD_PRELOAD} = Cognito::preload('shifted_clock');
	local $ENV{SHIFTED_CLOCK} = $clock;
	$node = Cognito::cluster('main', 'log_min_messages = debug5', 'log_statement = none', 'log_error_verbosity = verbose');
}

my $first = Token->new_key('first');
my $second = Token->new_key('second');
my $third = Token->new_key('third');
my ($id, $access) = ($first->id, $first->access);

# Lets the service publish keys.
sub publish
{
	return $cognito->control('PUT', "jwks/$POOL", { keys => [ map { $_->jwk } @_ ] });
}

# Makes a server for tokens, without credentials; options override the defaults, undef drops one.
sub create_server
{
	my ($name, %options) = @_;
	return $cognito->create_server($node, $name,
		aws_access_key_id => undef, aws_secret_access_key => undef, app_client_ids => $Token::CLIENT, %options);
}

# Returns a call that verifies a token.
sub call
{
	my ($server, $token, @use) = @_;
	return "SELECT cognito_verify_token('$server', " . join(', ', map { Cognito::quote($_) } $token, @use) . ')';
}

# Returns the subject of a token in a session, or the SQLSTATE of the error, and the number of requests.
sub verify
{
	my ($session, $server, $token) = @_;

	$cognito->clear_requests;
	my $subject = Cognito::query($session, call($server, $token) . "->>'sub';");
	my $requests = $cognito->requests;
	my $result = $session->{stderr} =~ /ERROR:  (\w+):/ ? $1 : $subject;
	return "$result, $requests";
}

publish($first);
create_server('app');


# Claims

my $claims = JSON::PP->new->decode($node->safe_psql('postgres', call('app', $id)));
is_deeply([ @$claims{qw(sub token_use email cognito:groups)} ],
	[ $Token::SUB, 'id', 'ana.sato@example.com', [ 'admins', 'staff' ] ], 'claims of an ID token');
$claims = JSON::PP->new->decode($node->safe_psql('postgres', call('app', $access, 'access')));
is_deeply([ @$claims{qw(sub token_use client_id username)} ],
	[ $Token::SUB, 'access', $Token::CLIENT, 'ana.sato' ], 'claims of an access token');
like($node->safe_psql('postgres', call('app', $first->sign(
			JSON::PP->new->canonical->encode(Token::claims('id')) =~ s/\{/{"n":[123456789012345678901234567890.10,-0.0,1E3],/r))),
	qr/"n": \[123456789012345678901234567890.10, 0.0, 1000\]/, 'numbers keep their digits');
like($node->safe_psql('postgres', call('app', $first->id(name => "Zo\x{eb} \x{1f418}"))), qr/Zo\xc3\xab \xf0\x9f\x90\x98/,
	'claims in UTF-8');
like(Cognito::error_of($node, call('app', $id, $_)), qr/ERROR:  22023: argument "token_use" must be/, "token_use '$_'")
  for 'refresh', '';
is($node->safe_psql('postgres', "SELECT cognito_verify_token('app', '$id', NULL) IS NULL"), 'f', 'either token_use');
like(Cognito::error_of($node, "SELECT cognito_verify_token($_)"), qr/ERROR:  22004: argument .* must not be null/, "null: $_")
  for "NULL, '$id'", "'app', NULL", "NULL, NULL, NULL";


# Requests

{
	my ($result, @requests) = $cognito->query_with_requests($node, call('app', $id) . "->>'sub'");
	is(@requests, 1, 'one request');
	is($requests[0]{operation}, 'jwks.json', '… for the keys');
	is($requests[0]{headers}{authorization}, undef, '… which is not signed');
}

my $session = Cognito::session($node);
is(verify($session, 'app', $id), "$Token::SUB, 1", 'the keys are requested');
is(verify($session, 'app', $first->id), "$Token::SUB, 0", '… once in a session');
publish($first, $second);
is(verify($session, 'app', $second->id), '28000, 0', 'a new key is not requested at once');
set_clock(undef, 9);
is(verify($session, 'app', $second->id), '28000, 0', '… nor after 9 seconds');
set_clock(undef, 11);
is(verify($session, 'app', $first->id), "$Token::SUB, 0", '… nor for a known key');
is(verify($session, 'app', $second->id), "$Token::SUB, 1", '… but after 10 seconds');
is(verify($session, 'app', $third->id), '28000, 0', 'an unknown key is not requested again');
set_clock(undef, 22);
is(verify($session, 'app', $third->id), '28000, 1', '… before 10 seconds have passed');
is(verify($session, 'app', $third->id), '28000, 0', '… each time');
publish($second);
set_clock(undef, 33);
is(verify($session, 'app', $third->id), '28000, 1', 'keys are replaced');
is(verify($session, 'app', $first->id), '28000, 0', '… so that a withdrawn one is no longer valid');
set_clock(undef, 44);

$cognito->control('PUT', "jwks/$POOL", { keys => [] });
is(verify($session, 'app', $third->id), 'HV000, 1', 'a set without keys');
is(verify($session, 'app', $second->id), "$Token::SUB, 0", '… leaves the known keys');
publish($first, $second);
is(verify($session, 'app', $third->id), 'HV00N, 0', '… is not requested again at once');
like($session->{stderr}, qr/DETAIL:  The last request failed less than 10 s ago/, '… and an unknown key is not refused');
set_clock(undef, 55);
is(verify($session, 'app', $third->id), '28000, 1', '… but after 10 seconds');
is(verify($session, 'app', $id), "$Token::SUB, 0", '… and a key that has returned is valid');

# Without keys, a failed request is repeated sooner; the clock is set back so that no real second counts.
{
	my $new = Cognito::session($node);

	$cognito->faults({ operation => 'jwks.json', reply => { status => 503 } });
	is(verify($new, 'app', $id), 'HV00N, 1', 'no keys at all');
	set_clock(undef, -1000);
	is(verify($new, 'app', $id), 'HV00N, 0', '… which are not requested again at once');
	like($new->{stderr}, qr/DETAIL:  The last request failed less than 1 s ago/, '… as the detail says');
	set_clock(undef, 57);
	is(verify($new, 'app', $id), "$Token::SUB, 1", '… but after a second');
	$node->safe_psql('postgres', 'ALTER SERVER app OPTIONS (ADD request_timeout $$9s$$)');
	$cognito->faults({ operation => 'jwks.json', reply => { status => 503 } });
	is(verify($new, 'app', $id), 'HV00N, 1', 'a failure');
	$node->safe_psql('postgres', 'ALTER SERVER app OPTIONS (DROP request_timeout)');
	is(verify($new, 'app', $id), "$Token::SUB, 1", '… does not delay a request after ALTER SERVER');
	$new->quit;
}


# Changes of the server

verify($session, 'app', $id);
is(verify($session, 'app', $id), "$Token::SUB, 0", 'a token is verified once');
$node->safe_psql('postgres', "ALTER SERVER app OPTIONS (SET app_client_ids 'other')");
is(verify($session, 'app', $id), '28000, 1', '… until the server changes');
$node->safe_psql('postgres', "ALTER SERVER app OPTIONS (SET app_client_ids 'other, $Token::CLIENT', ADD token_issuer 'https://x')");
is(verify($session, 'app', $id), '28000, 1', 'option token_issuer');
is(verify($session, 'app', $first->id(iss => 'https://x')), "$Token::SUB, 0", '… replaces the issuer');
$node->safe_psql('postgres', 'ALTER SERVER app OPTIONS (DROP token_issuer)');
is(verify($session, 'app', $id), "$Token::SUB, 1", 'and back');
Cognito::query($session, "BEGIN; ALTER SERVER app OPTIONS (SET app_client_ids 'other');");
is(verify($session, 'app', $id), '28000, 1', 'a change of the same transaction');
Cognito::query($session, 'ROLLBACK;');
is(verify($session, 'app', $id), "$Token::SUB, 1", '… and its end');
create_server('china', region => 'cn-north-1', user_pool_id => 'cn-north-1_X', endpoint_url => undef,
	jwks => Token::jwks($first->jwk));
is(verify($session, 'china', $first->id(iss => 'https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_X')),
	"$Token::SUB, 0", 'the issuer of a region in China');
like(Cognito::error_of($node, call('nowhere', $id)), qr/ERROR:  42704: server "nowhere" does not exist/, 'no such server');


# Times

{
	my $now = 2_000_000_000;
	my %in = (
		'exp is now' => [ '28000', exp => $now ],
		'exp is in a second' => [ $Token::SUB, exp => $now + 1 ],
		'exp is in half a second' => [ $Token::SUB, exp => $now + 0.5 ],
		'exp was half a second ago' => [ '28000', exp => $now - 0.5 ],
		'nbf is in 300 seconds' => [ $Token::SUB, nbf => $now + 300 ],
		'nbf is in 301 seconds' => [ '28000', nbf => $now + 301 ],
		'iat is in 300 seconds' => [ $Token::SUB, iat => $now + 300 ],
		'iat is in 300.5 seconds' => [ '28000', iat => $now + 300.5 ],
		'exp is at the end of the year 9999' => [ $Token::SUB, exp => 253_402_300_799 ],
		'exp is in the year 10000' => [ '28000', exp => 253_402_300_800 ]);

	set_clock($now, 57);
	for my $name (sort keys %in)
	{
		my ($result, %claims) = @{ $in{$name} };
		is(verify($session, 'app', $first->id(exp => $now + 10, iat => $now, %claims)), "$result, 0", $name);
	}

	my $token = $first->id(exp => $now + 10, iat => $now);
	Cognito::query($session, 'BEGIN;');
	is(verify($session, 'app', $token), "$Token::SUB, 0", 'a token is valid');
	set_clock($now + 9.999, 57);
	is(verify($session, 'app', $token), "$Token::SUB, 0", '… until its last millisecond');
	set_clock($now + 10, 57);
	is(verify($session, 'app', $token), '28000, 0', '… and expires in the same transaction');
	Cognito::query($session, 'ROLLBACK;');
	set_clock(undef, 57);
}


# Keys that are unavailable

# Expects an error of a call that needs keys.
sub fails
{
	my ($name, $error, $query) = @_;
	return like(Cognito::error_of($node, $query // call('app', $id)), qr/ERROR:  $error/, $name);
}

for my $fault (
	[ 'status 404', 'HV00N: could not fetch the keys for tokens for server "app"\nDETAIL:  jwks.json: answered with status 404', error => 'ResourceNotFoundException', status => 404 ],
	[ 'refused credentials', 'HV00N: could not fetch', error => 'InvalidSignatureException', message => 'Signature expired' ],
	[ 'denied', 'HV00N: could not fetch', error => 'NotAuthorizedException', status => 403 ],
	[ 'throttled', 'HV00N: could not fetch', error => 'TooManyRequestsException', status => 429 ],
	[ 'status 503', 'HV00N: could not fetch', reply => { status => 503 } ],
	[ 'a redirect', 'HV00N: could not fetch', reply => { status => 302, headers => { location => 'http://127.0.0.1:1/' } } ],
	[ 'no content', 'HV00N: could not fetch', reply => { status => 204 } ],
	[ 'a lost connection', 'HV000: connection to Cognito for server "app" was lost', close => 'before' ],
	[ 'half a response', 'HV000: connection to Cognito for server "app" was lost', close => 'midway' ],
	[ 'an empty response', 'HV000: unusable reply', reply => { body => '' } ],
	[ 'no JSON', 'HV000: unusable reply from Cognito for server "app"\nDETAIL:  jwks.json is not a usable set of keys', reply => { body => '<html>' } ],
	[ 'an error as JSON', 'HV000: unusable reply', reply => { body => '{"message":"Not Found"}' } ],
	[ 'a NUL', 'HV000: unusable reply', reply => { body => Token::jwks($first->jwk) . "\0" } ],
	[ 'a weak key', 'HV000: unusable reply', reply => { body => Token::jwks($first->jwk(e => 'AQ')) } ],
	[ 'a key without an id', 'HV000: unusable reply', reply => { body => Token::jwks($first->jwk(kid => undef)) } ],
	[ 'a secret key', 'HV000: unusable reply', reply => { body => Token::jwks({ kty => 'oct', kid => 'first', k => 'AAAA' }) } ],
	[ 'a long response', 'HV000: unusable reply', reply => { body => '{"keys":[' . ' ' x 70_000 . ']}' } ])
{
	my ($name, $error, %fault) = @$fault;
	$cognito->faults({ operation => 'jwks.json', %fault });
	fails($name, $error);
}
$cognito->faults({ operation => 'jwks.json', stall => 'response', times => -1 });
fails('a token that is malformed needs no keys', '28000: invalid token', call('app', 'a.b.c'));
fails('… nor one of another algorithm', '28000: invalid token',
	call('app', $first->sign_texts('{"alg":"none","kid":"first"}', '{}')));
create_server('slow', request_timeout => '200ms');
fails('no response in time', 'HV000: timeout expired while waiting', call('slow', $id));
{
	my $start = time;
	fails('a cancel', '57014: canceling statement', "SET statement_timeout = '100ms';" . call('app', $id));
	cmp_ok(time - $start, '<', 10, '… ends the request');
}
$cognito->faults;
create_server('down', endpoint_url => 'http://127.0.0.1:1');
fails('no connection', 'HV00N: could not connect to Cognito for server "down"', call('down', $id));
fails('offline', 'HV00N: could not fetch the keys for tokens for server "app"\nDETAIL:  Setting cognito_srf.offline is on.',
	'SET cognito_srf.offline = on;' . call('app', $id));
create_server('no_pool', user_pool_id => undef);
fails('no user pool', 'HV00J: missing required option "user_pool_id"', call('no_pool', $id));


# Keys as an option

my $keys = $node->safe_psql('postgres', "SELECT cognito_jwks('app')");
is_deeply(JSON::PP->new->decode($keys), { keys => [ map { $_->jwk } $first, $second ] }, 'cognito_jwks');
$cognito->faults({ operation => 'jwks.json', reply => { body => '{"keys":[]}' } });
fails('cognito_jwks of no keys', 'HV000: unusable reply', "SELECT cognito_jwks('app')");
$node->safe_psql('postgres', qq(SELECT cognito_jwks('app') AS jwks \\gset\nALTER SERVER app OPTIONS (ADD jwks :'jwks')));
is(verify($session, 'app', $second->id), "$Token::SUB, 0", 'keys of the option');
is(verify($session, 'app', $third->id), '28000, 0', '… which are all');
is(verify($session, 'down', $id), 'HV00N, 0', 'not those of another server');
$node->safe_psql('postgres', 'ALTER SERVER app OPTIONS (SET jwks ' . Cognito::quote(Token::jwks($third->jwk)) . ')');
is(verify($session, 'app', $second->id), '28000, 0', 'another value of the option');
is(verify($session, 'app', $third->id), "$Token::SUB, 0", '… is used at once');
$node->safe_psql('postgres', "ALTER SERVER app OPTIONS (SET jwks $_)") for Cognito::quote(Token::jwks($first->jwk));


# Privileges

$node->safe_psql('postgres', 'CREATE ROLE app LOGIN; CREATE ROLE other LOGIN; GRANT USAGE ON FOREIGN SERVER app TO app');
is($node->safe_psql('postgres', "SET ROLE app;" . call('app', $id) . "->>'sub'"), $Token::SUB, 'USAGE is enough to verify');
fails('… but not to list users', 'HV00J: no credentials for role "app"', "SET ROLE app; SELECT * FROM cognito_users('app')");
fails('no USAGE', '42501: permission denied for server "app"', 'SET ROLE other;' . call('app', $id));
fails('no USAGE, for cognito_jwks', '42501: permission denied', "SET ROLE other; SELECT cognito_jwks('app')");
is(verify($session, 'app', $id), "$Token::SUB, 0", 'a remembered token');
Cognito::query($session, 'SET ROLE other;');
is(verify($session, 'app', $id), '42501, 0', '… needs USAGE, too');
Cognito::query($session, 'RESET ROLE;');
$node->safe_psql('postgres', 'GRANT other TO app; CREATE SERVER plain FOREIGN DATA WRAPPER cognito_wrapper OPTIONS '
	  . "(region 'eu-west-1', user_pool_id '$POOL', app_client_ids '*', endpoint_url '$cognito->{url}'); ALTER SERVER plain OWNER TO other");
fails('an endpoint without TLS of a server of no superuser', '42501: permission denied for the plain HTTP endpoint', call('plain', $id));


# The setting

# Returns what statements return in a session.
sub in_session { return Cognito::query($session, shift) . $session->{stderr} }

my $CLAIMS = "SELECT cognito_claims('app')->>'sub' IS NULL";
is(in_session("$CLAIMS;"), 't', 'no token');
is(in_session("SET cognito_srf.token = ''; $CLAIMS;"), 't', 'an empty token');
is(in_session("BEGIN; SET LOCAL cognito_srf.token = '$id'; $CLAIMS; COMMIT; $CLAIMS;"), "f\nt", 'SET LOCAL');
is(in_session("SELECT set_config('cognito_srf.token', '$id', false); $CLAIMS;"), "********\nf", 'set_config does not return it');
is(in_session('SHOW cognito_srf.token;'), '********', '… and neither does SHOW');
is(in_session("SELECT current_setting('cognito_srf.token');"), '********', '… nor current_setting');
is(in_session("SELECT count(*) FROM pg_settings WHERE name = 'cognito_srf.token' OR setting LIKE 'eyJ%';"), '0',
	'… nor pg_settings');
is(in_session('SET cognito_srf.default_server = app; SELECT cognito_claims() = cognito_claims($$app$$);'), 't', 'the default server');
like(in_session("SELECT cognito_claims('down');"), qr/HV00N/, 'the token is for each server');
like(in_session('SELECT cognito_claims(NULL);'), qr/22004/, 'no server');
like(in_session("SET cognito_srf.token = 'x'; SELECT cognito_claims('app');"), qr/28000: invalid token/, 'an invalid token');
is(in_session("DISCARD ALL; LOAD 'cognito_srf'; SELECT cognito_claims('app') IS NULL;"), 't', 'DISCARD ALL');
like(Cognito::error_of($node, "LOAD 'cognito_srf'; ALTER SYSTEM SET cognito_srf.token = 'x'"), qr/ERROR:  55P02: parameter/,
	'not for postgresql.conf');
is($node->safe_psql('postgres', "SET cognito_srf.token = '$id'; SELECT cognito_claims('app')->>'sub'; SHOW cognito_srf.token"),
	"$Token::SUB\n********", 'set before the library is loaded');


# Policies, views and defaults

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE orders (id int PRIMARY KEY, customer uuid DEFAULT (cognito_claims('app')->>'sub')::uuid);
INSERT INTO orders SELECT n, CASE WHEN n % 1000 = 0 THEN '11111111-2222-4333-8444-555555555555'::uuid ELSE gen_random_uuid() END
FROM generate_series(1, 20000) n;
ANALYZE orders;
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON orders USING (customer = (SELECT (cognito_claims('app')->>'sub')::uuid));
CREATE POLICY everything ON orders FOR SELECT USING ((SELECT cognito_claims('app')->'cognito:groups' ? 'auditors'));
CREATE VIEW order_numbers AS SELECT id, cognito_claims('app')->>'email' AS email FROM orders;
GRANT ALL ON orders, order_numbers TO app;
SQL

# Returns the result of a query as role app with a token.
sub with_token
{
	my ($token, $query) = @_;
	return $node->safe_psql('postgres', "SET ROLE app; SET cognito_srf.token = '$token'; $query");
}

is(with_token($id, 'SELECT count(*) FROM orders'), 20, 'rows of the user');
is(with_token($first->id(sub => '99999999-2222-4333-8444-555555555555'), 'SELECT count(*) FROM orders'), 0, 'rows of another user');
is(with_token($first->id('cognito:groups' => ['auditors']), 'SELECT count(*) FROM orders'), 20_000, 'rows for a group');
is(with_token('', 'SELECT count(*) FROM orders'), 0, 'no rows without a token');
fails('an invalid token', '28000: invalid token', "SET ROLE app; SET cognito_srf.token = 'x'; SELECT count(*) FROM orders");
is(with_token($id, 'INSERT INTO orders (id) VALUES (0) RETURNING customer'), $Token::SUB, 'a default');
fails('rows of another user cannot be made', '42501: new row violates row-level security policy',
	"SET ROLE app; SET cognito_srf.token = '$id'; INSERT INTO orders VALUES (-1, gen_random_uuid())");
is(with_token($id, 'SELECT email FROM order_numbers LIMIT 1'), 'ana.sato@example.com', 'a view');

my $PARALLEL = 'SET max_parallel_workers_per_gather = 2; SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; '
  . 'SET min_parallel_table_scan_size = 0;';
my $COUNT = q(SELECT count(*) FROM orders WHERE customer = (cognito_claims('app')->>'sub')::uuid);
unlike(with_token($id, "RESET ROLE; $PARALLEL EXPLAIN $COUNT"), qr/Parallel/, 'not in parallel workers');
$node->safe_psql('postgres', 'ALTER FUNCTION cognito_claims(text) PARALLEL SAFE');
like(with_token($id, "RESET ROLE; $PARALLEL EXPLAIN $COUNT"), qr/Parallel Seq Scan/, '… unless they are allowed to');
$cognito->clear_requests;
is(with_token($id, "RESET ROLE; $PARALLEL SET parallel_leader_participation = off; $COUNT"), 21, '… which gives the same');
is($cognito->requests, 0, '… without a request, if the server has keys');


# The manual: a chapter to type along

{
	my $manual = slurp_file("$FindBin::Bin/../../docs/row-level-security.md");
	my ($server, $table, $own, $support, @queries) = $manual =~ /^```\n((?:CREATE|BEGIN|SELECT).*?)^```/msg;
	@queries = @queries[ 0 .. 2 ];

	# Runs statements as the role of the application, with a token for psql's variable.
	my $type = sub {
		my ($token, @statements) = @_;
		return $node->safe_psql('manual', join "\n", "SET SESSION AUTHORIZATION app_of_manual; \\set token '$token'", @statements);
	};
	$node->safe_psql('postgres', 'CREATE DATABASE manual');
	$node->safe_psql('manual', 'CREATE EXTENSION cognito_srf');
	$node->safe_psql('manual', s/\bapp\b/app_of_manual/gr) for $server, $table, $own, $support;
	$node->safe_psql('manual', 'ALTER SERVER app_users OPTIONS (ADD jwks ' . Cognito::quote(Token::jwks($first->jwk)) . ')');
	is($type->($id, @queries), "$Token::SUB|a book\n0\nana.sato\@example.com", 'manual: the statements for psql');
	is($type->($first->id(sub => '99999999-2222-4333-8444-555555555555'), @queries),
		"99999999-2222-4333-8444-555555555555|a book\n0\nana.sato\@example.com", 'manual: another user sees other rows');
	like($type->($first->id('cognito:groups' => ['support']), @queries), qr/\A(?:.*a book\n){3}/, 'manual: support sees all');

	my ($python) = $manual =~ /^```python\n(.*?)^```/ms;
	my $connection = $node->connstr('manual') . ' user=app_of_manual';
	$python =~ s/"dbname=shop user=app"/"$connection"/ or die 'no connection in the manual';
	local $ENV{TOKEN} = $id;
	$python = "import os; token = os.environ['TOKEN']\n$python\nprint(len(rows))\n"
	  . "print(len(connection.execute('SELECT * FROM orders').fetchall()))\n"
	  . "with as_user(connection, token):\n    print(len(connection.execute('SELECT * FROM orders').fetchall()))\n"
	  . "print(len(connection.execute('SELECT * FROM orders').fetchall()))\n";
	is((run_command([ '/usr/bin/python3', '-c', $python ]))[0], "2\n0\n2\n0", 'manual: the token of psycopg ends with its block');
}


# The log. At level debug3, PostgreSQL 18 says where it looks for the library when a session first calls
# the function, with the statement as the context; later, nothing at any level has it.

my $planted = $first->id(jti => 'planted');
$node->safe_psql('postgres', 'CREATE PROCEDURE verify(token text) LANGUAGE plpgsql AS '
	  . q($$BEGIN EXECUTE 'SELECT cognito_verify_token(''app'', ' || quote_literal(token) || ')'; END$$));
$node->safe_psql('postgres', 'CREATE FUNCTION verify_in_sql(token text) RETURNS jsonb LANGUAGE sql AS '
	  . q($$SELECT cognito_verify_token('app', token)$$));
my @preludes = ("SET log_min_messages = 'debug2'", call('app', $id));
my $broken = substr($planted, 0, -8) . 'AAAAAAAA';
my $before = -s $node->logfile;
for my $token ($broken, $planted =~ s/\./ ./r, substr $planted, 0, 100)
{
	my $call = call('app', $token);
	for my $query (
		$call, "CALL verify('$token')", "SELECT verify_in_sql('$token')",
		"DO \$\$BEGIN PERFORM cognito_verify_token('app', '$token'); END\$\$",
		"PREPARE verify AS $call; EXECUTE verify", "BEGIN; DECLARE verified CURSOR FOR $call; FETCH verified",
		"SET cognito_srf.token = '$token'; SELECT cognito_claims('app')")
	{
		fails('an error', '28000: invalid token', "$_; $query") for @preludes;
	}
	like(Cognito::query_error($session, "SET cognito_srf.token = '$token'\\; SELECT cognito_claims('app');"), qr/28000: invalid token/,
		'several statements in a query string');
	fails('an error', '22023', call('app', $token, 'x'));
	fails('an error', '22004', "SELECT cognito_verify_token(NULL, '$token')");
	fails('an error', '42704', call('nowhere', $token));
}
fails('an error', 'HV00N', call('down', $planted));
$node->safe_psql('postgres', call('app', $planted));
my $log = substr slurp_file($node->logfile), $before;
my $part = substr $planted, 30, 20;
like($log, qr/28000: invalid token for server "app"/, 'the log has the errors');
is(join("\n", grep { /eyJ|\Q$part\E/ } split /\n/, $log), '', '… and no part of a token');
is($cognito->violations, 0, 'all requests were well-formed');

$session->quit;
$node->stop;
done_testing();
