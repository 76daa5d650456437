/*
 * groups.h
 *		Groups of a user pool.
 */
#ifndef COGNITO_FUNCTIONS_GROUPS_H
#define COGNITO_FUNCTIONS_GROUPS_H

#include "postgres.h"

#include "fetch/listing.h"

/*
 * The groups of a user pool, the users in a group, and the groups of a user.  A group or
 * user that does not exist has none.
 */
extern const Listing groups_listing;
extern const Listing group_users_listing;
extern const Listing user_groups_listing;

#endif
