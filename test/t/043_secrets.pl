# Secrets are in no message, log, plan or statistics view, whatever fails and however much is logged.
#
# The extension cannot prevent that PostgreSQL itself logs a statement with a secret:
# because all statements are logged (log_statement), or because PostgreSQL refuses it
# (a syntax error, an option given twice).
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use IO::Socket::INET;
use PostgreSQL::Test::Utils;
use Test::More;

# Secrets that must not be found, and a text that must be found once it has been used.
my %secrets = (
	server => 'hidden/in/SERVER/aaaaaaaaaaaaaaaaaaaaaaa',
	mapping => 'hidden/in/MAPPING/bbbbbbbbbbbbbbbbbbbbb',
	vault => 'hidden/in/VAULT/ccccccccccccccccccccccc',
	token => 'hidden/as/TOKEN/ddddddddddddddddddddddd',
	environment => 'hidden/in/ENVIRONMENT/ggggggggggggggggg',
	web => 'hidden/in/WEB/hhhhhhhhhhhhhhhhhhhhhhhhh',
	container => 'hidden/in/CONTAINER/iiiiiiiiiiiiiiiiiii',
	issued => 'hidden/in/ISSUED/jjjjjjjjjjjjjjjjjjjjjj',
	issued_token => 'hidden/in/ISSUED/TOKEN/kkkkkkkkkkkkkkkk',
	mistaken => 'hidden/in/MISTAKE/eeeeeeeeeeeeeeeeeeee');
my $planted = 'hidden/to/be/FOUND/ffffffffffffffffffff';

my $cognito = Cognito->new;
my $web_file = PostgreSQL::Test::Utils::tempdir() . '/web';
append_to_file($web_file, $secrets{web});

# The environment of the server process offers credentials of each kind.
@ENV{qw(AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN)} =
  ('AKIAENVIRONMENT', $secrets{environment}, $secrets{token});
@ENV{qw(AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN)} =
  ($web_file, 'arn:aws:iam::123456789012:role/reader');
$ENV{AWS_CONTAINER_CREDENTIALS_FULL_URI} = $cognito->url . '/v2/credentials/a';
$ENV{AWS_CONTAINER_AUTHORIZATION_TOKEN} = $secrets{container};
$ENV{AWS_EC2_METADATA_SERVICE_ENDPOINT} = $cognito->url;

my $node = Cognito::cluster(
	'main',
	q(shared_preload_libraries = 'auto_explain, pg_stat_statements'),
	'log_min_error_statement = warning',
	'log_error_verbosity = verbose',
	'log_statement = none',
	'pg_stat_statements.track = all',
	'pg_stat_statements.track_utility = off');

# PostgreSQL itself logs its environment when it starts with debug3 or more.
$node->append_conf('postgresql.conf', 'log_min_messages = debug5');
$node->reload;

# Settings of a session that logs, and sends to its client, as much as possible.
my $LOUD = <<'SQL';
SET client_min_messages = debug5;
SET debug_pretty_print = off;
SET debug_print_parse = on;
SET debug_print_rewritten = on;
SET debug_print_plan = on;
SET log_min_duration_statement = 0;
SET auto_explain.log_min_duration = 0;
SET auto_explain.log_nested_statements = on;
SET auto_explain.log_verbose = on;
SET auto_explain.log_analyze = on;
SQL

# The output of all clients and of pg_stat_activity so far.
my $client = '';
my $activity = '';

# Runs statements that may fail; returns their errors.
sub run
{
	my ($statements) = @_;
	my ($code, $out, $err) =
	  $node->psql('postgres', "\\set VERBOSITY verbose\n$statements", on_error_stop => 0);

	$client .= "$out\n$err\n";
	return $err;
}

# Expects an error of a query.
sub query_fails
{
	my ($sqlstate, $name, $query) = @_;
	return like(run("$LOUD$query"), qr/ERROR:  $sqlstate:/, "$name fails");
}

# Expects an error of a command on a server or a user mapping.
sub is_refused
{
	my ($sqlstate, $command) = @_;
	my $name = $command;

	$name =~ s/$secrets{$_}/<$_>/g for keys %secrets;
	return like(run("SET client_min_messages = debug5; $command"),
		qr/ERROR:  $sqlstate:/, "$name fails");
}

# Returns the forms in which PostgreSQL shows bytes: as text, in hexadecimal, and in a dumped constant.
sub forms
{
	my ($secret) = @_;
	return ($secret, unpack('H*', $secret), join(' ', unpack('C*', $secret)));
}

# Returns the places where a secret is found, regardless of line breaks.
sub places
{
	my ($secret) = @_;
	my %texts = (
		log => slurp_file($node->logfile),
		client => $client,
		activity => $activity,
		statements => $node->safe_psql('postgres', 'SELECT query FROM pg_stat_statements'));
	my @found;

	for my $place (sort keys %texts)
	{
		$texts{$place} =~ s/\s+/ /g;
		push @found, map { "$place: $_" } grep { index($texts{$place}, $_) >= 0 } forms($secret);
	}
	return @found;
}

# Creates a server with a session token.
sub create_server
{
	my ($name, %options) = @_;
	return $cognito->create_server($node, $name,
		aws_access_key_id => 'AKIASERVER',
		aws_secret_access_key => $secrets{server},
		aws_session_token => $secrets{token},
		max_retries => 0,
		connect_timeout => '2s',
		request_timeout => '2s',
		%options);
}

$node->safe_psql('postgres', 'CREATE EXTENSION pg_stat_statements');
$cognito->control(
	'PUT', 'keys',
	{
		AKIASERVER => { secret => $secrets{server}, token => $secrets{token} },
		AKIAMAPPING => { secret => $secrets{mapping}, token => $secrets{token} },
		AKIAVAULT => { secret => $secrets{vault} },
		AKIAEXPIRED => { secret => $secrets{server}, token => $secrets{token}, expired => 1 }
	});
Cognito::create_vault($node);
$node->safe_psql('postgres', "SELECT vault.create_secret('$secrets{vault}', 'vaulted')");
$node->safe_psql('postgres', "SELECT vault.create_secret(E'$secrets{vault}\\n', 'pasted')");

# Commands that the validator refuses, each with a secret beside the mistake, or in it

my $server = 'CREATE SERVER refused FOREIGN DATA WRAPPER cognito_wrapper OPTIONS';
my $secret = "aws_access_key_id 'A', aws_secret_access_key '$secrets{server}', "
  . "aws_session_token '$secrets{token}'";
is_refused('HV00D', "$server ($secret, regoin 'eu-west-1')");
is_refused('HV00A', "$server ($secret, region 'eu west')");
is_refused('HV00A', "$server ($secret, region '$secrets{mistaken}')");
is_refused('HV00A', "$server ($secret, user_pool_id '$secrets{mistaken}')");
is_refused('HV00A', "$server ($secret, endpoint_url 'ftp://127.0.0.1')");
is_refused('HV00A', "$server ($secret, endpoint_url 'http://example.com')");
is_refused('HV00A', "$server ($secret, endpoint_url 'https://user:$secrets{mistaken}\@host')");
is_refused('HV00A', "$server (aws_secret_access_key E'$secrets{server}\\n')");
is_refused('HV00A', "$server (aws_access_key_id 'A $secrets{mistaken}')");
is_refused('HV00A', "$server ($secret, api_key_id '')");
is_refused('22023', "$server ($secret, api_key_id '$secrets{mistaken}')");
is_refused('22023', "$server ($secret, connect_timeout '5 parsecs')");
is_refused('22023', "$server ($secret, request_timeout '$secrets{mistaken}')");
is_refused('22023', "$server ($secret, max_retries '-1')");
is_refused('HV00J', "$server (aws_secret_access_key '$secrets{server}')");
is_refused('HV00J', "$server (aws_access_key_id 'A', aws_session_token '$secrets{token}')");

create_server('server');
$server = 'ALTER SERVER server OPTIONS';
is_refused('HV00D', "$server (SET aws_secret_access_key '$secrets{server}', ADD regoin 'x')");
is_refused('HV00A', "$server (SET aws_secret_access_key ' $secrets{server}')");
is_refused('22023', "$server (SET max_retries 'x')");
is_refused('HV00J', "$server (DROP aws_secret_access_key)");

my $mapping = 'CREATE USER MAPPING FOR CURRENT_USER SERVER server OPTIONS';
is_refused('HV00D', "$mapping ($secret, region 'eu-west-1')");
is_refused('HV00A', "$mapping (aws_access_key_id 'A', aws_secret_access_key '$secrets{mapping} ')");
is_refused('22023', "$mapping ($secret, api_key_id 'vaulted')");
is_refused('HV00J', "$mapping (aws_secret_access_key '$secrets{mapping}')");

$secret = "aws_secret_access_key '$secrets{mistaken}'";
is_refused('0A000', "CREATE FOREIGN TABLE refused (a int) SERVER server OPTIONS ($secret)");
is_refused('HV00D', "ALTER FOREIGN DATA WRAPPER cognito_wrapper OPTIONS (ADD $secret)");

# Calls that succeed, and their plans

my $call = "SELECT count(*) FROM cognito_users('server')";
run("$LOUD$call;
	EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM cognito_users('server', 'status = \"Enabled\"', 9);
	PREPARE again(text) AS SELECT * FROM cognito_users(\$1);
	EXPLAIN (VERBOSE, ANALYZE) EXECUTE again('server');
	SELECT * FROM cognito_users('server');
	SELECT * FROM pg_backend_memory_contexts");
like($client, qr/^300$/m, 'a call succeeds');

# Invalid responses

# Expects an error of a call that a fault makes fail.
sub spoiled
{
	my ($sqlstate, $name, %fault) = @_;
	$cognito->faults({%fault});
	query_fails($sqlstate, $name, $call);
	$cognito->faults;
	return;
}

# A text with secrets that a service might return
my $echo = "You sent $secrets{server} and $secrets{token}.";

for my $error (
	[ '53400', 'TooManyRequestsException' ], [ 'HV000', 'InternalErrorException' ],
	[ '28000', 'UnrecognizedClientException' ], [ '28000', 'InvalidSignatureException' ],
	[ '28000', 'ExpiredTokenException' ], [ '42501', 'AccessDeniedException' ],
	[ '42704', 'ResourceNotFoundException' ], [ '22023', 'InvalidParameterException' ],
	[ 'HV000', 'SomethingElseException' ])
{
	my ($sqlstate, $type) = @$error;
	spoiled($sqlstate, "a reply with $type", error => $type, message => $echo);
}
spoiled('HV000', 'a type with secrets', error => $echo, type_in => 'header');
spoiled('HV000', 'a request id with secrets',
	error => 'E', message => 'm', headers => { 'x-amzn-requestid' => $echo });
spoiled('HV000', 'a long message with a secret where it is cut off',
	error => 'E', message => 'x' x 480 . $secrets{server});
spoiled('HV000', 'a reply that is no JSON', reply => { body => $echo });
spoiled('HV000', 'an error that is no JSON', reply => { status => 400, body => $echo });
spoiled('HV000', 'a reply without a list', reply => { body => qq({"$secrets{server}": 1}) });
spoiled('HV000', 'a reply with a wrong list', reply => { body => qq({"Users": "$echo"}) });
spoiled('HV000', 'a wrong user', reply => { body => qq({"Users": [{"Username": ["$echo"]}]}) });
spoiled('HV000', 'a wrong date', reply => { body => qq({"Users": [{"UserCreateDate": "$echo"}]}) });
spoiled('22021', 'a reply that is not UTF-8', reply => { body_base64 => 'eyJVc2VycyI6WyL/Il19' });
spoiled('22P05', 'a reply with U+0000', reply => { body => qq({"Users": ["$echo\\u0000"]}) });
spoiled('HV000', 'a redirect',
	reply => { status => 302, headers => { Location => 'http://127.0.0.1:1/' } });
spoiled('HV000', 'a broken connection', close => 'before');
spoiled('HV000', 'half an answer', close => 'midway');
spoiled('HV000', 'an answer that never comes', stall => 'response');
spoiled('HV000', 'an answer that trickles', stall => 'body');

# Errors on the client's side

# Expects an error of a call to a server with some other options.
sub misled
{
	my ($sqlstate, $name, %options) = @_;
	create_server('misled', %options);
	return query_fails($sqlstate, $name, "SELECT count(*) FROM cognito_users('misled')");
}

# A port on which nobody listens, as soon as the socket is gone
my $port = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)->sockport;

query_fails('42704', 'an unknown server', "SELECT count(*) FROM cognito_users('none')");
query_fails('22023', 'a wrong filter', "SELECT count(*) FROM cognito_users('server', 'x')");
misled('28000', 'a wrong secret', aws_secret_access_key => $secrets{mistaken});
misled('28000', 'a wrong token', aws_session_token => $secrets{mistaken});
misled('28000', 'an expired token', aws_access_key_id => 'AKIAEXPIRED');
misled('42704', 'an unknown pool', user_pool_id => 'eu-west-1_None');
misled('HV00N', 'a closed port', endpoint_url => "http://127.0.0.1:$port");
misled('HV00N', 'a failing handshake', endpoint_url => $cognito->url =~ s/http:/https:/r);
query_fails('57014', 'a cancelled call',
	"SET statement_timeout = 1; SELECT count(*) FROM cognito_users('server')");
query_fails('22012', 'a query after its call',
	"SELECT 1 / (count(*) - 300) FROM cognito_users('server')");
query_fails('57014', 'a cancelled call in a nested statement', <<'SQL');
SET statement_timeout = 1;
DO $$ BEGIN PERFORM cognito_users('server'); END $$;
SQL

# Secrets of a Vault and of a user mapping

my @vaulted = (
	aws_access_key_id => 'AKIAVAULT',
	aws_secret_access_key => undef,
	aws_session_token => undef);
create_server('vaulted', @vaulted, api_key_id => 'vaulted');
my $seen = length $client;
run("$LOUD SELECT count(*) FROM cognito_users('vaulted');
	EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM cognito_users('vaulted')");
like(substr($client, $seen), qr/^300$/m, 'a call with a secret of Vault succeeds');
misled('42704', 'an unknown secret', @vaulted, api_key_id => 'none');
misled('22023', "a secret with a line's end", @vaulted, api_key_id => 'pasted');
$cognito->faults({ error => 'UnrecognizedClientException', message => "Was it $secrets{vault}?" });
query_fails('28000', 'a refused secret of Vault', "SELECT count(*) FROM cognito_users('vaulted')");
$cognito->faults({ stall => 'response' });
query_fails('57014', 'a cancelled call with a secret of Vault',
	"SET statement_timeout = '100ms'; SELECT count(*) FROM cognito_users('vaulted')");

# A secret that was given where its name in Vault is asked for is in no message.
create_server('misled', @vaulted, api_key_id => $secrets{mistaken});
like(run("SET client_min_messages = debug5; SELECT count(*) FROM cognito_users('misled')"),
	qr/ERROR:  42704:/, 'a secret in the place of its name fails');

$node->safe_psql(
	'postgres', "$mapping (aws_access_key_id 'AKIAMAPPING',
		aws_secret_access_key '$secrets{mapping}', aws_session_token '$secrets{token}')");
$cognito->faults({ error => 'AccessDeniedException', message => "$secrets{mapping} may not" });
query_fails('42501', 'a refused user mapping', $call);
$seen = length $client;
run("$LOUD$call; EXPLAIN (VERBOSE, ANALYZE) $call");
like(substr($client, $seen), qr/^300$/m, 'a call with a user mapping succeeds');

# Sources of credentials, and a role that is assumed with what they give

$cognito->faults;
$cognito->control(
	'PUT', 'keys',
	{ AKIAENVIRONMENT => { secret => $secrets{environment}, token => $secrets{token} } });
$cognito->control(
	'PUT',
	'credentials',
	{
		secret => $secrets{issued},
		token => $secrets{issued_token},
		web_identity_token => $secrets{web},
		container_token => $secrets{container},
		roles => { $ENV{AWS_ROLE_ARN} => { trusts => [''] } }
	});
for my $source (qw(environment web_identity container instance))
{
	my @sourced = (
		aws_access_key_id => undef,
		aws_secret_access_key => undef,
		aws_session_token => undef,
		credential_source => $source,
		sts_endpoint_url => $cognito->url);
	my $operation = { web_identity => 'AssumeRoleWithWebIdentity', container => 'GetContainerCredentials',
		instance => 'GetInstanceCredentials' }->{$source};

	create_server('sourced', @sourced);
	$seen = length $client;
	run("$LOUD SELECT count(*) FROM cognito_users('sourced');
		EXPLAIN (VERBOSE, ANALYZE) SELECT * FROM cognito_credentials('sourced');
		SELECT * FROM cognito_credentials('sourced')");
	like(substr($client, $seen), qr/^300$/m, "$source: a call succeeds");
	my @used = $source eq 'environment' ? qw(environment token) : qw(issued issued_token);
	my $quoting = "You sent @secrets{@used}.";
	$cognito->faults({ operation => 'ListUsers', error => 'InvalidSignatureException', message => $quoting });
	query_fails('28000', "$source: credentials that are refused", "SELECT count(*) FROM cognito_users('sourced')");
	$cognito->faults;

	if ($operation)
	{
		my $xml = "<ErrorResponse><Error><Code>E</Code><Message>$secrets{web}</Message></Error></ErrorResponse>";
		for my $reply (
			{ status => 400, body => $xml },
			{ body => qq({"AccessKeyId": "A", "SecretAccessKey": "$secrets{issued}", "Token": "$secrets{issued_token}", "Expiration": "soon"}) },
			{ body => qq({"SecretAccessKey": "$secrets{issued}", ) },
			{ body => $xml =~ s/ErrorResponse/AssumeRoleWithWebIdentityResponse/gr })
		{
			create_server('sourced', @sourced);
			$cognito->faults({ operation => $operation, reply => $reply });
			query_fails('28000', "$source: a reply", "SELECT count(*) FROM cognito_users('sourced')");
		}
		create_server('sourced', @sourced);
		$cognito->faults({ operation => $operation, stall => 'response' });
		query_fails('57014', "$source: a cancelled call",
			"SET statement_timeout = '100ms'; SELECT count(*) FROM cognito_users('sourced')");
		$cognito->faults;
	}
	create_server('sourced', @sourced, role_arn => $ENV{AWS_ROLE_ARN});
	run("$LOUD SELECT count(*) FROM cognito_users('sourced')");
	create_server('sourced', @sourced, role_arn => $ENV{AWS_ROLE_ARN});
	$cognito->faults(
		{
			operation => 'AssumeRole',
			reply => {
				status => 403,
				body => '<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code>'
				  . "<Message>$quoting</Message></Error></ErrorResponse>"
			}
		});
	query_fails('28000', "$source: a role that is refused", "SELECT count(*) FROM cognito_users('sourced')");
	$cognito->faults;
}

# Other sessions' view of a running call

for my $name ('server', 'vaulted')
{
	my $session = Cognito::session($node);

	$cognito->faults({ stall => 'response' });
	$node->safe_psql('postgres', "ALTER SERVER $name OPTIONS (SET request_timeout '10s')");
	$session->{stdin} .= "SELECT count(*) FROM cognito_users('$name');\n";
	$session->{run}->pump_nb;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Extension'");
	$activity .= $node->safe_psql('postgres', 'SELECT * FROM pg_stat_activity');
	$node->safe_psql('postgres',
		"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Extension'");
	$session->quit;
}

is(join("\n", places($secrets{$_})), '', "no secret is found: $_") for sort keys %secrets;

# The search is able to find a text.
my $session = Cognito::session($node);
$activity = '';
run(qq(${LOUD}SELECT 1 / 0 AS "$planted"));
run(qq(${LOUD}SELECT '$planted', '$planted'::bytea));
run(qq(SELECT 1 AS "$planted"));
Cognito::query($session, qq(SELECT 1 AS "$planted"));
$activity .= $node->safe_psql('postgres', 'SELECT * FROM pg_stat_activity');
my ($plain, $hexadecimal, $bytes) = forms($planted);
is_deeply(
	[ places($planted) ],
	[
		"activity: $plain", "client: $plain", "client: $hexadecimal", "client: $bytes",
		"log: $plain", "log: $hexadecimal", "log: $bytes", "statements: $plain"
	],
	'what has been planted is found');


# What pg_stat_statements keeps, as the manual says

sub kept { return $node->safe_psql('postgres', "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%kept$_[0]%'") }
run(q(SET pg_stat_statements.track_utility = on;
	CREATE ROLE lent;
	CREATE USER MAPPING FOR lent SERVER server OPTIONS (aws_access_key_id 'AKIA', aws_secret_access_key 'kept1');
	ALTER USER MAPPING FOR lent SERVER server OPTIONS (SET aws_secret_access_key 'kept2');
	CREATE USER MAPPING FOR nobody SERVER server OPTIONS (aws_access_key_id 'AKIA', aws_secret_access_key 'kept3');
	SELECT vault.create_secret('kept4', 'kept');
	SET pg_stat_statements.track_utility = off;
	ALTER USER MAPPING FOR lent SERVER server OPTIONS (SET aws_secret_access_key 'kept5')));
is_deeply([ map { kept($_) } 1 .. 5 ], [ 1, 1, 0, 0, 0 ],
	'pg_stat_statements keeps commands that succeed as typed, unless told not to, and of a query no constants');

done_testing();
