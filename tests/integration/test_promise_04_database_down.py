"""PostgreSQL may be down: pages are safe in the spool and load themselves when it returns."""

import signal

from harness import days_back, ready_files, wait_until


def test_a_daemon_that_never_saw_the_database(site, portal, cluster):
    truth = site.truth(days=days_back(1, 2, 3))
    site.history(on_start=True)
    cluster.stop()
    with site.start() as daemon:
        status = daemon.wait_status(lambda status: status["spool"]["ready"] == 4 and status["status"] == "idle")
        assert len(ready_files(site)[0]) == 4 and status["database"]["state"] == "down"
        assert status["last_sync"]["status"] == "spooled"
        assert daemon.get("/livez").status == 200
        cluster.start()
        status = daemon.wait_syncs(2)
        assert status["total_failures"] == 0 and status["last_sync"]["status"] == "success"
        wait_until(lambda: ready_files(site)[0] == [], 10, "the spool to empty")
    assert site.rows() == truth
    assert {run[1] for run in site.runs()} == {"success"}
    site.check_books()


def test_it_goes_away_and_the_daemon_is_restarted_meanwhile(site, portal, cluster):
    cluster.stop()
    with site.start() as daemon:
        wait_until(lambda: len(ready_files(site)[0]) == 1, 20, "a slice in the spool")
        daemon.kill()
    with site.start() as daemon:
        wait_until(lambda: daemon.status()["spool"]["ready"] >= 1, 10, "the spool to be seen")
        cluster.start()
        wait_until(lambda: ready_files(site)[0] == [], 20, "the spool to empty")
    assert site.rows() == site.truth()
    site.check_books()


def test_it_crashes_while_a_slice_is_loaded(site, portal, cluster):
    """Held before its COMMIT by a lock on the ledger, which is written last."""
    db = site.connect()
    db.autocommit = False
    db.execute("LOCK TABLE ogdsync.run_slice IN EXCLUSIVE MODE")
    with site.start() as daemon:
        wait_until(lambda: site.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), 20, "the load")
        cluster.stop(signal.SIGQUIT)
        db.close()
        wait_until(lambda: daemon.status()["database"]["state"] == "down", 10, "the loss to be seen")
        cluster.start()
        daemon.wait_syncs(1)
    assert site.rows() == site.truth()
    assert site.runs()[0][1] == "success"
    site.check_books()


def test_its_connections_are_cut_again_and_again(site, portal, cluster):
    site.history(on_start=True, page_size=100)
    site.live(page_size=100)
    portal.control(latency={"base": 0.02, "scale": 1})
    with site.start() as daemon:
        with site.connect() as db:
            for _ in range(30):
                db.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'loader'")
                db.execute("SELECT pg_sleep(0.03)")
        daemon.wait_syncs(2)
    assert site.rows() == site.truth(days=days_back(1, 2, 3))
    assert {run[1] for run in site.runs()} == {"success"}
    site.check_books()
