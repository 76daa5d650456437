/*
 * record.c
 *		The record of what has been synchronized.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "sync/record.h"

#define TABLE "cognito_sync_partitions"

/* The columns of the table; the first four are its key. */
enum
{
	COLUMN_TARGET,
	COLUMN_SERVER_NAME,
	COLUMN_USER_POOL_ID,
	COLUMN_PARTITION,
	COLUMN_SYNCED_AT,
	COLUMN_INSERTED,
	COLUMN_UPDATED,
	COLUMN_DELETED,
	COLUMN_UNCHANGED,
	COLUMNS /* their number */
};

Oid
sync_record_find(Oid procedure)
{
	Oid table = get_relname_relid(TABLE, get_func_namespace(procedure));
	Oid extension = getExtensionOfObject(ProcedureRelationId, procedure);

	if (!OidIsValid(table) || getExtensionOfObject(RelationRelationId, table) != extension)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table \"" TABLE "\" of the extension does not exist")));
	return table;
}

/* Open the table until the end of the transaction. */
static Relation
open_table(const SyncRecord *record)
{
	Relation table = table_open(record->table, RowExclusiveLock);

	if (RelationGetNumberOfAttributes(table) != COLUMNS)
		elog(ERROR, "table \"" TABLE "\" has an unexpected number of columns");
	return table;
}

/* Set the columns of a row that name what the record is about. */
static void
set_key(const SyncRecord *record, Datum *values)
{
	values[COLUMN_TARGET] = ObjectIdGetDatum(record->target);
	values[COLUMN_SERVER_NAME] = CStringGetTextDatum(record->server);
	values[COLUMN_USER_POOL_ID] = CStringGetTextDatum(record->pool);
}

/* Begin a scan of the rows with the first n columns of a key. */
static SysScanDesc
begin_scan(Relation table, const Datum *values, int n)
{
	ScanKeyData keys[COLUMN_PARTITION + 1];

	for (int i = 0; i < n; i++)
		ScanKeyInit(&keys[i], (AttrNumber) (i + 1), BTEqualStrategyNumber,
					i == COLUMN_TARGET ? F_OIDEQ : F_TEXTEQ, values[i]);
	return systable_beginscan(table, InvalidOid, false, NULL, n, keys);
}

/* Return a column of a row, none of which is NULL. */
static Datum
get_column(Relation table, HeapTuple row, int column)
{
	bool isnull;

	return heap_getattr(row, column + 1, RelationGetDescr(table), &isnull);
}

/*
 * Delete the rows of tables that have been dropped, unless another session does so, or
 * VACUUM locks the table.
 */
static void
delete_orphans(Relation table)
{
	SysScanDesc scan;
	HeapTuple   row;

	if (!ConditionalLockRelation(table, ShareUpdateExclusiveLock))
		return;
	scan = begin_scan(table, NULL, 0);
	while (HeapTupleIsValid(row = systable_getnext(scan)))
		if (!SearchSysCacheExists1(RELOID, get_column(table, row, COLUMN_TARGET)))
			CatalogTupleDelete(table, &row->t_self);
	systable_endscan(scan);
}

/* Remove a partition from a list of them. */
static void
remove_partition(char *partitions, const text *partition)
{
	char *found = strchr(partitions, VARDATA_ANY(partition)[0]);

	if (found != NULL)
		memmove(found, found + 1, strlen(found));
}

char *
sync_record_due(const SyncRecord *record, Interval *max_age)
{
	char       *due = pstrdup(SYNC_PARTITIONS);
	Relation    table = open_table(record);
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz oldest = DatumGetTimestampTz(DirectFunctionCall2(
		timestamptz_mi_interval, TimestampTzGetDatum(now), IntervalPGetDatum(max_age)));
	Datum       key[COLUMN_PARTITION];
	SysScanDesc scan;
	HeapTuple   row;

	delete_orphans(table);
	set_key(record, key);
	scan = begin_scan(table, key, lengthof(key));
	while (HeapTupleIsValid(row = systable_getnext(scan)))
	{
		TimestampTz synced_at = DatumGetTimestampTz(get_column(table, row, COLUMN_SYNCED_AT));

		/* One from the future says that the clock has been set back. */
		if (synced_at > oldest && synced_at <= now)
			remove_partition(due, DatumGetTextPP(get_column(table, row, COLUMN_PARTITION)));
	}
	systable_endscan(scan);
	table_close(table, NoLock);
	return due;
}

/* Insert a row, or update the one of the same key. */
static void
write_row(Relation table, Datum *values)
{
	bool        nulls[COLUMNS] = {false};
	HeapTuple   row = heap_form_tuple(RelationGetDescr(table), values, nulls);
	SysScanDesc scan = begin_scan(table, values, COLUMN_PARTITION + 1);
	HeapTuple   old = systable_getnext(scan);

	if (HeapTupleIsValid(old))
		CatalogTupleUpdate(table, &old->t_self, row);
	else
		CatalogTupleInsert(table, row);
	systable_endscan(scan);
}

void
sync_record_batch(const SyncRecord *record, const SyncBatch *batch)
{
	Relation table = open_table(record);
	Datum    values[COLUMNS];

	set_key(record, values);
	for (const char *digit = batch->partitions; *digit != '\0'; digit++)
	{
		const SyncCounts *counts =
			&batch->counts[strchr(SYNC_PARTITIONS, *digit) - SYNC_PARTITIONS];

		values[COLUMN_PARTITION] = PointerGetDatum(cstring_to_text_with_len(digit, 1));
		values[COLUMN_SYNCED_AT] = TimestampTzGetDatum(batch->started);
		values[COLUMN_INSERTED] = Int64GetDatum(counts->inserted);
		values[COLUMN_UPDATED] = Int64GetDatum(counts->updated);
		values[COLUMN_DELETED] = Int64GetDatum(counts->deleted);
		values[COLUMN_UNCHANGED] = Int64GetDatum(counts->unchanged);
		write_row(table, values);
	}
	table_close(table, NoLock);
}
