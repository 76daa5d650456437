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

#include <math.h>
#include <openssl/crypto.h>

#include "compat.h"
#include "server/endpoint.h"
#include "server/options.h"

/* The catalogs in which an option is valid */
#define ON_SERVER 0x1
#define ON_USER_MAPPING 0x2

/* Credentials belong to a server or to a user mapping, all other options to a server. */
#define CREDENTIAL (ON_SERVER | ON_USER_MAPPING)

#define MAX_POOL_ID 55
#define MAX_DNS_LABEL 63
#define MAX_CLIENT_ID 128
#define MAX_ISSUER 2048

#define CLIENT_IDS_PROBLEM "It must be a list of app client ids, such as 'id1, id2', or only '*'."

/* The longest path and name of a role */
#define MAX_ROLE (512 + 64)

#define LOWER_LETTERS "abcdefghijklmnopqrstuvwxyz"

/* The characters of the class \w in service models */
#define WORD_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZ" LOWER_LETTERS "0123456789_"

typedef enum OptionType
{
	OPTION_TEXT,     /* sets a const char * */
	OPTION_ENDPOINT, /* sets a const Endpoint * */
	OPTION_INT,      /* sets an int */
	OPTION_TIME,     /* sets an int, in milliseconds */
	OPTION_BOOL      /* sets a bool */
} OptionType;

typedef struct Option
{
	const char *name;
	int         catalogs;
	OptionType  type;
	size_t      offset;  /* of its field in CognitoServer */
	int         min;     /* of an integer or a time */
	int         max;     /* likewise */
	int         initial; /* the default of an integer, a time or a boolean */
	StringRule  rule;    /* of a string */
	const char *example; /* of a time */
} Option;

#define FIELD(name) .offset = offsetof(CognitoServer, name)

/* Accept any text but the empty one, a StringRule. */
static const char *
check_not_empty(const char *value)
{
	return value[0] == '\0' ? "It must not be empty." : NULL;
}

const char *
option_check_credential(const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~')
			return "It must contain only printable ASCII characters, and no white space.";
	if (strlen(value) > MAX_CREDENTIAL)
		return "It must not be longer than 16 kB.";
	return check_not_empty(value);
}

/*
 * Accept an AWS region, which becomes a label of the host name: words and a number, as
 * in eu-west-1, or the single word of an emulator, such as local.  A StringRule.
 */
static const char *
check_region(const char *value)
{
	const char *last = value;
	int         nwords = 0;
	size_t      length;

	while ((length = strspn(last, LOWER_LETTERS)) > 0 && last[length] == '-')
	{
		last += length + 1;
		nwords++;
	}
	length = strspn(last, nwords > 0 ? "0123456789" : LOWER_LETTERS);
	if (nwords == 1 || length == 0 || last[length] != '\0' || strlen(value) > MAX_DNS_LABEL)
		return "It must consist of lower-case words and a number, with hyphens, as in eu-west-1.";
	return NULL;
}

/* Accept the service model's form of a user pool's id, [\w-]+_[0-9a-zA-Z]+, a StringRule. */
static const char *
check_user_pool(const char *value)
{
	size_t      length = strspn(value, WORD_LETTERS "-");
	const char *underscore = strrchr(value, '_');

	if (length > MAX_POOL_ID || value[length] != '\0' || underscore == NULL ||
		underscore == value || underscore[1] == '\0' || strchr(underscore, '-') != NULL)
		return "It must be the id of a user pool, such as eu-west-1_AbCdEf123.";
	return NULL;
}

/* Accept the service model's form of an identity pool's id, [\w-]+:[0-9a-f-]+, a StringRule. */
static const char *
check_identity_pool(const char *value)
{
	size_t region = strspn(value, WORD_LETTERS "-");
	size_t id = value[region] == ':' ? strspn(value + region + 1, "0123456789abcdef-") : 0;

	if (region == 0 || id == 0 || value[region + 1 + id] != '\0' || region + 1 + id > MAX_POOL_ID)
		return "It must be the id of an identity pool, such as "
			   "eu-west-1:12345678-90ab-cdef-1234-567890abcdef.";
	return NULL;
}

/*
 * Accept ids of app clients in the service model's form, [\w+]+, between commas or spaces,
 * or "*" alone, a StringRule.
 */
static const char *
check_client_ids(const char *value)
{
	size_t id = 0;

	if (strcmp(value, "*") == 0)
		return NULL;
	for (const char *c = value + strspn(value, ", "); *c != '\0'; c += id, c += strspn(c, ", "))
	{
		id = strspn(c, WORD_LETTERS "+");
		if (id == 0 || id > MAX_CLIENT_ID || (c[id] != '\0' && strchr(", ", c[id]) == NULL))
			return CLIENT_IDS_PROBLEM;
	}
	return id > 0 ? NULL : CLIENT_IDS_PROBLEM;
}

/* Accept the issuer of tokens, which is compared as it is, a StringRule. */
static const char *
check_issuer(const char *value)
{
	if (strlen(value) > MAX_ISSUER)
		return "It must not be longer than 2048 bytes.";
	return check_not_empty(value);
}

/* Accept the name of a credential source, a StringRule. */
static const char *
check_source(const char *value)
{
	static const char *const sources[] = {"environment", "web_identity", "container", "instance",
										  "chain"};

	for (size_t i = 0; i < lengthof(sources); i++)
		if (strcmp(value, sources[i]) == 0)
			return NULL;
	return "It must be environment, web_identity, container, instance, or chain.";
}

/* Return true if a text has a length, and only letters of what models call \w and others. */
static bool
consists_of(const char *text, const char *others, size_t min, size_t max)
{
	size_t length = strlen(text);

	for (const char *c = text; *c != '\0'; c++)
		if (strchr(WORD_LETTERS, *c) == NULL && strchr(others, *c) == NULL)
			return false;
	return length >= min && length <= max;
}

const char *
option_check_role(const char *value)
{
	int name = 0;

	(void) sscanf(value, "arn:%*[a-z-]:iam::%*12[0-9]:role/%n", &name);
	if (name == 0 || !consists_of(value + name, "/+=,.@-", 1, MAX_ROLE))
		return "A role is written like arn:aws:iam::123456789012:role/name.";
	return NULL;
}

/* Accept STS's form of an external id, a StringRule. */
static const char *
check_external_id(const char *value)
{
	if (!consists_of(value, "+=,.@:/-", 2, 1224))
		return "It must consist of 2 to 1224 letters, digits, and characters of \"_+=,.@:/-\".";
	return NULL;
}

/* Accept STS's form of a role session's name, a StringRule. */
static const char *
check_session_name(const char *value)
{
	if (!consists_of(value, "+=,.@-", 2, 64))
		return "It must consist of 2 to 64 letters, digits, and characters of \"_+=,.@-\".";
	return NULL;
}

/* The default of a string or an endpoint is NULL. */
static const Option options_table[] = {
	{"aws_access_key_id", CREDENTIAL, OPTION_TEXT, FIELD(access_key_id),
	 .rule = option_check_credential},
	{"aws_secret_access_key", CREDENTIAL, OPTION_TEXT, FIELD(secret_access_key),
	 .rule = option_check_credential},
	{"aws_session_token", CREDENTIAL, OPTION_TEXT, FIELD(session_token),
	 .rule = option_check_credential},
	{"api_key_id", CREDENTIAL, OPTION_TEXT, FIELD(vault_secret_name), .rule = check_not_empty},
	{"region", ON_SERVER, OPTION_TEXT, FIELD(region), .rule = check_region},
	{"user_pool_id", ON_SERVER, OPTION_TEXT, FIELD(user_pool_id), .rule = check_user_pool},
	{"identity_pool_id", ON_SERVER, OPTION_TEXT, FIELD(identity_pool_id),
	 .rule = check_identity_pool},
	{"endpoint_url", ON_SERVER, OPTION_ENDPOINT, FIELD(endpoint)},
	{"identity_endpoint_url", ON_SERVER, OPTION_ENDPOINT, FIELD(identity_endpoint)},
	{"credential_source", ON_SERVER, OPTION_TEXT, FIELD(credential_source), .rule = check_source},
	{"role_arn", ON_SERVER, OPTION_TEXT, FIELD(role_arn), .rule = option_check_role},
	{"external_id", ON_SERVER, OPTION_TEXT, FIELD(external_id), .rule = check_external_id},
	{"role_session_name", ON_SERVER, OPTION_TEXT, FIELD(role_session_name),
	 .rule = check_session_name},
	{"role_duration", ON_SERVER, OPTION_TIME, FIELD(role_duration), 15 * 60 * 1000,
	 12 * 60 * 60 * 1000, 60 * 60 * 1000, .example = "1h or 15min"},
	{"sts_endpoint_url", ON_SERVER, OPTION_ENDPOINT, FIELD(sts_endpoint)},
	{"connect_timeout", ON_SERVER, OPTION_TIME, FIELD(connect_timeout), 1, INT_MAX, 10 * 1000,
	 .example = "10s or 500ms"},
	{"request_timeout", ON_SERVER, OPTION_TIME, FIELD(request_timeout), 1, INT_MAX, 30 * 1000,
	 .example = "10s or 500ms"},
	{"max_retries", ON_SERVER, OPTION_INT, FIELD(max_retries), 0, 100, 8},
	{"max_concurrent_requests", ON_SERVER, OPTION_INT, FIELD(max_concurrent_requests), 1, 64, 1},
	{"max_requests_per_second", ON_SERVER, OPTION_INT, FIELD(max_requests_per_second), 1, 100000,
	 0},
	{"pushdown", ON_SERVER, OPTION_BOOL, FIELD(pushdown), .initial = true},
	{"app_client_ids", ON_SERVER, OPTION_TEXT, FIELD(app_client_ids), .rule = check_client_ids},
	{"jwks", ON_SERVER, OPTION_TEXT, FIELD(jwks), .rule = check_not_empty},
	{"token_issuer", ON_SERVER, OPTION_TEXT, FIELD(token_issuer), .rule = check_issuer},
};

StringRule options_check_keys;

PG_FUNCTION_INFO_V1(cognito_fdw_validator);

/* Return the option of a name, or NULL. */
static const Option *
find_option(const char *name)
{
	for (size_t i = 0; i < lengthof(options_table); i++)
		if (strcmp(options_table[i].name, name) == 0)
			return &options_table[i];
	return NULL;
}

/* Return the number that a value denotes. */
static int
parse_number(const Option *option, const char *value)
{
	int number;

	if (!parse_int(value, &number, 0, NULL) || number < option->min || number > option->max)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for option \"%s\"", option->name),
						errdetail("It must be an integer from %d to %d.", option->min, option->max),
						errhidestmt(true)));
	return number;
}

/*
 * Return the time that a value denotes, in milliseconds.  Without a unit it is in
 * seconds, as in the options of postgres_fdw and libpq.
 */
static int
parse_time(const Option *option, const char *value)
{
	double seconds;
	bool   is_time = parse_real(value, &seconds, GUC_UNIT_S, NULL);
	double milliseconds = is_time ? rint(seconds * 1000.0) : 0;

	if (!is_time || milliseconds < option->min || milliseconds > option->max)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("invalid value for option \"%s\"", option->name),
						errdetail("It must be a time from %d ms to %d ms, such as %s.", option->min,
								  option->max, option->example),
						errhint("Valid units are \"us\", \"ms\", \"s\", \"min\", \"h\", and "
								"\"d\"; a number without a unit is in seconds."),
						errhidestmt(true)));
	return (int) milliseconds;
}

/* Return the value of an option as it was given, or NULL. */
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

/* Raise the error for a malformed value. */
static void
pg_attribute_noreturn() reject_value(const char *name, const char *problem)
{
	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_STRING_FORMAT),
					errmsg("invalid value for option \"%s\"", name), errdetail("%s", problem),
					errhidestmt(true)));
}

/* Set the field of an option from its value, NULL for the default. */
static void
read_value(const Option *option, const char *value, CognitoServer *server)
{
	void       *field = (char *) server + option->offset;
	const char *problem = NULL;

	switch (option->type)
	{
		case OPTION_TEXT:
			*(const char **) field = value;
			problem = value != NULL ? option->rule(value) : NULL;
			break;
		case OPTION_ENDPOINT:
			*(const Endpoint **) field = NULL;
			problem = value != NULL ? endpoint_parse(value, field) : NULL;
			break;
		case OPTION_INT:
			*(int *) field = value != NULL ? parse_number(option, value) : option->initial;
			break;
		case OPTION_TIME:
			*(int *) field = value != NULL ? parse_time(option, value) : option->initial;
			break;
		case OPTION_BOOL:
			*(bool *) field = option->initial;
			if (value != NULL && !parse_bool(value, field))
				problem = "It must be on or off.";
			break;
	}
	if (problem != NULL)
		reject_value(option->name, problem);
}

void
option_read(List *options, const char *name, CognitoServer *server)
{
	read_value(find_option(name), find_value(options, name), server);
}

/* Set the fields of all options that are valid in exactly these catalogs. */
static void
read_options_of(List *options, int catalogs, CognitoServer *server)
{
	for (size_t i = 0; i < lengthof(options_table); i++)
		if (options_table[i].catalogs == catalogs)
			option_read(options, options_table[i].name, server);
}

void
options_read(List *options, CognitoServer *server)
{
	read_options_of(options, ON_SERVER, server);
}

/* Raise the error for incomplete credentials. */
static void
pg_attribute_noreturn() reject_incomplete(bool has_key, bool has_secret)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 has_secret ? errmsg("missing required option \"aws_access_key_id\"")
			 : has_key
				 ? errmsg("missing required option \"aws_secret_access_key\" or \"api_key_id\"")
				 : errmsg("missing required options \"aws_access_key_id\" and either "
						  "\"aws_secret_access_key\" or \"api_key_id\""),
			 has_secret ? 0
						: errhint("Option \"aws_secret_access_key\" contains the secret itself, "
								  "\"api_key_id\" the name of a Vault secret."),
			 errhidestmt(true)));
}

bool
options_read_credentials(List *options, bool required, CognitoServer *server)
{
	bool has_key;
	bool has_secret;

	read_options_of(options, CREDENTIAL, server);
	has_key = server->access_key_id != NULL;
	has_secret = server->secret_access_key != NULL || server->vault_secret_name != NULL;

	if (!required && !has_key && !has_secret && server->session_token == NULL)
		return false;
	if (server->secret_access_key != NULL && server->vault_secret_name != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("options \"aws_secret_access_key\" and \"api_key_id\" are "
							   "mutually exclusive"),
						errhint("To keep the secret in Vault, use ALTER ... OPTIONS (DROP "
								"aws_secret_access_key, ADD api_key_id '...')."),
						errhidestmt(true)));
	if (!has_key || !has_secret)
		reject_incomplete(has_key, has_secret);
	return true;
}

bool
options_have_plain_http(const CognitoServer *server)
{
	const Endpoint *endpoints[] = {server->endpoint, server->identity_endpoint,
								   server->sts_endpoint};

	for (size_t i = 0; i < lengthof(endpoints); i++)
		if (endpoints[i] != NULL && endpoints[i]->is_plain_http)
			return true;
	return false;
}

void
options_check_source(const CognitoServer *server)
{
	if (server->credential_source != NULL && server->access_key_id != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("options \"credential_source\" and \"aws_access_key_id\" exclude "
							   "each other"),
						errhint("Keep access keys in user mappings, which replace the source."),
						errhidestmt(true)));
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
option_check_argument(const char *name, const char *value)
{
	const char *problem = find_option(name)->rule(value);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\"", name), errdetail("%s", problem)));
}

void
option_check_secret(const char *secret, const char *server_name)
{
	const char *problem = option_check_credential(secret);

	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("the Vault secret of server \"%s\" is not a valid secret access key",
							   server_name),
						errdetail("%s", problem)));
}

/* Raise the error for a name that is not valid in a catalog, and list those that are. */
static void
pg_attribute_noreturn() reject_name(const char *name, int catalog)
{
	StringInfoData valid;

	initStringInfo(&valid);
	for (size_t i = 0; i < lengthof(options_table); i++)
		if (options_table[i].catalogs & catalog)
			appendStringInfo(&valid, "%s%s", valid.len > 0 ? ", " : "", options_table[i].name);

	ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
					valid.len > 0 ? errhint("Valid options in this context are: %s.", valid.data)
								  : errhint("There are no valid options in this context."),
					errhidestmt(true)));
}

/* Raise the error for the first name that is not valid in a catalog. */
static void
check_names(List *options, int catalog)
{
	ListCell *cell;

	foreach (cell, options)
	{
		const char   *name = lfirst_node(DefElem, cell)->defname;
		const Option *option = find_option(name);

		if (option == NULL || !(option->catalogs & catalog))
			reject_name(name, catalog);
	}
}

/* Warn a role that stores a secret in a server, because every role can read its options. */
static void
warn_of_readable_secret(const CognitoServer *server)
{
	if (server->secret_access_key != NULL || server->session_token != NULL)
		ereport(WARNING,
				(errmsg("every role in this database can read the credentials of this server"),
				 errhint("Store the secret in Vault and its name in \"api_key_id\", or store the "
						 "credentials in user mappings."),
				 errhidestmt(true)));
}

/*
 * Warn a role that is no superuser of an endpoint that only a superuser's server
 * may have.  Which role will own the server is not known here: the command may
 * come from a dump, and a superuser may take the server over.
 */
static void
warn_of_plain_http(const CognitoServer *server)
{
	if (superuser() || !options_have_plain_http(server))
		return;
	ereport(WARNING, (errmsg("a server with a plain HTTP endpoint can only be used if a superuser "
							 "owns it"),
					  errhint("Use https://, or make a superuser the owner of the server."),
					  errhidestmt(true)));
}

/* Raise the error for keys of tokens that are not usable, which only its user can parse. */
static void
check_keys(const CognitoServer *server)
{
	const char *problem = server->jwks != NULL ? options_check_keys(server->jwks) : NULL;

	if (problem != NULL)
		reject_value("jwks", problem);
}

/*
 * Raise an error for a credential source, which is the machine's identity, unless a
 * superuser decides on it.  Every change of the server is checked: nobody else may
 * redirect its requests.
 */
static void
check_source_right(const CognitoServer *server)
{
	if (server->credential_source != NULL && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for option \"credential_source\""),
				 errdetail("Only superusers may create or alter a server that has this option."),
				 errhidestmt(true)));
}

/* Warn of the id of a pool that does not begin with the region and a separator. */
static void
warn_of_other_region(const char *option, const char *region, const char *id, char separator)
{
	size_t length;

	if (region == NULL || id == NULL)
		return;
	length = strlen(region);
	if (strncmp(id, region, length) == 0 && id[length] == separator)
		return;
	ereport(
		WARNING,
		(errmsg("option \"%s\" does not begin with the region", option),
		 errhint("AWS finds a pool only in the region with which its id begins; an emulator may "
				 "use other ids.  Check options \"%s\" and \"region\".",
				 option),
		 errhidestmt(true)));
}

/* Raise the error for options that only apply to a role, if there is none. */
static void
check_role_options(List *options, const CognitoServer *server)
{
	static const char *const names[] = {"external_id", "role_session_name", "role_duration"};

	for (size_t i = 0; i < lengthof(names) && server->role_arn == NULL; i++)
		if (find_value(options, names[i]) != NULL)
			ereport(ERROR, (errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
							errmsg("missing required option \"role_arn\""),
							errdetail("Option \"%s\" is only used to assume a role.", names[i]),
							errhidestmt(true)));
}

/* Validate all options that an object is to have; SQL function of the wrapper. */
Datum
cognito_fdw_validator(PG_FUNCTION_ARGS)
{
	List         *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid           catalog = PG_GETARG_OID(1);
	int           valid = catalog == ForeignServerRelationId ? ON_SERVER
						  : catalog == UserMappingRelationId ? ON_USER_MAPPING
															 : 0;
	CognitoServer server;

	if (catalog == ForeignTableRelationId)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cognito_wrapper does not support foreign tables"),
						errhint("Use functions such as cognito_users(server_name) instead."),
						errhidestmt(true)));

	memset(&server, 0, sizeof(server));
	check_names(options, valid);
	options_read(options, &server);
	check_keys(&server);
	(void) options_read_credentials(options, catalog == UserMappingRelationId, &server);
	if (catalog == ForeignServerRelationId)
	{
		check_source_right(&server);
		options_check_source(&server);
		check_role_options(options, &server);
		warn_of_readable_secret(&server);
		warn_of_plain_http(&server);
		warn_of_other_region("user_pool_id", server.region, server.user_pool_id, '_');
		warn_of_other_region("identity_pool_id", server.region, server.identity_pool_id, ':');
	}

	options_wipe(options);
	PG_RETURN_VOID();
}
