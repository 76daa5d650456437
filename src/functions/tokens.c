/*
 * tokens.c
 *		Tokens of a user pool: their claims, and the keys with which they are signed.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "fetch/srf.h"
#include "functions/tokens.h"
#include "tokens/keys.h"
#include "tokens/object.h"
#include "tokens/verify.h"

char *tokens_setting;

PG_FUNCTION_INFO_V1(cognito_verify_token);
PG_FUNCTION_INFO_V1(cognito_claims);
PG_FUNCTION_INFO_V1(cognito_jwks);

const char *
tokens_show_setting(void)
{
	return tokens_setting[0] != '\0' ? "********" : "";
}

/* Return argument token_use, NULL for any. */
static const char *
get_token_use(FunctionCallInfo fcinfo, int number)
{
	const char *use = PG_ARGISNULL(number) ? NULL : srf_text_arg(fcinfo, number);

	if (use != NULL && strcmp(use, "id") != 0 && strcmp(use, "access") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("argument \"token_use\" must be \"id\", \"access\" or null")));
	return use;
}

/*
 * Keep a statement and its parameters out of the server's log; an error context callback.
 * They may hold the token, and so may the context, which quotes statements of functions.
 */
static void
hide_statement(void *arg pg_attribute_unused())
{
	errhidestmt(true);
	errhidecontext(true);
}

/* cognito_verify_token(server_name, token, token_use) */
Datum
cognito_verify_token(PG_FUNCTION_ARGS)
{
	ErrorContextCallback hiding = {.callback = hide_statement, .previous = error_context_stack};
	const char          *server_name;
	const char          *token;
	Jsonb               *claims;

	error_context_stack = &hiding;
	server_name = srf_text_arg(fcinfo, 0);
	token = srf_text_arg(fcinfo, 1);
	claims = verify_token(server_name, token, get_token_use(fcinfo, 2));
	error_context_stack = hiding.previous;
	PG_RETURN_JSONB_P(claims);
}

/*
 * cognito_claims(server_name): a query string of several statements may begin with that
 * which sets the token.
 */
Datum
cognito_claims(PG_FUNCTION_ARGS)
{
	ErrorContextCallback hiding = {.callback = hide_statement, .previous = error_context_stack};
	const char          *server_name;
	Jsonb               *claims = NULL;

	error_context_stack = &hiding;
	server_name = srf_text_arg(fcinfo, 0);
	if (tokens_setting[0] != '\0')
		claims = verify_token(server_name, tokens_setting, NULL);
	error_context_stack = hiding.previous;
	if (claims == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(claims);
}

/* cognito_jwks(server_name) */
Datum
cognito_jwks(PG_FUNCTION_ARGS)
{
	CognitoServer *server = server_open_public(srf_text_arg(fcinfo, 0), POOL_USER);
	const char    *keys = keys_fetch(server);
	Jsonb         *json = object_parse(keys, strlen(keys));

	server_close(server);
	PG_RETURN_JSONB_P(json);
}
