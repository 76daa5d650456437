/*
 * users.c
 *		The users of a user pool: operation ListUsers.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "json.h"
#include "listing.h"
#include "server.h"

enum UserColumn
{
	USER_USERNAME,
	USER_EMAIL,
	USER_STATUS,
	USER_ENABLED,
	USER_CREATED_AT,
	USER_UPDATED_AT,
	USER_ATTRIBUTES
};

#define HEX_DIGITS "0123456789abcdef"

static void make_user_row(Row *row);

static const Listing list_users = {
	.operation = {"cognito-idp", "AWSCognitoIdentityProviderService", "ListUsers"},
	.page_size = "Limit",
	.token = "PaginationToken",
	.items = "Users",
	.function = "cognito_users",
	.noun = "users",
	.make_row = make_user_row,
};

PG_FUNCTION_INFO_V1(cognito_users);

/* A jsonb string of the database's encoding. */
static JsonbValue
jsonb_string(char *text)
{
	return (JsonbValue){.type = jbvString, .val.string = {.len = (int) strlen(text), .val = text}};
}

/* A member of an attribute, which must be a string. */
static const char *
attribute_string(const Row *row, const cJSON *attribute, const char *member)
{
	const char *value = json_string(attribute, member);

	if (value == NULL)
		row_reject(row, psprintf("has an element whose \"%s\" is not a string", member),
				   "Attributes");
	return value;
}

/* Sets the columns that come from a user's attributes: the object of all, and the e-mail. */
static void
set_attributes(Row *row)
{
	const cJSON     *attributes = cJSON_GetObjectItemCaseSensitive(row->item, "Attributes");
	const cJSON     *attribute;
	JsonbParseState *state = NULL;
	JsonbValue      *object;
	int              n = 0;

	if (attributes == NULL || cJSON_IsNull(attributes))
		return;
	if (!cJSON_IsArray(attributes))
		row_reject(row, "is not a list", "Attributes");

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	cJSON_ArrayForEach (attribute, attributes)
	{
		JsonbValue key = jsonb_string(row_to_server(attribute_string(row, attribute, "Name")));
		JsonbValue value = jsonb_string(row_to_server(attribute_string(row, attribute, "Value")));

		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
		if (strcmp(key.val.string.val, "email") == 0)
			row_set(row, USER_EMAIL, CStringGetTextDatum(value.val.string.val));
		n++;
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	/* Of two members of the same name, jsonb silently keeps one. */
	if (object->val.object.nPairs != n)
		row_reject(row, "holds the same attribute twice", "Attributes");
	row_set(row, USER_ATTRIBUTES, JsonbPGetDatum(JsonbValueToJsonb(object)));
}

/* Turns a user into a row. */
static void
make_user_row(Row *row)
{
	row_text(row, USER_USERNAME, "Username");
	row_text(row, USER_STATUS, "UserStatus");
	row_boolean(row, USER_ENABLED, "Enabled");
	row_timestamp(row, USER_CREATED_AT, "UserCreateDate");
	row_timestamp(row, USER_UPDATED_AT, "UserLastModifiedDate");
	set_attributes(row);
}

/* The value of a user's attribute, or NULL. */
static const char *
find_attribute(const cJSON *user, const char *name)
{
	const cJSON *attribute;

	cJSON_ArrayForEach (attribute, cJSON_GetObjectItemCaseSensitive(user, "Attributes"))
	{
		const char *found = json_string(attribute, "Name");

		if (found != NULL && strcmp(found, name) == 0)
			return json_string(attribute, "Value");
	}
	return NULL;
}

/* A part of a pool: the users whose sub, a UUID in lower-case hexadecimal, begins with a prefix. */
typedef struct SubPrefix
{
	const char *pool_id;
	char        prefix[3]; /* 0 to 2 digits */
} SubPrefix;

static ListingPart *make_sub_part(const char *pool_id, const char *prefix, char digit);

/* Does a user belong to a part? */
static bool
has_sub_prefix(const cJSON *user, const void *arg)
{
	const char *prefix = ((const SubPrefix *) arg)->prefix;
	const char *sub = find_attribute(user, "sub");

	return sub != NULL && strncmp(sub, prefix, strlen(prefix)) == 0;
}

/* Are all of these users in one of the parts into which a pool is divided? */
static bool
all_have_sub(const cJSON *users)
{
	const cJSON *user;

	cJSON_ArrayForEach (user, users)
	{
		const char *sub = find_attribute(user, "sub");

		if (sub == NULL || strspn(sub, HEX_DIGITS) < 2)
			return false;
	}
	return true;
}

/* Divides a part by the next digit of sub: the pool into 16, and these again if more may run. */
static bool
split_by_sub(const cJSON *users, int nrequests, const void *arg, List **parts)
{
	const SubPrefix *whole = arg;
	size_t           digits = nrequests > 16 ? 2 : 1;

	if (strlen(whole->prefix) == digits || !all_have_sub(users))
		return false;
	for (const char *digit = HEX_DIGITS; *digit != '\0'; digit++)
		*parts = lappend(*parts, make_sub_part(whole->pool_id, whole->prefix, *digit));
	return true;
}

/* The part of a pool that a prefix of sub and a further digit make; without both, the pool. */
static ListingPart *
make_sub_part(const char *pool_id, const char *prefix, char digit)
{
	ListingPart   *part = palloc0(sizeof(ListingPart));
	SubPrefix     *sub = palloc0(sizeof(SubPrefix));
	StringInfoData parameters;

	sub->pool_id = pool_id;
	snprintf(sub->prefix, sizeof(sub->prefix), "%s%c", prefix, digit);

	initStringInfo(&parameters);
	json_append_string(&parameters, "UserPoolId", pool_id);
	if (sub->prefix[0] != '\0')
		json_append_string(&parameters, "Filter", psprintf("sub ^= \"%s\"", sub->prefix));

	part->parameters = parameters.data;
	part->belongs = sub->prefix[0] != '\0' ? has_sub_prefix : NULL;
	part->split = split_by_sub;
	part->arg = sub;
	return part;
}

/* The part of a pool that Cognito finds with a filter. */
static ListingPart *
make_filter_part(const char *pool_id, const char *filter)
{
	ListingPart   *part = palloc0(sizeof(ListingPart));
	StringInfoData parameters;

	initStringInfo(&parameters);
	json_append_string(&parameters, "UserPoolId", pool_id);
	json_append_string(&parameters, "Filter", filter);
	part->parameters = parameters.data;
	return part;
}

/* cognito_users(server_name [, filter, max_users]) */
Datum
cognito_users(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool           has_filter = PG_NARGS() > 1 && !PG_ARGISNULL(1);
	bool           has_limit = PG_NARGS() > 2 && !PG_ARGISNULL(2);
	int64          max_users = has_limit ? PG_GETARG_INT64(2) : LISTING_ALL;
	CognitoServer *server;
	ListingPart   *part;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the server's name must not be null")));
	if (max_users < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_users must not be negative")));

	InitMaterializedSRF(fcinfo, 0);
	server = server_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	part = has_filter
			   ? make_filter_part(server->user_pool_id, text_to_cstring(PG_GETARG_TEXT_PP(1)))
			   : make_sub_part(server->user_pool_id, "", '\0');
	listing_fetch(&list_users, server, list_make1(part), max_users, result->setResult,
				  result->setDesc);
	server_close(server);
	return (Datum) 0;
}
