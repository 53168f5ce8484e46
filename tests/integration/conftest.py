"""Fixtures: one PostgreSQL and one simulator for a session, a fresh installation for each test."""

import shutil
import signal
import tempfile

import pytest

import harness
import secrets_check
from portal_harness import Portal

ROWS = 400


def pytest_configure(config):
    """A test that is ended from outside still ends the servers that it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    secrets_check.register(config)


@pytest.fixture(scope="session")
def cluster():
    if not harness.postgres_binaries():
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    if not harness.can_be_unprivileged():
        pytest.skip("root needs a user `postgres` to start PostgreSQL as")
    server = harness.Cluster()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def simulator():
    first = harness.days_back(40)[0]
    with Portal("--seed", 5, "--rows-per-day", ROWS, "--key", harness.KEY, "--key", "second-key-of-the-portal",
                "--sample-key", "sample-key-of-everybody", "--days", f"{first}..") as portal:
        yield portal


@pytest.fixture
def portal(simulator):
    simulator.reset(today=str(harness.today()))
    return simulator


@pytest.fixture
def make_site(cluster):
    """A function: a portal -> an installation without a schema."""
    made = []

    def make(portal):
        folder = tempfile.mkdtemp(prefix="ogdsync-site-")
        made.append(harness.Site(cluster, portal, folder))
        return made[-1]

    yield make
    if not cluster.is_running():
        cluster.start()
    for site in made:
        cluster.drop(site.database)
        shutil.rmtree(site.folder, ignore_errors=True)


@pytest.fixture
def bare(make_site, portal):
    """An installation with an empty database."""
    return make_site(portal)


@pytest.fixture
def site(bare):
    """An installation that is ready to load."""
    bare.apply()
    return bare
