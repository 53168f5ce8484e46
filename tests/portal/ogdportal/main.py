"""The command line of ogdsync-portal."""

import argparse
import asyncio
import functools
import ipaddress
import os
import signal
import ssl
import sys

from . import replay, resources, settings
from .app import Portal, today_in_india
from .server import Server, act

MIB = 1024 * 1024


def main(arguments):
    """Run until SIGTERM; the exit status."""
    options = _parser().parse_args(arguments)
    try:
        portal = _portal(options)
        address = _address(options.listen)
        tls = _tls(options.tls)
    except (settings.SettingsError, replay.ReplayError, ValueError, OSError) as error:
        print(f"ogdsync-portal: {error}", file=sys.stderr)
        return 64
    try:
        asyncio.run(_run(portal, address, tls, options))
    except OSError as error:
        print(f"ogdsync-portal: {error}", file=sys.stderr)
        return 69
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="ogdsync-portal",
        description="A simulator of api.data.gov.in for tests. See README.md beside it.",
    )
    add = parser.add_argument
    add(
        "--listen",
        default="127.0.0.1:0",
        metavar="HOST:PORT",
        help="loopback address; port 0: the system chooses (default)",
    )
    add("--port-file", metavar="FILE", help="write the port here, in one step")
    add(
        "--control-port-file",
        metavar="FILE",
        help="open a second, plain listener for /control, /reset and /truth; its port goes here",
    )
    add("--tls", nargs=2, metavar=("CERT", "KEY"), help="speak TLS")
    add(
        "--key", action="append", default=[], help="a valid key (repeatable); without any, every key is valid"
    )
    add(
        "--sample-key",
        action="append",
        default=[],
        metavar="KEY",
        help="a key that gets 10 rows a page (repeatable)",
    )
    add("--rate", metavar="CALLS/SECONDS", help="429 beyond that many calls of a key in a window")
    add("--seed", default="1", help="all made-up data follow from it (default 1)")
    add("--rows-per-day", type=int, metavar="N", help="exactly N rows on every day")
    add(
        "--days",
        metavar="FROM..TO",
        help="dates of the historical resource (default: the 30 days up to today)",
    )
    add(
        "--today",
        metavar="YYYY-MM-DD",
        help="the day the daily resource holds (default: the real one in India)",
    )
    add(
        "--replay",
        action="append",
        default=[],
        metavar="[ALIAS=]PATH",
        help="serve saved JSON answers or CSV files (repeatable)",
    )
    add(
        "--fault",
        action="append",
        default=[],
        metavar="JSON",
        help="a fault rule, a list of them, or a control document (repeatable)",
    )
    add("--requests", type=int, default=1000, metavar="N", help="calls kept for GET /control (default 1000)")
    add("--cache-mib", type=int, default=512, metavar="N", help="rendered pages kept (default 512 MiB)")
    add("--cache-rows", type=int, default=1_500_000, metavar="N", help="made rows kept (default 1.5 million)")
    add(
        "--until-stdin-closes",
        action="store_true",
        help="end with the process that holds the other end of stdin",
    )
    add("--verbose", action="store_true", help="log each call to stderr")
    return parser


def _portal(options):
    served = resources.synthetic(options.seed, options.rows_per_day)
    served.update(replay.load(options.replay))
    return Portal(
        served, _start(options), options.seed, options.cache_rows, options.cache_mib * MIB, options.requests
    )


def _start(options):
    """The settings document the options amount to."""
    start = {
        "today": options.today or today_in_india().isoformat(),
        "keys": options.key,
        "sample_keys": options.sample_key,
    }
    if options.days:
        start["days"] = options.days
    if options.rate:
        calls, _, seconds = options.rate.partition("/")
        start["rate"] = {"calls": int(calls), "window": float(seconds or 60)}
    for text in options.fault:
        document = settings.parse(text)
        document["faults"] = start.get("faults", []) + document.get("faults", [])
        own = {**start.get("resources", {}), **document.get("resources", {})}
        start.update(document)
        start["resources"] = own
    settings.check_document(start)
    return start


def _address(text):
    """(host, port) of --listen, which must be a loopback address."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not port.isdigit() or not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"--listen {text}: a loopback address and a port, such as 127.0.0.1:0")
    return host, int(port)


def _tls(files):
    if files is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return context


async def _run(portal, address, tls, options):
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if options.until_stdin_closes:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_end, stop)
    server = Server(portal, address, tls, options.verbose)
    server.open()
    portal.act = functools.partial(act, server)
    if options.control_port_file:
        control = Server(portal, (address[0], 0), None, options.verbose, control_only=True)
        control.open()
        _write_port(options.control_port_file, control.address[1])
    if options.port_file:
        _write_port(options.port_file, server.address[1])
    host = f"[{server.address[0]}]" if ":" in server.address[0] else server.address[0]
    print(f"listening on {'https' if tls else 'http'}://{host}:{server.address[1]}", flush=True)
    await stop.wait()


def _stop_at_end(stop):
    """Whoever started us is gone, also if it was killed."""
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        stop.set()


def _write_port(path, port):
    """The whole number or no file: readers poll for it."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(f"{port}\n")
    os.replace(temporary, path)
