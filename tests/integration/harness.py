"""What the integration tests start: a PostgreSQL, ogdsyncd, ogdsync; and how they look at them.

Nothing here shares code with the daemon: rows are compared with what the simulator says the truth
is, or with what these tests read from the recorded files themselves.
"""

import contextlib
import glob
import http.client
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import psycopg
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "portal"))

KEY = "s3cret+Key/with=odd&bytes-579b464db66ec23bdd000001"
PASSWORD = "hunter2-and-more"
SAMPLES = Path(os.environ.get("OGDSYNC_SAMPLES") or ROOT.parent / "shared" / "samples")
COLUMNS = [
    *("state", "district", "market", "commodity", "variety", "grade", "arrival_date"),
    *("min_price", "max_price", "modal_price"),
]
INDIA = timezone(timedelta(hours=5, minutes=30))
# How the daemon calls what the simulator's truth calls so.
REASONS = {"null": "missing", "number": "bad_number", "range": "out_of_range", "date": "bad_date",
           "text": "bad_text", "conflict": "conflict"}
LIMIT_KB = 32 * 1024  # of memory
USAGE, NO_PERMISSION, TRY_AGAIN, CONFIG, UNAVAILABLE = 64, 77, 75, 78, 69
SQL_ROWS = """
    SELECT state, district, market, commodity, variety, grade, arrival_date::text,
           trim_scale(min_price)::text, trim_scale(max_price)::text, trim_scale(modal_price)::text
      FROM mandi.price_named"""


def today():
    """The portal's day."""
    return datetime.now(INDIA).date()


def days_back(*back):
    return [today() - timedelta(days=n) for n in back]


def is_over(day):
    """Whether `day_ends` of a data date has passed."""
    return datetime.now(INDIA) >= datetime(day.year, day.month, day.day, 9, tzinfo=INDIA) + timedelta(days=1)


def wait_until(condition, seconds=15, what="that"):
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def program(name):
    """The binary of a build tree or of an installed tree."""
    folder = os.environ.get("OGDSYNC_BIN_DIR")
    if not folder:
        raise RuntimeError("OGDSYNC_BIN_DIR is not set: run these tests by `meson test`")
    for place in ("", "daemon", "cli", "bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "usr/local/sbin"):
        path = os.path.join(folder, place, name)
        if os.path.isfile(path):
            return path
    raise RuntimeError(f"{folder} has no {name}")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def postgres_binaries():
    """The directory of initdb, or None."""
    given = os.environ.get("OGDSYNC_PG_BINDIR")
    found = [given] if given else sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    found = [folder for folder in found if os.path.exists(os.path.join(folder, "initdb"))]
    return found[-1] if found else None


def can_be_unprivileged():
    """PostgreSQL refuses root; as root there must be somebody else to be."""
    if os.geteuid() != 0:
        return True
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return False
    return True


class Cluster:
    """A PostgreSQL server on a unix socket, thrown away at the end.

    `owner` owns the databases, `loader` is what the daemon is: neither is a superuser.
    """

    def __init__(self, initdb=(), **settings):
        self.prepare(settings)
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-instructions", *initdb)
        self.start()
        with self.connect("postgres") as db:
            db.execute("CREATE ROLE owner LOGIN")
            db.execute("CREATE ROLE loader LOGIN")

    def prepare(self, settings):
        """A folder for a server with these settings."""
        self.settings = settings
        self._bin = postgres_binaries()
        self.folder = tempfile.mkdtemp(prefix="ogdsync-pg-")
        self.data = os.path.join(self.folder, "data")
        self.port = 54321  # in the name of the socket only
        self._process = None
        self._n_databases = 0
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)

    def prefix(self):
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]

    def _command(self, name, *args):
        return [*self.prefix(), os.path.join(self._bin, name), *args]

    def run(self, name, *args):
        subprocess.run(self._command(name, *args), check=True, capture_output=True, timeout=60,
                       cwd=self.folder, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})

    def start(self):
        settings = {
            "port": self.port, "listen_addresses": "", "unix_socket_directories": self.folder,
            "fsync": "off", "full_page_writes": "off", "wal_level": "minimal", "max_wal_senders": 0,
            "autovacuum": "off", "shared_buffers": "32MB", "checkpoint_timeout": "1h", "timezone": "UTC",
            **self.settings,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", self.data, *options), stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, cwd=self.folder, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
        wait_until(self.is_up, 30, "PostgreSQL")

    def is_up(self):
        assert self._process.poll() is None, Path(self.folder, "log").read_text()
        try:
            self.connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def stop(self, how=signal.SIGINT):
        """SIGINT is a fast stop, SIGQUIT an immediate one."""
        if self.is_running():
            self._process.send_signal(how)
            self._process.wait(30)

    def crash(self):
        """kill -9 of the server; its backends find out by themselves."""
        self._process.kill()
        self._process.wait(30)

    def restart(self):
        """Start it after a crash: that is refused as long as a backend of before lives."""
        end = time.monotonic() + 20
        while True:
            try:
                return self.start()
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def reload(self):
        """Read its configuration again."""
        self._process.send_signal(signal.SIGHUP)

    def freeze(self):
        """Nothing answers and nothing is closed, as with a machine that hangs."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self):
        for pid in self._pids():
            os.kill(pid, signal.SIGCONT)

    def _pids(self):
        """The server and its backends."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return [self._process.pid, *map(int, children.split())]

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def dsn(self, database, user="loader"):
        return f"host={self.folder} port={self.port} dbname={database} user={user} password={PASSWORD}"

    def connect(self, database, user="postgres"):
        return psycopg.connect(self.dsn(database, user), autocommit=True, connect_timeout=5)

    def create(self):
        """The name of a new, empty database."""
        self._n_databases += 1
        name = f"test_{self._n_databases}"
        with self.connect("postgres") as db:
            db.execute(f"CREATE DATABASE {name} OWNER owner")
        return name

    def drop(self, name):
        with self.connect("postgres") as db:
            db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def dump(self, name):
        done = subprocess.run(self._command("pg_dump", "-h", self.folder, "-p", str(self.port), "-U", "postgres",
                                            name), check=True, capture_output=True, timeout=60, cwd=self.folder)
        return done.stdout


class Done:
    """How a program ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def __repr__(self):
        return f"exit {self.code} after {self.seconds:.2f} s\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout=10):
        super().__init__("localhost", timeout=timeout)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Reply:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()


class Daemon:
    """A running ogdsyncd. Use it in a with statement: that stops it and looks at how it went."""

    def __init__(self, site, *args, ready=True):
        self.site = site
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.folder = tempfile.TemporaryDirectory(prefix="ogdsync-run-")
        path = os.path.join(self.folder.name, "notify")
        self._notify.bind(path)
        os.chmod(path, 0o666)
        self.notified = []  # NAME=VALUE lines
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()  # the sender waits while nobody reads
        self._log = os.path.join(self.folder.name, "stderr")
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(
                [program("ogdsyncd"), "--config", str(site.config_file), *args], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env=site.environment(NOTIFY_SOCKET=path))
        self.pid = self.process.pid
        if ready:
            try:
                self.wait_ready()
            except BaseException:
                self.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, _error, _trace):
        try:
            if kind is None and self.process.poll() is None:
                self.stop()
        finally:
            self.kill()
            self._end_listening()
            self._notify.close()
            if kind is not None:
                print(self.log())
            self.folder.cleanup()

    def _listen(self):
        while True:
            told = self._notify.recv(65536).decode()
            if told == "":
                return
            self.notified += told.splitlines()

    def notifications(self):
        """All that was told to the service manager so far, as NAME=VALUE lines."""
        return list(self.notified)

    def _end_listening(self):
        """What the daemon sent before its end is read by then."""
        if self._listener.is_alive():
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                last.sendto(b"", self._notify.getsockname())
            self._listener.join(5)

    def wait_ready(self):
        def is_ready():
            assert self.process.poll() is None, f"ogdsyncd ended: {self.process.returncode}\n{self.log()}"
            return "READY=1" in self.notifications()

        wait_until(is_ready, 20, "READY=1")

    def log(self):
        return Path(self._log).read_text(encoding="utf-8", errors="replace")

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def end(self, seconds=10):
        """Wait for the end; the exit code."""
        return self.process.wait(seconds)

    def stop(self, how=signal.SIGTERM, seconds=10.5):
        """SIGTERM, and how long the end took. Promise 8 holds in every test."""
        begin = time.monotonic()
        assert self.memory() < LIMIT_KB or "ASAN_OPTIONS" in os.environ, f"peak {self.memory()} kB"
        self.process.send_signal(how)
        code = self.end(seconds)
        self._end_listening()
        assert code == 0, f"exit {code}\n{self.log()}"
        return time.monotonic() - begin

    def get(self, path, tcp=False, method="GET", headers=None, body=None):
        if tcp:
            connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=10)
        else:
            connection = UnixConnection(self.site.socket)
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            return Reply(connection.getresponse())

    def status(self, tcp=False):
        reply = self.get("/sync/status", tcp)
        assert reply.status == 200, reply.body
        return reply.json

    def wait_status(self, condition, seconds=20, what="status"):
        """The first status document that the condition likes."""

        def look():
            assert self.process.poll() is None, f"ogdsyncd ended: {self.process.returncode}\n{self.log()}"
            status = self.status()
            return status if condition(status) else None

        return wait_until(look, seconds, what)

    def wait_syncs(self, n, seconds=30):
        """Until so many runs have ended, and nothing runs or waits."""
        return self.wait_status(
            lambda status: status["total_syncs"] >= n and status["status"] == "idle" and not status["queue"],
            seconds, f"{n} runs to end")

    def _proc(self, name):
        """A value of /proc/PID/status."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return line.split()[1]
        return "0"

    def memory(self, name="VmHWM"):
        """kB."""
        return int(self._proc(name))

    def handles(self, number):
        """Whether a signal is blocked, ignored or caught by now."""
        mask = 1 << (number - 1)
        return any(int(self._proc(name), 16) & mask for name in ("SigBlk", "SigIgn", "SigCgt"))


def merge(into, changes):
    """Deep; None takes a key away."""
    for name, value in changes.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = value


class Site:
    """One installation: configuration, spool, database. Without the history unless asked for."""

    def __init__(self, cluster, portal, folder):
        self.cluster, self.portal, self.folder = cluster, portal, Path(folder)
        self.database = cluster.create()
        self.config_file = self.folder / "etc" / "ogdsync.yaml"
        self.spool = self.folder / "spool"
        self.socket = self.folder / "run.sock"
        self.port = free_port()
        self.variables = {"DATA_GOV_API_KEY": KEY}
        self.config = {
            "portal": {
                "base_url": portal.url, "api_key": "${DATA_GOV_API_KEY}", "requests_per_minute": 60000,
                "attempts": 5, "backoff": "5ms..40ms", "connect_timeout": "2s", "request_timeout": "3s",
                "low_speed": "1KiB/2s", "breaker": {"after": 1000, "probe": "1s"},
            },
            "database": {
                "dsn": cluster.dsn(self.database), "owner_dsn": cluster.dsn(self.database, "owner"),
                "reconnect": "50ms..200ms",
            },
            "server": {"listen": [f"unix:{self.socket}", f"127.0.0.1:{self.port}"]},
            "spool": {"directory": str(self.spool)},
            "log": {"format": "logfmt", "level": "debug"},
        }
        shipped = ROOT / "conf" / "datasets.d" / "mandi_prices.yaml"
        self.dataset = yaml.safe_load(shipped.read_text(encoding="utf-8"))
        merge(self.dataset, {
            "sources": {"live": {"jitter": None}, "history": {"jitter": None, "heal": None, "schedule": None}}})
        self.configure()

    @property
    def dataset_file(self):
        return self.config_file.parent / "datasets.d" / "mandi_prices.yaml"

    def configure(self, dataset=None, **changes):
        """Change the configuration and write it."""
        merge(self.config, changes)
        merge(self.dataset, dataset or {})
        self.dataset_file.parent.mkdir(parents=True, exist_ok=True)
        for file, content in ((self.config_file, self.config), (self.dataset_file, self.dataset)):
            file.write_text(yaml.safe_dump(content, sort_keys=False, width=1000, allow_unicode=True))

    def live(self, **changes):
        self.configure(dataset={"sources": {"live": changes}})

    def history(self, **changes):
        """The history too, each time it is due."""
        self.configure(dataset={"sources": {"history": {"schedule": ["30 3 * * *"], **changes}}})

    def only_history(self, **changes):
        self.live(schedule=None, on_start=False)
        self.history(**changes)

    def environment(self, **more):
        base = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}
        for name, value in os.environ.items():
            if name.endswith("SAN_OPTIONS"):
                base[name] = value
        if "ASAN_OPTIONS" in base:  # a library that is preloaded comes before the sanitizer's
            base["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        return {**base, **self.variables, **more}

    def run(self, name, *args, seconds=20, **more):
        begin = time.monotonic()
        process = subprocess.Popen([program(name), *map(str, args)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environment(**more))
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            err = process.communicate()[1].decode(errors="replace")
            raise AssertionError(f"{name} did not end within {seconds} s\n{err}") from None
        return Done(process.returncode, out.decode(errors="replace"), err.decode(errors="replace"),
                    time.monotonic() - begin)

    def once(self, *args, seconds=20):
        """ogdsyncd --once."""
        return self.run("ogdsyncd", "--config", self.config_file, "--once", *args, seconds=seconds)

    def sync(self, expected=0):
        """--once that must end so."""
        done = self.once()
        assert done.code == expected, done
        return done

    def start(self, *args, ready=True):
        return Daemon(self, *args, ready=ready)

    def cli(self, *args, **more):
        return self.run("ogdsync", "--config", self.config_file, *args, **more)

    def apply(self):
        done = self.cli("schema", "apply", "--writer", "loader")
        assert done.code == 0, done
        return done

    # what the database holds

    def connect(self, user="postgres"):
        return self.cluster.connect(self.database, user)

    def query(self, sql, *params):
        with self.connect() as db:
            return db.execute(sql, params).fetchall()

    def value(self, sql, *params):
        return self.query(sql, *params)[0][0]

    def rows(self):
        """The whole table by its names, as the simulator's truth writes rows; sorted."""
        return sorted(self.query(SQL_ROWS), key=repr)

    def versions(self):
        """Row versions: they change with every write."""
        return sorted(self.query("SELECT tableoid::int, ctid::text, xmin::text FROM mandi.price"))

    def coverage(self, source="live", slice="all"):
        """(state, code) of a slice in the ledger, or None."""
        found = self.query("SELECT state, code FROM ogdsync.coverage WHERE source = %s AND slice = %s",
                           source, slice)
        return found[0] if found else None

    def runs(self):
        """(source, state, code), oldest first."""
        return self.query("SELECT source, state, code FROM ogdsync.run ORDER BY id")

    def quarantine(self):
        """(reason, column, raw) of all."""
        return self.query('SELECT reason, "column", raw FROM ogdsync.quarantine ORDER BY id')

    def check_books(self):
        """Promise 1: what was received is accounted for, in the runs, the slices and the table."""
        assert self.query("SELECT id FROM ogdsync.run WHERE received <> "
                          "inserted + updated + unchanged + duplicate + quarantined") == []
        assert self.query(
            "SELECT r.id FROM ogdsync.run r LEFT JOIN ogdsync.run_slice s ON s.run = r.id AND s.state <> 'failed'"
            " GROUP BY r.id HAVING (r.received, r.inserted, r.updated, r.unchanged, r.duplicate, r.quarantined)"
            " IS DISTINCT FROM (coalesce(sum(s.received), 0), coalesce(sum(s.inserted), 0),"
            " coalesce(sum(s.updated), 0), coalesce(sum(s.unchanged), 0), coalesce(sum(s.duplicate), 0),"
            " coalesce(sum(s.quarantined), 0))") == []
        assert self.value("SELECT coalesce(sum(inserted), 0) FROM ogdsync.run_slice") == self.value(
            "SELECT count(*) FROM mandi.price")

    # what it should hold

    def truth(self, live=True, days=()):
        """The rows that a perfect client holds after the live day and these days of the history; sorted."""
        documents = [self.portal.truth("daily", rows=True, columns=COLUMNS)] if live else []
        documents += [self.portal.truth("history", date=day, rows=True, columns=COLUMNS) for day in days]
        rows = {tuple(row) for document in documents for day in document["dates"].values() for row in day["data"]}
        return sorted(rows, key=repr)


def ready_files(site):
    """(files that wait for the database, files that are loaded)."""
    names = os.listdir(site.spool)
    return ([name for name in names if name.endswith(".ready")],
            [name for name in names if name.endswith(".loaded")])


