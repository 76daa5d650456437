/*
 * target.c
 *		The table that a synchronization writes.
 *
 * Values are converted here, by the input functions of the columns' types, and not by
 * casts in the statements that write them: an error can so name the user, and a text
 * that is too long is an error where a cast would truncate it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "rewrite/prs2lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

#include "sync/target.h"

#define KEY_COLUMN "sub"

/* Return true if PostgreSQL assigns the values of a column. */
static bool
is_assigned_by_server(Form_pg_attribute attribute)
{
	return attribute->attgenerated != '\0' || attribute->attidentity != '\0';
}

/*
 * Return what a column can be set to for a moment.  A domain may reject NULL, and a type
 * of limited length the text.
 */
static SyncRelease
find_release(Form_pg_attribute attribute)
{
	Oid type = attribute->atttypid;

	if (!attribute->attnotnull && get_typtype(type) != TYPTYPE_DOMAIN)
		return RELEASE_NULL;
	return TypeCategory(type) == TYPCATEGORY_STRING && attribute->atttypmod < 0 ? RELEASE_TEXT
																				: RELEASE_NOTHING;
}

/* Fill in the columns that have a source. */
static void
find_columns(SyncTarget *target, Relation relation, int (*find_source)(const char *name))
{
	TupleDesc columns = RelationGetDescr(relation);

	target->columns = palloc0(columns->natts * sizeof(SyncColumn));
	target->key = -1;
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(columns, i);
		SyncColumn       *column = &target->columns[target->ncolumns];
		int               source = find_source(NameStr(attribute->attname));
		Oid               input;

		if (attribute->attisdropped || is_assigned_by_server(attribute) || source < 0)
			continue;
		column->name = pstrdup(NameStr(attribute->attname));
		column->source = source;
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		getTypeInputInfo(column->type, &input, &column->ioparam);
		fmgr_info(input, &column->input);
		if (strcmp(column->name, KEY_COLUMN) == 0)
			target->key = target->ncolumns;
		column->release = find_release(attribute);
		target->ncolumns++;
	}
}

/* Set the description of a row of the columns. */
static void
make_row_description(SyncTarget *target)
{
	target->row = CreateTemplateTupleDesc(target->ncolumns);
	for (int i = 0; i < target->ncolumns; i++)
		TupleDescInitEntry(target->row, (AttrNumber) (i + 1), target->columns[i].name,
						   target->columns[i].type, target->columns[i].typmod, 0);
}

/* Return true if an index can tell that a row of the key exists, for ON CONFLICT. */
static bool
is_unique_index_on(Oid indexid, AttrNumber key)
{
	HeapTuple     tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	bool          result;

	if (!HeapTupleIsValid(tuple))
		return false;
	index = (Form_pg_index) GETSTRUCT(tuple);
	result = index->indisunique && index->indimmediate && index->indisvalid &&
			 index->indnkeyatts == 1 && index->indkey.values[0] == key &&
			 heap_attisnull(tuple, Anum_pg_index_indpred, NULL);
	ReleaseSysCache(tuple);
	return result;
}

/* Raise 42P10 if a table has no unique index on its key. */
static void
check_unique_index(const SyncTarget *target, Relation relation)
{
	AttrNumber key = get_attnum(target->relid, KEY_COLUMN);
	ListCell  *cell;

	if (relation->rd_rel->relkind == RELKIND_VIEW)
		return;
	foreach (cell, RelationGetIndexList(relation))
		if (is_unique_index_on(lfirst_oid(cell), key))
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
			 errmsg("table %s has no unique index on column \"" KEY_COLUMN "\"", target->name),
			 errdetail("A partial or deferrable one does not suffice."),
			 errhint("To create one, execute: CREATE UNIQUE INDEX ON %s (" KEY_COLUMN ");",
					 target->name)));
}

/* Raise an error unless the key has one of the types that it can have. */
static void
check_key(const SyncTarget *target)
{
	Oid type;

	sync_target_require(target, KEY_COLUMN);
	if (target->key < 0)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"" KEY_COLUMN "\" of table %s must not be generated",
							   target->name)));
	type = target->columns[target->key].type;
	if (type != UUIDOID && type != TEXTOID)
		ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
						errmsg("column \"" KEY_COLUMN "\" of table %s must be of type uuid or text",
							   target->name)));
}

/* Raise 0A000 if a relation has rules; that of a view for SELECT is what it shows. */
static void
check_rules(const SyncTarget *target, Relation relation)
{
	const RuleLock *rules = relation->rd_rules;

	for (int i = 0; rules != NULL && i < rules->numLocks; i++)
		if (rules->rules[i]->event != CMD_SELECT)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot synchronize users into %s, which has rules", target->name)));
}

SyncTarget *
sync_target_open(Oid relid, int (*find_source)(const char *name))
{
	SyncTarget *target = palloc0(sizeof(SyncTarget));
	Relation    relation = try_relation_open(relid, AccessShareLock);
	char        kind;

	if (relation == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table with OID %u does not exist", relid)));
	kind = relation->rd_rel->relkind;
	target->relid = relid;
	target->name = quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
											  RelationGetRelationName(relation));
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW)
		ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
						errmsg("%s is not a table or view", target->name)));
	check_rules(target, relation);
	find_columns(target, relation, find_source);
	check_key(target);
	check_unique_index(target, relation);
	make_row_description(target);
	relation_close(relation, NoLock);
	return target;
}

void
sync_target_require(const SyncTarget *target, const char *column)
{
	const char *type = strcmp(column, KEY_COLUMN) == 0 ? "uuid NOT NULL UNIQUE" : "timestamptz";

	if (get_attnum(target->relid, column) == InvalidAttrNumber)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
						errmsg("table %s has no column \"%s\"", target->name, column),
						errhint("To add it, execute: ALTER TABLE %s ADD COLUMN %s %s;",
								target->name, column, type)));
}

/* Return the value of a lower-case hexadecimal digit, or -1. */
static int
parse_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * Convert a uuid that is written as PostgreSQL writes it.  Return NULL for others, which
 * are left to the input function of the type; that takes much longer, and each user has
 * a uuid.
 */
static pg_uuid_t *
parse_uuid(const char *text)
{
	pg_uuid_t *uuid = palloc(sizeof(pg_uuid_t));

	for (int i = 0; i < UUID_LEN; i++)
	{
		int high;
		int low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return NULL;
		if ((high = parse_digit(text[0])) < 0 || (low = parse_digit(text[1])) < 0)
			return NULL;
		uuid->data[i] = (unsigned char) (high << 4 | low);
		text += 2;
	}
	return *text == '\0' ? uuid : NULL;
}

bool
sync_target_convert(SyncTarget *target, int number, char *value, Datum *result)
{
	SyncColumn *column = &target->columns[number];
	pg_uuid_t  *uuid = NULL;

	if (value != NULL && column->type == UUIDOID)
		uuid = parse_uuid(value);
	if (uuid != NULL)
	{
		*result = UUIDPGetDatum(uuid);
		return true;
	}

	/* A domain's function is not strict: it checks whether NULL is allowed. */
	if (value == NULL && column->input.fn_strict)
		return false;
	*result = InputFunctionCall(&column->input, value, column->ioparam, column->typmod);
	return value != NULL;
}
