"""What a killed process had fetched is not fetched again, unless it is old or of other data."""

import os
import time

import pytest

from harness import days_back, wait_until

STALL_AT = 9  # the page that never ends while the daemon is to be killed


def parts(site):
    return [name for name in os.listdir(site.spool) if name.endswith(".part")]


def offsets(portal):
    """Those asked for since the kill."""
    calls = portal.requests("/resource")[STALL_AT:]
    return [int(call["query"].split("offset=")[1].split("&")[0]) for call in calls]


@pytest.fixture
def killed(site, portal):
    """A site whose daemon died in the middle of a day; how many pages it had."""
    site.only_history(page_size=20, slice={"lookback": "1d"}, on_start=True)
    site.configure(portal={"parallel": 1})
    portal.control(faults=[{"kind": "stall", "when": {"calls": [STALL_AT]}}])
    with site.start(ready=False) as daemon:
        wait_until(lambda: len(portal.requests("/resource")) >= STALL_AT, what="the page that stalls")
        daemon.kill()
    assert len(parts(site)) == 1
    return site


def check(site):
    day = days_back(1)[0]
    assert site.coverage("history", str(day))[0] in ("complete", "open")
    assert site.rows() == site.truth(live=False, days=[day])
    site.check_books()


def test_the_next_run_goes_on_behind_the_last_page(killed, portal):
    done = killed.once()
    assert done.code == 0, done
    assert "fetch.resumed" in done.err
    assert min(offsets(portal)) == (STALL_AT - 1) * 20, "nothing is asked for twice"
    assert parts(killed) == []
    check(killed)
    assert killed.query("SELECT state, count(*) FROM ogdsync.run_slice GROUP BY state") == [("proven", 1)]
    assert {run[1] for run in killed.runs()} == {"success"}


def test_the_running_daemon_goes_on_too(killed, portal):
    with killed.start() as daemon:
        daemon.wait_syncs(1)
        assert "fetch.resumed" in daemon.log()
    assert min(offsets(portal)) == (STALL_AT - 1) * 20
    assert parts(killed) == []
    check(killed)


@pytest.mark.parametrize("age, resumed", [(14 * 60, True), (16 * 60, False), (-60, False)])
def test_only_a_young_file_is_gone_on_with(killed, portal, age, resumed):
    name, = parts(killed)
    then = time.time() - age
    os.utime(killed.spool / name, (then, then))
    done = killed.once()
    assert done.code == 0, done
    assert ("fetch.resumed" in done.err) is resumed
    assert (min(offsets(portal)) == 0) is not resumed
    assert parts(killed) == []
    codes = killed.query("SELECT code FROM ogdsync.run_slice ORDER BY started_at")
    assert codes == ([(None,)] if resumed else [("interrupted",), (None,)])
    assert killed.query("SELECT id FROM ogdsync.run WHERE state = 'running'") == []
    check(killed)


def test_other_data_is_fetched_from_the_begin_and_the_old_pages_are_kept(killed, portal):
    portal.control(resources={"history": {"edition": 1}})
    done = killed.once()
    assert done.code == 0, done
    assert "fetch.resumed" in done.err
    assert offsets(portal)[:2] == [(STALL_AT - 1) * 20, 0]
    assert parts(killed) == []
    assert sorted(killed.query("SELECT state, code FROM ogdsync.run_slice"), key=repr) == [
        ("partial", "interrupted"), ("proven", None)]
    day = days_back(1)[0]
    assert killed.coverage("history", str(day))[0] in ("complete", "open")
    truth = set(killed.truth(live=False, days=[day]))
    assert len(set(killed.rows()) - truth) == (STALL_AT - 1) * 20
    assert truth < set(killed.rows())
    killed.check_books()


def test_what_no_run_asks_for_is_loaded_by_itself(killed, portal):
    """Its day is not due any more."""
    killed.history(schedule=None, on_start=False, every=None)
    with killed.start() as daemon:
        daemon.stop()
    assert len(parts(killed)) == 1, "it is young, and may be asked for yet"
    name, = parts(killed)
    os.utime(killed.spool / name, (1, 1))
    with killed.start():
        wait_until(lambda: killed.query("SELECT code FROM ogdsync.run_slice") == [("interrupted",)])
        wait_until(lambda: killed.runs() == [("history", "interrupted", "interrupted")])
    assert parts(killed) == []
    assert set(killed.rows()) < set(killed.truth(live=False, days=days_back(1)))
