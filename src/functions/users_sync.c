/*
 * users_sync.c
 *		Synchronize the users of a user pool into a table: cognito_sync_users.
 *
 * A user pool is synchronized in partitions by the first digit of sub, as many at a time
 * as requests may be in flight.  Those are listed without a transaction's snapshot,
 * which would hold back VACUUM, and then written and committed.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "fetch/srf.h"
#include "functions/users_listing.h"
#include "sync/record.h"
#include "sync/write.h"

/* A call of cognito_sync_users. */
typedef struct SyncCall
{
	Oid           role; /* that calls */
	const char   *server_name;
	SyncRecord    record;
	SyncDeletions deletions;
	double        max_deleted;
	SyncCounts    sum;
} SyncCall;

/* The columns of cognito_users, which have precedence over attributes of the same name. */
static const struct
{
	const char *name;
	Oid         type;
} user_columns[USER_COLUMNS] = {
	[USER_USERNAME] = {"username", TEXTOID},
	[USER_EMAIL] = {"email", TEXTOID},
	[USER_STATUS] = {"status", TEXTOID},
	[USER_ENABLED] = {"enabled", BOOLOID},
	[USER_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
	[USER_UPDATED_AT] = {"updated_at", TIMESTAMPTZOID},
	[USER_ATTRIBUTES] = {"attributes", JSONBOID},
};

/* The source of a column that is an attribute of its name. */
#define SOURCE_ATTRIBUTE USER_COLUMNS

/* The standard attributes of a user pool, without those that are columns of cognito_users. */
static const char *const standard_attributes[] = {
	"sub",          "address",
	"birthdate",    "email_verified",
	"family_name",  "gender",
	"given_name",   "identities",
	"locale",       "middle_name",
	"name",         "nickname",
	"phone_number", "phone_number_verified",
	"picture",      "preferred_username",
	"profile",      "website",
	"zoneinfo",
};

PG_FUNCTION_INFO_V1(cognito_sync_users);

/* Return the source of a column by its name: a UserColumn, SOURCE_ATTRIBUTE, or -1 for none. */
static int
find_source(const char *name)
{
	for (int i = 0; i < USER_COLUMNS; i++)
		if (strcmp(user_columns[i].name, name) == 0)
			return i;
	for (size_t i = 0; i < lengthof(standard_attributes); i++)
		if (strcmp(standard_attributes[i], name) == 0)
			return SOURCE_ATTRIBUTE;
	return strncmp(name, "custom:", strlen("custom:")) == 0 ? SOURCE_ATTRIBUTE : -1;
}

/* A column of a user's row that is being set, for the context of errors. */
typedef struct ColumnContext
{
	const Row  *user;
	const char *column;
} ColumnContext;

/* Add the user and the column to an error. */
static void
add_context(void *arg)
{
	const ColumnContext *context = arg;
	const Row           *user = context->user;
	const char          *username = "";

	if (!user->nulls[USER_USERNAME])
		username = TextDatumGetCString(user->values[USER_USERNAME]);
	errcontext("column \"%s\" of user \"%s\"", context->column, username);
}

/* Set a column from a text in the database's encoding, or NULL. */
static void
set_from_text(Row *row, SyncTarget *target, int number, char *text)
{
	if (sync_target_convert(target, number, text, &row->values[number]))
		row->nulls[number] = false;
}

/* Set a column from a column of cognito_users; other types are converted from text. */
static void
set_from_column(Row *row, SyncTarget *target, int number, const Row *user)
{
	const SyncColumn *column = &target->columns[number];
	Oid               type = user_columns[column->source].type;
	Oid               output;
	bool              is_varlena;

	if (user->nulls[column->source])
		set_from_text(row, target, number, NULL);
	else if (column->type == type && column->typmod == -1)
		row_set(row, number, user->values[column->source]);
	else if (type == TEXTOID)
		set_from_text(row, target, number, TextDatumGetCString(user->values[column->source]));
	else
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		set_from_text(row, target, number,
					  OidOutputFunctionCall(output, user->values[column->source]));
	}
}

/* Raise HV000 for a sub that does not show the partition of its user. */
static void
check_sub(const Row *row, const char *sub)
{
	if (sub == NULL || sub[0] == '\0' || strchr(SYNC_PARTITIONS, sub[0]) == NULL)
		row_reject(row, "has no \"sub\" that starts with a hexadecimal digit", "Attributes");
}

/* Set a column from the attribute of its name; NULL if the user has none. */
static void
set_from_attribute(Row *row, SyncTarget *target, int number, const Row *user)
{
	const char *name = target->columns[number].name;
	char       *text = NULL;
	JsonbValue  value;

	if (!user->nulls[USER_ATTRIBUTES] &&
		getKeyJsonValueFromContainer(&DatumGetJsonbP(user->values[USER_ATTRIBUTES])->root, name,
									 (int) strlen(name), &value) != NULL)
		text = pnstrdup(value.val.string.val, value.val.string.len);
	if (number == target->key)
		check_sub(row, text);
	set_from_text(row, target, number, text);
}

/* Set the columns of the target's row from the columns of a user. */
static void
set_columns(Row *row, SyncTarget *target, const Row *user)
{
	ColumnContext        context = {.user = user};
	ErrorContextCallback callback = {error_context_stack, add_context, &context};

	error_context_stack = &callback;
	for (int i = 0; i < target->ncolumns; i++)
	{
		context.column = target->columns[i].name;
		if (target->columns[i].source == SOURCE_ATTRIBUTE)
			set_from_attribute(row, target, i, user);
		else
			set_from_column(row, target, i, user);
	}
	error_context_stack = callback.previous;
}

/*
 * Set the columns of the target's row for a user; a RowMaker.  The constraints of
 * domains need a snapshot.  That of the transaction would last until its end if it is
 * repeatable read.
 */
static void
make_target_row(Row *row)
{
	Datum values[USER_COLUMNS];
	bool  nulls[USER_COLUMNS];
	Row   user = *row;

	user.values = values;
	user.nulls = nulls;
	memset(nulls, true, sizeof(nulls));
	users_make_row(&user);

	PushActiveSnapshot(GetCatalogSnapshot(InvalidOid));
	set_columns(row, unconstify(void *, row->arg), &user);
	PopActiveSnapshot();
	InvalidateCatalogSnapshotConditionally();
}

/* List the users of a batch's partitions into rows of the target. */
static void
list_users(const SyncBatch *batch, const CognitoServer *server, Tuplestorestate *rows)
{
	Listing listing = users_listing;
	List   *parts = NIL;

	listing.function = "cognito_sync_users";
	listing.make_row = make_target_row;
	listing.row_arg = batch->target;
	if (strlen(batch->partitions) == SYNC_NPARTITIONS)
		parts = list_make1(users_pool_part(server));
	else
		for (const char *digit = batch->partitions; *digit != '\0'; digit++)
			parts = lappend(parts, users_partition_part(server, *digit));
	listing_fetch(&listing, server, parts, LISTING_ALL, 0, rows, batch->target->row);
}

/* Add the counts of a batch to those of the call. */
static void
add_counts(SyncCall *call, const SyncBatch *batch)
{
	for (int i = 0; i < SYNC_NPARTITIONS; i++)
	{
		call->sum.inserted += batch->counts[i].inserted;
		call->sum.updated += batch->counts[i].updated;
		call->sum.deleted += batch->counts[i].deleted;
		call->sum.unchanged += batch->counts[i].unchanged;
	}
}

/* Make the description of a batch; the target is described in the current transaction. */
static SyncBatch
make_batch(const SyncCall *call, const char *partitions)
{
	return (SyncBatch){.target = sync_target_open(call->record.target, find_source),
					   .partitions = partitions,
					   .deletions = call->deletions,
					   .max_deleted = call->max_deleted,
					   .started = GetCurrentTimestamp()};
}

/* Describe the target again, which was not locked, and raise 55000 if its columns have changed. */
static void
reopen_target(SyncBatch *batch)
{
	SyncTarget *target = sync_target_open(batch->target->relid, find_source);

	if (!equalTupleDescs(target->row, batch->target->row))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table %s was altered while users were listed", target->name)));
	batch->target = target;
}

/*
 * Commit, and raise 55000 if that has changed the role, as after SET LOCAL ROLE: what
 * follows would be done with other rights than the caller has chosen.
 */
static void
commit(const SyncCall *call)
{
	SPI_commit();
	if (GetUserId() != call->role)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("role was changed when cognito_sync_users committed"),
						errhint("Use SET ROLE instead of SET LOCAL ROLE.")));
}

/* Open the server for a batch; raise 55000 if it has another user pool than at the start. */
static CognitoServer *
open_server(const SyncCall *call)
{
	CognitoServer *server = srf_open(call->server_name, POOL_USER, NULL, true);

	server->session->calls--; /* it has been counted */
	if (strcmp(server->user_pool_id, call->record.pool) != 0)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("server \"%s\" was set to another user pool while users were listed",
							   server->name)));
	return server;
}

/*
 * Synchronize some partitions and commit.  Return false if that may succeed after other
 * partitions, and may_fail.
 */
static bool
synchronize(SyncCall *call, const char *partitions, bool may_fail)
{
	SyncBatch        batch = make_batch(call, partitions);
	CognitoServer   *server = open_server(call);
	Tuplestorestate *rows;
	bool             result;

	/* Release snapshot and locks while pages are fetched. */
	commit(call);
	rows = tuplestore_begin_heap(false, false, work_mem);
	list_users(&batch, server, rows);
	server_close(server);

	reopen_target(&batch);
	result = sync_write(&batch, rows, may_fail);
	tuplestore_end(rows);
	if (result)
	{
		sync_record_batch(&call->record, &batch);
		add_counts(call, &batch);
	}
	commit(call);
	return result;
}

/* Synchronize the partitions that are due, as many at a time as requests may be in flight. */
static void
synchronize_all(SyncCall *call, char *due, size_t batch_size)
{
	StringInfoData later;

	initStringInfo(&later);
	while (due[0] != '\0')
	{
		char *partitions = pnstrdup(due, batch_size);

		due += strlen(partitions);
		if (!synchronize(call, partitions, due[0] != '\0' || later.len > 0))
			appendStringInfoString(&later, partitions);
	}
	if (later.len > 0)
		(void) synchronize(call, later.data, false);
}

/* Raise an error for a call that cannot commit, or while no requests are sent. */
static void
check_state(FunctionCallInfo fcinfo)
{
	PreventCommandIfReadOnly("cognito_sync_users");
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic || IsSubTransaction())
		ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
						errmsg("cognito_sync_users cannot be called inside a transaction block"),
						errdetail("It commits each partition of the user pool separately.")));
	if (srf_offline)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot synchronize users while cognito_srf.offline is on")));
}

/* Return the value of argument deletions. */
static SyncDeletions
parse_deletions(const char *value)
{
	if (strcmp(value, "keep") == 0)
		return SYNC_KEEP;
	if (strcmp(value, "delete") == 0)
		return SYNC_DELETE;
	if (strcmp(value, "mark") == 0)
		return SYNC_MARK;
	ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					errmsg("invalid value for argument \"deletions\": \"%s\"", value),
					errhint("Valid values are \"keep\", \"delete\" and \"mark\".")));
}

/* Set a call from its arguments. */
static void
read_arguments(SyncCall *call, FunctionCallInfo fcinfo)
{
	for (int i = 0; i < 5; i++)
		srf_require_arg(fcinfo, i);
	call->role = GetUserId();
	call->server_name = srf_text_arg(fcinfo, 0);
	call->record.table = sync_record_find(fcinfo->flinfo->fn_oid);
	call->record.target = PG_GETARG_OID(1);
	call->deletions = parse_deletions(srf_text_arg(fcinfo, 2));
	call->max_deleted = PG_GETARG_FLOAT8(4);
	if (!(call->max_deleted >= 0 && call->max_deleted <= 1))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"max_deleted\" must be between 0 and 1")));
}

/*
 * Raise an error, before any request, for a target that cannot be written; return its
 * name.
 */
static const char *
check_target(const SyncCall *call)
{
	SyncBatch batch = make_batch(call, SYNC_PARTITIONS);

	if (call->deletions != SYNC_KEEP)
		sync_target_require(batch.target, "created_at");
	if (call->deletions == SYNC_MARK)
		sync_target_require(batch.target, "deleted_at");
	sync_check(&batch);
	return batch.target->name;
}

/*
 * Lock the target against other synchronizations, until the session ends or an error
 * occurs; raise 55P03 if there is one.  Nothing else conflicts with this lock.  Only a
 * role that may write the target gets here, so others cannot keep it locked.
 */
static void
lock_target(const SyncCall *call, const char *name, LOCKTAG *tag, Oid procedure)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, procedure, call->record.target, 0);
	if (LockAcquire(tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL)
		ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
						errmsg("table %s is being synchronized by another session", name)));
}

/* Return the counts as the row of the procedure's INOUT parameters. */
static Datum
make_result(FunctionCallInfo fcinfo, const SyncCounts *counts)
{
	TupleDesc columns;
	Datum     values[] = {Int64GetDatum(counts->inserted), Int64GetDatum(counts->updated),
						  Int64GetDatum(counts->deleted), Int64GetDatum(counts->unchanged)};
	bool      nulls[lengthof(values)] = {false};

	if (get_call_result_type(fcinfo, NULL, &columns) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(columns), values, nulls));
}

/* cognito_sync_users(server_name, target, deletions, max_age, max_deleted, ...) */
Datum
cognito_sync_users(PG_FUNCTION_ARGS)
{
	SyncCall       call = {0};
	CognitoServer *server;
	size_t         batch_size;
	bool           has_filters; /* the service heeds filters */
	const char    *target;
	LOCKTAG        lock;
	char          *due;

	check_state(fcinfo);
	read_arguments(&call, fcinfo);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	target = check_target(&call);
	server = srf_open(call.server_name, POOL_USER, NULL, true);
	batch_size = Min(server->max_concurrent_requests, SYNC_NPARTITIONS);
	has_filters = server->pushdown;
	call.record.server = call.server_name;
	call.record.pool = pstrdup(server->user_pool_id);
	server_close(server);

	lock_target(&call, target, &lock, fcinfo->flinfo->fn_oid);
	due = sync_record_due(&call.record, PG_GETARG_INTERVAL_P(3));
	if (due[0] != '\0' && !has_filters)
		(void) synchronize(&call, SYNC_PARTITIONS,
						   false); /* each partition would be the whole pool */
	else
		synchronize_all(&call, due, batch_size);
	LockRelease(&lock, ExclusiveLock, true);
	SPI_finish();
	return make_result(fcinfo, &call.sum);
}
