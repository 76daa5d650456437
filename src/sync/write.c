/*
 * write.c
 *		Write the listed users of some partitions to the target of a synchronization.
 *
 * The statements read rows of the target's columns as a table, as triggers do their
 * transition tables.  The first one joins the listed rows with those of the target.  It
 * returns them to a function here, which compares them, and collects those to write; a
 * statement that changes rows is only executed if there are any, because one without
 * rows fires triggers, too.  Rows are compared byte by byte: a type may have no equality
 * operator, or one that ignores differences, as that of citext does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "sync/write.h"

/* The name under which statements read rows of the target's columns. */
#define ROWS "cognito_sync_rows"

/* The age in minutes before which a row that is not listed is kept. */
#define MIN_DELETED_AGE 10

/* Conditions on a row t of the target, and on the row n for its user. */
#define IS_SAME_USER "n.sub OPERATOR(pg_catalog.=) t.sub"
#define IS_OLD "t.created_at OPERATOR(pg_catalog.<) $2"

/* The rows that a batch writes. */
typedef struct SyncChanges
{
	Tuplestorestate *inserted;
	Tuplestorestate *updated;
	Tuplestorestate *deleted; /* as they are in the target */
} SyncChanges;

/* Append the columns of the target, each after a prefix. */
static void
append_columns(StringInfo statement, const SyncTarget *target, const char *prefix)
{
	for (int i = 0; i < target->ncolumns; i++)
		appendStringInfo(statement, "%s%s%s", i > 0 ? ", " : "", prefix,
						 quote_identifier(target->columns[i].name));
}

/*
 * Append the condition that a row t of the target is in one of the partitions.  An index
 * on a uuid finds the range of the first to the last one, which are sorted, and if those
 * between them are all in the batch, the range is enough; the order of a text depends on
 * its collation, which may also ignore case.
 */
static void
append_in_partitions(StringInfo statement, const SyncBatch *batch)
{
	const SyncTarget *target = batch->target;
	const char       *partitions = batch->partitions;
	bool              is_uuid = target->columns[target->key].type == UUIDOID;

	if (is_uuid)
		appendStringInfo(statement,
						 "t.sub OPERATOR(pg_catalog.>=) '%c0000000-0000-0000-0000-000000000000' "
						 "AND t.sub OPERATOR(pg_catalog.<=) "
						 "'%cfffffff-ffff-ffff-ffff-ffffffffffff'",
						 partitions[0], partitions[strlen(partitions) - 1]);
	if (!is_uuid || strstr(SYNC_PARTITIONS, partitions) == NULL)
		appendStringInfo(statement,
						 "%spg_catalog.left(t.sub::pg_catalog.text, 1) COLLATE pg_catalog.\"C\" "
						 "OPERATOR(pg_catalog.=) ANY ($1)",
						 is_uuid ? " AND " : "");
}

/*
 * Return the statement that joins the listed rows with those of the target.  Its columns
 * are those of the listed row, of the target's, and whether that is old and is marked.
 */
static char *
make_comparison(const SyncBatch *batch)
{
	const SyncTarget *target = batch->target;
	bool              keep = batch->deletions == SYNC_KEEP;
	StringInfoData    statement;

	initStringInfo(&statement);
	appendStringInfoString(&statement, "SELECT ");
	append_columns(&statement, target, "n.");
	appendStringInfoString(&statement, ", ");
	append_columns(&statement, target, "t.");
	appendStringInfo(&statement, ", t.is_old, t.is_marked FROM " ROWS " AS n %s JOIN (SELECT ",
					 keep ? "LEFT" : "FULL");
	append_columns(&statement, target, "t.");
	appendStringInfo(
		&statement, ", %s AS is_old, %s AS is_marked FROM %s AS t WHERE ", keep ? "false" : IS_OLD,
		batch->deletions == SYNC_MARK ? "t.deleted_at IS NOT NULL" : "false", target->name);
	append_in_partitions(&statement, batch);
	appendStringInfoString(&statement, ") AS t ON " IS_SAME_USER);
	return statement.data;
}

/* Return the statement that deletes or marks rows, unless they have changed meanwhile. */
static char *
make_delete(const SyncBatch *batch)
{
	StringInfoData statement;
	bool           mark = batch->deletions == SYNC_MARK;

	initStringInfo(&statement);
	appendStringInfo(&statement,
					 mark ? "UPDATE %s AS t SET deleted_at = pg_catalog.now() FROM " ROWS
						  : "DELETE FROM %s AS t USING " ROWS,
					 batch->target->name);
	appendStringInfo(&statement, " AS n WHERE " IS_SAME_USER " AND " IS_OLD "%s",
					 mark ? " AND t.deleted_at IS NULL" : "");
	return statement.data;
}

/* Append an assignment of the columns of a row, and what takes a mark away. */
static void
append_assignment(StringInfo statement, const SyncBatch *batch, const char *row)
{
	bool mark = batch->deletions == SYNC_MARK;

	appendStringInfoString(statement, "SET (");
	append_columns(statement, batch->target, "");
	appendStringInfo(statement, "%s) = ROW(", mark ? ", deleted_at" : "");
	append_columns(statement, batch->target, row);
	appendStringInfo(statement, "%s)", mark ? ", NULL" : "");
}

/* Return the statement that updates rows. */
static char *
make_update(const SyncBatch *batch)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement, "UPDATE %s AS t ", batch->target->name);
	append_assignment(&statement, batch, "n.");
	appendStringInfoString(&statement, " FROM " ROWS " AS n WHERE " IS_SAME_USER);
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
	appendStringInfoString(&statement, " FROM " ROWS " AS n WHERE " IS_SAME_USER);
	return statement.data;
}

/*
 * Return the statement that inserts rows.  The one that resolves conflicts updates a row
 * that the application has just inserted, and inserts one row for a user who was listed
 * twice.
 */
static char *
make_insert_statement(const SyncBatch *batch, bool resolve_conflicts)
{
	StringInfoData statement;

	initStringInfo(&statement);
	appendStringInfo(&statement, "INSERT INTO %s AS t (", batch->target->name);
	append_columns(&statement, batch->target, "");
	appendStringInfo(&statement, ") SELECT %s", resolve_conflicts ? "DISTINCT ON (n.sub) " : "");
	append_columns(&statement, batch->target, "n.");
	appendStringInfoString(&statement, " FROM " ROWS " AS n");
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

/* Make rows visible to statements as a table of the target's columns. */
static void
register_rows(const SyncTarget *target, Tuplestorestate *rows)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));

	relation->md.name = ROWS;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = target->row;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = (double) tuplestore_tuple_count(rows);
	relation->reldata = rows;
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register rows");
}

/* Return the parameters of statements: the partitions, and the time before which rows are old. */
static ParamListInfo
make_parameters(const SyncBatch *batch)
{
	ParamListInfo parameters = makeParamList(2);
	Datum         digits[SYNC_NPARTITIONS];
	int           ndigits = (int) strlen(batch->partitions);
	int64         age = MIN_DELETED_AGE * (int64) SECS_PER_MINUTE * USECS_PER_SEC;

	for (int i = 0; i < ndigits; i++)
		digits[i] = PointerGetDatum(cstring_to_text_with_len(batch->partitions + i, 1));
	parameters->params[0] =
		(ParamExternData){.value = PointerGetDatum(
							  construct_array(digits, ndigits, TEXTOID, -1, false, TYPALIGN_INT)),
						  .pflags = PARAM_FLAG_CONST,
						  .ptype = TEXTARRAYOID};
	parameters->params[1] = (ParamExternData){.value = TimestampTzGetDatum(batch->started - age),
											  .pflags = PARAM_FLAG_CONST,
											  .ptype = TIMESTAMPTZOID};
	return parameters;
}

/* Execute a statement that reads rows; its own go to a receiver, if there is one. */
static void
execute(const SyncBatch *batch, const char *statement, Tuplestorestate *rows,
		DestReceiver *receiver)
{
	SPIExecuteOptions options = {.params = make_parameters(batch), .dest = receiver};
	int               result;

	register_rows(batch->target, rows);
	result = SPI_execute_extended(statement, &options);
	SPI_unregister_relation(ROWS);
	if (result < 0)
		elog(ERROR, "could not execute a statement: %s", SPI_result_code_string(result));
}

/* Receives the rows of the comparison. */
typedef struct Comparison
{
	DestReceiver       receiver; /* must be first */
	SyncBatch         *batch;
	const SyncChanges *changes;
	int64              rows[SYNC_NPARTITIONS]; /* of the target, that are not marked */
} Comparison;

/* Return the number of the partition to which a key belongs. */
static int
get_partition(const SyncTarget *target, Datum key)
{
	if (target->columns[target->key].type == UUIDOID)
		return DatumGetUUIDP(key)->data[0] >> 4;
	return (int) (strchr(SYNC_PARTITIONS, VARDATA_ANY(DatumGetTextPP(key))[0]) - SYNC_PARTITIONS);
}

/* Return true if the columns of a listed row, which come first, and those of the target differ. */
static bool
is_changed(const SyncTarget *target, const TupleTableSlot *row)
{
	for (int i = 0; i < target->ncolumns; i++)
	{
		Form_pg_attribute column = TupleDescAttr(target->row, i);
		int               other = target->ncolumns + i;

		if (row->tts_isnull[i] != row->tts_isnull[other])
			return true;
		if (!row->tts_isnull[i] && !datum_image_eq(row->tts_values[i], row->tts_values[other],
												   column->attbyval, column->attlen))
			return true;
	}
	return false;
}

/* Count a row of the comparison, and collect it if it is to be written; a receiver's function. */
static bool
compare_row(TupleTableSlot *row, DestReceiver *receiver)
{
	Comparison       *comparison = (Comparison *) receiver;
	const SyncTarget *target = comparison->batch->target;
	int               key = target->key;
	int               other = target->ncolumns; /* the first column of the target's row */
	SyncCounts       *counts;
	int               partition;
	bool              is_listed;
	bool              exists;
	bool              is_old;
	bool              is_marked;

	slot_getallattrs(row);
	is_listed = !row->tts_isnull[key];
	exists = !row->tts_isnull[other + key];
	is_old = exists && !row->tts_isnull[2 * other] && DatumGetBool(row->tts_values[2 * other]);
	is_marked = exists && DatumGetBool(row->tts_values[2 * other + 1]);
	partition = get_partition(target, row->tts_values[is_listed ? key : other + key]);
	counts = &comparison->batch->counts[partition];
	if (exists && !is_marked)
		comparison->rows[partition]++;

	if (!exists)
	{
		counts->inserted++;
		tuplestore_putvalues(comparison->changes->inserted, target->row, row->tts_values,
							 row->tts_isnull);
	}
	else if (is_listed && (is_marked || is_changed(target, row)))
	{
		counts->updated++;
		tuplestore_putvalues(comparison->changes->updated, target->row, row->tts_values,
							 row->tts_isnull);
	}
	else if (is_listed)
		counts->unchanged++;
	else if (is_old && !is_marked)
	{
		counts->deleted++;
		tuplestore_putvalues(comparison->changes->deleted, target->row, row->tts_values + other,
							 row->tts_isnull + other);
	}
	return true;
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

/* Collect and count the rows to write in each partition; raise 55000 as above. */
static void
find_changes(SyncBatch *batch, Tuplestorestate *rows, const SyncChanges *changes)
{
	Comparison comparison = {.receiver = *None_Receiver, .batch = batch, .changes = changes};

	comparison.receiver.receiveSlot = compare_row;
	memset(batch->counts, 0, sizeof(batch->counts));
	tuplestore_clear(changes->inserted);
	tuplestore_clear(changes->updated);
	tuplestore_clear(changes->deleted);
	execute(batch, make_comparison(batch), rows, &comparison.receiver);
	for (int i = 0; i < SYNC_NPARTITIONS; i++)
		check_deleted(batch, SYNC_PARTITIONS[i], batch->counts[i].deleted, comparison.rows[i]);
}

/* Execute a statement that changes rows, if there are any; return true if so. */
static bool
change_rows(const SyncBatch *batch, StatementMaker make_statement, Tuplestorestate *rows)
{
	char *statement;

	if (tuplestore_tuple_count(rows) == 0)
		return false;
	statement = make_statement(batch);
	if (statement != NULL)
		execute(batch, statement, rows, NULL);
	return true;
}

/*
 * Compare and execute the statements for which there are rows.  Those that resolve
 * conflicts write more: they take the values of rows that differ away before others get
 * them.  Deferred constraints are checked, too, because a violation that COMMIT finds
 * cannot be resolved.
 */
static void
write_rows(SyncBatch *batch, Tuplestorestate *rows, const SyncChanges *changes,
		   bool resolve_conflicts)
{
	bool written;

	find_changes(batch, rows, changes);
	written = change_rows(batch, make_delete, changes->deleted);
	if (resolve_conflicts)
		(void) change_rows(batch, make_release, changes->updated);
	written |= change_rows(batch, make_update, changes->updated);
	written |= change_rows(batch, resolve_conflicts ? make_upsert : make_insert, changes->inserted);
	if (written)
		execute(batch, "SET CONSTRAINTS ALL IMMEDIATE", rows, NULL);
}

/* Return true if an error is the violation of a unique or an exclusion constraint. */
static bool
is_conflict(int sqlstate)
{
	return sqlstate == ERRCODE_UNIQUE_VIOLATION || sqlstate == ERRCODE_EXCLUSION_VIOLATION;
}

/*
 * Write rows in a subtransaction.  Return false after a conflict if may_fail, having
 * changed nothing.  After an error, the subtransaction has ended: outside a transaction
 * block, PostgreSQL's main loop would not end it, and the session could not go on.
 */
static bool
try_write_rows(SyncBatch *batch, Tuplestorestate *rows, const SyncChanges *changes,
			   bool resolve_conflicts, bool may_fail)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool result = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		write_rows(batch, rows, changes, resolve_conflicts);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		SPI_unregister_relation(ROWS); /* of the statement that failed */
		if (!is_conflict(error->sqlerrcode) || !may_fail)
			ReThrowError(error);
		FreeErrorData(error);
		result = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return result;
}

/* Return an empty store of rows. */
static Tuplestorestate *
make_store(void)
{
	return tuplestore_begin_heap(false, false, work_mem);
}

bool
sync_write(SyncBatch *batch, Tuplestorestate *rows, bool may_fail)
{
	SyncChanges changes = {make_store(), make_store(), make_store()};
	bool        result = try_write_rows(batch, rows, &changes, false, true) ||
				  try_write_rows(batch, rows, &changes, true, may_fail);

	tuplestore_end(changes.inserted);
	tuplestore_end(changes.updated);
	tuplestore_end(changes.deleted);
	return result;
}

void
sync_check(const SyncBatch *batch)
{
	static const StatementMaker makers[] = {make_comparison, make_update, make_upsert, make_delete};

	int              n = batch->deletions == SYNC_KEEP ? 3 : 4;
	Tuplestorestate *none = make_store();

	for (int i = 0; i < n; i++)
		execute(batch, psprintf("EXPLAIN %s", makers[i](batch)), none, NULL);
	tuplestore_end(none);
}
