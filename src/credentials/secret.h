/*
 * secret.h
 *		Memory for secrets.
 */
#ifndef COGNITO_CREDENTIALS_SECRET_H
#define COGNITO_CREDENTIALS_SECRET_H

#include "postgres.h"

/*
 * Return zeroed memory in the current memory context, which is wiped when the context
 * is reset or deleted, after an error, too.  It cannot be freed or made larger.
 */
extern void *secret_alloc(size_t size);

#endif
