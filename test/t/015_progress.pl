# Progress notices while a call runs, and statistics afterwards.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use Test::More;

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');
$cognito->create_server($node, 'srv', user_pool_id => 'eu-west-1_Users1800');
$cognito->create_server($node, 'other');

# Notices
my ($code, $out, $err) = $node->psql('postgres', "SELECT count(*) FROM cognito_users('srv')");
is($err, '', 'a call sends no notice by default');
$cognito->faults({ delay => 0.06, times => -1 });
($code, $out, $err) = $node->psql('postgres',
	"SET cognito_srf.progress_interval = '200ms'; SELECT count(*) FROM cognito_users('srv')");
is($out, 1800, 'a slow call returns all rows');
my @notices = $err =~ /^.*NOTICE:  (.*)$/mg;
cmp_ok(@notices, '>=', 2, 'a slow call sends several notices');
like($_, qr/^cognito_users for server "srv": (1 page|\d+ pages) of users, [\d,]+ rows, 0 throttled requests, \d+ s$/, "notice: $_") for @notices;
like("@notices", qr/ 1,\d{3} rows/, 'numbers have thousands separators');
my $count = "SELECT count(*) FROM cognito_users('srv')";
($code, $out, $err) = $node->psql('postgres',
	"$count; SET cognito_srf.progress_interval = '200ms'; $count; SELECT count(*) FROM cognito_users('srv', NULL, 600)");
@notices = $err =~ /^.*NOTICE:  (.*)$/mg;
like($notices[0], qr/ pages? of users, [\d,]+ of about 1,800 rows, /, 'a total that is known from an earlier listing');
unlike($notices[-1], qr/about/, 'a listing with a limit has no total');
$cognito->faults({ stall => 'response', times => -1 });
($code, $out, $err) = $node->psql('postgres', "SET cognito_srf.progress_interval = '100ms';
	SET statement_timeout = '950ms'; SELECT count(*) FROM cognito_users('srv')");
my $notices = () = $err =~ /NOTICE:  cognito_users for server "srv": 0 pages of users, 0 rows, 0 throttled requests, [01] s/g;
cmp_ok($notices, '>=', 3, 'a call that only waits sends notices');
cmp_ok($notices, '<=', 9, 'notices are not more frequent than progress_interval');
$cognito->faults({ error => 'TooManyRequestsException' }, { stall => 'response', times => -1, skip => 1 });
($code, $out, $err) = $node->psql('postgres', "SET cognito_srf.progress_interval = '100ms';
	SET statement_timeout = '950ms'; SELECT count(*) FROM cognito_users('srv')");
like($err, qr/NOTICE: .*: 1 page of users, 60 rows, 1 throttled request, \d s\n/, 'nouns agree with their numbers');

# Counters of a session
$cognito->faults({ error => 'TooManyRequestsException', times => 2, skip => 3 },
	{ close => 'before', skip => 8 }, { error => 'AccessDeniedException', skip => 18 });
$node->psql('postgres', <<'SQL', stdout => \$out, on_error_stop => 0);
SELECT count(*) FROM cognito_statistics;
SELECT count(*) FROM cognito_users('srv', NULL, 600);
SELECT count(*) FROM cognito_users('srv');
SELECT count(*) FROM cognito_users('other');
SELECT server_name, calls, requests, pages, rows, retries, throttled, errors, connections_opened,
	bytes_received BETWEEN 100000 AND 10000000, waited > '1ms',
	last_call BETWEEN now() - interval '1min' AND now()
	FROM cognito_statistics() ORDER BY server_name;
SELECT server_name FROM cognito_statistics ORDER BY server_name;
DROP SERVER other CASCADE;
SELECT server_name FROM cognito_statistics;
SQL
my @rows = split /\n/, $out;
is($rows[0], 0, 'a new session has no statistics');
is($rows[1], 600, 'a call with retries');
is($rows[2], 300, 'a call to another server');
is($rows[3], 'other|1|5|5|300|0|0|0|0|t|t|t', 'the counters of a server');
is($rows[4], 'srv|2|21|18|1080|2|2|1|2|t|t|t', 'retries, throttling, errors and connections are counted');
is("@rows[5, 6]", 'other srv', 'the view has the same rows');
is($rows[7], 'srv', 'a server that is gone is left out');
$cognito->faults;

$cognito->create_server($node, 'other');
like($node->safe_psql('postgres', <<'SQL'), qr/^300\n\n0\n.* rows=300 .*\n5\nother\|1\|1\|1\|5\|0\|0$/,
SELECT count(*) FROM cognito_users('other');
SELECT cognito_statistics_reset();
SELECT count(*) FROM cognito_statistics;
EXPLAIN SELECT FROM cognito_users('other');
SELECT count(*) FROM cognito_users('other', NULL, 5);
SELECT server_name, calls, requests, pages, rows, errors, connections_opened FROM cognito_statistics;
SQL
	'counters start anew after a reset, and estimates stay');

# PostgreSQL itself counts calls of all sessions
$node->safe_psql('postgres', "SET track_functions = 'all'; SELECT count(*) FROM cognito_users('other')")
  for 1 .. 2;
ok( $node->poll_query_until('postgres', "SELECT calls = 2 AND total_time > 0 FROM pg_stat_user_functions
		WHERE funcid = 'cognito_users(text)'::regprocedure"),
	'pg_stat_user_functions has the calls of all sessions');

done_testing();
