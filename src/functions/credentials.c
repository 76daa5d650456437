/*
 * credentials.c
 *		What may be shown of the credentials of a server.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "credentials/credentials.h"
#include "fetch/srf.h"

PG_FUNCTION_INFO_V1(cognito_credentials);

/* cognito_credentials(server_name) */
Datum
cognito_credentials(PG_FUNCTION_ARGS)
{
	ReturnSetInfo  *result = (ReturnSetInfo *) fcinfo->resultinfo;
	CognitoServer  *server;
	CredentialsView view;

	InitMaterializedSRF(fcinfo, 0);
	server = srf_open(srf_text_arg(fcinfo, 0), POOL_NONE, NULL, false);
	if (server == NULL)
		return (Datum) 0;

	view = credentials_view(server);
	tuplestore_putvalues(result->setResult, result->setDesc,
						 (Datum[]){CStringGetTextDatum(view.source),
								   CStringGetTextDatum(view.access_key_id),
								   view.role != NULL ? CStringGetTextDatum(view.role) : (Datum) 0,
								   TimestampTzGetDatum(view.expires_at)},
						 (bool[]){false, false, view.role == NULL, !view.can_expire});
	server_close(server);
	return (Datum) 0;
}
