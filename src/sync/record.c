/*
 * record.c
 *		The record of what has been synchronized.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "sync/record.h"

#define TABLE "cognito_sync_partitions"

void
sync_record_open(SyncRecord *record, Oid schema)
{
	Relation table =
		table_openrv(makeRangeVar(get_namespace_name(schema), TABLE, -1), AccessShareLock);

	record->table = quote_qualified_identifier(get_namespace_name(schema), TABLE);
	record->owner = table->rd_rel->relowner;
	table_close(table, NoLock);
}

/*
 * Execute a statement as the owner of the table, on which other roles have no
 * privileges.  Its first three parameters are what the record is about.
 */
static void
execute(const SyncRecord *record, const char *statement, int n, Oid *types, Datum *values)
{
	Oid role;
	int context;
	int result;

	types[0] = REGCLASSOID;
	values[0] = ObjectIdGetDatum(record->target);
	types[1] = types[2] = TEXTOID;
	values[1] = CStringGetTextDatum(record->server);
	values[2] = CStringGetTextDatum(record->pool);

	GetUserIdAndSecContext(&role, &context);
	SetUserIdAndSecContext(record->owner,
						   context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	result = SPI_execute_with_args(statement, n, types, values, NULL, false, 0);
	SetUserIdAndSecContext(role, context);
	if (result < 0)
		elog(ERROR, "could not execute a statement: %s", SPI_result_code_string(result));
}

/* Delete the rows of tables that have been dropped. */
static void
delete_orphans(const SyncRecord *record)
{
	Oid   types[3];
	Datum values[3];

	execute(record,
			psprintf("DELETE FROM %s AS r WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c "
					 "WHERE c.oid OPERATOR(pg_catalog.=) r.target::pg_catalog.oid)",
					 record->table),
			lengthof(types), types, values);
}

char *
sync_record_due(const SyncRecord *record, Interval *max_age)
{
	Oid   types[4] = {[3] = INTERVALOID};
	Datum values[4] = {[3] = IntervalPGetDatum(max_age)};
	char *due = pstrdup(SYNC_PARTITIONS);

	delete_orphans(record);
	execute(record,
			psprintf("SELECT partition FROM %s WHERE target OPERATOR(pg_catalog.=) $1 "
					 "AND server_name OPERATOR(pg_catalog.=) $2 "
					 "AND user_pool_id OPERATOR(pg_catalog.=) $3 "
					 "AND synced_at OPERATOR(pg_catalog.>) "
					 "(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) $4)",
					 record->table),
			lengthof(types), types, values);
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char *partition = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1);
		char *digit = strchr(due, partition[0]);

		if (digit != NULL)
			memmove(digit, digit + 1, strlen(digit));
	}
	return due;
}

void
sync_record_batch(const SyncRecord *record, const SyncBatch *batch)
{
	Oid   types[] = {REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
					 INT8OID,     INT8OID, INT8OID, INT8OID};
	Datum values[lengthof(types)];

	for (const char *digit = batch->partitions; *digit != '\0'; digit++)
	{
		const SyncCounts *counts =
			&batch->counts[strchr(SYNC_PARTITIONS, *digit) - SYNC_PARTITIONS];

		values[3] = PointerGetDatum(cstring_to_text_with_len(digit, 1));
		values[4] = TimestampTzGetDatum(batch->started);
		values[5] = Int64GetDatum(counts->inserted);
		values[6] = Int64GetDatum(counts->updated);
		values[7] = Int64GetDatum(counts->deleted);
		values[8] = Int64GetDatum(counts->unchanged);
		execute(record,
				psprintf("INSERT INTO %s AS r VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
						 "ON CONFLICT (target, server_name, user_pool_id, partition) DO UPDATE "
						 "SET synced_at = $5, inserted = $6, updated = $7, deleted = $8, "
						 "unchanged = $9",
						 record->table),
				lengthof(types), types, values);
	}
}
