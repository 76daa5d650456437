/*
 * groups.c
 *		Groups of a user pool: operations ListGroups, ListUsersInGroup,
 *		AdminListGroupsForUser, AdminAddUserToGroup and AdminRemoveUserFromGroup.
 */
#include "postgres.h"

#include "fmgr.h"

#include "fetch/srf.h"
#include "functions/groups.h"
#include "functions/users_listing.h"

/* Set the columns of a group; a RowMaker. */
static void
make_group_row(Row *row)
{
	row_text(row, 0, "GroupName");
	row_text(row, 1, "Description");
	row_text(row, 2, "RoleArn");
	row_integer(row, 3, "Precedence");
	row_timestamp(row, 4, "CreationDate");
	row_timestamp(row, 5, "LastModifiedDate");
}

const Listing groups_listing = {
	.operation =
		{&aws_user_pools, "ListGroups", POOL_USER, {"UserPoolId"}, AWS_USER_POOL_RESOURCE_READ},
	.page_size = "Limit",
	.token = "NextToken",
	.items = "Groups",
	.key = "GroupName",
	.function = "cognito_groups",
	.noun = "groups",
	.make_row = make_group_row,
};

const Listing group_users_listing = {
	.operation = {&aws_user_pools,
				  "ListUsersInGroup",
				  POOL_USER,
				  {"UserPoolId", "GroupName"},
				  AWS_USER_LIST},
	.page_size = "Limit",
	.token = "NextToken",
	.items = "Users",
	.key = "Username",
	.function = "cognito_group_users",
	.noun = "users",
	.make_row = users_make_row,
	.missing = "ResourceNotFoundException",
	.of_pool = &groups_listing,
};

const Listing user_groups_listing = {
	.operation = {&aws_user_pools,
				  "AdminListGroupsForUser",
				  POOL_USER,
				  {"UserPoolId", "Username"},
				  AWS_USER_RESOURCE_READ},
	.page_size = "Limit",
	.token = "NextToken",
	.items = "Groups",
	.key = "GroupName",
	.function = "cognito_user_groups",
	.noun = "groups",
	.make_row = make_group_row,
	.missing = "UserNotFoundException",
};

static const AwsOperation add_user_to_group = {
	&aws_user_pools, "AdminAddUserToGroup", POOL_USER, {"UserPoolId", "Username", "GroupName"},
	AWS_USER_UPDATE,
};

static const AwsOperation remove_user_from_group = {
	&aws_user_pools, "AdminRemoveUserFromGroup", POOL_USER, {"UserPoolId", "Username", "GroupName"},
	AWS_USER_UPDATE,
};

PG_FUNCTION_INFO_V1(cognito_groups);
PG_FUNCTION_INFO_V1(cognito_group_users);
PG_FUNCTION_INFO_V1(cognito_user_groups);
PG_FUNCTION_INFO_V1(cognito_add_user_to_group);
PG_FUNCTION_INFO_V1(cognito_remove_user_from_group);

/* cognito_groups(server_name) */
Datum
cognito_groups(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &groups_listing);
}

/* cognito_groups(server_name, user_pool_id) */
SRF_ALIAS(cognito_groups_of_pool, cognito_groups)

/* cognito_group_users(server_name, group_name) */
Datum
cognito_group_users(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &group_users_listing);
}

/* cognito_group_users(server_name, user_pool_id, group_name) */
SRF_ALIAS(cognito_group_users_of_pool, cognito_group_users)

/* cognito_user_groups(server_name, username) */
Datum
cognito_user_groups(PG_FUNCTION_ARGS)
{
	return srf_list(fcinfo, &user_groups_listing);
}

/* cognito_user_groups(server_name, user_pool_id, username) */
SRF_ALIAS(cognito_user_groups_of_pool, cognito_user_groups)

/* cognito_add_user_to_group(server_name, username, group_name) */
Datum
cognito_add_user_to_group(PG_FUNCTION_ARGS)
{
	return srf_write(fcinfo, &add_user_to_group);
}

/* cognito_remove_user_from_group(server_name, username, group_name) */
Datum
cognito_remove_user_from_group(PG_FUNCTION_ARGS)
{
	return srf_write(fcinfo, &remove_user_from_group);
}
