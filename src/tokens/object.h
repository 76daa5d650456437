/*
 * object.h
 *		JSON objects from outside: headers and claims of tokens, sets of keys.
 *
 * They are jsonb, with all digits of numbers.
 */
#ifndef COGNITO_TOKENS_OBJECT_H
#define COGNITO_TOKENS_OBJECT_H

#include "postgres.h"

#include "utils/jsonb.h"

/*
 * Parse a text of UTF-8, which is followed by a NUL.  Return NULL unless it is a JSON
 * object that jsonb can hold in the encoding of this database, none of whose objects has
 * a member twice, and which is nested at most 32 levels deep.  Raise only what has
 * nothing to do with the text.
 */
extern Jsonb *object_parse(const char *text, size_t length);

/* Return true if a container is an object that has a member, of any type. */
extern bool object_has(JsonbContainer *object, const char *member);

/* Return a copy of a member's string; NULL if the member is missing or not a string. */
extern char *object_string(JsonbContainer *object, const char *member);

/* Return true if a member is a string that equals another. */
extern bool object_equals(JsonbContainer *object, const char *member, const char *value);

/*
 * Set a time from a member that is a number: seconds since the Unix epoch, from then to
 * the year 9999.  Return false if the member is missing or anything else.
 */
extern bool object_time(JsonbContainer *object, const char *member, double *seconds);

#endif
