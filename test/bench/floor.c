/*
 * floor.c
 *		The least that a listing can cost: libcurl, and nothing but the token.
 *
 * Usage: floor URL [USERNAME N]
 *
 * Asks for page after page on a kept connection, or N times for the user of
 * that name, after once to connect.  The answer is not parsed, only searched
 * for the next token; the signature is a constant of the usual size.  Prints
 * the number of pages and the seconds that they took.
 */

#include <curl/curl.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOKEN_KEY "\"PaginationToken\":"

/* An answer as it comes in; the memory is used again for the next. */
typedef struct Answer
{
	char  *data;
	size_t length;
	size_t size;
} Answer;

static const char *const headers[] = {
	"Content-Type: application/x-amz-json-1.1",
	"X-Amz-Target: AWSCognitoIdentityProviderService.ListUsers",
	"X-Amz-Date: 20250101T000000Z",
	"Authorization: AWS4-HMAC-SHA256 "
	"Credential=AKIAIOSFODNN7EXAMPLE/20250101/eu-west-1/cognito-idp/aws4_request, "
	"SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
	"Signature=0000000000000000000000000000000000000000000000000000000000000000",
};

/* libcurl's write function: appends to the answer. */
static size_t
receive(char *data, size_t one, size_t length, void *userdata)
{
	Answer *answer = userdata;

	(void) one;
	while (answer->length + length > answer->size)
	{
		answer->size = answer->size == 0 ? 65536 : answer->size * 2;
		answer->data = realloc(answer->data, answer->size);
		if (answer->data == NULL)
			err(1, "out of memory");
	}
	memcpy(answer->data + answer->length, data, length);
	answer->length += length;
	return length;
}

/*
 * Writes the request for the page after this answer (for the first one if it
 * is empty) to a buffer of that size; returns 0 if the answer was the last.
 */
static int
next_request(const Answer *answer, char *request, size_t size)
{
	const char *key = memmem(answer->data, answer->length, TOKEN_KEY, strlen(TOKEN_KEY));
	int         length = 0;

	if (key == NULL && answer->length > 0)
		return 0;
	if (key != NULL)
		length = answer->data + answer->length - key - strlen("}");

	/* the key and its value go back as they came */
	snprintf(request, size, "{\"UserPoolId\":\"eu-west-1_AbCdEf123\",\"Limit\":60%s%.*s}",
			 key != NULL ? "," : "", length, key != NULL ? key : "");
	return 1;
}

/* Returns a libcurl handle that posts to the URL and fills the answer. */
static CURL *
make_handle(const char *url, Answer *answer)
{
	CURL              *curl = curl_easy_init();
	struct curl_slist *list = NULL;

	if (curl == NULL)
		errx(1, "libcurl cannot be initialized");
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		list = curl_slist_append(list, headers[i]);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
	return curl;
}

/* The seconds of a clock that only goes forward. */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Sends a request, and receives its answer. */
static void
ask(CURL *curl, const char *request, Answer *answer)
{
	CURLcode code;

	answer->length = 0;
	curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		errx(1, "%s", curl_easy_strerror(code));
}

/* Lists all users; returns the number of pages. */
static int
list(CURL *curl, Answer *answer)
{
	char request[4096];
	int  pages = 0;

	while (next_request(answer, request, sizeof(request)))
	{
		ask(curl, request, answer);
		pages++;
	}
	return pages;
}

/* Asks for a user so many times. */
static void
look_up(CURL *curl, Answer *answer, const char *username, int times)
{
	char request[4096];

	snprintf(request, sizeof(request),
			 "{\"UserPoolId\":\"eu-west-1_AbCdEf123\",\"Filter\":\"username = \\\"%s\\\"\","
			 "\"Limit\":60}",
			 username);
	for (int i = 0; i < times; i++)
		ask(curl, request, answer);
}

int
main(int argc, char **argv)
{
	Answer answer = {0};
	int    pages = argc == 4 ? atoi(argv[3]) : 0;
	CURL  *curl;
	double start;

	if (argc != 2 && argc != 4)
		errx(2, "usage: floor URL [USERNAME N]");
	curl = make_handle(argv[1], &answer);
	if (argc == 4)
		look_up(curl, &answer, argv[2], 1);

	start = now();
	if (argc == 4)
		look_up(curl, &answer, argv[2], pages);
	else
		pages = list(curl, &answer);
	printf("%d %.6f\n", pages, now() - start);
	return 0;
}
