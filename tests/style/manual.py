#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every command, option and route is in its manual page, and no page has one that is gone.
Every document that a command prints is described.

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


def flags(text):
    return set(re.findall(r"\bFl -([a-z][a-z-]*)", text))


def section(text, title):
    """From the heading to the next one."""
    return re.search(rf"(?ms)^\.S[sh] {title}\n(.*?)(?=^\.S[sh] |\Z)", text).group(1)


def blocks(text):
    """Command -> what is said of it."""
    heads = list(re.finditer(r"(?m)^\.It Ic ((?:[a-z-]+ ?)+?)(?= O[oap]|$| Ar)", text))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return {head.group(1).strip(): text[head.start():end] for head, end in zip(heads, ends)}


def check_commands(ogdsync, page, documents):
    top = help_of(ogdsync)
    common = options(top)
    described = blocks(section(page, "Commands"))
    yield from compare("ogdsync.1", "command", set(commands(top)), described.keys())
    yield from compare("ogdsync.1", "option", common, flags(page[:page.index(".Ss Commands")]))
    printers = set()
    for name in commands(top):
        own = options(help_of(ogdsync, *name.split())) - common
        printers |= {name} if "json" in own else set()
        # A text may name the options of another command.
        known = flags(re.sub(r"(?m)^\.Ic .*$", "", described.get(name, "")))
        yield from compare("ogdsync.1", f"option of {name}", own, known - common)
    yield from compare("ogdsync.7", "document of", printers, blocks(section(documents, "Documents of commands")).keys())


def check(ogdsync, ogdsyncd, root):
    def page(name):
        return (root / "man" / name).read_text()

    yield from check_commands(ogdsync, page("ogdsync.1"), page("ogdsync.7"))
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
