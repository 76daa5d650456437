/*
 * quals.c
 *		What a clause of a query demands of an attribute of an entity's rows.
 *
 * Operators are known by the functions of pg_catalog that implement them, so
 * an operator of the same name that does something else is not mistaken for
 * one of them, and a function that is called by its name is as good.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "planner/quals.h"

/* A call of a function of two arguments, be it written as an operator or not. */
typedef struct Call
{
	Oid   function;
	Node *left;
	Node *right;
	Oid   collation;
} Call;

/* Takes a call apart; false if the node is none. */
static bool
take_call(Node *node, Call *call)
{
	List *arguments;

	if (IsA(node, OpExpr))
	{
		OpExpr *operation = (OpExpr *) node;

		set_opfuncid(operation);
		call->function = operation->opfuncid;
		call->collation = operation->inputcollid;
		arguments = operation->args;
	}
	else if (IsA(node, FuncExpr))
	{
		FuncExpr *function = (FuncExpr *) node;

		call->function = function->funcid;
		call->collation = function->inputcollid;
		arguments = function->args;
	}
	else
		return false;

	if (list_length(arguments) != 2)
		return false;
	call->left = linitial(arguments);
	call->right = lsecond(arguments);
	return true;
}

/* The number, from 0, of the relation's column that a node is; -1 if it is none. */
static int
column_of(const Shown *shown, Node *node)
{
	Var *variable = (Var *) node;

	if (!IsA(node, Var) || (Index) variable->varno != shown->relid || variable->varlevelsup != 0)
		return -1;
	return variable->varattno - 1;
}

/* The string in a text that is a constant and not NULL; NULL for any other node. */
static char *
constant_string(Node *node)
{
	Const *constant = (Const *) node;

	if (!IsA(node, Const) || constant->consttype != TEXTOID || constant->constisnull)
		return NULL;
	return TextDatumGetCString(constant->constvalue);
}

/* The attribute that a column shows in a form, if a name is given that of this name; or NULL. */
static const SearchAttribute *
find_attribute(const Shown *shown, int column, SearchForm form, const char *name)
{
	for (const SearchAttribute *a = shown->searchable->attributes; a->name != NULL; a++)
		if (a->column == column && a->form == form && (name == NULL || strcmp(a->name, name) == 0))
			return a;
	return NULL;
}

/* The attribute whose text an expression is, or NULL. */
static const SearchAttribute *
attribute_of(const Shown *shown, Node *node)
{
	Call  call;
	char *member;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (IsA(node, Var))
		return find_attribute(shown, column_of(shown, node), SEARCH_TEXT, NULL);

	if (!take_call(node, &call) || call.function != F_JSONB_OBJECT_FIELD_TEXT)
		return NULL;
	member = constant_string(call.right);
	return member != NULL
			   ? find_attribute(shown, column_of(shown, call.left), SEARCH_MEMBER, member)
			   : NULL;
}

/* The attribute that an expression shows as a boolean, or NULL. */
static const SearchAttribute *
boolean_attribute_of(const Shown *shown, Node *node)
{
	return find_attribute(shown, column_of(shown, node), SEARCH_BOOLEAN, NULL);
}

/* Can an expression be computed before the relation is read, and but once? */
static bool
is_known(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node) &&
		   !contain_subplans(node);
}

/* Are strings equal in a collation only if they are the same? */
static bool
is_bytewise(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/*
 * Makes a condition on the elements of a text[], of which there is a single one
 * or not.  False if Cognito cannot be asked for that.
 */
static bool
demand_any(const Shown *shown, Condition *condition, const SearchAttribute *attribute,
		   const char *op, Expr *values, bool single)
{
	Const *constant = (Const *) values;
	bool   starts_with = strcmp(op, SEARCH_STARTS_WITH) == 0;

	if (starts_with && !attribute->prefixes)
		return false;

	*condition = (Condition){.attribute = attribute, .op = op, .values = values};
	if (IsA(values, Const) && !constant->constisnull)
	{
		Search *search = search_make(shown->searchable, attribute->name, op,
									 DatumGetArrayTypeP(constant->constvalue));

		if (!search_can_ask(search))
			return false;
		single = search->nvalues <= 1;
		if (search->nvalues == 1)
			condition->length = strlen(search->values[0]);
	}

	if (attribute->finds < 1)
		condition->selects = SELECTS_SHARE;
	else if (starts_with)
		condition->selects = SELECTS_PREFIX;
	else
		condition->selects = single ? SELECTS_ONE : SELECTS_SEVERAL;
	return true;
}

/* Makes a condition on one value, a text or what is cast to it without being asked. */
static bool
demand_one(const Shown *shown, Condition *condition, const SearchAttribute *attribute,
		   const char *op, Node *value)
{
	ArrayExpr *values = makeNode(ArrayExpr);

	value = coerce_to_target_type(NULL, value, exprType(value), TEXTOID, -1, COERCION_IMPLICIT,
								  COERCE_IMPLICIT_CAST, -1);
	if (value == NULL)
		return false;
	values->array_typeid = TEXTARRAYOID;
	values->array_collid = DEFAULT_COLLATION_OID;
	values->element_typeid = TEXTOID;
	values->elements = list_make1(value);
	values->location = -1;
	return demand_any(shown, condition, attribute, op,
					  (Expr *) eval_const_expressions(shown->root, (Node *) values), true);
}

/* A constant text. */
static Node *
make_text(const char *string)
{
	return (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(string),
							  false, false);
}

/* A condition on a boolean: CASE turns its value into Cognito's words, NULL into NULL. */
static bool
demand_boolean(const Shown *shown, Condition *condition, const SearchAttribute *attribute,
			   Node *value)
{
	CaseExpr *words = makeNode(CaseExpr);
	CaseWhen *when_true = makeNode(CaseWhen);
	CaseWhen *when_false = makeNode(CaseWhen);

	when_true->expr = (Expr *) value;
	when_true->result = (Expr *) make_text(attribute->words[true]);
	when_true->location = -1;
	when_false->expr = make_notclause((Expr *) value);
	when_false->result = (Expr *) make_text(attribute->words[false]);
	when_false->location = -1;

	words->casetype = TEXTOID;
	words->casecollid = DEFAULT_COLLATION_OID;
	words->args = list_make2(when_true, when_false);
	words->defresult = (Expr *) makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID);
	words->location = -1;
	return demand_one(shown, condition, attribute, SEARCH_EQUALS, (Node *) words);
}

/* flag, NOT flag, flag IS TRUE, flag IS FALSE: what is left of all other forms. */
static bool
truth_condition(const Shown *shown, Node *clause, Condition *condition)
{
	bool                   wanted = true;
	Node                  *tested = clause;
	const SearchAttribute *attribute;

	if (is_notclause(clause))
	{
		wanted = false;
		tested = (Node *) get_notclausearg((Expr *) clause);
	}
	else if (IsA(clause, BooleanTest))
	{
		BooleanTest *test = (BooleanTest *) clause;

		if (test->booltesttype != IS_TRUE && test->booltesttype != IS_FALSE)
			return false;
		wanted = test->booltesttype == IS_TRUE;
		tested = (Node *) test->arg;
	}
	attribute = boolean_attribute_of(shown, tested);
	return attribute != NULL &&
		   demand_boolean(shown, condition, attribute, makeBoolConst(wanted, false));
}

/*
 * The part of a LIKE pattern before its first wildcard, without its escapes.
 * A backslash at the end, which is an error for those users who get that far,
 * counts as a wildcard.
 */
static char *
like_prefix(const char *pattern, bool *is_all)
{
	char *prefix = palloc(strlen(pattern) + 1);
	char *end = prefix;

	while (*pattern != '\0' && *pattern != '%' && *pattern != '_')
	{
		if (*pattern == '\\' && *++pattern == '\0')
		{
			*end = '\0';
			*is_all = false;
			return prefix;
		}
		*end++ = *pattern++;
	}
	*end = '\0';
	*is_all = *pattern == '\0';
	return prefix;
}

/* attribute LIKE a constant pattern */
static bool
like_condition(const Shown *shown, const Call *call, Condition *condition)
{
	const SearchAttribute *attribute = attribute_of(shown, call->left);
	char                  *pattern = constant_string(call->right);
	char                  *prefix;
	bool                   is_all;

	if (attribute == NULL || pattern == NULL)
		return false;
	prefix = like_prefix(pattern, &is_all);
	return demand_one(shown, condition, attribute, is_all ? SEARCH_EQUALS : SEARCH_STARTS_WITH,
					  make_text(prefix));
}

/* column @> a constant object: the best of its members that can be searched */
static bool
containment_condition(const Shown *shown, const Call *call, Condition *condition)
{
	int    column = column_of(shown, call->left);
	Const *constant = (Const *) call->right;
	Jsonb *object;
	bool   found = false;

	if (column < 0 || !IsA(constant, Const) || constant->constisnull)
		return false;
	object = DatumGetJsonbP(constant->constvalue);
	if (!JB_ROOT_IS_OBJECT(object))
		return false;

	for (const SearchAttribute *a = shown->searchable->attributes; a->name != NULL; a++)
	{
		Condition  other;
		JsonbValue value;

		if (a->column != column || a->form != SEARCH_MEMBER ||
			getKeyJsonValueFromContainer(&object->root, a->name, (int) strlen(a->name), &value) ==
				NULL ||
			value.type != jbvString)
			continue;
		if (demand_one(shown, &other, a, SEARCH_EQUALS,
					   make_text(pnstrdup(value.val.string.val, value.val.string.len))) &&
			(!found || condition_is_better(&other, condition)))
		{
			*condition = other;
			found = true;
		}
	}
	return found;
}

/* attribute = value, or the other way round */
static bool
equality_condition(const Shown *shown, const Call *call, Condition *condition)
{
	const SearchAttribute *attribute = attribute_of(shown, call->left);
	Node                  *value = call->right;

	if (attribute == NULL)
	{
		attribute = attribute_of(shown, call->right);
		value = call->left;
	}
	return attribute != NULL && is_known(value) &&
		   demand_one(shown, condition, attribute, SEARCH_EQUALS, value);
}

/* flag = value, or the other way round */
static bool
boolean_condition(const Shown *shown, const Call *call, Condition *condition)
{
	const SearchAttribute *attribute = boolean_attribute_of(shown, call->left);
	Node                  *value = call->right;

	if (attribute == NULL)
	{
		attribute = boolean_attribute_of(shown, call->right);
		value = call->left;
	}
	return attribute != NULL && is_known(value) &&
		   demand_boolean(shown, condition, attribute, value);
}

/* attribute ^@ value */
static bool
prefix_condition(const Shown *shown, const Call *call, Condition *condition)
{
	const SearchAttribute *attribute = attribute_of(shown, call->left);

	return attribute != NULL && is_known(call->right) &&
		   demand_one(shown, condition, attribute, SEARCH_STARTS_WITH, call->right);
}

/* attribute = ANY (array), which is what IN becomes */
static bool
list_condition(const Shown *shown, ScalarArrayOpExpr *list, Condition *condition)
{
	const SearchAttribute *attribute = attribute_of(shown, linitial(list->args));
	Node                  *values = lsecond(list->args);
	bool                   single = false;

	set_sa_opfuncid(list);
	if (attribute == NULL || list->opfuncid != F_TEXTEQ || !list->useOr ||
		!is_bytewise(list->inputcollid) || exprType(values) != TEXTARRAYOID || !is_known(values))
		return false;
	if (IsA(values, ArrayExpr) && !((ArrayExpr *) values)->multidims)
		single = list_length(((ArrayExpr *) values)->elements) == 1;
	return demand_any(shown, condition, attribute, SEARCH_EQUALS, (Expr *) copyObject(values),
					  single);
}

/* A condition that a call of a function of pg_catalog makes. */
static bool
call_condition(const Shown *shown, const Call *call, Condition *condition)
{
	switch (call->function)
	{
		case F_TEXTEQ:
		case F_TEXTEQNAME:
		case F_NAMEEQTEXT:
			return is_bytewise(call->collation) && equality_condition(shown, call, condition);
		case F_STARTS_WITH:
			return is_bytewise(call->collation) && prefix_condition(shown, call, condition);
		case F_TEXTLIKE:
		case F_LIKE_TEXT_TEXT:
			return is_bytewise(call->collation) && like_condition(shown, call, condition);
		case F_JSONB_CONTAINS:
			return containment_condition(shown, call, condition);
		case F_BOOLEQ:
			return boolean_condition(shown, call, condition);
		default:
			return false;
	}
}

bool
condition_of(const Shown *shown, Node *clause, Condition *condition)
{
	Call call;

	if (IsA(clause, ScalarArrayOpExpr))
		return list_condition(shown, (ScalarArrayOpExpr *) clause, condition);
	if (take_call(clause, &call))
		return call_condition(shown, &call, condition);
	return truth_condition(shown, clause, condition);
}

bool
condition_is_better(const Condition *condition, const Condition *other)
{
	if (condition->selects != other->selects)
		return condition->selects > other->selects;
	if (condition->selects == SELECTS_PREFIX && condition->length != other->length)
		return condition->length > other->length;
	return condition->attribute < other->attribute;
}

List *
condition_arguments(const Searchable *searchable, const Condition *condition)
{
	List *arguments = list_make1(make_text(condition->attribute->name));

	if (searchable->has_operator)
		arguments = lappend(arguments, make_text(condition->op));
	return lappend(arguments, condition->values);
}
