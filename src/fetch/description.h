/*
 * description.h
 *		Descriptions: fetch the single object that an operation returns, as a row.
 */
#ifndef COGNITO_FETCH_DESCRIPTION_H
#define COGNITO_FETCH_DESCRIPTION_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/tuplestore.h"

#include "aws/client.h"
#include "fetch/row.h"

/* An operation that returns a single object; each is a constant. */
typedef struct Description
{
	AwsOperation operation;
	const char  *object;   /* name of the reply's member with the object; NULL: the reply itself */
	RowMaker     make_row; /* sets the columns of the object's row */
} Description;

/*
 * Perform the operation with arguments as in AwsCall, and append the object's row.
 * Raise what aws_perform, aws_reject_reply and the row's functions do.
 */
extern void
description_fetch(const Description *description, const CognitoServer *server,
				  const char *const *arguments, Tuplestorestate *rows, TupleDesc columns);

#endif
