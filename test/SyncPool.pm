# A user pool whose users a test changes, and calls of cognito_sync_users with it.
package SyncPool;

use strict;
use warnings;

use Cognito;

# Gives a server "srv" a pool with the users 1 to the given number; options are those of the server.
sub new
{
	my ($class, $cognito, $node, $id, $number, %options) = @_;
	my $self = bless { cognito => $cognito, node => $node, id => $id, users => {} }, $class;

	$self->set($_) for 1 .. $number;
	$self->fill;
	$cognito->create_server($node, 'srv', user_pool_id => $id, %options);
	return $self;
}

# Returns the sub of a user: the first digit is that of the number.
sub sub_of
{
	my ($number) = @_;
	return sprintf '%x4c8f2a%x-10a1-70bb-8d2e-%012x', $number % 16, $number % 16, $number;
}

# Sets users by their numbers, with attributes; undef drops one.
sub set
{
	my ($self, $number, %attributes) = @_;
	my $user = Cognito->user("user$number");
	my %all = (sub => sub_of($number), email => "user$number\@example.com", %attributes);

	$user->{Attributes} = [ map { { Name => $_, Value => "$all{$_}" } } grep { defined $all{$_} } sort keys %all ];
	$self->{users}{$number} = $user;
	return;
}

# Gives the pool its users, in the order of their numbers, and more.
sub fill
{
	my ($self, @more) = @_;
	my $users = $self->{users};

	$self->{cognito}->pool($self->{id}, users => [ (map { $users->{$_} } sort { $a <=> $b } keys %$users), @more ]);
	return;
}

# Returns a CALL with the table and other arguments.
sub statement
{
	my ($self, $table, @arguments) = @_;
	return 'CALL cognito_sync_users(' . join(', ', "'srv'", Cognito::quote($table), @arguments) . ')';
}

# Calls cognito_sync_users; returns the counts.
sub call
{
	my ($self, @arguments) = @_;
	return $self->{node}->safe_psql('postgres', $self->statement(@arguments));
}

# Calls cognito_sync_users; returns its error, or an empty string.
sub error
{
	my ($self, @arguments) = @_;
	return Cognito::error_of($self->{node}, $self->statement(@arguments));
}

# Returns the number of rows in which a table and the pool differ.
sub differences
{
	my ($self, $table) = @_;
	return $self->{node}->safe_psql('postgres', "SELECT count(*) FROM
			((SELECT username, email, sub::text FROM $table EXCEPT ALL
			  SELECT username, email, attributes->>'sub' FROM cognito_users('srv')) UNION ALL
			 (SELECT username, email, attributes->>'sub' FROM cognito_users('srv') EXCEPT ALL
			  SELECT username, email, sub::text FROM $table)) AS d");
}

1;
