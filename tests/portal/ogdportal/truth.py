"""What a perfect client would hold after one complete pass.

Accounting is the daemon's promise 1: records = rows + duplicates +
quarantined.  The checksum is SHA-256 over the rows sorted by bytes, columns
joined by a tab, NULL written as \\N, each row ended by a line feed, so that
one query in SQL or four lines of a test can make the same.
"""

import hashlib

from .cells import plain
from .columns import NUMBER
from .lru import Lru
from .normal import BadRow, Normaliser, order_of

MOST_CACHED_ROWS = 400_000


class Truth:
    """The expected content of one date."""

    def __init__(self, rows, resource, places):
        self.columns = [resource.columns[place].id for place in places]
        self.records = len(rows)
        self.quarantine = []  # (reason, column, row)
        self.duplicates = 0
        self._keep = {}
        self._key = [n for n, place in enumerate(places) if resource.columns[place].id in resource.key]
        self._values = [
            n
            for n, place in enumerate(places)
            if resource.columns[place].kind == NUMBER and n not in self._key
        ]
        normaliser = Normaliser(resource.columns, places)
        for row in rows:
            self._take(row, normaliser)
        self.rows = sorted(self._keep.values(), key=_line)

    def _take(self, row, normaliser):
        try:
            values = normaliser.row(row)
        except BadRow as bad:
            self.quarantine.append((bad.reason, bad.column, row))
            return
        key = tuple([values[n] for n in self._key])
        held = self._keep.setdefault(key, values)
        if held is values:
            return
        if held == values:
            self.duplicates += 1
            return
        self._settle(key, held, values)

    def _settle(self, key, held, values):
        """Two rows of one key that differ: the greater values win."""
        greater = max(held, values, key=lambda one: order_of([one[n] for n in self._values]))
        loser = held if greater is values else values
        self._keep[key] = greater
        self.quarantine.append(("conflict", None, loser))

    def checksum(self):
        """Hexadecimal SHA-256 of the rows."""
        return hashlib.sha256("".join(_line(row) for row in self.rows).encode()).hexdigest()


def _line(row):
    return "\t".join("\\N" if value is None else value for value in row) + "\n"


class Teller:
    """Answers /truth; remembers the dates it worked out."""

    def __init__(self, shelf):
        self.shelf = shelf
        self._known = Lru(MOST_CACHED_ROWS)

    def of_date(self, resource, view, date, wanted):
        """The Truth of one date for the wanted column ids (None: all of the
        daemon's dataset, i.e. without the commodity code)."""
        places = _places(resource, wanted)
        key = (resource.alias, date, view.token, tuple(places))
        truth = self._known.get(key)
        if truth is None:
            truth = Truth(self.shelf.rows(resource, date, view), resource, places)
            self._known.put(key, truth, truth.records + 1)
        return truth

    def document(self, resource, view, dates, wanted, with_rows):
        """The answer of /truth over some dates."""
        whole = {
            "resource": resource.uuid,
            "alias": resource.alias,
            "today": view.calendar.today.isoformat(),
            "columns": [resource.columns[place].id for place in _places(resource, wanted)],
            "records": 0,
            "rows": 0,
            "duplicates": 0,
            "quarantined": 0,
            "dates": {},
        }
        for date in dates:
            one = self._one(resource, view, date, wanted, with_rows)
            for name in ("records", "rows", "duplicates", "quarantined"):
                whole[name] += one[name]
            whole["dates"][date.isoformat() if date else "all"] = one
        if len(dates) == 1:
            whole["checksum"] = next(iter(whole["dates"].values()))["checksum"]
        return whole

    def _one(self, resource, view, date, wanted, with_rows):
        truth = self.of_date(resource, view, date, wanted)
        reasons = {}
        for reason, _, _ in truth.quarantine:
            reasons[reason] = reasons.get(reason, 0) + 1
        one = {
            "records": truth.records,
            "rows": len(truth.rows),
            "duplicates": truth.duplicates,
            "quarantined": len(truth.quarantine),
            "reasons": reasons,
            "full": resource.full_count(date, view.settings),
            "checksum": truth.checksum(),
        }
        if with_rows:
            one["data"] = truth.rows
            one["quarantine"] = [
                {"reason": reason, "column": column, "record": [_showable(plain(cell)) for cell in row]}
                for reason, column, row in truth.quarantine
            ]
        return one


def _showable(text):
    """Raw bytes of invalid UTF-8 as \\xNN, since this document is UTF-8."""
    if text is None:
        return None
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _places(resource, wanted):
    if wanted is None:
        return [n for n, column in enumerate(resource.columns) if column.id != "commodity_code"]
    by_id = {column.id: n for n, column in enumerate(resource.columns)}
    unknown = [column_id for column_id in wanted if column_id not in by_id]
    if unknown:
        raise ValueError(f"no column {', '.join(unknown)} in {resource.alias}")
    return [by_id[column_id] for column_id in wanted]
