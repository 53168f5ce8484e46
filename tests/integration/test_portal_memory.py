"""A page of 50,000 rows, five times what is ever asked for by default, through the whole daemon."""

import os

import pytest

from harness import KEY, today
from portal_harness import Portal

ROWS = 50000
LIMIT_KB = 32 * 1024


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("pretty", [False, True])
def test_the_peak_of_a_page_of_50000_rows(make_site, pretty):
    with Portal("--seed", 3, "--rows-per-day", ROWS, "--key", KEY) as portal:
        portal.control(today=str(today()), pretty=pretty)
        site = make_site(portal)
        site.apply()
        site.live(page_size=ROWS)
        site.configure(portal={"page_max": ROWS, "request_timeout": "60s", "low_speed": "1KiB/60s"}, log={"level": "info"})
        with site.start() as daemon:
            idle = daemon.memory()
            daemon.wait_syncs(1, 90)
            peak, now = daemon.memory(), daemon.memory("VmRSS")
        call, = portal.requests("/resource")[:1]
        size = call["bytes"]
        pages = site.value("SELECT max(pages) FROM ogdsync.run_slice")
        assert call["rows"] == ROWS and pages == 1
        assert site.value("SELECT count(*) FROM mandi.price") == ROWS
        print(f"one page of {ROWS} rows, {size >> 10} kB: VmHWM {peak} kB, VmRSS after it {now} kB, at the start {idle} kB")
        assert peak < LIMIT_KB
        site.check_books()
