# Every listing and description besides cognito_users: all rows with as few requests as possible, each
# member in its column, and an error for each violation of the service's contract.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use List::Util qw(max);
use Test::More;

my $USER_POOL = 'eu-west-1_Entities';
my $IDENTITY_POOL = 'eu-west-1:00000000-1111-4222-8333-444444444444';

my $cognito = Cognito->new;
my $node = Cognito::cluster('main', "timezone = 'UTC'");

$cognito->create_server(
	$node, 'srv',
	user_pool_id => $USER_POOL,
	identity_pool_id => $IDENTITY_POOL,
	identity_endpoint_url => $cognito->url);

my $session = Cognito::session($node);

# Expected values for an item with all members: "member" => [ value in JSON, as text in
# SQL, values that it must not have ].
my @strings = (7, 'true', '["x"]', '{}');
my @times = ('true', '{}', '"yesterday"');
my $text = sub { return [ qq("$_[0]"), $_[0], 'is not a string', @strings ] };
my $time = [ '1700000000.123', '2023-11-14 22:13:20.123+00', 'is not a number', @times ];
my $later = [ '1700000001.456', '2023-11-14 22:13:21.456+00', 'is not a number', @times ];
my $integer = [ '3', '3', 'is not a 32-bit integer', '"3"', '1.5', '3000000000', 'true' ];
my $boolean = [ 'true', 't', 'is not a boolean', '"true"', '1', '[]' ];
my @dates = (CreationDate => $time, LastModifiedDate => $later);
my @group = (
	GroupName => $text->('admins'),
	Description => $text->('may manage'),
	RoleArn => $text->('arn:aws:iam::123456789012:role/admin'),
	Precedence => $integer,
	@dates);

# The listings: function and arguments, operation, parameters other than those of pages, the
# reply's list, the parameter of the page size, how to make N items, and the members.
my @listings = (
	{
		call => "cognito_groups('srv')",
		operation => 'ListGroups',
		parameters => { UserPoolId => $USER_POOL },
		items => 'Groups',
		size => 'Limit',
		fill => sub { pool(groups => groups($_[0]), @_[ 1 .. $#_ ]) },
		members => [@group]
	},
	{
		call => "cognito_group_users('srv', 'a\"group\"')",
		operation => 'ListUsersInGroup',
		parameters => { UserPoolId => $USER_POOL, GroupName => 'a"group"' },
		items => 'Users',
		size => 'Limit',
		fill => sub {
			my ($n, @more) = @_;
			my @names = names($n);
			pool(
				users => [ map { Cognito->user($_) } 'outside', @names ],
				groups => [ { GroupName => 'a"group"' } ],
				memberships => { 'a"group"' => \@names },
				@more);
		},
		members => [
			Username => $text->('ana'),
			Attributes => [ '[]', '', 'is not a list', '{}', '"x"' ],
			UserStatus => $text->('CONFIRMED'),
			Enabled => $boolean,
			UserCreateDate => $time,
			UserLastModifiedDate => $later
		],
		row => 'ana||CONFIRMED|t|2023-11-14 22:13:20.123+00|2023-11-14 22:13:21.456+00|{}'
	},
	{
		call => "cognito_user_groups('srv', 'ana')",
		operation => 'AdminListGroupsForUser',
		parameters => { UserPoolId => $USER_POOL, Username => 'ana' },
		items => 'Groups',
		size => 'Limit',
		fill => sub {
			my ($n, @more) = @_;
			pool(
				users => [ map { Cognito->user($_) } 'ana', 'ben' ],
				groups => [ @{ groups($n) }, { GroupName => 'other' } ],
				memberships => { other => ['ben'], map { $_ => ['ana'] } names($n) },
				@more);
		},
		members => [@group]
	},
	{
		call => "cognito_user_pools('srv')",
		operation => 'ListUserPools',
		parameters => {},
		items => 'UserPools',
		size => 'MaxResults',
		fill => sub {
			my ($n, @more) = @_;
			account(user_pools => [ map { { Id => "eu-west-1_$_", Name => $_ } } names($n) ],
				@more);
		},
		members => [
			Id => $text->('eu-west-1_AbCdEf123'),
			Name => $text->('the pool'),
			Status => $text->('Enabled'),
			@dates
		]
	},
	{
		call => "cognito_app_clients('srv')",
		operation => 'ListUserPoolClients',
		parameters => { UserPoolId => $USER_POOL },
		items => 'UserPoolClients',
		size => 'MaxResults',
		fill => sub {
			my ($n, @more) = @_;
			pool(clients => [ map { { ClientId => $_, ClientName => "client $_" } } names($n) ],
				@more);
		},
		members => [ ClientId => $text->('7ab'), ClientName => $text->('the app') ]
	},
	{
		call => "cognito_identity_providers('srv')",
		operation => 'ListIdentityProviders',
		parameters => { UserPoolId => $USER_POOL },
		items => 'Providers',
		size => 'MaxResults',
		fill => sub {
			my ($n, @more) = @_;
			pool(
				identity_providers =>
				  [ map { { ProviderName => $_, ProviderType => 'SAML' } } names($n) ],
				@more);
		},
		members => [ ProviderName => $text->('idp'), ProviderType => $text->('SAML'), @dates ]
	},
	{
		call => "cognito_identity_pools('srv')",
		operation => 'ListIdentityPools',
		parameters => {},
		items => 'IdentityPools',
		size => 'MaxResults',
		fill => sub {
			my ($n, @more) = @_;
			account(
				identity_pools => [
					map { { IdentityPoolId => "eu-west-1:$_", IdentityPoolName => $_ } } names($n)
				],
				@more);
		},
		members =>
		  [ IdentityPoolId => $text->($IDENTITY_POOL), IdentityPoolName => $text->('the pool') ]
	},
	{
		call => "cognito_identities('srv')",
		operation => 'ListIdentities',
		parameters => { IdentityPoolId => $IDENTITY_POOL },
		items => 'Identities',
		size => 'MaxResults',
		fill => sub {
			my ($n, @more) = @_;
			identity_pool(identities => [ map { { IdentityId => "eu-west-1:$_" } } names($n) ],
				@more);
		},
		members => [
			IdentityId => $text->('eu-west-1:5'),
			Logins => [
				'["accounts.google.com", "a,b"]', '{accounts.google.com,"a,b"}',
				'is not a list', '{}', '"x"'
			],
			@dates
		]
	});

# The descriptions of one object: the same, with the reply's member that holds it.
my @descriptions = (
	{
		call => "cognito_user_pool('srv')",
		operation => 'DescribeUserPool',
		parameters => { UserPoolId => $USER_POOL },
		object => 'UserPool',
		members => [
			Id => $text->($USER_POOL),
			Name => $text->('the pool'),
			Arn => $text->('arn:aws:cognito-idp:eu-west-1:123456789012:userpool/x'),
			MfaConfiguration => $text->('OPTIONAL'),
			EstimatedNumberOfUsers => $integer,
			DeletionProtection => $text->('ACTIVE'),
			@dates
		],
		has_details => 1
	},
	{
		call => "cognito_app_client('srv', '7ab')",
		operation => 'DescribeUserPoolClient',
		parameters => { UserPoolId => $USER_POOL, ClientId => '7ab' },
		object => 'UserPoolClient',
		members => [ ClientId => $text->('7ab'), ClientName => $text->('the app'), @dates ],
		has_details => 1
	},
	{
		call => "cognito_identity_provider('srv', 'idp')",
		operation => 'DescribeIdentityProvider',
		parameters => { UserPoolId => $USER_POOL, ProviderName => 'idp' },
		object => 'IdentityProvider',
		members => [ ProviderName => $text->('idp'), ProviderType => $text->('SAML'), @dates ],
		has_details => 1
	},
	{
		call => "cognito_identity_pool('srv')",
		operation => 'DescribeIdentityPool',
		parameters => { IdentityPoolId => $IDENTITY_POOL },
		members => [
			IdentityPoolId => $text->($IDENTITY_POOL),
			IdentityPoolName => $text->('the pool'),
			AllowUnauthenticatedIdentities => $boolean,
			AllowClassicFlow => [ 'false', 'f', @$boolean[ 2 .. 5 ] ],
			DeveloperProviderName => $text->('login.example')
		],
		has_details => 1
	});


# Replace the contents of the user pool, the account and the identity pool.
sub pool { return $cognito->pool($USER_POOL, @_) }
sub account { return $cognito->control('PUT', 'account/eu-west-1', {@_}) }
sub identity_pool { return $cognito->control('PUT', "identity_pool/$IDENTITY_POOL", {@_}) }

# Return that many names, and groups with these names.
sub names { return map { "n$_" } 1 .. $_[0] }
sub groups { return [ map { { GroupName => $_ } } names($_[0]) ] }

# Returns an object with all members of an entity as JSON; some members are replaced.
sub object_of
{
	my ($entity, %other) = @_;
	my %members = @{ $entity->{members} };
	return '{'
	  . join(', ', map { qq("$_": ) . ($other{$_} // $members{$_}[0]) } sort keys %members) . '}';
}

# Returns the text of a row with all members, in the order of the columns.
sub row_of
{
	my ($entity) = @_;
	my @values = map { ref $_ ? $_->[1] : () } @{ $entity->{members} };
	return $entity->{row} // join('|', @values);
}

# Returns a response with one object: as the last item of a page, or as a description.
sub reply_with
{
	my ($entity, $object) = @_;
	return qq({"$entity->{items}": [{}, $object]}) if $entity->{items};
	return $entity->{object} ? qq({"$entity->{object}": $object}) : $object;
}

# Returns the result of a query for this response, or its error; all in one session.
sub result_of
{
	my ($entity, $reply, $query) = @_;
	$cognito->faults({ operation => $entity->{operation}, reply => { body => $reply } });
	my $result = Cognito::query($session, $query // "SELECT * FROM $entity->{call}");
	$cognito->faults;
	return $result . $session->{stderr};
}

# Checks the error for a response.
sub is_unusable
{
	my ($entity, $name, $reply, $detail) = @_;
	like(
		result_of($entity, $reply),
		qr/ERROR:  HV000: unusable reply from Cognito for server "srv"\nDETAIL:  $entity->{operation}: $detail\n/,
		"$entity->{operation}: $name");
	return;
}

# Checks that all requests have the parameters of the listing.
sub check_requests
{
	my ($listing, $name, @requests) = @_;
	my @asked = map { { %{ $_->{body} } } } @requests;

	delete $_->{NextToken} for @asked;
	is_deeply(
		\@asked,
		[ map { { %{ $listing->{parameters} }, $listing->{size} => 60 } } @requests ],
		"$listing->{operation}: $name: parameters");
	is(scalar(grep { $_->{operation} ne $listing->{operation} } @requests),
		0, "$listing->{operation}: $name: no other operations");
	return;
}


# Every size, and pages without items

for my $listing (@listings)
{
	for my $n (0, 1, 60, 61, 200)
	{
		$listing->{fill}->($n);
		my ($counts, @requests) = $cognito->query_with_requests($node,
			"SELECT count(*), count(DISTINCT r) FROM $listing->{call} AS r");
		is($counts, "$n|$n", "$listing->{operation}: $n distinct rows for $n items");
		is(@requests, max(1, int(($n + 59) / 60)), "$listing->{operation}: number of requests for $n items");
		check_requests($listing, $n, @requests);
	}

	$listing->{fill}->(130, empty_pages => 3);
	my ($count, @requests) = $cognito->query_with_requests($node, "SELECT count(*) FROM $listing->{call}");
	is($count, 130, "$listing->{operation}: empty pages do not end the listing");
	is(@requests, 12, "$listing->{operation}: number of requests with three empty pages after each page");
}


# Each member in its column; missing members are NULL; members of a wrong type are errors

for my $entity (@listings, @descriptions)
{
	my $is_listing = exists $entity->{items};
	my $where = $is_listing ? 'OFFSET 1' : '';
	my %members = @{ $entity->{members} };
	my $n = $is_listing ? 2 : '';
	my $item = $is_listing ? 'Item 2: member' : 'Member';

	my $row = result_of($entity, reply_with($entity, object_of($entity)),
		"SELECT * FROM $entity->{call} $where");
	$row =~ s/\|\{[^|]*\}$// if $entity->{has_details};
	is($row, row_of($entity), "$entity->{operation}: a row with all members");

	my $nothing = result_of($entity, reply_with($entity, '{}'), "SELECT * FROM $entity->{call} $where");
	like($nothing, $entity->{has_details} ? qr/^\|+\{\}$/ : qr/^\|+$/,
		"$entity->{operation}: a row without members");

	for my $member (sort keys %members)
	{
		my (undef, undef, $problem, @bad) = @{ $members{$member} };

		is(result_of($entity, reply_with($entity, object_of($entity, $member => 'null')),
				"SELECT count(*) FROM $entity->{call}"),
			$is_listing ? 2 : 1, "$entity->{operation}: $member may be null");
		is_unusable($entity, "$member $_", reply_with($entity, object_of($entity, $member => $_)),
			qq($item "$member" $problem\\.)) for @bad;
	}
	is_unusable($entity, 'a reply that is not JSON', '<html>', 'The reply is not valid JSON\.');
	is_unusable($entity, 'an empty reply', '', 'The reply is empty\.');
	is_unusable($entity, 'a reply that is a list', '[]', 'The reply is not a JSON object\.');
}

for my $listing (@listings)
{
	my $items = $listing->{items};

	is_unusable($listing, "an item that is $_", reply_with($listing, $_), 'Item 2 is not an object\.')
	  for 7, '"x"', 'null', '[]';
	is_unusable($listing, 'a missing list', '{}', qq(The reply has no member "$items"\\.));
	is_unusable($listing, "a list that is $_", qq({"$items": $_}), qq(Member "$items" is not a list\\.))
	  for 7, '"x"', 'null', '{}';
	is_unusable($listing, "a token that is $_", qq({"$items": [], "NextToken": $_}),
		'Member "NextToken" is not a string\.')
	  for 7, '["t"]', '{}';
	is(result_of($listing, qq({"$items": [], "NextToken": $_}), "SELECT count(*) FROM $listing->{call}"),
		0, "$listing->{operation}: a token that is $_ ends the listing")
	  for 'null', '""';
}
is_unusable($listings[-1], 'a login that is not a string',
	reply_with($listings[-1], '{"Logins": ["x", 7]}'),
	'Item 2: member "Logins" has an element that is not a string\.');

for my $description (grep { $_->{object} } @descriptions)
{
	my $object = $description->{object};

	is_unusable($description, 'a missing object', '{}', qq(The reply has no member "$object"\\.));
	is_unusable($description, "an object that is $_",
		qq({"$object": $_}), qq(Member "$object" is not an object\\.))
	  for 7, '"x"', 'null', '[]';
}


# Transient errors are retried, whatever the operation

pool(users => [ Cognito->user('ana') ], groups => [ { GroupName => 'a"group"' } ], clients => [ { ClientId => '7ab' } ],
	identity_providers => [ { ProviderName => 'idp' } ]);
identity_pool(identities => []);
account(user_pools => []);
for my $entity (@listings, @descriptions)
{
	for my $fault ({ error => 'InternalErrorException', status => 500 }, { close => 'midway' })
	{
		my $name = "$entity->{operation}: " . ($fault->{error} // 'a broken connection');

		$cognito->faults({ operation => $entity->{operation}, %$fault });
		$cognito->clear_requests;
		unlike(Cognito::query_error($session, "SELECT count(*) FROM $entity->{call}"),
			qr/ERROR/, "$name: the call succeeds");
		is_deeply([ map { $_->{operation} } $cognito->requests ],
			[ ($entity->{operation}) x 2 ], "$name: the request is retried once");
	}
}


# The details contain everything except the secret of an app client or an identity provider

for my $description (@descriptions)
{
	my $object = '{"Unknown": {"Zo\u00eb \"1\"": [1, 2.5, true, null, "x"]}, "Big": 12345678901}';
	is( result_of($description, reply_with($description, $object),
			"SELECT details = '$object' FROM $description->{call}"),
		't', "$description->{operation}: details contain unknown members");
}
is( result_of($descriptions[0], reply_with($descriptions[0],
			'{"Many": [1e300, 1e999, -0.0, 0.1, 1e-7, 123456789012345678, 0.30000000000000004, [], {}, [[]], {"": ""}],
				"a": 1, "b": {"c": null}, "a": [2]}'), "SELECT details FROM $descriptions[0]{call}"),
	'{"a": [2], "b": {"c": null}, "Many": [1' . '0' x 300
	  . ', null, 0, 0.1, 0.0000001, 123456789012345680, 0.3, [], {}, [[]], {"": ""}]}',
	'details: numbers have double precision, containers may be empty, the last of two members wins');
for my $description (@descriptions)
{
	my $many = reply_with($description, '{"Many": [' . '0,' x 30_000 . '0]}');
	my $more = reply_with($description, '{"Many": [' . '0,' x 35_000 . '0]}');
	is(result_of($description, $many, "SELECT jsonb_array_length(details->'Many') FROM $description->{call}"),
		30_001, "$description->{operation}: details of less than the maximum size");
	like(result_of($description, $more),
		qr/HV000: .*\nDETAIL:  $description->{operation}: The object is larger than 4 MB\./,
		"$description->{operation}: details of more than the maximum size");
}
my ($client) = grep { $_->{object} && $_->{object} eq 'UserPoolClient' } @descriptions;
is( result_of($client,
		reply_with($client, '{"ClientId": "7ab", "ClientSecret": "s3cret", "ClientSecret": "s3cret"}'),
		"SELECT r::text FROM $client->{call} r"),
	'(7ab,,,,"{""ClientId"": ""7ab""}")',
	'the secret of an app client is removed from its details');
unlike(
	result_of($client, reply_with($client, '{"ClientId": 7, "ClientSecret": "s3cret"}')),
	qr/s3cret/, 'an error does not contain the secret of an app client');
my ($provider) = grep { ($_->{object} // '') eq 'IdentityProvider' } @descriptions;
my @secrets = map { qq("$_": "s3cret") } qw(client_secret client_secret private_key CLIENT_SECRET);
for ([ '', '' ], [ ', "ProviderType": 7', ', and not in an error' ])
{
	my ($more, $where) = @$_;
	my $found = result_of($provider,
		reply_with($provider, '{"ProviderDetails": {' . join(', ', @secrets, '"client_id": "c1", "key_id": "k1"') . "}$more}"),
		"SELECT details::text FROM $provider->{call}");

	unlike($found, qr/s3cret/, "the secrets of an identity provider are removed from its details$where");
	is($found, '{"ProviderDetails": {"key_id": "k1", "client_id": "c1"}}', 'the other details of an identity provider remain') if !$more;
}


# Errors name the missing resource, or the action that must be allowed

pool(users => [ Cognito->user('ana') ], groups => [ { GroupName => 'admins' } ]);
identity_pool(identities => []);
for (
	[ "cognito_app_client('srv', 'none')", 'app client "none"', 'none does not exist' ],
	[ "cognito_identity_provider('srv', 'none')", 'identity provider "none"', 'none does not exist' ],
	[
		"cognito_identity_pool('srv', 'eu-west-1:00000000-0000-4000-8000-000000000000')",
		'identity pool "eu-west-1:00000000-0000-4000-8000-000000000000"', 'not found'
	],
	[
		"cognito_identities('srv', 'eu-west-1:00000000-0000-4000-8000-000000000000')",
		'identity pool "eu-west-1:00000000-0000-4000-8000-000000000000"', 'not found'
	])
{
	my ($call, $object, $words) = @$_;
	like(
		Cognito::error_of($node, "SELECT * FROM $call"),
		qr/ERROR:  42704: $object of server "srv" does not exist\nDETAIL:  .*$words/,
		"$call: the error names the missing object");
}

# A user or a group that does not exist has no rows; ListGroups tells a missing group from a missing pool

for (
	[ "cognito_group_users('srv', 'no-one''s')", 'ListUsersInGroup', 'ListGroups' ],
	[ "cognito_user_groups('srv', 'nobody')", 'AdminListGroupsForUser' ])
{
	my ($call, @operations) = @$_;
	my ($result, @requests) =
	  $cognito->query_with_requests($node, "SELECT count(*), count(g) FROM (SELECT 1) one LEFT JOIN LATERAL $call g ON true");
	is($result, '1|0', "$call: no rows, and those of the rest of the query");
	is_deeply([ map { $_->{operation} } @requests ], \@operations, "$call: the requests");
	is($requests[1]{body}{Limit}, 1, 'one group is enough') if @requests > 1;
}
$cognito->faults({ operation => 'ListUsersInGroup', error => 'ResourceNotFoundException', message => 'Group not found.' },
	{ operation => 'ListGroups', error => 'ResourceNotFoundException', message => 'User pool eu-west-1_Entities does not exist.' });
like(
	Cognito::error_of($node, "SELECT * FROM cognito_group_users('srv', 'admins')"),
	qr/42704: user pool "$USER_POOL" of server "srv" does not exist/,
	'a pool that is deleted meanwhile is an error, whatever is said of its group');
$cognito->faults({ operation => 'AdminListGroupsForUser', error => 'ResourceNotFoundException' });
like(
	Cognito::error_of($node, "SELECT * FROM cognito_user_groups('srv', 'ana')"),
	qr/42704: user pool "$USER_POOL" of server "srv" does not exist/, 'nor has a missing pool users without groups');
$cognito->faults;
$cognito->create_server($node, 'lost', user_pool_id => 'eu-west-1_None');
like(
	Cognito::error_of($node, "SELECT * FROM cognito_$_"),
	qr/ERROR:  42704: user pool "eu-west-1_None" of server "lost" does not exist\n.*\nHINT:  .*"user_pool_id"/,
	"$_: the error names the missing user pool")
  for "groups('lost')", "group_users('lost', 'admins')", "user_groups('lost', 'ana')",
  "user_pool('lost')", "app_clients('lost')", "app_client('lost', '7ab')",
  "identity_providers('lost')", "identity_provider('lost', 'idp')";

$cognito->control('PUT', 'keys',
	{ AKIDDENIED => { secret => 's', denied => [ map { $_->{operation} } @listings, @descriptions ] } });
$cognito->create_server(
	$node, 'denied',
	aws_access_key_id => 'AKIDDENIED',
	aws_secret_access_key => 's',
	user_pool_id => $USER_POOL,
	identity_pool_id => $IDENTITY_POOL,
	identity_endpoint_url => $cognito->url);
for my $entity (@listings, @descriptions)
{
	my $call = $entity->{call} =~ s/'srv'/'denied'/r;
	my $service = $entity->{operation} =~ /Identit(?:ies|yPools?)$/ ? 'cognito-identity' : 'cognito-idp';

	like(
		Cognito::error_of($node, "SELECT * FROM $call"),
		qr/ERROR:  42501: .*\nDETAIL:  .*\nHINT:  Allow the action $service:$entity->{operation} in/,
		"$entity->{operation}: the error names the action to allow");
}


# Arguments and options

like(
	Cognito::error_of($node, "SELECT * FROM cognito_$_->[0]"),
	qr/ERROR:  22004: argument "$_->[1]" of cognito_\w+ must not be null\n/,
	"cognito_$_->[0]: an argument that is NULL")
  for
  [ 'groups(NULL)', 'server_name' ],
  [ "group_users(NULL, 'x')", 'server_name' ],
  [ "group_users('srv', NULL)", 'group_name' ],
  [ "user_groups('srv', NULL)", 'username' ],
  [ 'user_pools(NULL)', 'server_name' ],
  [ 'user_pool(NULL)', 'server_name' ],
  [ 'app_clients(NULL)', 'server_name' ],
  [ "app_client('srv', NULL)", 'client_id' ],
  [ 'identity_providers(NULL)', 'server_name' ],
  [ "identity_provider('srv', NULL)", 'provider_name' ],
  [ 'identity_pools(NULL)', 'server_name' ],
  [ "identity_pool('srv', NULL)", 'identity_pool_id' ],
  [ "identities('srv', NULL)", 'identity_pool_id' ];

$cognito->create_server(
	$node, 'bare',
	user_pool_id => undef,
	identity_endpoint_url => $cognito->url);
for my $entity (@listings, @descriptions)
{
	my $call = $entity->{call} =~ s/'srv'/'bare'/r;
	my $pool =
		$entity->{parameters}{UserPoolId} ? 'user_pool_id'
	  : $entity->{parameters}{IdentityPoolId} ? 'identity_pool_id'
	  : undef;
	my $error = Cognito::error_of($node, "SELECT * FROM $call");

	if ($pool)
	{
		like($error, qr/ERROR:  HV00J: missing required option "$pool" for server "bare"\n/,
			"$entity->{operation}: requires option $pool");
	}
	else
	{
		is($error, '', "$entity->{operation}: requires no pool");
	}
}

# The user pool is given in place of the option; where the server has the option, it may only be the same

for my $entity (grep { $_->{parameters}{UserPoolId} } @listings, @descriptions)
{
	my $with_pool = sub {
		my ($server, $pool) = @_;
		return "SELECT count(*) FROM " . $entity->{call} =~ s/'srv'/'$server', $pool/r;
	};
	my $error_of = sub { Cognito::error_of($node, $with_pool->(@_)) };
	my $operation = $entity->{operation};

	pool(clients => [ { ClientId => '7ab' } ], identity_providers => [ { ProviderName => 'idp' } ]);
	$entity->{fill}->(2) if $entity->{fill};
	for my $server ('bare', 'srv')
	{
		my ($result, @requests) = $cognito->query_with_requests($node, $with_pool->($server, "'$USER_POOL'"));
		is($result, $entity->{fill} ? 2 : 1, "$operation, the pool as an argument on server $server: the rows");
		is_deeply([ map { $_->{body}{UserPoolId} } @requests ],
			[$USER_POOL], "$operation, the pool as an argument on server $server: it is asked");
	}
	$cognito->clear_requests;
	like(
		$error_of->('srv', "'eu-west-1_Other'"),
		qr/ERROR:  42501: permission denied for user pool "eu-west-1_Other" of server "srv"\nDETAIL:  .*\nHINT:  .*without/,
		"$operation: USAGE on a server of one pool does not give access to another");
	like(
		$error_of->('bare', "'eu-west-1'"),
		qr/ERROR:  22023: invalid value for argument "user_pool_id"\nDETAIL:  .* eu-west-1_AbCdEf123\.\n/,
		"$operation: no id of a user pool");
	like($error_of->('bare', 'NULL'), qr/ERROR:  22004: argument "user_pool_id" of cognito_\w+ must not be null/,
		"$operation: NULL as user pool");
	is(scalar $cognito->requests, 0, "$operation: nothing was sent for these");
}

identity_pool(identities => [ { IdentityId => 'eu-west-1:1' } ]);
is($node->safe_psql('postgres', "SELECT identity_id FROM cognito_identities('bare', '$IDENTITY_POOL')"),
	'eu-west-1:1', 'identities of an identity pool that is an argument');
is( $node->safe_psql('postgres', "SELECT id FROM cognito_identity_pool('bare', '$IDENTITY_POOL')"),
	$IDENTITY_POOL,
	'description of an identity pool that is an argument');


# Each service has its own endpoint

my $other = Cognito->new;
$cognito->create_server(
	$node, 'two_endpoints',
	identity_pool_id => $IDENTITY_POOL,
	identity_endpoint_url => $other->url);
$other->control('PUT', "identity_pool/$IDENTITY_POOL", {});
for my $service ($cognito, $other) { $service->clear_requests }
$node->safe_psql('postgres',
	"SELECT FROM cognito_groups('two_endpoints'); SELECT FROM cognito_identities('two_endpoints')");
is_deeply(
	[ map { [ map { $_->{operation} } $_->requests ] } $cognito, $other ],
	[ ['ListGroups'], ['ListIdentities'] ],
	'requests for user pools and identity pools go to different endpoints');
$cognito->create_server(
	$node, 'two_endpoints',
	identity_pool_id => $IDENTITY_POOL,
	identity_endpoint_url => 'http://127.0.0.1:1',
	max_retries => 0);
like(
	Cognito::error_of($node, "SELECT FROM cognito_identities('two_endpoints')"),
	qr/ERROR:  HV00N: .*\nDETAIL:  .*\nHINT:  .*"identity_endpoint_url"/,
	'the hint for an unreachable endpoint names the option');


# Views over the default server

$node->safe_psql('postgres', 'ALTER DATABASE postgres SET cognito_srf.default_server = srv');
my ($views) = $node->safe_psql('postgres',
	"SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
	 WHERE relkind = 'v' AND relname ~ '^cognito_' AND relname <> 'cognito_statistics'");
for my $entity (@listings, @descriptions)
{
	my ($function) = $entity->{call} =~ /^(\w+)\('srv'\)$/ or next;
	my ($rows, @requests) = $cognito->query_with_requests($node, "SELECT count(*) FROM $function");

	is($requests[0]{operation}, $entity->{operation}, "$function: the view reads the default server");
	like($views, qr/\b$function\b/, "$function: there is a default view");
}

is_deeply([ $cognito->violations, $other->violations ], [], 'every request was well-formed');
done_testing();
