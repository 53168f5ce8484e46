"""kill -9 at any instant loses nothing that was acknowledged, doubles nothing, needs no repair."""

import os
import random
import time

import pytest

from harness import COLUMNS, KEY, days_back
from portal_harness import Portal

SEED = int(os.environ.get("OGDSYNC_KILL_SEED", "3"))
MOMENTS = 20


@pytest.mark.timeout(120)
def test_twenty_moments(site, portal):
    chance = random.Random(SEED)
    site.history(on_start=True, page_size=100)
    site.live(page_size=100)
    site.configure(portal={"requests_per_minute": 6000})
    portal.control(latency={"base": 0.01, "per_row": 0.0001, "scale": 1})
    truth = set(site.truth(days=days_back(1, 2, 3)))
    acknowledged = {}
    for _ in range(MOMENTS):
        with site.start(ready=False) as daemon:
            time.sleep(chance.uniform(0.01, 0.6))
            daemon.kill()
        rows = site.rows()
        assert len(rows) == len(set(rows)) and set(rows) <= truth
        slices = dict(site.query("SELECT uuid::text, inserted FROM ogdsync.run_slice"))
        assert acknowledged.items() <= slices.items(), "what was committed is still there, and the same"
        acknowledged = slices
        assert sum(slices.values()) == len(rows), "a slice and its entry are one transaction"
    assert len(acknowledged) > 0
    site.sync()
    assert set(site.rows()) == truth
    assert [name for name in os.listdir(site.spool) if name.endswith(".ready")] == []
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE state NOT IN ('complete', 'open')") == []
    assert site.value("SELECT count(*) FROM mandi.price") == site.value(
        "SELECT count(*) FROM mandi.price_named") == len(truth)
    assert site.value("SELECT count(*) FROM mandi.price_revision") == 0


def test_killed_while_it_loads(make_site, cluster):
    """Held in the middle of its transaction by a lock on the ledger, which is written last."""
    with Portal("--seed", 4, "--rows-per-day", 5000, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        with site.connect() as db:
            db.autocommit = False
            db.execute("LOCK TABLE ogdsync.run_slice IN EXCLUSIVE MODE")
            with site.start(ready=False) as daemon:
                end = time.monotonic() + 20
                while not site.value("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                    assert time.monotonic() < end, daemon.log()
                    time.sleep(0.02)
                daemon.kill()
            db.rollback()
        assert site.rows() == []
        truth = {tuple(row) for day in portal.truth("daily", rows=True, columns=COLUMNS)["dates"].values()
                 for row in day["data"]}
        portal.control(faults=[{"kind": "502"}])
        assert site.once().code == 69
        assert set(site.rows()) == truth, "the spool had it"
        site.check_books()
