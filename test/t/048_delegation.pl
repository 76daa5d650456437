# The manual's patterns that show a role a part of a pool: what their readers get, and what they cost.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
$cognito->create_server($node, 'cognito_server');

# Runs statements as superuser.
sub run { return $node->safe_psql('postgres', @_) }

# Runs a query as the reader; returns its result, and what it asked Cognito for.
sub read_as_support
{
	my ($query, $settings) = @_;
	my ($result, @requests) =
	  $cognito->query_with_requests($node, ($settings // '') . "SET ROLE support; $query");
	return ($result, map { $_->{body}{Filter} // 'all' } @requests);
}

# Returns the error of a query of the reader.
sub error { return Cognito::error_of($node, 'SET ROLE support; ' . shift) }

my $manual = slurp_file("$FindBin::Bin/../../docs/delegation.md");
my @blocks = $manual =~ /^```sql\n(.*?)^```$/msg;
is(@blocks, 4, 'the blocks of the manual');
run($_) for @blocks;

my $pro = run(q(SELECT count(*), min(username) FROM cognito_users('cognito_server')
	WHERE attributes->>'custom:plan' = 'pro'));
is(run("SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = '$_'::regclass AND attnum > 0"), 'username email', "$_: has two columns")
  for 'directory.users_copy', 'directory.users';

for (
	[ 'directory.users_copy', 0 ],
	[ 'directory.users', 5 ])
{
	my ($relation, $requests) = @$_;
	my ($rows, @filters) = read_as_support("SELECT count(*), min(username) FROM $relation");
	is($rows, $pro, "$relation: the users of one plan");
	is_deeply(\@filters, [ ('all') x $requests ], "$relation: $requests requests");
	($rows, @filters) =
	  read_as_support("SELECT username FROM $relation WHERE email = 'ana.wang\@example.com'");
	is($rows, 'ana.wang', "$relation: a condition");
	is(@filters, $requests, "$relation: a condition: $requests requests");
}
for ([ 'ana.wang', 'ana.wang' ], [ 'ana.sato', '' ])
{
	my ($user, $found) = @$_;
	my ($rows, @filters) =
	  read_as_support("SELECT username FROM directory.find_user('$user\@example.com')");
	is($rows, $found, "find_user: " . ($found ? 'a user of the plan' : 'none of another plan'));
	is_deeply(\@filters, [qq(email = "$user\@example.com")], 'find_user: one request, with the address');
}

# Nothing else is for the reader

like(error($_), qr/ERROR:  42501: /, "not for the reader: $_")
  for q(TABLE cognito_users), q(SELECT * FROM cognito_users('cognito_server')),
  q(REFRESH MATERIALIZED VIEW directory.users_copy);
run('CREATE ROLE stranger; GRANT USAGE ON SCHEMA directory TO stranger; GRANT SELECT ON directory.users TO stranger');
like(
	Cognito::error_of($node, 'SET ROLE stranger; TABLE directory.users'),
	qr/42501: permission denied for function list_users/,
	'a reader of the view needs EXECUTE on its function');

# Nor do a reader's objects and settings change what is read

$cognito->create_server($node, 'decoy', user_pool_id => 'eu-west-1_Users61');
run('GRANT USAGE ON FOREIGN SERVER decoy TO support; GRANT CREATE ON DATABASE postgres TO support');
run(<<'SQL');
SET ROLE support;
CREATE SCHEMA mine;
CREATE FUNCTION mine.spy(text, text) RETURNS boolean LANGUAGE plpgsql AS
	$$BEGIN RAISE EXCEPTION 'called as %', current_user; END$$;
CREATE OPERATOR mine.= (FUNCTION = mine.spy, LEFTARG = text, RIGHTARG = text);
SQL
my ($rows) = read_as_support(q(SELECT count(*), min(username) FROM directory.users),
	q(SET cognito_srf.default_server = 'decoy'; SET search_path = mine, pg_catalog;));
is($rows, $pro, "a reader's default server and operators are not used");

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
