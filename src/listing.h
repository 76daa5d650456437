/*
 * listing.h
 *		A whole listing, page after page and part after part, into a tuplestore.
 */
#ifndef COGNITO_LISTING_H
#define COGNITO_LISTING_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

#include "api.h"
#include "row.h"

/* What Cognito gives on a page at the most. */
#define LISTING_PAGE_SIZE 60

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
 * A part of what is to be listed: a listing of its own.  An item becomes a row
 * only if it belongs to the part, whatever the service thinks of its filter.
 */
typedef struct ListingPart
{
	const char *parameters; /* the members of a JSON object, without its braces */
	bool (*belongs)(const cJSON *item, const void *arg); /* NULL if every item does */
	const void *arg;
} ListingPart;

/*
 * Lists ListingParts and appends a row for every item that belongs to its part,
 * up to max_rows, or raises an error; then the tuplestore holds only some of
 * them and is to be dropped.
 *
 * The next page is asked for before a page is turned into rows.  At most one
 * page is in memory at a time, beside the answer that is on its way.
 */
extern void listing_fetch(const Listing *listing, const CognitoServer *server, List *parts,
						  int64 max_rows, Tuplestorestate *rows, TupleDesc columns);

#endif
