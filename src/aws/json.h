/*
 * json.h
 *		Between PostgreSQL's memory and cJSON, and the text of requests.
 *
 * JSON on the wire is UTF-8 (RFC 8259); these functions convert from the
 * database's encoding.  Converting what was received is the row functions' job.
 */
#ifndef COGNITO_AWS_JSON_H
#define COGNITO_AWS_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include <cjson/cJSON.h>

typedef struct JsonError
{
	int         sqlstate;
	const char *detail; /* a constant sentence */
} JsonError;

/*
 * Parses a NUL-terminated text of the given length in bytes.  The tree is
 * allocated below the current memory context and goes with it: never delete it.
 * It is not wiped.  Returns NULL, and says why, for text that is not JSON, nests
 * deeper than cJSON's limit (1,000), has a string of more than 1 MB, would take
 * more than MAX_TREE, is not UTF-8 or holds U+0000, which no PostgreSQL value
 * can.  Raises what CHECK_FOR_INTERRUPTS does, however long the text is.
 *
 * cJSON knows one allocator for the whole process.  It is ours only while
 * cJSON's parser runs, in which nothing is raised.
 */
extern cJSON *json_parse(const char *text, size_t length, JsonError *problem);

/*
 * Walk over the elements of a list, or the members of an object; over nothing if
 * that is NULL or neither.  Who sent it decides how many there are, so each step
 * does CHECK_FOR_INTERRUPTS: all walks are to be made with this.
 */
extern const cJSON *json_first(const cJSON *parent);
extern const cJSON *json_next(const cJSON *child);
#define json_for_each(child, parent) \
	for ((child) = json_first(parent); (child) != NULL; (child) = json_next(child))

/* The first member of a name, or NULL. */
extern const cJSON *json_member(const cJSON *object, const char *name);

/* Is a value a list or an object? */
extern bool json_is_container(const cJSON *value);

/*
 * A walk through a value and all that is in it.  It begins where "value" is that,
 * and all else zero, and passes a list or an object twice: where it begins, and
 * where it ends.  json_step goes on to the next place, false at the end of all;
 * it does CHECK_FOR_INTERRUPTS.
 */
typedef struct JsonWalk
{
	const cJSON *value;
	bool         ends;                      /* a list or an object ends here */
	int          depth;                     /* of the lists and objects around it */
	const cJSON *path[CJSON_NESTING_LIMIT]; /* these */
} JsonWalk;

extern bool json_step(JsonWalk *walk);

/* What a value and all in it take, in bytes, each value with 128 beside its strings. */
extern size_t json_size(const cJSON *value);

/* A member's string, or NULL if the member is missing, null or no string. */
extern const char *json_string(const cJSON *object, const char *member);

/*
 * Append "key":value to the text of an object, after a comma unless it is the
 * first member.  The key is a constant.  A string is in the database's encoding, or
 * in UTF-8 as what a response held.
 */
extern void json_append_string(StringInfo members, const char *key, const char *value);
extern void json_append_utf8(StringInfo members, const char *key, const char *value);
extern void json_append_integer(StringInfo members, const char *key, int64 value);

/* Append members that were written with these, if there are any. */
extern void json_append_members(StringInfo members, const char *others);

#endif
