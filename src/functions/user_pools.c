/*
 * user_pools.c
 *		User pools of an account and region: operations ListUserPools and
 *		DescribeUserPool.
 */
#include "postgres.h"

#include "fmgr.h"

#include "fetch/srf.h"

/* Set the columns of a user pool of a list; a RowMaker. */
static void
make_user_pool_row(Row *row)
{
	row_text(row, 0, "Id");
	row_text(row, 1, "Name");
	row_text(row, 2, "Status");
	row_timestamp(row, 3, "CreationDate");
	row_timestamp(row, 4, "LastModifiedDate");
}

/* Set the columns of a described user pool; a RowMaker. */
static void
make_description_row(Row *row)
{
	row_text(row, 0, "Id");
	row_text(row, 1, "Name");
	row_text(row, 2, "Arn");
	row_text(row, 3, "MfaConfiguration");
	row_integer(row, 4, "EstimatedNumberOfUsers");
	row_text(row, 5, "DeletionProtection");
	row_timestamp(row, 6, "CreationDate");
	row_timestamp(row, 7, "LastModifiedDate");
	row_item(row, 8);
}

static const Listing user_pools_listing = {
	.operation = {&aws_user_pools, "ListUserPools", POOL_NONE, {NULL}, AWS_USER_POOL_READ},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "UserPools",
	.key = "Id",
	.function = "cognito_user_pools",
	.noun = "user pools",
	.make_row = make_user_pool_row,
};

static const Description user_pool_description = {
	.operation =
		{&aws_user_pools, "DescribeUserPool", POOL_USER, {"UserPoolId"}, AWS_USER_POOL_READ},
	.object = "UserPool",
	.make_row = make_description_row,
};

PG_FUNCTION_INFO_V1(cognito_user_pools);
PG_FUNCTION_INFO_V1(cognito_user_pool);

/* cognito_user_pools(server_name) */
Datum
cognito_user_pools(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &user_pools_listing);
}

/* cognito_user_pool(server_name) */
Datum
cognito_user_pool(PG_FUNCTION_ARGS)
{
	return srf_describe(fcinfo, &user_pool_description);
}

/* cognito_user_pool(server_name, user_pool_id) */
SRF_ALIAS(cognito_user_pool_of_pool, cognito_user_pool)
