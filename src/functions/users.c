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
#include "planner/search_exec.h"

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
list_all(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns)
{
	(void) listing_fetch(&users_listing, server, list_make1(users_pool_part(server)), LISTING_ALL,
						 rows, columns);
}

/* Append the users who match a search. */
static void
list_found(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
		   TupleDesc columns)
{
	(void) listing_fetch(&users_listing, server, users_search_parts(server, search), LISTING_ALL,
						 rows, columns);
}

PG_FUNCTION_INFO_V1(cognito_users);
PG_FUNCTION_INFO_V1(cognito_filter);
PG_FUNCTION_INFO_V1(cognito_users_matching);
PG_FUNCTION_INFO_V1(cognito_users_support);

/* Prefixes of a status are not sent, because it is not documented how Cognito compares them. */
static const SearchAttribute attributes[] = {
	{"username", USER_USERNAME, SEARCH_TEXT, 1, .prefixes = true},
	{"sub", USER_ATTRIBUTES, SEARCH_MEMBER, 1, .prefixes = true},
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
	.support = cognito_users_support,
	.listing = SESSION_USERS,
	.make_filter = filter_make_exact,
	.list_all = list_all,
	.list_found = list_found,
};

/* cognito_users(server_name [, filter, max_users]) */
Datum
cognito_users(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char          *name = srf_text_arg(fcinfo, 0);
	char          *filter = NULL;
	int64          max_users = LISTING_ALL;
	CognitoServer *server;

	if (PG_NARGS() > 1 && !PG_ARGISNULL(1))
		filter = text_to_cstring(PG_GETARG_TEXT_PP(1));
	if (PG_NARGS() > 2 && !PG_ARGISNULL(2))
		max_users = PG_GETARG_INT64(2);
	if (max_users < 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"max_users\" must not be negative")));

	InitMaterializedSRF(fcinfo, 0);
	server = srf_open(name, POOL_USER, false);
	if (server == NULL)
		return (Datum) 0;
	if (filter == NULL && max_users == LISTING_ALL)
		search_list_all(&users_search, server, result->setResult, result->setDesc);
	else
		(void) listing_fetch(&users_listing, server, list_make1(users_filter_part(server, filter)),
							 max_users, result->setResult, result->setDesc);
	server_close(server);
	return (Datum) 0;
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
	return search_execute(fcinfo, &users_search);
}

/* cognito_users_support: the planner support function of all overloads */
Datum
cognito_users_support(PG_FUNCTION_ARGS)
{
	return estimate_support(fcinfo, &users_search);
}
