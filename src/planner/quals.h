/*
 * quals.h
 *		What a clause of a query demands of an attribute of an entity's rows, in
 *		terms in which Cognito can be asked for it.
 */
#ifndef COGNITO_PLANNER_QUALS_H
#define COGNITO_PLANNER_QUALS_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "planner/search.h"

/* How few rows a condition selects, from the most to the fewest. */
typedef enum Selects
{
	SELECTS_SHARE, /* of all rows */
	SELECTS_PREFIX,
	SELECTS_SEVERAL, /* one of several values, or of an unknown number */
	SELECTS_ONE      /* one value, or none */
} Selects;

typedef struct Condition
{
	const SearchAttribute *attribute;
	const char            *op;     /* SEARCH_EQUALS or SEARCH_STARTS_WITH */
	Expr                  *values; /* a text[], of which the attribute matches an element */
	Selects                selects;
	size_t                 length; /* of a single value that is constant, else 0 */
} Condition;

/* A relation of a query that shows all rows of an entity. */
typedef struct Shown
{
	PlannerInfo      *root;
	Index             relid;
	const Searchable *searchable;
} Shown;

/*
 * Finds what a clause demands of the rows of a relation.  Every row for which
 * the clause is true meets the condition; not all that do need pass the clause.
 *
 * The values can be computed before the relation is read.  False if there is
 * no such condition, or if it is known already that Cognito cannot be asked.
 */
extern bool condition_of(const Shown *shown, Node *clause, Condition *condition);

/* Does the first select fewer rows, as far as one can tell? */
extern bool condition_is_better(const Condition *condition, const Condition *other);

/* Attribute, operator if the entity has_operator, and values, as arguments of a call. */
extern List *condition_arguments(const Searchable *searchable, const Condition *condition);

#endif
