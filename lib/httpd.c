/*
 * HTTP server on a libuv loop: the loop, the deadlines and the end.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The happy path: each listener is one libmicrohttpd daemon without threads. Its epoll descriptor
 * stands in a uv_poll; whenever it turns readable, or the time that libmicrohttpd named is over,
 * MHD_run() does what is to be done and calls back into httpd_request.c. A handler that does not
 *answer at once leaves its connection suspended; httpd_reply() resumes it and wakes the listener.
 *
 *	             whole request                answer               answer sent
 *	RECEIVING --------------------> ANSWERING ---------> SENDING --------------> RECEIVING
 *	    |  deadline, or room needed     |  deadline: 503     |  deadline
 *	    +-------------> CUT             +-------> SENDING    +-------> CUT
 *
 * libmicrohttpd's own time-out only sees inactivity, so a client that drips would stay for ever.
 * The deadlines are therefore ours. All states wait equally long, so a list in the order of
 *entering a state is in the order of the deadlines, and one timer serves all. Cutting is shutdown()
 *on the descriptor: libmicrohttpd then finds the connection closed and cleans up by itself.
 *
 * libmicrohttpd stops to accept at its limit, so sixty-four silent clients would lock everybody
 *out. Its limit is therefore a little above ours, and at ours the client that has owed us its
 * request for the longest is cut.
 *
 * The end: MHD_stop_daemon() aborts the process if a connection is suspended. So each one is
 * answered 503 and resumed first, and nobody else is accepted: on an inherited socket, whoever comes now
 * waits for the next process. Those that were accepted and have not asked yet have a moment to do
 * so and be told 503; without it, their connection would break under them. None of this may happen
 * inside MHD_run(), so httpd_close() leaves it to the timer. Then the handles are closed and counted
 * down.
 */

#include "lib/httpd.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/httpd_private.h"

enum {
	DEADLINE_MS = 10000,
	CONNECTIONS = 64,
	LINGER_MS = 100, /* at the end */
	SPARE_CONNECTIONS = 16, /* MHD_run() accepts up to ten before those cut are gone */
	/* Headers stand in one piece beside the parsed list of them and the answer's headers. Above
	 * 32 KiB libmicrohttpd maps the pool, so what is not touched costs nothing. */
	POOL_BYTES = 48 * 1024,
};

static void on_deadline(uv_timer_t *timer);

static void arm_deadline(struct httpd *httpd)
{
	const struct conn *first = TAILQ_FIRST(&httpd->conns);
	uint64_t now = uv_now(httpd->loop);

	if (httpd->closing) {
		return;
	}
	if (!first) {
		uv_timer_stop(&httpd->deadline);
	} else if (!uv_is_active((uv_handle_t *)&httpd->deadline)) {
		/* Left alone when active: it can only fire too early, and then looks again. */
		uv_timer_start(&httpd->deadline, on_deadline,
			first->deadline_ms > now ? first->deadline_ms - now : 0, 0);
	}
}

void conn_enter(struct conn *conn, enum conn_state state)
{
	struct httpd *httpd = conn->listener->httpd;

	if (conn->state == CONN_CUT) {
		return;
	}
	TAILQ_REMOVE(&httpd->conns, conn, link);
	conn->state = state;
	if (state != CONN_CUT) {
		conn->deadline_ms = uv_now(httpd->loop) + httpd->options.deadline_ms;
		TAILQ_INSERT_TAIL(&httpd->conns, conn, link);
	}
	arm_deadline(httpd);
}

static void conn_cut(struct conn *conn)
{
	conn_enter(conn, CONN_CUT);
	shutdown(conn->fd, SHUT_RDWR);
	listener_wake(conn->listener);
}

/* The one that has been in `state` for the longest, or NULL. */
static struct conn *find_conn(const struct httpd_listener *listener, enum conn_state state)
{
	struct conn *conn;

	TAILQ_FOREACH(conn, &listener->httpd->conns, link)
	{
		if (conn->listener == listener && conn->state == state) {
			return conn;
		}
	}
	return NULL;
}

/* One client too many: the one that has owed its request for the longest goes, or the new one. */
static void make_room(const struct httpd_listener *listener)
{
	conn_cut(find_conn(listener, CONN_RECEIVING));
}

static struct conn *conn_new(struct httpd_listener *listener, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn || !info) {
		free(conn);
		return NULL;
	}
	conn->listener = listener;
	conn->fd = info->connect_fd;
	TAILQ_INSERT_TAIL(&listener->httpd->conns, conn, link);
	conn_enter(conn, CONN_RECEIVING);
	if (++listener->n_conns > listener->httpd->options.connections) {
		make_room(listener);
	}
	return conn;
}

/*
 * A daemon that was at its limit (of connections, or of the process's descriptors) watches its
 * listening socket again only at the next MHD_run(), for which nothing else might give cause.
 */
static void conn_free(struct conn *conn)
{
	struct httpd *httpd = conn->listener->httpd;

	assert(!conn->request);
	conn->listener->n_conns--;
	listener_wake(conn->listener);
	if (conn->state != CONN_CUT) {
		TAILQ_REMOVE(&httpd->conns, conn, link);
	}
	free(conn);
	arm_deadline(httpd);
	if (httpd->lingers && TAILQ_EMPTY(&httpd->conns)) {
		uv_timer_start(&httpd->deadline, on_deadline, 0, 0);
	}
}

/* A connection without memory has no context; on_mhd_access() refuses it. */
static void on_mhd_connection(void *cls, struct MHD_Connection *connection, void **context,
	enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		*context = conn_new(cls, connection);
	} else if (*context) {
		conn_free(*context);
		*context = NULL;
	}
}

static void conn_expire(struct conn *conn)
{
	switch (conn->state) {
	case CONN_ANSWERING:
		request_give_up(conn->request, "the answer took too long");
		return;
	case CONN_RECEIVING:
	case CONN_SENDING:
		conn_cut(conn);
		return;
	case CONN_CUT:
		break;
	}
	assert(!"a connection that was cut has no deadline");
}

static void on_handle_closed(struct httpd *httpd)
{
	struct httpd_listener *listener;

	if (--httpd->n_handles > 0) {
		return;
	}
	while ((listener = httpd->listeners)) {
		httpd->listeners = listener->next;
		free(listener);
	}
	if (httpd->on_closed) {
		httpd->on_closed(httpd->closed_arg);
	}
	free(httpd);
}

static void on_poll_closed(uv_handle_t *handle)
{
	on_handle_closed(container_of((uv_poll_t *)handle, struct httpd_listener, poll)->httpd);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_handle_closed(container_of((uv_timer_t *)handle, struct httpd_listener, timer)->httpd);
}

static void on_idle_closed(uv_handle_t *handle)
{
	on_handle_closed(container_of((uv_idle_t *)handle, struct httpd_listener, idle)->httpd);
}

static void on_deadline_closed(uv_handle_t *handle)
{
	on_handle_closed(container_of((uv_timer_t *)handle, struct httpd, deadline));
}

/* Nobody new; an answer for those who wait for one. */
static void listener_quiesce(struct httpd_listener *listener)
{
	struct conn *conn;

	while ((conn = find_conn(listener, CONN_ANSWERING))) {
		request_give_up(conn->request, "shutting down"); /* is SENDING now */
	}
	close(MHD_quiesce_daemon(listener->daemon));
	listener_wake(listener);
}

static void quiesce(struct httpd *httpd)
{
	struct httpd_listener *listener;

	httpd->lingers = true;
	for (listener = httpd->listeners; listener; listener = listener->next) {
		listener_quiesce(listener);
	}
	uv_timer_start(&httpd->deadline, on_deadline, TAILQ_EMPTY(&httpd->conns) ? 0 : LINGER_MS, 0);
}

static void listener_stop(struct httpd_listener *listener)
{
	uv_close((uv_handle_t *)&listener->poll, on_poll_closed);
	uv_close((uv_handle_t *)&listener->timer, on_timer_closed);
	uv_close((uv_handle_t *)&listener->idle, on_idle_closed);
	listener->httpd->n_handles += 3;
	MHD_stop_daemon(listener->daemon);
	listen_remove_file(listener);
}

static void stop(struct httpd *httpd)
{
	struct httpd_listener *listener;

	httpd->lingers = false;
	httpd->n_handles = 1;
	for (listener = httpd->listeners; listener; listener = listener->next) {
		listener_stop(listener);
	}
	uv_close((uv_handle_t *)&httpd->deadline, on_deadline_closed);
}

static void on_deadline(uv_timer_t *timer)
{
	struct httpd *httpd = container_of(timer, struct httpd, deadline);
	struct conn *conn;

	if (httpd->lingers) {
		stop(httpd);
		return;
	}
	if (httpd->closing) {
		quiesce(httpd);
		return;
	}
	while ((conn = TAILQ_FIRST(&httpd->conns)) && conn->deadline_ms <= uv_now(httpd->loop)) {
		conn_expire(conn);
	}
	arm_deadline(httpd);
}

static void on_listener_timer(uv_timer_t *timer);
static void on_listener_idle(uv_idle_t *idle);

/*
 * "At once" is an idle handle and not a timer of 0: libuv runs the timers until none is due, so one
 * that starts itself again would keep everybody else from the loop.
 */
static void listener_run(struct httpd_listener *listener)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	bool wait;

	listener->again = false;
	listener->running = true;
	MHD_run(listener->daemon);
	listener->running = false;
	wait = MHD_get_timeout(listener->daemon, &ms) == MHD_YES;
	uv_timer_stop(&listener->timer);
	uv_idle_stop(&listener->idle);
	if (listener->again || (wait && ms == 0)) {
		uv_idle_start(&listener->idle, on_listener_idle);
	} else if (wait) {
		uv_timer_start(&listener->timer, on_listener_timer, ms, 0);
	}
}

void listener_wake(struct httpd_listener *listener)
{
	listener->again = true;
	if (!listener->running && !uv_is_closing((uv_handle_t *)&listener->idle)) {
		uv_idle_start(&listener->idle, on_listener_idle);
	}
}

static void on_listener_idle(uv_idle_t *idle)
{
	listener_run(container_of(idle, struct httpd_listener, idle));
}

static void on_listener_timer(uv_timer_t *timer)
{
	listener_run(container_of(timer, struct httpd_listener, timer));
}

/* Errors of the descriptor are libmicrohttpd's to find. */
static void on_listener_readable(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	listener_run(container_of(poll, struct httpd_listener, poll));
}

int httpd_new(uv_loop_t *loop, const struct httpd_options *options, struct httpd **ret)
{
	struct httpd *httpd = calloc(1, sizeof(*httpd));

	if (!httpd) {
		return -ENOMEM;
	}
	httpd->loop = loop;
	httpd->options = *options;
	if (httpd->options.deadline_ms == 0) {
		httpd->options.deadline_ms = DEADLINE_MS;
	}
	if (httpd->options.connections == 0) {
		httpd->options.connections = CONNECTIONS;
	}
	TAILQ_INIT(&httpd->conns);
	uv_timer_init(loop, &httpd->deadline); /* never fails */
	*ret = httpd;
	return 0;
}

void httpd_close(struct httpd *httpd, httpd_closed_fn on_closed, void *arg)
{
	assert(!httpd->closing);
	httpd->closing = true;
	httpd->on_closed = on_closed;
	httpd->closed_arg = arg;
	uv_timer_start(&httpd->deadline, on_deadline, 0, 0);
}

void httpd_set_hosts(struct httpd *httpd, const char *const *hosts, unsigned n_hosts)
{
	httpd->hosts = hosts;
	httpd->n_hosts = n_hosts;
}

/* What libmicrohttpd has to say of its clients is nothing that an operator could act on. */
static struct MHD_Daemon *start_daemon(struct httpd_listener *listener, int fd)
{
	unsigned limit = listener->httpd->options.connections + SPARE_CONNECTIONS;

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		on_mhd_access, listener, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, limit, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		(size_t)POOL_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_mhd_completed, listener,
		MHD_OPTION_NOTIFY_CONNECTION, on_mhd_connection, listener, MHD_OPTION_END);
}

/* Watch a new daemon. The handles are only initialised when nothing can fail any more. */
static int watch(struct httpd_listener *listener)
{
	struct httpd *httpd = listener->httpd;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int r = info ? uv_poll_init(httpd->loop, &listener->poll, info->epoll_fd) : UV_EINVAL;

	if (r < 0) {
		return r;
	}
	uv_timer_init(httpd->loop, &listener->timer);
	uv_idle_init(httpd->loop, &listener->idle);
	uv_poll_start(&listener->poll, UV_READABLE, on_listener_readable);
	listener->next = httpd->listeners;
	httpd->listeners = listener;
	return 0;
}

/* take_listener has its names; fd listens, or is -1 and `error` says why. */
static int add_listener(struct httpd_listener *take_listener, int fd, struct httpd_listener **ret,
	struct error *error)
{
	_cleanup_free_ struct httpd_listener *listener = take_listener;
	int r;

	if (fd < 0) {
		return -1;
	}
	listener->daemon = start_daemon(listener, fd);
	if (!listener->daemon) {
		close(fd);
		listen_remove_file(listener);
		return error_set(error, ERROR_RETRY, "httpd", "start", "%s: cannot be served",
			listener->name);
	}
	r = watch(listener);
	if (r < 0) {
		MHD_stop_daemon(listener->daemon);
		listen_remove_file(listener);
		return error_errno(error, ERROR_RETRY, "httpd", -r, listener->name);
	}
	*ret = take_ptr(listener);
	return 0;
}

static struct httpd_listener *listener_new(struct httpd *httpd, struct error *error)
{
	struct httpd_listener *listener = calloc(1, sizeof(*listener));

	assert(!httpd->closing);
	if (!listener) {
		error_no_memory(error, "httpd");
		return NULL;
	}
	listener->httpd = httpd;
	return listener;
}

int httpd_listen_unix(struct httpd *httpd, const char *path, mode_t mode,
	struct httpd_listener **ret, struct error *error)
{
	struct httpd_listener *listener = listener_new(httpd, error);

	return listener
		? add_listener(listener, listen_unix(listener, path, mode, error), ret, error)
		: -1;
}

int httpd_listen_tcp(struct httpd *httpd, const char *host, unsigned port,
	struct httpd_listener **ret, struct error *error)
{
	struct httpd_listener *listener = listener_new(httpd, error);

	return listener
		? add_listener(listener, listen_tcp(listener, host, port, error), ret, error)
		: -1;
}

int httpd_listen_fd(
	struct httpd *httpd, int take_fd, struct httpd_listener **ret, struct error *error)
{
	struct httpd_listener *listener = listener_new(httpd, error);
	int fd = listener ? listen_adopt(listener, take_fd, error) : -1;

	if (fd < 0) {
		close(take_fd);
	}
	return listener ? add_listener(listener, fd, ret, error) : -1;
}

unsigned httpd_listener_port(const struct httpd_listener *listener)
{
	return listener->port;
}

const char *httpd_listener_name(const struct httpd_listener *listener)
{
	return listener->name;
}
