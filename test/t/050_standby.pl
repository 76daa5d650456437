# A pool is read on a hot standby, and in a read-only transaction.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Cluster;
use Test::More;

my $cognito = Cognito->new;
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION cognito_srf');
Cognito::create_vault($primary);
$cognito->create_server($primary, 'cognito_server');
$cognito->create_server($primary, 'vaulted',
	aws_secret_access_key => undef, api_key_id => 'cognito');

$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'the node is a standby');
for my $rows ('cognito_users', "cognito_users('vaulted')")
{
	is($standby->safe_psql('postgres', "SELECT count(*) FROM $rows"), 300, "a standby lists $rows");
	is( $primary->safe_psql('postgres',
			"BEGIN; SET TRANSACTION READ ONLY; SELECT count(*) FROM $rows; COMMIT"),
		300,
		"a read-only transaction lists $rows");
}

# Objects created on the primary are replicated.
$cognito->create_server($primary, 'later', user_pool_id => 'eu-west-1_Users61');
$primary->safe_psql('postgres',
	"CREATE MATERIALIZED VIEW users AS SELECT * FROM cognito_users('later')");
$primary->wait_for_catchup($standby);
is($standby->safe_psql('postgres', "SELECT count(*) FROM cognito_users('later')"),
	61, 'a standby lists the pool of a new server');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM users'),
	61, "a standby has the rows of the primary's materialized view");

# A result larger than work_mem is written to a file.
is($standby->safe_psql('postgres', "SET work_mem = '64kB'; SELECT count(*) FROM cognito_users"),
	300, 'a standby lists more than work_mem');

# A session continues after a promotion.
my $session = Cognito::session($standby);
is(Cognito::query($session, 'SELECT count(*) FROM cognito_users'), 300, 'a session on the standby lists');
$standby->promote;
is(Cognito::query($session, 'SELECT count(*) FROM cognito_users'),
	300, 'the session lists after the promotion');

done_testing();
