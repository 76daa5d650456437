/*
 * sts.c
 *		Temporary credentials of roles from AWS's Security Token Service (STS).
 *
 * STS has an older protocol than Cognito: forms are sent, and XML is returned.
 */
#include "postgres.h"

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

#include <openssl/crypto.h>

#include "aws/error.h"
#include "aws/headers.h"
#include "credentials/exchange.h"
#include "credentials/secret.h"
#include "credentials/sts.h"
#include "credentials/xml.h"

#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"
#define API_VERSION "2011-06-15"
#define SERVICE "sts"
#define DEFAULT_SESSION_NAME "cognito_srf"

/* Room for everything in a form but the values of its parameters */
#define FORM_SIZE 1024

/* The elements of a response with credentials, below its action's */
enum
{
	ACCESS_KEY_ID,
	SECRET_ACCESS_KEY,
	SESSION_TOKEN,
	EXPIRATION,
	CREDENTIAL_FIELDS /* their number */
};

/* A call of an action of STS */
typedef struct StsCall
{
	const CognitoServer *server;
	const char          *action;
	const char          *source; /* of the keys it returns */
	const char          *role;
	const SourceKeys    *signer; /* NULL if it is not signed */
	const char          *token;  /* secret parameter, or NULL */
	char                *form;
	size_t               length; /* of the form, in bytes */
	const Endpoint      *endpoint;
	HttpRequest         *http;
	HttpMessage          message;      /* sent last */
	time_t               clock_offset; /* by which the service's clock is ahead, in seconds */
} StsCall;

/* Append a text to the form, whose buffer is large enough. */
static void
append(StsCall *call, const char *text)
{
	size_t length = strlen(text);

	memcpy(call->form + call->length, text, length);
	call->length += length;
}

/* Append a parameter to the form, percent-encoded, unless it is NULL. */
static void
append_parameter(StsCall *call, const char *name, const char *value)
{
	static const char digits[] = "0123456789ABCDEF";

	if (value == NULL)
		return;
	append(call, call->length > 0 ? "&" : "");
	append(call, name);
	append(call, "=");
	for (const char *c = value; *c != '\0'; c++)
	{
		unsigned char byte = *c;

		if (isalnum(byte) || strchr("-._~", byte) != NULL)
			call->form[call->length++] = *c;
		else
		{
			call->form[call->length++] = '%';
			call->form[call->length++] = digits[byte >> 4];
			call->form[call->length++] = digits[byte & 0xf];
		}
	}
}

/* Return how much room a parameter's value may need in the form. */
static size_t
encoded_size(const char *value)
{
	return value != NULL ? 3 * strlen(value) : 0;
}

/* Begin a call, with the parameters that all actions have. */
static void
begin_call(StsCall *call, const char *session_name)
{
	if (session_name == NULL)
		session_name = DEFAULT_SESSION_NAME;
	call->endpoint = call->server->sts_endpoint;
	if (call->endpoint == NULL)
		call->endpoint = endpoint_of_service(SERVICE, call->server->region);
	call->http = http_create();
	call->clock_offset = call->server->session->clock_offset;
	call->form = secret_alloc(FORM_SIZE + encoded_size(call->role) + encoded_size(session_name) +
							  encoded_size(call->token) + encoded_size(call->server->external_id));
	append_parameter(call, "Action", call->action);
	append_parameter(call, "Version", API_VERSION);
	append_parameter(call, "RoleArn", call->role);
	append_parameter(call, "RoleSessionName", session_name);
}

/* Send the form, signed if there are keys for that, and wait for the response. */
static void
send_form(StsCall *call)
{
	const CognitoServer *server = call->server;
	List                *lines;

	if (call->signer != NULL)
	{
		SigV4Key      key = {0};
		SignedMessage signing = {.access_key_id = call->signer->access_key_id,
								 .secret_access_key = call->signer->secret_access_key,
								 .session_token = call->signer->session_token,
								 .region = server->region,
								 .service = SERVICE,
								 .host = call->endpoint->host,
								 .content_type = CONTENT_TYPE,
								 .body = call->form,
								 .length = call->length,
								 .time = time(NULL) + call->clock_offset,
								 .key = &key};

		lines = headers_sign(&signing);
		OPENSSL_cleanse(&key, sizeof(key));
	}
	else
		lines = headers_add(NIL, "content-type", CONTENT_TYPE);

	call->message = (HttpMessage){.url = call->endpoint->url,
								  .direct = call->endpoint->is_plain_http,
								  .headers = lines,
								  .body = call->form,
								  .length = call->length,
								  .connect_timeout = server->connect_timeout,
								  .request_timeout = server->request_timeout};
	exchange(call->http, &call->message);
}

/*
 * Return a text of the response as it may be shown: without the secrets that were sent.
 * The token was sent as the last parameter of the form.
 */
static char *
quote(const StsCall *call, const char *words)
{
	const char *secrets[] = {NULL, NULL, NULL, NULL};

	if (call->token != NULL)
	{
		secrets[0] = call->token;
		secrets[3] = strrchr(call->form, '=') + 1;
	}
	if (call->signer != NULL)
	{
		secrets[1] = call->signer->secret_access_key;
		secrets[2] = call->signer->session_token;
	}
	return aws_error_quote(words, secrets, lengthof(secrets));
}

/* Return the SQLSTATE for a failed call. */
static int
sqlstate_of(const StsCall *call, AwsErrorKind kind)
{
	switch (http_outcome(call->http))
	{
		case HTTP_RESPONSE:
			break;
		case HTTP_UNREACHABLE:
		case HTTP_TLS_HANDSHAKE_FAILED:
		case HTTP_BAD_CA_FILE:
		case HTTP_CONNECT_TIMEOUT:
			return ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION;
		default:
			return ERRCODE_FDW_ERROR;
	}
	switch (kind)
	{
		case AWS_ERROR_DENIED:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		case AWS_ERROR_THROTTLED:
			return ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		case AWS_ERROR_TRANSIENT:
			return ERRCODE_FDW_ERROR;
		default:
			return ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
	}
}

/* Return true for an error of the issuer of a token, which may not have been asked in time. */
static bool
is_issuer_problem(const char *code)
{
	return code != NULL && (strcmp(code, "IDPCommunicationError") == 0 ||
							strcmp(code, "InvalidIdentityToken") == 0);
}

/*
 * Set the failure of a call from its response, if it has one.  Return true if the call
 * may succeed if it is sent again.
 */
static bool
read_error(const StsCall *call, KeysFailure *failure, AwsErrorKind *kind)
{
	XmlField       fields[] = {{.path = "ErrorResponse/Error/Code"},
							   {.path = "ErrorResponse/Error/Message"},
							   {.path = "ErrorResponse/RequestId"}};
	const char    *code;
	const char    *message;
	StringInfoData reason;
	bool           is_retryable;
	size_t         length;
	const char    *body = http_body(call->http, &length);

	*kind = AWS_ERROR_OTHER;
	initStringInfo(&reason);
	appendStringInfo(
		&reason, "%s: %s", call->action,
		quote(call, exchange_problem(call->http, &call->message, call->endpoint->host, NULL)));
	if (length <= KEYS_MAX_REPLY && http_outcome(call->http) == HTTP_RESPONSE)
		(void) xml_read(body, fields, lengthof(fields));
	code = fields[0].value;
	message = fields[1].value;
	if (http_outcome(call->http) == HTTP_RESPONSE)
		*kind = aws_error_kind(http_status(call->http), code, message);
	if (code != NULL)
		appendStringInfo(&reason, ", %s", quote(call, code));
	if (message != NULL)
		appendStringInfo(&reason, ", \"%s\"", quote(call, message));
	if (fields[2].value != NULL)
		appendStringInfo(&reason, ", request id %s", quote(call, fields[2].value));

	*failure =
		(KeysFailure){.sqlstate = sqlstate_of(call, *kind),
					  .reason = reason.data,
					  .hint = *kind != AWS_ERROR_DENIED
								  ? NULL
								  : psprintf("Allow sts:%s on the role in the IAM policy of the "
											 "credentials, and trust them in the role's policy.",
											 call->action)};
	is_retryable = exchange_is_retryable(call->http) || *kind == AWS_ERROR_THROTTLED ||
				   *kind == AWS_ERROR_TRANSIENT || is_issuer_problem(code);
	xml_wipe(fields, lengthof(fields));
	return is_retryable;
}

/* Return the keys of a response with credentials, or NULL, and set the failure. */
static SourceKeys *
read_credentials(const StsCall *call, KeysFailure *failure)
{
	static const char *const names[CREDENTIAL_FIELDS] = {
		[ACCESS_KEY_ID] = "AccessKeyId",
		[SECRET_ACCESS_KEY] = "SecretAccessKey",
		[SESSION_TOKEN] = "SessionToken",
		[EXPIRATION] = "Expiration",
	};
	XmlField    fields[CREDENTIAL_FIELDS] = {0};
	size_t      length;
	const char *body = http_body(call->http, &length);
	SourceKeys *keys = NULL;

	for (int i = 0; i < CREDENTIAL_FIELDS; i++)
		fields[i].path =
			psprintf("%1$sResponse/%1$sResult/Credentials/%2$s", call->action, names[i]);
	if (length > KEYS_MAX_REPLY || strlen(body) != length ||
		!xml_read(body, fields, CREDENTIAL_FIELDS))
		keys_fail(failure, ERRCODE_FDW_ERROR, "the reply is not valid XML");
	else if (fields[SESSION_TOKEN].value == NULL || fields[EXPIRATION].value == NULL)
		keys_fail(failure, ERRCODE_FDW_ERROR, "the session token or the expiry is missing");
	else
	{
		KeysText text = {.access_key_id = fields[ACCESS_KEY_ID].value,
						 .secret_access_key = fields[SECRET_ACCESS_KEY].value,
						 .session_token = fields[SESSION_TOKEN].value,
						 .expiration = fields[EXPIRATION].value,
						 .role = call->role};

		keys = keys_make(call->source, &text, http_date(call->http), failure);
	}
	xml_wipe(fields, CREDENTIAL_FIELDS);
	if (keys == NULL)
		failure->reason = psprintf("%s: %s", call->action, failure->reason);
	return keys;
}

/*
 * Set the clock offset from a response that complains of the time; return false if it
 * has no date, or if that is more than a day off, as for Cognito's requests.
 */
static bool
correct_clock(StsCall *call)
{
	time_t service_time = http_date(call->http);
	time_t now = time(NULL);

	if (service_time == -1 || service_time < now - SECS_PER_DAY ||
		service_time > now + SECS_PER_DAY)
		return false;
	call->clock_offset = service_time - now;
	return true;
}

/* Send a call, again where that helps; return the keys, or NULL, and set the failure. */
static SourceKeys *
perform(StsCall *call, KeysFailure *failure)
{
	bool         is_corrected = false;
	int          retries = 0;
	AwsErrorKind kind;

	for (;;)
	{
		bool is_retryable;

		send_form(call);
		if (http_outcome(call->http) == HTTP_RESPONSE && http_status(call->http) == 200)
			return read_credentials(call, failure);

		is_retryable = read_error(call, failure, &kind);
		if (kind == AWS_ERROR_WRONG_CLOCK && !is_corrected && correct_clock(call))
			is_corrected = true;
		else if (is_retryable && retries < Min(call->server->max_retries, EXCHANGE_MAX_RETRIES))
			exchange_back_off(retries++);
		else
			return NULL;
	}
}

SourceKeys *
sts_assume_role(const CognitoServer *server, const SourceKeys *keys, KeysFailure *failure)
{
	StsCall call = {.server = server,
					.action = "AssumeRole",
					.source = keys->source,
					.role = server->role_arn,
					.signer = keys};

	begin_call(&call, server->role_session_name);
	append_parameter(&call, "ExternalId", server->external_id);
	append_parameter(&call, "DurationSeconds", psprintf("%d", server->role_duration / 1000));
	return perform(&call, failure);
}

SourceKeys *
sts_assume_role_with_web_identity(const CognitoServer *server, const char *source, const char *role,
								  const char *session_name, const char *token, KeysFailure *failure)
{
	StsCall call = {.server = server,
					.action = "AssumeRoleWithWebIdentity",
					.source = source,
					.role = role,
					.token = token};

	begin_call(&call, session_name);
	append_parameter(&call, "WebIdentityToken", token);
	return perform(&call, failure);
}
