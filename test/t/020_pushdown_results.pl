# Pushdown changes no result: generated queries return the same rows with and without it, for a pool
# with unusual data, and for a service that ignores filters.
use strict;
use warnings;
use utf8;

use Encode;
use FindBin;
use lib "$FindBin::Bin/..";
use Cognito;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;

my $SEED = $ENV{SEED} // 20;
my $QUERIES = $ENV{QUERIES} // 1500;


# The pool

my @NAMES = (
	'Ana', 'ana', 'ANA', 'An', 'Anabel', 'Zoë', 'zoë', 'Zoe', '日本', '日本 🦆', q(O'Brien),
	'Dwayne "The Rock" Johnson', '"', 'back\\slash', '\\', 'per%cent', '%', 'under_score', '_',
	"line\nfeed", "tab\tbed", "bell\a", ' leading', 'trailing ', '', 'x' x 2048, 'ë' x 245,
	'"' x 130, 'Enabled', 'CONFIRMED', '{a,b}', 'a,b', 'NULL', 'null');
my @STATUSES = qw(CONFIRMED UNCONFIRMED RESET_REQUIRED FORCE_CHANGE_PASSWORD confirmed Enabled);
my %VALUES = (
	'username' => [ map { $_ eq '' ? 'empty' : substr($_, 0, 128) } @NAMES ],
	'sub' => [ map { sprintf('%08x-aaaa-4aaa-8aaa-aaaaaaaaaaaa', $_ * 0x07654321) } 1 .. 20 ],
	'email' => [ 'a@b.example', 'A@b.example', map { "$_\@example.com" } @NAMES ],
	'phone_number' => [ map { "+1555000$_" } 100 .. 120 ],
	'status' => \@STATUSES,
	map { $_ => \@NAMES } qw(name given_name family_name preferred_username));

sub one_of { return $_[ int rand @_ ] }
sub chance { return rand() < $_[0] }

my @GROUPS = (qw(admins Admins editors viewers empty), 'Führung', '"', 'per%cent', 'back\\slash', 'x' x 128);

# Returns a user with random attributes; some are missing.
sub user
{
	my ($number, $prefix) = @_;
	my $username = $VALUES{username}[$number] // one_of(@{ $VALUES{username} }) . $number;
	my @attributes = map { { Name => $_, Value => one_of(@{ $VALUES{$_} }) } }
	  grep { chance(0.8) }
	  qw(sub email phone_number name given_name family_name preferred_username);
	my $user = Cognito->user(
		$prefix . $username,
		Attributes => \@attributes,
		UserStatus => one_of(@STATUSES),
		Enabled => one_of(JSON::PP::true, JSON::PP::false));

	delete $user->{$_} for grep { chance(0.05) } qw(Attributes UserStatus Enabled);
	return $user;
}


# Queries

# Returns a value of an attribute, or a similar one, as an SQL literal; sometimes NULL.
sub value
{
	my ($attribute) = @_;
	my $value = one_of(@{ $VALUES{$attribute} });

	return 'NULL' if chance(0.03);
	$value = one_of(lc $value, uc $value, "$value ", substr($value, 0, -1)) if chance(0.2);
	return Cognito::quote($value);
}

# Returns a value as an expression: of another type, or not a constant.
sub expression
{
	my ($attribute) = @_;
	my $value = value($attribute);

	return one_of(
		($value) x 6,
		"$value\::varchar", "$value\::varchar(500)", "$value\::bpchar", "$value\::name",
		"upper($value)", "($value || '')", "own.volatile($value)",
		"current_setting('test.value')", 'current_user', '(SELECT v FROM t WHERE n = 3)',
		'(SELECT min(v) FROM t)');
}

sub values_of
{
	my ($attribute) = @_;
	return map { value($attribute) } 1 .. one_of(1, 1, 2, 3, 5, 8, 70);
}

# Returns a pattern of LIKE for an existing value, with most of its wildcards escaped.
sub pattern
{
	my ($attribute) = @_;
	my $value = one_of(@{ $VALUES{$attribute} });

	$value = substr($value, 0, int rand length $value) if chance(0.6);
	my $pattern = join '', map { /[%_\\]/ && chance(0.8) ? "\\$_" : $_ } split //, $value;
	$pattern .= one_of('', '%', '%', '_', '%a', '\\%', '%_');
	$pattern .= '\\' if $pattern =~ /(?<!\\)(\\\\)*\\$/;
	return Cognito::quote($pattern);
}

# Returns an expression for an attribute of the relation.
sub column
{
	my ($attribute, $rel) = @_;

	return "$rel.$attribute" if $attribute =~ /^(username|status)$/;
	return "$rel.email" if $attribute eq 'email' && chance(0.7);
	return "$rel.attributes->>'$attribute'";
}

# Returns a UUID as an SQL expression, in any of the forms that PostgreSQL reads.
sub uuid
{
	my $uuid = one_of(@{ $VALUES{sub} });
	return one_of(map { "'$_'::uuid" } $uuid, uc $uuid, "{$uuid}", $uuid =~ s/-//gr);
}

# Returns a comparison that can be pushed down in most cases.
sub comparison
{
	my ($rel) = @_;
	my $attribute = one_of(qw(username username email email email sub phone_number name given_name
		  family_name preferred_username status));
	my $column = column($attribute, $rel);
	my $value = expression($attribute);
	my @values = values_of($attribute);

	return one_of(
		("$column = $value") x 4,
		"$value = $column",
		("$column LIKE " . pattern($attribute)) x 4,
		"$column LIKE " . pattern($attribute) . " ESCAPE '!'",
		("$column ^@ $value\::text") x 2,
		"starts_with($column, $value\::text)",
		("$column IN (" . join(', ', @values) . ')') x 3,
		"$column = ANY (ARRAY[" . join(', ', @values) . ']::text[])',
		"$column = ANY (ARRAY[" . join(', ', @values) . ']::varchar[])',
		"$column = ANY (ARRAY(SELECT v FROM t WHERE n < " . int(rand 80) . '))',
		"$column = ANY (NULL::text[])",
		"$column = ANY ('{}')",
		"$column IN ($value, 'a' || 'b', (SELECT v FROM t WHERE n = 5))",
		"$column\::varchar(" . one_of(3, 20) . ") = $value",
		"$column\::varchar(8) IN (" . join(', ', @values) . ')',
		"CASE WHEN $rel.attributes ? 'sub' THEN ($rel.attributes->>'sub')::uuid = " . uuid() . ' END',
		("($rel.attributes->>'sub')::uuid = " . uuid()) x 2,
		"($rel.attributes->>'sub')::uuid IN (" . uuid() . ', ' . uuid() . ')',
		"$column\::citext = $value", "$column = ($value)::citext",
		"$rel.attributes @> jsonb_build_object(" . Cognito::quote($attribute) . ", $value\::text)",
		"$rel.attributes @> " . Cognito::quote(
			JSON::PP->new->canonical->encode(
				{ map { $_ => one_of(@{ $VALUES{$_} }) } ('name', one_of(sort keys %VALUES)) })),
		"$rel.attributes @> '{\"email\": [\"a\@b.example\"]}'");
}

sub boolean
{
	my ($rel) = @_;
	return one_of(
		"$rel.enabled", "NOT $rel.enabled", "$rel.enabled = true", "$rel.enabled = false",
		"$rel.enabled <> true", "$rel.enabled IS TRUE", "$rel.enabled IS FALSE",
		"$rel.enabled IS NOT TRUE", "$rel.enabled IS NOT FALSE", "$rel.enabled IS UNKNOWN",
		"$rel.enabled = (SELECT n > 1 FROM t WHERE n = 3)", "$rel.enabled = (1 = any(select n from t))");
}

# Returns a condition that must not be pushed down.
sub other
{
	my ($rel) = @_;
	my $attribute = one_of(qw(username email name));
	my $column = column($attribute, $rel);
	my $value = value($attribute);

	return one_of(
		"lower($column) = $value", "$column <> $value", "NOT ($column = $value)",
		"$column IS NOT DISTINCT FROM $value", "$column IS NULL", "$column ILIKE $value || '%'",
		"$column NOT LIKE 'A%'", "$column COLLATE ignore_case = $value",
		"$column COLLATE ignore_case IN ($value, 'x')", "$column COLLATE \"C\" = $value",
		"$column OPERATOR(own.=) $value", "$column NOT IN ($value, 'x')",
		"$column = ALL (ARRAY[$value])", "$column = ALL ('{}')", "coalesce($column, '') = $value",
		"($column = $value) IS NOT FALSE", "$rel.attributes->'name' = '\"Ana\"'",
		"$rel.attributes @> '[\"name\"]'",
		"$rel.attributes->>'custom' = $value", "length($column) > 3");
}

sub condition
{
	my ($rel) = @_;
	my $plain = one_of((\&comparison) x 6, \&boolean, \&other);

	return join(chance(0.8) ? ' AND ' : ' OR ', map { '(' . condition($rel) . ')' } 1 .. 2)
	  if chance(0.25);
	return 'NOT (' . condition($rel) . ')' if chance(0.05);
	return $plain->($rel);
}

# Returns a relation over the pool.
sub relation
{
	my $condition = condition('x');

	return one_of(
		("cognito_users('pool')") x 3,
		('cognito_users') x 3,
		"cognito_users('pool', NULL)",
		"cognito_users('pool', max_users => NULL)",
		("cognito_users('account', user_pool_id => 'eu-west-1_pool')") x 2,
		"(SELECT u.* FROM (VALUES ('eu-west-1_pool'), ('eu-west-1_second')) p (id), cognito_users('account', user_pool_id => p.id) u)",
		"(SELECT * FROM cognito_users x WHERE $condition LIMIT 1000)",
		'enabled_users',
		'guarded_users',
		'renamed_users',
		"(SELECT * FROM cognito_users x WHERE $condition)",
		"(SELECT * FROM cognito_users x WHERE $condition OFFSET 0)",
		"(SELECT * FROM cognito_users UNION SELECT * FROM cognito_users x WHERE $condition)",
		"(SELECT * FROM cognito_users UNION ALL SELECT * FROM cognito_users('pool') x WHERE $condition)",
		"(SELECT * FROM cognito_users EXCEPT SELECT * FROM cognito_users x WHERE $condition)",
		"(SELECT * FROM cognito_users ORDER BY username COLLATE \"C\" LIMIT 40)",
		"(SELECT * FROM cognito_users LIMIT " . int(rand 80) . ')',
		"(SELECT * FROM cognito_users LIMIT " . int(rand 80) . ' OFFSET ' . int(rand 150) . ')',
		"(SELECT u.* FROM pg_foreign_server s, cognito_users(s.srvname::text) u WHERE srvname <> 'account')");
}

# Returns a name of a group or user, or a similar one, as an SQL literal.
sub name
{
	my ($kind) = @_;
	return value('username') if $kind eq 'username';
	my $name = one_of(@GROUPS, '', 'a b', "line\nfeed", 'x' x 129, 'nobody');
	return chance(0.03) ? 'NULL' : Cognito::quote(chance(0.1) ? uc $name : $name);
}

# Returns a condition on memberships.
sub membership
{
	my ($rel) = @_;
	my $kind = one_of(qw(group_name username));
	my $column = "$rel.$kind";
	my ($name, @names) = map { name($kind) } 0 .. one_of(1, 1, 2, 5, 70);

	return '(' . membership($rel) . one_of(' AND ', ' AND ', ' OR ') . membership($rel) . ')' if chance(0.2);
	return one_of(
		("$column = $name") x 4,
		"$name = $column",
		("$column IN (" . join(', ', @names) . ')') x 3,
		"$column = ANY (ARRAY[" . join(', ', @names) . ']::varchar[])',
		"$column = ANY (ARRAY(SELECT v FROM t WHERE n < 8))",
		"$column = ANY (NULL::text[])", "$column = ANY ('{}')",
		"$column = (SELECT v FROM t WHERE n = 5)", "$column = own.volatile($name)",
		"$column ^@ $name\::text", "$column LIKE 'a%'", "lower($column) = $name", "$column <> $name",
		"$column COLLATE ignore_case = $name", "NOT ($column = $name)");
}

# Returns a statement on memberships; for a prepared one, with its argument.
sub membership_query
{
	my $m = one_of("cognito_memberships('pool')", 'cognito_memberships',
		"cognito_memberships('account', user_pool_id => 'eu-west-1_pool')") . ' m';
	my ($one, $other) = (membership('m'), membership('m'));
	my $kind = one_of(qw(group_name username));
	my $name = name($kind);

	return one_of(
		("SELECT * FROM $m WHERE $one") x 4,
		"SELECT * FROM $m WHERE $one AND $other",
		"SELECT * FROM cognito_memberships('pool', '$kind', ARRAY[$name, $name, 'admins', 'Ana'])",
		"SELECT group_name, count(*) FROM $m WHERE $one GROUP BY 1",
		"SELECT count(*) FROM (SELECT FROM $m LIMIT 70) limited",
		"SELECT m.group_name, u.email FROM cognito_users u JOIN $m USING (username) WHERE username = " . name('username'),
		"SELECT t.n, m.group_name FROM t LEFT JOIN $m ON m.username = t.v AND $one",
		"SELECT t.n, m.group_name FROM t LEFT JOIN $m ON m.username = t.v WHERE $one",
		"SELECT t.n, array(SELECT m.username FROM $m WHERE m.$kind = t.v ORDER BY m.username COLLATE \"C\") FROM t WHERE t.n < 6",
		"SELECT t.n FROM t WHERE NOT EXISTS (SELECT FROM $m WHERE m.username = t.v AND $one)",
		"SELECT * FROM $m WHERE $one UNION SELECT * FROM $m WHERE $other",
		[ "SELECT * FROM $m WHERE m.$kind = \$1", $name ],
		[ "SELECT * FROM $m WHERE m.$kind IN (\$1, 'admins', upper(\$1)) AND $one", $name ],
		[ "SELECT * FROM $m WHERE m.$kind ^@ \$1", $name ]);
}

my $COLUMNS = 'u.username, u.email, u.status, u.enabled, u.attributes';

# Returns a table of values of an attribute, for joins, whose types differ.
sub values_table
{
	my ($attribute) = @_;
	my $type = one_of('text', 'text', 'varchar', 'name');
	return '(VALUES ' . join(', ', map { "($_, ${\value($attribute)}::$type)" } 1 .. one_of(1, 2, 5, 40)) . ')';
}

# Returns a comparison of an attribute of the pool with a column of another relation.
sub join_condition
{
	my ($attribute, $rel, $other) = ($_[0], $_[1], "($_[2])");
	my $column = '(' . column($attribute, $rel) . ')';

	return one_of(
		("$column = $other") x 4, "$other = $column", "$column\::text = $other\::text", "$column = $other || ''",
		"$column = upper($other)", "$column = coalesce($other, 'Ana')", "$column COLLATE \"C\" = $other",
		"$column COLLATE ignore_case = $other\::text", "$column ^@ $other\::text", "lower($column) = $other",
		"$column = own.volatile($other)", "$column = (SELECT min(v) FROM t WHERE t.v = $other)");
}

# Returns a join of two to four relations, of which the pool is one or two.
sub join_query
{
	my ($one, $two) = map { one_of(qw(username email email sub phone_number name given_name)) } 1 .. 2;
	my ($u, $w) = map { relation() } 1 .. 2;
	my ($a, $b) = (values_table($one), values_table($two));
	my $join = one_of('JOIN', 'LEFT JOIN');
	my $kind = one_of('', 'NOT ');
	my ($on_u, $on_w) = (join_condition($one, 'u', 'a.v'), join_condition($two, 'w', 'b.v'));
	my $condition = condition('u');
	my $more = one_of('', '', '', " AND $condition");
	my $both = one_of('', '', '', " AND $condition", ' AND a.n > 1', " AND u.username <> ALL (SELECT v FROM t WHERE t.n = a.n)",
		' AND u IS NOT NULL', ' AND (u.enabled OR a.n > 2)', " AND a.n = (SELECT min(n) FROM t)", " AND own.volatile(a.v::text) = a.v");
	my $limit = one_of('', '', " LIMIT 3");
	my ($other, $other_w) = (join_condition($two, 'u', 'b.v'), join_condition('sub', 'w', column('sub', 'u')));

	return one_of(
		("SELECT a.n, $COLUMNS FROM $a a (n, v) $join $u u ON $on_u$both") x 4,
		"SELECT a.n, u.username FROM $a a (n, v), $u u WHERE $on_u$both",
		"SELECT a.n, u FROM $a a (n, v) $join $u u ON $on_u$both",
		"SELECT a.n, u.username, 1 + a.n FROM $a a (n, v) $join $u u ON $on_u WHERE $condition",
		"SELECT a.n, u.username FROM $a a (n, v) LEFT JOIN $u u ON $on_u WHERE u.username IS NULL OR u.enabled",
		"SELECT a.n FROM $a a (n, v) WHERE ${kind}EXISTS (SELECT FROM $u u WHERE $on_u$both)",
		"SELECT a.n FROM $a a (n, v) WHERE a.v ${kind}IN (SELECT ${\column($one, 'u')} FROM $u u WHERE u.username IS NOT NULL$both)",
		"SELECT u.username FROM $u u WHERE ${\column($one, 'u')} IN (SELECT a.v FROM $a a (n, v))$more",
		"SELECT u.username FROM $u u WHERE ${kind}EXISTS (SELECT FROM $a a (n, v) WHERE $on_u)$more",
		"SELECT a.n, b.n, u.username FROM $a a (n, v) JOIN $b b (n, v) ON a.n = b.n $join $u u ON $on_u AND $other",
		"SELECT a.n, b.n, u.username FROM $a a (n, v) $join $u u ON $on_u$both $join $b b (n, v) ON a.n = b.n",
		"SELECT a.n, b.n, u.username FROM $a a (n, v) $join ($u u JOIN $b b (n, v) ON $other) ON $on_u",
		"SELECT a.n, u.username, w.email FROM $a a (n, v) JOIN $u u ON $on_u $join $w w ON $other_w",
		"SELECT a.n, b.n, u.username, w.email FROM $a a (n, v) $join $u u ON $on_u, $b b (n, v) $join $w w ON $on_w WHERE a.n = b.n",
		"SELECT a.n, b.n, u.username, w.email FROM $a a (n, v) FULL JOIN $b b (n, v) ON a.n = b.n LEFT JOIN $u u ON $on_u LEFT JOIN $w w ON $on_w",
		"SELECT a.n, x.username FROM $a a (n, v), LATERAL (SELECT * FROM $u u WHERE $on_u) x",
		"SELECT a.n, x.username FROM $a a (n, v) LEFT JOIN LATERAL (SELECT u.*, a.n AS m FROM $u u WHERE $on_u) x ON x.m > 1",
		"SELECT a.n, (SELECT string_agg(u.username, ',' ORDER BY u.username COLLATE \"C\") FROM $b b (n, v) JOIN $u u ON $other WHERE b.n <> a.n) FROM $a a (n, v)",
		"SELECT a.n, (SELECT count(*) FROM $b b (n, v) $join $u u ON $other$both) FROM $a a (n, v)",
		"SELECT a.n, u.username, u.k FROM $a a (n, v) LEFT JOIN (SELECT u.*, coalesce(u.email, 'none') AS k FROM $u u) u ON $on_u$both",
		"SELECT a.n, x.n, x.k FROM $a a (n, v) LEFT JOIN (SELECT b.n, coalesce(u.email, 'none') AS k FROM $b b (n, v) $join $u u ON $other) x ON x.n = a.n",
		"SELECT a.n, x.n, u.username FROM $a a (n, v) LEFT JOIN (SELECT b.n, coalesce(b.v, 'Ana') AS v FROM $b b (n, v)) x ON x.n = a.n LEFT JOIN $u u ON ${\join_condition($one, 'u', 'x.v')} WHERE u.enabled IS DISTINCT FROM (x.n > 1)",
		"SELECT a.n, count(u.username) FROM $a a (n, v) $join $u u ON $on_u GROUP BY a.n",
		"SELECT count(*) FROM (SELECT FROM $a a (n, v) $join $u u ON $on_u$limit) limited",
		"WITH RECURSIVE r AS (SELECT n, v FROM $a a (n, v) UNION SELECT r.n + 1, u.email FROM r JOIN cognito_users u ON u.username = r.v WHERE r.n < 4) SELECT * FROM r",
		"SELECT a.n, m.group_name, u.email FROM $a a (n, v) $join cognito_memberships m ON m.username = a.v $join $u u ON u.username = m.username",
		"SELECT g.group_name, m.username FROM cognito_groups('pool') g $join cognito_memberships m ON m.group_name = g.group_name",
		[ "SELECT a.n, u.username FROM $a a (n, v) $join $u u ON $on_u AND a.v = \$1", value($one) ],
		[ "SELECT a.n, u.username FROM $a a (n, v) $join $u u ON u.username = a.v || \$1", value($one) ]);
}


# Returns a statement; for a prepared one, with its argument.
sub query
{
	my $u = relation() . ' u';
	my $condition = condition('u');
	my $correlated = one_of('u.email = t.v', "u.attributes->>'name' = t.v", 'u.username ^@ t.v',
		'u.username = ANY (ARRAY[t.v, upper(t.v)])', "u.attributes->>'name' LIKE 'An%'");
	my $limit = int rand 200;
	my $value = value('email');
	my ($name, $pick) = (one_of(qw(name email username)), one_of('=', '^@'));
	my $column = column($name, 'u');

	return one_of(
		("SELECT $COLUMNS FROM $u WHERE $condition") x 8,
		"SELECT * FROM cognito_users('pool') WITH ORDINALITY u WHERE $condition",
		"SELECT $COLUMNS, g FROM ROWS FROM (cognito_users('pool'), generate_series(1, 5)) u (username, email,
			status, enabled, created_at, updated_at, attributes, g) WHERE $condition",
		"WITH u AS (SELECT * FROM $u) SELECT $COLUMNS FROM u WHERE $condition",
		"WITH u AS MATERIALIZED (SELECT * FROM $u) SELECT $COLUMNS FROM u WHERE $condition",
		"SELECT count(*), min(u.username COLLATE \"C\") FROM $u WHERE $condition",
		"SELECT u.status, count(*) FROM $u WHERE $condition GROUP BY 1 HAVING u.status = 'CONFIRMED' OR count(*) > 2",
		"SELECT DISTINCT u.email FROM $u WHERE $condition",
		"SELECT u.username, rank() OVER (PARTITION BY u.email ORDER BY u.username COLLATE \"C\") FROM $u WHERE $condition",
		"SELECT $COLUMNS FROM $u WHERE $condition ORDER BY u.username COLLATE \"C\" LIMIT 3 OFFSET 1",
		("SELECT count(*) FROM (SELECT FROM $u WHERE $condition LIMIT $limit) limited") x 3,
		"SELECT count(*), bool_and($condition) FROM (SELECT * FROM $u WHERE $condition LIMIT 5 OFFSET 1) u",
		"SELECT t.n, (SELECT count(*) FROM (SELECT FROM cognito_users u WHERE $correlated LIMIT 2) u) FROM t WHERE t.n < 8",
		"SELECT count(*) FROM (SELECT FROM cognito_users u JOIN t ON u.email = t.v LIMIT $limit) limited",
		"SELECT count(*) FROM (SELECT FROM t LEFT JOIN cognito_users u ON u.email = t.v LIMIT $limit) limited",
		"SELECT count(*) FROM (SELECT FROM t, cognito_users LIMIT $limit) limited",
		"SELECT count(*) FROM (SELECT FROM (SELECT * FROM cognito_users OFFSET 60) u LIMIT $limit) limited",
		"SELECT username FROM cognito_users LIMIT $limit",
		"SELECT username FROM cognito_users FETCH FIRST $limit ROWS ONLY",
		"SELECT username FROM cognito_users LIMIT NULL OFFSET $limit",
		"SELECT count(*) FROM (SELECT DISTINCT status FROM cognito_users LIMIT 5 OFFSET 1) limited",
		"SELECT count(*) FROM cognito_users LIMIT 3",
		"SELECT count(*) FROM (SELECT username, generate_series(1, 3) FROM cognito_users LIMIT $limit) limited",
		"SELECT count(*) OVER () FROM cognito_users LIMIT 2",
		"SELECT username FROM cognito_users WHERE $limit = 5 LIMIT 5",
		"SELECT t.n, u.username FROM t JOIN $u ON u.email = t.v WHERE t.v = $value",
		"SELECT t.n, u.username FROM t JOIN $u ON u.email = t.v AND $condition",
		"SELECT t.n, u.username FROM t LEFT JOIN $u ON u.email = t.v AND $condition",
		"SELECT t.n, u.username FROM t LEFT JOIN $u ON u.email = t.v WHERE $condition",
		"SELECT t.n, u.username FROM $u LEFT JOIN t ON u.email = t.v AND $condition",
		"SELECT t.n, u.username FROM $u LEFT JOIN t ON u.email = t.v WHERE $condition AND t.n IS NULL",
		"SELECT t.n, u.username FROM t RIGHT JOIN $u ON u.email = t.v WHERE $condition",
		"SELECT t.n, u.username FROM t FULL JOIN $u ON u.email = t.v WHERE $condition OR t.n > 3",
		"SELECT t.n, u.username FROM t FULL JOIN (SELECT * FROM $u WHERE $condition) u ON u.email = t.v",
		"SELECT u.username, o.email FROM $u JOIN cognito_users o ON o.attributes->>'sub' = u.attributes->>'sub' WHERE $condition",
		"SELECT t.n FROM t WHERE EXISTS (SELECT FROM $u WHERE u.email = t.v AND $condition)",
		"SELECT t.n FROM t WHERE NOT EXISTS (SELECT FROM $u WHERE u.email = t.v AND $condition)",
		"SELECT t.n FROM t WHERE EXISTS (SELECT FROM cognito_users u WHERE $correlated) OR t.n = 7",
		"SELECT t.n FROM t WHERE t.v IN (SELECT u.email FROM $u WHERE $condition)",
		"SELECT t.n FROM t WHERE t.v NOT IN (SELECT u.email FROM $u WHERE u.email IS NOT NULL AND $condition)",
		"SELECT t.n, (SELECT count(*) FROM cognito_users u WHERE $correlated) FROM t WHERE t.n < 12",
		"SELECT t.n, u.username FROM t, LATERAL (SELECT * FROM cognito_users u WHERE $correlated OFFSET 0) u WHERE t.n < 8",
		"SELECT t.n, u.username FROM t LEFT JOIN LATERAL (SELECT * FROM cognito_users u WHERE $correlated) u ON $condition",
		"SELECT username FROM $u WHERE $condition UNION SELECT username FROM cognito_users u WHERE $condition",
		[ "SELECT $COLUMNS FROM $u WHERE $column $pick \$1", $value ],
		[ "SELECT $COLUMNS FROM $u WHERE \$1 = $column AND $condition", $value ],
		[ "SELECT $COLUMNS FROM $u WHERE $column IN (\$1, 'x', upper(\$1))", $value ],
		[ "SELECT $COLUMNS FROM $u WHERE $column = ANY (string_to_array(\$1, 'a'))", $value ],
		[ "SELECT $COLUMNS FROM $u WHERE u.enabled = (\$1 > 'a')", $value ],
		[ "SELECT $COLUMNS FROM $u WHERE $column LIKE \$1 AND $condition", $value ],
		[ "SELECT t.n, u.username FROM t JOIN $u ON u.email = t.v WHERE t.v = \$1 OR t.n = 3", $value ]);
}


# The cluster

my $cognito = Cognito->new;
my $node = Cognito::cluster('main');

$cognito->create_server($node, $_, user_pool_id => "eu-west-1_$_") for qw(pool second);
$cognito->create_server($node, 'account', user_pool_id => undef);
$node->safe_psql(
	'postgres', <<'SQL');
CREATE EXTENSION citext;
CREATE SCHEMA own;
CREATE FUNCTION own.volatile(text) RETURNS text LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN $1; END';
CREATE FUNCTION own.equal(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
	AS 'BEGIN RETURN lower($1) = lower($2); END';
CREATE OPERATOR own.= (FUNCTION = own.equal, LEFTARG = text, RIGHTARG = text);
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE VIEW enabled_users AS SELECT * FROM cognito_users WHERE enabled;
CREATE VIEW guarded_users WITH (security_barrier) AS
	SELECT * FROM cognito_users WHERE email <> 'ana@example.com';
CREATE VIEW renamed_users (username, email, status, enabled, attributes) AS
	SELECT email, username, status, NOT enabled, attributes FROM cognito_users;
CREATE TABLE t (n int, v text);
CREATE TABLE queries (n serial, prepared text, statement text, pushed text, local text);

-- Return a digest of a statement's rows, regardless of their order, or its error.
CREATE FUNCTION answer(prepared text, statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r record;
	answer text[] = '{}';
BEGIN
	IF prepared IS NOT NULL THEN
		EXECUTE prepared;
	END IF;
	FOR r IN EXECUTE statement LOOP
		answer = answer || r::text;
	END LOOP;
	IF prepared IS NOT NULL THEN
		DEALLOCATE p;
	END IF;
	answer = array(SELECT unnest(answer) COLLATE "C" ORDER BY 1);
	RETURN format('%s rows, %s', cardinality(answer), md5(answer::text));
EXCEPTION WHEN OTHERS THEN
	RETURN format('error %s: %s', SQLSTATE, SQLERRM);
END $$;
SQL

# Returns a string as an SQL literal, or NULL.
sub literal
{
	my ($text) = @_;
	return defined $text ? Cognito::quote($text) : 'NULL';
}

# Fills the tables.
sub fill
{
	my @rows = map { '(' . $_ . ', ' . value(one_of('email', 'name')) . ')' } 1 .. 60;
	my @queries;

	for (1 .. $QUERIES)
	{
		my $query = chance(0.15) ? membership_query() : chance(0.4) ? join_query() : query();
		my ($prepared, $statement) = (undef, $query);

		if (ref $query)
		{
			$prepared = "PREPARE p (text) AS $query->[0]";
			$statement = "EXECUTE p ($query->[1])";
		}
		push @queries, '(' . literal($prepared) . ', ' . literal($statement) . ')';
	}

	$node->safe_psql('postgres',
		encode_utf8("INSERT INTO t VALUES @{[ join ', ', @rows ]};
			INSERT INTO queries (prepared, statement) VALUES @{[ join ', ', @queries ]}"));
	return;
}

# Runs the first queries in a session and stores their answers; returns the number of requests.
sub run_queries
{
	my ($count, $setting, $column, $more) = @_;
	my $session = Cognito::session($node);

	$cognito->clear_requests;
	is( Cognito::query_error($session,
			"SET cognito_srf.default_server = pool; SET plan_cache_mode = force_generic_plan;
			 SET test.value = 'ana\@example.com'; SET cognito_srf.enable_pushdown = $setting; @{[ $more // '' ]}
			 UPDATE queries SET $column = answer(prepared, statement) WHERE n <= $count"),
		'',
		"$count queries run with pushdown $setting");
	$session->quit;
	return scalar $cognito->requests;
}

# Checks that the first queries have the same answers with and without pushdown.
sub is_equal
{
	my ($name, $count) = @_;
	is( $node->safe_psql('postgres',
			"SELECT format('%s, instead of %s: %s %s', pushed, local, prepared, statement)
			 FROM queries WHERE n <= $count AND pushed IS DISTINCT FROM local ORDER BY n LIMIT 3"),
		'',
		"$name: equal answers (seed $SEED)");
	return;
}

srand $SEED;
my @users = map { user($_, '') } 0 .. 129;    # three pages
my @others = map { user($_, 'second ') } 0 .. 69;
my %groups = (groups => [ map { { GroupName => $_ } } @GROUPS ], memberships => {
	map { my $share = rand 0.5; $_ => [ map { $_->{Username} } grep { chance($share) } @users ] } grep { $_ ne 'empty' } @GROUPS });
$cognito->pool('eu-west-1_pool', users => \@users, %groups);
$cognito->pool('eu-west-1_second', users => \@others);
fill();

my $local = run_queries($QUERIES, 'off', 'local');
my $pushed = run_queries($QUERIES, 'on', 'pushed');
is_equal('a pool with awkward data', $QUERIES);
cmp_ok($pushed, '<', $local, "pushdown saves requests: $pushed instead of $local");
is( $node->safe_psql('postgres', "SELECT statement FROM queries WHERE local LIKE 'error%' LIMIT 1"),
	'', 'no query fails');
cmp_ok(
	$node->safe_psql('postgres', "SELECT count(*) FROM queries WHERE local NOT LIKE '0 rows%'"),
	'>', $QUERIES / 2, 'most queries find something');

$cognito->pool('eu-west-1_pool', users => \@users, %groups, ignore_filter => JSON::PP::true);
$cognito->pool('eu-west-1_second', users => \@others, ignore_filter => JSON::PP::true);
$node->safe_psql('postgres', 'UPDATE queries SET pushed = NULL');
run_queries($QUERIES / 3, 'on', 'pushed');
is_equal('a service that ignores filters', $QUERIES / 3);

$cognito->pool('eu-west-1_pool', users => \@users, %groups);
$cognito->pool('eu-west-1_second', users => \@others);
$node->safe_psql('postgres', 'UPDATE queries SET pushed = NULL');
run_queries($QUERIES / 3, 'on', 'pushed', "SET work_mem = '64kB'; SET hash_mem_multiplier = 1; SET geqo_threshold = 2; SET enable_hashjoin = off;");
is_equal('other plans', $QUERIES / 3);

is($cognito->violations, 0, 'every request is well-formed');
done_testing();
