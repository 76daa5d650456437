/*
 * memberships.h
 *		Who is in which group of a user pool.
 */
#ifndef COGNITO_MEMBERSHIPS_H
#define COGNITO_MEMBERSHIPS_H

#include "postgres.h"

#include "search.h"

extern const Searchable memberships_search;

#endif
