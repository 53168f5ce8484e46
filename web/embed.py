#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turn the files of the status page into one C table: embed.py OUTPUT index.html status.css ..."""

import hashlib
import json
import sys
from pathlib import Path

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


def entry(path: Path) -> list[str]:
    content = path.read_bytes()
    etag = hashlib.sha256(content).hexdigest()[:16]
    lines = content.decode("utf-8").splitlines(keepends=True)
    return [
        f'\t{{"{path.name}", "{TYPES[path.suffix]}", "{etag}", {len(content)},',
        *(f"\t{json.dumps(line, ensure_ascii=False)}" for line in lines),
        "\t},",
    ]


def main() -> None:
    output, *files = sys.argv[1:]
    lines = ['#include "daemon/page.h"', "", "#include <stddef.h>", "", "const struct page_file page_files[] = {"]
    for path in map(Path, files):
        lines += entry(path)
    lines += ["\t{NULL},", "};", ""]
    Path(output).write_text("\n".join(lines), encoding="utf-8")


main()
