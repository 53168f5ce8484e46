"""ogdsync doctor: all is well, and each thing broken in turn."""

import json
import os
import socketserver
import subprocess
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from harness import KEY, PASSWORD, free_port

CHECKS = ["config", "dns", "tls", "clock", "key", "page", "database", "schema", "rights", "spool", "unit", "daemon"]
SKIPPED = {"unit"} if not os.path.exists("/run/systemd/system") else set()


class Report:
    """What `ogdsync doctor --json` says."""

    def __init__(self, done):
        self.done = done
        document = json.loads(done.out)
        self.findings = {finding["check"]: finding for finding in document["findings"]}
        assert list(self.findings) == CHECKS and document["status"] in ("ok", "warning", "critical", "unknown")
        assert done.code == ["ok", "warning", "critical", "unknown"].index(document["status"]), done
        for finding in self.findings.values():
            assert finding["text"]
            if finding["status"] in ("warning", "critical"):
                assert finding["remedy"], finding

    def of(self, check):
        return self.findings[check]["status"], self.findings[check]["text"]

    def not_well(self):
        return {name: finding["status"] for name, finding in self.findings.items()
                if finding["status"] not in ("ok", "skipped")}

    def skipped(self):
        return {name for name, finding in self.findings.items() if finding["status"] == "skipped"} - SKIPPED


def doctor(site, *args, **more):
    done = site.cli(*args, "doctor", "--json", **more)
    assert KEY not in done.out + done.err and PASSWORD not in done.out + done.err
    return Report(done)


@pytest.fixture
def running(site, portal):
    """An installation with its daemon."""
    site.live(on_start=False)
    with site.start() as daemon:
        daemon.wait_status(lambda status: status["database"]["state"] == "up")
        yield site


def test_all_is_well(running):
    report = doctor(running)
    assert report.not_well() == {} and report.skipped() == set() and report.done.code == 0, report.done
    assert report.of("database")[1] == "connected as loader"
    assert report.of("page")[1].startswith("11 of 400 rows")
    assert "holds its lock" in report.of("spool")[1]
    text = running.cli("doctor")
    assert text.code == 0 and text.err == "", text
    assert [line.split()[1] for line in text.out.splitlines()] == CHECKS


def dump(site):
    """But for the lines with a word by chance."""
    return [line for line in site.cluster.dump(site.database).splitlines() if b"restrict " not in line]


def test_it_changes_nothing(site, portal):
    before = sorted(os.listdir(site.folder)), dump(site)
    doctor(site)
    assert (sorted(os.listdir(site.folder)), dump(site)) == before
    calls = portal.requests("/resource")
    assert len(calls) == 1 and "offset=0&limit=11&" in calls[0]["query"]


def test_a_configuration_that_is_refused(site):
    site.config_file.write_text("portl: {}\n")
    report = doctor(site)
    assert report.of("config") == ("critical", f"{site.config_file} is refused")
    assert "did you mean" in report.done.err
    assert report.skipped() == set(CHECKS) - {"config"} - SKIPPED and report.done.code == 2


def test_a_name_that_nobody_knows(site):
    site.configure(portal={"base_url": "https://portal.invalid"})
    report = doctor(site)
    assert report.of("dns")[0] == "critical" and "portal.invalid" in report.of("dns")[1]
    assert {"tls", "clock", "key", "page"} <= report.skipped()


def test_nobody_listens_at_the_portal(site):
    site.configure(portal={"base_url": f"http://127.0.0.1:{free_port()}"})
    report = doctor(site)
    assert report.of("dns")[0] == "ok" and report.of("tls")[0] == "critical"
    assert {"clock", "key", "page"} <= report.skipped()


def test_a_certificate_that_is_not_trusted(site, tmp_path):
    from portal_harness import Portal

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate, "-days", "2"],
                   check=True, capture_output=True)
    with Portal("--seed", 5, "--rows-per-day", 20, "--key", KEY, "--tls", certificate, key) as portal:
        site.configure(portal={"base_url": portal.url})
        report = doctor(site)
        assert report.of("tls")[0] == "critical" and "certificate" in report.of("tls")[1]
        site.configure(portal={"ca_file": str(certificate)})
        report = doctor(site)
        assert report.of("tls") == ("ok", "connected, the certificate is good")


class OldClock(BaseHTTPRequestHandler):
    """Answers as the portal does, and says any time it is told to."""

    date = None

    def do_GET(self):
        body = b'{"status":"ok","total":1,"count":1,"limit":"11","offset":"0","records":[{"state":"x"}]}'
        self.send_response_only(200)
        if self.date:
            self.send_header("Date", self.date)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        pass


@pytest.mark.parametrize("date, level", [("Sat, 01 Aug 2026 00:00:00 GMT", "critical"), (None, "unknown"),
                                         ("yesterday", "unknown")])
def test_a_clock_that_differs(site, date, level):
    handler = type("Handler", (OldClock,), {"date": date})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.configure(portal={"base_url": f"http://127.0.0.1:{server.server_address[1]}"})
        report = doctor(site)
        server.shutdown()
    assert report.of("clock")[0] == level, report.done
    if level == "critical":
        assert " s ahead of that of the portal" in report.of("clock")[1]


def test_a_key_that_is_refused(site, portal):
    site.variables["DATA_GOV_API_KEY"] = "a-key-that-nobody-knows"
    report = doctor(site)
    assert report.of("key")[0] == "critical" and "refused the API key (403" in report.of("key")[1]
    assert "page" in report.skipped()


def test_one_key_of_two_is_refused(site, portal):
    site.configure(portal={"api_key": ["${DATA_GOV_API_KEY}", "a-key-that-nobody-knows"]})
    report = doctor(site)
    assert report.of("key")[0] == "warning" and report.of("key")[1].startswith("key 2 of 2")


def test_no_key(site, portal):
    del site.variables["DATA_GOV_API_KEY"]
    site.configure(portal={"base_url": f"http://127.0.0.1:{free_port()}"})  # nobody needs to answer
    report = doctor(site)
    assert report.of("key")[0] == "critical" and "DATA_GOV_API_KEY" in report.of("key")[1]


def test_a_sample_key(site, portal):
    site.variables["DATA_GOV_API_KEY"] = "sample-key-of-everybody"
    report = doctor(site)
    assert report.of("key")[0] == "ok"
    assert report.of("page")[0] == "warning" and "sample key: 10 rows" in report.of("page")[1]


def test_a_portal_in_trouble(site, portal):
    portal.control(faults=[{"kind": "502"}])
    report = doctor(site)
    assert report.of("tls")[0] == "ok"
    assert report.of("key")[0] == "critical" and "502" in report.of("key")[1]


def test_a_database_that_is_down(site, cluster):
    cluster.stop()
    report = doctor(site)
    assert report.of("database")[0] == "critical" and {"schema", "rights"} <= report.skipped()
    cluster.start()


def test_a_database_that_is_not_there(site):
    site.configure(database={"dsn": site.cluster.dsn("no_such_database")})
    report = doctor(site)
    assert report.of("database")[0] == "critical" and "createdb" in report.findings["database"]["remedy"]


def test_a_role_that_may_not_log_in(site):
    site.configure(database={"dsn": site.cluster.dsn(site.database, "nobody_at_all")})
    report = doctor(site)
    assert report.of("database")[0] == "critical" and "pg_hba.conf" in report.findings["database"]["remedy"]


def test_a_database_without_the_tables(bare):
    report = doctor(bare)
    assert report.of("schema")[0] == "critical" and "schema apply" in report.of("schema")[1]
    assert "rights" in report.skipped()


def test_a_table_that_differs(site):
    with site.connect() as db:
        db.execute("DROP VIEW mandi.price_named; ALTER TABLE mandi.price ALTER min_price TYPE text")
    report = doctor(site)
    assert report.of("schema")[0] == "critical" and "min_price" in report.of("schema")[1]


@pytest.mark.parametrize("sql, lacking", [
    ("REVOKE INSERT ON mandi.price FROM loader", "mandi.price: INSERT"),
    ("REVOKE UPDATE ON mandi.market FROM loader", "mandi.market: UPDATE"),
    ("REVOKE ALL ON ogdsync.lease FROM loader", "ogdsync.lease: INSERT, SELECT, UPDATE"),
    ("REVOKE USAGE ON SCHEMA mandi FROM loader", "schema mandi: USAGE"),
    ("REVOKE INSERT ON mandi.price_revision FROM loader", "mandi.price_revision: INSERT"),
])
def test_a_right_that_is_lacking(site, sql, lacking):
    with site.connect() as db:
        db.execute(sql)
    report = doctor(site)
    assert report.of("rights") == ("critical", f"1 objects lack rights: {lacking}"), report.done
    assert "schema apply --writer" in report.findings["rights"]["remedy"]


def test_a_spool_that_is_not_there(site):
    site.configure(spool={"directory": str(site.folder / "none")})
    report = doctor(site)
    assert report.of("spool") == ("warning", f"{site.folder / 'none'} is not there")
    (site.folder / "none").touch()
    assert doctor(site).of("spool")[0] == "critical"


def test_a_spool_without_room(site):
    site.spool.mkdir()
    site.configure(spool={"max_bytes": "1000000GiB"})
    report = doctor(site)
    assert report.of("spool")[0] == "warning" and "may grow to" in report.of("spool")[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_spool_where_not_even_a_page_fits(site):
    site.spool.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", site.spool], check=True)
    try:
        report = doctor(site)
    finally:
        subprocess.run(["umount", site.spool], check=True)
    assert report.of("spool")[0] == "critical" and "1 MiB left" in report.of("spool")[1]


def test_no_daemon(site, portal):
    report = doctor(site)
    assert report.of("daemon")[0] == "warning" and str(site.socket) in report.of("daemon")[1]


def test_a_daemon_that_is_not_ready(running, cluster):
    cluster.stop()
    report = doctor(running)
    assert report.of("daemon")[0] == "warning" and "not ready: database" in report.of("daemon")[1], report.done
    cluster.start()


def test_a_daemon_that_hangs(site, portal):
    site.live(on_start=False)
    site.configure(server={"listen": []})
    with site.start():
        site.configure(server={"listen": [f"unix:{site.socket}"]})
        report = doctor(site)
    assert report.of("daemon")[0] == "critical" and "holds the spool" in report.of("daemon")[1]
