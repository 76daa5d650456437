/*
 * matching.h
 *		The rows of an entity that match a search, from as few requests as can be.
 */
#ifndef COGNITO_MATCHING_H
#define COGNITO_MATCHING_H

#include "postgres.h"

#include "fmgr.h"

#include "search.h"

/*
 * A whole call of the SQL function that takes the server's name, an attribute,
 * an operator if the entity has_operator, and a text[] of values.
 */
extern Datum matching_call(FunctionCallInfo fcinfo, const Searchable *searchable);

#endif
