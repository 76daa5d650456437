/*
 * quals.c
 *		Quals of a query that can be pushed down as a search.
 *
 * Operators are recognized by the functions of pg_catalog that implement them, so
 * that operators of the same name in other schemas are not mistaken for them, and
 * calls of the functions themselves are recognized too.
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
#include "utils/memutils.h"

#include "planner/quals.h"

/* A call of a function of two arguments, written as an operator or as a function. */
typedef struct BinaryCall
{
	Oid   function;
	Node *left;
	Node *right;
	Oid   collation;
} BinaryCall;

/* Get the parts of a call of two arguments; return false for other nodes. */
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

/* Return which column of the relation a node is, from 0; -1 for other nodes. */
static int
column_of(const SearchRel *rel, Node *node)
{
	Var *variable = (Var *) node;

	if (!IsA(node, Var) || (Index) variable->varno != rel->relid || variable->varlevelsup != 0)
		return -1;
	return variable->varattno - 1;
}

/* Return the string of a text constant; NULL for a NULL constant and for other nodes. */
static char *
constant_string(Node *node)
{
	Const *constant = (Const *) node;

	if (!IsA(node, Const) || constant->consttype != TEXTOID || constant->constisnull)
		return NULL;
	return TextDatumGetCString(constant->constvalue);
}

/* Return the attribute that a column contains in a form, of any name if that is NULL; or NULL. */
static const SearchAttribute *
find_attribute(const SearchRel *rel, int column, SearchForm form, const char *name)
{
	for (const SearchAttribute *a = rel->entity->attributes; a->name != NULL; a++)
		if (a->column == column && a->form == form && (name == NULL || strcmp(a->name, name) == 0))
			return a;
	return NULL;
}

/* Return the attribute whose text an expression is, or NULL. */
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

/*
 * Return the attribute that an expression compares, or NULL.  The operator of the search
 * may have to be another than that for equality.
 */
typedef const SearchAttribute *(*AttributeFinder)(const SearchRel *rel, Node *node,
												  const char **op);

/*
 * Return the attribute whose text an expression is, or that it casts to varchar(n), an
 * AttributeFinder.  If the first n characters are equal to a value, the attribute starts
 * with it.
 */
static const SearchAttribute *
text_attribute_of(const SearchRel *rel, Node *node, const char **op)
{
	const FuncExpr        *cast;
	const SearchAttribute *attribute;

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	cast = (const FuncExpr *) node;
	if (!IsA(node, FuncExpr) || cast->funcid != F_VARCHAR_VARCHAR_INT4_BOOL)
		return attribute_of(rel, node);
	attribute = attribute_of(rel, linitial(cast->args));
	if (attribute != NULL)
		*op = SEARCH_STARTS_WITH;
	return attribute;
}

/* Return the attribute that an expression contains as a boolean, or NULL; an AttributeFinder. */
static const SearchAttribute *
boolean_attribute_of(const SearchRel *rel, Node *node, const char **op)
{
	(void) op;
	return find_attribute(rel, column_of(rel, node), SEARCH_BOOLEAN, NULL);
}

/* Return the attribute whose values are UUIDs and that is cast to uuid, an AttributeFinder. */
static const SearchAttribute *
uuid_attribute_of(const SearchRel *rel, Node *node, const char **op)
{
	const CoerceViaIO     *cast = (const CoerceViaIO *) node;
	const SearchAttribute *attribute;

	(void) op;
	if (!IsA(node, CoerceViaIO) || cast->resulttype != UUIDOID)
		return NULL;
	attribute = attribute_of(rel, (Node *) cast->arg);
	return attribute != NULL && attribute->is_uuid ? attribute : NULL;
}

/* Return true if an expression can be computed before the relation is read. */
static bool
is_computable(const SearchRel *rel, Node *node)
{
	return bms_is_subset(pull_varnos(rel->root, node), rel->outer) &&
		   !contain_volatile_functions(node) && !contain_subplans(node);
}

/* Return true if strings that are equal in a collation are always identical. */
static bool
is_deterministic(Oid collation)
{
	return OidIsValid(collation) && get_collation_isdeterministic(collation);
}

/* Return what a function that tests for equality takes for an attribute; NULL for other functions. */
static AttributeFinder
find_equality(Oid function, Oid collation)
{
	switch (function)
	{
		case F_TEXTEQ:
		case F_TEXTEQNAME:
		case F_NAMEEQTEXT:
			return is_deterministic(collation) ? text_attribute_of : NULL;
		case F_BOOLEQ:
			return boolean_attribute_of;
		case F_UUID_EQ:
			return uuid_attribute_of;
		default:
			return NULL;
	}
}

/*
 * Set what constant values tell of a qual: whether there is one or none, and its length.
 * Return false if Cognito cannot filter by them.  They may be many, and nothing that is
 * made of them here is kept.
 */
static bool
examine_constants(const SearchRel *rel, PushedQual *qual, bool *single)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito qual", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ArrayType    *values = DatumGetArrayTypeP(((const Const *) qual->values)->constvalue);
	Search       *search = search_make(rel->entity, qual->attribute->name, qual->op, values);
	bool          can_filter = search_make_filters(search);

	*single = search->nvalues <= 1;
	if (search->nvalues == 1)
		qual->length = strlen(search->values[0]);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return can_filter;
}

/*
 * Make a qual for the elements of a text[]; "single" tells whether an array that is not
 * constant has one element.  Return false if Cognito cannot filter by it.  The qual is
 * exact, unless the caller knows that the clause is stricter.
 */
static bool
make_list_qual(const SearchRel *rel, PushedQual *qual, const SearchAttribute *attribute,
			   const char *op, Expr *values, bool single)
{
	bool starts_with = strcmp(op, SEARCH_STARTS_WITH) == 0;

	if (starts_with && !attribute->prefixes)
		return false;

	*qual = (PushedQual){.attribute = attribute, .op = op, .values = values, .is_exact = true};
	if (IsA(values, Const) && !((Const *) values)->constisnull &&
		!examine_constants(rel, qual, &single))
		return false;

	if (attribute->fraction > 0)
		qual->selectivity = QUAL_FRACTION;
	else if (starts_with)
		qual->selectivity = QUAL_PREFIX;
	else
		qual->selectivity = single ? QUAL_EQUAL : QUAL_LIST;
	return true;
}

/*
 * Return a value, or an array of values, as text or text[]; NULL if its type has no
 * implicit cast.  The text of a UUID is its canonical form.
 */
static Node *
coerce_to_text(Node *node, Oid type)
{
	Oid  from = exprType(node);
	bool is_uuid = from == UUIDOID || from == UUIDARRAYOID;

	return coerce_to_target_type(NULL, node, from, type, -1,
								 is_uuid ? COERCION_EXPLICIT : COERCION_IMPLICIT,
								 COERCE_IMPLICIT_CAST, -1);
}

/*
 * Fold the constants of an expression.  The planner has already done so with what it was made
 * of, and recorded on which objects the plan depends.  It must not do so again, since GEQO
 * considers joins in a memory context that ends before the plan.
 */
static Expr *
fold_constants(Node *node)
{
	return (Expr *) eval_const_expressions(NULL, node);
}

/* Make a qual for one value, whose type has an implicit cast to text, or is uuid. */
static bool
make_value_qual(const SearchRel *rel, PushedQual *qual, const SearchAttribute *attribute,
				const char *op, Node *value)
{
	ArrayExpr *values = makeNode(ArrayExpr);

	value = coerce_to_text(value, TEXTOID);
	if (value == NULL)
		return false;
	values->array_typeid = TEXTARRAYOID;
	values->array_collid = DEFAULT_COLLATION_OID;
	values->element_typeid = TEXTOID;
	values->elements = list_make1(value);
	values->location = -1;
	return make_list_qual(rel, qual, attribute, op, fold_constants((Node *) values), true);
}

/* Return a text constant. */
static Node *
make_text(const char *string)
{
	return (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1, CStringGetTextDatum(string),
							  false, false);
}

/* Make a qual for a boolean value: CASE maps it to Cognito's words, and NULL to NULL. */
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

/* Match flag, NOT flag, flag IS TRUE and flag IS FALSE, to which the planner reduces others. */
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
	attribute = boolean_attribute_of(rel, tested, NULL);
	return attribute != NULL &&
		   make_boolean_qual(rel, qual, attribute, makeBoolConst(wanted, false));
}

/*
 * Return the part of a LIKE pattern before its first wildcard, without escapes, and the
 * rest.  A trailing backslash counts as a wildcard: LIKE raises an error only for strings
 * that match the part before it.
 */
static char *
like_prefix(const char *pattern, const char **rest)
{
	char *prefix = palloc(strlen(pattern) + 1);
	char *end = prefix;

	while (*pattern != '\0' && *pattern != '%' && *pattern != '_')
	{
		if (*pattern == '\\' && *++pattern == '\0')
		{
			pattern--;
			break;
		}
		*end++ = *pattern++;
	}
	*end = '\0';
	*rest = pattern;
	return prefix;
}

/* Match attribute LIKE constant. */
static bool
match_like(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, call->left);
	char                  *pattern = constant_string(call->right);
	char                  *prefix;
	const char            *rest;

	if (attribute == NULL || pattern == NULL)
		return false;
	prefix = like_prefix(pattern, &rest);
	if (!make_value_qual(rel, qual, attribute, *rest == '\0' ? SEARCH_EQUALS : SEARCH_STARTS_WITH,
						 make_text(prefix)))
		return false;
	qual->is_exact = *rest == '\0' || strcmp(rest, "%") == 0;
	return true;
}

/* Match column @> constant object: use the most selective member that can be searched. */
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
			qual->is_exact = JB_ROOT_COUNT(object) == 1;
			found = true;
		}
	}
	return found;
}

/* Match attribute = value and value = attribute. */
static bool
match_equality(const SearchRel *rel, const BinaryCall *call, AttributeFinder find, PushedQual *qual)
{
	const char            *op = SEARCH_EQUALS;
	const SearchAttribute *attribute = find(rel, call->left, &op);
	Node                  *value = call->right;

	if (attribute == NULL)
	{
		attribute = find(rel, call->right, &op);
		value = call->left;
	}
	if (attribute == NULL || !is_computable(rel, value))
		return false;
	if (attribute->form == SEARCH_BOOLEAN)
		return make_boolean_qual(rel, qual, attribute, value);
	if (!make_value_qual(rel, qual, attribute, op, value))
		return false;
	qual->is_exact = strcmp(op, SEARCH_STARTS_WITH) != 0;
	return true;
}

/* Match attribute ^@ value. */
static bool
match_prefix(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	const SearchAttribute *attribute = attribute_of(rel, call->left);

	return attribute != NULL && is_computable(rel, call->right) &&
		   make_value_qual(rel, qual, attribute, SEARCH_STARTS_WITH, call->right);
}

/* Match attribute = ANY (array), also written as IN. */
static bool
match_any(const SearchRel *rel, ScalarArrayOpExpr *list, PushedQual *qual)
{
	const char            *op = SEARCH_EQUALS;
	const SearchAttribute *attribute;
	Node                  *values = lsecond(list->args);
	bool                   single = false;
	AttributeFinder        find;

	set_sa_opfuncid(list);
	find = list->useOr ? find_equality(list->opfuncid, list->inputcollid) : NULL;
	attribute = find != NULL ? find(rel, linitial(list->args), &op) : NULL;
	if (attribute == NULL || !is_computable(rel, values))
		return false;
	if (IsA(values, ArrayExpr) && !((ArrayExpr *) values)->multidims)
		single = list_length(((ArrayExpr *) values)->elements) == 1;
	values = coerce_to_text(copyObject(values), TEXTARRAYOID);
	if (values == NULL || !make_list_qual(rel, qual, attribute, op, fold_constants(values), single))
		return false;
	qual->is_exact = strcmp(op, SEARCH_STARTS_WITH) != 0;
	return true;
}

/* Match a call of a function of pg_catalog. */
static bool
match_call(const SearchRel *rel, const BinaryCall *call, PushedQual *qual)
{
	AttributeFinder find;

	switch (call->function)
	{
		case F_STARTS_WITH:
			return is_deterministic(call->collation) && match_prefix(rel, call, qual);
		case F_TEXTLIKE:
		case F_LIKE_TEXT_TEXT:
			return is_deterministic(call->collation) && match_like(rel, call, qual);
		case F_JSONB_CONTAINS:
			return match_containment(rel, call, qual);
		default:
			find = find_equality(call->function, call->collation);
			return find != NULL && match_equality(rel, call, find, qual);
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
qual_arguments(const PushedQual *qual)
{
	return list_make3(make_text(qual->attribute->name), make_text(qual->op), qual->values);
}
