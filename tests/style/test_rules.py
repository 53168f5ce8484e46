#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of style.py finds what breaks it, and nothing in a tree that is right."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

STYLE = Path(__file__).with_name("style.py")
SPDX = "/* A file. SPDX-License-Identifier: Apache-2.0 */\n"
PURE = "/* A file. Pure. SPDX-License-Identifier: Apache-2.0 */\n"
GOOD = SPDX + """
#include "lib/good.h"

/* strcpy(a, b) is banned, "system(3)" too; see https://example.org/ */
static int good(int a)
{
\tstatic const char *const names[] = {"sprintf(", "//"};

\tif (a) {
\t\treturn names[0][0];
\t}
\treturn 0;
}
"""


def nested(depth):
    body = "".join("\t" * (i + 1) + "if (a) {\n" for i in range(depth))
    body += "\t" * (depth + 1) + "a = 1;\n"
    body += "".join("\t" * (i + 1) + "}\n" for i in reversed(range(depth)))
    return f"static void deep(int a)\n{{\n{body}}}\n"


# rule, file, text, what must be said
BROKEN = [
    ("includes", "lib/bad.c", SPDX + '#include "daemon/good.h"\n', "lib/ may not include daemon/good.h"),
    ("includes", "daemon/bad.c", SPDX + '#include "cli/good.h"\n', "daemon/ may not include cli/good.h"),
    ("includes", "daemon/bad.c", SPDX + '#include "daemon/run.h"\n', "is above this file"),
    ("includes", "daemon/bad.c", SPDX + '#include "good.h"\n', "write daemon/good.h"),
    ("includes", "daemon/bad.c", SPDX + "#include <curl/curl.h>\n", "may include curl/curl.h"),
    ("pure", "lib/bad.c", SPDX + "#include <uv.h>\n", "lib/bad.c is pure"),
    ("pure", "daemon/bad.h", PURE + '#include "lib/http.h"\n', "daemon/bad.h is pure"),
    ("headers", "lib/bad.h", "#pragma once\n" + SPDX + "size_t n(void);\n", "lib/bad.h: gcc"),
    ("registered", "tests/unit/test-bad.c", SPDX, "tests/unit/test-bad.c: not in"),
    ("banned", "cli/bad.c", SPDX + "int a(void)\n{\n\treturn atoi(x);\n}\n", "bad.c:4: atoi() is"),
    ("banned", "cli/bad.c", SPDX + "\tif (system (x)) {\n", "system() is banned"),
    ("functions", "lib/bad.c", "int a(int b)\n{\n" + "\tb++;\n" * 101 + "}\n", "a() has 101 lines"),
    ("functions", "lib/bad.c", nested(5), "deep() is nested 5 deep"),
    ("form", "lib/bad.c", SPDX + "int a; // b\n", "// comment"),
    ("form", "lib/bad.c", SPDX + "int a; \n", "space at the end"),
    ("form", "lib/bad.c", SPDX + "        int a;\n", "indented by spaces"),
    ("form", "lib/bad.c", "int a;\n", "no SPDX"),
    ("form", "lib/bad.h", SPDX, "no #pragma once"),
    ("statics", "lib/bad.c", "void a(void)\n{\n\tstatic int n;\n}\n", "a() keeps something"),
    ("paths", "README.md", "see /wo" "rk/x\n", "README.md:1: /wo" "rk/"),
    ("man", "man/bad.1", ".Dd x\n.Foo\n", "Foo"),
    ("python", "tools/bad.py", "def f(:\n", "tools/bad.py:1"),
    ("yaml", "conf/bad.yaml", "a: [1\n", "conf/bad.yaml"),
]

RIGHT = {
    "lib/good.c": GOOD,
    "lib/good.h": "#pragma once\n\n" + SPDX + "#include <stddef.h>\n\nsize_t good_size(void);\n",
    "lib/http.h": "#pragma once\n\n" + SPDX + "#include <uv.h>\n",
    "daemon/good.h": "#pragma once\n\n" + PURE + '#include "lib/good.h"\n',
    "daemon/run.h": "#pragma once\n\n" + SPDX,
    "daemon/run.c": SPDX + '#include "daemon/run.h"\n#include "lib/http.h"\n',
    "daemon/nested.c": SPDX + nested(4),
    "cli/good.h": "#pragma once\n\n" + SPDX,
    "tests/unit/meson.build": "tests = [\n  'good',\n]\n",
    "tests/unit/test-good.c": SPDX,
    "tools/good.py": "print('good')\n",
    "conf/good.yaml": "a: 1\n",
}


class Rules(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.root = Path(self.scratch.name) / "tree"
        for name, text in RIGHT.items():
            self.write(name, text)
        self.build = Path(self.scratch.name) / "out"
        self.build.mkdir()
        (self.build / "compile_commands.json").write_text(
            json.dumps([{"command": f"cc -I{self.root} -D_GNU_SOURCE"}]))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_rule(self, rule):
        done = subprocess.run([sys.executable, STYLE, rule, self.root, self.build],
                              capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_right(self):
        for rule in sorted({rule for rule, *_ in BROKEN} - {"man"}):
            with self.subTest(rule):
                code, said = self.run_rule(rule)
                self.assertIn(code, (0, 77), said)

    def test_broken(self):
        for rule, name, text, expected in BROKEN:
            with self.subTest(rule=rule, expected=expected):
                self.write(name, text)
                code, said = self.run_rule(rule)
                (self.root / name).unlink()
                if code != 77:
                    self.assertEqual(code, 1, said)
                    self.assertIn(expected, said)


if __name__ == "__main__":
    unittest.main()
