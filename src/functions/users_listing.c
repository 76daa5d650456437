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
	.operation = {&aws_user_pools, "ListUsers", POOL_USER, {"UserPoolId", "Filter"}, AWS_USER_LIST},
	.page_size = "Limit",
	.token = "PaginationToken",
	.items = "Users",
	.key = "Username",
	.function = "cognito_users",
	.noun = "users",
	.make_row = users_make_row,
};

/* Convert an attribute to a member of a jsonb object; raise HV000 if it is malformed. */
static void
make_pair(Row *row, const cJSON *attribute, JsonbPair *pair)
{
	const cJSON *name = NULL;
	const cJSON *value = NULL;
	const cJSON *member;

	json_for_each (member, cJSON_IsObject(attribute) ? attribute : NULL)
	{
		if (name == NULL && strcmp(member->string, "Name") == 0)
			name = member;
		else if (value == NULL && strcmp(member->string, "Value") == 0)
			value = member;
	}
	if (name == NULL || name->valuestring == NULL)
		row_reject(row, "has an element whose \"Name\" is not a string", "Attributes");
	if (value == NULL || value->valuestring == NULL)
		row_reject(row, "has an element whose \"Value\" is not a string", "Attributes");
	row->member = name->valuestring;
	pair->key = row_jsonb_string(name->valuestring);
	pair->value = row_jsonb_string(value->valuestring);
}

/* Set the columns that contain attributes of a user: email, and the object of all. */
static void
set_attributes(Row *row)
{
	const cJSON *attributes = json_member(row->item, "Attributes");
	const cJSON *attribute;
	JsonbValue   object;
	JsonbPair   *pairs;
	int          n = 0;

	if (attributes == NULL || cJSON_IsNull(attributes))
		return;
	if (!cJSON_IsArray(attributes))
		row_reject(row, "is not a list", "Attributes");

	json_for_each (attribute, attributes)
		n++;
	pairs = palloc(n * sizeof(JsonbPair));
	n = 0;
	json_for_each (attribute, attributes)
	{
		make_pair(row, attribute, &pairs[n]);
		if (pairs[n].key.val.string.len == strlen("email") &&
			strcmp(pairs[n].key.val.string.val, "email") == 0)
			row_set(row, USER_EMAIL, CStringGetTextDatum(pairs[n].value.val.string.val));
		n++;
	}
	if (!json_sort_members(pairs, n))
		row_reject(row, "contains the same attribute twice", "Attributes");
	object = (JsonbValue){.type = jbvObject, .val.object = {.nPairs = n, .pairs = pairs}};
	row_set(row, USER_ATTRIBUTES, JsonbPGetDatum(JsonbValueToJsonb(&object)));
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
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("could not list the users of server \"%s\" in concurrent requests",
							   partition->server->name),
						errdetail("The \"sub\" of a user is missing or does not start with a "
								  "hexadecimal digit, by which the users are partitioned."),
						errhint("Set option \"max_concurrent_requests\" to 1.")));
	return sub[0] == partition->digit;
}

ListingPart *
users_partition_part(const CognitoServer *server, char digit)
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
		parts = lappend(parts, users_partition_part(arg, *digit));
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
