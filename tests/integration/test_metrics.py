"""GET /metrics: the shape that Prometheus wants, and numbers that are true."""

import json
import os
import re
import shutil
import signal
import time
from datetime import datetime

import pytest
import yaml

from harness import INDIA, ROOT, today, wait_until
from prometheus import Metrics, promtool

LIVE = {"dataset": "mandi_prices", "source": "live"}
KINDS = ("inserted", "updated", "unchanged", "duplicate", "quarantined")


def midnight(day):
    return datetime(day.year, day.month, day.day, tzinfo=INDIA).timestamp()


def sync_again(daemon, n):
    os.kill(daemon.pid, signal.SIGUSR1)
    return daemon.wait_syncs(n)


@pytest.fixture
def shipped(site):
    """The three datasets as they are shipped: nothing is due."""
    for name in ("air_quality", "mandi_prices", "pincode_directory"):
        shutil.copy(ROOT / "conf" / "datasets.d" / f"{name}.yaml", site.dataset_file.parent)
    file = site.dataset_file.parent / "air_quality.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("on_start: true", "on_start: false"), encoding="utf-8")
    return site


def test_what_is_shipped_has_few_series_and_promtool_likes_them(shipped):
    with shipped.start() as daemon:
        metrics = Metrics(daemon)
    assert metrics.content_type == "text/plain; version=0.0.4; charset=utf-8"
    sources = {labels for name, labels in metrics.series if name == "ogdsync_source_last_attempt_timestamp_seconds"}
    assert len(sources) == 4
    print(f"{len(metrics.series)} series of 4 sources")
    assert len(metrics.series) < 120
    checked = promtool("check", "metrics", input=metrics.text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert metrics("ogdsync_build_info") == 1
    assert metrics("ogdsync_source_newest_data_timestamp_seconds", dataset="air_quality") == 0
    assert metrics.sum("ogdsync_runs_total") == metrics.sum("ogdsync_rows_total") == 0


def test_rules_and_dashboard_name_what_is_exported(shipped):
    with shipped.start() as daemon:
        metrics = Metrics(daemon)
    dashboard = json.loads((ROOT / "conf" / "grafana" / "ogdsync.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [variable["query"]["query"] for variable in dashboard["templating"]["list"] if variable["type"] == "query"]
    rules = yaml.safe_load((ROOT / "conf" / "prometheus" / "ogdsync.rules.yml").read_text(encoding="utf-8"))
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    named = {name for text in asked for name in re.findall(r"\b(?:ogdsync|process)_\w+", text)}
    assert len(named) > 25
    assert named - metrics.names() == set()
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places) == len({panel["id"] for panel in dashboard["panels"]})


def test_numbers_are_those_of_the_books(site, portal):
    site.live(schedule=["0 3 * * *"], on_start=False)
    begin = time.time()
    with site.start() as daemon:
        before = Metrics(daemon)
        assert before("ogdsync_source_last_attempt_timestamp_seconds", **LIVE) == 0
        sync_again(daemon, 1)
        first = Metrics(daemon)
        sync_again(daemon, 2)
        second = Metrics(daemon)
    assert set(before.series) == set(first.series) == set(second.series), "no series comes later"
    booked = site.query("SELECT sum(received), sum(inserted), sum(updated), sum(unchanged), sum(duplicate),"
                        " sum(quarantined) FROM ogdsync.run_slice")[0]
    assert booked[0] > 0
    assert second("ogdsync_rows_received_total", **LIVE) == booked[0]
    assert tuple(second("ogdsync_rows_total", **LIVE, kind=kind) for kind in KINDS) == booked[1:]
    assert second.sum("ogdsync_rows_total") == second.sum("ogdsync_rows_received_total")
    assert second("ogdsync_runs_total", **LIVE, state="success") == 2
    assert second.sum("ogdsync_runs_total") == second("ogdsync_run_duration_seconds_count") == 2
    assert first("ogdsync_source_newest_data_timestamp_seconds", **LIVE) == midnight(today())
    assert second("ogdsync_portal_requests_total", outcome="ok") == len(portal.requests())
    assert second.sum("ogdsync_portal_requests_total") == second("ogdsync_portal_request_duration_seconds_count")
    assert second("ogdsync_portal_received_bytes_total") > 1000
    # Four times, each of its own: the second run brought nothing new.
    new = "ogdsync_source_last_new_data_timestamp_seconds"
    assert begin < first("ogdsync_source_last_attempt_timestamp_seconds", **LIVE) <= first(new, **LIVE)
    assert second(new, **LIVE) == first(new, **LIVE)
    success = "ogdsync_source_last_success_timestamp_seconds"
    assert first(success, **LIVE) < second("ogdsync_source_last_attempt_timestamp_seconds", **LIVE)
    assert second("ogdsync_source_last_attempt_timestamp_seconds", **LIVE) <= second(success, **LIVE) <= time.time()
    assert second("ogdsync_database_up") == second("ogdsync_lease_held") == 1
    assert second("ogdsync_spool_files", state="loaded") == 2
    assert second("ogdsync_spool_bytes") > 0 == second("ogdsync_spool_unloaded_bytes")


def test_numbers_survive_a_restart(site):
    site.live(schedule=["0 3 * * *"], on_start=False)
    with site.start() as daemon:
        sync_again(daemon, 1)
        before = Metrics(daemon)
    with site.start() as daemon:
        after = Metrics(daemon)
        for key, value in before.series.items():
            if key[0].startswith(("ogdsync_source", "ogdsync_rows", "ogdsync_runs_total")):
                assert after.series[key] == value, key
        assert after.sum("ogdsync_portal_requests_total") == 0, "of this process"
        assert after("process_start_time_seconds") > before("process_start_time_seconds")
        sync_again(daemon, 2)
        again = Metrics(daemon)
        assert again("ogdsync_runs_total", **LIVE, state="success") == 2
        assert again("ogdsync_rows_received_total", **LIVE) == 2 * before("ogdsync_rows_received_total", **LIVE)


def test_failures_show(site, portal):
    site.live(schedule=["0 3 * * *"], on_start=False)
    site.configure(portal={"attempts": 2, "breaker": {"after": 4, "probe": "1h"}})
    portal.control(faults=[{"kind": "502"}])
    with site.start() as daemon:
        sync_again(daemon, 1)
        one = Metrics(daemon)
        assert one("ogdsync_portal_breaker_open") == 0
        sync_again(daemon, 2)
        two = Metrics(daemon)
    assert one("ogdsync_runs_total", **LIVE, state="failed") == 1
    assert two("ogdsync_source_consecutive_failures", **LIVE) == 2
    assert two("ogdsync_portal_requests_total", outcome="server_error") == 4
    assert two("ogdsync_portal_breaker_open") == 1
    assert two("ogdsync_source_last_success_timestamp_seconds", **LIVE) == 0
    portal.control(faults=[])
    site.configure(portal={"breaker": {"after": 1000, "probe": "1s"}})
    with site.start() as daemon:
        metrics = Metrics(daemon)
        assert metrics("ogdsync_source_consecutive_failures", **LIVE) == 2
        wait_until(lambda: sync_again(daemon, 3)["last_sync"]["status"] == "success", 10, "the portal to be probed")
        metrics = Metrics(daemon)
        assert metrics("ogdsync_source_consecutive_failures", **LIVE) == 0
        assert metrics("ogdsync_portal_breaker_open") == 0


def test_it_answers_while_the_database_is_down(site):
    site.cluster.stop()
    with site.start() as daemon:
        sync_again_without_end(daemon)
        metrics = Metrics(daemon)
        assert metrics("ogdsync_database_up") == 0
        assert metrics("ogdsync_spool_files", state="ready") == 1
        assert metrics("ogdsync_spool_unloaded_bytes") == metrics("ogdsync_spool_bytes") > 0
        assert metrics.sum("ogdsync_rows_received_total") == 0, "nothing is committed"
        site.cluster.start()
        daemon.wait_syncs(1)
        metrics = Metrics(daemon)
        assert metrics("ogdsync_database_up") == 1
        assert metrics.sum("ogdsync_rows_received_total") > 0


def sync_again_without_end(daemon):
    os.kill(daemon.pid, signal.SIGUSR1)
    daemon.wait_status(lambda status: status["spool"]["ready"] == 1, what="a file that waits")


def test_a_dataset_grows_stale_and_fresh_again(site):
    site.live(schedule=["0 3 * * *"], on_start=False)
    with site.start() as daemon:
        sync_again(daemon, 1)
        assert Metrics(daemon)("ogdsync_dataset_stale") == 0
    file = site.spool / "state.json"
    state = json.loads(file.read_text())
    state["datasets"][0]["newest_day"] -= 3  # 24:00 of that day was more than 36 h ago
    file.write_text(json.dumps(state, separators=(",", ":"), ensure_ascii=False) + "\n")
    site.cluster.stop()  # it knows of a newer one
    with site.start() as daemon:
        assert Metrics(daemon)("ogdsync_dataset_stale", dataset="mandi_prices") == 1
        assert daemon.status()["datasets"][0]["stale"] is True
        site.cluster.start()
        sync_again(daemon, 2)
        assert Metrics(daemon)("ogdsync_dataset_stale") == 0
