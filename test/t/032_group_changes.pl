# Adding users to groups and removing them, and the documented pattern that mirrors roles to groups at commit.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use List::Util qw(uniq);
use PostgreSQL::Test::Utils;
use Test::More;

my $POOL = 'eu-west-1_AbCdEf123';
my %OPERATIONS = (add => 'AdminAddUserToGroup', remove => 'AdminRemoveUserFromGroup');
my %SIGNS = (AdminAddUserToGroup => '+', AdminRemoveUserFromGroup => '-');

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

# Runs statements as superuser.
sub run
{
	my ($statements) = @_;
	return decode_utf8($node->safe_psql('postgres', encode_utf8($statements)));
}

# Runs statements; returns the error, or an empty string, and the requests that write.
sub attempt
{
	my ($statements) = @_;
	$cognito->clear_requests;
	my $error = Cognito::error_of($node, encode_utf8($statements));
	return (decode_utf8($error), grep { $SIGNS{ $_->{operation} } } $cognito->requests);
}

# Returns the statement that adds a user to a group, or removes one.
sub call
{
	my ($verb, $user, $group, $server) = @_;
	my $function = $verb eq 'add' ? 'cognito_add_user_to_group' : 'cognito_remove_user_from_group';
	return sprintf 'SELECT %s(%s);', $function,
	  join ', ', map { Cognito::quote($_) } $server // 'srv', $user, $group;
}

# Returns whether a user is in a group according to both listings, as "group: t, user: t".
sub membership
{
	my ($user, $group) = map { Cognito::quote($_) } @_;
	return run(<<"SQL");
SELECT format('group: %s, user: %s',
	EXISTS (SELECT FROM cognito_group_users('srv', $group) WHERE username = $user),
	EXISTS (SELECT FROM cognito_user_groups('srv', $user) WHERE group_name = $group))
SQL
}

my ($in, $out) = ('group: t, user: t', 'group: f, user: f');


# The functions: they are idempotent and send one request

$cognito->create_server($node, 'srv');
my %odd_users = ('a user whose name has quotes' => q(O'Neil"\\), 'a user whose name is not ASCII' => '李小龙🐘');
my %odd_groups = ('a group whose name has quotes' => q("Ärzte's"\\%), 'a group whose name is not ASCII' => '読者');
$cognito->pool(
	'eu-west-1_Odd',
	users => [ map { Cognito->user($_) } values %odd_users ],
	groups => [ map { { GroupName => $_ } } values %odd_groups ]);
$cognito->create_server($node, 'odd', user_pool_id => 'eu-west-1_Odd');

for (
	[ 'add', $in ], [ 'add', $in, 'again' ], [ 'remove', $out ], [ 'remove', $out, 'again' ])
{
	my ($verb, $expected, $again) = @$_;
	my $name = join ' ', $verb, $again // ();
	my ($error, @requests) = attempt(call($verb, 'liam.smith', 'editors'));

	is($error, '', "$name: succeeds");
	is_deeply(
		[ map { [ @$_{qw(operation body)} ] } @requests ],
		[ [ $OPERATIONS{$verb},
				{ UserPoolId => $POOL, Username => 'liam.smith', GroupName => 'editors' } ] ],
		"$name: one request, with these parameters only");
	is(membership('liam.smith', 'editors'), $expected, "$name: both listings show the result");
}
is(run(call('add', 'liam.smith', 'editors')), '', 'the function returns nothing');
is(membership('liam.smith', 'viewers'), $out, 'other groups are unchanged');
is(membership('ana.sato', 'editors'), $out, 'other users are unchanged');
run(call('remove', 'liam.smith', 'editors'));

for my $users (sort keys %odd_users)
{
	for my $groups (sort keys %odd_groups)
	{
		my ($user, $group) = ($odd_users{$users}, $odd_groups{$groups});
		my $members =
		  sprintf q(SELECT username FROM cognito_group_users('odd', %s)), Cognito::quote($group);

		is((attempt(call('add', $user, $group, 'odd')))[0], '', "$users, $groups: adding succeeds");
		is(run($members), $user, "$users, $groups: the user is a member");
		is((attempt(call('remove', $user, $group, 'odd')))[0], '', "$users, $groups: removing succeeds");
		is(run($members), '', "$users, $groups: the group is empty");
	}
}


# Missing resources and permissions

$cognito->create_server($node, 'elsewhere', user_pool_id => 'eu-west-1_None');
$cognito->control('PUT', 'keys', { AKIAREADER => { secret => 's', denied => [ values %OPERATIONS ] } });
$cognito->create_server($node, 'reader',
	aws_access_key_id => 'AKIAREADER', aws_secret_access_key => 's');
run('CREATE ROLE reader; CREATE ROLE writer; GRANT USAGE ON FOREIGN SERVER srv TO reader;
	GRANT EXECUTE ON FUNCTION cognito_add_user_to_group, cognito_remove_user_from_group TO writer');
for my $verb ('add', 'remove')
{
	my $function = $verb eq 'add' ? 'cognito_add_user_to_group' : 'cognito_remove_user_from_group';
	my $operation = $OPERATIONS{$verb};

	for (
		[ 'a missing user', 'user "nobody"', 'nobody', 'admins', 'srv' ],
		[ 'a missing group', 'group "none"', 'ana.sato', 'none', 'srv' ],
		[ 'a missing pool', 'user pool "eu-west-1_None"', 'ana.sato', 'admins', 'elsewhere' ])
	{
		my ($name, $object, $user, $group, $server) = @$_;
		my ($error, @requests) = attempt(call($verb, $user, $group, $server));
		like(
			$error,
			qr/ERROR:  42704: $object of server "$server" does not exist\nDETAIL:  $operation: /,
			"$verb, $name: the error names it");
		is(@requests, 1, "$verb, $name: no retry");
	}
	like((attempt(call($verb, 'ana.sato', 'admins', 'reader')))[0],
		qr/ERROR:  42501: permission denied by IAM .* "reader"\nDETAIL: .*\nHINT: .* action cognito-idp:$operation /,
		"$verb, denied by IAM: the error names the action");

	for (
		[ 'server_name', "NULL, 'ana.sato', 'admins'" ],
		[ 'username', "'srv', NULL, 'admins'" ],
		[ 'group_name', "'srv', 'ana.sato', NULL" ])
	{
		my ($argument, $list) = @$_;
		my ($error, @requests) = attempt("SELECT $function($list)");
		like($error, qr/ERROR:  22004: argument "$argument" of $function must not be null\n/,
			"$verb, $argument NULL: the error names the argument");
		is(@requests, 0, "$verb, $argument NULL: no request");
	}
	for (
		[ 'a missing server', qr/42704: server "gone" does not exist/, '', 'gone' ],
		[ 'a read-only transaction', qr/25006: cannot execute $function/, 'BEGIN READ ONLY;', 'srv' ],
		[ 'offline', qr/55000: cannot write to Cognito /, 'SET cognito_srf.offline = on;', 'srv' ],
		[ 'no EXECUTE', qr/42501: permission denied for function $function/, 'SET ROLE reader;', 'srv' ],
		[ 'no USAGE', qr/42501: permission denied for server "srv"/, 'SET ROLE writer;', 'srv' ])
	{
		my ($name, $text, $before, $server) = @$_;
		# the library may not be loaded before its setting is set
		my ($error, @requests) =
		  attempt("LOAD 'cognito_srf'; $before " . call($verb, 'ana.sato', 'admins', $server));
		like($error, qr/ERROR:  $text/, "$verb, $name: the call fails");
		is(@requests, 0, "$verb, $name: no request");
	}
}


# Retries and responses

my $throttled = { error => 'TooManyRequestsException' };
for (
	[ 'throttling, twice', 3, { %$throttled, times => 2 } ],
	[ 'a connection lost after the change', 2, { close => 'before' } ],
	[ 'a connection lost amid the header lines', 2, { close => 'headers' } ],
	[ 'a failing service', 2, { reply => { status => 503 } } ])
{
	my ($name, $count, $fault) = @$_;
	for (map { [ $_ => $_ eq 'add' ? $in : $out ] } 'add', 'remove')
	{
		my ($verb, $expected) = @$_;
		$cognito->faults({ %$fault, operation => $OPERATIONS{$verb} });
		my ($error, @requests) = attempt(call($verb, 'liam.smith', 'viewers'));
		is($error, '', "$verb, $name: the call succeeds");
		is(@requests, $count, "$verb, $name: $count requests");
		is(membership('liam.smith', 'viewers'), $expected, "$verb, $name: the listings show the result");
	}
}
$cognito->create_server($node, 'hasty', max_retries => 0);
for my $verb ('add', 'remove')
{
	$cognito->faults({ %$throttled, times => -1 });
	my ($error, @requests) = attempt(call($verb, 'liam.smith', 'viewers', 'hasty'));
	like($error, qr/ERROR:  53400:/, "$verb, throttling without retries: the call fails");
	is(@requests, 1, "$verb, throttling without retries: max_retries is complied with");

	for my $body ('', '{}')
	{
		$cognito->faults({ reply => { body => $body } });
		my ($error, @requests) = attempt(call($verb, 'liam.smith', 'viewers'));
		is($error, '', "$verb, response '$body': the call succeeds");
		is(@requests, 1, "$verb, response '$body': no retry");
	}
	for my $body ('<html>', '[]', '{"a":')
	{
		$cognito->faults({ reply => { body => $body } });
		my ($error) = attempt(call($verb, 'liam.smith', 'viewers'));
		like($error, qr/ERROR:  HV000: unusable reply from Cognito for server "\w+"\n/,
			"$verb, response '$body': the call fails");
	}
}
$cognito->faults;


# Cancels

# Runs a statement whose first request gets no response, and cancels it; returns the error.
sub canceled
{
	my ($session, $statement) = @_;
	my $pid = Cognito::query($session, 'SELECT pg_backend_pid()');

	$cognito->faults({ stall => 'response' });
	$cognito->clear_requests;
	$session->{stderr} = '';
	$session->query_until(qr/started/, "\\echo started\n$statement\n");
	$node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Extension' FROM pg_stat_activity WHERE pid = $pid");
	run("SELECT pg_cancel_backend($pid)");
	pump_until($session->{run}, $session->{timeout}, \$session->{stderr}, qr/LOCATION/);
	return $session->{stderr};
}

my $session = Cognito::session($node);
my $user_request = qr/57014: canceling statement due to user request/;
for my $verb ('add', 'remove')
{
	my $call = call($verb, 'liam.smith', 'viewers');
	like(canceled($session, $call), $user_request, "$verb: the call is canceled");
	is(scalar(my @requests = $cognito->requests), 1, "$verb: it was waiting for a response");
	is(Cognito::query_error($session, $call), '', "$verb: the session remains usable");
}


# The pattern: the blocks of the manual, executed with the user pool of the demo

my $manual = decode_utf8(slurp_file("$FindBin::Bin/../../docs/groups.md"));

# Returns the blocks of SQL of a chapter of the manual.
sub chapter
{
	my ($title) = @_;
	my ($text) = $manual =~ /^## $title\n(.*?)(?=^## |\z)/ms;
	return $text =~ /^```sql\n(.*?)^```$/msg;
}

my ($privileges, $pattern, $example) = chapter('Mirror roles to groups');
my ($view, $reconcile) = chapter('Compare and repair');
my ($repair) = $reconcile =~ /^(BEGIN;\n.*^COMMIT;\n)/ms;

# Runs statements; returns their error, and what they write as "+user group" and "-user group".
sub mirrored
{
	my ($statements) = @_;
	my ($error, @requests) = attempt($statements);
	return ($error,
		map { "$SIGNS{ $_->{operation} }$_->{body}{Username} $_->{body}{GroupName}" } @requests);
}

# Checks that statements succeed and send only these writes.
sub writes
{
	my ($name, $statements, @expected) = @_;
	my ($error, @writes) = mirrored($statements);
	is($error, '', "$name: the statements succeed");
	is_deeply(\@writes, \@expected, "$name: only the necessary requests are sent");
	return;
}

# Checks that statements fail and change no table, after these writes.
sub fails
{
	my ($name, $pattern, $statements, @expected) = @_;
	my $before = stored();
	my ($error, @writes) = mirrored($statements);
	like($error, $pattern, "$name: the statements fail") if $pattern;
	is_deeply(\@writes, \@expected, @expected ? "$name: requests before the failure" : "$name: no request is sent");
	is(stored(), $before, "$name: the tables are unchanged");
	return;
}

# Returns the contents of the tables.
sub stored { return run('SELECT * FROM users ORDER BY 1; TABLE roles ORDER BY 1; TABLE user_roles ORDER BY 1, 2') }

# Returns the values of a row of user_roles.
sub row { my ($user, $role) = @_; return "('$user', '$role')" }
sub insert { return 'INSERT INTO user_roles VALUES ' . join(', ', map { row(@$_) } @_) . ';' }
sub delete_row { return 'DELETE FROM user_roles WHERE (username, role) = ' . row(@_) . ';' }

# Returns the differences between Cognito and the tables.
sub differences
{
	return run('TABLE role_differences ORDER BY 1, 2');
}

my ($ana, $liam, $noah) = qw(ana.sato liam.smith noah.wang);
$cognito->create_server($node, 'cognito_server');
{
	my ($error, @requests) = attempt($privileges . $pattern);
	is($error, '', 'the statements of the pattern succeed');
	is(@requests, 0, 'creating the pattern sends no request that writes');
}
run('CREATE TABLE everybody AS SELECT username, sub FROM users');
is(run('SELECT pg_typeof(sub), pg_typeof(email) FROM users LIMIT 1'), 'uuid|citext', 'types of the columns of users');
is(
	run(q(SELECT count(*) FROM users u JOIN cognito_users c ON c.attributes->>'sub' = u.sub::text
		AND c.username = u.username AND c.email IS NOT DISTINCT FROM u.email
		AND c.attributes->>'phone_number' IS NOT DISTINCT FROM u.phone_number)),
	300, 'users contains the users of the pool');
is(run('SELECT string_agg(name, $$ $$ ORDER BY name) FROM roles'),
	'admins editors viewers', 'roles contains the groups');
is(
	run('SELECT string_agg(role, $$ $$ ORDER BY role) FROM user_roles WHERE username = $$noah.wang$$'),
	'admins viewers', 'user_roles contains the memberships');

is(run($example), "admins\nviewers", 'inserting a row into user_roles adds the user to the group');
run($view);
like(run($reconcile), qr/^\n$liam\|editors\|t\|$/, 'the comparison finds a difference');
is(differences(), '', 'the repair removes the difference');
run(call('remove', $noah, 'admins') . call('add', $liam, 'viewers'));
is(differences(), "$liam|viewers|t\n$noah|admins|f", 'the comparison finds a missing and an additional membership');
{
	my ($error, @writes) = mirrored($repair);
	is($error, '', 'the repair succeeds');
	is_deeply([ sort @writes ], [ "+$noah admins", "-$liam viewers" ],
		'the repair sends only the necessary requests');
}
is(differences(), '', 'no difference is left after the repair');
run(delete_row($ana, 'admins'));


# Errors before the calls: no request is sent

my $grant = insert([ $liam, 'editors' ], [ $liam, 'viewers' ]);
fails('ROLLBACK', undef, "BEGIN; $grant ROLLBACK");
fails('an error', qr/22012/, "BEGIN; $grant SELECT 1 / 0; COMMIT");
fails('a connection that ends in a transaction', undef, "BEGIN; $grant");
fails('a missing role', qr/23503/, "BEGIN; $grant " . insert([ $ana, 'kings' ]) . 'COMMIT');
fails('a duplicate row', qr/23505/, "BEGIN; $grant " . insert([ $noah, 'admins' ]) . 'COMMIT');
fails('a statement outside a transaction block', qr/23503/, insert([ $liam, 'editors' ], [ $liam, 'kings' ]));

run('ALTER TABLE users ADD CONSTRAINT one_email UNIQUE (email) DEFERRABLE INITIALLY DEFERRED;
	ALTER TABLE user_roles ALTER CONSTRAINT user_roles_username_fkey DEFERRABLE INITIALLY DEFERRED');
my $violation = qq(UPDATE users SET email = 'ANA.SATO\@EXAMPLE.COM' WHERE username = '$liam';);
fails('a deferred constraint', qr/23505: .*"one_email"/,
	"BEGIN; $violation $grant COMMIT");
fails('a deferred foreign key of the same row', qr/23503: .*user_roles_username_fkey/,
	q(INSERT INTO user_roles VALUES ('nobody', 'admins')));

# Errors after the calls: as documented, the writes remain; repeating the transaction repairs it
fails('a deferred constraint that is checked later', qr/23505/, "BEGIN; $grant $violation COMMIT",
	"+$liam editors", "+$liam viewers");
is(differences(), "$liam|editors|t\n$liam|viewers|t", 'after the error Cognito keeps what was written');
writes('the same transaction, repeated', "BEGIN; $grant COMMIT", "+$liam editors", "+$liam viewers");
is(differences(), '', 'after the repetition there is no difference');
run('ALTER TABLE users DROP CONSTRAINT one_email;
	ALTER TABLE user_roles ALTER CONSTRAINT user_roles_username_fkey NOT DEFERRABLE');


# A commit writes the final state

run(delete_row($liam, 'viewers'));
is(membership($liam, 'editors'), $in, 'a role that was granted is a membership');
is(membership($liam, 'viewers'), $out, 'a role that was revoked is not a membership');
my $viewer = insert([ $liam, 'viewers' ]);
my $no_viewer = delete_row($liam, 'viewers');
writes('a row that is inserted and deleted', "BEGIN; $viewer $no_viewer COMMIT", "-$liam viewers");
writes('a row that is inserted, deleted and inserted', "BEGIN; $viewer $no_viewer $viewer COMMIT", ("+$liam viewers") x 2);
writes('a row that is deleted and inserted', "BEGIN; $no_viewer $viewer COMMIT", "+$liam viewers");
writes(
	'a savepoint that was rolled back',
	"BEGIN; $no_viewer SAVEPOINT s; " . insert([ $liam, 'admins' ]) . 'ROLLBACK TO s; COMMIT',
	"-$liam viewers");
writes(
	'an update of the role',
	"UPDATE user_roles SET role = 'viewers' WHERE (username, role) = " . row($liam, 'editors'),
	"-$liam editors", "+$liam viewers");
writes(
	'an update of the role that is undone',
	"BEGIN; UPDATE user_roles SET role = 'editors' WHERE (username, role) = " . row($liam, 'viewers') . ';'
	  . "UPDATE user_roles SET role = 'viewers' WHERE (username, role) = " . row($liam, 'editors') . '; COMMIT',
	"-$liam editors", "+$liam viewers");
writes('ON CONFLICT DO NOTHING',
	insert([ $liam, 'viewers' ], [ $liam, 'admins' ]) =~ s/;/ ON CONFLICT DO NOTHING;/r,
	"+$liam admins");
writes('ON CONFLICT DO UPDATE',
	insert([ $liam, 'admins' ]) =~ s/;/ ON CONFLICT (username, role) DO UPDATE SET role = excluded.role/r,
	"+$liam admins");
writes('COPY', "COPY user_roles FROM stdin;\n$ana\tadmins\n$ana\teditors\n\\.\n",
	"+$ana admins", "+$ana editors");
$cognito->faults({ %$throttled, operation => $OPERATIONS{remove} });
writes('throttling', delete_row($ana, 'editors'), ("-$ana editors") x 2);
$cognito->faults;

{
	my $federated = run("SELECT min(username) FROM cognito_users('cognito_server')
		WHERE status = 'EXTERNAL_PROVIDER'");
	writes('adding a federated user', insert([ $federated, 'admins' ]), "+$federated admins");
	writes('removing a federated user', delete_row($federated, 'admins'), "-$federated admins");
}

{
	my $session = Cognito::session($node);
	$cognito->clear_requests;
	Cognito::query($session, "BEGIN; SELECT sub FROM users LIMIT 1; $no_viewer");
	is(scalar(my @before = $cognito->requests), 0, 'no request is sent before the commit');
	is(Cognito::query_error($session, 'COMMIT'), '', 'the commit succeeds');
	is(scalar(my @after = $cognito->requests), 1, 'the commit sends the request');
	$session->quit;
}

writes('a user who is deleted', "DELETE FROM users WHERE username = '$noah'",
	"-$noah admins", "-$noah viewers");
is(membership($noah, 'admins'), $out, 'a user who is deleted is in no group');
writes(
	'a user who is inserted with a role',
	"BEGIN; INSERT INTO users SELECT username, sub FROM everybody WHERE username = '$noah';"
	  . insert([ $noah, 'editors' ]) . 'COMMIT',
	"+$noah editors");
run("DELETE FROM user_roles WHERE role = 'admins' AND username NOT IN ('$ana', '$liam')");
{
	my ($error, @writes) = mirrored("DELETE FROM roles WHERE name = 'admins'");
	is($error, '', 'deleting a role succeeds');
	is_deeply([ sort @writes ], [ "-$ana admins", "-$liam admins" ], 'deleting a role removes its users from the group');
}
is(differences(), '', 'the memberships in Cognito and in the tables are the same');


# A refused or canceled request makes the commit fail

run(q(INSERT INTO roles VALUES ('ghosts')));
my $no_group = qr/\d: ERROR:  42704: group "ghosts" of server "cognito_server" does not exist/;
fails('a missing group', $no_group, 'BEGIN; ' . insert([ $liam, 'ghosts' ]) . 'COMMIT', "+$liam ghosts");
fails('a missing group, after a group that exists',
	$no_group, insert([ $liam, 'viewers' ], [ $liam, 'ghosts' ]), "+$liam viewers", "+$liam ghosts");
is(differences(), "$liam|viewers|t", 'the comparison ignores a role without a group');
run(q(DELETE FROM roles WHERE name = 'ghosts'));
is(differences(), "$liam|viewers|t", 'the request before the failure has been sent');
run($repair);

my $before = stored();
Cognito::query($session, "BEGIN; $viewer");
like(canceled($session, 'COMMIT;'), $user_request, 'a commit that waits for a response is canceled');
is(stored(), $before, 'a commit that was canceled: the tables are unchanged');
is(Cognito::query($session, 'SELECT 1'), 1, 'a commit that was canceled: the session remains usable');
$session->quit;
fails('cognito_srf.offline', qr/55000/, "LOAD 'cognito_srf'; SET cognito_srf.offline = on; $viewer");
fails('a transaction that becomes read-only', qr/25006/, "BEGIN; $viewer SET TRANSACTION READ ONLY; COMMIT");
writes('the same change after these failures', $viewer, "+$liam viewers");


# Privileges: only the owner of the function needs USAGE and EXECUTE

run('CREATE ROLE clerk; GRANT CREATE, USAGE ON SCHEMA public TO clerk;
	GRANT SELECT, INSERT, UPDATE, DELETE ON user_roles TO clerk; GRANT SELECT ON role_differences TO clerk');
my ($usage, $execute) = $privileges =~ /^GRANT ((?:USAGE|EXECUTE) .*) TO app_owner;$/mg;
run("REVOKE $_ FROM app_owner") for $usage, $execute;
my $denied = qr/42501: permission denied for server "cognito_server"/;
fails('an owner of the function without EXECUTE',
	qr/42501: permission denied for function cognito_remove_user_from_group/,
	"SET ROLE clerk; $no_viewer");
run("GRANT $execute TO app_owner");
fails('an owner of the function without USAGE', $denied, "SET ROLE clerk; $no_viewer");
run("GRANT $usage TO app_owner");
writes('a role without USAGE and EXECUTE, if the owner has both', "SET ROLE clerk; $no_viewer", "-$liam viewers");
fails('a direct call by that role', qr/42501: permission denied for function cognito_add_user_to_group/,
	'SET ROLE clerk; ' . call('add', $liam, 'viewers', 'cognito_server'));
fails('the comparison, by that role', $denied, 'SET ROLE clerk; TABLE role_differences');
$cognito->create_server($node, 'decoy', user_pool_id => 'eu-west-1_Users61');
run('GRANT USAGE ON FOREIGN SERVER decoy TO PUBLIC');
writes('a role that sets another default server',
	"LOAD 'cognito_srf'; SET ROLE clerk; SET cognito_srf.default_server = 'decoy'; $viewer $no_viewer",
	"+$liam viewers", "-$liam viewers");
is_deeply([ uniq map { $_->{body}{UserPoolId} } $cognito->requests ],
	[$POOL], 'a role that sets another default server: only the pool of the pattern is changed');
fails('a trigger that the role creates on its own table', qr/42501: permission denied for function mirror_role/,
	'SET ROLE clerk; CREATE TABLE mine (username text, role text);
	CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION mirror_role()');
writes(
	'temporary tables and functions of the same names', <<"SQL", "+$liam viewers");
SET ROLE clerk;
CREATE TEMP TABLE user_roles (username text, role text);
CREATE FUNCTION pg_temp.cognito_add_user_to_group(text, text, text) RETURNS void
	AS 'SELECT 1 / 0' LANGUAGE sql;
SET search_path = pg_temp, public;
@{[ $viewer =~ s/INTO /INTO public./r ]}
SQL


# Two sessions that change the same row: the requests are sent in the order of the commits

$cognito->clear_requests;
my ($first, $second) = (Cognito::session($node), Cognito::session($node));
my $waiting = Cognito::query($second, 'SELECT pg_backend_pid()');
Cognito::query($first, "BEGIN; $no_viewer");
$second->query_until(qr/started/, "\\echo started\n$viewer\n\\echo inserted\n");
ok(
	$node->poll_query_until('postgres',
		"SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $waiting"),
	'the second session waits for the first');
Cognito::query($first, 'COMMIT');
Cognito::query($second, '');
is_deeply(
	[ map { $SIGNS{ $_->{operation} } } $cognito->requests ],
	[ '-', '+' ],
	'the second session sends its request after that of the first');
is(membership($liam, 'viewers'), $in, 'the change of the second session remains');
$_->quit for $first, $second;
is(differences(), '', 'at the end the memberships in Cognito and in the tables are the same');

is_deeply([ $cognito->violations ], [], 'every request was well-formed');

done_testing();
