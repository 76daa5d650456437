/*
 * app_clients.c
 *		The app clients of a user pool: operations ListUserPoolClients and
 *		DescribeUserPoolClient.
 */
#include "postgres.h"

#include "fmgr.h"

#include <openssl/crypto.h>

#include "fetch/srf.h"
#include "aws/json.h"

static void make_client_row(Row *row);
static void make_description_row(Row *row);

static const Listing clients_listing = {
	.operation = {&aws_user_pools, "ListUserPoolClients", POOL_USER, {"UserPoolId"}},
	.page_size = "MaxResults",
	.token = "NextToken",
	.items = "UserPoolClients",
	.function = "cognito_app_clients",
	.noun = "app clients",
	.make_row = make_client_row,
};

static const Description client_description = {
	.operation = {&aws_user_pools, "DescribeUserPoolClient", POOL_USER, {"UserPoolId", "ClientId"}},
	.object = "UserPoolClient",
	.make_row = make_description_row,
};

PG_FUNCTION_INFO_V1(cognito_app_clients);
PG_FUNCTION_INFO_V1(cognito_app_client);

/* Turns a client of the list into a row. */
static void
make_client_row(Row *row)
{
	row_text(row, 0, "ClientId");
	row_text(row, 1, "ClientName");
}

/* Takes a client's secret out of its description: nobody who may read the pool is to see it. */
static void
remove_secret(const cJSON *client)
{
	const cJSON *next;

	for (const cJSON *member = json_first(client); member != NULL; member = next)
	{
		next = json_next(member);
		if (strcmp(member->string, "ClientSecret") != 0)
			continue;
		if (member->valuestring != NULL)
			OPENSSL_cleanse(member->valuestring, strlen(member->valuestring));
		cJSON_DetachItemViaPointer(unconstify(cJSON *, client), unconstify(cJSON *, member));
	}
}

/* Turns the description of a client into a row. */
static void
make_description_row(Row *row)
{
	remove_secret(row->item);
	row_text(row, 0, "ClientId");
	row_text(row, 1, "ClientName");
	row_timestamp(row, 2, "CreationDate");
	row_timestamp(row, 3, "LastModifiedDate");
	row_item(row, 4);
}

/* cognito_app_clients(server_name) */
Datum
cognito_app_clients(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &clients_listing);
}

/* cognito_app_client(server_name, client_id) */
Datum
cognito_app_client(PG_FUNCTION_ARGS)
{
	return srf_describe(fcinfo, &client_description);
}
