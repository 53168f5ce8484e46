"""Wrong input of every kind, and what an operator then reads."""

import os
import re
import socket

import pytest

from harness import CONFIG, REASONS, TRY_AGAIN, UNAVAILABLE, today


def refuse(site, *expected):
    """Both programs refuse it, with the same lines; the place is file:line:column."""
    done = site.once()
    assert done.code == CONFIG, done
    checked = site.cli("config", "check")
    assert checked.code == CONFIG, checked
    for pattern in expected:
        for err in (done.err, checked.err):
            assert re.search(pattern, err), f"{pattern} is not in\n{err}"
    assert site.portal.requests() == []


def edit(file, old, new):
    content = file.read_text()
    assert old in content
    file.write_text(content.replace(old, new, 1))


def test_an_unknown_key(bare):
    edit(bare.config_file, "requests_per_minute:", "request_per_minute:")
    refuse(bare, r"ogdsync\.yaml:4:3: .*request_per_minute.*did you mean .requests_per_minute.")


def test_a_wrong_type(bare):
    edit(bare.config_file, "attempts: 5", "attempts: many")
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: attempts: expected .*found .?many")


def test_a_bad_duration(bare):
    edit(bare.config_file, "request_timeout: 3s", "request_timeout: 3 fortnights")
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: request_timeout: .*3 fortnights")


def test_all_problems_are_told_together(bare):
    edit(bare.config_file, "attempts: 5", "attempts: -1")
    edit(bare.config_file, "reconnect:", "reconect:")
    edit(bare.dataset_file, "type: numeric", "type: float")
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: attempts:", r"ogdsync\.yaml:\d+:\d+: .*reconect",
           r"mandi_prices\.yaml:\d+:\d+: .*float")


def test_text_that_is_not_yaml(bare):
    bare.config_file.write_text("portal: {api_key: [}\n")
    refuse(bare, r"ogdsync\.yaml:1:\d+: ")


def test_a_missing_variable(bare):
    edit(bare.config_file, "directory: ", "directory: ${NO_SUCH_PLACE}")
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: .*NO_SUCH_PLACE is not set")


def test_a_missing_variable_of_the_database(site):
    site.configure(database={"dsn": "${NO_SUCH_DSN}"})
    done = site.once()
    assert done.code == CONFIG and "NO_SUCH_DSN is not set" in done.err, done


def test_a_dataset_that_cannot_be_read(bare):
    if os.geteuid() == 0:  # root reads everything but a folder
        bare.dataset_file.unlink()
        bare.dataset_file.mkdir()
    else:
        bare.dataset_file.chmod(0)
    done = bare.once()
    assert done.code == CONFIG and "mandi_prices.yaml" in done.err, done
    assert "directory" in done.err or "denied" in done.err


def test_no_configuration(bare):
    done = bare.run("ogdsyncd", "--config", bare.folder / "nothing.yaml", "--once")
    assert done.code == CONFIG, done
    assert "nothing.yaml" in done.err and "No such file" in done.err


def test_a_wrong_option(bare):
    done = bare.run("ogdsyncd", "--wrong")
    assert done.code == 64 and "--wrong" in done.err, done


def test_plain_http_to_elsewhere(bare):
    bare.configure(portal={"base_url": "http://portal.example"})
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: base_url: .*http")


def test_a_key_of_the_dataset_that_is_no_column(bare):
    edit(bare.dataset_file, "- grade\n", "- grad\n")
    refuse(bare, r"mandi_prices\.yaml:\d+:\d+: .*grad\b.*did you mean .grade.")


def test_the_check_option(site):
    done = site.run("ogdsyncd", "--config", site.config_file, "--check")
    assert done.code == 0, done
    edit(site.config_file, "attempts: 5", "attempts: many")
    done = site.run("ogdsyncd", "--config", site.config_file, "--check")
    assert done.code == CONFIG and "attempts" in done.err, done


def test_a_body_that_is_no_json(site, portal):
    portal.control(faults=[{"kind": "not_json", "body": "Sorry, maintenance until noon"}])
    done = site.once()
    assert done.code in (UNAVAILABLE, TRY_AGAIN), done
    assert re.search(r"JSON|json", done.err)
    assert site.rows() == []


# rows


def damaged(site, portal, **bad):
    """Sync a day with damaged rows; (reason, column, raw) of what was set aside."""
    portal.control(resources={"daily": {"bad": bad}})
    site.sync()
    assert site.rows() == site.truth()
    site.check_books()
    truth = portal.truth()["dates"][str(today())]
    held = site.quarantine()
    assert len(held) == truth["quarantined"]
    reasons = {reason: sum(1 for one in held if one[0] == reason) for reason, _, _ in held}
    assert reasons == {REASONS[reason]: n for reason, n in truth["reasons"].items() if n}
    return held


@pytest.mark.parametrize("kind, reason, column, raw", [
    ("na_price", "null", "modal_price", b'"NA"'),
    ("null_price", "null", "modal_price", b"null"),
    ("empty_price", "null", "modal_price", b'""'),
    ("missing_price", "null", "modal_price", b""),
    ("decimals_price", None, None, b""),
    ("badcomma_price", "number", "modal_price", b","),
    ("junk_price", "number", "modal_price", b""),
    ("nan_price", "number", "modal_price", b"NaN"),
    ("hex_price", "number", "modal_price", b"0x"),
    ("negative_price", "range", "modal_price", b"-"),
    ("bad_date", "date", "arrival_date", b"31/02/2026"),
    ("iso_date", "date", "arrival_date", b"-"),
    ("null_commodity", "null", "commodity", b""),
    ("utf8_market", "text", "market", b""),
    ("nul_market", "text", "market", b"\\u0000"),
])
def test_a_damaged_row_is_set_aside(site, portal, kind, reason, column, raw):
    held = damaged(site, portal, **{kind: 3})
    if reason is None:
        assert held == []
        return
    assert len(held) == 3
    for found in held:
        assert found[:2] == (REASONS[reason], column)
        assert raw in bytes(found[2]) and bytes(found[2]).startswith(b"{") and bytes(found[2]).endswith(b"}")
    assert len(site.rows()) == 397
    assert site.value("SELECT count(*) FROM mandi.price WHERE modal_price = 0") == 0, "an invented price"
    assert site.value("SELECT count(*) FROM mandi.price WHERE arrival_date <> %s", today()) == 0


@pytest.mark.parametrize("kind", ["na_min", "dash_max", "comma_price", "indian_price", "string_price", "float_price",
                                  "exponent_price", "zero_price", "nbsp_market", "trailing_commodity",
                                  "hindi_market"])
def test_an_odd_row_is_read(site, portal, kind):
    """"NA" is no value, "1,700" is 1700, and so on: /truth says what."""
    assert damaged(site, portal, **{kind: 4}) == []
    assert len(site.rows()) == 400


def test_conflicts_and_duplicates_are_counted(site, portal):
    portal.control(resources={"daily": {"duplicates": 3, "conflicts": 2}})
    site.sync()
    assert site.rows() == site.truth()
    assert site.query("SELECT received, inserted, duplicate, quarantined FROM ogdsync.run") == [(405, 400, 3, 2)]
    assert [one[0] for one in site.quarantine()] == ["conflict", "conflict"]
    site.check_books()


def test_too_many_bad_rows_fail_the_slice(site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 40}}})
    done = site.sync(TRY_AGAIN)
    assert "too_many_bad_rows" in done.err and "40 of 400 rows cannot be read" in done.err
    assert site.rows() == [] and site.runs()[0][1] == "failed"


# addresses


def test_a_taken_port(site):
    with socket.create_server(("127.0.0.1", site.port)):
        with site.start(ready=False) as daemon:
            assert daemon.end() == UNAVAILABLE
            assert f"127.0.0.1:{site.port}" in daemon.log() and "in use" in daemon.log()
            assert "READY=1" not in daemon.notifications()


def test_a_stale_socket_file_is_no_obstacle(site):
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(site.socket))
    with site.start() as daemon:
        assert daemon.status()["status"] in ("idle", "running")


def test_a_listener_for_everybody_needs_a_token(bare):
    bare.configure(server={"listen": ["0.0.0.0:0"]})
    refuse(bare, r"ogdsync\.yaml:\d+:\d+: .*token_file")


def test_a_spool_that_cannot_be(site):
    site.spool.write_text("a file")
    done = site.once()
    assert done.code in (CONFIG, UNAVAILABLE, 73, 77), done
    assert str(site.spool) in done.err
