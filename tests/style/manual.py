#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command, option and route is in its manual page, and no page has one that is gone.

    manual.py OGDSYNC OGDSYNCD SOURCE_ROOT
"""

import re
import subprocess
import sys
from pathlib import Path


def help_of(*command):
    return subprocess.run([*command, "--help"], check=True, capture_output=True, text=True).stdout


def options(text):
    return set(re.findall(r"(?<![\w-])--([a-z][a-z-]*)", text))


def commands(text):
    listed = re.search(r"Commands:\n(.*?)\n\n", text, re.S).group(1)
    return [re.split(r"\s{2,}", line.strip())[0] for line in listed.splitlines()]


def compare(page, what, program, manual):
    for name in sorted(program - manual):
        yield f"man/{page}: {what} {name} is missing"
    for name in sorted(manual - program):
        yield f"man/{page}: there is no {what} {name}"


def check(ogdsync, ogdsyncd, root):
    def page(name):
        return (root / "man" / name).read_text()

    def flags(text):
        return set(re.findall(r"\bFl -([a-z][a-z-]*)", text))

    top = help_of(ogdsync)
    names = commands(top)
    found = options(top)
    for name in names:
        found |= options(help_of(ogdsync, *name.split()))
    text = page("ogdsync.1")
    headings = re.findall(r"(?m)^\.It Ic ((?:[a-z]+ ?)+?)(?= O[oap]|$| Ar)", text)
    yield from compare("ogdsync.1", "command", set(names), {h.strip() for h in headings})
    yield from compare("ogdsync.1", "option", found, flags(text))
    yield from compare("ogdsyncd.8", "option", options(help_of(ogdsyncd)),
                       flags(page("ogdsyncd.8")))
    routes = set(re.findall(r'\{HTTPD_\w+(?: \| \w+)*, "([^"]+)"',
                            (root / "daemon/api.c").read_text()))
    written = set(re.findall(r"(?m)^\.It Li (/.*)$", page("ogdsync.7")))
    yield from compare("ogdsync.7", "route", routes, written)
    listed = (root / "man/meson.build").read_text()
    for path in sorted((root / "man").glob("*.[1-9]")):
        if f"'{path.name}'" not in listed:
            yield f"man/{path.name}: not in man/meson.build"


def main():
    broken = list(check(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
    print("\n".join(broken))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
