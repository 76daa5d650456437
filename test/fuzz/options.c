/*
 * options.c
 *		Fuzz target: the options of servers and user mappings.
 *
 * The first line of an input is "server" or "mapping"; each line after it is
 * an option's name and value, separated by a tab.
 */
#include "fuzz.h"

#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"

#include "server/options.h"
#include "tokens/keys.h"

extern Datum cognito_fdw_validator(PG_FUNCTION_ARGS);

typedef struct Input
{
	const char *bytes;
	size_t      length;
} Input;

/* Return a list of DefElem; NIL if one of them is no text. */
static List *
read_options(Input *input)
{
	List       *options = NIL;
	const char *line;
	size_t      length;

	while ((line = fuzz_split(&input->bytes, &input->length, '\n', &length)) != NULL)
	{
		DefElem *option = palloc0(sizeof(DefElem));
		size_t   name_length;

		option->type = T_DefElem;
		if (!fuzz_is_text(line, length))
			return NIL;
		option->defname = fuzz_split(&line, &length, '\t', &name_length);
		if (option->defname == NULL)
			return NIL;
		option->arg = (Node *) fuzz_string(line, length);
		options = lappend(options, option);
	}
	return options;
}

/* Send a request to a server with these options: its URL and its headers are made of them. */
static void
use_options(List *options)
{
	CognitoServer complete;

	fuzz_serve("", 0);
	complete = fuzz_server;
	options_read(options, &fuzz_server);
	(void) options_read_credentials(options, false, &fuzz_server);
	if (fuzz_server.region == NULL)
		fuzz_server.region = complete.region;
	if (fuzz_server.user_pool_id == NULL)
		fuzz_server.user_pool_id = complete.user_pool_id;
	if (fuzz_server.access_key_id == NULL)
		fuzz_server.access_key_id = complete.access_key_id;
	if (fuzz_server.secret_access_key == NULL)
		fuzz_server.secret_access_key = complete.secret_access_key;
	fuzz_check(fuzz_server.connect_timeout > 0);
	fuzz_server.credential_source = fuzz_server.role_arn =
		NULL; /* they have a target of their own */
	fuzz_call("cognito_groups", NIL);
}

/* Validate the options of an input, and use them if they are valid. */
static void
run_input(void *arg)
{
	Input      *input = arg;
	size_t      length;
	const char *place = fuzz_split(&input->bytes, &input->length, '\n', &length);
	List       *options = read_options(input);
	List       *validated = NIL;
	ListCell   *cell;
	LOCAL_FCINFO(fcinfo, 2);

	if (place == NULL || options == NIL)
		return;

	/* The validator wipes what it is given. */
	foreach (cell, options)
	{
		DefElem *copy = palloc(sizeof(DefElem));

		*copy = *(DefElem *) lfirst(cell);
		copy->arg = (Node *) pstrdup((char *) copy->arg);
		validated = lappend(validated, copy);
	}
	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){.value = PointerGetDatum(validated)};
	fcinfo->args[1] = (NullableDatum){.value = ObjectIdGetDatum(strcmp(place, "server") == 0
																	? ForeignServerRelationId
																	: UserMappingRelationId)};
	cognito_fdw_validator(fcinfo);
	use_options(options);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {(const char *) data, size};

	options_check_keys = keys_check;
	(void) fuzz_try(run_input, &input);
	return 0;
}
