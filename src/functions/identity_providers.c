/*
 * identity_providers.c
 *		Identity providers of a user pool: operations ListIdentityProviders and
 *		DescribeIdentityProvider.
 */
#include "postgres.h"

#include "fmgr.h"

#include "aws/json.h"
#include "fetch/srf.h"

/* Set the columns of an identity provider of a list; a RowMaker. */
static void
make_provider_row(Row *row)
{
	row_text(row, 0, "ProviderName");
	row_text(row, 1, "ProviderType");
	row_timestamp(row, 2, "CreationDate");
	row_timestamp(row, 3, "LastModifiedDate");
}

/*
 * Set the columns of a described identity provider; a RowMaker.  Readers of the pool must
 * not see the secret that it has with the provider: client_secret, or Apple's private_key.
 */
static void
make_description_row(Row *row)
{
	const cJSON *details = json_member(row->item, "ProviderDetails");

	json_remove_secrets(details, "secret");
	json_remove_secrets(details, "private_key");
	make_provider_row(row);
	row_item(row, 4);
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

static const Description provider_description = {
	.operation = {&aws_user_pools,
				  "DescribeIdentityProvider",
				  POOL_USER,
				  {"UserPoolId", "ProviderName"},
				  AWS_USER_POOL_RESOURCE_READ},
	.object = "IdentityProvider",
	.make_row = make_description_row,
};

PG_FUNCTION_INFO_V1(cognito_identity_providers);
PG_FUNCTION_INFO_V1(cognito_identity_provider);

/* cognito_identity_providers(server_name) */
Datum
cognito_identity_providers(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &providers_listing);
}

/* cognito_identity_providers(server_name, user_pool_id) */
SRF_ALIAS(cognito_identity_providers_of_pool, cognito_identity_providers)

/* cognito_identity_provider(server_name, provider_name) */
Datum
cognito_identity_provider(PG_FUNCTION_ARGS)
{
	return srf_describe(fcinfo, &provider_description);
}
