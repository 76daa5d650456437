/*
 * description.h
 *		A single object that an operation describes, as a row.
 */
#ifndef COGNITO_FETCH_DESCRIPTION_H
#define COGNITO_FETCH_DESCRIPTION_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "aws/client.h"
#include "fetch/row.h"

/* What there is to know of such an operation; each entity has one constant of it. */
typedef struct Description
{
	AwsOperation operation;
	const char  *object;   /* the reply's member that is the object; NULL if the reply itself is */
	RowMaker     make_row; /* turns it into a row */
} Description;

/*
 * Ask for an object, with the arguments of the operation as AwsCall has them, and
 * append its row, or raise an error.
 */
extern void
description_fetch(const Description *description, const CognitoServer *server,
				  const char *const *arguments, Tuplestorestate *rows, TupleDesc columns);

#endif
