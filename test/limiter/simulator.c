/*
 * simulator.c
 *		Services with quotas, and sessions that adapt to them with limiter.c, in simulated
 *		time: print what part of a quota is used in many situations, and fail if one is
 *		out of its bounds.
 *
 * A session lists pages, up to 16 at a time, as a listing does: a request that was
 * throttled is sent again as soon as the limiter permits; it lists on and on, or 1,000 of
 * them, the first three one after the other, as the benchmark does.  Or it looks up a user once a
 * second, and that may take longer while the quota is used up.  A request arrives at the
 * service after half of the latency, which varies by one percent; sessions wake up only
 * at full milliseconds.
 *
 * The situations that matter most are simulated several times.  Random numbers are the
 * same in each run of this program.
 */
#include "postgres.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/limiter.h"

/* That of libc: PostgreSQL's would have to be linked */
#undef printf

#define MAX_SESSIONS 16
#define MAX_REQUESTS 16

#define RUNS 24

/*
 * Listings that are simulated until they end: how often, of how many pages, how many of which follow
 * one another at first, begun within what time
 */
#define LISTINGS 48
#define PAGES 1000
#define FIRST_PAGES 3
#define LATEST_LISTING 100.0

#define JITTER 0.01

/* All times are in milliseconds. */
#define SECOND 1000.0

/* How long a situation is simulated: until it is steady, for each session, and after that */
#define BEGINNING (40 * SECOND)
#define BEGINNING_OF_MANY (20 * SECOND)
#define STEADY (100 * SECOND)

/* How often a competing client may begin or end */
#define STEP 100.0

/* The quota that AWS documents for listing users; a service with another one may surprise a limiter */
#define DOCUMENTED_QUOTA 30

/* The part of the quota that another client takes, for some of every ten seconds */
typedef struct Competitor
{
	double part;
	double seconds;
} Competitor;

#define COMPETITOR_PERIOD 10

typedef struct Service
{
	const char *name;
	bool        is_window; /* it counts per second of the clock, instead of a token bucket */
	double      savings;   /* capacity of the bucket, in seconds; 0 for one request */
	Competitor  competitor;

	/* Bounds after the beginning, parts of 1 */
	double min_used;         /* by one session, of what latency and quota permit */
	double max_throttled;    /* of its requests */
	double min_used_by_many; /* 0 if this is not for many sessions */
} Service;

/* Bounds; parts of 1 */
typedef struct Bounds
{
	double min_used;      /* of what the service would have accepted */
	double max_throttled; /* of the requests */
	double max_steady;    /* likewise, later */
	double min_share;     /* that the listing with the fewest responses has of an equal share */
	double max_lookup;    /* the time of the longest lookup */
} Bounds;

/* What comes of listings that begin to use the service, until the last one ends; parts of 1 */
typedef struct ListingResult
{
	double used;      /* at least, if this is a bound */
	double throttled; /* at most */
	double ratio;     /* at least: the time of the fastest listing, by that of the slowest one */
} ListingResult;

typedef struct Situation
{
	const Service *service;
	double         quota; /* requests per second */
	double         latency;
	int            sessions; /* that list */
	int            requests; /* of each at a time */
	int            lookups;  /* sessions that look up users */
	Bounds         bounds;
	ListingResult  listing; /* bounds */
} Situation;

typedef enum RequestState
{
	SCHEDULED,
	SENT,     /* arrives at the service next */
	ANSWERED, /* its response arrives next */
	ENDED     /* no page is left for it */
} RequestState;

typedef struct Request
{
	RequestState state;
	double       due;
	double       sent;
	double       arrival;
	bool         accepted;
} Request;

typedef struct Session
{
	Limiter limiter;
	bool    is_lookup;
	int     nrequests;
	Request requests[MAX_REQUESTS];
	double  wake;     /* when to look at requests that are due */
	int     pages;    /* that are left, beside those of its requests */
	double  begun;    /* when it began */
	double  received; /* when its last response was received */
	long    accepted; /* requests */
	double  longest_lookup;
} Session;

typedef struct Simulation
{
	const Situation *situation;
	unsigned short   random[3];
	double           now;
	double           tokens;   /* that the service has left */
	double           possible; /* requests that it would have accepted until now */
	long             accepted;
	long             throttled;
	int              nsessions;
	Session          sessions[MAX_SESSIONS];
} Simulation;

/* What came of a situation, as in Bounds. */
typedef struct Result
{
	double used;
	double throttled;
	double steady_used;
	double steady;
	double share;
	double lookup;
} Result;

/*
 * With a bucket that saves nothing, requests of different sessions collide at any rate, so
 * only one session uses it.
 */
static const Service bucket = {"bucket, a second saved", false, 1, {0, 0}, .94, .012, .95};
static const Service bucket_of_one = {"bucket, nothing saved", false, 0, {0, 0}, .70, .01, 0};
static const Service window = {"count per clock second", true, 0, {0, 0}, .85, .01, .75};
static const Service outages = {"another takes all 2 of 10 s", false, 1, {1, 2}, .28, .15, .18};
static const Service halves = {"another takes half 5 of 10 s", false, 1, {.5, 5}, .80, .02, .80};

/*
 * The situations that matter most: users are listed at 30 requests per second.  What short
 * listings use beside a client that takes half, and six of them together, is the most that
 * was found, with few requests throttled.
 */
static const Situation situations[] = {
	{&bucket, 30, 50, 1, 16, 0, {.97, .04, .01, 0, 0}, {.97, .04, 0}},
	{&bucket_of_one, 30, 50, 1, 16, 0, {.93, .04, .01, 0, 0}, {.93, .04, 0}},
	{&window, 30, 50, 1, 16, 0, {.92, .04, .01, 0, 0}, {.92, .04, 0}},
	{&outages, 30, 50, 1, 16, 0, {.88, .04, .04, 0, 0}, {.88, .04, 0}},
	{&halves, 30, 50, 1, 16, 0, {.92, .04, .04, 0, 0}, {.91, .04, 0}},
	{&bucket, 30, 50, 6, 16, 0, {.90, .04, .01, .65, 0}, {.88, .04, .6}},
	{&bucket, 30, 50, 1, 16, 6, {.90, .04, .01, 0, 3 * SECOND}, {.90, .04, 0}},
	{&outages, 30, 50, 1, 1, 0, {.60, .04, .04, 0, 0}, {.60, .04, 0}},
};

/* All others */
static const Service *const services[] = {&bucket, &bucket_of_one, &window, &outages, &halves};
static const double         latencies[] = {10, 50, 300};
static const double         quotas[] = {5, 30, 120};
static const int            numbers_of_sessions[] = {1, 6, 16};

/* Return a number between 0 and 1. */
static double
random_number(Simulation *simulation)
{
	return erand48(simulation->random);
}

/* Return the part of the quota that the competing client leaves at a time. */
static double
part_left(const Simulation *simulation, double time)
{
	const Competitor *competitor = &simulation->situation->service->competitor;
	double            second = fmod(time / SECOND, COMPETITOR_PERIOD);

	return second >= COMPETITOR_PERIOD - competitor->seconds ? 1 - competitor->part : 1;
}

/* Let time pass at the service, at most a step: fill its bucket, or begin to count again. */
static void
refill(Simulation *simulation, double now)
{
	const Service *service = simulation->situation->service;
	double         quota = simulation->situation->quota;
	double         left = part_left(simulation, simulation->now);
	double         added = left * quota * (now - simulation->now) / SECOND;

	if (service->is_window)
		added = floor(now / SECOND) > floor(simulation->now / SECOND) ? quota : 0;
	simulation->possible += added;
	simulation->tokens += added;
	simulation->tokens =
		Min(simulation->tokens, service->is_window ? quota : Max(service->savings * quota, 1));
	if (left == 0)
		simulation->tokens = 0;
	simulation->now = now;
}

/* Let time pass. */
static void
advance(Simulation *simulation, double now)
{
	while (now - simulation->now > STEP)
		refill(simulation, simulation->now + STEP);
	refill(simulation, now);
}

/* Send the requests of a session that are due, in that order, as client.c does. */
static void
send_scheduled(Simulation *simulation, Session *session)
{
	session->wake = INFINITY;
	for (;;)
	{
		Request *next = NULL;
		double   again;

		for (Request *r = session->requests; r < session->requests + session->nrequests; r++)
			if (r->state == SCHEDULED && (next == NULL || r->due < next->due))
				next = r;
		if (next == NULL)
			return;
		again = next->due > simulation->now ? next->due
											: limiter_acquire(&session->limiter, simulation->now);
		if (again > 0)
		{
			session->wake = ceil(again);
			return;
		}
		next->state = SENT;
		next->sent = simulation->now;
	}
}

/* Set when a request arrives: half of the latency from now. */
static void
set_arrival(Simulation *simulation, Request *request)
{
	double variation = JITTER * (2 * random_number(simulation) - 1);

	request->arrival = simulation->now + simulation->situation->latency / 2 * (1 + variation);
}

/* Process the arrival of a request at the service. */
static void
answer(Simulation *simulation, Request *request)
{
	request->accepted = simulation->tokens >= 1;
	if (request->accepted)
		simulation->tokens--;
	request->state = ANSWERED;
	set_arrival(simulation, request);
}

/* Schedule the request of the next page; after the first pages, also those of the other parts. */
static void
schedule_pages(Simulation *simulation, Session *session, Request *request)
{
	request->due = simulation->now;
	if (session->accepted == FIRST_PAGES)
		for (Request *r = session->requests; r < session->requests + session->nrequests; r++)
			if (r->state == ENDED)
				*r = (Request){.due = simulation->now};
}

/* Process the arrival of a response, and schedule the request of the next page, or this one again. */
static void
receive(Simulation *simulation, Session *session, Request *request)
{
	request->state = SCHEDULED;
	if (!request->accepted)
	{
		simulation->throttled++;
		limiter_throttled(&session->limiter, request->sent, simulation->now);
		return;
	}

	simulation->accepted++;
	session->accepted++;
	session->received = simulation->now;
	limiter_accepted(&session->limiter, request->sent, simulation->now);
	if (session->is_lookup)
	{
		session->longest_lookup = Max(session->longest_lookup, simulation->now - request->due);
		request->due += SECOND;
	}
	else if (session->pages-- > 0)
		schedule_pages(simulation, session, request);
	else
		request->state = ENDED;
}

/* Find what happens next before a time: a session wakes up, or a request or response arrives. */
static double
find_next(Simulation *simulation, double end, Session **session, Request **request)
{
	double first = end;

	*session = NULL;
	for (Session *s = simulation->sessions; s < simulation->sessions + simulation->nsessions; s++)
	{
		if (s->wake < first)
		{
			first = s->wake;
			*session = s;
			*request = NULL;
		}
		for (Request *r = s->requests; r < s->requests + s->nrequests; r++)
			if ((r->state == SENT || r->state == ANSWERED) && r->arrival < first)
			{
				first = r->arrival;
				*session = s;
				*request = r;
			}
	}
	return first;
}

/* Give each request that was just sent its time of arrival. */
static void
send_on(Simulation *simulation, Session *session)
{
	send_scheduled(simulation, session);
	for (Request *r = session->requests; r < session->requests + session->nrequests; r++)
		if (r->state == SENT && r->sent == simulation->now)
			set_arrival(simulation, r);
}

/* Simulate a length of time. */
static void
run(Simulation *simulation, double length)
{
	double   end = simulation->now + length;
	Session *session;
	Request *request = NULL;

	for (;;)
	{
		advance(simulation, find_next(simulation, end, &session, &request));
		if (session == NULL)
			return;
		if (request != NULL && request->state == SENT)
		{
			answer(simulation, request);
			continue;
		}
		if (request != NULL)
			receive(simulation, session, request);
		send_on(simulation, session);
	}
}

/* Let a session have that many requests at a time, none in flight, from a random time on. */
static void
restart(Simulation *simulation, Session *session, int nrequests, double latest)
{
	session->nrequests = nrequests;
	session->pages = INT_MAX;
	session->limiter.in_flight = 0;
	session->begun = simulation->now + random_number(simulation) * latest;
	session->wake = nrequests > 0 ? session->begun : INFINITY;
	for (int i = 0; i < nrequests; i++)
		session->requests[i] = (Request){.due = session->begun};
}

/* Begin a simulation of a situation, the service having used nothing of its quota. */
static void
begin(Simulation *simulation, const Situation *situation, int number)
{
	*simulation = (Simulation){.situation = situation, .random = {(unsigned short) number}};
	simulation->nsessions = situation->sessions + situation->lookups;
	simulation->now = random_number(simulation) * COMPETITOR_PERIOD * SECOND;
	simulation->tokens = situation->service->is_window
							 ? situation->quota
							 : Max(situation->service->savings * situation->quota, 1);
	simulation->possible = simulation->tokens;

	for (int i = 0; i < simulation->nsessions; i++)
	{
		Session *session = &simulation->sessions[i];

		session->is_lookup = i >= situation->sessions;
		limiter_init(&session->limiter, Min(situation->quota, DOCUMENTED_QUOTA), false,
					 simulation->now);
		restart(simulation, session, session->is_lookup ? 1 : situation->requests, SECOND);
	}
}

/* Simulate a length of time; set the parts that were used and throttled during it. */
static void
measure(Simulation *simulation, double length, double *used, double *throttled)
{
	Simulation before = *simulation;
	double     accepted;
	double     refused;

	run(simulation, length);
	accepted = (double) (simulation->accepted - before.accepted);
	refused = (double) (simulation->throttled - before.throttled);
	*used = accepted / (simulation->possible - before.possible + before.tokens);
	*throttled = refused / (accepted + refused);
}

/* Return the part that the listing with the fewest responses has of an equal share. */
static double
smallest_share(const Simulation *simulation)
{
	int    listings = simulation->situation->sessions;
	double smallest = INFINITY;
	double sum = 0;

	for (int i = 0; i < listings; i++)
	{
		smallest = Min(smallest, (double) simulation->sessions[i].accepted);
		sum += (double) simulation->sessions[i].accepted;
	}
	return smallest * listings / sum;
}

/* Simulate a situation; return the means of some runs, and the longest lookup. */
static Result
simulate(const Situation *situation, int runs)
{
	double length = situation->sessions > 1 ? situation->sessions * BEGINNING_OF_MANY : BEGINNING;
	Result result = {0};

	for (int i = 1; i <= runs; i++)
	{
		Simulation simulation;
		Result     now;

		begin(&simulation, situation, i);
		measure(&simulation, length, &now.used, &now.throttled);
		now.share = smallest_share(&simulation);
		measure(&simulation, STEADY, &now.steady_used, &now.steady);

		result.used += now.used / runs;
		result.throttled += now.throttled / runs;
		result.steady_used += now.steady_used / runs;
		result.steady += now.steady / runs;
		result.share += now.share / runs;
		for (int j = 0; j < simulation.nsessions; j++)
			result.lookup = Max(result.lookup, simulation.sessions[j].longest_lookup);
	}
	return result;
}

/* Print the last cell of a row, whether the result is within its bounds, and return that. */
static bool
print_verdict(bool is_within)
{
	printf(" %s |\n", is_within ? "yes" : "NO");
	return is_within;
}

/* Print the row of one of the situations that matter most; return true if it is within its bounds. */
static bool
print_situation(const Situation *situation)
{
	const Bounds *bounds = &situation->bounds;
	Result        result = simulate(situation, RUNS);

	printf("| %s | %d × %d + %d | %.1f %% (%.0f) | %.1f %% (%.0f) | %.2f %% (%.0f) | %.2f (%.1f) |"
		   " %.1f s (%.0f) |",
		   situation->service->name, situation->sessions, situation->requests, situation->lookups,
		   100 * result.used, 100 * bounds->min_used, 100 * result.throttled,
		   100 * bounds->max_throttled, 100 * result.steady, 100 * bounds->max_steady, result.share,
		   bounds->min_share, result.lookup / SECOND, bounds->max_lookup / SECOND);
	return print_verdict(result.used >= bounds->min_used &&
						 result.throttled < bounds->max_throttled &&
						 result.steady < bounds->max_steady && result.share >= bounds->min_share &&
						 result.lookup <= bounds->max_lookup);
}

/* Print the row of a service with any quota and latency; return true if it is within its bounds. */
static bool
print_service(const Service *service, double quota, double latency, int sessions)
{
	int       requests = sessions > 1 ? MAX_REQUESTS / 4 : MAX_REQUESTS;
	Situation situation = {.service = service,
						   .quota = quota,
						   .latency = latency,
						   .sessions = sessions,
						   .requests = requests};
	Result    result = simulate(&situation, 1);
	double    possible = Min(1, sessions * requests * SECOND / latency / quota);

	printf("| %s | %.0f | %.0f ms | %d × %d | %.1f %% | %.1f %% | %.1f %% | %.2f %% |",
		   service->name, quota, latency, sessions, requests, 100 * result.used,
		   100 * result.throttled, 100 * result.steady_used, 100 * result.steady);
	if (sessions > 1)
		return print_verdict(result.steady_used >= service->min_used_by_many * possible);
	return print_verdict(result.steady_used >= service->min_used * possible &&
						 result.steady < service->max_throttled);
}

/* Print the table of the situations that matter most, with their bounds in parentheses. */
static bool
print_situations(void)
{
	bool is_within = true;

	puts("| service, 30/s, 50 ms | sessions × requests + lookups | used | throttled | throttled, "
		 "later |"
		 " smallest share | longest lookup | within bounds |\n"
		 "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
	for (size_t i = 0; i < lengthof(situations); i++)
		is_within &= print_situation(&situations[i]);
	return is_within;
}

/* Print the table of all services, quotas, latencies and numbers of sessions. */
static bool
print_services(void)
{
	bool is_within = true;

	puts("\n| service | quota | latency | sessions × requests | used | throttled | used, later |"
		 " throttled, later | within bounds |\n"
		 "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |");
	for (size_t i = 0; i < lengthof(services); i++)
		for (size_t j = 0; j < lengthof(quotas); j++)
			for (size_t k = 0; k < lengthof(latencies); k++)
				for (size_t l = 0; l < lengthof(numbers_of_sessions); l++)
					if (numbers_of_sessions[l] == 1 || services[i]->min_used_by_many > 0)
						is_within &= print_service(services[i], quotas[j], latencies[k],
												   numbers_of_sessions[l]);
	return is_within;
}

/*
 * Simulate sessions that list some pages each, and begin at the same time, until the last
 * one ends; add to the result.
 */
static void
list_pages(const Situation *situation, int number, ListingResult *result)
{
	Simulation simulation;
	double     shortest = INFINITY;
	double     longest = 0;

	begin(&simulation, situation, number);
	for (Session *s = simulation.sessions; s < simulation.sessions + situation->sessions; s++)
	{
		restart(&simulation, s, situation->requests, LATEST_LISTING);
		s->pages = PAGES - situation->requests;
		for (int i = 1; i < s->nrequests; i++)
			s->requests[i].state = ENDED;
	}
	for (int i = 0; i < situation->sessions; i++)
	{
		Session *session = &simulation.sessions[i];

		while (session->accepted < PAGES)
			run(&simulation, SECOND / 100);
		shortest = Min(shortest, session->received - session->begun);
		longest = Max(longest, session->received - session->begun);
	}
	result->used += (double) simulation.accepted / simulation.possible;
	result->throttled +=
		(double) simulation.throttled / (double) (simulation.accepted + simulation.throttled);
	result->ratio += shortest / longest;
}

/* Print the row of listings in a situation; return true if it is within its bounds. */
static bool
print_listing(const Situation *situation)
{
	const ListingResult *bounds = &situation->listing;
	ListingResult        result = {0};

	for (int i = 1; i <= LISTINGS; i++)
		list_pages(situation, i, &result);
	result.used /= LISTINGS;
	result.throttled /= LISTINGS;
	result.ratio /= LISTINGS;

	printf("| %s | %d × %d + %d | %.1f %% (%.0f) | %.1f %% (%.0f) | %.2f (%.1f) |",
		   situation->service->name, situation->sessions, situation->requests, situation->lookups,
		   100 * result.used, 100 * bounds->used, 100 * result.throttled, 100 * bounds->throttled,
		   result.ratio, bounds->ratio);
	return print_verdict(result.used >= bounds->used && result.throttled < bounds->throttled &&
						 result.ratio >= bounds->ratio);
}

/* Print the table of listings by sessions that begin to use the service. */
static bool
print_listings(void)
{
	bool is_within = true;

	printf("\n| service, 30/s, 50 ms, %d pages | sessions × requests + lookups | used | throttled |"
		   " fastest by slowest session | within bounds |\n"
		   "| --- | ---: | ---: | ---: | ---: | --- |\n",
		   PAGES);
	for (size_t i = 0; i < lengthof(situations); i++)
		is_within &= print_listing(&situations[i]);
	return is_within;
}

/*
 * Print how much of the quota a session uses after others have left, and after idling: what
 * it has learned while there was a shortage must not last.
 */
static bool
print_recovery(void)
{
	static const Situation crowd = {
		.service = &bucket, .quota = 30, .latency = 50, .sessions = 6, .requests = MAX_REQUESTS};
	Simulation simulation;
	double     throttled;
	double     alone;
	double     rested;

	begin(&simulation, &crowd, 1);
	run(&simulation, 120 * SECOND);
	for (int i = 1; i < crowd.sessions; i++)
		restart(&simulation, &simulation.sessions[i], 0, 0);
	run(&simulation, 150 * SECOND);
	measure(&simulation, 60 * SECOND, &alone, &throttled);

	restart(&simulation, &simulation.sessions[0], 0, 0);
	run(&simulation, 120 * SECOND);
	restart(&simulation, &simulation.sessions[1], MAX_REQUESTS, SECOND);
	measure(&simulation, 20 * SECOND, &rested, &throttled);

	printf("\nOne of six sessions, 150 s after the others have ended: %.1f %% (95)\n"
		   "Another of them, after idling: %.1f %% (90)\n",
		   100 * alone, 100 * rested);
	return alone >= .95 && rested >= .90;
}

int
main(void)
{
	bool is_within = print_situations();

	is_within &= print_services();
	is_within &= print_listings();
	is_within &= print_recovery();
	return is_within ? 0 : 1;
}
