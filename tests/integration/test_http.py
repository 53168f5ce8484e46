"""The HTTP routes of the real daemon: what is answered from the books, and what is wrong with a question."""

import base64
import contextlib
import json
import signal
import socket
import threading
import time
from datetime import datetime

import yaml

from harness import KEY, PASSWORD, wait_until

RUN = {"id", "dataset", "source", "trigger", "state", "code", "error", "started_at", "finished_at", "slices",
       "received", "inserted", "updated", "unchanged", "duplicate", "quarantined"}
SLICE = {"slice", "data_date", "state", "code", "error", "expected", "received", "distinct", "inserted", "updated",
         "unchanged", "duplicate", "quarantined", "pages", "passes", "started_at", "fetched_at", "loaded_at"}
REJECT = {"id", "dataset", "source", "slice", "reason", "column", "detail", "page", "position", "first_run",
          "last_run", "created_at"}


def ask(daemon, path):
    reply = daemon.get(path)
    assert reply.status == 200, reply.body
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["Cache-Control"] == "no-store"
    return reply.json


def refused(daemon, path, status, word):
    reply = daemon.get(path)
    assert reply.status == status, (path, reply.body)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert word in reply.json["detail"], reply.body


def booked(site, daemon, n=1):
    """A run has ended when the daemon says so, and is in the books a moment later."""
    daemon.wait_syncs(n)
    wait_until(lambda: site.value("SELECT count(*) FROM ogdsync.run WHERE finished_at IS NOT NULL") >= n)


def test_runs_are_what_the_books_say(site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 2}, "duplicates": 1}})
    truth = portal.truth()
    with site.start() as daemon:
        for n in (1, 2, 3):
            booked(site, daemon, n)
            if n < 3:
                daemon.process.send_signal(signal.SIGUSR1)
        runs = ask(daemon, "/sync/runs")
        assert runs["next"] is None and len(runs["runs"]) >= 3
        ids = [run["id"] for run in runs["runs"]]
        assert ids == sorted(ids, reverse=True)
        first = runs["runs"][-1]
        assert set(first) == RUN
        assert (first["dataset"], first["source"], first["trigger"]) == ("mandi_prices", "live", "start")
        assert (first["state"], first["code"], first["error"]) == ("success", None, None)
        assert first["received"] == truth["records"] and first["inserted"] == truth["rows"]
        assert first["quarantined"] == truth["quarantined"] and first["slices"] == 1
        begin, end = (datetime.fromisoformat(first[name]) for name in ("started_at", "finished_at"))
        assert begin.tzinfo and 0 <= (end - begin).total_seconds() < 60

        page = ask(daemon, "/sync/runs?limit=2")
        assert len(page["runs"]) == 2 and page["next"] == page["runs"][-1]["id"]
        older = ask(daemon, f"/sync/runs?limit=500&before={page['next']}")
        assert [run["id"] for run in older["runs"]] == [n for n in ids if n < page["next"]]
        assert ask(daemon, "/sync/runs?source=mandi_prices/history") == {"runs": [], "next": None}
        assert ask(daemon, "/sync/runs?source=mandi_prices/live&limit=500")["runs"][-1] == first

        one = ask(daemon, f"/sync/runs/{first['id']}")
        part, = one.pop("slice_list")
        assert one == first
        assert set(part) == SLICE
        assert (part["slice"], part["state"], part["data_date"]) == ("all", "proven", None)
        assert part["expected"] == part["received"] == first["received"] and part["pages"] >= 1


def test_the_quarantine(site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 3, "bad_date": 2}}})
    with site.start() as daemon:
        booked(site, daemon)
        # Bytes that are no text, and text that JSON must escape.
        with site.connect() as db:
            db.execute("INSERT INTO ogdsync.quarantine (dataset, source, slice, reason, raw, digest, page, position,"
                       " first_run, last_run) SELECT 'other', 's', 'all', 'bad_text', raw, sha256(raw), 0, 0, 1, 1"
                       " FROM (VALUES ('\\xff00fe'::bytea), (convert_to(E'\"मंडी\\\\\\n', 'UTF8'))) AS v(raw)")
        whole = ask(daemon, "/sync/quarantine")
        counts = dict(site.query("SELECT reason, count(*) FROM ogdsync.quarantine WHERE dataset <> 'other' GROUP BY 1"))
        assert counts and whole["total"] == len(whole["quarantine"]) == sum(counts.values()) + 2
        assert {row["reason"]: row["count"] for row in whole["by_reason"] if row["dataset"] == "mandi_prices"} == counts
        assert all(set(row) == REJECT for row in whole["quarantine"]) and whole["next"] is None

        reason = sorted(counts)[0]
        some = ask(daemon, f"/sync/quarantine?dataset=mandi_prices&reason={reason}&limit=1")
        assert some["total"] == counts[reason]
        assert [row["reason"] for row in some["quarantine"]] == [reason]
        assert some["next"] == (some["quarantine"][0]["id"] if counts[reason] > 1 else None)

        known = dict(site.query("SELECT id, raw FROM ogdsync.quarantine"))
        raws = {}
        for number in known:
            one = ask(daemon, f"/sync/quarantine/{number}")
            assert set(one) in (REJECT | {"raw"}, REJECT | {"raw_base64"})
            raws[number] = one["raw"].encode() if "raw" in one else base64.b64decode(one["raw_base64"])
        assert raws == {number: bytes(raw) for number, raw in known.items()}
        assert b"\xff\x00\xfe" in raws.values() and '"मंडी\\\n'.encode() in raws.values()


def test_wrong_questions(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        for path, word in (
                ("/sync/runs?limit=0", "limit"), ("/sync/runs?limit=501", "limit"), ("/sync/runs?limit=1e2", "limit"),
                ("/sync/runs?limit=", "limit"), ("/sync/runs?before=-1", "before"),
                ("/sync/runs?before=99999999999999999999", "before"), ("/sync/runs?source=mandi_prices", "source"),
                ("/sync/runs?source=a/b/c", "source"), ("/sync/runs?source=/b", "source"),
                ("/sync/runs?source=" + "x" * 200 + "/b", "source"), ("/sync/quarantine?dataset=%27--", "dataset"),
                ("/sync/quarantine?reason=", "reason"), ("/sync/quarantine?limit=x", "limit")):
            refused(daemon, path, 400, word)
        for path in ("/sync/runs/1", "/sync/runs/x", "/sync/runs/1/2", "/sync/quarantine/999999", "/sync/quarantine/0"):
            refused(daemon, path, 404, "")


def test_without_the_database(site, cluster):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        cluster.stop()
        for path in ("/sync/runs", "/sync/runs/1", "/sync/quarantine", "/sync/quarantine/1"):
            refused(daemon, path, 503, "database")
        assert daemon.get("/sync/status").status == 200
        cluster.start()
        wait_until(lambda: daemon.get("/sync/runs").status == 200)


def test_a_schema_that_is_not_what_it_should_be(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        with site.connect() as db:
            db.execute("ALTER TABLE ogdsync.run RENAME TO walk")
        refused(daemon, "/sync/runs", 500, "ogdsync.run")


def test_the_configuration_without_its_secrets(site):
    with site.start() as daemon:
        config = ask(daemon, "/sync/config")
        text = json.dumps(config)
        assert KEY not in text and PASSWORD not in text
        assert config["portal"]["requests_per_minute"] == 60000
        shown = site.cli("config", "show")
        assert shown.code == 0, shown
        first = next(yaml.safe_load_all(shown.out))
        assert first["spool"] == config["spool"]
        assert list(config["datasets"]) == ["mandi_prices"]


# ---- what every route refuses ----

def raw(port, data, seconds=5):
    """All that comes back for these bytes."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        answer = b""
        with contextlib.suppress(ConnectionError):
            client.sendall(data)
            while part := client.recv(65536):
                answer += part
        return answer


def head(answer):
    status, *fields = answer.split(b"\r\n\r\n")[0].decode().split("\r\n")
    return int(status.split()[1]), {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}


def test_limits(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        port = site.port
        get = "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{}\r\n"
        whole = raw(port, get.format("/sync/status", "localhost", "").encode())
        status, fields = head(raw(port, get.format("/sync/status", "localhost", "").replace("GET", "HEAD").encode()))
        assert status == 200 and fields["content-length"] == head(whole)[1]["content-length"] != "0"
        assert raw(port, get.format("/livez", "127.0.0.1", "").replace("GET", "HEAD").encode()).endswith(b"\r\n\r\n")
        for host, expected in (("localhost", 200), (f"localhost:{port}", 200), ("127.0.0.1", 200), ("[::1]", 200),
                               ("evil.example", 421), ("localhost.evil.example", 421), ("", 421)):
            assert head(raw(port, get.format("/livez", host, "").encode()))[0] == expected, host
        for method, path, expected, allow in (("POST", "/livez", 405, "GET, HEAD"), ("PUT", "/livez", 405, "GET, HEAD"),
                                              ("GET", "/sync/run", 405, "POST"), ("GET", "/nothing", 404, None),
                                              ("GET", "/sync/runs/1/2", 404, None), ("GET", "/../etc/passwd", 404, None)):
            request = get.format(path, "localhost", "Content-Length: 0\r\n").replace("GET", method, 1)
            status, fields = head(raw(port, request.encode()))
            assert (status, fields.get("allow")) == (expected, allow), (method, path)
        for size, expected in ((4096, 400), (4097, 413), (10**9, 413)):  # 400: it is no JSON
            path = "/sync/pause"
            request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(5)
                client.connect(str(site.socket))
                with contextlib.suppress(ConnectionError):
                    client.sendall(request.encode() + b"x" * min(size, 5000))
                assert head(client.recv(65536))[0] == expected, size
        many = "".join(f"X-{n}: {'x' * 100}\r\n" for n in range(200))
        assert head(raw(port, get.format("/livez", "localhost", many).encode()))[0] == 431
        assert head(raw(port, get.format("/" + "x" * 40000, "localhost", "").encode()))[0] in (414, 431)
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n"):
            with contextlib.suppress(TimeoutError):
                raw(port, garbage, 0.3)
        assert daemon.get("/livez", tcp=True).status == 200


# ---- under attack ----

class Latency(threading.Thread):
    """Asks for something again and again, as somebody with nothing to do with the attack."""

    def __init__(self, daemon, path, tcp):
        super().__init__()
        self.daemon, self.path, self.tcp = daemon, path, tcp
        self.seconds, self.failed, self.over = [], [], threading.Event()

    def run(self):
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                assert self.daemon.get(self.path, tcp=self.tcp).status == 200
                self.seconds.append(time.monotonic() - begin)
            except (OSError, AssertionError) as error:
                self.failed.append(error)

    def end(self):
        self.over.set()
        self.join(30)


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def took(run):
    begin, end = (datetime.fromisoformat(run[name]) for name in ("started_at", "finished_at"))
    return (end - begin).total_seconds()


def test_two_thousand_connections_delay_nobody(site, portal):
    """Silent, dripping and half-closed clients, while it syncs: neither the sync nor others wait for them."""
    portal.control(faults=[{"kind": "slow", "seconds": 0.1}])
    site.live(page_size=20, schedule=["0 0 1 1 *"], on_start=False)
    stop = threading.Event()

    def attack(number):
        held = []
        for n in range(500):
            if stop.is_set():
                break
            client = socket.socket()
            client.settimeout(1)
            try:
                client.connect(("127.0.0.1", site.port))
                if number == 1:
                    client.sendall(b"GET /sync/status HTTP/1.1\r\nHo")
                elif number == 2:
                    client.sendall(b"POST /sync/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n{")
                elif number == 3:
                    client.shutdown(socket.SHUT_WR)
                held.append(client)
            except OSError:
                client.close()
            for dripping in held[-20:]:
                with contextlib.suppress(OSError):
                    dripping.send(b"x")
            while len(held) > 200:
                held.pop(0).close()
        for client in held:
            client.close()

    with site.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        calm = run_and_wait(site, daemon)
        others = [Latency(daemon, "/livez", tcp=True), Latency(daemon, "/livez", tcp=False)]
        attackers = [threading.Thread(target=attack, args=(n,)) for n in range(4)]
        for thread in others + attackers:
            thread.start()
        try:
            attacked = run_and_wait(site, daemon)
            for thread in attackers:
                thread.join(60)
        finally:
            stop.set()
            for thread in others:
                thread.end()
        for other in others:
            assert len(other.seconds) > 50 and percentile(other.seconds, 0.99) < 1, (
                len(other.seconds), percentile(other.seconds, 0.99))
            assert len(other.failed) <= len(other.seconds) // 100, other.failed[:3]
        assert attacked < calm * 2 + 1, (calm, attacked)
        print(f"sync {calm:.2f} s, attacked {attacked:.2f} s;",
              *(f"p99 of livez {percentile(other.seconds, 0.99) * 1000:.0f} ms;" for other in others))
    assert site.rows() == site.truth()


def run_and_wait(site, daemon):
    """Seconds of a run."""
    number = daemon.get("/sync/run", method="POST", body=json.dumps({"dataset": "mandi_prices"})).json["run"]

    def look():
        run = daemon.get(f"/sync/runs/{number}").json
        return run if run["finished_at"] else None

    run = wait_until(look, 60, "the run")
    assert run["state"] == "success", run
    return took(run)


def test_a_hundred_clients_while_it_syncs(site, portal):
    """The figure that counts is printed (pytest -s); the bound is for a busy machine."""
    portal.control(faults=[{"kind": "slow", "seconds": 0.05}])
    site.live(page_size=10, schedule=["0 0 1 1 *"], on_start=False)
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        clients = [Latency(daemon, "/sync/status", tcp=n % 2 == 0) for n in range(100)]
        for client in clients:
            client.start()
        try:
            seconds = run_and_wait(site, daemon)
        finally:
            for client in clients:
                client.end()
        answers = [value for client in clients for value in client.seconds]
        failed = [error for client in clients for error in client.failed]
        print(f"{len(answers)} answers in {seconds:.1f} s, p50 {percentile(answers, 0.5) * 1000:.0f} ms, "
              f"p99 {percentile(answers, 0.99) * 1000:.0f} ms, {len(failed)} failed")
        assert percentile(answers, 0.99) < 5 and len(failed) <= len(answers) // 20, failed[:3]
    assert site.rows() == site.truth()
