/*
 * object.c
 *		JSON objects from outside: headers and claims of tokens, sets of keys.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "tokens/object.h"
#include "tokens/parse.h"

/* The last second of the year 9999, since the Unix epoch */
#define MAX_TIME 253402300799.0

Jsonb *
object_parse(const char *text, size_t length)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb *volatile object = NULL;

	if (strlen(text) != length)
		return NULL;
	PG_TRY();
	{
		object = parse_text(pg_any_to_server(text, (int) length, PG_UTF8));
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return object;
}

/* Return a member's value, or NULL. */
static JsonbValue *
find_member(JsonbContainer *object, const char *member, JsonbValue *value)
{
	if (!JsonContainerIsObject(object))
		return NULL;
	return getKeyJsonValueFromContainer(object, member, (int) strlen(member), value);
}

bool
object_has(JsonbContainer *object, const char *member)
{
	JsonbValue value;

	return find_member(object, member, &value) != NULL;
}

char *
object_string(JsonbContainer *object, const char *member)
{
	JsonbValue value;

	if (find_member(object, member, &value) == NULL || value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

bool
object_equals(JsonbContainer *object, const char *member, const char *value)
{
	JsonbValue string;
	size_t     length = strlen(value);

	return find_member(object, member, &string) != NULL && string.type == jbvString &&
		   (size_t) string.val.string.len == length &&
		   memcmp(string.val.string.val, value, length) == 0;
}

bool
object_time(JsonbContainer *object, const char *member, double *seconds)
{
	JsonbValue value;

	if (find_member(object, member, &value) == NULL || value.type != jbvNumeric)
		return false;
	*seconds = DatumGetFloat8(
		DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(value.val.numeric)));
	return *seconds >= 0 && *seconds <= MAX_TIME;
}
