"""Nothing is lost and everything is accounted for, however the rows are."""

import random

from harness import days_back, today

SEED = 20261120


def test_every_row_of_dirty_days_is_accounted_for(site, portal):
    """Random damage, duplicates, conflicts, corrections, late rows, over six looks."""
    chance = random.Random(SEED)
    kinds = ["junk_price", "na_price", "bad_date", "negative_min", "comma_price", "nbsp_market", "null_variety"]
    site.history()
    received = 0
    for look in range(6):
        settings = {
            "bad": {kind: chance.randrange(4) for kind in chance.sample(kinds, 3)},
            "duplicates": chance.randrange(4),
            "conflicts": chance.randrange(3),
            "corrected": {str(day): {"rows": chance.randrange(1, 30), "round": look} for day in days_back(1, 2)},
        }
        portal.control(resources={"daily": {**settings, "fill": 0.3 + look * 0.14}, "history": settings})
        before = site.value("SELECT coalesce(sum(received), 0) FROM ogdsync.run")
        site.sync()
        received = site.value("SELECT sum(received) FROM ogdsync.run") - before
        served = [portal.truth("daily")] + [portal.truth("history", date=day) for day in days_back(1, 2, 3)]
        assert received == sum(document["records"] for document in served)
        site.check_books()
        quarantined = site.value(
            "SELECT sum(quarantined) FROM (SELECT quarantined FROM ogdsync.run ORDER BY id DESC LIMIT 2) AS r")
        assert quarantined == sum(document["quarantined"] for document in served)
    held = {row[:7] for row in site.rows()}
    now = {row[:7] for row in site.truth(days=days_back(1, 2, 3))}
    assert now <= held, "a row that is served now is not in the table"


def test_rows_that_a_smaller_key_would_merge(site, portal):
    site.sync()
    rows = site.rows()
    assert len({(row[2], row[3], row[6]) for row in rows}) < len(rows) == len(site.truth())


def test_the_default_key_is_the_natural_one(site):
    assert site.value(
        "SELECT string_agg(attname, ',' ORDER BY k.n) FROM pg_index i,"
        " unnest(i.indkey) WITH ORDINALITY AS k(attnum, n), pg_attribute a"
        " WHERE i.indrelid = 'mandi.price'::regclass AND i.indisprimary AND a.attrelid = i.indrelid"
        " AND a.attnum = k.attnum") == "commodity_id,arrival_date,market_id,variety_id,grade_id"


def test_the_sums_of_the_runs_are_those_of_the_status(site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 3}, "duplicates": 2}})
    with site.start() as daemon:
        sync = daemon.wait_syncs(1)["last_sync"]
    columns = ("inserted", "updated", "unchanged", "duplicate", "quarantined")
    booked = site.query(f"SELECT received, {', '.join(columns)} FROM ogdsync.run")[0]
    assert booked == (sync["records_fetched"], *(sync[f"records_{name}"] for name in columns))
    assert booked[0] == sum(booked[1:]) == portal.truth()["dates"][str(today())]["records"]
