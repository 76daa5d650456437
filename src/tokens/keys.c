/*
 * keys.c
 *		Sets of public keys, and signatures made with them.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

#include "aws/client.h"
#include "aws/error.h"
#include "aws/http.h"
#include "fetch/srf.h"
#include "tokens/base64url.h"
#include "tokens/keys.h"
#include "tokens/object.h"

/* Sizes of an RSA key that are accepted, in bits; Cognito's are 2048 and 17. */
#define MIN_MODULUS 2048
#define MAX_MODULUS 4096
#define MAX_EXPONENT 32

#define NO_SET "It must be a JSON object with a list \"keys\", and no member twice."
#define BAD_KEY                                                                                   \
	"Each RSA key must have an id (\"kid\") of its own, a modulus (\"n\") of 2048 to 4096 bits, " \
	"and an odd exponent (\"e\"), in base64url, and no secret part (\"d\")."

/* A key, which its context frees */
struct Key
{
	const char           *id;
	EVP_PKEY_CTX         *verifier; /* ready for EVP_PKEY_verify */
	MemoryContextCallback release;
};

struct KeySet
{
	EVP_MD_CTX           *digest; /* SHA-256, which is fetched once */
	int                   nkeys;
	Key                  *keys;
	MemoryContextCallback release;
};

/* Callback of the memory context of a key. */
static void
release_key(void *arg)
{
	Key *key = arg;

	EVP_PKEY_CTX_free(key->verifier);
}

/* Callback of the memory context of a set. */
static void
release_set(void *arg)
{
	KeySet *set = arg;

	EVP_MD_CTX_free(set->digest);
}

/* Raise the error for OpenSSL without memory or without an algorithm. */
static void
pg_attribute_noreturn() reject_openssl(void)
{
	ERR_clear_error();
	ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not initialize OpenSSL")));
}

/* Return a copy of a positive integer in base64url without leading zeros, or NULL; set its length. */
static unsigned char *
decode_integer(JsonbContainer *jwk, const char *member, int *length)
{
	const char    *text = object_string(jwk, member);
	unsigned char *bytes;

	if (text == NULL)
		return NULL;
	bytes = palloc(BASE64URL_DECODED_SIZE(strlen(text)));
	*length = base64url_decode(text, strlen(text), bytes);
	return *length > 0 && bytes[0] != 0 ? bytes : NULL;
}

/* Return true if an integer is odd and its size in bits is within limits. */
static bool
is_odd_of_size(const BIGNUM *integer, int min, int max)
{
	int size = BN_num_bits(integer);

	return BN_is_odd(integer) && size >= min && size <= max;
}

/* Return a context that is ready to verify RS256 with a public key, or NULL.  Raises nothing. */
static EVP_PKEY_CTX *
make_verifier(const BIGNUM *n, const BIGNUM *e)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	EVP_PKEY_CTX   *importer = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY_CTX   *verifier = NULL;
	OSSL_PARAM     *parameters = NULL;
	EVP_PKEY       *key = NULL;

	if (builder != NULL && importer != NULL &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1 &&
		(parameters = OSSL_PARAM_BLD_to_param(builder)) != NULL &&
		EVP_PKEY_fromdata_init(importer) == 1 &&
		EVP_PKEY_fromdata(importer, &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1)
		verifier = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	if (verifier != NULL && (EVP_PKEY_verify_init(verifier) != 1 ||
							 EVP_PKEY_CTX_set_rsa_padding(verifier, RSA_PKCS1_PADDING) != 1 ||
							 EVP_PKEY_CTX_set_signature_md(verifier, EVP_sha256()) != 1))
	{
		EVP_PKEY_CTX_free(verifier);
		verifier = NULL;
	}

	EVP_PKEY_free(key);
	OSSL_PARAM_free(parameters);
	EVP_PKEY_CTX_free(importer);
	OSSL_PARAM_BLD_free(builder);
	return verifier;
}

/* Make a key from modulus and exponent; return false if they are out of the limits. */
static bool
import_key(Key *key, const unsigned char *modulus, int modulus_length,
		   const unsigned char *exponent, int exponent_length)
{
	BIGNUM *n = BN_bin2bn(modulus, modulus_length, NULL);
	BIGNUM *e = BN_bin2bn(exponent, exponent_length, NULL);
	bool    valid = n != NULL && e != NULL && is_odd_of_size(n, MIN_MODULUS, MAX_MODULUS) &&
				 is_odd_of_size(e, 2, MAX_EXPONENT);

	if (valid)
		key->verifier = make_verifier(n, e);
	BN_free(n);
	BN_free(e);
	if (valid && key->verifier == NULL)
		reject_openssl();
	return valid;
}

/* Return true if a key is meant for what it is used for here. */
static bool
is_signing_key(JsonbContainer *jwk)
{
	return object_equals(jwk, "kty", "RSA") && object_equals(jwk, "use", "sig") &&
		   object_equals(jwk, "alg", "RS256");
}

/*
 * Append a key to a set; return false if it is not well-formed, or a secret key: every
 * role could read it in the option, and sign tokens.
 */
static bool
add_key(KeySet *set, JsonbContainer *jwk)
{
	const char    *id = object_string(jwk, "kid");
	int            modulus_length;
	int            exponent_length;
	unsigned char *modulus = decode_integer(jwk, "n", &modulus_length);
	unsigned char *exponent = decode_integer(jwk, "e", &exponent_length);
	Key           *key = &set->keys[set->nkeys];

	if (id == NULL || id[0] == '\0' || strlen(id) > KEYS_MAX_ID || keys_find(set, id) != NULL ||
		modulus == NULL || exponent == NULL || object_has(jwk, "d"))
		return false;

	*key = (Key){.id = id, .release = {.func = release_key, .arg = key}};
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &key->release);
	set->nkeys++;
	return import_key(key, modulus, modulus_length, exponent, exponent_length);
}

/* Return an empty set with room for keys. */
static KeySet *
create_set(int max)
{
	KeySet *set = palloc0(sizeof(KeySet));

	set->keys = palloc0(Max(max, 1) * sizeof(Key));
	set->release = (MemoryContextCallback){.func = release_set, .arg = set};
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &set->release);
	set->digest = EVP_MD_CTX_new();
	if (set->digest == NULL || EVP_DigestInit_ex(set->digest, EVP_sha256(), NULL) != 1)
		reject_openssl();
	return set;
}

const KeySet *
keys_parse(const char *text, const char **problem)
{
	size_t      length = strlen(text);
	Jsonb      *json;
	JsonbValue  list;
	JsonbValue *jwk;
	KeySet     *set;

	*problem = "It must not be longer than 64 kB.";
	if (length > KEYS_MAX_SET)
		return NULL;

	*problem = NO_SET;
	json = object_parse(text, length);
	if (json == NULL ||
		getKeyJsonValueFromContainer(&json->root, "keys", strlen("keys"), &list) == NULL ||
		list.type != jbvBinary || !JsonContainerIsArray(list.val.binary.data))
		return NULL;

	*problem = BAD_KEY;
	set = create_set(JsonContainerSize(list.val.binary.data));
	for (uint32 i = 0; (jwk = getIthJsonbValueFromContainer(list.val.binary.data, i)) != NULL; i++)
	{
		if (jwk->type != jbvBinary || !JsonContainerIsObject(jwk->val.binary.data))
			return NULL;
		if (is_signing_key(jwk->val.binary.data) && !add_key(set, jwk->val.binary.data))
			return NULL;
	}

	*problem = "It must have an RSA key with \"use\" \"sig\" and \"alg\" \"RS256\".";
	return set->nkeys > 0 ? set : NULL;
}

const char *
keys_check(const char *text)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	const char   *problem;
	bool          valid = keys_parse(text, &problem) != NULL;

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return valid ? NULL : problem;
}

const Key *
keys_find(const KeySet *keys, const char *id)
{
	for (int i = 0; i < keys->nkeys; i++)
		if (strcmp(keys->keys[i].id, id) == 0)
			return &keys->keys[i];
	return NULL;
}

bool
keys_verify(const KeySet *keys, const Key *key, const char *text, size_t length,
			const unsigned char *signature, size_t signature_length)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	bool          valid;

	if (EVP_DigestInit_ex(keys->digest, NULL, NULL) != 1 ||
		EVP_DigestUpdate(keys->digest, text, length) != 1 ||
		EVP_DigestFinal_ex(keys->digest, digest, NULL) != 1)
		reject_openssl();
	valid =
		EVP_PKEY_verify(key->verifier, signature, signature_length, digest, sizeof(digest)) == 1;
	if (!valid)
		ERR_clear_error();
	return valid;
}

/* Only for messages: nothing is sent that a service model describes. */
static const AwsOperation get_keys = {
	&aws_user_pools, "jwks.json", POOL_USER, {NULL}, AWS_OPERATION};

void
keys_reject_fetch(const char *server_name, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
			 errmsg("could not fetch the keys for tokens for server \"%s\"", server_name),
			 errdetail_internal("%s", detail),
			 errhint("Check options \"region\", \"user_pool_id\" and \"endpoint_url\".  With "
					 "option \"jwks\", no keys are fetched.")));
}

/* Request the keys of a server and wait for the response, whose status must be 200. */
static HttpRequest *
request_keys(const CognitoServer *server)
{
	const Endpoint *endpoint = aws_endpoint(server, &aws_user_pools);
	HttpRequest    *request = http_create();
	HttpMessage     message = {
			.method = "GET",
			.url = psprintf("%s%s/.well-known/jwks.json", endpoint->url, server->user_pool_id),
			.direct = endpoint->is_plain_http,
			.connect_timeout = server->connect_timeout,
			.request_timeout = server->request_timeout};
	const AwsCall call = {.server = server, .operation = &get_keys};
	AwsError      error = {.kind = AWS_ERROR_OTHER};

	server->session->requests++;
	http_send(request, &message);
	while (http_outcome(request) == HTTP_PENDING)
		http_wait(-1);
	if (http_outcome(request) != HTTP_RESPONSE)
		aws_error_raise(&error, &call, request, 0);
	if (http_status(request) != 200)
		keys_reject_fetch(server->name, psprintf("%s: answered with status %ld.", get_keys.name,
												 http_status(request)));
	return request;
}

const char *
keys_fetch(const CognitoServer *server)
{
	MemoryContext caller = MemoryContextSwitchTo(server->context);
	const char   *problem;
	const char   *text;
	size_t        length;

	if (srf_offline)
		keys_reject_fetch(server->name, "Setting cognito_srf.offline is on.");
	text = http_body(request_keys(server), &length);
	problem = strlen(text) == length ? keys_check(text) : NO_SET;
	if (problem != NULL)
		ereport(ERROR, (errcode(ERRCODE_FDW_ERROR),
						errmsg("unusable reply from Cognito for server \"%s\"", server->name),
						errdetail("%s is not a usable set of keys: %s", get_keys.name, problem)));
	MemoryContextSwitchTo(caller);
	return text;
}
