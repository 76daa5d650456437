/*
 * tokens.c
 *		Fuzz target: tokens and sets of keys.
 *
 * The first line of an input says what the rest is: a "header" or a "payload", which
 * become a part of a token, a "token", or a set of "keys".
 */
#include "fuzz.h"

#include "lib/stringinfo.h"

#include "tokens/base64url.h"
#include "tokens/jwt.h"
#include "tokens/keys.h"
#include "tokens/object.h"

/* When all tokens are read, in seconds since the Unix epoch */
#define NOW 2000000000.0

#define HEADER "{\"alg\":\"RS256\",\"kid\":\"first\"}"

static const JwtRules rules = {
	.issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123",
	.client_ids = "other, 1example23456789",
};

typedef struct Input
{
	const char *bytes;
	size_t      length;
} Input;

/* Append bytes in base64url. */
static void
append_encoded(StringInfo text, const unsigned char *bytes, size_t length)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	uint32 bits = 0;
	int    nbits = 0;

	for (size_t i = 0; i < length; i++)
	{
		bits = bits << 8 | bytes[i];
		for (nbits += 8; nbits >= 6; nbits -= 6)
			appendStringInfoChar(text, alphabet[bits >> (nbits - 6) & 63]);
	}
	if (nbits > 0)
		appendStringInfoChar(text, alphabet[bits << (6 - nbits) & 63]);
}

/* Check that what decodes is the only encoding of its bytes. */
static void
check_base64url(const char *text, size_t length)
{
	unsigned char *bytes = palloc(BASE64URL_DECODED_SIZE(length));
	int            n = base64url_decode(text, length, bytes);
	StringInfoData encoded;

	if (n < 0)
		return;
	initStringInfo(&encoded);
	append_encoded(&encoded, bytes, n);
	fuzz_check((size_t) encoded.len == length && memcmp(encoded.data, text, length) == 0);
}

/* Check that claims which are accepted are those that the rules demand. */
static void
check_claims(const JwtClaims *claims)
{
	JsonbContainer *root = &claims->all->root;
	double          begin;

	fuzz_check(object_equals(root, "iss", rules.issuer));
	fuzz_check(
		object_equals(root, claims->use == JWT_ID ? "aud" : "client_id", "1example23456789") ||
		object_equals(root, claims->use == JWT_ID ? "aud" : "client_id", "other"));
	fuzz_check(object_string(root, "sub") != NULL);
	fuzz_check(!object_time(root, "nbf", &begin) || begin <= NOW + 300);
	fuzz_check(claims->expires >= 0 && claims->expires < 253402300800.0);
	fuzz_check(jwt_check_use(claims, claims->expires, NULL) != NULL);
	fuzz_check(jwt_check_use(claims, claims->expires - 1, NULL) == NULL);
	fuzz_check(jwt_check_use(claims, 0, claims->use == JWT_ID ? "access" : "id") != NULL);
}

/* Read a token as if its signature were valid. */
static void
read_token(const char *text, size_t length)
{
	Jwt         jwt;
	JwtClaims   claims;
	const char *key_id;

	check_base64url(text, length);
	if (jwt_split(text, length, &jwt) != NULL)
		return;
	fuzz_check(jwt.text[jwt.signed_length] == '.');
	check_base64url(jwt.payload, jwt.payload_length);
	if (jwt_read_header(&jwt, &key_id) == NULL)
		fuzz_check(strlen(key_id) <= KEYS_MAX_ID);
	if (jwt_check(&jwt, &rules, NOW, &claims) == NULL)
		check_claims(&claims);
}

/* Read a token of which a part is the input. */
static void
read_part(const char *header, size_t header_length, const char *payload, size_t payload_length)
{
	StringInfoData token;

	initStringInfo(&token);
	append_encoded(&token, (const unsigned char *) header, header_length);
	appendStringInfoChar(&token, '.');
	append_encoded(&token, (const unsigned char *) payload, payload_length);
	appendStringInfoString(&token, ".AQAB");
	read_token(token.data, token.len);
}

/* Read a set of keys, and verify a signature with one that it has. */
static void
read_keys(const char *text)
{
	const char   *problem = NULL;
	const KeySet *keys = keys_parse(text, &problem);
	unsigned char signature[256] = {0};
	const Key    *key;

	fuzz_check((keys == NULL) == (keys_check(text) != NULL));
	fuzz_check(keys != NULL || problem != NULL);
	key = keys != NULL ? keys_find(keys, "first") : NULL;
	if (key != NULL)
		fuzz_check(!keys_verify(keys, key, text, strlen(text), signature, sizeof(signature)));
}

/* Read what an input says it is. */
static void
run_input(void *arg)
{
	Input      *input = arg;
	size_t      length;
	const char *kind = fuzz_split(&input->bytes, &input->length, '\n', &length);
	const char *rest = fuzz_string(input->bytes, input->length);

	if (kind == NULL)
		return;
	if (strcmp(kind, "header") == 0)
		read_part(rest, input->length, "{}", 2);
	else if (strcmp(kind, "payload") == 0)
		read_part(HEADER, strlen(HEADER), rest, input->length);
	else if (strcmp(kind, "token") == 0)
		read_token(rest, input->length);
	else if (strcmp(kind, "keys") == 0)
		read_keys(rest);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {(const char *) data, size};

	(void) fuzz_try(run_input, &input);
	return 0;
}
