/*
 * row.c
 *		Rows: convert the members of a JSON object of a reply to the columns of a row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include <math.h>

#include "aws/json.h"
#include "fetch/row.h"

/*
 * The largest item, in the count of json_size; a user needs less than 1 MB.  It limits
 * the time for which PostgreSQL's own handling of a row (sorting and copying jsonb,
 * writing to disk) cannot be interrupted.
 */
#define MAX_ITEM (4 * 1024 * 1024)

/* How much of a name goes into an error, in bytes; no name of Cognito has more characters. */
#define MAX_NAME 128

/* Size of the buffer for a number; cJSON prints at most 25 characters and wants spare room. */
#define MAX_NUMBER 64

void
row_reject(const Row *row, const char *problem, const char *member)
{
	const char *place = row->number > 0 ? psprintf("Item %d: member", row->number) : "Member";

	aws_reject_reply(row->request, psprintf("%s \"%s\" %s.", place, member, problem));
}

/*
 * Return the start of a string of a reply, with what is not printable ASCII escaped, for
 * the string may be what cannot be converted.
 */
static char *
escape_non_ascii(const char *utf8)
{
	StringInfoData escaped;
	const char    *end = utf8 + strnlen(utf8, MAX_NAME);

	initStringInfo(&escaped);
	for (const char *c = utf8; c < end; c += pg_encoding_mblen(PG_UTF8, c))
		if (*c >= ' ' && *c <= '~')
			appendStringInfoChar(&escaped, *c);
		else
			appendStringInfo(&escaped, "\\u%04X", utf8_to_unicode((const unsigned char *) c));
	return escaped.data;
}

/* Return what identifies the item of a row. */
static const char *
item_name(const Row *row)
{
	const char *name = row->key != NULL ? json_string(row->item, row->key) : NULL;

	if (name != NULL)
		return psprintf("the item with %s \"%s\"", row->key, escape_non_ascii(name));
	return row->number > 0 ? psprintf("item %d", row->number) : "the object";
}

void
row_error_context(void *arg)
{
	const Row *row = arg;
	int        sqlstate = geterrcode();

	if (sqlstate != ERRCODE_UNTRANSLATABLE_CHARACTER &&
		sqlstate != ERRCODE_CHARACTER_NOT_IN_REPERTOIRE)
		return;
	if (row->member != NULL)
		errcontext("converting \"%s\" of %s of server \"%s\"", escape_non_ascii(row->member),
				   item_name(row), row->server_name);
	else
		errcontext("converting %s of server \"%s\"", item_name(row), row->server_name);
	errhint("Use a database with encoding UTF8, or change the value in Cognito.");
}

/*
 * Raise HV000 if the item is too large.  It need not be measured in a short reply: two
 * bytes of text become at most one value.
 */
static void
check_size(const Row *row)
{
	if (aws_reply_length(row->request) > MAX_ITEM / (JSON_VALUE_SIZE / 2 + 1) &&
		json_size(row->item) > MAX_ITEM)
		aws_reject_reply(row->request, psprintf("%s is larger than 4 MB.",
												row->number > 0 ? psprintf("Item %d", row->number)
																: "The object"));
}

void
row_append(Row *row, RowMaker make_row, Tuplestorestate *rows, TupleDesc columns)
{
	check_size(row);
	row->values = palloc(columns->natts * sizeof(Datum));
	row->nulls = palloc(columns->natts * sizeof(bool));
	memset(row->nulls, true, columns->natts * sizeof(bool));
	make_row(row);
	tuplestore_putvalues(rows, columns, row->values, row->nulls);
}

void
row_set(Row *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

char *
row_to_server(const char *utf8)
{
	/* json_parse has validated the reply. */
	if (GetDatabaseEncoding() == PG_UTF8)
		return unconstify(char *, utf8);
	return pg_any_to_server(utf8, (int) strlen(utf8), PG_UTF8);
}

/*
 * Return a member of the row's item, NULL if it is missing or null; raise HV000, with
 * a problem, if it is of another type.  It is the member that is converted next.
 */
static const cJSON *
find_member(Row *row, const char *member, cJSON_bool (*is_type)(const cJSON *value),
			const char *problem)
{
	const cJSON *value = json_member(row->item, member);

	row->member = member;
	if (value == NULL || cJSON_IsNull(value))
		return NULL;
	if (!is_type(value))
		row_reject(row, problem, member);
	return value;
}

void
row_text(Row *row, int column, const char *member)
{
	const cJSON *value = find_member(row, member, cJSON_IsString, "is not a string");

	if (value != NULL)
		row_set(row, column, CStringGetTextDatum(row_to_server(value->valuestring)));
}

void
row_boolean(Row *row, int column, const char *member)
{
	const cJSON *value = find_member(row, member, cJSON_IsBool, "is not a boolean");

	if (value != NULL)
		row_set(row, column, BoolGetDatum(cJSON_IsTrue(value)));
}

/* Return true if a value is an integer that fits into PostgreSQL's integer. */
static cJSON_bool
is_integer(const cJSON *value)
{
	return cJSON_IsNumber(value) && value->valuedouble == (double) value->valueint;
}

void
row_integer(Row *row, int column, const char *member)
{
	const cJSON *value = find_member(row, member, is_integer, "is not a 32-bit integer");

	if (value != NULL)
		row_set(row, column, Int32GetDatum(value->valueint));
}

void
row_texts(Row *row, int column, const char *member)
{
	const cJSON     *value = find_member(row, member, cJSON_IsArray, "is not a list");
	ArrayBuildState *texts = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	const cJSON     *element;

	if (value == NULL)
		return;
	json_for_each (element, value)
	{
		if (!cJSON_IsString(element))
			row_reject(row, "has an element that is not a string", member);
		accumArrayResult(texts, CStringGetTextDatum(row_to_server(element->valuestring)), false,
						 TEXTOID, CurrentMemoryContext);
	}
	row_set(row, column, makeArrayResult(texts, CurrentMemoryContext));
}

JsonbValue
row_jsonb_string(const char *utf8)
{
	char *text = row_to_server(utf8);

	return (JsonbValue){.type = jbvString, .val.string = {.len = (int) strlen(text), .val = text}};
}

/* Return a number as jsonb, with the digits that cJSON prints; null if it is infinite. */
static JsonbValue
jsonb_number(const cJSON *number)
{
	char  text[MAX_NUMBER];
	Datum numeric;

	if (!isfinite(number->valuedouble) ||
		!cJSON_PrintPreallocated(unconstify(cJSON *, number), text, sizeof(text), false))
		return (JsonbValue){.type = jbvNull};
	numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
								  Int32GetDatum(-1));
	return (JsonbValue){.type = jbvNumeric, .val.numeric = DatumGetNumeric(numeric)};
}

/* Return a value that is neither list nor object as jsonb. */
static JsonbValue
jsonb_scalar(const cJSON *value)
{
	if (cJSON_IsString(value))
		return row_jsonb_string(value->valuestring);
	if (cJSON_IsNumber(value))
		return jsonb_number(value);
	if (cJSON_IsBool(value))
		return (JsonbValue){.type = jbvBool, .val.boolean = cJSON_IsTrue(value)};
	return (JsonbValue){.type = jbvNull};
}

/* Push the value at which a walk is: the start of a list or an object, or a scalar. */
static void
push_value(JsonbParseState **state, const JsonWalk *walk)
{
	bool       is_member = walk->depth > 0 && walk->value->string != NULL;
	JsonbValue value;

	if (is_member)
	{
		value = row_jsonb_string(walk->value->string);
		pushJsonbValue(state, WJB_KEY, &value);
	}
	if (json_is_container(walk->value))
	{
		pushJsonbValue(state, cJSON_IsObject(walk->value) ? WJB_BEGIN_OBJECT : WJB_BEGIN_ARRAY,
					   NULL);
		return;
	}
	value = jsonb_scalar(walk->value);
	pushJsonbValue(state, is_member ? WJB_VALUE : WJB_ELEM, &value);
}

void
row_item(Row *row, int column)
{
	JsonbParseState *state = NULL;
	JsonbValue      *whole = NULL;
	JsonWalk         walk;

	json_begin(&walk, row->item);
	do
	{
		if (walk.value->string != NULL)
			row->member = walk.value->string;
		if (walk.ends)
			whole = pushJsonbValue(
				&state, cJSON_IsObject(walk.value) ? WJB_END_OBJECT : WJB_END_ARRAY, NULL);
		else
			push_value(&state, &walk);
	} while (json_step(&walk));
	row_set(row, column, JsonbPGetDatum(JsonbValueToJsonb(whole)));
}

/* Convert seconds since the Unix epoch to a timestamp; return false if it is out of range. */
static bool
from_epoch(double seconds, TimestampTz *timestamp)
{
	double microseconds =
		(seconds - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (double) SECS_PER_DAY) *
		(double) USECS_PER_SEC;

	if (!(microseconds >= (double) MIN_TIMESTAMP && microseconds < (double) END_TIMESTAMP))
		return false;
	*timestamp = (TimestampTz) rint(microseconds);
	return IS_VALID_TIMESTAMP(*timestamp);
}

void
row_timestamp(Row *row, int column, const char *member)
{
	const cJSON *value = find_member(row, member, cJSON_IsNumber, "is not a number");
	TimestampTz  timestamp;

	if (value == NULL)
		return;
	if (!from_epoch(value->valuedouble, &timestamp))
		row_reject(row, "is out of the range of timestamps", member);
	row_set(row, column, TimestampTzGetDatum(timestamp));
}
