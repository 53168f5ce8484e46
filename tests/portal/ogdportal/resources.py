"""The resources served: which dates each holds, and the rows of a date.

A resource gives full days; what settings make of them is overlay.py's
business, and what a call gets of that is selection.py's.
"""

import datetime
from dataclasses import dataclass

from . import columns as cols
from .air import AirBulletins
from .mandi import MandiDays, days_between
from .pincode import N_OFFICES, Offices
from .settings import ALIASES

HISTORY_DAYS = 30


@dataclass(frozen=True)
class Calendar:
    """The simulated time: the running day, and the days of the history."""

    today: datetime.date
    first: datetime.date | None = None
    last: datetime.date | None = None
    lag: int = 0

    def history(self):
        """The dates the historical resource holds, oldest first."""
        first = self.first or self.today - datetime.timedelta(days=HISTORY_DAYS - 1)
        newest = self.today - datetime.timedelta(days=self.lag)
        last = min(self.last, newest) if self.last else newest
        return days_between(first, last) if first <= last else []


class Resource:
    """What all resources share.  `schemas` are the key spellings it knows."""

    def __init__(self, alias, columns, key, schemas):
        self.alias = alias
        self.uuid = ALIASES[alias]
        self.columns = columns
        self.key = key
        self.schemas = schemas
        self.meta = None  # the envelope of a replayed answer
        self.quoted_columns = frozenset()

    def place(self, kind):
        """Where the first column of a kind stands, or None."""
        return next((n for n, column in enumerate(self.columns) if column.kind == kind), None)

    def schema(self, settings):
        """The spelling in force; another resource's spelling does not apply."""
        return settings["schema"] if settings["schema"] in self.schemas else self.schemas[0]

    def keys(self, settings):
        """(place, JSON key) of the columns that are served."""
        schema = self.schema(settings)
        rename, drop = settings["rename"], settings["drop"]
        return [
            (place, rename.get(column.id, column.key(schema)))
            for place, column in enumerate(self.columns)
            if column.id not in drop
        ]

    def full_count(self, date, settings):
        return len(self.full_rows(date, settings))


class Daily(Resource):
    """Current daily price: the running day only."""

    def __init__(self, days):
        super().__init__("daily", cols.MANDI, cols.MANDI_KEY, cols.MANDI_SCHEMAS)
        self.days = days

    def dates(self, calendar):
        return [calendar.today]

    def full_key(self, date, settings):
        return "mandi", date, settings["edition"], settings["rows"]

    def full_count(self, date, settings):
        return self.days.count(date, settings["edition"], settings["rows"])

    def full_rows(self, date, settings):
        return self.days.rows(date, settings["edition"], settings["rows"])


class History(Daily):
    """Variety-wise prices of every past day; the same days, with a code."""

    def __init__(self, days):
        super().__init__(days)
        Resource.__init__(
            self, "history", cols.MANDI + (cols.MANDI_CODE,), cols.MANDI_KEY, cols.MANDI_SCHEMAS
        )

    def dates(self, calendar):
        return calendar.history()


class Air(Resource):
    """Air quality: the bulletin of today at `hour`."""

    def __init__(self, seed):
        super().__init__("air", cols.AIR, cols.AIR_KEY, cols.AIR_SCHEMAS)
        self.bulletins = AirBulletins(seed)

    def dates(self, calendar):
        return [calendar.today]

    def full_key(self, date, settings):
        return "air", date, settings["hour"], settings["rows"]

    def full_rows(self, date, settings):
        return self.bulletins.rows(date, settings["hour"] % 24, settings["rows"])


class Pincode(Resource):
    """The pincode directory, which has no date."""

    def __init__(self, seed):
        super().__init__("pincode", cols.PINCODE, cols.PINCODE_KEY, cols.PINCODE_SCHEMAS)
        self.offices = Offices(seed)

    def dates(self, calendar):
        return [None]

    def full_key(self, date, settings):
        return "pincode", settings["rows"]

    def full_count(self, date, settings):
        return N_OFFICES if settings["rows"] is None else min(N_OFFICES, settings["rows"])

    def full_rows(self, date, settings):
        return self.offices.rows(settings["rows"])


def synthetic(seed, rows_per_day=None):
    """alias -> resource, all made from the seed.

    The mandi rows carry the code as an eleventh cell; the daily resource has
    ten columns and simply never looks at it.
    """
    days = MandiDays(seed, rows_per_day)
    made = (Daily(days), History(days), Air(seed), Pincode(seed))
    return {resource.alias: resource for resource in made}
