"""The database's weather: the daemon stays up, says once what it is, and goes on when it is over.

Each ends with the exact truth. The first group harms the server in the middle of a load.
"""

import os
import signal
import tempfile
import time

import pytest

from harness import wait_until
from pgproxy import Proxy
from weather import check_end, events, stays_quiet, sync_more, sync_once, wait_down, wait_up, warnings

COPY, COPY_DATA, COMMIT = rb"[PQ].*COPY .* FROM STDIN", rb"d", rb"P[^\0]*\0COMMIT\0"


@pytest.fixture
def proxied(site, cluster):
    """An installation behind a proxy."""
    with tempfile.TemporaryDirectory(prefix="ogdsync-proxy-") as folder:
        proxy = Proxy(cluster, folder)
        site.proxy = proxy
        site.configure(database={"dsn": proxy.dsn(site.database)})
        site.live(on_start=False)
        yield site
        proxy.close()


LONG = pytest.mark.skipif("OGDSYNC_CHAOS" not in os.environ, reason="longer than a lease; with OGDSYNC_CHAOS")


def terminate(site):
    site.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ogdsyncd'"
               " AND datname = current_database()")


@pytest.mark.parametrize("message, harm", [(COPY_DATA, "kill -9"), (COMMIT, "kill -9"), (COPY_DATA, "immediate stop"),
                                           (COMMIT, "fast stop")],
                         ids=["kill -9 in COPY", "kill -9 at COMMIT", "immediate stop", "fast stop"])
def test_the_server_dies(proxied, portal, cluster, message, harm):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        harms = {"kill -9": cluster.crash, "immediate stop": lambda: cluster.stop(signal.SIGQUIT),
                 "fast stop": cluster.stop}
        rule = site.proxy.at(message, "after", harms[harm])
        sync_more(daemon)
        wait_until(rule.fired.is_set, 20, "the harm")
        wait_down(daemon, "")
        time.sleep(0.5)
        stays_quiet(daemon)
        assert daemon.status()["last_sync"]["status"] in ("spooled", "success")
        cluster.restart()
        check_end(site, daemon, 2)
        assert len(events(daemon, "database.down")) <= 2, "the loss, and that nobody listens there"
        assert len(events(daemon, "database.up")) == 2


@pytest.mark.parametrize("message", [COPY_DATA, COMMIT], ids=["in COPY", "at COMMIT"])
def test_a_backend_is_terminated(proxied, portal, message):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        rule = site.proxy.at(message, "before", lambda: terminate(site))
        sync_more(daemon)
        wait_until(rule.fired.is_set, 20, "the harm")
        check_end(site, daemon, 2)
        assert len(warnings(daemon)) <= 2 and len(events(daemon, "database.up")) == 2


@pytest.mark.parametrize("harm", ["the connection", "the server"])
def test_the_answer_of_commit_is_lost(proxied, portal, cluster, harm):
    """It took place; nobody said so."""
    site = proxied

    def drop():
        if harm == "the server":
            cluster.crash()
        return "drop"

    with site.start() as daemon:
        sync_once(site, portal, daemon)
        rule = site.proxy.at(COMMIT, "answer", drop)
        sync_more(daemon)
        wait_until(rule.fired.is_set, 20, "the harm")
        if harm == "the server":
            cluster.restart()
        check_end(site, daemon, 2)
        assert len(events(daemon, "load.done")) == 1, "the second load found it in the ledger"
    assert site.value("SELECT max(attempts) FROM ogdsync.coverage WHERE slice = 'all'") == 2
    assert site.value("SELECT count(*) FROM ogdsync.run_slice") == 2


@pytest.mark.parametrize("message", [pytest.param(COPY, id="in a load", marks=LONG),
                                     pytest.param(COMMIT, id="at COMMIT")])
def test_the_server_is_stopped_and_goes_on(proxied, portal, cluster, message):
    """SIGSTOP for longer than the lease lasts."""
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        rule = site.proxy.at(message, "before", cluster.freeze)
        sync_more(daemon)
        wait_until(rule.fired.is_set, 20, "the harm")
        try:
            daemon.wait_status(lambda status: status["lease"]["state"] == "unknown", 20)
            assert daemon.get("/livez").status == 200
            stays_quiet(daemon)
        finally:
            cluster.thaw()
        check_end(site, daemon, 2)


@LONG
def test_it_is_stopped_while_nothing_happens(proxied, portal, cluster):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        cluster.freeze()
        try:
            wait_down(daemon, "no (result|answer)", seconds=40)
            sync_more(daemon)
            stays_quiet(daemon)
        finally:
            cluster.thaw()
        check_end(site, daemon, 2)


def test_read_only(proxied, portal, cluster):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        with cluster.connect("postgres") as db:
            db.execute(f"ALTER DATABASE {site.database} SET default_transaction_read_only = on")
        terminate(site)
        sync_more(daemon)
        wait_down(daemon, "read-only")
        stays_quiet(daemon)
        with cluster.connect("postgres") as db:
            db.execute(f"ALTER DATABASE {site.database} RESET default_transaction_read_only")
        check_end(site, daemon, 2)
        assert len(events(daemon, "database.up")) == 2


def test_it_becomes_read_only_under_the_connection(proxied, portal, cluster):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        with cluster.connect("postgres") as db:
            db.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            cluster.reload()
            sync_more(daemon)
            try:
                wait_down(daemon, "read-only")
                stays_quiet(daemon)
            finally:
                db.execute("SET default_transaction_read_only = off")
                db.execute("ALTER SYSTEM RESET default_transaction_read_only")
                cluster.reload()
        check_end(site, daemon, 2)


def test_the_limit_of_the_role(proxied, portal, cluster):
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        with cluster.connect("postgres") as db:
            db.execute("ALTER ROLE loader CONNECTION LIMIT 0")
            try:
                terminate(site)
                sync_more(daemon)
                wait_down(daemon, "too many connections for role")
                stays_quiet(daemon)
            finally:
                db.execute("ALTER ROLE loader CONNECTION LIMIT -1")
        check_end(site, daemon, 2)


def test_one_connection_for_two(proxied, portal, cluster):
    """The load connection gets in, the one that holds the lease does not."""
    site = proxied
    with cluster.connect("postgres") as db:
        db.execute("ALTER ROLE loader CONNECTION LIMIT 1")
        try:
            with site.start() as daemon:
                daemon.wait_status(lambda status: status["lease"]["state"] == "unknown"
                                   and "too many connections" in (status["lease"]["error"] or ""))
                sync_more(daemon)
                daemon.wait_status(lambda status: status["spool"]["ready"] == 1)
                stays_quiet(daemon)
                assert len(warnings(daemon)) <= 2
                db.execute("ALTER ROLE loader CONNECTION LIMIT -1")
                check_end(site, daemon, 1)
        finally:
            db.execute("ALTER ROLE loader CONNECTION LIMIT -1")


def test_rights_are_missing(proxied, portal, cluster):
    """42501 on one table."""
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        with site.connect() as db:
            db.execute("REVOKE INSERT, UPDATE ON mandi.price FROM loader")
            sync_more(daemon)
            wait_down(daemon, "permission denied.*price|lacks.*rights", "schema")
            stays_quiet(daemon)
            db.execute("GRANT INSERT, UPDATE ON mandi.price TO loader")
        check_end(site, daemon, 2)


def test_the_schema_is_newer(proxied, portal):
    site = proxied
    with site.connect() as db:
        db.execute("INSERT INTO ogdsync.migration (version, name) VALUES (9999, 'later')")
        with site.start() as daemon:
            sync_more(daemon)
            wait_down(daemon, "newer", "schema")
            stays_quiet(daemon)
            db.execute("DELETE FROM ogdsync.migration WHERE version = 9999")
            check_end(site, daemon, 1)


def test_the_schema_is_older(proxied, portal):
    """A migration that this program brings has not been applied."""
    site = proxied
    with site.connect() as db:
        last = db.execute("SELECT max(version) FROM ogdsync.migration").fetchone()[0]
        kept = db.execute("SELECT version, name FROM ogdsync.migration WHERE version = %s", [last]).fetchone()
        db.execute("DELETE FROM ogdsync.migration WHERE version = %s", [last])
        with site.start() as daemon:
            sync_more(daemon)
            wait_down(daemon, "ogdsync schema apply", "schema")
            stays_quiet(daemon)
            db.execute("INSERT INTO ogdsync.migration (version, name) VALUES (%s, %s)", kept)
            check_end(site, daemon, 1)


def test_the_database_is_dropped_and_made_again(proxied, portal, cluster):
    """What was loaded before is loaded again, out of the spool."""
    site = proxied
    with site.start() as daemon:
        sync_once(site, portal, daemon)
        cluster.drop(site.database)
        sync_more(daemon)
        wait_down(daemon, "does not exist")
        stays_quiet(daemon)
        with cluster.connect("postgres") as db:
            db.execute(f"CREATE DATABASE {site.database} OWNER owner")
        wait_down(daemon, "schema", "schema")
        stays_quiet(daemon)
        site.apply()
        check_end(site, daemon, 2, {"interrupted"})
        assert site.value("SELECT count(*) FROM ogdsync.run_slice") == 2
        assert [state for _, state, _ in site.runs()] == ["interrupted", "success"], "the end of the first is lost"
