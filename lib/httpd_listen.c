/*
 * Listening sockets. SPDX-License-Identifier: Apache-2.0
 *
 * A unix socket's file outlives its process. bind() on it fails with EADDRINUSE whether somebody
 * listens or not, so we ask: a connect() that is refused proves that nobody does, and only then is
 * the file removed. Whoever can start twice at the same moment must hold a lock around this.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/httpd_private.h"

enum { BACKLOG = 128 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage storage;
};

static void closep(int *fd)
{
	if (*fd >= 0) {
		close(*fd);
	}
}

#define _cleanup_close_ _cleanup_(closep)

static int hand_over(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static int fail(const struct httpd_listener *listener, int err, struct error *error)
{
	if (err == EADDRINUSE) {
		return error_set(error, ERROR_REJECTED, "httpd", "address_in_use",
			"%s: the address is in use by another process", listener->name);
	}
	return error_errno(error, ERROR_REJECTED, "httpd", err, listener->name);
}

static int open_socket(int family)
{
	return socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* True when the file is a socket that refuses: its process is gone. */
static bool is_stale(const struct sockaddr_un *address)
{
	_cleanup_close_ int fd = open_socket(AF_UNIX);
	struct stat st;

	return fd >= 0 && lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		errno == ECONNREFUSED;
}

/* Binds; 0 or errno. */
static int bind_unix(int fd, const struct sockaddr_un *address)
{
	const struct sockaddr *any = (const struct sockaddr *)address;

	if (bind(fd, any, sizeof(*address)) == 0) {
		return 0;
	}
	if (errno != EADDRINUSE || !is_stale(address)) {
		return errno == EADDRINUSE || errno == ECONNREFUSED ? EADDRINUSE : errno;
	}
	if (unlink(address->sun_path) < 0 || bind(fd, any, sizeof(*address)) < 0) {
		return errno;
	}
	return 0;
}

/* Remember which file is ours. */
static void note_file(struct httpd_listener *listener, const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0) {
		snprintf(listener->path, sizeof(listener->path), "%s", path);
		listener->dev = st.st_dev;
		listener->ino = st.st_ino;
	}
}

int listen_unix(struct httpd_listener *listener, const char *path, mode_t mode, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	int err;

	listener->is_unix = true;
	snprintf(listener->name, sizeof(listener->name), "unix:%s", path);
	if (strlen(path) >= sizeof(address.sun_path)) {
		return fail(listener, ENAMETOOLONG, error);
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = open_socket(AF_UNIX);
	/* The mode before bind() keeps everybody out from the start, the umask may take more away.
	 */
	if (fd < 0 || fchmod(fd, mode) < 0) {
		return fail(listener, errno, error);
	}
	err = bind_unix(fd, &address);
	if (err) {
		return fail(listener, err, error);
	}
	note_file(listener, path);
	if (chmod(path, mode) < 0 || listen(fd, BACKLOG) < 0) {
		err = errno;
		listen_remove_file(listener);
		return fail(listener, err, error);
	}
	return hand_over(&fd);
}

void listen_remove_file(const struct httpd_listener *listener)
{
	struct stat st;

	if (listener->path[0] && lstat(listener->path, &st) == 0 && st.st_dev == listener->dev &&
		st.st_ino == listener->ino) {
		unlink(listener->path);
	}
}

/* The length of the address, or 0 when host is none. */
static socklen_t parse_address(const char *host, unsigned port, union address *ret)
{
	*ret = (union address){.any.sa_family = AF_UNSPEC};
	if (strcmp(host, "localhost") == 0) {
		host = "127.0.0.1";
	}
	if (inet_pton(AF_INET, host, &ret->in.sin_addr) == 1) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons((uint16_t)port);
		return sizeof(ret->in);
	}
	if (inet_pton(AF_INET6, host, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons((uint16_t)port);
		return sizeof(ret->in6);
	}
	return 0;
}

static void name_tcp(struct httpd_listener *listener, const union address *address)
{
	bool six = address->any.sa_family == AF_INET6;
	const void *ip = six ? (const void *)&address->in6.sin6_addr : &address->in.sin_addr;
	char host[INET6_ADDRSTRLEN] = "";

	inet_ntop(address->any.sa_family, ip, host, sizeof(host));
	listener->port = ntohs(six ? address->in6.sin6_port : address->in.sin_port);
	snprintf(listener->name, sizeof(listener->name), six ? "[%s]:%u" : "%s:%u", host,
		listener->port);
}

int listen_tcp(
	struct httpd_listener *listener, const char *host, unsigned port, struct error *error)
{
	union address address;
	socklen_t len = parse_address(host, port, &address);
	_cleanup_close_ int fd = -1;
	const int on = 1;

	snprintf(listener->name, sizeof(listener->name), "%s:%u", host, port);
	if (len == 0 || port > UINT16_MAX) {
		return fail(listener, EINVAL, error);
	}
	name_tcp(listener, &address);
	fd = open_socket(address.any.sa_family);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0) {
		return fail(listener, errno, error);
	}
	if (address.any.sa_family == AF_INET6 &&
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0) {
		return fail(listener, errno, error);
	}
	if (bind(fd, &address.any, len) < 0 || listen(fd, BACKLOG) < 0 ||
		getsockname(fd, &address.any, &len) < 0) {
		return fail(listener, errno, error);
	}
	name_tcp(listener, &address);
	return hand_over(&fd);
}

int listen_adopt(struct httpd_listener *listener, int fd, struct error *error)
{
	union address address = {.any.sa_family = AF_UNSPEC};
	socklen_t len = sizeof(address);
	int listens = 0;
	socklen_t listens_len = sizeof(listens);

	snprintf(listener->name, sizeof(listener->name), "inherited socket %d", fd);
	if (getsockname(fd, &address.any, &len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) < 0) {
		return fail(listener, errno, error);
	}
	if (!listens) {
		return fail(listener, EINVAL, error);
	}
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
		return fail(listener, errno, error);
	}
	if (address.any.sa_family == AF_UNIX) {
		listener->is_unix = true;
		snprintf(listener->name, sizeof(listener->name), "unix:%.*s",
			(int)sizeof(address.un.sun_path), address.un.sun_path);
	} else {
		name_tcp(listener, &address);
	}
	return fd;
}
