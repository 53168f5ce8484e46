"""ogdsync rollback --run N; and the revisions that it goes back to."""

from harness import days_back, today

DATA, NO_INPUT, USAGE = 65, 66, 64
KEYS = "commodity_id, arrival_date, market_id, variety_id, grade_id"


def run_of(site, source="history"):
    """The last one that fetched."""
    return site.value("SELECT max(id) FROM ogdsync.run WHERE source = %s AND trigger = 'once'", source)


def stored(site):
    return sorted(site.query(f"SELECT {KEYS}, min_price, max_price, modal_price, run_id FROM mandi.price"))


def revisions(site):
    return sorted(site.query(f"SELECT {KEYS}, min_price, max_price, modal_price, run_id, replaced_by"
                             " FROM mandi.price_revision"))


def correct(site, portal, n, days=None):
    """The portal serves other prices in n rows of yesterday, and they are loaded."""
    portal.control(resources={"history": {"corrected": {str(day): n for day in days or [days_back(1)[0]]}}})
    site.sync()
    return run_of(site)


def rolled_back(site, run, code=0):
    done = site.cli("rollback", "--run", run, "--yes")
    assert done.code == code, done
    return done


def check(site):
    """Accounted for, but that what was rolled back is in no table."""
    assert site.query("SELECT uuid FROM ogdsync.run_slice WHERE state <> 'failed' AND received <>"
                      " inserted + updated + unchanged + duplicate + quarantined") == []
    assert site.value("SELECT coalesce(sum(inserted), 0) FROM ogdsync.run_slice WHERE state <> 'rolled_back'"
                      ) == site.value("SELECT count(*) FROM mandi.price")


def test_a_dry_run_says_and_changes_nothing(site, portal):
    site.only_history()
    site.sync()
    run = correct(site, portal, 9)
    before = site.versions(), revisions(site), site.query("SELECT * FROM ogdsync.coverage ORDER BY slice")
    done = site.cli("rollback", "--run", run)
    assert done.code == 0
    assert "9 rows return to the values that it replaced, 0 that it inserted are deleted" in done.out
    assert "nothing was changed: say --yes" in done.out
    assert (site.versions(), revisions(site), site.query("SELECT * FROM ogdsync.coverage ORDER BY slice")) == before
    assert site.value("SELECT count(*) FROM ogdsync.run WHERE state = 'rolled_back'") == 0


def test_rows_return_to_what_the_run_replaced(site, portal):
    site.only_history()
    site.sync()
    before = stored(site)
    run = correct(site, portal, 9)
    assert stored(site) != before and len(revisions(site)) == 9
    done = rolled_back(site, run)
    assert "done: 9 rows, 3 slices rolled back" in done.out
    assert stored(site) == before, "values and the run that fetched them"
    assert revisions(site) == []
    assert site.query("SELECT DISTINCT state FROM ogdsync.run_slice WHERE run = %s", run) == [("rolled_back",)]
    assert site.value("SELECT state FROM ogdsync.run WHERE id = %s", run) == "rolled_back"
    cover = dict(site.query("SELECT slice, (state, code)::text FROM ogdsync.coverage"))
    assert cover[str(days_back(1)[0])] == "(partial,rolled_back)"
    assert not cover[str(days_back(2)[0])].startswith("(partial"), "no row of that day was changed by it"
    check(site)
    again = site.cli("rollback", "--run", run, "--yes")
    assert again.code == 0 and "0 rows return to the values that it replaced, 0 that it inserted" in again.out
    assert stored(site) == before


def test_rows_that_it_inserted_go(site, portal):
    site.only_history(slice={"lookback": "1d"})
    site.sync()
    run = run_of(site)
    done = rolled_back(site, run)
    assert "400 that it inserted are deleted" in done.out and site.rows() == []
    assert site.coverage("history", str(days_back(1)[0])) == ("missing", "rolled_back")
    check(site)
    site.sync()
    assert site.rows() == site.truth(live=False, days=days_back(1)), "the hole can be filled"
    assert site.coverage("history", str(days_back(1)[0]))[0] == "complete"
    check(site)


def test_rows_changed_again_since_stay_and_are_listed(site, portal):
    site.only_history(slice={"lookback": "1d"})
    site.sync()
    first = stored(site)
    middle = correct(site, portal, 9)
    portal.control(resources={"history": {"corrected": {str(days_back(1)[0]): 0}}})
    with site.connect() as db:  # a third run changes three of the nine again
        db.execute(f"WITH few AS (SELECT {KEYS} FROM mandi.price WHERE run_id = %s ORDER BY 1, 2, 3, 4, 5 LIMIT 3),"
                   f" old AS (INSERT INTO mandi.price_revision ({KEYS}, min_price, max_price, modal_price, run_id,"
                   f" replaced_by) SELECT {KEYS}, min_price, max_price, modal_price, run_id, %s FROM mandi.price"
                   f" JOIN few USING ({KEYS}))"
                   f" UPDATE mandi.price p SET modal_price = 1, run_id = %s FROM few s"
                   f" WHERE ({', '.join('p.' + k for k in KEYS.split(', '))})"
                   f" = ({', '.join('s.' + k for k in KEYS.split(', '))})", (middle, middle + 1, middle + 1))
    done = site.cli("rollback", "--run", middle)
    assert "6 rows return" in done.out and "3 were changed again since, and stay:" in done.out
    listed = [line for line in done.out.splitlines() if line.endswith(f"  {middle + 1}")]
    assert len(listed) == 3 and str(days_back(1)[0]) in listed[0]
    rolled_back(site, middle)
    now = stored(site)
    assert sum(1 for row in now if row[-1] == middle + 1) == 3
    assert len(set(first) & set(now)) == 397
    assert len(revisions(site)) == 6, "both steps of the three"


def test_what_was_rolled_back_can_be_loaded_again(site, portal):
    site.only_history(slice={"lookback": "1d"})
    site.sync()
    run = correct(site, portal, 9)
    after = stored(site)
    rolled_back(site, run)
    done = site.cli("replay", "--run", run)
    assert done.code == 0 and "9 updated" in done.out, done
    assert stored(site) == after
    check(site)
    rolled_back(site, run)
    assert site.value("SELECT count(*) FROM ogdsync.run_slice WHERE state = 'rolled_back'") == 2
    assert site.value("SELECT count(*) FROM ogdsync.run WHERE state = 'rolled_back'") == 2, "and the repetition"
    check(site)


def test_beside_a_running_daemon(site):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        run = site.value("SELECT id FROM ogdsync.run")
        done = rolled_back(site, run)
        assert site.rows() == [] and "400 that it inserted are deleted" in done.out
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder", 20, "the lease")
        assert site.rows() == [], "the spool does not bring it back"
        assert site.coverage(slice=str(today())) == ("missing", "rolled_back")


def test_what_cannot_be_rolled_back(site, portal):
    assert site.cli("rollback").code == USAGE
    assert site.cli("rollback", "--run", "x").code == USAGE
    assert site.cli("rollback", "--run", 5).code == NO_INPUT
    site.only_history(slice={"lookback": "1d"})
    site.configure(dataset={"on_change": "overwrite"})
    site.sync()
    run = correct(site, portal, 9)
    before = stored(site)
    done = rolled_back(site, run, code=DATA)
    assert "the old values of 9 are not kept: it cannot be undone" in done.err
    assert stored(site) == before
    replay = site.cli("replay", "--run", run)
    assert replay.code == 0, replay
    repeat = site.value("SELECT max(id) FROM ogdsync.run")
    assert site.cli("rollback", "--run", repeat).code == USAGE


# revisions


def test_revise_keeps_old_values_when_and_by_which_run(site, portal):
    site.only_history(slice={"lookback": "1d"})
    site.sync()
    first, before = run_of(site), {row[:5]: row for row in stored(site)}
    second = correct(site, portal, 9)
    now = {row[:5]: row for row in stored(site)}
    held = site.query(f"SELECT {KEYS}, min_price, max_price, modal_price, run_id, replaced_by,"
                      " replaced_at BETWEEN (SELECT started_at FROM ogdsync.run WHERE id = %s) AND now()"
                      " FROM mandi.price_revision", second)
    assert len(held) == 9
    for row in held:
        assert row[:9] == before[row[:5]] and row[8] == first, "the old values, and the run that had fetched them"
        assert row[9:] == (second, True)
        assert now[row[:5]][8] == second and now[row[:5]][5:8] != before[row[:5]][5:8]


def test_overwrite_keeps_none_and_keep_counts_unchanged(make_site, portal):
    for on_change, changed, counts in (("overwrite", 9, (0, 9, 391)), ("keep", 0, (0, 0, 400))):
        portal.control(resources={"history": {"corrected": {}}})
        site = make_site(portal)
        site.only_history(slice={"lookback": "1d"})
        site.configure(dataset={"on_change": on_change})
        site.apply()
        site.sync()
        before = stored(site)
        run = correct(site, portal, 9)
        assert len(set(before) - set(stored(site))) == changed
        assert site.query("SELECT inserted, updated, unchanged FROM ogdsync.run WHERE id = %s", run) == [counts]
        assert site.value("SELECT to_regclass('mandi.price_revision')") is None
        site.check_books()
