/*
 * kept_rows.h
 *		All rows of an entity, kept until a query ends, with an index on an attribute, so
 *		that searches in them do not read them all.
 */
#ifndef COGNITO_PLANNER_KEPT_ROWS_H
#define COGNITO_PLANNER_KEPT_ROWS_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "planner/search.h"

typedef struct KeptRows KeptRows;

/*
 * Copy the rows of a tuplestore, and index them by an attribute.  The result lives in the
 * current memory context, its file, which has the rows beyond work_mem, until the end of the
 * transaction or of its resource owner.  The index takes 16 bytes of memory for a row.
 */
extern KeptRows *
kept_rows_create(Tuplestorestate *rows, TupleDesc columns, const SearchAttribute *attribute);

/* Append the rows that match a search, up to its limit, to a tuplestore. */
extern void kept_rows_search(KeptRows *rows, const Search *search, Tuplestorestate *result);

/* Free everything. */
extern void kept_rows_free(KeptRows *rows);

#endif
