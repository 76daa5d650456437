/*
 * identity_providers.c
 *		Identity providers of a user pool: operation ListIdentityProviders.
 */
#include "postgres.h"

#include "fmgr.h"

#include "fetch/srf.h"

/* Set the columns of an identity provider; a RowMaker. */
static void
make_provider_row(Row *row)
{
	row_text(row, 0, "ProviderName");
	row_text(row, 1, "ProviderType");
	row_timestamp(row, 2, "CreationDate");
	row_timestamp(row, 3, "LastModifiedDate");
}

static const Listing providers_listing = {
	.operation = {&aws_user_pools,
				  "ListIdentityProviders",
				  POOL_USER,
				  {"UserPoolId"},
				  AWS_USER_POOL_RESOURCE_READ},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "Providers",
	.key = "ProviderName",
	.function = "cognito_identity_providers",
	.noun = "identity providers",
	.make_row = make_provider_row,
};

PG_FUNCTION_INFO_V1(cognito_identity_providers);

/* cognito_identity_providers(server_name) */
Datum
cognito_identity_providers(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &providers_listing);
}
