/*
 * pages.c
 *		A user pool that is never the bottleneck: ListUsers pages, ready-made.
 *
 * Usage: pages USERS [--delay-ms N] [--quota R [--burst B | --per-second] [--taken P,S]]
 *					 [--attributes N]
 *
 * Prints its URL, and serves on a free loopback port until its stdin ends; for
 * each byte that comes there it prints how many requests it has answered and
 * how many it has throttled.
 *
 * --delay-ms holds back every answer, on its own connection only.  --quota
 * throttles what goes beyond R requests a second and R saved up, or B; or, with
 * --per-second, beyond R in each second of the clock.  With --taken, another client takes
 * the part P of the quota for the last S of every ten seconds.  --attributes is how many
 * of the ten attributes a user has.
 *
 * An answer is a page of 60 users of those that the request's filter matches:
 * sub ^= "a hexadecimal digit", username = "…", or none for all.  The
 * token, "pageNNNNN:" and the digits, chooses which page.  ListGroups has groups
 * of 200 users, one page of them at the most; a request that names one is
 * answered with its users, page by page.  Neither the pool nor the signature is
 * looked at, nor any other operation.
 *
 * A user has ten attributes.  Names, order and numbers are written as the
 * service does it: see the sample response of AdminGetUser in the API
 * reference (1.682955829578E9 is a date).
 */

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
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

#define USERS_PER_GROUP 200
#define MAX_GROUPS 60

/* A smaller pool would have no user for some digits. */
#define MIN_USERS 16

/* Those that a user has at most */
#define MAX_ATTRIBUTES 10

/*
 * A larger pool repeats the pages of these users, so that memory stays small; only a digit of
 * their subs is another one, so it has up to 16 times as many.
 */
#define MAX_USERS 60000

#define MAX_REQUEST 65536
#define MAX_USER 2048

/* What precedes the values in a request's body. */
#define SUB_FILTER "\"sub ^= \\\""
#define USERNAME_FILTER "\"username = \\\""
#define TOKEN "\"page"
#define GROUP "\"GroupName\":\"group"

/* What the head of a request for groups holds. */
#define LIST_GROUPS "AWSCognitoIdentityProviderService.ListGroups\r\n"

#define SUB_LENGTH 36

/* Where a user's sub begins, and which of its digits says how often the user was repeated. */
#define SUB_BEGIN strlen("{\"Attributes\":[{\"Name\":\"sub\",\"Value\":\"")
#define REPEAT_DIGIT 24

/* What a request asks for. */
typedef struct Request
{
	bool groups;    /* it asks for groups, and for no user */
	int  first;     /* the users that match its filter: from this one on, */
	int  end;       /* up to, and without, this one */
	int  repeats;   /* how often the pool has their pages */
	int  page;      /* which page, from 0 */
	char digits[3]; /* the one that all their subs begin with, or the group's number */
	bool in_group;  /* they are asked for as those of a group */
} Request;

/* The users as they are sent, in the order of their subs, each followed by a comma. */
static char   *users;
static size_t *user_at; /* where each begins in users, and where the last one ends */
static int     n_users;
static int     n_repeats;

/* The groups as they are sent. */
static char groups[MAX_GROUPS * sizeof("{\"GroupName\":\"group00\"},")];

static long delay_ms;

static int n_attributes = MAX_ATTRIBUTES;

/* The token bucket of the quota, and what came of it. */
static struct
{
	pthread_mutex_t lock;
	double          rate;  /* requests a second; 0 if there is no quota */
	double          burst; /* how many can be saved up */
	bool            per_second;
	double          taken;         /* the part that another client takes, */
	double          taken_seconds; /* for how long of every ten seconds */
	double          allowance;
	double          refilled; /* when the allowance was reckoned */
	double          possible; /* requests that would have been answered until then */
	long            answered;
	long            throttled;
	bool            is_new_count; /* the next request begins it: no time passes before */
} quota = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Returns some 64 bits that look random but follow from user and salt. */
static uint64_t
mix(uint64_t user, uint64_t salt)
{
	uint64_t x = user * 0x9E3779B97F4A7C15 + salt * 0xD1B54A32D192ED03;

	x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
	x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
	return x ^ (x >> 31);
}

/*
 * Writes a user's sub, as in pools since 2024: of the first eight digits, every second one
 * is the pool's.  It begins with the user's place in the pool, in 16ths, and ends with
 * the number.
 */
static void
write_sub(char sub[SUB_LENGTH + 1], int user, uint64_t r)
{
	snprintf(sub, SUB_LENGTH + 1, "%x4%x8%x4%x8-%x0%x1-70%02x-%04x-%06x%06x",
			 (unsigned) ((long) user * 16 / n_users) & 0xF, (unsigned) (r >> 60),
			 (unsigned) (r >> 56) & 0xF, (unsigned) (r >> 52) & 0xF, (unsigned) (r >> 48) & 0xF,
			 (unsigned) (r >> 44) & 0xF, (unsigned) (r >> 36) & 0xFF, (unsigned) (r >> 20) & 0xFFFF,
			 (unsigned) r & 0xFFFFF, (unsigned) user & 0xFFFFFF);
}

/* Writes an attribute to dst; returns its length. */
static size_t
write_attribute(char *dst, const char *name, const char *value)
{
	return snprintf(dst, MAX_USER, "{\"Name\":\"%s\",\"Value\":\"%s\"}", name, value);
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
	char                     sub[SUB_LENGTH + 1];
	char                     name[32];
	char                     phone_number[16];
	char                     tenant[16];
	char                     email[48];
	const char              *attributes[MAX_ATTRIBUTES][2] = {
					 {"sub", sub},
					 {"email_verified", r & 1 ? "true" : "false"},
					 {"name", name},
					 {"given_name", given_name},
					 {"family_name", family_name},
					 {"locale", locale[(r >> 16) % 5]},
					 {"email", email},
					 {"custom:tenant", tenant},
					 {"phone_number_verified", s & 1 ? "true" : "false"},
					 {"phone_number", phone_number}};
	size_t length;

	write_sub(sub, user, r);
	snprintf(name, sizeof(name), "%s %s", given_name, family_name);
	snprintf(phone_number, sizeof(phone_number), "+4420%08d", user);
	snprintf(tenant, sizeof(tenant), "tenant-%05d", (int) ((s >> 8) % 10000));
	snprintf(email, sizeof(email), "user.%06d@mail%d.example.com", user, (int) ((r >> 24) % 100));

	length = snprintf(dst, MAX_USER, "{\"Attributes\":[");
	for (int i = 0; i < n_attributes; i++)
	{
		length += write_attribute(dst + length, attributes[i][0], attributes[i][1]);
		dst[length++] = i + 1 < n_attributes ? ',' : ']';
	}
	return length + snprintf(dst + length, MAX_USER - length,
							 ",\"Enabled\":%s,"
							 "\"UserCreateDate\":1.%09u%03uE9,"
							 "\"UserLastModifiedDate\":1.%09u%03uE9,"
							 "\"UserStatus\":\"%s\",\"Username\":\"%s\"}",
							 user % 50 ? "true" : "false", created, (unsigned) (r % 1000),
							 created + (unsigned) (r % 50000000), (unsigned) (s % 1000),
							 status[(r >> 20) % 3], sub);
}

/* Writes all users. */
static void
make_users(void)
{
	size_t length = 0;

	users = malloc((size_t) n_users * MAX_USER);
	user_at = malloc((n_users + 1) * sizeof(size_t));
	if (users == NULL || user_at == NULL)
		err(1, "out of memory");

	for (int i = 0; i < n_users; i++)
	{
		user_at[i] = length;
		length += write_user(users + length, i);
		users[length++] = ',';
	}
	user_at[n_users] = length;
}

/* How many groups there are. */
static int
count_groups(void)
{
	return n_users / USERS_PER_GROUP < MAX_GROUPS ? n_users / USERS_PER_GROUP : MAX_GROUPS;
}

/* Writes all groups, each followed by a comma as well. */
static void
make_groups(void)
{
	size_t length = 0;

	for (int i = 0; i < count_groups(); i++)
		length +=
			snprintf(groups + length, sizeof(groups) - length, "{\"GroupName\":\"group%02d\"},", i);
}

/* The first user whose sub begins with this digit or a higher one. */
static int
first_user(int digit)
{
	return (digit * n_users + 15) / 16;
}

/* Matches the users whose sub begins with the digit at text. */
static bool
match_sub(Request *request, const char *text)
{
	int digit;

	if (strspn(text, "0123456789abcdef") != 1)
		return false;
	request->digits[0] = text[0];
	digit = (int) strtol(request->digits, NULL, 16);
	request->first = first_user(digit);
	request->end = first_user(digit + 1);
	return true;
}

/* Matches the user whose name, which is the sub, is at text. */
static bool
match_username(Request *request, const char *text)
{
	int user;

	if (strcspn(text, "\\") != SUB_LENGTH)
		return false;
	user = (int) strtol(text + SUB_LENGTH - 6, NULL, 16);
	if (user >= n_users ||
		strncmp(users + user_at[user + 1] - strlen("\"},") - SUB_LENGTH, text, SUB_LENGTH) != 0)
		return false;
	request->first = user;
	request->end = user + 1;
	request->repeats = 1;
	return true;
}

/* Matches the users of the group whose number is at text. */
static bool
match_group(Request *request, const char *text)
{
	int group = (int) strtol(text, NULL, 10);

	if (group < 0 || group >= count_groups())
		return false;
	snprintf(request->digits, sizeof(request->digits), "%02d", group);
	request->in_group = true;
	request->first = group * USERS_PER_GROUP;
	request->end = request->first + USERS_PER_GROUP;
	request->repeats = 1;
	return true;
}

/* Of how many pages these users are. */
static int
count_pages(const Request *request)
{
	return (request->end - request->first + USERS_PER_PAGE - 1) / USERS_PER_PAGE;
}

/* Reads the token at text; it must be one of a listing with the same filter. */
static bool
read_token(Request *request, const char *text)
{
	char *digits;
	char  expected[8];

	request->page = (int) strtol(text, &digits, 10);
	snprintf(expected, sizeof(expected), ":%s\"", request->digits);
	return request->page >= 0 && request->page < count_pages(request) * request->repeats &&
		   strncmp(digits, expected, strlen(expected)) == 0;
}

/* Reads a request's head and body; false if it is none that a client of the benchmark sends. */
static bool
parse_request(Request *request, const char *head, const char *body)
{
	const char *group = strstr(body, GROUP);
	const char *sub = strstr(body, SUB_FILTER);
	const char *username = strstr(body, USERNAME_FILTER);
	const char *token = strstr(body, TOKEN);

	*request = (Request){.end = n_users, .repeats = n_repeats};
	request->groups = strstr(head, LIST_GROUPS) != NULL;
	if (group != NULL && !match_group(request, group + strlen(GROUP)))
		return false;
	if (sub != NULL && !match_sub(request, sub + strlen(SUB_FILTER)))
		return false;
	if (username != NULL && !match_username(request, username + strlen(USERNAME_FILTER)))
		return false;
	return token == NULL || read_token(request, token + strlen(TOKEN));
}

/* The seconds of a clock that only goes forward. */
static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* Adds to the allowance what comes until then, which is soon: the other client does not change. */
static void
refill(double time)
{
	double left = fmod(time, 10) >= 10 - quota.taken_seconds ? 1 - quota.taken : 1;
	double added = (time - quota.refilled) * quota.rate * left;

	if (quota.per_second)
		added = floor(time) > floor(quota.refilled) ? quota.rate : 0;
	quota.possible += added;
	quota.allowance = fmin(quota.allowance + added, quota.burst);
	if (left == 0)
		quota.allowance = 0;
	quota.refilled = time;
}

/* Adds to the allowance what has come until now. */
static void
refill_until_now(void)
{
	double time = now();

	while (time - quota.refilled > 0.1)
		refill(quota.refilled + 0.1);
	refill(time);
}

/* Is one more request within the quota? */
static bool
admit(void)
{
	double possible;
	bool   admitted;

	pthread_mutex_lock(&quota.lock);
	possible = quota.possible;
	refill_until_now();
	if (quota.is_new_count)
		quota.possible = possible;
	quota.is_new_count = false;
	admitted = quota.rate == 0 || quota.allowance >= 1;
	if (admitted)
	{
		quota.allowance -= 1;
		quota.answered++;
	}
	else
		quota.throttled++;
	pthread_mutex_unlock(&quota.lock);
	return admitted;
}

/*
 * Prints how many requests were answered and throttled, and how many could have been answered, until
 * the last one.  That counts on at the next one: not while the client only starts.
 */
static void
print_counts(void)
{
	pthread_mutex_lock(&quota.lock);
	quota.is_new_count = true;
	printf("%ld %ld %.0f\n", quota.answered, quota.throttled, quota.possible);
	pthread_mutex_unlock(&quota.lock);
	fflush(stdout);
}

/* Sends an answer, its body in three pieces; returns false if the client has gone. */
static bool
send_answer(int client, const char *status, const char *begin, struct iovec middle, const char *end)
{
	char          head[512];
	size_t        length = strlen(begin) + middle.iov_len + strlen(end);
	struct iovec  parts[] = {{.iov_base = head}, middle, {(char *) end, strlen(end)}};
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};

	parts[0].iov_len = snprintf(head, sizeof(head),
								"HTTP/1.1 %s\r\n"
								"Content-Type: application/x-amz-json-1.1\r\n"
								"Content-Length: %zu\r\n"
								"x-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\n\r\n%s",
								status, length, begin);
	return sendmsg(client, &message, MSG_NOSIGNAL) ==
		   (ssize_t) (parts[0].iov_len + parts[1].iov_len + parts[2].iov_len);
}

/* Returns copies of users, without the last comma, that have been repeated so often. */
static struct iovec
repeat_users(struct iovec page, int first, int end, int repeats)
{
	static _Thread_local char copy[USERS_PER_PAGE * MAX_USER];
	char                      digit = "0123456789abcdef"[repeats];

	memcpy(copy, page.iov_base, page.iov_len);
	for (int user = first; user < end; user++)
	{
		char *begin = copy + user_at[user] - user_at[first];
		char *name = copy + user_at[user + 1] - user_at[first] - strlen("\"},") - SUB_LENGTH;

		begin[SUB_BEGIN + REPEAT_DIGIT] = digit;
		name[REPEAT_DIGIT] = digit;
	}
	return (struct iovec){copy, page.iov_len};
}

/* Sends the page that a request asks for; returns false if the client has gone. */
static bool
send_page(int client, const Request *request)
{
	int n_pages = count_pages(request);
	int first = request->first + request->page % n_pages * USERS_PER_PAGE;
	int end = first + USERS_PER_PAGE < request->end ? first + USERS_PER_PAGE : request->end;
	struct iovec page = {users + user_at[first], user_at[end] - user_at[first] - strlen(",")};
	char         tail[64] = "]}";

	if (request->page >= n_pages)
		page = repeat_users(page, first, end, request->page / n_pages);
	if (request->page + 1 < n_pages * request->repeats)
		snprintf(tail, sizeof(tail), "],\"%s\":\"page%05d:%s\"}",
				 request->in_group ? "NextToken" : "PaginationToken", request->page + 1,
				 request->digits);
	return send_answer(client, "200 OK", "{\"Users\":[", page, tail);
}

/* Sends the groups; returns false if the client has gone. */
static bool
send_groups(int client)
{
	struct iovec page = {groups, strlen(groups) - strlen(",")};

	return send_answer(client, "200 OK", "{\"Groups\":[", page, "]}");
}

/* Sends the answer to a request beyond the quota; returns false if the client has gone. */
static bool
send_throttled(int client)
{
	return send_answer(client, "400 Bad Request", "{\"__type\":\"TooManyRequestsException\",",
					   (struct iovec){0}, "\"message\":\"Rate exceeded\"}");
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

/* Thread of one connection: answers its requests until the client leaves. */
static void *
serve_client(void *arg)
{
	int     client = (int) (intptr_t) arg;
	char    buffer[MAX_REQUEST];
	char   *body;
	Request request;
	bool    alive = true;

	setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	while (alive && (body = read_request(client, buffer)) != NULL &&
		   parse_request(&request, buffer, body))
	{
		bool admitted = admit();

		if (delay_ms > 0)
			nanosleep(&(struct timespec){delay_ms / 1000, delay_ms % 1000 * 1000000L}, NULL);
		if (!admitted)
			alive = send_throttled(client);
		else
			alive = request.groups ? send_groups(client) : send_page(client, &request);
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

/* Reads the command line. */
static void
read_options(int argc, char **argv)
{
	static const struct option options[] = {{"delay-ms", required_argument, NULL, 'd'},
											{"quota", required_argument, NULL, 'q'},
											{"burst", required_argument, NULL, 'b'},
											{"per-second", no_argument, NULL, 's'},
											{"taken", required_argument, NULL, 't'},
											{"attributes", required_argument, NULL, 'a'},
											{0}};
	int                        option;
	int                        pool = 0;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
	{
		if (option == 'd')
			delay_ms = atol(optarg);
		else if (option == 'q')
			quota.rate = quota.burst = atof(optarg);
		else if (option == 'a')
			n_attributes = atoi(optarg);
		else if (option == 'b')
			quota.burst = atof(optarg);
		else if (option == 's')
			quota.per_second = true;
		else if (option != 't' ||
				 sscanf(optarg, "%lf,%lf", &quota.taken, &quota.taken_seconds) != 2)
			exit(2);
	}
	if (optind == argc - 1)
		pool = atoi(argv[optind]);
	n_users = pool < MAX_USERS ? pool : MAX_USERS;
	if (n_users < MIN_USERS || pool % n_users != 0 || pool / n_users > 16 || delay_ms < 0 ||
		n_attributes < 1 || n_attributes > MAX_ATTRIBUTES || (quota.rate != 0 && quota.rate < 1))
		errx(2,
			 "usage: pages USERS [--delay-ms N] [--quota R [--burst B | --per-second] [--taken "
			 "P,S]] [--attributes N]\n"
			 "USERS is %d or more, and beyond %d a multiple of that",
			 MIN_USERS, MAX_USERS);
	n_repeats = pool / n_users;
	quota.allowance = quota.burst;
	quota.refilled = now();
}

int
main(int argc, char **argv)
{
	pthread_t thread;
	int       listener;

	read_options(argc, argv);
	make_users();
	make_groups();
	listener = listen_on_loopback();
	errno = pthread_create(&thread, NULL, accept_clients, (void *) (intptr_t) listener);
	if (errno != 0)
		err(1, "pthread_create");

	/* serve until whoever started us is gone */
	while (read(STDIN_FILENO, &(char){0}, 1) > 0)
		print_counts();
	return 0;
}
