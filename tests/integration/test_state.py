"""What is in no database survives the process: counters, the breaker, run ids, the newest date."""

import json
import os
import signal

from harness import today


def saved(site):
    return json.loads((site.spool / "state.json").read_text())


def wait_saved(daemon, site, condition):
    """The first write may come after READY."""
    daemon.wait_status(lambda _: (site.spool / "state.json").exists() and condition(saved(site)), what="state.json")


def test_counters_survive_kill_and_restart(site):
    site.live(schedule=["0 3 * * *"], on_start=True)
    with site.start() as daemon:
        before = daemon.wait_syncs(1)
        newest = before["newest_date"]
        wait_saved(daemon, site, lambda state: state["counts"]["syncs"] == 1)
        daemon.kill()
    assert newest == str(today())
    with site.start() as daemon:
        after = daemon.status()
        assert after["total_syncs"] == 1 and after["total_failures"] == 0
        assert after["last_sync"] == before["last_sync"]
        assert after["last_success_at"] == before["last_success_at"]
        assert after["newest_date"] == newest
        assert after["datasets"][0]["sources"][0]["total_syncs"] == 1
        assert after["status"] == "idle", "on_start is not due again so soon"
        last = saved(site)["last_run"]
    site.sync()
    state = saved(site)
    assert state["counts"]["syncs"] == 2
    assert state["last_run"] > last
    assert len({run for run, in site.query("SELECT id FROM ogdsync.run")}) == 2


def test_the_breaker_survives_kill_and_restart(site, portal):
    site.configure(portal={"breaker": {"after": 3, "probe": "1h"}, "attempts": 20})
    portal.control(faults=[{"kind": "502"}])
    with site.start() as daemon:
        wait_saved(daemon, site, lambda state: state["breaker"]["phase"] == "open")
        daemon.kill()
    asked = len(portal.requests())
    with site.start() as daemon:
        ended = daemon.status()["total_syncs"]
        os.kill(daemon.pid, signal.SIGUSR1)
        daemon.wait_syncs(ended + 1)
        assert saved(site)["breaker"]["phase"] == "open"
        assert daemon.status()["last_sync"]["status"] == "failed"
    assert len(portal.requests()) == asked, "nothing is asked while it is open"


def test_a_damaged_file_is_no_obstacle(site):
    site.sync()
    (site.spool / "state.json").write_bytes(b'{"version":1,"last_run"')
    site.sync()
    assert saved(site)["counts"]["syncs"] == 1
    (site.spool / "state.json").write_bytes(b'{"version":1,"last_run"')
    done = site.once()
    assert " WARNING " in done.err or "level=warning" in done.err.lower(), done
    assert "state.unreadable" in done.err and "it is not as it was written" in done.err
    (site.spool / "state.json").unlink()
    assert "state.missing" in site.once().err
