# Reads a pool of cognito-local, an implementation of Cognito that nobody here wrote, and
# compares it with what the AWS SDK reads; then writes, and looks with the SDK.
#
# Of what the extension asks for, cognito-local has no identity providers and no identity
# pools, and it gives each listing in one page.
use strict;
use warnings;
use utf8;
use Encode;
use File::Basename;
use IPC::Run;
use JSON::PP;
use MIME::Base64 qw(decode_base64url);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $folder = dirname(__FILE__);
plan skip_all => "no npm packages in $folder; test/packages test installs them"
  unless -e "$folder/node_modules/cognito-local";

my ($input, $lines) = ('', '');
local $ENV{NODE_NO_WARNINGS} = 1;
my $pool = IPC::Run::start([ 'node', "$folder/fill.mjs" ], \$input, \$lines, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));

# The next line of what the SDK reads.
sub next_line
{
	$pool->pump until $lines =~ s/^(.*)\n//;
	return decode_json($1);
}

my $expected = next_line();
my $node = PostgreSQL::Test::Cluster->new('interop');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'");
$node->start;
$node->safe_psql('postgres', <<"SQL");
CREATE EXTENSION cognito_srf;
CREATE SERVER interop FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (
	region '$expected->{region}', user_pool_id '$expected->{user_pool_id}',
	endpoint_url '$expected->{endpoint}', max_retries '0',
	aws_access_key_id 'AKIAIOSFODNN7EXAMPLE', aws_secret_access_key 'anything');
SQL

# The rows of a query.
sub rows
{
	my ($query) = @_;
	return decode_json(
		$node->safe_psql('postgres',
			encode_utf8("SELECT coalesce(json_agg(r), '[]') FROM ($query) AS r")));
}

# Rows by the value of a column.
sub by
{
	my ($key, $rows) = @_;
	return { map { $_->{$key} => $_ } @$rows };
}

# Checks the rows of a query, told apart by a column, against the SDK's, column by column.
sub is_same
{
	my ($name, $key, $query, $theirs) = @_;
	my $ours = rows($query);
	my ($our, $their) = map { by($key, $_) } $ours, $theirs;

	is(@$ours, @$theirs, "$name: every row once");
	for my $column (sort keys %{ $theirs->[0] })
	{
		is_deeply(
			{ map { $_ => $our->{$_}{$column} } keys %$our },
			{ map { $_ => $their->{$_}{$column} } keys %$their },
			"$name: $column");
	}
	return;
}

# The names in each list of an object of lists, sorted.
sub names
{
	my ($column, $lists) = @_;
	return { map { $_ => [ sort map { $_->{$column} } @{ $lists->{$_} } ] } keys %$lists };
}

# Checks who is in which group, both ways, with all columns, against what the SDK reads.
sub is_same_membership
{
	my ($name, $theirs) = @_;
	my (%group_users, %user_groups);

	push @{ $group_users{ $_->{of} } }, $_ for @{
		rows('SELECT g.group_name AS of, u.* FROM cognito_groups($$interop$$) g,
			LATERAL cognito_group_users($$interop$$, g.group_name) u') };
	push @{ $user_groups{ $_->{of} } }, $_ for @{
		rows('SELECT u.username AS of, g.* FROM cognito_users($$interop$$) u,
			LATERAL cognito_user_groups($$interop$$, u.username) g') };
	for ([ 'users of each group', 'username', \%group_users, $theirs->{group_users} ],
		[ 'groups of each user', 'group_name', \%user_groups, $theirs->{user_groups} ])
	{
		my ($what, $key, $our, $their) = @$_;
		delete $_->{of} for map { @$_ } values %$our;
		$our->{$_} //= [] for keys %$their;
		is_deeply(
			{ map { $_ => by($key, $our->{$_}) } keys %$our },
			{ map { $_ => by($key, $their->{$_}) } keys %$their },
			"$name: $what");
		is_deeply(names($key, $our), names($key, $their), "$name: $what, each once");
	}

	my %memberships = map { $_ => [] } keys %{ $theirs->{group_users} };
	push @{ $memberships{ $_->{group_name} } }, $_
	  for @{ rows('SELECT * FROM cognito_memberships($$interop$$)') };
	is_deeply(
		names('username', \%memberships),
		names('username', $theirs->{group_users}),
		"$name: memberships");
	return;
}


# What is read

is(@{ $expected->{users} }, 75, 'there are enough users for two pages');
is(keys %{ $expected->{group_users} }, 3, 'there are groups');
is(@{ $expected->{group_users}{nobody} }, 0, 'one of them is empty');
is(@{ $expected->{user_pools} }, 2, 'there is a pool besides');
is_same('users', 'username', 'SELECT * FROM cognito_users($$interop$$)', $expected->{users});
is_same('groups', 'group_name', 'SELECT * FROM cognito_groups($$interop$$)', $expected->{groups});
is_same_membership('before writing', $expected);
is_same('user pools', 'id', 'SELECT * FROM cognito_user_pools($$interop$$)',
	$expected->{user_pools});
is_same('user pool', 'id', 'SELECT * FROM cognito_user_pool($$interop$$)', $expected->{user_pool});
is_same('app clients', 'client_id', 'SELECT * FROM cognito_app_clients($$interop$$)',
	$expected->{app_clients});
is_same('app client', 'client_id',
	'SELECT d.* FROM cognito_app_clients($$interop$$) c,
		LATERAL cognito_app_client($$interop$$, c.client_id) d',
	$expected->{app_client});
is(@{ $expected->{secrets} }, 1, 'one app client has a secret');


# Tokens

# Returns the claims of a token, which nobody has verified.
sub claims
{
	my ($token) = @_;
	return decode_json(decode_base64url((split /\./, $token)[1]));
}

my ($client_id, $id, $access) = @{ $expected->{tokens} }{qw(client_id id access)};
$node->safe_psql('postgres', "ALTER SERVER interop OPTIONS (ADD app_client_ids '$client_id', ADD token_issuer '"
	  . claims($id)->{iss} . "')");
for my $token ([ id => $id ], [ access => $access ])
{
	my ($use, $text) = @$token;
	is_deeply(rows("SELECT cognito_verify_token('interop', '$text', '$use') AS claims")->[0]{claims},
		claims($text), "the claims of the $use token");
	is_deeply(claims($text)->{'cognito:groups'}, [ 'admins', 'Ärzte' ], "the groups of the $use token");
}
$node->safe_psql('postgres', q(SELECT cognito_jwks('interop') AS jwks \gset
	ALTER SERVER interop OPTIONS (ADD jwks :'jwks')));
is(rows("SELECT cognito_verify_token('interop', '$id')->>'token_use' AS use")->[0]{use}, 'id',
	'the keys as an option');


# What is written

# Calls a function that writes for a user and a group.
sub change
{
	my ($verb, $user, $group) = @_;
	my %functions = (add => 'cognito_add_user_to_group', remove => 'cognito_remove_user_from_group');
	$node->safe_psql('postgres',
		encode_utf8("SELECT $functions{$verb}('interop', \$\$$user\$\$, \$\$$group\$\$)"));
	return;
}

my ($one, $two, $three) = @{ $expected->{users} }[ 1, 2, 3 ];
my %members = map { $_ => names('username', $expected->{group_users})->{$_} } 'admins', 'Ärzte';
change('add', $one->{username}, 'admins') for 1, 2;
change('add', $two->{attributes}{sub}, 'admins');
change('remove', $three->{username}, 'Ärzte') for 1, 2;

$input .= "\n";
my $changed = next_line();
my $now = names('username', $changed->{group_users});
is_deeply($now->{admins}, [ sort @{ $members{admins} }, map { $_->{username} } $one, $two ],
	'users are added, by name and by sub');
is_deeply($now->{'Ärzte'}, [ grep { $_ ne $three->{username} } @{ $members{'Ärzte'} } ],
	'a user is removed');
cmp_ok(@{ $now->{'Ärzte'} }, '<', @{ $members{'Ärzte'} }, 'who was there before');
is_same_membership('after writing', $changed);


# What is missing

for (
	[ 'user', 'nobody', q(SELECT cognito_add_user_to_group('interop', 'nobody', 'admins')) ],
	[ 'user', 'nobody', q(SELECT cognito_remove_user_from_group('interop', 'nobody', 'admins')) ],
	[ 'group', 'none', q(SELECT cognito_add_user_to_group('interop', 'user-0', 'none')) ],
	[ 'group', 'none', q(SELECT cognito_remove_user_from_group('interop', 'user-0', 'none')) ],
	[ 'app client', 'none', q(SELECT * FROM cognito_app_client('interop', 'none')) ])
{
	my ($noun, $name, $query) = @$_;
	my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
	like($err, qr/42704: $noun "$name" of server "interop" does not exist/, "missing: $query");
}
is($node->safe_psql('postgres', "SELECT count(*) FROM $_"), 0, "missing: no rows of $_")
  for "cognito_user_groups('interop', 'nobody')", "cognito_group_users('interop', 'none')";

$node->stop;
$pool->finish;
done_testing();
