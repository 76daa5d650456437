# A synchronization that pg_cron runs: waits for its next minute.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use PostgreSQL::Test::Utils;
use Test::More;

my ($share) = run_command([ $ENV{PG_CONFIG} // 'pg_config', '--sharedir' ]);
plan skip_all => 'pg_cron is not installed' unless -e "$share/extension/pg_cron.control";

my $cognito = Cognito->new;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pg_cron'\ncron.host = '" . $node->host . "'");
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION cognito_srf;
	CREATE EXTENSION pg_cron;
	CREATE TABLE users (sub uuid NOT NULL UNIQUE, username text)});
$cognito->pool('eu-west-1_Cron', users => [ map {
	{ %{ Cognito->user("user$_") }, Attributes => [ { Name => 'sub', Value => sprintf '%x4c8f2a1-10a1-70bb-8d2e-%012x', $_ % 16, $_ } ] } }
	1 .. 40 ]);
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Cron');
$node->safe_psql('postgres', q{SELECT cron.schedule('users', '* * * * *', $$CALL cognito_sync_users('srv', 'users')$$)});

ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')}),
	'the job has run');
is($node->safe_psql('postgres', 'SELECT status FROM cron.job_run_details ORDER BY runid LIMIT 1'), 'succeeded',
	'without an error');
is($node->safe_psql('postgres', 'SELECT count(*) FROM users'), 40, 'and the table has the users');

done_testing();
