/*
 * listing.h
 *		Listings: fetch all pages of an operation that lists items, and append a row
 *		for each item to a tuplestore.
 */
#ifndef COGNITO_FETCH_LISTING_H
#define COGNITO_FETCH_LISTING_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"

#include "aws/client.h"
#include "fetch/row.h"

/* The most items of a page, for all operations of Cognito. */
#define LISTING_PAGE_SIZE 60

/* The size of an item's key with its final NUL, in bytes. */
#define LISTING_KEY_SIZE 64

/* As max_rows: no limit. */
#define LISTING_ALL PG_INT64_MAX

/* An operation that lists items page by page; each is a constant. */
typedef struct Listing
{
	AwsOperation operation;
	const char  *page_size; /* name of the parameter for the most items of a page */
	const char  *token;     /* name of the parameter, and of the response's member, for the
							 * token of the next page */
	const char  *items;     /* name of the response's member with the list of items */
	const char  *key;       /* name of the member that identifies an item, for errors */
	const char  *function;  /* name of the SQL function, for progress messages */
	const char  *noun;      /* plural of the items, for progress messages */
	RowMaker     make_row;  /* sets the columns of an item's row */
	void        *row_arg;   /* argument of make_row; NULL: that of the part */

	/* The type of the error for a part that does not exist and so has no items; may be NULL. */
	const char *missing;

	/*
	 * A listing of the pool's own, if Cognito returns the same error for a missing pool as
	 * for a missing part: it tells the two apart.
	 */
	const struct Listing *of_pool;
} Listing;

/*
 * A sample: a part that is listed beside others, none of whose items belong to the listing, and
 * that limits how many pages are requested.
 */
typedef struct ListingSample
{
	/* Pages that may be requested, at least 1; LISTING_ALL if the sample has all that it needs. */
	int64 max_pages;

	/*
	 * Set max_pages after a page of the sample, from its items and whether there are more.  If
	 * it is not LISTING_ALL after the last page, the listing ends.
	 */
	void (*observe)(struct ListingSample *sample, const cJSON *items, bool more);
} ListingSample;

/*
 * A part of a listing: a sequence of pages that is requested independently of the
 * other parts.  The strings and arg belong to the caller, and must live until
 * listing_fetch returns.
 */
typedef struct ListingPart
{
	const char *arguments[AWS_MAX_PARAMETERS]; /* of the operation, as in AwsCall */

	/* Return true if an item belongs to the part; others get no row.  NULL if all do. */
	bool (*belongs)(const cJSON *item, const void *arg);
	const void *arg; /* argument of the callbacks; also that of the rows */

	/*
	 * Return the string that identifies an item, of less than LISTING_KEY_SIZE bytes, or
	 * NULL if the item belongs to no partition.  NULL for a part that is neither
	 * partitioned nor a partition.
	 */
	const char *(*key)(const cJSON *item);

	/*
	 * Return partitions: parts of about the same size that together list the same items.
	 * They are made in the current memory context.  NULL for a part that is not
	 * partitioned; others must be the only part of their listing.
	 */
	List *(*make_partitions)(const void *arg);

	/* That of a part that is one, which must be the first; NULL for others. */
	ListingSample *sample;

	/*
	 * With which the listing of the part continues, palloc'd, and freed when it does; NULL to
	 * begin with its first page.
	 */
	char *token;
} ListingPart;

/* Setting cognito_srf.progress_interval, in milliseconds; 0 for no messages. */
extern int listing_progress_interval;

/*
 * Fetch a list of ListingParts, as many concurrently as the server's
 * max_concurrent_requests, and append a row for each item that belongs, up to max_rows.
 * Raise what aws_wait, aws_reject_reply and the row's functions do; the tuplestore then
 * holds an incomplete result.
 *
 * A part that does not exist has no items.  Where that could also mean that the pool
 * does not exist, and no later page shows that it does, of_pool is requested, which
 * raises the error if it is the pool.
 *
 * Progress messages name expected_rows as the total, 0 if it is unknown.
 *
 * A part is partitioned if the server allows several concurrent requests, there is no
 * limit, and it is large: if it has more than two pages, and the first partition more
 * than one, all of whose items belong to it.  So a small part costs one request more
 * than its pages at most.  An item of the first two pages is not appended again.
 *
 * The next page of a part is requested before the rows of the current one are made.
 * Memory use is one parsed page, and one response for each request in flight.
 */
extern void
listing_fetch(const Listing *listing, const CognitoServer *server, List *parts, int64 max_rows,
			  int64 expected_rows, Tuplestorestate *rows, TupleDesc columns);

/*
 * Do what listing_fetch does, but request no more than max_pages.  Return a list of those of the
 * parts that are left, changed so that they continue after the pages that have been received;
 * NIL if all rows have been appended.  It is allocated in the current memory context, as are the
 * tokens.  No part may be partitioned, or a sample.  max_rows, which is 1 or more, must be the
 * same when the listing continues.
 */
extern List *listing_fetch_pages(const Listing *listing, const CognitoServer *server, List *parts,
								 int64 max_pages, int64 max_rows, int64 expected_rows,
								 Tuplestorestate *rows, TupleDesc columns);

#endif
