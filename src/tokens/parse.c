/*
 * parse.c
 *		JSON to jsonb, without members that are there twice.
 *
 * jsonb_in keeps the last of several members of a name without a word.  Other programs
 * keep the first: so that all of them see the same, such objects are refused here, where
 * PostgreSQL's parser has read them, and before the names are lost.
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"

#include "aws/json.h"
#include "compat.h"
#include "tokens/parse.h"

/* Cognito's own objects have at most four levels. */
#define MAX_DEPTH 32

/* For how many items there is room at first */
#define MIN_ITEMS 64

/*
 * What has been read.  The first item is the whole text; a list's elements and an
 * object's members follow it, until their end, when they become its value.  Only
 * members have keys.
 */
typedef struct Builder
{
	JsonbPair *items;
	int        nitems;
	int        size;              /* for how many there is room */
	int        starts[MAX_DEPTH]; /* first items of the lists and objects not yet at their end */
	int        depth;
} Builder;

/* Set a value to a string, which is not copied. */
static void
set_string(JsonbValue *value, char *text)
{
	value->type = jbvString;
	value->val.string.val = text;
	value->val.string.len = (int) strlen(text);
}

/* Append an item whose value follows. */
static JsonbPair *
add_item(Builder *builder)
{
	if (builder->nitems == builder->size)
	{
		builder->size *= 2;
		builder->items = repalloc(builder->items, builder->size * sizeof(JsonbPair));
	}
	return &builder->items[builder->nitems++];
}

/* Action of the parser: an element of a list follows. */
static JsonActionResult
add_element(void *state, bool is_null)
{
	(void) is_null;
	(void) add_item(state);
	end_json_action();
}

/* Action of the parser: a member of an object follows. */
static JsonActionResult
add_member(void *state, char *name, bool is_null)
{
	(void) is_null;
	set_string(&add_item(state)->key, name);
	end_json_action();
}

/* Action of the parser: a list or an object begins. */
static JsonActionResult
begin_container(void *state)
{
	Builder *builder = state;

	if (builder->depth == MAX_DEPTH)
		ereport(ERROR, (errcode(ERRCODE_INVALID_JSON_TEXT), errmsg("nested too deeply")));
	builder->starts[builder->depth++] = builder->nitems;
	end_json_action();
}

/* Remove the items of the innermost list or object, whose own item is before them. */
static JsonbPair *
end_container(Builder *builder, int *n)
{
	int start = builder->starts[--builder->depth];

	*n = builder->nitems - start;
	builder->nitems = start;
	return &builder->items[start];
}

/* Action of the parser: a list ends. */
static JsonActionResult
end_list(void *state)
{
	int         n;
	JsonbPair  *items = end_container(state, &n);
	JsonbValue *elements = palloc(n * sizeof(JsonbValue));

	for (int i = 0; i < n; i++)
		elements[i] = items[i].value;
	items[-1].value = (JsonbValue){.type = jbvArray, .val.array = {.nElems = n, .elems = elements}};
	end_json_action();
}

/* Action of the parser: an object ends. */
static JsonActionResult
end_object(void *state)
{
	int        n;
	JsonbPair *items = end_container(state, &n);
	JsonbPair *members = palloc(n * sizeof(JsonbPair));

	memcpy(members, items, n * sizeof(JsonbPair));
	if (!json_sort_members(members, n))
		ereport(ERROR, (errcode(ERRCODE_INVALID_JSON_TEXT), errmsg("a member is there twice")));
	items[-1].value =
		(JsonbValue){.type = jbvObject, .val.object = {.nPairs = n, .pairs = members}};
	end_json_action();
}

/* Action of the parser: the last item is neither a list nor an object. */
static JsonActionResult
set_scalar(void *state, char *text, JsonTokenType type)
{
	Builder    *builder = state;
	JsonbValue *value = &builder->items[builder->nitems - 1].value;

	if (type == JSON_TOKEN_STRING)
		set_string(value, text);
	else if (type == JSON_TOKEN_NUMBER)
		*value = (JsonbValue){.type = jbvNumeric,
							  .val.numeric = DatumGetNumeric(DirectFunctionCall3(
								  numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1)))};
	else if (type == JSON_TOKEN_NULL)
		*value = (JsonbValue){.type = jbvNull};
	else
		*value = (JsonbValue){.type = jbvBool, .val.boolean = type == JSON_TOKEN_TRUE};
	end_json_action();
}

Jsonb *
parse_text(char *text)
{
	Builder builder = {
		.items = palloc(MIN_ITEMS * sizeof(JsonbPair)), .nitems = 1, .size = MIN_ITEMS};
	JsonSemAction actions = {.semstate = &builder,
							 .object_start = begin_container,
							 .object_field_start = add_member,
							 .object_end = end_object,
							 .array_start = begin_container,
							 .array_element_start = add_element,
							 .array_end = end_list,
							 .scalar = set_scalar};

	if (pg_parse_json(create_json_lexer(text, (int) strlen(text)), &actions) != JSON_SUCCESS ||
		builder.items[0].value.type != jbvObject)
		return NULL;
	return JsonbValueToJsonb(&builder.items[0].value);
}
