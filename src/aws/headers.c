/*
 * headers.c
 *		Header lines of requests, which may hold secrets; those of a signed message.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "aws/headers.h"
#include "aws/sigv4.h"

/* The largest number of signed headers */
#define MAX_SIGNED 5

/*
 * A line is allocated at its final size: a buffer that had to grow would leave a copy
 * of the secret in it.
 */
List *
headers_add(List *lines, const char *name, const char *value)
{
	size_t size = strlen(name) + strlen(": ") + strlen(value) + 1;
	char  *line = palloc(size);

	snprintf(line, size, "%s: %s", name, value);
	return lappend(lines, line);
}

void
headers_free(List *lines)
{
	ListCell *line;

	foreach (line, lines)
		OPENSSL_cleanse(lfirst(line), strlen(lfirst(line)));
	list_free_deep(lines);
}

List *
headers_sign(const SignedMessage *message)
{
	char         date[SIGV4_DATE_SIZE];
	SigV4Header  headers[MAX_SIGNED];
	SigV4Request signing = {.access_key_id = message->access_key_id,
							.secret_access_key = message->secret_access_key,
							.region = message->region,
							.service = message->service,
							.date = date,
							.headers = headers,
							.body = message->body,
							.length = message->length,
							.key = message->key};
	List        *lines = NIL;
	int          n = 0;

	sigv4_date(date, message->time);
	headers[n++] = (SigV4Header){"content-type", message->content_type};
	headers[n++] = (SigV4Header){"host", message->host};
	headers[n++] = (SigV4Header){"x-amz-date", date};
	if (message->session_token != NULL)
		headers[n++] = (SigV4Header){"x-amz-security-token", message->session_token};
	if (message->target != NULL)
		headers[n++] = (SigV4Header){"x-amz-target", message->target};
	signing.nheaders = n;

	for (int i = 0; i < n; i++)
		lines = headers_add(lines, headers[i].name, headers[i].value);
	return headers_add(lines, "authorization", sigv4_authorization(&signing));
}
