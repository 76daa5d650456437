/*
 * users_filter.h
 *		Filters of ListUsers: attribute, operator, and a value in quotes.
 *
 * A filter compares one standard attribute, and has at most 256 characters:
 * https://docs.aws.amazon.com/cognito/latest/developerguide/how-to-manage-user-accounts.html
 */
#ifndef COGNITO_FUNCTIONS_USERS_FILTER_H
#define COGNITO_FUNCTIONS_USERS_FILTER_H

#include "postgres.h"

#include "planner/search.h"

/*
 * Return a filter, palloc'd, for an attribute and an operator that search_check
 * accepts.  Raise 22023 for a value that a filter cannot contain.
 */
extern char *filter_make(const char *attribute, const char *op, const char *value);

/*
 * Return a filter as filter_make does, or NULL if it could miss users who match the
 * value in this database: for a value that a filter cannot contain; for an empty one,
 * whose meaning the service does not document; and for one to which the conversion to
 * the database's encoding may map several strings.
 */
extern char *filter_make_exact(const SearchAttribute *attribute, const char *op, const char *value);

#endif
