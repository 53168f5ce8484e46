"""ogdsync quarantine ls, show, replay, drop: with a daemon and without one."""

import base64
import json

from harness import TRY_AGAIN, days_back

NO_INPUT, USAGE = 66, 64
BAD = {"negative_max": 4, "bad_date": 2, "utf8_district": 1}


def ids(site, reason):
    return [row[0] for row in site.query("SELECT id FROM ogdsync.quarantine WHERE reason = %s ORDER BY id", reason)]


def fetched(site, portal, bad=None):
    portal.control(resources={"daily": {"bad": BAD if bad is None else bad}})
    site.sync()


def mend(site):
    site.configure(dataset={"columns": {"max_price": {"min": None}}})


def listed(site, *args):
    done = site.cli("quarantine", "ls", "--json", *args)
    assert done.code == 0, done
    return json.loads(done.out)


def check_list(site):
    everything = listed(site)
    assert everything["total"] == 7 and len(everything["quarantine"]) == 7 and everything["next"] is None
    assert {(one["reason"], one["count"]) for one in everything["by_reason"]} == {
        ("out_of_range", 4), ("bad_date", 2), ("bad_text", 1)}
    first = everything["quarantine"][0]
    assert set(first) == {"id", "dataset", "source", "slice", "reason", "column", "detail", "page", "position",
                          "first_run", "last_run", "created_at"}
    assert [one["id"] for one in everything["quarantine"]] == sorted(
        (one["id"] for one in everything["quarantine"]), reverse=True)
    assert [one["reason"] for one in listed(site, "--reason", "bad_date")["quarantine"]] == ["bad_date"] * 2
    assert listed(site, "--dataset", "nothing")["total"] == 0
    page = listed(site, "--limit", 3)
    assert len(page["quarantine"]) == 3 and page["next"] == page["quarantine"][-1]["id"] and page["total"] == 7
    text = site.cli("quarantine", "ls", "--reason", "bad_date").out.splitlines()
    assert text[0].split() == ["ID", "SOURCE", "SLICE", "REASON", "COLUMN", "DETAIL"]
    assert text[-1] == "2 of 2 records: 2 bad_date of mandi_prices"
    return everything


def check_show(site):
    good, odd = ids(site, "bad_date")[0], ids(site, "bad_text")[0]
    raw = bytes(site.value("SELECT raw FROM ogdsync.quarantine WHERE id = %s", good))
    done = site.cli("quarantine", "show", good)
    assert done.code == 0 and raw.decode() in done.out and "arrival_date" in done.out
    assert json.loads(site.cli("quarantine", "show", "--json", good).out)["raw"] == raw.decode()
    one = json.loads(site.cli("quarantine", "show", "--json", odd).out)
    assert "raw" not in one
    assert base64.b64decode(one["raw_base64"]) == bytes(site.value(
        "SELECT raw FROM ogdsync.quarantine WHERE id = %s", odd))
    assert site.cli("quarantine", "show", 999999).code == NO_INPUT
    return one


def test_the_same_from_the_daemon_and_from_the_database(site, portal):
    fetched(site, portal)
    alone = check_list(site), check_show(site)
    with site.start() as daemon:
        daemon.wait_syncs(1)
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        rows = check_list(site), check_show(site)
    for one in (alone[0], rows[0]):
        for record in one["quarantine"]:
            del record["last_run"]
    del alone[1]["last_run"], rows[1]["last_run"]
    assert alone == rows


def test_promise_09_good_by_todays_rules_is_loaded_and_leaves(site, portal):
    fetched(site, portal)
    run = site.value("SELECT id FROM ogdsync.run")
    before = site.quarantine()
    done = site.cli("quarantine", "replay")
    assert done.code == 0 and done.out.startswith("7 records, 0 left quarantine"), done
    assert site.quarantine() == before and len(site.rows()) == 393
    mend(site)
    done = site.cli("quarantine", "replay", "--reason", "bad_date")
    assert done.out.startswith("2 records, 0 left quarantine")
    one = ids(site, "out_of_range")[0]
    assert site.cli("quarantine", "replay", one).out.startswith("1 records, 1 left quarantine (1 inserted")
    assert site.query("SELECT quarantined FROM ogdsync.coverage WHERE slice = 'all'") == [(6,)]
    done = site.cli("quarantine", "replay")
    assert done.out == ("6 records, 3 left quarantine (3 inserted, 0 updated, 0 unchanged, 0 duplicate), 3 stay\n")
    assert len(site.rows()) == 397
    assert site.query("SELECT DISTINCT run_id FROM mandi.price") == [(run,)], "the run that fetched"
    assert site.query("SELECT quarantined FROM ogdsync.coverage WHERE slice = 'all'") == [(3,)]
    assert sorted(reason for reason, _, _ in site.quarantine()) == ["bad_date", "bad_date", "bad_text"]
    assert site.query("SELECT state, slices, received, inserted FROM ogdsync.run WHERE trigger LIKE 'quarantine%%'"
                      " ORDER BY id") == [("success", 1, 1, 1), ("success", 1, 3, 3)]
    assert site.value("SELECT count(*) FROM ogdsync.run_slice s JOIN ogdsync.run_slice o ON o.uuid = s.replay_of"
                      " AND o.run = %s", run) == 2
    site.check_books()


def test_beside_a_running_daemon(site, portal):
    fetched(site, portal)
    mend(site)
    with site.start() as daemon:
        daemon.wait_syncs(1)
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder")
        done = site.cli("quarantine", "replay")
        assert done.code == 0 and done.out.startswith("7 records, 4 left quarantine"), done
        assert len(site.rows()) == 397 and len(site.quarantine()) == 3
        daemon.wait_status(lambda status: status["lease"]["state"] == "holder", 20, "the lease")
    site.check_books()


def test_a_record_whose_key_has_a_row_of_its_run_stays_as_conflict(site, portal):
    portal.control(resources={"daily": {"conflicts": 3}})
    site.sync()
    rows = site.versions()
    assert [reason for reason, _, _ in site.quarantine()] == ["conflict"] * 3
    kept = ids(site, "conflict")
    done = site.cli("quarantine", "replay")
    assert done.out.startswith("3 records, 0 left quarantine"), done
    assert ids(site, "conflict") == kept and site.versions() == rows
    site.check_books()


def test_what_a_younger_run_has_mended_leaves_without_a_write(site, portal):
    site.only_history(slice={"lookback": "1d"})
    portal.control(resources={"history": {"bad": {"negative_max": 3}}})
    site.sync()
    assert len(site.rows()) == 397
    portal.control(resources={"history": {"bad": None}})
    site.sync()
    rows = site.versions()
    assert len(rows) == 400 and len(site.quarantine()) == 3
    mend(site)
    done = site.cli("quarantine", "replay")
    assert "3 left quarantine (0 inserted, 0 updated, 3 unchanged" in done.out, done
    assert site.versions() == rows and site.quarantine() == []
    assert site.coverage("history", str(days_back(1)[0]))[0] in ("complete", "open")
    site.check_books()


def test_drop(site, portal):
    fetched(site, portal)
    assert site.cli("quarantine", "drop", "--yes").code == USAGE
    assert site.cli("quarantine", "drop", "x").code == USAGE
    done = site.cli("quarantine", "drop", "--reason", "bad_date")
    assert done.out == "2 records would be deleted: say --yes\n" and len(site.quarantine()) == 7
    done = site.cli("quarantine", "drop", "--dataset", "mandi_prices", "--reason", "bad_date", "--yes")
    assert done.out == "2 records deleted\n" and len(site.quarantine()) == 5
    one, other = ids(site, "out_of_range")[:2]
    assert site.cli("quarantine", "drop", "--yes", one, other).out == "2 records deleted\n"
    assert len(site.quarantine()) == 3


def test_many_records_in_portions(site, portal):
    """More than one transaction for a slice, and every one accounted for."""
    portal.control(resources={"daily": {"bad": {"negative_max": 12}}})
    site.sync()
    with site.connect() as db:
        db.execute("INSERT INTO ogdsync.quarantine (dataset, source, slice, reason, raw, digest, page, position,"
                   " first_run, last_run) SELECT dataset, source, slice, reason,"
                   " convert_to(replace(convert_from(raw, 'UTF8'), '\"variety\":\"', '\"variety\":\"' || n), 'UTF8'),"
                   " sha256(raw || n::text::bytea), 1, n, first_run, last_run FROM ogdsync.quarantine,"
                   " generate_series(1, 100) n")
    mend(site)
    done = site.cli("quarantine", "replay")
    total = 12 * 101
    assert done.code == 0 and done.out.startswith(f"{total} records, "), done
    left = total - len(site.quarantine())
    assert f"{left} left quarantine" in done.out and left >= 1200
    assert site.value("SELECT count(*) FROM ogdsync.run_slice WHERE code = 'quarantine'") >= 3
    site.check_books()


def test_without_a_database_and_without_a_daemon(site, portal):
    fetched(site, portal, {})
    assert site.cli("quarantine", "ls").out == "0 of 0 records\n"
    site.configure(database={"dsn": "host=/nowhere dbname=x user=y"})
    done = site.cli("quarantine", "ls")
    assert done.code not in (0, TRY_AGAIN) and done.err
