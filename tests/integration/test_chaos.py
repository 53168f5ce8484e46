"""kill -9 of the daemon and of the database, at every stage: nothing is lost, nothing is doubled.

A month of days is fetched and loaded again and again. At seeded moments, each in the middle of a certain
step, a process is killed. Then the database is looked at; the next moment begins with what is there. In
the end one undisturbed sync must leave the exact truth.

OGDSYNC_CHAOS=200 for more moments, OGDSYNC_CHAOS_SEED for others.
"""

import os
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from harness import LIMIT_KB, Cluster, Site, days_back, wait_until
from pgproxy import Proxy

MOMENTS = int(os.environ.get("OGDSYNC_CHAOS", "20"))
SEED = int(os.environ.get("OGDSYNC_CHAOS_SEED", "11"))
DAYS = 30
FAULT_LIBRARY = os.path.join(os.environ.get("OGDSYNC_BIN_DIR", ""), "tests", "integration", "disk-fault.so")

# (stage, when, call, ending of the file's name, n-th at most): the daemon ends around a call on a file.
FILE_MOMENTS = [
    ("fetch: create the file", "after", "open", ".part", 8),
    ("fetch: write a page", "after", "write", ".part", 40),
    ("spool: sync the file", "before", "sync", ".part", 10),
    ("spool: sync the file", "after", "sync", ".part", 10),
    ("spool: rename to ready", "before", "rename", ".ready", 10),
    ("spool: rename to ready", "after", "rename", ".ready", 10),
    ("spool: rename to loaded", "before", "rename", ".loaded", 10),
    ("spool: rename to loaded", "after", "rename", ".loaded", 10),
    ("state.json: sync", "after", "sync", ".tmp", 3),
    ("state.json: rename", "before", "rename", "state.json", 3),
    ("state.json: rename", "after", "rename", "state.json", 3),
]
# (stage, message to the database, n-th at most)
MESSAGES = [
    ("lookups: read", rb"[PQ].*FROM \"?mandi\"?\.\"?(market|commodity|variety|grade)", 4),
    ("load: begin", rb"Q.*BEGIN", 12),
    ("lookups: new names", rb"P.*INSERT INTO \"?mandi\"?\.\"?(market|commodity|variety|grade)", 1),
    ("load: COPY", rb"[PQ].*COPY .* FROM STDIN", 8),
    ("load: data of COPY", rb"d", 8),
    ("books: slice", rb"P.*INSERT INTO ogdsync\.run_slice", 12),
    ("books: coverage", rb"P.*INSERT INTO ogdsync\.coverage", 12),
    ("COMMIT", rb"P[^\0]*\0COMMIT\0", 12),
    ("books: end of the run", rb"P.*INSERT INTO ogdsync\.run AS r .*finished_at", 1),
]
VICTIMS = ["daemon", "postmaster", "backend", "immediate stop"]


def all_moments():
    for stage, when, call, ending, most in FILE_MOMENTS:
        yield (stage, when, "daemon", (call, ending), most)
    for stage, pattern, most in MESSAGES:
        for when in ("before", "after") + (("answer",) if stage == "COMMIT" else ()):
            for victim in VICTIMS:
                yield (stage, when, victim, pattern, most)
    for victim in VICTIMS:
        yield ("at random", "", victim, None, 0)


def moments(chance, n):
    """The stages in turn, each time with another moment of it."""
    by_stage = {}
    for moment in all_moments():
        by_stage.setdefault(moment[0], []).append(moment)
    for each in by_stage.values():
        chance.shuffle(each)
    stages = list(by_stage)
    chance.shuffle(stages)
    for i in range(n):
        deck = by_stage[stages[i % len(stages)]]
        yield deck[i // len(stages) % len(deck)]


class Chaos:
    """One long story of one installation."""

    def __init__(self, site, cluster, portal, chance):
        self.site, self.cluster, self.portal, self.chance = site, cluster, portal, chance
        self.folder = tempfile.TemporaryDirectory(prefix="ogdsync-chaos-")
        os.chmod(self.folder.name, 0o755)
        self.proxy = Proxy(cluster, self.folder.name)
        self.reached = Counter()
        self.killed = Counter()
        self.missed = []
        self.acknowledged = {}  # uuid: counts, of what the ledger once had
        self.spooled = set()  # uuids of files that were whole
        self.corrections = {}
        self.peak_kb = 0

    def close(self):
        self.proxy.close()
        self.folder.cleanup()

    def kill_backend(self):
        """kill -9 of the one that is loading: the server takes all down and recovers."""
        with self.cluster.connect("postgres") as db:
            found = db.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'ogdsyncd'").fetchall()
        for (pid,) in found:
            os.kill(pid, signal.SIGKILL)

    def kill(self, victim, daemon):
        if victim == "daemon":
            os.kill(daemon.pid, signal.SIGKILL)
        elif victim == "postmaster":
            self.cluster.crash()
        elif victim == "backend":
            self.kill_backend()
        else:
            self.cluster.stop(signal.SIGQUIT)
        self.killed[victim] += 1

    def heal(self):
        if not self.cluster.is_running():
            self.cluster.restart()

    def change_something(self, done):
        """Every day grows, so that there is something to insert, and one has mended prices, to update."""
        day = str(days_back(self.chance.randint(1, DAYS))[0])
        self.corrections[day] = {"rows": self.chance.randint(1, 50), "round": self.chance.randint(1, 1000)}
        shares = {str(day): 0.1 + 0.85 * done for day in days_back(*range(1, DAYS + 1))}
        self.portal.control(resources={"history": {"corrected": self.corrections, "partial_dates": shares}})

    def run(self, moment):
        stage, when, victim, at, most = moment
        n = self.chance.randint(1, max(1, most))
        fired_file = Path(self.folder.name, "fired")
        fired_file.unlink(missing_ok=True)
        self.site.variables.pop("OGDSYNC_FAULT", None)
        if isinstance(at, tuple):
            self.site.variables.update(OGDSYNC_FAULT=f"{when} {at[0]} {at[1]} {n}", LD_PRELOAD=FAULT_LIBRARY,
                                       OGDSYNC_FAULT_FILE=str(fired_file))
        with self.site.start(ready=False) as daemon:
            rule = None
            if isinstance(at, bytes):
                rule = self.proxy.at(at, when, lambda: self.kill(victim, daemon), n)
            wait_until(lambda: "READY=1" in daemon.notifications() or daemon.process.poll() is not None)
            if daemon.process.poll() is None:
                daemon.process.send_signal(signal.SIGUSR1)
            if at is None:
                time.sleep(self.chance.uniform(0, 0.8))
                self.kill(victim, daemon)
                self.reached[stage] += 1
            elif self.wait_fired(rule, fired_file, daemon):
                self.reached[stage] += 1
                if rule is None:
                    self.killed["daemon"] += 1
            else:
                self.missed.append((moment[:3], n))
            if victim != "daemon":
                self.heal()
                time.sleep(self.chance.uniform(0, 0.5))
                self.peak_kb = max(self.peak_kb, daemon.memory())
            daemon.kill()
        self.proxy.forget()
        self.heal()

    def wait_fired(self, rule, fired_file, daemon):
        end = time.monotonic() + 8
        while time.monotonic() < end:
            if rule.fired.is_set() if rule else fired_file.exists():
                return True
            if daemon.process.poll() is not None and not fired_file.exists():
                break
            time.sleep(0.002)
        return False

    def look(self):
        """What must hold after each moment."""
        site = self.site
        wait_until(self.is_quiet, 20, "the last transaction to end")
        slices = dict(site.query("SELECT uuid::text, (state, received, inserted, updated)::text FROM ogdsync.run_slice"))
        assert self.acknowledged.items() <= slices.items(), "what was committed is still there, and the same"
        self.acknowledged = slices
        names = [name.split("-", 1) for name in os.listdir(site.spool)]
        self.spooled |= {rest.split(".")[0] for _, rest in (n for n in names if len(n) == 2)
                         if rest.endswith((".ready", ".loaded"))}
        self.check_sums()

    def is_quiet(self):
        try:
            return self.site.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'loader'") == 0
        except psycopg.OperationalError:
            return False

    def check_sums(self):
        site = self.site
        assert site.value("SELECT coalesce(sum(inserted), 0) FROM ogdsync.run_slice") == site.value(
            "SELECT count(*) FROM mandi.price"), "a slice and its entry are one transaction"
        assert site.value("SELECT coalesce(sum(updated), 0) FROM ogdsync.run_slice") == site.value(
            "SELECT count(*) FROM mandi.price_revision"), "an old value is kept once"
        assert site.query("SELECT uuid FROM ogdsync.run_slice WHERE received <> inserted + updated + unchanged"
                          " + duplicate + quarantined") == []


@pytest.fixture
def own_cluster():
    server = Cluster()
    yield server
    server.remove()


@pytest.fixture
def chaos(own_cluster, portal, tmp_path):
    site = Site(own_cluster, portal, tmp_path)
    chaos = Chaos(site, own_cluster, portal, random.Random(SEED))
    site.configure(database={"dsn": chaos.proxy.dsn(site.database)})
    site.history(on_start=True, page_size=200, slice={"lookback": f"{DAYS}d"})
    site.live(page_size=200)
    site.apply()
    yield chaos
    chaos.close()


@pytest.mark.timeout(3600)
def test_promise_03_a_month_and_its_moments(chaos):
    site, portal = chaos.site, chaos.portal
    begin = time.monotonic()
    for i, moment in enumerate(moments(chaos.chance, MOMENTS)):
        chaos.change_something(i / MOMENTS)
        chaos.run(moment)
        chaos.look()
    print(f"{MOMENTS} moments in {time.monotonic() - begin:.1f} s; reached {dict(chaos.reached)}; "
          f"killed {dict(chaos.killed)}; missed {chaos.missed}; peak {chaos.peak_kb} kB")
    site.variables.pop("OGDSYNC_FAULT", None)
    portal.control(resources={"history": {"corrected": chaos.corrections}})
    done = site.once(seconds=60)
    assert done.code == 0, done
    truth = site.truth(days=days_back(*range(1, DAYS + 1)))
    rows = site.rows()
    assert len(rows) == len(truth) and rows == truth, "the exact truth"
    chaos.check_sums()
    site.check_books()
    assert site.query("SELECT id FROM ogdsync.run WHERE state = 'running'") == []
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE state NOT IN ('complete', 'open')") == []
    assert site.value("SELECT count(*) FROM ogdsync.coverage WHERE source = 'history'") == DAYS
    assert [name for name in os.listdir(site.spool) if name.endswith((".ready", ".part", ".damaged", ".tmp"))] == []
    booked = {uuid for (uuid,) in site.query("SELECT uuid::text FROM ogdsync.run_slice")}
    assert chaos.spooled <= booked, "what was whole in the spool is in the ledger"
    assert chaos.peak_kb < LIMIT_KB or "ASAN_OPTIONS" in os.environ
    assert len(chaos.missed) <= MOMENTS // 10, chaos.missed
    assert chaos.reached["COMMIT"] > 0 and chaos.reached["load: COPY"] > 0
