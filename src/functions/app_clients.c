/*
 * app_clients.c
 *		App clients of a user pool: operations ListUserPoolClients and
 *		DescribeUserPoolClient.
 */
#include "postgres.h"

#include "fmgr.h"

#include "aws/json.h"
#include "fetch/srf.h"

/* Set the columns of an app client of a list; a RowMaker. */
static void
make_client_row(Row *row)
{
	row_text(row, 0, "ClientId");
	row_text(row, 1, "ClientName");
}

/* Set the columns of a described app client, whose secret readers must not see; a RowMaker. */
static void
make_description_row(Row *row)
{
	json_remove_secrets(row->item, "ClientSecret");
	row_text(row, 0, "ClientId");
	row_text(row, 1, "ClientName");
	row_timestamp(row, 2, "CreationDate");
	row_timestamp(row, 3, "LastModifiedDate");
	row_item(row, 4);
}

static const Listing clients_listing = {
	.operation = {&aws_user_pools,
				  "ListUserPoolClients",
				  POOL_USER,
				  {"UserPoolId"},
				  AWS_USER_POOL_CLIENT_READ},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "UserPoolClients",
	.key = "ClientId",
	.function = "cognito_app_clients",
	.noun = "app clients",
	.make_row = make_client_row,
};

static const Description client_description = {
	.operation = {&aws_user_pools,
				  "DescribeUserPoolClient",
				  POOL_USER,
				  {"UserPoolId", "ClientId"},
				  AWS_USER_POOL_CLIENT_READ},
	.object = "UserPoolClient",
	.make_row = make_description_row,
};

PG_FUNCTION_INFO_V1(cognito_app_clients);
PG_FUNCTION_INFO_V1(cognito_app_client);

/* cognito_app_clients(server_name) */
Datum
cognito_app_clients(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &clients_listing);
}

/* cognito_app_clients(server_name, user_pool_id) */
SRF_ALIAS(cognito_app_clients_of_pool, cognito_app_clients)

/* cognito_app_client(server_name, client_id) */
Datum
cognito_app_client(PG_FUNCTION_ARGS)
{
	return srf_describe(fcinfo, &client_description);
}

/* cognito_app_client(server_name, user_pool_id, client_id) */
SRF_ALIAS(cognito_app_client_of_pool, cognito_app_client)
