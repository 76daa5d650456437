/*
 * sigv4_leftovers.c
 *		Signs requests with src/sigv4.c on an allocator of its own, and looks for
 *		parts of the secrets in all memory that is given back, or kept.
 *
 * It is linked with PostgreSQL's library for frontends, in which strings grow as
 * they do in the server; only the allocator below them is replaced.  It prints
 * what it finds, and ends with 1 if that is anything.
 */

#include "postgres.h"

#include <stdio.h>

#include "aws/sigv4.h"

/* How long a part of a secret is by which it is known. */
#define PART 16

/* In front of each block that is in use. */
typedef struct Block
{
	struct Block *next;
	size_t        size;
} Block;

static Block      *blocks;
static const char *secrets[2];
static int         found;

/* Looks for parts of the secrets in a block. */
static void
search(const Block *block, const char *what)
{
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; secrets[i] != NULL && at + PART <= strlen(secrets[i]); at += PART)
			if (memmem(block + 1, block->size, secrets[i] + at, PART) != NULL)
			{
				printf("secret %d, from %zu on, in %zu bytes that are %s\n", i, at, block->size,
					   what);
				found++;
				break;
			}
}

void *
palloc(Size size)
{
	Block *block = calloc(1, sizeof(Block) + size);

	if (block == NULL)
		abort();
	block->size = size;
	block->next = blocks;
	blocks = block;
	return block + 1;
}

void
pfree(void *pointer)
{
	Block  *block = (Block *) pointer - 1;
	Block **link = &blocks;

	search(block, "given back");
	while (*link != block)
		link = &(*link)->next;
	*link = block->next;
	free(block);
}

/* Always moves the block. */
void *
repalloc(void *pointer, Size size)
{
	const Block *block = (Block *) pointer - 1;
	void        *moved = palloc(size);

	memcpy(moved, pointer, Min(size, block->size));
	pfree(pointer);
	return moved;
}

char *
pnstrdup(const char *text, Size length)
{
	char *copy = palloc(length + 1);

	return memcpy(copy, text, strnlen(text, length));
}

/* What the server does with an error. */
bool
errstart(int level pg_attribute_unused(), const char *domain pg_attribute_unused())
{
	abort();
}

bool
errstart_cold(int level pg_attribute_unused(), const char *domain pg_attribute_unused())
{
	abort();
}

int
errmsg_internal(const char *format pg_attribute_unused(), ...)
{
	abort();
}

void
errfinish(const char *file pg_attribute_unused(), int line pg_attribute_unused(),
		  const char *function pg_attribute_unused())
{
	abort();
}

/* Makes a secret of so many characters, in which no part comes twice. */
static char *
make_secret(char first, int length)
{
	char *secret = malloc(length + PART);

	if (secret == NULL)
		abort();
	for (int at = 0; at < length; at += PART)
		snprintf(secret + at, PART + 1, "%c%0*d", first, PART - 1, at);
	secret[length] = '\0';
	return secret;
}

/* Signs a request with secrets of so many characters. */
static void
sign(int length)
{
	char        *key = make_secret('k', length);
	char        *token = make_secret('t', length);
	SigV4Header  headers[] = {{"host", "localhost"}, {"x-amz-security-token", token}};
	SigV4Key     signing_key = {.day = ""};
	SigV4Request request = {.access_key_id = "AKIA",
							.secret_access_key = key,
							.region = "eu-west-1",
							.service = "cognito-idp",
							.date = "20260131T235959Z",
							.headers = headers,
							.nheaders = 2,
							.body = "{}",
							.length = 2,
							.key = &signing_key};

	secrets[0] = key;
	secrets[1] = token;
	(void) sigv4_authorization(&request);
	for (const Block *block = blocks; block != NULL; block = block->next)
		search(block, "kept");
	free(key);
	free(token);
}

int
main(int argc, char **argv)
{
	/* With an argument, it shows that it finds what is there. */
	if (argc > 1)
	{
		secrets[0] = argv[1];
		pfree(strcpy(palloc(strlen(argv[1]) + 1), argv[1]));
		return found > 0;
	}
	for (int length = PART; length <= 64 * 1024; length *= 2)
		sign(length);
	return found > 0;
}
