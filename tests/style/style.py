#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house that a machine can check.

    style.py RULE SOURCE_ROOT [BUILD_ROOT]

Each rule is a function below; its first line says what it asks for. A rule prints every place that
breaks it as `file:line: message` and exits 1; it exits 77 (skipped) where the tool it needs is absent.
C is read after comments and strings are blanked, which keeps lines and columns.
"""

import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

SKIPPED = 77
OURS = ("lib", "daemon", "cli")

# What a pure file may not see, directly or through a header of ours.
FOREIGN = re.compile(r"uv\.h|curl/|libpq|microhttpd\.h|systemd/")

# Who in lib/ knows a loop or one of those libraries; every other file there is plain.
LOOP_FILES = ("http.*", "http_transfer.c", "http_private.h", "httpd.*", "httpd_listen.c",
              "httpd_request.c", "httpd_private.h", "pg.*", "pg_*", "pgarray.*", "atomic_file.*",
              "log*")

# Which files may know a library: everybody else goes through their headers.
ONLY = {
    "curl/curl.h": ("lib/http.c", "lib/http_*", "cli/client.c"),
    "libpq-fe.h": ("lib/pg.c", "lib/pg_*"),
    "microhttpd.h": ("lib/httpd_private.h",),
}

BANNED = ("strcpy strcat sprintf vsprintf strtok atoi atol atoll gets localtime gmtime asctime ctime "
          "rand srand alloca system popen tmpnam mktemp").split()

# Writable data that is meant to be: where lines go to, and which bytes never may.
WRITABLE = (("log*.o", "*"), ("scrub.o", "registry"))

MAX_LINES, MAX_NESTING = 100, 4


class Source:
    """A file of C, as written and with comments and strings blanked."""

    def __init__(self, root, path):
        self.name = str(path.relative_to(root))
        self.text = path.read_text(encoding="utf-8")
        self.code = blank(self.text)

    def includes(self):
        for i, line in enumerate(self.text.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if found:
                yield i, found.group(2), found.group(1) == '"'

    def first_comment(self):
        found = re.search(r"/\*.*?\*/", self.text, re.S)
        return found.group(0) if found else ""


def blank(text):
    """Comments, strings and characters as spaces; `//` comments stay."""

    def spaces(found):
        s = found.group(0)
        if s.startswith("//"):
            return s
        quote = s[0] if s[0] in "\"'" else " "
        return quote + re.sub(r"[^\n]", " ", s[1:-1]) + quote

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', spaces, text,
                  flags=re.S)


def sources(root, folders=OURS, endings=".c .h"):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in endings.split() and path.is_file():
                yield Source(root, path)


def text_files(root):
    """Every file of the project: what git tracks, or all but hidden and build folders."""
    try:
        names = subprocess.run(["git", "-C", root, "ls-files", "-z"], check=True,
                               capture_output=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        names = [str(p.relative_to(root)) for p in root.rglob("*")
                 if not re.search(r"(^|/)(\.|build)", str(p.relative_to(root)))]
    for name in sorted(names):
        path = root / name
        if not name or not path.is_file() or path.is_symlink():
            continue
        try:
            yield name, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def is_pure(source):
    if re.search(r"\bPure\.", source.first_comment()):
        return True
    folder, _, base = source.name.partition("/")
    return folder == "lib" and not any(fnmatch(base, p) for p in LOOP_FILES)


def rule_includes(root, _build):
    """Includes point down: lib knows lib, daemon knows lib, and nobody knows main, daemon or run."""
    allowed = {"lib": ("lib/",), "daemon": ("lib/", "daemon/"), "cli": ("lib/", "daemon/", "cli/")}
    above = {"daemon/daemon.h": ("daemon/main.c", "daemon/daemon*"),
             "daemon/run.h": ("daemon/main.c", "daemon/daemon*", "daemon/run*")}
    for s in sources(root):
        folder = s.name.split("/")[0]
        for line, name, ours in s.includes():
            if ours and "/" in name and not name.startswith(allowed[folder]):
                yield f"{s.name}:{line}: {folder}/ may not include {name}"
            if ours and "/" not in name and (root / folder / name).exists():
                yield f"{s.name}:{line}: write {folder}/{name}"
            if name in above and not any(fnmatch(s.name, p) for p in above[name]):
                yield f"{s.name}:{line}: {name} is above this file"
            if name in ONLY and not any(fnmatch(s.name, p) for p in ONLY[name]):
                yield f"{s.name}:{line}: only {', '.join(ONLY[name])} may include {name}"


def rule_pure(root, _build):
    """Pure files, and the plain ones of lib/, see no loop, curl, libpq or microhttpd header."""
    files = {s.name: s for s in sources(root)}
    pure = {name for name, s in files.items() if is_pure(s)}
    pure |= {n[:-1] + "c" for n in pure if n.endswith(".h") and n[:-1] + "c" in files}

    def path_to_foreign(name, seen):
        for line, include, ours in files[name].includes():
            if not ours and FOREIGN.match(include):
                return f"{name}:{line}: includes <{include}>"
            if ours and include in files and include not in seen:
                seen.add(include)
                found = path_to_foreign(include, seen)
                if found:
                    return f"{name}:{line}: through {found}"
        return None

    for name in sorted(pure):
        found = path_to_foreign(name, {name})
        if found:
            yield f"{found} (but {name} is pure)"


def compile_flags(build):
    """-I and -D as the build has them."""
    flags = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        for word in shlex.split(entry["command"]):
            if word.startswith(("-I", "-D")):
                if word.startswith("-I"):
                    word = "-I" + os.path.normpath(build / word[2:])
                if word not in flags:
                    flags.append(word)
    return flags


def rule_headers(root, build):
    """Each header compiles alone, included twice, under every compiler that is there."""
    flags = compile_flags(build)
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    headers = [s.name for s in sources(root, endings=".h")]

    def check(job):
        compiler, header = job
        with tempfile.NamedTemporaryFile("w", suffix=".c") as f:
            f.write(f'#include "{header}"\n#include "{header}"\n')
            f.flush()
            done = subprocess.run(
                [compiler, "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                 "-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable",
                 *flags, f.name], capture_output=True, text=True)
        return f"{header}: {compiler}: {done.stderr.strip()}" if done.returncode else None

    jobs = [(c, h) for c in compilers for h in headers]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from (message for message in pool.map(check, jobs) if message)


def rule_registered(root, _build):
    """Every test stands in the meson.build of its folder."""
    for path in sorted((root / "tests").rglob("test[-_]*")):
        if path.suffix not in (".c", ".py", ".sh") or not (path.parent / "meson.build").exists():
            continue
        listed = (path.parent / "meson.build").read_text()
        names = (path.name, path.stem.removeprefix("test-"))
        runs_all = path.suffix == ".py" and "pytest" in listed
        if not runs_all and not any(f"'{name}'" in listed for name in names):
            yield f"{path.relative_to(root)}: not in {path.parent.relative_to(root)}/meson.build"


def rule_banned(root, _build):
    """No function that cannot be used safely, blocks a loop, or keeps its answer in a static."""
    pattern = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")\s*\(")
    for s in sources(root):
        for found in pattern.finditer(s.code):
            yield f"{s.name}:{line_of(s.code, found.start())}: {found.group(1)}() is banned"


def functions(source):
    """(line, name, body lines): the house's layout has both braces of a function in column 0."""
    lines = source.code.split("\n")
    start = None
    for i, line in enumerate(lines):
        if line.rstrip() == "{":
            start = i
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 6):start])
            names = re.findall(r"(\w+)\s*\(", head.split("}")[-1].split(";")[-1])
            yield start + 1, names[0] if names else "?", lines[start + 1:i]
            start = None


def nesting(body):
    deepest, stack = 0, []
    for found in re.finditer(r"(\) |else |do )?([{}])", "\n".join(body)):
        if found.group(2) == "{":
            stack.append(bool(found.group(1)))
            deepest = max(deepest, sum(stack))
        elif stack:
            stack.pop()
    return deepest


def rule_functions(root, _build):
    """Functions of at most 100 lines, nested at most 4 deep."""
    for s in sources(root):
        for line, name, body in functions(s):
            if len(body) > MAX_LINES:
                yield f"{s.name}:{line}: {name}() has {len(body)} lines"
            if nesting(body) > MAX_NESTING:
                yield f"{s.name}:{line}: {name}() is nested {nesting(body)} deep"


def rule_form(root, _build):
    """No // comments, no space at a line's end, tabs in front, #pragma once, an SPDX line."""
    for s in sources(root, (*OURS, "tests")):
        for i, (code, line) in enumerate(zip(s.code.split("\n"), s.text.split("\n")), 1):
            if "//" in code:
                yield f"{s.name}:{i}: // comment"
            if line != line.rstrip():
                yield f"{s.name}:{i}: space at the end of the line"
            if re.match(r"\t* {8}", line):
                yield f"{s.name}:{i}: indented by spaces"
        if s.name.endswith(".h") and not s.text.startswith("#pragma once\n"):
            yield f"{s.name}:1: no #pragma once"
        if "SPDX-License-Identifier: Apache-2.0" not in s.text[:1500]:
            yield f"{s.name}:1: no SPDX-License-Identifier"


def rule_statics(root, _build):
    """No static in a function but constants."""
    for s in sources(root):
        for line, name, body in functions(s):
            for i, text in enumerate(body, line + 1):
                if re.match(r"\s+static\b", text) and not re.search(r"\bconst\b", text):
                    yield f"{s.name}:{i}: {name}() keeps something between calls"


def rule_globals(root, build):
    """No writable data in the libraries but the log targets and the list of secrets."""
    archives = [build / a for a in ("lib/libogdlib.a", "daemon/libogdcore.a", "cli/libogdcli.a")]
    if not shutil.which("objdump") or not all(a.exists() for a in archives):
        sys.exit(SKIPPED)
    for archive in archives:
        table = subprocess.run(["objdump", "-t", archive], check=True, capture_output=True,
                               text=True).stdout
        if "__asan" in table or "__ubsan" in table or "__sanitizer" in table:
            sys.exit(SKIPPED)
        member = ""
        for line in table.splitlines():
            if ":     file format" in line:
                member = Path(line.split(":")[0]).name.replace(".c.o", ".o")
            # value, flags (O: an object), section, size, name
            found = re.match(r"[0-9a-f]{16} .{6}O (\.data|\.bss|\.tdata|\.tbss)(\S*)\t\S+ +(\S+)", line)
            if not found or ".rel.ro" in found.group(2):
                continue
            name = found.group(3)
            if not any(fnmatch(member, f) and fnmatch(name, n) for f, n in WRITABLE):
                yield f"{member}: {name} is writable"


def rule_paths(root, _build):
    """No path of the machine it was written on."""
    pattern = re.compile("/wo" "rk/|/tmp/" "wt|/ro" "ot/")
    for name, text in text_files(root):
        for found in pattern.finditer(text):
            yield f"{name}:{line_of(text, found.start())}: {found.group(0)}"


def rule_man(root, _build):
    """The manual pages pass mandoc's lint."""
    pages = sorted(str(p) for p in (root / "man").glob("*.[1-9]"))
    if not shutil.which("mandoc") or not pages:
        sys.exit(SKIPPED)
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *pages], capture_output=True,
                          text=True)
    yield from done.stdout.splitlines()


def rule_python(root, _build):
    """Every Python file compiles."""
    for name, text in text_files(root):
        if name.endswith(".py") or re.match(r"#!.*python", text):
            try:
                compile(text, name, "exec")
            except SyntaxError as e:
                yield f"{name}:{e.lineno}: {e.msg}"


def rule_yaml(root, _build):
    """The configuration that is shipped is YAML."""
    try:
        import yaml
    except ImportError:
        sys.exit(SKIPPED)
    files = sorted((root / "conf").rglob("*.yaml"))
    if not files:
        sys.exit(SKIPPED)
    for path in files:
        try:
            yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as e:
            yield f"{path.relative_to(root)}: {e}"


def main():
    rule = globals()["rule_" + sys.argv[1]]
    root = Path(sys.argv[2]).resolve()
    build = Path(sys.argv[3]).resolve() if len(sys.argv) > 3 else None
    broken = 0
    for message in rule(root, build):
        print(message)
        broken += 1
    if broken:
        print(f"\n{rule.__doc__} Broken in {broken} place{'s' * (broken != 1)}.")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
