/*
 * srf.h
 *		What the calls of all SQL functions have in common: their arguments, the
 *		server, and the way back of the rows.
 */
#ifndef COGNITO_FETCH_SRF_H
#define COGNITO_FETCH_SRF_H

#include "postgres.h"

#include "fmgr.h"

#include "fetch/description.h"
#include "fetch/listing.h"
#include "server/server.h"

/* Whether Cognito is left alone; a setting. */
extern bool srf_offline;

/* Raises 22004 if an argument, by number, is NULL. */
extern void srf_require_arg(FunctionCallInfo fcinfo, int number);

/* The text of an argument, which is required. */
extern char *srf_text_arg(FunctionCallInfo fcinfo, int number);

/*
 * Open a server as server_open does.  Return NULL while Cognito is left alone: the
 * call then returns no rows, of which this warns.  A call that writes raises 55000
 * instead, for nothing that is written may be lost.
 */
extern CognitoServer *srf_open(const char *server_name, PoolKind pool, bool writes);

/*
 * Whole calls: the first argument is the server's name, those that follow are
 * the operation's parameters, or the id of the pool in place of the server's.
 */
extern Datum srf_list(FunctionCallInfo fcinfo, const Listing *listing);
extern Datum srf_describe(FunctionCallInfo fcinfo, const Description *description);

extern Datum srf_write(FunctionCallInfo fcinfo, const AwsOperation *operation);

#endif
