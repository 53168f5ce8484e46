#pragma once

/*
 * What the three files of the HTTP server share. SPDX-License-Identifier: Apache-2.0
 *
 * httpd.c has the loop, the deadlines and the end; httpd_listen.c the sockets; httpd_request.c
 * what happens between a request and its answer. Nobody else includes this.
 */

#include <microhttpd.h>
#include <sys/queue.h>

#include "lib/buffer.h"
#include "lib/httpd.h"

/* What a connection waits for; each has a deadline of its own. */
enum conn_state {
	CONN_RECEIVING, /* for the whole of a request, or for the next one */
	CONN_ANSWERING, /* for the owner; suspended */
	CONN_SENDING,   /* for the client to read */
	CONN_CUT,       /* shut down by us; for libmicrohttpd to notice */
};

struct conn {
	struct httpd_listener *listener;
	struct httpd_request *request; /* the one being answered, or NULL */
	int fd;                        /* libmicrohttpd's */
	enum conn_state state;
	uint64_t deadline_ms;   /* loop time */
	TAILQ_ENTRY(conn) link; /* httpd->conns, but for CONN_CUT */
};

struct httpd_listener {
	struct httpd *httpd;
	struct MHD_Daemon *daemon;
	uv_poll_t poll;
	uv_timer_t timer;
	uv_idle_t idle;
	bool running; /* inside MHD_run() */
	bool again;   /* run once more at once */
	unsigned n_conns;
	unsigned n_late; /* suspended */
	unsigned port;
	bool is_unix;
	char name[160];
	char path[108]; /* of the socket file we made, "" when there is none */
	dev_t dev;      /* and which file that is */
	ino_t ino;
	struct httpd_listener *next;
};

struct httpd {
	uv_loop_t *loop;
	struct httpd_options options;
	const char *const *hosts;
	unsigned n_hosts;
	struct httpd_listener *listeners;
	TAILQ_HEAD(, conn) conns; /* by deadline, the next one first */
	uv_timer_t deadline;
	bool closing;
	bool lingers; /* closing: nobody new is accepted, the last are told */
	unsigned n_handles; /* that the loop still holds, once closing */
	httpd_closed_fn on_closed;
	void *closed_arg;
};

/* Memory: the conn while a client may still be answered, and the owner until it has replied. */
struct httpd_request {
	struct conn *conn; /* NULL: the client is gone */
	struct MHD_Connection *connection;
	bool owned; /* a reply is still to come */
	bool suspended;
	bool answered; /* response is decided; NULL is one that could not be made */
	int status;
	struct MHD_Response *response;
	enum httpd_method method;
	const char *path, *param;
	struct buffer body;
	bool body_too_long;
};

/* httpd.c */
void conn_enter(struct conn *conn, enum conn_state state);
void listener_wake(struct httpd_listener *listener);

/* httpd_listen.c: a listening descriptor and the listener's names; -1 with the reason. */
int listen_unix(struct httpd_listener *listener, const char *path, mode_t mode,
	struct error *error) must_check;
int listen_tcp(struct httpd_listener *listener, const char *host, unsigned port,
	struct error *error) must_check;
int listen_adopt(struct httpd_listener *listener, int fd, struct error *error) must_check;
void listen_remove_file(const struct httpd_listener *listener);

/* httpd_request.c: libmicrohttpd's callbacks, cls is the listener. */
enum MHD_Result on_mhd_access(void *cls, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *data, size_t *n_data, void **request);
void on_mhd_completed(void *cls, struct MHD_Connection *connection, void **request,
	enum MHD_RequestTerminationCode code);

/* The owner is too late: the client gets 503 for this reason. */
void request_give_up(struct httpd_request *request, const char *reason);
