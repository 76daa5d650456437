/*
 * parse.c
 *		A strict parser of JSON, which makes jsonb.
 *
 * jsonb_in keeps the last of several members of a name without a word.  Other programs
 * keep the first: so that all of them see the same, such objects are refused here, where
 * the names are at hand.  It is also slow: with it, a verification takes a fifth longer.
 *
 * After a function has returned false, nothing more is read.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/fmgrprotos.h"

#include "tokens/parse.h"

/* Cognito's own objects have at most four levels. */
#define MAX_DEPTH 32

/* For how many items a list or an object has room at first; a power of 2 */
#define MIN_ITEMS 16

typedef struct Parser
{
	const char *next;  /* what has not been read yet; ends with a NUL */
	int         depth; /* number of lists and objects around it */
} Parser;

static bool parse_value(Parser *parser, JsonbValue *value);

/* Skip white space. */
static inline void
skip_space(Parser *parser)
{
	while (*parser->next == ' ' || *parser->next == '\n' || *parser->next == '\r' ||
		   *parser->next == '\t')
		parser->next++;
}

/* Read a character of JSON's syntax after white space; return false for another. */
static inline bool
read_character(Parser *parser, char c)
{
	skip_space(parser);
	if (*parser->next != c)
		return false;
	parser->next++;
	return true;
}

/* Read a word; return false for anything else. */
static bool
read_word(Parser *parser, const char *word)
{
	size_t length = strlen(word);

	if (strncmp(parser->next, word, length) != 0)
		return false;
	parser->next += length;
	return true;
}

/* Return the items of a list or an object, n so far, with room for another. */
static void *
make_room(void *items, int n, size_t size)
{
	if (n == 0)
		return palloc(MIN_ITEMS * size);
	return n >= MIN_ITEMS && (n & (n - 1)) == 0 ? repalloc(items, 2 * n * size) : items;
}

/* Read four hexadecimal digits. */
static bool
parse_unit(Parser *parser, pg_wchar *unit)
{
	*unit = 0;
	for (int i = 0; i < 4; i++)
	{
		char c = *parser->next++;

		if (c >= '0' && c <= '9')
			*unit = *unit << 4 | (pg_wchar) (c - '0');
		else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
			*unit = *unit << 4 | (pg_wchar) ((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	return true;
}

/* Read what follows "\u", and append the character. */
static bool
parse_code_point(Parser *parser, StringInfo text)
{
	unsigned char converted[MAX_UNICODE_EQUIVALENT_STRING + 1];
	pg_wchar      code_point;
	pg_wchar      second;

	if (!parse_unit(parser, &code_point))
		return false;
	if (is_utf16_surrogate_first(code_point))
	{
		if (!read_word(parser, "\\u") || !parse_unit(parser, &second) ||
			!is_utf16_surrogate_second(second))
			return false;
		code_point = surrogate_pair_to_codepoint(code_point, second);
	}
	if (code_point == 0 || is_utf16_surrogate_second(code_point))
		return false;
	pg_unicode_to_server(code_point, converted);
	appendStringInfoString(text, (char *) converted);
	return true;
}

/* Read what follows a backslash, and append the character. */
static bool
parse_escape(Parser *parser, StringInfo text)
{
	static const char names[] = "\"\\/bfnrt";
	static const char characters[] = "\"\\/\b\f\n\r\t";
	char              name = *parser->next++;
	const char       *found = name != '\0' ? strchr(names, name) : NULL;

	if (found == NULL)
		return name == 'u' && parse_code_point(parser, text);
	appendStringInfoChar(text, characters[found - names]);
	return true;
}

/* Read the rest of a string, from its first escape on, and append it to what is before. */
static bool
parse_escaped(Parser *parser, StringInfo text)
{
	while (*parser->next != '"')
	{
		char c = *parser->next++;

		if ((unsigned char) c < ' ')
			return false;
		if (c != '\\')
			appendStringInfoChar(text, c);
		else if (!parse_escape(parser, text))
			return false;
	}
	return true;
}

/* Read a string after its first quotation mark; without escapes, it is a part of the text. */
static bool
parse_string(Parser *parser, JsonbValue *string)
{
	const char    *start = parser->next;
	const char    *c = start;
	StringInfoData text;

	while ((unsigned char) *c >= ' ' && *c != '"' && *c != '\\')
		c++;
	parser->next = c;
	string->type = jbvString;
	string->val.string.val = unconstify(char *, start);
	string->val.string.len = (int) (c - start);
	if (*c == '\\')
	{
		initStringInfo(&text);
		appendBinaryStringInfo(&text, start, (int) (c - start));
		if (!parse_escaped(parser, &text))
			return false;
		string->val.string.val = text.data;
		string->val.string.len = text.len;
	}
	return *parser->next++ == '"';
}

/* Read one digit or more. */
static bool
skip_digits(Parser *parser)
{
	const char *start = parser->next;

	while (*parser->next >= '0' && *parser->next <= '9')
		parser->next++;
	return parser->next > start;
}

/* Read a number: numeric holds all of its digits. */
static bool
parse_number(Parser *parser, JsonbValue *number)
{
	const char *start = parser->next;
	char       *text;

	if (*parser->next == '-')
		parser->next++;
	if (*parser->next == '0')
		parser->next++;
	else if (!skip_digits(parser))
		return false;
	if (*parser->next == '.')
	{
		parser->next++;
		if (!skip_digits(parser))
			return false;
	}
	if (*parser->next == 'e' || *parser->next == 'E')
	{
		parser->next++;
		if (*parser->next == '+' || *parser->next == '-')
			parser->next++;
		if (!skip_digits(parser))
			return false;
	}

	text = pnstrdup(start, parser->next - start);
	number->type = jbvNumeric;
	number->val.numeric = DatumGetNumeric(DirectFunctionCall3(
		numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	return true;
}

/* NOLINTBEGIN(misc-no-recursion): parse_container limits the depth. */

/* Read a list after its first bracket. */
static bool
parse_list(Parser *parser, JsonbValue *list)
{
	JsonbValue *elements = NULL;
	int         n = 0;

	if (!read_character(parser, ']'))
	{
		do
		{
			elements = make_room(elements, n, sizeof(JsonbValue));
			if (!parse_value(parser, &elements[n++]))
				return false;
		} while (read_character(parser, ','));
		if (!read_character(parser, ']'))
			return false;
	}
	list->type = jbvArray;
	list->val.array.nElems = n;
	list->val.array.elems = elements;
	list->val.array.rawScalar = false;
	return true;
}

/* Compare the names of two members, in the order of jsonb: shorter ones are first. */
static inline int
compare_names(const JsonbPair *a, const JsonbPair *b)
{
	int length = a->key.val.string.len;

	if (length != b->key.val.string.len)
		return length < b->key.val.string.len ? -1 : 1;
	return memcmp(a->key.val.string.val, b->key.val.string.val, length);
}

#define ST_SORT sort_members
#define ST_ELEMENT_TYPE JsonbPair
#define ST_COMPARE(a, b) compare_names(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Read a member of an object. */
static bool
parse_member(Parser *parser, JsonbPair *member)
{
	return read_character(parser, '"') && parse_string(parser, &member->key) &&
		   read_character(parser, ':') && parse_value(parser, &member->value);
}

/* Read an object after its first brace; sort its members, none of which may be there twice. */
static bool
parse_members(Parser *parser, JsonbValue *object)
{
	JsonbPair *members = NULL;
	int        n = 0;

	if (!read_character(parser, '}'))
	{
		do
		{
			members = make_room(members, n, sizeof(JsonbPair));
			if (!parse_member(parser, &members[n++]))
				return false;
		} while (read_character(parser, ','));
		if (!read_character(parser, '}'))
			return false;
		sort_members(members, n);
	}
	for (int i = 1; i < n; i++)
		if (compare_names(&members[i - 1], &members[i]) == 0)
			return false;
	object->type = jbvObject;
	object->val.object.nPairs = n;
	object->val.object.pairs = members;
	return true;
}

/* Read a list or an object after its first character. */
static bool
parse_container(Parser *parser, bool is_list, JsonbValue *value)
{
	bool valid = ++parser->depth <= MAX_DEPTH &&
				 (is_list ? parse_list(parser, value) : parse_members(parser, value));

	parser->depth--;
	return valid;
}

/* Read a word. */
static bool
parse_word(Parser *parser, JsonbValue *value)
{
	value->type = jbvBool;
	value->val.boolean = *parser->next == 't';
	if (*parser->next == 'n')
		value->type = jbvNull;
	return read_word(parser, "true") || read_word(parser, "false") || read_word(parser, "null");
}

/* Read any value. */
static bool
parse_value(Parser *parser, JsonbValue *value)
{
	if (read_character(parser, '"'))
		return parse_string(parser, value);
	if (read_character(parser, '{'))
		return parse_container(parser, false, value);
	if (read_character(parser, '['))
		return parse_container(parser, true, value);
	if (*parser->next >= 'a' && *parser->next <= 'z')
		return parse_word(parser, value);
	return parse_number(parser, value);
}

/* NOLINTEND(misc-no-recursion) */

Jsonb *
parse_text(const char *text)
{
	Parser     parser = {.next = text};
	JsonbValue root;

	if (!parse_value(&parser, &root) || root.type != jbvObject || !read_character(&parser, '\0'))
		return NULL;
	return JsonbValueToJsonb(&root);
}
