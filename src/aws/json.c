/*
 * json.c
 *		Parsing JSON with cJSON, and writing the text of requests.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include <openssl/crypto.h>

#include "aws/json.h"

/*
 * The largest size of a tree, in bytes.  A page of users takes less than 1 MB, but a
 * reply of HTTP_MAX_RESPONSE that is all brackets would become 1 GB of nodes.
 */
#define MAX_TREE (128 * 1024 * 1024)

/* The longest string, in bytes: cJSON does not allocate while it copies one */
#define MAX_STRING (1024 * 1024)

/* The size of the blocks from which values are allocated, in bytes */
#define BLOCK (8 * 1024)

/* The size of the text that is verified between two checks for interrupts, in bytes */
#define CHUNK (256 * 1024)

/* The state of the parser, for its allocator */
static struct
{
	MemoryContext context;         /* holds the tree */
	char         *block;           /* what is left of the last block: from here, */
	size_t        left;            /* so many bytes */
	int64         allocations;     /* so far */
	int64         min_allocations; /* before an interrupt that does not end the query counts */
	bool          interrupted;     /* parsing was stopped to process an interrupt */
	const char   *problem;         /* why parsing failed, as a sentence */
} parsing;

/*
 * Allocate memory for cJSON while it parses, from blocks: values are small, and many.
 * Return NULL to stop it: no error may be raised through its frames.  It does nothing that
 * takes long between two allocations.
 */
static void *
allocate(size_t size)
{
	parsing.allocations++;
	size = MAXALIGN(size);
	if (INTERRUPTS_PENDING_CONDITION() && INTERRUPTS_CAN_BE_PROCESSED() &&
		(parsing.allocations > parsing.min_allocations || QueryCancelPending || ProcDiePending))
		parsing.interrupted = true;
	else if (size <= parsing.left)
	{
		parsing.left -= size;
		return (parsing.block += size) - size;
	}
	else if (size > MAX_STRING)
		parsing.problem = "The reply contains a string of more than 1 MB.";
	else if (parsing.context->mem_allocated > MAX_TREE)
		parsing.problem = "The reply contains too many values.";
	else
	{
		char *block =
			MemoryContextAllocExtended(parsing.context, Max(size, BLOCK), MCXT_ALLOC_NO_OOM);

		if (block != NULL)
		{
			parsing.block = block + size;
			parsing.left = Max(size, BLOCK) - size;
		}
		return block;
	}
	return NULL;
}

/* Ignore what cJSON frees: it is freed with the context. */
static void
ignore(void *pointer pg_attribute_unused())
{
}

/*
 * Return true if cJSON gave up at a list or an object because as many are around it as
 * it allows.  cJSON does not tell why it gives up, only where.
 */
static bool
is_too_deep(const char *text, const char *end)
{
	bool in_string = false;
	int  depth = 0;

	if (*end != '[' && *end != '{')
		return false;
	for (const char *c = text; c < end; c++)
	{
		CHECK_FOR_INTERRUPTS();
		if (in_string && *c == '\\')
			c++;
		else if (*c == '"')
			in_string = !in_string;
		else if (!in_string && (*c == '[' || *c == '{'))
			depth++;
		else if (!in_string && (*c == ']' || *c == '}'))
			depth--;
	}
	return depth >= CJSON_NESTING_LIMIT;
}

/* Run cJSON's parser on memory of a context, and no other function of it. */
static cJSON *
parse_into(MemoryContext context, const char *text, size_t length)
{
	cJSON_Hooks hooks = {allocate, ignore};
	const char *end = text;
	cJSON      *root;

	parsing.context = context;
	parsing.left = 0;
	parsing.allocations = 0;
	parsing.interrupted = false;
	parsing.problem = NULL;
	cJSON_InitHooks(&hooks);
	/* The final NUL counts: with it, cJSON refuses anything after the value. */
	root = cJSON_ParseWithLengthOpts(text, length + 1, &end, true);
	cJSON_InitHooks(NULL);
	if (root == NULL && !parsing.interrupted && parsing.problem == NULL)
		parsing.problem = length == 0 ? "The reply is empty."
						  : is_too_deep(text, end)
							  ? "The reply is nested more than 1,000 levels deep."
							  : "The reply is not valid JSON.";
	return root;
}

/*
 * Parse a text, and start over after an interrupt that did not end the query.  The
 * next interrupt must wait twice as long, or a series of them would never let it end.
 */
static cJSON *
parse(const char *text, size_t length)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "cognito json", ALLOCSET_DEFAULT_SIZES);
	cJSON *root;

	parsing.min_allocations = 0;
	while ((root = parse_into(context, text, length)) == NULL && parsing.interrupted)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		parsing.min_allocations = 2 * parsing.allocations;
	}
	return root;
}

/* Return true if a text is valid UTF-8 without NUL. */
static bool
is_utf8(const char *text, size_t length)
{
	while (length > 0)
	{
		int valid = pg_encoding_verifymbstr(PG_UTF8, text, (int) Min(length, CHUNK));

		/* A character that is divided by the end of a chunk starts the next one. */
		if (valid == 0)
			return false;
		CHECK_FOR_INTERRUPTS();
		text += valid;
		length -= valid;
	}
	return true;
}

/*
 * Return true if a text contains an escaped U+0000, at which cJSON would silently end
 * the string.  In JSON, a backslash is in a string and escapes what follows it.
 */
static bool
has_escaped_nul(const char *text)
{
	for (const char *c = strchr(text, '\\'); c != NULL && c[1] != '\0'; c = strchr(c + 2, '\\'))
	{
		CHECK_FOR_INTERRUPTS();
		if (strncmp(c, "\\u0000", strlen("\\u0000")) == 0)
			return true;
	}
	return false;
}

cJSON *
json_parse(const char *text, size_t length, JsonError *problem)
{
	cJSON *root;

	if (!is_utf8(text, length))
	{
		*problem =
			(JsonError){ERRCODE_CHARACTER_NOT_IN_REPERTOIRE, "The reply is not valid UTF-8."};
		return NULL;
	}
	if (has_escaped_nul(text))
	{
		*problem = (JsonError){ERRCODE_UNTRANSLATABLE_CHARACTER,
							   "The reply contains \\u0000, which cannot be converted to text."};
		return NULL;
	}

	root = parse(text, length);
	if (root == NULL)
		*problem = (JsonError){ERRCODE_FDW_ERROR, parsing.problem};
	return root;
}

const cJSON *
json_member(const cJSON *object, const char *name)
{
	const cJSON *member;

	json_for_each (member, object)
		if (member->string != NULL && strcmp(member->string, name) == 0)
			return member;
	return NULL;
}

void
json_remove_secrets(const cJSON *object, const char *text)
{
	const cJSON *next;

	for (const cJSON *member = json_first(object); member != NULL; member = next)
	{
		next = json_next(member);
		if (member->string == NULL || strcasestr(member->string, text) == NULL)
			continue;
		if (member->valuestring != NULL)
			OPENSSL_cleanse(member->valuestring, strlen(member->valuestring));
		cJSON_DetachItemViaPointer(unconstify(cJSON *, object), unconstify(cJSON *, member));
	}
}

void
json_begin(JsonWalk *walk, const cJSON *value)
{
	/* The path is large and needs no value yet. */
	walk->value = value;
	walk->ends = false;
	walk->depth = 0;
}

bool
json_step(JsonWalk *walk)
{
	const cJSON *value = walk->value;

	CHECK_FOR_INTERRUPTS();
	if (!walk->ends && json_is_container(value))
	{
		if (value->child != NULL)
		{
			walk->path[walk->depth++] = value;
			walk->value = value->child;
		}
		else
			walk->ends = true;
		return true;
	}

	if (walk->depth == 0)
		return false;
	walk->ends = value->next == NULL;
	walk->value = walk->ends ? walk->path[--walk->depth] : value->next;
	return true;
}

bool
json_is_container(const cJSON *value)
{
	return cJSON_IsArray(value) || cJSON_IsObject(value);
}

size_t
json_size(const cJSON *value)
{
	JsonWalk walk;
	size_t   size = 0;

	json_begin(&walk, value);
	do
	{
		if (walk.ends)
			continue;
		size += JSON_VALUE_SIZE;
		if (walk.value->string != NULL)
			size += strlen(walk.value->string);
		if (walk.value->valuestring != NULL)
			size += strlen(walk.value->valuestring);
	} while (json_step(&walk));
	return size;
}

const char *
json_string(const cJSON *object, const char *member)
{
	return cJSON_GetStringValue(json_member(object, member));
}

/* Append a comma, unless what follows is the first member. */
static void
append_separator(StringInfo members)
{
	if (members->len > 0 && members->data[members->len - 1] != '{')
		appendStringInfoChar(members, ',');
}

/* Append a member's key. */
static void
append_key(StringInfo members, const char *key)
{
	append_separator(members);
	appendStringInfo(members, "\"%s\":", key);
}

void
json_append_utf8(StringInfo members, const char *key, const char *value)
{
	append_key(members, key);
	escape_json(members, value);
}

void
json_append_string(StringInfo members, const char *key, const char *value)
{
	json_append_utf8(members, key, pg_server_to_any(value, (int) strlen(value), PG_UTF8));
}

void
json_append_integer(StringInfo members, const char *key, int64 value)
{
	append_key(members, key);
	appendStringInfo(members, INT64_FORMAT, value);
}

void
json_append_members(StringInfo members, const char *others)
{
	if (others[0] == '\0')
		return;
	append_separator(members);
	appendStringInfoString(members, others);
}

/* Compare the names of two members of a jsonb object, in the order of jsonb. */
static int
compare_members(const JsonbPair *a, const JsonbPair *b)
{
	int length = a->key.val.string.len;

	if (length != b->key.val.string.len)
		return length < b->key.val.string.len ? -1 : 1;
	return memcmp(a->key.val.string.val, b->key.val.string.val, length);
}

#define ST_SORT sort_members
#define ST_ELEMENT_TYPE JsonbPair
#define ST_COMPARE(a, b) compare_members((a), (b))
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

bool
json_sort_members(JsonbPair *members, int n)
{
	sort_members(members, n);
	for (int i = 1; i < n; i++)
		if (compare_members(&members[i - 1], &members[i]) == 0)
			return false;
	return true;
}
