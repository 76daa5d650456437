/*
 * users.c
 *		The users of a user pool: the SQL functions, and the searches that become
 *		filters of ListUsers.
 *
 * What Cognito returns for a filter is compared again here, so it does not matter
 * how it compares, or whether it ignores filters, as some emulators do.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "aws/json.h"
#include "fetch/srf.h"
#include "functions/users.h"
#include "functions/users_filter.h"
#include "functions/users_listing.h"
#include "planner/estimate.h"
#include "planner/search_join.h"
#include "planner/search_exec.h"

/* A sixteenth of all users have a sub that starts with it. */
#define SAMPLE_PREFIX "0"

/* A value of a search, the argument of a part's callback. */
typedef struct SearchedValue
{
	const Search *search;
	int           index;
} SearchedValue;

/* Return the string that a filter compares, of a user of a reply; NULL if it is missing. */
static const char *
searched_string(const cJSON *user, const SearchAttribute *attribute)
{
	const cJSON *enabled = json_member(user, "Enabled");

	switch (attribute->column)
	{
		case USER_USERNAME:
			return json_string(user, "Username");
		case USER_STATUS:
			return json_string(user, "UserStatus");
		case USER_ENABLED:
			return cJSON_IsBool(enabled) ? attribute->boolean_words[cJSON_IsTrue(enabled)] : NULL;
		default:
			return users_attribute(user, attribute->name);
	}
}

/* Return true if a user matches the value of a part. */
static bool
belongs(const cJSON *user, const void *arg)
{
	const SearchedValue *value = arg;
	const char          *string = searched_string(user, value->search->attribute);

	return string != NULL && search_find(value->search, row_to_server(string)) == value->index;
}

List *
users_search_parts(const CognitoServer *server, const Search *search)
{
	List *parts = NIL;

	for (int i = 0; i < search->nvalues; i++)
	{
		ListingPart   *part = users_filter_part(server, search->filters[i]);
		SearchedValue *value = palloc(sizeof(SearchedValue));

		*value = (SearchedValue){.search = search, .index = i};
		part->belongs = belongs;
		part->arg = value;
		parts = lappend(parts, part);
	}
	return parts;
}

/* Append all users. */
static void
list_all(const CognitoServer *server, SearchListing *listing, int64 expected_rows,
		 Tuplestorestate *rows, TupleDesc columns)
{
	listing->has_parts = true;
	listing_fetch(&users_listing, server, list_make1(users_pool_part(server)), LISTING_ALL,
				  expected_rows, rows, columns);
}

/* Return true if a user is in the sample; a SearchEntity's is_in_sample. */
static bool
is_in_sample(const cJSON *user)
{
	const char *sub = users_attribute(user, "sub");

	return sub != NULL && strncmp(sub, SAMPLE_PREFIX, strlen(SAMPLE_PREFIX)) == 0;
}

/* Return false: a user of a sample is no row of the search. */
static bool
belongs_not(const cJSON *user, const void *arg)
{
	(void) user;
	(void) arg;
	return false;
}

/* Return the part of a sample. */
static ListingPart *
sample_part(const CognitoServer *server, SearchSample *sample)
{
	ListingPart *part =
		users_filter_part(server, filter_make("sub", SEARCH_STARTS_WITH, SAMPLE_PREFIX));

	part->belongs = belongs_not;
	part->sample = &sample->base;
	return part;
}

/* Append the users who match a search, and list its sample beside it. */
static void
list_found(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
		   TupleDesc columns)
{
	List *parts = users_search_parts(server, search);

	if (search->sample != NULL)
		parts = lcons(sample_part(server, search->sample), parts);
	listing_fetch(&users_listing, server, parts, search->max_rows, 0, rows, columns);
}

PG_FUNCTION_INFO_V1(cognito_users);
PG_FUNCTION_INFO_V1(cognito_users_limited);
PG_FUNCTION_INFO_V1(cognito_users_of_pool);
PG_FUNCTION_INFO_V1(cognito_filter);
PG_FUNCTION_INFO_V1(cognito_users_matching);
PG_FUNCTION_INFO_V1(cognito_users_matching_limited);
PG_FUNCTION_INFO_V1(cognito_users_of_pool_matching);
PG_FUNCTION_INFO_V1(cognito_users_of_pool_matching_limited);
PG_FUNCTION_INFO_V1(cognito_users_support);
PG_FUNCTION_INFO_V1(cognito_users_support_1_1);

/* Prefixes of a status are not sent, because it is not documented how Cognito compares them. */
static const SearchAttribute attributes[] = {
	{"username", USER_USERNAME, SEARCH_TEXT, 1, .prefixes = true},
	{"sub", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true, .is_uuid = true},
	{"email", USER_EMAIL, SEARCH_TEXT, 1, .prefixes = true},
	{"email", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"phone_number", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"preferred_username", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"name", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"family_name", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"given_name", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
	{"cognito:user_status", USER_STATUS, SEARCH_TEXT, .fraction = 0.5, .common_value = "CONFIRMED"},
	{"status", USER_ENABLED, SEARCH_BOOLEAN, .fraction = 0.5, .common_value = "Enabled",
	 .boolean_words = {"Disabled", "Enabled"}},
	{.name = NULL},
};

const SearchEntity users_search = {
	.attributes = attributes,
	.join_methods = {"cognito_users", search_join_create_state},
	.support = {cognito_users_support, cognito_users_support_1_1},
	.listing = SESSION_USERS,
	.sample_divisor = 16,
	.is_in_sample = is_in_sample,
	.make_filter = filter_make_exact,
	.list_all = list_all,
	.list_found = list_found,
};

/*
 * Return the users of a pool that match a filter, up to a number.  Arguments are given by
 * their numbers, 0 for none; a filter or a number that is NULL selects all users.
 */
static Datum
list_users(FunctionCallInfo fcinfo, int user_pool_id, int filter, int max_users)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char          *name = srf_text_arg(fcinfo, 0);
	int64          max_rows = srf_max_rows_arg(fcinfo, max_users);
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server = srf_open(name, POOL_USER, srf_pool_arg(fcinfo, user_pool_id), false);
	if (server == NULL)
		return (Datum) 0;
	if (filter > 0 && PG_ARGISNULL(filter))
		filter = 0;
	if (filter == 0 && max_rows == LISTING_ALL)
		search_list_all(&users_search, server, result->setResult, result->setDesc);
	else
		listing_fetch(
			&users_listing, server,
			list_make1(users_filter_part(server, filter > 0 ? srf_text_arg(fcinfo, filter) : NULL)),
			max_rows, 0, result->setResult, result->setDesc);
	server_close(server);
	return (Datum) 0;
}

/* cognito_users(server_name [, filter, max_users]) */
Datum
cognito_users(PG_FUNCTION_ARGS)
{
	return PG_NARGS() == 3 ? list_users(fcinfo, 0, 1, 2) : list_users(fcinfo, 0, 0, 0);
}

/* cognito_users(server_name, max_users) */
Datum
cognito_users_limited(PG_FUNCTION_ARGS)
{
	return list_users(fcinfo, 0, 0, 1);
}

/* cognito_users(server_name, user_pool_id, max_users) */
Datum
cognito_users_of_pool(PG_FUNCTION_ARGS)
{
	return list_users(fcinfo, 1, 0, 2);
}

/* cognito_filter(attribute, operator, value) */
Datum
cognito_filter(PG_FUNCTION_ARGS)
{
	char *attribute = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char *op = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char *value = text_to_cstring(PG_GETARG_TEXT_PP(2));

	search_check(&users_search, attribute, op);
	PG_RETURN_TEXT_P(cstring_to_text(filter_make(attribute, op, value)));
}

/* cognito_users(server_name, attribute, operator, "values") */
Datum
cognito_users_matching(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {.attribute = 1, .op = 2, .values = 3};

	return search_execute(fcinfo, &users_search, &arguments);
}

/* cognito_users(server_name, max_users, attribute, operator, "values") */
Datum
cognito_users_matching_limited(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {.max_rows = 1, .attribute = 2, .op = 3, .values = 4};

	return search_execute(fcinfo, &users_search, &arguments);
}

/* cognito_users(server_name, user_pool_id, attribute, operator, "values") */
Datum
cognito_users_of_pool_matching(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {.user_pool_id = 1, .attribute = 2, .op = 3, .values = 4};

	return search_execute(fcinfo, &users_search, &arguments);
}

/* cognito_users(server_name, user_pool_id, max_users, attribute, operator, "values") */
Datum
cognito_users_of_pool_matching_limited(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {
		.user_pool_id = 1, .max_rows = 2, .attribute = 3, .op = 4, .values = 5};

	return search_execute(fcinfo, &users_search, &arguments);
}

/* cognito_users_support: the planner support function of all overloads */
Datum
cognito_users_support(PG_FUNCTION_ARGS)
{
	return estimate_support(fcinfo, &users_search);
}

/* cognito_users_support_1_1: likewise, since version 1.1 */
Datum
cognito_users_support_1_1(PG_FUNCTION_ARGS)
{
	return cognito_users_support(fcinfo);
}
