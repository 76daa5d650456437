/*
 * users_filter.c
 *		The filters of ListUsers.
 */
#include "postgres.h"

#include "common/string.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "functions/users_filter.h"

/* In characters, names and quotes included. */
#define MAX_FILTER 256

/* Are there characters in a value for which a filter has no notation? */
static bool
has_unsupported_character(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f || *c == '\\')
			return true;
	return false;
}

/* The filter for a value that can be written. */
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
						errmsg("attribute \"%s\" cannot be searched for this value", attribute),
						errdetail("A filter holds neither control characters nor backslashes.")));

	filter = format_filter(attribute, op, value);
	length = pg_mbstrlen(filter);
	if (length > MAX_FILTER)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" cannot be searched for this value", attribute),
						errdetail("The filter would have %d characters, and Cognito takes %d.",
								  length, MAX_FILTER)));
	return filter;
}

bool
filter_can_express(const char *attribute, const char *op, const char *value)
{
	if (value[0] == '\0' || has_unsupported_character(value))
		return false;
	if (GetDatabaseEncoding() != PG_UTF8 && !pg_is_ascii(value))
		return false;
	return pg_mbstrlen(format_filter(attribute, op, value)) <= MAX_FILTER;
}
