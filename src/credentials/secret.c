/*
 * secret.c
 *		Memory for secrets.
 */
#include "postgres.h"

#include "utils/palloc.h"

#include <openssl/crypto.h>

#include "credentials/secret.h"

typedef struct Secret
{
	MemoryContextCallback wipe;
	size_t                size;
	char                  data[FLEXIBLE_ARRAY_MEMBER];
} Secret;

/* Callback of a secret's memory context: wipe it. */
static void
wipe(void *arg)
{
	Secret *secret = arg;

	OPENSSL_cleanse(secret->data, secret->size);
}

void *
secret_alloc(size_t size)
{
	Secret *secret = palloc0(offsetof(Secret, data) + size);

	secret->size = size;
	secret->wipe.func = wipe;
	secret->wipe.arg = secret;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &secret->wipe);
	return secret->data;
}
