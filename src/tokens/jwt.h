/*
 * jwt.h
 *		JSON Web Tokens of a user pool (RFC 7519), signed with RS256: their parts and the
 *		rules for their claims.
 *
 * What is wrong with a token is a constant sentence: nothing of a token may get into an
 * error or a log.
 */
#ifndef COGNITO_TOKENS_JWT_H
#define COGNITO_TOKENS_JWT_H

#include "postgres.h"

#include "utils/jsonb.h"

/* The longest token, in bytes */
#define JWT_MAX_LENGTH (16 * 1024)

/* The parts of a token, none of which is trustworthy before its signature has been verified */
typedef struct Jwt
{
	const char    *text;
	size_t         header_length; /* from the beginning of the text, encoded */
	size_t         signed_length; /* of what is signed, from there */
	const char    *payload;       /* encoded */
	size_t         payload_length;
	unsigned char *signature;
	size_t         signature_length;
} Jwt;

typedef enum JwtUse
{
	JWT_ID,
	JWT_ACCESS
} JwtUse;

/* What tokens are accepted */
typedef struct JwtRules
{
	const char *issuer;
	const char *client_ids; /* as option app_client_ids has them */
} JwtRules;

/* The claims of a valid token */
typedef struct JwtClaims
{
	Jsonb *all;
	JwtUse use;
	double expires; /* in seconds since the Unix epoch */
} JwtClaims;

/*
 * Take a token apart.  Return NULL, or what is wrong with it.  What is set lives in the
 * current memory context, or is a part of the text.
 */
extern const char *jwt_split(const char *text, size_t length, Jwt *jwt);

/*
 * Read the header of a token and set the id of its key, in the current memory context.
 * Return NULL, or what is wrong.
 */
extern const char *jwt_read_header(const Jwt *jwt, const char **key_id);

/*
 * Read the claims of a token whose signature is valid, and check all that does not
 * change while time passes, and that it is not from the future; now is in seconds since
 * the Unix epoch.  Return NULL, or what is wrong.  The claims live in the current memory
 * context.
 */
extern const char *jwt_check(const Jwt *jwt, const JwtRules *rules, double now, JwtClaims *claims);

/*
 * Check the claims of a valid token each time that it is used: that it has not expired
 * by now, and its use, "id" or "access", or NULL for either.  Return NULL, or what is
 * wrong.
 */
extern const char *jwt_check_use(const JwtClaims *claims, double now, const char *use);

#endif
