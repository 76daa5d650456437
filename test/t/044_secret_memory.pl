# Signing leaves no part of a secret in memory, however long it is.
use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Utils;
use Test::More;

my $config = $ENV{PG_CONFIG} // 'pg_config';
my $program = PostgreSQL::Test::Utils::tempdir() . '/sigv4_leftovers';
my %folder = map { chomp(my $folder = `$config --$_`); $_ => $folder }
  qw(includedir-server libdir pkglibdir);

system_or_bail('cc', "-I$folder{'includedir-server'}", '-o', $program,
	"$FindBin::Bin/../sigv4_leftovers.c", "-I$FindBin::Bin/../../src", "$FindBin::Bin/../../src/aws/sigv4.c",
	"-L$folder{pkglibdir}", "-L$folder{libdir}", '-lpgcommon', '-lpgport', '-lcrypto', '-lm');
command_fails([ $program, 'a secret that is left' ], 'what is left is found');
command_ok([$program], 'nothing is left of secrets and session tokens of 16 bytes to 64 kB');

done_testing();
