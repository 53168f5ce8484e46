"""What a record ought to become in the database, by DESIGN section 3.

Written from the text of the design and not from the daemon's code, so that a
mistake in the daemon does not repeat itself here.
"""

import datetime
import re
from decimal import Decimal

from .cells import MISSING, is_number, text_of
from .columns import DATE, NUMBER, TIMESTAMP

SPACE = re.compile("[ \t\r\n\f\v\u00a0]+")
NULLS = {"", "NA", "N/A", "-"}
NUMBER_FORM = re.compile(
    r"([+-]?)(\d+|\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3})?(?:\.(\d+))?(?:[eE]([+-]?\d+))?"
)
DATE_FORM = re.compile(r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})(?: (\d{1,2}):(\d{2}):(\d{2}))?")
MOST_DIGITS, MOST_EXPONENT = 40, 30


class BadRow(Exception):
    """The record belongs into quarantine."""

    def __init__(self, reason, column):
        super().__init__(f"{reason}: {column}")
        self.reason, self.column = reason, column


def fold(text):
    """Trimmed, each run of white space one blank."""
    return SPACE.sub(" ", text).strip(" ")


def canonical_number(text):
    """Digits to the shortest plain decimal of the same value; ValueError if
    it is not a number we accept."""
    parts = NUMBER_FORM.fullmatch(text)
    if not parts or (parts[2] is None and parts[3] is None):
        raise ValueError(text)
    digits = (parts[2] or "").replace(",", "") + (parts[3] or "")
    exponent = int(parts[4] or 0)
    if len(digits) > MOST_DIGITS or abs(exponent) > MOST_EXPONENT:
        raise ValueError(text)
    value = Decimal(f"{parts[1]}{digits}e{exponent - len(parts[3] or '')}")
    plain = format(value, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if not plain.strip("-0.") else plain


def canonical_date(text, with_time):
    """dd/mm/yyyy or dd-mm-yyyy to ISO by the real calendar; IST for times."""
    parts = DATE_FORM.fullmatch(text)
    if not parts or bool(parts[4]) != with_time:
        raise ValueError(text)
    day, month, year = int(parts[1]), int(parts[2]), int(parts[3])
    if not with_time:
        return datetime.date(year, month, day).isoformat()
    moment = datetime.datetime(year, month, day, int(parts[4]), int(parts[5]), int(parts[6]))
    return moment.isoformat() + "+05:30"


class Normaliser:
    """Rows of one resource, with what was worked out before at hand."""

    def __init__(self, columns, places):
        self._columns = [columns[place] for place in places]
        self._places = places
        self._known = [{} for _ in places]

    def row(self, row):
        """The canonical values (None is NULL) or BadRow."""
        values = []
        for known, place, column in zip(self._known, self._places, self._columns):
            cell = row[place]
            value = known.get(cell, known)
            if value is known:
                value = known[cell] = _value(cell, column)
            values.append(value)
        return tuple(values)


def _value(cell, column):
    """One cell by the kind of its column."""
    text = _text(cell, column)
    if text is None or text in NULLS:
        if not column.nullable:
            raise BadRow("null", column.id)
        return None
    if column.kind == NUMBER:
        return _number(text, column)
    if column.kind in (DATE, TIMESTAMP):
        return _date(text, column)
    return text


def _text(cell, column):
    """The folded text of a cell, None for null and missing."""
    if cell is None or cell is MISSING:
        return None
    if is_number(cell):
        return text_of(cell)
    if "\0" in cell or any("\ud800" <= letter <= "\udfff" for letter in cell):
        raise BadRow("text", column.id)
    return fold(cell)


def _number(text, column):
    try:
        value = canonical_number(text)
    except ValueError:
        raise BadRow("number", column.id) from None
    if column.least is not None and Decimal(value) < column.least:
        raise BadRow("range", column.id)
    return value


def _date(text, column):
    try:
        return canonical_date(text, column.kind == TIMESTAMP)
    except ValueError:
        raise BadRow("date", column.id) from None


def order_of(values):
    """Sorts value columns: NULL first, then by value."""
    return tuple((value is not None, Decimal(value) if value is not None else Decimal(0)) for value in values)
