"""Sockets: accept, serve, break, stop.

The listener is accepted from by hand, because a test may want a connection
dropped before TLS begins or the port closed for some seconds.
"""

import asyncio
import socket
import ssl
import struct
import sys
import time
import traceback

from . import errors, wire as http
from .deliver import deliver
from .journal import without_key

PORTAL_PATHS = ("/resource/", "/lists", "/catalog/", "/v1/")
BACKLOG = 256
SEND_BUFFER = 4 * 1024 * 1024
STEP = 0.05  # how often a waiting fault looks whether the client left


class ClientGone(Exception):
    """The client closed while we were writing or waiting."""


class Wire:
    """One connection as the faults see it."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.keep_alive = True
        self.client_left = False

    async def send(self, data):
        """All of data, or ClientGone."""
        if self._writer.transport.is_closing():
            self.client_left = True
            raise ClientGone
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (ConnectionError, ssl.SSLError):
            self.client_left = True
            raise ClientGone from None

    async def wait(self, seconds):
        """Sleep; False as soon as the client has gone."""
        end = time.monotonic() + seconds
        while not (self._reader.at_eof() or self._writer.transport.is_closing()):
            left = end - time.monotonic()
            if left <= 0:
                return True
            await asyncio.sleep(min(STEP, left))
        self.client_left = True
        return False

    def reset(self):
        """RST instead of FIN."""
        _linger_off(self._writer.get_extra_info("socket"))
        self._writer.transport.abort()

    def abort(self):
        """Drop what is unsent and close."""
        self._writer.transport.abort()

    def close(self):
        """Send what is buffered, then close."""
        self._writer.close()


def _linger_off(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """The portal's listener and the connections behind it."""

    def __init__(self, portal, address, tls=None, verbose=False, control_only=False):
        self.portal, self.tls, self.verbose = portal, tls, verbose
        self.control_only = control_only
        self.address = address
        self._listener = None
        self._accepting = None
        self._tasks = set()
        self._wires = set()
        self._opened = 0
        self._closed_until = None

    # the listener

    def open(self):
        """Listen; the port stays the same when opened again."""
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self.address)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        self.address = listener.getsockname()[:2]
        self._listener = listener
        self._accepting = asyncio.get_running_loop().create_task(self._accept(listener))

    def close(self):
        """Stop listening; connections live on."""
        if self._listener is not None:
            self._accepting.cancel()
            self._listener.close()
            self._listener = None

    def disconnect(self):
        """Abort every connection."""
        for wire in list(self._wires):
            wire.abort()

    def refuse(self, seconds):
        """Close the port for so long: connections are refused."""
        self.close()
        loop = asyncio.get_running_loop()
        if self._closed_until is not None:
            self._closed_until.cancel()
        self._closed_until = loop.call_later(seconds, self._reopen)

    def _reopen(self):
        self._closed_until = None
        if self._listener is None:
            self.open()

    async def _accept(self, listener):
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:
                await asyncio.sleep(STEP)
                continue
            task = loop.create_task(self._welcome(sock))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    # one connection

    async def _welcome(self, sock):
        """From accept to close, including faults before the first byte."""
        self._opened += 1
        number = self._opened
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if not await self._survives(sock):
            sock.close()
            return
        try:
            await self._converse(sock, number)
        except (ClientGone, ConnectionError, ssl.SSLError, asyncio.TimeoutError):
            pass

    async def _survives(self, sock):
        """Apply a fault rule for connections; False: it is over already."""
        if self.control_only:
            return True
        self.portal.journal.totals["connections"] += 1
        rule = self.portal.faults.pick(None, time.monotonic())
        if rule is None:
            return True
        if rule.kind == "tls_hang":
            await asyncio.sleep(rule.get("seconds", 20))
            return True
        if rule.kind == "tls_drop":
            await self._read_hello(sock)
        if rule.kind == "accept_reset":
            _linger_off(sock)
        return False

    async def _read_hello(self, sock):
        """Let the client begin its handshake, then say nothing to it."""
        try:
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 4096), 5)
        except (OSError, asyncio.TimeoutError):
            pass

    async def _converse(self, sock, number):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=http.MOST_HEADER_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=self.tls)
        wire = Wire(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
        self._wires.add(wire)
        try:
            while await self._exchange(reader, wire, number):
                pass
        finally:
            self._wires.discard(wire)
            wire.close()

    async def _exchange(self, reader, wire, number):
        """One request and its answer; False: no more on this connection."""
        try:
            request = await http.read_request(reader)
        except http.BadRequest as error:
            await wire.send(http.head(errors.gateway(400, str(error)), time.time(), False, 0))
            return False
        if request is None:
            return False
        wire.keep_alive = request.keep_alive
        is_portal = request.path.startswith(PORTAL_PATHS)
        if is_portal and not self.control_only:
            return await self._serve(request, wire, number)
        answer = self._guarded(self.portal.control, request)
        self._say(request, answer, None)
        return await deliver(wire, answer, None, request.method == "HEAD")

    async def _serve(self, request, wire, number):
        """A call to the portal, noted in its journal."""
        portal, journal = self.portal, self.portal.journal
        entry = journal.begin(request, portal.calls + 1, number, time.monotonic() - portal.began)
        try:
            if request.method not in ("GET", "HEAD"):
                answer, rule = errors.gateway(405), None
                journal.answered(entry, answer, rule)
            else:
                answer, rule = self._guarded_portal(request, entry)
            self._say(request, answer, rule)
            seconds = portal.latency(answer)
            if seconds and not await wire.wait(seconds):
                return False
            return await deliver(wire, answer, rule, request.method == "HEAD")
        finally:
            journal.end(entry, not wire.client_left)

    def _guarded_portal(self, request, entry):
        """A mistake of the simulator must not look like one of the portal."""
        try:
            return self.portal.portal(request, entry, time.monotonic())
        except Exception as error:  # shown to whoever wrote the test
            answer = self._broken(error)
            self.portal.journal.answered(entry, answer, None)
            return answer, None

    def _guarded(self, handler, request):
        try:
            return handler(request)
        except Exception as error:
            return self._broken(error)

    def _broken(self, error):
        traceback.print_exc(file=sys.stderr)
        answer = errors.gateway(500, f"ogdsync-portal: {error!r}")
        answer.headers.append(("X-Simulator-Error", "yes"))
        return answer

    def _say(self, request, answer, rule):
        if self.verbose:
            fault = f" fault={rule.kind}" if rule is not None else ""
            print(
                f"{request.method} {request.path}?{without_key(request.query)} {answer.status} rows={answer.rows} "
                f"bytes={len(answer.body)}{fault} ua={request.headers.get('user-agent')!r}",
                file=sys.stderr,
                flush=True,
            )


def act(server, action, value):
    """The actions of a control document; connections are dropped a moment
    later, so that the answer to the document still gets out."""
    if action == "refuse":
        server.refuse(float(value))
    if value:
        asyncio.get_running_loop().call_later(STEP, server.disconnect)
