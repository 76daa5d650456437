# The local Cognito of the tests, as a Perl object.  It ends with the test that
# made it: the server stops when its standard input is closed.
package Cognito;

use strict;
use warnings;

use FindBin;
use HTTP::Tiny;
use IPC::Open2;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our $KEY = 'AKIAIOSFODNN7EXAMPLE';
our $SECRET = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

# The database in which the functions below work.
our $DATABASE = 'postgres';

# Starts a cluster with the extension; the settings are lines of postgresql.conf.
sub cluster
{
	my ($name, @settings) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', $_) for @settings;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION cognito_srf');
	return $node;
}

# Starts a server; arguments are those of "cognito.py serve".
sub new
{
	my ($class, @arguments) = @_;
	my $pid = open2(my $out, my $in, "$FindBin::Bin/../cognito.py", 'serve', @arguments);
	my $url = <$out> // die 'the local Cognito did not start';

	my $door = $url =~ /^https:/ ? <$out> : $url;
	chomp($url, $door);
	return bless
	  { pid => $pid, in => $in, out => $out, url => $url, door => $door, http => HTTP::Tiny->new },
	  $class;
}

sub url { return $_[0]->{url} }

# Stops the server, for a test of what happens without it.
sub stop
{
	my ($self) = @_;
	close $self->{in};
	waitpid $self->{pid}, 0;
	return;
}

# Asks the control door, and dies where it refuses.
sub control
{
	my ($self, $method, $path, $content) = @_;
	my $json = JSON::PP->new->utf8->allow_nonref;
	my $answer = $self->{http}->request($method, "$self->{door}/_$path",
		{ defined $content ? (content => $json->encode($content)) : () });

	die "$method /_$path: $answer->{status} $answer->{content}" unless $answer->{success};
	return length $answer->{content} ? $json->decode($answer->{content}) : undef;
}

# Replaces the faults; see cognito.py for what each can be.
sub faults
{
	my ($self, @faults) = @_;
	return $self->control('PUT', 'faults', \@faults);
}

# Makes or replaces a pool.
sub pool
{
	my ($self, $id, %pool) = @_;
	return $self->control('PUT', "pool/$id", \%pool);
}

# A user as ListUsers has it, with an e-mail address and whatever else is given.
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

# Forgets the requests so far; requests gives those since.
sub forget { return $_[0]->control('DELETE', 'requests') }
sub requests { return @{ $_[0]->control('GET', 'requests') } }

# Runs a query; its result, and the requests that it made.
sub watch
{
	my ($self, $node, $query) = @_;

	$self->forget;
	my $result = $node->safe_psql($DATABASE, $query);
	return ($result, $self->requests);
}

# Everything malformed that was ever sent; a test ends by expecting none.
sub violations { return @{ $_[0]->control('GET', 'violations') } }

# Makes a server in a cluster that leads here; options override the usual ones, undef drops one.
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

# A string as an SQL literal.
sub quote
{
	my ($text) = @_;
	$text =~ s/'/''/g;
	return "'$text'";
}

# Runs a query and gives its error, with SQLSTATE, detail and hint; empty if it succeeds.
sub error_of
{
	my ($node, $query, %options) = @_;
	my ($code, $out, $err) = $node->psql($DATABASE, "\\set VERBOSITY verbose\n$query", %options);

	return $code == 0 ? '' : $err;
}

# Starts a query in a session of its own, without waiting for it.
sub start
{
	my ($node, $query) = @_;
	my $session = session($node);

	$session->query_until(qr/started/, "\\echo started\n$query;\n");
	return $session;
}

# Waits for what was started, and gives its result or its error.
sub finish
{
	my ($session) = @_;

	$session->quit;
	chomp(my $result = $session->{stdout} . $session->{stderr});
	return $result;
}

# Puts a Vault into the database, with the key's secret in it under the name "cognito".
sub create_vault
{
	my ($node) = @_;
	$node->safe_psql($DATABASE, slurp_file("$FindBin::Bin/../vault.sql"));
	$node->safe_psql($DATABASE, "SELECT vault.create_secret('$SECRET', 'cognito')");
	return;
}

# A session that outlives its errors, which come with SQLSTATE.
sub session
{
	my ($node) = @_;
	my $session = $node->background_psql($DATABASE, on_error_stop => 0);

	$session->query('\set VERBOSITY verbose');
	return $session;
}

# Runs queries in a session; what they return.
sub ask
{
	my ($session, $queries) = @_;
	$session->{stderr} = '';
	return scalar $session->query($queries);
}

# Runs queries in a session; what goes wrong.
sub complaints
{
	my ($session, $queries) = @_;
	ask($session, $queries);
	return $session->{stderr};
}

# Builds a library of this directory, to be put into LD_PRELOAD while a cluster starts.
sub preload
{
	my ($name) = @_;
	my $library = PostgreSQL::Test::Utils::tempdir() . "/$name.so";

	system_or_bail('cc', '-D_GNU_SOURCE', '-shared', '-fPIC', '-o', $library, "$FindBin::Bin/../$name.c");
	return $library;
}

1;
