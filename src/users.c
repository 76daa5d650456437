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

static void make_user_row(Row *row);

static const Listing list_users = {
	.operation = {"cognito-idp", "AWSCognitoIdentityProviderService", "ListUsers"},
	.page_size = "Limit",
	.token = "PaginationToken",
	.items = "Users",
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

/* cognito_users(server_name [, filter, max_users]) */
Datum
cognito_users(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bool           has_filter = PG_NARGS() > 1 && !PG_ARGISNULL(1);
	bool           has_limit = PG_NARGS() > 2 && !PG_ARGISNULL(2);
	int64          max_users = has_limit ? PG_GETARG_INT64(2) : LISTING_ALL;
	CognitoServer *server;
	StringInfoData parameters;

	if (PG_ARGISNULL(0))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("the server's name must not be null")));
	if (max_users < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("max_users must not be negative")));

	InitMaterializedSRF(fcinfo, 0);
	server = server_open(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	initStringInfo(&parameters);
	json_append_string(&parameters, "UserPoolId", server->user_pool_id);
	if (has_filter)
		json_append_string(&parameters, "Filter", text_to_cstring(PG_GETARG_TEXT_PP(1)));

	listing_fetch(&list_users, server, parameters.data, max_users, result->setResult,
				  result->setDesc);
	server_close(server);
	return (Datum) 0;
}
