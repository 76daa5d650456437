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

#include "fetch/listing.h"
#include "planner/search.h"

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

SessionExtent
search_sample(const SearchEntity *entity, const CognitoServer *server, int64 max_pages,
			  TupleDesc columns)
{
	char            *prefix = unconstify(char *, entity->sample_prefix);
	int64            sample_pages = (max_pages - 1) / entity->sample_divisor + 1;
	int64            nrows;
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	SessionExtent    extent = {0};
	Search           search = {.entity = entity,
							   .attribute = entity->sample_attribute,
							   .op = SEARCH_STARTS_WITH,
							   .nvalues = 1,
							   .values = &prefix,
							   .max_rows = sample_pages * LISTING_PAGE_SIZE};

	(void) search_make_filters(&search);
	entity->list_found(server, &search, rows, columns);
	nrows = tuplestore_tuple_count(rows);
	tuplestore_end(rows);

	if (nrows == search.max_rows)
		extent.min_pages = sample_pages * entity->sample_divisor;
	else
	{
		extent.rows = nrows * entity->sample_divisor;
		extent.pages = extent.rows / LISTING_PAGE_SIZE + 1;
	}
	session_set_extent(server->session->serverid, server->user_pool_id, entity->listing, extent);
	return extent;
}

void
search_list_all(const SearchEntity *entity, const CognitoServer *server, Tuplestorestate *rows,
				TupleDesc columns)
{
	int64         pages = server->session->pages;
	SessionExtent extent =
		session_extent(server->session->serverid, server->user_pool_id, entity->listing);

	entity->list_all(server, extent.rows, rows, columns);
	session_set_extent(server->session->serverid, server->user_pool_id, entity->listing,
					   (SessionExtent){.rows = tuplestore_tuple_count(rows),
									   .pages = server->session->pages - pages});
}
