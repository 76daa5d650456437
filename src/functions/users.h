/*
 * users.h
 *		By what the users of a user pool can be searched.
 */
#ifndef COGNITO_FUNCTIONS_USERS_H
#define COGNITO_FUNCTIONS_USERS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "planner/search.h"

extern const SearchEntity users_search;

/* The parts of a listing of users that match a search: a filter for each value. */
extern List *users_search_parts(const CognitoServer *server, const Search *search);

#endif
