/*
 * search_join.h
 *		Joins that request only the rows they need: a custom scan that reads the rows of
 *		another relation, searches for their values in batches, and joins what is found.
 *
 * It stands for a join whose inner side is a call that returns all rows of an entity,
 * with a clause that compares an attribute for equality with an expression over the
 * outer side.  PostgreSQL checks all clauses of the join again.
 */
#ifndef COGNITO_PLANNER_SEARCH_JOIN_H
#define COGNITO_PLANNER_SEARCH_JOIN_H

#include "postgres.h"

#include "nodes/extensible.h"
#include "nodes/pathnodes.h"

#include "planner/quals.h"

/* The plan of a join, which is kept in the lists of a CustomScan. */
typedef struct SearchJoinPlan
{
	JoinType jointype;  /* JOIN_INNER, JOIN_LEFT, JOIN_SEMI or JOIN_ANTI */
	int      nouter;    /* columns of the outer plan, which are the first of the scan's row */
	int      ninner;    /* columns of the function, which follow */
	bool     reads_all; /* all rows of the join are needed, as far as the planner knows */
	char    *attribute; /* the attribute that is searched */
	Node    *key;       /* the text to search for, of the scan's row without inner columns */

	const FuncExpr *call; /* of the overload that searches, for the value of one row */

	/* Of the scan's row: what must be true of an outer row to match any; what of both. */
	List *outer_clauses;
	List *clauses; /* the first is the one that is searched */
} SearchJoinPlan;

/* Install the planner hook. */
extern void search_join_init(void);

/* Return the plan that a CustomScan of this module contains. */
extern SearchJoinPlan search_join_plan(const CustomScan *scan);

/* Create the state of the custom scan, as a CustomScanMethods' CreateCustomScanState. */
extern Node *search_join_create_state(CustomScan *scan);

#endif
