/*
 * write.h
 *		Write the listed users of some partitions to the target of a synchronization.
 */
#ifndef COGNITO_SYNC_WRITE_H
#define COGNITO_SYNC_WRITE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/tuplestore.h"

#include "sync/target.h"

/* The partitions of a user pool: the first digits of sub. */
#define SYNC_PARTITIONS "0123456789abcdef"
#define SYNC_NPARTITIONS 16

/* What happens to rows whose users are no longer listed */
typedef enum SyncDeletions
{
	SYNC_KEEP,
	SYNC_DELETE,
	SYNC_MARK /* set deleted_at */
} SyncDeletions;

typedef struct SyncCounts
{
	int64 inserted;
	int64 updated;
	int64 deleted; /* or marked */
	int64 unchanged;
} SyncCounts;

/* The partitions that are listed and written in one transaction. */
typedef struct SyncBatch
{
	SyncTarget   *target;
	const char   *partitions; /* their digits, sorted */
	SyncDeletions deletions;
	double        max_deleted;              /* share of a partition's rows, 0 to 1 */
	TimestampTz   started;                  /* when the listing started */
	SyncCounts    counts[SYNC_NPARTITIONS]; /* of each partition, set by sync_write */
} SyncBatch;

/*
 * Raise the errors that sync_write would raise for any rows: of missing privileges,
 * for example.  It executes nothing, and fires no trigger.  SPI must be connected, here
 * and below.
 */
extern void sync_check(const SyncBatch *batch);

/*
 * Write rows as the current role: insert and update what differs, and delete or mark
 * what is missing, unless it was created less than 10 minutes before the listing, which
 * is eventually consistent.  Statements are executed only if there is a row for them.
 *
 * A row may violate a unique or exclusion constraint only because of a value that another
 * user had before.  Return false then, if may_fail, having written nothing: after other
 * partitions have been written, it may succeed.  Raise 23505 or 23P01 if not may_fail, 55000 if
 * more than max_deleted of a partition's rows would be deleted, and what the statements
 * raise.
 */
extern bool sync_write(SyncBatch *batch, Tuplestorestate *rows, bool may_fail);

#endif
