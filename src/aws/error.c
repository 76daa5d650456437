/*
 * error.c
 *		Why a request brought no reply, and the error that it becomes.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "aws/json.h"
#include "aws/error.h"

/* How much of a service's words goes into an error, in bytes. */
#define MAX_QUOTED 500

/*
 * The characters that are never shown, for they control a terminal, are not seen,
 * or change the order or the lines in which others are: C0, DEL and C1, and of
 * the categories Cf, Zl and Zp those that have no form of their own.
 */
static const struct
{
	pg_wchar first;
	pg_wchar last;
} deceptive[] = {
	{0x01, 0x1f},       /* C0 controls */
	{0x7f, 0x9f},       /* DEL, C1 controls */
	{0xad, 0xad},       /* soft hyphen */
	{0x61c, 0x61c},     /* Arabic letter mark */
	{0x180e, 0x180e},   /* Mongolian vowel separator */
	{0x200b, 0x200f},   /* zero width, marks of direction */
	{0x2028, 0x202e},   /* separators of lines and paragraphs, embeddings, overrides */
	{0x2060, 0x206f},   /* invisible operators, isolates */
	{0xfeff, 0xfeff},   /* byte order mark */
	{0xfff9, 0xfffb},   /* annotations */
	{0x1d173, 0x1d17a}, /* musical controls */
	{0xe0000, 0xe007f}, /* tags */
};

/* The types that mean something in particular; all others are AWS_ERROR_OTHER. */
static const struct
{
	const char  *type;
	AwsErrorKind kind;
} types[] = {
	{"TooManyRequestsException", AWS_ERROR_THROTTLED},
	{"ThrottlingException", AWS_ERROR_THROTTLED},
	{"Throttling", AWS_ERROR_THROTTLED},
	{"InternalErrorException", AWS_ERROR_TRANSIENT},
	{"InternalFailure", AWS_ERROR_TRANSIENT},
	{"ServiceUnavailable", AWS_ERROR_TRANSIENT},
	{"ServiceUnavailableException", AWS_ERROR_TRANSIENT},
	{"RequestTimeTooSkewed", AWS_ERROR_WRONG_CLOCK},
	{"RequestExpired", AWS_ERROR_WRONG_CLOCK},
	{"UnrecognizedClientException", AWS_ERROR_CREDENTIALS},
	{"InvalidClientTokenId", AWS_ERROR_CREDENTIALS},
	{"InvalidSignatureException", AWS_ERROR_CREDENTIALS},
	{"MissingAuthenticationToken", AWS_ERROR_CREDENTIALS},
	{"MissingAuthenticationTokenException", AWS_ERROR_CREDENTIALS},
	{"IncompleteSignature", AWS_ERROR_CREDENTIALS},
	{"IncompleteSignatureException", AWS_ERROR_CREDENTIALS},
	{"ExpiredTokenException", AWS_ERROR_EXPIRED},
	{"ExpiredToken", AWS_ERROR_EXPIRED},
	{"AccessDeniedException", AWS_ERROR_DENIED},
	{"NotAuthorizedException", AWS_ERROR_DENIED},
	{"ResourceNotFoundException", AWS_ERROR_NOT_FOUND},
	{"UserNotFoundException", AWS_ERROR_USER_NOT_FOUND},
	{"InvalidParameterException", AWS_ERROR_ARGUMENT},
	{"ValidationException", AWS_ERROR_ARGUMENT},
};

/* What each kind becomes.  The %s of a message is the server. */
static const struct
{
	int         sqlstate;
	const char *message;
	const char *hint; /* or NULL */
} errors[] = {
	[AWS_ERROR_THROTTLED] =
		{ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "Cognito throttles the requests of server \"%s\"",
		 "The account's quota is shared with the application: try again when it "
		 "is quieter, raise option \"max_retries\", or have the quota raised."},
	[AWS_ERROR_TRANSIENT] = {ERRCODE_FDW_ERROR, "Cognito is failing for server \"%s\"",
							 "This is the service's own failure: try again later."},
	[AWS_ERROR_CONNECTION_LOST] = {ERRCODE_FDW_ERROR,
								   "the connection to Cognito for server \"%s\" broke", NULL},
	[AWS_ERROR_WRONG_CLOCK] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
							   "Cognito refused the time of the request for server \"%s\"",
							   "Set this machine's clock."},
	[AWS_ERROR_CREDENTIALS] =
		{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		 "Cognito refused the credentials of server \"%s\"",
		 "Check the access key, its secret and the region, in the server or in "
		 "the user mapping; temporary keys need \"aws_session_token\" too."},
	[AWS_ERROR_EXPIRED] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
						   "the session token of server \"%s\" has expired",
						   "Set new temporary credentials, or use an access key of a user."},
	[AWS_ERROR_DENIED] = {ERRCODE_INSUFFICIENT_PRIVILEGE,
						  "IAM does not allow the access key of server \"%s\" to do this",
						  NULL}, /* made from the operation */
	[AWS_ERROR_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
							 "Cognito does not find what the request for server \"%s\" asks for",
							 NULL},
	[AWS_ERROR_USER_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
								  "Cognito does not find the user for server \"%s\"", NULL},
	[AWS_ERROR_ARGUMENT] = {ERRCODE_INVALID_PARAMETER_VALUE,
							"Cognito refused an argument of the request for server \"%s\"",
							NULL}, /* of filters only */
	[AWS_ERROR_UNREACHABLE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
							   "could not connect to Cognito for server \"%s\"",
							   "Check \"region\", \"endpoint_url\" (of identity pools, "
							   "\"identity_endpoint_url\"), and what the network allows; "
							   "\"cognito_srf.ca_file\" names certificates to trust."},
	[AWS_ERROR_CONNECT_TIMEOUT] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
								   "connecting to Cognito timed out for server \"%s\"",
								   "Check what the network allows; option \"connect_timeout\" says "
								   "how long to try."},
	[AWS_ERROR_RESPONSE_TIMEOUT] = {ERRCODE_FDW_ERROR,
									"Cognito's answer timed out for server \"%s\"",
									"Option \"request_timeout\" says how long to wait."},
	[AWS_ERROR_TOO_LARGE] = {ERRCODE_FDW_ERROR,
							 "Cognito's answer for server \"%s\" is larger than 32 MB, or has more "
							 "than 256 kB of header lines",
							 NULL},
	[AWS_ERROR_BUFFERS_FULL] = {ERRCODE_FDW_ERROR,
								"Cognito's answers for server \"%s\" are together larger "
								"than 128 MB",
								"Lower option \"max_concurrent_requests\"."},
	[AWS_ERROR_TOO_MANY_FILES] = {ERRCODE_INSUFFICIENT_RESOURCES,
								  "no file descriptor left for a connection to Cognito for server "
								  "\"%s\"",
								  "Lower option \"max_concurrent_requests\", or raise setting "
								  "\"max_files_per_process\"."},
	[AWS_ERROR_OUT_OF_MEMORY] = {ERRCODE_OUT_OF_MEMORY,
								 "out of memory for Cognito's answer for server \"%s\"", NULL},
	[AWS_ERROR_OTHER] = {ERRCODE_FDW_ERROR, "Cognito refused the request for server \"%s\"", NULL},
};

/* What can be missing, by the parameter that asks for it; what is in a pool comes before the pool. */
static const struct
{
	AwsErrorKind kind;
	const char  *parameter;
	const char  *noun;
	const char  *hint; /* or NULL */
} not_found_rules[] = {
	{AWS_ERROR_USER_NOT_FOUND, "Username", "user", NULL},
	{AWS_ERROR_NOT_FOUND, "GroupName", "group", NULL},
	{AWS_ERROR_NOT_FOUND, "ClientId", "app client", NULL},
	{AWS_ERROR_NOT_FOUND, "UserPoolId", "user pool",
	 "Check \"user_pool_id\", and \"region\", with which the id begins."},
	{AWS_ERROR_NOT_FOUND, "IdentityPoolId", "identity pool",
	 "Check \"identity_pool_id\", and \"region\", with which the id begins."},
};

/* The kind of a transfer without a whole answer. */
static AwsErrorKind
kind_of_outcome(HttpOutcome outcome)
{
	switch (outcome)
	{
		case HTTP_UNREACHABLE:
			return AWS_ERROR_UNREACHABLE;
		case HTTP_CONNECT_TIMEOUT:
			return AWS_ERROR_CONNECT_TIMEOUT;
		case HTTP_RESPONSE_TIMEOUT:
			return AWS_ERROR_RESPONSE_TIMEOUT;
		case HTTP_CONNECTION_LOST:
			return AWS_ERROR_CONNECTION_LOST;
		case HTTP_TOO_LARGE:
			return AWS_ERROR_TOO_LARGE;
		case HTTP_BUFFERS_FULL:
			return AWS_ERROR_BUFFERS_FULL;
		case HTTP_TOO_MANY_FILES:
			return AWS_ERROR_TOO_MANY_FILES;
		case HTTP_OUT_OF_MEMORY:
			return AWS_ERROR_OUT_OF_MEMORY;
		default:
			return AWS_ERROR_OTHER;
	}
}

/* The kind of an answer whose type says nothing in particular. */
static AwsErrorKind
kind_of_status(long status)
{
	switch (status)
	{
		case 429:
			return AWS_ERROR_THROTTLED;
		case 500:
		case 502:
		case 503:
		case 504:
			return AWS_ERROR_TRANSIENT;
		default:
			return AWS_ERROR_OTHER;
	}
}

/* The kind of an answer. */
static AwsErrorKind
kind_of_answer(long status, const AwsError *error)
{
	/* A signature is also invalid when its time is wrong; only the message tells. */
	if (error->type != NULL && strcmp(error->type, "InvalidSignatureException") == 0 &&
		error->message != NULL &&
		(strstr(error->message, "Signature expired") != NULL ||
		 strstr(error->message, "not yet current") != NULL))
		return AWS_ERROR_WRONG_CLOCK;

	for (size_t i = 0; error->type != NULL && i < lengthof(types); i++)
		if (strcmp(error->type, types[i].type) == 0)
			return types[i].kind;
	return kind_of_status(status);
}

/* The bare name in a type such as com.amazonaws.cognito#TooManyRequestsException:http://... */
static char *
unqualified_type(const char *type)
{
	const char *hash = strchr(type, '#');

	if (hash != NULL)
		type = hash + 1;
	return pnstrdup(type, strcspn(type, ":"));
}

/* Takes type and message from an error's answer, wherever they stand in it. */
static void
parse_error(HttpRequest *http, AwsError *error)
{
	JsonError    ignored;
	size_t       length;
	const char  *body = http_body(http, &length);
	const cJSON *answer = json_parse(body, length, &ignored);
	const char  *type = json_string(answer, "__type");

	if (type == NULL)
		type = http_header(http, "x-amzn-errortype");
	if (type != NULL)
		error->type = unqualified_type(type);

	error->message = json_string(answer, "message");
	if (error->message == NULL)
		error->message = json_string(answer, "Message");
}

bool
aws_error_of(HttpRequest *http, AwsError *error)
{
	HttpOutcome outcome = http_outcome(http);

	memset(error, 0, sizeof(AwsError));
	if (outcome != HTTP_RESPONSE)
	{
		error->kind = kind_of_outcome(outcome);
		return true;
	}
	if (http_status(http) == 200)
		return false;

	parse_error(http, error);
	error->kind = kind_of_answer(http_status(http), error);
	return true;
}

/* Masks a secret in a copy of some words, wherever it stands in these. */
static void
mask(char *copy, const char *boolean_words, const char *secret)
{
	size_t length = secret != NULL ? strlen(secret) : 0;

	if (length == 0)
		return;
	for (const char *found = strstr(boolean_words, secret); found != NULL;
		 found = strstr(found + length, secret))
		memset(copy + (found - boolean_words), '*', length);
}

/* Clips a text that need not be valid UTF-8, but within no character if it is. */
static void
clip(char *text)
{
	size_t length = MAX_QUOTED;

	if (strlen(text) <= length)
		return;
	while (length > 0 && (text[length] & 0xc0) == 0x80)
		length--;
	text[length] = '\0';
}

/* Is a character one that could make a message look like another? */
static bool
is_deceptive(pg_wchar character)
{
	for (size_t i = 0; i < lengthof(deceptive); i++)
		if (character >= deceptive[i].first && character <= deceptive[i].last)
			return true;
	return false;
}

/* Puts a space in the place of each deceptive character of a valid UTF-8 text. */
static void
replace_deceptive(char *text)
{
	char *end = text;
	int   length;

	for (const char *c = text; *c != '\0'; c += length)
	{
		length = pg_encoding_mblen(PG_UTF8, c);
		if (is_deceptive(utf8_to_unicode((const unsigned char *) c)))
			*end++ = ' ';
		else
		{
			memmove(end, c, length);
			end += length;
		}
	}
	*end = '\0';
}

/* Puts a question mark in the place of each byte that is not ASCII. */
static void
reduce_to_ascii(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
}

/*
 * The other side's words, without secrets and deceptive characters, clipped, and
 * outside ASCII only where this database can hold them.  Services quote requests
 * that they refuse.  No more is looked at than what is shown, and secrets that
 * begin there.
 */
static char *
quote(const char *boolean_words, const CognitoServer *server)
{
	size_t token = server->session_token != NULL ? strlen(server->session_token) : 0;
	char  *seen =
		pnstrdup(boolean_words, MAX_QUOTED + Max(strlen(server->secret_access_key), token));
	char *text = pstrdup(seen);

	mask(text, seen, server->secret_access_key);
	mask(text, seen, server->session_token);
	clip(text);

	if (GetDatabaseEncoding() != PG_UTF8 ||
		!pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
		reduce_to_ascii(text);
	replace_deceptive(text);
	return text;
}

/* A name in a request, which is valid UTF-8, without deceptive characters. */
static char *
quote_name(const char *name)
{
	char *text = pstrdup(name);

	replace_deceptive(text);
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}

/* What is known of a request that was answered. */
static void
describe_answer(StringInfo detail, const AwsError *error, HttpRequest *http,
				const CognitoServer *server)
{
	const char *request_id = http_header(http, "x-amzn-requestid");

	appendStringInfo(detail, "answered with status %ld", http_status(http));
	if (error->type != NULL && error->type[0] != '\0')
		appendStringInfo(detail, ", %s", quote(error->type, server));
	if (error->message != NULL && error->message[0] != '\0')
		appendStringInfo(detail, ", \"%s\"", quote(error->message, server));
	if (request_id != NULL)
		appendStringInfo(detail, ", request id %s", quote(request_id, server));
}

/* Everything that is known, as a sentence about the operation. */
static char *
describe(const AwsError *error, const AwsCall *call, HttpRequest *http, int retries)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s: ", call->operation->name);
	switch (http_outcome(http))
	{
		case HTTP_RESPONSE:
			describe_answer(&detail, error, http, call->server);
			break;
		case HTTP_CONNECT_TIMEOUT:
		case HTTP_RESPONSE_TIMEOUT:
			appendStringInfo(&detail, "gave up after %.3f s while %s", http_seconds(http),
							 http_phase(http));
			break;
		default:
			if (http_error(http)[0] != '\0')
				appendStringInfo(&detail, "%s, ", quote(http_error(http), call->server));
			appendStringInfo(&detail, "while %s", http_phase(http));
	}
	if (retries > 0)
		appendStringInfo(&detail, ", after %d %s", retries, retries == 1 ? "retry" : "retries");
	appendStringInfoChar(&detail, '.');
	return detail.data;
}

/* Return the value of a parameter in UTF-8, or NULL if it was not given. */
static const char *
get_argument(const AwsCall *call, const char *parameter)
{
	for (int i = 0; i < AWS_MAX_PARAMETERS; i++)
		if (call->arguments[i] != NULL && strcmp(call->operation->parameters[i], parameter) == 0)
			return pg_server_to_any(call->arguments[i], (int) strlen(call->arguments[i]), PG_UTF8);
	return NULL;
}

/*
 * Find what the service does not find: of what was asked for, what its words
 * quote, or else what stands first in not_found_rules.  Set its name, in UTF-8;
 * return the number of its rule, or -1 if there is none.
 */
static int
find_missing(const AwsError *error, const AwsCall *call, const char **name)
{
	int missing = -1;

	for (int i = lengthof(not_found_rules) - 1; i >= 0; i--)
	{
		const char *value = get_argument(call, not_found_rules[i].parameter);

		if (not_found_rules[i].kind != error->kind || value == NULL)
			continue;
		missing = i;
		*name = value;
		if (error->message != NULL && strstr(error->message, value) != NULL)
			break;
	}
	return missing;
}

/* Return what to do about an error, or NULL. */
static const char *
find_hint(const AwsError *error, const AwsCall *call)
{
	if (error->kind == AWS_ERROR_DENIED)
		return psprintf("Allow the action %s:%s in the key's IAM policy.",
						call->operation->service->prefix, call->operation->name);
	if (error->kind == AWS_ERROR_ARGUMENT && get_argument(call, "Filter") != NULL)
		return "A filter is one comparison, such as email = \"a@example.com\" or "
			   "username ^= \"ab\", of at most 256 characters.";
	return errors[error->kind].hint;
}

void
aws_error_raise(const AwsError *error, const AwsCall *call, HttpRequest *http, int retries)
{
	char       *detail = describe(error, call, http, retries);
	const char *hint = find_hint(error, call);
	const char *name = NULL;
	int         missing = find_missing(error, call, &name);

	if (missing >= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("%s \"%s\" of server \"%s\" does not exist",
							   not_found_rules[missing].noun, quote_name(name), call->server->name),
						errdetail_internal("%s", detail),
						not_found_rules[missing].hint != NULL
							? errhint("%s", not_found_rules[missing].hint)
							: 0));

	ereport(ERROR, (errcode(errors[error->kind].sqlstate),
					errmsg(errors[error->kind].message, call->server->name),
					errdetail_internal("%s", detail), hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}
