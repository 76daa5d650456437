# Memberships: results, requests, and missing users, groups and pools.
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

# A pool of 150 users, of whom all are in "all", some in others, and none in "none".
my @users = map { sprintf 'user%03d', $_ } 1 .. 150;
my %members = (all => \@users, tens => [ grep { /0$/ } @users ], 'Führung' => [ $users[0] ], none => []);
my %pool = (
	users => [ map { Cognito->user($_) } @users ],
	groups => [ map { { GroupName => $_ } } qw(all tens none), 'Führung' ],
	memberships => \%members);
$cognito->pool('eu-west-1_Club', %pool);
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Club');
$cognito->create_server($node, 'account', user_pool_id => undef);

# Returns a request's operation, with the name or filter in it.
sub about
{
	my ($request) = @_;
	my $body = $request->{body};
	my $name = $body->{GroupName} // $body->{Username} // $body->{Filter};

	return $request->{operation} . (defined $name ? " $name" : '');
}

# Checks result and requests of a query, in a new session.
sub check_query
{
	my ($name, $query, $rows, @asked) = @_;
	my ($result, @requests) = $cognito->query_with_requests($node, encode_utf8($query));

	is(decode_utf8($result), $rows, "$name: rows");
	is_deeply([ map { about($_) } @requests ], \@asked, "$name: requests");
	return @requests;
}

my $all = 'SELECT count(*), count(DISTINCT group_name), count(DISTINCT username) FROM cognito_memberships';
my $groups = "SELECT group_name FROM cognito_memberships('srv')";
my $count = "SELECT count(*) FROM cognito_memberships('srv')";
my @everything = ('ListGroups', ('ListUsersInGroup all') x 3, map { "ListUsersInGroup $_" } 'tens', 'none', 'Führung');


# All memberships

check_query('all memberships', "$all('srv')", '166|3|150', @everything);
check_query('all memberships, through the view', "SET cognito_srf.default_server = srv; $all", '166|3|150', @everything);
check_query('a condition that is not pushed down', "$count WHERE group_name ~ 'n'", 16, @everything);
$cognito->create_server($node, 'wide', user_pool_id => 'eu-west-1_Club', max_concurrent_requests => 3);
$cognito->faults({ delay => 0.3, times => -1 });
my ($result, @requests) = $cognito->query_with_requests($node, "$all('wide')");
my @times = map { $_->{time} } @requests;
is($result, '166|3|150', 'three concurrent requests: rows');
is_deeply([ sort map { about($_) } @requests ], [ sort @everything ], 'three concurrent requests: requests');
cmp_ok($times[3] - $times[1], '<', 0.3, 'three groups are requested at the same time');
cmp_ok($times[4] - $times[1], '>=', 0.3, 'the next group is requested after a response');
$cognito->faults;


# As few requests as possible

check_query('a group', "$count WHERE group_name = 'tens'", 15, 'ListUsersInGroup tens');
check_query('a group of several pages', "$count WHERE group_name = 'all'", 150, ('ListUsersInGroup all') x 3);
check_query('two groups, the first of which is missing', "$count WHERE group_name IN ('tens', 'nobody', 'tens')",
	15, 'ListUsersInGroup nobody', 'ListUsersInGroup tens');
my (undef, $check) = check_query('a missing group', "$count WHERE group_name = 'nobody'",
	0, 'ListUsersInGroup nobody', 'ListGroups');
is($check->{body}{Limit}, 1, 'a missing group: a listing of one group checks that the pool exists');
check_query('two groups, the last of which is missing', "$count WHERE group_name IN ('tens', 'zero')",
	15, 'ListUsersInGroup tens', 'ListUsersInGroup zero', 'ListGroups');
check_query('an empty group', "$count WHERE group_name = 'none'", 0, 'ListUsersInGroup none');
check_query('a user', "$groups WHERE username = 'user010' ORDER BY 1",
	"all\ntens", 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');
check_query('three users, one of whom is missing', "$groups WHERE username IN ('user001', 'user011', 'nobody') ORDER BY 1",
	"Führung\nall\nall",
	(map { "ListUsers username = \"$_\"" } qw(nobody user001 user011)),
	map { "AdminListGroupsForUser $_" } qw(user001 user011));
check_query('a missing user', "$count WHERE username = 'nobody'", 0, 'ListUsers username = "nobody"');
check_query('a user and a group', "$count WHERE username = 'user010' AND group_name = 'tens'",
	1, 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');
check_query('a user from a join condition',
	"SELECT m.group_name FROM cognito_memberships('srv') m JOIN (VALUES ('user010'), ('x')) v (n) ON m.username = v.n
	 WHERE v.n = 'user010' ORDER BY 1", "all\ntens", 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');
check_query("an invalid name of a group: $_->[0]", "$count WHERE group_name = $_->[1]", 0, @everything)
  for [ 'an empty string', "''" ], [ 'a space', "'a b'" ], [ 'a control character', "E'a\\tb'" ],
  [ '129 characters', "repeat('x', 129)" ], [ 'a space outside ASCII', "E'a\\u3000b'" ];
check_query('a group whose name is not ASCII', "$count WHERE group_name = 'Führung'", 1, @everything);
check_query("an invalid name of a user: $_->[0]", "$count WHERE username = $_->[1]", 0, @everything)
  for [ 'an empty string', "''" ], [ 'a space', "'a b'" ], [ 'a backslash', "'a\\b'" ], [ '129 characters', "repeat('x', 129)" ];
check_query('a user whose name is not ASCII', "$count WHERE username = 'Zoë'", 0, 'ListUsers username = "Zoë"');
check_query(
	'15 users, each looked up',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0' || i FROM generate_series(10, 24) i))",
	17,
	(map { "ListUsers username = \"user0$_\"" } 10 .. 24),
	map { "AdminListGroupsForUser user0$_" } 10 .. 24);
check_query('24 users, more requests than for all memberships',
	"$count WHERE username = ANY (ARRAY(SELECT 'user0' || i FROM generate_series(10, 33) i))", 27, @everything);
check_query('a pool as an argument',
	"SELECT group_name FROM cognito_memberships('account', user_pool_id => 'eu-west-1_Club') WHERE username = 'user010' ORDER BY 1",
	"all\ntens", 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');
check_query('a pool as an argument, all', "$all('account', user_pool_id => 'eu-west-1_Club')", '166|3|150', @everything);
check_query('a prefix of group names', "$count WHERE group_name LIKE 'ten%'", 15, @everything);
check_query('a duplicate value in a call of the overload',
	"SELECT count(*) FROM cognito_memberships('srv', 'username', '{user010,user010,NULL}')",
	2, 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');


# No requests if no row can match

my $generic = 'SET plan_cache_mode = force_generic_plan; PREPARE p (text) AS';
check_query('a parameter that is NULL', "$generic $count WHERE username = \$1; EXECUTE p (NULL)", 0);
check_query('a list of parameters that are NULL', "$generic $count WHERE group_name IN (\$1, \$1); EXECUTE p (NULL)", 0);
check_query('an array that is NULL', "$generic $count WHERE username = ANY (\$1::text[]); EXECUTE p (NULL)", 0);
check_query('an empty array', "$count WHERE group_name = ANY ('{}')", 0);


# Not many more requests than for a listing of all memberships

check_query('a lateral subquery for each of 9 rows, after a full listing',
	"$count; SELECT sum(c) FROM generate_series(1, 9) n, LATERAL
		(SELECT count(*) AS c FROM cognito_memberships('srv') m WHERE m.username = 'user00' || n) u",
	"166\n10", @everything,
	(map { ("ListUsers username = \"user00$_\"", "AdminListGroupsForUser user00$_") } 1 .. 3), @everything);
$node->safe_psql('postgres', "ALTER SERVER srv OPTIONS (pushdown 'off')");
check_query("pushdown 'off'", "$count WHERE username = 'user010'", 2, @everything);
check_query("pushdown 'off', in a call of the overload",
	"SELECT count(*) FROM cognito_memberships('srv', 'username', '{user010}')", 2, @everything);
$node->safe_psql('postgres', 'ALTER SERVER srv OPTIONS (DROP pushdown)');


# Returns a pool of 600 users and groups of these numbers of users, and how many requests list all memberships.
sub make_pool
{
	my (@sizes) = @_;
	my @names = map { sprintf 'user%03d', $_ } 1 .. 600;
	my @groups = map { "group$_" } 0 .. $#sizes;
	my %users = map { $groups[$_] => [ @names[0 .. $sizes[$_] - 1] ] } 0 .. $#sizes;
	my $pages = 1 + int($#sizes / 60);

	$pages += 1 + int(($_ - 1) / 60) for @sizes;
	return ($pages, users => [ map { Cognito->user($_) } @names ], groups => [ map { { GroupName => $_ } } @groups ], memberships => \%users);
}

# However many groups and users there are, there are never many more than twice the requests of the better
# choice: two for each user, or a listing.
my $CONSTANT = 32;
my %queries = (
	'a join' => "SELECT count(*) FROM generate_series(1, %d) n JOIN cognito_memberships('shape') m ON m.username = to_char(n, '\"user\"FM000')",
	'an array' => "SELECT count(*) FROM cognito_memberships('shape') m WHERE m.username = ANY (ARRAY(SELECT to_char(n, '\"user\"FM000') FROM generate_series(1, %d) n))",
	'a correlated subquery' => "SELECT count(m) FROM generate_series(1, %d) n,
		LATERAL (SELECT * FROM cognito_memberships('shape') m WHERE username = to_char(n, '\"user\"FM000') OFFSET 0) m");
my %shapes = (
	'one small group' => [50],
	'a group of ten pages' => [600],
	'20 groups of one to ten pages' => [ map { 30 * $_ } 1 .. 20 ],
	'130 groups, two of which are large' => [ 600, (5) x 128, 590 ]);
for my $shape (sort keys %shapes)
{
	my ($pages, %shaped) = make_pool(@{ $shapes{$shape} });

	$cognito->pool('eu-west-1_Shape', %shaped);
	for my $concurrent (1, 16)
	{
		$cognito->create_server($node, 'shape', user_pool_id => 'eu-west-1_Shape', max_concurrent_requests => $concurrent);
		check_bounds($shape, $pages, $concurrent, $_) for 1, 16, 30, 70, 300;
	}
}

# A query begins a listing that another one has given up only for twice as many requests.
my (undef, %large) = make_pool(@{ $shapes{'130 groups, two of which are large'} });
my $some = "SELECT count(*) FROM cognito_memberships('shape') m WHERE m.username = ANY (ARRAY(
	SELECT to_char(n, '\"user\"FM000') FROM generate_series(101, 100 + %d) n))";
$cognito->pool('eu-west-1_Shape', %large);
($result, @requests) = $cognito->query_with_requests($node, sprintf "$some; $some", 30, 80);
is($result, "60\n160", 'more values than before: rows');
is(@requests, 3 + 2 * 30 + 2 * 80, 'more values than before: the listing is not begun again');

# Checks the bounds for a number of users in a pool of some shape.
sub check_bounds
{
	my ($shape, $pages, $concurrent, $values) = @_;
	my $least = 2 * $values < $pages ? 2 * $values : $pages;
	my $rows = 0;

	$rows += $_ < $values ? $_ : $values for @{ $shapes{$shape} };
	for ($concurrent > 1 ? 'a join' : sort keys %queries)
	{
		my $name = "$shape, $pages pages: $_ with $values users, $concurrent at once";
		my ($result, @requests) = $cognito->query_with_requests($node, sprintf $queries{$_}, $values);

		is($result, $rows, "$name: rows");
		cmp_ok(@requests, '<=', 2 * $least + $CONSTANT, "$name: requests");
	}
	return;
}


# A listing in steps: groups on many pages, and a query that is interrupted between two steps

$cognito->pool('eu-west-1_Shape', (make_pool(5, 5, 5))[ 1 .. 6 ]);
my $names = JSON::PP->new->encode({ Groups => [ map { { GroupName => "group$_" } } 0 .. 2 ] });
for ([ 'an array', 30, 200, 30 * 2 ], [ 'a correlated subquery', 300, 40, 44 ])
{
	my ($what, $values, $empty, $least) = @$_;
	my @pages = map { { operation => 'ListGroups', reply => { body => qq({"Groups": [], "NextToken": "$_"}) } } } 1 .. $empty;

	$cognito->create_server($node, 'shape', user_pool_id => 'eu-west-1_Shape');
	$cognito->faults(@pages, { operation => 'ListGroups', times => -1, reply => { body => $names } });
	my ($result, @requests) = $cognito->query_with_requests($node, sprintf $queries{$what}, $values);
	is($result, 15, "$empty empty pages of groups: $what: rows");
	cmp_ok(@requests, '<=', 2 * $least + $CONSTANT, "$empty empty pages of groups: $what: requests");
}
$cognito->faults;

# A missing group takes a request that returns no page, and another one to see whether the pool exists.
$cognito->pool('eu-west-1_Shape', (make_pool((1) x 97))[ 1 .. 6 ]);
$cognito->create_server($node, 'shape', user_pool_id => 'eu-west-1_Shape');
for my $group ("= 'missing' || n", "= ANY (ARRAY(SELECT 'missing' || n || '-' || i FROM generate_series(1, 15) i))")
{
	my ($result, @requests) = $cognito->query_with_requests($node, "SELECT count(m) FROM generate_series(1, 300) n,
		LATERAL (SELECT * FROM cognito_memberships('shape') m WHERE group_name $group OFFSET 0) m");
	is($result, 0, "missing groups, $group: rows");
	cmp_ok(@requests, '<=', 2 * 99 + $CONSTANT, "missing groups, $group: requests");
}

my $clock = PostgreSQL::Test::Utils::tempdir() . '/clock';
my $shifted;
{
	local $ENV{LD_PRELOAD} = Cognito::preload('shifted_clock');
	local $ENV{SHIFTED_CLOCK} = $clock;
	$shifted = Cognito::cluster('shifted');
}
my $cursor = 'BEGIN; DECLARE c CURSOR FOR SELECT m.group_name ' .
  "FROM generate_series(1, 120) n, LATERAL (SELECT * FROM cognito_memberships('shape') m WHERE username = to_char(n, '\"user\"FM000') OFFSET 0) m";
my %before = (make_pool((130) x 20))[ 1 .. 6 ];
my $after = { %before, groups => [ map { { GroupName => "other$_" } } 0 .. 19 ],
	memberships => { map { ("other$_" => $before{memberships}{"group$_"}) } 0 .. 19 } };
for (
	[ 'an hour', 'group', sub { PostgreSQL::Test::Utils::append_to_file($clock, pack 'q2', 0, 3600); $cognito->pool('eu-west-1_Shape', %before, token_length => 200) } ],
	[ 'another user pool', 'other', sub { $cognito->pool('eu-west-1_Other', %$after); Cognito::query($_[0], "ALTER SERVER shape OPTIONS (SET user_pool_id 'eu-west-1_Other')") } ])
{
	my ($name, $expected, $interrupt) = @$_;
	unlink $clock;
	$cognito->pool('eu-west-1_Shape', %before);
	$cognito->create_server($shifted, 'shape', user_pool_id => 'eu-west-1_Shape');
	my $session = Cognito::session($shifted);
	Cognito::query($session, "$cursor; MOVE 600 FROM c");
	$interrupt->($session);
	my @rows = split /\n/, Cognito::query($session, 'MOVE 200 FROM c; FETCH ALL FROM c');
	is($session->{stderr}, '', "$name between two steps: no error");
	is(scalar(grep { /^$expected/ } @rows), 1600, "$name between two steps: rows");
	$session->quit;
}


# Only the user with exactly that name, even if Cognito returns others

my $ana = JSON::PP->new->encode({ Users => [ Cognito->user('ana') ] });
my $found = JSON::PP->new->encode({ Groups => [ { GroupName => 'tens' } ] });
$cognito->faults({ operation => 'ListUsers', times => 2, reply => { body => $ana } },
	{ operation => 'AdminListGroupsForUser', times => 2, reply => { body => $found } });
check_query('a name that differs in case from what Cognito returns', "$groups WHERE username = 'Ana'", '', 'ListUsers username = "Ana"');
check_query('the name that Cognito returns', "$groups WHERE username = 'ana'", 'tens', 'ListUsers username = "ana"', 'AdminListGroupsForUser ana');


# Deletions during a listing

my %gone = (error => 'ResourceNotFoundException', operation => 'ListUsersInGroup', message => 'Group not found.');
$cognito->faults({ %gone, skip => 3 });
check_query('a group that is deleted before it is listed: the others are returned', $count, 151, @everything);
$cognito->faults({ %gone, skip => 5 });
check_query('the last group is deleted before it is listed: checks that the pool exists', $count, 165, @everything, 'ListGroups');
$cognito->faults({ %gone, skip => 1 });
like(Cognito::error_of($node, $count), qr/HV000.*ListUsersInGroup: The listed object was deleted between two pages/s,
	'a group that is deleted between two of its pages is an error');
$cognito->faults({ %gone, skip => 1 });
like(Cognito::error_of($node, "$count WHERE group_name = 'all'"), qr/HV000.*was deleted between/s, 'a single group that is deleted between two of its pages is an error');
$cognito->faults({ operation => 'AdminListGroupsForUser', error => 'UserNotFoundException' });
check_query('a user who is deleted before their groups are listed', "$count WHERE username = 'user010'",
	0, 'ListUsers username = "user010"', 'AdminListGroupsForUser user010');
$cognito->faults({ operation => 'AdminListGroupsForUser', error => 'ResourceNotFoundException' });
like(Cognito::error_of($node, "$count WHERE username = 'user010'"), qr/42704/, 'a pool that is deleted before the groups of a user are listed is an error');
$cognito->faults;


# A pool that is deleted during a listing: the service returns the same error as for a missing group.
# With several concurrent requests, one of them may be for a later page of a group.

for my $server ('srv', 'wide')
{
	for (
		[ 'before the first group is listed', 'TRUE', 0, 1 ],
		[ 'between two groups', 'TRUE', 3, 1 ],
		[ 'before the last group is listed', 'TRUE', 5, 1 ],
		[ 'before the requested group is listed', "group_name = 'tens'", 0, 0 ],
		[ 'before the second requested group is listed', "group_name IN ('all', 'tens')", 3, 0 ])
	{
		my ($name, $condition, $listed, $groups) = @$_;
		my $lost = qr/42704: user pool "eu-west-1_Club" of server "$server" does not exist/;
		my %error = (error => 'ResourceNotFoundException', message => 'User pool eu-west-1_Club does not exist.', times => -1);
		$cognito->faults({ operation => 'ListUsersInGroup', skip => $listed, %error },
			{ operation => 'ListGroups', skip => $groups, %error });
		like(Cognito::error_of($node, "SELECT count(*) FROM cognito_memberships('$server') WHERE $condition"),
			$server eq 'srv' ? qr/ERROR:  $lost/ : qr/ERROR:  ($lost|HV000: .*\n.*was deleted between)/, "$server: the pool is deleted $name");
	}
}
$cognito->faults;


# Lists of groups and of a group's users of every size, with and without empty pages

$cognito->create_server($node, 'sized', user_pool_id => 'eu-west-1_Sized');
$cognito->create_server($node, 'sized_wide', user_pool_id => 'eu-west-1_Sized', max_concurrent_requests => 16);
for my $n (0, 1, 60, 61, 200)
{
	my @names = map { "n$_" } 1 .. $n;
	my $pages = int(($n + 59) / 60) || 1;
	my %sizes = (
		groups => {
			users => [ Cognito->user('ana') ],
			groups => [ map { { GroupName => $_ } } @names ],
			memberships => { map { $_ => ['ana'] } @names }
		},
		users => {
			users => [ map { Cognito->user($_) } @names, 'outside' ],
			groups => [ { GroupName => 'the' } ],
			memberships => { the => \@names }
		});

	for my $what (sort keys %sizes)
	{
		for my $empty (0, 2)
		{
			# each page is followed by as many empty ones; of n groups each has a listing of one page
			my $requests = ($empty + 1) * ($pages + ($what eq 'groups' ? $n : 1));
			$cognito->pool('eu-west-1_Sized', %{ $sizes{$what} }, empty_pages => $empty);
			for my $server ('sized', 'sized_wide')
			{
				my ($result, @requests) = $cognito->query_with_requests($node,
					"SELECT count(*), count(DISTINCT (group_name, username)) FROM cognito_memberships('$server')");
				is($result, "$n|$n", "$n $what, $empty empty pages, $server: each membership once");
				is(@requests, $requests, "$n $what, $empty empty pages, $server: number of requests");
			}
		}
	}
}


# Errors

$cognito->create_server($node, 'lost', user_pool_id => 'eu-west-1_Nowhere');
for ("TRUE", "group_name = 'tens'", "username = 'user010'")
{
	like(Cognito::error_of($node, "SELECT * FROM cognito_memberships('lost') WHERE $_"),
		qr/42704: +user pool "eu-west-1_Nowhere" of server "lost" does not exist/, "a missing pool: $_");
}
for ([ 'ListGroups', '{"Groups": [{}]}', 'TRUE', 'GroupName' ],
	[ 'ListUsersInGroup', '{"Users": [{}]}', "group_name = 'tens'", 'Username' ],
	[ 'ListUsersInGroup', '{"Users": [{"Username": 5}]}', "group_name = 'tens'", 'Username' ],
	[ 'AdminListGroupsForUser', '{"Groups": [{"GroupName": null}]}', "username = 'user010'", 'GroupName' ])
{
	my ($operation, $body, $condition, $member) = @$_;
	$cognito->faults({ operation => $operation, reply => { body => $body } });
	like(Cognito::error_of($node, "$count WHERE $condition"), qr/HV000.*$operation: Item 1: member "$member" is (missing|not a string)/s,
		"a name that is missing or not a string: $operation $body");
}
$cognito->faults({ error => 'AccessDeniedException', operation => 'AdminListGroupsForUser' });
like(Cognito::error_of($node, "$count WHERE username = 'user010'"), qr/42501.*cognito-idp:AdminListGroupsForUser/s,
	'the error names the missing permission');
$cognito->faults;


# Names of groups are kept in memory, so both their length and their number are limited

for ([ [ 'g' x 129 ], qr/HV000: .*\n.*ListGroups: Item 1: member "GroupName" has more than 128 characters/ ],
	[ [ map { "g$_" } 1 .. 100_001 ], qr/HV000: the user pool of server "srv" has more than 100000 groups/ ])
{
	my ($names, $error) = @$_;
	my $body = encode_json({ Groups => [ map { { GroupName => $_ } } @$names ] });
	$cognito->faults({ operation => 'ListGroups', reply => { body => $body } });
	like(Cognito::error_of($node, $count), $error, 'names of groups that exceed a limit: ' . @$names);
}
$cognito->faults;

$cognito->faults({ operation => 'ListUsers', reply => { body => encode_json({ Users => [ ({ Username => 'user010' }) x 2 ] }) } });
like(Cognito::error_of($node, "$count WHERE username = 'user010'"),
	qr/HV000: Cognito returned several users with the same name for server "srv"/, 'a user who is returned twice is an error');
$cognito->faults;

is_deeply([ $cognito->violations ], [], 'every request was well-formed');
done_testing();
