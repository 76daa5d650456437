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
typedef struct BinaryCall
{
	Oid   function;
	Node *left;
	Node *right;
	Oid   collation;
} BinaryCall;

/* Takes a call apart; false if the node is none. */
static bool
get_binary_call(Node *node, BinaryCall *call)
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
column_of(const SearchRel *rel, Node *node)
{
	Var *variable = (Var *) node;

	if (!IsA(node, Var) || (Index) variable->varno != rel->relid || variable->varlevelsup != 0)
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
find_attribute(const SearchRel *rel, int column, SearchForm form, const char *name)
{
	for (const SearchAttribute *a = rel->entity->attributes; a->name != NULL; a++)
		if (a->column == column && a->form == form && (name == NULL || strcmp(a->name, name) == 0))
			return a;
	return NULL;
}

/* The attribute whose text an expression is, or NULL. */
static const SearchAttribute *
attribute_of(const SearchRel *rel, Node *node)
{
	BinaryCall call;
	char      *member;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (IsA(node, Var))
		return find_attribute(rel, column_of(rel, node), SEARCH_TEXT, NULL);

	if (!get_binary_call(node, &call) || call.function != F_JSONB_OBJECT_FIELD_TEXT)
		return NULL;
	member = constant_string(call.right);
	return member != NULL ? find_attribute(rel, column_of(rel, call.left), SEARCH_MEMBER, member)
						  : NULL;
}

/* The attribute that an expression shows as a boolean, or NULL. */
static const SearchAttribute *
boolean_attribute_of(const SearchRel *rel, Node *node)
{
	return find_attribute(rel, column_of(rel, node), SEARCH_BOOLEAN, NULL);
}

/* Can an expression be computed before the relation is read, and but once? */
static bool
is_computable(Node *node)
{
	return !contain_var_clause(node) && !contain_volatile_functions(node) &&
		   !contain_subplans(node);
}

/* Are strings equal in a collation only if they are the same? */
static bool
is_deterministic(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/*
 * Makes a condition on the elements of a text[], of which there is a single one
 * or not.  False if Cognito cannot be asked for that.
 */
static bool
make_list_qual(const SearchRel *rel, PushedQual *qual, const SearchAttribute *attribute,
			   const char *op, Expr *values, bool single)
{
	Const *constant = (Const *) values;
	bool   starts_with = strcmp(op, SEARCH_STARTS_WITH) == 0;

	if (starts_with && !attribute->prefixes)
		return false;

	*qual = (PushedQual){.attribute = attribute, .op = op, .values = values};
	if (IsA(values, Const) && !constant->constisnull)
	{
		Search *search =
			search_make(rel->entity, attribute->name, op, DatumGetArrayTypeP(constant->constvalue));

		if (!search_can_filter(search))
			return false;
		single = search->nvalues <= 1;
		if (search->nvalues == 1)
			qual->length = strlen(search->values[0]);
	}

	if (attribute->finds < 1)
		qual->selectivity = QUAL_FRACTION;
	else if (starts_with)
		qual->selectivity = QUAL_PREFIX;
	else
		qual->selectivity = single ? QUAL_EQUAL : QUAL_LIST;
	return true;
}

/* Makes a condition on one value, a text or what is cast to it without being asked. */
static bool
make_value_qual(const SearchRel *rel, PushedQual *qual, const SearchAttribute *attribute,
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
	return make_list_qual(rel, qual, attribute, op,
						  (Expr *) eval_const_expressions(rel->root, (Node *) values), true);
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
make_boolean_qual(const SearchRel *rel, PushedQual *qual, const SearchAttribute *attribute,
				  Node *value)
{
	CaseExpr *words = makeNode(CaseExpr);
	CaseWhen *when_true = makeNode(CaseWhen);
	CaseWhen *when_false = makeNode(CaseWhen);

	when_true->expr = (Expr *) value;
	when_true->result = (Expr *) make_text(attribute->boolean_words[true]);
	when_true->location = -1;
	when_false->expr = make_notclause((Expr *) value);
	when_false->result = (Expr *) make_text(attribute->boolean_words[false]);
	when_false->location = -1;

	words->casetype = TEXTOID;
	words->casecollid = DEFAULT_COLLATION_OID;
	words->args = list_make2(when_true, when_false);
	words->defresult = (Expr *) makeNullConst(TEXTOID, -1, DEFAULT_COLLATION_OID);
	words->location = -1;
	return make_value_qual(rel, qual, attribute, SEARCH_EQUALS, (Node *) words);
}

/* flag, NOT flag, flag IS TRUE, flag IS FALSE: what is left of all other forms. */
static bool
match_boolean_expr(const SearchRel *rel, Node *clause, PushedQual *qual)
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
	attribute = boolean_attribute_of(rel, tested);
	return attribute != NULL &&
		   make_boolean_qual(rel, qual, attribute, makeBoolConst(wanted, false));
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
match_like(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, call->left);
	char                  *pattern = constant_string(call->right);
	char                  *prefix;
	bool                   is_all;

	if (attribute == NULL || pattern == NULL)
		return false;
	prefix = like_prefix(pattern, &is_all);
	return make_value_qual(rel, qual, attribute, is_all ? SEARCH_EQUALS : SEARCH_STARTS_WITH,
						   make_text(prefix));
}

/* column @> a constant object: the best of its members that can be searched */
static bool
match_containment(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	int    column = column_of(rel, call->left);
	Const *constant = (Const *) call->right;
	Jsonb *object;
	bool   found = false;

	if (column < 0 || !IsA(constant, Const) || constant->constisnull)
		return false;
	object = DatumGetJsonbP(constant->constvalue);
	if (!JB_ROOT_IS_OBJECT(object))
		return false;

	for (const SearchAttribute *a = rel->entity->attributes; a->name != NULL; a++)
	{
		PushedQual other;
		JsonbValue value;

		if (a->column != column || a->form != SEARCH_MEMBER ||
			getKeyJsonValueFromContainer(&object->root, a->name, (int) strlen(a->name), &value) ==
				NULL ||
			value.type != jbvString)
			continue;
		if (make_value_qual(rel, &other, a, SEARCH_EQUALS,
							make_text(pnstrdup(value.val.string.val, value.val.string.len))) &&
			(!found || qual_is_better(&other, qual)))
		{
			*qual = other;
			found = true;
		}
	}
	return found;
}

/* attribute = value, or the other way round */
static bool
match_equality(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, call->left);
	Node                  *value = call->right;

	if (attribute == NULL)
	{
		attribute = attribute_of(rel, call->right);
		value = call->left;
	}
	return attribute != NULL && is_computable(value) &&
		   make_value_qual(rel, qual, attribute, SEARCH_EQUALS, value);
}

/* flag = value, or the other way round */
static bool
match_boolean_equality(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = boolean_attribute_of(rel, call->left);
	Node                  *value = call->right;

	if (attribute == NULL)
	{
		attribute = boolean_attribute_of(rel, call->right);
		value = call->left;
	}
	return attribute != NULL && is_computable(value) &&
		   make_boolean_qual(rel, qual, attribute, value);
}

/* attribute ^@ value */
static bool
match_prefix(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, call->left);

	return attribute != NULL && is_computable(call->right) &&
		   make_value_qual(rel, qual, attribute, SEARCH_STARTS_WITH, call->right);
}

/* attribute = ANY (array), which is what IN becomes */
static bool
match_any(const SearchRel *rel, ScalarArrayOpExpr *list, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, linitial(list->args));
	Node                  *values = lsecond(list->args);
	bool                   single = false;

	set_sa_opfuncid(list);
	if (attribute == NULL || list->opfuncid != F_TEXTEQ || !list->useOr ||
		!is_deterministic(list->inputcollid) || exprType(values) != TEXTARRAYOID ||
		!is_computable(values))
		return false;
	if (IsA(values, ArrayExpr) && !((ArrayExpr *) values)->multidims)
		single = list_length(((ArrayExpr *) values)->elements) == 1;
	return make_list_qual(rel, qual, attribute, SEARCH_EQUALS, (Expr *) copyObject(values), single);
}

/* A condition that a call of a function of pg_catalog makes. */
static bool
match_call(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	switch (call->function)
	{
		case F_TEXTEQ:
		case F_TEXTEQNAME:
		case F_NAMEEQTEXT:
			return is_deterministic(call->collation) && match_equality(rel, call, qual);
		case F_STARTS_WITH:
			return is_deterministic(call->collation) && match_prefix(rel, call, qual);
		case F_TEXTLIKE:
		case F_LIKE_TEXT_TEXT:
			return is_deterministic(call->collation) && match_like(rel, call, qual);
		case F_JSONB_CONTAINS:
			return match_containment(rel, call, qual);
		case F_BOOLEQ:
			return match_boolean_equality(rel, call, qual);
		default:
			return false;
	}
}

bool
qual_match(const SearchRel *rel, Node *clause, PushedQual *qual)
{
	BinaryCall call;

	if (IsA(clause, ScalarArrayOpExpr))
		return match_any(rel, (ScalarArrayOpExpr *) clause, qual);
	if (get_binary_call(clause, &call))
		return match_call(rel, &call, qual);
	return match_boolean_expr(rel, clause, qual);
}

bool
qual_is_better(const PushedQual *qual, const PushedQual *other)
{
	if (qual->selectivity != other->selectivity)
		return qual->selectivity > other->selectivity;
	if (qual->selectivity == QUAL_PREFIX && qual->length != other->length)
		return qual->length > other->length;
	return qual->attribute < other->attribute;
}

List *
qual_arguments(const SearchEntity *entity, const PushedQual *qual)
{
	List *arguments = list_make1(make_text(qual->attribute->name));

	if (entity->has_operator)
		arguments = lappend(arguments, make_text(qual->op));
	return lappend(arguments, qual->values);
}
