/*
 * operation.h
 *		Constants that describe the operations of AWS JSON 1.1 services, and the
 *		call of an operation.
 *
 * Names are those of the public service models of cognito-idp and cognito-identity.
 */
#ifndef COGNITO_AWS_OPERATION_H
#define COGNITO_AWS_OPERATION_H

#include "postgres.h"

#include "server/server.h"

/* The largest number of string parameters of an operation */
#define AWS_MAX_PARAMETERS 3

typedef struct AwsService
{
	const char *prefix; /* of endpoints, and in signatures */
	const char *target; /* prefix of the header x-amz-target */
	size_t endpoint; /* offset in CognitoServer of the endpoint that replaces the service's own */
} AwsService;

extern const AwsService aws_user_pools;
extern const AwsService aws_identity_pools;

/*
 * The categories for which AWS limits the requests of an account in a region.  All
 * operations of a category share its quota, but for those that are limited in each pool.
 */
typedef enum AwsQuota
{
	AWS_OPERATION, /* a quota of the operation's own, as all of identity pools have */
	AWS_USER_LIST,
	AWS_USER_RESOURCE_READ,
	AWS_USER_UPDATE,
	AWS_USER_POOL_READ,
	AWS_USER_POOL_RESOURCE_READ, /* a quota for each operation in each pool */
	AWS_USER_POOL_CLIENT_READ    /* likewise */
} AwsQuota;

typedef struct AwsOperation
{
	const AwsService *service;
	const char       *name;                           /* such as ListUsersInGroup */
	PoolKind          pool;                           /* whose id is the first parameter, if any */
	const char       *parameters[AWS_MAX_PARAMETERS]; /* names of those that are strings */
	AwsQuota          quota;
} AwsOperation;

/*
 * A call of an operation: the arguments are in the order of its parameters and in the
 * database's encoding, NULL for one that is left out.  The strings belong to the
 * caller and must live as long as the request.
 */
typedef struct AwsCall
{
	const CognitoServer *server;
	const AwsOperation  *operation;
	const char          *arguments[AWS_MAX_PARAMETERS];
} AwsCall;

#endif
