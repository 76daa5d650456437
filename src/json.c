/*
 * json.c
 *		Between PostgreSQL's memory and cJSON, and the text of requests.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "json.h"

/*
 * What a tree may take, or the text of one, in bytes.  A page of users takes
 * less than 1 MB, but a reply of HTTP_MAX_ANSWER that is all brackets would
 * become 1 GB of nodes.
 */
#define MAX_TREE (256 * 1024 * 1024)

/* Where the tree goes that is being parsed, or the text of one. */
static MemoryContext tree_context;

/* cJSON's allocator while it parses or prints: NULL if there is no memory, never an error. */
static void *
allocate(size_t size)
{
	if (tree_context->mem_allocated > MAX_TREE)
		return NULL;
	return MemoryContextAllocExtended(tree_context, size, MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE);
}

/* What cJSON gives up goes with the context. */
static void
give_up(void *pointer pg_attribute_unused())
{
}

/* Runs cJSON's parser on memory of the current context, and no other call of it. */
static cJSON *
parse_here(const char *text, size_t length)
{
	cJSON_Hooks hooks = {allocate, give_up};
	cJSON      *root;

	tree_context = CurrentMemoryContext;
	cJSON_InitHooks(&hooks);
	/* The final NUL counts: with it, cJSON refuses anything after the value. */
	root = cJSON_ParseWithLengthOpts(text, length + 1, NULL, true);
	cJSON_InitHooks(NULL);
	return root;
}

/* See json.h. */
char *
json_print(const cJSON *value)
{
	cJSON_Hooks hooks = {allocate, give_up};
	char       *text;

	/* The tree may be in the current context, and would count against the text. */
	tree_context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito json", ALLOCSET_DEFAULT_SIZES);
	cJSON_InitHooks(&hooks);
	text = cJSON_PrintUnformatted(value);
	cJSON_InitHooks(NULL);
	if (text == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return text;
}

/* Is there an escaped U+0000?  cJSON would end the string there without a word. */
static bool
has_escaped_nul(const char *text)
{
	const char *start = text;

	while ((text = strstr(text, "\\u0000")) != NULL)
	{
		const char *backslash = text;

		/* An even number of backslashes before this one: it is not itself escaped. */
		while (backslash > start && backslash[-1] == '\\')
			backslash--;
		if ((text - backslash) % 2 == 0)
			return true;
		text++;
	}
	return false;
}

/* See json.h. */
cJSON *
json_parse(const char *text, size_t length, JsonProblem *problem)
{
	cJSON *root;

	if ((size_t) pg_encoding_verifymbstr(PG_UTF8, text, (int) length) != length)
	{
		problem->sqlstate = ERRCODE_CHARACTER_NOT_IN_REPERTOIRE;
		problem->detail = "The reply is not valid UTF-8.";
		return NULL;
	}
	if (has_escaped_nul(text))
	{
		problem->sqlstate = ERRCODE_UNTRANSLATABLE_CHARACTER;
		problem->detail = "The reply holds \\u0000, which cannot be converted to text.";
		return NULL;
	}

	root = parse_here(text, length);
	if (root == NULL)
	{
		problem->sqlstate = ERRCODE_FDW_ERROR;
		problem->detail = "The reply is not valid JSON.";
		if (length == 0)
			problem->detail = "The reply is empty.";
		if (CurrentMemoryContext->mem_allocated > MAX_TREE)
			problem->detail = "The reply holds too many values.";
	}
	return root;
}

/* See json.h. */
const char *
json_string(const cJSON *object, const char *member)
{
	return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, member));
}

/* Appends a member's key. */
static void
append_key(StringInfo members, const char *key)
{
	appendStringInfo(members, "%s\"%s\":", members->len > 0 ? "," : "", key);
}

/* See json.h. */
void
json_append_string(StringInfo members, const char *key, const char *value)
{
	append_key(members, key);
	escape_json(members, pg_server_to_any(value, (int) strlen(value), PG_UTF8));
}

/* See json.h. */
void
json_append_integer(StringInfo members, const char *key, int64 value)
{
	append_key(members, key);
	appendStringInfo(members, INT64_FORMAT, value);
}
