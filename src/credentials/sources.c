/*
 * sources.c
 *		Where the environment of the server process offers credentials: its
 *		variables, a web identity, a container's agent, an instance's metadata.
 *
 * The names of the variables, the addresses and the headers are those of AWS's own
 * tools.  All strings of the environment belong to whoever starts the server.
 */
#include "postgres.h"

#include "common/string.h"
#include "miscadmin.h"
#include "storage/fd.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/headers.h"
#include "aws/json.h"
#include "clock.h"
#include "credentials/exchange.h"
#include "credentials/secret.h"
#include "credentials/sources.h"
#include "credentials/sts.h"
#include "server/options.h"

/* How long to wait for a container's agent, and in all for the metadata service, in ms */
#define CONTAINER_TIMEOUT 2000
#define INSTANCE_TIMEOUT 1000

#define CONTAINER_AGENT "http://169.254.170.2"
#define METADATA_SERVICE "http://169.254.169.254"
#define ROLES_PATH "latest/meta-data/iam/security-credentials/"

#define MAX_ROLE_NAME 64

/* Addresses to which requests may go without TLS, beside loopback addresses */
static const char *const container_addresses[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23",
												  NULL};
static const char *const instance_addresses[] = {"169.254.169.254", "fd00:ec2::254", NULL};

typedef struct Source
{
	const char *name;
	SourceKeys *(*get)(const struct Source *source, const CognitoServer *server,
					   KeysFailure *failure);
} Source;

/* Return a variable of the environment, NULL if it is not set or empty. */
static const char *
get_variable(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Set the failure of a source that is not configured, and return NULL. */
static SourceKeys *
fail_absent(KeysFailure *failure, const char *reason)
{
	keys_fail(failure, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, reason);
	failure->absent = true;
	return NULL;
}

/* Set the failure of a source that is configured, and return NULL. */
static SourceKeys *
fail(KeysFailure *failure, const char *reason)
{
	return keys_fail(failure, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, reason);
}

/* Get the keys in the variables of the environment. */
static SourceKeys *
get_environment(const Source *source, const CognitoServer *server pg_attribute_unused(),
				KeysFailure *failure)
{
	KeysText text = {.access_key_id = get_variable("AWS_ACCESS_KEY_ID"),
					 .secret_access_key = get_variable("AWS_SECRET_ACCESS_KEY"),
					 .session_token = get_variable("AWS_SESSION_TOKEN")};

	if (text.access_key_id == NULL)
		return fail_absent(failure, "AWS_ACCESS_KEY_ID is not set");
	if (text.secret_access_key == NULL)
		return fail(failure, "AWS_SECRET_ACCESS_KEY is not set");
	return keys_make(source->name, &text, -1, failure);
}

/*
 * Read a whole file into a buffer; return its length, or -1, and set errno, 0 if it is
 * not a regular file of at most the buffer's size.  Opening does not wait: it may be a
 * pipe.
 */
static ssize_t
read_file(const char *path, char *buffer, size_t size)
{
	int         fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK);
	struct stat status;
	ssize_t     length = -1;
	int         error;

	if (fd < 0)
		return -1;
	errno = 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= (off_t) size)
		length = read(fd, buffer, size);
	error = errno;
	CloseTransientFile(fd);
	errno = error;
	return length;
}

/* Return true if a text of some length can be a credential. */
static bool
is_word(const char *text, size_t length)
{
	return strlen(text) == length && option_check_credential(text) == NULL;
}

/*
 * Return the token in the file that a variable names, without white space after it; or
 * NULL, and set the failure.  The file is read each time, because its token is replaced
 * before it expires.
 */
static char *
read_token(const char *variable, KeysFailure *failure)
{
	size_t  size = MAX_CREDENTIAL + 2; /* it may end in CR and LF */
	char   *token = secret_alloc(size + 1);
	ssize_t length = read_file(get_variable(variable), token, size);

	if (length < 0)
	{
		fail(failure, errno != 0 ? psprintf("could not read the file of %s: %m", variable)
								 : psprintf("the file of %s is not a regular file of at most 16 kB",
											variable));
		return NULL;
	}
	while (length > 0 && isspace((unsigned char) token[length - 1]))
		length--;
	token[length] = '\0';
	if (is_word(token, length))
		return token;

	fail(failure, psprintf("the file of %s does not contain a token", variable));
	return NULL;
}

/* Get the keys of a role that trusts the issuer of a token in a file. */
static SourceKeys *
get_web_identity(const Source *source, const CognitoServer *server, KeysFailure *failure)
{
	const char *role = get_variable("AWS_ROLE_ARN");
	char       *token;

	if (get_variable("AWS_WEB_IDENTITY_TOKEN_FILE") == NULL)
		return fail_absent(failure, "AWS_WEB_IDENTITY_TOKEN_FILE is not set");
	if (role == NULL)
		return fail(failure, "AWS_ROLE_ARN is not set");
	if (option_check_role(role) != NULL)
		return fail(failure, "AWS_ROLE_ARN is not the ARN of a role");
	token = read_token("AWS_WEB_IDENTITY_TOKEN_FILE", failure);
	if (token == NULL)
		return NULL;
	return sts_assume_role_with_web_identity(server, source->name, role,
											 get_variable("AWS_ROLE_SESSION_NAME"), token, failure);
}

/* Overwrite all strings in a parsed reply. */
static void
wipe_reply(const cJSON *reply)
{
	JsonWalk walk;

	json_begin(&walk, reply);
	do
	{
		if (!walk.ends && walk.value->valuestring != NULL)
			OPENSSL_cleanse(walk.value->valuestring, strlen(walk.value->valuestring));
	} while (json_step(&walk));
}

/* Return the keys in a reply that was parsed; or NULL, and set the failure. */
static SourceKeys *
make_keys(const Source *source, const HttpRequest *http, const cJSON *reply, const char *role,
		  KeysFailure *failure)
{
	const char *code = json_string(reply, "Code");
	const char *arn = json_string(reply, "RoleArn");
	KeysText    text = {.access_key_id = json_string(reply, "AccessKeyId"),
						.secret_access_key = json_string(reply, "SecretAccessKey"),
						.session_token = json_string(reply, "Token"),
						.expiration = json_string(reply, "Expiration"),
						.role = role};

	if (code != NULL && strcmp(code, "Success") != 0)
		return fail(failure, "the reply has a \"Code\" other than \"Success\"");
	if (text.session_token == NULL || text.expiration == NULL)
		return fail(failure, "the reply lacks \"Token\" or \"Expiration\"");
	if (role == NULL && arn != NULL && option_check_role(arn) == NULL)
		text.role = arn;
	return keys_make(source->name, &text, http_date(http), failure);
}

/*
 * Return the keys in a response; or NULL, and set the failure.  Interrupts wait until the
 * parsed reply is wiped, which is short.
 */
static SourceKeys *
read_keys(const Source *source, const HttpRequest *http, const char *role, KeysFailure *failure)
{
	JsonError    problem;
	size_t       length;
	const char  *body = http_body(http, &length);
	const cJSON *reply;
	SourceKeys  *keys = NULL;

	if (length > KEYS_MAX_REPLY)
		return fail(failure, "the reply is longer than 64 kB");
	HOLD_INTERRUPTS();
	reply = json_parse(body, length, &problem);
	if (cJSON_IsObject(reply))
		keys = make_keys(source, http, reply, role, failure);
	else
		fail(failure, "the reply is not a JSON object");
	if (reply != NULL)
		wipe_reply(reply);
	RESUME_INTERRUPTS();
	return keys;
}

/* Return true if a request has a response of status 200. */
static bool
is_success(const HttpRequest *http)
{
	return http_outcome(http) == HTTP_RESPONSE && http_status(http) == 200;
}

/* Return the endpoint of the container's agent; or NULL, and set the failure. */
static const Endpoint *
find_container_endpoint(KeysFailure *failure)
{
	const char     *relative = get_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char     *full = get_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	const Endpoint *endpoint = NULL;

	if (relative != NULL)
	{
		if (relative[0] != '/' ||
			endpoint_parse_local(psprintf(CONTAINER_AGENT "%s", relative), true,
								 container_addresses, &endpoint) != NULL)
			fail(failure, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI is not a path");
	}
	else if (full == NULL)
		fail_absent(failure, "neither AWS_CONTAINER_CREDENTIALS_RELATIVE_URI nor "
							 "AWS_CONTAINER_CREDENTIALS_FULL_URI is set");
	else if (endpoint_parse_local(full, true, container_addresses, &endpoint) != NULL)
		fail(failure, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https:// nor the address of "
					  "a container's agent");
	return endpoint;
}

/*
 * Set the token that the container's agent demands, NULL for none; return false, and set
 * the failure, if it cannot be read.
 */
static bool
find_container_token(const char **token, KeysFailure *failure)
{
	*token = get_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	if (get_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") != NULL)
	{
		*token = read_token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", failure);
		return *token != NULL;
	}
	if (*token == NULL || (pg_is_ascii(*token) && strpbrk(*token, "\r\n") == NULL))
		return true;
	fail(failure, "AWS_CONTAINER_AUTHORIZATION_TOKEN is malformed");
	return false;
}

/* Send the request to the container's agent, again where that helps. */
static void
ask_container(HttpRequest *http, HttpMessage *message, const char *token, int max_retries)
{
	int retries = 0;

	for (;;)
	{
		if (token != NULL)
			message->headers = headers_add(NIL, "authorization", token);
		exchange(http, message);
		if (!exchange_is_retryable(http) || retries >= Min(max_retries, EXCHANGE_MAX_RETRIES))
			return;
		exchange_back_off(retries++);
	}
}

/* Get the keys of the container's agent: that of ECS, or of EKS Pod Identity. */
static SourceKeys *
get_container(const Source *source, const CognitoServer *server, KeysFailure *failure)
{
	const Endpoint *endpoint = find_container_endpoint(failure);
	HttpMessage     message = {.method = "GET",
							   .direct = true,
							   .connect_timeout = CONTAINER_TIMEOUT,
							   .request_timeout = CONTAINER_TIMEOUT};
	HttpRequest    *http;
	const char     *token;

	if (endpoint == NULL || !find_container_token(&token, failure))
		return NULL;
	message.url = endpoint->url;
	http = http_create();
	ask_container(http, &message, token, server->max_retries);
	if (!is_success(http))
		return fail(failure, exchange_problem(http, &message, endpoint->host, token));
	return read_keys(source, http, NULL, failure);
}

/* A conversation with the metadata service of an instance */
typedef struct MetadataCall
{
	const Endpoint *endpoint;
	HttpRequest    *http;
	double          deadline; /* for all its requests, in clock_now's milliseconds */
	KeysFailure    *failure;
} MetadataCall;

/*
 * Send a request to the metadata service, and wait for its response; return false, and
 * set the failure, if that is not a success.
 */
static bool
ask_metadata(MetadataCall *call, const char *method, const char *path, const char *header,
			 const char *value)
{
	HttpMessage message = {.url = psprintf("%s%s", call->endpoint->url, path),
						   .method = method,
						   .direct = true,
						   .headers = headers_add(NIL, header, value)};

	message.request_timeout = message.connect_timeout =
		(int) Max(call->deadline - clock_now(), 1.0);
	exchange(call->http, &message);
	if (is_success(call->http))
		return true;
	message.request_timeout = message.connect_timeout = INSTANCE_TIMEOUT;
	fail(call->failure, exchange_problem(call->http, &message, call->endpoint->host, value));
	return false;
}

/*
 * Return a copy of a response that is a single word, such as a token; or NULL, and set the
 * failure.
 */
static char *
read_word(MetadataCall *call, const char *noun)
{
	size_t      length;
	const char *body = http_body(call->http, &length);
	char       *word;

	while (length > 0 && isspace((unsigned char) body[length - 1]))
		length--;
	if (length > MAX_CREDENTIAL)
		length = 0;
	word = secret_alloc(length + 1);
	memcpy(word, body, length);
	if (is_word(word, length))
		return word;
	fail(call->failure, psprintf("the metadata service returned no %s", noun));
	return NULL;
}

/* Return true if a text can be the name of a role, and so a part of a path. */
static bool
is_role_name(const char *name)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!isalnum((unsigned char) *c) && strchr("_+=,.@-", *c) == NULL)
			return false;
	return strlen(name) <= MAX_ROLE_NAME;
}

/* Get the keys of the instance's role, with a token of the metadata service. */
static SourceKeys *
get_role_keys(MetadataCall *call, const Source *source, const char *token)
{
	static const char header[] = "x-aws-ec2-metadata-token";
	char             *role;

	if (!ask_metadata(call, "GET", ROLES_PATH, header, token))
	{
		if (http_outcome(call->http) == HTTP_RESPONSE && http_status(call->http) == 404)
			fail(call->failure, "the instance has no role");
		return NULL;
	}
	role = read_word(call, "role");
	if (role == NULL)
		return NULL;
	if (!is_role_name(role))
		return fail(call->failure, "the metadata service returned no role");
	if (!ask_metadata(call, "GET", psprintf(ROLES_PATH "%s", role), header, token))
		return NULL;
	return read_keys(source, call->http, role, call->failure);
}

/* Get the keys of the instance's role from its metadata service, version 2. */
static SourceKeys *
get_instance(const Source *source, const CognitoServer *server pg_attribute_unused(),
			 KeysFailure *failure)
{
	const char  *disabled = get_variable("AWS_EC2_METADATA_DISABLED");
	const char  *url = get_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	MetadataCall call = {.failure = failure};
	char        *token;

	if (disabled != NULL && pg_strcasecmp(disabled, "true") == 0)
		return fail_absent(failure, "AWS_EC2_METADATA_DISABLED is set");
	if (endpoint_parse_local(url != NULL ? url : METADATA_SERVICE, false, instance_addresses,
							 &call.endpoint) != NULL ||
		!call.endpoint->is_plain_http)
		return fail(failure, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not the address of a metadata "
							 "service");

	call.http = http_create();
	call.deadline = clock_now() + INSTANCE_TIMEOUT;
	if (!ask_metadata(&call, "PUT", "latest/api/token", "x-aws-ec2-metadata-token-ttl-seconds",
					  "21600"))
		return NULL;
	token = read_word(&call, "token");
	if (token == NULL)
		return NULL;
	return get_role_keys(&call, source, token);
}

/* All sources, in the order of a chain */
static const Source sources[] = {
	{"environment", get_environment},
	{"web_identity", get_web_identity},
	{"container", get_container},
	{"instance", get_instance},
};

SourceKeys *
sources_get(const CognitoServer *server, StringInfo reasons)
{
	bool is_chain = strcmp(server->credential_source, "chain") == 0;

	for (size_t i = 0; i < lengthof(sources); i++)
	{
		KeysFailure *failure = palloc0(sizeof(KeysFailure));
		SourceKeys  *keys;

		if (!is_chain && strcmp(server->credential_source, sources[i].name) != 0)
			continue;
		keys = sources[i].get(&sources[i], server, failure);
		if (keys != NULL)
			return keys;
		appendStringInfo(reasons, "%s%s: %s", reasons->len > 0 ? "\n" : "", sources[i].name,
						 failure->reason);
		if (!failure->absent)
			break;
	}
	return NULL;
}
