# Memory, descriptors and threads of a session stay flat over thousands of calls, half of them
# failing.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use POSIX qw(:signal_h);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# Rounds of twenty calls: those in which the session settles, and those after which it must be as
# it was, and what memory may have grown by since, in kB: some 60 bytes a call.
my $SETTLING = 50;
my $ROUNDS = 150;
my $SLACK = 128;

my $cognito = Cognito->new;
my $node = do
{
	local $ENV{LD_PRELOAD} = Cognito::preload('slow_resolver');
	Cognito::cluster('main', 'log_statement = none');
};
Cognito::create_vault($node);

# A secret from Vault, two pages, and no retries, so that every fault is an error
my @options = (
	aws_secret_access_key => undef,
	api_key_id => 'cognito',
	user_pool_id => 'eu-west-1_Users70',
	max_retries => 0);
$cognito->create_server($node, 'srv', @options);
$cognito->create_server($node, 'resolving', @options, endpoint_url => 'https://a.stall.test');

# Faults that make ten calls fail.  A kept connection that is closed is replaced without an error.
# Throttling is none of them, for it would slow the session down.
my $user = '{"Username":"a","Attributes":[{"Name":"sub","Value":"b"}]}';
my @faults = (
	{ error => 'AccessDeniedException' },
	{ error => 'ServiceUnavailable' },
	{ close => 'before', times => 2 },
	{ close => 'midway' },
	{ reply => { body => '<html>' } },
	{ reply => { status => 500, body => '' } },
	{ reply => { body => qq({"Users":[$user,{"Username":[]}]}) } },
	{ reply => { body => qq({"Users":[$user,{"Attributes":[{"Name":"c"}]}]}) } },
	{ reply => { body => qq({"Users":[$user],"PaginationToken":"t"}) } },
	{ error => 'InvalidParameterException', times => 2 });

# Ten calls, each a statement, or all within exception blocks of one
my $call = "SELECT count(*) FROM cognito_users('srv');\n";
my $calls = $call x 10;
my $block = <<'SQL';
DO $$
DECLARE users bigint;
BEGIN
	FOR i IN 1 .. 10 LOOP
		BEGIN
			SELECT count(*) INTO users FROM cognito_users('srv');
			RAISE NOTICE '%', users;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE 'ERROR: %', SQLERRM;
		END;
	END LOOP;
END $$;
SQL

# A call that is cancelled while it waits; the timeout ends with its transaction and affects nothing
# else
my $hasty = "BEGIN; SET LOCAL statement_timeout = '4ms'; $call ROLLBACK;\n";

# Ten calls that fail, and ten that do not, for each way to do so
my @rounds = (
	[ $calls, $calls, @faults ],
	[ $block, $block, @faults ],
	[ $hasty x 10, $calls, { stall => 'response', times => -1 } ]);

my ($session, $pid) = Cognito::session_with_pid($node);

# Runs queries; returns the number of matches in their output.
sub count_of
{
	my ($pattern, $queries) = @_;
	my $said = Cognito::query($session, $queries) . $session->{stderr};
	return scalar(() = $said =~ /$pattern/gm);
}

# Runs some rounds of calls; returns how many failed and how many succeeded.
sub run_rounds
{
	my ($first, $last) = @_;
	my ($failed, $succeeded) = (0, 0);

	for my $i ($first .. $last)
	{
		my ($bad, $good, @faults) = @{ $rounds[ $i % @rounds ] };
		$cognito->faults(@faults);
		$failed += count_of(qr/ERROR:/, $bad);
		$cognito->faults;
		$succeeded += count_of(qr/\b70$/m, $good);
	}
	return ($failed, $succeeded);
}

# Returns a value of /proc/PID/status of the backend, or of one of its threads.
sub status
{
	my ($name, $thread) = @_;
	my $file = "/proc/$pid/" . (defined $thread ? "task/$thread/" : '') . 'status';
	my ($value) = slurp_file($file) =~ /^$name:\s+(\w+)/m;
	return $value;
}

# Returns true if a thread of the backend blocks a signal, one of the first 32.
sub blocks
{
	my ($thread, $signal) = @_;
	return hex(substr status('SigBlk', $thread), -8) & 1 << $signal - 1;
}

# Returns the number of file descriptors of the backend.
sub descriptors { return scalar(() = glob "/proc/$pid/fd/*") }

# Returns the resources of the backend, memory in kB.
sub holdings
{
	my $contexts = Cognito::query($session,
		'SELECT sum(used_bytes)::bigint / 1024 FROM pg_backend_memory_contexts');
	my %holdings = (contexts => $contexts, memory => status('VmRSS'), descriptors => descriptors());

	diag("$holdings{memory} kB, of which $contexts in memory contexts");
	return %holdings;
}

# The first measurement itself allocates memory.
run_rounds(1, $SETTLING / 2);
holdings();
run_rounds($SETTLING / 2 + 1, $SETTLING);

my %before = holdings();
my ($failed, $succeeded) = run_rounds($SETTLING + 1, $ROUNDS);
my %after = holdings();

is($failed, 10 * ($ROUNDS - $SETTLING), "$failed calls have failed");
is($succeeded, 10 * ($ROUNDS - $SETTLING), "$succeeded calls have succeeded");
cmp_ok($after{memory}, '<=', $before{memory} + $SLACK, 'memory is flat');
cmp_ok($after{contexts}, '<=', $before{contexts} + $SLACK / 4, 'memory contexts are flat');
is($after{descriptors}, $before{descriptors}, 'descriptors are flat');
is(status('Threads'), 1, 'there are no threads');

# Cancels while a thread resolves the host name, which it goes on doing for five seconds

$hasty =~ s/srv/resolving/;
is(count_of(qr/ERROR:  57014/, $hasty x 100),
	100, 'a hundred calls are cancelled while they resolve a name');
my @threads = grep { $_ != $pid } map { /(\d+)$/ } glob "/proc/$pid/task/*";
cmp_ok(scalar @threads, '>', 10, 'the threads of cancelled calls continue');
my @signals = (SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGALRM, SIGUSR1, SIGUSR2, SIGURG);
my @taken = grep { !blocks($threads[0], $_) } @signals;
is("@taken", '', 'the threads block the signals of the backend');

my $deadline = time + 10;
sleep 0.1 while status('Threads') > 1 && time < $deadline;
is(status('Threads'), 1, 'the threads end when the resolver returns');
is(descriptors(), $after{descriptors}, 'the threads leave no file descriptor');
is(count_of(qr/^70$/m, $calls), 10, 'the session continues to work');

done_testing();
