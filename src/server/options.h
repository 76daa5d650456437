/*
 * options.h
 *		The options of servers and user mappings.
 *
 * The table in options.c describes all options.  To add one, add a field to
 * CognitoServer and a line to the table; options_have_plain_http checks the endpoints.
 *
 * Errors neither quote a value, because a secret may have been typed in the wrong
 * place, nor write the statement to the server's log.
 */
#ifndef COGNITO_SERVER_OPTIONS_H
#define COGNITO_SERVER_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "server/server.h"

/* Return what is wrong with a string, as a constant sentence, or NULL. */
typedef const char *(*StringRule)(const char *value);

/*
 * The rule for option "jwks", which is set once: the parser of keys is in a higher layer.
 * Only the validator applies it, because it takes long; who uses the option does so again.
 */
extern StringRule options_check_keys;

/*
 * Set fields of a server from a list of DefElem, to the defaults for absent options:
 * option_read those of one option, options_read those of all options that only a server
 * can have, and options_read_credentials those that a user mapping can have, too.
 * Ignore other names.  Strings belong to the list.
 *
 * Values are always checked, because a server of another wrapper, whose options the
 * validator has not seen, can be used too.  Raise HV00A (fdw_invalid_string_format) or
 * 22023 (invalid_parameter_value).
 *
 * Credentials are complete or absent.  Return false if there are none and they are
 * not required; raise HV00J naming what is missing, or 22023 if both the secret
 * and its name in Vault are given.
 */
extern void option_read(List *options, const char *name, CognitoServer *server);
extern void options_read(List *options, CognitoServer *server);
extern bool options_read_credentials(List *options, bool required, CognitoServer *server);

/* Return true if one of the endpoints of a server is without TLS. */
extern bool options_have_plain_http(const CognitoServer *server);

/* Raise 22023 for a server that has both a credential source and credentials. */
extern void options_check_source(const CognitoServer *server);

/* Overwrite all values with zeros. */
extern void options_wipe(List *options);

/* Raise 22023 unless the argument of the same name as an option has the form of its values. */
extern void option_check_argument(const char *name, const char *value);

/*
 * Return NULL for a key or a token that can be a part of a header line, or for the ARN
 * of a role; or else what is wrong with it, as a constant sentence.
 */
extern const char *option_check_credential(const char *value);
extern const char *option_check_role(const char *value);

/* Raise 22023 unless a server's secret from Vault can be a secret access key. */
extern void option_check_secret(const char *secret, const char *server_name);

#endif
