/*
 * search.h
 *		Searches: which entities can be searched by which attributes, which rows
 *		match, and what to ask Cognito for.
 *
 * A search is for the rows whose attribute equals, or starts with, one of several
 * values.  Values are compared as SQL does under a deterministic collation: byte
 * by byte, in the database's encoding.
 */
#ifndef COGNITO_PLANNER_SEARCH_H
#define COGNITO_PLANNER_SEARCH_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"
#include "nodes/extensible.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "fetch/listing.h"
#include "server/server.h"

#define SEARCH_EQUALS "="
#define SEARCH_STARTS_WITH "^="

/* The form in which a column contains an attribute. */
typedef enum SearchForm
{
	SEARCH_TEXT,    /* as the column's text */
	SEARCH_BOOLEAN, /* as a boolean, for each value of which Cognito has a word */
	SEARCH_MEMBER   /* as the member of a jsonb object that has the attribute's name */
} SearchForm;

/* An attribute that Cognito can search, and a column that contains it. */
typedef struct SearchAttribute
{
	const char *name;
	int         column; /* from 0 */
	SearchForm  form;
	double      rows_per_value;   /* estimate of how many rows have the same value */
	double      fraction;         /* if not 0, the part of all rows, instead of rows_per_value */
	bool        prefixes;         /* Cognito can search for values that start with a prefix */
	bool        is_uuid;          /* all values are UUIDs in their canonical form */
	int         extra_requests;   /* for each value of a search, besides that for its rows */
	const char *common_value;     /* the value of most rows, or NULL */
	const char *boolean_words[2]; /* Cognito's for false and true; only for SEARCH_BOOLEAN */
} SearchAttribute;

typedef struct Search Search;

/* A listing of all rows of an entity, which may be fetched in steps. */
typedef struct SearchListing
{
	const char *user_pool_id; /* which lives as long as the listing */
	int64       max_pages;    /* to request next; LISTING_ALL if the listing is to end */
	int64       npages;       /* received so far */
	bool        has_parts;    /* all parts are known */
	List       *sources;      /* ListingParts that are left of a listing of the parts */
	List       *parts;        /* ListingParts that are left, as far as they are known */
} SearchListing;

/*
 * An entity that can be searched; each is a constant.
 *
 * Its SQL functions have the same name and schema, and take
 *
 *		(server_name)
 *		(server_name, filter, max_users)
 *		(server_name, user_pool_id [, max_users])
 *		(server_name, [user_pool_id,] [max_users,] attribute, operator, "values")
 *
 * of which all but the first may be missing.  max_users is a bigint, "values" a text[],
 * the others are strings.  An overload without an operator searches for equal values.
 */
typedef struct SearchEntity
{
	/*
	 * The most selective first, up to one without a name.  An attribute that
	 * several columns contain is there for each of them.
	 */
	const SearchAttribute *attributes;

	/* How joins with it are executed; its name is that of the SQL functions. */
	CustomScanMethods join_methods;

	/* The planner support functions of all its SQL functions: of version 1.0, and of later ones. */
	PGFunction support[2];

	/* Where the session remembers how many rows and pages there are. */
	SessionListing listing;

	/*
	 * A sample: one of so many rows, those of the items for which the function returns true.
	 * Without one, it is 0 and NULL, and list_all heeds max_pages.
	 */
	int sample_divisor;
	bool (*is_in_sample)(const cJSON *item);

	/*
	 * Return the filter that list_found sends to Cognito for a value, palloc'd; NULL if it
	 * could miss rows that match.
	 */
	char *(*make_filter)(const SearchAttribute *attribute, const char *op, const char *value);

	/*
	 * Append all rows, or those of the next max_pages, which is 1 or more.  The last listing had
	 * expected_rows; 0 if that is unknown.  What the listing keeps is allocated in the current
	 * memory context.
	 */
	void (*list_all)(const CognitoServer *server, SearchListing *listing, int64 expected_rows,
					 Tuplestorestate *rows, TupleDesc columns);

	/* Append the rows that match a search, whose filters have been made, and list its sample. */
	void (*list_found)(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
					   TupleDesc columns);
} SearchEntity;

/* A sample of an entity, which is listed beside a search to estimate how many pages there are. */
typedef struct SearchSample
{
	ListingSample base;
	const Search *search;
	int64         before;     /* pages received by filters before */
	int64         want_pages; /* the sample ends when it has shown that there are so many */
	int64         npages;     /* of the sample, received so far */
	int64         nrows;      /* likewise */
	SessionExtent extent;     /* what is known of all rows */
} SearchSample;

struct Search
{
	const SearchEntity    *entity;
	const SearchAttribute *attribute; /* the first of its name */
	const char            *op;        /* SEARCH_EQUALS or SEARCH_STARTS_WITH */
	SearchSample          *sample;    /* to list beside the search; NULL if none is needed */
	int                    nvalues;
	char                 **values;   /* sorted; no string matches two of them */
	char                 **filters;  /* of the values; NULL until search_make_filters */
	int64                  max_rows; /* as that of listing_fetch */
};

/* Return the first attribute of a name, or NULL. */
extern const SearchAttribute *search_attribute(const SearchEntity *entity, const char *name);

/* Raise 22023 unless an attribute can be searched and an operator exists. */
extern void search_check(const SearchEntity *entity, const char *attribute, const char *op);

/*
 * Make a search for the elements of a text[] that are not NULL; for no values if
 * the array is NULL.  The search is allocated in the current memory context and has no
 * limit.  Raise what search_check does.
 */
extern Search *
search_make(const SearchEntity *entity, const char *attribute, const char *op, ArrayType *values);

/* Return the index of the value that a string matches, or -1. */
extern int search_find(const Search *search, const char *string);

/* Return the value of an attribute in a row of the entity, NULL if it has none. */
extern const char *
search_row_value(const SearchAttribute *attribute, const Datum *values, const bool *nulls);

/* Return the index of the value that a row's attribute matches, or -1. */
extern int search_find_row(const Search *search, const Datum *values, const bool *nulls);

/* Return the number of requests that a search needs, if each takes one page of rows. */
extern int64 search_requests(const Search *search);

/* Make the filters of all values of a search.  Return false if a value has none. */
extern bool search_make_filters(Search *search);

/*
 * Return true if the requests of a search, and those before it, are no more than a listing of
 * all rows takes, or if that is unknown.
 */
extern bool search_is_small(const Search *search, int64 before, SessionExtent extent);

/*
 * Add a sample to a search, which ends when it is known that all rows have want_pages; before
 * is as for search_is_small, and the extent is what is known already.
 */
extern void search_add_sample(Search *search, int64 before, int64 want_pages, SessionExtent extent);

/* Append all rows of an entity, and record how many rows and pages there are. */
extern void search_list_all(const SearchEntity *entity, const CognitoServer *server,
							Tuplestorestate *rows, TupleDesc columns);

/*
 * Do that in steps, all with the same tuplestore: append the rows of the next max_pages, and
 * record what is known then.  Return true if all rows have been appended.  What the listing
 * keeps is allocated in the current memory context.
 */
extern bool search_list_pages(const SearchEntity *entity, const CognitoServer *server,
							  SearchListing *listing, Tuplestorestate *rows, TupleDesc columns);

#endif
