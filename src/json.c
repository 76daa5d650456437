/*
 * json.c
 *		Between PostgreSQL's memory and cJSON, and the text of requests.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "json.h"

typedef struct OwnedTree
{
	cJSON                *root;
	MemoryContextCallback release;
} OwnedTree;

/* Callback of the memory context that owns a tree. */
static void
release(void *arg)
{
	OwnedTree *tree = arg;

	cJSON_Delete(tree->root);
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
	OwnedTree *tree;

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

	tree = palloc0(sizeof(OwnedTree));
	tree->release.func = release;
	tree->release.arg = tree;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &tree->release);

	/* The final NUL counts: with it, cJSON refuses anything after the value. */
	tree->root = cJSON_ParseWithLengthOpts(text, length + 1, NULL, true);
	if (tree->root == NULL)
	{
		problem->sqlstate = ERRCODE_FDW_ERROR;
		problem->detail = length == 0 ? "The reply is empty." : "The reply is not valid JSON.";
	}
	return tree->root;
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
