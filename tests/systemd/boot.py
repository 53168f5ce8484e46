#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unit in a systemd that was really booted: in a container on an overlay of this machine's own root.

    boot.py BUILD_ROOT UNIT

Starts it, kills it, freezes it, reloads it with a good and a bad file, restarts it under clients that
never stop asking, and stops it. There is no database and no portal, which the service does not need
to be up. Needs root, systemd-nspawn and overlayfs; exits 77 (skipped) without.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SKIPPED = 77
SOCKET = "/run/ogdsync/ogdsync.sock"
DROP_IN = "[Service]\nWatchdogSec=2s\nRestartSec=200ms\n"
CONFIG = """\
portal: {{base_url: "http://127.0.0.1:9", api_key: a-key-of-nobody-0123456789, attempts: {attempts}}}
database: {{dsn: "host=/nowhere dbname=none"}}
"""
CLIENT = f"while :; do curl -s -m 20 -o /dev/null --unix-socket {SOCKET} http://localhost/livez; echo $?; done"


def skip(why):
    print(why)
    sys.exit(SKIPPED)


def wait_until(condition, seconds, what):
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


class Machine:
    """A booted container whose root is `folder`/m, an overlay: nothing is written to this machine."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.root = self.folder / "m"
        self.process = None
        self.leader = None

    def __enter__(self):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", self.folder], check=False).returncode:
            skip("no tmpfs can be mounted")
        for name in ("u", "w", "m"):
            (self.folder / name).mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "overlay", "overlay", "-o",
             f"lowerdir=/,upperdir={self.folder}/u,workdir={self.folder}/w", self.root], check=False)
        if mounted.returncode:
            self.unmount()
            skip("no overlay can be mounted")
        return self

    def __exit__(self, *_error):
        try:
            if self.process and self.process.poll() is None:
                with contextlib.suppress(subprocess.SubprocessError):
                    self.inside("systemctl", "poweroff", check=False)
                    self.process.wait(15)
        finally:
            if self.process and self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)
            self.unmount()
            for name in ("payload/init.scope", "payload", "supervisor"):
                for tree in ("systemd", "unified"):
                    with contextlib.suppress(OSError):
                        os.rmdir(f"/sys/fs/cgroup/{tree}/{name}")

    def unmount(self):
        for place in (self.root, self.folder):
            subprocess.run(["umount", "-l", place], check=False, stderr=subprocess.DEVNULL)

    def write(self, path, text):
        """Through the overlay, so that a machine that runs sees it too."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def boot(self):
        console = open(self.folder / "console", "wb")  # noqa: SIM115 as long as the machine
        self.process = subprocess.Popen(
            ["systemd-nspawn", "-q", "-D", str(self.root), "--boot", "--register=no", "--keep-unit", "--private-network",
             "--machine=ogdsync-test", "--console=pipe", "systemd.unit=basic.target"], stdin=subprocess.DEVNULL,
            stdout=console, stderr=console)
        self.leader = wait_until(self._find_leader, 15, "the machine's first process")
        wait_until(lambda: self.out("systemctl", "is-system-running") in ("running", "degraded"), 20, "the boot")

    def _find_leader(self):
        if self.process.poll() is not None:
            skip("systemd-nspawn cannot boot here: " + (self.folder / "console").read_text(errors="replace")[-400:])
        found = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", "systemd"], check=False,
                               capture_output=True, text=True).stdout.split()
        return found[0] if found else None

    def command(self, *words):
        return ["nsenter", "-t", self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "--", *words]

    def inside(self, *words, check=True):
        done = subprocess.run(self.command(*words), check=False, capture_output=True, text=True, timeout=30)
        assert not check or done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}{self.log()}"
        return done

    def out(self, *words):
        return self.inside(*words, check=False).stdout.strip()

    def show(self, name, unit="ogdsyncd"):
        return self.out("systemctl", "show", "--value", "-p", name, unit)

    def log(self):
        return subprocess.run(self.command("journalctl", "-u", "ogdsyncd", "--no-pager", "-n", "40"), check=False,
                              capture_output=True, text=True).stdout

    def is_up_after(self, pid):
        """Active again, as another process."""
        now = self.show("MainPID")
        return now if self.show("ActiveState") == "active" and now not in ("0", pid) else None


@contextlib.contextmanager
def said_on_failure(machine):
    try:
        yield
    except AssertionError:
        if machine.leader:
            print(machine.out("systemctl", "status", "--no-pager", "ogdsyncd", "ogdsyncd.socket"))
            print(machine.log())
        raise


@contextlib.contextmanager
def clients(machine, *broken):
    """Ask without end: each is answered, or curl exits with one of `broken`."""
    codes = []
    with subprocess.Popen(machine.command("bash", "-c", CLIENT), stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as asking:
        yield codes
        time.sleep(0.2)
        os.killpg(asking.pid, signal.SIGTERM)
        codes += asking.stdout.read().split()
    assert len(codes) > 5 and set(codes) <= {"0", *broken}, f"a client was refused: {codes}"


def install(build, unit, machine):
    """As `meson install` does, with a configuration."""
    subprocess.run(["meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", str(machine.root)],
                   check=True, stdout=subprocess.DEVNULL)
    config = re.search(r"--config (\S+)", unit.read_text()).group(1)
    user = re.search(r"(?m)^User=(\S+)", unit.read_text()).group(1)
    machine.write(config, CONFIG.format(attempts=5))
    for file in (machine.root / config.lstrip("/")).parent.glob("datasets.d/*.yaml"):
        file.write_text(file.read_text().replace("on_start: true", "on_start: false"))
    machine.write("/etc/systemd/system/ogdsyncd.service.d/test.conf", DROP_IN)
    return config, user


def check_start(machine, user):
    machine.inside("systemctl", "start", "ogdsyncd")
    assert machine.show("ActiveState", "ogdsyncd.socket") == "active"
    wait_until(lambda: machine.show("StatusText") == "idle; database down", 5, "the status line")
    assert machine.out("stat", "-c", "%G %a", SOCKET) == f"{user} 660"
    assert machine.out("curl", "-s", "--unix-socket", SOCKET, "http://localhost/livez") == "ok"


def check_kill(machine):
    pid = machine.show("MainPID")
    # kill -9 breaks the connections that stand; one that was not asked yet is 7 to curl.
    with clients(machine, "52", "56", "7"):
        machine.inside("kill", "-9", pid)
        wait_until(lambda: machine.is_up_after(pid), 10, "the next process")
    assert machine.show("NRestarts") == "1"


def check_watchdog(machine):
    pid = machine.show("MainPID")
    machine.inside("kill", "-STOP", pid)
    wait_until(lambda: machine.is_up_after(pid), 15, "the watchdog")
    assert "Watchdog timeout" in machine.out("journalctl", "-u", "ogdsyncd", "--no-pager")


def check_reload(machine, config):
    pid = machine.show("MainPID")
    machine.write(config, CONFIG.format(attempts=7))
    machine.inside("systemctl", "reload", "ogdsyncd")
    asked = machine.out("curl", "-s", "--unix-socket", SOCKET, "http://localhost/sync/config")
    assert json.loads(asked)["portal"]["attempts"] == 7
    machine.write(config, CONFIG.format(attempts="many"))
    assert machine.inside("systemctl", "reload", "ogdsyncd", check=False).returncode != 0
    said = machine.out("journalctl", "-u", "ogdsyncd", "--no-pager")
    assert "status=78" in said and f"{config}:1:" in said and "attempts" in said
    assert machine.show("ActiveState") == "active" and machine.show("MainPID") == pid
    machine.write(config, CONFIG.format(attempts=5))


def check_restart(machine):
    with clients(machine):
        for _ in range(3):
            machine.inside("systemctl", "restart", "ogdsyncd")


def check_journal(machine):
    entries = [json.loads(line) for line in machine.out("journalctl", "-u", "ogdsyncd", "-o", "json").splitlines()]
    ready = [entry for entry in entries if entry.get("OGDSYNC_EVENT") == "daemon.ready"]
    assert len(ready) >= 6 and all(entry["PRIORITY"] == "5" and entry["OGDSYNC_VERSION"] for entry in ready)
    assert not any("a-key-of-nobody" in str(entry) for entry in entries)


def check_explained(machine):
    """journalctl -x knows what the events mean."""
    machine.inside("journalctl", "--update-catalog")
    said = machine.out("journalctl", "-x", "-u", "ogdsyncd", "--no-pager")
    assert "Subject: ogdsyncd is ready" in said and "Subject: The database is down" in said
    assert "@OGDSYNC_" not in said


def unit_in_doctor(machine):
    """What `ogdsync doctor` finds of the unit and of the daemon."""
    done = machine.inside("ogdsync", "doctor", "--json", check=False)
    found = {finding["check"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["daemon"]["status"] == "warning" and found["database"]["status"] == "critical", found
    return found["unit"]["status"], found["unit"]["text"]


def check_doctor(machine):
    assert unit_in_doctor(machine) == ("warning", "ogdsyncd.service runs, and will not after a reboot")
    machine.inside("systemctl", "enable", "ogdsyncd")
    assert unit_in_doctor(machine) == ("ok", "ogdsyncd.service is enabled and active")


def check_stop(machine):
    machine.inside("systemctl", "stop", "ogdsyncd.socket", "ogdsyncd")
    assert machine.show("ActiveState") == "inactive" and machine.show("Result") == "success"
    assert machine.show("ExecMainStatus") == "0"
    assert machine.inside("test", "-e", SOCKET, check=False).returncode != 0


def main():
    build, unit = sys.argv[1], Path(sys.argv[2])
    if os.geteuid() != 0:
        skip("this needs root")
    for tool in ("systemd-nspawn", "nsenter", "pgrep", "curl", "meson"):
        if not shutil.which(tool):
            skip(f"{tool} is not installed")
    with tempfile.TemporaryDirectory(prefix="ogdsync-boot-") as folder, Machine(folder) as machine, \
            said_on_failure(machine):
        config, user = install(build, unit, machine)
        machine.boot()
        machine.inside("systemd-sysusers")
        check_start(machine, user)
        check_kill(machine)
        check_watchdog(machine)
        check_reload(machine, config)
        check_restart(machine)
        check_journal(machine)
        check_explained(machine)
        check_doctor(machine)
        check_stop(machine)
        assert unit_in_doctor(machine) == ("warning", "ogdsyncd.service is inactive")


if __name__ == "__main__":
    main()
