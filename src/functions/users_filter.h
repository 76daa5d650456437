/*
 * users_filter.h
 *		The filters of ListUsers: attribute, op, and a value in quotes.
 *
 * One attribute a filter, of which only the standard ones can be searched, and
 * 256 characters at the most:
 * https://docs.aws.amazon.com/cognito/latest/developerguide/how-to-manage-user-accounts.html
 */
#ifndef COGNITO_FUNCTIONS_USERS_FILTER_H
#define COGNITO_FUNCTIONS_USERS_FILTER_H

#include "postgres.h"

/*
 * The filter of an attribute that can be searched and an operator that there
 * is.  Raises 22023 for a value that it cannot hold.
 */
extern char *filter_make(const char *attribute, const char *op, const char *value);

/*
 * Does a filter find all users whose attribute is the value, or starts with it,
 * in the eyes of the database?  False for what filter_make refuses; for an
 * empty value, of which the service does not say what it means; and for one
 * that other characters of Unicode may equal once they are in the database's
 * encoding.
 */
extern bool filter_can_express(const char *attribute, const char *op, const char *value);

#endif
