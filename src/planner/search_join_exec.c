/*
 * search_join_exec.c
 *		Joins that request only the rows they need: execution.
 *
 * Rows of the outer plan are read in batches.  The values of a batch that have not been
 * searched yet are passed to the entity's function at once, which sends requests
 * concurrently, or lists everything when that is cheaper.  What was found, and what was
 * not, is kept for the next batches, as far as hash_mem allows.
 *
 * Batches become larger, so that a query that reads only a few rows of the join does not
 * search for many more values than it needs.
 */
#include "postgres.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_type.h"
#include "commands/explain.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "fetch/srf.h"
#include "planner/search_exec.h"
#include "planner/search_join.h"
#include "planner/pushdown.h"

/* Outer rows of the largest batch, which is the first if all rows of the join are needed. */
#define MAX_BATCH 16384

/* A row that was found, in the list of those with the same value. */
typedef struct FoundRow
{
	struct FoundRow *next;
	MinimalTuple     tuple;
} FoundRow;

/* A value that was searched. */
typedef struct FoundValue
{
	char     *value; /* the key */
	FoundRow *rows;  /* NULL if there are none */
	uint32    hash;
	char      status;
} FoundValue;

#define SH_PREFIX found
#define SH_ELEMENT_TYPE FoundValue
#define SH_KEY_TYPE char *
#define SH_KEY value
#define SH_HASH_KEY(table, key) string_hash(key, strlen(key) + 1)
#define SH_EQUAL(table, a, b) (strcmp(a, b) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(table, entry) (entry)->hash
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* A row of the outer plan. */
typedef struct OuterRow
{
	MinimalTuple tuple;
	char        *value; /* to search for; NULL if there is none */
} OuterRow;

typedef struct SearchJoinState
{
	CustomScanState        css;
	SearchJoinPlan         plan;
	const SearchAttribute *attribute;
	List                  *arguments; /* ExprStates */
	NullableDatum         *values;    /* of the arguments, for which rows were found */
	ExprState             *key;
	ExprState             *outer_clauses;
	ExprState             *clauses;
	FmgrInfo               function;
	TupleTableSlot        *outer_slot;
	TupleTableSlot        *inner_slot;

	MemoryContext batch_context; /* of the rows of a batch */
	OuterRow     *rows;
	int           nrows;
	int           max_rows;   /* that fit into the array */
	int           current;    /* the row that is being joined */
	int           batch_size; /* of the next batch */
	bool          ended;      /* the outer plan has no more rows */

	MemoryContext found_context; /* of the table */
	found_hash   *found;
	FoundRow     *next_found; /* candidate for the current row */
	bool          matched;    /* the current row has been joined */

	/* For EXPLAIN */
	int64 nvalues; /* requested so far */
	bool  listed;  /* all rows have been listed */
} SearchJoinState;

/* Forget the values that were searched. */
static void
reset_found(SearchJoinState *state)
{
	MemoryContextReset(state->found_context);
	state->found = found_create(state->found_context, MAX_BATCH / 16, NULL);
}

/* Return the number of outer rows of the first batch. */
static int
first_batch(const SearchJoinState *state)
{
	return state->plan.reads_all ? MAX_BATCH : 1;
}

/* Raise 42501 unless the current role may execute the function; a plan may be older than that. */
static void
check_function(Oid function)
{
	AclResult result = function_aclcheck(function, GetUserId());

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
}

/* Initialize expressions, slots and contexts; the BeginCustomScan method. */
static void
begin_join(CustomScanState *node, EState *estate, int eflags)
{
	SearchJoinState *state = (SearchJoinState *) node;
	CustomScan      *scan = (CustomScan *) node->ss.ps.plan;
	PlanState       *outer;
	TupleDesc        columns;
	Oid              function;

	state->plan = search_join_plan(scan);
	function = state->plan.call->funcid;
	check_function(function);
	state->attribute = search_attribute(pushdown_entity(function), state->plan.attribute);
	fmgr_info_cxt(function, &state->function, estate->es_query_cxt);
	(void) get_func_result_type(function, NULL, &columns);

	outer = ExecInitNode(outerPlan(scan), estate, eflags);
	outerPlanState(node) = outer;
	state->outer_slot =
		ExecInitExtraTupleSlot(estate, ExecGetResultType(outer), &TTSOpsMinimalTuple);
	state->inner_slot = ExecInitExtraTupleSlot(estate, columns, &TTSOpsMinimalTuple);
	state->arguments = ExecInitExprList(pushdown_pool_arguments(state->plan.call), &node->ss.ps);
	state->values = palloc(list_length(state->arguments) * sizeof(NullableDatum));
	for (int i = 0; i < list_length(state->arguments); i++)
		state->values[i].isnull = true;
	state->key = ExecInitExpr((Expr *) state->plan.key, &node->ss.ps);
	state->outer_clauses = ExecInitQual(state->plan.outer_clauses, &node->ss.ps);
	state->clauses = ExecInitQual(state->plan.clauses, &node->ss.ps);

	state->batch_context =
		AllocSetContextCreate(estate->es_query_cxt, "cognito join batch", ALLOCSET_DEFAULT_SIZES);
	state->found_context =
		AllocSetContextCreate(estate->es_query_cxt, "cognito join rows", ALLOCSET_DEFAULT_SIZES);
	state->batch_size = first_batch(state);
	reset_found(state);
}

/* Set the columns of the scan's row from an outer row, and from an inner one or to NULL. */
static TupleTableSlot *
make_scan_row(SearchJoinState *state, MinimalTuple outer, MinimalTuple inner)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	int             nouter = state->plan.nouter;
	int             ninner = state->plan.ninner;

	ExecClearTuple(slot);
	ExecStoreMinimalTuple(outer, state->outer_slot, false);
	slot_getallattrs(state->outer_slot);
	memcpy(slot->tts_values, state->outer_slot->tts_values, nouter * sizeof(Datum));
	memcpy(slot->tts_isnull, state->outer_slot->tts_isnull, nouter * sizeof(bool));
	if (inner == NULL)
		memset(slot->tts_isnull + nouter, true, ninner * sizeof(bool));
	else
	{
		ExecStoreMinimalTuple(inner, state->inner_slot, false);
		slot_getallattrs(state->inner_slot);
		memcpy(slot->tts_values + nouter, state->inner_slot->tts_values, ninner * sizeof(Datum));
		memcpy(slot->tts_isnull + nouter, state->inner_slot->tts_isnull, ninner * sizeof(bool));
	}
	return ExecStoreVirtualTuple(slot);
}

/*
 * Return the value to search for of an outer row, in the current memory context; NULL if no
 * row of the function matches.
 */
static char *
compute_value(SearchJoinState *state, MinimalTuple tuple)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	bool         isnull;
	Datum        value;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = make_scan_row(state, tuple, NULL);
	if (!ExecQual(state->outer_clauses, econtext))
		return NULL;
	value = ExecEvalExprSwitchContext(state->key, econtext, &isnull);
	return isnull ? NULL : TextDatumGetCString(value);
}

/* Add an outer row to the batch. */
static void
add_row(SearchJoinState *state, TupleTableSlot *slot)
{
	MemoryContext caller = MemoryContextSwitchTo(state->batch_context);
	OuterRow     *row;

	if (state->nrows == state->max_rows)
		state->rows = repalloc(state->rows, (state->max_rows *= 2) * sizeof(OuterRow));
	row = &state->rows[state->nrows++];
	row->tuple = ExecCopySlotMinimalTuple(slot);
	row->value = compute_value(state, row->tuple);
	MemoryContextSwitchTo(caller);
}

/* Return how many rows the next batch may have, and let the one after it have more. */
static int
next_batch_size(SearchJoinState *state)
{
	int64 size = state->batch_size;

	/* Rows that may not be needed shall not be the reason to list everything. */
	if (!state->plan.reads_all)
		size = Min(size, search_values_left(&state->function));
	state->batch_size = (int) Min(size * 2, MAX_BATCH);
	return (int) size;
}

/* Read the next batch of outer rows; return false if there are none. */
static bool
read_batch(SearchJoinState *state)
{
	Size max_memory = Min(get_hash_memory_limit(), MaxAllocSize / 2); /* of an array of values */
	int  size = next_batch_size(state);

	MemoryContextReset(state->batch_context);
	state->nrows = 0;
	state->current = 0;
	if (MemoryContextMemAllocated(state->found_context, true) > get_hash_memory_limit())
		reset_found(state);

	state->max_rows = 64;
	state->rows = MemoryContextAlloc(state->batch_context, state->max_rows * sizeof(OuterRow));
	while (
		!state->ended && state->nrows < size &&
		(state->nrows == 0 || MemoryContextMemAllocated(state->batch_context, false) <= max_memory))
	{
		TupleTableSlot *slot = ExecProcNode(outerPlanState(state));

		if (TupIsNull(slot))
			state->ended = true;
		else
			add_row(state, slot);
	}
	return state->nrows > 0;
}

/* Return the values of a batch that have not been searched yet, and enter them as not found. */
static ArrayType *
collect_values(SearchJoinState *state)
{
	Datum *values = palloc(state->nrows * sizeof(Datum));
	int    n = 0;

	for (int i = 0; i < state->nrows; i++)
	{
		char       *value = state->rows[i].value;
		FoundValue *entry;
		bool        is_known;

		CHECK_FOR_INTERRUPTS();
		if (value == NULL)
			continue;
		entry = found_insert(state->found, value, &is_known);
		if (is_known)
			continue;
		entry->value = MemoryContextStrdup(state->found_context, value);
		entry->rows = NULL;
		values[n++] = CStringGetTextDatum(value);
	}
	return n > 0 ? construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT) : NULL;
}

/* Enter the rows of a tuplestore. */
static void
enter_rows(SearchJoinState *state, Tuplestorestate *rows)
{
	TupleTableSlot *slot = state->inner_slot;
	ExprContext    *econtext = state->css.ss.ps.ps_ExprContext;

	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		const char   *value;
		FoundValue   *entry = NULL;

		CHECK_FOR_INTERRUPTS();
		ResetExprContext(econtext);
		slot_getallattrs(slot);
		value = search_row_value(state->attribute, slot->tts_values, slot->tts_isnull);
		if (value != NULL)
			entry = found_lookup(state->found, unconstify(char *, value));
		MemoryContextSwitchTo(state->found_context);
		if (entry != NULL)
		{
			FoundRow *row = palloc(sizeof(FoundRow));

			row->tuple = ExecCopySlotMinimalTuple(slot);
			row->next = entry->rows;
			entry->rows = row;
		}
		MemoryContextSwitchTo(caller);
	}
}

/* Count values for which the function was called, unless it listed all rows or requested nothing. */
static void
count_values(SearchJoinState *state, const ArrayType *values)
{
	if (search_has_listed(&state->function))
		state->listed = true;
	else if (!srf_offline)
		state->nvalues += ARR_DIMS(values)[0];
}

/* Call the function for some values, and enter the rows that it returns. */
static void
search_values(SearchJoinState *state, ArrayType *values)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	ExprContext             *econtext = state->css.ss.ps.ps_ExprContext;
	ReturnSetInfo            result = {.type = T_ReturnSetInfo,
									   .econtext = econtext,
									   .allowedModes = SFRM_Materialize,
									   .returnMode = SFRM_ValuePerCall,
									   .isDone = ExprSingleResult};
	PgStat_FunctionCallUsage usage;
	int                      n = list_length(state->arguments);

	InitFunctionCallInfoData(*fcinfo, &state->function, (short) (n + 3), InvalidOid, NULL,
							 (Node *) &result);
	memcpy(fcinfo->args, state->values, n * sizeof(NullableDatum));
	fcinfo->args[n] = (NullableDatum){CStringGetTextDatum(state->plan.attribute), false};
	fcinfo->args[n + 1] = (NullableDatum){CStringGetTextDatum(SEARCH_EQUALS), false};
	fcinfo->args[n + 2] = (NullableDatum){PointerGetDatum(values), false};
	pgstat_init_function_usage(fcinfo, &usage);
	(void) FunctionCallInvoke(fcinfo);
	pgstat_end_function_usage(&usage, true);
	count_values(state, values);

	enter_rows(state, result.setResult);
	tuplestore_end(result.setResult);
	FreeTupleDesc(result.setDesc);
}

/* Forget what was found if an argument, which is a text, has another value than before. */
static void
check_arguments(SearchJoinState *state)
{
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	ListCell    *cell;

	foreach (cell, state->arguments)
	{
		NullableDatum *value = &state->values[foreach_current_index(cell)];
		bool           isnull;
		Datum          current = ExecEvalExprSwitchContext(lfirst(cell), econtext, &isnull);

		if (isnull == value->isnull && (isnull || datumIsEqual(current, value->value, false, -1)))
			continue;
		reset_found(state);
		if (!value->isnull)
			pfree(DatumGetPointer(value->value));
		value->isnull = isnull;
		if (!isnull)
		{
			MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_query_memory);

			value->value = datumCopy(current, false, -1);
			MemoryContextSwitchTo(caller);
		}
	}
}

/* Read a batch and search for its values; return false at the end of the outer plan. */
static bool
load_batch(SearchJoinState *state)
{
	MemoryContext caller;
	MemoryContext context;
	ArrayType    *values;

	if (!read_batch(state))
		return false;
	check_arguments(state);
	context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito join values", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	values = collect_values(state);
	if (values != NULL)
		search_values(state, values);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return true;
}

/* Begin to join the current outer row. */
static void
begin_row(SearchJoinState *state)
{
	char       *value = state->rows[state->current].value;
	FoundValue *entry = value != NULL ? found_lookup(state->found, value) : NULL;

	state->next_found = entry != NULL ? entry->rows : NULL;
	state->matched = false;
}

/* Go to the next outer row; return false if there is none. */
static bool
next_row(SearchJoinState *state)
{
	if (++state->current >= state->nrows && !load_batch(state))
		return false;
	begin_row(state);
	return true;
}

/* Return the next row of the join for the current outer row, or NULL. */
static TupleTableSlot *
join_row(SearchJoinState *state)
{
	MinimalTuple outer = state->rows[state->current].tuple;
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	JoinType     jointype = state->plan.jointype;

	while (state->next_found != NULL)
	{
		FoundRow *row = state->next_found;

		CHECK_FOR_INTERRUPTS();
		state->next_found = row->next;
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = make_scan_row(state, outer, row->tuple);
		if (!ExecQual(state->clauses, econtext))
			continue;
		state->matched = true;
		if (jointype == JOIN_SEMI || jointype == JOIN_ANTI)
			state->next_found = NULL;
		if (jointype != JOIN_ANTI)
			return econtext->ecxt_scantuple;
	}
	if (!state->matched && (jointype == JOIN_LEFT || jointype == JOIN_ANTI))
	{
		state->matched = true;
		return make_scan_row(state, outer, NULL);
	}
	return NULL;
}

/* Return the next row of the join; NULL at its end. */
static TupleTableSlot *
next_joined_row(SearchJoinState *state)
{
	TupleTableSlot *slot = NULL;

	if (state->current < state->nrows)
		slot = join_row(state);
	while (slot == NULL && next_row(state))
		slot = join_row(state);
	return slot;
}

/*
 * Return the next row that passes the clauses above the join; the ExecCustomScan method.
 * Not by ExecScan: before PostgreSQL 15.15, in a subquery of an update that checks a changed
 * row again, it takes a scan of no relation for a part of that check.  A join itself never is,
 * since queries with row marks have no such path.
 */
static TupleTableSlot *
execute_join(CustomScanState *node)
{
	ExprContext    *econtext = node->ss.ps.ps_ExprContext;
	TupleTableSlot *slot;

	while ((slot = next_joined_row((SearchJoinState *) node)) != NULL)
	{
		ResetExprContext(econtext);
		econtext->ecxt_scantuple = slot;
		if (ExecQual(node->ss.ps.qual, econtext))
			return node->ss.ps.ps_ProjInfo != NULL ? ExecProject(node->ss.ps.ps_ProjInfo) : slot;
		InstrCountFiltered1(node, 1);
	}
	return NULL;
}

/* Shut down the outer plan; the EndCustomScan method.  Memory ends with the query. */
static void
end_join(CustomScanState *node)
{
	ExecEndNode(outerPlanState(node));
}

/* Start again; the ReScanCustomScan method.  What was found stays. */
static void
rescan_join(CustomScanState *node)
{
	SearchJoinState *state = (SearchJoinState *) node;

	ExecClearTuple(node->ss.ss_ScanTupleSlot);
	state->nrows = 0;
	state->current = 0;
	state->ended = false;
	state->next_found = NULL;
	state->batch_size = first_batch(state);
	if (outerPlanState(node)->chgParam == NULL)
		ExecReScan(outerPlanState(node));
}

/* Return the name of a join's type, as EXPLAIN shows it. */
static const char *
join_type_name(JoinType jointype)
{
	switch (jointype)
	{
		case JOIN_LEFT:
			return "Left";
		case JOIN_SEMI:
			return "Semi";
		case JOIN_ANTI:
			return "Anti";
		default:
			return "Inner";
	}
}

/* Return the alias of the inner relation, quoted if necessary. */
static const char *
inner_alias(const SearchJoinState *state, const ExplainState *es)
{
	const CustomScan  *scan = (const CustomScan *) state->css.ss.ps.plan;
	const TargetEntry *column = list_nth(scan->custom_scan_tlist, state->plan.nouter);

	return quote_identifier(list_nth(es->rtable_names, castNode(Var, column->expr)->varno - 1));
}

/* Show how many values were requested, and whether all rows were listed. */
static void
explain_requests(const SearchJoinState *state, ExplainState *es)
{
	ExplainPropertyInteger("Values Requested", NULL, state->nvalues, es);
	if (state->listed || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyBool("Pool Listed", state->listed, es);
}

/* Show the join, and what is requested; the ExplainCustomScan method. */
static void
explain_join(CustomScanState *node, List *ancestors, ExplainState *es)
{
	SearchJoinState *state = (SearchJoinState *) node;
	List *context = set_deparse_context_plan(es->deparse_cxt, node->ss.ps.plan, ancestors);
	char *key = deparse_expression(state->plan.key, context, true, false);
	List *filter =
		list_concat_copy(state->plan.outer_clauses, list_copy_tail(state->plan.clauses, 1));

	if (state->plan.jointype != JOIN_INNER || es->format != EXPLAIN_FORMAT_TEXT)
		ExplainPropertyText("Join Type", join_type_name(state->plan.jointype), es);
	ExplainPropertyText(
		"Request", psprintf("%s.%s = %s", inner_alias(state, es), state->plan.attribute, key), es);
	if (es->verbose)
		ExplainPropertyText("Function Call",
							deparse_expression((Node *) state->plan.call, context, true, false),
							es);
	if (es->analyze)
		explain_requests(state, es);
	if (filter != NIL)
		ExplainPropertyText(
			"Join Filter",
			deparse_expression((Node *) make_ands_explicit(filter), context, true, false), es);
}

static const CustomExecMethods exec_methods = {
	.CustomName = "cognito_join",
	.BeginCustomScan = begin_join,
	.ExecCustomScan = execute_join,
	.EndCustomScan = end_join,
	.ReScanCustomScan = rescan_join,
	.ExplainCustomScan = explain_join,
};

Node *
search_join_create_state(CustomScan *scan)
{
	SearchJoinState *state =
		(SearchJoinState *) newNode(sizeof(SearchJoinState), T_CustomScanState);

	(void) scan;
	state->css.methods = &exec_methods;
	return (Node *) &state->css;
}
