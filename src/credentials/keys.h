/*
 * keys.h
 *		Credentials that were obtained from a source, and what is known of them.
 */
#ifndef COGNITO_CREDENTIALS_KEYS_H
#define COGNITO_CREDENTIALS_KEYS_H

#include "postgres.h"

#include <time.h>

/* The largest size of a reply or a token file, in bytes */
#define KEYS_MAX_REPLY (64 * 1024)

/*
 * Keys live in a memory context of their own, with which their strings are wiped:
 * delete it to release them, or change its parent to keep them.
 */
typedef struct SourceKeys
{
	MemoryContext context;
	const char   *source; /* a constant: the source's name */
	char         *access_key_id;
	char         *secret_access_key;
	char         *session_token; /* NULL for long-term keys */
	char         *role;          /* name or ARN of the role, or NULL if unknown */
	time_t        expires;       /* 0 for never */
	double        valid_until;   /* the same in clock_now's milliseconds, or infinite */
	double        renewal_time;  /* when they are to be replaced, likewise */
	int           version;       /* different for all keys of the session */
} SourceKeys;

/* Why there are no keys; all strings are for an error, without secrets. */
typedef struct KeysFailure
{
	int         sqlstate;
	bool        absent; /* the source is not configured, so that a chain goes on */
	const char *reason; /* without a period */
	const char *hint;   /* or NULL */
} KeysFailure;

/* Set a failure and return NULL, for the functions that return keys. */
extern SourceKeys *keys_fail(KeysFailure *failure, int sqlstate, const char *reason);

/*
 * The texts of keys as a source gave them, each NULL if it is missing.  The token and
 * the role may be; so may the expiry, for keys that do not expire.
 */
typedef struct KeysText
{
	const char *access_key_id;
	const char *secret_access_key;
	const char *session_token;
	const char *expiration;
	const char *role;
} KeysText;

/*
 * Return keys in the current memory context, from copies of their texts; or NULL, and
 * set the failure, if a text is malformed, or if they have expired.  The service's
 * time tells for how long they are valid, -1 if it is unknown: this machine's clock
 * may be wrong.
 */
extern SourceKeys *
keys_make(const char *source, const KeysText *text, time_t service_time, KeysFailure *failure);

/* Return a copy of keys in a memory context. */
extern SourceKeys *keys_copy(const SourceKeys *keys, MemoryContext parent);

#endif
