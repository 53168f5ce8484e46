"""The keys, the password and the webhook's URL leave by no way, whatever goes wrong.

test_promise_07_key.py has the usual ways. Here: several keys in order, credential files, all error
paths of the portal one after the other, the journal, the spool's pages unpacked, the process.
"""

import contextlib
import http.server
import os
import re
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from harness import CONFIG, KEY, NO_PERMISSION, PASSWORD, wait_until
from secrets_check import forms_of

KEYS = ["1st+key/of=three&579b464db66ec23bdd000001aa", "2nd~key%41with;semicolon&percent-579b464db66ec23bdd0001", KEY]
WEBHOOK = "https://127.0.0.1:9/hooks/T0KEN-of-the-webhook?x=1&y=2"
SECRETS = forms_of(*KEYS, PASSWORD, WEBHOOK, "T0KEN-of-the-webhook")
JOURNAL = Path("/run/systemd/journal/socket")
FAULTS = [
    *({"kind": kind} for kind in ("400", "401", "403", "429", "500", "502", "503", "504", "error", "not_json", "html",
                                  "array", "empty_body", "empty", "truncate", "cut", "bad_gzip", "close", "reset",
                                  "redirect", "accept_close", "accept_reset", "stall", "huge")),
    {"kind": "malformed", "shape": "garbage"}, {"kind": "malformed", "shape": "status"},
    {"kind": "malformed", "shape": "header"}, {"kind": "stall_body", "at": 500},
]


def must_not_hold(what, data):
    data = data if isinstance(data, bytes) else data.encode()
    for secret in SECRETS:
        assert secret not in data, f"{what} holds {secret.decode()!r}"


def look_into_spool(site):
    """Every byte, and every page unpacked; how many pages there were."""
    n_pages = 0
    for file in site.spool.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            must_not_hold(file.name, data)
            for frame in re.finditer(re.escape(b"\x28\xb5\x2f\xfd"), data):
                # What follows the frame is the head of the next block: zstd complains, after the page.
                page = subprocess.run(["zstd", "-dc"], input=data[frame.start():], capture_output=True, check=False)
                must_not_hold(f"a page of {file.name}", page.stdout)
                n_pages += page.stdout.startswith(b"{")
    return n_pages


def look_everywhere(site, cluster):
    must_not_hold("the database", cluster.dump(site.database))
    log = site.folder / "sync.log"
    if log.exists():
        must_not_hold("the log file", log.read_bytes())
    return look_into_spool(site)


def look_at(daemon, what=""):
    for path in ("/sync/status", "/sync/status?format=text", "/readyz?verbose", "/livez", "/metrics", "/sync/config",
                 "/sync/runs", "/sync/coverage", "/sync/quarantine", "/", "/nothing"):
        must_not_hold(f"{path} {what}", daemon.get(path).body)
    must_not_hold(f"the log {what}", daemon.log())
    must_not_hold(f"the notifications {what}", "\n".join(daemon.notifications()))
    with contextlib.suppress(PermissionError):
        for name in ("cmdline", "environ", "comm", "status"):
            must_not_hold(f"/proc/PID/{name} {what}", Path(f"/proc/{daemon.pid}/{name}").read_bytes())


@pytest.fixture
def secret_site(site):
    """Three keys, of which only the last is one; all secrets come from the environment."""
    site.variables.update({"FIRST": KEYS[0], "SECOND": KEYS[1], "DSN": site.config["database"]["dsn"],
                           "OWNER_DSN": site.config["database"]["owner_dsn"], "WEBHOOK": WEBHOOK})
    site.configure(
        portal={"api_key": ["${FIRST}", "${SECOND}", "${DATA_GOV_API_KEY}"], "attempts": 2, "request_timeout": "1s",
                "connect_timeout": "1s",
                "low_speed": "1KiB/1s", "page_bytes": "1MiB"},
        database={"dsn": "${DSN}", "owner_dsn": "${OWNER_DSN}"}, alerts={"webhook": "${WEBHOOK}", "after_failures": 1},
        log={"file": str(site.folder / "sync.log"), "level": "debug"})
    site.live(page_size=100)
    return site


def test_over_all_error_paths(secret_site, portal, cluster):
    for fault in FAULTS:
        for rule in (fault, {**fault, "when": {"after": 4}}):  # at once, and in the middle
            portal.control(faults=[rule])
            done = secret_site.once()
            must_not_hold(f"stderr at {rule}", done.err)
            must_not_hold(f"stdout at {rule}", done.out)
            assert done.code != CONFIG, done
    portal.control(faults=[])
    must_not_hold("stderr", secret_site.sync().err)
    assert secret_site.rows() == secret_site.truth()
    assert look_everywhere(secret_site, cluster) >= 4, "no page of the spool was looked into"
    for form in ("status", "runs", "coverage", "config show", "doctor", "spool", "schedule"):
        for more in ((), ("--json",)):
            must_not_hold(f"ogdsync {form}", repr(secret_site.cli(*form.split(), *more)))


@pytest.mark.parametrize("shape", ["logfmt", "json"])
def test_the_running_daemon(secret_site, portal, cluster, shape):
    secret_site.configure(log={"format": shape})
    with secret_site.start() as daemon:
        daemon.wait_syncs(1)
        look_at(daemon)
        keys = {form for call in portal.requests("/resource") for form in [call["query"].split("api-key=")[-1]]}
        assert len(keys) == 3, "each key was tried"
    look_everywhere(secret_site, cluster)


@pytest.mark.parametrize("kind", ["403", "502", "stall", "redirect", "malformed", "truncate"])
def test_the_running_daemon_in_trouble(secret_site, portal, cluster, kind):
    portal.control(faults=[{"kind": kind}])
    with secret_site.start() as daemon:
        wait_until(lambda: portal.requests("/resource"), 10, "a request")
        look_at(daemon, f"at {kind}")
        daemon.wait_syncs(1)
        look_at(daemon, f"after {kind}")
    look_everywhere(secret_site, cluster)


def test_keys_in_credential_files(secret_site, portal, cluster):
    """As systemd's LoadCredential gives them, with a line end."""
    credentials = secret_site.folder / "credentials"
    credentials.mkdir()
    for n, key in enumerate(KEYS):
        (credentials / f"key-{n}").write_text(key + "\n")
    secret_site.configure(portal={"api_key": None, "api_key_file": [
        f"${{CREDENTIALS_DIRECTORY}}/key-{n}" for n in range(len(KEYS))]})
    for name in ("FIRST", "SECOND", "DATA_GOV_API_KEY"):
        del secret_site.variables[name]
    secret_site.variables["CREDENTIALS_DIRECTORY"] = str(credentials)
    must_not_hold("stderr", secret_site.sync().err)
    assert secret_site.rows() == secret_site.truth()
    with secret_site.start() as daemon:
        daemon.wait_ready()
        look_at(daemon)
    look_everywhere(secret_site, cluster)
    for wrong in (KEYS[0] + "\n" + KEYS[1] + "\n", "", KEYS[0] + "\x01"):
        (credentials / "key-0").write_text(wrong)
        done = secret_site.once()
        must_not_hold("stderr", done.err)
        assert done.code != 0


def test_all_keys_refused(secret_site, portal):
    secret_site.configure(portal={"api_key": ["${FIRST}", "${SECOND}"]})
    done = secret_site.sync(NO_PERMISSION)
    assert "refused the API key" in done.err
    must_not_hold("stderr", done.err)
    assert len(portal.requests("/resource")) == 2


def test_a_portal_that_says_the_key_back(secret_site, cluster):
    """In bodies and header lines, decoded and as it came, whole and with the rest of the URL."""
    class Echo(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        status = 200

        def log_message(self, *_args):
            pass

        def do_GET(self):  # noqa: N802
            from urllib.parse import unquote
            asked = f"{self.path} {unquote(self.path)}".replace('"', "'")
            body = ('{"error": "%s", "status": "error", "message": "%s"}' % (asked, asked)).encode()
            self.send_response(self.status, unquote(self.path).split("api-key=")[-1])
            for name in ("Location", "Retry-After", "Content-Type"):
                self.send_header(name, self.path)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    secret_site.configure(portal={"base_url": f"http://127.0.0.1:{server.server_port}", "retry_budget": "1s"})
    for status in (200, 302, 400, 401, 403, 404, 429, 500, 502):
        Echo.status = status
        done = secret_site.once()
        assert done.code != 0
        must_not_hold(f"stderr at {status}", done.err)
    with secret_site.start() as daemon:
        daemon.wait_syncs(1)
        look_at(daemon)
    server.shutdown()
    server.server_close()
    look_everywhere(secret_site, cluster)


@pytest.mark.skipif(JOURNAL.exists() or os.geteuid() != 0, reason="needs to be root where no journal runs")
def test_in_the_journal(secret_site, portal):
    """A socket in the place of journald's."""
    made = not JOURNAL.parent.exists()
    JOURNAL.parent.mkdir(parents=True, exist_ok=True)
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(JOURNAL))
        try:
            def listen():
                while True:
                    data, fds, _flags, _from = socket.recv_fds(journal, 1 << 20, 1)
                    heard.append(data)
                    for fd in fds:
                        heard.append(os.pread(fd, 1 << 24, 0))
                        os.close(fd)

            threading.Thread(target=listen, daemon=True).start()
            secret_site.configure(log={"format": "journal"})
            for kind in ("403", "502", "not_json", "reset", "redirect"):
                portal.control(faults=[{"kind": kind}])
                secret_site.once()
            portal.control(faults=[])
            secret_site.sync()
            wait_until(lambda: any(b"run.done" in entry for entry in heard), 5, "the journal")
        finally:
            JOURNAL.unlink()
            if made:
                JOURNAL.parent.rmdir()
    assert len(heard) > 20
    must_not_hold("the journal", b"\n".join(heard))
