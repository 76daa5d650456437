/*
 * search_join_exec.c
 *		Joins that request only the rows they need: execution.
 *
 * Rows of the outer plan are read in batches.  The values of a batch that have not been
 * searched yet are passed to the entity's function at once, which sends requests
 * concurrently, or lists everything when that is cheaper.  What was found, and what was
 * not, is kept for the next batches: rows in files, beyond work_mem, and values in a hash
 * table, as far as hash_mem allows.
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
#include "planner/pushdown.h"
#include "planner/row_store.h"
#include "planner/search_exec.h"
#include "planner/search_join.h"

/* Outer rows of the largest batch, which is the first if all rows of the join are needed. */
#define MAX_BATCH 16384

/* A row that was found, in the list of those with the same value. */
typedef struct FoundRow
{
	struct FoundRow *next;
	off_t            place; /* in the store of rows */
} FoundRow;

/* A value that was searched, or will be with its batch. */
typedef struct FoundValue
{
	char     *value; /* the key */
	FoundRow *first; /* NULL if there are none */
	FoundRow *last;
	uint32    hash;
	char      status;
	bool      is_searched;
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

	Tuplestorestate *outer_rows; /* of a batch */
	char           **row_values; /* their keys in the table; NULL for no value */
	int              nrows;
	int              current;    /* the row that is being joined */
	int              batch_size; /* of the next batch */
	bool             ended;      /* the outer plan has no more rows */

	MemoryContext found_context; /* of the table, and of the store as a child */
	found_hash   *found;
	RowStore     *found_rows;
	FoundRow     *next_found; /* candidate for the current row */
	bool          matched;    /* the current row has been joined */

	/* For EXPLAIN */
	int64 nvalues; /* requested so far */
	bool  listed;  /* all rows have been listed */
} SearchJoinState;

/* Create an empty table of values, and an empty store of their rows. */
static void
create_found(SearchJoinState *state)
{
	MemoryContext caller = MemoryContextSwitchTo(state->found_context);

	state->found = found_create(state->found_context, 64, NULL);
	state->found_rows = row_store_create();
	MemoryContextSwitchTo(caller);
}

/* Forget the values that were searched. */
static void
reset_found(SearchJoinState *state)
{
	row_store_free(state->found_rows);
	MemoryContextReset(state->found_context);
	create_found(state);
}

/* Return true if the values that were searched take more memory than they may. */
static bool
has_full_table(const SearchJoinState *state)
{
	Size max_memory = Min(get_hash_memory_limit(), MaxAllocSize / 2); /* of an array of values */

	return MemoryContextMemAllocated(state->found_context, false) > max_memory;
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

	state->outer_rows = tuplestore_begin_heap(false, false, work_mem);
	state->row_values = palloc(MAX_BATCH * sizeof(char *));
	state->batch_size = first_batch(state);
	state->found_context =
		AllocSetContextCreate(estate->es_query_cxt, "cognito join values", ALLOCSET_SMALL_SIZES);
	create_found(state);
}

/* Set the columns of the scan's row from an outer row, and from an inner one or to NULL. */
static TupleTableSlot *
make_scan_row(SearchJoinState *state, TupleTableSlot *outer, TupleTableSlot *inner)
{
	TupleTableSlot *slot = state->css.ss.ss_ScanTupleSlot;
	int             nouter = state->plan.nouter;
	int             ninner = state->plan.ninner;

	ExecClearTuple(slot);
	slot_getallattrs(outer);
	memcpy(slot->tts_values, outer->tts_values, nouter * sizeof(Datum));
	memcpy(slot->tts_isnull, outer->tts_isnull, nouter * sizeof(bool));
	if (inner == NULL)
		memset(slot->tts_isnull + nouter, true, ninner * sizeof(bool));
	else
	{
		slot_getallattrs(inner);
		memcpy(slot->tts_values + nouter, inner->tts_values, ninner * sizeof(Datum));
		memcpy(slot->tts_isnull + nouter, inner->tts_isnull, ninner * sizeof(bool));
	}
	return ExecStoreVirtualTuple(slot);
}

/*
 * Return the value to search for of an outer row, in the memory of the expression context; NULL
 * if no row of the function matches.
 */
static char *
compute_value(SearchJoinState *state, TupleTableSlot *outer)
{
	ExprContext  *econtext = state->css.ss.ps.ps_ExprContext;
	MemoryContext caller = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
	char         *value = NULL;
	bool          isnull = true;
	Datum         key = 0;

	ResetExprContext(econtext);
	econtext->ecxt_scantuple = make_scan_row(state, outer, NULL);
	if (ExecQual(state->outer_clauses, econtext))
		key = ExecEvalExpr(state->key, econtext, &isnull);
	if (!isnull)
		value = TextDatumGetCString(key);
	MemoryContextSwitchTo(caller);
	return value;
}

/* Return the table's copy of a value, which is entered if it is new. */
static char *
enter_value(SearchJoinState *state, char *value)
{
	bool        is_known;
	FoundValue *entry = found_insert(state->found, value, &is_known);

	if (!is_known)
	{
		entry->value = MemoryContextStrdup(state->found_context, value);
		entry->first = NULL;
		entry->last = NULL;
		entry->is_searched = false;
	}
	return entry->value;
}

/* Add an outer row to the batch. */
static void
add_row(SearchJoinState *state, TupleTableSlot *slot)
{
	char *value = compute_value(state, slot);

	state->row_values[state->nrows++] = value != NULL ? enter_value(state, value) : NULL;
	tuplestore_puttupleslot(state->outer_rows, slot);
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

/*
 * Read the next batch of outer rows; return false if there are none.  Since nothing is forgotten
 * within a batch, it ends when the table is full.
 */
static bool
read_batch(SearchJoinState *state)
{
	int size = next_batch_size(state);

	tuplestore_clear(state->outer_rows);
	state->nrows = 0;
	state->current = 0;
	if (has_full_table(state))
		reset_found(state);

	while (!state->ended && state->nrows < size && (state->nrows == 0 || !has_full_table(state)))
	{
		TupleTableSlot *slot = ExecProcNode(outerPlanState(state));

		if (TupIsNull(slot))
			state->ended = true;
		else
		{
			if (state->nrows == 0)
				check_arguments(state);
			add_row(state, slot);
		}
	}
	return state->nrows > 0;
}

/* Return the values of a batch that have not been searched yet. */
static ArrayType *
collect_values(SearchJoinState *state)
{
	Datum *values = palloc(state->nrows * sizeof(Datum));
	int    n = 0;

	for (int i = 0; i < state->nrows; i++)
	{
		char       *value = state->row_values[i];
		FoundValue *entry;

		CHECK_FOR_INTERRUPTS();
		if (value == NULL)
			continue;
		entry = found_lookup(state->found, value);
		if (entry->is_searched)
			continue;
		entry->is_searched = true;
		values[n++] = CStringGetTextDatum(value);
	}
	return n > 0 ? construct_array(values, n, TEXTOID, -1, false, TYPALIGN_INT) : NULL;
}

/* Append the row in the slot to those of a value. */
static void
append_row(SearchJoinState *state, FoundValue *entry)
{
	FoundRow *row = MemoryContextAlloc(state->found_context, sizeof(FoundRow));

	row->place = row_store_append(state->found_rows, state->inner_slot);
	row->next = NULL;
	if (entry->last != NULL)
		entry->last->next = row;
	else
		entry->first = row;
	entry->last = row;
}

/* Append the rows of a tuplestore to those of their values. */
static void
append_rows(SearchJoinState *state, Tuplestorestate *rows)
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
		MemoryContextSwitchTo(caller);
		if (entry != NULL)
			append_row(state, entry);
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

/* Call the function for some values, and append the rows that it returns to those of the values. */
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

	append_rows(state, result.setResult);
	tuplestore_end(result.setResult);
	FreeTupleDesc(result.setDesc);
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
	context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito join search", ALLOCSET_DEFAULT_SIZES);
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
	char       *value = state->row_values[state->current];
	FoundValue *entry = value != NULL ? found_lookup(state->found, value) : NULL;

	(void) tuplestore_gettupleslot(state->outer_rows, true, false, state->outer_slot);
	state->next_found = entry != NULL ? entry->first : NULL;
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
	ExprContext *econtext = state->css.ss.ps.ps_ExprContext;
	JoinType     jointype = state->plan.jointype;

	while (state->next_found != NULL)
	{
		FoundRow *row = state->next_found;

		CHECK_FOR_INTERRUPTS();
		state->next_found = row->next;
		ResetExprContext(econtext);
		row_store_seek(state->found_rows, row->place);
		(void) row_store_read(state->found_rows, state->inner_slot);
		econtext->ecxt_scantuple = make_scan_row(state, state->outer_slot, state->inner_slot);
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
		return make_scan_row(state, state->outer_slot, NULL);
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

/* Shut down the outer plan, and close files; the EndCustomScan method. */
static void
end_join(CustomScanState *node)
{
	SearchJoinState *state = (SearchJoinState *) node;

	tuplestore_end(state->outer_rows);
	row_store_free(state->found_rows);
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
