"""What the tests of the database's weather share: what must be said of trouble, and of its end."""

import re
import signal
import time

from harness import wait_until

# What a daemon says of a database in trouble, as WARNING or ERROR.
TROUBLE = re.compile(r"\S+ (WARNING|ERROR) (database\.down|database\.schema|lease\.\w+|load\.retry|load\.failed) ")


def events(daemon, name):
    return [line for line in daemon.log().splitlines() if re.match(rf"\S+ [A-Z]+ {re.escape(name)} ", line)]


def warnings(daemon):
    return [line for line in daemon.log().splitlines() if TROUBLE.match(line)]


def wait_down(daemon, words, state="down", seconds=20):
    """Until the status says so, in these words."""

    def is_so(status):
        database = status["database"]
        return database["state"] == state and re.search(words, database["error"] or "")

    return daemon.wait_status(is_so, seconds, f"the database to be {state}: {words}")


def wait_up(daemon, seconds=20):
    """Until all is well, and loaded."""

    def is_so(status):
        database = status["database"]
        return (database["state"] == "up" and database["error"] is None and status["lease"]["state"] == "holder"
                and status["spool"]["ready"] == 0 and status["status"] == "idle" and not status["queue"])

    return daemon.wait_status(is_so, seconds, "the database to be up, and all to be loaded")


def stays_quiet(daemon, seconds=1.5, most=0):
    """The same trouble is not said again: in these tests there are some ten attempts a second."""
    before = warnings(daemon)
    time.sleep(seconds)
    after = warnings(daemon)
    assert len(after) - len(before) <= most, "\n".join(after)
    assert daemon.get("/livez").status == 200


def sync_once(site, portal, daemon):
    """Half a day is loaded, and the rest of it is there to be fetched."""
    portal.control(resources={"daily": {"fill": 0.5}})
    daemon.process.send_signal(signal.SIGUSR1)
    daemon.wait_syncs(1)
    wait_up(daemon)
    portal.control(resources={"daily": {"fill": 1}})


def sync_more(daemon):
    """Fetch again; it need not be loaded."""
    daemon.process.send_signal(signal.SIGUSR1)


def check_end(site, daemon, n_syncs, also=frozenset()):
    """All is over: the rows, the books, and what was said."""
    daemon.wait_syncs(n_syncs)
    wait_up(daemon)
    wait_until(lambda: not site.query("SELECT FROM ogdsync.run WHERE state = 'running'"), 10, "the books")
    wait_until(lambda: site.rows() == site.truth(), 10, "the exact truth")  # what is looked up again comes later
    assert {state for _, state, _ in site.runs()} <= {"success"} | also
    assert site.value("SELECT count(*) FROM mandi.price_revision") == site.value(
        "SELECT sum(updated) FROM ogdsync.run_slice")
    site.check_books()
