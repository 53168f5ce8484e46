"""Two daemons on one database never both write: a lease with an epoch decides, in each transaction."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from harness import TRY_AGAIN, Site, days_back, ready_files, wait_until
from pgproxy import Proxy

LEASE_SECONDS = 15
BOUNCER = "/usr/sbin/pgbouncer"


class Bouncer:
    """A real PgBouncer in transaction mode before the cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.folder = tempfile.mkdtemp(prefix="ogdsync-bouncer-")
        ini = Path(self.folder, "pgbouncer.ini")
        ini.write_text(
            f"[databases]\n* = host={cluster.folder} port={cluster.port}\n"
            f"[pgbouncer]\nlisten_addr =\nlisten_port = {cluster.port}\nunix_socket_dir = {self.folder}\n"
            f"auth_type = trust\nauth_file = {self.folder}/users\npool_mode = transaction\ndefault_pool_size = 3\n",
            encoding="ascii")
        Path(self.folder, "users").write_text('"loader" ""\n"owner" ""\n', encoding="ascii")
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        os.chmod(self.folder, 0o755)
        self.process = subprocess.Popen([*cluster.prefix(), BOUNCER, str(ini)], stderr=subprocess.DEVNULL)
        wait_until(lambda: os.path.exists(os.path.join(self.folder, f".s.PGSQL.{cluster.port}")))

    def dsn(self, database, user="loader"):
        return self.cluster.dsn(database, user).replace(self.cluster.folder, self.folder)

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def twin(site, portal):
    """A second installation, with a spool of its own, on the database of `site`."""
    folder = tempfile.mkdtemp(prefix="ogdsync-twin-")
    other = Site(site.cluster, portal, folder)
    site.cluster.drop(other.database)
    other.database = site.database
    other.configure(database={"dsn": site.cluster.dsn(site.database)})
    yield other
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def proxy(cluster):
    with tempfile.TemporaryDirectory(prefix="ogdsync-proxy-") as folder:
        proxy = Proxy(cluster, folder)
        yield proxy
        proxy.close()


def books(site):
    """All that a daemon writes, as it is now."""
    return [site.query(f"SELECT * FROM {table} ORDER BY 1, 2, 3")
            for table in ("ogdsync.run", "ogdsync.run_slice", "ogdsync.coverage", "mandi.price", "mandi.market",
                          "mandi.price_revision")]


def expire(site):
    """As if the lease had run out while its holder stood still."""
    site.query("UPDATE ogdsync.lease SET expires_at = clock_timestamp() - interval '1 s' RETURNING 1")


def uuids_in(site):
    return {name.split("-", 1)[1].split(".")[0] for name in os.listdir(site.spool)
            if name.endswith((".ready", ".loaded"))}


def frozen_holder(site, twin, portal, dsns):
    """The holder is stopped in the middle of a run and comes back; returns when the twin has stopped."""
    for each, dsn in zip((site, twin), dsns):
        each.configure(database={"dsn": dsn})
    site.history(on_start=True, page_size=100)
    portal.control(latency={"base": 0.05, "scale": 1})
    with site.start() as first:
        first.wait_status(lambda status: status["spool"]["loaded"] >= 1 and status["running"], what="its first slice")
        first.process.send_signal(signal.SIGSTOP)
        portal.control(latency=None)
        with twin.start() as second:
            status = second.wait_status(lambda status: status["lease"]["state"] == "standby")
            assert status["lease"]["holder"] == (site.spool / "id").read_text().strip()
            status = second.wait_status(lambda status: status["lease"]["state"] == "holder", LEASE_SECONDS + 8)
            assert status["lease"]["epoch"] == 2
            second.wait_syncs(1)
            before = books(site)
            first.process.send_signal(signal.SIGCONT)
            first.wait_status(lambda status: status["lease"]["state"] == "standby" and not status["running"]
                              and status["status"] == "idle", 30, "the former holder to stand by")
            assert ready_files(site)[0] != [], "it goes on fetching, into its spool"
            assert books(site) == before, "it has written nothing"
            second.stop()
        first.wait_status(lambda status: status["lease"]["state"] == "holder", LEASE_SECONDS / 3 + 2, "the hand-over")
        first.wait_syncs(2)
        assert ready_files(site)[0] == []
    booked = {uuid for (uuid,) in site.query("SELECT uuid::text FROM ogdsync.run_slice")}
    assert uuids_in(site) | uuids_in(twin) == booked
    assert site.rows() == site.truth(days=days_back(1, 2, 3))
    assert site.query("SELECT id FROM ogdsync.run WHERE state = 'running'") == []
    site.check_books()


@pytest.mark.timeout(120)
def test_promise_10_a_stopped_holder_can_write_nothing(site, twin, portal, cluster):
    dsn = cluster.dsn(site.database)
    frozen_holder(site, twin, portal, (dsn, dsn))


@pytest.mark.timeout(120)
@pytest.mark.skipif(not os.path.exists(BOUNCER), reason="PgBouncer is not installed (Debian: pgbouncer)")
def test_promise_10_through_pgbouncer(site, twin, portal, cluster):
    bouncer = Bouncer(cluster)
    try:
        dsn = bouncer.dsn(site.database)
        frozen_holder(site, twin, portal, (dsn, dsn))
    finally:
        bouncer.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("message", [rb"P.*FOR KEY SHARE\0", rb"P.*WITH fence AS .*finished_at"],
                         ids=["the fence of a load", "the end of a run"])
def test_promise_10_it_was_about_to_write(site, twin, portal, proxy, message):
    """Stopped when it has decided to write, and woken when the lease is another's."""
    site.configure(database={"dsn": proxy.dsn(site.database)})
    portal.control(latency={"base": 0.02, "scale": 1})
    taken = threading.Event()
    with site.start() as first:

        def freeze():
            first.process.send_signal(signal.SIGSTOP)
            taken.wait(60)

        rule = proxy.at(message, "before", freeze)
        wait_until(lambda: rule.left == 0, 20, "the moment")
        with twin.start() as second:
            second.wait_status(lambda status: status["lease"]["state"] == "standby")
            expire(site)
            second.wait_status(lambda status: status["lease"]["state"] == "holder", 10)
            second.wait_syncs(1)
            before = books(site)
            taken.set()
            first.process.send_signal(signal.SIGCONT)
            first.wait_status(lambda status: status["lease"]["state"] == "standby", 10)
            wait_until(lambda: "code=fenced" in first.log(), 10, "the refusal")
            assert books(site) == before
            second.stop()
        first.wait_status(lambda status: status["lease"]["state"] == "holder", LEASE_SECONDS / 3 + 2, "the hand-over")
        first.wait_syncs(1)
        assert ready_files(site)[0] == []
        wait_until(lambda: not site.query("SELECT FROM ogdsync.run WHERE state = 'running'"), 5, "the books")
    assert site.rows() == site.truth()
    assert {state for _, state, _ in site.runs()} == {"success"}
    site.check_books()


def test_promise_10_a_dead_holder_that_returns_goes_on_at_once(site):
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        daemon.kill()
    with site.start() as daemon:
        status = daemon.wait_status(lambda status: status["lease"]["state"] == "holder", 3)
        assert status["lease"]["epoch"] == 1


def test_promise_10_one_daemon_for_a_spool(site):
    with site.start() as daemon:
        site.configure(server={"listen": [f"unix:{site.folder}/other.sock"]})
        for more in ((), ("--once",)):
            done = site.run("ogdsyncd", "--config", site.config_file, *more)
            assert done.code == TRY_AGAIN and "spool" in done.err, done
        assert daemon.status()["lease"]["state"] in ("holder", "unknown")


def test_promise_10_a_clean_stop_hands_over(site, twin):
    with site.start() as first:
        first.wait_status(lambda status: status["lease"]["state"] == "holder")
        with twin.start() as second:
            second.wait_status(lambda status: status["lease"]["state"] == "standby")
            assert first.stop() < 3
            second.wait_status(lambda status: status["lease"]["state"] == "holder", LEASE_SECONDS / 3 + 2)
            second.wait_syncs(1)
    assert site.rows() == site.truth()
