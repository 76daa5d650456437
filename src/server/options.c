/*
 * options.c
 *		The options of servers and user mappings, and the wrapper's validator.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/crypto.h>

#include "compat.h"
#include "server/options.h"

#define ON_SERVER 0x1
#define ON_USER_MAPPING 0x2

#define MAX_POOL_ID 55
#define MAX_DNS_LABEL 63

/* What service models call \w */
#define WORD_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* What is wrong with a value, as a sentence; NULL if nothing is. */
typedef const char *(*StringRule)(const char *value);

typedef struct Option
{
	const char *name;
	int         places;
	StringRule  rule; /* of a string; NULL for a number */
	int         unit; /* of a number, as settings have them: GUC_UNIT_MS or 0 */
	int         least;
	int         most;
} Option;

static const char *credential_rule(const char *value);
static const char *text_rule(const char *value);
static const char *region_rule(const char *value);
static const char *pool_rule(const char *value);
static const char *identity_pool_rule(const char *value);
static const char *endpoint_rule(const char *value);
static const char *boolean_rule(const char *value);

static const Option options_table[] = {
	{"aws_access_key_id", ON_SERVER | ON_USER_MAPPING, credential_rule, 0, 0, 0},
	{"aws_secret_access_key", ON_SERVER | ON_USER_MAPPING, credential_rule, 0, 0, 0},
	{"aws_session_token", ON_SERVER | ON_USER_MAPPING, credential_rule, 0, 0, 0},
	{"api_key_id", ON_SERVER | ON_USER_MAPPING, text_rule, 0, 0, 0},
	{"region", ON_SERVER, region_rule, 0, 0, 0},
	{"user_pool_id", ON_SERVER, pool_rule, 0, 0, 0},
	{"identity_pool_id", ON_SERVER, identity_pool_rule, 0, 0, 0},
	{"endpoint_url", ON_SERVER, endpoint_rule, 0, 0, 0},
	{"identity_endpoint_url", ON_SERVER, endpoint_rule, 0, 0, 0},
	{"connect_timeout", ON_SERVER, NULL, GUC_UNIT_MS, 1, INT_MAX},
	{"request_timeout", ON_SERVER, NULL, GUC_UNIT_MS, 1, INT_MAX},
	{"max_retries", ON_SERVER, NULL, 0, 0, 100},
	{"max_concurrent_requests", ON_SERVER, NULL, 0, 1, 64},
	{"max_requests_per_second", ON_SERVER, NULL, 0, 1, 100000},
	{"pushdown", ON_SERVER, boolean_rule, 0, 0, 0},
};

PG_FUNCTION_INFO_V1(cognito_fdw_validator);

/* The option of that name, or NULL. */
static const Option *
find_option(const char *name)
{
	for (size_t i = 0; i < lengthof(options_table); i++)
		if (strcmp(options_table[i].name, name) == 0)
			return &options_table[i];
	return NULL;
}

/* Any text but none. */
static const char *
text_rule(const char *value)
{
	return value[0] == '\0' ? "It must not be empty." : NULL;
}

/* Keys and tokens: what can stand in a header, and white space is a slip of the clipboard. */
static const char *
credential_rule(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return "It must hold printable ASCII characters only, and no white space.";
	return text_rule(value);
}

/* An AWS region, which becomes a label of the host name. */
static const char *
region_rule(const char *value)
{
	size_t length = strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (length == 0 || length > MAX_DNS_LABEL || value[length] != '\0' || value[0] == '-' ||
		value[length - 1] == '-')
		return "A region is written like eu-west-1, in lower-case letters, digits and hyphens.";
	return NULL;
}

/* The form in the service model: [\w-]+_[0-9a-zA-Z]+ */
static const char *
pool_rule(const char *value)
{
	size_t      length = strspn(value, WORD_LETTERS "-");
	const char *underscore = strrchr(value, '_');

	if (length > MAX_POOL_ID || value[length] != '\0' || underscore == NULL ||
		underscore == value || underscore[1] == '\0' || strchr(underscore, '-') != NULL)
		return "A user pool's id is written like eu-west-1_AbCdEf123.";
	return NULL;
}

/* The form in the service model: [\w-]+:[0-9a-f-]+ */
static const char *
identity_pool_rule(const char *value)
{
	size_t region = strspn(value, WORD_LETTERS "-");
	size_t id = value[region] == ':' ? strspn(value + region + 1, "0123456789abcdef-") : 0;

	if (region == 0 || id == 0 || value[region + 1 + id] != '\0' || region + 1 + id > MAX_POOL_ID)
		return "An identity pool's id is written like "
			   "eu-west-1:12345678-90ab-cdef-1234-567890abcdef.";
	return NULL;
}

/* Is a host, as libcurl normalizes it, surely on this machine? */
static bool
is_loopback(const char *host)
{
	struct in_addr  v4;
	struct in6_addr v6;
	char            address[INET6_ADDRSTRLEN + 2];

	if (pg_strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;

	strlcpy(address, host[0] == '[' ? host + 1 : host, sizeof(address));
	address[strcspn(address, "]")] = '\0';
	return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Does a URL have that part? */
static bool
has_part(CURLU *url, CURLUPart part)
{
	char     *text = NULL;
	CURLUcode result = curl_url_get(url, part, &text, 0);

	curl_free(text);
	return result == CURLUE_OK;
}

/* The rule of an endpoint, given its parsed URL. */
static const char *
parsed_endpoint_rule(CURLU *url, const char *scheme, const char *host, const char *path)
{
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return "It must not hold a user name or a password.";
	if (strcmp(path, "/") != 0 || has_part(url, CURLUPART_QUERY) ||
		has_part(url, CURLUPART_FRAGMENT))
		return "It must end after the host and the port: no path, no query, no fragment.";
	if (strcmp(scheme, "https") == 0)
		return NULL;
	if (strcmp(scheme, "http") != 0)
		return "It must begin with https://, or with http:// for a loopback address.";
	if (!is_loopback(host))
		return "Without TLS (http://) only a loopback address is allowed; use https://.";
	return NULL;
}

/* https to anywhere, http to this machine only, and nothing else in the URL. */
static const char *
endpoint_rule(const char *value)
{
	CURLU      *url = curl_url();
	char       *scheme = NULL;
	char       *host = NULL;
	char       *path = NULL;
	const char *problem;

	if (url == NULL || curl_url_set(url, CURLUPART_URL, value, CURLU_NON_SUPPORT_SCHEME) ||
		curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) ||
		curl_url_get(url, CURLUPART_HOST, &host, 0) || curl_url_get(url, CURLUPART_PATH, &path, 0))
		problem = "It must be a URL such as https://host or https://host:port.";
	else
		problem = parsed_endpoint_rule(url, scheme, host, path);

	curl_free(scheme);
	curl_free(host);
	curl_free(path);
	curl_url_cleanup(url);
	return problem;
}

/* What settings take for a boolean, of which two spellings are enough to tell. */
static const char *
boolean_rule(const char *value)
{
	bool result;

	return parse_bool(value, &result) ? NULL : "It must be on or off.";
}

/* Checks a string against the rule of its option. */
static void
check_string(const Option *option, const char *value)
{
	const char *problem = option->rule(value);

	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
						errmsg("invalid value for option \"%s\"", option->name),
						errdetail("%s", problem), errhidestmt(true)));
}

/* Reads a number or a duration as settings are read, and checks its bounds. */
static int
parse_number(const Option *option, const char *value)
{
	int         number;
	const char *hint = NULL;

	if (!parse_int(value, &number, option->unit, &hint) || number < option->least ||
		number > option->most)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for option \"%s\"", option->name),
						option->unit == GUC_UNIT_MS
							? errdetail("It must be a time of 1 ms to %d ms, such as 10s or 500ms.",
										option->most)
							: errdetail("It must be a whole number from %d to %d.", option->least,
										option->most),
						hint != NULL ? errhint("%s", hint) : 0, errhidestmt(true)));
	return number;
}

/* The value of an option as it was given, or NULL. */
static char *
find_value(List *options, const char *name)
{
	ListCell *cell;

	foreach (cell, options)
	{
		DefElem *definition = lfirst_node(DefElem, cell);

		if (strcmp(definition->defname, name) == 0)
			return defGetString(definition);
	}
	return NULL;
}

const char *
option_string(List *options, const char *name)
{
	const char *value = find_value(options, name);

	if (value != NULL)
		check_string(find_option(name), value);
	return value;
}

int
option_number(List *options, const char *name, int missing)
{
	const char *value = find_value(options, name);

	return value != NULL ? parse_number(find_option(name), value) : missing;
}

bool
option_boolean(List *options, const char *name, bool missing)
{
	const char *value = option_string(options, name);
	bool        result = missing;

	if (value != NULL)
		parse_bool(value, &result);
	return result;
}

bool
option_is_plain_http(const char *endpoint)
{
	return endpoint != NULL && pg_strncasecmp(endpoint, "http:", strlen("http:")) == 0;
}

void
options_wipe(List *options)
{
	ListCell *cell;

	foreach (cell, options)
	{
		char *value = defGetString(lfirst_node(DefElem, cell));

		OPENSSL_cleanse(value, strlen(value));
	}
}

void
option_check_secret(const char *secret, const char *server_name)
{
	const char *problem = credential_rule(secret);

	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the Vault secret of server \"%s\" is not a secret access key",
							   server_name),
						errdetail("%s", problem)));
}

/* Which options belong to a kind of object. */
static int
place_of(Oid catalog)
{
	if (catalog == ForeignServerRelationId)
		return ON_SERVER;
	if (catalog == UserMappingRelationId)
		return ON_USER_MAPPING;
	return 0;
}

/* Raises the error for a name that is not valid where it stands, and lists those that are. */
static void
pg_attribute_noreturn() reject_option(const char *name, int place)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (size_t i = 0; i < lengthof(options_table); i++)
		if (options_table[i].places & place)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", options_table[i].name);

	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					valid.len > 0 ? errhint("Valid options in this context are: %s.", valid.data)
								  : errhint("There are no valid options in this context."),
					errhidestmt(true)));
}

bool
options_check_credentials(List *options)
{
	bool key = find_value(options, "aws_access_key_id") != NULL;
	bool secret = find_value(options, "aws_secret_access_key") != NULL;
	bool vault = find_value(options, "api_key_id") != NULL;
	bool token = find_value(options, "aws_session_token") != NULL;

	if (!key && !secret && !vault && !token)
		return false;
	if (secret && vault)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options \"aws_secret_access_key\" and \"api_key_id\" exclude each other"),
				 errhint("Keep \"api_key_id\", which names a secret in Vault."),
				 errhidestmt(true)));
	if (!secret && !vault)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("missing option \"aws_secret_access_key\" or \"api_key_id\""),
				 errhint("Give the secret itself, or \"api_key_id\", which names it in Vault."),
				 errhidestmt(true)));
	if (!key)
		ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
						errmsg("missing option \"aws_access_key_id\""), errhidestmt(true)));
	return true;
}

/* Every role can read a server's options; say so to who stores a secret there. */
static void
warn_of_readable_secret(List *options)
{
	if (find_value(options, "aws_secret_access_key") != NULL ||
		find_value(options, "aws_session_token") != NULL)
		ereport(WARNING,
				(errmsg("every role of this database can read the credentials of this server"),
				 errhint("Keep the secret in Vault and name it with \"api_key_id\", or keep the "
						 "credentials in user mappings."),
				 errhidestmt(true)));
}

/*
 * Warn a role that is no superuser of an endpoint that only a superuser's server
 * may have.  Which role will own the server is not known here: a dump may hold it,
 * and a superuser may take it over.
 */
static void
warn_of_plain_http(List *options)
{
	if (superuser() || !(option_is_plain_http(find_value(options, "endpoint_url")) ||
						 option_is_plain_http(find_value(options, "identity_endpoint_url"))))
		return;
	ereport(WARNING,
			(errmsg("a server with a plain HTTP endpoint can only be used if a superuser "
					"owns it"),
			 errhint("Use https://, or have a superuser own the server."), errhidestmt(true)));
}

/* The wrapper's validator: called with all options that an object is to have. */
Datum
cognito_fdw_validator(PG_FUNCTION_ARGS)
{
	List     *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid       catalog = PG_GETARG_OID(1);
	int       place = place_of(catalog);
	ListCell *cell;

	if (catalog == ForeignTableRelationId)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cognito_wrapper has no foreign tables"),
						errhint("Use the function: SELECT * FROM cognito_users('server')."),
						errhidestmt(true)));

	foreach (cell, options)
	{
		DefElem      *definition = lfirst_node(DefElem, cell);
		const Option *option = find_option(definition->defname);

		if (option == NULL || !(option->places & place))
			reject_option(definition->defname, place);
		if (option->rule != NULL)
			check_string(option, defGetString(definition));
		else
			parse_number(option, defGetString(definition));
	}

	if (!options_check_credentials(options) && place == ON_USER_MAPPING)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("missing options \"aws_access_key_id\" and \"api_key_id\""),
				 errhint("A user mapping takes the place of all of the server's credentials."),
				 errhidestmt(true)));
	if (place == ON_SERVER)
	{
		warn_of_readable_secret(options);
		warn_of_plain_http(options);
	}

	options_wipe(options);
	PG_RETURN_VOID();
}
