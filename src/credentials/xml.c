/*
 * xml.c
 *		Reading the text of some elements of an XML document.
 *
 * STS answers in XML, in a small part of it: elements, attributes that can be ignored,
 * and text.  The parser reads only that, in one pass and without recursion, so that
 * it needs no library.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "credentials/xml.h"

/* The longest path, which also limits the depth, in bytes */
#define MAX_XML_PATH 256

#define WHITE_SPACE " \t\r\n"
#define NAME_START "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define NAME_LETTERS NAME_START "0123456789:.-"

typedef struct XmlParser
{
	const char *next;
	char        path[MAX_XML_PATH]; /* of the current element; empty around the root */
	const char *text;               /* where its text starts; NULL if it holds an element */
	XmlField   *fields;
	int         nfields;
} XmlParser;

static const struct
{
	const char *reference;
	char        character;
} entities[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&quot;", '"'}, {"&apos;", '\''}};

/* Go past a string; return false if it is not next. */
static bool
skip(XmlParser *parser, const char *string)
{
	if (strncmp(parser->next, string, strlen(string)) != 0)
		return false;
	parser->next += strlen(string);
	return true;
}

/* Go past white space; return false if there is none. */
static bool
skip_space(XmlParser *parser)
{
	size_t length = strspn(parser->next, WHITE_SPACE);

	parser->next += length;
	return length > 0;
}

/* Go past a name; return its length, 0 if there is none. */
static size_t
skip_name(XmlParser *parser)
{
	size_t length =
		strchr(NAME_START, *parser->next) != NULL ? strspn(parser->next, NAME_LETTERS) : 0;

	parser->next += length;
	return length;
}

/* Go past the attributes of a tag, and white space; return false if they are malformed. */
static bool
skip_attributes(XmlParser *parser)
{
	while (skip_space(parser) && *parser->next != '>' && *parser->next != '/')
	{
		char quote;

		if (skip_name(parser) == 0 || !skip(parser, "="))
			return false;
		quote = *parser->next++;
		if (quote != '"' && quote != '\'')
			return false;
		parser->next += strcspn(parser->next, quote == '"' ? "\"<" : "'<");
		if (*parser->next++ != quote)
			return false;
	}
	return true;
}

/* Append a name to the path; return false if that becomes too long. */
static bool
enter(XmlParser *parser, const char *name, size_t length)
{
	size_t path = strlen(parser->path);

	if (path + 1 + length >= sizeof(parser->path))
		return false;
	if (path > 0)
		parser->path[path++] = '/';
	memcpy(parser->path + path, name, length);
	parser->path[path + length] = '\0';
	return true;
}

/* Remove the last name from the path; return false if it is another name. */
static bool
leave(XmlParser *parser, const char *name, size_t length)
{
	char *slash = strrchr(parser->path, '/');
	char *last = slash != NULL ? slash + 1 : parser->path;

	if (strlen(last) != length || length == 0 || memcmp(last, name, length) != 0)
		return false;
	*(slash != NULL ? slash : last) = '\0';
	return true;
}

/*
 * Decode a text without "<"; return its length, or -1 if it is malformed.  The result has
 * at most the length of the text.
 */
static int
decode(const char *text, const char *end, char *result)
{
	int length = 0;

	while (text < end)
	{
		char character = *text;

		if ((unsigned char) character < ' ' && strchr(WHITE_SPACE, character) == NULL)
			return -1;
		if (character == '&')
		{
			size_t i = 0;

			while (i < lengthof(entities) &&
				   strncmp(text, entities[i].reference, strlen(entities[i].reference)) != 0)
				i++;
			if (i == lengthof(entities))
				return -1;
			character = entities[i].character;
			text += strlen(entities[i].reference);
		}
		else
			text++;
		result[length++] = character;
	}
	return length;
}

/* Return the field of the current element, or NULL. */
static XmlField *
find_field(const XmlParser *parser)
{
	for (int i = 0; i < parser->nfields; i++)
		if (strcmp(parser->fields[i].path, parser->path) == 0)
			return &parser->fields[i];
	return NULL;
}

/*
 * Set the current element's field, if it is one, from the text up to an end.  Return
 * false if it is malformed.
 */
static bool
set_field(const XmlParser *parser, const char *end)
{
	XmlField *field = find_field(parser);
	int       length;

	if (field == NULL)
		return true;
	if (parser->text == NULL || field->value != NULL)
		return false;
	field->value = palloc0(end - parser->text + 1);
	length = decode(parser->text, end, field->value);
	if (length >= 0)
		field->value[length] = '\0';
	return length >= 0;
}

/* Read a start tag, or that of an empty element, after its "<". */
static bool
read_start_tag(XmlParser *parser)
{
	const char *name = parser->next;
	size_t      length = skip_name(parser);

	if (length == 0 || !enter(parser, name, length) || !skip_attributes(parser))
		return false;
	if (skip(parser, ">"))
	{
		parser->text = parser->next;
		return true;
	}
	if (!skip(parser, "/>"))
		return false;
	parser->text = parser->next;
	if (!set_field(parser, parser->next) || !leave(parser, name, length))
		return false;
	parser->text = NULL;
	return true;
}

/* Read an end tag, after its "</"; the element's text ends before that. */
static bool
read_end_tag(XmlParser *parser)
{
	const char *end = parser->next - strlen("</");
	const char *name = parser->next;
	size_t      length = skip_name(parser);

	skip_space(parser);
	if (!skip(parser, ">") || !set_field(parser, end) || !leave(parser, name, length))
		return false;
	parser->text = NULL;
	return true;
}

/* Read the document; return false if it is malformed. */
static bool
read_document(XmlParser *parser)
{
	if (strncmp(parser->next, "<?xml ", strlen("<?xml ")) == 0)
	{
		const char *end = strstr(parser->next, "?>");

		if (end == NULL)
			return false;
		parser->next = end + strlen("?>");
	}
	skip_space(parser);
	if (!skip(parser, "<") || !read_start_tag(parser))
		return false;
	while (parser->path[0] != '\0')
	{
		parser->next += strcspn(parser->next, "<");
		if (!(skip(parser, "</") ? read_end_tag(parser)
								 : skip(parser, "<") && read_start_tag(parser)))
			return false;
	}
	skip_space(parser);
	return *parser->next == '\0';
}

bool
xml_read(const char *document, XmlField *fields, int nfields)
{
	XmlParser parser = {.next = document, .fields = fields, .nfields = nfields};

	for (int i = 0; i < nfields; i++)
		fields[i].value = NULL;
	if (read_document(&parser))
		return true;
	xml_wipe(fields, nfields);
	return false;
}

void
xml_wipe(XmlField *fields, int nfields)
{
	for (int i = 0; i < nfields; i++)
		if (fields[i].value != NULL)
		{
			OPENSSL_cleanse(fields[i].value, strlen(fields[i].value));
			pfree(fields[i].value);
			fields[i].value = NULL;
		}
}
