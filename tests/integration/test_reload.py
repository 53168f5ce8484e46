"""The configuration anew while the daemon runs: by HTTP, by the command and by SIGHUP."""

import copy
import json
import os
import signal
import time

import pytest
import yaml
from harness import CONFIG, UNAVAILABLE, wait_until

SECOND_KEY = "second-key-of-the-portal"
TOKENS = "first-token-of-at-least-thirty-two-bytes", "other-token-of-at-least-thirty-two-bytes"


@pytest.fixture
def quiet(site):
    """Nothing runs by itself."""
    site.live(schedule=["0 0 1 1 *"], on_start=False)
    return site


def reload(daemon):
    return daemon.get("/sync/reload", method="POST")


def add_dataset(site, name):
    """Another dataset of the same resource, with tables of its own; its file."""
    other = copy.deepcopy(site.dataset)
    other.update(dataset=name, table=f"{name}.price")
    for lookup in other["lookups"].values():
        lookup["table"] = lookup["table"].replace("mandi.", f"{name}.")
    other["sources"].pop("history")
    file = site.dataset_file.parent / f"{name}.yaml"
    file.write_text(yaml.safe_dump(other, sort_keys=False))
    return file


def run_live(site):
    return site.cli("run", "--wait", "mandi_prices/live")


def in_force(daemon):
    return daemon.get("/sync/config").json


def test_what_changes_is_said_and_done(quiet, portal):
    with quiet.start() as daemon:
        assert daemon.status()["datasets"][0]["sources"][0]["next_run_at"][:10].endswith("-01-01")
        quiet.configure(portal={"requests_per_minute": 30000, "attempts": 3}, log={"level": "info"},
                        spool={"keep": "7d"})
        quiet.live(schedule=None, every="6h", page_size=100)
        reply = reload(daemon)
        assert reply.status == 202 and reply.headers["Location"] == "/sync/config"
        changes = reply.json["changes"]
        assert "portal.requests_per_minute: 60000 -> 30000" in changes
        assert "portal.attempts: 5 -> 3" in changes and "log.level: debug -> info" in changes
        assert "datasets.mandi_prices.sources.live.every: null -> 6h" in changes, changes
        assert "datasets.mandi_prices.sources.live.page_size: 1000 -> 100" in changes, changes
        for change in changes:
            option, _, values = change.partition(": ")
            old, _, new = values.partition(" -> ")
            assert any(f"option={option} " in line and line.count("config.changed") == 1
                       for line in daemon.log().splitlines()), (change, old, new)
        daemon.wait_status(lambda status: status["reload"] is None)
        assert in_force(daemon)["portal"]["requests_per_minute"] == 30000
        assert daemon.status()["datasets"][0]["sources"][0]["next_run_at"][:10] <= time.strftime(
            "%Y-%m-%d", time.localtime(time.time() + 86400))
        lines = daemon.log().count(" DEBUG ")
        assert run_live(quiet).code == 0
        assert daemon.log().count(" DEBUG ") == lines
        assert quiet.rows() == quiet.truth()
        pages = quiet.value("SELECT pages FROM ogdsync.run_slice")
        assert pages == 4
        assert reload(daemon).json["changes"] == []


def test_by_the_command(quiet, portal):
    with quiet.start() as daemon:
        quiet.configure(portal={"attempts": 4})
        done = quiet.cli("reload", "--wait")
        assert done.code == 0 and done.out == "portal.attempts: 5 -> 4\n" and done.err == "", done
        assert in_force(daemon)["portal"]["attempts"] == 4
        assert 'by="operator:uid=' in daemon.log() and "daemon.reloaded" in daemon.log()
    assert quiet.cli("reload").code == UNAVAILABLE


def test_a_wrong_file_changes_nothing(quiet, portal):
    with quiet.start() as daemon:
        before = in_force(daemon)
        quiet.configure(portal={"attempts": "many", "colour": "red"}, log={"level": "loud"})
        socket = f"--socket={quiet.socket}"
        done = quiet.cli(socket, "reload", "--wait")
        assert done.code == CONFIG and done.out == "", done
        for word in ("attempts", "colour", "loud"):
            assert sum(word in line for line in done.err.splitlines()) == 1, done
        reply = reload(daemon)
        assert reply.status == 422 and len(reply.json["problems"]) == 3
        assert all(f"{quiet.config_file}:" in line for line in reply.json["problems"])
        assert in_force(daemon) == before
        assert daemon.log().count("config.problem") == 6
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: daemon.log().count("daemon.reload_refused") == 3)
        assert run_live(quiet).code == CONFIG  # the command reads the file too
        quiet.configure(portal={"attempts": 4, "colour": None}, log={"level": "debug"})
        assert quiet.cli("reload", "--wait").code == 0
        assert run_live(quiet).code == 0


def test_what_needs_a_restart(quiet, portal, cluster):
    with quiet.start() as daemon:
        kept = copy.deepcopy(quiet.config)
        quiet.configure(server={"listen": [f"unix:{quiet.socket}"]}, spool={"directory": str(quiet.folder / "other")},
                        database={"dsn": cluster.dsn(quiet.database) + " application_name=x", "create_tables": True},
                        portal={"attempts": 2})
        reply = reload(daemon)
        assert reply.status == 422
        assert reply.json["problems"] == [f"{option}: needs restart" for option in (
            "server.listen", "spool.directory", "database.dsn", "database.create_tables")]
        assert in_force(daemon)["portal"]["attempts"] == 5
        quiet.config = kept
        quiet.configure()
        assert reload(daemon).json["changes"] == []


def test_sighup_also_opens_the_log_again(quiet, portal):
    log = quiet.folder / "sync.log"
    quiet.configure(log={"file": str(log)})
    with quiet.start() as daemon:
        wait_until(log.exists)
        os.rename(log, str(log) + ".1")
        quiet.configure(portal={"attempts": 4})
        daemon.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and "daemon.reloaded" in log.read_text())
        assert in_force(daemon)["portal"]["attempts"] == 4 and "by=SIGHUP" in log.read_text()


def test_a_slice_in_work_ends_under_the_old_file(quiet, portal):
    quiet.live(page_size=100)
    portal.control(faults=[{"kind": "slow", "seconds": 1}])
    with quiet.start() as daemon:
        number = daemon.get("/sync/run", method="POST", body=json.dumps({"dataset": "mandi_prices"})).json["run"]
        daemon.wait_status(lambda status: status["running"] and status["running"]["page"] >= 1)
        quiet.live(page_size=400)
        assert reload(daemon).status == 202
        assert daemon.status()["reload"] == "waiting"
        assert in_force(daemon)["datasets"]["mandi_prices"]["sources"]["live"]["page_size"] == 100
        assert quiet.cli("reload", "--wait").code == 0
        assert in_force(daemon)["datasets"]["mandi_prices"]["sources"]["live"]["page_size"] == 400
        wait_until(lambda: quiet.query("SELECT run, pages FROM ogdsync.run_slice") == [(number, 4)])
        portal.control(faults=[])
        assert run_live(quiet).code == 0
        assert [pages for pages, in quiet.query("SELECT pages FROM ogdsync.run_slice ORDER BY run")] == [4, 1]
        assert daemon.status()["total_syncs"] == 2
    quiet.check_books()


def test_a_newer_reload_takes_the_place_of_one_that_waits(quiet, portal):
    quiet.live(page_size=100)
    portal.control(faults=[{"kind": "slow", "seconds": 0.5}])
    with quiet.start() as daemon:
        assert daemon.get("/sync/run", method="POST", body=json.dumps({"dataset": "mandi_prices"})).status == 202
        daemon.wait_status(lambda status: status["running"] and status["running"]["page"] >= 1)
        for attempts in range(6, 9):
            quiet.configure(portal={"attempts": attempts})
            assert reload(daemon).json["changes"] == [f"portal.attempts: 5 -> {attempts}"]
        assert daemon.status()["reload"] == "waiting"
        daemon.wait_status(lambda status: status["reload"] is None)
        assert in_force(daemon)["portal"]["attempts"] == 8
        assert reload(daemon).json["changes"] == []  # with nothing to wait for
        daemon.wait_syncs(1)
        assert daemon.log().count("daemon.reloaded") == 2


def test_datasets_come_and_go(quiet, portal):
    with quiet.start() as daemon:
        assert run_live(quiet).code == 0
        before = daemon.status()["datasets"][0]
        file = add_dataset(quiet, "other")
        done = quiet.cli("reload", "--wait")
        assert done.code == 0 and "datasets.other: none -> " in done.out, done
        assert [dataset["name"] for dataset in daemon.status()["datasets"]] == ["mandi_prices", "other"]
        assert daemon.status()["datasets"][0] == before  # nothing was forgotten
        daemon.wait_status(lambda status: status["database"]["state"] == "schema")  # its tables are not there
        quiet.apply()
        daemon.wait_status(lambda status: status["database"]["state"] == "up")
        assert quiet.cli("run", "--wait", "other").code == 0
        assert quiet.value("SELECT count(*) FROM other.price") == quiet.value("SELECT count(*) FROM mandi.price")
        file.unlink()
        assert quiet.cli("reload", "--wait").code == 0
        assert [dataset["name"] for dataset in daemon.status()["datasets"]] == ["mandi_prices"]
        daemon.wait_status(lambda status: status["database"]["state"] == "up")
        assert run_live(quiet).code == 0
        assert daemon.status()["total_syncs"] == 3 and daemon.status()["total_failures"] == 0


def test_a_dataset_goes_while_it_runs(quiet, portal):
    portal.control(faults=[{"kind": "slow", "seconds": 1}])
    file = add_dataset(quiet, "aaa")
    quiet.apply()
    with quiet.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        for dataset in ("aaa", "mandi_prices"):
            assert daemon.get("/sync/run", method="POST", body=json.dumps({"dataset": dataset})).status == 202
        daemon.wait_status(lambda status: status["running"])
        file.unlink()
        assert reload(daemon).status == 202
        daemon.wait_status(lambda status: status["reload"] is None and not status["running"] and not status["queue"]
                           and status["database"]["state"] == "up")
        portal.control(faults=[])
        assert run_live(quiet).code == 0
        assert quiet.rows() == quiet.truth()


def test_secrets_change_without_being_told(quiet, portal):
    token = quiet.folder / "token"
    token.write_text(TOKENS[0])
    quiet.configure(server={"token_file": str(token)})
    with quiet.start() as daemon:
        quiet.variables["DATA_GOV_API_KEY"] = SECOND_KEY  # of the command; the daemon knows its own
        key = quiet.folder / "key"
        key.write_text(SECOND_KEY)
        token.write_text(TOKENS[1])
        quiet.configure(portal={"api_key": None, "api_key_file": str(key)})
        changes = reload(daemon).json["changes"]
        assert "portal.api_key: (hidden) -> (hidden)" in changes
        assert "server.token_file: (hidden) -> (hidden)" in changes
        daemon.wait_status(lambda status: status["reload"] is None)
        for text, status in zip(TOKENS, (401, 202)):
            reply = daemon.get("/sync/pause", tcp=True, method="POST", headers={"Authorization": f"Bearer {text}"})
            assert reply.status == status
        assert run_live(quiet).code == 0
        for secret in (SECOND_KEY, *TOKENS):
            assert secret not in daemon.log() and secret not in json.dumps(changes)


def test_again_and_again_while_it_works(quiet, portal):
    """Memory of what is not in force any more is given back."""
    with quiet.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        memory = []
        for n in range(60):
            quiet.live(page_size=100 + n)
            assert reload(daemon).status == 202
            daemon.get("/sync/run", method="POST", body=json.dumps({"dataset": "mandi_prices"}))
            if n in (29, 59):
                daemon.wait_status(lambda status: status["reload"] is None and not status["running"]
                                   and not status["queue"] and status["spool"]["ready"] == 0)
                memory.append(daemon.memory("VmRSS"))
        assert in_force(daemon)["datasets"]["mandi_prices"]["sources"]["live"]["page_size"] == 159
        assert memory[1] < memory[0] + 4096 or "ASAN_OPTIONS" in os.environ, memory
        assert daemon.status()["total_failures"] == 0
        assert quiet.rows() == quiet.truth()
    quiet.check_books()
