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

/* How few rows a qual selects, from the most to the fewest. */
typedef enum QualSelectivity
{
	QUAL_FRACTION, /* of all rows */
	QUAL_PREFIX,
	QUAL_LIST, /* one of several values, or of an unknown number */
	QUAL_EQUAL /* one value, or none */
} QualSelectivity;

typedef struct PushedQual
{
	const SearchAttribute *attribute;
	const char            *op;     /* SEARCH_EQUALS or SEARCH_STARTS_WITH */
	Expr                  *values; /* a text[], of which the attribute matches an element */
	QualSelectivity        selectivity;
	size_t                 length; /* of a single value that is constant, else 0 */
} PushedQual;

/* A relation of a query that shows all rows of an entity. */
typedef struct SearchRel
{
	PlannerInfo        *root;
	Index               relid;
	const SearchEntity *entity;
} SearchRel;

/*
 * Finds what a clause demands of the rows of a relation.  Every row for which
 * the clause is true meets the qual; not all that do need pass the clause.
 *
 * The values can be computed before the relation is read.  False if there is
 * no such qual, or if it is known already that Cognito cannot be asked.
 */
extern bool qual_match(const SearchRel *rel, Node *clause, PushedQual *qual);

/* Does the first select fewer rows, as far as one can tell? */
extern bool qual_is_better(const PushedQual *qual, const PushedQual *other);

/* Attribute, operator if the entity has_operator, and values, as arguments of a call. */
extern List *qual_arguments(const SearchEntity *entity, const PushedQual *qual);

#endif
