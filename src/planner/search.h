/*
 * search.h
 *		The rows of an entity whose attribute equals, or starts with, one of some
 *		values: by what they can be searched, which rows match, and whether
 *		Cognito can find them.
 *
 * Values are compared as SQL does under a deterministic collation: byte by
 * byte, in the database's encoding.
 */
#ifndef COGNITO_PLANNER_SEARCH_H
#define COGNITO_PLANNER_SEARCH_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/tuplestore.h"

#include "server/server.h"

#define SEARCH_EQUALS "="
#define SEARCH_STARTS_WITH "^="

/* How a column shows an attribute. */
typedef enum SearchForm
{
	SEARCH_TEXT,
	SEARCH_BOOLEAN, /* in words, one for false and one for true */
	SEARCH_MEMBER   /* as a member, of the attribute's name, of an object */
} SearchForm;

/* An attribute by which Cognito searches, and a column that shows it. */
typedef struct SearchAttribute
{
	const char *name;
	int         column; /* from 0 */
	SearchForm  form;
	double      finds;        /* how many rows one value finds; below 1, what share of all */
	bool        prefixes;     /* can it be asked for by its beginning? */
	const char *common_value; /* the value of most rows, or NULL */
	const char *boolean_words[2];
} SearchAttribute;

typedef struct Search Search;

/* What there is to know of an entity that can be searched; each has one constant of it. */
typedef struct SearchEntity
{
	/* The most telling first; one without a name ends them.  Columns may show the same one. */
	const SearchAttribute *attributes;

	/*
	 * Its SQL functions: the planner's support function of them all; one of the
	 * server's name only; one of it, an attribute, an operator if the entity
	 * has_operator, and a text[] of values; and, if it has_limit, one of the
	 * server's name, a filter, and the greatest number of rows.
	 */
	PGFunction support;
	bool       has_operator;
	bool       has_limit;

	/* Where the session remembers how much there is. */
	SessionListing listing;

	/* Can Cognito be asked for a value, and does it find all that match it? */
	bool (*can_filter)(const SearchAttribute *attribute, const char *op, const char *value);

	/* List all rows, and those that match a search of values for which Cognito can be asked. */
	void (*list_all)(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns);
	void (*list_found)(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
					   TupleDesc columns);
} SearchEntity;

struct Search
{
	const SearchEntity    *entity;
	const SearchAttribute *attribute; /* the first of that name */
	const char            *op;        /* SEARCH_EQUALS or SEARCH_STARTS_WITH */
	int                    nvalues;
	char                 **values; /* in order; nothing can match two of them */
};

/* The first attribute of a name, or NULL. */
extern const SearchAttribute *search_attribute(const SearchEntity *entity, const char *name);

/* Raises 22023 for an attribute that cannot be searched, and an operator that there is not. */
extern void search_check(const SearchEntity *entity, const char *attribute, const char *op);

/*
 * Makes a search for the elements of a text[] that are not NULL; for none if
 * the array is NULL.  Raises what search_check does.
 */
extern Search *
search_make(const SearchEntity *entity, const char *attribute, const char *op, ArrayType *values);

/* The number of the value that an attribute's value matches, or -1. */
extern int search_find(const Search *search, const char *value);

/* The same for a row. */
extern int search_find_row(const Search *search, const Datum *values, const bool *nulls);

/* Can Cognito be asked for the values, and are they not too many? */
extern bool search_can_filter(const Search *search);

/* Lists all rows of an entity, and remembers how much that was. */
extern void search_list_all(const SearchEntity *entity, const CognitoServer *server,
							Tuplestorestate *rows, TupleDesc columns);

#endif
