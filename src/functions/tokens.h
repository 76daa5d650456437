/*
 * tokens.h
 *		The token of a transaction.
 */
#ifndef COGNITO_FUNCTIONS_TOKENS_H
#define COGNITO_FUNCTIONS_TOKENS_H

/* Setting cognito_srf.token; empty if unset. */
extern char *tokens_setting;

/* Return what SHOW and current_setting return instead of the token; a show hook. */
extern const char *tokens_show_setting(void);

#endif
