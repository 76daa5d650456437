/*
 * listing.h
 *		A whole listing, page after page, into a tuplestore.
 */
#ifndef COGNITO_LISTING_H
#define COGNITO_LISTING_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "api.h"
#include "row.h"

/* No limit on the number of rows. */
#define LISTING_ALL PG_INT64_MAX

/* What there is to know of a listing operation; each entity has one constant of it. */
typedef struct Listing
{
	ApiOperation operation;
	const char  *page_size; /* the parameter that says how many items a page may hold */
	const char  *token;     /* the parameter, and the reply's member, that leads to the next page */
	const char  *items;     /* the reply's member that lists the items */
	void (*make_row)(Row *row); /* turns an item into a row */
} Listing;

/*
 * Appends a row for every item to the tuplestore, up to max_rows, or raises
 * an error; then the tuplestore holds a part and is to be dropped with it.
 * Parameters are the members of a JSON object without its braces.
 *
 * The next page is asked for before a page is turned into rows.  At most one
 * page is in memory at a time, beside the answer that is on its way.
 */
extern void
listing_fetch(const Listing *listing, const CognitoServer *server, const char *parameters,
			  int64 max_rows, Tuplestorestate *rows, TupleDesc columns);

#endif
