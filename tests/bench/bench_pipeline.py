"""Pages on local HTTP to rows in PostgreSQL, against what libpq and the server can do at most.

It prints figures and ratios beside the bars of the design; no figure makes it fail. Everything is
measured within one run, on the same machine, and compared within it. A throw-away PostgreSQL
(no fsync, no checksums), the simulator with all pages rendered beforehand.

Sizes come from the environment: OGDSYNC_BENCH_DATES (50), OGDSYNC_BENCH_ROWS a date (20000),
OGDSYNC_BENCH_FEW dates for the cost per row (10), OGDSYNC_BENCH_MANY (100; 500 are 10 M rows),
OGDSYNC_BENCH_SLICE rows of the one large slice (1000000), OGDSYNC_BENCH_IDLE seconds (20),
OGDSYNC_BENCH_PARTS (pipeline,changed,growth,slice,idle). OGDSYNC_BENCH_KEEP=1 leaves the logs behind.
"""

import glob
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

try:
    import psycopg
    import yaml
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "portal"))
from portal_harness import Portal  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
RUN_SECONDS = 600
KEY = "commodity_id, arrival_date, market_id, variety_id, grade_id"


def number(name, default):
    return int(os.environ.get("OGDSYNC_BENCH_" + name, default))


DATES, ROWS = number("DATES", 50), number("ROWS", 20000)
FEW, MANY = number("FEW", 10), number("MANY", 100)
SLICE, IDLE = number("SLICE", 1000000), number("IDLE", 20)
PARTS = os.environ.get("OGDSYNC_BENCH_PARTS", "pipeline,changed,growth,slice,idle").split(",")


def today():
    """The portal's day."""
    return date.fromtimestamp(time.time() + 19800)


def cpu_of(pid, children=False):
    """Seconds of CPU of a process, with those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15 if children else 13])) / TICK


def memory_of(pid, name):
    """kB of /proc/PID/status, 0 when the process has gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)


class Cluster:
    """A PostgreSQL on a unix socket, as an unprivileged user."""

    def __init__(self, folder):
        found = sorted(glob.glob(os.environ.get("OGDSYNC_PG_BINDIR", "/usr/lib/postgresql/*/bin")))
        if not found or (os.geteuid() == 0 and "postgres" not in {user.pw_name for user in pwd.getpwall()}):
            print("skipped: no PostgreSQL here, or no user `postgres` to run it as")
            sys.exit(77)
        self._bin, self.folder = found[-1], folder
        self._prefix = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        data = os.path.join(folder, "data")
        self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-instructions")
        settings = {
            "listen_addresses": "", "unix_socket_directories": folder, "fsync": "off", "autovacuum": "off",
            "full_page_writes": "off", "shared_buffers": "128MB", "max_wal_size": "8GB",
            "checkpoint_timeout": "1h", "wal_level": "minimal", "max_wal_senders": 0,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with open(os.path.join(folder, "log"), "wb") as log:
            self._process = subprocess.Popen([*self._prefix, os.path.join(self._bin, "postgres"), "-D", data,
                                              *options], stdout=log, stderr=log, cwd=folder)
        end = time.monotonic() + 30
        while True:
            try:
                self.connect("postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _run(self, name, *args):
        subprocess.run([*self._prefix, os.path.join(self._bin, name), *args], check=True, cwd=self.folder,
                       capture_output=True)

    def dsn(self, database):
        return f"host={self.folder} user=postgres dbname={database}"

    def connect(self, database):
        return psycopg.connect(self.dsn(database), autocommit=True)

    def settle(self, database):
        """Nothing of the step before is left to do in the one that is timed."""
        with self.connect(database) as db:
            db.execute("VACUUM ANALYZE")
            db.execute("CHECKPOINT")
        time.sleep(0.2)

    def cpu(self):
        """Of the server and all its processes, the ended ones included."""
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return cpu_of(pid, True) + sum(cpu_of(child) for child in children)

    def stop(self):
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)


class Step:
    """How one run of a program went."""

    def __init__(self, cluster, command, environment, log):
        postgres, begin = cluster.cpu(), time.monotonic()
        with open(log, "ab") as file:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment)
        self.peak = 0
        while True:
            self.peak = max(self.peak, memory_of(process.pid, "VmHWM"))
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.01)
            if time.monotonic() - begin > RUN_SECONDS:
                process.kill()
        self.seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        self.code = process.returncode
        self.cpu = usage.ru_utime + usage.ru_stime
        time.sleep(0.1)  # the server waits for its backend
        self.postgres = cluster.cpu() - postgres
        if self.code != 0:
            print(Path(log).read_text(errors="replace")[-4000:])
            raise SystemExit(f"{command[0]} ended with {self.code}")


class Site:
    """A database with the schema, and a configuration for it."""

    def __init__(self, cluster, portal, folder, name):
        self.cluster, self.name, self.folder = cluster, name, Path(folder) / name
        self.config = self.folder / "ogdsync.yaml"
        (self.folder / "datasets.d").mkdir(parents=True)
        with cluster.connect("postgres") as db:
            db.execute(f"CREATE DATABASE {name}")
        self.socket = self.folder / "sock"
        self._write(self.config, {
            "portal": {"base_url": portal.url, "api_key": "benchmark-key", "requests_per_minute": 60000,
                       "request_timeout": "120s"},
            "database": {"dsn": cluster.dsn(name)},
            "server": {"listen": [f"unix:{self.socket}"]},
            "spool": {"directory": str(self.folder / "spool")},
            "log": {"format": "logfmt", "level": "info"},
        })
        self.dataset = self._shipped("mandi_prices")
        self.dataset["indexes"] = []  # the keyed table alone, as the bar has it
        for source in self.dataset["sources"].values():
            source.pop("jitter", None)
            source.pop("heal", None)
            source["page_size"] = 10000

    @staticmethod
    def _shipped(name):
        return yaml.safe_load((ROOT / "conf" / "datasets.d" / f"{name}.yaml").read_text(encoding="utf-8"))

    @staticmethod
    def _write(path, document):
        path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")

    def write(self, more=()):
        self._write(self.folder / "datasets.d" / "mandi_prices.yaml", self.dataset)
        for name in more:
            self._write(self.folder / "datasets.d" / f"{name}.yaml", self._shipped(name))

    def history(self, n_dates):
        """Only the history, so many dates of it."""
        self.dataset["sources"]["live"].pop("schedule", None)
        self.dataset["sources"]["live"]["on_start"] = False
        self.dataset["sources"]["history"]["slice"]["lookback"] = f"{n_dates}d"
        self.write()

    def live(self):
        self.dataset["sources"]["history"].pop("schedule", None)
        self.write()

    def environment(self):
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.folder)}

    def apply(self):
        done = subprocess.run([os.environ["OGDSYNC_CLI"], "--config", str(self.config), "schema", "apply"],
                              env=self.environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"schema apply: {done.returncode} {done.stdout}{done.stderr}")

    def once(self, settle=True):
        if settle:
            self.cluster.settle(self.name)
        return Step(self.cluster, [os.environ["OGDSYNCD"], "--config", str(self.config), "--once"],
                    self.environment(), self.folder / "log")

    def count(self):
        with self.cluster.connect(self.name) as db:
            return db.execute("SELECT count(*) FROM mandi.price").fetchone()[0]

    def drop(self):
        with self.cluster.connect("postgres") as db:
            db.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
        shutil.rmtree(self.folder / "spool", ignore_errors=True)


class Bench:
    def __init__(self, folder):
        self.folder = folder
        postgres = os.path.join(folder, "postgres")
        os.mkdir(postgres)
        self.cluster = Cluster(postgres)
        self._n_sites = 0

    def site(self, portal):
        self._n_sites += 1
        return Site(self.cluster, portal, self.folder, f"bench_{self._n_sites}")

    def portal(self, n_dates, *options):
        day = today()
        return Portal("--seed", 1, "--rows-per-day", ROWS, "--today", day, "--days",
                      f"{day - timedelta(days=n_dates)}..{day}", "--cache-rows", 12000000, "--cache-mib", 4096,
                      *options)

    def warm(self, portal, n_dates):
        """Have every page rendered, by loading them once."""
        site = self.site(portal)
        site.history(n_dates)
        site.apply()
        site.once()
        site.drop()

    def load(self, portal, n_dates):
        """A first load of so many dates into an empty database."""
        site = self.site(portal)
        site.history(n_dates)
        site.apply()
        return site, site.once()

    def baseline(self, site):
        """The rows of a site, sorted by key, by one COPY into the same table, emptied."""
        file = self.folder / "rows.copy"
        with site.cluster.connect(site.name) as db:
            columns = db.execute(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute"
                " WHERE attrelid = 'mandi.price'::regclass AND attnum > 0 AND NOT attisdropped").fetchone()[0]
            with open(file, "wb") as out, db.cursor().copy(
                    f"COPY (SELECT {columns} FROM mandi.price ORDER BY {KEY}) TO STDOUT (FORMAT binary)") as rows:
                for piece in rows:
                    out.write(piece)
            db.execute("TRUNCATE mandi.price")
        site.cluster.settle(site.name)
        step = Step(site.cluster, [os.environ["OGDSYNC_COPY_BASELINE"], site.cluster.dsn(site.name),
                                   f"COPY mandi.price ({columns}) FROM STDIN (FORMAT binary)", str(file)],
                    site.environment(), site.folder / "log")
        os.unlink(file)
        return step


def line(what, value, bar=""):
    print(f"  {what:<58} {value:>18}   {bar}", flush=True)


def rate(rows, step):
    return f"{rows / step.seconds / 1e6:.3f} M rows/s"


def describe(what, rows, step):
    line(what, rate(rows, step), f"{step.seconds:.2f} s, daemon {step.cpu:.2f} s, PostgreSQL {step.postgres:.2f} s of "
         f"CPU, peak {step.peak / 1024:.1f} MiB")


def pipeline(bench):
    """Bars a, b, d, and the memory in each step."""
    print(f"pipeline: {DATES} dates of {ROWS} rows, pages of 10000")
    with bench.portal(DATES) as portal:
        bench.warm(portal, DATES)
        site, first = bench.load(portal, DATES)
        rows = site.count()
        again = site.once()
        assert site.count() == rows == DATES * ROWS, (site.count(), rows)
        few_site, few = bench.load(portal, min(FEW, DATES))
        few_rows = few_site.count()
        few_site.drop()
        base = bench.baseline(site)
        assert site.count() == rows
        site.drop()
    describe("first load", rows, first)
    describe("the same pages again", rows, again)
    describe(f"first load of {few_rows} rows", few_rows, few)
    line("COPY BINARY of the same rows, sorted", rate(rows, base), f"{base.seconds:.2f} s")
    line("a. first load / COPY BINARY", f"{base.seconds / first.seconds:.2f}", "bar >= 0.5, aim 0.8")
    line("b. nothing changed, times faster than the first load", f"{first.seconds / again.seconds:.2f}", "bar >= 4")
    line("d. CPU of the daemon / PostgreSQL's", f"{first.cpu / first.postgres:.2f}", "bar <= 0.5")
    line("   peak memory", f"{max(first.peak, again.peak) / 1024:.1f} MiB", "bar < 32 MiB")


def changed(bench):
    """No bar: every row has another value, in a table that was never analyzed."""
    print(f"changed: {FEW} dates of {ROWS} rows")
    with bench.portal(FEW) as portal:
        bench.warm(portal, FEW)
        site, first = bench.load(portal, FEW)
        with site.cluster.connect(site.name) as db:
            db.execute("UPDATE mandi.price SET modal_price = modal_price + 1")
            assert db.execute("SELECT count(*) FROM pg_stats WHERE tablename ^@ 'price'").fetchone()[0] == 0
        again = site.once(settle=False)
        rows = site.count()
        with site.cluster.connect(site.name) as db:
            assert db.execute("SELECT count(*) FROM mandi.price_revision").fetchone()[0] == rows
        site.drop()
    describe("first load", rows, first)
    describe("all of them changed", rows, again)
    line("   changed, times slower than the first load", f"{again.seconds / first.seconds:.2f}")


def growth(bench):
    """Bar f."""
    print(f"growth: {FEW} against {MANY} dates of {ROWS} rows")
    with bench.portal(MANY) as portal:
        bench.warm(portal, MANY)
        costs = []
        for n_dates in (FEW, MANY):
            site, step = bench.load(portal, n_dates)
            rows = site.count()
            site.drop()
            describe(f"{rows} rows", rows, step)
            costs.append(step.seconds / rows)
    line("f. cost of a row, many against few", f"{costs[1] / costs[0]:.2f}", "bar <= 1.3")


def one_slice(bench):
    """Bar c."""
    print(f"slice: {SLICE} rows at once")
    with bench.portal(1, "--rows-per-day", SLICE) as portal:
        site = bench.site(portal)
        site.live()
        site.apply()
        step = site.once()
        rows = site.count()
        site.drop()
    describe("first load", rows, step)
    line("c. peak memory", f"{step.peak / 1024:.1f} MiB", "bar < 32 MiB")


def idle(bench):
    """Bar e, after a sync."""
    print(f"idle: three sources, {IDLE} s")
    with bench.portal(2) as portal:
        site = bench.site(portal)
        site.write(more=["air_quality"])
        site.apply()
        with open(site.folder / "log", "ab") as log:
            process = subprocess.Popen([os.environ["OGDSYNCD"], "--config", str(site.config)], stdout=log,
                                       stderr=log, stdin=subprocess.DEVNULL, env=site.environment())
        try:
            end = time.monotonic() + 60
            while site.count() < ROWS and process.poll() is None and time.monotonic() < end:
                time.sleep(0.2)
            time.sleep(5)
            begin = cpu_of(process.pid)
            time.sleep(IDLE)
            used = cpu_of(process.pid) - begin
            anonymous, resident = memory_of(process.pid, "RssAnon"), memory_of(process.pid, "VmRSS")
            peak = memory_of(process.pid, "VmHWM")
        finally:
            process.terminate()
            process.wait(15)
        site.drop()
    line("e. RssAnon", f"{anonymous / 1024:.1f} MiB", "bar < 4 MiB")
    line("   VmRSS", f"{resident / 1024:.1f} MiB", f"bar < 18 MiB (peak {peak / 1024:.1f} MiB)")
    line("   CPU", f"{100 * used / IDLE:.3f} %", "bar < 0.05 % of a core")


def main():
    parts = {"pipeline": pipeline, "changed": changed, "growth": growth, "slice": one_slice, "idle": idle}
    folder = Path(tempfile.mkdtemp(prefix="ogdsync-bench-"))
    folder.chmod(0o755)  # PostgreSQL runs as somebody else
    bench = Bench(folder)
    try:
        for name in PARTS:
            parts[name](bench)
    finally:
        bench.cluster.stop()
        if not os.environ.get("OGDSYNC_BENCH_KEEP"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
