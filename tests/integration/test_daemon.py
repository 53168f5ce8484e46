"""ogdsyncd as a service: readiness, schedules, status, signals."""

import signal
import time
from datetime import datetime

from harness import KEY, TRY_AGAIN, wait_until
from portal_harness import Portal

FROZEN = {"status", "total_syncs", "total_failures", "last_success_at", "last_failure_at", "last_sync"}
FROZEN_SYNC = {"status", "started_at", "finished_at", "records_fetched", "duration_seconds", "error"}
ADDED = {"next_run_at", "running", "queue", "paused", "newest_date", "stale", "coverage", "spool", "database",
         "lease", "datasets"}
ADDED_SYNC = {f"records_{name}" for name in ("inserted", "updated", "unchanged", "duplicate", "quarantined")}


def test_it_is_ready_syncs_at_the_start_and_stays(site, portal):
    with site.start() as daemon:
        status = daemon.wait_syncs(1)
        assert site.rows() == site.truth()
        time.sleep(0.3)
        assert daemon.process.poll() is None
        assert status["last_sync"]["status"] == "success"
        told = daemon.notifications()
        assert told.count("READY=1") == 1
        assert any(line.startswith("STATUS=") for line in told)
        daemon.stop()
        assert "STOPPING=1" in daemon.notified
        assert " ERROR " not in daemon.log()
    site.check_books()


def test_the_status_document_after_a_run(site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 2}, "duplicates": 1}})
    truth = portal.truth()
    with site.start() as daemon:
        unix = daemon.wait_syncs(1)
        tcp = daemon.status(tcp=True)
        for status in (unix, tcp):
            assert FROZEN <= status.keys() and ADDED <= status.keys()
            sync = status["last_sync"]
            assert FROZEN_SYNC <= sync.keys() and ADDED_SYNC <= sync.keys()
            assert status["status"] == "idle" and status["running"] is None and status["queue"] == []
            assert (status["total_syncs"], status["total_failures"]) == (1, 0)
            assert sync["status"] == "success" and sync["error"] is None
            assert sync["records_fetched"] == truth["records"]
            assert sync["records_inserted"] == truth["rows"]
            assert sync["records_duplicate"] == truth["duplicates"]
            assert sync["records_quarantined"] == truth["quarantined"]
            assert sync["records_updated"] == sync["records_unchanged"] == 0
            assert status["last_failure_at"] is None
            assert datetime.fromisoformat(status["last_success_at"]).tzinfo
            begin, end = (datetime.fromisoformat(sync[name]) for name in ("started_at", "finished_at"))
            assert 0 <= (end - begin).total_seconds() < 60
            assert abs(sync["duration_seconds"] - (end - begin).total_seconds()) < 1
            assert datetime.fromisoformat(status["next_run_at"]) > end
            assert status["newest_date"] == max(truth["dates"])
            assert status["stale"] is False and status["paused"] is False
            assert status["database"]["state"] == "up" and status["database"]["error"] is None
            assert status["lease"]["state"] == "holder" and status["lease"]["epoch"] >= 1
            assert (status["spool"]["ready"], status["spool"]["loaded"]) == (0, 1)
            assert 0 < status["spool"]["bytes"] < status["spool"]["limit_bytes"]
            dataset, = status["datasets"]
            assert dataset["name"] == "mandi_prices"
            assert {source["name"] for source in dataset["sources"]} == {"live", "history"}


def test_the_status_document_before_and_while_it_runs(site, portal):
    portal.control(faults=[{"kind": "slow", "seconds": 1}])
    site.live(page_size=200)
    with site.start() as daemon:
        status = daemon.wait_status(lambda status: status["status"] == "running")
        assert status["running"]["dataset"] == "mandi_prices" and status["running"]["source"] == "live"
        assert status["running"]["slice"] == "all" and status["running"]["run"] > 1_700_000_000_000
        assert status["total_syncs"] == 0 and status["last_sync"] is None
        assert status["last_success_at"] is None
        half = daemon.wait_status(lambda status: status["running"] and status["running"]["rows"] == 200)
        assert half["running"]["page"] == 1 and half["running"]["pages"] == 2
        daemon.wait_syncs(1)
    assert site.rows() == site.truth()


def test_text_etag_and_head(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        text = daemon.get("/sync/status?format=text").text
        assert "live" in text and "400" in text
        reply = daemon.get("/sync/status")
        again = daemon.get("/sync/status", headers={"If-None-Match": reply.headers["ETag"]})
        assert again.status == 304 and again.body == b""
        head = daemon.get("/sync/status", method="HEAD")
        assert head.status == 200 and head.body == b""
        wrong = daemon.get("/sync/status", method="DELETE")
        assert wrong.status == 405 and "GET" in wrong.headers["Allow"]
        assert daemon.get("/nothing").status == 404
        assert daemon.get("/sync/status", tcp=True, headers={"Host": "evil.example"}).status in (400, 403, 421)


def test_a_failed_run_in_the_status(site, portal):
    portal.control(faults=[{"kind": "502"}])
    with site.start() as daemon:
        status = daemon.wait_syncs(1)
        assert status["total_failures"] == 1 and status["last_success_at"] is None
        assert status["last_sync"]["status"] == "failed" and "502" in status["last_sync"]["error"]
        assert status["last_failure_at"] is not None
        assert " ERROR run.failed" in daemon.log()


def test_health(site, cluster):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        assert daemon.get("/livez").status == 200
        assert daemon.get("/readyz").status == 200
        assert "database" in daemon.get("/readyz?verbose").text
        cluster.stop()
        wait_until(lambda: daemon.get("/readyz").status == 503, 10, "/readyz to see it")
        assert daemon.get("/livez").status == 200
        assert "database" in daemon.get("/readyz?verbose").text
        status = daemon.status()
        assert status["database"]["state"] == "down" and status["database"]["error"]
        cluster.start()
        wait_until(lambda: daemon.get("/readyz").status == 200, 10, "/readyz to recover")
        assert daemon.status()["database"]["state"] == "up"


def test_metrics(site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        reply = daemon.get("/metrics", tcp=True)
        if reply.status == 404:
            return  # comes with a later release
        assert "ogdsync_" in reply.text


def test_runs_by_the_clock(site, portal):
    """`every: 1m` counts from the last run; here the spool remembers one long ago."""
    site.live(schedule=None, every="1m", on_start=True)
    with site.start() as daemon:
        status = daemon.wait_syncs(1)
        due = datetime.fromisoformat(status["next_run_at"])
        began = datetime.fromisoformat(status["last_sync"]["started_at"])
        assert 0 < (due - began).total_seconds() <= 61


def test_a_start_soon_after_a_run_does_not_repeat_it(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
    with site.start() as daemon:
        time.sleep(0.5)
        assert daemon.status()["status"] == "idle"
        assert len(site.runs()) == 1


def test_counters_live_on(site):
    with site.start() as daemon:
        before = daemon.wait_syncs(1)
    with site.start() as daemon:
        after = daemon.status()
        assert after["total_syncs"] >= 1
        assert after["last_success_at"] == before["last_success_at"]


def test_the_end_comes_soon_though_the_portal_stalls(site, portal):
    portal.control(faults=[{"kind": "stall"}])
    site.configure(portal={"request_timeout": "60s", "low_speed": "1KiB/60s"})
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["status"] == "running")
        wait_until(lambda: portal.requests("/resource"), 5, "the request")
        assert daemon.stop() < 5
        assert "STOPPING=1" in daemon.notified
    assert site.rows() == []
    portal.control(faults=[])
    site.sync()
    assert site.rows() == site.truth()
    site.check_books()


def test_the_end_comes_soon_in_the_middle_of_a_body(site, portal):
    portal.control(faults=[{"kind": "stall_body", "at": 0.5, "when": {"after": 2}}])
    site.live(page_size=100)
    site.configure(portal={"request_timeout": "60s", "low_speed": "1KiB/60s"})
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["running"] and status["running"]["rows"] >= 100)
        assert daemon.stop() < 5
    portal.control(faults=[])
    site.sync()
    assert site.rows() == site.truth()
    site.check_books()


def test_the_end_comes_soon_though_the_database_is_frozen(site, cluster):
    site.sync()
    with site.start() as daemon:
        wait_until(lambda: daemon.status()["database"]["state"] == "up", 10, "the database")
        cluster.freeze()
        try:
            assert daemon.stop() < 10.5
        finally:
            cluster.thaw()


def test_sigint_is_an_end_too(site):
    with site.start() as daemon:
        daemon.stop(signal.SIGINT)


def test_a_second_daemon_on_the_spool(site):
    with site.start() as daemon:
        site.configure(server={"listen": [f"unix:{site.folder}/other.sock"]})
        second = site.start(ready=False)
        with second:
            assert second.end() == TRY_AGAIN
            assert str(site.spool) in second.log() and f"pid {daemon.pid}" in second.log()
        done = site.once()
        assert done.code == TRY_AGAIN and f"pid {daemon.pid}" in done.err, done


def test_sighup_does_not_end_it(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        daemon.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert daemon.process.poll() is None
        assert daemon.status()["status"] in ("idle", "running")


def test_sighup_at_the_very_start_does_not_end_it(site):
    """From the first line of main() on."""
    with site.start(ready=False) as daemon:
        wait_until(lambda: daemon.handles(signal.SIGHUP), 5, "main() to begin")
        while "READY=1" not in daemon.notifications():
            daemon.process.send_signal(signal.SIGHUP)
            assert daemon.process.poll() is None


def test_a_thousand_sighups_are_a_few_reloads(site):
    with site.start() as daemon:
        for _ in range(1000):
            daemon.process.send_signal(signal.SIGHUP)
        assert daemon.stop() < 5
        assert daemon.log().count(" daemon.reload ") < 100


def test_a_schema_that_comes_later(bare):
    with bare.start() as daemon:
        status = daemon.wait_status(lambda status: status["database"]["state"] == "schema")
        assert "ogdsync schema apply" in status["database"]["error"]
        assert daemon.get("/readyz").status == 503
        bare.apply()
        daemon.wait_syncs(1)
    assert bare.rows() == bare.truth()


def test_many_sources_one_after_the_other(make_site):
    with Portal("--seed", 3, "--rows-per-day", 300, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        site.history(on_start=True)
        with site.start() as daemon:
            status = daemon.wait_syncs(2)
            assert status["total_failures"] == 0
        assert {run[:2] for run in site.runs()} == {("live", "success"), ("history", "success")}
        site.check_books()
