/*
 * condition.c
 *		What a clause of a query demands of a user's attribute.
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

#include "condition.h"
#include "filter.h"
#include "search.h"
#include "users.h"

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

/* Is a node that column of the relation? */
static bool
is_column(Node *node, Index relid, UserColumn column)
{
	Var *variable = (Var *) node;

	return IsA(node, Var) && (Index) variable->varno == relid && variable->varlevelsup == 0 &&
		   variable->varattno == (AttrNumber) (column + 1);
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

/* The attribute that is a member of the column "attributes" and can be searched, or NULL. */
static const char *
member_attribute(const char *name)
{
	const char *attribute = filter_find_attribute(name);

	return attribute != NULL && users_column(attribute) == USER_ATTRIBUTES ? attribute : NULL;
}

/* The attribute that an expression shows, or NULL. */
static const char *
attribute_of(Node *node, Index relid)
{
	Call  call;
	char *member;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;

	if (is_column(node, relid, USER_USERNAME))
		return filter_find_attribute("username");
	if (is_column(node, relid, USER_EMAIL))
		return filter_find_attribute("email");
	if (is_column(node, relid, USER_STATUS))
		return filter_find_attribute("cognito:user_status");

	if (!take_call(node, &call) || call.function != F_JSONB_OBJECT_FIELD_TEXT ||
		!is_column(call.left, relid, USER_ATTRIBUTES))
		return NULL;
	member = constant_string(call.right);
	return member != NULL ? member_attribute(member) : NULL;
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

/* How few users it is that match an attribute's values. */
static Selects
selects_of(const char *attribute, const char *op, int nvalues)
{
	UserColumn column = users_column(attribute);

	if (column == USER_ENABLED)
		return SELECTS_ENABLED;
	if (column == USER_STATUS)
		return SELECTS_STATUS;
	if (strcmp(op, FILTER_STARTS_WITH) == 0)
		return SELECTS_PREFIX;
	return nvalues == 1 ? SELECTS_ONE : SELECTS_SEVERAL;
}

/* Makes a condition on the elements of a text[]; how many they are may be unknown, and then 0. */
static bool
demand_any(Condition *condition, const char *attribute, const char *op, Expr *values, int nvalues)
{
	Const *constant = (Const *) values;

	/* What the service makes of the beginning of a status is not said. */
	if (users_column(attribute) == USER_STATUS && strcmp(op, FILTER_STARTS_WITH) == 0)
		return false;

	*condition = (Condition){.attribute = attribute, .op = op, .values = values};
	if (IsA(values, Const) && !constant->constisnull)
	{
		Search *search = search_make(attribute, op, DatumGetArrayTypeP(constant->constvalue));

		if (!search_has_filters(search))
			return false;
		nvalues = search->nvalues;
		if (nvalues == 1)
			condition->length = strlen(search->values[0]);
	}
	condition->selects = selects_of(attribute, op, nvalues);
	return true;
}

/* Makes a condition on one value, a text or what is cast to it without being asked. */
static bool
demand_one(PlannerInfo *root, Condition *condition, const char *attribute, const char *op,
		   Node *value)
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
	return demand_any(condition, attribute, op,
					  (Expr *) eval_const_expressions(root, (Node *) values), 1);
}

/* A constant text. */
static Node *
make_text(const char *string)
{
	return (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(string),
							  false, false);
}

/* A condition on the column "enabled": CASE turns a boolean into Cognito's words, NULL into NULL. */
static bool
demand_enabled(PlannerInfo *root, Condition *condition, Node *value)
{
	CaseExpr *words = makeNode(CaseExpr);
	CaseWhen *enabled = makeNode(CaseWhen);
	CaseWhen *disabled = makeNode(CaseWhen);

	enabled->expr = (Expr *) value;
	enabled->result = (Expr *) make_text(users_word_for(true));
	enabled->location = -1;
	disabled->expr = make_notclause((Expr *) value);
	disabled->result = (Expr *) make_text(users_word_for(false));
	disabled->location = -1;

	words->casetype = TEXTOID;
	words->casecollid = DEFAULT_COLLATION_OID;
	words->args = list_make2(enabled, disabled);
	words->defresult = (Expr *) makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID);
	words->location = -1;
	return demand_one(root, condition, filter_find_attribute("status"), FILTER_EQUALS,
					  (Node *) words);
}

/* enabled, NOT enabled, enabled IS TRUE, enabled IS FALSE: what is left of all other forms. */
static bool
truth_condition(PlannerInfo *root, Node *clause, Index relid, Condition *condition)
{
	bool  wanted = true;
	Node *tested = clause;

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
	return is_column(tested, relid, USER_ENABLED) &&
		   demand_enabled(root, condition, makeBoolConst(wanted, false));
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
like_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	const char *attribute = attribute_of(call->left, relid);
	char       *pattern = constant_string(call->right);
	char       *prefix;
	bool        is_all;

	if (attribute == NULL || pattern == NULL)
		return false;
	prefix = like_prefix(pattern, &is_all);
	return demand_one(root, condition, attribute, is_all ? FILTER_EQUALS : FILTER_STARTS_WITH,
					  make_text(prefix));
}

/* attributes @> a constant object: the best of its members that can be searched */
static bool
containment_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	Const *constant = (Const *) call->right;
	Jsonb *object;
	bool   found = false;

	if (!is_column(call->left, relid, USER_ATTRIBUTES) || !IsA(constant, Const) ||
		constant->constisnull)
		return false;
	object = DatumGetJsonbP(constant->constvalue);
	if (!JB_ROOT_IS_OBJECT(object))
		return false;

	for (const char *const *name = filter_attributes; *name != NULL; name++)
	{
		Condition  other;
		JsonbValue value;

		if (member_attribute(*name) == NULL ||
			getKeyJsonValueFromContainer(&object->root, *name, (int) strlen(*name), &value) ==
				NULL ||
			value.type != jbvString)
			continue;
		if (demand_one(root, &other, *name, FILTER_EQUALS,
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
equality_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	const char *attribute = attribute_of(call->left, relid);
	Node       *value = call->right;

	if (attribute == NULL)
	{
		attribute = attribute_of(call->right, relid);
		value = call->left;
	}
	return attribute != NULL && is_known(value) &&
		   demand_one(root, condition, attribute, FILTER_EQUALS, value);
}

/* enabled = value, or the other way round */
static bool
enabled_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	bool  is_left = is_column(call->left, relid, USER_ENABLED);
	Node *value = is_left ? call->right : call->left;

	return (is_left || is_column(call->right, relid, USER_ENABLED)) && is_known(value) &&
		   demand_enabled(root, condition, value);
}

/* attribute ^@ value */
static bool
prefix_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	const char *attribute = attribute_of(call->left, relid);

	return attribute != NULL && is_known(call->right) &&
		   demand_one(root, condition, attribute, FILTER_STARTS_WITH, call->right);
}

/* attribute = ANY (array), which is what IN becomes */
static bool
list_condition(ScalarArrayOpExpr *list, Index relid, Condition *condition)
{
	const char *attribute = attribute_of(linitial(list->args), relid);
	Node       *values = lsecond(list->args);
	int         nvalues = 0;

	set_sa_opfuncid(list);
	if (attribute == NULL || list->opfuncid != F_TEXTEQ || !list->useOr ||
		!is_bytewise(list->inputcollid) || exprType(values) != TEXTARRAYOID || !is_known(values))
		return false;
	if (IsA(values, ArrayExpr) && !((ArrayExpr *) values)->multidims)
		nvalues = list_length(((ArrayExpr *) values)->elements);
	return demand_any(condition, attribute, FILTER_EQUALS, (Expr *) copyObject(values), nvalues);
}

/* A condition that a call of a function of pg_catalog makes. */
static bool
call_condition(PlannerInfo *root, const Call *call, Index relid, Condition *condition)
{
	switch (call->function)
	{
		case F_TEXTEQ:
		case F_TEXTEQNAME:
		case F_NAMEEQTEXT:
			return is_bytewise(call->collation) && equality_condition(root, call, relid, condition);
		case F_STARTS_WITH:
			return is_bytewise(call->collation) && prefix_condition(root, call, relid, condition);
		case F_TEXTLIKE:
		case F_LIKE_TEXT_TEXT:
			return is_bytewise(call->collation) && like_condition(root, call, relid, condition);
		case F_JSONB_CONTAINS:
			return containment_condition(root, call, relid, condition);
		case F_BOOLEQ:
			return enabled_condition(root, call, relid, condition);
		default:
			return false;
	}
}

/* See condition.h. */
bool
condition_of(PlannerInfo *root, Node *clause, Index relid, Condition *condition)
{
	Call call;

	if (IsA(clause, ScalarArrayOpExpr))
		return list_condition((ScalarArrayOpExpr *) clause, relid, condition);
	if (take_call(clause, &call))
		return call_condition(root, &call, relid, condition);
	return truth_condition(root, clause, relid, condition);
}

/* The place of an attribute among those that can be searched. */
static int
place_of(const char *attribute)
{
	int place = 0;

	while (filter_attributes[place] != attribute)
		place++;
	return place;
}

/* See condition.h. */
bool
condition_is_better(const Condition *condition, const Condition *other)
{
	if (condition->selects != other->selects)
		return condition->selects > other->selects;
	if (condition->selects == SELECTS_PREFIX && condition->length != other->length)
		return condition->length > other->length;
	return place_of(condition->attribute) < place_of(other->attribute);
}

/* See condition.h. */
List *
condition_arguments(const Condition *condition)
{
	return list_make3(make_text(condition->attribute), make_text(condition->op), condition->values);
}
