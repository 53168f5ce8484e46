#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Count test cases and show what failed.

    count_tests.py STEPS FAILED_STEPS TESTLOG.json...

STEPS are tests that the caller ran itself, FAILED_STEPS those of them that failed. Each log is one
of `meson test`: a line of JSON for each program. The cases of a program are counted from what
cmocka or pytest says at the end; a program of another kind is one case. The program's own result
comes first: one that failed has at least one failed case, whatever it printed.

The last line is `N passed, N failed` or `N passed, N failed, N skipped`. Exits 1 if any failed, or
if nothing ran.
"""

import json
import re
import sys
from collections import Counter

GOOD = {"OK", "EXPECTEDFAIL"}
LOG_LINES = 300


def last_number(pattern, text):
    found = re.findall(pattern, text, re.M)
    return int(found[-1]) if found else 0


def cases_of_cmocka(text):
    """cmocka ends with `[  PASSED  ] 7 test(s).`, then one line each for skipped and failed."""
    if not re.search(r"^\[==========\] (\S+: )?\d+ test\(s\) run\.", text, re.M):
        return None
    cases = Counter()
    for kind, word in (("passed", "PASSED"), ("failed", "FAILED"), ("skipped", "SKIPPED")):
        for n in re.findall(rf"^\[  {word}\s+\] (?:\S+: )?(\d+) test\(s\)", text, re.M):
            cases[kind] += int(n)
    return cases


def cases_of_pytest(text):
    """pytest ends with `2 failed, 7 passed, 1 skipped, 3 warnings in 0.51s`."""
    ends = re.findall(r"^=*\s*((?:\d+ \w+(?:, )?)+) in [\d.]+s\b.*$", text, re.M)
    if not ends:
        return None
    n = Counter({word: int(count) for count, word in re.findall(r"(\d+) (\w+)", ends[-1])})
    return Counter(passed=n["passed"] + n["xfailed"],
                   failed=n["failed"] + n["error"] + n["errors"] + n["xpassed"],
                   skipped=n["skipped"])


def cases_of(test):
    result = test["result"]
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    if result == "SKIP":
        return Counter(skipped=1)
    cases = cases_of_pytest(text) or cases_of_cmocka(text) or Counter()
    if result in GOOD:
        cases["failed"] = 0
        if not sum(cases.values()):
            cases["passed"] = 1
    elif not cases["failed"]:
        cases["failed"] = 1
    return cases


def show(test):
    print(f"\n-- {test['result']}: {test['name']} ({test['duration']:.1f} s)")
    print("   " + " ".join(test["command"]))
    for stream in ("stdout", "stderr"):
        lines = test.get(stream, "").rstrip().splitlines()
        if len(lines) > LOG_LINES:
            print(f"   ... {len(lines) - LOG_LINES} lines of {stream} left out ...")
        for line in lines[-LOG_LINES:]:
            print("   " + line)


def main():
    steps, failed_steps = int(sys.argv[1]), int(sys.argv[2])
    total = Counter(passed=steps - failed_steps, failed=failed_steps)
    failed, skipped = [], []
    for path in sys.argv[3:]:
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                total += cases_of(test)
                if test["result"] == "SKIP":
                    skipped.append(test)
                elif test["result"] not in GOOD:
                    failed.append(test)
    for test in failed:
        show(test)
    for test in skipped:
        print(f"SKIPPED: {test['name']}")
    for test in failed:
        print(f"{test['result']}: {test['name']}")
    line = f"{total['passed']} passed, {total['failed']} failed"
    if total["skipped"]:
        line += f", {total['skipped']} skipped"
    print(line)
    sys.exit(1 if total["failed"] or not total["passed"] else 0)


if __name__ == "__main__":
    main()
