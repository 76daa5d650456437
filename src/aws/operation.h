/*
 * operation.h
 *		The operations of AWS services that speak AWS JSON 1.1, as constants, and
 *		what is asked of one.
 *
 * Names are those of the public service models of cognito-idp and
 * cognito-identity.
 */
#ifndef COGNITO_AWS_OPERATION_H
#define COGNITO_AWS_OPERATION_H

#include "postgres.h"

#include "server/server.h"

/* The most string parameters that an operation here takes. */
#define AWS_MAX_PARAMETERS 3

typedef struct AwsService
{
	const char *prefix; /* of endpoints, and in signatures */
	const char *target; /* prefix of the header x-amz-target */
	size_t endpoint; /* offset in CognitoServer of the endpoint that replaces the service's own */
} AwsService;

extern const AwsService aws_user_pools;
extern const AwsService aws_identity_pools;

typedef struct AwsOperation
{
	const AwsService *service;
	const char       *name;                           /* such as ListUsersInGroup */
	PoolKind          pool;                           /* whose id is the first parameter, if any */
	const char       *parameters[AWS_MAX_PARAMETERS]; /* names of those that are strings */
} AwsOperation;

/*
 * What is asked for: an operation and, in the order of its parameters, their
 * values in the database's encoding, NULL for one that is left out.  The strings
 * belong to the caller and must live as long as the request.
 */
typedef struct AwsCall
{
	const CognitoServer *server;
	const AwsOperation  *operation;
	const char          *arguments[AWS_MAX_PARAMETERS];
} AwsCall;

#endif
