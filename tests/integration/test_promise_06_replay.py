"""The same pages again change no row version and cost next to no WAL."""

from harness import days_back, today

LEDGER_BYTES = 1024  # a slice
RUN_BYTES = 6 * 1024  # beside the slices: the run itself, the lease


def wal(site):
    return site.value("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")


def test_again_writes_nothing(site, portal):
    site.history()
    portal.control(resources={"daily": {"bad": {"junk_price": 3}, "duplicates": 3, "conflicts": 2}})
    site.sync()
    site.value("SELECT count(*) FROM mandi.price")  # hint bits
    with site.connect() as db:
        db.execute("VACUUM")
        db.execute("CHECKPOINT")
    rows, names, set_aside = site.versions(), names_of(site), site.quarantine()
    before = wal(site)
    site.sync()
    written = wal(site) - before
    print(f"WAL of 2 runs with 4 slices, nothing new: {written} bytes")
    assert site.versions() == rows, "a row was written again"
    assert names_of(site) == names, "a name was written again"
    assert site.quarantine() == set_aside
    assert site.query("SELECT sum(inserted), sum(updated) FROM (SELECT * FROM ogdsync.run ORDER BY id DESC LIMIT 2)"
                      " AS r") == [(0, 0)]
    assert site.value("SELECT count(*) FROM mandi.price_revision") == 0
    assert written <= 4 * LEDGER_BYTES + 2 * RUN_BYTES


def names_of(site):
    return [site.query(f"SELECT xmin::text, ctid::text FROM mandi.{table} ORDER BY 2")
            for table in ("market", "commodity", "variety", "grade")]


def test_only_what_changed_is_written(site, portal):
    site.only_history()
    site.sync()
    day = days_back(1)[0]
    before = dict(site.query("SELECT (commodity_id, arrival_date, market_id, variety_id, grade_id)::text, xmin::text"
                             " FROM mandi.price"))
    old = set(site.rows())
    portal.control(resources={"history": {"corrected": {str(day): 9}}})
    site.sync()
    changed = {row for row in site.rows() if row not in old}
    after = dict(site.query("SELECT (commodity_id, arrival_date, market_id, variety_id, grade_id)::text, xmin::text"
                            " FROM mandi.price"))
    assert before.keys() == after.keys()
    assert sum(before[key] != after[key] for key in after) == len(changed) == 9
    assert site.value("SELECT count(*) FROM mandi.price_revision") == 9
    assert site.rows() == site.truth(live=False, days=days_back(1, 2, 3))


def test_equal_numbers_in_other_clothes_are_equal(site, portal):
    """1700, "1700", 1700.00 and 1.7e3 are one price."""
    site.sync()
    before = site.versions()
    for kind in ("string", "float", "decimals", "exponent", "comma"):
        portal.control(resources={"daily": {"bad": {f"{kind}_price": 20}}})
        if site.truth() != site.rows():
            continue  # a kind that changes the value
        site.sync()
        assert site.versions() == before, kind
    portal.control(resources={"daily": {"bad": None, "prices": "string"}})
    site.sync()
    assert site.versions() == before
    assert site.coverage(slice=str(today()))[0] == "open"
