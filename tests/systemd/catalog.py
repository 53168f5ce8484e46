#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The journal's catalog explains every event that has a MESSAGE_ID, and journald takes it.

    catalog.py SOURCE_ROOT
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77
STANDARD = {"OGDSYNC_MSG"}  # f_msg()


def entries(text):
    """id -> (headers, body)."""
    found = {}
    for entry in re.split(r"(?m)^-- ", text)[1:]:
        name, rest = entry.split("\n", 1)
        headers, _, body = rest.partition("\n\n")
        assert name not in found, f"{name} stands twice"
        found[name] = (dict(line.split(": ", 1) for line in headers.splitlines()), body.strip())
    return found


def problems(root):
    catalog = entries((root / "systemd/ogdsync.catalog").read_text())
    source = (root / "daemon/message_id.c").read_text()
    events = {number: event for event, number in re.findall(r'\{"([^"]+)", "([0-9a-f]{32})"\}', source)}
    assert events
    for number in sorted(events.keys() - catalog.keys()):
        yield f"systemd/ogdsync.catalog: no entry for {events[number]} ({number})"
    for number in sorted(catalog.keys() - events.keys()):
        yield f"systemd/ogdsync.catalog: {number} is not in daemon/message_id.c"
    code = "".join(path.read_text() for path in [*root.glob("daemon/*.c"), *root.glob("lib/*.c")])
    fields = {name.upper() for name in re.findall(r'\bf_\w+\(\s*"(\w+)"|\.key = "(\w+)"', code) for name in name}
    for number, (headers, body) in catalog.items():
        if not headers.get("Subject") or headers.get("Defined-By") != "ogdsync" or not body:
            yield f"systemd/ogdsync.catalog: {number} lacks Subject, Defined-By or a text"
        for field in re.findall(r"@(\w+)@", headers.get("Subject", "") + body):
            if field not in STANDARD and field.removeprefix("OGDSYNC_") not in fields:
                yield f"systemd/ogdsync.catalog: {number}: no line of the log has a field {field}"


def taken_by_journald(root):
    """What journalctl has after it has read our catalog: id -> subject."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("usr/lib/systemd/catalog", "var/lib/systemd/catalog"):
            Path(folder, name).mkdir(parents=True)
        shutil.copy(root / "systemd/ogdsync.catalog", Path(folder, "usr/lib/systemd/catalog"))
        made = subprocess.run(["journalctl", f"--root={folder}", "--update-catalog"], capture_output=True, text=True)
        listed = subprocess.run(["journalctl", f"--root={folder}", "--list-catalog"], capture_output=True, text=True)
    print(made.stderr + listed.stderr, end="")
    assert made.returncode == 0 and made.stderr == "" and listed.returncode == 0
    return dict(re.findall(r"(?m)^([0-9a-f]{32}) ogdsync: (.*)$", listed.stdout))


def main():
    root = Path(sys.argv[1])
    broken = list(problems(root))
    print("\n".join(broken))
    if broken:
        sys.exit(1)
    if not shutil.which("journalctl"):
        print("journalctl is not installed")
        sys.exit(SKIPPED)
    taken = taken_by_journald(root)
    ours = {number: headers["Subject"]
            for number, (headers, _) in entries((root / "systemd/ogdsync.catalog").read_text()).items()}
    assert taken == ours, (taken, ours)


main()
