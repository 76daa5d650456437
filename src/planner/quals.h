/*
 * quals.h
 *		Quals of a query that can be pushed down as a search.
 */
#ifndef COGNITO_PLANNER_QUALS_H
#define COGNITO_PLANNER_QUALS_H

#include "postgres.h"

#include "nodes/pathnodes.h"

#include "planner/search.h"

/* The selectivity of a qual, from the least to the most selective. */
typedef enum QualSelectivity
{
	QUAL_FRACTION, /* a fraction of all rows */
	QUAL_PREFIX,   /* values with a prefix */
	QUAL_LIST,     /* any of several values, or of an unknown number */
	QUAL_EQUAL     /* a single value, or none */
} QualSelectivity;

typedef struct PushedQual
{
	const SearchAttribute *attribute;
	const char            *op;     /* of a search */
	Expr                  *values; /* a text[]; the attribute matches one of its elements */
	QualSelectivity        selectivity;
	size_t                 length;   /* in bytes, if there is a single, constant value; else 0 */
	bool                   is_exact; /* the clause is true for all rows that match the qual */
} PushedQual;

/* A relation of a query that consists of all rows of an entity. */
typedef struct SearchRel
{
	PlannerInfo        *root;
	Index               relid;
	const SearchEntity *entity;
	FuncExpr           *call;  /* that returns the rows */
	Relids              outer; /* relations that are read before, whose columns are known */
} SearchRel;

/*
 * Derive a qual from a clause on a relation: all rows for which the clause is true
 * match the qual, and possibly others.  Its values can be computed before the relation
 * is read.  Return false if there is none, or if Cognito cannot filter by its constants.
 */
extern bool qual_match(const SearchRel *rel, Node *clause, PushedQual *qual);

/* Return true if a qual is expected to select fewer rows than another one. */
extern bool qual_is_better(const PushedQual *qual, const PushedQual *other);

/* Return the attribute, operator and values as arguments of a call. */
extern List *qual_arguments(const PushedQual *qual);

#endif
