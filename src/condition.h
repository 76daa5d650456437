/*
 * condition.h
 *		What a clause of a query demands of a user's attribute, in terms in which
 *		Cognito can be asked for it.
 */
#ifndef COGNITO_CONDITION_H
#define COGNITO_CONDITION_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* How few users a condition selects, from the most to the fewest. */
typedef enum Selects
{
	SELECTS_ENABLED,
	SELECTS_STATUS,
	SELECTS_PREFIX,
	SELECTS_SEVERAL, /* one of several values */
	SELECTS_ONE      /* one value */
} Selects;

typedef struct Condition
{
	const char *attribute; /* one of filter_attributes */
	const char *op;        /* FILTER_EQUALS or FILTER_STARTS_WITH */
	Expr       *values;    /* a text[], of which the attribute matches an element */
	Selects     selects;
	size_t      length; /* of a single value that is constant, else 0 */
} Condition;

/*
 * Finds what a clause demands of a user, one of the relation of that number,
 * whose columns are those of cognito_users.  Every user for whom the clause is
 * true meets the condition; not all who do need pass the clause.
 *
 * The values can be computed before the relation is read.  False if there is
 * no such condition, or if it is known already that no filter expresses it.
 */
extern bool condition_of(PlannerInfo *root, Node *clause, Index relid, Condition *condition);

/* Does the first select fewer users, as far as one can tell? */
extern bool condition_is_better(const Condition *condition, const Condition *other);

/* Attribute, operator and values as arguments of a call. */
extern List *condition_arguments(const Condition *condition);

#endif
