/*
 * xml.h
 *		Reading the text of some elements of an XML document.
 */
#ifndef COGNITO_CREDENTIALS_XML_H
#define COGNITO_CREDENTIALS_XML_H

#include "postgres.h"

typedef struct XmlField
{
	const char *path;  /* names of the elements from the root to it, such as a/b/c */
	char       *value; /* set to its text, palloc'd, or left NULL if there is none */
} XmlField;

/*
 * Set the values of fields from a NUL-terminated document.  Return false, with all
 * values wiped and NULL, if it is not well-formed, nested too deeply, has a field twice
 * or with elements in it, or uses what STS does not: comments, processing
 * instructions, CDATA, document types, or entities other than XML's own five.  Text
 * and attributes of other elements are not looked at.
 */
extern bool xml_read(const char *document, XmlField *fields, int nfields);

/* Wipe and free the values of fields. */
extern void xml_wipe(XmlField *fields, int nfields);

#endif
