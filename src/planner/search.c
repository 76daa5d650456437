/*
 * search.c
 *		Searches: which rows of an entity match, and what to ask Cognito for.
 *
 * The values are sorted and disjoint, so the one that a string matches is found
 * by binary search, however many there are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "aws/json.h"
#include "planner/search.h"

/* Requests that are sent before a sample has shown anything, and before it has ended. */
#define MIN_BESIDE_SAMPLE 16
#define MAX_BESIDE_SAMPLE 128

const SearchAttribute *
search_attribute(const SearchEntity *entity, const char *name)
{
	for (const SearchAttribute *a = entity->attributes; a->name != NULL; a++)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

/* Return the names of the attributes that can be searched, separated by commas. */
static char *
list_attributes(const SearchEntity *entity)
{
	StringInfoData names;

	initStringInfo(&names);
	for (const SearchAttribute *a = entity->attributes; a->name != NULL; a++)
		if (search_attribute(entity, a->name) == a)
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", a->name);
	return names.data;
}

void
search_check(const SearchEntity *entity, const char *attribute, const char *op)
{
	if (search_attribute(entity, attribute) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("attribute \"%s\" cannot be searched", attribute),
				 errhint("Attributes that can be searched are: %s.", list_attributes(entity))));
	if (strcmp(op, SEARCH_EQUALS) != 0 && strcmp(op, SEARCH_STARTS_WITH) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown operator \"%s\" for attribute \"%s\"", op, attribute),
						errhint("Valid operators are: %s (equals), %s (starts with).",
								SEARCH_EQUALS, SEARCH_STARTS_WITH)));
}

/* Compare two elements of an array of strings byte by byte, for qsort. */
static int
compare_strings(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* Return true if a string matches a value of a search. */
static bool
matches(const Search *search, const char *string, const char *value)
{
	if (strcmp(search->op, SEARCH_STARTS_WITH) == 0)
		return strncmp(string, value, strlen(value)) == 0;
	return strcmp(string, value) == 0;
}

/*
 * Sort the values, and remove those that match another one: duplicates, and strings
 * that start with another prefix, which the sort places right after that prefix.
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

Search *
search_make(const SearchEntity *entity, const char *attribute, const char *op, ArrayType *values)
{
	Search *search = palloc0(sizeof(Search));
	Datum  *elements;
	bool   *nulls;
	int     n;

	search_check(entity, attribute, op);
	search->entity = entity;
	search->attribute = search_attribute(entity, attribute);
	search->op = strcmp(op, SEARCH_EQUALS) == 0 ? SEARCH_EQUALS : SEARCH_STARTS_WITH;
	search->max_rows = LISTING_ALL;
	if (values == NULL)
		return search;

	/* The elements may be of a type that is binary-compatible with text, such as varchar. */
	deconstruct_array(values, ARR_ELEMTYPE(values), -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	search->values = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			search->values[search->nvalues++] = TextDatumGetCString(elements[i]);
	make_disjoint(search);
	return search;
}

int
search_find(const Search *search, const char *string)
{
	int low = 0;
	int high = search->nvalues;

	/* Only the last value that is not greater than the string can match it. */
	while (low < high)
	{
		int middle = low + (high - low) / 2;

		if (strcmp(search->values[middle], string) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && matches(search, string, search->values[low - 1]) ? low - 1 : -1;
}

/* Return a member of a jsonb object whose values are strings, or NULL if it is missing. */
static const char *
member_value(Datum object, const char *name)
{
	JsonbValue value;

	if (getKeyJsonValueFromContainer(&DatumGetJsonbP(object)->root, name, (int) strlen(name),
									 &value) == NULL)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

const char *
search_row_value(const SearchAttribute *attribute, const Datum *values, const bool *nulls)
{
	Datum column = values[attribute->column];

	if (nulls[attribute->column])
		return NULL;
	switch (attribute->form)
	{
		case SEARCH_TEXT:
			return TextDatumGetCString(column);
		case SEARCH_BOOLEAN:
			return attribute->boolean_words[DatumGetBool(column)];
		case SEARCH_MEMBER:
			return member_value(column, attribute->name);
	}
	return NULL;
}

int
search_find_row(const Search *search, const Datum *values, const bool *nulls)
{
	const char *value = search_row_value(search->attribute, values, nulls);

	return value != NULL ? search_find(search, value) : -1;
}

int64
search_requests(const Search *search)
{
	return (int64) search->nvalues * (1 + search->attribute->extra_requests);
}

bool
search_make_filters(Search *search)
{
	if (strcmp(search->op, SEARCH_STARTS_WITH) == 0 && !search->attribute->prefixes)
		return false;

	search->filters = palloc(Max(search->nvalues, 1) * sizeof(char *));
	for (int i = 0; i < search->nvalues; i++)
	{
		search->filters[i] =
			search->entity->make_filter(search->attribute, search->op, search->values[i]);
		if (search->filters[i] == NULL)
			return false;
	}
	return true;
}

bool
search_is_small(const Search *search, int64 before, SessionExtent extent)
{
	return extent.pages == 0 || before + search_requests(search) <= extent.pages;
}

/*
 * Return how many pages may be requested until the next page of a sample.  They are wasted if all
 * rows are listed then, so they are no more than a listing has at least, and not many.
 */
static int64
allowed_pages(const SearchSample *sample)
{
	int64 pages = Min(MIN_BESIDE_SAMPLE + sample->extent.min_pages, MAX_BESIDE_SAMPLE);

	return Max(1, pages - sample->before);
}

/* Estimate the size of the pool from another page of the sample; a ListingSample's observe. */
static void
observe_sample(ListingSample *base, const cJSON *items, bool more)
{
	SearchSample       *sample = (SearchSample *) base;
	const SearchEntity *entity = sample->search->entity;
	SessionExtent      *extent = &sample->extent;
	const cJSON        *item;

	sample->npages++;
	json_for_each (item, items)
		if (entity->is_in_sample(item))
			sample->nrows++;
	if (more)
		extent->min_pages = Max(extent->min_pages, sample->npages * entity->sample_divisor);
	else
	{
		extent->rows = sample->nrows * entity->sample_divisor;
		extent->pages = extent->rows / LISTING_PAGE_SIZE + 1;
	}

	if (more ? extent->min_pages >= sample->want_pages
			 : search_is_small(sample->search, sample->before, *extent))
		base->max_pages = LISTING_ALL;
	else
		base->max_pages = allowed_pages(sample);
}

void
search_add_sample(Search *search, int64 before, int64 want_pages, SessionExtent extent)
{
	SearchSample *sample = palloc(sizeof(SearchSample));

	*sample = (SearchSample){.base = {.observe = observe_sample},
							 .search = search,
							 .before = before,
							 .want_pages = want_pages,
							 .extent = extent};
	sample->base.max_pages = allowed_pages(sample);
	search->sample = sample;
}

bool
search_list_pages(const SearchEntity *entity, const CognitoServer *server, SearchListing *listing,
				  Tuplestorestate *rows, TupleDesc columns)
{
	const Session *session = server->session;
	int64          pages = session->pages;
	SessionExtent extent = session_extent(session->serverid, server->user_pool_id, entity->listing);
	bool          is_complete;

	entity->list_all(server, listing, extent.rows, rows, columns);
	listing->npages += session->pages - pages;
	is_complete = listing->has_parts && listing->parts == NIL;
	if (is_complete)
		extent = (SessionExtent){.rows = tuplestore_tuple_count(rows), .pages = listing->npages};
	else
		extent.min_pages = listing->npages + list_length(listing->parts) + !listing->has_parts;
	session_set_extent(session->serverid, server->user_pool_id, entity->listing, extent);
	return is_complete;
}

void
search_list_all(const SearchEntity *entity, const CognitoServer *server, Tuplestorestate *rows,
				TupleDesc columns)
{
	SearchListing listing = {.user_pool_id = server->user_pool_id, .max_pages = LISTING_ALL};

	(void) search_list_pages(entity, server, &listing, rows, columns);
}
