/*
 * answers.c
 *		Fuzz target: what the service answers to each SQL function: replies,
 *		error bodies and headers, page after page.
 *
 * The first line of an input is the function and its arguments after the
 * server's name, the second how many requests may be in flight and the secret
 * to sign with, each separated by a tab.  The answers of service.c follow.
 */
#include "fuzz.h"

#include "server/options.h"

typedef struct Input
{
	const char *bytes;
	size_t      length;
} Input;

/* Return the fields of a line; NIL if they are no texts. */
static List *
split_line(Input *input)
{
	size_t      length = 0;
	const char *line = fuzz_split(&input->bytes, &input->length, '\n', &length);
	List       *fields = NIL;
	const char *field;
	size_t      field_length;

	if (line == NULL || !fuzz_is_text(line, length))
		return NIL;
	while ((field = fuzz_split(&line, &length, '\t', &field_length)) != NULL)
		fields = lappend(fields, unconstify(char *, field));
	return fields;
}

/* Call the function of an input. */
static void
run_input(void *arg)
{
	Input *input = arg;
	List  *call = split_line(input);
	List  *settings = split_line(input);

	if (call == NIL)
		return;
	fuzz_serve(input->bytes, input->length);
	if (settings != NIL && strtol(linitial(settings), NULL, 10) > 1)
		fuzz_server.max_concurrent_requests = (int) Min(strtol(linitial(settings), NULL, 10), 64);
	if (list_length(settings) > 1)
	{
		fuzz_server.secret_access_key = lsecond(settings);
		option_check_secret(fuzz_server.secret_access_key, fuzz_server.name);
	}
	fuzz_call(linitial(call), list_delete_first(call));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {(const char *) data, size};

	(void) fuzz_try(run_input, &input);
	return 0;
}
