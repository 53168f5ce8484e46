"""A spool that is full or on a bad disk: fetching waits, nothing that was whole is dropped, and it goes on."""

import errno
import os
import re
import signal

import pytest

from harness import days_back, ready_files, wait_until

FAULT_LIBRARY = os.path.join(os.environ.get("OGDSYNC_BIN_DIR", ""), "tests", "integration", "disk-fault.so")
DAYS, ROWS = 6, 18000  # max_bytes is 1 MiB at least


def size_of(site, ending):
    return sum(entry.stat().st_size for entry in os.scandir(site.spool) if entry.name.endswith(ending))


def all_days(site):
    site.portal.control(resources={"history": {"rows": ROWS}})
    site.only_history(on_start=True, page_size=6000, slice={"lookback": f"{DAYS}d"})
    return site.truth(live=False, days=days_back(*range(1, DAYS + 1)))


def measure(site):
    """The bytes of all files of a whole sync, loaded."""
    site.sync()
    return size_of(site, ".loaded")


def test_full_while_the_database_is_down(site, make_site, portal, cluster):
    all_days(site)
    bytes_of_all = measure(site)
    other = make_site(portal)
    other.apply()
    truth = all_days(other)
    other.configure(spool={"max_bytes": f"{bytes_of_all // 2048}KiB"}, portal={"backoff": "100ms..400ms"})
    cluster.stop()
    with other.start() as daemon:
        wait_until(lambda: "spool_full" in daemon.log(), 20, "the spool to be full")
        kept = set(ready_files(other)[0])
        assert 0 < len(kept) < DAYS
        status = daemon.status()
        assert status["running"] and status["spool"]["bytes"] <= status["spool"]["limit_bytes"]
        before = daemon.log().count("code=spool_full")
        portal_calls = len(portal.requests("/resource"))
        daemon.process.send_signal(signal.SIGUSR1)
        assert daemon.get("/livez").status == 200
        wait_until(lambda: daemon.status()["running"], 2)
        assert daemon.log().count("code=spool_full") <= before + 1, "said once"
        assert len(portal.requests("/resource")) <= portal_calls + 2, "the portal is not asked for what has no place"
        assert kept <= set(ready_files(other)[0]), "what waits for the database is not dropped"
        cluster.start()
        daemon.wait_status(lambda status: status["spool"]["ready"] == 0 and status["status"] == "idle", 40)
    assert other.rows() == truth
    assert {state for _, state, _ in other.runs()} == {"success"}
    other.check_books()


def test_the_oldest_loaded_files_go_first(site):
    truth = all_days(site)
    bytes_of_all = measure(site)
    seen = ready_files(site)[1]
    site.configure(spool={"max_bytes": f"{bytes_of_all * 3 // 2048}KiB"})
    site.sync()
    ready, loaded = ready_files(site)
    assert ready == [] and size_of(site, "") <= bytes_of_all * 2
    runs = sorted({int(name.split("-")[0]) for name in loaded})
    kept_of_first = [name for name in loaded if name in seen]
    assert len(kept_of_first) < DAYS and len([name for name in loaded if int(name.split("-")[0]) == runs[-1]]) == DAYS
    assert site.rows() == truth
    site.check_books()


@pytest.mark.parametrize("call, ending", [("open", ".part"), ("write", ".part"), ("sync", ".part"), ("rename", ".ready"),
                                          ("rename", ".loaded"), ("sync", "state.json.tmp"), ("rename", "state.json")],
                         ids=lambda value: value.strip("."))
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_the_disk_fails_for_a_while(site, portal, tmp_path, call, ending, error):
    """It is said, nothing ends, and the next run brings all."""
    site.live(page_size=100, on_start=False)
    site.configure(portal={"attempts": 3, "backoff": "50ms..200ms"})
    switch = tmp_path / "fails"
    site.variables.update(OGDSYNC_FAULT=f"{error} {call} {ending} 0", OGDSYNC_FAULT_FILE=str(switch),
                          LD_PRELOAD=FAULT_LIBRARY)
    with site.start() as daemon:
        wait_until(lambda: daemon.status()["lease"]["state"] == "holder")
        switch.touch()
        daemon.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: re.search(r" (fetch\.(retry|failed)|load\.retry|state\.unwritten) ", daemon.log()), 20,
                   "something to be said")
        assert daemon.get("/livez").status == 200
        switch.unlink()
        daemon.wait_status(lambda status: status["status"] == "idle" and not status["queue"], 30)
        daemon.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: " state=success " in daemon.log(), 20, "a run that brings all")
        # A name that could not be changed to .loaded is tried again after a minute, or at the next start.
        left = 1 if ending == ".loaded" else 0
        daemon.wait_status(lambda status: status["status"] == "idle" and status["spool"]["ready"] == left, 20)
    assert site.rows() == site.truth()
    site.check_books()
    for name in ("OGDSYNC_FAULT", "LD_PRELOAD"):
        site.variables.pop(name)
    site.sync()
    assert site.rows() == site.truth() and ready_files(site)[0] == []
