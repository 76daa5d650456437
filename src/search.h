/*
 * search.h
 *		The users whose attribute equals, or starts with, one of some values:
 *		which these are, and whether Cognito can find them.
 *
 * Values are compared as SQL does under a deterministic collation: byte by
 * byte, in the database's encoding.
 */
#ifndef COGNITO_SEARCH_H
#define COGNITO_SEARCH_H

#include "postgres.h"

#include "utils/array.h"

typedef struct Search
{
	const char *attribute; /* one of filter_attributes */
	const char *op;        /* FILTER_EQUALS or FILTER_STARTS_WITH */
	int         nvalues;
	char      **values; /* in order; no user can match two of them */
} Search;

/*
 * Makes a search for the elements of a text[] that are not NULL; for none if
 * the array is NULL.  Raises 22023 for what filter_check does.
 */
extern Search *search_make(const char *attribute, const char *op, ArrayType *values);

/* The number of the value that an attribute's value matches, or -1. */
extern int search_find(const Search *search, const char *value);

/* Are filters the way to find the users: one for each value, and not too many? */
extern bool search_has_filters(const Search *search);

/* The filter for the value of that number. */
extern char *search_filter(const Search *search, int number);

#endif
