/*
 * vault.h
 *		Secrets of Supabase Vault.
 */
#ifndef COGNITO_SERVER_VAULT_H
#define COGNITO_SERVER_VAULT_H

#include "postgres.h"

/*
 * Return the decrypted secret of an id, a key_id (both are UUIDs) or a name, read
 * as a role, with a safe search_path and as a security-restricted operation.  The
 * result is palloc'd in the current memory context; wipe it after use.
 *
 * Raise 42P01 without Vault; 42501 if the role may not read it, or if the view is
 * not trusted; 42704 if it has no such secret or several; 39000
 * (external_routine_invocation_exception) if the secret cannot be decrypted.  The
 * alternative is the end of a hint: a sentence that names a remedy other than to grant
 * the role the right to read Vault.
 */
extern char *
vault_secret(const char *name, Oid role, const char *server_name, const char *alternative);

#endif
