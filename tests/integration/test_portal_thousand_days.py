"""A thousand days through a portal that cannot page: each ends exact, or says that it is not.

Four worlds of their own seed, each in one run of the `history` source. The portal does not obey
`sort`, its pages overlap and miss rows at their edges, real duplicates and unreadable rows lie
between, and in one world every day grows while it is read. A day that the ledger calls proven must
hold exactly what the simulator says the truth is; any other must be partial, hold part of the
truth, and nothing else.

By default 200 days; OGDSYNC_DAYS=1000 for all of them (less than a minute).
"""

import copy
import os
from datetime import date

import pytest

from harness import COLUMNS, KEY, TRY_AGAIN, days_back, today
from portal_harness import Portal

N_DAYS = int(os.environ.get("OGDSYNC_DAYS", "200")) // 4
ROWS, PAGE = 30, 10
UNSORTED = {"sort": "ignore", "unsorted": "shuffle"}
WORLDS = {
    "stirred": (11, 2, {**UNSORTED, "jitter": 0.1}),
    "duplicates and bad rows": (12, 2, {**UNSORTED, "jitter": 0.15, "duplicates": 1, "bad": {"na_price": 1}}),
    "overlapping pages": (13, 2, {**UNSORTED, "jitter": 0.3, "overlap": {"rows": 2, "extra": True}}),
    # Pages one by one: then the number of a call says how full the day was when it was answered.
    "growing": (14, 1, {**UNSORTED, "jitter": 0.1}),
}
LEAP, START, STEP = 25, 0.3, 0.028


def growth():
    """Each call finds more of the day; every 25th falls back, as when a snapshot is replaced."""
    tooth = [{"start": START + k * 1e-6, "per_call": STEP, "least": 0, "most": 1} for k in range(1000)]
    return tooth[0], [{"after": LEAP * k, "set": {"resources": {"history": {"fill": tooth[k]}}}}
                      for k in range(1, len(tooth))]


def share(n):
    """How much of a day the n-th call found."""
    return min(1, START + n // LEAP * 1e-6 + STEP * (n % LEAP))


def truth_by_day(portal, days):
    document = portal.truth("history", rows=True, columns=COLUMNS)["dates"]
    return {str(day): document[str(day)] for day in days}


def rows_by_day(site):
    rows = {}
    for row in site.rows():
        rows.setdefault(row[6], []).append(tuple(row))
    return rows


def slices(site):
    """slice -> (state, code, expected, received, distinct, quarantined, passes)"""
    return {row[0]: row[1:] for row in site.query(
        "SELECT slice, state, code, expected, received, distinct_rows, quarantined, passes FROM ogdsync.run_slice")}


def truth_when_asked(portal, days):
    """The truth of each day when the last of its pages that had rows was sent."""
    calls = portal.requests("/resource")
    last = {}
    for n, call in enumerate(calls):
        asked = next((part for part in call["query"].split("&") if part.startswith("filters")), "")
        if call["rows"] > 0:
            last["-".join(reversed(asked.split("=")[1].split("-")))] = n
    truth = {}
    for day in days:
        portal.control(resources={"history": {"fill": share(last[str(day)])}})
        truth[str(day)] = portal.truth("history", date=day, rows=True, columns=COLUMNS)["dates"][str(day)]
    return truth


def compare(site, truth, full, world):
    """How many days are proven; each of them must be exact."""
    held, ledger = rows_by_day(site), slices(site)
    assert set(ledger) == set(truth), "a day has no entry"
    n_proven = 0
    for day, (state, code, expected, received, distinct, quarantined, passes) in sorted(ledger.items()):
        exact = {tuple(row) for row in truth[day]["data"]}
        rows = held.get(day, [])
        where = f"{world}, {day}: {state} {code}, {len(rows)} of {len(exact)} rows, {passes} passes"
        assert len(rows) == len(set(rows)), where
        assert state in ("proven", "partial"), where
        if state == "proven":
            n_proven += 1
            assert set(rows) == exact, where
            assert expected == truth[day]["records"], where
            assert received >= distinct, where
        else:
            assert code == "incomplete", where
            assert set(rows) <= {tuple(row) for row in full[day]["data"]}, where
            assert passes > 1, where
    return n_proven


@pytest.mark.parametrize("world", WORLDS)
def test_no_day_is_short_and_called_success(make_site, world):
    seed, parallel, settings = copy.deepcopy(WORLDS[world])
    days = days_back(*range(1, N_DAYS + 1))
    with Portal("--seed", seed, "--rows-per-day", ROWS, "--key", KEY, "--requests", 1000000,
                "--days", f"{days[-1]}..") as portal:
        if world == "growing":
            settings["fill"], later = growth()
            portal.control(later=later)
        portal.control(today=str(today()), resources={"history": settings})
        site = make_site(portal)
        site.apply()
        site.only_history(page_size=PAGE, slice={"lookback": f"{N_DAYS}d"})
        site.configure(portal={"parallel": parallel, "requests_per_minute": 60000, "passes": 3},
                       log={"level": "warning"}, dataset={"quarantine_limit": "50%"})
        done = site.once("--timeout", "5m", seconds=300)
        assert done.code in (0, TRY_AGAIN), done
        n_calls = len(portal.requests("/resource"))
        truth = truth_when_asked(portal, days) if world == "growing" else None
        portal.control(resources={"history": {"fill": 1}})
        full = truth_by_day(portal, days)
        n_proven = compare(site, truth or full, full, world)
    print(f"{world}: {n_proven} of {len(days)} days proven, {n_calls} calls, {done.seconds:.1f} s")
    state, = {state for _, state, _ in site.runs()}
    assert (state, done.code) == (("success", 0) if n_proven == len(days) else ("partial", TRY_AGAIN)), done
    assert {date.fromisoformat(day) for day in slices(site)} == set(days)
    assert n_proven > 0
    site.check_books()
