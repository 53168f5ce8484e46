"""Alerts: one message when it starts, one when it is over, on the webhook and by NOTIFY."""

import contextlib
import hashlib
import hmac
import http.server
import json
import os
import signal
import threading
import time

import pytest

from harness import CONFIG, UNAVAILABLE, today, wait_until
from prometheus import Metrics

TOKEN = "xoxb-a-secret-of-the-webhook"
SECRET = "the-secret-that-signs"


class Receiver:
    """A webhook: keeps what is posted; answers the statuses in `answers` one by one, then 204."""

    def __init__(self):
        self.requests, self.answers = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_args):
                pass

            def do_POST(handler):  # noqa: N802, N805
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                status = self.answers.pop(0) if self.answers else 204
                if status == "stall":
                    self.stalled.wait(20)
                    return
                if status == "late":
                    self.held.wait(20)
                    status = 204
                self.requests.append((handler.path, dict(handler.headers), body, status))
                handler.send_response(status)
                handler.end_headers()

        self.stalled, self.held = threading.Event(), threading.Event()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook/{TOKEN}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def taken(self):
        return [json.loads(body) for _path, _headers, body, status in self.requests if status == 204]

    def wait(self, n, seconds=15):
        wait_until(lambda: len(self.taken()) >= n, seconds, f"{n} messages")
        return self.taken()

    def close(self):
        self.stalled.set()
        self.held.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver():
    with contextlib.closing(Receiver()) as one:
        yield one


@pytest.fixture
def alerting(site, receiver):
    """A site that alerts after two failures and does nothing by itself."""
    site.live(schedule=["0 3 1 1 *"], on_start=False)
    site.variables["HOOK"] = receiver.url
    site.configure(portal={"attempts": 1}, alerts={"webhook": "${HOOK}", "after_failures": 2, "notify_channel": None})
    return site


def run(daemon, n):
    os.kill(daemon.pid, signal.SIGUSR1)
    return daemon.wait_syncs(n)


def seen(messages):
    return [(message["alert"], message["state"]) for message in messages]


def test_one_message_when_it_starts_and_one_when_it_is_over(alerting, portal, receiver):
    alerting.configure(alerts={"webhook_secret": SECRET})
    portal.control(faults=[{"kind": "502"}])
    receiver.answers = [500, 503]  # fails first, then takes
    with alerting.start() as daemon:
        run(daemon, 1)
        assert receiver.requests == [], "one failure is none"
        run(daemon, 2)
        receiver.wait(1)
        assert [status for *_rest, status in receiver.requests] == [500, 503, 204]
        run(daemon, 3)
        assert Metrics(daemon)("ogdsync_alerts_firing") == 1
        assert Metrics(daemon)("ogdsync_alert_failures_total") == 2
        portal.control(faults=[])
        run(daemon, 4)
        first, last = receiver.wait(2)
        assert Metrics(daemon)("ogdsync_alerts_firing") == 0
        log = daemon.log()
    assert seen([first, last]) == [("failing", "firing"), ("failing", "over")]
    assert (first["dataset"], first["source"]) == ("mandi_prices", "live")
    assert "2 runs in a row were no success" in first["reason"] and first["reason"] in first["text"]
    assert first["since"] and first["at"].endswith("+05:30") and last["since"] is None
    for path, headers, body, _status in receiver.requests:
        assert path == f"/hook/{TOKEN}"
        assert headers["Content-Type"] == "application/json"
        assert headers["X-Ogdsync-Signature"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert "code=http_500" in log and "alert.firing" in log and "alert.over" in log
    assert TOKEN not in log and SECRET not in log


SLOW_END = """
    CREATE FUNCTION ogdsync.slow() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END';
    CREATE TRIGGER slow BEFORE INSERT OR UPDATE ON ogdsync.run FOR EACH ROW
        WHEN (NEW.finished_at IS NOT NULL) EXECUTE FUNCTION ogdsync.slow()"""


def test_what_ends_while_the_daemon_stops(alerting, portal, receiver):
    """The end of a run is being booked, and an alert is on its way, when it is told to stop."""
    alerting.configure(alerts={"after_failures": 1})
    portal.control(faults=[{"kind": "502"}])
    receiver.answers = ["late"]
    with alerting.connect() as db:
        db.execute(SLOW_END)
        db.execute("SELECT pg_advisory_lock(7)")
        with alerting.start() as daemon:
            run(daemon, 1)
            wait_until(lambda: not receiver.answers, 10, "the webhook to be asked")
            wait_until(lambda: alerting.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"),
                       10, "the books to wait")
            daemon.process.send_signal(signal.SIGTERM)
            wait_until(lambda: "daemon.stopping" in daemon.log(), 10, "the stop to begin")
            receiver.held.set()
            receiver.wait(1)
            wait_until(lambda: "alert.sent" in daemon.log(), 10, "the answer to be read")
            db.execute("SELECT pg_advisory_unlock(7)")
            assert daemon.end(10) == 0, daemon.log()
    assert alerting.query("SELECT state, finished_at IS NOT NULL FROM ogdsync.run") == [("failed", True)]
    assert '"told":[true' in (alerting.spool / "state.json").read_text()


def test_a_restart_repeats_nothing(alerting, portal, receiver):
    portal.control(faults=[{"kind": "502"}])
    with alerting.start() as daemon:
        run(daemon, 1)
        run(daemon, 2)
        receiver.wait(1)
        wait_until(lambda: '"told":[true' in (alerting.spool / "state.json").read_text(), 5, "state.json")
        daemon.kill()
    with alerting.start() as daemon:
        run(daemon, 3)
        assert Metrics(daemon)("ogdsync_alerts_firing") == 1
        assert len(receiver.requests) == 1
        portal.control(faults=[])
        run(daemon, 4)
        receiver.wait(2)
    assert seen(receiver.taken()) == [("failing", "firing"), ("failing", "over")]


def test_what_could_not_be_told_is_told_by_the_next_process(alerting, portal, receiver):
    portal.control(faults=[{"kind": "502"}])
    receiver.answers = ["stall"]
    with alerting.start() as daemon:
        run(daemon, 1)
        run(daemon, 2)
        wait_until(lambda: receiver.answers == [], 5, "the request that hangs")
        assert daemon.stop() < 5, "a webhook that hangs does not hold up the end"
    assert receiver.taken() == []
    with alerting.start():
        receiver.wait(1)
    assert seen(receiver.taken()) == [("failing", "firing")]


def test_nothing_is_told_of_what_came_and_went(alerting, portal, receiver):
    receiver.answers = [500] * 1000
    portal.control(faults=[{"kind": "502"}])
    with alerting.start() as daemon:
        run(daemon, 1)
        run(daemon, 2)
        wait_until(lambda: receiver.requests, 5, "a try")
        portal.control(faults=[])
        run(daemon, 3)
        receiver.answers = []
        time.sleep(2.5)  # longer than the pause of one failure: nothing is to come
        assert receiver.taken() == []


def test_each_kind(alerting, portal, receiver):
    alerting.configure(alerts={"after_failures": 1000}, dataset={"quarantine_limit": "1%"})
    with alerting.start() as daemon:
        portal.control(faults=[{"kind": "403"}])
        run(daemon, 1)
        assert seen(receiver.wait(1)) == [("key_refused", "firing")]
        portal.control(faults=[], resources={"daily": {"missing_dates": [str(today())]}})
        run(daemon, 2)
        assert set(seen(receiver.wait(3))[1:]) == {("suspect", "firing"), ("key_refused", "over")}
        portal.control(resources={"daily": {"missing_dates": [], "bad": {"junk_price": 40}}})
        run(daemon, 3)
        messages = receiver.wait(4)
        assert seen(messages)[3:] == [("quarantine", "firing")], daemon.status()["last_sync"]
        assert "cannot be read" in messages[3]["reason"]
        portal.control(resources={"daily": {"bad": {}}})
        run(daemon, 4)
        assert set(seen(receiver.wait(6))[4:]) == {("suspect", "over"), ("quarantine", "over")}


def test_a_stale_dataset(alerting, receiver):
    with alerting.start() as daemon:
        run(daemon, 1)
    file = alerting.spool / "state.json"
    state = json.loads(file.read_text())
    state["datasets"][0]["newest_day"] -= 4
    file.write_text(json.dumps(state, separators=(",", ":"), ensure_ascii=False) + "\n")
    with alerting.start() as daemon:
        message = receiver.wait(1)[0]
        assert (message["alert"], message["dataset"], message["source"]) == ("stale", "mandi_prices", None)
        assert message["reason"].startswith("the newest data is of 20")
        run(daemon, 2)
        assert seen(receiver.wait(2)) == [("stale", "firing"), ("stale", "over")]


def test_notify_reaches_who_listens(alerting, portal):
    alerting.configure(alerts={"webhook": None, "notify_channel": "mandi_alerts"})
    portal.control(faults=[{"kind": "502"}])
    with alerting.connect() as db, alerting.start() as daemon:
        db.execute("LISTEN mandi_alerts")
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        run(daemon, 1)
        run(daemon, 2)
        told = next(db.notifies())
        assert seen([json.loads(told.payload)]) == [("failing", "firing")]
        portal.control(faults=[])
        run(daemon, 3)
        told = next(db.notifies())
        assert seen([json.loads(told.payload)]) == [("failing", "over")]


def test_notify_waits_for_the_database(alerting, portal):
    alerting.configure(alerts={"webhook": None, "notify_channel": "ogdsync"})
    portal.control(faults=[{"kind": "502"}])
    with alerting.start() as daemon:
        alerting.cluster.stop()
        daemon.wait_status(lambda status: status["database"]["state"] == "down")
        for n in (1, 2):
            os.kill(daemon.pid, signal.SIGUSR1)
            wait_until(lambda n=n: daemon.log().count("fetch.failed") + daemon.log().count("run.spooled") >= n, 10)
        alerting.cluster.start()
        with alerting.connect() as db:
            db.execute("LISTEN ogdsync")
            told = next(db.notifies())
            assert seen([json.loads(told.payload)]) == [("failing", "firing")]


def test_a_test_says_whether_it_was_delivered(alerting, receiver):
    alerting.configure(alerts={"notify_channel": "ogdsync"})
    with alerting.connect() as db, alerting.start() as daemon:
        db.execute("LISTEN ogdsync")
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        done = alerting.cli("alert", "test")
        assert (done.code, done.out) == (0, "webhook: delivered\nnotify: delivered\n"), done
        assert seen([json.loads(next(db.notifies()).payload), *receiver.taken()]) == [("test", "test")] * 2
        receiver.answers = [404]
        done = alerting.cli("alert", "test")
        assert done.code == UNAVAILABLE, done
        assert done.out == "webhook: not delivered: the webhook answered 404\nnotify: delivered\n"
        receiver.answers = [404]
        done = alerting.cli("alert", "test", "--json")
        assert json.loads(done.out) == {
            "webhook": {"delivered": False, "code": "http_404", "error": "the webhook answered 404"},
            "notify": {"delivered": True, "code": None, "error": None}}
        refused = daemon.get("/sync/alert-test", tcp=True, method="POST")
        assert refused.status == 403 and len(receiver.requests) == 3
        assert TOKEN not in daemon.log() + done.out + done.err


def test_a_test_without_anybody_to_tell(alerting):
    alerting.configure(alerts={"webhook": None})
    with alerting.start():
        done = alerting.cli("alert", "test")
        assert done.code == CONFIG and "neither" in done.err, done


def test_a_webhook_that_nobody_answers(alerting, receiver):
    receiver.close()
    with alerting.start():
        done = alerting.cli("alert", "test")
        assert done.code == UNAVAILABLE and done.out.startswith("webhook: not delivered: "), done
        assert TOKEN not in done.out + done.err


def test_a_reload_keeps_what_was_told(alerting, portal, receiver):
    portal.control(faults=[{"kind": "502"}])
    with contextlib.closing(Receiver()) as other, alerting.start() as daemon:
        run(daemon, 1)
        run(daemon, 2)
        receiver.wait(1)
        alerting.variables["HOOK"] = ""  # the daemon keeps what it was started with
        alerting.configure(alerts={"webhook": other.url, "after_failures": 5})
        assert alerting.cli("reload", "--wait").code == 0
        run(daemon, 3)
        assert alerting.cli("alert", "test").out.startswith("webhook: delivered")
        assert set(seen(other.wait(2))) == {("test", "test"), ("failing", "over")}, "three failures are none any more"
        run(daemon, 4)
        run(daemon, 5)
        assert seen(other.wait(3))[2:] == [("failing", "firing")]
        assert len(receiver.requests) == 1
        assert TOKEN not in daemon.log()
