/*
 * row_store.h
 *		Rows that are read in any order, by the places at which they were appended.
 *
 * A tuplestore cannot do that.  Like one, it keeps rows in memory up to work_mem, and beyond
 * that in a temporary file.
 */
#ifndef COGNITO_PLANNER_ROW_STORE_H
#define COGNITO_PLANNER_ROW_STORE_H

#include "postgres.h"

#include "executor/tuptable.h"

typedef struct RowStore RowStore;

/*
 * Create an empty store in the current memory context.  Its file is closed when it is freed, or
 * at the end of the resource owner that was current when the rows first exceeded work_mem.
 */
extern RowStore *row_store_create(void);

/* Append the row in a slot of minimal tuples; return its place.  The first is at 0. */
extern off_t row_store_append(RowStore *rows, TupleTableSlot *slot);

/* Let the row at a place be the next that is read. */
extern void row_store_seek(RowStore *rows, off_t place);

/* Read the next row into a slot of minimal tuples, which owns it; return false at the end. */
extern bool row_store_read(RowStore *rows, TupleTableSlot *slot);

/* Free everything. */
extern void row_store_free(RowStore *rows);

#endif
