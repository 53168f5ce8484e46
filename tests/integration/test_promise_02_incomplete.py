"""Incomplete is never called success."""

import random

import pytest

from harness import days_back, today


def holes(site):
    return dict(site.query("SELECT source || '/' || slice, state FROM ogdsync.coverage"
                           " WHERE state NOT IN ('complete', 'open')"))


@pytest.mark.parametrize("seed", range(8))
def test_a_random_portal_never_gets_away_with_it(site, portal, seed):
    """Whatever goes wrong: `success` holds the truth, and all else is in the ledger."""
    chance = random.Random(seed)
    kinds = ["502", "empty", "short", "truncate", "cut", "first_page", "not_json", "error", "close"]
    site.live(page_size=50)
    site.configure(portal={"attempts": 2, "passes": 2})
    portal.control(
        faults=[{"kind": chance.choice(kinds), "when": {"probability": chance.uniform(0.1, 0.9)}} for _ in range(3)],
        resources={"daily": {"overlap": chance.choice([0, 0, 3]), "sort": chance.choice(["apply", "ignore"])}})
    done = site.once()
    truth, rows = site.truth(), site.rows()
    assert set(rows) <= set(truth), "rows that were never served"
    state = site.runs()[0][1]
    assert (done.code == 0) == (state == "success")
    if state == "success":
        assert rows == truth
    else:
        assert "live/all" in holes(site)
        assert " ERROR " in done.err or " WARNING " in done.err
    site.check_books()


def test_missing_and_short_days_stand_in_the_ledger_until_they_come(site, portal):
    one, two, three = days_back(1, 2, 3)
    site.only_history()
    portal.control(resources={"history": {"missing_dates": [str(one)]}})
    done = site.once()
    assert done.code == 75, done
    assert holes(site) == {f"history/{one}": "suspect"}
    assert site.rows() == site.truth(live=False, days=[two, three])
    portal.control(resources={"history": {"missing_dates": None}})
    site.sync()
    assert holes(site) == {}
    assert site.rows() == site.truth(live=False, days=[one, two, three])


def test_an_empty_answer_takes_nothing_back(site, portal):
    site.sync()
    portal.control(resources={"daily": {"missing_dates": [str(today())]}})
    site.sync(75)
    assert len(site.rows()) == 400
    assert site.coverage(slice=str(today()))[0] == "open"
    assert site.runs()[-1][1] == "suspect"
