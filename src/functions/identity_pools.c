/*
 * identity_pools.c
 *		Identity pools of an account and region: operations ListIdentityPools and
 *		DescribeIdentityPool.
 */
#include "postgres.h"

#include "fmgr.h"

#include "fetch/srf.h"

/* Set the columns of an identity pool of a list; a RowMaker. */
static void
make_identity_pool_row(Row *row)
{
	row_text(row, 0, "IdentityPoolId");
	row_text(row, 1, "IdentityPoolName");
}

/* Set the columns of a described identity pool; a RowMaker. */
static void
make_description_row(Row *row)
{
	row_text(row, 0, "IdentityPoolId");
	row_text(row, 1, "IdentityPoolName");
	row_boolean(row, 2, "AllowUnauthenticatedIdentities");
	row_boolean(row, 3, "AllowClassicFlow");
	row_text(row, 4, "DeveloperProviderName");
	row_item(row, 5);
}

static const Listing identity_pools_listing = {
	.operation = {&aws_identity_pools, "ListIdentityPools", POOL_NONE, {NULL}, AWS_OPERATION},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "IdentityPools",
	.key = "IdentityPoolId",
	.function = "cognito_identity_pools",
	.noun = "identity pools",
	.make_row = make_identity_pool_row,
};

static const Description identity_pool_description = {
	.operation = {&aws_identity_pools,
				  "DescribeIdentityPool",
				  POOL_IDENTITY,
				  {"IdentityPoolId"},
				  AWS_OPERATION},
	.make_row = make_description_row,
};

PG_FUNCTION_INFO_V1(cognito_identity_pools);
PG_FUNCTION_INFO_V1(cognito_identity_pool);

/* cognito_identity_pools(server_name) */
Datum
cognito_identity_pools(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &identity_pools_listing);
}

/* cognito_identity_pool(server_name [, identity_pool_id]) */
Datum
cognito_identity_pool(PG_FUNCTION_ARGS)
{
	return srf_describe(fcinfo, &identity_pool_description);
}
