"""What a day looks like after settings have been laid over it.

The order is fixed, and /truth goes through the same rows: vocabulary,
corrections, the part that is served, bad values in place (the total does not
change), then duplicates and conflicts on top (the total grows).
"""

import random
import re
from math import ceil

from . import vocabulary
from .cells import MISSING, Num, is_number, text_of
from .columns import DATE, NUMBER, TIMESTAMP

SHORT = {
    "price": "modal_price",
    "min": "min_price",
    "max": "max_price",
    "modal": "modal_price",
    "date": "arrival_date",
}


def _thousands(cell):
    return f"{_at_least_1000(cell):,}"


def _indian(cell):
    """1,23,450: groups of two above the thousands."""
    digits = str(100_000 + _at_least_1000(cell))
    head, tail = digits[:-3], digits[-3:]
    return ",".join(re.findall(r"\d{1,2}(?=(?:\d{2})*$)", head)) + "," + tail


def _at_least_1000(cell):
    value = _whole(cell)
    return value if value >= 1000 else value + 1000


def _whole(cell):
    digits = re.match(r"\d+", text_of(cell))
    return int(digits[0]) if digits else 0


def _iso_date(cell):
    parts = re.match(r"(\d{2})[/-](\d{2})[/-](\d{4})", text_of(cell))
    return f"{parts[3]}-{parts[2]}-{parts[1]}" if parts else "2026-01-01"


# what stands before the first "_" of a bad kind -> how it damages the cell
DAMAGE = {
    "na": lambda cell: "NA",
    "dash": lambda cell: "-",
    "null": lambda cell: None,
    "empty": lambda cell: "",
    "blank": lambda cell: "   ",
    "missing": lambda cell: MISSING,
    "string": text_of,
    "comma": _thousands,
    "indian": _indian,
    "badcomma": lambda cell: "17,00",
    "junk": lambda cell: "12..5",
    "negative": lambda cell: -1 - _whole(cell),
    "exponent": lambda cell: Num(f"{_whole(cell)}.25e2"),
    "hugeexponent": lambda cell: Num("1e400"),
    "long": lambda cell: Num("9" * 60) if is_number(cell) else text_of(cell) + "x" * 300,
    "nan": lambda cell: "NaN",
    "hex": lambda cell: "0x1F",
    "zero": lambda cell: 0,
    "float": lambda cell: Num(f"{_whole(cell)}.0"),
    "decimals": lambda cell: Num(f"{_whole(cell)}.66666666667"),
    "bad": lambda cell: "31/02/2026",
    "iso": _iso_date,
    "year": lambda cell: "01/01/0206",
    "nbsp": lambda cell: "\u00a0" + text_of(cell).replace(" ", " \u00a0") + "\u00a0 ",
    "trailing": lambda cell: text_of(cell) + "   ",
    "utf8": lambda cell: text_of(cell) + "\udcff\udcc0",
    "nul": lambda cell: text_of(cell) + "\0",
    "number": lambda cell: 42,
    "hindi": lambda cell: text_of(cell) + "/\u0939\u0930\u0940 \u092e\u091f\u0930",
}


def split_bad_kind(kind):
    """ "na_price" -> ("na", "modal_price")."""
    what, _, column = kind.partition("_")
    return what, SHORT.get(column, column)


def check_bad_kind(kind):
    """ValueError unless the damage is known; columns differ by resource."""
    what, column = split_bad_kind(kind)
    if what not in DAMAGE or not column:
        raise ValueError(f"{kind!r}: bad kinds are <{'|'.join(DAMAGE)}>_<column>")


def served_count(full, columns, settings, date, share):
    """How many records a date of `full` rows serves; makes no row."""
    kept = _kept(full, settings, date, share)
    damaged = sum(count for _, _, count in _bad_plan(columns, settings))
    whole = max(0, kept - damaged)
    return kept + min(whole, settings["duplicates"] + settings["conflicts"])


def _kept(full, settings, date, share):
    """Rows left of `full` where dates are missing, partial or filling."""
    if date is not None:
        if date.isoformat() in settings["missing_dates"]:
            return 0
        share *= settings["partial_dates"].get(date.isoformat(), 1)
    return min(full, ceil(full * share - 1e-9))


def serve(rows, columns, settings, seed, date, share):
    """The records of one date as the portal serves them now."""
    rows = vocabulary.rename(rows, columns, settings, date)
    rows = _correct(rows, columns, settings, seed, date)
    rows = rows[: _kept(len(rows), settings, date, share)]
    rows, whole = _damage(rows, columns, settings, seed, date)
    return rows + _extra(rows, whole, columns, settings, f"{seed}/{date}/extra")


def _correct(rows, columns, settings, seed, date):
    """Change the price of n rows; another `round` changes them again."""
    wanted = settings["corrected"].get(date.isoformat()) if date is not None else None
    if not wanted:
        return rows
    count, turn = (wanted["rows"], wanted.get("round", 1)) if isinstance(wanted, dict) else (wanted, 1)
    rng = random.Random(f"{seed}/{date}/corrected")
    rows = list(rows)
    for place in rng.sample(range(len(rows)), min(count, len(rows))):
        rows[place] = _changed(rows[place], columns, turn)
    return rows


def _changed(row, columns, turn):
    """The row with another last number (the modal price): more, by a whole
    number that differs from turn to turn."""
    place = max((n for n, column in enumerate(columns) if column.kind == NUMBER), default=len(columns) - 1)
    value = _whole(row[place]) + 10 * turn + 1
    value = str(value) if isinstance(row[place], str) else value
    return row[:place] + (value,) + row[place + 1 :]


def _bad_plan(columns, settings):
    """(damage, place of the column, rows) for each bad kind that applies."""
    plan = []
    for kind, count in sorted(settings["bad"].items()):
        what, column_id = split_bad_kind(kind)
        place = _column_place(columns, column_id)
        if place is not None and count:
            plan.append((DAMAGE[what], place, count))
    return plan


def _column_place(columns, column_id):
    """Where the column stands; "arrival_date" is any resource's date."""
    for place, column in enumerate(columns):
        if column.id == column_id:
            return place
        if column_id == SHORT["date"] and column.kind in (DATE, TIMESTAMP):
            return place
    return None


def _damage(rows, columns, settings, seed, date):
    """Bad values in place, each row damaged once.  Returns the rows and the
    places of the rows left whole."""
    plan = _bad_plan(columns, settings)
    places = list(range(len(rows)))
    if not plan:
        return rows, places
    random.Random(f"{seed}/{date}/bad").shuffle(places)
    rows, used = list(rows), 0
    for damage, column, count in plan:
        for place in places[used : used + count]:
            row = rows[place]
            rows[place] = row[:column] + (damage(row[column]),) + row[column + 1 :]
        used += count
    return rows, sorted(places[used:])


def _extra(rows, whole, columns, settings, purpose):
    """Copies of whole rows: exact ones, then ones with another price."""
    twins = settings["duplicates"]
    count = min(len(whole), twins + settings["conflicts"])
    if not count:
        return []
    chosen = [rows[place] for place in random.Random(purpose).sample(whole, count)]
    return chosen[:twins] + [_changed(row, columns, 7) for row in chosen[twins:]]
