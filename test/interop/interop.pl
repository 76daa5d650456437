# Reads a pool of cognito-local, an implementation of Cognito that nobody here
# wrote, and compares each user with what the AWS SDK lists.
use strict;
use warnings;
use File::Basename;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = dirname(__FILE__);
plan skip_all => "no npm packages in $folder; test/packages test installs them"
  unless -e "$folder/node_modules/cognito-local";

my ($input, $line) = ('', '');
local $ENV{NODE_NO_WARNINGS} = 1;
my $pool = IPC::Run::start([ 'node', "$folder/fill.mjs" ], \$input, \$line, IPC::Run::timeout(60));
$pool->pump until $line =~ /\n/;
my $expected = decode_json($line);

my $node = PostgreSQL::Test::Cluster->new('interop');
$node->init;
$node->start;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION cognito_srf;
CREATE SERVER interop FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	region '$expected->{region}', user_pool_id '$expected->{user_pool_id}',
	endpoint_url '$expected->{endpoint}',
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'anything');
SQL

# The dates as JavaScript writes them.
my $date = q{to_char(%s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')};
my $users = $node->safe_psql('postgres',
	sprintf(<<"SQL", $date =~ s/%s/created_at/r, $date =~ s/%s/updated_at/r));
SELECT json_agg(json_build_object('username', username, 'email', email, 'status', status,
	'enabled', enabled, 'attributes', attributes, 'created_at', %s, 'updated_at', %s))
FROM cognito_users('interop')
SQL

# The users by name, each with that one column.
sub column
{
	my ($column, $users) = @_;
	return { map { $_->{username} => $_->{$column} } @$users };
}

my $found = decode_json($users);
is(scalar @$found, 75, 'every user is listed once');
for my $column (qw(username email status enabled created_at updated_at attributes))
{
	is_deeply(column($column, $found), column($column, $expected->{users}), $column);
}

$node->stop;
$pool->finish;
done_testing();
