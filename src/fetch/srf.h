/*
 * srf.h
 *		Calls of SQL functions: check their arguments, open the server, execute the
 *		operation, and return the rows.
 */
#ifndef COGNITO_FETCH_SRF_H
#define COGNITO_FETCH_SRF_H

#include "postgres.h"

#include "fmgr.h"

#include "fetch/listing.h"
#include "server/server.h"

/* An operation that returns a single object, which becomes a row; each is a constant. */
typedef struct Description
{
	AwsOperation operation;
	const char  *object;   /* name of the reply's member with the object; NULL: the reply itself */
	RowMaker     make_row; /* sets the columns of the object's row */
} Description;

/*
 * Define another symbol for a function of the same file.  What an update adds or replaces has
 * symbols that the libraries of older versions lack: sessions that still have one of those get
 * an error, and do not call it with arguments that it does not expect.
 */
#define SRF_ALIAS(symbol, function) \
	PG_FUNCTION_INFO_V1(symbol);    \
	Datum symbol(PG_FUNCTION_ARGS)  \
	{                               \
		return function(fcinfo);    \
	}

/* Setting cognito_srf.offline: send no requests. */
extern bool srf_offline;

/* Raise 22004 if an argument, numbered from 0, is NULL. */
extern void srf_require_arg(FunctionCallInfo fcinfo, int number);

/* Return a text argument as a palloc'd string; raise 22004 if it is NULL. */
extern char *srf_text_arg(FunctionCallInfo fcinfo, int number);

/*
 * Return a text argument, NULL if its number is 0, the server's.  Raise 22004 if the
 * argument is NULL.
 */
extern char *srf_pool_arg(FunctionCallInfo fcinfo, int number);

/*
 * Return a bigint argument as the max_rows of listing_fetch: LISTING_ALL if it is NULL or
 * its number is 0.  Raise 22023 if it is negative.
 */
extern int64 srf_max_rows_arg(FunctionCallInfo fcinfo, int number);

/*
 * Open a server as server_open does, with its provider of credentials if it has one, to
 * be closed with server_close.  While
 * cognito_srf.offline is on, raise 55000 if the call writes; otherwise raise a WARNING
 * that it returns no rows, and return NULL.
 */
extern CognitoServer *
srf_open(const char *server_name, PoolKind pool, const char *pool_id, bool writes);

/*
 * Execute a call of a function whose first argument is the server's name.  The others
 * are the operation's parameters; if they are fewer, the pool's id, which is the first
 * parameter, is the server's own.  Raise what the operation does, and 22004 for arguments that are NULL.
 * srf_list and srf_describe return rows, srf_write returns void.
 */
extern Datum srf_list(FunctionCallInfo fcinfo, const Listing *listing);
extern Datum srf_describe(FunctionCallInfo fcinfo, const Description *description);
extern Datum srf_write(FunctionCallInfo fcinfo, const AwsOperation *operation);

#endif
