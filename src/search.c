/*
 * search.c
 *		The users whose attribute equals, or starts with, one of some values.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "filter.h"
#include "search.h"

/* More values than this are better found in a listing of the whole pool. */
#define MAX_FILTERS 60

/* Compares two elements of an array of strings, byte by byte. */
static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Does a string match a value of a search? */
static bool
matches(const Search *search, const char *string, const char *value)
{
	if (strcmp(search->op, FILTER_STARTS_WITH) == 0)
		return strncmp(string, value, strlen(value)) == 0;
	return strcmp(string, value) == 0;
}

/*
 * Sorts the values and drops each that matches another: doubles, and what
 * begins with a shorter prefix, which comes right before it and its like.
 */
static void
make_disjoint(Search *search)
{
	int kept = 0;

	qsort(search->values, search->nvalues, sizeof(char *), compare_strings);
	for (int i = 0; i < search->nvalues; i++)
		if (kept == 0 || !matches(search, search->values[i], search->values[kept - 1]))
			search->values[kept++] = search->values[i];
	search->nvalues = kept;
}

/* See search.h. */
Search *
search_make(const char *attribute, const char *op, ArrayType *values)
{
	Search *search = palloc0(sizeof(Search));
	Datum  *elements;
	bool   *nulls;
	int     n;

	filter_check(attribute, op);
	search->attribute = filter_find_attribute(attribute);
	search->op = strcmp(op, FILTER_EQUALS) == 0 ? FILTER_EQUALS : FILTER_STARTS_WITH;
	if (values == NULL)
		return search;

	/* They may be of a type that is as good as text, such as varchar. */
	deconstruct_array(values, ARR_ELEMTYPE(values), -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	search->values = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			search->values[search->nvalues++] = TextDatumGetCString(elements[i]);
	make_disjoint(search);
	return search;
}

/* See search.h. */
int
search_find(const Search *search, const char *value)
{
	int low = 0;
	int high = search->nvalues;

	/* The last value that does not come after this one is the only one that it can match. */
	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (strcmp(search->values[middle], value) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && matches(search, value, search->values[low - 1]) ? low - 1 : -1;
}

/* See search.h. */
bool
search_has_filters(const Search *search)
{
	if (search->nvalues > MAX_FILTERS)
		return false;
	for (int i = 0; i < search->nvalues; i++)
		if (!filter_can_express(search->attribute, search->op, search->values[i]))
			return false;
	return true;
}

/* See search.h. */
char *
search_filter(const Search *search, int number)
{
	return filter_make(search->attribute, search->op, search->values[number]);
}
