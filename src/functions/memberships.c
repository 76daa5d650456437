/*
 * memberships.c
 *		Who is in which group of a user pool: the names of the groups, then the
 *		users of each; or the names of some users, then the groups of each.
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
#include "planner/estimate.h"
#include "functions/users_filter.h"
#include "functions/groups.h"
#include "planner/search_exec.h"
#include "functions/memberships.h"
#include "functions/users_listing.h"
#include "functions/users.h"

/* In characters; it is the same for users and groups. */
#define MAX_NAME 128

/* The columns, as attributes of a relation are numbered less one. */
typedef enum MembershipColumn
{
	MEMBERSHIP_GROUP_NAME,
	MEMBERSHIP_USERNAME
} MembershipColumn;

static bool can_filter(const SearchAttribute *attribute, const char *op, const char *value);
static void list_all(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns);
static void list_found(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
					   TupleDesc columns);

PG_FUNCTION_INFO_V1(cognito_memberships);
PG_FUNCTION_INFO_V1(cognito_memberships_matching);
PG_FUNCTION_INFO_V1(cognito_memberships_support);

/* A user is in few groups; a group may have many users. */
static const SearchAttribute attributes[] = {
	{"username", MEMBERSHIP_USERNAME, SEARCH_TEXT, .finds = 3},
	{"group_name", MEMBERSHIP_GROUP_NAME, SEARCH_TEXT, .finds = 0.1},
	{.name = NULL},
};

const SearchEntity memberships_search = {
	.attributes = attributes,
	.support = cognito_memberships_support,
	.listing = SESSION_MEMBERSHIPS,
	.can_filter = can_filter,
	.list_all = list_all,
	.list_found = list_found,
};

/* Sets a column to a name, which must be there. */
static void
set_name(Row *row, int column, const char *member)
{
	row_text(row, column, member);
	if (row->nulls[column])
		row_reject(row, "is missing", member);
}

/* Turns a group into its name. */
static void
make_group_name_row(Row *row)
{
	set_name(row, 0, "GroupName");
}

/* Turns a user into the name. */
static void
make_username_row(Row *row)
{
	set_name(row, 0, "Username");
}

/* Turns a user of a group into a membership. */
static void
make_user_of_group_row(Row *row)
{
	row_set(row, MEMBERSHIP_GROUP_NAME, CStringGetTextDatum(row->arg));
	set_name(row, MEMBERSHIP_USERNAME, "Username");
}

/* Turns a group of a user into a membership. */
static void
make_group_of_user_row(Row *row)
{
	set_name(row, MEMBERSHIP_GROUP_NAME, "GroupName");
	row_set(row, MEMBERSHIP_USERNAME, CStringGetTextDatum(row->arg));
}

/* Can a string be a name, as far as ASCII goes? */
static bool
is_name(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if ((unsigned char) *c <= ' ' || *c == 0x7f)
			return false;
	return value[0] != '\0' && pg_mbstrlen(value) <= MAX_NAME;
}

/*
 * Can Cognito be asked for the groups of a user of that name, or the users of a
 * group?  A user is looked up with a filter first; to ask for a group by a name
 * that none can have is an error, and beyond ASCII it is hard to tell which.
 */
static bool
can_filter(const SearchAttribute *attribute, const char *op, const char *value)
{
	return is_name(value) && (attribute->column == MEMBERSHIP_USERNAME
								  ? filter_can_express(attribute->name, op, value)
								  : pg_is_ascii(value));
}

/*
 * Another entity's listing, of whose items other rows are made; it lives as long
 * as the call.  What is missing has been deleted since its name was listed.
 */
static const Listing *
derive_listing(const CognitoServer *server, const Listing *listing, const char *noun,
			   RowMaker make_row, const char *missing)
{
	Listing *derived = MemoryContextAlloc(server->context, sizeof(Listing));

	*derived = *listing;
	derived->function = "cognito_memberships";
	derived->noun = noun;
	derived->make_row = make_row;
	derived->missing = missing;
	return derived;
}

/* The names in a listing, up to a number of them. */
static List *
list_names(const Listing *listing, const CognitoServer *server, List *parts, int64 max_names)
{
	TupleDesc        column = CreateTemplateTupleDesc(1);
	Tuplestorestate *rows = tuplestore_begin_heap(false, false, work_mem);
	TupleTableSlot  *slot;
	List            *names = NIL;

	TupleDescInitEntry(column, 1, "name", TEXTOID, -1, 0);
	slot = MakeSingleTupleTableSlot(column, &TTSOpsMinimalTuple);
	listing_fetch(listing, server, parts, max_names, rows, column);
	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		slot_getallattrs(slot);
		names = lappend(names, TextDatumGetCString(slot->tts_values[0]));
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(rows);
	return names;
}

/* A part of a listing, with the name that its operation takes after the user pool, or NULL. */
static ListingPart *
make_part(const CognitoServer *server, const char *name)
{
	ListingPart *part = palloc0(sizeof(ListingPart));

	part->arguments[0] = server->user_pool_id;
	part->arguments[1] = name;
	part->arg = name;
	return part;
}

/*
 * Lists the memberships of each of some names, as many at a time as may be asked
 * for; false if it may be the user pool that is missing, as listing_fetch says.
 */
static bool
list_each(const Listing *listing, const CognitoServer *server, List *names, Tuplestorestate *rows,
		  TupleDesc columns)
{
	List     *parts = NIL;
	ListCell *name;

	foreach (name, names)
		parts = lappend(parts, make_part(server, lfirst(name)));
	return listing_fetch(listing, server, parts, LISTING_ALL, rows, columns);
}

/* The names of the groups of a user pool, up to a number of them. */
static List *
list_groups(const CognitoServer *server, int64 max_names)
{
	const Listing *names =
		derive_listing(server, &groups_listing, "groups", make_group_name_row, NULL);

	return list_names(names, server, list_make1(make_part(server, NULL)), max_names);
}

/* Those of a search's values that are names of users: a sub or another case of letters is not. */
static List *
find_users(const CognitoServer *server, const Search *search)
{
	const Listing *names = derive_listing(server, &users_listing, "users", make_username_row, NULL);
	Search         users = *search;

	users.attribute = search_attribute(&users_search, "username");
	return list_names(names, server, users_search_parts(server, &users), LISTING_ALL);
}

/*
 * Lists the users of some groups.  One error says that a group is missing, and
 * that the user pool is: if in doubt, the pool is asked for, and is an error.
 */
static void
list_users(const CognitoServer *server, List *groups, Tuplestorestate *rows, TupleDesc columns)
{
	const Listing *listing = derive_listing(server, &group_users_listing, "memberships",
											make_user_of_group_row, "ResourceNotFoundException");

	if (!list_each(listing, server, groups, rows, columns))
		list_groups(server, 1);
}

/* Lists all memberships. */
static void
list_all(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns)
{
	list_users(server, list_groups(server, LISTING_ALL), rows, columns);
}

/* Lists the memberships of some groups. */
static void
list_of_groups(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
			   TupleDesc columns)
{
	List *names = NIL;

	for (int i = 0; i < search->nvalues; i++)
		names = lappend(names, search->values[i]);
	list_users(server, names, rows, columns);
}

/* Lists the memberships that match a search. */
static void
list_found(const CognitoServer *server, const Search *search, Tuplestorestate *rows,
		   TupleDesc columns)
{
	if (search->attribute->column == MEMBERSHIP_USERNAME)
		(void) list_each(derive_listing(server, &user_groups_listing, "memberships",
										make_group_of_user_row, "UserNotFoundException"),
						 server, find_users(server, search), rows, columns);
	else
		list_of_groups(server, search, rows, columns);
}

/* cognito_memberships(server_name) */
Datum
cognito_memberships(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CognitoServer *server;

	InitMaterializedSRF(fcinfo, 0);
	server = srf_open(srf_text_arg(fcinfo, 0), POOL_USER, false);
	if (server != NULL)
	{
		search_list_all(&memberships_search, server, result->setResult, result->setDesc);
		server_close(server);
	}
	return (Datum) 0;
}

/* cognito_memberships(server_name, attribute, values) */
Datum
cognito_memberships_matching(PG_FUNCTION_ARGS)
{
	return search_execute(fcinfo, &memberships_search);
}

/* The planner support function of both overloads of cognito_memberships. */
Datum
cognito_memberships_support(PG_FUNCTION_ARGS)
{
	return estimate_support(fcinfo, &memberships_search);
}
