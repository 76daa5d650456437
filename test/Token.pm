# A signer of tokens such as those of a user pool, on the openssl command.
package Token;

use strict;
use warnings;

use Encode qw(encode_utf8);
use File::Temp qw(tempdir);
use IPC::Open2;
use JSON::PP;
use MIME::Base64 qw(encode_base64url);

our $ISSUER = 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123';
our $CLIENT = '1example23456789';
our $SUB = '11111111-2222-4333-8444-555555555555';

my $json = JSON::PP->new->utf8->canonical;
my $folder = tempdir(CLEANUP => 1);

# Runs openssl; returns what it prints, binary.
sub openssl
{
	my ($input, @arguments) = @_;
	my $pid = open2(my $out, my $in, 'openssl', @arguments);

	binmode $_ for $in, $out;
	print $in $input;
	close $in;
	my $output = do { local $/; <$out> };
	waitpid $pid, 0;
	die "openssl @arguments failed" if $?;
	return $output;
}

# Makes a key of this id; the options are those of openssl genpkey.
sub new_key
{
	my ($class, $kid, @options) = @_;
	my $file = "$folder/$kid.pem";

	@options = ('rsa_keygen_bits:2048') unless @options;
	openssl('', 'genpkey', '-quiet', '-algorithm', 'RSA', '-out', $file, map { ('-pkeyopt', $_) } @options);
	my $text = openssl('', 'rsa', '-in', $file, '-noout', '-text', '-modulus');
	my ($modulus) = $text =~ /^Modulus=(\w+)/m;
	my ($exponent) = $text =~ /^publicExponent: (\d+)/m;
	$exponent = sprintf '%x', $exponent;
	return bless {
		file => $file,
		jwk => {
			kty => 'RSA', use => 'sig', alg => 'RS256', kid => $kid,
			n => encode_base64url(pack 'H*', $modulus),
			e => encode_base64url(pack 'H*', length($exponent) % 2 ? "0$exponent" : $exponent) } },
	  $class;
}

# Returns the public key as a JSON Web Key; members override, undef drops one.
sub jwk
{
	my ($self, %members) = @_;
	my %all = (%{ $self->{jwk} }, %members);

	return { map { $_ => $all{$_} } grep { defined $all{$_} } keys %all };
}

# Returns a set of keys as JSON text.
sub jwks { return $json->encode({ keys => [ @_ ] }) }

# Returns the public key in PEM format.
sub pem { return openssl('', 'pkey', '-in', $_[0]->{file}, '-pubout') }

# Returns the claims of a token of that use, as a hash; claims override, undef drops one.
sub claims
{
	my ($use, %claims) = @_;
	my $now = time;
	my %all = (
		sub => $SUB, iss => $ISSUER, token_use => $use,
		exp => $now + 3600, iat => $now, auth_time => $now,
		'cognito:groups' => [ 'admins', 'staff' ],
		$use eq 'id'
		? (aud => $CLIENT, 'cognito:username' => 'ana.sato', email => 'ana.sato@example.com')
		: (client_id => $CLIENT, username => 'ana.sato', scope => 'aws.cognito.signin.user.admin'),
		%claims);

	return { map { $_ => $all{$_} } grep { defined $all{$_} } keys %all };
}

# Returns a signed token from the texts of its header and payload.
sub sign_texts
{
	my ($self, $header, $payload) = @_;
	my $signed = join '.', map { encode_base64url($_) } $header, $payload;

	return "$signed." . encode_base64url(openssl($signed, 'dgst', '-sha256', '-sign', $self->{file}));
}

# Returns the header as text; members override, undef drops one.
sub header
{
	my ($self, %members) = @_;
	my %all = (kid => $self->{jwk}{kid}, alg => 'RS256', %members);

	return $json->encode({ map { $_ => $all{$_} } grep { defined $all{$_} } keys %all });
}

# Returns a signed token with these claims, in a hash or as text.
sub sign
{
	my ($self, $claims) = @_;
	return $self->sign_texts($self->header, ref $claims ? $json->encode($claims) : encode_utf8($claims));
}

# Returns a token of that use, whose claims may be overridden.
sub id { my ($self, %claims) = @_; return $self->sign(claims('id', %claims)) }
sub access { my ($self, %claims) = @_; return $self->sign(claims('access', %claims)) }

1;
