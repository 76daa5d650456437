/*
 * fuzz.h
 *		What the fuzz targets share: as much of a backend as the parsing modules
 *		need (postgres.c), and a service whose answers are the input (service.c).
 */
#ifndef COGNITO_FUZZ_H
#define COGNITO_FUZZ_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "compat.h"
#include "server/server.h"

/* The last error, in UTF-8; its texts are NULL where it has none. */
typedef struct FuzzError
{
	int   level;
	int   sqlstate;
	char *message;
	char *detail;
	char *hint;
} FuzzError;

extern FuzzError fuzz_error;

/* Run a function in a fresh memory context.  Return false if it raised an error. */
extern bool fuzz_try(void (*function)(void *), void *arg);

/* Abort, which libFuzzer reports with the input, unless a property holds. */
#define fuzz_check(property)      \
	do                            \
	{                             \
		if (!(property))          \
			fuzz_fail(#property); \
	} while (0)
extern void fuzz_fail(const char *property) pg_attribute_noreturn();

/* Return true if bytes are a text that a database in UTF-8 can hold. */
extern bool fuzz_is_text(const char *bytes, size_t length);

/* Return a copy of bytes with a final NUL, palloc'd, in memory of exactly that size. */
extern char *fuzz_string(const char *bytes, size_t length);

/* Split off what comes before a separator; NULL at the end.  Only the copy is palloc'd. */
extern char *fuzz_split(const char **input, size_t *length, char separator, size_t *split_length);

/* Make an array of text that deconstruct_array of postgres.c takes apart. */
extern struct ArrayType *fuzz_array(List *strings);

/* Return true if a text is JSON in the opinion of PostgreSQL's parser. */
extern bool fuzz_is_json(const char *text, size_t length);

/* Let the service give these answers, one after the other; see service.c for their form. */
extern void fuzz_serve(const char *answers, size_t length);

/* The server that server_open returns. */
extern CognitoServer fuzz_server;

/* Call an SQL function with a server's name and further arguments, texts or numbers. */
extern void fuzz_call(const char *function, List *arguments);

/* The entry point, which libFuzzer calls. */
extern int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
