/*
 * users_filter.c
 *		Filters of ListUsers: attribute, operator, and a value in quotes.
 */
#include "postgres.h"

#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "functions/users_filter.h"

/* The most characters of a filter, names and quotes included. */
#define MAX_FILTER 256

/* Return true if a value has a character that cannot be written in a filter. */
static bool
has_unsupported_character(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f || *c == '\\')
			return true;
	return false;
}

/* Return the filter for a value without unsupported characters, of any length. */
static char *
format_filter(const char *attribute, const char *op, const char *value)
{
	StringInfoData filter;

	initStringInfo(&filter);
	appendStringInfo(&filter, "%s %s \"", attribute, op);
	for (const char *c = value; *c != '\0'; c++)
	{
		if (*c == '"')
			appendStringInfoChar(&filter, '\\');
		appendStringInfoChar(&filter, *c);
	}
	appendStringInfoChar(&filter, '"');
	return filter.data;
}

char *
filter_make(const char *attribute, const char *op, const char *value)
{
	char *filter;
	int   length;

	if (has_unsupported_character(value))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for a filter on attribute \"%s\"", attribute),
						errdetail("Filters cannot contain control characters or backslashes.")));

	filter = format_filter(attribute, op, value);
	length = pg_mbstrlen(filter);
	if (length > MAX_FILTER)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for a filter on attribute \"%s\"", attribute),
						errdetail("The filter would have %d characters; the maximum is %d.", length,
								  MAX_FILTER)));
	return filter;
}

char *
filter_make_exact(const SearchAttribute *attribute, const char *op, const char *value)
{
	char *filter;

	if (value[0] == '\0' || has_unsupported_character(value) ||
		(GetDatabaseEncoding() != PG_UTF8 && !pg_is_ascii(value)))
		return NULL;
	filter = format_filter(attribute->name, op, value);
	return pg_mbstrlen(filter) <= MAX_FILTER ? filter : NULL;
}
