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
 * Return one ListingPart for each value of a search of users, whose filters must have
 * been made.  The parts live in the current memory context and refer to the search.
 */
extern List *users_search_parts(const CognitoServer *server, const Search *search);

#endif
