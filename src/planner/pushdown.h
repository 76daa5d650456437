/*
 * pushdown.h
 *		The planner's part: conditions and limits of a query become arguments of
 *		the functions that it calls, so that Cognito sends only what it needs.
 *
 * Whatever is pushed down stays in the plan as well and is checked again: an
 * answer depends neither on what Cognito makes of a filter nor on this.
 */
#ifndef COGNITO_PLANNER_PUSHDOWN_H
#define COGNITO_PLANNER_PUSHDOWN_H

#include "postgres.h"

#include "planner/search.h"

/* Whether it happens at all; a setting. */
extern bool pushdown_enabled;

/* Hooks into the planner; the entities are constants, and NULL ends them. */
extern void pushdown_init(const SearchEntity *const *all_entities);

#endif
