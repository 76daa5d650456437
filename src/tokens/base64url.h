/*
 * base64url.h
 *		Base64url without padding (RFC 7515, section 2).
 */
#ifndef COGNITO_TOKENS_BASE64URL_H
#define COGNITO_TOKENS_BASE64URL_H

#include "postgres.h"

/* The number of bytes that a text of some length can encode at most */
#define BASE64URL_DECODED_SIZE(length) ((length) / 4 * 3 + 2)

/*
 * Decode a text into a buffer of BASE64URL_DECODED_SIZE bytes.  Return the number of
 * bytes, or -1 for a text that is not the only encoding of these bytes: no other
 * characters, no padding, no white space, and unused bits are zero.
 */
extern int base64url_decode(const char *text, size_t length, unsigned char *bytes);

#endif
