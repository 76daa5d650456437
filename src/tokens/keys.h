/*
 * keys.h
 *		Sets of public keys (JSON Web Key Sets, RFC 7517), and signatures made with them.
 */
#ifndef COGNITO_TOKENS_KEYS_H
#define COGNITO_TOKENS_KEYS_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "compat.h"
#include "server/server.h"

/* The longest id of a key, and the longest set of keys, in bytes; Cognito's have 44 and 1,000. */
#define KEYS_MAX_ID 256
#define KEYS_MAX_SET (64 * 1024)

typedef struct Key    Key;
typedef struct KeySet KeySet;

/*
 * Return the keys of a set that are RSA keys for signatures of algorithm RS256: others
 * are left out, but each of these must be well-formed.  The result lives in the current
 * memory context.  Return NULL and set the problem, a constant sentence, for a text that
 * is not such a set, or has no such key.
 */
extern const KeySet *keys_parse(const char *text, const char **problem);

/* Accept a text that keys_parse accepts: return NULL, or the problem. */
extern const char *keys_check(const char *text);

/* Return the key of an id, or NULL. */
extern const Key *keys_find(const KeySet *keys, const char *id);

/* Return true if a key has made the signature of a text. */
extern bool keys_verify(const KeySet *keys, const Key *key, const char *text, size_t length,
						const unsigned char *signature, size_t signature_length);

/*
 * Request the keys of a server's user pool and return them as text, which keys_parse accepts and which
 * lives in the server's context.  Nothing is signed, and a failed request is not repeated.
 *
 * Raise HV00N if the service cannot be reached or answers with another status than 200,
 * or while cognito_srf.offline is on; HV000 if it does not answer in time or with a set of
 * keys; 53000 and 53200 as transfers do.
 */
extern const char *keys_fetch(const CognitoServer *server);

/* Raise HV00N for a server whose keys cannot be fetched; the detail is a sentence. */
extern void pg_attribute_noreturn() keys_reject_fetch(const char *server_name, const char *detail);

#endif
