"""history: old books go, and nothing that is still needed."""

import os
import re
import signal
import time

from harness import wait_until

DAY_MS = 86400 * 1000


def pruned(daemon):
    """What the first line says that the day's work is done."""
    found = wait_until(lambda: re.search(r"history.pruned runs=(\d+) quarantine=(\d+) revisions=(\d+)", daemon.log()),
                       20, "history.pruned")
    return tuple(map(int, found.groups()))


def ago(days):
    """The id that a run of that time has."""
    return int(time.time() * 1000) - days * DAY_MS


def add_run(db, run, source="live", state="success", over=True, slices=2):
    db.execute("INSERT INTO ogdsync.run (id, dataset, source, trigger, state, started_at, finished_at, slices)"
               " VALUES (%s, 'mandi_prices', %s, 'test', %s, to_timestamp(%s / 1000.0),"
               " CASE WHEN %s THEN to_timestamp(%s / 1000.0) END, %s)",
               (run, source, state, run, over, run, slices))
    for n in range(slices):
        db.execute("INSERT INTO ogdsync.run_slice (uuid, run, slice, state, received, distinct_rows, pages, passes,"
                   " started_at, fetched_at) VALUES (gen_random_uuid(), %s, %s, 'proven', 0, 0, 1, 1, now(), now())",
                   (run, str(n)))


def add_reject(db, run, n):
    db.execute("INSERT INTO ogdsync.quarantine (dataset, source, slice, reason, raw, digest, page, position, first_run,"
               " last_run) VALUES ('mandi_prices', 'live', 'all', 'bad_number', %s, %s, 0, 0, 1, %s)",
               (b"raw", str(n).encode(), run))


def add_revision(db, replaced_by):
    """Of any row: the values do not matter here."""
    db.execute("INSERT INTO mandi.price_revision SELECT * FROM (SELECT (jsonb_populate_record("
               "null::mandi.price_revision, to_jsonb(p) || jsonb_build_object('replaced_by', %s::bigint,"
               " 'replaced_at', now()))).* FROM mandi.price p LIMIT 1) r", (replaced_by,))


def quiet(site, **history):
    """Something to refer to, and a daemon that does nothing by itself."""
    site.sync()
    site.live(schedule=["0 3 1 1 *"], on_start=False)
    site.configure(history=history)


def ids(site, table, column):
    return [value for value, in site.query(f"SELECT {column} FROM {table} ORDER BY 1")]


def test_old_books_go_and_what_is_needed_stays(site):
    quiet(site, runs="10d", quarantine="20d", revisions="5d")
    now = site.value("SELECT max(id) FROM ogdsync.run")
    old, last_of_other, open_one, young = ago(30), ago(40), ago(50), ago(9)
    with site.connect() as db:
        for n in range(250):  # more than two batches
            add_run(db, old + n)
        add_run(db, last_of_other, source="history")
        add_run(db, open_one, state="running", over=False)
        add_run(db, young)
        for n, run in enumerate([ago(21)] * 1500 + [ago(19)] * 3):
            add_reject(db, run, n)
        # Of a run that goes too; of one that is in the books; of one that is so only as the last of its source.
        for run in [old, old + 1, young, last_of_other]:
            add_revision(db, run)
    facts = site.versions()
    with site.start() as daemon:
        assert pruned(daemon) == (251, 1500, 2), "one that a dead process left open is over"
    assert ids(site, "ogdsync.run", "id") == [last_of_other, young, now]
    assert site.value("SELECT count(*) FROM ogdsync.run_slice WHERE run >= %s AND run < %s", old, old + 250) == 0
    assert site.value("SELECT count(*) FROM ogdsync.run_slice WHERE run = %s", young) == 2
    assert site.value("SELECT count(*) FROM ogdsync.quarantine") == 3
    assert ids(site, "mandi.price_revision", "replaced_by") == [last_of_other, young]
    assert site.versions() == facts
    site.check_books()


def test_forever_and_never_below_three_days(site):
    quiet(site, runs="1d", quarantine="forever", revisions="forever")
    now = site.value("SELECT max(id) FROM ogdsync.run")
    with site.connect() as db:
        for run in (ago(2), ago(4)):
            add_run(db, run)
            add_revision(db, run)
        add_reject(db, ago(3000), 1)
    with site.start() as daemon:
        assert pruned(daemon) == (1, 0, 0)
    assert len(ids(site, "ogdsync.run", "id")) == 2 and ids(site, "ogdsync.run", "id")[-1] == now
    assert len(ids(site, "mandi.price_revision", "replaced_by")) == 2
    assert site.value("SELECT count(*) FROM ogdsync.quarantine") == 1


def test_only_who_holds_the_lease_deletes(site):
    quiet(site, runs="10d")
    with site.connect() as db:
        add_run(db, ago(30))
        db.execute("UPDATE ogdsync.lease SET holder = 'somebody-else', expires_at = now() + interval '1 hour'")
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["lease"]["state"] == "standby")
        os.kill(daemon.pid, signal.SIGHUP)
        time.sleep(1)
        assert "history.pruned" not in daemon.log()
        assert site.value("SELECT count(*) FROM ogdsync.run WHERE id < %s", ago(20)) == 1


def test_what_is_locked_is_left_and_no_load_waits(site):
    quiet(site, runs="10d")
    with site.connect() as db:
        for n in range(3):
            add_run(db, ago(30) + n)
        first = site.value("SELECT min(id) FROM ogdsync.run")
        with db.transaction():
            db.execute("SELECT FROM ogdsync.run WHERE id = %s FOR UPDATE", (first,))
            with site.start() as daemon:
                assert pruned(daemon) == (2, 0, 0)
    assert ids(site, "ogdsync.run", "id")[0] == first


def test_a_refusal_is_said_once(site):
    quiet(site, runs="10d")
    with site.connect() as db:
        add_run(db, ago(30))
        db.execute("REVOKE DELETE ON ogdsync.run FROM loader")
        with site.start() as daemon:
            wait_until(lambda: "history.failed" in daemon.log(), 20, "history.failed")
            assert "code=42501" in daemon.log()
            assert daemon.status()["database"]["state"] == "up"
        db.execute("GRANT DELETE ON ogdsync.run TO loader")
