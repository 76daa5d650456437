/*
 * postgres.c
 *		As much of a PostgreSQL backend as the parsing modules need.
 *
 * Debian's server does not run under AddressSanitizer, and its objects cannot
 * be linked, so the functions that they call are written anew here, in the
 * simplest way that keeps their contract.  Each palloc is a malloc, so that
 * AddressSanitizer sees the bounds of each; an error is a siglongjmp, as in
 * the server.  The database's encoding is UTF-8.
 *
 * What is missing here and in libpgcommon is at address zero: a program that
 * calls it ends there, and the stack shows who called what is to be added.
 */
#include "fuzz.h"

#include "commands/defrem.h"
#include "common/jsonapi.h"
#include "common/pg_prng.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/memnodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include <math.h>
#include <sanitizer/asan_interface.h>
#include <time.h>

#include "aws/json.h"

/* What later versions declare otherwise */
#if PG_VERSION_NUM < 170000
#define makeJsonLexContextCstringLen(lexer, ...) makeJsonLexContextCstringLen(__VA_ARGS__)
#endif
#if PG_VERSION_NUM >= 180000
#define PUT_CONST const
#else
#define PUT_CONST
#endif

/* Memory: a header before each allocation, which nobody but this file may touch. */

typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	MemoryContext context;
	size_t        size;
} Chunk;

typedef struct Context
{
	MemoryContextData data;
	Chunk             chunks; /* the anchor of a ring */
} Context;

MemoryContext         CurrentMemoryContext;
MemoryContext         TopMemoryContext;
volatile sig_atomic_t InterruptPending;
volatile uint32       InterruptHoldoffCount;
volatile uint32       QueryCancelHoldoffCount;
volatile uint32       CritSectionCount;
sigjmp_buf           *PG_exception_stack;
ErrorContextCallback *error_context_stack;
FuzzError             fuzz_error;

/* Return the header of an allocation, open to this file until it is closed. */
static Chunk *
open_chunk(void *pointer)
{
	Chunk *chunk = (Chunk *) pointer - 1;

	ASAN_UNPOISON_MEMORY_REGION(chunk, sizeof(Chunk));
	return chunk;
}

/* Put an allocation into the ring of its context. */
static void
link_chunk(Chunk *chunk)
{
	Chunk *anchor = &((Context *) chunk->context)->chunks;
	Chunk *first = anchor->next;

	chunk->next = first;
	chunk->previous = anchor;
	if (first != anchor)
		ASAN_UNPOISON_MEMORY_REGION(first, sizeof(Chunk));
	first->previous = chunk;
	if (first != anchor)
		ASAN_POISON_MEMORY_REGION(first, sizeof(Chunk));
	anchor->next = chunk;
	chunk->context->mem_allocated += sizeof(Chunk) + chunk->size;
}

/* Take an allocation out of its ring. */
static void
unlink_chunk(Chunk *chunk)
{
	Chunk *anchor = &((Context *) chunk->context)->chunks;
	Chunk *neighbours[] = {chunk->previous, chunk->next};

	for (int i = 0; i < 2; i++)
		ASAN_UNPOISON_MEMORY_REGION(neighbours[i], sizeof(Chunk));
	chunk->previous->next = chunk->next;
	chunk->next->previous = chunk->previous;
	for (int i = 0; i < 2; i++)
		if (neighbours[i] != anchor)
			ASAN_POISON_MEMORY_REGION(neighbours[i], sizeof(Chunk));
	chunk->context->mem_allocated -= sizeof(Chunk) + chunk->size;
}

void *
MemoryContextAllocExtended(MemoryContext context, Size size, int flags)
{
	Chunk *chunk;

	if (size > ((flags & MCXT_ALLOC_HUGE) ? MaxAllocHugeSize : MaxAllocSize))
		elog(ERROR, "invalid memory alloc request size %zu", size);
	chunk = malloc(sizeof(Chunk) + size);
	fuzz_check(chunk != NULL);
	*chunk = (Chunk){.context = context, .size = size};
	/* Not zeros, by which what was never written would look harmless. */
	memset(chunk + 1, (flags & MCXT_ALLOC_ZERO) ? 0 : 0xa5, size);
	link_chunk(chunk);
	ASAN_POISON_MEMORY_REGION(chunk, sizeof(Chunk));
	return chunk + 1;
}

void *
MemoryContextAlloc(MemoryContext context, Size size)
{
	return MemoryContextAllocExtended(context, size, 0);
}

void *
MemoryContextAllocZero(MemoryContext context, Size size)
{
	return MemoryContextAllocExtended(context, size, MCXT_ALLOC_ZERO);
}

#if PG_VERSION_NUM < 170000
void *
MemoryContextAllocZeroAligned(MemoryContext context, Size size)
{
	return MemoryContextAllocZero(context, size);
}
#endif

void *
palloc(Size size)
{
	return MemoryContextAlloc(CurrentMemoryContext, size);
}

void *
palloc0(Size size)
{
	return MemoryContextAllocZero(CurrentMemoryContext, size);
}

void
pfree(void *pointer)
{
	Chunk *chunk = open_chunk(pointer);

	unlink_chunk(chunk);
	free(chunk);
}

/* Always moves, so that a pointer to the old place is found out. */
void *
repalloc(void *pointer, Size size)
{
	Chunk        *chunk = open_chunk(pointer);
	size_t        old = chunk->size;
	MemoryContext context = chunk->context;
	void         *moved;

	ASAN_POISON_MEMORY_REGION(chunk, sizeof(Chunk));
	moved = MemoryContextAlloc(context, size);
	memcpy(moved, pointer, Min(old, size));
	pfree(pointer);
	return moved;
}

char *
MemoryContextStrdup(MemoryContext context, const char *string)
{
	size_t size = strlen(string) + 1;

	return memcpy(MemoryContextAlloc(context, size), string, size);
}

char *
pstrdup(const char *string)
{
	return MemoryContextStrdup(CurrentMemoryContext, string);
}

char *
pnstrdup(const char *string, Size length)
{
	return fuzz_string(string, strnlen(string, length));
}

MemoryContext
AllocSetContextCreateInternal(MemoryContext parent, const char *name, Size minContextSize,
							  Size initBlockSize, Size maxBlockSize)
{
	Context *context = calloc(1, sizeof(Context));

	(void) minContextSize;
	(void) initBlockSize;
	(void) maxBlockSize;
	fuzz_check(context != NULL);
	context->data.type = T_AllocSetContext;
	context->data.name = name;
	context->data.parent = parent;
	context->chunks.next = context->chunks.previous = &context->chunks;
	if (parent != NULL)
	{
		context->data.nextchild = parent->firstchild;
		if (parent->firstchild != NULL)
			parent->firstchild->prevchild = &context->data;
		parent->firstchild = &context->data;
	}
	return &context->data;
}

void
MemoryContextRegisterResetCallback(MemoryContext context, MemoryContextCallback *callback)
{
	callback->next = context->reset_cbs;
	context->reset_cbs = callback;
}

void
MemoryContextReset(MemoryContext context)
{
	Chunk *anchor = &((Context *) context)->chunks;

	while (context->firstchild != NULL)
		MemoryContextDelete(context->firstchild);
	while (context->reset_cbs != NULL)
	{
		MemoryContextCallback *callback = context->reset_cbs;

		context->reset_cbs = callback->next;
		callback->func(callback->arg);
	}
	while (anchor->next != anchor)
		pfree(anchor->next + 1);
	fuzz_check(context->mem_allocated == 0);
}

void
MemoryContextDelete(MemoryContext context)
{
	MemoryContextReset(context);
	if (context->parent != NULL && context->parent->firstchild == context)
		context->parent->firstchild = context->nextchild;
	if (context->prevchild != NULL)
		context->prevchild->nextchild = context->nextchild;
	if (context->nextchild != NULL)
		context->nextchild->prevchild = context->prevchild;
	free(context);
}

/* Dates: what keys.c needs of the backend's own. */

const int day_tab[2][13] = {{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0},
							{31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31, 0}};

int
date2j(int year, int month, int day)
{
	struct tm date = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

	return (int) (timegm(&date) / SECS_PER_DAY) + UNIX_EPOCH_JDATE;
}

/* Errors */

bool
errstart(int level, const char *domain)
{
	(void) domain;
	fuzz_error = (FuzzError){.level = level, .sqlstate = ERRCODE_INTERNAL_ERROR};
	return true;
}

bool
errstart_cold(int level, const char *domain)
{
	return errstart(level, domain);
}

/* Check a text of an error, which may quote the caller. */
static void
check_text(const char *text)
{
	fuzz_check(text == NULL || fuzz_is_text(text, strlen(text)));
}

/* Check a detail, which may quote the service: it goes to terminals and logs. */
static void
check_detail(const char *detail)
{
	check_text(detail);
	for (const char *c = detail; c != NULL && *c != '\0'; c++)
		fuzz_check((unsigned char) *c >= ' ' && *c != 0x7f);
}

void
errfinish(const char *file, int line, const char *function)
{
	(void) file;
	(void) line;
	(void) function;
	check_text(fuzz_error.message);
	check_detail(fuzz_error.detail);
	check_text(fuzz_error.hint);
	/* "Internal" is what cannot happen. */
	fuzz_check(fuzz_error.level < ERROR || fuzz_error.sqlstate != ERRCODE_INTERNAL_ERROR);
	if (fuzz_error.level >= ERROR)
		pg_re_throw();
}

void
pg_re_throw(void)
{
	siglongjmp(*PG_exception_stack, 1);
}

int
geterrcode(void)
{
	return fuzz_error.sqlstate;
}

void
FlushErrorState(void)
{
}

int
errcode(int sqlstate)
{
	fuzz_error.sqlstate = sqlstate;
	return 0;
}

int
errhidestmt(bool hide)
{
	(void) hide;
	return 0;
}

/* Define a function that formats a text of the error. */
#define DEFINE_TEXT(name, field)                              \
	int name(const char *format, ...)                         \
	{                                                         \
		StringInfoData text;                                  \
		initStringInfo(&text);                                \
		for (;;)                                              \
		{                                                     \
			va_list args;                                     \
			int     needed;                                   \
			va_start(args, format);                           \
			needed = appendStringInfoVA(&text, format, args); \
			va_end(args);                                     \
			if (needed == 0)                                  \
				break;                                        \
			enlargeStringInfo(&text, needed);                 \
		}                                                     \
		fuzz_error.field = text.data;                         \
		return 0;                                             \
	}

DEFINE_TEXT(errmsg, message)
DEFINE_TEXT(errmsg_internal, message)
DEFINE_TEXT(errdetail, detail)
DEFINE_TEXT(errdetail_internal, detail)
DEFINE_TEXT(errhint, hint)

bool
fuzz_try(void (*function)(void *), void *arg)
{
	sigjmp_buf    here;
	volatile bool done = false;

	if (TopMemoryContext == NULL)
		TopMemoryContext = AllocSetContextCreateInternal(NULL, "top", 0, 0, 0);
	CurrentMemoryContext = AllocSetContextCreateInternal(TopMemoryContext, "input", 0, 0, 0);
	pg_prng_seed(&pg_global_prng_state, 1);

	PG_exception_stack = &here;
	if (sigsetjmp(here, 0) == 0)
	{
		function(arg);
		done = true;
	}
	MemoryContextReset(TopMemoryContext);
	CurrentMemoryContext = NULL;
	return done;
}

void
fuzz_fail(const char *property)
{
	dprintf(STDERR_FILENO, "does not hold: %s\n%s\n%s\n", property,
			fuzz_error.message ? fuzz_error.message : "",
			fuzz_error.detail ? fuzz_error.detail : "");
	abort();
}

/* Strings */

bool
fuzz_is_text(const char *bytes, size_t length)
{
	return memchr(bytes, '\0', length) == NULL &&
		   pg_encoding_verifymbstr(PG_UTF8, bytes, (int) length) == (int) length;
}

char *
fuzz_string(const char *bytes, size_t length)
{
	char *copy = palloc(length + 1);

	memcpy(copy, bytes, length);
	copy[length] = '\0';
	return copy;
}

char *
fuzz_split(const char **input, size_t *length, char separator, size_t *split_length)
{
	const char *start = *input;
	const char *end = memchr(start, separator, *length);
	size_t      n = end != NULL ? (size_t) (end - start) : *length;
	size_t      used = end != NULL ? n + 1 : n;

	if (*length == 0)
		return NULL;
	*input += used;
	*length -= used;
	*split_length = n;
	return fuzz_string(start, n);
}

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

char *
pg_any_to_server(const char *s, int len, int encoding)
{
	(void) encoding;
	if (pg_encoding_verifymbstr(PG_UTF8, s, len) != len)
		ereport(ERROR,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE), errmsg("invalid byte sequence")));
	return unconstify(char *, s);
}

char *
pg_server_to_any(const char *s, int len, int encoding)
{
	return pg_any_to_server(s, len, encoding);
}

bool
pg_verifymbstr(const char *s, int len, bool noError)
{
	fuzz_check(noError);
	return pg_encoding_verifymbstr(PG_UTF8, s, len) == len;
}

bool
pg_verify_mbstr(int encoding, const char *mbstr, int len, bool noError)
{
	fuzz_check(encoding == PG_UTF8);
	return pg_verifymbstr(mbstr, len, noError);
}

int
pg_mbstrlen(const char *s)
{
	int n = 0;

	for (; *s != '\0'; s += pg_utf_mblen((const unsigned char *) s))
		n++;
	return n;
}

text *
cstring_to_text_with_len(const char *s, int len)
{
	text *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), s, len);
	fuzz_check(fuzz_is_text(s, len));
	return result;
}

text *
cstring_to_text(const char *s)
{
	return cstring_to_text_with_len(s, (int) strlen(s));
}

char *
text_to_cstring(const text *t)
{
	return fuzz_string(VARDATA_ANY(t), VARSIZE_ANY_EXHDR(t));
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}

struct varlena *
pg_detoast_datum_packed(struct varlena *datum)
{
	return datum;
}

void
escape_json(StringInfo buf, const char *str)
{
	appendStringInfoChar(buf, '"');
	for (; *str != '\0'; str++)
	{
		if ((unsigned char) *str < ' ')
			appendStringInfo(buf, "\\u%04x", *str);
		else
		{
			if (*str == '"' || *str == '\\')
				appendStringInfoChar(buf, '\\');
			appendStringInfoChar(buf, *str);
		}
	}
	appendStringInfoChar(buf, '"');
}

/* Lists */

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = T_List;
	}
	if (list->length == list->max_length)
	{
		list->max_length = 2 * list->max_length + 4;
		list->elements = list->elements == NULL
							 ? palloc(list->max_length * sizeof(ListCell))
							 : repalloc(list->elements, list->max_length * sizeof(ListCell));
	}
	list->elements[list->length++].ptr_value = datum;
	return list;
}

List *
list_make1_impl(NodeTag type, ListCell datum1)
{
	fuzz_check(type == T_List);
	return lappend(NIL, datum1.ptr_value);
}

List *
list_make2_impl(NodeTag type, ListCell datum1, ListCell datum2)
{
	return lappend(list_make1_impl(type, datum1), datum2.ptr_value);
}

List *
list_copy(const List *list)
{
	List     *copy = NIL;
	ListCell *cell;

	foreach (cell, list)
		copy = lappend(copy, lfirst(cell));
	return copy;
}

List *
list_concat_copy(const List *list1, const List *list2)
{
	List     *copy = list_copy(list1);
	ListCell *cell;

	foreach (cell, list2)
		copy = lappend(copy, lfirst(cell));
	return copy;
}

List *
list_delete_first(List *list)
{
	if (--list->length == 0)
		return NIL;
	memmove(list->elements, list->elements + 1, list->length * sizeof(ListCell));
	return list;
}

void
list_free_deep(List *list)
{
	ListCell *cell;

	foreach (cell, list)
		pfree(lfirst(cell));
	if (list != NIL)
	{
		pfree(list->elements);
		pfree(list);
	}
}

/* Arrays of text: a header that the modules may read, and a list behind it. */

typedef struct TextArray
{
	ArrayType header;
	List     *texts;
} TextArray;

ArrayType *
fuzz_array(List *strings)
{
	TextArray *array = palloc0(sizeof(TextArray));
	ListCell  *cell;

	SET_VARSIZE(array, sizeof(TextArray));
	foreach (cell, strings)
		array->texts = lappend(array->texts, cstring_to_text(lfirst(cell)));
	return &array->header;
}

void
deconstruct_array(ArrayType *array, Oid elmtype, int elmlen, bool elmbyval, char elmalign,
				  Datum **elemsp, bool **nullsp, int *nelemsp)
{
	List *texts = ((TextArray *) array)->texts;

	(void) elmtype;
	(void) elmlen;
	(void) elmbyval;
	(void) elmalign;
	*nelemsp = list_length(texts);
	*elemsp = palloc(*nelemsp * sizeof(Datum));
	*nullsp = palloc0(*nelemsp * sizeof(bool));
	for (int i = 0; i < *nelemsp; i++)
		(*elemsp)[i] = PointerGetDatum(list_nth(texts, i));
}

ArrayBuildState *
initArrayResult(Oid element_type, MemoryContext rcontext, bool subcontext)
{
	(void) element_type;
	(void) subcontext;
	return MemoryContextAllocZero(rcontext, sizeof(ArrayBuildState));
}

ArrayBuildState *
accumArrayResult(ArrayBuildState *astate, Datum dvalue, bool disnull, Oid element_type,
				 MemoryContext rcontext)
{
	(void) element_type;
	(void) rcontext;
	fuzz_check(disnull || VARSIZE_ANY(DatumGetPointer(dvalue)) >= VARHDRSZ);
	astate->nelems++;
	return astate;
}

Datum
makeArrayResult(ArrayBuildState *astate, MemoryContext rcontext)
{
	(void) rcontext;
	return PointerGetDatum(astate);
}

/* Numbers and the like */

bool
parse_bool(const char *value, bool *result)
{
	*result = pg_strcasecmp(value, "on") == 0 || pg_strcasecmp(value, "true") == 0;
	return *result || pg_strcasecmp(value, "off") == 0 || pg_strcasecmp(value, "false") == 0;
}

/* Without units */
bool
parse_int(const char *value, int *result, int flags, const char **hintmsg)
{
	char *end;
	long  number;

	(void) flags;
	(void) hintmsg;
	errno = 0;
	number = strtol(value, &end, 0);
	*result = (int) number;
	return end != value && *end == '\0' && errno == 0 && number == (int) number;
}

/* In seconds, with no other units than milliseconds and seconds */
bool
parse_real(const char *value, double *result, int flags, const char **hintmsg)
{
	char *end;

	(void) flags;
	(void) hintmsg;
	errno = 0;
	*result = strtod(value, &end);
	if (end == value || errno != 0 || isnan(*result))
		return false;
	if (strcmp(end, "ms") == 0)
		*result /= 1000;
	return *end == '\0' || strcmp(end, "s") == 0 || strcmp(end, "ms") == 0;
}

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){.value = arg1};
	return func(fcinfo);
}

Datum
DirectFunctionCall3Coll(PGFunction func, Oid collation, Datum arg1, Datum arg2, Datum arg3)
{
	LOCAL_FCINFO(fcinfo, 3);

	InitFunctionCallInfoData(*fcinfo, NULL, 3, collation, NULL, NULL);
	fcinfo->args[0] = (NullableDatum){.value = arg1};
	fcinfo->args[1] = (NullableDatum){.value = arg2};
	fcinfo->args[2] = (NullableDatum){.value = arg3};
	return func(fcinfo);
}

/* JSON: PostgreSQL's own parser, and a checker of how jsonb is built. */

bool
fuzz_is_json(const char *text, size_t length)
{
	static JsonSemAction nothing;
	/* The parser belongs to a client: it says what is wrong, and that is all. */
	JsonLexContext *lexer =
		makeJsonLexContextCstringLen(NULL, fuzz_string(text, length), (int) length, PG_UTF8, false);

	return pg_parse_json(lexer, &nothing) == JSON_SUCCESS;
}

/* Compare the keys of two pairs. */
static int
compare_keys(const void *a, const void *b)
{
	const JsonbValue *one = &((const JsonbPair *) a)->key;
	const JsonbValue *other = &((const JsonbPair *) b)->key;

	if (one->val.string.len != other->val.string.len)
		return one->val.string.len < other->val.string.len ? -1 : 1;
	return memcmp(one->val.string.val, other->val.string.val, one->val.string.len);
}

/*
 * Read a value as far as it says it goes; the pairs of objects are sorted.  Lists that
 * pushJsonbValue makes have no elements.
 */
static void
check_jsonb(const JsonbValue *value)
{
	const JsonbPair *pairs = value->val.object.pairs;

	if (value->type == jbvString)
		fuzz_check(fuzz_is_text(value->val.string.val, value->val.string.len));
	if (value->type == jbvArray && value->val.array.elems != NULL)
		for (int i = 0; i < value->val.array.nElems; i++)
			check_jsonb(&value->val.array.elems[i]);
	if (value->type != jbvObject)
		return;
	for (int i = 0; i < value->val.object.nPairs; i++)
	{
		check_jsonb(&pairs[i].key);
		check_jsonb(&pairs[i].value);
		fuzz_check(i == 0 || compare_keys(&pairs[i - 1], &pairs[i]) < 0);
	}
}

/* Sort the pairs of an object, and keep one of each key. */
static void
make_unique(JsonbValue *object)
{
	JsonbPair *pairs = object->val.object.pairs;
	int        kept = 0;

	if (object->val.object.nPairs > 0)
		qsort(pairs, object->val.object.nPairs, sizeof(JsonbPair), compare_keys);
	for (int i = 0; i < object->val.object.nPairs; i++)
		if (kept == 0 || compare_keys(&pairs[i], &pairs[kept - 1]) != 0)
			pairs[kept++] = pairs[i];
	object->val.object.nPairs = kept;
}

/* Append a finished value to what is being built. */
static void
add_to(JsonbParseState *state, const JsonbValue *value)
{
	JsonbValue *container = &state->contVal;

	if (container->type == jbvArray)
		container->val.array.nElems++;
	else
	{
		/* A value needs a key: the number of keys so far is kept in size. */
		fuzz_check(state->size == (Size) container->val.object.nPairs + 1);
		container->val.object.pairs[container->val.object.nPairs++].value = *value;
	}
}

JsonbValue *
pushJsonbValue(JsonbParseState **pstate, JsonbIteratorToken seq, JsonbValue *value)
{
	JsonbParseState *state = *pstate;

	switch (seq)
	{
		case WJB_BEGIN_ARRAY:
		case WJB_BEGIN_OBJECT:
			*pstate = palloc0(sizeof(JsonbParseState));
			(*pstate)->next = state;
			(*pstate)->contVal.type = seq == WJB_BEGIN_ARRAY ? jbvArray : jbvObject;
			return NULL;
		case WJB_KEY:
			fuzz_check(state->contVal.type == jbvObject && value->type == jbvString);
			fuzz_check(state->size == (Size) state->contVal.val.object.nPairs);
			check_jsonb(value);
			/* Full at each power of two. */
			if ((state->size & (state->size - 1)) == 0)
			{
				JsonbPair *pairs = palloc((2 * state->size + 1) * sizeof(JsonbPair));

				if (state->size > 0)
					memcpy(pairs, state->contVal.val.object.pairs, state->size * sizeof(JsonbPair));
				state->contVal.val.object.pairs = pairs;
			}
			state->contVal.val.object.pairs[state->size++].key = *value;
			return NULL;
		case WJB_VALUE:
			fuzz_check(state->contVal.type == jbvObject);
			check_jsonb(value);
			add_to(state, value);
			return NULL;
		case WJB_ELEM:
			fuzz_check(state->contVal.type == jbvArray);
			check_jsonb(value);
			add_to(state, value);
			return NULL;
		case WJB_END_ARRAY:
		case WJB_END_OBJECT:
			fuzz_check(state->contVal.type == (seq == WJB_END_ARRAY ? jbvArray : jbvObject));
			if (seq == WJB_END_OBJECT)
				make_unique(&state->contVal);
			if (state->next != NULL)
				add_to(state->next, &state->contVal);
			*pstate = state->next;
			return &state->contVal;
		default:
			fuzz_fail("a known token");
	}
}

/*
 * Reading jsonb: the value from which it was made, behind headers that the macros of jsonb
 * read.
 */

typedef struct __attribute__((packed)) Container
{
	uint32            header; /* a JsonbContainer */
	const JsonbValue *value;
} Container;

typedef struct __attribute__((packed)) FuzzJsonb
{
	int32     size;
	Container root;
} FuzzJsonb;

/* Return the container of a list or an object. */
static Container
contain(const JsonbValue *value)
{
	bool   is_list = value->type == jbvArray;
	uint32 type = is_list ? JB_FARRAY : JB_FOBJECT;
	int    size = is_list ? value->val.array.nElems : value->val.object.nPairs;

	return (Container){.header = type | (uint32) size, .value = value};
}

Jsonb *
JsonbValueToJsonb(JsonbValue *value)
{
	void       *jsonb = palloc(sizeof(FuzzJsonb));
	JsonbValue *root = palloc(sizeof(JsonbValue));

	check_jsonb(value);
	*root = *value;
	*(FuzzJsonb *) jsonb = (FuzzJsonb){.root = contain(root)};
	SET_VARSIZE(jsonb, sizeof(FuzzJsonb));
	return jsonb;
}

/* Set a value of jsonb from that of which it was made. */
static JsonbValue *
set_value(JsonbValue *result, const JsonbValue *value)
{
	void *container;

	*result = *value;
	if (value->type == jbvString)
		result->val.string.val = fuzz_string(value->val.string.val, value->val.string.len);
	if (value->type == jbvArray || value->type == jbvObject)
	{
		container = palloc(sizeof(Container));
		*(Container *) container = contain(value);
		result->type = jbvBinary;
		result->val.binary.data = container;
	}
	return result;
}

JsonbValue *
getKeyJsonValueFromContainer(JsonbContainer *container, const char *keyVal, int keyLen,
							 JsonbValue *res)
{
	const JsonbValue *object = ((Container *) container)->value;
	const JsonbPair  *pair = object->val.object.pairs;

	for (int i = 0; i < object->val.object.nPairs; i++, pair++)
		if (pair->key.val.string.len == keyLen &&
			memcmp(pair->key.val.string.val, keyVal, keyLen) == 0)
			return set_value(res, &pair->value);
	return NULL;
}

JsonbValue *
getIthJsonbValueFromContainer(JsonbContainer *container, uint32 i)
{
	const JsonbValue *list = ((Container *) container)->value;

	return i < (uint32) list->val.array.nElems
			   ? set_value(palloc0(sizeof(JsonbValue)), &list->val.array.elems[i])
			   : NULL;
}

/* Numbers of jsonb are their texts. */
Datum
numeric_in(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(pstrdup(PG_GETARG_CSTRING(0)));
}

Datum
numeric_float8_no_overflow(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(strtod(PG_GETARG_CSTRING(0), NULL));
}

/* Options, as the catalog has them: here the argument of the validator is the list itself. */

List *
untransformRelOptions(Datum options)
{
	return (List *) DatumGetPointer(options);
}

char *
defGetString(DefElem *def)
{
	return (char *) def->arg;
}

/* Roles: whoever calls may do everything. */

bool
superuser(void)
{
	return true;
}

/* Calls of SQL functions */

void
InitMaterializedSRF(FunctionCallInfo fcinfo, bits32 flags)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	(void) flags;
	result->setResult = palloc0(sizeof(int64));
	result->setDesc = palloc0(sizeof(TupleDescData));
	result->setDesc->natts = 16;
}

void
tuplestore_putvalues(Tuplestorestate *state, TupleDesc tdesc, PUT_CONST Datum *values,
					 PUT_CONST bool *isnull)
{
	for (int i = 0; i < tdesc->natts; i++)
		if (!isnull[i])
			fuzz_check(values[i] != (Datum) 0xa5a5a5a5a5a5a5a5);
	++*(int64 *) state;
}

int64
tuplestore_tuple_count(Tuplestorestate *state)
{
	return *(int64 *) state;
}

/* A table of strings, which is all that a listing keeps in one. */
struct HTAB
{
	MemoryContext context;
	List         *keys;
};

HTAB *
hash_create(const char *tabname, long nelem, const HASHCTL *info, int flags)
{
	HTAB *table = MemoryContextAlloc(info->hcxt, sizeof(HTAB));

	(void) tabname;
	(void) nelem;
	fuzz_check(flags == (HASH_ELEM | HASH_STRINGS | HASH_CONTEXT) &&
			   info->entrysize == info->keysize);
	*table = (HTAB){.context = info->hcxt};
	return table;
}

void *
hash_search(HTAB *table, const void *key, HASHACTION action, bool *found)
{
	MemoryContext caller = CurrentMemoryContext;
	ListCell     *cell;

	(void) found;
	foreach (cell, table->keys)
		if (strcmp(lfirst(cell), key) == 0)
			return lfirst(cell);
	if (action != HASH_ENTER)
		return NULL;
	CurrentMemoryContext = table->context;
	table->keys = lappend(table->keys, pstrdup(key));
	CurrentMemoryContext = caller;
	return llast(table->keys);
}

void
PreventCommandIfReadOnly(const char *cmdname)
{
	(void) cmdname;
}

char *
quote_literal_cstr(const char *rawstr)
{
	return psprintf("'%s'", rawstr);
}

char *
get_func_name(Oid funcid)
{
	return psprintf("%u", funcid);
}
