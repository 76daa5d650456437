/*
 * record.h
 *		The record of what has been synchronized: the table that view cognito_syncs shows.
 *
 * Only the extension's functions can change it; they do so as its owner.
 */
#ifndef COGNITO_SYNC_RECORD_H
#define COGNITO_SYNC_RECORD_H

#include "postgres.h"

#include "sync/write.h"
#include "utils/timestamp.h"

/* The table, and what its rows are about. */
typedef struct SyncRecord
{
	const char *table; /* qualified and quoted */
	Oid         owner; /* of the table */
	Oid         target;
	const char *server;
	const char *pool;
} SyncRecord;

/*
 * Fill in the table, which is in the schema of the extension's functions.  SPI must be
 * connected for all functions here.
 */
extern void sync_record_open(SyncRecord *record, Oid schema);

/*
 * Return the digits of the partitions that were not synchronized within a time before
 * now, in the current memory context.  Rows of dropped tables are deleted.
 */
extern char *sync_record_due(const SyncRecord *record, Interval *max_age);

/* Record that the partitions of a batch have been written. */
extern void sync_record_batch(const SyncRecord *record, const SyncBatch *batch);

#endif
