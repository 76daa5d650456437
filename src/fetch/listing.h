/*
 * listing.h
 *		A whole listing, page after page and part beside part, into a tuplestore.
 */
#ifndef COGNITO_FETCH_LISTING_H
#define COGNITO_FETCH_LISTING_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

#include "aws/client.h"
#include "fetch/row.h"

/* What Cognito gives on a page at the most. */
#define LISTING_PAGE_SIZE 60

/* No limit on the number of rows. */
#define LISTING_ALL PG_INT64_MAX

/* What there is to know of a listing operation; each entity has one constant of it. */
typedef struct Listing
{
	AwsOperation operation;
	const char  *page_size; /* the parameter that says how many items a page may hold */
	const char  *token;     /* the parameter, and the reply's member, that leads to the next page */
	const char  *items;     /* the reply's member that lists the items */
	const char  *function;  /* the SQL function, for people */
	const char  *noun;      /* what the items are, for people */
	RowMaker     make_row;  /* turns an item into a row */

	/*
	 * The type of error that says that a part has no items, for what it lists is
	 * not there; or NULL.
	 */
	const char *missing;
} Listing;

/*
 * A part of what is to be listed: a listing of its own.  An item becomes a row
 * only if it belongs to the part, whatever the service thinks of its filter.
 */
typedef struct ListingPart
{
	const char *arguments[AWS_MAX_PARAMETERS];           /* of the operation, as AwsCall has them */
	bool (*belongs)(const cJSON *item, const void *arg); /* NULL if every item does */
	const void *arg;                                     /* also the rows' */

	/*
	 * Divides the part into smaller ones that together list the same; asked when
	 * its first page turns out not to be the last and several requests may run.
	 * Appends them to the list and returns true, or leaves it if that cannot be
	 * done.  May be NULL.
	 */
	bool (*split)(const cJSON *items, int nrequests, const void *arg, List **parts);
} ListingPart;

/* How often a call tells how far it is, in milliseconds; a setting, 0 for never. */
extern int listing_progress_interval;

/*
 * Lists ListingParts, as many at a time as the server's max_concurrent_requests
 * allows, and appends a row for every item that belongs, up to max_rows, or
 * raises an error; then the tuplestore holds only some of them and is to be
 * dropped.
 *
 * Returns false if a part was missing, and no page that was asked for after that
 * has come: the same error is the service's answer where not the part but all of
 * them are gone, with what they are parts of.  It is the caller's to find out.
 *
 * The next page of a part is asked for before a page is turned into rows.  In
 * memory there is one page, beside an answer for each request on its way.
 */
extern bool listing_fetch(const Listing *listing, const CognitoServer *server, List *parts,
						  int64 max_rows, Tuplestorestate *rows, TupleDesc columns);

#endif
