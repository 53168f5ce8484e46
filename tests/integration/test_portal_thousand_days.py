"""A thousand days through a portal that cannot page: each ends exact, or says that it is not.

Four worlds of their own seed, each in one run of the `history` source. The portal does not obey
`sort`, its pages overlap and miss rows at their edges, real duplicates and unreadable rows lie
between, and in one world every day grows while it is read. A day that the ledger calls proven must
hold exactly what the simulator says the truth is; any other must be partial, hold part of the
truth, and nothing else.

By default 200 days; OGDSYNC_DAYS=1000 for all of them (two minutes).
"""

import copy
import os

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


def ledger_of(site):
    """slice -> (whether it is proven, code, expected), the parts of days too"""
    return {name: (state in ("complete", "open"), code, expected) for name, state, code, expected in site.query(
        "SELECT slice, state, code, expected FROM ogdsync.coverage WHERE source = 'history'")}


def exact(document):
    return {tuple(row) for row in document["data"]}


def moments(portal, days):
    """day -> the numbers of the calls that may have decided what it is.

    The last one that brought rows; of a day fetched in parts, any since the last of the whole.
    """
    found = {str(day): [] for day in days}
    for n, call in enumerate(portal.requests("/resource")):
        asked = dict(part.split("=", 1) for part in call["query"].split("?")[-1].split("&"))
        day = "-".join(reversed(asked["filters%5BArrival_Date%5D"].split("-")))
        if call["rows"] > 0:
            is_part = "filters%5BState%5D" in asked
            found[day] = [*found[day], n] if is_part else [n]
    return found


def truths_when_asked(portal, days):
    """day -> what the truth was at each such moment"""
    truths = {}
    for day, calls in moments(portal, days).items():
        for n in calls:
            portal.control(resources={"history": {"fill": share(n)}})
            document = portal.truth("history", date=day, rows=True, columns=COLUMNS)["dates"][day]
            truths.setdefault(day, []).append(document)
    return truths


def compare(site, truths, full, world):
    """How many days are proven; each of them must be exact, any other must hold nothing else."""
    held, ledger = rows_by_day(site), ledger_of(site)
    assert {name for name in ledger if "/" not in name} == set(full), "a day has no entry"
    n_proven = 0
    for day in sorted(full):
        proven, code, expected = ledger[day]
        rows = held.get(day, [])
        where = f"{world}, {day}: {proven} {code}, {len(rows)} of {[len(t['data']) for t in truths[day]]} rows"
        assert len(rows) == len(set(rows)), where
        if proven:
            n_proven += 1
            assert any(set(rows) == exact(t) and expected == t["records"] for t in truths[day]), where
        else:
            assert code == "incomplete", where
            assert set(rows) <= exact(full[day]), where
    return n_proven


def compare_parts(site, full):
    """A part that is proven is exact too, whether its day is or not. How many there are."""
    held, n_parts = rows_by_day(site), 0
    for name, (proven, _code, _expected) in ledger_of(site).items():
        day, _, state = name.partition("/")
        if proven and state:
            n_parts += 1
            assert {row for row in held[day] if row[0] == state} == {
                row for row in exact(full[day]) if row[0] == state}, name
    return n_parts


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
        truths = truths_when_asked(portal, days) if world == "growing" else None
        portal.control(resources={"history": {"fill": 1}})
        full = truth_by_day(portal, days)
        n_proven = compare(site, truths or {day: [full[day]] for day in full}, full, world)
        n_parts = compare_parts(site, full) if world != "growing" else 0
    print(f"{world}: {n_proven} of {len(days)} days proven, {n_parts} parts, {n_calls} calls, {done.seconds:.1f} s")
    state, = {state for _, state, _ in site.runs()}
    assert (state, done.code) == (("success", 0) if n_proven == len(days) else ("partial", TRY_AGAIN)), done
    assert n_proven > 0
    site.check_books()
