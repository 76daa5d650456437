# JSON of tokens and sets of keys: accepted where jsonb accepts it, and then the same value; only
# members that are there twice, and deep nesting, are refused besides.
use strict;
use warnings;
use utf8;

use Encode qw(encode_utf8);
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use Test::More;
use Token;

my $RANDOM_VALUES = 500;
my $MUTATIONS = 3000;
my $MAX_LISTED = 9000; # how much of a token is for the values, in bytes

my $node = Cognito::cluster('main');
my $key = Token->new_key('first');
my $claims = JSON::PP->new->utf8->canonical->encode(Token::claims('id'));
my $set = Token::jwks($key->jwk);
my $seed = srand;
diag("seed $seed");

# Prepares a database of an encoding: a server, and functions that return what is accepted.
sub prepare
{
	my ($encoding) = @_;
	my $database = lc $encoding;

	$node->safe_psql('postgres', "CREATE DATABASE $database ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql($database, 'CREATE EXTENSION cognito_srf;
		CREATE SERVER app FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (region $$eu-west-1$$,
			user_pool_id $$eu-west-1_AbCdEf123$$, app_client_ids $$*$$, jwks ' . Cognito::quote($set) . ');
		CREATE FUNCTION is_accepted(text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM cognito_fdw_validator(ARRAY[\'jwks=\' || $1], \'pg_foreign_server\'::regclass);
			RETURN true;
		EXCEPTION WHEN fdw_invalid_string_format THEN
			RETURN false;
		END $$;
		CREATE FUNCTION is_jsonb(text) RETURNS boolean LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM $1::jsonb;
			RETURN true;
		EXCEPTION WHEN data_exception THEN
			RETURN false;
		END $$;');
	return $database;
}

# Returns SQL for a table of texts, as column text.
sub texts
{
	return 'unnest(ARRAY[' . join(', ', map { Cognito::quote(encode_utf8($_)) } @_) . ']) AS text';
}

# Returns an object with a value as its last member.
sub with_value
{
	my ($object, $value) = @_;
	return substr($object, 0, -1) . qq(,"v":$value});
}

# Expects that texts are accepted as values if they are jsonb; returns these.
sub same_acceptance
{
	my ($name, $database, @values) = @_;
	my $texts = texts(map { with_value($set, $_) } @values);
	my $query = "SELECT row_number() OVER () - 1 FROM $texts WHERE";

	is($node->safe_psql($database, "SET client_encoding = 'UTF8';
			SELECT text FROM $texts WHERE is_accepted(text) <> is_jsonb(text)"), '', $name);
	return map { $values[ $_ ] } split /\n/, $node->safe_psql($database, "SET client_encoding = 'UTF8';
		SELECT n - 1 FROM (SELECT row_number() OVER () AS n, is_jsonb(text) AS is_jsonb FROM $texts) t WHERE is_jsonb");
}

# Expects that the claims with some values are what jsonb has.
sub same_claims
{
	my ($name, $database, @values) = @_;
	my ($different, $n) = ('', 0);

	while (@values)
	{
		my @listed = shift @values;
		push @listed, shift @values while @values && length encode_utf8(join ',', @listed, $values[0]) < $MAX_LISTED;
		my $list = '[' . join(',', @listed) . ']';
		my $token = $key->sign_texts($key->header, with_value($claims, encode_utf8($list)));
		my ($claimed, $expected) = ("cognito_verify_token('app', '$token')->'v'", Cognito::quote(encode_utf8($list)) . '::jsonb');
		$different .= $node->safe_psql($database, "SET client_encoding = 'UTF8';
			SELECT a, b FROM jsonb_array_elements($claimed) WITH ORDINALITY a (a, n)
				FULL JOIN jsonb_array_elements($expected) WITH ORDINALITY b (b, n) USING (n)
			WHERE a::text IS DISTINCT FROM b::text");
		$n += @listed;
	}
	is($different, '', "$name: $n values");
	return;
}


# Values of each kind

my $database = prepare('UTF8');
my @strings = (
	'""', '"a"', '" a "', '"é"', '"🐘"', "\"\x{7f}\"", '"\\u0001"', '"\\u001f"', '"\\u00e9"', '"\\u00E9\\uABcd"', '"\\uffff"',
	'"\\ud83d\\udc18"', '"\\ud83d\\udc18\\ud83d\\udc18"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"a\\nb\\tc"', '"\\u005c"', '"\\u0022x"', '"\\\\u0000"', '"/"',
	'"é\\u00e9é"', '"' . 'long' x 300 . '\\n' . 'long' x 300 . '"');
my @no_strings = (
	'"\\u0000"', '"a\\u0000b"', "\"\x01\"", "\"\x1f\"", "\"\t\"", "\"a\n\"", "\"\n\"", "\"a\\n\n\"", "\"\\n\t\"", '"\\ud83d"', '"\\udc18"', '"\\udc18\\ud83d"',
	'"\\ud83d\\ud83d"', '"\\ud83dx"', '"\\ud83d\\n"', '"\\ud83d\\u0041"', '"\\ud83d\\\\udc18"', '"\\ud83dudc18"', '"\\u"', '"\\u12"', '"\\u123g"', '"\\u 123"', '"\\u+123"', '"\\u-123"', '"\\u0x12"',
	'"\\U00e9"', '"\\a"', '"\\x41"', '"\\\'"', '"\\0"', '"\\ "', "'a'", '"', '"\\', '"\\"', '"\\u00', '"a" "b"', 'a"', '"a"b', '“a”');
my @numbers = (
	qw(0 -0 1 -1 10 0.0 -0.0 0.10 1.10 1.0e1 1E+5 1e-5 1E0 0e0 0e-7 -0e1 1e400 -1e400 1e-400 1e131071 1e-16383 4102444800 9007199254740993 1e00005),
	'123456789012345678901234567890.10', '9' x 400, '0.' . '1' x 400, '1' . '0' x 100 . 'e-100');
my @no_numbers = qw(00 01 -01 - -- +1 .5 -.5 5. 5.e1 .e1 . 1e 1e+ 1e- 1ee1 1e1.5 1e+-1 0x1 1_000 1a 1- 1+1 NaN -NaN Infinity -Infinity inf
  1e131072 1e999999999 1e99999999999999999999 1.2.3 １ 0b1);
my @words = qw(true false null);
my @no_words = qw(True TRUE nul nulL nulll truefalse true1 tru undefined n t f yes);
my @lists = ('[]', '[ ]', '[1]', '[1,2]', "[\t1 ,\n2\r, \"x\" ]", '[[],[[]],{}]', '[1,"a",null,true,false,1.50,[{}]]',
	map { '[' . join(',', (1) x $_) . ']' } 15, 16, 17, 31, 32, 33, 64, 65, 1000);
my @no_lists = ('[', '[1', '[1,', '[1,]', '[,1]', '[,]', '[1 2]', '[1,,2]', '[1;2]', '[}', '[1}', '[1]]', '(1)', ']', '[1]1', '["a":1]', '[1:2]');
my @objects = (
	'{}', '{ }', '{"":1}', '{"a":1}', "{ \"a\"\t:\r1\n}", '{"b":1,"a":2,"aa":3,"":4,"é":5,"B":6}', '{"\\u0061":1}', '{"a":{"a":{"a":[{"a":1}]}}}', '{"a":1,"A":2}', '{"é":1,"e\\u0301":2}',
	'{"\\u00e9":1,"\\ud83d\\udc18":2,"\\"":3}',
	map { my $n = $_; '{' . join(',', map { '"' . ($_ * 7919 % 1009) . '":' . $_ } 1 .. $n) . '}' } 2 .. 9, 15, 16, 17, 31, 32, 33, 64, 65, 700);
my @no_objects = ('{', '{"a"', '{"a":', '{"a":1', '{"a":1,', '{"a":1,}', '{,}', '{"a"}', '{"a":}', '{"a" 1}', '{"a"=1}', '{a:1}', "{'a':1}", '{1:1}', '{null:1}', '{"a":1 "b":2}', '{"a":1,,"b":2}',
	'{"a":1]', '{"a"::1}', '{:1}', '{[]:1}', '{{}}', '{{"a":1}:1}', '{"a":1}1');
my @no_values = ('', ' ', "\x{a0}1", "\f1", "\x{b}1", "\x{feff}1", '/**/1', "1//\n", '1#', ',', ':', '1,', '\\u0031', "\x{1}");
my @spaced = (' 1', "1 ", "\n\t\r 1 \n\t\r ", ' "a" ', "\ntrue\n", " [\n]\n", ' { } ');
my @values = (@strings, @numbers, @words, @lists, @objects, @spaced);
my @no_jsonb = (@no_strings, @no_numbers, @no_words, @no_lists, @no_objects, @no_values);

is(scalar(same_acceptance('what jsonb accepts', $database, @values)), @values, '... is accepted');
is(scalar(same_acceptance('what jsonb refuses', $database, @no_jsonb)), 0, '... is refused');
same_claims('the same as jsonb', $database, @values);


# Random values, and what a change of a character makes of them

my $names = 0;

# Returns one of several values.
sub any_of { return $_[ rand @_ ] }

# Returns white space, none as a rule.
sub space { return any_of(('') x 8, ' ', "\n", "\t ", "\r\n") }

# Returns a random value; no name is that of another member, even with another character.
sub random_value
{
	my ($depth) = @_;
	my $kind = rand($depth < 4 ? 7 : 5);

	return space() . any_of(@words) . space() if $kind < 1;
	return any_of('', '-') . any_of(0, int(rand 1e9), '9' x rand(30) . '1') . any_of('', '.' . int(rand 1e6), '.50')
	  . any_of(('') x 3, any_of('e', 'E') . any_of('', '+', '-') . int(rand 500))
	  if $kind < 3;
	return '"' . join('', map {
			any_of(('a' .. 'z', ' ', '{', ']', ',', ':') x 2, 'é', '€', '🐘', '\\"', '\\\\', '\\/', '\\n', '\\u00e9', '\\u20AC', '\\ud83d\\udc18')
		} 1 .. rand 20) . '"'
	  if $kind < 5;
	return '[' . join(',', map { random_value($depth + 1) } 1 .. rand 6) . space() . ']' if $kind < 6;
	return '{' . join(',', map {
			$names++;
			space() . qq("$names ) . any_of('', 'é', '\\u20ac', '\\n') . qq($names") . space() . ':' . random_value($depth + 1)
		} 1 .. rand 6) . '}';
}

# Returns a text with a random change.
sub mutate
{
	my ($text) = @_;
	my $part = substr $text, rand(1 + length $text), rand 3;
	my $new = any_of('', $part, $part x 2, split(//, "{}[]\",:\\u0d8-+.eEtn \n\t\f\x01é"), '\\u', '\\ud83d', 'null', '""');

	substr $text, rand(1 + length $text), int(rand 2), $new;
	return $text;
}

my @random = map { random_value(0) } 1 .. $RANDOM_VALUES;
is(scalar(same_acceptance('random values', $database, @random)), @random, '... are jsonb');
same_claims('random values', $database, @random);
my @mutations = map { mutate(random_value(1)) } 1 .. $MUTATIONS;
my @accepted = same_acceptance('changed values', $database, @mutations);
cmp_ok(scalar(@accepted), '>', 0, '... some are jsonb');
cmp_ok(scalar(@accepted), '<', $MUTATIONS, '... and some are not');
same_claims('changed values', $database, @accepted);


# What else is refused

# Returns the values that are accepted.
sub accepted
{
	return $node->safe_psql($database, 'SELECT count(*) FROM ' . texts(map { with_value($set, $_) } @_) . ' WHERE is_accepted(text)');
}

my @twice = (
	'{"a":1,"a":1}', '{"a":1,"b":2,"a":3}', '{"a":1,"\\u0061":2}', '{"":1,"":2}', '[{"a":1,"a":1}]', '{"x":{"a":1,"a":1}}', '{"é":1,"\\u00e9":1}',
	'{"a":{},"a":[]}', '{' . join(',', map { qq("m$_":1) } 1 .. 100, 50) . '}', '1,"v":2', '1,"keys":[]');
is(accepted($_), 0, 'twice: ' . substr encode_utf8($_), 0, 40) for @twice;
is(accepted('{"a":{"a":1},"b":[{"a":1},{"a":1}],"A":1}'), 1, 'the same name in different objects');
is(accepted('[' x $_->[0] . ']' x $_->[0]), $_->[1], "$_->[0] lists in an object") for [ 31, 1 ], [ 32, 0 ], [ 10_000, 0 ];
is(accepted('{"a":' x $_->[0] . '1' . '}' x $_->[0]), $_->[1], "$_->[0] objects in an object") for [ 31, 1 ], [ 32, 0 ], [ 5000, 0 ];
is(accepted('[' . join(',', ('[{}]') x 1000) . ']'), 1, 'side by side, lists and objects are not nested');


# Other encodings

$database = prepare('LATIN1');
same_acceptance('LATIN1', $database, '"\\u00e9"', '"\\u20ac"', '"\\ud83d\\udc18"', '"\\u0000"', '"\\ud83d"', '"\\u0041\\u00ff"', '{"\\u00e9":1}', '{"\\u20ac":1}');
same_claims('LATIN1', $database, '"é\\u00e9a\\u0041"', '{"é":"é"}', '{"\\u00e9":"\\n\\u00ff"}');
is(accepted('{"é":1,"\\u00e9":1}'), 0, 'LATIN1: a member twice, once escaped');
for ('"€"', '{"€":1}', '"\\u20ac"')
{
	my $token = $key->sign_texts($key->header, with_value($claims, encode_utf8($_)));
	like(Cognito::error_of($node, "\\connect $database\n\\set VERBOSITY verbose\nSELECT cognito_verify_token('app', '$token')"),
		qr/ERROR:  28000: invalid token for server "app"\nDETAIL:  The payload is not a JSON object/, 'LATIN1: ' . encode_utf8($_));
}

$node->stop;
done_testing();
