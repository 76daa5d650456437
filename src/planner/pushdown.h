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

#include "planner/quals.h"

/* Setting cognito_srf.enable_pushdown. */
extern bool pushdown_enabled;

/* Return the entity whose support function a function has, or NULL. */
extern const SearchEntity *pushdown_entity(Oid function);

/* Return the arguments of a call that tell the pool. */
extern List *pushdown_pool_arguments(const FuncExpr *call);

/*
 * Return a call of the overload that takes these arguments, in place of a call; NULL
 * if there is none, or if it is not equivalent.  The executor checks the privilege for
 * the new function only, so the plan is made to depend on the role and on both
 * functions.
 */
extern FuncExpr *
pushdown_replace_call(const SearchRel *search_rel, const FuncExpr *call, List *arguments);

/* Install the planner hooks, for entities in a constant array that ends with NULL. */
extern void pushdown_init(const SearchEntity *const *all_entities);

#endif
