/*
 * pushdown.h
 *		Pushdown: quals and limits of a query become arguments of the functions that
 *		it calls, so that Cognito returns only the rows that it needs.
 *
 * A qual that is pushed down also stays in the plan, and PostgreSQL rechecks every
 * row, so the result does not depend on how Cognito compares.
 */
#ifndef COGNITO_PLANNER_PUSHDOWN_H
#define COGNITO_PLANNER_PUSHDOWN_H

#include "postgres.h"

#include "planner/search.h"

/* Setting cognito_srf.enable_pushdown. */
extern bool pushdown_enabled;

/* Install the planner hook, for entities in a constant array that ends with NULL. */
extern void pushdown_init(const SearchEntity *const *all_entities);

#endif
