"""Bad rows never stop a run and never become invented values."""

import json

import pytest

from harness import COLUMNS, REASONS, today

DAMAGE = {"na_price": 2, "junk_min": 2, "bad_date": 2, "negative_max": 2, "utf8_district": 1,
          "nul_grade": 1, "empty_variety": 2, "long_price": 1, "hugeexponent_min": 1, "nan_max": 1, "hex_price": 1}


def test_all_kinds_of_damage_in_one_day(site, portal):
    portal.control(resources={"daily": {"bad": DAMAGE}})
    site.sync()
    truth = portal.truth("daily", rows=True, columns=COLUMNS)["dates"][str(today())]
    assert truth["quarantined"] == sum(DAMAGE.values()) or truth["quarantined"] > 10
    assert site.rows() == site.truth()
    assert site.coverage() == ("complete", None)
    held = site.quarantine()
    reasons = {}
    for reason, column, raw in held:
        reason = "bad_number" if reason == "number_too_long" else reason  # the truth has one word for both
        reasons[reason] = reasons.get(reason, 0) + 1
        assert column in COLUMNS
        text = bytes(raw).decode("utf-8", errors="replace")
        assert text.startswith("{") and text.endswith("}")
    assert reasons == {REASONS[reason]: n for reason, n in truth["reasons"].items() if n}
    assert site.value("SELECT count(*) FROM mandi.price WHERE modal_price IS NULL OR modal_price < 0") == 0
    site.check_books()


@pytest.mark.parametrize("may_make", [False, True])
def test_a_year_that_cannot_be(site, portal, may_make):
    """01/01/0206 is a date, but no day of this market; nobody makes a partition for it."""
    if may_make:
        site.configure(database={"dsn": site.cluster.dsn(site.database, "owner")})
    portal.control(resources={"daily": {"bad": {"year_date": 1}}})
    site.sync()
    assert len(site.rows()) == 399
    (reason, column, _), = site.quarantine()
    assert (reason, column) == ("no_partition", "arrival_date")
    assert site.coverage() == ("complete", None)
    assert site.value("SELECT count(*) FROM pg_class WHERE relname ~ 'price_0'") == 0
    assert site.query("SELECT slice FROM ogdsync.coverage WHERE data_date < '2000-01-01'") == []
    site.check_books()


def test_the_raw_bytes_are_those_that_were_served(site, portal):
    portal.control(resources={"daily": {"bad": {"bad_date": 1, "junk_price": 1}}})
    site.sync()
    served = portal.truth("daily", rows=True)["dates"][str(today())]["quarantine"]
    held = [json.loads(bytes(raw)) for _, _, raw in site.quarantine()]
    assert len(held) == len(served) == 2
    columns = portal.truth("daily")["columns"]
    for record in served:
        values = dict(zip(columns, record["record"]))
        assert any(one["market"] == values["market"] and one["commodity"] == values["commodity"] for one in held)


def test_a_bad_row_that_comes_again_is_kept_once(site, portal):
    portal.control(resources={"daily": {"bad": {"bad_date": 3}}})
    site.sync()
    site.sync()
    assert len(site.quarantine()) == 3
    assert site.query("SELECT count(*) FROM ogdsync.quarantine WHERE first_run < last_run") in ([(3,)], [(0,)])


def test_a_row_that_is_mended_comes_in(site, portal):
    portal.control(resources={"daily": {"bad": {"na_price": 3}}})
    site.sync()
    assert len(site.rows()) == 397
    portal.control(resources={"daily": {"bad": None}})
    site.sync()
    assert len(site.rows()) == 400 and site.rows() == site.truth()
    site.check_books()
