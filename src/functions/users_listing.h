/*
 * users_listing.h
 *		The users of a user pool: how they are listed.
 */
#ifndef COGNITO_FUNCTIONS_USERS_LISTING_H
#define COGNITO_FUNCTIONS_USERS_LISTING_H

#include "postgres.h"

#include <cjson/cJSON.h>

#include "fetch/listing.h"
#include "server/server.h"

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

/* Lists a whole pool. */
extern void users_list_pool(const CognitoServer *server, Tuplestorestate *rows, TupleDesc columns);

/* The value of one of a user's attributes, in UTF-8, or NULL. */
extern const char *users_attribute(const cJSON *user, const char *name);

#endif
