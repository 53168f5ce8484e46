"""The HTTP routes of the real daemon: what is answered from the books, and what is wrong with a question."""

import base64
import json
import signal
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
