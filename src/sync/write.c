/*
 * write.c
 *		Write the listed users of some partitions to the target of a synchronization.
 *
 * The statements read the listed rows as a table, as triggers do their transition
 * tables.  The first one counts what there is to do; those that change rows are only
 * executed if there is something, because a statement without rows fires triggers, too.
 * Rows are compared byte by byte: a type may have no equality operator, or one that
 * ignores differences, as that of citext does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "sync/write.h"

/* The name under which statements read the listed rows. */
#define LISTED "cognito_sync_rows"

/* The age in minutes before which a row that is not listed is kept. */
#define MIN_DELETED_AGE 10

/* Conditions on a row t of the target, and on the row n that is listed for its user. */
#define IS_SAME_USER "n.sub OPERATOR(pg_catalog.=) t.sub"
#define IS_OLD "t.created_at OPERATOR(pg_catalog.<) $2"

/* Append the columns of the target, each after a prefix, with or without the key. */
static void
append_columns(StringInfo statement, const SyncTarget *target, const char *prefix, bool with_key)
{
	const char *separator = "";

	for (int i = 0; i < target->ncolumns; i++)
	{
		if (i == target->key && !with_key)
			continue;
		appendStringInfo(statement, "%s%s%s", separator, prefix,
						 quote_identifier(target->columns[i].name));
		separator = ", ";
	}
}

/* Append the condition that a row t of the target differs from the listed row n. */
static void
append_is_changed(StringInfo statement, const SyncBatch *batch)
{
	appendStringInfoString(statement, "(pg_catalog.record_image_ne(ROW(");
	append_columns(statement, batch->target, "t.", true);
	appendStringInfoString(statement, "), ROW(");
	append_columns(statement, batch->target, "n.", true);
	appendStringInfoString(statement, "))");
	if (batch->deletions == SYNC_MARK)
		appendStringInfoString(statement, " OR t.deleted_at IS NOT NULL");
	appendStringInfoChar(statement, ')');
}

/*
 * Append the condition that a row t of the target is in one of the partitions.  An index
 * on a uuid finds the range of the first to the last one, which are sorted; the order of
 * a text depends on its collation.
 */
static void
append_in_partitions(StringInfo statement, const SyncBatch *batch)
{
	const SyncTarget *target = batch->target;
	const char       *partitions = batch->partitions;

	if (target->columns[target->key].type == UUIDOID)
		appendStringInfo(
			statement,
			"t.sub OPERATOR(pg_catalog.>=) '%c0000000-0000-0000-0000-000000000000' AND "
			"t.sub OPERATOR(pg_catalog.<=) '%cfffffff-ffff-ffff-ffff-ffffffffffff' AND ",
			partitions[0], partitions[strlen(partitions) - 1]);
	appendStringInfoString(
		statement, "pg_catalog.left(t.sub::pg_catalog.text, 1) OPERATOR(pg_catalog.=) ANY ($1)");
}

/* Append the condition that a row t of the target can be deleted if it is not listed. */
static void
append_is_deletable(StringInfo statement, const SyncBatch *batch)
{
	appendStringInfoString(statement, batch->deletions == SYNC_KEEP ? "false" : IS_OLD);
	if (batch->deletions == SYNC_MARK)
		appendStringInfoString(statement, " AND t.deleted_at IS NULL");
}

/* Append the columns of the target that the count needs, also those without a source. */
static void
append_counted_columns(StringInfo statement, const SyncBatch *batch)
{
	const SyncTarget *target = batch->target;
	bool              has_date = false;

	append_columns(statement, target, "t.", true);
	for (int i = 0; i < target->ncolumns; i++)
		has_date |= strcmp(target->columns[i].name, "created_at") == 0;
	if (batch->deletions != SYNC_KEEP && !has_date)
		appendStringInfoString(statement, ", t.created_at");
	if (batch->deletions == SYNC_MARK)
		appendStringInfoString(statement, ", t.deleted_at");
}

/*
 * Return the statement that counts, for each partition: rows to insert, to update and
 * to delete, listed rows, and rows of the target that are not marked.
 */
static char *
make_count(const SyncBatch *batch)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfoString(
		&statement,
		"SELECT pg_catalog.left(COALESCE(n.sub, t.sub)::pg_catalog.text, 1), "
		"pg_catalog.count(*) FILTER (WHERE t.sub IS NULL), "
		"pg_catalog.count(*) FILTER (WHERE n.sub IS NOT NULL AND t.sub IS NOT NULL AND ");
	append_is_changed(&statement, batch);
	appendStringInfoString(&statement, "), pg_catalog.count(*) FILTER (WHERE n.sub IS NULL AND ");
	append_is_deletable(&statement, batch);
	appendStringInfo(&statement,
					 "), pg_catalog.count(n.sub), "
					 "pg_catalog.count(*) FILTER (WHERE t.sub IS NOT NULL%s) "
					 "FROM " LISTED " AS n FULL JOIN (SELECT ",
					 batch->deletions == SYNC_MARK ? " AND t.deleted_at IS NULL" : "");
	append_counted_columns(&statement, batch);
	appendStringInfo(&statement, " FROM %s AS t WHERE ", batch->target->name);
	append_in_partitions(&statement, batch);
	appendStringInfoString(&statement, ") AS t ON " IS_SAME_USER " GROUP BY 1");
	return statement.data;
}

/* Return the statement that deletes or marks the rows that are not listed. */
static char *
make_delete(const SyncBatch *batch)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement,
					 batch->deletions == SYNC_DELETE
						 ? "DELETE FROM %s AS t"
						 : "UPDATE %s AS t SET deleted_at = pg_catalog.now()",
					 batch->target->name);
	appendStringInfoString(&statement, " WHERE ");
	append_in_partitions(&statement, batch);
	appendStringInfoString(&statement, " AND ");
	append_is_deletable(&statement, batch);
	appendStringInfoString(&statement,
						   " AND NOT EXISTS (SELECT FROM " LISTED " AS n WHERE " IS_SAME_USER ")");
	return statement.data;
}

/* Append an assignment of columns of the listed row, and what takes a mark away. */
static void
append_assignment(StringInfo statement, const SyncBatch *batch, const char *row)
{
	bool mark = batch->deletions == SYNC_MARK;

	appendStringInfoString(statement, "SET (");
	append_columns(statement, batch->target, "", true);
	appendStringInfo(statement, "%s) = ROW(", mark ? ", deleted_at" : "");
	append_columns(statement, batch->target, row, true);
	appendStringInfo(statement, "%s)", mark ? ", NULL" : "");
}

/* Return the statement that updates the rows that differ. */
static char *
make_update(const SyncBatch *batch)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement, "UPDATE %s AS t ", batch->target->name);
	append_assignment(&statement, batch, "n.");
	appendStringInfoString(&statement, " FROM " LISTED " AS n WHERE " IS_SAME_USER " AND ");
	append_is_changed(&statement, batch);
	return statement.data;
}

/*
 * Return the statement that sets columns of rows that differ to NULL, or else to a text
 * that no other row has, so that the update can give their values to other users; NULL
 * if no column allows that.  The text looks like an email address, for constraints.
 */
static char *
make_release(const SyncBatch *batch)
{
	static const char *const values[] = {
		[RELEASE_NULL] = "NULL",
		[RELEASE_TEXT] = "(t.sub::pg_catalog.text OPERATOR(pg_catalog.||) '@user.invalid')",
	};

	const SyncTarget *target = batch->target;
	StringInfoData    statement;
	const char       *separator = "";

	initStringInfo(&statement);
	appendStringInfo(&statement, "UPDATE %s AS t SET ", target->name);
	for (int i = 0; i < target->ncolumns; i++)
		if (target->columns[i].release != RELEASE_NOTHING && i != target->key)
		{
			appendStringInfo(&statement, "%s%s = %s", separator,
							 quote_identifier(target->columns[i].name),
							 values[target->columns[i].release]);
			separator = ", ";
		}
	if (separator[0] == '\0')
		return NULL;
	appendStringInfoString(&statement, " FROM " LISTED " AS n WHERE " IS_SAME_USER " AND ");
	append_is_changed(&statement, batch);
	return statement.data;
}

/*
 * Return the statement that inserts the rows that the target lacks.  The one that
 * resolves conflicts updates a row that the application has just inserted, and inserts
 * one row for a user who was listed twice.
 */
static char *
make_insert_statement(const SyncBatch *batch, bool resolve_conflicts)
{
	const SyncTarget *target = batch->target;
	StringInfoData    statement;

	initStringInfo(&statement);
	appendStringInfo(&statement, "INSERT INTO %s AS t (", target->name);
	append_columns(&statement, target, "", true);
	appendStringInfo(&statement, ") SELECT %s", resolve_conflicts ? "DISTINCT ON (n.sub) " : "");
	append_columns(&statement, target, "n.", true);
	appendStringInfo(&statement,
					 " FROM " LISTED
					 " AS n WHERE NOT EXISTS (SELECT FROM %s AS t WHERE " IS_SAME_USER ")",
					 target->name);
	if (resolve_conflicts)
	{
		appendStringInfoString(&statement, " ON CONFLICT (sub) DO UPDATE ");
		append_assignment(&statement, batch, "excluded.");
	}
	return statement.data;
}

static char *
make_insert(const SyncBatch *batch)
{
	return make_insert_statement(batch, false);
}

static char *
make_upsert(const SyncBatch *batch)
{
	return make_insert_statement(batch, true);
}

/* Return a statement for a batch. */
typedef char *(*StatementMaker)(const SyncBatch *batch);

/* Execute a statement with the partitions and the time before which rows are old. */
static void
execute(const SyncBatch *batch, const char *statement)
{
	Oid   types[] = {TEXTARRAYOID, TIMESTAMPTZOID};
	Datum values[lengthof(types)];
	Datum digits[SYNC_NPARTITIONS];
	int   ndigits = (int) strlen(batch->partitions);
	int   result;
	int64 age = MIN_DELETED_AGE * (int64) SECS_PER_MINUTE * USECS_PER_SEC;

	for (int i = 0; i < ndigits; i++)
		digits[i] = PointerGetDatum(cstring_to_text_with_len(batch->partitions + i, 1));
	values[0] = PointerGetDatum(construct_array(digits, ndigits, TEXTOID, -1, false, TYPALIGN_INT));
	values[1] = TimestampTzGetDatum(batch->started - age);
	result = SPI_execute_with_args(statement, lengthof(types), types, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute a statement: %s", SPI_result_code_string(result));
}

/* Make rows visible to statements as a table of the target's columns, or take it away. */
static void
register_rows(const SyncTarget *target, Tuplestorestate *rows)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = LISTED;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = target->row;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = (double) tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register the listed rows");
}

static void
unregister_rows(void)
{
	SPI_unregister_relation(LISTED);
}

/* Return a column of a row of the last query's result as an integer. */
static int64
get_count(uint64 row, int column)
{
	bool isnull;

	return DatumGetInt64(
		SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull));
}

/* Raise 55000 if too many rows of a partition would be deleted. */
static void
check_deleted(const SyncBatch *batch, char partition, int64 deleted, int64 rows)
{
	if ((double) deleted <= batch->max_deleted * (double) rows)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("synchronization would delete too many rows of table %s", batch->target->name),
			 errdetail("In partition \"%c\", " INT64_FORMAT " of " INT64_FORMAT
					   " users are not listed; max_deleted is %g.",
					   partition, deleted, rows, batch->max_deleted),
			 errhint("Check option \"user_pool_id\" of the server.  If these users have been "
					 "deleted, use a larger max_deleted, up to 1.")));
}

/* Count what is to be done in each partition and return the sums; raise 55000 as above. */
static SyncCounts
count_changes(SyncBatch *batch)
{
	SyncCounts sum = {0};

	memset(batch->counts, 0, sizeof(batch->counts));
	execute(batch, make_count(batch));
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char       *partition = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		SyncCounts *counts =
			&batch->counts[strchr(SYNC_PARTITIONS, partition[0]) - SYNC_PARTITIONS];

		counts->inserted = get_count(row, 2);
		counts->updated = get_count(row, 3);
		counts->deleted = get_count(row, 4);
		counts->unchanged = get_count(row, 5) - counts->inserted - counts->updated;
		check_deleted(batch, partition[0], counts->deleted, get_count(row, 6));
		sum.inserted += counts->inserted;
		sum.updated += counts->updated;
		sum.deleted += counts->deleted;
	}
	SPI_freetuptable(SPI_tuptable);
	return sum;
}

/*
 * Execute the statements for which there are rows.  Those that resolve conflicts write
 * more: they take the values of rows that differ away before others get them.  Deferred
 * constraints are checked, too, because a violation that COMMIT finds cannot be resolved.
 */
static void
change_rows(SyncBatch *batch, bool resolve_conflicts)
{
	SyncCounts sum = count_changes(batch);
	char      *release = resolve_conflicts ? make_release(batch) : NULL;

	if (sum.deleted > 0)
		execute(batch, make_delete(batch));
	if (sum.updated > 0 && release != NULL)
		execute(batch, release);
	if (sum.updated > 0)
		execute(batch, make_update(batch));
	if (sum.inserted > 0)
		execute(batch, resolve_conflicts ? make_upsert(batch) : make_insert(batch));
	if (sum.deleted > 0 || sum.updated > 0 || sum.inserted > 0)
		execute(batch, "SET CONSTRAINTS ALL IMMEDIATE");
}

/* Return true if an error is the violation of a unique or an exclusion constraint. */
static bool
is_conflict(int sqlstate)
{
	return sqlstate == ERRCODE_UNIQUE_VIOLATION || sqlstate == ERRCODE_EXCLUSION_VIOLATION;
}

/*
 * Change rows in a subtransaction.  Return false after a conflict if may_fail, having
 * changed nothing.
 */
static bool
try_change_rows(SyncBatch *batch, bool resolve_conflicts, bool may_fail)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool result = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		change_rows(batch, resolve_conflicts);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		if (!is_conflict(geterrcode()) || !may_fail)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		result = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return result;
}

bool
sync_write(SyncBatch *batch, Tuplestorestate *rows, bool may_fail)
{
	bool result;

	register_rows(batch->target, rows);
	result = try_change_rows(batch, false, true) || try_change_rows(batch, true, may_fail);
	unregister_rows();
	return result;
}

void
sync_check(const SyncBatch *batch)
{
	static const StatementMaker makers[] = {make_count, make_update, make_upsert, make_delete};

	int              n = batch->deletions == SYNC_KEEP ? 3 : 4;
	Tuplestorestate *none = tuplestore_begin_heap(false, false, work_mem);

	register_rows(batch->target, none);
	for (int i = 0; i < n; i++)
		execute(batch, psprintf("EXPLAIN %s", makers[i](batch)));
	unregister_rows();
	tuplestore_end(none);
}
