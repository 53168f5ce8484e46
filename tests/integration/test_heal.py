"""Healing by the running daemon: newest first, within its budget, over restarts; it waits for the database."""

import time

from harness import days_back, wait_until

REST = " heal.rest"


def heal(site, budget=40, back=10):
    """Only healing: the history has no schedule, the live source has none."""
    site.only_history(schedule=None, heal={"from": days_back(back)[0], "max_slices_per_day": budget})


def healed(site):
    """The days that healing fetched, in the order in which it did."""
    return [row[0] for row in site.query(
        "SELECT s.data_date FROM ogdsync.run_slice s JOIN ogdsync.run r ON r.id = s.run WHERE r.trigger = 'heal'"
        " ORDER BY s.fetched_at")]


def wait_rest(daemon, seconds=30):
    """Until a round of healing found nothing to do."""
    wait_until(lambda: REST in daemon.log(), seconds, "healing to rest")


def days(n, first=2):
    """Yesterday is not over before nine."""
    return days_back(*range(first, first + n))


def test_all_holes_newest_first(site, portal):
    heal(site)
    with site.start() as daemon:
        wait_rest(daemon)
        status = daemon.status()
    found = healed(site)
    assert found == sorted(found, reverse=True) and set(days(9)) <= set(found) <= set(days(10, 1))
    assert site.rows() == site.truth(live=False, days=found)
    assert status["coverage"] == {"missing_days": 0, "partial_days": 0}
    assert status["newest_date"] == str(found[0])
    site.check_books()


def test_budget_of_a_day_outlives_the_process(site, portal):
    heal(site, budget=7)
    with site.start() as daemon:
        wait_rest(daemon)
    with site.start() as daemon:
        wait_rest(daemon)
        status = daemon.status()
    assert len(healed(site)) == 7
    assert status["coverage"]["missing_days"] in (2, 3)


def test_killed_at_any_moment(site, portal):
    heal(site, back=14)
    portal.control(latency={"base": 0.02, "per_row": 0, "scale": 1})
    for seconds in (0.05, 0.2, 0.33, 0.5, 0.1):
        daemon = site.start()
        with daemon:
            time.sleep(seconds)  # anywhere
            daemon.kill()
    with site.start() as daemon:
        wait_rest(daemon)
    found = healed(site)
    assert set(days(13)) <= set(found)
    assert site.rows() == site.truth(live=False, days=set(found))
    assert site.value("SELECT count(*) FROM ogdsync.coverage WHERE state <> 'complete'") == 0
    site.check_books()


def test_waits_for_the_database_and_says_so_once(site, portal, cluster):
    heal(site)
    cluster.stop()
    with site.start() as daemon:
        wait_until(lambda: " heal.waits" in daemon.log(), 10, "heal.waits")
        assert daemon.status()["coverage"] == {"missing_days": None, "partial_days": None}
        cluster.start()
        wait_rest(daemon)
        assert daemon.log().count(" heal.waits") == 1
    assert set(days(9)) <= set(healed(site))


def test_a_refusal_ends_the_run_and_healing_waits(site, portal):
    heal(site)
    portal.control(faults=[{"kind": "502"}])
    with site.start() as daemon:
        daemon.wait_syncs(1)
        time.sleep(1)  # nothing else may come
        assert daemon.status()["total_syncs"] == 1
    assert len(healed(site)) == 1, "what it had not begun was not tried"
    assert site.query("SELECT state, tries, next_try - checked_at FROM ogdsync.coverage")[0][:2] == ("missing", 1)


def test_a_scheduled_run_goes_first(site, portal):
    heal(site, back=20)
    site.live(schedule=["0 0 1 1 *"], on_start=False)
    portal.control(latency={"base": 0.05, "per_row": 0, "scale": 1})
    with site.start() as daemon:
        wait_until(lambda: " heal.begin" in daemon.log(), 20, "healing to begin")
        daemon.process.send_signal(10)  # SIGUSR1: what is scheduled, now
        wait_rest(daemon)
    heal_runs = site.query("SELECT slices, id FROM ogdsync.run WHERE trigger = 'heal' ORDER BY id")
    live = site.value("SELECT id FROM ogdsync.run WHERE source = 'live'")
    assert min(run[1] for run in heal_runs) < live < max(run[1] for run in heal_runs)
    assert heal_runs[0][0] < 5, "it gave way"
    assert set(days(19)) <= set(healed(site))


def test_a_refused_load_is_not_fetched_again_and_again(site, portal):
    bad = days_back(4)[0]
    heal(site)
    with site.connect() as db:
        db.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                   f" $$BEGIN IF new.arrival_date = '{bad}' THEN RAISE 'not this day'; END IF; RETURN new; END$$")
        db.execute("CREATE TRIGGER refuse BEFORE INSERT ON mandi.price FOR EACH ROW EXECUTE FUNCTION refuse()")
    with site.start() as daemon:
        wait_rest(daemon)
        time.sleep(0.5)  # nothing else may come
        assert daemon.log().count(f"slice={bad} state=proven") == 1
        assert daemon.status()["spool"]["ready"] == 1
    assert bad not in healed(site)
    with site.connect() as db:
        db.execute("DROP TRIGGER refuse ON mandi.price")
    with site.start() as daemon:
        wait_rest(daemon)
        assert daemon.status()["coverage"] == {"missing_days": 0, "partial_days": 0}
        assert daemon.log().count(f"slice={bad} state=proven") == 0, "it was in the spool"
    assert site.rows() == site.truth(live=False, days=healed(site))
    site.check_books()
