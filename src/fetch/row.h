/*
 * row.h
 *		Rows: convert the members of a JSON object of a reply to the columns of a row.
 *
 * A missing or null member becomes NULL.  A member of the wrong type raises HV000,
 * naming it.  Strings are converted from UTF-8 to the database's encoding, which
 * raises 22P05 for a character that the encoding lacks; row_error_context names the
 * place.  What is allocated for a row is in the current memory context.
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
	const cJSON *item;
	const void  *arg;    /* of the Listing or the ListingPart */
	Datum       *values; /* of the columns */
	bool        *nulls;  /* initially all true */

	/* For errors */
	const AwsRequest *request; /* whose reply has the item */
	const char       *server_name;
	int               number; /* of the item on its page, from 1; 0 for a single object */
	const char       *key;    /* name of the member that identifies an item; may be NULL */
	const char       *member; /* name of what is converted, in UTF-8; may be NULL */
} Row;

/* Set the columns of a row from its item. */
typedef void (*RowMaker)(Row *row);

/*
 * Make a row and append it.  The caller has set the item, arg, and what is for errors.
 * Raise HV000 for an item of more than 4 MB in the count of json_size.
 */
extern void row_append(Row *row, RowMaker make_row, Tuplestorestate *rows, TupleDesc columns);

/* Set a column, numbered from 0, from a member of the item. */
extern void row_text(Row *row, int column, const char *member);
extern void row_boolean(Row *row, int column, const char *member);
extern void row_integer(Row *row, int column, const char *member); /* integer */
extern void row_texts(Row *row, int column, const char *member);   /* text[] */

/* Set a timestamptz column from seconds since the Unix epoch; raise HV000 if out of range. */
extern void row_timestamp(Row *row, int column, const char *member);

/* Set a column to the whole item as jsonb. */
extern void row_item(Row *row, int column);

/* Return a string of a reply as a jsonb value, which may point to the argument. */
extern JsonbValue row_jsonb_string(const char *utf8);

/* Set a column to a value. */
extern void row_set(Row *row, int column, Datum value);

/* Return a string of a reply in the database's encoding; it may be the argument itself. */
extern char *row_to_server(const char *utf8);

/*
 * Name the item and its member, and a remedy, in an error about characters that cannot
 * be converted; callback of an ErrorContextCallback, with the Row as argument.
 */
extern void row_error_context(void *row);

/* Raise HV000 for a member of the item, with the detail: Item N: member "…" <problem>. */
extern void
row_reject(const Row *row, const char *problem, const char *member) pg_attribute_noreturn();

#endif
