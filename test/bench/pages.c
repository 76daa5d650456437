/*
 * pages.c
 *		A user pool that is never the bottleneck: ListUsers pages, ready-made.
 *
 * Usage: pages USERS [--delay-ms N]
 *
 * Prints its URL, and serves on a free loopback port until its stdin ends.
 * Each answer is a page of 60 users; the token of a request, "pageNNNNN",
 * chooses which.  --delay-ms holds back every answer, on its own connection
 * only.  Neither the operation, the pool nor the signature is looked at.
 *
 * A user has ten attributes.  Names, order and numbers are written as the
 * service does it: see the sample response of AdminGetUser in the API
 * reference (1.682955829578E9 is a date).
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define USERS_PER_PAGE 60

/* A larger pool repeats these pages, so that memory stays small. */
#define MAX_BODIES 1000

#define MAX_REQUEST 65536
#define MAX_USER 2048

/* A page as it is sent, but for the token and the closing brace. */
typedef struct Body
{
	char  *data;
	size_t length;
} Body;

static Body bodies[MAX_BODIES];
static int  n_bodies;
static int  n_pages;
static int  delay_ms;

/* Returns some 64 bits that look random but follow from user and salt. */
static uint64_t
mix(uint64_t user, uint64_t salt)
{
	uint64_t x = user * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
	return x ^ (x >> 31);
}

/* Writes the user with that number to dst, which holds MAX_USER bytes. */
static size_t
write_user(char *dst, int user)
{
	static const char *const given[] = {"Ada", "Björn", "Chloé", "Dmitri", "Emeka", "Fatima"};
	static const char *const family[] = {"Almeida", "Brown", "Castillo", "Dubois", "Eriksson"};
	static const char *const locale[] = {"en-GB", "de-DE", "pt-BR", "ja-JP", "sv-SE"};
	static const char *const status[] = {"CONFIRMED", "UNCONFIRMED", "FORCE_CHANGE_PASSWORD"};
	uint64_t                 r = mix(user, 1);
	uint64_t                 s = mix(user, 2);
	const char              *given_name = given[r % 6];
	const char              *family_name = family[(r >> 8) % 5];
	unsigned                 created = 500000000 + (unsigned) (s % 200000000);
	char                     sub[37];

	snprintf(sub, sizeof(sub), "%08x-%04x-4%03x-%04x-%012llx", (unsigned) (r >> 32),
			 (unsigned) (r >> 16) & 0xFFFF, (unsigned) r & 0xFFF, 0x8000 | ((unsigned) s & 0x3FFF),
			 (unsigned long long) (s >> 16));

	return snprintf(
		dst, MAX_USER,
		"{\"Attributes\":["
		"{\"Name\":\"sub\",\"Value\":\"%s\"},"
		"{\"Name\":\"email_verified\",\"Value\":\"%s\"},"
		"{\"Name\":\"name\",\"Value\":\"%s %s\"},"
		"{\"Name\":\"phone_number_verified\",\"Value\":\"%s\"},"
		"{\"Name\":\"phone_number\",\"Value\":\"+4420%08d\"},"
		"{\"Name\":\"given_name\",\"Value\":\"%s\"},"
		"{\"Name\":\"family_name\",\"Value\":\"%s\"},"
		"{\"Name\":\"locale\",\"Value\":\"%s\"},"
		"{\"Name\":\"custom:tenant\",\"Value\":\"tenant-%05d\"},"
		"{\"Name\":\"email\",\"Value\":\"user.%06d@mail%d.example.com\"}],"
		"\"Enabled\":%s,"
		"\"UserCreateDate\":1.%09u%03uE9,"
		"\"UserLastModifiedDate\":1.%09u%03uE9,"
		"\"UserStatus\":\"%s\",\"Username\":\"%s\"}",
		sub, r & 1 ? "true" : "false", given_name, family_name, s & 1 ? "true" : "false", user,
		given_name, family_name, locale[(r >> 16) % 5], (int) ((s >> 8) % 10000), user,
		(int) ((r >> 24) % 100), user % 50 ? "true" : "false", created, (unsigned) (r % 1000),
		created + (unsigned) (r % 50000000), (unsigned) (s % 1000), status[(r >> 20) % 3], sub);
}

/* Writes the page that begins with that user. */
static Body
make_body(int first_user)
{
	char   buffer[USERS_PER_PAGE * (MAX_USER + 1) + 16];
	size_t length = sprintf(buffer, "{\"Users\":[");
	Body   body;

	for (int i = 0; i < USERS_PER_PAGE; i++)
	{
		if (i > 0)
			buffer[length++] = ',';
		length += write_user(buffer + length, first_user + i);
	}
	buffer[length++] = ']';

	body.data = malloc(length);
	body.length = length;
	if (body.data == NULL)
		err(1, "out of memory");
	memcpy(body.data, buffer, length);
	return body;
}

/* Sends one page; returns false if the client has gone. */
static bool
send_page(int client, int page)
{
	const Body   *body = &bodies[page % n_bodies];
	char          head[256];
	char          tail[64] = "}";
	struct iovec  parts[3] = {{.iov_base = head}, {body->data, body->length}, {.iov_base = tail}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};

	if (page + 1 < n_pages)
		snprintf(tail, sizeof(tail), ",\"PaginationToken\":\"page%05d\"}", page + 1);
	parts[2].iov_len = strlen(tail);
	parts[0].iov_len = snprintf(head, sizeof(head),
								"HTTP/1.1 200 OK\r\n"
								"Content-Type: application/x-amz-json-1.1\r\n"
								"Content-Length: %zu\r\n"
								"x-amzn-requestid: 00000000-0000-4000-8000-%012d\r\n\r\n",
								body->length + parts[2].iov_len, page);

	if (delay_ms > 0)
		nanosleep(&(struct timespec){delay_ms / 1000, delay_ms % 1000 * 1000000L}, NULL);
	return sendmsg(client, &message, MSG_NOSIGNAL) ==
		   (ssize_t) (parts[0].iov_len + parts[1].iov_len + parts[2].iov_len);
}

/*
 * Reads one request, ended by a zero byte, into a buffer of MAX_REQUEST
 * bytes; returns its body, or NULL if the client has gone or sends what no
 * client of the benchmark sends.  A client waits for its answer before it
 * sends more, so what has come by then is one request.
 */
static char *
read_request(int client, char *request)
{
	size_t length = 0;

	while (length < MAX_REQUEST - 1)
	{
		ssize_t n = recv(client, request + length, MAX_REQUEST - 1 - length, 0);
		char   *end;
		char   *field;

		if (n <= 0)
			return NULL;
		length += n;
		request[length] = '\0';

		end = strstr(request, "\r\n\r\n");
		field = strcasestr(request, "\r\ncontent-length:");
		if (end != NULL && field != NULL &&
			strlen(end + 4) >= strtoul(field + strlen("\r\ncontent-length:"), NULL, 10))
			return end + 4;
	}
	return NULL;
}

/* Returns the number of the page that a request's body asks for. */
static int
wanted_page(const char *body)
{
	const char *token = strstr(body, "\"page");

	return token == NULL ? 0 : atoi(token + strlen("\"page"));
}

/* Thread of one connection: answers its requests until the client leaves. */
static void *
serve_client(void *arg)
{
	int   client = (int) (intptr_t) arg;
	char  request[MAX_REQUEST];
	char *body;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	while ((body = read_request(client, request)) != NULL)
	{
		int page = wanted_page(body);

		if (page < 0 || page >= n_pages || !send_page(client, page))
			break;
	}
	close(client);
	return NULL;
}

/* Thread that gives each new connection a thread of its own. */
static void *
accept_clients(void *arg)
{
	int listener = (int) (intptr_t) arg;

	for (;;)
	{
		int       client = accept(listener, NULL, NULL);
		pthread_t thread;

		if (client < 0)
			err(1, "accept");
		errno = pthread_create(&thread, NULL, serve_client, (void *) (intptr_t) client);
		if (errno != 0)
			err(1, "pthread_create");
		pthread_detach(thread);
	}
}

/* Listens on a free port of the loopback interface, and prints the URL. */
static int
listen_on_loopback(void)
{
	int                listener = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t          length = sizeof(address);

	if (listener < 0 || bind(listener, (struct sockaddr *) &address, length) != 0 ||
		listen(listener, SOMAXCONN) != 0 ||
		getsockname(listener, (struct sockaddr *) &address, &length) != 0)
		err(1, "cannot listen");

	printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

int
main(int argc, char **argv)
{
	int       users = argc > 1 ? atoi(argv[1]) : 0;
	pthread_t thread;
	int       listener;

	delay_ms = argc == 4 ? atoi(argv[3]) : 0;
	if (users <= 0 || users % USERS_PER_PAGE != 0 || delay_ms < 0 ||
		(argc != 2 && (argc != 4 || strcmp(argv[2], "--delay-ms") != 0)))
		errx(2, "usage: pages USERS [--delay-ms N], USERS a multiple of %d", USERS_PER_PAGE);

	n_pages = users / USERS_PER_PAGE;
	n_bodies = n_pages < MAX_BODIES ? n_pages : MAX_BODIES;
	for (int i = 0; i < n_bodies; i++)
		bodies[i] = make_body(i * USERS_PER_PAGE);

	listener = listen_on_loopback();
	errno = pthread_create(&thread, NULL, accept_clients, (void *) (intptr_t) listener);
	if (errno != 0)
		err(1, "pthread_create");

	/* serve until whoever started us is gone */
	while (read(STDIN_FILENO, &(char){0}, 1) > 0)
		;
	return 0;
}
