/*
 * identities.c
 *		Identities of an identity pool: operation ListIdentities.
 */
#include "postgres.h"

#include "fmgr.h"

#include "fetch/srf.h"

/* Set the columns of an identity; a RowMaker. */
static void
make_identity_row(Row *row)
{
	row_text(row, 0, "IdentityId");
	row_texts(row, 1, "Logins");
	row_timestamp(row, 2, "CreationDate");
	row_timestamp(row, 3, "LastModifiedDate");
}

static const Listing identities_listing = {
	.operation =
		{&aws_identity_pools, "ListIdentities", POOL_IDENTITY, {"IdentityPoolId"}, AWS_OPERATION},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "Identities",
	.key = "IdentityId",
	.function = "cognito_identities",
	.noun = "identities",
	.make_row = make_identity_row,
};

PG_FUNCTION_INFO_V1(cognito_identities);

/* cognito_identities(server_name [, identity_pool_id]) */
Datum
cognito_identities(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &identities_listing);
}
