/*
 * keys.c
 *		Credentials that were obtained from a source, and what is known of them.
 */
#include "postgres.h"

#include "utils/datetime.h"
#include "utils/memutils.h"

#include <math.h>
#include <openssl/crypto.h>

#include "clock.h"
#include "credentials/keys.h"
#include "server/options.h"

/* How long before their expiry keys are replaced, in seconds; AWS's own tools do the same. */
#define RENEWAL_TIME 300

typedef struct OwnedKeys
{
	SourceKeys            keys;
	MemoryContextCallback wipe;
} OwnedKeys;

SourceKeys *
keys_fail(KeysFailure *failure, int sqlstate, const char *reason)
{
	*failure = (KeysFailure){.sqlstate = sqlstate, .reason = reason};
	return NULL;
}

/* Wipe a string, which may be NULL. */
static void
wipe_string(char *string)
{
	if (string != NULL)
		OPENSSL_cleanse(string, strlen(string));
}

/* Callback of keys' memory context: wipe them. */
static void
wipe(void *arg)
{
	SourceKeys *keys = arg;

	wipe_string(keys->access_key_id);
	wipe_string(keys->secret_access_key);
	wipe_string(keys->session_token);
}

/* Return empty keys in a context of their own. */
static SourceKeys *
create(MemoryContext parent)
{
	MemoryContext context =
		AllocSetContextCreate(parent, "cognito credentials", ALLOCSET_SMALL_SIZES);
	OwnedKeys *owned = MemoryContextAllocZero(context, sizeof(OwnedKeys));

	owned->keys.context = context;
	owned->wipe.func = wipe;
	owned->wipe.arg = &owned->keys;
	MemoryContextRegisterResetCallback(context, &owned->wipe);
	return &owned->keys;
}

/* Copy a string, which may be NULL, to the context of keys. */
static char *
copy_string(const SourceKeys *keys, const char *string)
{
	return string != NULL ? MemoryContextStrdup(keys->context, string) : NULL;
}

SourceKeys *
keys_copy(const SourceKeys *keys, MemoryContext parent)
{
	SourceKeys   *copy = create(parent);
	MemoryContext context = copy->context;

	*copy = *keys;
	copy->context = context;
	copy->access_key_id = copy->secret_access_key = copy->session_token = copy->role = NULL;
	copy->access_key_id = copy_string(copy, keys->access_key_id);
	copy->secret_access_key = copy_string(copy, keys->secret_access_key);
	copy->session_token = copy_string(copy, keys->session_token);
	copy->role = copy_string(copy, keys->role);
	return copy;
}

/* Convert a number of some digits of a text. */
static int
parse_digits(const char *text, int length)
{
	int number = 0;

	for (int i = 0; i < length; i++)
		number = 10 * number + (text[i] - '0');
	return number;
}

/* Return the length of a fraction of a second, 0 if there is none. */
static size_t
fraction_length(const char *text)
{
	size_t ndigits = text[0] == '.' ? strspn(text + 1, "0123456789") : 0;

	return ndigits > 0 ? 1 + ndigits : 0;
}

/* Convert a time such as 2026-01-31T23:59:59Z, without its fraction; return false if it is none. */
static bool
parse_time(const char *text, time_t *time)
{
	static const char form[] = "0000-00-00T00:00:00";
	int               year;
	int               month;
	int               day;
	int               seconds;

	for (size_t i = 0; i < strlen(form); i++)
		if (form[i] == '0' ? !isdigit((unsigned char) text[i]) : text[i] != form[i])
			return false;
	if (strcmp(text + strlen(form) + fraction_length(text + strlen(form)), "Z") != 0)
		return false;

	year = parse_digits(text, 4);
	month = parse_digits(text + 5, 2);
	day = parse_digits(text + 8, 2);
	if (month < 1 || month > MONTHS_PER_YEAR || day < 1 || day > day_tab[isleap(year)][month - 1] ||
		parse_digits(text + 11, 2) >= HOURS_PER_DAY ||
		parse_digits(text + 14, 2) >= MINS_PER_HOUR ||
		parse_digits(text + 17, 2) >= SECS_PER_MINUTE)
		return false;
	seconds = parse_digits(text + 11, 2) * SECS_PER_HOUR +
			  parse_digits(text + 14, 2) * SECS_PER_MINUTE + parse_digits(text + 17, 2);
	*time = (time_t) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY + seconds;
	return true;
}

/* Return NULL, or what is wrong with the texts of keys. */
static const char *
check_text(const KeysText *text)
{
	if (text->access_key_id == NULL || option_check_credential(text->access_key_id) != NULL)
		return "the access key ID is missing or malformed";
	if (text->secret_access_key == NULL || option_check_credential(text->secret_access_key) != NULL)
		return "the secret access key is missing or malformed";
	if (text->session_token != NULL && option_check_credential(text->session_token) != NULL)
		return "the session token is malformed";
	return NULL;
}

/*
 * Set when keys expire, if they do; return NULL, or what is wrong.  Keys that are valid
 * for less than twice RENEWAL_TIME are replaced after half of what is left, so that a
 * source which returns the same keys until they expire is not asked for each request.
 */
static const char *
set_expiry(SourceKeys *keys, const char *expiration, time_t service_time)
{
	double left;

	keys->valid_until = INFINITY;
	keys->renewal_time = INFINITY;
	if (expiration == NULL)
		return NULL;
	if (!parse_time(expiration, &keys->expires))
		return "the expiry is not a time such as 2026-01-31T23:59:59Z";
	if (service_time == -1)
		service_time = time(NULL);
	if (keys->expires <= service_time)
		return "the credentials have expired";
	left = difftime(keys->expires, service_time);
	keys->valid_until = clock_now() + 1000 * left;
	keys->renewal_time = keys->valid_until - 1000 * Min(RENEWAL_TIME, left / 2);
	return NULL;
}

SourceKeys *
keys_make(const char *source, const KeysText *text, time_t service_time, KeysFailure *failure)
{
	static int  version;
	const char *problem = check_text(text);
	SourceKeys *keys;

	if (problem != NULL)
		return keys_fail(failure, ERRCODE_FDW_ERROR, problem);
	keys = create(CurrentMemoryContext);
	problem = set_expiry(keys, text->expiration, service_time);
	if (problem != NULL)
	{
		MemoryContextDelete(keys->context);
		return keys_fail(failure, ERRCODE_FDW_ERROR, problem);
	}
	keys->source = source;
	keys->access_key_id = copy_string(keys, text->access_key_id);
	keys->secret_access_key = copy_string(keys, text->secret_access_key);
	keys->session_token = copy_string(keys, text->session_token);
	keys->role = copy_string(keys, text->role);
	keys->version = ++version;
	return keys;
}
