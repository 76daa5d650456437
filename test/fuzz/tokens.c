/*
 * tokens.c
 *		Fuzz target: tokens and sets of keys.
 *
 * The first line of an input says what the rest is: a "header" or a "payload", which
 * become a part of a token, a "token", or a set of "keys".
 */
#include "fuzz.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "aws/json.h"
#include "tokens/base64url.h"
#include "tokens/jwt.h"
#include "tokens/keys.h"
#include "tokens/object.h"

/* When all tokens are read, in seconds since the Unix epoch */
#define NOW 2000000000.0

/* How deep objects may be nested, and the length of numbers that every version of cJSON reads */
#define MAX_DEPTH 32
#define MAX_NUMBER 63

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

/* Return true unless a value is nested too deeply, or an object has a member twice. */
static bool
is_clear(const cJSON *value, int depth)
{
	const cJSON *child;
	const cJSON *later;

	if (depth > MAX_DEPTH)
		return false;
	cJSON_ArrayForEach(child, value)
	{
		if (!is_clear(child, depth + json_is_container(child)))
			return false;
		for (later = child->next; later != NULL && cJSON_IsObject(value); later = later->next)
			if (strcmp(later->string, child->string) == 0)
				return false;
	}
	return true;
}

/* Return true if a text may have a number that cJSON does not read. */
static bool
has_long_number(const char *text)
{
	size_t length;

	for (; *text != '\0'; text += Max(length, 1))
		if ((length = strspn(text, "0123456789+-.eE")) > MAX_NUMBER)
			return true;
	return false;
}

static void check_container(JsonbContainer *container, const cJSON *expected);

/* Check that a value of jsonb is the one that cJSON reads. */
static void
check_value(const JsonbValue *value, const cJSON *expected)
{
	switch (value->type)
	{
		case jbvNull:
			fuzz_check(cJSON_IsNull(expected));
			break;
		case jbvBool:
			fuzz_check(cJSON_IsBool(expected) && value->val.boolean == cJSON_IsTrue(expected));
			break;
		case jbvNumeric:
			fuzz_check(cJSON_IsNumber(expected) &&
					   DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
														  NumericGetDatum(value->val.numeric))) ==
						   expected->valuedouble);
			break;
		case jbvString:
			fuzz_check(
				cJSON_IsString(expected) &&
				strlen(expected->valuestring) == (size_t) value->val.string.len &&
				memcmp(expected->valuestring, value->val.string.val, value->val.string.len) == 0);
			break;
		default:
			fuzz_check(json_is_container(expected));
			check_container(value->val.binary.data, expected);
	}
}

/* Check that a list or an object is the one that cJSON reads. */
static void
check_container(JsonbContainer *container, const cJSON *expected)
{
	const cJSON *child;
	JsonbValue   member;
	JsonbValue  *value;
	uint32       n = 0;

	fuzz_check(JsonContainerIsArray(container) == (bool) cJSON_IsArray(expected));
	cJSON_ArrayForEach(child, expected)
	{
		value = JsonContainerIsArray(container)
					? getIthJsonbValueFromContainer(container, n)
					: getKeyJsonValueFromContainer(container, child->string,
												   (int) strlen(child->string), &member);
		fuzz_check(value != NULL);
		check_value(value, child);
		n++;
	}
	fuzz_check(JsonContainerSize(container) == n);
}

/* Check that an object is accepted if PostgreSQL and cJSON do, and is what they read. */
static void
check_object(const char *text, size_t length)
{
	Jsonb    *object = object_parse(text, length);
	JsonError ignored;
	cJSON    *expected = fuzz_is_json(text, length) ? json_parse(text, length, &ignored) : NULL;
	bool      clear = cJSON_IsObject(expected) && is_clear(expected, 1);

	fuzz_check((object != NULL) == clear || (expected == NULL && has_long_number(text)));
	if (clear)
		check_container(&object->root, expected);
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
	check_object(rest, input->length);
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
