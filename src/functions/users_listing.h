/*
 * users_listing.h
 *		Listings of users: operation ListUsers, and the rows of all operations that
 *		return users.
 */
#ifndef COGNITO_FUNCTIONS_USERS_LISTING_H
#define COGNITO_FUNCTIONS_USERS_LISTING_H

#include "postgres.h"

#include <cjson/cJSON.h>

#include "fetch/listing.h"
#include "server/server.h"

/* The columns of users, from 0. */
typedef enum UserColumn
{
	USER_USERNAME,
	USER_EMAIL,
	USER_STATUS,
	USER_ENABLED,
	USER_CREATED_AT,
	USER_UPDATED_AT,
	USER_ATTRIBUTES,
	USER_COLUMNS /* their number */
} UserColumn;

extern const Listing users_listing;

/* Set the columns of a user; a RowMaker. */
extern void users_make_row(Row *row);

/*
 * Return the part of users_listing that is a whole user pool, or, if a filter is
 * given, those users whom Cognito returns for it.  Parts are allocated in the current
 * memory context and refer to the server and the filter.
 */
extern ListingPart *users_pool_part(const CognitoServer *server);
extern ListingPart *users_filter_part(const CognitoServer *server, const char *filter);

/*
 * Return the partition of the users whose sub starts with a lower-case hexadecimal
 * digit.  Raise HV000 while it is listed for a user without such a sub.
 */
extern ListingPart *users_partition_part(const CognitoServer *server, char digit);

/* Return the value of an attribute of a user of a reply, in UTF-8; NULL if it is missing. */
extern const char *users_attribute(const cJSON *user, const char *name);

#endif
