/*
 * vault.h
 *		A secret of Supabase Vault.
 */
#ifndef COGNITO_SERVER_VAULT_H
#define COGNITO_SERVER_VAULT_H

#include "postgres.h"

/*
 * The decrypted secret of that id, key_id (both are UUIDs) or name, read as a
 * role, with a safe search_path and as a security-restricted operation.  The
 * result is palloc'd in the current memory context; wipe it when done.
 *
 * Raises 42P01 without Vault, 42501 if the role may not read it or nobody
 * vouches for the view, 42704 if it has no such secret or several.
 */
extern char *vault_secret(const char *name, Oid role, const char *server_name);

#endif
