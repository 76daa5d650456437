# Tokens and sets of keys that must not be accepted: each rule violated on its own, with the error
# that belongs to it, and published attacks on libraries for JSON Web Tokens.
use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use MIME::Base64 qw(decode_base64url encode_base64url);
use PostgreSQL::Test::Utils;
use Test::More;
use Token;

my $node = Cognito::cluster('main', 'log_min_messages = debug5', 'log_statement = none', 'log_error_verbosity = verbose');
my $key = Token->new_key('first');
my $other = Token->new_key('second');
my $unknown = Token->new_key('third');
my $session = Cognito::session($node);
my $json = JSON::PP->new->utf8->canonical;

# Makes the server of the tests, or changes its keys.
sub set_keys
{
	my ($jwks) = @_;
	return Cognito::query_error($session,
		'ALTER SERVER app OPTIONS (SET jwks ' . Cognito::quote($jwks) . ');');
}

# Returns the error of a token, with its detail on the same line, or the claims.
sub verify
{
	my ($token, $use) = @_;
	my $query = 'SELECT cognito_verify_token(' . join(', ', "'app'", Cognito::quote($token),
		defined $use ? "'$use'" : ()) . ');';
	my $claims = Cognito::query($session, $query);

	return $session->{stderr} =~ /^.*ERROR:  (\w+): (.*)\nDETAIL:  (.*)/ ? "$1: $2: $3" : $session->{stderr} || $claims;
}

# Expects that a token is refused for a reason, and that the error tells nothing of the token.
sub refused
{
	my ($name, $token, $reason, @use) = @_;
	my $error = verify($token, @use);

	return is($error, qq(28000: invalid token for server "app": $reason), $name);
}

# Expects that a token is accepted.
sub accepted
{
	my ($name, $token, @use) = @_;
	return like(verify($token, @use), qr/^\{.*"sub"/, $name);
}

Cognito::query($session, "CREATE SERVER app FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1',
	user_pool_id 'eu-west-1_AbCdEf123', app_client_ids 'x $Token::CLIENT,y', jwks "
	  . Cognito::quote(Token::jwks($key->jwk, $other->jwk)) . ');');

my $NOT_PARTS = 'The token does not consist of three parts.';
my $BAD_HEADER = 'The header is not a JSON object in base64url.';
my $BAD_PAYLOAD = 'The payload is not a JSON object in base64url.';
my $BAD_ALG = 'The algorithm ("alg") of the header is not "RS256".';
my $BAD_MEMBER = 'The header has a member that is not allowed: "crit", "jwk", "jku", "x5c" or "x5u".';
my $BAD_KID = 'The header has no key id ("kid"), or one that is too long.';
my $UNKNOWN = q(The key ("kid") is not one of the user pool's.);
my $BAD_SIGNATURE = 'The signature is not in base64url.';
my $WRONG_SIGNATURE = 'The signature is not valid.';
my $BAD_EXP = 'Claim "exp" is missing, or not a time in seconds.';
my $BAD_ISS = 'The issuer (claim "iss") is not the user pool.';
my $BAD_USE = 'Claim "token_use" is neither "id" nor "access".';
my $BAD_AUD = 'The app client (claim "aud") is not one of option "app_client_ids".';
my $BAD_CLIENT = 'The app client (claim "client_id") is not one of option "app_client_ids".';
my $BAD_SUB = 'Claim "sub" is missing, or not a string.';

my $id = $key->id;
my $access = $other->access;
my $jwk = $key->jwk;
my ($header, $payload, $signature) = split /\./, $id;


# Valid tokens, so that what follows can fail

accepted('an ID token', $id);
accepted('an access token, with the other key', $access);
accepted('an ID token is what the call requires', $id, 'id');
accepted('an access token is what the call requires', $access, 'access');
accepted('the first token again', $id);


# Parts and base64url

refused('no part', '', $NOT_PARTS);
refused('one part', $header, $NOT_PARTS);
refused('two parts', "$header.$payload", $NOT_PARTS);
refused('four parts', "$id.$signature", $NOT_PARTS);
refused('five parts, as of an encrypted token', "$id.$signature.$signature", $NOT_PARTS);
refused('dots alone', '..', $BAD_SIGNATURE);
refused('no header', ".$payload.$signature", $BAD_HEADER);
refused('no payload', "$header..$signature", $WRONG_SIGNATURE);
refused('a signed empty payload', $key->sign(''), $BAD_PAYLOAD);
refused('no signature', "$header.$payload.", $BAD_SIGNATURE);
refused('more than 16 kB', $key->id(filler => 'x' x 16_384), 'The token is longer than 16 kB.');
accepted('almost 16 kB', $key->id(filler => 'x' x 11_000));
refused("white space $_->[0]", $_->[1], $_->[2])
  for [ 'before', " $id", $BAD_HEADER ],
  [ 'after', "$id ", $BAD_SIGNATURE ],
  [ 'as a line feed after', "$id\n", $BAD_SIGNATURE ],
  [ 'in the header', $header =~ s/(...)/$1 /r . ".$payload.$signature", $BAD_HEADER ],
  [ 'in the signature', "$header.$payload." . $signature =~ s/(...)/$1\n/r, $BAD_SIGNATURE ];
refused('white space in the payload', $key->sign($json->encode(Token::claims('id'))) =~ s/\.(...)/.$1 /r,
	$WRONG_SIGNATURE);
refused('padding of the signature', "$id==", $BAD_SIGNATURE);
refused('padding of the header', "$header=.$payload.$signature", $BAD_HEADER);
refused('the standard alphabet', "$header.$payload." . $signature =~ tr{-_}{+/}r, $BAD_SIGNATURE)
  if $signature =~ /[-_]/;
refused('a character that is not ASCII', "$header.$payload.\x{c3}\x{a9}$signature", $BAD_SIGNATURE);
{
	# 256 bytes end with a group of two characters, of whose bits four are not used.
	my $last = substr $signature, -1;
	my $alphabet = join '', 'A' .. 'Z', 'a' .. 'z', 0 .. 9, '-', '_';
	my $same = substr $alphabet, index($alphabet, $last) + 1, 1;

	is(decode_base64url($signature), decode_base64url(substr($signature, 0, -1) . $same),
		'a second spelling of the same signature');
	refused('… with unused bits', "$header.$payload." . substr($signature, 0, -1) . $same, $BAD_SIGNATURE);
}
{
	# A payload signed with its padding, which then is a part of what is signed.
	my $padded = "$header." . encode_base64url('{"a":1}') . '==';
	refused('a payload that was signed with padding',
		"$padded." . encode_base64url(Token::openssl($padded, 'dgst', '-sha256', '-sign', $key->{file})), $BAD_PAYLOAD);
}


# The header

sub with_header { return $key->sign_texts($_[0], $json->encode(Token::claims('id'))) }

refused("header: $_", with_header($_), $BAD_HEADER)
  for '', 'null', '[]', '"RS256"', '1', '{', '{}x', '{"alg":"RS256","kid":"first",}', "{'alg':'RS256'}",
  '{"alg":"RS256","kid":"first"}{"alg":"none"}', "\x{ef}\x{bb}\x{bf}" . '{"alg":"RS256","kid":"first"}',
  '{"alg":"RS256","kid":"first","x":NaN}', '{"alg":"RS256","kid":"first","x":01}',
  "{\"alg\":\"RS256\",\"kid\":\"fi\x01rst\"}", '{"alg":"RS256","kid":"first\u0000"}',
  "{\"alg\":\"RS256\",\"kid\":\"first\"}\0", "{\"alg\":\"RS256\",\"kid\":\"\x{ff}\"}",
  '{"alg":"RS256","kid":"first","x":"\ud800"}', '{"alg":"RS256","kid":"first","x":1e999999999}',
  '{"alg":"RS256","kid":"first","x":' . '[' x 40 . ']' x 40 . '}',
  '{"alg":"RS256","kid":"first","x":' . '[' x 5000 . ']' x 5000 . '}';
refused('a member twice', with_header('{"alg":"none","alg":"RS256","kid":"first"}'), $BAD_HEADER);
refused("a member twice, once escaped: $_", with_header($_), $BAD_HEADER)
  for '{"alg":"RS256","kid":"first","\u006bid":"first"}', '{"\u0061lg":"none","alg":"RS256","kid":"first"}';
refused('the algorithm in another case', with_header('{"ALG":"RS256","kid":"first"}'), $BAD_ALG);
refused('a member of a member twice', with_header('{"alg":"RS256","kid":"first","x":[{"a":1,"a":1}]}'), $BAD_HEADER);
accepted('JSON in another form', with_header(qq( { "kid" :"f\\u0069rst"\t,\n"alg":"RS256","typ":"JWT","x":"\\":{" } )));

refused("algorithm $_", with_header(qq({"alg":$_,"kid":"first"})), $BAD_ALG)
  for map { qq("$_") } 'none', 'None', 'NONE', 'nOnE', 'HS256', 'HS512', 'RS384', 'RS512', 'PS256', 'ES256', 'EdDSA',
  'rs256', 'RS256 ', ' RS256', 'RS256none', '';
refused("algorithm $_", with_header(qq({"alg":$_,"kid":"first"})), $BAD_ALG)
  for 'null', '256', 'true', '["RS256"]', '{"RS256":1}';
refused('no algorithm', with_header('{"kid":"first"}'), $BAD_ALG);
refused('algorithm none, without a signature', join('.', encode_base64url('{"alg":"none","kid":"first"}'), $payload, ''),
	$BAD_SIGNATURE);
refused('algorithm none, with the signature of another token',
	join('.', encode_base64url('{"alg":"none","kid":"first"}'), $payload, $signature), $BAD_ALG);
for my $secret ([ 'the PEM text', $key->pem ], [ 'the modulus', $key->jwk->{n} ], [ 'nothing', '' ])
{
	my $signed = encode_base64url('{"alg":"HS256","kid":"first"}') . ".$payload";
	refused("HS256 with $secret->[0] as the secret",
		"$signed." . encode_base64url(hmac_sha256($signed, $secret->[1])), $BAD_ALG);
	$signed = "$header.$payload";
	refused("… and RS256 in the header", "$signed." . encode_base64url(hmac_sha256($signed, $secret->[1])),
		$WRONG_SIGNATURE);
}

refused("header with $_", $unknown->sign_texts($unknown->header(kid => 'first', $_ => $unknown->jwk),
		$json->encode(Token::claims('id'))), $BAD_MEMBER)
  for 'jwk', 'jku', 'x5c', 'x5u', 'crit';
refused('critical members that are none', $key->sign_texts($key->header(crit => []), '{}'), $BAD_MEMBER);
refused('key id missing', with_header('{"alg":"RS256"}'), $BAD_KID);
refused("key id $_", with_header(qq({"alg":"RS256","kid":$_})), $BAD_KID) for 'null', '1', '["first"]', '"' . 'x' x 257 . '"';
refused("key id $_", with_header(qq({"alg":"RS256","kid":"$_"})), $UNKNOWN)
  for '', 'first ', 'FIRST', '../first', "' OR 1=1 --", '/dev/null', 'x' x 256;


# The signature

refused('an unknown key', $unknown->id, $UNKNOWN);
refused('signed by another key of the pool', $other->sign_texts($key->header, $json->encode(Token::claims('id'))),
	$WRONG_SIGNATURE);
refused('the payload of another token', join('.', $header, (split /\./, $key->id(sub => 'x'))[1], $signature),
	$WRONG_SIGNATURE);
refused('the header of another token',
	join('.', encode_base64url($key->header(typ => 'JWT')), $payload, $signature), $WRONG_SIGNATURE);
my $bytes = decode_base64url($signature);
refused("a signature $_->[0]", "$header.$payload." . encode_base64url($_->[1]), $WRONG_SIGNATURE)
  for [ 'that is shorter', substr $bytes, 0, -1 ], [ 'that is longer', "$bytes\0" ], [ 'after a zero', "\0$bytes" ],
  [ 'of zeros', "\0" x 256 ], [ 'of ones', "\xff" x 256 ], [ 'of one byte', "\1" ];
{
	my $signed = "$header.$payload";
	my $pss = Token::openssl($signed, 'dgst', '-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sign', $key->{file});
	my $sha512 = Token::openssl($signed, 'dgst', '-sha512', '-sign', $key->{file});
	refused('padding of PS256', "$signed." . encode_base64url($pss), $WRONG_SIGNATURE);
	refused('digest of RS512', "$signed." . encode_base64url($sha512), $WRONG_SIGNATURE);
}
accepted('after all of these, the valid token', $id);


# Claims

sub with_payload { return $key->sign($_[0]) }

refused("payload: $_", with_payload($_), $BAD_PAYLOAD)
  for 'null', '[]', '"x"', '{"a":1', '{"a":1}}', '{"a":"\u0000"}', '{"a":1e999999999}';
my $text = $json->encode(Token::claims('id'));
refused("$_ twice", with_payload($text =~ s/\{/{"$_":"x",/r), $BAD_PAYLOAD)
  for 'sub', 'iss', 'exp', 'aud', 'token_use', 'cognito:groups', 's\u0075b';
refused('a member of a claim twice', with_payload($text =~ s/\{/{"address":{"a":1,"a":2},/r), $BAD_PAYLOAD);
refused('bytes that are not UTF-8', $key->sign_texts($key->header, $text =~ s/ana/\xff/r), $BAD_PAYLOAD);

my %wrong_times = (
	'a string' => '4102444800' . '', 'a word' => 'tomorrow', null => \'null', true => JSON::PP::true,
	'a list' => [ 1 ], negative => -1, 'in milliseconds' => 4_102_444_800_000, huge => \'1e308', 'too large for jsonb' => \'1e400');
for my $name (sort keys %wrong_times)
{
	my $value = $wrong_times{$name};
	my $with = sub {
		my ($claim) = @_;
		my $changed = $json->encode(Token::claims('id', $claim => 'REPLACED'));
		my $literal = ref $value eq 'SCALAR' ? $$value : JSON::PP->new->allow_nonref->encode($value);
		$changed =~ s/"REPLACED"/$literal/;
		return with_payload($changed);
	};
	refused("exp is $name", $with->('exp'), $BAD_EXP);
	refused("$_ is $name", $with->($_), qq(Claim "$_" is in the future, or not a time in seconds.)) for 'nbf', 'iat';
}
refused('exp is missing', $key->id(exp => undef), $BAD_EXP);
refused('exp is a number as a string', with_payload($text =~ s/"exp":(\d+)/"exp":"$1"/r), $BAD_EXP);
refused('expired', $key->id(exp => time - 1), 'The token has expired (claim "exp").');
refused('expired long ago', $key->id(exp => 0), 'The token has expired (claim "exp").');
refused("$_ is in the future", $key->id($_ => time + 400), qq(Claim "$_" is in the future, or not a time in seconds.))
  for 'nbf', 'iat';
accepted('nbf and iat are in the near future', $key->id(nbf => time + 200, iat => time + 200));
accepted('iat is missing', $key->id(iat => undef));
accepted('times with a fraction', $key->id(exp => time + 60.5, iat => time - 0.25));

refused("issuer $_", $key->id(iss => $_), $BAD_ISS)
  for "$Token::ISSUER/", uc $Token::ISSUER, 'eu-west-1_AbCdEf123', '', substr($Token::ISSUER, 0, -1),
  $Token::ISSUER =~ s/AbCdEf123/Other1234/r, [$Token::ISSUER], 1;
refused('issuer is missing', $key->id(iss => undef), $BAD_ISS);
refused("token_use @{[ ref $_ ? 'list' : $_ ]}", $key->id(token_use => $_), $BAD_USE) for 'refresh', 'ID', '', 1, ['id'];
refused('token_use is missing', $key->id(token_use => undef), $BAD_USE);
refused('an access token where an ID token is required', $access, 'Claim "token_use" is not the required one.', 'id');
refused('an ID token where an access token is required', $id, 'Claim "token_use" is not the required one.', 'access');

refused("aud @{[ ref $_ ? 'list' : $_ ]}", $key->id(aud => $_), $BAD_AUD)
  for 'other', '', '*', substr($Token::CLIENT, 1), "x $Token::CLIENT", "$Token::CLIENT,y", uc "${Token::CLIENT}a", 1,
  [$Token::CLIENT];
refused('aud is missing', $key->id(aud => undef), $BAD_AUD);
refused('an ID token with client_id instead', $key->id(aud => undef, client_id => $Token::CLIENT), $BAD_AUD);
refused("client_id $_", $key->access(client_id => $_), $BAD_CLIENT) for 'other', '', 1;
refused('client_id is missing', $key->access(client_id => undef), $BAD_CLIENT);
refused('an access token with aud instead', $key->access(client_id => undef, aud => $Token::CLIENT), $BAD_CLIENT);
accepted('the first app client of the list', $key->id(aud => 'x'));
accepted('the last app client of the list', $key->access(client_id => 'y'));
refused('sub is missing', $key->id(sub => undef), $BAD_SUB);
refused("sub is $_->[0]", $key->id(sub => $_->[1]), $BAD_SUB) for [ empty => '' ], [ 'a number' => 1 ], [ 'a list' => ['x'] ];


# What a session remembers belongs to a server, not to its name

is(set_keys(Token::jwks($jwk)), '', 'the keys of the first server');
Cognito::query($session, "CREATE SERVER second FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region 'eu-west-1',
	user_pool_id 'eu-west-1_Other1234', app_client_ids '*', jwks " . Cognito::quote(Token::jwks($jwk)) . ');');
accepted('a token of the first server', $id);
Cognito::query($session, 'ALTER SERVER app RENAME TO third; ALTER SERVER second RENAME TO app;');
refused('… is not one of the second, under the name of the first', $id, $BAD_ISS);
Cognito::query($session, 'ALTER SERVER app RENAME TO second; ALTER SERVER third RENAME TO app;');
accepted('… and back', $id);
Cognito::query($session, 'BEGIN; SAVEPOINT s; ALTER SERVER app OPTIONS (SET jwks ' . Cognito::quote(Token::jwks($other->jwk)) . ');');
refused('other keys in a subtransaction', $id, $UNKNOWN);
Cognito::query($session, 'ROLLBACK TO s;');
accepted('… which is rolled back', $id);
Cognito::query($session, 'COMMIT;');
Cognito::query($session, 'DROP SERVER app; ALTER SERVER second RENAME TO app;');
refused('a new server of the name of one that was dropped', $id, $BAD_ISS);
Cognito::query($session, qq(ALTER SERVER app OPTIONS (SET user_pool_id 'eu-west-1_AbCdEf123', SET app_client_ids '$Token::CLIENT');));
accepted('… with the same options', $id);


# App clients

like(Cognito::query_error($session, q(ALTER SERVER app OPTIONS (DROP app_client_ids)) . ';'), qr/^$/, 'no app clients');
like(verify($id), qr/^HV00J: missing required option "app_client_ids"/, '… and no token is accepted');
Cognito::query($session, q(ALTER SERVER app OPTIONS (ADD app_client_ids '*');));
accepted('any app client', $key->id(aud => 'other'));
refused('any app client, but not none', $key->id(aud => undef), $BAD_AUD);
refused('any app client, but not an empty one', $key->id(aud => ''), $BAD_AUD);


# Sets of keys

my $BAD_KEY = qr/Each RSA key must have an id/;
my $NO_KEY = qr/It must have an RSA key with "use" "sig" and "alg" "RS256"/;
my $NO_SET = qr/It must be a JSON object with a list "keys"/;

# Expects that a set of keys is refused as an option.
sub keys_refused
{
	my ($name, $jwks, $reason) = @_;
	my $error = set_keys($jwks);

	like($error, qr/HV00A: invalid value for option "jwks"\nDETAIL:  $reason/, "keys: $name");
	return unlike($error, qr/eyJ|$jwk->{n}/, '… and they are not quoted');
}

keys_refused($_, $_, $NO_SET)
  for 'x', 'null', '[]', '{}', '{"keys":{}}', '{"keys":null}', '{"keys":[],"keys":[]}', $json->encode($jwk);
keys_refused('none', '{"keys":[]}', $NO_KEY);
keys_refused('a member twice', Token::jwks($jwk) =~ s/"kid"/"kid":"x","kid"/r, $NO_SET);
keys_refused('not an object', '{"keys":[1]}', $BAD_KEY);
keys_refused('an id twice', Token::jwks($jwk, $other->jwk(kid => 'first')), $BAD_KEY);
keys_refused("$_->[0] $_->[1]", Token::jwks($key->jwk($_->[0] => $_->[1])), $_->[2])
  for [ kty => 'EC', $NO_KEY ], [ kty => 'oct', $NO_KEY ], [ use => 'enc', $NO_KEY ], [ alg => 'RS512', $NO_KEY ],
  [ alg => 'HS256', $NO_KEY ], [ kid => '', $BAD_KEY ], [ kid => 1, $BAD_KEY ], [ kid => 'x' x 257, $BAD_KEY ],
  [ e => 'AQAC', $BAD_KEY ], [ e => 'AQ', $BAD_KEY ], [ e => 'AA', $BAD_KEY ], [ e => '', $BAD_KEY ],
  [ e => 'AAEAAQ', $BAD_KEY ], [ e => 'AQAB=', $BAD_KEY ], [ e => 65537, $BAD_KEY ], [ e => 'AQAAAAE', $BAD_KEY ],
  [ n => '', $BAD_KEY ], [ n => 'AQAB', $BAD_KEY ], [ n => 1, $BAD_KEY ];
keys_refused("$_ is missing", Token::jwks($key->jwk($_ => undef)), $_ =~ /kty|use|alg/ ? $NO_KEY : $BAD_KEY)
  for 'kty', 'use', 'alg', 'kid', 'n', 'e';
keys_refused('a secret key', Token::jwks($key->jwk(d => 'AAAA')), $BAD_KEY);
keys_refused('n is padded', Token::jwks($key->jwk(n => "$jwk->{n}==")), $BAD_KEY);
keys_refused('n begins with a zero', Token::jwks($key->jwk(n => encode_base64url("\0" . decode_base64url($jwk->{n})))),
	$BAD_KEY);
keys_refused('n is even', Token::jwks($key->jwk(n => encode_base64url(substr(decode_base64url($jwk->{n}), 0, -1) . "\2"))),
	$BAD_KEY);
keys_refused('n of 1024 bits', Token::jwks($key->jwk(n => encode_base64url("\xff" x 128))), $BAD_KEY);
keys_refused('n of 2047 bits', Token::jwks($key->jwk(n => encode_base64url("\x7f" . "\xff" x 255))), $BAD_KEY);
keys_refused('n of 4104 bits', Token::jwks($key->jwk(n => encode_base64url("\xff" x 513))), $BAD_KEY);
keys_refused('more than 64 kB', Token::jwks($key->jwk(x => 'x' x 66_000)), qr/It must not be longer than 64 kB/);

is(set_keys(Token::jwks({ kty => 'EC', kid => 'ec', crv => 'P-256', x => 'x', y => 'y' },
			$key->jwk(kid => 'encrypts', use => 'enc'), $jwk)), '', 'keys for other purposes');
accepted('… do not matter', $key->id);
refused('… and do not verify', $key->sign_texts($key->header(kid => 'encrypts'), $text), $UNKNOWN);
{
	my $large = Token->new_key('large', 'rsa_keygen_bits:4096', 'rsa_keygen_pubexp:3');
	is(set_keys(Token::jwks($large->jwk)), '', 'a key of 4096 bits, with exponent 3');
	accepted('… is used', $large->id);
	refused('… and the former key no more', $id, $UNKNOWN);
}
is(set_keys(Token::jwks((map { { kty => 'EC', kid => $_ } } 1 .. 1000), map { $key->jwk(kid => "k$_") } 1 .. 80)), '',
	'as many keys as the option can hold');
accepted('… of which the last is used', $key->sign_texts($key->header(kid => 'k80'), $text));


# What the log has of tokens

$session->quit;
my $log = slurp_file($node->logfile);
like($log, qr/invalid token for server "app"/, 'the log has the errors');
is(join("\n", grep { /eyJ/ } split /\n/, $log), '', '… and no part of a token');

$node->stop;
done_testing();
