/*
 * users.h
 *		The users of a user pool: how they are listed, and what a search compares.
 */
#ifndef COGNITO_USERS_H
#define COGNITO_USERS_H

#include "postgres.h"

#include <cjson/cJSON.h>

#include "listing.h"
#include "server.h"

/* The columns, as attributes of a relation are numbered less one. */
typedef enum UserColumn
{
	USER_USERNAME,
	USER_EMAIL,
	USER_STATUS,
	USER_ENABLED,
	USER_CREATED_AT,
	USER_UPDATED_AT,
	USER_ATTRIBUTES
} UserColumn;

extern const Listing users_listing;

/* Turns a user into a row, as the listings of users all do. */
extern void users_make_row(Row *row);

/* The part of a pool that Cognito finds with a filter; all of it if that is NULL. */
extern ListingPart *users_part(const CognitoServer *server, const char *filter);

/* Lists a whole pool, and remembers how many users it has. */
extern void users_list_pool(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns);

/* How many users the server's pool had when this session last listed it whole; -1 if never. */
extern int64 users_in_pool(Oid serverid);

/* The column, or the object in it, that shows one of filter_attributes. */
extern UserColumn users_column(const char *attribute);

/* How filters speak of a user who may sign in, and one who may not. */
extern const char *users_word_for(bool enabled);

/*
 * What a filter for one of filter_attributes compares, of a user in a reply or
 * in a row: in the database's encoding, NULL if the user lacks it.
 */
extern const char *users_searched(const cJSON *user, const char *attribute);
extern const char *
users_searched_in_row(const Datum *values, const bool *nulls, const char *attribute);

#endif
