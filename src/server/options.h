/*
 * options.h
 *		The options of servers and user mappings: which there are, where each
 *		belongs, and what a valid value is.  The README has the table for users.
 *
 * No error quotes a value: a secret may have been typed in the wrong place.
 * For the same reason they leave the statement out of the server's log.
 */
#ifndef COGNITO_SERVER_OPTIONS_H
#define COGNITO_SERVER_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * The value of an option in a list of DefElem, checked, or a default if it is
 * not there.  The wrapper's validator has seen the options of its own servers,
 * but a server of another wrapper may be used too, so both check.  Strings
 * belong to the list.  Durations are in milliseconds.
 *
 * Raise HV00A (fdw_invalid_string_format) or 22023 (invalid_parameter_value).
 */
extern const char *option_string(List *options, const char *name);
extern int         option_number(List *options, const char *name, int missing);
extern bool        option_boolean(List *options, const char *name, bool missing);

/*
 * Return true if the value of option endpoint_url or identity_endpoint_url, checked
 * as option_string does, means requests without TLS; false if it is NULL.
 */
extern bool option_is_plain_http(const char *endpoint);

/* Overwrites all values with zeros. */
extern void options_wipe(List *options);

/*
 * Credentials are whole or absent.  Returns false if the list holds none at
 * all; raises HV00J naming what is missing if it holds part of them, 22023 if
 * it holds both the secret and a name for it.
 */
extern bool options_check_credentials(List *options);

/* Raises 22023 unless what Vault keeps for a server can be a secret access key. */
extern void option_check_secret(const char *secret, const char *server_name);

#endif
