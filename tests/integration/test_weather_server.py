"""The database's weather, second part: what needs a server of its own. See test_weather.py."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from harness import PASSWORD, Cluster, Site, wait_until
from weather import check_end, events, stays_quiet, sync_more, sync_once, wait_down, wait_up, warnings

TMPFS = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture
def make_own(portal):
    """A function: options of a cluster -> an installation on a cluster of its own, ready to load."""
    made = []

    def make(*args, **settings):
        cluster = Cluster(*args, **settings)
        made.append(cluster)
        folder = tempfile.mkdtemp(prefix="ogdsync-site-")
        site = Site(cluster, portal, folder)
        made.append(site)
        site.live(on_start=False)
        return site

    yield make
    for each in reversed(made):
        if isinstance(each, Site):
            shutil.rmtree(each.folder, ignore_errors=True)
        else:
            each.remove()


class SmallDisk:
    """A file system of some MiB, owned by the server's user."""

    def __init__(self, mib):
        self.folder = tempfile.mkdtemp(prefix="ogdsync-disk-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=700,uid=postgres,gid=postgres", "tmpfs",
                        self.folder], check=True)
        self._ballast = Path(self.folder, "ballast")

    def fill(self, leave=0):
        """Until nothing fits any more, but for so many bytes."""
        with open(self._ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"0" * 4096)
            except OSError:
                pass
            if leave:
                file.truncate(max(0, file.tell() - leave))

    def free(self):
        self._ballast.unlink(missing_ok=True)

    def remove(self):
        subprocess.run(["umount", "-l", self.folder], check=False)
        os.rmdir(self.folder)


@pytest.fixture
def small_disk():
    made = []

    def make(mib):
        made.append(SmallDisk(mib))
        return made[-1]

    yield make
    for disk in made:
        disk.remove()


TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'loader'"


def terminate(site):
    site.query(TERMINATE)


SLOTS, RESERVED = 12, 3


def take_all(site):
    """Every connection that is not reserved: when they are all ours, none is the daemon's."""
    taken = [site.connect()]

    def are_all_taken():
        try:
            taken.append(site.connect("owner"))
        except psycopg.OperationalError:
            taken[0].execute(TERMINATE)
        return len(taken) == SLOTS - RESERVED

    wait_until(are_all_taken, 20, "all connections")
    return taken


def test_out_of_connections(make_own, portal):
    site = make_own(max_connections=SLOTS, superuser_reserved_connections=RESERVED)
    site.apply()
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        taken = take_all(site)
        sync_more(daemon)
        wait_down(daemon, "remaining connection slots|too many clients")
        stays_quiet(daemon)
        for connection in taken:
            connection.close()
        check_end(site, daemon, 2)


def test_wrong_password(make_own, portal):
    site = make_own()
    site.apply()
    cluster = site.cluster
    hba = Path(cluster.folder, "data", "pg_hba.conf")
    with cluster.connect("postgres") as db:
        db.execute(f"ALTER ROLE loader PASSWORD '{PASSWORD}'")
        hba.write_text("local all loader scram-sha-256\n" + hba.read_text(encoding="ascii"), encoding="ascii")
        cluster.reload()
        with site.start() as daemon:
            sync_once(site, portal, daemon)
            db.execute("ALTER ROLE loader PASSWORD 'another'")
            terminate(site)
            sync_more(daemon)
            wait_down(daemon, "password authentication failed")
            stays_quiet(daemon)
            assert PASSWORD not in daemon.log()
            db.execute(f"ALTER ROLE loader PASSWORD '{PASSWORD}'")
            check_end(site, daemon, 2)


@TMPFS
def test_the_disk_of_the_tables_is_full(make_own, portal, small_disk):
    disk = small_disk(16)
    site = make_own()
    with site.cluster.connect("postgres") as db:
        db.execute(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
        db.execute("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        db.execute(f"ALTER DATABASE {site.database} SET default_tablespace = small")
    site.apply()
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        disk.fill()
        sync_more(daemon)
        daemon.wait_status(lambda status: "No space left" in (status["database"]["error"] or ""))
        assert daemon.status()["database"]["state"] == "up", "it can be read"
        stays_quiet(daemon)
        assert len(events(daemon, "load.retry")) == 1
        disk.free()
        check_end(site, daemon, 2)
        assert len(events(daemon, "load.recovered")) == 1


@TMPFS
@pytest.mark.timeout(180)
def test_the_disk_of_the_wal_is_full(make_own, portal, small_disk):
    """The server ends itself, and cannot come back before there is room."""
    disk = small_disk(40)
    site = make_own(("-X", os.path.join(disk.folder, "wal"), "--wal-segsize=1"), max_wal_size="500MB")
    site.apply()
    portal.control(resources={"daily": {"rows": 8000}})
    site.live(page_size=4000)
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        disk.fill(leave=200000)
        sync_more(daemon)
        wait_down(daemon, "")
        stays_quiet(daemon, most=2)
        disk.free()
        if not site.cluster.is_running():
            site.cluster.restart()
        wait_until(site.cluster.is_up, 20, "the server")
        check_end(site, daemon, 2)
    portal.control(resources={"daily": {"rows": None}})


class Standby(Cluster):
    """A copy of a running cluster that follows it."""

    def __init__(self, primary):  # pylint: disable=super-init-not-called
        self.prepare(primary.settings)
        self.run("pg_basebackup", "-D", self.data, "-R", "-h", primary.folder, "-p", str(primary.port), "-U",
                  "postgres", "-X", "stream", "-c", "fast")
        self.start()

    def promote(self):
        with self.connect("postgres") as db:
            db.execute("SELECT pg_promote(true, 20)")


@pytest.fixture
def pair(make_own):
    """An installation on a primary and its standby, reached by one DSN."""
    site = make_own(wal_level="replica", max_wal_senders=4, hot_standby="on")
    site.apply()
    standby = Standby(site.cluster)
    first, second = site.cluster.folder, standby.folder
    dsn = site.cluster.dsn(site.database).replace(f"host={first} port={site.cluster.port}",
                                                  f"host={first},{second} port={site.cluster.port},{standby.port}")
    site.configure(database={"dsn": dsn + " target_session_attrs=read-write"})
    yield site, standby
    standby.remove()


def has_followed(site, standby):
    with site.connect() as primary, standby.connect(site.database) as follower:
        sent = primary.execute("SELECT pg_current_wal_lsn()").fetchone()[0]
        return follower.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [sent]).fetchone()[0]


def test_fail_over_to_a_standby_that_lacks_a_load(pair, portal):
    """The primary acknowledged it and died; the standby, promoted, gets it out of the spool."""
    site, standby = pair
    primary = site.cluster
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        wait_until(lambda: has_followed(site, standby), 20, "the standby")
        standby.stop()
        sync_more(daemon)
        daemon.wait_syncs(2)
        wait_up(daemon)
        lost = site.value("SELECT count(*) FROM mandi.price")
        primary.crash()
        standby.start()
        wait_down(daemon, "read-only|standby|recovery|No such file|Connection refused")
        stays_quiet(daemon, most=1)
        site.cluster = standby
        assert site.value("SELECT count(*) FROM mandi.price") < lost
        standby.promote()
        check_end(site, daemon, 2, {"interrupted"})
        assert site.value("SELECT count(*) FROM mandi.price") == lost
        assert len(warnings(daemon)) <= 4
    site.cluster = primary


def test_a_standby_alone_is_not_written_to(pair, portal):
    """One host, a hot standby: down, until it is promoted."""
    site, standby = pair
    primary = site.cluster
    wait_until(lambda: has_followed(site, standby), 20, "the standby")
    site.configure(database={"dsn": standby.dsn(site.database)})
    with site.start() as daemon:
        sync_more(daemon)
        wait_down(daemon, "read-only")
        stays_quiet(daemon)
        primary.stop()
        standby.promote()
        site.cluster = standby
        check_end(site, daemon, 1)
    site.cluster = primary
