"""The log: few lines of a long failure, forms, a file that is rotated away, nobody who reads."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness import ROOT, UnixConnection, program, wait_until
from prometheus import parse

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+05:30 (ERROR|WARNING|NOTICE|INFO|DEBUG) ([a-z_]+\.[a-z_]+)( |$)")


def run(daemon, n, seconds=30):
    os.kill(daemon.pid, signal.SIGUSR1)
    return daemon.wait_syncs(n, seconds)


def count(log, event):
    return len(re.findall(rf"^\S+ \w+ {re.escape(event)}(?: |$)", log, re.M))


def test_a_portal_that_is_down_for_long_is_a_few_lines(site, portal):
    site.live(schedule=None, on_start=False)
    site.history(slice={"lookback": "19d"})
    site.configure(portal={"attempts": 4, "backoff": "1ms..2ms"}, log={"level": "info"})
    portal.control(faults=[{"kind": "502"}])
    runs, slices = 5, 19
    with site.start() as daemon:
        for n in range(runs):
            run(daemon, n + 1)
        log = daemon.log()
        asked = len(portal.requests())
        portal.control(faults=[])
        run(daemon, runs + 1)
        after = daemon.log()[len(log):]
    assert asked == runs * slices * 4, "each slice of each run was tried to the end"
    assert count(log, "run.failed") == runs, "a run that is lost is said each time"
    assert 1 <= count(log, "fetch.retry") <= 1 + asked // 60
    assert 1 <= count(log, "fetch.failed") <= 1 + runs * slices // 60
    assert re.search(r"fetch\.retry .*failures=60 ", log), "the number is said"
    assert len(log.splitlines()) < 10 + 6 * runs + asked // 30, log
    assert count(after, "fetch.recovered") == 1, after[:1500]
    assert count(after, "fetch.retry") == 0


def hang_up_on(path, n):
    """Stand in for a server that is gone, until it was asked so many times."""
    with socket.socket(socket.AF_UNIX) as server:
        server.settimeout(20)
        server.bind(path)
        server.listen()
        for _ in range(n):
            server.accept()[0].close()
    os.unlink(path)


def test_a_database_that_is_down_for_long_is_one_line(site):
    site.live(schedule=["0 3 1 1 *"], on_start=False)
    site.configure(database={"reconnect": "10ms..20ms"})
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["database"]["state"] == "up")
        site.cluster.stop()
        daemon.wait_status(lambda status: status["database"]["state"] == "down")
        os.kill(daemon.pid, signal.SIGUSR1)
        daemon.wait_status(lambda status: status["spool"]["ready"] == 1)
        hang_up_on(f"{site.cluster.folder}/.s.PGSQL.{site.cluster.port}", 50)
        site.cluster.start()
        daemon.wait_syncs(1)
        log = daemon.log()
    tries = int(re.search(r"database\.up after_failures=([1-9]\d*)", log).group(1))
    assert tries > 5
    reasons = set(re.findall(r"database\.down code=(\S+)", log))
    assert count(log, "database.down") <= len(reasons) + 1 + tries // 60, "once for each reason, not for each try"
    assert count(log, "load.retry") <= 1 and count(log, "lease.changed") <= 4
    assert count(log, "database.up") == 2


def test_lines_can_be_grepped(site, portal):
    portal.control(faults=[{"kind": "403"}])
    done = site.once()
    lines = [line for line in done.err.splitlines() if not line.startswith("\t")]
    assert lines and all(LINE.match(line) for line in lines), done
    grepped = subprocess.run(["grep", " ERROR "], input=done.err, capture_output=True, text=True, check=True).stdout
    assert {LINE.match(line).group(2) for line in grepped.splitlines()} == {"fetch.failed", "run.failed"}


def test_json_has_four_keys_first(site):
    site.configure(log={"format": "json"})
    done = site.once()
    documents = [json.loads(line) for line in done.err.splitlines()]
    assert len(documents) > 5
    for document in documents:
        assert list(document)[:4] == ["ts", "level", "event", "msg"]
        assert document["ts"].endswith("+05:30") and document["level"].isupper()
    loaded = [document for document in documents if document["event"] == "load.done"]
    assert loaded[0]["inserted"] == 400 and loaded[0]["source"] == "mandi_prices/live"


def test_a_log_file_is_rotated_away(site):
    """By logrotate with what is shipped, or, where it is not installed, by hand as it does it."""
    file = site.folder / "log" / "sync.log"
    file.parent.mkdir()
    site.live(schedule=["0 3 1 1 *"], on_start=False)
    site.configure(log={"file": str(file)})
    with site.start() as daemon:
        run(daemon, 1)
        before = file.read_text(encoding="utf-8")
        rotated = rotate(file, daemon.pid)
        wait_until(file.exists, 5, "a new file")
        run(daemon, 2)
        assert rotated.read_text(encoding="utf-8").startswith(before)
        both = rotated.read_text(encoding="utf-8") + file.read_text(encoding="utf-8")
        assert count(both, "run.done") == 2 and count(file.read_text(encoding="utf-8"), "run.done") == 1
        assert untimed(both) == untimed(daemon.log()), "no line is lost, and none is there twice"


def untimed(text):
    """The clock is read for each target."""
    return [line.partition(" ")[2] for line in text.splitlines()]


def rotate(file, pid):
    logrotate = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
    rotated = file.with_name("sync.log.1")
    if not logrotate:
        file.rename(rotated)
        os.kill(pid, signal.SIGHUP)
        return rotated
    shipped = (ROOT / "systemd" / "ogdsyncd.logrotate.in").read_text(encoding="utf-8")
    options = [line.strip() for line in shipped.splitlines() if line.strip() in
               ("missingok", "notifempty", "sharedscripts", "delaycompress", "compress")]
    config = file.with_name("logrotate.conf")
    config.write_text(f"{file} {{\n" + "\n".join(options) + f"\nrotate 3\nnocreate\nsu {os.getuid()} {os.getgid()}\n"
                      f"postrotate\nkill -HUP {pid}\nendscript\n}}\n", encoding="utf-8")
    subprocess.run([logrotate, "--force", "--state", file.with_name("state"), config], check=True, timeout=20)
    return rotated


@pytest.fixture
def unread(site):
    """A daemon whose stderr is a pipe that nobody reads."""
    site.live(schedule=["0 3 1 1 *"], on_start=False)
    site.history(slice={"lookback": "19d"}, page_size=10)
    with contextlib.ExitStack() as stack:
        process = subprocess.Popen([program("ogdsyncd"), "--config", str(site.config_file)], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, env=site.environment())
        stack.callback(process.wait, 10)
        stack.callback(process.kill)
        wait_until(site.socket.exists, 10, "the socket")
        yield process


def ask(site, path):
    with contextlib.closing(UnixConnection(site.socket)) as connection:
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def test_nobody_reads_and_nothing_waits(site, unread):
    wait_until(lambda: json.loads(ask(site, "/sync/status"))["lease"]["state"] == "holder", 10)
    os.kill(unread.pid, signal.SIGUSR1)
    dropped = ("ogdsync_log_dropped_lines_total", ())
    wait_until(lambda: parse(ask(site, "/metrics"))[dropped] > 0, 60, "the pipe to be full")
    wait_until(lambda: json.loads(ask(site, "/sync/status"))["total_syncs"] >= 2, 60, "the runs to end all the same")
    assert ask(site, "/livez") == "ok\n"
    text = b""
    while b"log.dropped" not in text:  # read again: the next line is followed by how many are missing
        text += os.read(unread.stderr.fileno(), 65536)
        os.kill(unread.pid, signal.SIGUSR1)
    assert re.search(rb"WARNING log\.dropped lines=[1-9]", text)
