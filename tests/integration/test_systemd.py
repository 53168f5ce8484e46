"""What the daemon and a service manager say to each other: words, signs of life, inherited sockets."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest
from harness import UnixConnection, free_port, program, wait_until


@pytest.fixture
def quiet(site):
    """Nothing runs by itself."""
    site.live(schedule=["0 0 1 1 *"], on_start=False)
    return site


def start(site, **variables):
    site.variables.update(variables)
    try:
        return site.start()
    finally:
        for name in variables:
            site.variables.pop(name)


def test_each_stage_has_its_line(quiet, portal):
    portal.control(faults=[{"kind": "slow", "seconds": 0.3}])
    with quiet.start() as daemon:
        assert quiet.cli("run", "--wait", "mandi_prices/live").code == 0
        lines = [line for line in daemon.notifications() if line.startswith("STATUS=")]
        for word in ("idle; last sync none yet", "fetching mandi_prices/live all", "loading; 1 slices wait",
                     "idle; last sync success"):
            assert any(word in line for line in lines), (word, lines)
        daemon.stop()
        assert daemon.notified[-3:] == ["STOPPING=1", "STATUS=stopping", "EXTEND_TIMEOUT_USEC=15000000"]


def test_nobody_reads_the_words(quiet, portal):
    """The queue of the socket is full: nothing waits for it, and READY comes when there is room."""
    folder = quiet.folder / "deaf"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        deaf.bind(str(folder / "notify"))
        os.chmod(folder / "notify", 0o666)
        filler.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                filler.sendto(b"x", deaf.getsockname())
        process = subprocess.Popen([program("ogdsyncd"), "--config", str(quiet.config_file)], stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL,
                                   env=quiet.environment(NOTIFY_SOCKET=str(folder / "notify"), WATCHDOG_USEC="300000"))
        try:
            wait_until(lambda: process.poll() is None and os.path.exists(quiet.socket))
            begin = time.monotonic()
            done = quiet.cli("run", "--wait", "mandi_prices/live", seconds=10)
            assert done.code == 0 and time.monotonic() - begin < 10, done
            deaf.settimeout(5)
            words = []
            while "READY=1" not in words:
                words.append(deaf.recv(4096).decode())
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait(10)


def test_signs_of_life(quiet, portal):
    with start(quiet, WATCHDOG_USEC="600000") as daemon:
        begin = len(daemon.notifications())
        time.sleep(1.5)
        signs = daemon.notifications()[begin:].count("WATCHDOG=1")
        assert 4 <= signs <= 9, signs
        daemon.process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        count = daemon.notifications().count("WATCHDOG=1")
        time.sleep(0.7)
        assert daemon.notifications().count("WATCHDOG=1") == count
        daemon.process.send_signal(signal.SIGCONT)
        wait_until(lambda: daemon.notifications().count("WATCHDOG=1") > count)
    with start(quiet, WATCHDOG_USEC="300000", WATCHDOG_PID="1") as daemon:  # not meant for us
        time.sleep(0.5)
        assert "WATCHDOG=1" not in daemon.notifications()


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd-socket-activate is not installed")
def test_inherited_sockets(quiet, portal):
    """They are used instead of `listen`, and stay when the daemon ends."""
    path, port = quiet.folder / "given.sock", free_port()
    command = ["systemd-socket-activate", "-l", str(path), "-l", f"127.0.0.1:{port}"]
    for name, value in quiet.environment().items():
        command.append(f"--setenv={name}={value}")
    with open(quiet.folder / "log", "wb") as log, subprocess.Popen(
            [*command, program("ogdsyncd"), "--config", str(quiet.config_file)], stdin=subprocess.DEVNULL,
            stderr=log, env=quiet.environment()) as process:
        try:
            wait_until(path.exists)
            connection = UnixConnection(path)
            connection.request("GET", "/livez")  # starts it
            assert connection.getresponse().read() == b"ok\n"
            connection.close()
            assert not os.path.exists(quiet.socket)
            with socket.create_connection(("127.0.0.1", port), timeout=5) as tcp:
                tcp.sendall(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n")
                assert tcp.recv(100).startswith(b"HTTP/1.")
            done = quiet.cli(f"--socket={path}", "pause")
            assert done.code == 0, done
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            assert path.exists()  # it is not ours to remove
        finally:
            process.kill()
    text = (quiet.folder / "log").read_text()
    assert f"address=unix:{path}" in text and f"address=127.0.0.1:{port}" in text and "by=" in text


def test_no_client_is_refused_over_a_restart(quiet, portal):
    """As systemd does it: who opened the sockets keeps them, and each daemon inherits them."""
    path = str(quiet.folder / "kept.sock")
    refused, answered, over = [], [], threading.Event()

    def ask():
        while not over.is_set():
            connection = UnixConnection(path, timeout=20)
            try:
                connection.request("GET", "/livez")
                answered.append(connection.getresponse().read())
            except (ConnectionRefusedError, FileNotFoundError) as error:
                refused.append(error)
            except OSError:
                pass  # it was being answered as the daemon ended
            finally:
                connection.close()

    def begin():
        return subprocess.Popen(
            ["/bin/bash", "-c", f'exec env LISTEN_FDS=1 LISTEN_PID=$$ "$@" 3<&{kept.fileno()}', "bash", program("ogdsyncd"),
             "--config", str(quiet.config_file)], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            pass_fds=[kept.fileno()], env=quiet.environment())

    with socket.socket(socket.AF_UNIX) as kept:
        kept.bind(path)
        kept.listen(128)
        client = threading.Thread(target=ask)
        client.start()
        try:
            for n in range(3):
                process = begin()
                count = len(answered)
                wait_until(lambda count=count: len(answered) > count + 20)
                process.send_signal(signal.SIGKILL if n == 1 else signal.SIGTERM)
                process.wait(10)
            process = begin()
            count = len(answered)
            wait_until(lambda: len(answered) > count + 20)
        finally:
            over.set()
            client.join(20)
            process.terminate()
            process.wait(10)
    assert refused == []
