"""
Sixty days of a daemon's life in a minute: it is started on each morning, its clock set to that day.

The portal has nothing for 20 of the dates when they are due, has 4 of them only in part, and corrects 3 later; the daemon
is down for 10 mornings, and killed on some. At the end every date is complete or known to be empty, and the table is the
truth.
"""

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from harness import today, wait_until

DAYS, MORE = 60, 3
BUDGET, LOOKBACK = 4, 2
IST = timezone(timedelta(hours=5, minutes=30))
FAKETIME = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)

# Numbers of dates, counted from the first; the morning that belongs to a date is that of the day after it.
DOWN = range(20, 30)
KILLED = (16, 33, 47)
NEVER = (5, 24, 41, 50)  # nothing, and that is so
MISSING = {2: 4, 7: 10, 9: 12, 13: 14, 15: 18, 18: 30, 22: 30, 26: 28, 28: 31, 32: 35, 36: 39, 43: 46, 52: 55, 54: 55,
           37: 43, 48: 54}  # nothing until that morning
REFUSED = {48: 50}  # and until this one an error instead
WEAK = {38: 43, 46: 50}  # a quarter, with a total that agrees, until that morning
BROKEN = {11: 14, 34: 38}  # one page, then errors
CORRECTED = {6: 7, 19: 25, 44: 45}  # from that morning on


class Calendar:
    def __init__(self):
        self.first = today() + timedelta(days=1)  # in the future, so that what lies on the disk is old

    def date(self, i):
        return self.first + timedelta(days=i)

    def morning(self, i):
        """A minute later each day, so that looks are never less than a day apart."""
        at = self.date(i + 1)
        return datetime(at.year, at.month, at.day, 10, 30, tzinfo=IST) + timedelta(minutes=i)

    def names(self, numbers):
        return [str(self.date(i)) for i in numbers]


def settings(calendar, morning):
    """What is wrong with the portal on this morning."""
    late = [i for i, until in MISSING.items() if morning < until]
    faults = [{"kind": "502", "when": {"date": str(calendar.date(i))}} for i, until in REFUSED.items() if morning < until]
    faults += [{"kind": "504", "when": {"date": str(calendar.date(i)), "offset": [1, 9999]}}
               for i, until in BROKEN.items() if morning < until]
    return {
        "today": str(calendar.date(morning + 1)), "days": f"{calendar.first}..", "faults": faults,
        "resources": {"history": {
            "rows": 60,
            "missing_dates": calendar.names([*NEVER, *late]),
            "partial_dates": {str(calendar.date(i)): 0.25 for i, until in WEAK.items() if morning < until},
            "corrected": {str(calendar.date(i)): 20 for i, since in CORRECTED.items() if morning >= since},
        }},
    }


def at_rest(daemon):
    """Healing has found nothing more to do, or was refused."""
    return " heal.rest" in daemon.log() or " heal.pause" in daemon.log()


class Life:
    """A daemon that is started again and again, its clock set to the morning."""

    def __init__(self, site, portal):
        self.site, self.portal, self.calendar = site, portal, Calendar()
        site.variables |= {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
        site.only_history(page_size=30, schedule=["30 3 * * *"], slice={"lookback": f"{LOOKBACK}d"},
                          heal={"from": self.calendar.first, "max_slices_per_day": BUDGET})

    def start(self, morning, minutes=0):
        offset = self.calendar.morning(morning).timestamp() + minutes * 60 - time.time()
        self.site.variables["FAKETIME"] = f"{offset:+.0f}"
        return self.site.start()

    def kill(self, morning):
        """In the middle of what it does."""
        with self.start(morning) as daemon:
            wait_until(lambda: " run.start " in daemon.log(), 20, "a run")
            time.sleep(0.03 * (morning % 7))
            daemon.kill()

    def live(self, morning):
        self.portal.control(**settings(self.calendar, morning))
        if morning in KILLED:
            self.kill(morning)
        with self.start(morning, minutes=2) as daemon:
            wait_until(lambda: at_rest(daemon), 30, f"the end of morning {morning}")

    def state(self, i):
        found = self.site.query("SELECT state FROM ogdsync.coverage WHERE slice = %s", str(self.calendar.date(i)))
        return found[0][0] if found else None

    def why(self, daemon, i):
        return daemon.get(f"/sync/why?date={self.calendar.date(i)}").json["text"]


def check_on_the_way(life, morning):
    """What must stand in the books on certain mornings."""
    expected = {
        7: {7: "suspect", 5: "suspect", 2: "complete"},
        9: {5: "empty", 7: "suspect", 6: "complete"},
        12: {11: "partial", 7: "complete"},
        19: {18: "suspect", 19: "complete"},
        30: {20: "complete", 22: "complete", 29: "complete", 24: "suspect"},
        37: {37: "suspect", 34: "partial"},
        41: {37: "empty", 34: "complete"},
        48: {48: "missing", 37: "complete"},
    }.get(morning, {})
    found = {i: life.state(i) for i in expected}
    assert found == expected, f"on morning {morning}"


@pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed (Debian: faketime)")
@pytest.mark.timeout(300)
def test_sixty_days(site, portal):
    life = Life(site, portal)
    calendar = life.calendar
    for morning in range(DAYS + MORE):
        if morning not in DOWN:
            life.live(morning)
            check_on_the_way(life, morning)

    # every date is complete, or the portal has nothing for it
    states = {i: life.state(i) for i in range(DAYS)}
    assert {i for i, state in states.items() if state == "empty"} == set(NEVER)
    assert {i for i, state in states.items() if state != "complete"} == set(NEVER)
    days = [calendar.date(i) for i in range(DAYS + MORE)]
    assert site.rows() == site.truth(live=False, days=days)
    site.check_books()

    # no day had more than its budget
    spent = site.query(
        "SELECT (s.started_at AT TIME ZONE 'Asia/Kolkata')::date, count(*) FROM ogdsync.run_slice s"
        " JOIN ogdsync.run r ON r.id = s.run WHERE r.trigger = 'heal' GROUP BY 1 ORDER BY 2 DESC")
    assert spent and spent[0][1] <= BUDGET, spent[0]
    # each try came as late as it had to: of a date that healing asked for, no two within a day
    assert site.query(
        "SELECT slice FROM (SELECT s.slice, s.started_at - lag(s.started_at) OVER (PARTITION BY s.slice"
        " ORDER BY s.started_at) AS gap FROM ogdsync.run_slice s JOIN ogdsync.run r ON r.id = s.run"
        " WHERE r.trigger = 'heal') gaps WHERE gap < interval '1 day'") == []

    with life.start(DAYS + MORE - 1, minutes=30) as daemon:
        wait_until(lambda: daemon.status()["coverage"]["missing_days"] == 0, 20, "the coverage to be read")
        assert daemon.status()["coverage"] == {"missing_days": 0, "partial_days": 0}
        check_why(life, daemon)
        summary = daemon.get(f"/sync/coverage?to={calendar.date(DAYS - 1)}").json["summary"]
        assert (summary["complete"], summary["empty"]) == (DAYS - len(NEVER), len(NEVER))


def check_why(life, daemon):
    """Five dates with five stories."""
    calendar = life.calendar
    good, caught_up, healed, empty, corrected = (life.why(daemon, i) for i in (40, 21, 7, 41, 44))
    for text in (good, caught_up, healed, empty, corrected):
        assert "was due at" in text
    assert "(schedule) looked last and ended proven: 60 received, 60 unchanged" in good
    assert "holds 60 rows" in good and good.endswith("Nothing is to be done.")
    # one run for all that was missed, on the first morning after
    assert "complete" in caught_up and "(schedule) looked last" in caught_up
    assert f"the last one at {calendar.date(31)}T" in caught_up and "; 1 look," in caught_up
    assert "(heal) looked last and ended proven: 60 received, 60 inserted" in healed
    assert "empty: the portal said three times" in empty and "holds 0 rows" in empty
    assert "It is weak: 60 rows are usual" in empty and empty.endswith("Nothing is to be done.")
    assert "20 updated" in corrected and "40 unchanged" in corrected
