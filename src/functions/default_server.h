/*
 * default_server.h
 *		The server that the views read.
 */
#ifndef COGNITO_FUNCTIONS_DEFAULT_SERVER_H
#define COGNITO_FUNCTIONS_DEFAULT_SERVER_H

/* Its name if the setting is empty. */
#define DEFAULT_SERVER "cognito_server"

/* Setting cognito_srf.default_server. */
extern char *default_server_name;

#endif
