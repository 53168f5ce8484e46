"""Start ogdsync-portal from a test, steer it, ask it for the truth.

For every test in the tree, hence outside the package: it speaks to the
simulator only as any client does, over its socket.
"""

import http.client
import json
import os
import select
import subprocess
import tempfile
from urllib.parse import urlencode, urlsplit

PROGRAM = os.path.join(os.path.dirname(os.path.realpath(__file__)), "ogdsync-portal")
DAILY = "9ef84268-d588-465a-a308-a864a43d0070"
HISTORY = "35985678-0d79-46b4-9ed6-6f13308a1d24"
AIR = "3b01bcb8-0b14-4abf-b6f2-c1bfd384ba69"
PINCODE = "5c2f62fe-5afa-4119-a499-fec9d604d5bd"
READY_SECONDS = 20


class Portal:
    """A running simulator; use it in a with statement.

    Steering goes over a second listener, so that it works while the portal
    itself refuses connections or drops TLS handshakes.
    """

    def __init__(self, *options, python="/usr/bin/python3"):
        self._folder = tempfile.TemporaryDirectory(prefix="ogdsync-portal-")
        control = os.path.join(self._folder.name, "control")
        command = [
            python,
            PROGRAM,
            "--until-stdin-closes",
            "--control-port-file",
            control,
            *map(str, options),
        ]
        self._log = os.path.join(self._folder.name, "stderr")
        with open(self._log, "wb") as log:  # a file: nobody empties a pipe
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        try:
            self.url = self._ready_line().removeprefix("listening on ")
            with open(control, encoding="ascii") as file:
                self.control_port = int(file.read())
        except BaseException:
            self.stop()
            raise
        parts = urlsplit(self.url)
        self.host, self.port = parts.hostname, parts.port

    def _ready_line(self):
        if not select.select([self.process.stdout], [], [], READY_SECONDS)[0]:
            raise RuntimeError("ogdsync-portal did not become ready")
        line = self.process.stdout.readline().strip()
        if not line.startswith("listening on "):
            raise RuntimeError(f"ogdsync-portal: {line!r} {self.stderr()}")
        return line

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.stop()

    def stop(self):
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        status = self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()
        self._folder.cleanup()
        return status

    def stderr(self):
        """What it has complained about, and its log with --verbose."""
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def _steer(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.host, self.control_port, timeout=120)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            document = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(document["error"])
        return document

    def control(self, **settings):
        """POST settings; without any, just the current state."""
        if not settings:
            return self._steer("GET", "/control")
        return self._steer("POST", "/control", json.dumps(settings))

    def reset(self, **settings):
        """Back to the start, then settings."""
        self._steer("POST", "/reset")
        return self.control(**settings)

    def requests(self, path=None):
        """The calls the portal has received, oldest first."""
        calls = self._steer("GET", "/control?requests=1000000")["requests"]
        return [call for call in calls if path is None or call["path"].startswith(path)]

    def truth(self, resource="daily", date=None, rows=False, columns=None):
        """What a perfect client would now hold; see README.md."""
        query = {"resource": resource}
        if date is not None:
            query["date"] = str(date)
        if rows:
            query["rows"] = "1"
        if columns is not None:
            query["columns"] = ",".join(columns)
        return self._steer("GET", "/truth?" + urlencode(query))
