"""A day whose pages overlap is fetched again by state, and proven so."""

from harness import days_back


def overlap(site, portal, page_size):
    """The largest state of a day has more than 50 rows and fewer than 150."""
    site.only_history(page_size=page_size)
    site.configure(portal={"passes": 1})
    portal.control(resources={"history": {"sort": "ignore", "overlap": 3}})


def test_parts_prove_the_whole(site, portal):
    overlap(site, portal, 150)
    done = site.once()
    assert "fetch.split" in done.err, done
    assert done.code == 0, done
    assert site.rows() == site.truth(live=False, days=days_back(1, 2, 3))
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE state NOT IN ('complete', 'open')") == []
    assert site.value("SELECT count(*) FROM ogdsync.coverage WHERE strpos(slice, '/') > 0") > 3
    site.check_books()


def test_a_part_that_is_short_leaves_the_whole_a_hole(site, portal):
    overlap(site, portal, 50)
    done = site.once()
    assert done.code == 75, done
    assert "parts are proven" in done.err
    assert site.coverage("history", str(days_back(1)[0])) == ("partial", "incomplete")
    assert site.query("SELECT state FROM ogdsync.coverage_day WHERE state IN ('complete', 'open')") == []
    assert {run[1] for run in site.runs()} == {"partial"}
    site.check_books()
