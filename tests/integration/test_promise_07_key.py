"""The key never leaves; nor does the password of the database."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path
from urllib.parse import quote

from harness import KEY, PASSWORD, wait_until

SECRETS = [form.encode() for form in (KEY, quote(KEY), quote(KEY, safe=""), PASSWORD)]


def must_not_hold(what, data):
    data = data if isinstance(data, bytes) else data.encode()
    for secret in SECRETS:
        assert secret not in data, f"{what} has {secret.decode()!r}"


def search_spool(site):
    for folder, _, names in os.walk(site.spool):
        for name in names:
            data = Path(folder, name).read_bytes()
            must_not_hold(name, data)
            unpacked = subprocess.run(["zstd", "-dcf"], input=data, capture_output=True, check=False) if os.path.exists(
                "/usr/bin/zstd") else None
            if unpacked:
                must_not_hold(name, unpacked.stdout)


def search_daemon(daemon):
    for name in ("cmdline", "environ"):
        must_not_hold(f"/proc/PID/{name}", Path(f"/proc/{daemon.pid}/{name}").read_bytes())
    for path in ("/sync/status", "/sync/status?format=text", "/readyz?verbose", "/livez", "/metrics", "/sync/config",
                 "/sync/runs", "/sync/coverage", "/sync/quarantine", "/"):
        for tcp in (False, True):
            must_not_hold(path, daemon.get(path, tcp).body)
    must_not_hold("the log", daemon.log())
    must_not_hold("the notifications", "\n".join(daemon.notifications()))


def echoing_portal():
    """A portal that throws whatever it was asked back at the client, as the real one's proxy pages do."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                asked = client.recv(65536).split(b"\r\n")[0]
                body = b'{"error": "cannot serve ' + asked + b'", "status": "error", "message": "' + asked + b'"}'
                client.sendall(b"HTTP/1.1 %s x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
                    serve.status, len(body), body))

    serve.status = b"200"
    threading.Thread(target=serve, daemon=True).start()
    return server, serve


def test_while_all_is_well(site, portal, cluster):
    site.configure(log={"file": str(site.folder / "sync.log"), "level": "debug"})
    with site.start() as daemon:
        daemon.wait_syncs(1)
        search_daemon(daemon)
    assert any(KEY in str(call) or quote(KEY, safe="") in str(call) for call in portal.requests()) or site.rows()
    must_not_hold("the log file", (site.folder / "sync.log").read_bytes())
    must_not_hold("the database", cluster.dump(site.database))
    search_spool(site)


def test_while_all_goes_wrong(site, cluster):
    """Each error quotes the request, with the key in it."""
    server, echo = echoing_portal()
    with server:
        site.configure(portal={"base_url": f"http://127.0.0.1:{server.getsockname()[1]}", "attempts": 2},
                       log={"file": str(site.folder / "sync.log")})
        for status in (b"200", b"400", b"403", b"418", b"500", b"502"):
            echo.status = status
            done = site.once()
            assert done.code != 0
            must_not_hold("stderr", done.err)
            must_not_hold("stdout", done.out)
        with site.start() as daemon:
            daemon.wait_syncs(1)
            search_daemon(daemon)
    must_not_hold("the log file", (site.folder / "sync.log").read_bytes())
    must_not_hold("the database", cluster.dump(site.database))
    search_spool(site)


def test_a_password_that_does_not_help(site, portal, cluster):
    site.configure(database={"dsn": cluster.dsn("nowhere")})
    must_not_hold("stderr", site.once().err)
    site.configure(database={"dsn": f"host=127.0.0.1 port=9 dbname=x password='{PASSWORD}"})
    must_not_hold("stderr", site.once().err)
    must_not_hold("schema plan", repr(site.cli("schema", "plan")))
    must_not_hold("config show", site.cli("config", "show").out)
    must_not_hold("config check", repr(site.cli("config", "check")))


def test_the_configuration_as_a_document(site, portal):
    site.live(on_start=False)
    shown = site.cli("config", "show", "--json")
    assert shown.code == 0, shown
    must_not_hold("config show --json", shown.out)
    document = json.loads(shown.out)
    assert "mandi_prices" in document["datasets"]
    with site.start() as daemon:
        assert daemon.get("/sync/config").json == document


def test_the_configuration_as_shown(site):
    site.configure(portal={"api_key": KEY})
    shown = site.cli("config", "show")
    assert shown.code == 0 and "(hidden)" in shown.out
    must_not_hold("config show", repr(shown))
    site.config_file.write_text(site.config_file.read_text().replace("attempts: 5", f"attempts: '{KEY}"))
    must_not_hold("a problem", site.cli("config", "check").out)


def test_in_the_middle_of_a_request(site, portal):
    portal.control(faults=[{"kind": "stall"}])
    with site.start() as daemon:
        wait_until(lambda: portal.requests("/resource"), 10, "the request")
        search_daemon(daemon)


def test_other_users_cannot_look_into_the_process(site):
    with site.start() as daemon:
        assert os.stat(f"/proc/{daemon.pid}/environ").st_uid == 0, "PR_SET_DUMPABLE is not 0"
        limits = Path(f"/proc/{daemon.pid}/limits").read_text()
        assert "Max core file size        0" in limits
