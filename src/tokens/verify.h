/*
 * verify.h
 *		Verification of tokens, with what this session remembers of each server: its
 *		rules and keys, and the last valid token.
 */
#ifndef COGNITO_TOKENS_VERIFY_H
#define COGNITO_TOKENS_VERIFY_H

#include "postgres.h"

#include "utils/jsonb.h"

/* Prepare for changes of servers; called once. */
extern void verify_init(void);

/*
 * Return the claims of a token for the user pool of a server, in the current memory
 * context.  The token use is "id", "access", or NULL for either.
 *
 * Raise 42704 for an unknown server, 42501 without USAGE, 28000 for a token that is not
 * valid, HV00J and HV00A for options, and what keys_fetch raises if the key is not known.
 */
extern Jsonb *verify_token(const char *server_name, const char *token, const char *token_use);

#endif
