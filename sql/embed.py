#!/usr/bin/env python3
"""Turn the numbered migrations into one C table: embed.py OUTPUT 0001_x.sql ..."""

import json
import os
import sys


def main() -> None:
    output, *files = sys.argv[1:]
    lines = ['#include "daemon/migration.h"', "", "#include <stddef.h>", "", "const struct migration migrations[] = {"]
    last = 0
    for path in sorted(files, key=os.path.basename):
        name = os.path.basename(path).removesuffix(".sql")
        number = int(name[:4])
        if name[4:5] != "_" or number <= last:
            sys.exit(f"{path}: expected NNNN_NAME.sql with a number of its own")
        last = number
        lines.append(f'\t{{{number}, "{name}",')
        with open(path, encoding="utf-8") as sql:
            lines += [f"\t{json.dumps(line, ensure_ascii=False)}" for line in sql]
        lines.append("\t},")
    lines += ["\t{0, NULL, NULL},", "};", ""]
    with open(output, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))


main()
