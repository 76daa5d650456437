/*
 * ticket_flood.c
 *		A server of TLS 1.3 that answers a request with 200,000 session
 *		tickets, which are records without data.
 *
 *	ticket_flood CERTIFICATE KEY
 *
 * It listens on a free port of 127.0.0.1 and prints the port, and a line when it
 * begins to send tickets.  They are made before, so that there is always one more
 * to be read.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#define TICKETS 200000

/* Write what OpenSSL has put into a memory buffer. */
static void
flush(int socket, BIO *buffer)
{
	char *data;
	long  length = BIO_get_mem_data(buffer, &data);

	while (length > 0)
	{
		ssize_t written = write(socket, data, length);

		if (written <= 0)
			return;
		data += written;
		length -= written;
	}
}

/* Serve a connection. */
static void
serve(SSL_CTX *context, int socket)
{
	SSL *ssl = SSL_new(context);
	char request[16384];

	SSL_set_fd(ssl, socket);
	if (SSL_accept(ssl) == 1 && SSL_read(ssl, request, sizeof(request)) > 0)
	{
		BIO *buffer = BIO_new(BIO_s_mem());

		SSL_set0_wbio(ssl, buffer);
		for (int i = 0; i < TICKETS; i++)
		{
			SSL_new_session_ticket(ssl);
			SSL_do_handshake(ssl);
		}
		printf("sending\n");
		fflush(stdout);
		flush(socket, buffer);
	}
	SSL_free(ssl);
	close(socket);
}

int
main(int argc, char **argv)
{
	SSL_CTX           *context = SSL_CTX_new(TLS_server_method());
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t          length = sizeof(address);
	int                listener = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 3)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	/* Tickets that hold no more than an identifier are made quickly. */
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	if (SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
		SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
		bind(listener, (struct sockaddr *) &address, sizeof(address)) != 0 ||
		getsockname(listener, (struct sockaddr *) &address, &length) != 0 ||
		listen(listener, 4) != 0)
		return 1;
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	for (;;)
		serve(context, accept(listener, NULL, NULL));
}
