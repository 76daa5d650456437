# Database encodings: responses are converted from UTF-8 and filters to it, or an error is raised.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

# Makes a pool of a user with that text in all places, and one for each place that alone has it.
sub make_pools
{
	my ($name, $text) = @_;
	my %places = (
		Username => { Username => $text },
		Status => { UserStatus => $text },
		Name => { Attributes => [ { Name => $text, Value => 'v' } ] },
		Value => { Attributes => [ { Name => 'name', Value => $text } ] },
		Email => { Attributes => [ { Name => 'email', Value => $text } ] });

	$cognito->pool("eu-west-1_$name$_", users => [ Cognito->user('plain', %{ $places{$_} }) ])
	  for keys %places;
	$cognito->pool(
		"eu-west-1_$name",
		users => [
			Cognito->user(
				$text,
				UserStatus => $text,
				Attributes =>
				  [ { Name => 'email', Value => $text }, { Name => $text, Value => $text } ])
		]);
	return;
}

# Runs SQL, written in UTF-8 whatever the database's encoding.
sub run_sql
{
	my ($sql) = @_;
	my ($code, $out, $err) =
	  $node->psql($Cognito::DATABASE, encode_utf8("\\set VERBOSITY verbose
		SET client_encoding = 'UTF8'; $sql"));
	return $code == 0 ? decode_utf8($out) : decode_utf8($err);
}

# Reads the pool of that name; the columns' bytes in hexadecimal, each once.
sub bytes_of
{
	my ($name) = @_;
	$cognito->create_server($node, 'srv', user_pool_id => "eu-west-1_$name");
	return run_sql(q(
		SELECT DISTINCT encode(convert_to(text, getdatabaseencoding()), 'hex')
		FROM cognito_users('srv'), jsonb_each_text(attributes) a,
			unnest(ARRAY[username, status, email, nullif(a.key, 'email'), a.value]) text
		WHERE text IS NOT NULL));
}

my %utf8 = (
	Accent => '5a6fc3ab',
	Euro => '3520e282ac',
	Japanese => 'e697a5e69cac',
	Duck => 'f09fa686');
my %texts = (Accent => 'Zoë', Euro => '5 €', Japanese => '日本', Duck => '🦆');
make_pools($_, $texts{$_}) for keys %texts;


# Each text in each encoding; undef if the encoding lacks a character

for (
	[ 'UTF8', %utf8 ],
	[ 'LATIN1', Accent => '5a6feb', Euro => undef, Japanese => undef, Duck => undef ],
	[ 'WIN1252', Accent => '5a6feb', Euro => '352080', Japanese => undef, Duck => undef ],
	[ 'EUC_JP', Japanese => 'c6fccbdc', Duck => undef ],
	[ 'SQL_ASCII', %utf8 ])
{
	my ($encoding, %bytes) = @$_;

	$node->safe_psql('postgres',
		"CREATE DATABASE \L$encoding\E ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	$node->safe_psql(lc $encoding, 'CREATE EXTENSION cognito_srf');
	local $Cognito::DATABASE = lc $encoding;

	for my $name (sort keys %bytes)
	{
		if (defined $bytes{$name})
		{
			is(bytes_of($name), $bytes{$name}, "$encoding: $name in the database's encoding");

			my $filter = qq(name = "$texts{$name}");
			$cognito->clear_requests;
			run_sql("SELECT * FROM cognito_users('srv', '$filter')");
			is(($cognito->requests)[0]{body}{Filter}, $filter, "$encoding: $name in a filter");
			next;
		}
		my $escaped = $texts{$name} =~ s/([^ -~])/sprintf '\\u%04X', ord $1/egr;
		my %converted = (
			Username => qq("Username" of the item with Username "$escaped"),
			Status => '"UserStatus" of the item with Username "plain"',
			Name => qq("$escaped" of the item with Username "plain"),
			Value => '"name" of the item with Username "plain"',
			Email => '"email" of the item with Username "plain"');
		$converted{''} = $converted{Username};
		for my $place ('', qw(Username Status Name Value Email))
		{
			$cognito->create_server($node, 'srv', user_pool_id => "eu-west-1_$name$place");
			my $error = run_sql(q(CREATE TABLE made AS SELECT * FROM cognito_users('srv')));
			like($error, qr/ERROR:  22P05: .* has no equivalent in encoding "$encoding"/,
				"$encoding: $name is missing" . ($place ? ", $place" : ''));
			like(
				$error,
				qr/\nHINT:  Use a database with encoding UTF8.*\nCONTEXT:  converting \Q$converted{$place}\E of server "srv"\n/,
				"$encoding: $name is missing, and where" . ($place ? ", $place" : ''));
		}
		is(run_sql(q(SELECT to_regclass('made') IS NULL)),
			't', "$encoding: $name leaves nothing half-done");
	}

	# The service's messages are not worth an error of their own.
	my $words = "Refus(?:é|\\?+) (?:$texts{Duck}|\\?+) until";
	$cognito->faults({ error => 'OddException', message => "Refusé $texts{Duck} until" });
	like(run_sql(q(SELECT * FROM cognito_users('srv'))),
		qr/ERROR:  HV000: .*\nDETAIL: .* OddException, "$words", request id/,
		"$encoding: an error of the service");

	# Nor do they, or the name of what is missing, control a terminal: a C1 control is a byte of some encodings.
	my $gone = "a\x{9b}b";
	my %missing = (error => 'ResourceNotFoundException', message => "Not here: $gone");
	my $reply = JSON::PP->new->ascii->encode({ Groups => [ { GroupName => $gone } ] });
	$cognito->faults({ operation => 'ListGroups', reply => { body => $reply } },
		{ operation => 'AdminAddUserToGroup', %missing });
	my $error = run_sql(q(SELECT cognito_add_user_to_group('srv', 'ana', group_name) FROM cognito_groups('srv')));
	like($error, $encoding =~ /UTF8|LATIN1|SQL_ASCII/ ? qr/ERROR:  42704: group "a b"/ : qr/ERROR:  22P05: /,
		"$encoding: a control character in a name");
	unlike($error, qr/\x{9b}/, "$encoding: it is not shown");

	$cognito->faults({ reply => { body_base64 => 'eyJVc2VycyI6IFt7IlVzZXJuYW1lIjogIv8ifV19' } });
	like(run_sql(q(SELECT * FROM cognito_users('srv'))),
		qr/ERROR:  22021: unusable reply/, "$encoding: a reply that is not UTF-8");
}


# Where the character is, in other listings, in a single object, and in what a filter finds

{
	local $Cognito::DATABASE = 'latin1';
	$cognito->pool(
		'eu-west-1_Described',
		details => { Name => $texts{Duck} },
		groups => [ { GroupName => 'ducks', Description => $texts{Duck} } ],
		users => [
			Cognito->user('plain', Attributes => [ { Name => 'email', Value => "a$texts{Duck}" } ]),
			map { Cognito->user("u$_", Attributes => [ { Name => 'email', Value => "a$texts{Duck}$_" } ]) } 1 .. 60 ]);
	$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Described');
	for (
		[ q(cognito_groups('srv')), '"Description" of the item with GroupName "ducks"' ],
		[ q(cognito_user_pool('srv')), '"Name" of the object' ],
		(map { [ "cognito_users('srv') WHERE email LIKE 'a%'$_", 'the item with Username "plain"' ] } '', ' LIMIT 1'))
	{
		my ($relation, $place) = @$_;
		like(run_sql("SELECT * FROM $relation"),
			qr/ERROR:  22P05: .*\nHINT:  .*\nCONTEXT:  converting $place of server "srv"\n/, "LATIN1: $place");
	}
}


# Any byte can be in a database of SQL_ASCII, but only UTF-8 can be in a request.

{
	local $Cognito::DATABASE = 'sql_ascii';
	$cognito->create_server($node, 'srv');
	$cognito->clear_requests;
	like(run_sql(q(SELECT * FROM cognito_users('srv', E'name = "\xff"'))),
		qr/ERROR:  22021: invalid byte sequence for encoding "UTF8": 0xff/,
		'SQL_ASCII: a filter that is not UTF-8');
	is($cognito->requests, 0, 'SQL_ASCII: a filter that is not UTF-8 is not sent');
}

is_deeply([ $cognito->violations ], [], 'every request was well-formed');

done_testing();
