/*
 * json.h
 *		Between PostgreSQL's memory and cJSON, and the text of requests.
 *
 * JSON on the wire is UTF-8 (RFC 8259); these functions convert from the
 * database's encoding.  Converting what was received is the row functions' job.
 */
#ifndef COGNITO_JSON_H
#define COGNITO_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include <cjson/cJSON.h>

typedef struct JsonProblem
{
	int         sqlstate;
	const char *detail; /* a constant sentence */
} JsonProblem;

/*
 * Parses a NUL-terminated text of the given length in bytes.  The tree is
 * allocated in the current memory context and goes with it: never delete it.
 * Returns NULL, and says why, for text that is not JSON, nests deeper than
 * cJSON's limit (1,000), would take more than MAX_TREE, is not UTF-8 or holds
 * U+0000, which no PostgreSQL value can.
 *
 * cJSON knows one allocator for the whole process.  It is ours only while
 * this or json_print runs, and malloc's again before they return.
 */
extern cJSON *json_parse(const char *text, size_t length, JsonProblem *problem);

/*
 * The text of a parsed value, in UTF-8; it goes with the current memory context.
 * Raises 53200 if there is no memory for it.
 */
extern char *json_print(const cJSON *value);

/* A member's string, or NULL if the member is missing, null or no string. */
extern const char *json_string(const cJSON *object, const char *member);

/* Append "key":value and, if others came before, a comma.  The key is a constant. */
extern void json_append_string(StringInfo members, const char *key, const char *value);
extern void json_append_integer(StringInfo members, const char *key, int64 value);

#endif
