"""ogdsync run, runs, pause, resume, cancel, against a running daemon."""

import json
import os
import pty
import subprocess
import threading

import pytest
from harness import TRY_AGAIN, UNAVAILABLE, days_back, program, wait_until

USAGE, NO_INPUT = 64, 66


@pytest.fixture
def quiet(site):
    """Nothing runs by itself."""
    site.live(schedule=["0 0 1 1 *"], on_start=False)
    site.history(schedule=None)
    return site


def test_run_and_wait(quiet, portal):
    with quiet.start() as daemon:
        done = quiet.cli("run", "--wait", "mandi_prices/live")
        assert done.code == 0 and done.err == "", done
        assert "success: received 400, new 400, changed 0" in done.out, done
        assert quiet.rows() == quiet.truth()
        done = quiet.cli("run", "--wait")  # those that have a schedule
        assert done.code == 0 and done.out.startswith("mandi_prices/live run ") and "unchanged 400" in done.out, done
        done = quiet.cli("run", "mandi_prices")
        assert done.code == 0 and done.out.startswith("mandi_prices run "), done
        daemon.wait_syncs(3)


def test_the_outcome_is_the_exit_code(quiet, portal):
    last, first = days_back(2)[0], days_back(3)[0]
    with quiet.start():
        portal.control(faults=[{"kind": "status", "status": 502}])
        done = quiet.cli("run", "--wait", "mandi_prices/live")
        assert done.code == UNAVAILABLE and " failed: " in done.out, done
        portal.control(faults=[])
        done = quiet.cli("run", "--wait", f"--from={first}", f"--to={last}", "mandi_prices")
        assert done.code == 0 and " success: received 800" in done.out, done
        assert quiet.rows() == quiet.truth(live=False, days=days_back(2, 3))
        for args, code, word in ((("nothing",), NO_INPUT, "nothing"), (("mandi_prices/x",), NO_INPUT, "x"),
                                 ((f"--from={first}", "mandi_prices"), USAGE, "--to"),
                                 (("--from=x", "--to=y", "mandi_prices"), USAGE, "from")):
            done = quiet.cli("run", *args)
            assert done.code == code and word in done.err, done


def test_without_the_database_it_does_not_wait(quiet, portal, cluster):
    with quiet.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        cluster.stop()
        done = quiet.cli("run", "--wait", "mandi_prices/live")
        assert done.code == TRY_AGAIN and "waits for the database" in done.err, done
        cluster.start()
        wait_until(lambda: quiet.rows() == quiet.truth())


def test_cancel_ends_who_waits(quiet, portal):
    portal.control(faults=[{"kind": "slow", "seconds": 30}])
    with quiet.start() as daemon:
        done = quiet.cli("cancel")
        assert done.code == TRY_AGAIN and "nothing runs" in done.err, done
        ended = []
        waiting = threading.Thread(target=lambda: ended.append(quiet.cli("run", "--wait", "mandi_prices/live")))
        waiting.start()
        status = daemon.wait_status(lambda status: status["running"])
        done = quiet.cli("run", "mandi_prices/live")
        assert done.code == TRY_AGAIN and "being run already" in done.err, done
        done = quiet.cli("cancel", "mandi_prices/live")
        assert done.code == 0 and done.out == f"run {status['running']['run']} is canceled\n", done
        waiting.join(10)
        assert ended[0].code == TRY_AGAIN and " canceled: " in ended[0].out, ended[0]


def test_pause_and_resume(quiet, portal):
    with quiet.start() as daemon:
        assert quiet.cli("pause").out == "the schedule is paused\n"
        assert daemon.status()["paused"] is True
        assert quiet.cli("resume").out == "the schedule goes on\n"
        done = quiet.cli("pause", "mandi_prices/live", "mandi_prices/none", "mandi_prices/history")
        assert done.code == NO_INPUT and "none" in done.err, done
        assert done.out == "mandi_prices/live is paused\nmandi_prices/history is paused\n"
        assert [source["paused"] for source in daemon.status()["datasets"][0]["sources"]] == [True, True]


def test_runs(quiet, portal):
    with quiet.start():
        assert quiet.cli("runs").out == ""
        portal.control(resources={"daily": {"bad": {"junk_price": 1}}})
        for _ in range(3):
            assert quiet.cli("run", "--wait", "mandi_prices/live").code == 0
        wait_until(lambda: len(quiet.runs()) == 3 and quiet.value("SELECT count(finished_at) FROM ogdsync.run") == 3)
        listed = json.loads(quiet.cli("runs", "--json").out)
        assert [run["state"] for run in listed["runs"]] == ["success"] * 3
        table = quiet.cli("runs", "--limit=2").out.splitlines()
        assert table[0].split() == ["RUN", "SOURCE", "STARTED", "STATE", "RECEIVED", "NEW", "CHANGED", "REFUSED", "BY",
                                    "WHY"]
        assert len(table) == 3 and table[1].split()[0] == str(listed["runs"][0]["id"])
        assert "mandi_prices/live" in table[1] and f"operator:uid={os.geteuid()}" in table[1]
        number = listed["runs"][2]["id"]
        one = quiet.cli("runs", str(number))
        assert one.code == 0 and "SLICE" in one.out and " proven " in one.out, one
        assert json.loads(quiet.cli("runs", str(number), "--json").out)["slice_list"][0]["slice"] == "all"
        for args, code in ((("1",), NO_INPUT), (("--limit=0",), USAGE), (("a&b",), USAGE), (("--source=x",), USAGE)):
            assert quiet.cli("runs", *args).code == code, args
    assert quiet.cli("runs").code == UNAVAILABLE


def test_a_bar_on_a_terminal(quiet, portal):
    portal.control(faults=[{"kind": "slow", "seconds": 0.8}])
    quiet.live(page_size=100)
    with quiet.start():
        main, side = pty.openpty()
        with subprocess.Popen([program("ogdsync"), "--config", str(quiet.config_file), "run", "--wait",
                               "mandi_prices/live"], stdout=subprocess.PIPE, stderr=side,
                              env=quiet.environment(TERM="xterm")) as process:
            os.close(side)
            seen = b""
            try:
                while part := os.read(main, 4096):
                    seen += part
            except OSError:  # the other end is closed
                pass
            out = process.stdout.read()
        os.close(main)
    assert process.returncode == 0 and b" success: " in out
    assert b"mandi_prices/live all  [" in seen and b" of 4" in seen, seen
    assert seen.endswith(b"\r") or seen.endswith(b"\x1b[K"), seen[-40:]
