/*
 * compat.h
 *		The differences between the versions of PostgreSQL and libcurl, and
 *		nothing else: the other sources hold no version test.
 *
 * PostgreSQL 15 and later.  libcurl 7.87 and later, the first with
 * CURLOPT_QUICK_EXIT, without which a cancel would wait for the resolver.
 */
#ifndef COGNITO_COMPAT_H
#define COGNITO_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/wait_event.h"

#include <curl/curl.h>

#if PG_VERSION_NUM < 150000
#error "cognito_srf needs PostgreSQL 15 or later"
#endif

#if LIBCURL_VERSION_NUM < 0x075700
#error "cognito_srf needs libcurl 7.87 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#define server_aclcheck(server, role) \
	object_aclcheck(ForeignServerRelationId, (server), (role), ACL_USAGE)
#define relation_ownercheck(relation, role) \
	object_ownercheck(RelationRelationId, (relation), (role))
#define schema_aclcheck(schema, role) \
	object_aclcheck(NamespaceRelationId, (schema), (role), ACL_USAGE)
#define function_aclcheck(function, role) \
	object_aclcheck(ProcedureRelationId, (function), (role), ACL_EXECUTE)
typedef JsonParseErrorType JsonActionResult;
#define end_json_action() return JSON_SUCCESS
#else
#define server_aclcheck(server, role) pg_foreign_server_aclcheck((server), (role), ACL_USAGE)
#define relation_ownercheck(relation, role) pg_class_ownercheck((relation), (role))
#define schema_aclcheck(schema, role) pg_namespace_aclcheck((schema), (role), ACL_USAGE)
#define function_aclcheck(function, role) pg_proc_aclcheck((function), (role), ACL_EXECUTE)
typedef void JsonActionResult;
#define end_json_action() return
#endif

#if PG_VERSION_NUM >= 170000
/* The set lives until it is freed, so no resource owner tracks it. */
#define create_wait_event_set(nevents) CreateWaitEventSet(NULL, (nevents))
#define new_wait_event(name) WaitEventExtensionNew(name)
#define create_json_lexer(text, length) \
	makeJsonLexContextCstringLen(NULL, (text), (length), GetDatabaseEncoding(), true)
#else
#define create_wait_event_set(nevents) CreateWaitEventSet(TopMemoryContext, (nevents))
#define new_wait_event(name) PG_WAIT_EXTENSION
#define create_json_lexer(text, length) \
	makeJsonLexContextCstringLen((text), (length), GetDatabaseEncoding(), true)
#endif

#if PG_VERSION_NUM >= 180000
#include "commands/explain_format.h"
#include "commands/explain_state.h"
#include "storage/waiteventset.h"
#define pg_attribute_noreturn() __attribute__((noreturn))
#endif

#endif
