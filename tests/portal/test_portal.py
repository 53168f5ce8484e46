"""Each promise of the simulator, checked over a real socket."""

import csv
import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections import Counter
from decimal import Decimal
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlencode

import pytest

from portal_harness import AIR, DAILY, HISTORY, PINCODE, PROGRAM, Portal

TODAY = "2026-11-19"
KEY_COLUMNS = ["state", "district", "market", "commodity", "variety", "grade"]
TITLES = ["State", "District", "Market", "Commodity", "Variety", "Grade"]
SAMPLES = os.environ.get("OGDSYNC_SAMPLES") or os.path.join(
    os.path.dirname(PROGRAM), "..", "..", "..", "shared", "samples"
)
needs_samples = pytest.mark.skipif(not os.path.isdir(SAMPLES), reason="the recorded samples are not here")
ENVELOPE = [
    "created",
    "updated",
    "created_date",
    "updated_date",
    "active",
    "index_name",
    "org",
    "org_type",
    "source",
    "title",
    "external_ws_url",
    "visualizable",
    "field",
    "external_ws",
    "catalog_uuid",
    "sector",
    "target_bucket",
    "desc",
    "field_exposed",
    "message",
    "version",
    "status",
    "total",
    "count",
    "limit",
    "offset",
    "records",
]
ERRORS = {
    "200_unknown_resource.json": (
        b'{\n  "message": "Meta not found",\n  "version": "2.2.0",\n  "status": "error"\n}\n'
    ),
    "200_unknown_resource_variant_with_records.json": (
        b'{\n  "version": "2.2.0",\n  "status": "error",\n  "message": "Meta not found",\n'
        b'  "total": 0,\n  "records": []\n}\n'
    ),
    "400_missing_key.json": b'{\n  "error": "Authorization field missing"\n}\n',
    "403_bad_key.json": b'{\n  "error": "Key not authorised"\n}\n',
    "429_rate_limit.json": b'{\n  "error": "Rate limit exceeded"\n}\n',
}


@pytest.fixture(scope="module")
def running():
    with Portal(
        "--today", TODAY, "--seed", "7", "--rows-per-day", "600", "--days", "2026-11-10..2026-11-30"
    ) as portal:
        yield portal


@pytest.fixture
def portal(running):
    running.reset()
    return running


class Reply:
    """Status, headers and body of one call; the envelope when it is JSON."""

    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def records(self):
        return self.json["records"]


def get(portal, path, query=(), agent="test/1.0", raw="", timeout=10, **more):
    """GET on a connection of its own."""
    connection = http.client.HTTPConnection(portal.host, portal.port, timeout=timeout)
    query = urlencode(list(dict(query).items()) + list(more.items()))
    try:
        connection.request("GET", f"{path}?{query}{raw}", headers={"User-Agent": agent} if agent else {})
        return Reply(connection.getresponse())
    finally:
        connection.close()


def page(portal, uuid=DAILY, query=(), key="k", **more):
    """A page of a resource with a key; the daily one if only a query is given."""
    if isinstance(uuid, dict):
        uuid, query = DAILY, uuid
    given = {"api-key": key, "format": "json", **dict(query), **more}
    agent, raw, timeout = given.pop("agent", "test/1.0"), given.pop("raw", ""), given.pop("timeout", 10)
    return get(portal, f"/resource/{uuid}", given, agent, raw, timeout)


def by_key(names=tuple(KEY_COLUMNS), direction="asc"):
    return {f"sort[{name}]": direction for name in names}


def walk(portal, uuid=DAILY, size=100, **query):
    """All pages, advancing by what was received, until one is empty."""
    rows, offset = [], 0
    while True:
        records = page(portal, uuid, query, limit=size, offset=offset).records
        if not records:
            return rows
        rows += records
        offset += len(records)


def key_of(record):
    return tuple(
        value for name, value in record.items() if "price" not in name.lower() and name != "Commodity_Code"
    )


# start and end


def test_one_line_then_ready_and_sigterm_ends_it(tmp_path):
    port_file = tmp_path / "port"
    with Portal("--today", TODAY, "--port-file", port_file) as portal:
        assert portal.url == f"http://127.0.0.1:{portal.port}"
        assert port_file.read_text() == f"{portal.port}\n"
        assert page(portal, limit=0).status == 200
        assert [name for name in os.listdir(tmp_path)] == ["port"]
        portal.process.send_signal(signal.SIGTERM)
        assert portal.process.wait(5) == 0
        assert portal.process.stdout.read() == ""


def test_ipv6_loopback():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    with Portal("--today", TODAY, "--listen", "[::1]:0", "--rows-per-day", "5") as portal:
        assert portal.url == f"http://[::1]:{portal.port}" and page(portal).json["total"] == 5
        assert portal.truth()["rows"] == 5


def test_it_ends_with_the_test_that_started_it():
    with Portal("--today", TODAY) as portal:
        portal.process.stdin.close()
        assert portal.process.wait(5) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--listen", "0.0.0.0:0"],
        ["--listen", "192.0.2.1:80"],
        ["--listen", "here"],
        ["--today", "19-11-2026"],
        ["--fault", "{"],
        ["--fault", '{"kind": "nonsense"}'],
        ["--fault", '{"fautls": []}'],
        ["--replay", "/nonexistent"],
        ["--days", "2026-02-02..2026-01-01"],
    ],
)
def test_wrong_options_are_refused(options):
    done = subprocess.run(["/usr/bin/python3", PROGRAM, *options], capture_output=True, text=True, timeout=20)
    assert done.returncode == 64 and done.stdout == "" and "ogdsync-portal:" in done.stderr


def test_verbose_hides_the_key():
    with Portal("--today", TODAY, "--verbose", "--rows-per-day", "20") as portal:
        page(portal, key="very-secret", limit=1)
        log = portal.stderr()
    assert "very-secret" not in log and "api-key=...&" in log and "rows=1" in log


def test_same_seed_same_answers_another_seed_others():
    def history(seed):
        with Portal("--today", TODAY, "--seed", seed, "--rows-per-day", "400") as portal:
            return [page(portal, limit=150, offset=offset).body for offset in (0, 150, 0, 150, 300)]

    assert history(1) == history(1)
    assert history(1) != history(2)


# envelope


def test_daily_envelope_order_and_types(portal):
    reply = page(portal, limit=3, offset=2)
    document = reply.json
    assert list(document) == ENVELOPE
    assert (document["total"], document["count"], document["limit"], document["offset"]) == (600, 3, "3", "2")
    for name, kind in {
        "created": int,
        "updated": int,
        "active": str,
        "visualizable": str,
        "external_ws": int,
        "total": int,
        "count": int,
        "limit": str,
        "offset": str,
        "org": list,
        "sector": list,
        "records": list,
    }.items():
        assert type(document[name]) is kind, name
    assert [(field["name"], field["id"], field["type"]) for field in document["field"]][6:8] == [
        ("Arrival_Date", "arrival_date", "date"),
        ("Min_x0020_Price", "min_price", "double"),
    ]
    assert [field["id"] for field in document["field_exposed"]] == ["state.keyword"] + KEY_COLUMNS[1:]
    assert list(document["records"][0]) == KEY_COLUMNS + [
        "arrival_date",
        "min_price",
        "max_price",
        "modal_price",
    ]
    assert document["records"][0]["arrival_date"] == "19/11/2026"


def test_history_envelope_is_alphabetical_with_total_after_the_records(portal):
    document = page(portal, HISTORY, limit=1).json
    assert list(document) == sorted(document)
    assert list(document).index("total") > list(document).index("records")
    assert list(document["records"][0]) == TITLES + [
        "Arrival_Date",
        "Min_Price",
        "Max_Price",
        "Modal_Price",
        "Commodity_Code",
    ]
    assert document["field_dependent"] == {
        "State.keyword": {"child": "District.keyword", "parent": "State.keyword"}
    }


@pytest.mark.parametrize("order, place", [("records_first", 0), ("records_last", -1)])
def test_envelope_order_can_be_forced(portal, order, place):
    portal.control(envelope_order=order)
    for uuid in (DAILY, HISTORY):
        assert list(page(portal, uuid).json)[place] == "records"


def test_gateway_headers_as_recorded(portal):
    headers = page(portal).headers
    assert headers["X-RateLimit-Limit"] == "-1" and headers["X-RateLimit-Remaining"] == "0"
    assert int(headers["X-RateLimit-Reset"]) > time.time()
    assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
    assert headers["Content-Type"] == "application/json"
    assert not {"ETag", "Last-Modified", "Retry-After", "Content-Encoding"} & set(headers)


@needs_samples
def test_headers_and_bodies_match_the_recordings(portal):
    headers = page(portal).headers
    with open(os.path.join(SAMPLES, "response_headers_2025-10-29.txt"), encoding="ascii") as file:
        recorded = dict(line.strip().split(": ", 1) for line in file.readlines()[1:])
    for name in recorded.keys() - {"Date", "X-RateLimit-Reset"}:
        assert headers[name] == recorded[name]
    for name, body in ERRORS.items():
        with open(os.path.join(SAMPLES, "errors", name), "rb") as file:
            assert file.read() == body


def test_limit_defaults_zero_all_and_beyond(portal):
    assert [page(portal).json[name] for name in ("count", "limit", "offset")] == [10, "10", "0"]
    everything = page(portal, limit="all").json
    assert (everything["count"], everything["limit"], len(everything["records"])) == (600, "all", 600)
    nothing = page(portal, limit=0).json
    assert (nothing["total"], nothing["count"], nothing["records"]) == (600, 0, [])
    beyond = page(portal, offset=600, limit=5).json
    assert (beyond["total"], beyond["count"], beyond["records"], beyond["offset"]) == (600, 0, [], "600")
    assert page(portal, limit=100_000).status == 500
    assert page(portal, HISTORY, limit="all").json["total"] == 6000
    portal.control(all_max=5999)
    assert page(portal, HISTORY, limit="all").status == 500
    assert page(portal, limit="ten").status == 400
    portal.control(deep_offset=1000)
    assert page(portal, HISTORY, offset=1001).status == 504


def test_pretty(portal):
    portal.control(pretty=True)
    reply = page(portal, limit=2)
    assert reply.body.decode() == json.dumps(reply.json, indent=2, ensure_ascii=False)


def test_csv_and_xml(portal):
    reply = page(portal, limit=600, format="csv", **by_key())
    assert reply.headers["Content-Type"] == "text/csv"
    text = reply.body.decode()
    assert text.startswith(
        "State,District,Market,Commodity,Variety,Grade,Arrival_Date,Min_x0020_Price,Max_x0020_Price,Modal_x0020_Price\n"
    )
    assert "\r" not in text and '"Tamil Nadu"' in text
    rows = list(csv.reader(io.StringIO(text)))[1:]
    records = page(portal, limit=600, **by_key()).records
    assert rows == [[str(value) for value in record.values()] for record in records]
    xml = page(portal, limit=2, format="xml").body.decode()
    assert "<result>" in xml and "<records><item><state>" in xml and "<total>600</total>" in xml
    assert page(portal, format="yaml").status == 400


def test_keep_alive_and_http_1_0(portal):
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=5)
    for _ in range(3):
        connection.request("GET", f"/resource/{DAILY}?api-key=k&limit=1")
        assert Reply(connection.getresponse()).status == 200
    connection.close()
    assert len({call["connection"] for call in portal.requests()}) == 1
    reply = raw_exchange(portal, f"GET /resource/{DAILY}?api-key=k HTTP/1.0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 200") and b"Connection: close" in reply
    assert raw_exchange(portal, "nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert get(portal, "/nowhere").status == 404


def raw_exchange(portal, request, timeout=5):
    """Send bytes, read until the server closes."""
    with socket.create_connection(("127.0.0.1", portal.port), timeout=timeout) as sock:
        sock.sendall(request.encode())
        parts = []
        while True:
            try:
                part = sock.recv(65536)
            except ConnectionResetError:
                part = b""
            if not part:
                return b"".join(parts)
            parts.append(part)


# keys


def test_keys_and_exact_bodies():
    with Portal(
        "--today", TODAY, "--rows-per-day", "50", "--key", "good", "--key", "second", "--sample-key", "sample"
    ) as portal:
        assert page(portal, key="good", limit=20).json["count"] == 20
        assert page(portal, key="second").status == 200
        missing, wrong = get(portal, f"/resource/{DAILY}"), page(portal, key="goo")
        assert (missing.status, missing.body) == (400, ERRORS["400_missing_key.json"])
        assert (wrong.status, wrong.body) == (403, ERRORS["403_bad_key.json"])
        capped = page(portal, key="sample", limit=1000).json
        assert (capped["count"], capped["limit"], capped["total"]) == (10, "1000", 50)
        assert len(walk_with(portal, "sample")) == 50
        portal.control(keys=["other"])
        assert page(portal, key="good").status == 403


def walk_with(portal, key):
    rows = []
    while True:
        records = page(portal, key=key, limit=1000, offset=len(rows), **by_key()).records
        if not records:
            return rows
        rows += records


def test_rate_limit_and_retry_after(portal):
    portal.control(rate={"calls": 2, "window": 1.5, "retry_after": 7}, sample_keys=["s"])
    assert [page(portal, key="a").status for _ in range(3)] == [200, 200, 429]
    refused = page(portal, key="a")
    assert (refused.body, refused.headers["Retry-After"]) == (ERRORS["429_rate_limit.json"], "7")
    assert page(portal, key="b").status == 200
    time.sleep(1.55)
    assert page(portal, key="a").status == 200
    portal.control(rate={"calls": 1, "window": 60, "only": "sample", "retry_after": "date:30"})
    assert [page(portal, key="c").status for _ in range(3)] == [200] * 3
    page(portal, key="s")
    waits = parsedate_to_datetime(page(portal, key="s").headers["Retry-After"]).timestamp() - time.time()
    assert 25 < waits <= 31


def test_rate_as_an_option():
    with Portal("--today", TODAY, "--rows-per-day", "5", "--rate", "1/60") as portal:
        assert [page(portal).status for _ in range(2)] == [200, 429]


def test_unknown_resource_in_both_shapes(portal):
    unknown = "00000000-0000-4000-8000-000000000000"
    assert page(portal, unknown).body == ERRORS["200_unknown_resource.json"]
    portal.control(unknown_resource="records")
    reply = page(portal, unknown)
    assert (reply.status, reply.body) == (200, ERRORS["200_unknown_resource_variant_with_records.json"])
    portal.control(unknown_resource="alternate")
    assert len({page(portal, unknown).body for _ in range(2)}) == 2
    assert get(portal, f"/resource/{unknown}").status == 400


# filters, range, sort, fields


def test_filters_are_exact_and_case_sensitive(portal):
    everything = walk(portal, size=600, **by_key())
    for column in ("state", "commodity", "market"):
        value = Counter(record[column] for record in everything).most_common(1)[0][0]
        expected = sum(record[column] == value for record in everything)
        assert page(portal, {f"filters[{column}]": value}).json["total"] == expected
        assert page(portal, {f"filters[{column}.keyword]": value}).json["total"] == expected
        assert page(portal, raw=f"&filters%5B{column}%5D={quote(value)}").json["total"] == expected
        assert page(portal, raw=f"&filters[{column}]={quote(value)}").json["total"] == expected
        assert page(portal, {f"filters[{column}]": value.upper()}).json["total"] == 0
        assert page(portal, {f"filters[{column}]": value[:-1]}).json["total"] == 0
    pair = (everything[0]["state"], everything[0]["grade"])
    reply = page(portal, {"filters[state]": pair[0], "filters[grade]": pair[1]}, limit=600)
    assert {(record["state"], record["grade"]) for record in reply.records} == {pair}
    assert page(portal, {"filters[State]": "Kerala"}).json["total"] == 600
    assert page(portal, HISTORY, {"filters[state]": "Kerala"}).json["total"] == 6000


def test_white_space_in_a_value_must_match_exactly():
    with Portal("--today", TODAY, "--rows-per-day", "18000") as portal:
        name = "Modasar        "
        assert page(portal, {"filters[market]": name}).json["total"] > 0
        assert page(portal, {"filters[market]": name.strip()}).json["total"] == 0


@pytest.mark.parametrize(
    "value, total",
    [
        ("18-11-2026", 600),
        ("18/11/2026", 600),
        ("2026-11-18", 0),
        ("18.11.2026", 0),
        ("9-11-2026", 0),
        ("25-11-2026", 0),
    ],
)
def test_date_filter_of_the_history(portal, value, total):
    reply = page(portal, HISTORY, {"filters[Arrival_Date]": value}, limit=600)
    assert reply.json["total"] == total
    assert {record["Arrival_Date"] for record in reply.records} <= {"18/11/2026"}


def test_date_range_takes_iso_only(portal):
    between = {"range[Arrival_Date][gte]": "2026-11-12", "range[Arrival_Date][lte]": "2026-11-14"}
    reply = page(portal, HISTORY, between, limit=2000)
    assert reply.json["total"] == 1800
    assert {record["Arrival_Date"] for record in reply.records} == {"12/11/2026", "13/11/2026", "14/11/2026"}
    assert page(portal, HISTORY, {"range[Arrival_Date][gte]": "12-11-2026"}).json["total"] == 0
    assert page(portal, HISTORY, {"range[Arrival_Date][gt]": "2026-11-18"}).json["total"] == 600


def test_price_range(portal):
    reply = page(portal, {"range[modal_price][gte]": "5000", "range[modal_price][lt]": "7000"}, limit=600)
    assert 0 < reply.json["total"] < 600
    assert all(5000 <= record["modal_price"] < 7000 for record in reply.records)


def test_daily_ignores_a_date_filter_silently(portal):
    assert page(portal, {"filters[arrival_date]": "01/09/2026"}).json["total"] == 600
    portal.control(resources={"daily": {"date_filter": "apply"}})
    assert page(portal, {"filters[arrival_date]": "01/09/2026"}).json["total"] == 0


def test_filter_modes(portal):
    asked = {"filters[State]": "Kerala"}
    applied = page(portal, HISTORY, asked).json["total"]
    portal.control(resources={"history": {"filters": "ignore"}})
    assert page(portal, HISTORY, asked).json["total"] == 6000 > applied > 0
    portal.control(resources={HISTORY: {"filters": "zero"}})
    assert page(portal, HISTORY, asked).json["total"] == 0
    assert page(portal, HISTORY).json["total"] == 6000
    assert page(portal, {"filters[state]": "Kerala"}).json["total"] > 0
    portal.control(resources={"history": {"filters": None, "unknown_filter": "zero"}})
    assert page(portal, HISTORY, {"filters[Nothing]": "x"}).json["total"] == 0


def test_sort_in_byte_order_over_several_fields(portal):
    rows = page(portal, limit=600, **by_key()).records
    keys = [tuple(record[name].encode() for name in KEY_COLUMNS) for record in rows]
    assert keys == sorted(keys)
    backwards = page(portal, limit=600, **by_key(direction="desc")).records
    assert backwards == rows[::-1]
    mixed = page(portal, {"sort[modal_price]": "desc", "sort[market.keyword]": "asc"}, limit=600).records
    order = [(-float(record["modal_price"]), record["market"]) for record in mixed]
    assert order == sorted(order)


def test_sort_by_date(portal):
    rows = page(portal, HISTORY, {"sort[Arrival_Date]": "desc", **by_key(TITLES)}, limit=6000).records
    dates = [record["Arrival_Date"] for record in rows]
    assert dates == sorted(dates, key=lambda text: text[6:] + text[3:5] + text[:2], reverse=True)
    across = walk(portal, HISTORY, 1000, **by_key(TITLES))
    keys = [tuple(record[name].encode() for name in TITLES) for record in across]
    assert keys == sorted(keys) and len({key_of(record) for record in across}) == 6000


def test_full_sort_pages_without_loss(portal):
    rows = walk(portal, **by_key())
    assert len(rows) == len({key_of(record) for record in rows}) == 600


def test_ties_may_stand_differently_from_call_to_call(portal):
    bodies = {page(portal, {"sort[state]": "asc"}, limit=600).body for _ in range(12)}
    assert len(bodies) > 1
    for body in bodies:
        states = [record["state"] for record in json.loads(body)["records"]]
        assert states == sorted(states)


def test_unsorted_pages_overlap_and_miss(portal):
    rows = walk(portal, size=50)
    assert len(rows) == 600
    assert 300 < len({key_of(record) for record in rows}) < 600
    portal.control(unsorted="stable")
    assert len({key_of(record) for record in walk(portal, size=50)}) == 600


def test_a_portal_that_ignores_sort(portal):
    portal.control(sort="ignore")
    assert len({key_of(record) for record in walk(portal, size=50, **by_key())}) < 600
    rows = page(portal, limit=600, **by_key()).records
    keys = [key_of(record) for record in rows]
    assert keys != sorted(keys)


def test_fields_projects(portal):
    record = page(portal, fields="market,modal_price,nothing", limit=1).records[0]
    assert list(record) == ["market", "modal_price"]
    assert page(portal, fields="market", limit=1, format="csv").body.startswith(b"Market\n")


# the made-up data


@pytest.fixture(scope="module")
def full_day():
    """A day as large as the largest recorded one."""
    with Portal("--today", TODAY, "--seed", "3", "--rows-per-day", "18212") as portal:
        yield walk_once(portal), portal.truth()


def walk_once(portal):
    return json.loads(page(portal, limit=20000).body, parse_float=str)["records"]


def test_day_has_realistic_counts(full_day):
    rows, truth = full_day
    assert len(rows) == truth["rows"] == 18212
    assert 1300 < len({(r["state"], r["district"], r["market"]) for r in rows}) < 1600
    assert len({r["state"] for r in rows}) == 27
    assert 200 <= len({r["commodity"] for r in rows}) <= 230
    homes = {}
    for r in rows:
        homes.setdefault(r["market"], set()).add(r["state"])
    assert sum(len(states) > 1 for states in homes.values()) >= 5


def test_smaller_keys_lose_rows_and_the_full_key_does_not(full_day):
    rows, _ = full_day

    def lost(*names):
        return 1 - len({tuple(r[name] for name in names) for r in rows}) / len(rows)

    assert 0.03 < lost("market", "commodity") < 0.07
    assert lost("state", "district", "market", "commodity", "variety") > 0.005
    assert lost("state", "district", "market", "commodity", "grade") > 0.005
    folded = {tuple("".join(r[name].split()).lower() for name in KEY_COLUMNS) for r in rows}
    assert len(folded) == len(rows)


def test_day_carries_the_recorded_dirt(full_day):
    rows, _ = full_day
    texts = [r[name] for r in rows for name in KEY_COLUMNS]
    assert any(text != text.rstrip() for text in texts) and any("  " in text.strip() for text in texts)
    assert any(text != text.lstrip() for text in texts) and any("," in text for text in texts)
    assert any("\u0900" <= letter <= "\u097f" for text in texts for letter in text)
    modal = [r["modal_price"] for r in rows]
    decimals = [text for text in modal if isinstance(text, str)]
    assert 0 < len(decimals) < 200 and max(len(text.split(".")[1]) for text in decimals) == 11
    ints = [
        r for r in rows if all(type(r[name]) is int for name in ("min_price", "max_price", "modal_price"))
    ]
    assert any(r["min_price"] == 0 for r in ints) and any(r["min_price"] > r["max_price"] for r in ints)
    assert len(ints) > 0.98 * len(rows)


def test_row_counts_follow_from_seed_and_date():
    with Portal("--today", TODAY, "--seed", "5", "--days", "2026-01-01..2026-11-19") as portal:

        def total(date):
            return page(portal, HISTORY, {"filters[Arrival_Date]": date}, limit=0).json["total"]

        counts = [total(f"{day:02d}-03-2026") for day in range(1, 29)]
        assert min(counts) >= 2600 and max(counts) <= 18000 and len(set(counts)) > 20
        assert page(portal, HISTORY, limit=0, timeout=5).json["total"] > 1_000_000
        assert counts[0] == total("01-03-2026")


def test_air_and_pincode(portal):
    air = page(portal, AIR, limit="all").json
    assert 3000 < air["total"] < 3600 and air["records"][0]["last_update"] == "19-11-2026 12:00:00"
    assert len({(r["station"], r["pollutant_id"]) for r in air["records"]}) == air["total"]
    assert any(r["avg_value"] == "NA" for r in air["records"]) and all(
        type(r["min_value"]) is str for r in air["records"]
    )
    portal.control(resources={"air": {"hour": 13, "schema": "pollutant"}})
    record = page(portal, AIR).records[0]
    assert record["last_update"] == "19-11-2026 13:00:00" and "pollutant_avg" in record
    assert page(portal, PINCODE, limit=0).json["total"] == 165_627
    portal.control(resources={"pincode": {"rows": 3000}})
    offices = page(portal, PINCODE, limit="all").records
    assert (
        len({(r["pincode"], r["officename"], r["divisionname"], r["district"]) for r in offices})
        == len(offices)
        == 3000
    )
    assert len({r["pincode"] for r in offices}) < 1000 and any(r["latitude"] == "NA" for r in offices)


# the portal changes


def test_vocabulary(portal):
    old = page(portal, limit=600, **by_key()).records
    portal.control(vocabulary="new")
    new = page(portal, limit=600, **by_key()).records
    suffixed = sum(record["market"].rstrip().endswith(" APMC") for record in new)
    assert not any("APMC" in record["market"] for record in old) and 0.85 * 600 < suffixed < 600
    assert not any(" (" in record["commodity"] for record in new) and any(
        " (" in record["commodity"] for record in old
    )
    assert "Keralam" in {record["state"] for record in new} and "Kerala" not in {
        record["state"] for record in new
    }
    assert page(portal, {"filters[state]": "Kerala"}).json["total"] == 0
    portal.control(vocabulary={"uttarakhand": True})
    states = {record["state"] for record in page(portal, limit=600).records}
    assert "Uttrakhand" not in states and "Kerala" in states
    portal.control(vocabulary="new", vocabulary_from="2026-11-15")

    def markets(date):
        records = page(portal, HISTORY, {"filters[Arrival_Date]": date}, limit=600).records
        return sum("APMC" in record["Market"] for record in records)

    assert markets("14-11-2026") == 0 < markets("15-11-2026")


@pytest.mark.parametrize(
    "schema, keys",
    [
        ("lower", ["state", "min_price"]),
        ("title", ["State", "Min_Price"]),
        ("x0020", ["State", "Min_x0020_Price"]),
    ],
)
def test_schema_spellings(portal, schema, keys):
    portal.control(schema=schema)
    for uuid in (DAILY, HISTORY):
        document = page(portal, uuid, {f"filters[{keys[0]}]": "Kerala"}, limit=5).json
        assert set(keys) <= set(document["records"][0]) and {
            record[keys[0]] for record in document["records"]
        } == {"Kerala"}
        assert keys[1] in [field["id"] for field in document["field"]]


def test_rename_and_drop(portal):
    portal.control(resources={"daily": {"rename": {"modal_price": "average"}, "drop": ["grade"]}})
    record = page(portal).records[0]
    assert "average" in record and "modal_price" not in record and "grade" not in record
    assert "Modal_Price" in page(portal, HISTORY).records[0]


def test_prices_as_strings(portal):
    numbers = page(portal, HISTORY, limit=600, **by_key(TITLES)).records
    portal.control(prices="string")
    strings = page(portal, HISTORY, limit=600, **by_key(TITLES)).records
    assert [record["Min_Price"] for record in strings] == [str(record["Min_Price"]) for record in numbers]
    assert type(strings[0]["Commodity_Code"]) is str and type(numbers[0]["Commodity_Code"]) is int


def test_missing_partial_and_corrected_dates(portal):
    ask = {"filters[Arrival_Date]": "15-11-2026"}
    before = page(portal, HISTORY, ask, limit=600, **by_key(TITLES)).records
    portal.control(missing_dates=["2026-11-15"])
    assert (
        page(portal, HISTORY, ask).json["total"] == 0 and portal.truth("history", "2026-11-15")["rows"] == 0
    )
    assert portal.truth("history", "2026-11-15")["dates"]["2026-11-15"]["full"] == 600
    portal.control(missing_dates=[], partial_dates={"2026-11-15": 0.25})
    assert page(portal, HISTORY, ask).json["total"] == 150 == portal.truth("history", "2026-11-15")["rows"]
    portal.control(partial_dates=None, corrected={"2026-11-15": 40})
    after = page(portal, HISTORY, ask, limit=600, **by_key(TITLES)).records
    assert [key_of(record) for record in after] == [key_of(record) for record in before]
    assert sum(one["Modal_Price"] != other["Modal_Price"] for one, other in zip(before, after)) == 40
    portal.control(corrected={"2026-11-15": {"rows": 40, "round": 2}})
    again = page(portal, HISTORY, ask, limit=600, **by_key(TITLES)).records
    assert sum(one["Modal_Price"] != other["Modal_Price"] for one, other in zip(after, again)) == 40
    assert page(portal, HISTORY, {"filters[Arrival_Date]": "14-11-2026"}).json["total"] == 600


def test_total_grows_shrinks_and_updated_follows(portal):
    portal.control(resources={"daily": {"fill": {"start": 0.5, "per_call": 0.1}}})
    seen = [page(portal, limit=1).json for _ in range(7)]
    assert [document["total"] for document in seen] == [300, 360, 420, 480, 540, 600, 600]
    assert seen[0]["updated"] < seen[1]["updated"] < seen[4]["updated"]
    assert portal.truth()["rows"] == 600
    portal.control(resources={"daily": {"fill": {"start": 0.5, "per_call": 0.1}, "duplicates": 1}})
    assert portal.truth()["rows"] == 600, "another setting does not start the day anew"
    portal.control(
        resources={"daily": {"duplicates": None, "fill": {"start": 1.0, "per_call": -0.25, "least": 0.5}}}
    )
    assert [page(portal, limit=1).json["total"] for _ in range(4)] == [600, 450, 300, 300]
    portal.control(resources={"daily": {"fill": 0.2}})
    assert page(portal).json["total"] == 120 == portal.truth()["rows"]
    assert portal.truth()["rows"] == 120, "asking for the truth moves nothing"
    portal.control(resources={"daily": {"total_offset": 5}})
    assert page(portal).json["total"] == 125


def test_snapshot_replaced_and_day_rolled_between_pages(portal):
    first = page(portal, limit=600, **by_key()).json
    portal.control(later=[{"after": 1, "set": {"edition": 1}}, {"after": 2, "set": {"today": "2026-11-20"}}])
    assert page(portal, limit=600, **by_key()).json["records"] == first["records"]
    replaced = page(portal, limit=600, **by_key()).json
    assert replaced["records"] != first["records"] and replaced["updated"] > first["updated"]
    assert page(portal).records[0]["arrival_date"] == "20/11/2026"
    assert page(portal, HISTORY, {"filters[Arrival_Date]": "20-11-2026"}).json["total"] == 600


def test_lag_and_today_bound_the_history(portal):
    assert page(portal, HISTORY, {"filters[Arrival_Date]": TODAY[8:] + "-11-2026"}).json["total"] == 600
    portal.control(lag=2)
    assert page(portal, HISTORY, limit=0).json["total"] == 8 * 600
    portal.control(today="2026-12-24")
    assert page(portal, HISTORY, limit=0).json["total"] == 21 * 600


# bad values, and the truth about them


def collect(portal, uuid=HISTORY, date="15-11-2026"):
    query = {"filters[Arrival_Date]": date} if uuid == HISTORY else {}
    body = page(portal, uuid, query, limit=5000).body.decode("utf-8", "surrogateescape")
    return json.loads(body, parse_float=Decimal)["records"]


@pytest.mark.parametrize(
    "kind, check, reason",
    [
        ("na_price", lambda r: r.get("Modal_Price") == "NA", "null"),
        ("null_price", lambda r: r.get("Modal_Price", 0) is None, "null"),
        ("empty_price", lambda r: r.get("Modal_Price") == "", "null"),
        ("missing_price", lambda r: "Modal_Price" not in r, "null"),
        ("na_min", lambda r: r.get("Min_Price") == "NA", None),
        ("missing_max", lambda r: "Max_Price" not in r, None),
        ("comma_price", lambda r: type(r["Modal_Price"]) is str and "," in r["Modal_Price"], None),
        ("indian_price", lambda r: type(r["Modal_Price"]) is str and r["Modal_Price"].count(",") == 2, None),
        ("badcomma_price", lambda r: r["Modal_Price"] == "17,00", "number"),
        ("junk_price", lambda r: r["Modal_Price"] == "12..5", "number"),
        ("nan_max", lambda r: r["Max_Price"] == "NaN", "number"),
        ("hugeexponent_price", lambda r: r["Modal_Price"] == Decimal("1e400"), "number"),
        ("negative_price", lambda r: r["Modal_Price"] < 0, "range"),
        ("string_price", lambda r: type(r["Modal_Price"]) is str, None),
        ("exponent_price", lambda r: "E" in str(r["Modal_Price"]) or r["Modal_Price"] % 100 == 25, None),
        ("bad_date", lambda r: r["Arrival_Date"] == "31/02/2026", "date"),
        ("iso_date", lambda r: r["Arrival_Date"] == "2026-11-15", "date"),
        ("empty_market", lambda r: r["Market"] == "", "null"),
        ("null_commodity", lambda r: r["Commodity"] is None, "null"),
        ("nbsp_market", lambda r: "\u00a0" in r["Market"], None),
        ("utf8_market", lambda r: "\udcff" in r["Market"], "text"),
        ("nul_variety", lambda r: "\0" in r["Variety"], "text"),
    ],
)
def test_bad_values_and_their_truth(portal, kind, check, reason):
    portal.control(bad={kind: 3})
    records = collect(portal)
    assert len(records) == 600 and sum(map(check, records)) >= 3
    truth = portal.truth("history", "2026-11-15", rows=True)
    one = truth["dates"]["2026-11-15"]
    assert (truth["records"], truth["rows"], truth["quarantined"]) == (
        600,
        597 if reason else 600,
        3 if reason else 0,
    )
    assert one["reasons"] == ({reason: 3} if reason else {})
    assert len(one["data"]) == truth["rows"] and len(one["quarantine"]) == truth["quarantined"]


def test_duplicates_and_conflicts_are_accounted_for(portal):
    portal.control(duplicates=5, conflicts=4, bad={"na_price": 3, "bad_date": 2})
    records = collect(portal)
    assert len(records) == 609
    truth = portal.truth("history", "2026-11-15")
    assert truth["records"] == 609 == truth["rows"] + truth["duplicates"] + truth["quarantined"]
    assert (truth["rows"], truth["duplicates"]) == (595, 5)
    assert truth["dates"]["2026-11-15"]["reasons"] == {"null": 3, "date": 2, "conflict": 4}
    assert len({repr(record) for record in records}) == 604


def test_truth_is_what_the_pages_say(portal):
    """The checksum again, from the pages, in the few lines a test needs."""
    portal.control(bad={"nbsp_market": 5})
    lines = []
    for record in collect(portal):
        texts = [" ".join(record[name].split()) for name in TITLES]
        day, month, year = record["Arrival_Date"].split("/")
        prices = [
            str(record[name]).rstrip("0").rstrip(".") if "." in str(record[name]) else str(record[name])
            for name in ("Min_Price", "Max_Price", "Modal_Price")
        ]
        lines.append("\t".join(texts + [f"{year}-{month}-{day}"] + prices) + "\n")
    truth = portal.truth("history", "2026-11-15", rows=True)
    assert sorted(lines) == ["\t".join(row) + "\n" for row in truth["dates"]["2026-11-15"]["data"]]
    assert hashlib.sha256("".join(sorted(lines)).encode()).hexdigest() == truth["checksum"]


def test_truth_of_all_dates_and_of_columns(portal):
    truth = portal.truth("history")
    assert list(truth["dates"]) == [f"2026-11-{day}" for day in range(10, 20)] and truth["rows"] == 6000
    assert portal.truth()["checksum"] == truth["dates"][TODAY]["checksum"]
    some = portal.truth("history", TODAY, rows=True, columns=["market", "commodity_code"])
    assert some["columns"] == ["market", "commodity_code"] and len(some["dates"][TODAY]["data"][0]) == 2
    assert portal.truth("history", "2020-01-01")["dates"] == {}
    air = portal.truth("air", rows=True)["dates"][TODAY]
    assert air["quarantined"] == 0 and air["data"][0][4] == "2026-11-19T12:00:00+05:30"
    assert any(row[-1] is None for row in air["data"])
    with pytest.raises(ValueError, match="no resource"):
        portal.truth("nothing")


# faults


def test_every_nth_call(portal):
    portal.control(
        every={"3": "502", "5": {"kind": "429", "retry_after": "soon"}, "7": "truncate", "11": "empty"}
    )
    statuses = []
    for _ in range(15):
        try:
            statuses.append(page(portal, limit=5).status)
        except http.client.HTTPException:
            statuses.append("broken")
    assert statuses == [200, 200, 502, 200, 429, 502, 200, 200, 502, 429, 200, 502, 200, 200, 429]
    state = portal.control()
    assert state["fired"] == {"status": 7, "truncate": 2, "empty": 1}
    assert [call["fault"] for call in portal.requests()][6:11] == [
        "truncate",
        None,
        "status",
        "status",
        "empty",
    ]


@pytest.mark.parametrize(
    "status, marker",
    [
        (502, b"<title>502 Bad Gateway"),
        (503, b"<title>503 Service"),
        (504, b"<title>504 Gateway"),
        (500, b'"error"'),
        (401, b'"error"'),
        (403, ERRORS["403_bad_key.json"]),
        (400, ERRORS["400_missing_key.json"]),
        (429, ERRORS["429_rate_limit.json"]),
    ],
)
def test_status_storms(portal, status, marker):
    portal.control(faults=[{"kind": str(status), "when": {"first": 2}}])
    replies = [page(portal) for _ in range(3)]
    assert [reply.status for reply in replies] == [status, status, 200]
    assert marker in replies[0].body
    assert replies[0].headers["Content-Type"] == (
        "text/html" if status in (502, 503, 504) else "application/json"
    )


@pytest.mark.parametrize(
    "given, check",
    [
        (None, lambda text: text is None),
        (3, lambda text: text == "3"),
        ("later", lambda text: text == "later"),
        ("date:60", lambda text: 55 < parsedate_to_datetime(text).timestamp() - time.time() < 62),
    ],
)
def test_retry_after_forms(portal, given, check):
    portal.control(faults=[{"kind": "429", **({} if given is None else {"retry_after": given})}])
    assert check(page(portal).headers["Retry-After"])


def test_a_rule_as_option_and_storm_after_20_calls():
    with Portal(
        "--today", TODAY, "--rows-per-day", "20", "--fault", '{"kind": "502", "when": {"after": 20}}'
    ) as portal:
        assert [page(portal, limit=10).status for _ in range(23)] == [200] * 20 + [502] * 3


def test_conditions(portal):
    portal.control(
        faults=[
            {"kind": "503", "when": {"resource": "history", "date": "2026-11-15"}},
            {"kind": "500", "when": {"limit_over": 300}},
            {"kind": "504", "when": {"offset": 20, "times": 1}},
            {"kind": "403", "when": {"filter": {"state": "Goa"}}},
            {"kind": "401", "when": {"user_agent": "bad"}},
            {"kind": "400", "when": {"key": "z"}},
            {"kind": "502", "when": {"path": "/lists"}},
        ]
    )
    assert page(portal, HISTORY, {"filters[Arrival_Date]": "15-11-2026"}).status == 503
    assert page(portal, HISTORY, {"filters[Arrival_Date]": "16-11-2026"}).status == 200
    assert page(portal, limit=301).status == 500
    assert [page(portal, offset=20).status for _ in range(2)] == [504, 200]
    assert page(portal, {"filters[state]": "Goa"}).status == 403
    assert page(portal, agent="bad/1").status == 401
    assert page(portal, key="z").status == 400
    assert get(portal, "/lists").status == 502
    assert page(portal).status == 200


def test_probability_is_seeded(portal):
    def storm():
        portal.reset(faults=[{"kind": "502", "when": {"probability": 0.5}}])
        return [page(portal, limit=1).status for _ in range(20)]

    first = storm()
    assert set(first) == {200, 502} and storm() == first


def test_setting_the_same_rule_again_keeps_its_count(portal):
    rule = {"kind": "502", "when": {"after": 1}}
    portal.control(faults=[rule])
    page(portal)
    portal.control(faults=[rule], pretty=True)
    assert page(portal).status == 502


def test_empty_page_then_full(portal):
    portal.control(faults=[{"kind": "empty", "when": {"times": 1}}])
    first, second = page(portal).json, page(portal).json
    assert (first["total"], first["count"], first["records"]) == (600, 0, []) and second["count"] == 10


def test_short_and_first_page(portal):
    portal.control(
        faults=[
            {"kind": "short", "rows": 4, "when": {"times": 1}},
            {"kind": "first_page", "when": {"offset": 50}},
        ]
    )
    assert page(portal, limit=20).json["count"] == 4
    assert page(portal, offset=50, **by_key()).records == page(portal, **by_key()).records


def test_wrong_bodies_with_200(portal):
    def once(rule):
        portal.reset(faults=[rule])
        return page(portal)

    assert once({"kind": "empty_body"}).body == b""
    for kind in ("not_json", "html", "bom", "trailing"):
        with pytest.raises(ValueError):
            json.loads(once({"kind": kind}).body.decode())
    assert once({"kind": "html"}).headers["Content-Type"].startswith("text/html")
    assert once({"kind": "error", "message": "index closed"}).json == {
        "message": "index closed",
        "version": "2.2.0",
        "status": "error",
    }
    assert type(once({"kind": "array"}).json) is list
    wrong = once({"kind": "wrong_type", "content_type": "text/plain"})
    assert wrong.headers["Content-Type"] == "text/plain" and wrong.json["total"] == 600


def test_redirect_stays_on_loopback(portal):
    portal.control(faults=[{"kind": "redirect"}])
    reply = page(portal)
    assert reply.status == 302 and reply.headers["Location"].startswith("http://127.")


@pytest.mark.parametrize("framing", ["close", "chunked", "length"])
def test_truncated_json_in_valid_http(portal, framing):
    whole = page(portal, **by_key()).body
    portal.control(faults=[{"kind": "truncate", "framing": framing, "at": 777}])
    reply = page(portal, **by_key())
    assert reply.body == whole[:777]
    assert (reply.headers["Transfer-Encoding"] == "chunked") == (framing == "chunked")
    assert (reply.headers["Content-Length"] is None) == (framing != "length")


def test_cut_below_the_declared_length(portal):
    portal.control(faults=[{"kind": "cut", "at": 100}])
    with pytest.raises(http.client.IncompleteRead) as broken:
        page(portal)
    assert len(broken.value.partial) == 100
    portal.reset(faults=[{"kind": "cut", "at": 0.9, "reset": True}])
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        page(portal)
    portal.reset(faults=[{"kind": "chunk_cut"}])
    with pytest.raises(http.client.IncompleteRead):
        page(portal)


def test_stalls_end_when_told_and_when_the_client_leaves(portal):
    portal.control(
        faults=[
            {"kind": "stall", "seconds": 0.3, "then": "answer", "when": {"first": 1}},
            {"kind": "stall_body", "seconds": 0.3, "then": "answer", "when": {"first": 1}},
        ]
    )
    began = time.monotonic()
    assert page(portal).status == 200
    assert time.monotonic() - began >= 0.3
    portal.reset(faults=[{"kind": "stall_body", "at": 50, "seconds": 0.3, "then": "answer"}])
    assert page(portal).json["count"] == 10
    portal.reset(faults=[{"kind": "stall"}])
    with pytest.raises(TimeoutError):
        page(portal, timeout=0.3)
    portal.reset(faults=[{"kind": "stall_body", "at": 50}])
    with pytest.raises(TimeoutError):
        page(portal, timeout=0.3)
    deadline = time.monotonic() + 3
    while portal.control()["counters"]["in_flight"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert portal.control()["counters"]["in_flight"] == 0
    assert portal.requests()[-1]["done"] is False and portal.requests()[-1]["fault"] == "stall_body"


def test_drip_slow_and_chunked(portal):
    whole = page(portal, **by_key()).body
    portal.control(faults=[{"kind": "drip", "bytes": 500, "pause": 0.02}])
    began = time.monotonic()
    assert page(portal, **by_key()).body == whole
    assert time.monotonic() - began > len(whole) / 500 * 0.02
    portal.reset(faults=[{"kind": "slow", "seconds": 0.3}])
    began = time.monotonic()
    assert page(portal, **by_key()).body == whole and time.monotonic() - began >= 0.3
    portal.reset(faults=[{"kind": "chunked", "bytes": 100}])
    reply = page(portal, **by_key())
    assert reply.body == whole and reply.headers["Transfer-Encoding"] == "chunked"


def test_gzip_good_and_bad(portal):
    whole = page(portal, **by_key()).body
    portal.control(faults=[{"kind": "gzip"}])
    reply = page(portal, **by_key())
    assert reply.headers["Content-Encoding"] == "gzip" and gzip.decompress(reply.body) == whole
    portal.reset(faults=[{"kind": "bad_gzip"}])
    with pytest.raises(Exception):
        gzip.decompress(page(portal, **by_key()).body)


@pytest.mark.parametrize(
    "shape, check",
    [
        ("records", lambda body: len(json.loads(body)["records"]) > 10_000),
        ("string", lambda body: len(json.loads(body)["records"][0]["state"]) == 3_000_000),
        ("spaces", lambda body: json.loads(body)["records"] == []),
        ("number", lambda body: body.count(b"9" * 1_000_000) >= 3),
        ("depth", lambda body: b"[" * 1_000_000 in body),
        ("fields", lambda body: body.count(b'"field_1') == 1111),
    ],
)
def test_huge_bodies(portal, shape, check):
    portal.control(
        faults=[{"kind": "huge", "shape": shape, "bytes": 2000 if shape == "fields" else 3_000_000}]
    )
    body = page(portal).body
    assert check(body) and body.endswith(b"}")


def test_huge_declared_and_gzip_bomb(portal):
    portal.control(faults=[{"kind": "huge", "bytes": 5_000_000, "declared": True}])
    reply = page(portal)
    assert int(reply.headers["Content-Length"]) == len(reply.body) > 4_000_000
    portal.reset(faults=[{"kind": "huge", "shape": "zeros", "bytes": 30_000_000, "gzip": True}])
    reply = page(portal)
    assert len(reply.body) < 100_000 and len(gzip.decompress(reply.body)) == 30_000_000


@pytest.mark.parametrize(
    "shape",
    [
        "garbage",
        "status",
        "length",
        "two_lengths",
        "chunk",
        "http09",
        "no_end",
        "huge_header",
        "many_headers",
        "header",
    ],
)
def test_malformed_http(portal, shape):
    portal.control(faults=[{"kind": "malformed", "shape": shape}])
    reply = raw_exchange(portal, f"GET /resource/{DAILY}?api-key=k HTTP/1.1\r\n\r\n")
    assert reply and not reply.startswith(b"HTTP/1.1 200 OK\r\nAccess-Control")
    portal.reset()
    assert page(portal).status == 200


def test_close_reset_and_close_after(portal):
    portal.control(faults=[{"kind": "close"}])
    with pytest.raises(http.client.RemoteDisconnected):
        page(portal)
    portal.reset(faults=[{"kind": "reset"}])
    with pytest.raises(ConnectionResetError):
        page(portal)
    portal.reset(faults=[{"kind": "close_after"}])
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=5)
    connection.request("GET", f"/resource/{DAILY}?api-key=k")
    reply = Reply(connection.getresponse())
    assert reply.headers["Connection"] == "keep-alive"
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.request("GET", f"/resource/{DAILY}?api-key=k")
        connection.getresponse()
    connection.close()


def test_accept_faults(portal):
    portal.control(
        faults=[
            {"kind": "accept_close", "when": {"times": 1}},
            {"kind": "accept_reset", "when": {"times": 1, "after": 1}},
        ]
    )
    for _ in range(2):
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            page(portal)
    assert page(portal).status == 200


def test_connection_refused_for_a_while(portal):
    portal.control(refuse=1.0)
    time.sleep(0.1)
    with pytest.raises(ConnectionRefusedError):
        page(portal)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert page(portal).status == 200
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    pytest.fail("the port did not open again")


def test_user_agent_rules(portal):
    assert page(portal, agent=None).status == 200
    portal.control(user_agent="strict", user_agent_hang=30)
    for agent in (None, "Python-urllib/3.11"):
        with pytest.raises(TimeoutError):
            page(portal, agent=agent, timeout=0.3)
    assert page(portal, agent="python-requests/2").status == 502
    for agent in ("curl/8.5.0", "Mozilla/5.0", "ogdsync/1.0"):
        assert page(portal, agent=agent).status == 200


def test_latency_model(portal):
    portal.control(latency={"scale": 0.1})
    began = time.monotonic()
    page(portal, limit=600)
    assert 0.14 < time.monotonic() - began < 2
    portal.control(latency={"scale": 1, "base": 0.2, "per_row": 0})
    began = time.monotonic()
    page(portal, limit=600)
    assert 0.2 <= time.monotonic() - began < 2


def test_ignored_limit_and_page_cap(portal):
    portal.control(ignore_limit=7)
    assert [page(portal, limit=limit).json["count"] for limit in (3, 100)] == [7, 7]
    portal.reset(page_cap=30)
    assert [page(portal, limit=limit).json["count"] for limit in (10, 100, "all")] == [10, 30, 30]
    assert page(portal, limit=100).json["limit"] == "100"
    assert len({key_of(record) for record in walk(portal, **by_key())}) == 600


def test_rows_repeated_across_pages(portal):
    portal.control(overlap=5)
    first, second = (page(portal, limit=50, offset=offset, **by_key()).records for offset in (0, 50))
    assert second[:5] == first[-5:] and len(second) == 50
    assert len({key_of(record) for record in walk(portal, size=50, **by_key())}) == 600 - 5 * 11
    portal.control(overlap={"rows": 5, "extra": True})
    second = page(portal, limit=50, offset=50, **by_key()).json
    assert second["records"][:5] == first[-5:] and second["count"] == 55


def test_tls(tmp_path):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            key,
            "-out",
            cert,
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ],
        check=True,
        capture_output=True,
    )
    with Portal("--today", TODAY, "--rows-per-day", "30", "--tls", cert, key) as portal:
        assert portal.url.startswith("https://")
        context = ssl.create_default_context(cafile=str(cert))

        def call():
            request = urllib.request.Request(
                f"{portal.url}/resource/{DAILY}?api-key=k", headers={"User-Agent": "test/1.0"}
            )
            with urllib.request.urlopen(request, timeout=3, context=context) as response:
                return json.load(response)["total"]

        assert call() == 30
        portal.control(faults=[{"kind": "tls_drop", "when": {"every": 2}}])
        assert call() == 30
        with pytest.raises(urllib.error.URLError):
            call()
        portal.control(faults=[{"kind": "tls_hang", "seconds": 0.4}])
        began = time.monotonic()
        assert call() == 30 and time.monotonic() - began >= 0.4


# replay


def write(path, text):
    path.write_bytes(text.encode())
    return path


def test_replay_keeps_envelope_and_digits(tmp_path):
    answer = (
        '{"created":1,"updated":2,"index_name":"'
        + DAILY
        + '","title":"saved","total":9,"count":9,"limit":"9","offset":"0","records":['
        '{"state":"B","market":"M","arrival_date":"08/12/2025","modal_price":2526.66666666667},'
        '{"state":"A","market":"N  N ","arrival_date":"08/12/2025","modal_price":100.10}],"status":"ok"}'
    )
    with Portal("--today", TODAY, "--replay", write(tmp_path / "saved.json", answer)) as portal:
        reply = page(portal, {"sort[state]": "asc"}, limit=1)
        assert list(reply.json) == [
            "created",
            "updated",
            "index_name",
            "title",
            "total",
            "count",
            "limit",
            "offset",
            "records",
            "status",
            "message",
            "version",
        ]
        assert (reply.json["total"], reply.json["count"], reply.json["limit"], reply.json["title"]) == (
            2,
            1,
            "1",
            "saved",
        )
        assert b'"modal_price":100.10}' in reply.body
        assert b"2526.66666666667" in page(portal, {"filters[state]": "B"}).body
        assert page(portal, PINCODE, limit=0).json["total"] == 165_627


def test_replay_of_csv_with_crlf_and_spreadsheet_dates(tmp_path):
    header = "State,District,Market,Commodity,Variety,Grade,Arrival_Date,Min_Price,Max_Price,Modal_Price\r\n"
    rows = (
        'Goa,North,"Mapusa, Main",Rice,Other,FAQ,15-09-2024,10,20.50,NA\r\n'
        "Goa,North,Panaji,Rice,Other,FAQ,16-09-2024,10,20,15\r\n"
    )
    path = write(tmp_path / "day.csv", "\ufeff" + header + rows)
    with Portal("--today", TODAY, "--replay", f"history={path}", "--replay", path) as portal:
        reply = page(portal, HISTORY, {"filters[Arrival_Date]": "15-09-2024"})
        assert reply.records == [
            {
                "State": "Goa",
                "District": "North",
                "Market": "Mapusa, Main",
                "Commodity": "Rice",
                "Variety": "Other",
                "Grade": "FAQ",
                "Arrival_Date": "15/09/2024",
                "Min_Price": 10,
                "Max_Price": 20.5,
                "Modal_Price": "NA",
            }
        ]
        assert b'"Max_Price":20.50' in reply.body
        assert page(portal).records[0]["arrival_date"] == "16/09/2024"
        portal.control(today="2024-09-15")
        assert page(portal).records[0]["market"] == "Mapusa, Main"
        assert portal.truth("history")["quarantined"] == 1


def test_replay_of_an_unknown_resource(tmp_path):
    uuid = "8d3b6596-b09e-4077-aebf-425193185a5b"
    answer = {
        "index_name": uuid,
        "created": 1687434829260,
        "updated": 1,
        "field": [{"id": "year", "name": "year", "type": "double"}],
        "records": [{"year": "2022", "qty": "961.61"}, {"year": "2023", "qty": "NA"}],
        "total": 2,
        "count": 2,
        "limit": "10",
        "offset": "0",
    }
    with Portal("--today", TODAY, "--replay", write(tmp_path / "x.json", json.dumps(answer))) as portal:
        assert page(portal, uuid, {"filters[year]": "2023"}).records == [{"year": "2023", "qty": "NA"}]
        assert portal.truth(uuid)["rows"] == 2


@needs_samples
def test_replay_of_the_recorded_samples():
    with Portal("--today", "2025-02-19", "--replay", SAMPLES) as portal:
        portal.control(all_max=20_000)
        reply = page(portal, limit="all", **by_key())
        assert reply.json["total"] == 18212 and reply.headers["Content-Type"] == "application/json"
        truth = portal.truth()
        assert (truth["records"], truth["rows"], truth["duplicates"], truth["quarantined"]) == (
            18212,
            18212,
            0,
            0,
        )
        # one recorded price is negative: min -4000, max 5000, modal 500
        for today, rows, reasons in (("2024-09-15", 8148, {}), ("2025-12-08", 4832, {"range": 1})):
            portal.control(today=today)
            document = page(portal, limit="all", **by_key()).json
            day, month, year = today[8:], today[5:7], today[:4]
            assert {record["arrival_date"] for record in document["records"]} == {f"{day}/{month}/{year}"}
            assert len(document["records"]) == document["total"] == portal.truth()["records"] == rows
            assert portal.truth()["dates"][today]["reasons"] == reasons
        with open(
            os.path.join(SAMPLES, "mandi_daily_2025-12-08_4832rows_full_api_response.json"), "rb"
        ) as file:
            recorded = file.read()
        portal.control(pretty=True)
        assert page(portal, limit="all", **by_key()).json.keys() == json.loads(recorded).keys()
        assert page(portal, HISTORY, {"filters[Commodity]": "Rice"}).json["total"] == 5
        assert page(portal, AIR, limit="all").json["total"] > 3000


@needs_samples
def test_a_recorded_answer_replays_byte_for_byte():
    path = os.path.join(SAMPLES, "mandi_daily_2025-12-08_4832rows_full_api_response.json")
    with Portal("--today", TODAY, "--replay", path) as portal:
        portal.control(pretty=True, unsorted="stable")
        with open(path, "rb") as file:
            assert page(portal, limit="all").body == file.read()


# control


def test_control_shows_what_the_client_sent(portal):
    page(portal, limit=3, agent="ogdsync/9.9", key="secret")
    get(portal, "/lists")
    state = portal.control()
    assert state["counters"]["by_path"] == {f"/resource/{DAILY}": 1, "/lists": 1}
    assert state["counters"]["by_status"] == {"200": 2} and state["counters"]["requests"] == 2
    call = portal.requests("/resource")[0]
    assert (call["user_agent"], call["status"], call["rows"], call["done"]) == ("ogdsync/9.9", 200, 3, True)
    assert (
        "api-key=secret" in call["query"]
        and "limit=3" in call["query"]
        and call["headers"]["user-agent"] == "ogdsync/9.9"
    )


def test_control_refuses_what_it_does_not_know(portal):
    for document, words in (
        ({"fautls": []}, "fautls: no such setting"),
        ({"faults": [{"kind": "nope"}]}, "no fault kind"),
        ({"faults": [{"kind": "cut", "seconds": 1}]}, "does not take"),
        ({"faults": [{"kind": "cut", "when": {"nth": 3}}]}, "no condition"),
        ({"faults": [{"kind": "cut", "at": "half"}]}, "will not do for fault"),
        ({"faults": [{"kind": "malformed", "shape": "odd"}]}, "is none of"),
        ({"faults": [{"kind": "stall", "then": "sing"}]}, "is none of"),
        ({"faults": [{"kind": "502", "when": {"every": True}}]}, "when.every"),
        ({"faults": [{"kind": "tls_drop", "when": {"offset": 3}}]}, "before there is a call"),
        ({"filters": "some"}, "filters: expected one of"),
        ({"today": "19/11/2026"}, "today: expected a date"),
        ({"bad": {"odd_price": 1}}, "bad kinds are"),
        ({"resources": {"daily": {"keys": []}}}, "resources.daily.keys"),
        ({"every": {"x": "502"}}, "not a number of calls"),
        ({"later": [{"after": 1}]}, "later: expected"),
    ):
        with pytest.raises(ValueError, match=words):
            portal.control(**document)
    assert portal.control()["settings"]["faults"] == []


def test_control_over_the_portal_itself(portal):
    connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=5)
    connection.request("POST", "/control", json.dumps({"kind": "502"}))
    assert Reply(connection.getresponse()).json["settings"]["faults"] == [{"kind": "502"}]
    connection.request("GET", f"/resource/{DAILY}?api-key=k")
    assert Reply(connection.getresponse()).status == 502
    connection.request("POST", "/reset")
    assert Reply(connection.getresponse()).json == {"status": "ok"}
    connection.request("GET", f"/resource/{DAILY}?api-key=k")
    assert Reply(connection.getresponse()).status == 200
    connection.close()
    assert get(portal, "/reset").status == 405


def test_in_flight_max_tells_how_parallel_a_client_is(portal):
    portal.control(faults=[{"kind": "slow", "seconds": 0.3}])
    calls = [
        subprocess.Popen(["curl", "-gsS", "-o", os.devnull, f"{portal.url}/resource/{DAILY}?api-key=k"])
        for _ in range(3)
    ]
    assert [call.wait(10) for call in calls] == [0, 0, 0]
    assert portal.control()["counters"]["in_flight_max"] == 3


def test_lists_needs_no_key(portal):
    query = {
        "format": "json",
        "notfilters[source]": "visualize.data.gov.in",
        "filters[active]": "1",
        "sort[updated]": "desc",
        "limit": 10,
    }
    document = get(portal, "/lists", query).json
    ids = [record["index_name"] for record in document["records"]]
    assert {DAILY, HISTORY, AIR, PINCODE} <= set(ids) and any(len(name) != 36 for name in ids)
    updated = [record["updated"] for record in document["records"]]
    assert updated == sorted(updated, reverse=True)
    assert get(portal, "/lists", {"filters[index_name]": DAILY, "limit": 1}).json["total"] == 1


# speed: printed, not judged


def test_print_throughput(capsys):
    with Portal("--today", TODAY, "--days", "2026-11-10..2026-11-19", "--rows-per-day", "20000") as portal:
        connection = http.client.HTTPConnection("127.0.0.1", portal.port, timeout=60)
        sort = "".join(f"&sort[{name}]=asc" for name in TITLES)
        paths = [
            f"/resource/{HISTORY}?api-key=k&limit=10000&offset={offset}&filters[Arrival_Date]={day}-11-2026{sort}"
            for day in range(10, 20)
            for offset in (0, 10000)
        ]

        def run():
            began, size = time.monotonic(), 0
            for path in paths:
                connection.request("GET", path)
                size += len(connection.getresponse().read())
            return size, time.monotonic() - began

        made, cached = run(), run()
        connection.close()
    with capsys.disabled():
        print(
            f"\n  200,000 rows made, sorted, rendered: {200_000 / made[1]:,.0f} rows/s; "
            f"cached 10,000-row pages: {cached[0] / cached[1] / 1e6:,.0f} MB/s, {200_000 / cached[1]:,.0f} rows/s"
        )
    assert made[0] == cached[0]
