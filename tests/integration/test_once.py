"""ogdsyncd --once: what it leaves in the database, how it exits, what it says."""

import pytest

from harness import CONFIG, KEY, NO_PERMISSION, TRY_AGAIN, UNAVAILABLE, days_back, is_over, ready_files, today
from portal_harness import Portal


def test_a_proven_day(site, portal):
    done = site.sync()
    assert site.rows() == site.truth()
    assert len(site.rows()) == 400
    assert site.coverage() == ("complete", None)
    assert site.coverage(slice=str(today())) == ("open", None), "the day is not over"
    assert site.runs() == [("live", "success", None)]
    assert " ERROR " not in done.err
    site.check_books()


def test_live_and_history(site, portal):
    site.history()
    site.sync()
    days = days_back(1, 2, 3)
    assert site.rows() == site.truth(days=days)
    for day in days:
        assert site.coverage("history", str(day)) == ("complete" if is_over(day) else "open", None)
    assert sorted(run[:2] for run in site.runs()) == [("history", "success"), ("live", "success")]
    assert dict(site.query("SELECT data_date::text, source FROM ogdsync.coverage_day")).keys() == {
        str(day) for day in days_back(0, 1, 2, 3)}
    site.check_books()


def test_unordered_pages_are_read_until_they_prove_the_day(site, portal):
    portal.control(resources={"daily": {"sort": "ignore", "jitter": 0.02}})
    site.live(page_size=100)
    site.configure(portal={"passes": 30})
    site.sync()
    assert site.rows() == site.truth()
    assert site.value("SELECT passes FROM ogdsync.run_slice") > 1
    site.check_books()


def test_unordered_pages_without_enough_passes_are_partial(site, portal):
    portal.control(resources={"daily": {"sort": "ignore", "jitter": 0.5}})
    site.live(page_size=40)
    site.configure(portal={"passes": 1})
    done = site.sync(TRY_AGAIN)
    assert set(site.rows()) < set(site.truth())
    assert site.coverage()[0] == "partial"
    assert site.runs()[0][1] == "partial" and "incomplete" in done.err
    site.check_books()


def test_a_key_of_ten_rows_a_page(site, portal):
    """The next offset follows from what came, not from what was asked for."""
    site.variables["DATA_GOV_API_KEY"] = "sample-key-of-everybody"
    site.live(page_size=1000)
    site.sync()
    assert site.rows() == site.truth()
    assert site.value("SELECT pages FROM ogdsync.run_slice") >= 40


def test_a_day_that_grows_while_it_is_read(site, portal):
    portal.control(resources={"daily": {"fill": {"start": 0.5, "per_call": 0.05, "least": 0, "most": 1}}})
    site.live(page_size=50)
    site.configure(portal={"passes": 20})
    site.sync()
    assert site.rows() == site.truth()
    assert len(site.rows()) == 400
    site.check_books()


def test_late_rows_and_corrections_come_with_the_next_look(site, portal):
    portal.control(resources={"daily": {"fill": 0.4}})
    site.sync()
    assert len(site.rows()) == 160 and site.rows() == site.truth()
    portal.control(resources={"daily": {"fill": 1, "corrected": {str(today()): 7}}})
    site.sync()
    assert site.rows() == site.truth()
    counts = site.query("SELECT inserted, updated, unchanged FROM ogdsync.run ORDER BY id DESC LIMIT 1")[0]
    assert counts[0] == 240 and sum(counts) == 400 and counts[1] <= 7
    assert site.value("SELECT count(*) FROM mandi.price_revision") == counts[1]
    site.check_books()


def test_nothing_where_something_was_due_is_suspect(site, portal):
    portal.control(resources={"daily": {"missing_dates": [str(today())]}})
    done = site.sync(TRY_AGAIN)
    assert site.rows() == []
    assert site.coverage()[0] == "suspect"
    assert site.runs()[0][1] == "suspect"
    assert "suspect" in done.err


def test_a_portal_that_is_not_there(site):
    site.configure(portal={"base_url": "http://127.0.0.1:9", "attempts": 2})
    done = site.sync(UNAVAILABLE)
    assert "127.0.0.1 port 9" in done.err and "connect" in done.err
    assert site.rows() == []


def test_a_storm_of_502(site, portal):
    portal.control(faults=[{"kind": "502"}])
    done = site.sync(UNAVAILABLE)
    assert "502" in done.err
    assert site.rows() == [] and site.runs()[0][1] == "failed"
    portal.control(faults=[])
    site.sync()
    assert site.rows() == site.truth() and site.coverage()[0] == "complete"
    site.check_books()


def test_a_storm_of_502_that_begins_half_way(site, portal):
    portal.control(faults=[{"kind": "502", "when": {"after": 2}}])
    site.live(page_size=100)
    done = site.sync(TRY_AGAIN)
    assert "502" in done.err
    assert 100 <= len(site.rows()) < 400 and set(site.rows()) < set(site.truth())
    assert site.coverage()[0] == "partial" and site.runs()[0][1] == "partial"
    portal.control(faults=[])
    site.sync()
    assert site.rows() == site.truth() and site.coverage()[0] == "complete"
    site.check_books()


def test_a_refused_key(site, portal):
    site.variables["DATA_GOV_API_KEY"] = "not-a-key-of-the-portal"
    done = site.sync(NO_PERMISSION)
    assert "refused the API key" in done.err and "403" in done.err
    assert "not-a-key" not in done.err
    assert len(portal.requests("/resource")) == 1, "asking again would not help"


def test_the_next_key_takes_over(site, portal):
    site.variables.update(FIRST="not-a-key-of-the-portal", SECOND="second-key-of-the-portal")
    site.configure(portal={"api_key": ["${FIRST}", "${SECOND}"]})
    site.sync()
    assert site.rows() == site.truth()


def test_a_missing_key_is_named(site):
    del site.variables["DATA_GOV_API_KEY"]
    done = site.sync(CONFIG)
    assert "DATA_GOV_API_KEY is not set" in done.err


@pytest.mark.parametrize("how", ["stopped", "no such database"])
def test_without_database_pages_wait_in_the_spool(site, cluster, portal, how):
    good = site.config["database"]["dsn"]
    if how == "stopped":
        cluster.stop()
    else:
        site.configure(database={"dsn": cluster.dsn("nowhere")})
    done = site.sync(TRY_AGAIN)
    assert "database" in done.err
    assert ("No such file" if how == "stopped" else 'nowhere\\" does not exist') in done.err
    waiting, loaded = ready_files(site)
    assert len(waiting) == 1 and loaded == []
    if how == "stopped":
        cluster.start()
    site.configure(database={"dsn": good})
    truth = site.truth()
    portal.control(faults=[{"kind": "502"}])  # so that only the spool can have it
    site.sync(UNAVAILABLE)
    assert site.rows() == truth
    assert ready_files(site)[0] == []
    site.check_books()


def test_a_missing_schema_is_explained(bare):
    done = bare.once()
    assert done.code == CONFIG, done
    assert "ogdsync schema apply" in done.err
    assert bare.value("SELECT count(*) FROM pg_namespace WHERE nspname = 'mandi'") == 0
    bare.apply()
    assert bare.sync() and bare.rows() == bare.truth()
    bare.check_books()


def test_rights_that_are_missing(bare):
    done = bare.cli("schema", "apply")
    assert done.code == 0, done
    done = bare.once()
    assert done.code == NO_PERMISSION, done
    assert "permission denied" in done.err


@pytest.mark.parametrize("user", ["owner", "loader"])
def test_the_daemon_makes_its_tables_if_told_to(bare, cluster, user):
    """As their owner, or for a user who is not."""
    bare.configure(database={"create_tables": True, "dsn": cluster.dsn(bare.database, user)})
    bare.sync()
    assert bare.rows() == bare.truth()


def test_a_filter_that_the_portal_ignores(site, portal):
    """It would book other days' rows under the day asked for."""
    site.only_history()
    portal.control(resources={"history": {"filters": "ignore"}})
    done = site.once()
    assert done.code in (TRY_AGAIN, UNAVAILABLE), done
    assert "filter" in done.err
    assert site.rows() == []
    assert {state for _, state, _ in site.runs()} == {"failed"}


def test_a_field_that_vanished(site, portal):
    portal.control(resources={"daily": {"rename": {"modal_price": "average"}}})
    done = site.once()
    assert done.code == TRY_AGAIN, done
    assert "schema_drift" in done.err and "modal_price" in done.err
    assert site.rows() == [] and site.quarantine() == []


@pytest.mark.parametrize("settings", [{"schema": "title"}, {"schema": "x0020"}, {"prices": "string"},
                                      {"envelope_order": "records_first"}, {"page_cap": 30}, {"overlap": 0}],
                         ids=str)
def test_the_faces_of_the_portal(site, portal, settings):
    portal.control(resources={"daily": settings})
    site.sync()
    assert site.rows() == site.truth()


def test_markets_of_one_name_stay_apart(site):
    site.sync()
    names = site.query("SELECT market, count(DISTINCT (state, district)) FROM mandi.market GROUP BY 1"
                       " HAVING count(DISTINCT (state, district)) > 1")
    assert site.value("SELECT count(*) FROM mandi.market") == site.value(
        "SELECT count(DISTINCT (state, district, market)) FROM mandi.price_named")
    assert site.rows() == site.truth(), names


def test_a_day_of_many_pages_and_batches(make_site):
    """More rows than load.memory holds."""
    with Portal("--seed", 9, "--rows-per-day", 30000, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        site.configure(load={"memory": "1MiB"})
        site.live(page_size=10000)
        site.sync()
        assert site.rows() == site.truth()
        site.check_books()


def test_the_time_limit(site, portal):
    portal.control(faults=[{"kind": "stall"}])
    site.configure(portal={"request_timeout": "60s", "low_speed": "1KiB/60s"})
    done = site.once("--timeout", "1s")
    assert done.code in (TRY_AGAIN, UNAVAILABLE), done
    assert done.seconds < 5
