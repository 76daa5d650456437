/*
 * error.c
 *		The errors of requests: their classification and their messages.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "aws/error.h"
#include "aws/json.h"

/* The maximum length of what an error quotes of a service's message, in bytes. */
#define MAX_QUOTED 500

/* The maximum length of what is kept of it, to find secrets and names, in bytes. */
#define MAX_KEPT (MAX_QUOTED + MAX_CREDENTIAL)

/*
 * The characters that could make a message look like another: those that control a
 * terminal (C0, DEL, C1), and of the categories Cf, Zl and Zp those that are invisible
 * or change the order or the lines in which others are shown.
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

/* The types that are treated specially; all others are AWS_ERROR_OTHER. */
static const struct
{
	const char  *type;
	AwsErrorKind kind;
} types[] = {
	{"TooManyRequestsException", AWS_ERROR_THROTTLED},
	{"ThrottlingException", AWS_ERROR_THROTTLED},
	{"Throttling", AWS_ERROR_THROTTLED},
	{"ThrottledException", AWS_ERROR_THROTTLED},
	{"RequestThrottled", AWS_ERROR_THROTTLED},
	{"RequestThrottledException", AWS_ERROR_THROTTLED},
	{"RequestLimitExceeded", AWS_ERROR_THROTTLED},
	{"SlowDown", AWS_ERROR_THROTTLED},
	{"InternalErrorException", AWS_ERROR_TRANSIENT},
	{"InternalFailure", AWS_ERROR_TRANSIENT},
	{"ServiceUnavailable", AWS_ERROR_TRANSIENT},
	{"ServiceUnavailableException", AWS_ERROR_TRANSIENT},
	{"RequestTimeout", AWS_ERROR_TRANSIENT},
	{"RequestTimeoutException", AWS_ERROR_TRANSIENT},
	{"RequestTimeTooSkewed", AWS_ERROR_WRONG_CLOCK},
	{"RequestExpired", AWS_ERROR_WRONG_CLOCK},
	{"UnrecognizedClientException", AWS_ERROR_CREDENTIALS},
	{"InvalidClientTokenId", AWS_ERROR_CREDENTIALS},
	{"InvalidSignatureException", AWS_ERROR_CREDENTIALS},
	{"SignatureDoesNotMatch", AWS_ERROR_CREDENTIALS},
	{"MissingAuthenticationToken", AWS_ERROR_CREDENTIALS},
	{"MissingAuthenticationTokenException", AWS_ERROR_CREDENTIALS},
	{"IncompleteSignature", AWS_ERROR_CREDENTIALS},
	{"IncompleteSignatureException", AWS_ERROR_CREDENTIALS},
	{"ExpiredTokenException", AWS_ERROR_EXPIRED},
	{"ExpiredToken", AWS_ERROR_EXPIRED},
	{"AccessDeniedException", AWS_ERROR_DENIED},
	{"AccessDenied", AWS_ERROR_DENIED},
	{"NotAuthorizedException", AWS_ERROR_DENIED},
	{"ResourceNotFoundException", AWS_ERROR_NOT_FOUND},
	{"UserNotFoundException", AWS_ERROR_USER_NOT_FOUND},
	{"InvalidParameterException", AWS_ERROR_ARGUMENT},
	{"ValidationException", AWS_ERROR_ARGUMENT},
};

#define UNREACHABLE "could not connect to Cognito for server \"%s\""
#define UNREACHABLE_HINT                                                                  \
	"Check options \"region\" and \"endpoint_url\" (for identity pools, "                 \
	"\"identity_endpoint_url\"), and the network.  To trust other certificates than the " \
	"system's, set \"cognito_srf.ca_file\"."

/* An error that is raised.  The %s in the message is the server; the hint may be NULL. */
typedef struct ErrorText
{
	int         sqlstate;
	const char *message;
	const char *hint;
} ErrorText;

/* The errors of responses */
static const ErrorText response_errors[] = {
	[AWS_ERROR_THROTTLED] =
		{ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, "Cognito throttled the requests for server \"%s\"",
		 "All applications that use the AWS account share its quota.  Try again later, or send "
		 "fewer requests with option \"max_requests_per_second\"."},
	[AWS_ERROR_TRANSIENT] = {ERRCODE_FDW_ERROR,
							 "Cognito failed to process the request for server \"%s\"",
							 "The cause is in the service.  Try again later."},
	[AWS_ERROR_WRONG_CLOCK] =
		{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		 "Cognito refused the request for server \"%s\" because of its timestamp",
		 "Correct the system clock."},
	[AWS_ERROR_CREDENTIALS] =
		{ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
		 "Cognito refused the credentials of server \"%s\"",
		 "Check the access key, its secret and the region, in the server or in the user mapping.  "
		 "Temporary credentials also need \"aws_session_token\"."},
	[AWS_ERROR_EXPIRED] = {ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
						   "the session token of server \"%s\" has expired",
						   "Set new temporary credentials, or use the access key of an IAM user."},
	[AWS_ERROR_DENIED] = {ERRCODE_INSUFFICIENT_PRIVILEGE,
						  "permission denied by IAM for the access key of server \"%s\"", NULL},
	[AWS_ERROR_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
							 "resource requested from Cognito for server \"%s\" does not exist",
							 NULL},
	[AWS_ERROR_USER_NOT_FOUND] = {ERRCODE_UNDEFINED_OBJECT,
								  "user requested from Cognito for server \"%s\" does not exist",
								  NULL},
	[AWS_ERROR_ARGUMENT] = {ERRCODE_INVALID_PARAMETER_VALUE,
							"Cognito refused an argument of the request for server \"%s\"", NULL},
	[AWS_ERROR_OTHER] = {ERRCODE_FDW_ERROR, "Cognito refused the request for server \"%s\"", NULL},
};

/* The errors of transfers without a complete response */
static const ErrorText transfer_errors[] = {
	[HTTP_UNREACHABLE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, UNREACHABLE,
						  UNREACHABLE_HINT},
	[HTTP_REFUSED] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, UNREACHABLE, UNREACHABLE_HINT},
	[HTTP_TLS_HANDSHAKE_FAILED] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, UNREACHABLE,
								   "Check that the endpoint supports TLS 1.2 or later.  The URL of "
								   "an endpoint without TLS must begin with http://."},
	[HTTP_BAD_CA_FILE] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION, UNREACHABLE,
						  "Set \"cognito_srf.ca_file\" to the absolute path of a file of "
						  "certificates in PEM format that the server process can read."},
	[HTTP_CONNECT_TIMEOUT] = {ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION,
							  "timeout expired while connecting to Cognito for server \"%s\"",
							  "Check the network, or increase option \"connect_timeout\"."},
	[HTTP_RESPONSE_TIMEOUT] =
		{ERRCODE_FDW_ERROR,
		 "timeout expired while waiting for Cognito's response for server \"%s\"",
		 "Try again later, or increase option \"request_timeout\"."},
	[HTTP_CONNECTION_LOST] = {ERRCODE_FDW_ERROR, "connection to Cognito for server \"%s\" was lost",
							  NULL},
	[HTTP_BODY_TOO_LARGE] = {ERRCODE_FDW_ERROR,
							 "Cognito's response for server \"%s\" is larger than 32 MB", NULL},
	[HTTP_HEADERS_TOO_LARGE] =
		{ERRCODE_FDW_ERROR,
		 "Cognito's response for server \"%s\" has more than 256 kB of header lines", NULL},
	[HTTP_ENCODED] =
		{ERRCODE_FDW_ERROR,
		 "Cognito's response for server \"%s\" has a transfer encoding other than \"chunked\"",
		 NULL},
	[HTTP_BUFFERS_FULL] =
		{ERRCODE_FDW_ERROR,
		 "Cognito's concurrent responses for server \"%s\" are larger than 128 MB in total",
		 "Reduce option \"max_concurrent_requests\"."},
	[HTTP_TOO_MANY_FILES] =
		{ERRCODE_INSUFFICIENT_RESOURCES,
		 "out of file descriptors for a connection to Cognito for server \"%s\"",
		 "Reduce option \"max_concurrent_requests\", or increase \"max_files_per_process\"."},
	[HTTP_OUT_OF_MEMORY] = {ERRCODE_OUT_OF_MEMORY,
							"out of memory for Cognito's response for server \"%s\"", NULL},
	[HTTP_FAILED] = {ERRCODE_FDW_ERROR,
					 "could not complete the request to Cognito for server \"%s\"", NULL},
};

/*
 * What the service may not find, by the parameter that names it; the contents of a
 * pool come before the pool.  The %s in a hint is the server, as a literal.
 */
static const struct
{
	AwsErrorKind kind;
	const char  *parameter;
	const char  *noun;
	const char  *hint;
} not_found_rules[] = {
	{AWS_ERROR_USER_NOT_FOUND, "Username", "user",
	 "To list the users, execute: SELECT * FROM cognito_users(%s);"},
	{AWS_ERROR_NOT_FOUND, "GroupName", "group",
	 "To list the groups, execute: SELECT * FROM cognito_groups(%s);"},
	{AWS_ERROR_NOT_FOUND, "ClientId", "app client",
	 "To list the app clients, execute: SELECT * FROM cognito_app_clients(%s);"},
	{AWS_ERROR_NOT_FOUND, "ProviderName", "identity provider",
	 "To list the identity providers, execute: SELECT * FROM cognito_identity_providers(%s);"},
	{AWS_ERROR_NOT_FOUND, "UserPoolId", "user pool",
	 "Check \"user_pool_id\" and option \"region\"; the id begins with the region."},
	{AWS_ERROR_NOT_FOUND, "IdentityPoolId", "identity pool",
	 "Check \"identity_pool_id\" and option \"region\"; the id begins with the region."},
};

/* Return the kind of a response whose type is not in the table. */
static AwsErrorKind
kind_of_status(long status)
{
	switch (status)
	{
		case 429:
			return AWS_ERROR_THROTTLED;
		case 408: /* also sent on a connection that was idle for too long */
		case 500:
		case 502:
		case 503:
		case 504:
			return AWS_ERROR_TRANSIENT;
		default:
			return AWS_ERROR_OTHER;
	}
}

/* Return true if a signature is invalid because of its time, which only the message tells. */
static bool
is_wrong_time(const char *type, const char *message)
{
	return message != NULL &&
		   (strcmp(type, "InvalidSignatureException") == 0 ||
			strcmp(type, "SignatureDoesNotMatch") == 0) &&
		   (strstr(message, "Signature expired") != NULL ||
			strstr(message, "not yet current") != NULL);
}

AwsErrorKind
aws_error_kind(long status, const char *type, const char *message)
{
	if (type != NULL && is_wrong_time(type, message))
		return AWS_ERROR_WRONG_CLOCK;

	for (size_t i = 0; type != NULL && i < lengthof(types); i++)
		if (strcmp(type, types[i].type) == 0)
			return types[i].kind;
	return kind_of_status(status);
}

/* Return the bare name in a type such as com.amazonaws.cognito#TooManyRequestsException:http://... */
static char *
unqualified_type(const char *type)
{
	const char *hash = strchr(type, '#');

	if (hash != NULL)
		type = hash + 1;
	return pnstrdup(type, strcspn(type, ":"));
}

/* Return a copy of the first MAX_KEPT bytes of a string of a response, NULL if it is NULL. */
static char *
copy_clipped(const char *text)
{
	return text != NULL ? pnstrdup(text, MAX_KEPT) : NULL;
}

/*
 * Set type and message from a response, in which they may be in several places.
 * The response's JSON may take much memory, and a request may fail many times:
 * nothing but the two is kept.
 */
static void
parse_error(HttpRequest *http, AwsError *error)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito error", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	JsonError     ignored;
	size_t        length;
	const char   *body = http_body(http, &length);
	const cJSON  *reply = json_parse(body, length, &ignored);
	const char   *type = json_string(reply, "__type");
	const char   *message = json_string(reply, "message");

	MemoryContextSwitchTo(caller);
	if (type == NULL)
		type = http_header(http, "x-amzn-errortype");
	if (type != NULL)
		error->type = unqualified_type(copy_clipped(type));
	error->message = copy_clipped(message != NULL ? message : json_string(reply, "Message"));
	MemoryContextDelete(context);
}

/* Return the kind of a transfer without a complete response. */
static AwsErrorKind
kind_of_outcome(HttpOutcome outcome)
{
	switch (outcome)
	{
		case HTTP_UNREACHABLE:
		case HTTP_TLS_HANDSHAKE_FAILED:
		case HTTP_CONNECT_TIMEOUT:
		case HTTP_RESPONSE_TIMEOUT:
		case HTTP_CONNECTION_LOST:
			return AWS_ERROR_TRANSIENT;
		default:
			return AWS_ERROR_OTHER;
	}
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
	error->kind = aws_error_kind(http_status(http), error->type, error->message);
	return true;
}

/* Return the length of a secret, 0 if there is none. */
static size_t
secret_length(const char *secret)
{
	return secret != NULL ? strlen(secret) : 0;
}

/* Mask a secret in a copy of a text, wherever it is in the text. */
static void
mask(char *copy, const char *text, const char *secret)
{
	size_t length = secret_length(secret);

	if (length == 0)
		return;
	for (const char *found = strstr(text, secret); found != NULL;
		 found = strstr(found + length, secret))
		memset(copy + (found - text), '*', length);
}

/* Clip a text to MAX_QUOTED; if it is valid UTF-8, do not divide a character. */
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

/* Return true if a character could make a message look like another. */
static bool
is_deceptive(pg_wchar character)
{
	for (size_t i = 0; i < lengthof(deceptive); i++)
		if (character >= deceptive[i].first && character <= deceptive[i].last)
			return true;
	return false;
}

/* Replace each deceptive character of a valid UTF-8 text with a space. */
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

/* Replace each byte that is not ASCII with a question mark. */
static void
reduce_to_ascii(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if (IS_HIGHBIT_SET(*c))
			*c = '?';
}

/*
 * Only the part that is shown is examined, and as much after it as a secret that begins
 * there needs.
 */
char *
aws_error_quote(const char *words, const char *const *secrets, int nsecrets)
{
	size_t longest = 0;
	char  *seen;
	char  *text;

	for (int i = 0; i < nsecrets; i++)
		if (secrets[i] != NULL)
			longest = Max(longest, strlen(secrets[i]));
	seen = pnstrdup(words, MAX_QUOTED + longest);
	text = pstrdup(seen);

	for (int i = 0; i < nsecrets; i++)
		mask(text, seen, secrets[i]);
	clip(text);

	if (GetDatabaseEncoding() != PG_UTF8 ||
		!pg_verify_mbstr(PG_UTF8, text, (int) strlen(text), true))
		reduce_to_ascii(text);
	replace_deceptive(text);
	return text;
}

/* Return a text of the service without secrets, which services quote from requests. */
static char *
quote(const char *words, const CognitoServer *server)
{
	const char *secrets[] = {server->secret_access_key, server->session_token,
							 server->replaced_secret, server->replaced_token};

	return aws_error_quote(words, secrets, lengthof(secrets));
}

/* Return a name in a request, which is valid UTF-8, without deceptive characters. */
static char *
quote_name(const char *name)
{
	char *text = pstrdup(name);

	replace_deceptive(text);
	return pg_any_to_server(text, (int) strlen(text), PG_UTF8);
}

/* Append what is known of a response. */
static void
describe_response(StringInfo detail, const AwsError *error, HttpRequest *http,
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

/* Return all that is known of a failed request, as the detail of its error. */
static char *
describe(const AwsError *error, const AwsCall *call, HttpRequest *http, int retries)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfo(&detail, "%s: ", call->operation->name);
	switch (http_outcome(http))
	{
		case HTTP_RESPONSE:
			describe_response(&detail, error, http, call->server);
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
 * Return the rule for what the service did not find, or -1, and set its name, in
 * UTF-8: the argument that the service's message quotes, or else the first one in
 * not_found_rules.
 */
static int
find_not_found_rule(const AwsError *error, const AwsCall *call, const char **name)
{
	int rule = -1;

	for (int i = lengthof(not_found_rules) - 1; i >= 0; i--)
	{
		const char *value = get_argument(call, not_found_rules[i].parameter);

		if (not_found_rules[i].kind != error->kind || value == NULL)
			continue;
		rule = i;
		*name = value;
		if (error->message != NULL && strstr(error->message, value) != NULL)
			break;
	}
	return rule;
}

/* Return what to do about an error, or NULL: the hint of its text, or a better one. */
static const char *
find_hint(const AwsError *error, const AwsCall *call, const ErrorText *text)
{
	const CognitoServer *server = call->server;

	if (server->provider != NULL &&
		(error->kind == AWS_ERROR_CREDENTIALS || error->kind == AWS_ERROR_EXPIRED))
		return psprintf("SELECT * FROM cognito_credentials(%s) shows where they come from.",
						quote_literal_cstr(server->name));
	if (error->kind == AWS_ERROR_DENIED && server->provider != NULL)
		return psprintf("Allow the action %s:%s in the IAM policy of the credentials that "
						"cognito_credentials(%s) shows.",
						call->operation->service->prefix, call->operation->name,
						quote_literal_cstr(server->name));
	if (error->kind == AWS_ERROR_DENIED)
		return psprintf("Allow the action %s:%s in the IAM policy of the access key.",
						call->operation->service->prefix, call->operation->name);
	if (error->kind == AWS_ERROR_THROTTLED && call->operation->quota != AWS_OPERATION)
		return psprintf("%s  %s", text->hint,
						call->operation->quota == AWS_USER_RESOURCE_READ
							? "AWS raises this quota on request."
							: "AWS does not raise this quota.");
	if (error->kind == AWS_ERROR_ARGUMENT && get_argument(call, "Filter") != NULL)
		return "A filter must be a single comparison of at most 256 characters, such as "
			   "email = \"a@example.com\" or username ^= \"ab\".  The id of a user pool is passed "
			   "by name: user_pool_id => 'eu-west-1_AbCdEf123'.";
	return text->hint;
}

void
aws_error_raise(const AwsError *error, const AwsCall *call, HttpRequest *http, int retries)
{
	HttpOutcome      outcome = http_outcome(http);
	const ErrorText *text =
		outcome == HTTP_RESPONSE ? &response_errors[error->kind] : &transfer_errors[outcome];
	char       *detail = describe(error, call, http, retries);
	const char *hint = find_hint(error, call, text);
	const char *name = NULL;
	int         rule = find_not_found_rule(error, call, &name);

	if (rule >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" of server \"%s\" does not exist", not_found_rules[rule].noun,
						quote_name(name), call->server->name),
				 errdetail_internal("%s", detail),
				 errhint(not_found_rules[rule].hint, quote_literal_cstr(call->server->name))));

	ereport(ERROR, (errcode(text->sqlstate), errmsg(text->message, call->server->name),
					errdetail_internal("%s", detail), hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}
