# What the files that describe a release say: META.json conforms to PGXN's specification, version
# 1.0.0, and all of them name the same version.
use strict;
use warnings;

use FindBin;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = "$FindBin::Bin/../..";
my $meta = decode_json(slurp_file("$tree/META.json"));

my $version = qr/\d+\.\d+\.\d+(?:[a-zA-Z][-0-9A-Za-z]*)?/;    # semantic version, as of the specification
my $range = qr/0|(?:(?:[<>]=?|[!=]=)\s*)?$version/;
my $term = qr{[^\s\x00-\x1f/\\]{2,}};
my $url = qr{https?://\S+};
my $text = qr/\S/;
my @licenses = qw(agpl_3 apache_1_1 apache_2_0 artistic_1 artistic_2 bsd freebsd gfdl_1_2 gfdl_1_3 gpl_1 gpl_2
  gpl_3 lgpl_2_1 lgpl_3_0 mit mozilla_1_0 mozilla_1_1 openssl perl_5 postgresql qpl_1_0 ssleay sun zlib
  open_source restricted unrestricted unknown);

# A specification is a pattern of a string, a list of the specification of its items, an object of those
# of its members (required with a final "!"), of which '*' are those with any name, or alternatives.
my $strings = \[ $text, [$text] ];
my $prereqs = { requires => { '*' => qr/^$range(?:,\s*$range)*$/ } };
$prereqs->{$_} = $prereqs->{requires} for qw(recommends suggests conflicts);
my $specification = {
	'name!' => qr/^$term$/,
	'version!' => qr/^$version$/,
	'abstract!' => $text,
	'maintainer!' => $strings,
	'license!' => \[ map { ($_, [$_]) } qr/^(?:@{[ join '|', @licenses ]})$/ ],
	'provides!' => {
		'*' => {
			'file!' => $text, 'version!' => qr/^$version$/,
			abstract => $text, docfile => $text
		}
	},
	'meta-spec!' => { 'version!' => qr/^1\.0\.\d+$/, url => $url },
	description => $text,
	generated_by => $text,
	tags => [$term],
	no_index => { file => $strings, directory => $strings },
	prereqs => { map { ($_ => $prereqs) } qw(configure build runtime test develop) },
	release_status => qr/^(?:stable|testing|unstable)$/,
	resources => {
		homepage => $url,
		bugtracker => { web => $url, mailto => qr/\@/ },
		repository => { url => qr{^\w+://\S+$}, web => $url, type => qr/^[a-z]+$/ },
	},
};

# Returns where a value differs from a specification.
sub mismatches
{
	my ($name, $value, $spec) = @_;
	my $kind = ref $spec;

	if ($kind eq 'REF')
	{
		my @by_alternative = map { [ mismatches($name, $value, $_) ] } @$$spec;
		return (grep { !@$_ } @by_alternative) ? () : @{ $by_alternative[0] };
	}
	if ($kind eq 'Regexp')
	{
		return !ref $value && defined $value && $value =~ $spec ? () : ($name);
	}
	return ($name) unless ref $value eq $kind && ($kind eq 'HASH' ? %$value : @$value);
	return map { mismatches("$name\[]", $_, $spec->[0]) } @$value if $kind eq 'ARRAY';

	my %specs = %$spec;
	my @missing = grep { /!$/ && !exists $value->{ substr $_, 0, -1 } } keys %specs;
	return ((map { "$name.$_" } sort @missing),
		map {
			my $key = $_;
			my ($member) = grep { defined } map { $specs{$_} } "$key!", $key, '*';
			/^x_/i ? () : $member ? mismatches("$name.$key", $value->{$key}, $member) : ("$name.$key");
		} sort keys %$value);
}

is(join("\n", mismatches('META', $meta, $specification)), '', 'META.json conforms to the specification');
for (
	[ 'META.license', license => 'mine' ],
	[ 'META.maintainer', maintainer => [] ],
	[ 'META.version', version => '1.1' ],
	[ 'META.madeup', madeup => 'x' ],
	[ 'META.provides.x.file!', provides => { x => { version => '1.0.0' } } ],
	[ 'META.prereqs.runtime.requires.PostgreSQL', prereqs => { runtime => { requires => { PostgreSQL => '15' } } } ])
{
	my ($mismatch, %changed) = @$_;
	is(join("\n", mismatches('META', { %$meta, %changed }, $specification)), $mismatch, "it would not with $mismatch");
}

my ($default_version) = slurp_file("$tree/cognito_srf.control") =~ /^default_version = '(.*)'$/m;
my $provided = $meta->{provides}{cognito_srf};
ok(-e "$tree/$_", "there is $_") for $provided->{file}, $provided->{docfile};
is($provided->{version}, $meta->{version}, 'the extension has the version of the distribution');
like($meta->{version}, qr/^\Q$default_version\E\./, 'the default version is its beginning');
like(slurp_file("$tree/debian/changelog"),
	qr/^cognito-srf \(\Q$meta->{version}\E-\d+\) /, "Debian's package has it");
my ($newest) = slurp_file("$tree/CHANGELOG.md") =~ /^## (\S+) - /m;
is($newest, $meta->{version}, 'so has the first entry of CHANGELOG.md');

done_testing();
