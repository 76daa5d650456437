/*
 * row.h
 *		From one JSON object of a reply to one row: the conversions that the row
 *		functions of all entities share.
 *
 * A missing or null member becomes NULL; one of the wrong type raises HV000,
 * naming it.  Strings are converted from UTF-8 to the database's encoding,
 * which raises 22P05 for a character that it lacks.
 */
#ifndef COGNITO_FETCH_ROW_H
#define COGNITO_FETCH_ROW_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include <cjson/cJSON.h>

#include "aws/client.h"
#include "compat.h"

typedef struct Row
{
	const AwsRequest *request; /* whose reply it is, for errors */
	int               number;  /* of the item on its page, from 1; 0 if it is alone; for errors */
	const cJSON      *item;
	const void       *arg; /* that of the listing's part */
	Datum            *values;
	bool             *nulls; /* all true to begin with */
} Row;

/* What an entity knows of its rows: fills one in from its item. */
typedef void (*RowMaker)(Row *row);

/*
 * Has a row filled in, and appends it.  Raises HV000 for an item of more than
 * 4 MB, as json_size counts.
 */
extern void row_append(Row *row, RowMaker make_row, Tuplestorestate *rows, TupleDesc columns);

/* Set a column of a row from a member of its item. */
extern void row_text(Row *row, int column, const char *member);
extern void row_boolean(Row *row, int column, const char *member);
extern void row_integer(Row *row, int column, const char *member); /* integer */
extern void row_texts(Row *row, int column, const char *member);   /* text[] */

/* From a number of seconds since the Unix epoch; HV000 if it is no timestamp. */
extern void row_timestamp(Row *row, int column, const char *member);

/* Sets a column to the whole item, an object, as jsonb. */
extern void row_item(Row *row, int column);

/* A string of a reply as jsonb; it may share the memory of the argument. */
extern JsonbValue row_jsonb_string(const char *utf8);

/* Sets a column. */
extern void row_set(Row *row, int column, Datum value);

/* A string of a reply in the database's encoding; may be the argument itself. */
extern char *row_to_server(const char *utf8);

/* Raises HV000 for an item that is not as it should be; the text follows "item N: ". */
extern void
row_reject(const Row *row, const char *problem, const char *member) pg_attribute_noreturn();

#endif
