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

/* The types that mean something in particular; all others are REFUSAL_OTHER. */
static const struct
{
	const char *type;
	RefusalKind kind;
} types[] = {
	{"TooManyRequestsException", REFUSAL_THROTTLED},
	{"ThrottlingException", REFUSAL_THROTTLED},
	{"Throttling", REFUSAL_THROTTLED},
	{"InternalErrorException", REFUSAL_TRANSIENT},
	{"InternalFailure", REFUSAL_TRANSIENT},
	{"ServiceUnavailable", REFUSAL_TRANSIENT},
	{"ServiceUnavailableException", REFUSAL_TRANSIENT},
	{"RequestTimeTooSkewed", REFUSAL_WRONG_CLOCK},
	{"RequestExpired", REFUSAL_WRONG_CLOCK},
	{"UnrecognizedClientException", REFUSAL_CREDENTIALS},
	{"InvalidClientTokenId", REFUSAL_CREDENTIALS},
	{"InvalidSignatureException", REFUSAL_CREDENTIALS},
	{"MissingAuthenticationToken", REFUSAL_CREDENTIALS},
	{"MissingAuthenticationTokenException", REFUSAL_CREDENTIALS},
	{"IncompleteSignature", REFUSAL_CREDENTIALS},
	{"IncompleteSignatureException", REFUSAL_CREDENTIALS},
	{"ExpiredTokenException", REFUSAL_EXPIRED},
	{"ExpiredToken", REFUSAL_EXPIRED},
	{"AccessDeniedException", REFUSAL_DENIED},
	{"NotAuthorizedException", REFUSAL_DENIED},
	{"ResourceNotFoundException", REFUSAL_NOT_FOUND},
	{"UserNotFoundException", REFUSAL_USER_NOT_FOUND},
	{"InvalidParameterException", REFUSAL_ARGUMENT},
	{"ValidationException", REFUSAL_ARGUMENT},
};

/* What each kind becomes.  The %s of a message is the server. */
static const struct
{
	int         sqlstate;
	const char *message;
	const char *hint; /* or NULL */
} errors[] = {
	[REFUSAL_THROTTLED] = {ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
						   "Cognito throttles the requests of server \"%s\"",
						   "The account's quota is shared with the application: try again when it "
						   "is quieter, raise option \"max_retries\", or have the quota raised."},
	[REFUSAL_TRANSIENT] = {ERRCODE_FDW_ERROR, "Cognito is failing for server \"%s\"",
						   "This is the service's own failure: try again later."},
	[REFUSAL_BROKEN] = {ERRCODE_FDW_ERROR, "the connection to Cognito for server \"%s\" broke",
						NULL},
	[REFUSAL_WRONG_CLOCK] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
							 "Cognito refused the time of the request for server \"%s\"",
							 "Set this machine's clock."},
	[REFUSAL_CREDENTIALS] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
							 "Cognito refused the credentials of server \"%s\"",
							 "Check the access key, its secret and the region, in the server or in "
							 "the user mapping; temporary keys need \"aws_session_token\" too."},
	[REFUSAL_EXPIRED] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
						 "the session token of server \"%s\" has expired",
						 "Set new temporary credentials, or use an access key of a user."},
	[REFUSAL_DENIED] = {ERRCODE_INSUFFICIENT_PRIVILEGE,
						"IAM does not allow the access key of server \"%s\" to do this",
						NULL}, /* made from the operation */
	[REFUSAL_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
						   "Cognito does not find what the request for server \"%s\" asks for",
						   NULL},
	[REFUSAL_USER_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
								"Cognito does not find the user for server \"%s\"", NULL},
	[REFUSAL_ARGUMENT] = {ERRCODE_INVALID_PARAMETER_VALUE,
						  "Cognito refused an argument of the request for server \"%s\"",
						  NULL}, /* of filters only */
	[REFUSAL_UNREACHABLE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
							 "could not connect to Cognito for server \"%s\"",
							 "Check \"region\", \"endpoint_url\" (of identity pools, "
							 "\"identity_endpoint_url\"), and what the network allows; "
							 "\"cognito_srf.ca_file\" names certificates to trust."},
	[REFUSAL_CONNECT_TIMEOUT] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
								 "connecting to Cognito timed out for server \"%s\"",
								 "Check what the network allows; option \"connect_timeout\" says "
								 "how long to try."},
	[REFUSAL_ANSWER_TIMEOUT] = {ERRCODE_FDW_ERROR, "Cognito's answer timed out for server \"%s\"",
								"Option \"request_timeout\" says how long to wait."},
	[REFUSAL_TOO_LARGE] = {ERRCODE_FDW_ERROR,
						   "Cognito's answer for server \"%s\" is larger than 32 MB, or has more "
						   "than 256 kB of header lines",
						   NULL},
	[REFUSAL_TOO_LARGE_TOGETHER] = {ERRCODE_FDW_ERROR,
									"Cognito's answers for server \"%s\" are together larger "
									"than 128 MB",
									"Lower option \"max_concurrent_requests\"."},
	[REFUSAL_TOO_MANY_FILES] = {ERRCODE_INSUFFICIENT_RESOURCES,
								"no file descriptor left for a connection to Cognito for server "
								"\"%s\"",
								"Lower option \"max_concurrent_requests\", or raise setting "
								"\"max_files_per_process\"."},
	[REFUSAL_OUT_OF_MEMORY] = {ERRCODE_OUT_OF_MEMORY,
							   "out of memory for Cognito's answer for server \"%s\"", NULL},
	[REFUSAL_OTHER] = {ERRCODE_FDW_ERROR, "Cognito refused the request for server \"%s\"", NULL},
};

/* What can be missing, by the parameter that asks for it; what is in a pool comes before the pool. */
static const struct
{
	RefusalKind kind;
	const char *parameter;
	const char *noun;
	const char *hint; /* or NULL */
} things[] = {
	{REFUSAL_USER_NOT_FOUND, "Username", "user", NULL},
	{REFUSAL_NOT_FOUND, "GroupName", "group", NULL},
	{REFUSAL_NOT_FOUND, "ClientId", "app client", NULL},
	{REFUSAL_NOT_FOUND, "UserPoolId", "user pool",
	 "Check \"user_pool_id\", and \"region\", with which the id begins."},
	{REFUSAL_NOT_FOUND, "IdentityPoolId", "identity pool",
	 "Check \"identity_pool_id\", and \"region\", with which the id begins."},
};

/* The kind of a transfer without a whole answer. */
static RefusalKind
kind_of_outcome(HttpOutcome outcome)
{
	switch (outcome)
	{
		case HTTP_UNREACHABLE:
			return REFUSAL_UNREACHABLE;
		case HTTP_CONNECT_TIMEOUT:
			return REFUSAL_CONNECT_TIMEOUT;
		case HTTP_ANSWER_TIMEOUT:
			return REFUSAL_ANSWER_TIMEOUT;
		case HTTP_BROKEN:
			return REFUSAL_BROKEN;
		case HTTP_TOO_LARGE:
			return REFUSAL_TOO_LARGE;
		case HTTP_TOO_LARGE_TOGETHER:
			return REFUSAL_TOO_LARGE_TOGETHER;
		case HTTP_TOO_MANY_FILES:
			return REFUSAL_TOO_MANY_FILES;
		case HTTP_OUT_OF_MEMORY:
			return REFUSAL_OUT_OF_MEMORY;
		default:
			return REFUSAL_OTHER;
	}
}

/* The kind of an answer whose type says nothing in particular. */
static RefusalKind
kind_of_status(long status)
{
	switch (status)
	{
		case 429:
			return REFUSAL_THROTTLED;
		case 500:
		case 502:
		case 503:
		case 504:
			return REFUSAL_TRANSIENT;
		default:
			return REFUSAL_OTHER;
	}
}

/* The kind of an answer. */
static RefusalKind
kind_of_answer(long status, const Refusal *refusal)
{
	/* A signature is also invalid when its time is wrong; only the message tells. */
	if (refusal->type != NULL && strcmp(refusal->type, "InvalidSignatureException") == 0 &&
		refusal->message != NULL &&
		(strstr(refusal->message, "Signature expired") != NULL ||
		 strstr(refusal->message, "not yet current") != NULL))
		return REFUSAL_WRONG_CLOCK;

	for (size_t i = 0; refusal->type != NULL && i < lengthof(types); i++)
		if (strcmp(refusal->type, types[i].type) == 0)
			return types[i].kind;
	return kind_of_status(status);
}

/* The bare name in a type such as com.amazonaws.cognito#TooManyRequestsException:http://... */
static char *
bare_type(const char *type)
{
	const char *hash = strchr(type, '#');

	if (hash != NULL)
		type = hash + 1;
	return pnstrdup(type, strcspn(type, ":"));
}

/* Takes type and message from an error's answer, wherever they stand in it. */
static void
read_error(HttpRequest *http, Refusal *refusal)
{
	JsonProblem  ignored;
	size_t       length;
	const char  *body = http_body(http, &length);
	const cJSON *answer = json_parse(body, length, &ignored);
	const char  *type = json_string(answer, "__type");

	if (type == NULL)
		type = http_header(http, "x-amzn-errortype");
	if (type != NULL)
		refusal->type = bare_type(type);

	refusal->message = json_string(answer, "message");
	if (refusal->message == NULL)
		refusal->message = json_string(answer, "Message");
}

bool
refusal_of(HttpRequest *http, Refusal *refusal)
{
	HttpOutcome outcome = http_outcome(http);

	memset(refusal, 0, sizeof(Refusal));
	if (outcome != HTTP_ANSWERED)
	{
		refusal->kind = kind_of_outcome(outcome);
		return true;
	}
	if (http_status(http) == 200)
		return false;

	read_error(http, refusal);
	refusal->kind = kind_of_answer(http_status(http), refusal);
	return true;
}

/* Masks a secret in a copy of some words, wherever it stands in these. */
static void
mask(char *copy, const char *words, const char *secret)
{
	size_t length = secret != NULL ? strlen(secret) : 0;

	if (length == 0)
		return;
	for (const char *found = strstr(words, secret); found != NULL;
		 found = strstr(found + length, secret))
		memset(copy + (found - words), '*', length);
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
tame(char *text)
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
quote(const char *words, const CognitoServer *server)
{
	size_t token = server->session_token != NULL ? strlen(server->session_token) : 0;
	char  *seen = pnstrdup(words, MAX_QUOTED + Max(strlen(server->secret_access_key), token));
	char  *text = pstrdup(seen);

	mask(text, seen, server->secret_access_key);
	mask(text, seen, server->session_token);
	clip(text);

	if (GetDatabaseEncoding() != PG_UTF8 ||
		!pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
		reduce_to_ascii(text);
	tame(text);
	return text;
}

/* A name in a request, which is valid UTF-8, without deceptive characters. */
static char *
quote_name(const char *name)
{
	char *text = pstrdup(name);

	tame(text);
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}

/* What is known of a request that was answered. */
static void
describe_answer(StringInfo detail, const Refusal *refusal, HttpRequest *http,
				const CognitoServer *server)
{
	const char *request_id = http_header(http, "x-amzn-requestid");

	appendStringInfo(detail, "answered with status %ld", http_status(http));
	if (refusal->type != NULL && refusal->type[0] != '\0')
		appendStringInfo(detail, ", %s", quote(refusal->type, server));
	if (refusal->message != NULL && refusal->message[0] != '\0')
		appendStringInfo(detail, ", \"%s\"", quote(refusal->message, server));
	if (request_id != NULL)
		appendStringInfo(detail, ", request id %s", quote(request_id, server));
}

/* Everything that is known, as a sentence about the operation. */
static char *
describe(const Refusal *refusal, HttpRequest *http, const CognitoServer *server,
		 const char *operation, int retries)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s: ", operation);
	switch (http_outcome(http))
	{
		case HTTP_ANSWERED:
			describe_answer(&detail, refusal, http, server);
			break;
		case HTTP_CONNECT_TIMEOUT:
		case HTTP_ANSWER_TIMEOUT:
			appendStringInfo(&detail, "gave up after %.3f s while %s", http_seconds(http),
							 http_phase(http));
			break;
		default:
			appendStringInfo(&detail, "%s, while %s", quote(http_error(http), server),
							 http_phase(http));
	}
	if (retries > 0)
		appendStringInfo(&detail, ", after %d %s", retries, retries == 1 ? "retry" : "retries");
	appendStringInfoChar(&detail, '.');
	return detail.data;
}

/*
 * The number of the thing that is missing, and its name: of those that were
 * asked for, the one that the service's words quote, or else the first.  -1 if
 * there is none.
 */
static int
find_missing(const Refusal *refusal, const cJSON *asked, const char **name)
{
	int missing = -1;

	for (int i = lengthof(things) - 1; i >= 0; i--)
	{
		const char *value = json_string(asked, things[i].parameter);

		if (things[i].kind != refusal->kind || value == NULL)
			continue;
		missing = i;
		*name = value;
		if (refusal->message != NULL && strstr(refusal->message, value) != NULL)
			break;
	}
	return missing;
}

/* What to do about it, or NULL. */
static const char *
find_hint(const Refusal *refusal, const cJSON *asked, const char *service, const char *operation)
{
	if (refusal->kind == REFUSAL_DENIED)
		return psprintf("Allow the action %s:%s in the key's IAM policy.", service, operation);
	if (refusal->kind == REFUSAL_ARGUMENT && json_string(asked, "Filter") != NULL)
		return "A filter is one comparison, such as email = \"a@example.com\" or "
			   "username ^= \"ab\", of at most 256 characters.";
	return errors[refusal->kind].hint;
}

void
refusal_raise(const Refusal *refusal, HttpRequest *http, const CognitoServer *server,
			  const char *service, const char *operation, const char *body, int retries)
{
	JsonProblem  ignored;
	const cJSON *asked = json_parse(body, strlen(body), &ignored);
	char        *detail = describe(refusal, http, server, operation, retries);
	const char  *hint = find_hint(refusal, asked, service, operation);
	const char  *name = NULL;
	int          missing = find_missing(refusal, asked, &name);

	if (missing >= 0)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("%s \"%s\" of server \"%s\" does not exist", things[missing].noun,
							   quote_name(name), server->name),
						errdetail_internal("%s", detail),
						things[missing].hint != NULL ? errhint("%s", things[missing].hint) : 0));

	ereport(ERROR, (errcode(errors[refusal->kind].sqlstate),
					errmsg(errors[refusal->kind].message, server->name),
					errdetail_internal("%s", detail), hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}
