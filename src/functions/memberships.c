/*
 * memberships.c
 *		Memberships: which user is in which group of a user pool.
 *
 * Cognito has no operation that returns memberships.  They are made of the names of
 * the groups and a listing of the users of each; or, if the users are known, of a
 * listing of the groups of each.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/string.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "fetch/srf.h"
#include "functions/groups.h"
#include "functions/memberships.h"
#include "functions/users.h"
#include "functions/users_filter.h"
#include "functions/users_listing.h"
#include "planner/estimate.h"
#include "planner/search_join.h"
#include "planner/search_exec.h"

/* The most characters of the name of a user or a group. */
#define MAX_NAME 128

/* The most groups whose names are kept in memory; Cognito allows 10,000 in a user pool. */
#define MAX_GROUPS 100000

/* The columns of memberships, from 0. */
typedef enum MembershipColumn
{
	MEMBERSHIP_GROUP_NAME,
	MEMBERSHIP_USERNAME
} MembershipColumn;

/* Set a column to a name; raise HV000 if it is missing. */
static void
set_name(Row *row, int column, const char *member)
{
	row_text(row, column, member);
	if (row->nulls[column])
		row_reject(row, "is missing", member);
}

/*
 * Set the only column to the name of a group; a RowMaker.  Raise HV000 for one that is
 * longer than Cognito allows, because the names of all groups are kept in memory.
 */
static void
make_group_name_row(Row *row)
{
	set_name(row, 0, "GroupName");
	if (pg_mbstrlen(TextDatumGetCString(row->values[0])) > MAX_NAME)
		row_reject(row, "has more than 128 characters", "GroupName");
}

/* Set the only column to the name of a user; a RowMaker. */
static void
make_username_row(Row *row)
{
	set_name(row, 0, "Username");
}

/* Set the columns of a membership from a user of the part's group; a RowMaker. */
static void
make_user_of_group_row(Row *row)
{
	row_set(row, MEMBERSHIP_GROUP_NAME, CStringGetTextDatum(row->arg));
	set_name(row, MEMBERSHIP_USERNAME, "Username");
}

/* Set the columns of a membership from a group of the part's user; a RowMaker. */
static void
make_group_of_user_row(Row *row)
{
	set_name(row, MEMBERSHIP_GROUP_NAME, "GroupName");
	row_set(row, MEMBERSHIP_USERNAME, CStringGetTextDatum(row->arg));
}

/* Return true if a string has the length of a name, and no space or control character. */
static bool
is_name(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char) *c <= ' ' || *c == 0x7f)
			return false;
	return value[0] != '\0' && pg_mbstrlen(value) <= MAX_NAME;
}

/*
 * Return the filter of ListUsers that looks up a user, or the name of a group; NULL if
 * no user or group can have that name, for which Cognito would return an error.  Names
 * of groups that are not ASCII are not sent: which of their characters Cognito accepts
 * depends on Unicode categories, which PostgreSQL 15 does not know.
 */
static char *
make_filter(const SearchAttribute *attribute, const char *op, const char *value)
{
	if (!is_name(value))
		return NULL;
	if (attribute->column == MEMBERSHIP_USERNAME)
		return filter_make_exact(attribute, op, value);
	return pg_is_ascii(value) ? pstrdup(value) : NULL;
}

/*
 * Return a copy of another entity's listing that makes other rows of the items.  It is
 * allocated in the server's context.
 */
static const Listing *
derive_listing(const CognitoServer *server, const Listing *listing, const char *noun,
			   RowMaker make_row)
{
	Listing *derived = MemoryContextAlloc(server->context, sizeof(Listing));

	*derived = *listing;
	derived->function = "cognito_memberships";
	derived->noun = noun;
	derived->make_row = make_row;
	return derived;
}

/*
 * Return the names that a listing with one column returns, at most max_names, from no more than
 * max_pages, and set parts to those that are left.
 */
static List *
list_names(const Listing *listing, const CognitoServer *server, List **parts, int64 max_pages,
		   int64 max_names)
{
	TupleDesc        column = CreateTemplateTupleDesc(1);
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	TupleTableSlot  *slot;
	List            *names = NIL;

	TupleDescInitEntry(column, 1, "name", TEXTOID, -1, 0);
	slot = MakeSingleTupleTableSlot(column, &TTSOpsMinimalTuple);
	*parts = listing_fetch_pages(listing, server, *parts, max_pages, max_names, 0, rows, column);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		slot_getallattrs(slot);
		names = lappend(names, TextDatumGetCString(slot->tts_values[0]));
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rows);
	return names;
}

/* Return the part of a listing whose operation takes the user pool and a name, or NULL for none. */
static ListingPart *
make_part(const char *user_pool_id, const char *name)
{
	ListingPart *part = palloc0(sizeof(ListingPart));

	part->arguments[0] = user_pool_id;
	part->arguments[1] = name;
	part->arg = name;
	return part;
}

/* Return the parts for users or groups of some names, of which some may be missing. */
static List *
make_parts(const char *user_pool_id, const List *names)
{
	List     *parts = NIL;
	ListCell *name;

	foreach (name, names)
		parts = lappend(parts, make_part(user_pool_id, lfirst(name)));
	return parts;
}

/*
 * Return those values of a search that are names of users.  The operations on one user
 * also accept a sub or an alias, which must not become a row's username.  Raise HV000
 * if the service returns a name twice, because names are kept in memory.
 */
static List *
find_users(const CognitoServer *server, const Search *search)
{
	const Listing *names = derive_listing(server, &users_listing, "users", make_username_row);
	Search         users = *search;
	List          *parts;
	List          *found;

	users.attribute = search_attribute(&users_search, "username");
	parts = users_search_parts(server, &users);
	found = list_names(names, server, &parts, LISTING_ALL, search->nvalues + 1);
	if (list_length(found) > search->nvalues)
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("Cognito returned several users with the same name for "
							   "server \"%s\"",
							   server->name)));
	return found;
}

/* Return the listing of the memberships of groups. */
static const Listing *
groups_memberships(const CognitoServer *server)
{
	return derive_listing(server, &group_users_listing, "memberships", make_user_of_group_row);
}

/*
 * Add the groups of the next pages to the parts of a listing of all memberships.  Raise HV000 for
 * more groups than a user pool can have.
 */
static void
add_groups(const CognitoServer *server, SearchListing *listing)
{
	const Listing *names = derive_listing(server, &groups_listing, "groups", make_group_name_row);
	List          *groups;

	if (listing->sources == NIL)
		listing->sources = list_make1(make_part(listing->user_pool_id, NULL));
	groups = list_names(names, server, &listing->sources, listing->max_pages, MAX_GROUPS + 1);
	listing->parts = list_concat(listing->parts, make_parts(listing->user_pool_id, groups));
	listing->has_parts = listing->sources == NIL;
	if (list_length(listing->parts) > MAX_GROUPS)
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("the user pool of server \"%s\" has more than %d groups",
							   server->name, MAX_GROUPS)));
}

/*
 * Append all memberships, or those of the next pages; a SearchEntity's list_all.  There are none
 * as long as not every group that is left can have a page.
 */
static void
list_all(const CognitoServer *server, SearchListing *listing, int64 expected_rows,
		 Tuplestorestate *rows, TupleDesc columns)
{
	int64 pages = server->session->pages;
	int64 max_pages;
	List *parts;

	if (!listing->has_parts)
		add_groups(server, listing);
	max_pages = listing->max_pages - (server->session->pages - pages);
	parts = listing->parts;
	if (!listing->has_parts || max_pages < list_length(parts))
		return;
	listing->parts = listing_fetch_pages(groups_memberships(server), server, parts, max_pages,
										 LISTING_ALL, expected_rows, rows, columns);
	list_free(parts);
}

/* Append the memberships of the users or groups of a search. */
static void
list_found(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
		   TupleDesc columns)
{
	const Listing *listing;
	List          *names = NIL;

	if (search->attribute->column == MEMBERSHIP_USERNAME)
	{
		listing =
			derive_listing(server, &user_groups_listing, "memberships", make_group_of_user_row);
		names = find_users(server, search);
	}
	else
	{
		listing = groups_memberships(server);
		for (int i = 0; i < search->nvalues; i++)
			names = lappend(names, search->filters[i]);
	}
	listing_fetch(listing, server, make_parts(server->user_pool_id, names), LISTING_ALL, 0, rows,
				  columns);
}

PG_FUNCTION_INFO_V1(cognito_memberships);
PG_FUNCTION_INFO_V1(cognito_memberships_matching);
PG_FUNCTION_INFO_V1(cognito_memberships_of_pool_matching);
PG_FUNCTION_INFO_V1(cognito_memberships_support);
PG_FUNCTION_INFO_V1(cognito_memberships_support_1_1);

/* A user, whose name is looked up first, is in few groups, but a group may have many users. */
static const SearchAttribute attributes[] = {
	{"username", MEMBERSHIP_USERNAME, SEARCH_TEXT, .rows_per_value = 3, .extra_requests = 1},
	{"group_name", MEMBERSHIP_GROUP_NAME, SEARCH_TEXT, .fraction = 0.1},
	{.name = NULL},
};

const SearchEntity memberships_search = {
	.attributes = attributes,
	.join_methods = {"cognito_memberships", search_join_create_state},
	.support = {cognito_memberships_support, cognito_memberships_support_1_1},
	.listing = SESSION_MEMBERSHIPS,
	.make_filter = make_filter,
	.list_all = list_all,
	.list_found = list_found,
};

/* cognito_memberships(server_name [, user_pool_id]) */
Datum
cognito_memberships(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server =
		srf_open(srf_text_arg(fcinfo, 0), POOL_USER, srf_pool_arg(fcinfo, PG_NARGS() - 1), false);
	if (server != NULL)
	{
		search_list_all(&memberships_search, server, result->setResult, result->setDesc);
		server_close(server);
	}
	return (Datum) 0;
}

/* cognito_memberships(server_name, user_pool_id) */
SRF_ALIAS(cognito_memberships_of_pool, cognito_memberships)

/* cognito_memberships(server_name, attribute [, operator], "values") */
Datum
cognito_memberships_matching(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {.attribute = 1, .op = 2, .values = 3};
	const SearchArguments for_equality = {.attribute = 1, .values = 2};

	return search_execute(fcinfo, &memberships_search,
						  PG_NARGS() == 4 ? &arguments : &for_equality);
}

/* cognito_memberships(server_name, attribute, operator, "values") */
SRF_ALIAS(cognito_memberships_matching_1_1, cognito_memberships_matching)

/* cognito_memberships(server_name, user_pool_id, attribute, operator, "values") */
Datum
cognito_memberships_of_pool_matching(PG_FUNCTION_ARGS)
{
	const SearchArguments arguments = {.user_pool_id = 1, .attribute = 2, .op = 3, .values = 4};

	return search_execute(fcinfo, &memberships_search, &arguments);
}

/* cognito_memberships_support: the planner support function of all overloads */
Datum
cognito_memberships_support(PG_FUNCTION_ARGS)
{
	return estimate_support(fcinfo, &memberships_search);
}

/* cognito_memberships_support_1_1: likewise, since version 1.1 */
Datum
cognito_memberships_support_1_1(PG_FUNCTION_ARGS)
{
	return cognito_memberships_support(fcinfo);
}
