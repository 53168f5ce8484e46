/*
 * lib/http against a real TLS server, and with a name server that never answers.
 * SPDX-License-Identifier: Apache-2.0
 *
 * The TLS server is `openssl s_server` with a certificate made here, for 127.0.0.1 alone. The name
 * server is a socket of ours on port 53 in a network of its own, which needs root. What is not
 * there is skipped.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/attr.h"
#include "lib/buffer.h"
#include "lib/http.h"

enum { GUARD_MS = 30000 };

struct fixture {
	uv_loop_t loop;
	uv_timer_t guard;
	char directory[64], certificate[96], key[96];
	uv_process_t server;
	uv_pipe_t out, in;
	struct buffer said;
	char chunk[1024];
	int port;
	bool exited;

	struct http *http;
	bool closed;
	unsigned n_done;
	int status;
	struct error error;
};

static void on_guard(uv_timer_t *timer)
{
	(void)timer;
	fail_msg("the test hangs");
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(uv_loop_init(&f->loop), 0);
	uv_timer_init(&f->loop, &f->guard);
	uv_timer_start(&f->guard, on_guard, GUARD_MS, 0);
	uv_unref((uv_handle_t *)&f->guard);
	snprintf(f->directory, sizeof(f->directory), "/tmp/test-http-tls-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->certificate, sizeof(f->certificate), "%s/cert.pem", f->directory);
	snprintf(f->key, sizeof(f->key), "%s/key.pem", f->directory);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	uv_close((uv_handle_t *)&f->guard, NULL);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&f->loop), 0);
	unlink(f->certificate);
	unlink(f->key);
	rmdir(f->directory);
	buffer_fini(&f->said);
	free(f);
	return 0;
}

/* ---- one request ---- */

static void on_done(void *arg, const struct http_response *response, const struct error *error)
{
	struct fixture *f = arg;

	f->n_done++;
	f->status = response->status;
	f->error = error ? *error : (struct error){0};
}

static void on_closed(void *arg)
{
	((struct fixture *)arg)->closed = true;
}

static void close_http(struct fixture *f)
{
	f->closed = false;
	http_close(f->http, on_closed, f);
	while (!f->closed) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

static void start(struct fixture *f, const struct http_options *options, const char *url)
{
	struct http_transfer *transfer;
	struct error error = {0};

	assert_int_equal(http_new(&f->loop, options, &f->http), 0);
	f->n_done = 0;
	assert_int_equal(http_start(f->http,
				 &(struct http_request){.url = url, .on_done = on_done, .arg = f},
				 &transfer, &error),
		0);
}

static void get(struct fixture *f, const struct http_options *options, const char *url)
{
	start(f, options, url);
	while (f->n_done == 0) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	close_http(f);
	assert_int_equal(f->n_done, 1);
}

static const struct http_options default_options = {
	.user_agent = "ogdsync-test/1.0",
	.connect_timeout_ms = 10000,
	.request_timeout_ms = 10000,
	.low_speed_ms = 10000,
	.body_bytes = 1024 * 1024,
};

/* ---- TLS ---- */

static void on_exit_of_server(uv_process_t *process, int64_t status, int signal)
{
	struct fixture *f = container_of(process, struct fixture, server);

	(void)status;
	(void)signal;
	f->exited = true;
	uv_close((uv_handle_t *)&f->server, NULL);
	uv_close((uv_handle_t *)&f->out, NULL);
	uv_close((uv_handle_t *)&f->in, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct fixture *f = container_of((uv_pipe_t *)handle, struct fixture, out);

	(void)size;
	*buf = uv_buf_init(f->chunk, sizeof(f->chunk));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct fixture *f = container_of((uv_pipe_t *)stream, struct fixture, out);
	const char *at;

	if (n <= 0) {
		return;
	}
	buffer_append(&f->said, buf->base, (size_t)n);
	at = strstr(buffer_str(&f->said), "ACCEPT 127.0.0.1:");
	if (at && strchr(at, '\n')) {
		f->port = (int)strtoul(at + strlen("ACCEPT 127.0.0.1:"), NULL, 10);
	}
}

static bool make_certificate(struct fixture *f)
{
	char command[400];

	snprintf(command, sizeof(command),
		"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
		"-subj /CN=test -addext subjectAltName=IP:127.0.0.1 -keyout %s -out %s "
		">/dev/null 2>&1",
		f->key, f->certificate);
	return system(command) == 0;
}

static bool start_server(struct fixture *f)
{
	char *args[] = {(char *)"openssl", (char *)"s_server", (char *)"-accept",
		(char *)"127.0.0.1:0", (char *)"-www", (char *)"-cert", f->certificate,
		(char *)"-key", f->key, NULL};
	uv_stdio_container_t stdio[] = {
		{.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&f->in},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&f->out},
		{.flags = UV_IGNORE},
	};
	uv_process_options_t options = {
		.file = "openssl",
		.args = args,
		.exit_cb = on_exit_of_server,
		.stdio = stdio,
		.stdio_count = 3,
	};

	uv_pipe_init(&f->loop, &f->in, 0);
	uv_pipe_init(&f->loop, &f->out, 0);
	if (uv_spawn(&f->loop, &f->server, &options) < 0) {
		return false;
	}
	uv_read_start((uv_stream_t *)&f->out, on_alloc, on_read);
	while (f->port == 0 && !f->exited) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
	return f->port > 0;
}

static void verifies_tls(void **state)
{
	struct fixture *f = *state;
	struct http_options options = default_options;
	char url[100], other[100];

	if (!make_certificate(f) || !start_server(f)) {
		skip();
	}
	snprintf(url, sizeof(url), "https://127.0.0.1:%d/?api-key=secret", f->port);
	snprintf(other, sizeof(other), "https://localhost:%d/?api-key=secret", f->port);

	get(f, &options, url);
	assert_string_equal(f->error.code, "tls");
	assert_int_equal(f->error.class, ERROR_REJECTED);
	assert_non_null(strstr(f->error.text, "certificate"));

	options.ca_file = f->certificate;
	get(f, &options, url);
	assert_int_equal(f->status, 200);
	assert_string_equal(f->error.text, "");

	options.ip = 4;
	get(f, &options, other); /* the certificate is of another name */
	assert_string_equal(f->error.code, "tls");
	assert_int_equal(f->error.class, ERROR_REJECTED);
	assert_null(strstr(f->error.text, "secret"));

	options.ca_file = "/nonexistent/ca.pem";
	get(f, &options, url);
	assert_string_equal(f->error.code, "tls");
	assert_int_equal(f->error.class, ERROR_REJECTED);
	assert_non_null(strstr(f->error.text, "/nonexistent/ca.pem"));

	uv_process_kill(&f->server, SIGKILL);
	while (!f->exited) {
		uv_run(&f->loop, UV_RUN_ONCE);
	}
}

/* ---- a name server that never answers ---- */

static bool write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	return file && fputs(text, file) >= 0 && fclose(file) == 0;
}

static bool raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), r;

	request.ifr_flags = IFF_UP | IFF_RUNNING;
	r = ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return r == 0;
}

/* In a network and with a resolv.conf of our own from now on. Returns the server's socket, or -1.
 */
static int start_name_server(const struct fixture *f)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(53)};
	int fd;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0 || !raise_loopback() ||
		mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		!write_file(f->key, "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n") ||
		mount(f->key, "/etc/resolv.conf", NULL, MS_BIND, NULL) < 0) {
		return -1;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Until the question has arrived there, the resolver's thread may not hang yet. */
static void await_question(struct fixture *f, int fd)
{
	char question[512];

	while (recv(fd, question, sizeof(question), MSG_DONTWAIT) < 0) {
		uv_run(&f->loop, UV_RUN_NOWAIT);
	}
}

static void a_hung_resolver_blocks_nothing(void **state)
{
	struct fixture *f = *state;
	struct http_options options = default_options;
	uint64_t begin;
	int fd = start_name_server(f);

	if (fd < 0) {
		skip();
	}
	start(f, &options, "https://portal.example/?api-key=secret");
	await_question(f, fd);
	begin = uv_hrtime();
	close_http(f);
	assert_true(uv_hrtime() - begin < 1000000000);
	assert_string_equal(f->error.code, "canceled");

	options.connect_timeout_ms = 200;
	begin = uv_hrtime();
	get(f, &options, "https://portal.example/?api-key=secret");
	assert_true(uv_hrtime() - begin < 2000000000);
	assert_string_equal(f->error.code, "timeout");
	assert_non_null(strstr(f->error.text, "Resolving timed out after 2"));
	umount("/etc/resolv.conf");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(verifies_tls, set_up, tear_down),
		/* The last one: it leaves the network behind. */
		cmocka_unit_test_setup_teardown(a_hung_resolver_blocks_nothing, set_up, tear_down),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("http-tls", tests, NULL, NULL);
}
