"""A daemon that runs lends its lease to a command that writes, and has it back afterwards."""

import os
import signal
import subprocess
import time

from harness import TRY_AGAIN, UNAVAILABLE, program, wait_until


def loaded(site):
    return sorted(site.spool / name for name in os.listdir(site.spool) if name.endswith(".loaded"))


def holder(site):
    return site.query("SELECT holder, epoch, expires_at > clock_timestamp() FROM ogdsync.lease")[0]


def lease(daemon):
    return daemon.status()["lease"]


class Held:
    """A command that is stopped in the middle of its transaction, by a lock on the ledger."""

    def __init__(self, site, *args):
        self.site = site
        self.db = site.connect()
        self.db.autocommit = False
        self.db.execute("LOCK TABLE ogdsync.run_slice IN EXCLUSIVE MODE")
        self.process = subprocess.Popen(
            [program("ogdsync"), "--config", str(site.config_file), *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=site.environment())
        wait_until(lambda: site.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 20, "the command")

    def free(self):
        self.db.rollback()

    def end(self):
        out, err = self.process.communicate(timeout=30)
        self.db.close()
        return self.process.returncode, out.decode(), err.decode()


def test_the_daemon_lends_stands_by_and_takes_it_back(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        ours = lease(daemon)
        assert ours["state"] == "holder"
        rows = site.versions()
        done = site.cli("replay", loaded(site)[0])
        assert done.code == 0, done
        assert holder(site)[1] == ours["epoch"] + 1, "the command was a holder of its own"
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder", 20, "the lease")
        assert lease(daemon)["epoch"] == ours["epoch"] + 2
        assert site.versions() == rows
        site.check_books()


def test_what_is_fetched_meanwhile_waits_in_the_spool(site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        held = Held(site, "replay", loaded(site)[0])
        daemon.wait_status(lambda status: status["lease"]["state"] == "standby", 10, "standby")
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_status(lambda status: status["spool"]["ready"] >= 1, 10, "a slice that waits")
        held.free()
        code, out, err = held.end()
        assert code == 0, (out, err)
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder" and status["spool"]["ready"] == 0,
                           20, "the spool to be loaded")
    site.check_books()


def test_promise_03_a_command_that_is_killed_leaves_the_lease_to_expire(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        rows, slices = site.versions(), site.value("SELECT count(*) FROM ogdsync.run_slice")
        held = Held(site, "replay", loaded(site)[0])
        epoch = holder(site)[1]
        held.process.kill()
        held.free()
        assert held.end()[0] == -signal.SIGKILL
        begin = time.monotonic()
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder", 30, "the lease")
        assert time.monotonic() - begin < 25
        assert lease(daemon)["epoch"] == epoch + 1
        assert site.versions() == rows and site.value("SELECT count(*) FROM ogdsync.run_slice") == slices
        daemon.process.send_signal(signal.SIGUSR1)
        daemon.wait_syncs(2)
    site.check_books()


def test_promise_10_a_command_that_lost_the_lease_writes_no_more(site):
    """Taken from it between two slices: the fence of its next transaction finds no row."""
    site.history()
    site.sync()
    files = loaded(site)
    held = Held(site, "replay", *files)
    with site.connect() as db:
        db.execute("UPDATE ogdsync.lease SET holder = 'elsewhere', epoch = epoch + 1,"
                   " expires_at = now() + interval '1 hour'")
    held.free()
    code, out, err = held.end()
    assert code == TRY_AGAIN, (out, err)
    assert out.count(" received = ") == 1 and "another daemon holds the lease" in err
    assert holder(site)[0] == "elsewhere"
    assert site.value("SELECT count(*) FROM ogdsync.run_slice WHERE replay_of IS NOT NULL") == 1
    site.check_books()


def test_without_a_daemon_it_is_taken_if_it_is_free(site):
    site.sync()
    name = holder(site)[0]
    done = site.cli("replay", loaded(site)[0])
    assert done.code == 0, done
    with site.connect() as db:
        db.execute("UPDATE ogdsync.lease SET holder = %s, expires_at = now() + interval '1 hour'", (name,))
    done = site.cli("replay", loaded(site)[0])
    assert done.code == TRY_AGAIN and f"{name} holds the lease" in done.err and "no daemon answers" in done.err


def test_a_daemon_that_stands_by_itself_lends_nothing(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        files = loaded(site)
        with site.connect() as db:
            db.execute("UPDATE ogdsync.lease SET holder = 'elsewhere', epoch = epoch + 1,"
                       " expires_at = now() + interval '1 hour'")
        daemon.wait_status(lambda status: status["lease"]["state"] == "standby", 10, "standby")
        done = site.cli("replay", files[0])
        assert done.code == TRY_AGAIN and "elsewhere holds the lease" in done.err
        reply = daemon.get("/sync/lend", method="POST")
        assert reply.status == 409 and "elsewhere" in reply.json["detail"]
        assert daemon.get("/sync/lend", method="POST", tcp=True).status == 403


def test_no_database(site, cluster):
    site.sync()
    site.configure(database={"dsn": "host=/nowhere dbname=x user=y"})
    assert site.cli("replay", loaded(site)[0]).code == UNAVAILABLE
