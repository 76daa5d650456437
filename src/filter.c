/*
 * filter.c
 *		The filters of ListUsers.
 */
#include "postgres.h"

#include "common/string.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "filter.h"

/* In characters, names and quotes included. */
#define MAX_FILTER 256

const char *const filter_attributes[] = {
	"username", "sub",         "email",      "phone_number",        "preferred_username",
	"name",     "family_name", "given_name", "cognito:user_status", "status",
	NULL};

PG_FUNCTION_INFO_V1(cognito_filter);

/* See filter.h. */
const char *
filter_find_attribute(const char *name)
{
	for (const char *const *attribute = filter_attributes; *attribute != NULL; attribute++)
		if (strcmp(*attribute, name) == 0)
			return *attribute;
	return NULL;
}

/* The searchable attributes in words. */
static char *
list_attributes(void)
{
	StringInfoData names;

	initStringInfo(&names);
	for (const char *const *attribute = filter_attributes; *attribute != NULL; attribute++)
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", *attribute);
	return names.data;
}

/* See filter.h. */
void
filter_check(const char *attribute, const char *op)
{
	if (filter_find_attribute(attribute) == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" cannot be searched", attribute),
						errhint("Cognito searches: %s.", list_attributes())));
	if (strcmp(op, FILTER_EQUALS) != 0 && strcmp(op, FILTER_STARTS_WITH) != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown operator \"%s\" for attribute \"%s\"", op, attribute),
						errhint("Operators are: %s (equals), %s (starts with).", FILTER_EQUALS,
								FILTER_STARTS_WITH)));
}

/* Are there characters in a value for which a filter has no notation? */
static bool
has_unwritable(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char) *c < ' ' || *c == 0x7f || *c == '\\')
			return true;
	return false;
}

/* The filter for a value that can be written. */
static char *
write_filter(const char *attribute, const char *op, const char *value)
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

/* See filter.h. */
char *
filter_make(const char *attribute, const char *op, const char *value)
{
	char *filter;
	int   length;

	filter_check(attribute, op);
	if (has_unwritable(value))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" cannot be searched for this value", attribute),
						errdetail("A filter holds neither control characters nor backslashes.")));

	filter = write_filter(attribute, op, value);
	length = pg_mbstrlen(filter);
	if (length > MAX_FILTER)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("attribute \"%s\" cannot be searched for this value", attribute),
						errdetail("The filter would have %d characters, and Cognito takes %d.",
								  length, MAX_FILTER)));
	return filter;
}

/* See filter.h. */
bool
filter_can_express(const char *attribute, const char *op, const char *value)
{
	if (value[0] == '\0' || has_unwritable(value))
		return false;
	if (GetDatabaseEncoding() != PG_UTF8 && !pg_is_ascii(value))
		return false;
	return pg_mbstrlen(write_filter(attribute, op, value)) <= MAX_FILTER;
}

/* cognito_filter(attribute, op, value) */
Datum
cognito_filter(PG_FUNCTION_ARGS)
{
	char *attribute = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *op = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *value = text_to_cstring(PG_GETARG_TEXT_PP(2));

	PG_RETURN_TEXT_P(cstring_to_text(filter_make(attribute, op, value)));
}
