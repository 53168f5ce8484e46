"""Recorded days of the portal, row by row, both ways.

The expected rows are made here from the files, by Python's own decimals.
"""

import csv
import json
import re
from datetime import date
from decimal import Decimal

import pytest

from harness import COLUMNS, SAMPLES
from portal_harness import Portal

JSON_DAY = SAMPLES / "mandi_daily_2025-12-08_4832rows_full_api_response.json"
CSV_DAY = SAMPLES / "mandi_daily_2025-02-19_18212rows.csv"
pytestmark = pytest.mark.skipif(not SAMPLES.is_dir(), reason="the recorded samples are not here")
CSV_NAMES = [
    *("State", "District", "Market", "Commodity", "Variety", "Grade", "Arrival_Date"),
    *("Min_x0020_Price", "Max_x0020_Price", "Modal_x0020_Price"),
]


def text(value):
    return re.sub(r"[\s\u00a0]+", " ", value).strip()


def number(value):
    """The shortest plain decimal, or None."""
    if value in (None, "", "NA", "N/A", "-"):
        return None
    plain = format(Decimal(value), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def row_of(values):
    day, month, year = values[6].split("/")
    return (*map(text, values[:6]), f"{year}-{month}-{day}", *map(number, values[7:]))


def is_bad(row):
    return row[9] is None or any(price is not None and Decimal(price) < 0 for price in row[7:])


def json_day():
    records = json.loads(JSON_DAY.read_text(), parse_float=str, parse_int=str)["records"]
    return [row_of([record[name] for name in COLUMNS]) for record in records]


def csv_day():
    with open(CSV_DAY, newline="", encoding="utf-8") as file:
        return [row_of([record[name] for name in CSV_NAMES]) for record in csv.DictReader(file)]


def compare(site, expected):
    good = sorted((row for row in expected if not is_bad(row)), key=repr)
    held = site.rows()
    assert set(held) - set(good) == set(), "rows that the file does not have"
    assert set(good) - set(held) == set(), "rows that the table does not have"
    assert len(held) == len(good)


@pytest.fixture
def replayed(make_site, request):
    with Portal("--replay", request.param) as portal:
        site = make_site(portal)
        site.history(heal={"from": date(2025, 1, 1), "max_slices_per_day": 1}, schedule=None)  # for its partitions
        site.apply()
        yield site


@pytest.mark.parametrize("replayed", [JSON_DAY], indirect=True, ids=["2025-12-08"])
def test_a_recorded_answer_of_the_portal(replayed):
    site, expected = replayed, json_day()
    assert len(expected) == 4832 and sum(map(is_bad, expected)) == 1
    site.sync()
    compare(site, expected)
    (reason, column, raw), = site.quarantine()
    assert reason == "out_of_range" and column in ("min_price", "max_price", "modal_price")
    bad, = [row for row in expected if is_bad(row)]
    served = json.loads(bytes(raw), parse_float=str, parse_int=str)
    assert row_of([served[name] for name in COLUMNS]) == bad
    assert site.query("SELECT state, received, inserted, quarantined FROM ogdsync.run") == [
        ("success", 4832, 4831, 1)]
    site.check_books()
    before = site.versions()
    site.sync()
    assert site.versions() == before
    assert len(site.quarantine()) == 1
    assert site.query("SELECT received, inserted, updated, unchanged, quarantined FROM ogdsync.run"
                      " ORDER BY id DESC LIMIT 1") == [(4832, 0, 0, 4831, 1)]


@pytest.mark.parametrize("replayed", [CSV_DAY], indirect=True, ids=["2025-02-19"])
def test_the_largest_recorded_day(replayed):
    site, expected = replayed, csv_day()
    assert len(set(expected)) == 18212
    smaller_key = {(row[2], row[3], row[6]) for row in expected}
    assert len(expected) - len(smaller_key) == 865
    site.sync()
    compare(site, expected)
    assert site.value("SELECT count(DISTINCT (market, commodity, arrival_date)) FROM mandi.price_named") == len(
        smaller_key)
    site.check_books()
    before, books = site.versions(), site.value("SELECT count(*) FROM mandi.price_revision")
    site.sync()
    assert site.versions() == before
    assert books == site.value("SELECT count(*) FROM mandi.price_revision") == 0
    assert site.query("SELECT inserted, updated, unchanged FROM ogdsync.run ORDER BY id DESC LIMIT 1") == [
        (0, 0, 18212)]
