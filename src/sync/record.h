/*
 * record.h
 *		The record of what has been synchronized: the table that view cognito_syncs shows.
 *
 * No role has privileges on this table.  It is found by its OID and written without SQL:
 * a statement with the rights of its owner could be made to name another table, if the
 * extension's schema belongs to somebody else.
 */
#ifndef COGNITO_SYNC_RECORD_H
#define COGNITO_SYNC_RECORD_H

#include "postgres.h"

#include "sync/write.h"
#include "utils/timestamp.h"

/* The table, and what its rows are about. */
typedef struct SyncRecord
{
	Oid         table;
	Oid         target;
	const char *server;
	const char *pool;
} SyncRecord;

/* Return the table of the extension that a procedure belongs to; raise 42P01 without one. */
extern Oid sync_record_find(Oid procedure);

/*
 * Return the digits of the partitions that were not synchronized within a time before
 * now, in the current memory context.  Rows of dropped tables are deleted.
 */
extern char *sync_record_due(const SyncRecord *record, Interval *max_age);

/* Record that the partitions of a batch have been written. */
extern void sync_record_batch(const SyncRecord *record, const SyncBatch *batch);

#endif
