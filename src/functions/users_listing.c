/*
 * users_listing.c
 *		The users of a user pool: operation ListUsers.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "functions/users_filter.h"
#include "aws/json.h"
#include "functions/users_listing.h"
#include "planner/search.h"

#define HEX_DIGITS "0123456789abcdef"

/* By how many of the digits of sub a pool is divided, at the most. */
#define MAX_SUB_DIGITS 2

const Listing users_listing = {
	.operation = {&aws_user_pools, "ListUsers", POOL_USER, {"UserPoolId", "Filter"}},
	.page_size = "Limit",
	.token = "PaginationToken",
	.items = "Users",
	.function = "cognito_users",
	.noun = "users",
	.make_row = users_make_row,
};

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
	const cJSON     *attributes = json_member(row->item, "Attributes");
	const cJSON     *attribute;
	JsonbParseState *state = NULL;
	JsonbValue      *object;
	int              n = 0;

	if (attributes == NULL || cJSON_IsNull(attributes))
		return;
	if (!cJSON_IsArray(attributes))
		row_reject(row, "is not a list", "Attributes");

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	json_for_each (attribute, attributes)
	{
		JsonbValue key = row_jsonb_string(attribute_string(row, attribute, "Name"));
		JsonbValue value = row_jsonb_string(attribute_string(row, attribute, "Value"));

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

void
users_make_row(Row *row)
{
	row_text(row, USER_USERNAME, "Username");
	row_text(row, USER_STATUS, "UserStatus");
	row_boolean(row, USER_ENABLED, "Enabled");
	row_timestamp(row, USER_CREATED_AT, "UserCreateDate");
	row_timestamp(row, USER_UPDATED_AT, "UserLastModifiedDate");
	set_attributes(row);
}

const char *
users_attribute(const cJSON *user, const char *name)
{
	const cJSON *attribute;

	json_for_each (attribute, json_member(user, "Attributes"))
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
	const CognitoServer *server;
	char                 prefix[MAX_SUB_DIGITS + 1];
} SubPrefix;

static ListingPart *make_sub_part(const CognitoServer *server, const char *prefix, char digit);

/* A user's sub, or NULL if it does not show in which part of a pool the user is. */
static const char *
get_partition_sub(const cJSON *user)
{
	const char *sub = users_attribute(user, "sub");

	return sub != NULL && strspn(sub, HEX_DIGITS) >= MAX_SUB_DIGITS ? sub : NULL;
}

/*
 * Does a user belong to a part?  One who is shown there and belongs to none
 * must not be lost: it is an error.
 */
static bool
has_sub_prefix(const cJSON *user, const void *arg)
{
	const SubPrefix *part = arg;
	const char      *sub = get_partition_sub(user);

	if (sub == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("the user pool of server \"%s\" cannot be divided", part->server->name),
				 errdetail("A user has no \"sub\" that begins with hexadecimal digits, by which "
						   "several requests would share the users."),
				 errhint("Set option \"max_concurrent_requests\" to 1.")));
	return strncmp(sub, part->prefix, strlen(part->prefix)) == 0;
}

/* Are all of these users in one of the parts into which a pool is divided? */
static bool
all_have_sub(const cJSON *users)
{
	const cJSON *user;

	json_for_each (user, users)
	{
		if (get_partition_sub(user) == NULL)
			return false;
	}
	return true;
}

/*
 * Divides a part by the next digit of sub: the pool into 16, and these again if
 * more may run.  The users of the first page speak for all, as the service gives
 * each a UUID: a filter does not show those who lack it.
 */
static bool
split_by_sub(const cJSON *users, int nrequests, const void *arg, List **parts)
{
	const SubPrefix *whole = arg;
	size_t           digits = nrequests > 16 ? MAX_SUB_DIGITS : 1;

	if (strlen(whole->prefix) == digits || !all_have_sub(users))
		return false;
	for (const char *digit = HEX_DIGITS; *digit != '\0'; digit++)
		*parts = lappend(*parts, make_sub_part(whole->server, whole->prefix, *digit));
	return true;
}

/* The part of a pool that Cognito finds with a filter; all of it if that is NULL. */
static ListingPart *
make_part(const char *pool_id, const char *filter)
{
	ListingPart *part = palloc0(sizeof(ListingPart));

	part->arguments[0] = pool_id;
	part->arguments[1] = filter;
	return part;
}

/*
 * The part of a pool that a prefix of sub and a further digit make; without
 * both, the pool.  It is divided only where filters can be relied on.
 */
static ListingPart *
make_sub_part(const CognitoServer *server, const char *prefix, char digit)
{
	SubPrefix   *sub = palloc0(sizeof(SubPrefix));
	bool         whole = digit == '\0';
	ListingPart *part;

	sub->server = server;
	snprintf(sub->prefix, sizeof(sub->prefix), "%s%c", prefix, digit);

	part = make_part(server->user_pool_id,
					 whole ? NULL : filter_make("sub", SEARCH_STARTS_WITH, sub->prefix));
	part->belongs = whole ? NULL : has_sub_prefix;
	part->split = server->pushdown ? split_by_sub : NULL;
	part->arg = sub;
	return part;
}

ListingPart *
users_part(const CognitoServer *server, const char *filter)
{
	if (filter == NULL)
		return make_sub_part(server, "", '\0');
	return make_part(server->user_pool_id, filter);
}

void
users_list_pool(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns)
{
	listing_fetch(&users_listing, server, list_make1(users_part(server, NULL)), LISTING_ALL, rows,
				  columns);
}
