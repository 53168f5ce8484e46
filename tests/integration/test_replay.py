"""ogdsync replay: the same pages again write nothing (promise 6), mended rules let in what they kept out."""

import os

import pytest

from harness import TRY_AGAIN, days_back, program, today, wait_until

DATA, NO_INPUT, USAGE = 65, 66, 64


def loaded(site, state=".loaded"):
    return sorted(site.spool / name for name in os.listdir(site.spool) if name.endswith(state))


def replayed(site, *args, code=0, **more):
    done = site.cli("replay", *args, **more)
    assert done.code == code, done
    return done


def check(site):
    """Every slice and every run are accounted for, also those that repeat others."""
    site.check_books()
    assert site.query("SELECT uuid FROM ogdsync.run_slice WHERE state <> 'failed' AND received <>"
                      " inserted + updated + unchanged + duplicate + quarantined") == []


def coverage(site):
    return site.query("SELECT source, slice, state, received, quarantined, attempts, run FROM ogdsync.coverage"
                      " ORDER BY source, slice")


def test_promise_06_a_committed_month_again_changes_no_row_version(site):
    site.only_history(slice={"lookback": "30d"})
    site.sync()
    site.live(schedule=["0 12 * * *"], on_start=True)
    site.sync()
    rows, books, runs = site.versions(), coverage(site), site.query(
        "SELECT id, received, inserted, unchanged FROM ogdsync.run ORDER BY id")
    fetched = site.value("SELECT count(*) FROM ogdsync.run_slice")
    done = replayed(site, *loaded(site))
    assert fetched == 2 * 30 + 1, "a month, once more, and today"
    assert done.out.count(" 0 inserted + 0 updated + ") == len(loaded(site)) == fetched
    assert site.versions() == rows, "a row was written again"
    assert coverage(site) == books
    assert site.query("SELECT id, received, inserted, unchanged FROM ogdsync.run WHERE trigger NOT LIKE 'replay%%'"
                      " ORDER BY id") == runs, "the runs that fetched are as they were"
    again = site.query("SELECT state, trigger, slices, received - unchanged - duplicate - quarantined FROM ogdsync.run"
                       " WHERE trigger LIKE 'replay%%' ORDER BY source")
    assert [(state, rest) for state, _, _, rest in again] == [("success", 0), ("success", 0)]
    assert again[0][1] == f"replay:uid={os.getuid()}"
    assert site.value("SELECT count(*) FROM ogdsync.run_slice s JOIN ogdsync.run_slice o ON o.uuid = s.replay_of"
                      " WHERE o.slice = s.slice AND o.received = s.received") == fetched
    check(site)


def test_by_run_and_by_slice(site, portal):
    site.history()
    site.sync()
    run = site.value("SELECT id FROM ogdsync.run WHERE source = 'history'")
    done = replayed(site, "--run", run)
    assert done.out.count(f"mandi_prices/history ") == 3 and "live" not in done.out
    day = days_back(2)[0]
    done = replayed(site, "--slice", day, "--dataset", "mandi_prices")
    assert done.out.startswith(f"mandi_prices/history {day} of run {run}: proven, 400 received = 0 inserted")
    check(site)


def test_promise_09_what_a_mended_rule_lets_in_leaves_quarantine(site, portal):
    portal.control(resources={"daily": {"bad": {"negative_max": 4, "bad_date": 2}}})
    site.sync()
    run = site.value("SELECT id FROM ogdsync.run")
    assert len(site.rows()) == 394 and len(site.quarantine()) == 6
    site.configure(dataset={"columns": {"max_price": {"min": None}}})
    done = replayed(site, loaded(site)[0])
    assert "400 received = 4 inserted + 0 updated + 394 unchanged + 0 duplicate + 2 quarantined" in done.out
    assert "4 records left quarantine" in done.out
    assert len(site.rows()) == 398
    assert [reason for reason, _, _ in site.quarantine()] == ["bad_date", "bad_date"]
    assert site.query("SELECT DISTINCT run_id FROM mandi.price") == [(run,)], "the run that fetched"
    assert site.query("SELECT quarantined FROM ogdsync.coverage WHERE slice = 'all'") == [(2,)]
    check(site)
    assert "400 received = 0 inserted" in replayed(site, loaded(site)[0]).out
    assert len(site.rows()) == 398


def test_schema_drift_is_proven_from_the_pages_that_were_kept(site, portal):
    portal.control(resources={"daily": {"rename": {"modal_price": "price_modal"}}})
    site.live(page_size=1000)
    done = site.once()
    assert done.code == TRY_AGAIN and site.coverage() == ("missing", "schema_drift")
    assert site.rows() == []
    still = replayed(site, loaded(site)[0], code=TRY_AGAIN)
    assert "still no record of a page has column modal_price" in still.err
    site.live(fields={"modal_price": ["modal_price", "price_modal"]})
    done = replayed(site, loaded(site)[0])
    assert ": proven, 400 received = 400 inserted" in done.out
    assert site.rows() == site.truth()
    assert site.coverage()[0] == "complete"
    assert site.query("SELECT state FROM ogdsync.run_slice ORDER BY loaded_at") == [("failed",), ("proven",)]
    check(site)


def test_too_many_bad_rows_until_the_limit_is_raised(site, portal):
    portal.control(resources={"daily": {"bad": {"bad_date": 60}}})
    assert site.once().code == TRY_AGAIN
    assert site.rows() == []
    assert "still 60 of 400 rows" in replayed(site, loaded(site)[0], code=TRY_AGAIN).err
    site.configure(dataset={"quarantine_limit": "20%"})
    replayed(site, loaded(site)[0])
    assert len(site.rows()) == 340 and len(site.quarantine()) == 60
    check(site)


def test_an_older_run_takes_nothing_from_a_younger_one_but_by_force(site, portal):
    site.only_history(slice={"lookback": "1d"})
    site.sync()
    before = site.rows()
    portal.control(resources={"history": {"corrected": {str(days_back(1)[0]): 9}}})
    site.sync()
    after, versions = site.rows(), site.versions()
    older, younger = loaded(site)
    assert "0 inserted + 0 updated + 400 unchanged" in replayed(site, older).out
    assert site.versions() == versions
    assert "0 inserted + 9 updated + 391 unchanged" in replayed(site, "--force", older).out
    assert site.rows() == before
    assert "0 inserted + 9 updated + 391 unchanged" in replayed(site, younger).out
    assert site.rows() == after
    check(site)


def test_what_the_database_lacks_is_booked_as_what_it_is(site):
    """A restored backup: the ledger does not know the slice, so it is no repetition."""
    site.sync()
    rows = site.rows()
    with site.connect() as db:
        db.execute("TRUNCATE mandi.price, ogdsync.run CASCADE")
    replayed(site, loaded(site)[0])
    assert site.rows() == rows
    assert site.query("SELECT replay_of, inserted FROM ogdsync.run_slice") == [(None, 400)]
    assert site.value("SELECT trigger FROM ogdsync.run") == "once"
    check(site)


def test_what_cannot_be_replayed(site, portal):
    assert site.cli("replay").code == USAGE
    assert site.cli("replay", "--run", "x").code == USAGE
    assert site.cli("replay", "--slice", "all").code == USAGE
    assert site.cli("replay", "/nowhere").code == NO_INPUT
    site.sync()
    assert site.cli("replay", "--run", 5).code == NO_INPUT
    bad = loaded(site)[0]
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 1
    bad.write_bytes(content)
    done = site.cli("replay", bad)
    assert done.code == DATA and " block 1 at byte " in done.err
    portal.control(faults=[{"kind": "403"}])
    site.once()
    nothing = [one for one in loaded(site) if one != bad]
    done = site.cli("replay", nothing[0])
    assert done.code == TRY_AGAIN and "holds no pages" in done.err
    check(site)
