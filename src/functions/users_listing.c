/*
 * users_listing.c
 *		Listings of users: operation ListUsers.
 *
 * The pages of a listing can only be requested one after another, so a large pool is
 * partitioned into several listings by the first digits of sub, a UUID in lower-case
 * hexadecimal: filters on prefixes of it return every user exactly once.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "aws/json.h"
#include "functions/users_filter.h"
#include "functions/users_listing.h"
#include "planner/search.h"

#define HEX_DIGITS "0123456789abcdef"

/* The length of the longest prefixes of sub by which a pool is partitioned. */
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

const char *
users_attribute_string(const Row *row, const cJSON *attribute, const char *member)
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
		JsonbValue key = row_jsonb_string(users_attribute_string(row, attribute, "Name"));
		JsonbValue value = row_jsonb_string(users_attribute_string(row, attribute, "Value"));

		pushJsonbValue(&state, WJB_KEY, &key);
		pushJsonbValue(&state, WJB_VALUE, &value);
		if (strcmp(key.val.string.val, "email") == 0)
			row_set(row, USER_EMAIL, CStringGetTextDatum(value.val.string.val));
		n++;
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	/* A jsonb object keeps only one of two members of the same name. */
	if (object->val.object.nPairs != n)
		row_reject(row, "contains the same attribute twice", "Attributes");
	row_set(row, USER_ATTRIBUTES, JsonbPGetDatum(JsonbValueToJsonb(object)));
}

void
users_set_fields(Row *row)
{
	row_text(row, USER_USERNAME, "Username");
	row_text(row, USER_STATUS, "UserStatus");
	row_boolean(row, USER_ENABLED, "Enabled");
	row_timestamp(row, USER_CREATED_AT, "UserCreateDate");
	row_timestamp(row, USER_UPDATED_AT, "UserLastModifiedDate");
}

void
users_make_row(Row *row)
{
	users_set_fields(row);
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

/* The users whose sub starts with a prefix; the argument of a part's callbacks. */
typedef struct SubPartition
{
	const CognitoServer *server;
	const char          *prefix; /* empty for the whole pool */
} SubPartition;

static ListingPart *make_sub_part(const CognitoServer *server, const char *prefix);

/* Return a user's sub; NULL if it does not show to which partition the user belongs. */
static const char *
get_partition_sub(const cJSON *user)
{
	const char *sub = users_attribute(user, "sub");

	return sub != NULL && strspn(sub, HEX_DIGITS) >= MAX_SUB_DIGITS ? sub : NULL;
}

/*
 * Return true if a user belongs to a partition.  Raise HV000 for a user who belongs to
 * none, who would be missing from the result.
 */
static bool
has_sub_prefix(const cJSON *user, const void *arg)
{
	const SubPartition *partition = arg;
	const char         *sub = get_partition_sub(user);

	if (sub == NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("could not list the users of server \"%s\" in concurrent requests",
							   partition->server->name),
						errdetail("The \"sub\" of a user is missing or does not start with "
								  "hexadecimal digits, by which the users are partitioned."),
						errhint("Set option \"max_concurrent_requests\" to 1.")));
	return strncmp(sub, partition->prefix, strlen(partition->prefix)) == 0;
}

/* Return true if each of some users belongs to a partition. */
static bool
all_have_sub(const cJSON *users)
{
	const cJSON *user;

	json_for_each (user, users)
		if (get_partition_sub(user) == NULL)
			return false;
	return true;
}

/*
 * Split a partition by the next digit of sub; the callback of ListingPart.  More than
 * 16 concurrent requests need two digits.  No filter returns users without a valid
 * sub, so they would be missed.  The pool is assumed to have none if the first page
 * has none, because Cognito assigns it.
 */
static bool
split_by_sub(const cJSON *users, int nrequests, const void *arg, List **parts)
{
	const SubPartition *partition = arg;
	size_t              digits = nrequests > 16 ? MAX_SUB_DIGITS : 1;

	if (strlen(partition->prefix) == digits || !all_have_sub(users))
		return false;
	for (const char *digit = HEX_DIGITS; *digit != '\0'; digit++)
		*parts = lappend(
			*parts, make_sub_part(partition->server, psprintf("%s%c", partition->prefix, *digit)));
	return true;
}

/*
 * Return the part of the users whose sub starts with a prefix.  It is not split if
 * option pushdown is off, as that says that the service ignores filters.
 */
static ListingPart *
make_sub_part(const CognitoServer *server, const char *prefix)
{
	bool          whole = prefix[0] == '\0';
	SubPartition *partition = palloc(sizeof(SubPartition));
	ListingPart  *part =
		users_filter_part(server, whole ? NULL : filter_make("sub", SEARCH_STARTS_WITH, prefix));

	*partition = (SubPartition){.server = server, .prefix = prefix};
	part->belongs = whole ? NULL : has_sub_prefix;
	part->split = server->pushdown ? split_by_sub : NULL;
	part->arg = partition;
	return part;
}

ListingPart *
users_pool_part(const CognitoServer *server)
{
	return make_sub_part(server, "");
}

ListingPart *
users_partition_part(const CognitoServer *server, const char *prefix)
{
	return make_sub_part(server, prefix);
}

ListingPart *
users_filter_part(const CognitoServer *server, const char *filter)
{
	ListingPart *part = palloc0(sizeof(ListingPart));

	part->arguments[0] = server->user_pool_id;
	part->arguments[1] = filter;
	return part;
}
