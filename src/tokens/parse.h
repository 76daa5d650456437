/*
 * parse.h
 *		JSON to jsonb, without members that are there twice.
 */
#ifndef COGNITO_TOKENS_PARSE_H
#define COGNITO_TOKENS_PARSE_H

#include "postgres.h"

#include "utils/jsonb.h"

/*
 * Convert a text in the encoding of this database, whose characters are valid, to what
 * jsonb_in makes of it.  Return NULL unless it is a JSON object, none of whose objects has
 * a member twice, and which is nested at most 32 levels deep.  Raise an error of class 22
 * for what jsonb cannot hold: numbers that are too large for numeric, and characters that
 * the encoding does not have.
 */
extern Jsonb *parse_text(char *text);

#endif
