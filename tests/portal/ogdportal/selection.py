"""A call's filters, range, sort and paging, worked on the served rows.

Rows come in segments, one per date, made only when a page touches them, so
that `limit=0` over years of history costs nothing.  A sort that does not lead
with the date merges its segments into one.
"""

import random
import re
from functools import lru_cache

from . import overlay
from .cells import MISSING, Num, text_of
from .columns import DATE, NUMBER, TIMESTAMP
from .lru import Lru

VARIANTS = 3  # different unsorted orders: the replicas of an index
LEAST_WINDOW = 40  # rows by which an unsorted order is at least stirred

PORTAL_DATE = re.compile(r"(\d{2})[-/](\d{2})[-/](\d{4})(?: (\d{2}:\d{2}:\d{2}))?")
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}:\d{2})?")
LAST, FIRST = "\U0010ffff", ""


class Shelf:
    """Days at hand: full ones by seed, served ones by settings, orders.

    Weighed in rows and bounded, because a test may walk through years.
    """

    def __init__(self, seed, most_rows):
        self.seed = seed
        self.full = Lru(most_rows)
        self.served = Lru(most_rows)
        self.orders = Lru(most_rows * 2)

    def rows(self, resource, date, view):
        """The records of one date as served under a view."""
        key = (resource.alias, date, view.token)
        rows = self.served.get(key)
        if rows is None:
            rows = overlay.serve(
                self._full(resource, date, view.settings),
                resource.columns,
                view.settings,
                self.seed,
                date,
                view.share,
            )
            self.served.put(key, rows, len(rows) + 1)
        return rows

    def _full(self, resource, date, settings):
        key = resource.full_key(date, settings)
        rows = self.full.get(key)
        if rows is None:
            rows = self.full.put(
                key, resource.full_rows(date, settings), resource.full_count(date, settings) + 1
            )
        return rows

    def count(self, resource, date, view):
        """How many records a date serves, without making them."""
        return overlay.served_count(
            resource.full_count(date, view.settings), resource.columns, view.settings, date, view.share
        )


class View:
    """A resource's settings in force, its calendar and the share of a filling
    day that has arrived.  `version` counts how often the settings of the
    resource changed; with the share it tells two views apart."""

    def __init__(self, settings, calendar, share, version):
        self.settings = settings
        self.calendar = calendar
        self.share = share
        self.version = version
        self.token = (version, share)


class Selection:
    """What a query selects.  `varies` turns true when a page depended on the
    unsorted order of this very call."""

    def __init__(self, shelf, resource, view, query, variant):
        self.shelf, self.resource, self.view = shelf, resource, view
        self.variant = variant if view.settings["unsorted"] == "shuffle" else 0
        self.varies = False
        self._plan(query)

    def _plan(self, query):
        settings = self.view.settings
        places = {key: place for place, key in self.resource.keys(settings)}
        self._dates = list(self.resource.dates(self.view.calendar))
        self._tests = []
        self._narrow(query, places, settings)
        self._sort = []
        if settings["sort"] == "apply":
            self._sort = [(places[name], desc) for name, desc in query.sort if name in places]
        self._segments = self._make_segments()

    def _narrow(self, query, places, settings):
        """Turn filters and ranges into dates to keep and tests of rows."""
        asked = [*query.filters, *query.ranges]
        if settings["filters"] == "ignore" or not asked:
            return
        date_place = self.resource.place(DATE)
        unknown = [name for name in asked if name not in places]
        if settings["filters"] == "zero" or (unknown and settings["unknown_filter"] == "zero"):
            self._dates = []
            return
        for name in asked:
            place = places.get(name)
            if place is None or (place == date_place and settings["date_filter"] == "ignore"):
                continue
            if name in query.filters:
                self._filter(place, query.filters[name], place == date_place)
            if name in query.ranges:
                self._range(place, query.ranges[name], place == date_place)

    def _filter(self, place, value, is_date):
        if is_date:
            wanted = iso_of(value)
            self._dates = [date for date in self._dates if date is not None and date.isoformat() == wanted]
            return
        self._tests.append(("=", place, value))

    def _range(self, place, bounds, is_date):
        for bound, value in bounds.items():
            if not is_date:
                self._tests.append((bound, place, value))
            elif ISO_DATE.fullmatch(value):
                self._dates = [
                    date
                    for date in self._dates
                    if date is not None and _within(date.isoformat(), bound, value)
                ]
            else:
                self._dates = []

    def _make_segments(self):
        leads = not self._sort or self._sort[0][0] == self.resource.place(DATE)
        if not leads and len(self._dates) > 1:
            return [tuple(self._dates)]
        backwards = bool(self._sort) and self._sort[0][1]
        return (
            [(date,) for date in sorted(self._dates, reverse=backwards)]
            if None not in self._dates
            else [(None,)]
        )

    @property
    def total(self):
        """How many records match."""
        return sum(self._count(segment) for segment in self._segments)

    def _count(self, segment):
        if self._tests:
            return len(self._ordered(segment))
        return sum(self.shelf.count(self.resource, date, self.view) for date in segment)

    def page(self, offset, limit):
        """The records offset .. offset + limit, in the order of this call."""
        rows = []
        for segment in self._segments:
            count = self._count(segment)
            if offset >= count:
                offset -= count
                continue
            if len(rows) >= limit:
                break
            rows += self._ordered(segment)[offset : offset + limit - len(rows)]
            offset = 0
        return rows

    def _ordered(self, segment):
        """The matching rows of a segment in order; remembered."""
        key = (self.resource.alias, segment, self.view.token, tuple(self._tests), tuple(self._sort))
        fixed = self.shelf.orders.get(key)
        if fixed is not None:
            return fixed
        self.varies = True
        stirred = self.shelf.orders.get(key + (self.variant,))
        if stirred is not None:
            return stirred
        rows = self._matching(segment)
        return self._order(rows, key)

    def _order(self, rows, key):
        if self._sort:
            ordered, ties = self._sorted(rows)
            if not ties:
                self.varies = False
                return self.shelf.orders.put(key, ordered, len(rows) + 1)
        rows = (
            _stirred(rows, f"{self.shelf.seed}/{self.variant}", self.view.settings["jitter"])
            if self.variant
            else rows
        )
        if self._sort:
            rows, _ = self._sorted(rows)
        return self.shelf.orders.put(key + (self.variant,), rows, len(rows) + 1)

    def _matching(self, segment):
        rows = []
        for date in segment:
            found = self.shelf.rows(self.resource, date, self.view)
            for test in self._tests:
                found = _passing(found, test, self.resource.columns[test[1]].kind)
            rows += found
        return rows

    def _sorted(self, rows):
        """(rows in the order asked for, whether any two tied)."""
        textual = self.view.settings["prices"] == "string"
        columns = self.resource.columns
        makers = [(place, _sort_value(columns[place].kind, desc, textual)) for place, desc in self._sort]
        keys = [tuple([make(row[place]) for place, make in makers]) for row in rows]
        order = list(range(len(rows)))
        if len({desc for _, desc in self._sort}) == 1:
            order.sort(key=keys.__getitem__, reverse=self._sort[0][1])
        else:
            for level in reversed(range(len(makers))):
                order.sort(key=lambda n: keys[n][level], reverse=self._sort[level][1])
        ties = any(keys[a] == keys[b] for a, b in zip(order, order[1:]))
        return [rows[n] for n in order], ties


def _stirred(rows, seed, jitter):
    """The rows moved about by up to a window: two replicas of one index
    agree roughly, so pages overlap and miss rows at their edges."""
    rng = random.Random(seed)
    window = max(LEAST_WINDOW, len(rows) * jitter)
    keys = [n + window * rng.random() for n in range(len(rows))]
    return [rows[n] for n in sorted(range(len(rows)), key=keys.__getitem__)]


def _sort_value(kind, desc, textual):
    """Cell -> what it sorts by; what has no value comes last either way."""
    if kind in (DATE, TIMESTAMP):
        none = FIRST if desc else LAST
        return lambda cell: iso_of(cell) or none if isinstance(cell, str) else none
    if kind == NUMBER and not textual:
        none = float("-inf") if desc else float("inf")
        return lambda cell: cell if type(cell) is int else _number_or(cell, none)
    none = FIRST if desc else LAST
    return (
        lambda cell: cell if type(cell) is str else none if cell is None or cell is MISSING else text_of(cell)
    )


def _number_or(cell, otherwise):
    try:
        return float(text_of(cell)) if isinstance(cell, (str, Num)) else otherwise
    except ValueError:
        return otherwise


@lru_cache(maxsize=65536)
def iso_of(text):
    """dd-MM-yyyy or dd/MM/yyyy [HH:mm:ss] -> ISO text; else None."""
    parts = PORTAL_DATE.fullmatch(text)
    if not parts:
        return None
    day, month, year, clock = parts.groups()
    return f"{year}-{month}-{day}" + (f"T{clock}" if clock else "")


def _passing(rows, test, kind):
    """The rows that pass one test."""
    how, place, value = test
    if how == "=":
        return [
            row
            for row in rows
            if row[place] == value or (type(row[place]) is not str and text_of(row[place]) == value)
        ]
    if kind == NUMBER:
        bound = _number_or(value, None)
        if bound is None:
            return []
        return [row for row in rows if _within(_number_or(Num(text_of(row[place])), None), how, bound)]
    if kind == TIMESTAMP:
        value = value.replace(" ", "T")
        return [row for row in rows if _within(iso_of(text_of(row[place])), how, value)]
    return [row for row in rows if _within(text_of(row[place]), how, value)]


def _within(value, bound, limit):
    if value is None:
        return False
    return {"gte": value >= limit, "gt": value > limit, "lte": value <= limit, "lt": value < limit}[bound]
