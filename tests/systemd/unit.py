#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What systemd thinks of our unit.

    unit.py verify|security|sysusers|exit-codes UNIT SYSUSERS BUILD_ROOT
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77


def run(*command, **options):
    if not shutil.which(command[0]):
        print(f"{command[0]} is not installed")
        sys.exit(SKIPPED)
    done = subprocess.run(command, capture_output=True, text=True, **options)
    print(done.stdout + done.stderr)
    return done


def verify(unit, _sysusers, build):
    """No unknown key, no missing program: the unit as installed, with the daemon of this build."""
    text = unit.read_text()
    text, n = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={build}/daemon/ogdsyncd", text)
    text, m = re.subn(r"(?m)^ExecReload=\S+", f"ExecReload={build}/cli/ogdsync", text)
    assert (n, m) == (1, 1)
    with tempfile.TemporaryDirectory() as folder:
        copies = [Path(folder) / name for name in ("ogdsyncd.service", "ogdsyncd.socket")]
        copies[0].write_text(text)
        shutil.copy(unit.with_suffix(".socket"), copies[1])
        done = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *map(str, copies))
    ours = [line for line in done.stderr.splitlines() if "ogdsyncd" in line]
    return done.returncode == 0 and not ours


def security(unit, _sysusers, _build):
    """At most 1.2 of 10 points of exposure."""
    done = run("systemd-analyze", "security", "--offline=true", "--threshold=12", "--no-pager",
               str(unit))
    return done.returncode == 0


def sysusers(_unit, sysusers, _build):
    """systemd-sysusers makes the user."""
    with tempfile.TemporaryDirectory() as root:
        Path(root, "etc").mkdir()
        done = run("systemd-sysusers", f"--root={root}", str(sysusers.resolve()))
        made = Path(root, "etc/passwd").read_text() if done.returncode == 0 else ""
    return re.search(r"(?m)^ogdsync:", made) is not None or "u ogdsync" not in sysusers.read_text()


def exit_codes(unit, _sysusers, build):
    """A configuration that is wrong ends the daemon with a code that systemd does not retry."""
    codes = re.search(r"(?m)^RestartPreventExitStatus=(.*)$", unit.read_text()).group(1).split()
    with tempfile.TemporaryDirectory() as folder:
        wrong = Path(folder, "ogdsync.yaml")
        wrong.write_text("portl: {}\n")
        daemon = f"{build}/daemon/ogdsyncd"
        config = run(daemon, "--config", str(wrong))
        usage = run(daemon, "--no-such-option")
    return str(config.returncode) in codes and str(usage.returncode) in codes


def main():
    test = {"verify": verify, "security": security, "sysusers": sysusers, "exit-codes": exit_codes}
    unit, users, build = (Path(os.path.abspath(a)) for a in sys.argv[2:5])
    sys.exit(0 if test[sys.argv[1]](unit, users, build) else 1)


if __name__ == "__main__":
    main()
