/*
 * memberships.h
 *		Memberships: which user is in which group of a user pool.
 */
#ifndef COGNITO_FUNCTIONS_MEMBERSHIPS_H
#define COGNITO_FUNCTIONS_MEMBERSHIPS_H

#include "postgres.h"

#include "planner/search.h"

extern const SearchEntity memberships_search;

#endif
