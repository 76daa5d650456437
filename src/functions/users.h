/*
 * users.h
 *		The users of a user pool: the searches that Cognito can execute.
 */
#ifndef COGNITO_FUNCTIONS_USERS_H
#define COGNITO_FUNCTIONS_USERS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "planner/search.h"

extern const SearchEntity users_search;

/*
 * Return the ListingParts of a search by an attribute of users_search whose filters
 * have been made: one for each value.  They live in the current memory context and
 * refer to the search.
 */
extern List *users_search_parts(const CognitoServer *server, const Search *search);

#endif
