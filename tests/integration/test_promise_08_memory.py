"""Memory is bounded, whatever the size of the answer."""

import os

import pytest

from harness import KEY
from portal_harness import Portal

LIMIT_KB = 32 * 1024
MIB = 1 << 20


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("rows, page_size", [(18000, 1000), (18000, 10000), (120000, 10000)])
def test_the_peak_of_a_large_day(make_site, rows, page_size):
    with Portal("--seed", 2, "--rows-per-day", rows, "--key", KEY) as portal:
        site = make_site(portal)
        site.apply()
        site.live(page_size=page_size)
        site.configure(portal={"request_timeout": "20s"}, log={"level": "info"})
        with site.start() as daemon:
            daemon.wait_syncs(1)
            first = daemon.memory()
            print(f"{rows} rows by {page_size}: peak {first} kB")
            assert first < LIMIT_KB
        assert site.value("SELECT count(*) FROM mandi.price") == rows
        site.check_books()


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("flood", [{"shape": "records", "bytes": 150 * MIB}, {"shape": "string", "bytes": 100 * MIB},
                                   {"shape": "spaces", "bytes": 100 * MIB}, {"shape": "depth"}, {"shape": "fields"},
                                   {"shape": "spaces", "bytes": 150 * MIB, "gzip": True}], ids=str)
def test_the_peak_of_a_flood(site, portal, flood):
    portal.control(faults=[{"kind": "huge", **flood, "when": {"times": 1}}])
    site.configure(portal={"request_timeout": "20s"}, log={"level": "info"})
    with site.start() as daemon:
        daemon.wait_syncs(1)
        print(f"{flood}: peak {daemon.memory()} kB")
        assert daemon.memory() < LIMIT_KB
    assert site.rows() == site.truth()
