"""The portal as it was recorded: what its answers look like, and what a key gets.

What the simulator has no setting for is done by a go-between, which changes its answers on the way.
Faults that pass or stay are in test_faults.py; tests/portal/PORTAL-COVERAGE.md says what is where.
"""

import contextlib
import copy
import http.client
import http.server
import json
import socket
import threading
import time

import pytest

from harness import KEY, TRY_AGAIN, UNAVAILABLE, days_back, today
from portal_harness import Portal


class GoBetween:
    """Hands requests on to the portal; `change(document, n)` alters the n-th answer, from 1."""

    def __init__(self, portal, change):
        self.n, lock = 0, threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args):
                pass

            def do_GET(handler):  # noqa: N802, N805
                with contextlib.closing(http.client.HTTPConnection(portal.host, portal.port)) as behind:
                    behind.request("GET", handler.path, headers={"User-Agent": handler.headers["User-Agent"]})
                    reply = behind.getresponse()
                    body = reply.read()
                with lock:
                    self.n += 1
                    n = self.n
                if reply.status == 200:
                    document = json.loads(body)
                    body = json.dumps(change(document, n) or document).encode()
                handler.send_response(reply.status)
                handler.send_header("Content-Length", str(len(body)))
                handler.end_headers()
                handler.wfile.write(body)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self._server.shutdown()
        self._server.server_close()


def sync_through(site, portal, change):
    """A day through the go-between must be the exact truth all the same."""
    with GoBetween(portal, change) as between:
        site.configure(portal={"base_url": between.url})
        site.sync()
        assert between.n >= 1
    assert site.rows() == site.truth()
    assert site.coverage() == ("complete", None) and site.quarantine() == []
    site.check_books()


def limits(portal):
    return [int(part[6:]) for call in portal.requests("/resource") for part in call["query"].split("&")
            if part.startswith("limit=")]


@pytest.fixture
def paged(site):
    site.live(page_size=100)
    return site


# ---- the envelope ----

ENVELOPES = {
    "created in ms, updated in s": {"created": 1687434829260},
    "created as a text": {"created": "1627939168"},
    "limit and offset as numbers": {"limit": 100, "offset": 0},
    "total and count as texts": {"count": "100"},
    "another version": {"version": "3.0.1"},
    "external_ws as a text": {"external_ws": "0"},
    "sectors in lists of lists": {"org": [["a", ["b"]]], "sector": [["Agriculture"]]},
    "optional parts": {"field_dependent": {"State.keyword": {"child": "District.keyword"}},
                       "order": [{"id": "Market.keyword", "name": "Market"}],
                       "target_bucket": {"index": "daily_mandi", "type": "x", "field": "y", "records": [1]}},
    "a field list that lies": {"field": [{"name": "x", "id": "coverage_entityCode", "type": "keyword"}]},
    "a field name with quotes": {"field": [{"name": "\"stateCode\"", "id": "\"stateCode\"", "type": "long"}]},
    "inactive": {"active": "0", "visualizable": "0"},
}


@pytest.mark.parametrize("parts", ENVELOPES.values(), ids=ENVELOPES)
def test_the_envelope_in_other_clothes(paged, portal, parts):
    sync_through(paged, portal, lambda document, _n: document.update(parts))


@pytest.mark.parametrize("how", ["reversed", "sorted", "records first", "another each time"])
def test_the_order_of_keys_means_nothing(paged, portal, how):
    def change(document, n):
        keys = sorted(document)
        if how == "reversed":
            keys = list(document)[::-1]
        elif how == "records first":
            keys.sort(key=lambda key: key != "records")
        elif how == "another each time":
            keys = keys[n:] + keys[:n]
        return {key: document[key] for key in keys}

    sync_through(paged, portal, change)


def test_an_indented_answer(paged, portal):
    portal.control(pretty=True)
    paged.sync()
    assert paged.rows() == paged.truth()


def test_updated_that_moves_with_every_answer_proves_nothing(paged, portal):
    """It may be another snapshot each time: all rows are held, and it is not called complete."""
    with GoBetween(portal, lambda document, n: document.update(updated=document["updated"] + n)) as between:
        paged.configure(portal={"base_url": between.url})
        paged.sync(TRY_AGAIN)
    assert paged.rows() == paged.truth() and paged.coverage() == ("partial", "incomplete")
    paged.check_books()


def test_fields_nobody_asked_for(paged, portal):
    """As from 2018 to 2021."""
    def change(document, n):
        document["records"] = [
            {"id": f"{n}-{i}", "timestamp": "1587434829", **record, "document_id": i, "resource_uuid": None}
            for i, record in enumerate(document["records"])]

    sync_through(paged, portal, change)


# ---- values ----

def test_texts_and_numbers_mixed_in_one_column(paged, portal):
    def change(document, _n):
        for i, record in enumerate(document["records"]):
            for name in ("min_price", "max_price", "modal_price")[i % 3:]:
                record[name] = str(record[name])

    sync_through(paged, portal, change)


@pytest.mark.parametrize("served, held", [
    ("2526.66666666667", "2526.66666666667"), (833.333375, "833.333375"), (0.26, "0.26"), ("1,700", "1700"),
    ("1,23,456.50", "123456.5"), ("3.7e5", "370000"), (" 42 ", "42"), (4875.0, "4875"), (0, "0"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
], ids=str)
def test_each_digit_of_a_price(paged, portal, served, held):
    def change(document, _n):
        for record in document["records"]:
            record["modal_price"] = served

    with GoBetween(portal, change) as between:
        paged.configure(portal={"base_url": between.url})
        paged.sync()
    assert {row[-1] for row in paged.rows()} == {held} and len(paged.rows()) == 400


@pytest.mark.parametrize("schema", ["lower", "title", "x0020"])
@pytest.mark.parametrize("prices", ["number", "string"])
def test_the_names_of_fields_since_2013(site, portal, schema, prices):
    portal.control(resources={"daily": {"schema": schema, "prices": prices}})
    site.sync()
    assert site.rows() == site.truth()


def test_names_of_fields_that_change_between_pages(paged, portal):
    """Then `sort` asks for fields that are not there any more, and further passes have to prove it."""
    portal.control(later=[{"after": 2, "set": {"resources": {"daily": {"schema": "x0020", "unsorted": "stable"}}}}])
    paged.sync()
    assert paged.rows() == paged.truth()


def test_another_vocabulary_is_other_names_and_nothing_is_guessed(site, portal):
    """ " APMC", Uttarakhand, Keralam: both spellings stay what they were served as."""
    yesterday, before = days_back(1, 2)
    portal.control(resources={"history": {"vocabulary": "new", "vocabulary_from": str(yesterday)}})
    site.only_history(slice={"lookback": "2d"})
    site.sync()
    assert site.rows() == site.truth(live=False, days=[yesterday, before])
    new = site.value("SELECT count(*) FROM mandi.price_named WHERE market LIKE '%% APMC' AND arrival_date = %s",
                     yesterday)
    assert new > 0 and new > site.value(
        "SELECT count(*) FROM mandi.price_named WHERE market LIKE '%% APMC' AND arrival_date = %s", before)
    site.check_books()


# ---- filters ----

def test_an_iso_date_in_filters_finds_nothing_and_that_is_suspect(site, portal):
    site.only_history(slice={"lookback": "1d", "format": "%Y-%m-%d"})
    done = site.sync(TRY_AGAIN)
    day, = days_back(1)
    assert site.rows() == [] and site.coverage("history", str(day)) == ("suspect", "nothing")
    assert site.runs() == [("history", "suspect", "nothing")], done
    site.only_history(slice={"format": "%d/%m/%Y"})
    site.sync()
    assert site.rows() == site.truth(live=False, days=[day]) != []


@pytest.mark.parametrize("form", ["%d-%m-%Y", "%d/%m/%Y"])
def test_both_forms_of_a_date_filter(site, portal, form):
    site.only_history(slice={"lookback": "2d", "format": form})
    site.sync()
    assert site.rows() == site.truth(live=False, days=days_back(1, 2)) != []


def test_a_filter_that_answers_zero(site, portal):
    portal.control(resources={"history": {"filters": "zero"}})
    site.only_history(slice={"lookback": "1d"})
    site.sync(TRY_AGAIN)
    assert site.rows() == [] and site.coverage("history", str(days_back(1)[0])) == ("suspect", "nothing")


def test_an_ignored_filter_has_a_name(site, portal):
    portal.control(resources={"history": {"filters": "ignore"}})
    site.only_history(slice={"lookback": "1d"})
    done = site.once()
    assert done.code in (TRY_AGAIN, UNAVAILABLE), done
    assert site.rows() == [] and site.runs() == [("history", "failed", "filter_ignored")]


def test_the_daily_resource_ignores_a_date_filter(site, portal):
    """It answers with today's rows, as recorded; they must not be booked under yesterday."""
    fields = copy.deepcopy(site.dataset["sources"]["live"]["fields"])
    site.only_history(resource=site.dataset["sources"]["live"]["resource"], fields=fields,
                      slice={"lookback": "1d", "filter": "filters[arrival_date]"})
    done = site.once()
    assert done.code in (TRY_AGAIN, UNAVAILABLE), done
    assert site.rows() == [] and site.runs() == [("history", "failed", "filter_ignored")]
    assert "filters[arrival_date]" in done.err


# ---- what is asked ----

def test_what_every_request_says(paged, portal):
    paged.history(slice={"lookback": "1d"})
    paged.sync()
    calls = portal.requests()
    assert len(calls) >= 5
    for call in calls:
        assert call["path"].startswith("/resource/"), "nothing else is asked for"
        assert call["user_agent"].startswith("ogdsync/")
        assert "format=json" in call["query"] and "limit=all" not in call["query"]
        assert "sort%5B" in call["query"] and "gzip" in call["headers"]["accept-encoding"]
        assert "if-none-match" not in call["headers"] and "cookie" not in call["headers"]
    assert set(limits(portal)) <= {100, 1000}


def test_a_name_of_ones_own_and_never_none(paged, portal):
    portal.control(user_agent="strict")
    paged.sync()
    paged.configure(portal={"user_agent": "mandi-mirror/2.1 (ops@example.org)"})
    paged.sync()
    assert portal.requests()[-1]["user_agent"] == "mandi-mirror/2.1 (ops@example.org)"
    paged.configure(portal={"user_agent": ""})
    done = paged.sync(78)
    assert "user_agent" in done.err


@pytest.mark.parametrize("ip, code", [(4, UNAVAILABLE), (6, 0), ("any", 0)])
def test_one_internet_protocol_only(make_site, ip, code):
    """A portal that listens on IPv6 alone."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6")
    with Portal("--listen", "[::1]:0", "--seed", 5, "--rows-per-day", 40, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        site.configure(portal={"ip": ip, "attempts": 2})
        portal.control(today=str(today()))
        site.sync(code)
        assert (site.rows() == site.truth()) == (code == 0)


# ---- limits ----

def test_a_page_that_is_too_large_is_halved_and_that_is_remembered(site, portal):
    portal.control(resources={"history": {"limit_max": 150}})
    site.only_history(page_size=400, slice={"lookback": "3d"})
    site.sync()
    assert site.rows() == site.truth(live=False, days=days_back(1, 2, 3))
    asked = limits(portal)
    assert asked[0] == 400 and set(asked) == {400, 200, 100}
    assert asked.count(400) <= 2 and asked.count(200) <= 2, "asked ahead at most, and not again for the next day"
    assert set(asked[-8:]) == {100}


def test_too_deep_an_offset_is_partial(paged, portal):
    portal.control(resources={"daily": {"deep_offset": 250}})
    paged.configure(portal={"attempts": 3})
    done = paged.sync(TRY_AGAIN)
    assert "504" in done.err and paged.coverage() == ("partial", "http_504")
    assert 0 < len(paged.rows()) < 400 and set(paged.rows()) < set(paged.truth())


@pytest.mark.parametrize("settings", [{"page_cap": 30}, {"ignore_limit": 130}], ids=str)
def test_pages_of_another_size_than_asked_for(paged, portal, settings):
    portal.control(resources={"daily": settings})
    paged.sync()
    assert paged.rows() == paged.truth()


def test_a_key_of_ten_rows_that_cannot_finish_says_so(site, portal):
    site.variables["DATA_GOV_API_KEY"] = "sample-key-of-everybody"
    site.configure(portal={"requests_per_minute": 120, "retry_budget": "5s"})
    done = site.sync(TRY_AGAIN)
    assert site.coverage() == ("partial", "key_limited")
    assert "key is limited to 10 rows a call" in done.err
    assert 10 <= len(site.rows()) <= 100, "a few calls that cannot prove anything are enough"
    assert set(site.rows()) < set(site.truth())
    site.check_books()


def test_a_key_that_is_spent_soon(site, portal):
    """The sample key: some calls, then 429 until the minute is over; here two seconds."""
    site.variables["DATA_GOV_API_KEY"] = "sample-key-of-everybody"
    portal.control(rate={"calls": 15, "window": 2, "only": "sample", "retry_after": 1})
    site.configure(portal={"attempts": 10})
    site.sync()
    assert site.rows() == site.truth()
    assert portal.control()["counters"]["by_status"]["429"] >= 1


def test_remaining_zero_of_an_unlimited_key_stops_nobody(paged, portal):
    """X-RateLimit-Limit: -1, X-RateLimit-Remaining: 0, with every answer."""
    with contextlib.closing(http.client.HTTPConnection(portal.host, portal.port)) as client:
        client.request("GET", "/lists?limit=1")
        headers = client.getresponse().headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("-1", "0")
    paged.sync()
    assert paged.rows() == paged.truth() and len(portal.requests("/resource")) >= 4


# ---- refusals ----

@pytest.mark.parametrize("retry_after, least, most", [
    (1, 1, 3), ("date:2", 0.9, 4), ("soon", 0, 2), ("date:-3600", 0, 2), ("-5", 0, 2), ("", 0, 2), ("1.5e3", 0, 2)],
    ids=str)
def test_429_holds_the_whole_host(paged, portal, retry_after, least, most):
    portal.control(faults=[{"kind": "429", "retry_after": retry_after, "when": {"calls": [2]}}])
    done = paged.sync()
    assert paged.rows() == paged.truth()
    calls = portal.requests("/resource")
    held = next(i for i, call in enumerate(calls) if call["status"] == 429)
    at = [call["at"] for call in calls[held:]]
    assert max(after - before for before, after in zip(at, at[1:])) >= least
    assert sum(when < at[0] + least for when in at) <= 1 + (least > 0), "one may be under way already"
    assert done.seconds < most


@pytest.mark.parametrize("retry_after", ["999999999", "date:864000"])
def test_an_absurd_retry_after_is_no_reason_to_wait_for_days(paged, portal, retry_after):
    """The retry budget of the run decides; what was fetched is loaded."""
    portal.control(faults=[{"kind": "429", "retry_after": retry_after, "when": {"after": 2}}])
    begin = time.monotonic()
    paged.configure(portal={"retry_budget": "2s"})
    done = paged.sync(TRY_AGAIN)
    assert time.monotonic() - begin < 8 and "429" in done.err
    assert paged.coverage()[0] == "partial" and set(paged.rows()) < set(paged.truth())


@pytest.mark.parametrize("kind, code, words", [
    ("400", "key_missing", "Authorization field missing"), ("403", "key_refused", "Key not authorised")])
def test_the_gateway_refuses_once(paged, portal, kind, code, words):
    portal.control(faults=[{"kind": kind}])
    done = paged.once()
    assert done.code != 0 and words in done.err, done
    assert paged.runs() == [("live", "failed", code)]
    assert len(portal.requests("/resource")) == 1, "asking again does not help"


@pytest.mark.parametrize("shape", ["bare", "records", "alternate"])
def test_a_resource_that_is_not_there(site, portal, shape):
    """200, and `Meta not found` in either shape."""
    portal.control(unknown_resource=shape)
    site.live(resource="00000000-0000-4000-8000-000000000000")
    site.configure(portal={"attempts": 2})
    done = site.once()
    assert done.code in (TRY_AGAIN, UNAVAILABLE) and "Meta not found" in done.err, done
    assert site.runs()[0][1] == "failed" and site.rows() == []


def test_502_for_everything_after_twenty_quick_calls(site, portal):
    portal.control(faults=[{"kind": "502", "when": {"after": 20, "times": 4}}])
    site.live(page_size=10)
    site.configure(portal={"attempts": 8})
    site.sync()
    assert site.rows() == site.truth()
    assert portal.control()["counters"]["by_status"]["502"] == 4


def test_empty_then_full(paged, portal):
    """An empty page is asked for again, five times, before it is believed."""
    portal.control(faults=[{"kind": "empty", "when": {"times": 4}}])
    paged.sync()
    assert paged.rows() == paged.truth()


@pytest.mark.parametrize("share", [0.5, 0.97])
def test_a_total_that_falls_while_it_is_read(paged, portal, share):
    portal.control(later=[{"after": 2, "set": {"resources": {"daily": {"fill": share}}}}])
    paged.sync()
    assert paged.coverage() == ("complete", None)
    assert set(paged.rows()) == set(paged.truth()), "the rows of the snapshot that was dropped are not loaded"


def test_a_total_that_falls_again_and_again_is_no_success(paged, portal):
    portal.control(later=[{"after": 2 * n, "set": {"resources": {"daily": {"fill": 1 - 0.04 * n}}}}
                          for n in range(1, 20)])
    done = paged.once()
    state = paged.coverage()[0]
    assert (done.code, state) in ((0, "complete"), (TRY_AGAIN, "partial")), done
    if state == "complete":
        assert paged.rows() == paged.truth()


# ---- other resources ----

def add_dataset(site, name, **source):
    """A shipped dataset beside the first."""
    import yaml

    from harness import ROOT
    dataset = yaml.safe_load((ROOT / "conf" / "datasets.d" / f"{name}.yaml").read_text(encoding="utf-8"))
    for settings in dataset["sources"].values():
        settings.update(jitter="0s", **source)
    (site.dataset_file.parent / f"{name}.yaml").write_text(yaml.safe_dump(dataset, sort_keys=False), encoding="utf-8")
    site.live(schedule=None, on_start=False)
    site.apply()


@pytest.mark.parametrize("schema", ["value", "pollutant"])
def test_air_quality(bare, portal, schema):
    """All values are texts, "NA" among them; the names of the fields changed in 2024."""
    portal.control(resources={"air": {"schema": schema, "rows": 700}})
    add_dataset(bare, "air_quality")
    bare.sync()
    columns = ["state", "city", "station", "pollutant_id", "latitude", "longitude", "min_value", "max_value", "avg_value"]
    truth = {tuple(row) for day in portal.truth("air", rows=True, columns=columns)["dates"].values()
             for row in day["data"]}
    assert truth == set(bare.query(
        "SELECT state, city, station, pollutant_id, trim_scale(latitude)::text, trim_scale(longitude)::text,"
        " trim_scale(min_value)::text, trim_scale(max_value)::text, trim_scale(avg_value)::text FROM air.reading"))
    assert any(row[-1] is None for row in truth)
    assert bare.value("SELECT count(DISTINCT last_update) FROM air.reading") == 1


def test_the_pincode_directory(bare, portal):
    """A pincode is not unique; latitude and longitude may be "NA"."""
    portal.control(resources={"pincode": {"rows": 3000}})
    add_dataset(bare, "pincode_directory", page_size=1000)
    bare.sync()
    columns = ["pincode", "officename", "divisionname", "district", "statename", "latitude", "longitude"]
    truth = {tuple(row) for day in portal.truth("pincode", rows=True, columns=columns)["dates"].values()
             for row in day["data"]}
    assert truth == set(bare.query(
        "SELECT pincode, officename, divisionname, district, statename, trim_scale(latitude)::text,"
        " trim_scale(longitude)::text FROM post.office"))
    assert len(truth) > 1000 > bare.value("SELECT count(*) FROM post.office WHERE NOT is_active")
