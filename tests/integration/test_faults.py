"""Every way in which the portal goes wrong, and how the day then ends.

What passes must end with the exact truth; what stays must never be called success.
"""

import subprocess

import pytest

from harness import KEY, NO_PERMISSION, TRY_AGAIN, UNAVAILABLE, days_back, today
from ogdportal.faults import KINDS, SHAPES
from portal_harness import Portal

ONCE = {"when": {"times": 1}}
MIB = 1 << 20

# A fault that passes: after the first time, or it is none for a good client.
PASSING = [
    {"kind": "502", "when": {"times": 3}},
    {"kind": "503", **ONCE},
    {"kind": "503", "retry_after": 1, **ONCE},
    {"kind": "503", "retry_after": "date:1", **ONCE},
    {"kind": "503", "retry_after": "soon", **ONCE},
    {"kind": "504", **ONCE},
    {"kind": "500", **ONCE},
    {"kind": "429", "retry_after": 1, **ONCE},
    {"kind": "empty", **ONCE},
    {"kind": "empty", "when": {"calls": [3]}},
    {"kind": "short", "when": {"calls": [2]}},
    {"kind": "short"},
    {"kind": "first_page", "when": {"calls": [2]}},
    {"kind": "error", "message": "try later", **ONCE},
    {"kind": "empty_body", **ONCE},
    {"kind": "not_json", **ONCE},
    {"kind": "html", **ONCE},
    {"kind": "array", **ONCE},
    {"kind": "bom"},
    {"kind": "trailing", **ONCE},
    {"kind": "wrong_type"},
    {"kind": "truncate", "framing": "close", **ONCE},
    {"kind": "truncate", "framing": "chunked", **ONCE},
    {"kind": "truncate", "framing": "length", "at": 0.99, **ONCE},
    {"kind": "cut", "at": 0.3, **ONCE},
    {"kind": "cut", "at": 1000, "reset": True, **ONCE},
    {"kind": "chunk_cut", **ONCE},
    {"kind": "stall", **ONCE},
    {"kind": "stall_body", "at": 500, **ONCE},
    {"kind": "stall_body", "at": 500, "seconds": 0.5, "then": "answer"},
    {"kind": "drip", **ONCE},
    {"kind": "slow", "seconds": 0.3},
    {"kind": "gzip"},
    {"kind": "bad_gzip", **ONCE},
    {"kind": "chunked"},
    {"kind": "close", **ONCE},
    {"kind": "reset", **ONCE},
    {"kind": "close_after"},
    {"kind": "accept_close", **ONCE},
    {"kind": "accept_reset", **ONCE},
    *({"kind": "malformed", "shape": shape, **ONCE} for shape in (
        "garbage", "status", "header", "length", "two_lengths", "chunk", "http09", "no_end", "huge_header",
        "many_headers")),
    *({"kind": "huge", "shape": shape, "bytes": 24 * MIB, **ONCE} for shape in (
        "records", "string", "spaces", "number", "zeros")),
    *({"kind": "huge", "shape": shape, **ONCE} for shape in ("depth", "fields")),
    {"kind": "huge", "shape": "spaces", "bytes": 64 * MIB, "gzip": True, **ONCE},
]

# One that stays: (rule, exit code, state of the run, words in the log)
LASTING = [
    ({"kind": "502"}, UNAVAILABLE, "failed", "502"),
    ({"kind": "503"}, UNAVAILABLE, "failed", "503"),
    ({"kind": "504"}, UNAVAILABLE, "failed", "504"),
    ({"kind": "500"}, UNAVAILABLE, "failed", "500"),
    ({"kind": "429", "retry_after": 1}, UNAVAILABLE, "failed", "429"),
    ({"kind": "401"}, NO_PERMISSION, "failed", "refused the API key"),
    ({"kind": "403", "body": "json"}, NO_PERMISSION, "failed", "refused"),
    ({"kind": "redirect"}, UNAVAILABLE, "failed", "redirect"),
    ({"kind": "error", "message": "under repair"}, UNAVAILABLE, "failed", "under repair"),
    ({"kind": "not_json"}, UNAVAILABLE, "failed", "begins with"),
    ({"kind": "html"}, UNAVAILABLE, "failed", "begins with '<'"),
    ({"kind": "empty_body"}, UNAVAILABLE, "failed", ""),
    ({"kind": "truncate"}, UNAVAILABLE, "failed", ""),
    ({"kind": "close"}, UNAVAILABLE, "failed", ""),
    ({"kind": "reset"}, UNAVAILABLE, "failed", ""),
    ({"kind": "accept_close"}, UNAVAILABLE, "failed", ""),
    ({"kind": "malformed", "shape": "garbage"}, UNAVAILABLE, "failed", ""),
    ({"kind": "bad_gzip"}, UNAVAILABLE, "failed", ""),
    ({"kind": "400", "body": "json"}, NO_PERMISSION, "failed", "400"),
    ({"kind": "array"}, UNAVAILABLE, "failed", "begins with"),
    ({"kind": "trailing"}, UNAVAILABLE, "failed", ""),
    ({"kind": "cut", "at": 1000}, UNAVAILABLE, "failed", ""),
    ({"kind": "chunk_cut"}, UNAVAILABLE, "failed", ""),
    ({"kind": "stall"}, UNAVAILABLE, "failed", ""),
    ({"kind": "stall_body", "at": 500}, UNAVAILABLE, "failed", ""),
    ({"kind": "drip"}, UNAVAILABLE, "failed", ""),
    ({"kind": "accept_reset"}, UNAVAILABLE, "failed", ""),
    ({"kind": "huge", "shape": "depth"}, UNAVAILABLE, "failed", ""),
]
# Those have a test of their own below.
ALONE = {"empty", "first_page", "tls_drop", "tls_hang"}


def name_of(value):
    if not isinstance(value, dict):
        return ""
    return "-".join(str(value[key]) for key in ("kind", "shape", "framing", "at", "retry_after") if key in value)


@pytest.fixture
def paged(site):
    """Four pages, few and short waits."""
    site.live(page_size=100)
    site.configure(portal={"request_timeout": "1s", "connect_timeout": "1s", "low_speed": "1KiB/1s",
                           "page_bytes": "4MiB"})
    return site


@pytest.mark.parametrize("rule", PASSING, ids=name_of)
def test_what_passes_leaves_no_trace(paged, portal, rule):
    if rule["kind"] == "huge":  # the simulator needs a while to make it
        paged.configure(portal={"request_timeout": "15s", "low_speed": "1KiB/15s"})
    portal.control(faults=[rule])
    paged.sync()
    assert paged.rows() == paged.truth()
    assert paged.coverage() == ("complete", None)
    assert paged.runs() == [("live", "success", None)]
    assert paged.quarantine() == []
    paged.check_books()


@pytest.mark.parametrize("rule, code, state, words", LASTING, ids=name_of)
def test_what_stays_is_no_success(paged, portal, rule, code, state, words):
    paged.configure(portal={"attempts": 2})
    portal.control(faults=[rule])
    done = paged.sync(code)
    assert words in done.err
    assert paged.rows() == [] and paged.runs()[0][1] == state
    assert paged.coverage()[0] in ("missing", "suspect", "partial")
    portal.control(faults=[])
    paged.sync()
    assert paged.rows() == paged.truth() and paged.coverage() == ("complete", None)
    paged.check_books()


@pytest.mark.parametrize("rule", [rule for rule, *_ in LASTING], ids=name_of)
def test_what_stays_from_the_third_page_on_is_partial(paged, portal, rule):
    paged.configure(portal={"attempts": 2, "parallel": 1})
    portal.control(faults=[{**rule, "when": {"path": "/resource", "offset": [200, 399]}}]
                   if not rule["kind"].startswith("accept") else [{**rule, "when": {"after": 1}}])
    done = paged.once()
    if rule["kind"].startswith("accept"):  # the connection was kept
        assert done.code in (0, TRY_AGAIN), done
        return
    assert done.code in (TRY_AGAIN, NO_PERMISSION), done
    assert len(paged.rows()) == 200 and set(paged.rows()) < set(paged.truth())
    assert paged.coverage()[0] == "partial" and paged.runs()[0][1] == "partial"
    assert paged.coverage()[1]
    portal.control(faults=[])
    paged.sync()
    assert paged.rows() == paged.truth() and paged.coverage() == ("complete", None)
    paged.check_books()


def test_the_tables_have_every_fault_of_the_simulator():
    passing = {(rule["kind"], rule.get("shape")) for rule in PASSING}
    kinds = {kind for kind, _ in passing} | {rule["kind"] for rule, *_ in LASTING} | ALONE
    assert {kind for kind in KINDS if kind != "status"} <= kinds
    assert {(kind, shape) for kind, shapes in SHAPES.items() for shape in shapes} <= passing
    for kind in {rule["kind"] for rule in PASSING if "when" in rule and rule["when"] != {"calls": [2]}} - ALONE:
        assert kind in {rule["kind"] for rule, *_ in LASTING}, f"{kind} that lasts"


def test_the_first_page_again_and_again_is_no_success(paged, portal):
    portal.control(faults=[{"kind": "first_page"}])
    paged.sync(TRY_AGAIN)
    assert len(paged.rows()) == 200, "the second pass goes the other way"
    assert set(paged.rows()) < set(paged.truth())
    assert paged.coverage() == ("partial", "incomplete")
    paged.check_books()


def test_a_redirect_is_not_followed_with_the_key(paged, portal):
    with Portal() as other:
        portal.control(faults=[{"kind": "redirect", "location": f"{other.url}/resource/elsewhere"}])
        paged.sync(UNAVAILABLE)
        assert other.requests() == []


def test_always_empty_pages_are_no_success(paged, portal):
    portal.control(faults=[{"kind": "empty"}])
    done = paged.once()
    assert done.code in (TRY_AGAIN, UNAVAILABLE), done
    assert paged.rows() == [] and paged.runs()[0][1] != "success"


@pytest.mark.parametrize("offset", [5, -5])
def test_a_total_that_lies_is_no_success(paged, portal, offset):
    portal.control(resources={"daily": {"total_offset": offset}})
    paged.sync(TRY_AGAIN)
    assert set(paged.rows()) <= set(paged.truth()) and len(paged.rows()) >= 300
    assert paged.coverage()[0] == "partial"
    paged.check_books()


def test_a_portal_that_goes_and_comes(paged, portal):
    paged.configure(portal={"attempts": 20, "backoff": "50ms..200ms"})
    portal.control(refuse=0.3)
    paged.sync()
    assert paged.rows() == paged.truth()


def test_a_replaced_snapshot_is_read_afresh(paged, portal):
    portal.control(later=[{"after": 2, "set": {"edition": 1}}])
    paged.sync()
    # What was served before the change is there too; of two values of one key the greater won.
    assert {row[:7] for row in paged.truth()} <= {row[:7] for row in paged.rows()}
    assert paged.coverage() == ("complete", None)
    paged.check_books()
    paged.sync()
    assert set(paged.truth()) <= set(paged.rows()), "the next look has the newer values"
    paged.check_books()


@pytest.mark.parametrize("page_size", [20, 50])
def test_many_faults_at_once_end_with_the_exact_truth(paged, portal, page_size):
    """Every 3rd call 502, every 5th cut short, every 7th broken off, every 11th empty."""
    paged.history(page_size=page_size)
    paged.live(page_size=page_size)
    paged.configure(portal={"attempts": 10})
    portal.control(every={"3": "502", "5": "truncate", "7": {"kind": "cut", "at": 1000}, "11": "empty"})
    paged.sync()
    assert paged.rows() == paged.truth(days=days_back(1, 2, 3))
    assert {state for _, state, _ in paged.runs()} == {"success"}
    paged.check_books()


def test_tls_faults(make_site, cluster, tmp_path):
    cert, key = tmp_path / "cert", tmp_path / "key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    with Portal("--tls", cert, key, "--rows-per-day", 100, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        done = site.sync(UNAVAILABLE)
        assert "certificate" in done.err.lower()
        site.configure(portal={"ca_file": str(cert)})
        portal.control(today=str(today()), faults=[{"kind": "tls_drop", "when": {"times": 1}},
                                                   {"kind": "tls_hang", "when": {"times": 1}}])
        site.sync()
        assert site.rows() == site.truth()
