"""A proxy between the daemon and PostgreSQL that knows the protocol: it acts at an exact message."""

import os
import re
import socket
import struct
import threading

SSL, GSS = 80877103, 80877104


class Rule:
    """At the n-th message that matches, act: `before` it is passed on, `after`, or when its `answer` came."""

    def __init__(self, pattern, when, action, nth=1):
        self.pattern, self.when, self.action, self.left = re.compile(pattern, re.S), when, action, nth
        self.fired = threading.Event()


class Proxy:
    """Listens on a unix socket in a folder of its own; use dsn() of it in place of the cluster's.

    A message is matched as its type byte and its content: b"P" begins a statement, b"Q" a simple one,
    b"d" is data of a COPY. An action that returns "drop" cuts the connection off there and then.
    """

    def __init__(self, cluster, folder):
        self.cluster, self.folder = cluster, str(folder)
        self._rules = []
        self._lock = threading.Lock()
        self._open = set()
        self.holds = threading.Event()  # clear: nothing is passed on, in either direction
        self.holds.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(os.path.join(self.folder, f".s.PGSQL.{cluster.port}"))
        self._listener.listen(32)
        threading.Thread(target=self._accept, daemon=True).start()

    def dsn(self, database, user="loader"):
        return self.cluster.dsn(database, user).replace(self.cluster.folder, self.folder)

    def at(self, pattern, when, action, nth=1):
        rule = Rule(pattern, when, action, nth)
        with self._lock:
            self._rules.append(rule)
        return rule

    def forget(self):
        """All rules."""
        with self._lock:
            self._rules.clear()

    def close(self):
        self.holds.set()
        self._listener.close()
        self.cut()

    def cut(self):
        """All connections."""
        with self._lock:
            sockets = list(self._open)
        for each in sockets:
            _shut(each)

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(os.path.join(self.cluster.folder, f".s.PGSQL.{self.cluster.port}"))
        except OSError:
            client.close()
            return
        pair = _Pair(self, client, server)
        with self._lock:
            self._open |= {client, server}
        threads = [threading.Thread(target=run, daemon=True) for run in (pair.upstream, pair.downstream)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def matching(self, message):
        """The rule whose time has come with this message."""
        with self._lock:
            for rule in self._rules:
                if not rule.fired.is_set() and rule.pattern.match(message):
                    rule.left -= 1
                    if rule.left == 0:
                        return rule
        return None


class _Pair:
    """One connection of the daemon and the one to the server that belongs to it."""

    def __init__(self, proxy, client, server):
        self._proxy, self._client, self._server = proxy, client, server
        self._awaited = None  # a rule that wants the answer

    def upstream(self):
        buffer, started = b"", False
        while data := _receive(self._client):
            self._proxy.holds.wait()
            buffer += data
            after = None
            while (length := _length(buffer, started)) and len(buffer) >= length:
                message, buffer = buffer[:length], buffer[length:]
                if not started:
                    if struct.unpack("!I", message[4:8])[0] in (SSL, GSS):
                        self._client.sendall(b"N")
                        continue
                    started = True
                elif rule := self._proxy.matching(message[:1] + message[5:]):
                    if rule.when == "before" and self._act(rule):
                        return
                    after = rule if rule.when == "after" else after
                    self._awaited = rule if rule.when == "answer" else self._awaited
                if not _send(self._server, message):
                    break
            if after and self._act(after):
                return
        self._end()

    def downstream(self):
        while data := _receive(self._server):
            self._proxy.holds.wait()
            rule, self._awaited = self._awaited, None
            if rule and self._act(rule):
                return
            if not _send(self._client, data):
                break
        self._end()

    def _act(self, rule):
        drops = rule.action() == "drop"
        rule.fired.set()
        if drops:
            self._end()
        return drops

    def _end(self):
        _shut(self._client)
        _shut(self._server)


def _length(buffer, started):
    """Of the message that begins the buffer; 0 unknown."""
    if started:
        return 1 + struct.unpack("!I", buffer[1:5])[0] if len(buffer) >= 5 else 0
    return struct.unpack("!I", buffer[:4])[0] if len(buffer) >= 8 else 0


def _receive(from_socket):
    try:
        return from_socket.recv(65536)
    except OSError:
        return b""


def _send(to_socket, data):
    try:
        to_socket.sendall(data)
    except OSError:
        return False
    return True


def _shut(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
