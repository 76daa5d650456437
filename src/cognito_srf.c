/*
 * cognito_srf.c
 *		The library's entry point: settings and the planner hook.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include <limits.h>

#include "aws/http.h"
#include "fetch/listing.h"
#include "fetch/srf.h"
#include "functions/default_server.h"
#include "functions/memberships.h"
#include "functions/tokens.h"
#include "functions/users.h"
#include "planner/pushdown.h"
#include "server/options.h"
#include "tokens/keys.h"
#include "tokens/verify.h"

PG_MODULE_MAGIC;

void _PG_init(void);

/* The entities whose rows can be searched. */
static const SearchEntity *const entities[] = {&users_search, &memberships_search, NULL};

/* Define the settings and install the planner hook; called when the library is loaded. */
void
_PG_init(void)
{
	DefineCustomStringVariable("cognito_srf.default_server", "Sets the server that the views read.",
							   "These are the views with the name of a function, such as "
							   "cognito_users.",
							   &default_server_name, DEFAULT_SERVER, PGC_USERSET, GUC_EXPLAIN, NULL,
							   NULL, NULL);
	DefineCustomStringVariable("cognito_srf.ca_file",
							   "Sets the file of trusted certificates, in PEM format.",
							   "If it is empty, the certificates of the system are trusted.",
							   &http_ca_file, "", PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("cognito_srf.offline",
							 "Prevents requests: functions return no rows, with a warning.",
							 "Useful to restore dumps, and to work without a network.",
							 &srf_offline, false, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cognito_srf.progress_interval",
							"Sets the interval between notices about the progress of a call.",
							"Zero turns them off.", &listing_progress_interval, 0, 0, INT_MAX,
							PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("cognito_srf.enable_pushdown",
							 "Enables sending the conditions and limits of queries to Cognito.",
							 NULL, &pushdown_enabled, true, PGC_USERSET, GUC_EXPLAIN, NULL, NULL,
							 NULL);
	DefineCustomStringVariable("cognito_srf.token", "Token whose claims cognito_claims returns.",
							   "It belongs to one transaction: use SET LOCAL, or set_config.",
							   &tokens_setting, "", PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE, NULL,
							   NULL, tokens_show_setting);
	MarkGUCPrefixReserved("cognito_srf");
	pushdown_init(entities);
	options_check_keys = keys_check;
	verify_init();
}
