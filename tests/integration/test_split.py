"""A day whose pages overlap is fetched again by state, and proven so."""

from collections import Counter

from harness import days_back


def overlap(site, portal, fits):
    """Whether the largest state of a day fits into one page."""
    rows = site.truth(live=False, days=days_back(1, 2, 3))
    largest = max(Counter((row[0], row[6]) for row in rows).values())
    site.only_history(page_size=largest if fits else largest // 2)
    site.configure(portal={"passes": 1})
    portal.control(resources={"history": {"sort": "ignore", "overlap": 3}})


def test_parts_prove_the_whole(site, portal):
    overlap(site, portal, fits=True)
    done = site.once()
    assert "fetch.split" in done.err, done
    assert done.code == 0, done
    assert site.rows() == site.truth(live=False, days=days_back(1, 2, 3))
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE state NOT IN ('complete', 'open')") == []
    assert site.value("SELECT count(*) FROM ogdsync.coverage WHERE strpos(slice, '/') > 0") > 3
    site.check_books()


def test_a_part_that_the_database_refuses_leaves_the_whole_a_hole(site, portal):
    overlap(site, portal, fits=True)
    site.apply()
    with site.connect() as db:
        db.execute("ALTER TABLE ogdsync.run_slice ADD CONSTRAINT refused CHECK (slice NOT LIKE '%%/Punjab')")
    done = site.once()
    assert done.code == 75, done
    days = [str(day) for day in days_back(1, 2, 3)]
    assert {site.coverage("history", day) for day in days} == {("partial", "part_refused")}
    assert {run[1] for run in site.runs()} == {"partial"}
    with site.connect() as db:
        db.execute("ALTER TABLE ogdsync.run_slice DROP CONSTRAINT refused")
    site.sync()
    assert site.rows() == site.truth(live=False, days=days_back(1, 2, 3))
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE state NOT IN ('complete', 'open')") == []
    site.check_books()


def test_a_part_that_is_short_leaves_the_whole_a_hole(site, portal):
    overlap(site, portal, fits=False)
    done = site.once()
    assert done.code == 75, done
    assert "parts are proven" in done.err
    assert site.coverage("history", str(days_back(1)[0])) == ("partial", "incomplete")
    assert site.query("SELECT state FROM ogdsync.coverage_day WHERE state IN ('complete', 'open')") == []
    assert {run[1] for run in site.runs()} == {"partial"}
    site.check_books()
