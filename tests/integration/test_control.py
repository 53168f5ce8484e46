"""What operators ask of a running daemon by HTTP: run, pause, resume, cancel; and who may."""

import json
import os

import pytest
from harness import days_back, ready_files, wait_until

TOKEN = "a-token-of-more-than-thirty-two-bytes-0123456789"
ME = f"operator:uid={os.geteuid()}"


def post(daemon, path, body=None, **more):
    text = body if isinstance(body, str) else None if body is None else json.dumps(body)
    return daemon.get(path, method="POST", body=text, **more)


def refused(reply, status, word=""):
    assert reply.status == status, reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert word in reply.json["detail"], reply.body
    return reply.json


def run_of(daemon, number):
    reply = daemon.get(f"/sync/runs/{number}")
    assert reply.status == 200, reply.body
    return reply.json


def ended(daemon, number, state):
    """The run, when it has ended so."""

    def look():
        run = run_of(daemon, number)
        return run if run["finished_at"] else None

    run = wait_until(look, 20, "the run to end")
    assert run["state"] == state, run
    return run


def slow(portal, **when):
    """The portal takes its time."""
    portal.control(faults=[{"kind": "slow", "seconds": 30, "when": when}])


@pytest.fixture
def quiet(site):
    """Nothing runs by itself."""
    site.live(schedule=["0 0 1 1 *"], on_start=False)
    site.history(schedule=["0 0 1 1 *"])
    return site


def test_run_now(quiet, portal):
    with quiet.start() as daemon:
        reply = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "live"})
        assert reply.status == 202, reply.body
        number = reply.json["run"]
        assert reply.headers["Location"] == f"/sync/runs/{number}"
        run = ended(daemon, number, "success")
        assert (run["trigger"], run["source"]) == (ME, "live")
        assert quiet.rows() == quiet.truth()
        booked = wait_until(lambda: quiet.query("SELECT trigger, state FROM ogdsync.run WHERE id = %s", number))
        assert booked == [(ME, "success")]
        assert f'by="{ME}"' in daemon.log()


def test_run_a_range_of_dates(quiet, portal):
    last, first = days_back(3)[0], days_back(5)[0]
    with quiet.start() as daemon:
        number = post(daemon, "/sync/run",
                      {"dataset": "mandi_prices", "from": str(first), "to": str(last)}).json["run"]
        run = ended(daemon, number, "success")
        assert run["source"] == "history" and run["slices"] == 3
        wait_until(lambda: [part["slice"] for part in run_of(daemon, number)["slice_list"]]
                   == [str(day) for day in days_back(3, 4, 5)])
        assert quiet.rows() == quiet.truth(live=False, days=days_back(3, 4, 5))


def test_what_cannot_be_run(quiet, portal):
    day, tomorrow = str(days_back(2)[0]), str(days_back(-1)[0])
    with quiet.start() as daemon:
        for body, status, word in (
                ({}, 400, "dataset"), ("[]", 400, "object"), ("{", 400, "JSON"),
                ('{"dataset":"a","dataset":"b"}', 400, "JSON"), ({"dataset": 7}, 400, "dataset"),
                ({"dataset": "x", "colour": 1}, 400, "colour"), ({"dataset": "x", "accept": "yes"}, 400, "accept"),
                ({"dataset": "none"}, 404, "none"), ({"dataset": "mandi_prices", "source": "x"}, 404, "x"),
                ({"dataset": "mandi_prices", "from": day}, 400, "to is missing"),
                ({"dataset": "mandi_prices", "from": day, "to": "2026-02-30"}, 400, "to is a date"),
                ({"dataset": "mandi_prices", "from": "26-1-1", "to": day}, 400, "from is a date"),
                ({"dataset": "mandi_prices", "from": day, "to": "2020-01-01"}, 400, "after"),
                ({"dataset": "mandi_prices", "from": day, "to": tomorrow}, 400, "not come"),
                ({"dataset": "mandi_prices", "from": "2020-01-01", "to": day}, 400, "400"),
                ({"dataset": "mandi_prices", "source": "live", "from": day, "to": day}, 400, "by dates")):
            refused(post(daemon, "/sync/run", body), status, word)
        refused(post(daemon, "/sync/pause", {"source": "mandi_prices"}), 400, "DATASET/SOURCE")
        refused(post(daemon, "/sync/pause", {"source": "mandi_prices/x"}), 404, "x")
        refused(post(daemon, "/sync/pause", {"dataset": "mandi_prices"}), 400, "dataset")
        refused(post(daemon, "/sync/cancel", {}), 409, "nothing runs")
        assert daemon.get("/sync/run").status == 405
        assert daemon.status()["total_syncs"] == 0


def test_a_source_runs_once_at_a_time(quiet, portal):
    slow(portal)
    with quiet.start() as daemon:
        first = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "live"}).json["run"]
        second = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "history"}).json["run"]
        assert run_of(daemon, second)["state"] == "queued"
        for source, number in (("live", first), ("history", second)):
            reply = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": source})
            assert refused(reply, 409, source)["run"] == number
            assert reply.headers["Location"] == f"/sync/runs/{number}"
        assert sorted(post(daemon, "/sync/cancel").json["runs"]) == sorted([first, second])


def test_pause_and_resume(site, portal):
    site.live(on_start=True)
    with site.start() as daemon:
        daemon.wait_syncs(1)
        assert post(daemon, "/sync/pause", {"source": "mandi_prices/live"}).json == {"paused": True}
        live, = (s for s in daemon.status()["datasets"][0]["sources"] if s["name"] == "live")
        assert live["paused"] is True and live["next_run_at"] is None and daemon.status()["paused"] is False
        assert post(daemon, "/sync/resume", {"source": "mandi_prices/live"}).json == {"paused": False}
        assert post(daemon, "/sync/pause").status == 202
        assert daemon.status()["paused"] is True and daemon.status()["next_run_at"] is None
        wait_until(lambda: json.loads((site.spool / "state.json").read_text())["paused"], 5, "the note of it")
        daemon.kill()  # it survives that too
    site.live(on_start=True, schedule=None, every="1m")
    with site.start() as daemon:
        assert daemon.status()["paused"] is True
        # Paused is the schedule; who asks for a run gets it.
        ended(daemon, post(daemon, "/sync/run", {"dataset": "mandi_prices"}).json["run"], "success")
        done = site.cli("status", "--check")
        assert done.code == 1 and "paused" in done.out, done
        assert post(daemon, "/sync/resume", {}).status == 202
        assert daemon.status()["paused"] is False and daemon.status()["next_run_at"]
        post(daemon, "/sync/pause")
    runs = len(site.runs())
    assert site.once().code == 0  # --once does not ask
    assert len(site.runs()) == runs + 1
    with site.start() as daemon:
        assert daemon.status()["paused"] is True


def test_what_was_missed_in_a_pause_runs_when_it_is_over(site, portal):
    site.live(on_start=False, schedule=["0 0 1 1 *"])
    with site.start() as daemon:
        post(daemon, "/sync/pause")
    site.live(on_start=True)
    with site.start() as daemon:
        assert daemon.status()["total_syncs"] == 0 and daemon.status()["queue"] == []
        post(daemon, "/sync/resume")
        daemon.wait_syncs(1)


def test_cancel_stops_the_request(quiet, portal):
    quiet.live(page_size=100)
    slow(portal, after=1, times=1)
    with quiet.start() as daemon:
        number = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "live"}).json["run"]
        daemon.wait_status(lambda status: status["running"] and status["running"]["page"] >= 1)
        reply = post(daemon, "/sync/cancel", {"source": "mandi_prices/live"})
        assert reply.status == 202 and reply.json == {"runs": [number]}
        run = ended(daemon, number, "canceled")
        assert ME in run["error"] and run["received"] == 0
        assert [name for name in os.listdir(quiet.spool) if name.endswith((".part", ".ready"))] == []
        assert quiet.rows() == []
        wait_until(lambda: quiet.runs() == [("live", "canceled", "canceled")])
        # The source is free at once, and the next run is a whole one.
        ended(daemon, post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "live"}).json["run"], "success")
        assert quiet.rows() == quiet.truth()
    quiet.check_books()


def test_cancel_stops_the_statement(quiet, portal):
    days = days_back(1, 2)
    with quiet.start() as daemon, quiet.connect() as db:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        with db.transaction():
            db.execute("LOCK TABLE mandi.price IN ACCESS EXCLUSIVE MODE")
            number = post(daemon, "/sync/run", {"dataset": "mandi_prices", "from": str(days[1]),
                                                "to": str(days[0])}).json["run"]
            waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ogdsyncd' AND wait_event_type = 'Lock'"
            wait_until(lambda: db.execute(waits).fetchone()[0] == 1)
            daemon.wait_status(lambda status: not status["running"] and status["spool"]["ready"] == 2)
            assert run_of(daemon, number)["state"] in ("running", "spooled")
            assert post(daemon, "/sync/cancel").json == {"runs": [number]}
            ended(daemon, number, "canceled")
            assert db.execute(waits).fetchone()[0] == 0
        assert quiet.rows() == [] and ready_files(quiet) == ([], [])
        assert quiet.value("SELECT count(*) FROM ogdsync.run_slice") == 0
        again = post(daemon, "/sync/run", {"dataset": "mandi_prices", "from": str(days[1]), "to": str(days[0])})
        ended(daemon, again.json["run"], "success")
        assert quiet.rows() == quiet.truth(live=False, days=days)
    quiet.check_books()


def test_cancel_of_what_waits_for_the_database(quiet, portal, cluster):
    with quiet.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        cluster.stop()
        number = post(daemon, "/sync/run", {"dataset": "mandi_prices", "source": "live"}).json["run"]
        wait_until(lambda: run_of(daemon, number)["state"] == "spooled")
        assert post(daemon, "/sync/cancel").json == {"runs": [number]}
        ended(daemon, number, "canceled")
        cluster.start()
        wait_until(lambda: quiet.runs() == [("live", "canceled", "canceled")])
        assert ready_files(quiet) == ([], []) and quiet.rows() == []


def test_who_may_by_tcp(quiet, portal):
    with quiet.start() as daemon:
        for path in ("run", "pause", "resume", "cancel"):
            refused(post(daemon, f"/sync/{path}", {}, tcp=True), 403, "token_file")
    token = quiet.folder / "token"
    token.write_text(TOKEN + "\n")
    quiet.configure(server={"token_file": str(token)})
    check = quiet.run("ogdsyncd", "--config", quiet.config_file, "--check")
    assert check.code == 0 and "not available" not in check.err, check
    with quiet.start() as daemon:
        for header in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}x"},
                       {"Authorization": f"Bearer {TOKEN[:-1]}"}, {"Authorization": f"Basic {TOKEN}"},
                       {"Authorization": "Bearer "}, {"Authorization": TOKEN}):
            reply = post(daemon, "/sync/pause", {}, tcp=True, headers=header)
            refused(reply, 401)
            assert reply.headers["WWW-Authenticate"] == "Bearer"
        assert daemon.status()["paused"] is False
        good = {"Authorization": f"Bearer {TOKEN}"}
        assert post(daemon, "/sync/pause", {}, tcp=True, headers=good).status == 202
        assert post(daemon, "/sync/resume", {}, tcp=True, headers=good).status == 202
        number = post(daemon, "/sync/run", {"dataset": "mandi_prices"}, tcp=True, headers=good).json["run"]
        assert ended(daemon, number, "success")["trigger"] == "operator:token"
        for tcp in (True, False):  # a page of another origin, whatever it knows
            refused(post(daemon, "/sync/pause", {}, tcp=tcp, headers={**good, "Origin": "http://localhost"}), 403, "page")
        assert TOKEN not in daemon.log() and TOKEN not in daemon.get("/sync/config").text
