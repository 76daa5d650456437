/*
 * target.h
 *		The table that a synchronization writes: which of its columns have a source,
 *		and the conversion of the source's values to their types.
 */
#ifndef COGNITO_SYNC_TARGET_H
#define COGNITO_SYNC_TARGET_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"

/* What a column of a row can be set to for a moment, so that another row can get its value. */
typedef enum SyncRelease
{
	RELEASE_NOTHING,
	RELEASE_NULL,
	RELEASE_TEXT /* a text that no other row has */
} SyncRelease;

/* A column that has a source. */
typedef struct SyncColumn
{
	const char *name;
	int         source; /* as the caller numbers sources */
	Oid         type;
	int32       typmod;
	FmgrInfo    input; /* input function of the type */
	Oid         ioparam;
	SyncRelease release;
} SyncColumn;

typedef struct SyncTarget
{
	Oid         relid;
	const char *name; /* qualified and quoted, for statements */
	SyncColumn *columns;
	int         ncolumns;
	int         key; /* the index of column sub */
	TupleDesc   row; /* of the columns, in this order */
} SyncTarget;

/*
 * Describe a table, in the current memory context: the columns whose names have a
 * source, which find_source returns or -1, and whose values PostgreSQL does not generate.
 * The table stays locked against
 * changes of its definition until the end of the transaction.
 *
 * Raise 42809 for a relation that is no table, partitioned table or view, 0A000 for one
 * with rules, which may do something else than the statements say, 42703 without a column sub, 42804 if it is neither a uuid nor text, and 42P10 without a
 * unique index on it, which a view cannot show before it is written.
 */
extern SyncTarget *sync_target_open(Oid relid, int (*find_source)(const char *name));

/* Raise 42703 unless the table has a column that deletions need, with its type as a hint. */
extern void sync_target_require(const SyncTarget *target, const char *column);

/*
 * Convert a value from text, in the database's encoding, to the type of a column,
 * and return true; return false for NULL, which a NULL value may become.  Raise what
 * the type's input function does, and what the constraints of a domain do.
 */
extern bool sync_target_convert(SyncTarget *target, int column, char *value, Datum *result);

#endif
