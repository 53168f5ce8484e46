"""Prometheus's text, read; and promtool."""

import re
import shutil
import subprocess

import pytest

SERIES = re.compile(r'^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def parse(text):
    """{(name, ((label, value), ...)): number}, in the order of the text."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, labels, value = SERIES.match(line).groups()
            key = (name, tuple(sorted(LABEL.findall(labels or ""))))
            assert key not in found, f"twice: {line}"
            found[key] = float(value)
    return found


class Metrics:
    """What a daemon says at one moment."""

    def __init__(self, daemon):
        reply = daemon.get("/metrics")
        assert reply.status == 200, reply.text
        self.content_type = reply.headers["Content-Type"]
        self.text = reply.text
        self.series = parse(self.text)

    def __call__(self, name, **labels):
        """The one series that has these labels, maybe among others."""
        values = [value for (series, has), value in self.series.items()
                  if series == name and labels.items() <= dict(has).items()]
        assert len(values) == 1, f"{len(values)} series {name} {labels}\n{self.text}"
        return values[0]

    def sum(self, name, **labels):
        return sum(value for (series, has), value in self.series.items()
                   if series == name and labels.items() <= dict(has).items())

    def names(self):
        return {name for name, _labels in self.series}


def promtool(*args, **more):
    program = shutil.which("promtool")
    if not program:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60, check=False, **more)
