/*
 * jwt.c
 *		JSON Web Tokens of a user pool: their parts and the rules for their claims.
 *
 * A header says how its token is to be verified, but an attacker may have written it.
 * So it only selects one of the known keys: everything else is fixed here, and a header
 * that asks for something else is refused.
 */
#include "postgres.h"

#include "tokens/base64url.h"
#include "tokens/jwt.h"
#include "tokens/keys.h"
#include "tokens/object.h"

/* How much the service's clock may be ahead of this machine's, in seconds */
#define MAX_CLOCK_SKEW 300

/* Members of a header that name keys, or that only who understands them may ignore */
static const char *const refused_members[] = {"crit", "jwk", "jku", "x5c", "x5u"};

/* The values of claim token_use, and the claims that then hold the app client's id */
static const struct
{
	const char *name;
	const char *client;
} uses[] = {
	[JWT_ID] = {"id", "aud"},
	[JWT_ACCESS] = {"access", "client_id"},
};

/* Return the JSON object that a part of a token encodes, or NULL. */
static Jsonb *
decode_object(const char *text, size_t length)
{
	unsigned char *json = palloc(BASE64URL_DECODED_SIZE(length) + 1);
	int            json_length = base64url_decode(text, length, json);

	if (json_length < 0)
		return NULL;
	json[json_length] = '\0';
	return object_parse((char *) json, json_length);
}

const char *
jwt_read_header(const Jwt *jwt, const char **key_id)
{
	Jsonb *header = decode_object(jwt->text, jwt->header_length);

	if (header == NULL)
		return "The header is not a JSON object in base64url.";
	if (!object_equals(&header->root, "alg", "RS256"))
		return "The algorithm (\"alg\") of the header is not \"RS256\".";
	for (size_t i = 0; i < lengthof(refused_members); i++)
		if (object_has(&header->root, refused_members[i]))
			return "The header has a member that is not allowed: \"crit\", \"jwk\", \"jku\", "
				   "\"x5c\" or \"x5u\".";
	*key_id = object_string(&header->root, "kid");
	if (*key_id == NULL || strlen(*key_id) > KEYS_MAX_ID)
		return "The header has no key id (\"kid\"), or one that is too long.";
	return NULL;
}

const char *
jwt_split(const char *text, size_t length, Jwt *jwt)
{
	const char *payload;
	const char *signature;
	const char *end = text + length;
	int         signature_length;

	if (length > JWT_MAX_LENGTH)
		return "The token is longer than 16 kB.";
	payload = memchr(text, '.', length);
	signature = payload != NULL ? memchr(payload + 1, '.', end - payload - 1) : NULL;
	if (signature == NULL || memchr(signature + 1, '.', end - signature - 1) != NULL)
		return "The token does not consist of three parts.";

	*jwt = (Jwt){.text = text,
				 .header_length = payload - text,
				 .signed_length = signature - text,
				 .payload = payload + 1,
				 .payload_length = signature - payload - 1,
				 .signature = palloc(BASE64URL_DECODED_SIZE(end - signature))};
	signature_length = base64url_decode(signature + 1, end - signature - 1, jwt->signature);
	if (signature_length <= 0)
		return "The signature is not in base64url.";
	jwt->signature_length = signature_length;
	return NULL;
}

/* Return true if a list of app clients has an id, or is "*". */
static bool
is_listed(const char *list, const char *id)
{
	size_t length = strlen(id);
	size_t element;

	if (strcmp(list, "*") == 0)
		return true;
	for (const char *c = list + strspn(list, ", "); *c != '\0'; c += strspn(c, ", "))
	{
		element = strcspn(c, ", ");
		if (element == length && strncmp(c, id, length) == 0)
			return true;
		c += element;
	}
	return false;
}

/* Check whose token it is, and for whom.  Return NULL, or what is wrong. */
static const char *
check_parties(JsonbContainer *claims, const JwtRules *rules, JwtUse *use)
{
	const char *subject = object_string(claims, "sub");
	const char *client;

	if (!object_equals(claims, "iss", rules->issuer))
		return "The issuer (claim \"iss\") is not the user pool.";
	if (object_equals(claims, "token_use", uses[JWT_ID].name))
		*use = JWT_ID;
	else if (object_equals(claims, "token_use", uses[JWT_ACCESS].name))
		*use = JWT_ACCESS;
	else
		return "Claim \"token_use\" is neither \"id\" nor \"access\".";

	client = object_string(claims, uses[*use].client);
	if (client == NULL || client[0] == '\0' || !is_listed(rules->client_ids, client))
		return *use == JWT_ID
				   ? "The app client (claim \"aud\") is not one of option \"app_client_ids\"."
				   : "The app client (claim \"client_id\") is not one of option "
					 "\"app_client_ids\".";
	if (subject == NULL || subject[0] == '\0')
		return "Claim \"sub\" is missing, or not a string.";
	return NULL;
}

/* Return true unless a claim exists that is not a time, or later than this machine's clock may show. */
static bool
has_begun(JsonbContainer *claims, const char *claim, double now)
{
	double begin;

	return !object_has(claims, claim) ||
		   (object_time(claims, claim, &begin) && begin <= now + MAX_CLOCK_SKEW);
}

const char *
jwt_check(const Jwt *jwt, const JwtRules *rules, double now, JwtClaims *claims)
{
	JsonbContainer *root;

	claims->all = decode_object(jwt->payload, jwt->payload_length);
	if (claims->all == NULL)
		return "The payload is not a JSON object in base64url.";

	root = &claims->all->root;
	if (!object_time(root, "exp", &claims->expires))
		return "Claim \"exp\" is missing, or not a time in seconds.";
	if (!has_begun(root, "nbf", now))
		return "Claim \"nbf\" is in the future, or not a time in seconds.";
	if (!has_begun(root, "iat", now))
		return "Claim \"iat\" is in the future, or not a time in seconds.";
	return check_parties(root, rules, &claims->use);
}

const char *
jwt_check_use(const JwtClaims *claims, double now, const char *use)
{
	if (claims->expires <= now)
		return "The token has expired (claim \"exp\").";
	if (use != NULL && strcmp(use, uses[claims->use].name) != 0)
		return "Claim \"token_use\" is not the required one.";
	return NULL;
}
