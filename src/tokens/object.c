/*
 * object.c
 *		JSON objects from outside: headers and claims of tokens, sets of keys.
 *
 * jsonb_in keeps the last of several members of a name without a word.  Other programs
 * keep the first: so that all of them see the same, such objects are refused.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"

#include "tokens/object.h"

/* Cognito's own objects have at most four levels. */
#define MAX_DEPTH 32

/* The last second of the year 9999, since the Unix epoch */
#define MAX_TIME 253402300799.0

/* Return the last byte of a string in a JSON text, which begins with a quotation mark. */
static const char *
find_end_of_string(const char *c)
{
	while (c[1] != '"' && c[1] != '\0')
		c += c[1] == '\\' && c[2] != '\0' ? 2 : 1;
	return c[1] == '"' ? c + 1 : c;
}

/*
 * Count the members of all objects in a JSON text: the colons outside of its strings.
 * Return -1 if it is nested too deeply.
 */
static int
count_members(const char *text)
{
	int depth = 0;
	int n = 0;

	for (const char *c = text; *c != '\0'; c++)
	{
		if (*c == '"')
			c = find_end_of_string(c);
		else if (*c == ':')
			n++;
		else if (*c == '{' || *c == '[')
			depth++;
		else if (*c == '}' || *c == ']')
			depth--;
		if (depth > MAX_DEPTH)
			return -1;
	}
	return n;
}

/* Count the members of all objects in a value. */
static int
count_keys(JsonbContainer *container)
{
	JsonbIterator     *walk = JsonbIteratorInit(container);
	JsonbIteratorToken token;
	JsonbValue         value;
	int                n = 0;

	while ((token = JsonbIteratorNext(&walk, &value, false)) != WJB_DONE)
		if (token == WJB_KEY)
			n++;
	return n;
}

/*
 * Convert a text to jsonb; return NULL if that is impossible.  PostgreSQL's errors would
 * quote the text.
 */
static Jsonb *
convert(const char *text, size_t length)
{
	MemoryContext caller = CurrentMemoryContext;
	Jsonb *volatile json = NULL;

	PG_TRY();
	{
		char *converted = pg_any_to_server(text, (int) length, PG_UTF8);

		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(converted)));
	}
	PG_CATCH();
	{
		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
	}
	PG_END_TRY();
	return json;
}

Jsonb *
object_parse(const char *text, size_t length)
{
	int    members = count_members(text);
	Jsonb *json;

	if (strlen(text) != length || members < 0)
		return NULL;
	json = convert(text, length);
	if (json == NULL || !JB_ROOT_IS_OBJECT(json) || count_keys(&json->root) != members)
		return NULL;
	return json;
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
