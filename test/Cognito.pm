# The local Cognito of the tests as a Perl object, and helpers for clusters, sessions and queries.
# The server ends with the test that started it: it stops when its standard input is closed.
package Cognito;

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Open2;
use JSON::PP;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our $KEY = 'AKIAIOSFODNN7EXAMPLE';
our $SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

# The database that the functions below use.
our $DATABASE = 'postgres';

# Starts a cluster; the settings are lines of postgresql.conf.
sub empty_cluster
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', $_) for @settings;
	system_or_bail("$FindBin::Bin/../vault-settings", $node->data_dir);
	$node->start;
	return $node;
}

# Starts a cluster with the extension.
sub cluster
{
	my $node = empty_cluster(@_);

	$node->safe_psql('postgres', 'CREATE EXTENSION cognito_srf');
	return $node;
}

# Starts a local Cognito; the arguments are those of "cognito.py serve".
sub new
{
	my ($class, @arguments) = @_;
	my $pid = open2(my $out, my $in, "$FindBin::Bin/../cognito.py", 'serve', @arguments);
	my $url = <$out> // die 'the local Cognito did not start';

	my $control_url = $url =~ /^https:/ ? <$out> : $url;
	chomp($url, $control_url);
	return bless
	  { pid => $pid, in => $in, out => $out, url => $url, control_url => $control_url, http => HTTP::Tiny->new },
	  $class;
}

sub url { return $_[0]->{url} }

# Stops the local Cognito, for tests without a service.
sub stop
{
	my ($self) = @_;
	close $self->{in};
	waitpid $self->{pid}, 0;
	return;
}

# Sends a request to the control interface; dies if it is refused.
sub control
{
	my ($self, $method, $path, $content) = @_;
	my $json = JSON::PP->new->utf8->allow_nonref;
	my $answer = $self->{http}->request($method, "$self->{control_url}/_$path",
		{ defined $content ? (content => $json->encode($content)) : () });

	die "$method /_$path: $answer->{status} $answer->{content}" unless $answer->{success};
	return length $answer->{content} ? $json->decode($answer->{content}) : undef;
}

# Replaces the faults; cognito.py defines them.
sub faults
{
	my ($self, @faults) = @_;
	return $self->control('PUT', 'faults', \@faults);
}

# Creates or replaces a user pool.
sub pool
{
	my ($self, $id, %pool) = @_;
	return $self->control('PUT', "pool/$id", \%pool);
}

# Returns a user as ListUsers does, with an email address and the given members.
sub user
{
	my ($class, $username, %more) = @_;
	return {
		Username => $username,
		Attributes => [ { Name => 'email', Value => "$username\@example.com" } ],
		UserCreateDate => 1700000000.123,
		UserLastModifiedDate => 1700000001.456,
		Enabled => JSON::PP::true,
		UserStatus => 'CONFIRMED',
		%more
	};
}

# Clear and return the recorded requests.
sub clear_requests { return $_[0]->control('DELETE', 'requests') }
sub requests { return @{ $_[0]->control('GET', 'requests') } }

# Runs a query; returns its result, and the requests that it made.
sub query_with_requests
{
	my ($self, $node, $query) = @_;

	$self->clear_requests;
	my $result = $node->safe_psql($DATABASE, $query);
	return ($result, $self->requests);
}

# Returns all malformed requests that were ever received; a test ends by expecting none.
sub violations { return @{ $_[0]->control('GET', 'violations') } }

# Creates a foreign server for this local Cognito; options override the defaults, undef drops one.
sub create_server
{
	my ($self, $node, $name, %options) = @_;
	my %all = (
		aws_access_key_id => $KEY,
		aws_secret_access_key => $SECRET,
		region => 'eu-west-1',
		user_pool_id => 'eu-west-1_AbCdEf123',
		endpoint_url => $self->{url},
		%options);
	my $list = join ', ', map { "$_ " . quote($all{$_}) } grep { defined $all{$_} } sort keys %all;

	$node->safe_psql($DATABASE,
		"SET client_min_messages = error; DROP SERVER IF EXISTS $name CASCADE;
		 CREATE SERVER $name FOREIGN DATA WRAPPER cognito_wrapper OPTIONS ($list)");
	return;
}

# Returns a string as an SQL literal.
sub quote
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	return "'$text'";
}

# Runs a query; returns its error with SQLSTATE, detail and hint, or an empty string on success.
sub error_of
{
	my ($node, $query, %options) = @_;
	my ($code, $out, $err) = $node->psql($DATABASE, "\\set VERBOSITY verbose\n$query", %options);

	return $code == 0 ? '' : $err;
}

# Starts a query in a new session, without waiting for its end; returns the session.
sub start
{
	my ($node, $query) = @_;
	my $session = session($node);

	$session->query_until(qr/started/, "\\echo started\n$query;\n");
	return $session;
}

# Waits for the end of a query that "start" started; returns its result or its error.
sub finish
{
	my ($session) = @_;

	$session->quit;
	chomp(my $result = $session->{stdout} . $session->{stderr});
	return $result;
}

# Creates a Vault in the database, with the secret access key under the name "cognito".
sub create_vault
{
	my ($node) = @_;
	$node->safe_psql($DATABASE, slurp_file("$FindBin::Bin/../vault.sql"));
	$node->safe_psql($DATABASE, "SELECT vault.create_secret('$SECRET', 'cognito')");
	return;
}

# Opens a session that goes on after errors, and shows them with SQLSTATE.
sub session
{
	my ($node) = @_;
	my $session = $node->background_psql($DATABASE, on_error_stop => 0);

	$session->query('\set VERBOSITY verbose');
	return $session;
}

# Opens a session; returns it and the process ID of its backend.
sub session_with_pid
{
	my ($node) = @_;
	my $session = session($node);
	return ($session, query($session, 'SELECT pg_backend_pid()'));
}

# Starts a query in a session without waiting for its end, which prints "ended" to standard error.
sub begin
{
	my ($session, $query) = @_;
	$session->{stderr} = '';
	$session->{stdin} .= "$query;\n\\warn ended\n";
	$session->{run}->pump_nb;
	return;
}

# Runs queries in a session; returns their result.
sub query
{
	my ($session, $queries) = @_;
	$session->{stderr} = '';
	return scalar $session->query($queries);
}

# Runs queries in a session; returns their errors and notices.
sub query_error
{
	my ($session, $queries) = @_;
	query($session, $queries);
	return $session->{stderr};
}

# Runs a function in a process of its own; returns its process ID. The process ends without the
# handlers of PostgreSQL's modules, which would stop the test's clusters.
sub run_in_child
{
	my ($function) = @_;
	my $pid = fork // die "fork: $!";

	return $pid if $pid;
	$SIG{TERM} = 'DEFAULT';
	eval { $function->(); 1 } or warn $@;
	POSIX::_exit(0);
}

# Serves each connection of a listener in a process of its own; returns the process group.
sub serve_connections
{
	my ($listener, $handler) = @_;

	return run_in_child(sub {
		setpgrp;
		while (my $connection = $listener->accept)
		{
			run_in_child(sub { $handler->($connection) });
		}
	});
}

# Stops a process group.
sub stop_processes
{
	my ($group) = @_;
	kill TERM => -$group;
	waitpid $group, 0;
	return;
}

# Compiles a library of this directory, for the LD_PRELOAD of a cluster; returns its path.
sub preload
{
	my ($name) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir() . "/$name.so";

	system_or_bail('cc', '-D_GNU_SOURCE', '-shared', '-fPIC', '-o', $library, "$FindBin::Bin/../$name.c");
	return $library;
}

1;
