/*
 * description.c
 *		Descriptions: fetch the single object that an operation returns, as a row.
 */
#include "postgres.h"

#include "aws/json.h"
#include "fetch/description.h"

/* Return the described object of a reply; raise HV000 if it is missing. */
static const cJSON *
find_object(const Description *description, const AwsRequest *request, const cJSON *reply)
{
	const cJSON *object = reply;

	if (description->object != NULL)
		object = json_member(reply, description->object);
	if (object == NULL)
		aws_reject_reply(request, psprintf("The reply has no member \"%s\".", description->object));
	if (!cJSON_IsObject(object))
		aws_reject_reply(request, psprintf("Member \"%s\" is not an object.", description->object));
	return object;
}

void
description_fetch(const Description *description, const CognitoServer *server,
				  const char *const *arguments, Tuplestorestate *rows, TupleDesc columns)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	AwsRequest   *request = aws_perform(server, &description->operation, arguments);
	Row row = {.request = request, .item = find_object(description, request, aws_reply(request))};

	row_append(&row, description->make_row, rows, columns);
	server->session->rows++;
	MemoryContextSwitchTo(caller);
}
