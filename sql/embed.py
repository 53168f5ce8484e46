#!/usr/bin/env python3
"""Turn the numbered migrations into one C table: embed.py OUTPUT 0001_x.sql ..."""

import json
import os
import sys


def main() -> None:
    output, *files = sys.argv[1:]
    lines = ['#include "daemon/migration.h"', "", "#include <stddef.h>", "", "const struct migration migrations[] = {"]
    for number, path in enumerate(sorted(files, key=os.path.basename), start=1):
        name = os.path.basename(path).removesuffix(".sql")
        if not name.startswith(f"{number:04d}_"):
            sys.exit(f"{path}: expected migration number {number:04d}")
        lines.append(f'\t{{{number}, "{name}",')
        with open(path, encoding="utf-8") as sql:
            lines += [f"\t{json.dumps(line, ensure_ascii=False)}" for line in sql]
        lines.append("\t},")
    lines += ["\t{0, NULL, NULL},", "};", ""]
    with open(output, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))


main()
