/*
 * credentials.c
 *		Fuzz target: what STS, a container's agent and a metadata service answer.
 *
 * The first line of an input is who is asked: role, web_identity, container or
 * instance.  The answers of service.c follow.
 */
#include "fuzz.h"

#include "utils/memutils.h"

#include "credentials/keys.h"
#include "credentials/sources.h"
#include "credentials/sts.h"
#include "server/options.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
#define TOKEN "a/web/identity/TOKEN+=="
#define ROLE "arn:aws:iam::123456789012:role/reader"

typedef struct Input
{
	const char *bytes;
	size_t      length;
} Input;

/* Check that a reason can be shown, without the secret that was sent, NULL for none. */
static void
check_reason(const char *reason, const char *sent)
{
	fuzz_check(fuzz_is_text(reason, strlen(reason)));
	fuzz_check(reason[0] != '\0');
	fuzz_check(sent == NULL || strstr(reason, sent) == NULL);
}

/* Return the secret that is sent to who is asked; the metadata service sends its own. */
static const char *
secret_of(const char *who)
{
	if (strcmp(who, "role") == 0)
		return SECRET;
	return strcmp(who, "instance") == 0 ? NULL : TOKEN;
}

/* Check that keys can sign requests. */
static void
check_keys(const SourceKeys *keys)
{
	fuzz_check(option_check_credential(keys->access_key_id) == NULL);
	fuzz_check(option_check_credential(keys->secret_access_key) == NULL);
	fuzz_check(option_check_credential(keys->session_token) == NULL);
	fuzz_check(keys->expires > 0);
	fuzz_check(keys->renewal_time < keys->valid_until);
	fuzz_check(keys->role == NULL || fuzz_is_text(keys->role, strlen(keys->role)));
	MemoryContextDelete(keys->context);
}

/* Ask who is named on the first line of an input. */
static void
run_input(void *arg)
{
	Input      *input = arg;
	size_t      length;
	const char *who = fuzz_split(&input->bytes, &input->length, '\n', &length);
	SourceKeys  base = {.source = "server", .access_key_id = "AKIA", .secret_access_key = SECRET};
	SourceKeys *keys;
	KeysFailure failure = {0};
	StringInfoData reasons;

	if (who == NULL)
		return;
	fuzz_serve(input->bytes, input->length);
	fuzz_server.role_arn = ROLE;
	fuzz_server.role_duration = 3600000;
	initStringInfo(&reasons);
	if (strcmp(who, "role") == 0)
		keys = sts_assume_role(&fuzz_server, &base, &failure);
	else if (strcmp(who, "web_identity") == 0)
		keys = sts_assume_role_with_web_identity(&fuzz_server, who, ROLE, "s", TOKEN, &failure);
	else if (strcmp(who, "container") == 0 || strcmp(who, "instance") == 0)
	{
		fuzz_server.credential_source = who;
		keys = sources_get(&fuzz_server, &reasons);
		failure.reason = reasons.data;
	}
	else
		return;

	if (keys != NULL)
		check_keys(keys);
	else
		check_reason(failure.reason, secret_of(who));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input input = {(const char *) data, size};

	setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/a", true);
	setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", TOKEN, true);
	(void) fuzz_try(run_input, &input);
	return 0;
}
