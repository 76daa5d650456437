/*
 * filters.c
 *		Fuzz target: filters of ListUsers, searches for several values, and the
 *		prefixes of LIKE patterns.
 *
 * The first line of an input is an attribute, the second an operator, and each
 * line after them a value, or, if the operator is LIKE, a pattern.
 */
#include "fuzz.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "planner/quals.h"
#include "functions/users_filter.h"
#include "planner/search.h"
#include "functions/users.h"

typedef struct Input
{
	const char *bytes;
	size_t      length;
} Input;

/* What quals.c needs of the planner: all is a constant of type text here. */

Const *
makeConst(Oid type, int32 typmod, Oid collation, int length, Datum value, bool isnull, bool byval)
{
	Const *constant = makeNode(Const);

	constant->consttype = type;
	constant->consttypmod = typmod;
	constant->constcollid = collation;
	constant->constlen = length;
	constant->constvalue = value;
	constant->constisnull = isnull;
	constant->constbyval = byval;
	return constant;
}

Oid
exprType(const Node *node)
{
	return ((const Const *) node)->consttype;
}

Node *
coerce_to_target_type(ParseState *pstate, Node *expr, Oid exprtype, Oid targettype,
					  int32 targettypmod, CoercionContext ccontext, CoercionForm cformat,
					  int location)
{
	(void) pstate;
	(void) targettypmod;
	(void) ccontext;
	(void) cformat;
	(void) location;
	fuzz_check(exprtype == targettype);
	return expr;
}

/* Make a constant of an array of one constant. */
Node *
eval_const_expressions(PlannerInfo *root, Node *node)
{
	Const *element = linitial(((ArrayExpr *) node)->elements);

	(void) root;
	return (Node *) makeConst(
		TEXTARRAYOID, -1, DEFAULT_COLLATION_OID, -1,
		PointerGetDatum(fuzz_array(list_make1(TextDatumGetCString(element->constvalue)))), false,
		false);
}

void
set_opfuncid(OpExpr *opexpr)
{
	(void) opexpr;
}

bool
get_collation_isdeterministic(Oid colloid)
{
	return OidIsValid(colloid);
}

/* Return the next line if it is a text, or NULL. */
static char *
next_line(Input *input)
{
	size_t length;
	char  *line = fuzz_split(&input->bytes, &input->length, '\n', &length);

	return line != NULL && fuzz_is_text(line, length) ? line : NULL;
}

/* Check that a filter says what it was made of, by reading it. */
static void
check_filter(const char *filter, const char *attribute, const char *op, const char *value)
{
	const char *start = psprintf("%s %s \"", attribute, op);

	fuzz_check(strncmp(filter, start, strlen(start)) == 0);
	for (filter += strlen(start); *value != '\0'; filter++, value++)
	{
		if (*filter == '\\')
			filter++;
		else
			fuzz_check(*filter != '"');
		fuzz_check(*filter == *value);
	}
	fuzz_check(strcmp(filter, "\"") == 0);
}

/* Return whether a value of a search matches a string, as SQL would have it. */
static bool
matches(const char *op, const char *string, const char *value)
{
	return strcmp(op, SEARCH_EQUALS) == 0 ? strcmp(string, value) == 0
										  : strncmp(string, value, strlen(value)) == 0;
}

/* Search for the values, and compare with looking at them one by one. */
static void
check_search(const char *attribute, const char *op, List *values)
{
	Search   *search = search_make(&users_search, attribute, op, fuzz_array(values));
	bool      has_filters = search_make_filters(search);
	ListCell *cell;

	foreach (cell, values)
	{
		const char *value = lfirst(cell);
		const char *strings[] = {value, psprintf("%s0", value), pnstrdup(value, strlen(value) / 2)};

		for (size_t i = 0; i < lengthof(strings); i++)
		{
			int  found = search_find(search, strings[i]);
			bool expected = false;

			for (int j = 0; j < list_length(values); j++)
				expected |= matches(op, strings[i], list_nth(values, j));
			fuzz_check((found >= 0) == expected);
			fuzz_check(found < search->nvalues);
			fuzz_check(found < 0 || matches(op, strings[i], search->values[found]));
		}
	}
	for (int i = 0; has_filters && i < search->nvalues; i++)
		check_filter(search->filters[i], attribute, op, search->values[i]);
}

/*
 * Ask for what a LIKE pattern selects.  The pattern without its wildcards and
 * escapes matches itself, so its user must be found.
 */
static void
check_pattern(const char *pattern)
{
	SearchRel  search_rel = {.relid = 1, .entity = &users_search};
	OpExpr    *like = makeNode(OpExpr);
	Var       *username = makeNode(Var);
	PushedQual condition;
	char      *example = pstrdup(pattern);
	char      *end = example;

	for (const char *c = pattern; *c != '\0'; c++)
	{
		if (*c == '\\' && *++c == '\0')
			return;
		if (*c != '%' || (c > pattern && c[-1] == '\\'))
			*end++ = *c;
	}
	*end = '\0';

	username->varno = 1;
	username->varattno = 1;
	username->vartype = TEXTOID;
	like->opfuncid = F_TEXTLIKE;
	like->inputcollid = DEFAULT_COLLATION_OID;
	like->args = list_make2(username, makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
												CStringGetTextDatum(pattern), false, false));
	if (qual_match(&search_rel, (Node *) like, &condition))
	{
		Const  *values = (Const *) condition.values;
		Search *search = search_make(&users_search, condition.attribute->name, condition.op,
									 DatumGetArrayTypeP(values->constvalue));

		fuzz_check(search_find(search, example) >= 0);
	}
}

/* Use the values of an input. */
static void
run_input(void *arg)
{
	Input      *input = arg;
	const char *attribute = next_line(input);
	const char *op = next_line(input);
	List       *values = NIL;
	char       *value;

	if (attribute == NULL || op == NULL)
		return;
	while ((value = next_line(input)) != NULL)
		values = lappend(values, value);

	if (strcmp(op, "LIKE") != 0)
	{
		check_search(attribute, op, values);
		if (values != NIL)
			check_filter(filter_make(attribute, op, linitial(values)), attribute, op,
						 linitial(values));
	}
	else if (values != NIL)
		check_pattern(linitial(values));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {(const char *) data, size};

	(void) fuzz_try(run_input, &input);
	return 0;
}
