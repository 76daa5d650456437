/*
 * users_listing.c
 *		Listings of users: operation ListUsers.
 *
 * The pages of a listing can only be requested one after another, so a large pool is
 * partitioned into 16 listings by the first digit of sub, a UUID in lower-case
 * hexadecimal: filters on it return every user exactly once.  Further digits are the
 * same for many users of a pool, or for all, so they would only add empty listings.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "aws/json.h"
#include "functions/users_filter.h"
#include "functions/users_listing.h"
#include "planner/search.h"

#define HEX_DIGITS "0123456789abcdef"

const Listing users_listing = {
	.operation = {&aws_user_pools, "ListUsers", POOL_USER, {"UserPoolId", "Filter"}},
	.page_size = "Limit",
	.token = "PaginationToken",
	.items = "Users",
	.function = "cognito_users",
	.noun = "users",
	.make_row = users_make_row,
};

/* Return a member of an attribute; raise HV000 if it is not a string. */
static const char *
attribute_string(const Row *row, const cJSON *attribute, const char *member)
{
	const char *value = json_string(attribute, member);

	if (value == NULL)
		row_reject(row, psprintf("has an element whose \"%s\" is not a string", member),
				   "Attributes");
	return value;
}

/* Set the columns that contain attributes of a user: email, and the object of all. */
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

	/* A jsonb object keeps only one of two members of the same name. */
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

/* The users whose sub starts with a digit; the argument of a partition's callbacks. */
typedef struct SubPartition
{
	const CognitoServer *server;
	char                 digit;
} SubPartition;

/* Return a user's sub; NULL if it does not show to which partition the user belongs. */
static const char *
partition_key(const cJSON *user)
{
	const char *sub = users_attribute(user, "sub");

	return sub != NULL && strspn(sub, HEX_DIGITS) > 0 && strlen(sub) < LISTING_KEY_SIZE ? sub
																						: NULL;
}

/*
 * Return true if a user belongs to a partition.  Raise HV000 for a user who belongs to
 * none, who would be missing from the result.
 */
static bool
is_in_partition(const cJSON *user, const void *arg)
{
	const SubPartition *partition = arg;
	const char         *sub = partition_key(user);

	if (sub == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_ERROR),
				 errmsg("could not list the users of server \"%s\" in several concurrent requests",
						partition->server->name),
				 errdetail("The \"sub\" of a user is missing or does not start with a "
						   "hexadecimal digit, by which the users are partitioned."),
				 errhint("Set option \"max_concurrent_requests\" to 1.")));
	return sub[0] == partition->digit;
}

/* Return the partition of the users whose sub starts with a digit. */
static ListingPart *
make_partition(const CognitoServer *server, char digit)
{
	char          prefix[] = {digit, '\0'};
	SubPartition *partition = palloc(sizeof(SubPartition));
	ListingPart  *part = users_filter_part(server, filter_make("sub", SEARCH_STARTS_WITH, prefix));

	*partition = (SubPartition){.server = server, .digit = digit};
	part->belongs = is_in_partition;
	part->key = partition_key;
	part->arg = partition;
	return part;
}

/*
 * Return the partitions of a user pool.  Users without a valid sub are returned by no
 * filter, so they cannot be noticed later: that all users of the first pages have one is
 * taken to be true of the whole pool, as Cognito assigns it.
 */
static List *
make_partitions(const void *arg)
{
	List *parts = NIL;

	for (const char *digit = HEX_DIGITS; *digit != '\0'; digit++)
		parts = lappend(parts, make_partition(arg, *digit));
	return parts;
}

/* It is not partitioned if option pushdown is off: that says that the service ignores filters. */
ListingPart *
users_pool_part(const CognitoServer *server)
{
	ListingPart *part = users_filter_part(server, NULL);

	if (server->pushdown)
	{
		part->key = partition_key;
		part->make_partitions = make_partitions;
		part->arg = server;
	}
	return part;
}

ListingPart *
users_filter_part(const CognitoServer *server, const char *filter)
{
	ListingPart *part = palloc0(sizeof(ListingPart));

	part->arguments[0] = server->user_pool_id;
	part->arguments[1] = filter;
	return part;
}
