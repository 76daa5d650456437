/*
 * json.h
 *		Parsing JSON with cJSON, and writing the text of requests.
 *
 * JSON on the wire is UTF-8 (RFC 8259); these functions convert from the
 * database's encoding.  Converting what was received is the row functions' job.
 */
#ifndef COGNITO_AWS_JSON_H
#define COGNITO_AWS_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/jsonb.h"

#include <cjson/cJSON.h>

typedef struct JsonError
{
	int         sqlstate;
	const char *detail; /* a constant sentence */
} JsonError;

/*
 * Parse a NUL-terminated text of the given length in bytes.  The tree is allocated
 * below the current memory context and freed with it: never delete it.  It is not
 * wiped.  Return NULL, and set the problem, for a text that is not JSON, is nested
 * deeper than cJSON's limit (1,000), has a string of more than 1 MB, would take more
 * than 128 MB, is not UTF-8 or contains U+0000, which PostgreSQL cannot store.
 * Raise what CHECK_FOR_INTERRUPTS does, however long the text is.
 *
 * cJSON's allocator, one for the whole process, is replaced only while its parser runs.
 */
extern cJSON *json_parse(const char *text, size_t length, JsonError *problem);

/*
 * Iterate over the elements of a list, or the members of an object; over nothing if
 * the parent is NULL or neither.  Each step does CHECK_FOR_INTERRUPTS, because the
 * service decides how many there are: use no other way to iterate.
 */
static inline const cJSON *
json_first(const cJSON *parent)
{
	return parent != NULL ? parent->child : NULL;
}

static inline const cJSON *
json_next(const cJSON *child)
{
	CHECK_FOR_INTERRUPTS();
	return child->next;
}

#define json_for_each(child, parent) \
	for ((child) = json_first(parent); (child) != NULL; (child) = json_next(child))

/* Return the first member of a name, or NULL. */
extern const cJSON *json_member(const cJSON *object, const char *name);

/*
 * Wipe and remove the members of an object whose names contain a text, in upper or lower
 * case.  Their values are secrets, strings in general.
 */
extern void json_remove_secrets(const cJSON *object, const char *text);

/* Return true if a value is a list or an object. */
extern bool json_is_container(const cJSON *value);

/*
 * A walk through a value and all values in it.  A list or an object is visited twice:
 * at its start and at its end.
 */
typedef struct JsonWalk
{
	const cJSON *value;
	bool         ends;                      /* at the end of a list or an object */
	int          depth;                     /* number of lists and objects around it */
	const cJSON *path[CJSON_NESTING_LIMIT]; /* these */
} JsonWalk;

/* Begin a walk at a value. */
extern void json_begin(JsonWalk *walk, const cJSON *value);

/* Go to the next place of a walk; return false at its end.  Does CHECK_FOR_INTERRUPTS. */
extern bool json_step(JsonWalk *walk);

/* The size of a value in a tree without its strings, in bytes, rounded up */
#define JSON_VALUE_SIZE 128

/* Return the size of a value and all in it, in bytes: JSON_VALUE_SIZE each, and the strings. */
extern size_t json_size(const cJSON *value);

/* Return a member's string, or NULL if the member is missing, null or not a string. */
extern const char *json_string(const cJSON *object, const char *member);

/*
 * Append "key":value to the text of an object, after a comma unless it is the
 * first member.  The key is a constant.  A string is in the database's encoding, or
 * in UTF-8 as what a response held.
 */
extern void json_append_string(StringInfo members, const char *key, const char *value);
extern void json_append_utf8(StringInfo members, const char *key, const char *value);
extern void json_append_integer(StringInfo members, const char *key, int64 value);

/* Append members that were written with these functions; nothing if the text is empty. */
extern void json_append_members(StringInfo members, const char *others);

/*
 * Sort the members of an object as jsonb does, which requires it of whoever does not leave
 * that to pushJsonbValue.  Return false if two of them have the same name.
 */
extern bool json_sort_members(JsonbPair *members, int n);

#endif
