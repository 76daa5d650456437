/*
 * sigv4.c
 *		AWS Signature Version 4, on OpenSSL's EVP interface.
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include <openssl/crypto.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "aws/sigv4.h"

#define DIGEST_SIZE 32
#define HEX_SIZE (2 * DIGEST_SIZE + 1)

#define ALGORITHM "AWS4-HMAC-SHA256"

/* The prefix of the secret from which the signing key is derived */
#define KEY_PREFIX "AWS4"

/* Method, path and query of every canonical request */
#define CANONICAL_BEGIN "POST\n/\n\n"

/* OpenSSL's SHA-256, and its HMAC without a key: fetched once, because that is slow */
static EVP_MD      *sha256_digest;
static EVP_MAC_CTX *sha256_hmac;

/* Fetch the algorithms, in a session's first call. */
static void
fetch_algorithms(void)
{
	OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
							   OSSL_PARAM_END};
	EVP_MAC   *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);

	sha256_digest = EVP_MD_fetch(NULL, "SHA256", NULL);
	sha256_hmac = mac != NULL ? EVP_MAC_CTX_new(mac) : NULL;
	if (sha256_digest == NULL || sha256_hmac == NULL ||
		EVP_MAC_CTX_set_params(sha256_hmac, parameters) != 1)
		elog(ERROR, "could not find SHA-256");
	EVP_MAC_free(mac);
}

/* Write a digest in lower-case hexadecimal. */
static void
hex_digest(char hex[HEX_SIZE], const unsigned char digest[DIGEST_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_SIZE; i++)
	{
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 0xf];
	}
	hex[HEX_SIZE - 1] = '\0';
}

/* Compute the SHA-256 of a text, in hexadecimal. */
static void
sha256(char hex[HEX_SIZE], const char *data, size_t length)
{
	unsigned char digest[DIGEST_SIZE];

	if (EVP_Digest(data, length, digest, NULL, sha256_digest, NULL) != 1)
		elog(ERROR, "could not compute SHA-256");
	hex_digest(hex, digest);
}

/* Compute an HMAC-SHA-256; return false on failure, so that callers can wipe their keys first. */
static bool
hmac_sha256(unsigned char mac[DIGEST_SIZE], const void *key, size_t key_length, const char *data)
{
	EVP_MAC_CTX *context = EVP_MAC_CTX_dup(sha256_hmac);
	size_t       length;
	bool         done = context != NULL && EVP_MAC_init(context, key, key_length, NULL) == 1 &&
				EVP_MAC_update(context, (const unsigned char *) data, strlen(data)) == 1 &&
				EVP_MAC_final(context, mac, &length, DIGEST_SIZE) == 1;

	EVP_MAC_CTX_free(context);
	return done;
}

/* Return the names of the signed headers, as in the canonical request and the header. */
static char *
signed_headers(const SigV4Request *request)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < request->nheaders; i++)
		appendStringInfo(&names, "%s%s", i > 0 ? ";" : "", request->headers[i].name);
	return names.data;
}

/* Return the length of the canonical request with these names and a hash in hexadecimal. */
static size_t
canonical_length(const SigV4Request *request, const char *names)
{
	size_t length = strlen(CANONICAL_BEGIN) + strlen(names) + strlen("\n\n") + HEX_SIZE;

	for (int i = 0; i < request->nheaders; i++)
		length +=
			strlen(request->headers[i].name) + strlen(request->headers[i].value) + strlen(":\n");
	return length;
}

/*
 * Hash the canonical request, the form in which both sides write the same request.
 * It may contain a session token, so its buffer is allocated at its final size: a
 * buffer that had to grow would leave a copy.
 */
static void
hash_canonical_request(char hex[HEX_SIZE], const SigV4Request *request, const char *names)
{
	StringInfoData canonical;
	char           body_hash[HEX_SIZE];

	sha256(body_hash, request->body, request->length);

	initStringInfo(&canonical);
	enlargeStringInfo(&canonical, (int) canonical_length(request, names));
	appendStringInfoString(&canonical, CANONICAL_BEGIN);
	for (int i = 0; i < request->nheaders; i++)
	{
		Assert(i == 0 || strcmp(request->headers[i - 1].name, request->headers[i].name) < 0);
		appendStringInfo(&canonical, "%s:%s\n", request->headers[i].name,
						 request->headers[i].value);
	}
	appendStringInfo(&canonical, "\n%s\n%s", names, body_hash);

	sha256(hex, canonical.data, canonical.len);
	OPENSSL_cleanse(canonical.data, canonical.len);
	pfree(canonical.data);
}

/* Derive the key for one day, region and service from the secret; return false on failure. */
static bool
derive_key(unsigned char key[DIGEST_SIZE], const SigV4Request *request, const char *day)
{
	size_t length = strlen(KEY_PREFIX) + strlen(request->secret_access_key);
	char  *secret = palloc(length + 1);
	bool   done;

	/* psprintf could leave a copy of a part. */
	snprintf(secret, length + 1, KEY_PREFIX "%s", request->secret_access_key);
	done = hmac_sha256(key, secret, length, day) &&
		   hmac_sha256(key, key, DIGEST_SIZE, request->region) &&
		   hmac_sha256(key, key, DIGEST_SIZE, request->service) &&
		   hmac_sha256(key, key, DIGEST_SIZE, "aws4_request");
	OPENSSL_cleanse(secret, length);
	pfree(secret);
	return done;
}

/* Sign with the key of the day, which is derived unless it is there. */
static void
sign(char hex[HEX_SIZE], const SigV4Request *request, const char *day, const char *string_to_sign)
{
	SigV4Key     *key = request->key;
	unsigned char signature[DIGEST_SIZE];

	if (strcmp(key->day, day) != 0)
		strlcpy(key->day, derive_key(key->key, request, day) ? day : "", sizeof(key->day));
	if (key->day[0] == '\0' || !hmac_sha256(signature, key->key, DIGEST_SIZE, string_to_sign))
		elog(ERROR, "could not compute HMAC-SHA-256");
	hex_digest(hex, signature);
}

void
sigv4_date(char date[SIGV4_DATE_SIZE], time_t now)
{
	struct tm utc;

	if (gmtime_r(&now, &utc) == NULL ||
		strftime(date, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &utc) != SIGV4_DATE_SIZE - 1)
		elog(ERROR, "could not write the time of a request");
}

char *
sigv4_authorization(const SigV4Request *request)
{
	char *day = pnstrdup(request->date, strlen("YYYYMMDD"));
	char *scope = psprintf("%s/%s/%s/aws4_request", day, request->region, request->service);
	char *names = signed_headers(request);
	char  request_hash[HEX_SIZE];
	char  signature[HEX_SIZE];
	char *string_to_sign;

	if (sha256_digest == NULL || sha256_hmac == NULL)
		fetch_algorithms();
	hash_canonical_request(request_hash, request, names);
	string_to_sign = psprintf(ALGORITHM "\n%s\n%s\n%s", request->date, scope, request_hash);
	sign(signature, request, day, string_to_sign);

	return psprintf(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s",
					request->access_key_id, scope, names, signature);
}
