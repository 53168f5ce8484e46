"""Saved answers of the portal, served again.

A JSON answer keeps its envelope; a list of records and the portal's CSV get
the envelope of their resource.  CSV names become the JSON ids, prices become
JSON numbers with the very digits of the file.  Nothing is repaired, but one
thing: dates that a spreadsheet turned into dd-mm-yyyy are served dd/mm/yyyy,
as the API serves every date.
"""

import csv
import datetime
import io
import json
import os
import re
import sys

from . import columns as cols
from .cells import MISSING, Num, text_of
from .columns import DATE, Column
from .resources import Resource
from .selection import iso_of
from .settings import ALIASES, alias_of

JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
SPREADSHEET_DATE = re.compile(r"(\d{2})-(\d{2})-(\d{4})")
LAYOUTS = {
    "daily": (cols.MANDI, cols.MANDI_KEY, cols.MANDI_SCHEMAS),
    "history": (cols.MANDI + (cols.MANDI_CODE,), cols.MANDI_KEY, cols.MANDI_SCHEMAS),
    "air": (cols.AIR, cols.AIR_KEY, cols.AIR_SCHEMAS),
    "pincode": (cols.PINCODE, cols.PINCODE_KEY, cols.PINCODE_SCHEMAS),
}


class ReplayError(ValueError):
    """A file named on the command line cannot be served."""


class Replayed(Resource):
    """A resource whose rows come from files.

    Without a date column all rows are one lot.  A snapshot resource shows one
    date: today's if it was saved, else the newest that was.
    """

    def __init__(self, alias, uuid, layout):
        columns, key, schemas = layout
        self.alias, self.uuid = alias, uuid
        self.columns, self.key, self.schemas = columns, key, schemas
        self.meta = None
        self.lots = {}  # date or None -> rows

    def add(self, records, meta):
        """Records as {logical id: cell}."""
        self.meta = meta or self.meta
        ids = [column.id for column in self.columns]
        when = self.place(DATE)
        for record in records:
            row = tuple(record.get(column_id, MISSING) for column_id in ids)
            self.lots.setdefault(_date_of(row[when]) if when is not None else None, []).append(row)

    def dates(self, calendar):
        known = sorted(date for date in self.lots if date is not None)
        if not known or None in self.lots:
            return sorted(self.lots, key=lambda date: date or datetime.date.min)
        if self.alias == "daily":
            return [calendar.today if calendar.today in self.lots else known[-1]]
        return known

    def full_key(self, date, settings):
        return "replay", self.alias, date

    def full_count(self, date, settings):
        return len(self.lots[date])

    def full_rows(self, date, settings):
        return self.lots[date]


def _date_of(cell):
    iso = iso_of(cell) if isinstance(cell, str) else None
    try:
        return datetime.date.fromisoformat(iso) if iso else datetime.date(1970, 1, 1)
    except ValueError:
        return datetime.date(1970, 1, 1)


def load(arguments):
    """alias or uuid -> Replayed, from PATH or ALIAS=PATH arguments."""
    found = {}
    for argument in arguments:
        alias, path = _split(argument)
        for name in _files(path):
            _load_file(name, alias, found, skip=os.path.isdir(path))
    if arguments and not found:
        raise ReplayError(f"nothing to replay in {', '.join(arguments)}")
    return found


def _split(argument):
    alias, mark, path = argument.partition("=")
    if mark and not os.path.exists(argument):
        return alias_of(alias), path
    return None, argument


def _files(path):
    if os.path.isdir(path):
        return sorted(
            os.path.join(path, name) for name in os.listdir(path) if name.endswith((".json", ".csv"))
        )
    if not os.path.isfile(path):
        raise ReplayError(f"{path}: no such file")
    return [path]


def _load_file(path, alias, found, skip):
    """Add a file to what was found; in a folder unknown files are passed by."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            text = file.read()
        parsed = _parse_csv(text) if path.endswith(".csv") else _parse_json(text)
        _add(parsed, alias or _alias_by_name(path), found)
    except (ReplayError, ValueError) as error:
        if not skip:
            raise ReplayError(f"{path}: {error}") from None
        print(f"ogdsync-portal: {path}: not replayed: {error}", file=sys.stderr)


def _alias_by_name(path):
    """Samples carry the first eight digits of the uuid in their names."""
    for alias, uuid in ALIASES.items():
        if uuid[:8] in os.path.basename(path):
            return alias
    return None


def _parse_json(text):
    """(records with their own keys, envelope or None)."""
    document = json.loads(text, parse_float=Num, parse_int=Num)
    if isinstance(document, dict) and isinstance(document.get("records"), list):
        return document["records"], document
    if isinstance(document, list) and all(isinstance(item, dict) for item in document):
        return document, None
    raise ReplayError("neither an answer nor a list of records")


def _parse_csv(text):
    rows = csv.DictReader(io.StringIO(text, newline=""))
    if not rows.fieldnames:
        raise ReplayError("no header line")
    return [{key: _csv_cell(key, value) for key, value in row.items() if key} for row in rows], None


def _csv_cell(name, text):
    """A price is served as a number; other columns are text."""
    if text is None:
        return MISSING
    if "price" in name.lower():
        return Num(text) if JSON_NUMBER.fullmatch(text) else text
    if name == "Arrival_Date":
        return SPREADSHEET_DATE.sub(r"\1/\2/\3", text)
    return text


def _add(parsed, alias, found):
    records, envelope = parsed
    uuid = envelope.get("index_name") if envelope else None
    alias = alias or (alias_of(uuid) if uuid else _alias_by_columns(records))
    if alias not in LAYOUTS and uuid is None:
        raise ReplayError("cannot tell which resource this is; say ALIAS=PATH")
    layout = LAYOUTS.get(alias) or _generic_layout(records, envelope)
    resource = found.get(alias) or Replayed(alias, ALIASES.get(alias, uuid), layout)
    translate = _translation(resource)
    resource.add(
        [{translate.get(key, key): _scalar(cell) for key, cell in record.items()} for record in records],
        envelope,
    )
    found[alias] = resource


def _alias_by_columns(records):
    names = {key.lower() for key in records[0]} if records else set()
    for alias, marks in (
        ("daily", {"market", "arrival_date"}),
        ("air", {"station", "pollutant_id"}),
        ("pincode", {"pincode", "officename"}),
    ):
        if marks <= names:
            return alias
    return None


def _translation(resource):
    """Every spelling of a key -> the logical id."""
    table = {}
    for column in resource.columns:
        table[column.id] = column.id
        for spelling in column.spellings.values():
            table[spelling] = column.id
    return table


def _generic_layout(records, envelope):
    """Columns of a resource we know nothing about: its field block, else the
    keys of its records; all of them text and all of them the key."""
    names = [field["id"] for field in envelope.get("field", []) if "id" in field]
    for record in records:
        names += [key for key in record if key not in names]
    columns = tuple(Column(name, nullable=True) for name in names)
    return columns, tuple(names), ("own",)


def _scalar(cell):
    """Nested values and booleans become text; they occur in no capture."""
    if cell is None or isinstance(cell, (str, Num)) or cell is MISSING:
        return cell
    return json.dumps(cell, default=text_of)
